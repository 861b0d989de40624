//! Internet checksums (RFC 1071).

use crate::bytes::{be16, put16};
use crate::packet::{Ip, TCP, Transport, UDP, Version};

/// Ones' complement sum of big-endian words; an odd last byte counts as the high one.
pub fn sum(parts: &[&[u8]]) -> u16 {
    let mut total: u64 = 0;
    for part in parts {
        let (words, rest) = part.as_chunks::<2>();
        for word in words {
            total += u64::from(u16::from_be_bytes(*word));
        }
        if let [last] = rest {
            total += u64::from(*last) << 8;
        }
    }
    while let carry @ 1.. = total >> 16 {
        total = (total & 0xFFFF) + carry;
    }
    u16::try_from(total).unwrap_or(0)
}

/// Sum over the pseudo-header, with the length that is given, not inverted.
pub fn pseudo(frame: &[u8], packet: &Ip, protocol: u8, length: usize) -> u16 {
    let (from, to) = packet.addresses(frame);
    let length = u32::try_from(length).unwrap_or(0).to_be_bytes();
    sum(&[from, to, &length, &[0, protocol]])
}

/// Whether an IPv4 header's checksum is right. IPv6 has none.
pub fn header_is_right(frame: &[u8], packet: &Ip) -> bool {
    packet.version == Version::V6 || header_sum(frame, packet) == 0xFFFF
}

fn header_sum(frame: &[u8], packet: &Ip) -> u16 {
    let len = usize::from(frame[packet.start] & 15) * 4;
    sum(&[&frame[packet.start..packet.start + len]])
}

/// Makes an IPv4 header's checksum right.
pub fn fill_header(frame: &mut [u8], packet: &Ip) {
    if packet.version == Version::V4 {
        put16(frame, packet.start + 10, 0);
        let sum = header_sum(frame, packet);
        put16(frame, packet.start + 10, !sum);
    }
}

/// What the transport checksum is made over: header and payload, as the IP header says. `None` if the frame ends
/// before.
fn covered<'f>(frame: &'f [u8], packet: &Ip, transport: &Transport) -> Option<&'f [u8]> {
    frame.get(transport.start..packet.end)
}

/// Whether the TCP or UDP checksum is right. A UDP checksum of 0 over IPv4 is none, which is right too. `None` if
/// the frame ends before the packet does.
pub fn transport_is_right(frame: &[u8], packet: &Ip, transport: &Transport) -> Option<bool> {
    let data = covered(frame, packet, transport)?;
    let field = be16(frame, transport.checksum)?;
    if transport.protocol == UDP && field == 0 {
        return Some(packet.version == Version::V4);
    }
    let head = pseudo(frame, packet, transport.protocol, data.len());
    Some(sum(&[&head.to_be_bytes(), data]) == 0xFFFF)
}

/// Makes the TCP or UDP checksum right, whatever the field holds. False if the frame ends before the packet does.
pub fn fill_transport(frame: &mut [u8], packet: &Ip, transport: &Transport) -> bool {
    put16(frame, transport.checksum, 0);
    let Some(data) = covered(frame, packet, transport) else {
        return false;
    };
    let head = pseudo(frame, packet, transport.protocol, data.len());
    let mut value = !sum(&[&head.to_be_bytes(), data]);
    if value == 0 && transport.protocol == UDP {
        // RFC 768: 0 means no checksum, and all ones is the same number.
        value = 0xFFFF;
    }
    put16(frame, transport.checksum, value);
    true
}

/// Whether the field holds the pseudo-header sum over `length` bytes: what is left to whoever completes it.
pub fn is_blank(frame: &[u8], packet: &Ip, transport: &Transport, length: usize) -> bool {
    let wanted = pseudo(frame, packet, transport.protocol, length);
    let found = be16(frame, transport.checksum).unwrap_or(0);
    // 0 and all ones are the same number in ones' complement.
    wanted % 0xFFFF == found % 0xFFFF
}

/// Puts the pseudo-header sum over `length` bytes into the field.
pub fn blank(frame: &mut [u8], packet: &Ip, transport: &Transport, length: usize) {
    let value = pseudo(frame, packet, transport.protocol, length);
    put16(frame, transport.checksum, value);
}

/// Completes a blank checksum as hardware does: adds what the packet holds to what stands in the field. False if it
/// cannot: no TCP or UDP header, a fragment, or a packet that is cut off.
pub fn complete(frame: &mut [u8]) -> bool {
    let Some(packet) = crate::packet::ip(frame).filter(|packet| !packet.fragment) else {
        return false;
    };
    let Some(transport) = packet.transport(frame) else {
        return false;
    };
    let Some(data) = covered(frame, &packet, &transport) else {
        return false;
    };
    let mut value = !sum(&[data]);
    if value == 0 && transport.protocol == UDP {
        value = 0xFFFF;
    }
    put16(frame, transport.checksum, value);
    debug_assert!(matches!(transport.protocol, TCP | UDP));
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{packet, samples};
    use smoltcp::wire;

    #[test]
    fn sums_are_those_of_the_rfc_and_of_smoltcp() {
        // RFC 1071, section 3.
        let example = [0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7];
        assert_eq!(sum(&[&example]), 0xDDF2);
        assert_eq!(sum(&[&[]]), 0);
        assert_eq!(sum(&[&[0xFF, 0xFF, 0xFF]]), 0xFF00);
        for len in [0, 1, 7, 1460, 65_000] {
            let frame = samples::tcp4(&samples::noise(len));
            let mut ip = wire::Ipv4Packet::new_checked(frame[14..].to_vec()).expect("IPv4");
            assert!(ip.verify_checksum(), "{len}");
            let (from, to) = (ip.src_addr(), ip.dst_addr());
            let tcp = wire::TcpPacket::new_checked(ip.payload_mut()).expect("TCP");
            assert!(tcp.verify_checksum(&from.into(), &to.into()), "{len}");
        }
        for len in [0, 1, 7, 1460] {
            let frame = samples::udp6(&samples::noise(len), &[]);
            let mut ip = wire::Ipv6Packet::new_checked(frame[14..].to_vec()).expect("IPv6");
            let (from, to) = (ip.src_addr(), ip.dst_addr());
            let udp = wire::UdpPacket::new_checked(ip.payload_mut()).expect("UDP");
            assert!(udp.verify_checksum(&from.into(), &to.into()), "{len}");
        }
    }

    #[test]
    fn every_changed_byte_of_a_packet_is_noticed() {
        let frame = samples::udp6(b"some bytes", &[]);
        let packet = packet::ip(&frame).expect("IPv6");
        let udp = packet.transport(&frame).expect("UDP");
        assert_eq!(transport_is_right(&frame, &packet, &udp), Some(true));
        for at in (22..54).chain(udp.payload..frame.len()) {
            let mut broken = frame.clone();
            broken[at] ^= 0x10;
            assert_eq!(
                transport_is_right(&broken, &packet, &udp),
                Some(false),
                "{at}"
            );
        }
    }

    #[test]
    fn blank_checksums_are_completed() {
        for payload in [&b""[..], b"x", b"some bytes"] {
            let right = samples::tcp4(payload);
            let packet = packet::ip(&right).expect("IPv4");
            let tcp = packet.transport(&right).expect("TCP");
            let mut frame = right.clone();
            blank(&mut frame, &packet, &tcp, packet.end - tcp.start);
            assert!(is_blank(&frame, &packet, &tcp, packet.end - tcp.start));
            assert!(!is_blank(&right, &packet, &tcp, packet.end - tcp.start));
            assert!(!is_blank(&frame, &packet, &tcp, 1 + packet.end - tcp.start));
            // Padding is not part of it.
            frame.extend([0x77; 6]);
            assert!(complete(&mut frame));
            assert_eq!(frame[..right.len()], right);
        }
    }

    #[test]
    fn what_cannot_be_completed_is_refused() {
        let mut fragment = samples::tcp4(b"abc");
        fragment[20] = 0x20;
        assert!(!complete(&mut fragment));
        let mut short = samples::tcp4(b"abc");
        short.pop();
        assert!(!complete(&mut short));
        let mut other = samples::tcp4(b"abc");
        other[23] = 1;
        assert!(!complete(&mut other));
        assert!(!complete(&mut [0; 60]));
    }

    #[test]
    fn a_udp_sum_of_zero_goes_out_as_ones() {
        let mut frame = samples::udp4(&[0, 0]);
        let packet = packet::ip(&frame).expect("IPv4");
        let udp = packet.transport(&frame).expect("UDP");
        // The payload that makes the sum come out as zero is the present checksum itself.
        let now = be16(&frame, udp.checksum).expect("a checksum");
        put16(&mut frame, udp.payload, now);
        assert!(fill_transport(&mut frame, &packet, &udp));
        assert_eq!(be16(&frame, udp.checksum), Some(0xFFFF));
        assert_eq!(transport_is_right(&frame, &packet, &udp), Some(true));
    }
}
