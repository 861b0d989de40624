//! The reference segmenter: one large TCP frame into the segments that must appear on the wire.

use crate::bytes::{be16, be32, put16, put32, short};
use crate::checksum;
use crate::packet::{self, Version};

const FIN: u8 = 0x01;
const PSH: u8 = 0x08;
const CWR: u8 = 0x80;

/// Why a frame cannot be cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Uncut {
    /// No whole TCP header in an unfragmented packet.
    NotTcp,
    /// Segments of no bytes.
    NoMss,
    /// Nothing to send.
    NoPayload,
}

/// Cuts `frame` into segments with `mss` bytes of payload, the last with what is left.
///
/// The IP length in the frame is not looked at: the payload ends where the frame does. In each segment lengths and
/// checksums are right, sequence numbers follow each other, and IPv4 identifications count up by one (of 16 bits: a
/// caller that counts in 15 bits, as NDIS 6 may, starts below 0x8000 - number of segments). FIN and PSH are on the
/// last only, CWR on the first only; all other fields and options are as in the frame.
pub fn segments(frame: &[u8], mss: usize) -> Result<Vec<Vec<u8>>, Uncut> {
    if mss == 0 {
        return Err(Uncut::NoMss);
    }
    let mut whole = frame.to_vec();
    let (_, start) = packet::ethernet(&whole).ok_or(Uncut::NotTcp)?;
    let version = *whole.get(start).ok_or(Uncut::NotTcp)? >> 4;
    // The length fields may hold anything: headers are found with ones that are right enough.
    let place = if version == 4 { start + 2 } else { start + 4 };
    if whole.len() < place + 2 {
        return Err(Uncut::NotTcp);
    }
    put16(&mut whole, place, 0xFFFF);
    let found = packet::ip(&whole)
        .filter(|found| !found.fragment && found.protocol == packet::TCP)
        .ok_or(Uncut::NotTcp)?;
    let tcp = found.transport(&whole).ok_or(Uncut::NotTcp)?;
    let payload = &frame[tcp.payload..];
    if payload.is_empty() {
        return Err(Uncut::NoPayload);
    }
    let sequence = be32(frame, tcp.start + 4).ok_or(Uncut::NotTcp)?;
    let last = (payload.len() - 1) / mss;
    let mut all = Vec::with_capacity(last + 1);
    for (n, data) in payload.chunks(mss).enumerate() {
        let mut out = [&frame[..tcp.payload], data].concat();
        let done = u32::try_from(n * mss).unwrap_or(0);
        put32(&mut out, tcp.start + 4, sequence.wrapping_add(done));
        let flags = &mut out[tcp.start + 13];
        if n != 0 {
            *flags &= !CWR;
        }
        if n != last {
            *flags &= !(FIN | PSH);
        }
        let length = out.len() - found.start;
        match found.version {
            Version::V4 => {
                put16(&mut out, found.start + 2, short(length));
                let id = be16(frame, found.start + 4).unwrap_or(0);
                let step = u16::try_from(n).unwrap_or(0);
                put16(&mut out, found.start + 4, id.wrapping_add(step));
            }
            Version::V6 => put16(&mut out, found.start + 4, short(length - 40)),
        }
        let this = packet::ip(&out).ok_or(Uncut::NotTcp)?;
        let header = this.transport(&out).ok_or(Uncut::NotTcp)?;
        checksum::fill_header(&mut out, &this);
        checksum::fill_transport(&mut out, &this, &header);
        all.push(out);
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples;
    use smoltcp::wire;

    fn cut(frame: &[u8], mss: usize) -> Vec<Vec<u8>> {
        segments(frame, mss).expect("TCP")
    }

    #[test]
    fn segments_of_ipv4_by_smoltcp_s_eyes() {
        let payload = samples::noise(4000);
        let mut frame = samples::tcp4(&payload);
        // CWR, FIN, PSH and ACK; a length of 0 as NDIS hands it over.
        frame[47] = 0x99;
        put16(&mut frame, 16, 0);
        let parts = cut(&frame, 1460);
        assert_eq!(
            parts.iter().map(Vec::len).collect::<Vec<_>>(),
            [1514, 1514, 1134]
        );
        let mut joined: Vec<u8> = Vec::new();
        for (n, part) in parts.iter().enumerate() {
            let ip = wire::Ipv4Packet::new_checked(&part[14..]).expect("IPv4");
            assert!(ip.verify_checksum());
            assert_eq!(ip.ident(), 0x1234 + u16::try_from(n).unwrap());
            let tcp = wire::TcpPacket::new_checked(ip.payload()).expect("TCP");
            assert!(tcp.verify_checksum(&ip.src_addr().into(), &ip.dst_addr().into()));
            assert_eq!(
                tcp.seq_number().0,
                0x1000_0000 + i32::try_from(n * 1460).unwrap()
            );
            assert_eq!((tcp.fin(), tcp.psh()), (n == 2, n == 2));
            assert_eq!((tcp.cwr(), tcp.ack()), (n == 0, true));
            joined.extend(tcp.payload());
        }
        assert_eq!(joined, payload);
    }

    #[test]
    fn segments_of_ipv6_keep_options_and_wrap_sequence_numbers() {
        let payload = samples::noise(1000);
        let parts = cut(&samples::tcp6(&payload), 400);
        assert_eq!(parts.len(), 3);
        for (n, part) in parts.iter().enumerate() {
            let ip = wire::Ipv6Packet::new_checked(&part[14..]).expect("IPv6");
            let tcp = wire::TcpPacket::new_checked(ip.payload()).expect("TCP");
            assert!(tcp.verify_checksum(&ip.src_addr().into(), &ip.dst_addr().into()));
            let first = 0xFFFF_FF00_u32.wrapping_add(u32::try_from(n * 400).unwrap());
            assert_eq!(tcp.seq_number().0.cast_unsigned(), first);
            assert_eq!(tcp.options(), &[1, 1, 8, 10, 0, 0, 0, 1, 0, 0, 0, 2]);
        }
    }

    #[test]
    fn a_frame_of_one_segment_stays_itself() {
        let frame = samples::tcp4(b"short");
        assert_eq!(cut(&frame, 1460).concat(), frame);
        let tagged = samples::tagged(&frame, 5);
        assert_eq!(cut(&tagged, 1460).concat(), tagged);
    }

    #[test]
    fn what_is_no_large_send_is_refused() {
        assert_eq!(segments(&samples::tcp4(b"x"), 0), Err(Uncut::NoMss));
        assert_eq!(segments(&samples::tcp4(b""), 100), Err(Uncut::NoPayload));
        assert_eq!(segments(&samples::udp4(b"x"), 100), Err(Uncut::NotTcp));
        assert_eq!(segments(&[0; 16], 100), Err(Uncut::NotTcp));
        let mut fragment = samples::tcp4(b"x");
        fragment[20] = 0x20;
        assert_eq!(segments(&fragment, 100), Err(Uncut::NotTcp));
    }
}
