//! Frames for unit tests, each header written out.

use crate::bytes::{put16, short};
use crate::{checksum, packet};

const MACS: [u8; 12] = [0, 0x16, 0x3E, 0, 1, 0, 2, 0, 0, 0, 0, 0x99];

/// Bytes that look like noise.
pub(crate) fn noise(len: usize) -> Vec<u8> {
    let mut state: u32 = 0x1234_5678;
    (0..len)
        .map(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            state.to_be_bytes()[0]
        })
        .collect()
}

fn finish(mut frame: Vec<u8>) -> Vec<u8> {
    let packet = packet::ip(&frame).expect("a packet");
    checksum::fill_header(&mut frame, &packet);
    if let Some(transport) = packet.transport(&frame) {
        checksum::fill_transport(&mut frame, &packet, &transport);
    }
    frame
}

fn v4(protocol: u8, body: &[u8]) -> Vec<u8> {
    let mut frame = MACS.to_vec();
    frame.extend([8, 0, 0x45, 0]);
    frame.extend(short(20 + body.len()).to_be_bytes());
    frame.extend([
        0x12, 0x34, 0x40, 0, 64, protocol, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2,
    ]);
    frame.extend(body);
    finish(frame)
}

/// TCP over IPv4, PSH and ACK, right checksums.
pub(crate) fn tcp4(payload: &[u8]) -> Vec<u8> {
    let mut tcp = vec![
        0x13, 0x89, 0x61, 0xA9, 0x10, 0, 0, 0, 0, 0, 0, 9, 0x50, 0x18, 1, 0, 0, 0, 0, 0,
    ];
    tcp.extend(payload);
    v4(packet::TCP, &tcp)
}

/// TCP over IPv6 with a timestamp option, right checksum.
pub(crate) fn tcp6(payload: &[u8]) -> Vec<u8> {
    let mut tcp = vec![
        0x13, 0x89, 0x61, 0xA9, 0xFF, 0xFF, 0xFF, 0, 0, 0, 0, 9, 0x80, 0x18, 1, 0, 0, 0, 0, 0,
    ];
    tcp.extend([1, 1, 8, 10, 0, 0, 0, 1, 0, 0, 0, 2]);
    tcp.extend(payload);
    v6(packet::TCP, &tcp, &[])
}

/// UDP over IPv4, right checksums.
pub(crate) fn udp4(payload: &[u8]) -> Vec<u8> {
    let mut udp = vec![0, 53, 0x30, 0x39];
    udp.extend(short(8 + payload.len()).to_be_bytes());
    udp.extend([0, 0]);
    udp.extend(payload);
    v4(packet::UDP, &udp)
}

fn v6(protocol: u8, body: &[u8], extensions: &[(u8, Vec<u8>)]) -> Vec<u8> {
    let mut frame = MACS.to_vec();
    let first = extensions.first().map_or(protocol, |(kind, _)| *kind);
    let len: usize = extensions.iter().map(|(_, data)| data.len() + 2).sum();
    frame.extend([0x86, 0xDD, 0x60, 0, 0, 0]);
    frame.extend(short(len + body.len()).to_be_bytes());
    frame.extend([first, 64]);
    frame.extend([0xFE, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
    frame.extend([0xFE, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2]);
    for (index, (kind, data)) in extensions.iter().enumerate() {
        let next = extensions
            .get(index + 1)
            .map_or(protocol, |(kind, _)| *kind);
        let words = if *kind == 44 {
            0
        } else {
            (data.len() + 2) / 8 - 1
        };
        frame.extend([next, u8::try_from(words).expect("short headers")]);
        frame.extend(data);
    }
    frame.extend(body);
    finish(frame)
}

/// UDP over IPv6 behind these extension headers: number, and what follows the first two bytes.
pub(crate) fn udp6(payload: &[u8], extensions: &[(u8, Vec<u8>)]) -> Vec<u8> {
    let mut udp = vec![0, 53, 0x30, 0x39];
    udp.extend(short(8 + payload.len()).to_be_bytes());
    udp.extend([0, 0]);
    udp.extend(payload);
    v6(packet::UDP, &udp, extensions)
}

/// The frame with this tag.
pub(crate) fn tagged(frame: &[u8], tag: u16) -> Vec<u8> {
    let mut out = frame[..12].to_vec();
    out.extend([0x81, 0, 0, 0]);
    put16(&mut out, 14, tag);
    out.extend(&frame[12..]);
    out
}
