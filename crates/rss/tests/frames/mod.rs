//! Frames for the tests, built byte by byte.
#![allow(dead_code, reason = "each test program uses its part")]
use std::net::{Ipv4Addr, Ipv6Addr};

/// The key of Microsoft's verification suite.
pub(crate) const KEY: [u8; 40] = [
    0x6d, 0x5a, 0x56, 0xda, 0x25, 0x5b, 0x0e, 0xc2, 0x41, 0x67, 0x25, 0x3d, 0x43, 0xa3, 0x8f, 0xb0,
    0xd0, 0xca, 0x2b, 0xcb, 0xae, 0x7b, 0x30, 0xb4, 0x77, 0xcb, 0x2d, 0xa3, 0x80, 0x30, 0xf2, 0x0c,
    0x6a, 0x42, 0xb7, 0x3b, 0xbe, 0xac, 0x01, 0xfa,
];

pub(crate) fn ethernet(ethertype: u16, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2];
    frame.extend(ethertype.to_be_bytes());
    frame.extend(payload);
    frame
}

/// The frame with a tag before its ethertype.
pub(crate) fn tagged(frame: &[u8], tag_type: u16) -> Vec<u8> {
    let mut out = frame[..12].to_vec();
    out.extend(tag_type.to_be_bytes());
    out.extend([0x60, 0x2A]);
    out.extend(&frame[12..]);
    out
}

/// A TCP header (20 bytes).
pub(crate) fn tcp(source: u16, destination: u16) -> Vec<u8> {
    let mut header = ports(source, destination);
    header.extend([0; 16]);
    header
}

/// A UDP header (8 bytes).
pub(crate) fn udp(source: u16, destination: u16) -> Vec<u8> {
    let mut header = ports(source, destination);
    header.extend([0, 8, 0, 0]);
    header
}

fn ports(source: u16, destination: u16) -> Vec<u8> {
    [source.to_be_bytes(), destination.to_be_bytes()].concat()
}

/// The IPv4 packet alone, with options (a multiple of 4 bytes) and the flags-and-offset field given.
pub(crate) fn ipv4_packet(
    source: Ipv4Addr,
    destination: Ipv4Addr,
    protocol: u8,
    options: &[u8],
    fragment: u16,
    payload: &[u8],
) -> Vec<u8> {
    let header_len = 20 + options.len();
    let mut packet = vec![0x40 | u8::try_from(header_len / 4).unwrap(), 0];
    packet.extend(
        u16::try_from(header_len + payload.len())
            .unwrap()
            .to_be_bytes(),
    );
    packet.extend([0x12, 0x34]);
    packet.extend(fragment.to_be_bytes());
    packet.extend([64, protocol, 0, 0]);
    packet.extend(source.octets());
    packet.extend(destination.octets());
    packet.extend(options);
    packet.extend(payload);
    packet
}

pub(crate) fn ipv4(
    source: Ipv4Addr,
    destination: Ipv4Addr,
    protocol: u8,
    payload: &[u8],
) -> Vec<u8> {
    ethernet(
        0x0800,
        &ipv4_packet(source, destination, protocol, &[], 0x4000, payload),
    )
}

/// A frame with an IPv6 packet; `payload` starts with the header `next` names.
pub(crate) fn ipv6(source: Ipv6Addr, destination: Ipv6Addr, next: u8, payload: &[u8]) -> Vec<u8> {
    let mut packet = vec![0x60, 0, 0, 0];
    packet.extend(u16::try_from(payload.len()).unwrap().to_be_bytes());
    packet.extend([next, 64]);
    packet.extend(source.octets());
    packet.extend(destination.octets());
    packet.extend(payload);
    ethernet(0x86DD, &packet)
}

/// An extension header with `next` after it; `body` is padded to a multiple of 8 with its first 2 bytes.
pub(crate) fn extension(next: u8, body: &[u8]) -> Vec<u8> {
    let units = (body.len() + 2).div_ceil(8);
    let mut header = vec![next, u8::try_from(units - 1).unwrap()];
    header.extend(body);
    header.resize(units * 8, 0);
    header
}

/// A destination options header with padding and a home address option.
pub(crate) fn home_address(next: u8, address: Ipv6Addr) -> Vec<u8> {
    let mut options = vec![0, 1, 1, 0, 0xC9, 16];
    options.extend(address.octets());
    extension(next, &options)
}

/// A routing header of type 2.
pub(crate) fn routing_2(next: u8, address: Ipv6Addr) -> Vec<u8> {
    let mut body = vec![2, 1, 0, 0, 0, 0];
    body.extend(address.octets());
    extension(next, &body)
}
