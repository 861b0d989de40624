//! Makes a plain TCP/IP stack use a card's offloads, as Windows' stack does.
//!
//! The stack above knows neither: it makes whole frames with right checksums, and checks those of
//! the frames it gets. [`outgoing`] joins consecutive full segments of one connection to a large
//! send and blanks the checksums; [`incoming`] makes a received unit right again, once the card has
//! said that its data is.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

use alloc::collections::VecDeque;
use alloc::vec::Vec;

/// Bits of the checksum slot of a frame to send.
const IS_V4: u64 = 1;
const IS_V6: u64 = 1 << 1;
const TCP: u64 = 1 << 2;
const IP_HEADER: u64 = 1 << 4;
/// Bits of the checksum slot of a received frame.
const TCP_GOOD: u64 = 1 << 3;
const TCP_STALE: u64 = 1 << 7;
/// Type of a large send: version 2.
const LARGE_V2: u64 = 1 << 30;
const LARGE_V6: u64 = 1 << 31;
/// Offset of the IP header.
const IP: usize = 14;
/// Most bytes of a joined frame.
const LONGEST: usize = 62_000;
const ACK: u8 = 0x10;
const PSH: u8 = 0x08;

/// Which offloads to use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Use {
    /// Checksums of TCP frames are left to the card.
    pub checksums: bool,
    /// Segments are joined; needs `checksums`.
    pub large_sends: bool,
}

/// A frame to send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outgoing {
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// Bytes of all headers, which belong in one MDL; 0 when it does not matter.
    pub header: usize,
    /// Value of slot `TcpIpChecksumNetBufferListInfo`.
    pub checksum: u64,
    /// Value of slot `TcpLargeSendNetBufferListInfo`.
    pub large: u64,
    /// Segments in it.
    pub segments: usize,
}

/// A TCP frame's places.
#[derive(Clone, Copy, Debug)]
struct Tcp {
    six: bool,
    transport: usize,
    payload: usize,
}

fn tcp(frame: &[u8]) -> Option<Tcp> {
    let (six, transport, protocol) = match frame.get(12..14)? {
        [0x08, 0] => (
            false,
            IP + usize::from(frame.get(IP)? & 15) * 4,
            frame.get(IP + 9)?,
        ),
        [0x86, 0xDD] => (true, IP + 40, frame.get(IP + 6)?),
        _ => return None,
    };
    let payload = transport + usize::from(frame.get(transport + 12)? >> 4) * 4;
    (*protocol == 6 && payload <= frame.len()).then_some(Tcp {
        six,
        transport,
        payload,
    })
}

fn sequence(frame: &[u8], at: Tcp) -> u32 {
    let bytes = &frame[at.transport + 4..at.transport + 8];
    bytes
        .iter()
        .fold(0, |sum, byte| sum << 8 | u32::from(*byte))
}

fn sum(parts: &[&[u8]]) -> u16 {
    let mut total = 0_u64;
    let mut odd = false;
    for byte in parts.iter().copied().flatten() {
        total += u64::from(*byte) << if odd { 0 } else { 8 };
        odd = !odd;
    }
    while total > 0xFFFF {
        total = (total >> 16) + (total & 0xFFFF);
    }
    u16::try_from(total).unwrap_or(0)
}

fn pseudo(frame: &[u8], at: Tcp, length: usize) -> u16 {
    let addresses = if at.six {
        IP + 8..IP + 40
    } else {
        IP + 12..IP + 20
    };
    let length = u32::try_from(length).unwrap_or(0).to_be_bytes();
    sum(&[&frame[addresses], &[0, 6], &length])
}

fn put(frame: &mut [u8], at: usize, value: u16) {
    frame[at..at + 2].copy_from_slice(&value.to_be_bytes());
}

/// Whether both are TCP frames of one connection, the same way.
fn same_flow(first: &[u8], at: Tcp, other: &[u8]) -> bool {
    let addresses = if at.six {
        IP + 8..IP + 40
    } else {
        IP + 12..IP + 20
    };
    let ports = at.transport..at.transport + 4;
    tcp(other).is_some_and(|found| found.six == at.six && found.transport == at.transport)
        && first.get(12..14) == other.get(12..14)
        && first.get(addresses.clone()) == other.get(addresses)
        && first.get(ports.clone()) == other.get(ports)
}

/// Whether `next` goes on where `first`, of `joined` payload bytes by now, ends.
fn continues(first: &[u8], at: Tcp, joined: usize, next: &[u8]) -> bool {
    let Some(other) = tcp(next) else { return false };
    let same = |range: core::ops::Range<usize>| first.get(range.clone()) == next.get(range);
    let addresses = if at.six {
        IP + 8..IP + 40
    } else {
        IP + 12..IP + 20
    };
    let t = at.transport;
    other.transport == t
        && other.payload == at.payload
        && same(0..14)
        && same(addresses)
        && same(t..t + 4)
        && same(t + 8..t + 13)
        && same(t + 14..t + 16)
        && same(t + 20..at.payload)
        && sequence(next, other)
            == sequence(first, at).wrapping_add(u32::try_from(joined).unwrap_or(0))
}

/// The next frame to send of those that the stack has made.
pub fn outgoing(made: &mut VecDeque<Vec<u8>>, wanted: Use) -> Option<Outgoing> {
    let mut bytes = made.pop_front()?;
    let plain = Outgoing {
        bytes: Vec::new(),
        header: 0,
        checksum: 0,
        large: 0,
        segments: 1,
    };
    let Some(at) = tcp(&bytes).filter(|_| wanted.checksums) else {
        return Some(Outgoing { bytes, ..plain });
    };
    let mss = bytes.len() - at.payload;
    let mut segments = 1;
    let plain_flags = |frame: &[u8]| frame[at.transport + 13] & !PSH == ACK;
    // Only the last may be shorter or pushed: segments of any other kind end the unit.
    let mut open = wanted.large_sends && mss > 0 && bytes[at.transport + 13] == ACK;
    // Frames of other connections may be between them: their order does not matter.
    while open
        && let Some(place) = made.iter().position(|next| same_flow(&bytes, at, next))
        && let Some(next) = made.get(place)
        && continues(&bytes, at, bytes.len() - at.payload, next)
        && plain_flags(next)
        && next.len() - at.payload <= mss
        && next.len() > at.payload
        && bytes.len() + mss <= LONGEST
    {
        let next = made.remove(place)?;
        open = next.len() - at.payload == mss && next[at.transport + 13] == ACK;
        bytes[at.transport + 13] |= next[at.transport + 13];
        bytes.extend_from_slice(&next[at.payload..]);
        segments += 1;
    }
    let version = if at.six { IS_V6 } else { IS_V4 | IP_HEADER };
    let field = at.transport + 16;
    if !at.six {
        put(&mut bytes, IP + 10, 0);
    }
    let place = at.transport as u64;
    if segments == 1 {
        let own = bytes.len() - at.transport;
        let value = pseudo(&bytes, at, own);
        put(&mut bytes, field, value);
        let checksum = version | TCP | place << 16;
        return Some(Outgoing {
            bytes,
            header: at.payload,
            checksum,
            ..plain
        });
    }
    put(&mut bytes, if at.six { IP + 4 } else { IP + 2 }, 0);
    let value = pseudo(&bytes, at, 0);
    put(&mut bytes, field, value);
    let six = if at.six { LARGE_V6 } else { 0 };
    Some(Outgoing {
        bytes,
        header: at.payload,
        checksum: 0,
        large: mss as u64 | place << 20 | LARGE_V2 | six,
        segments,
    })
}

/// A frame to send as a backend hands it on: its IP header right, and the transport checksum blank. The segment size of
/// a large send, and whether it is IPv6.
pub fn packet(out: &mut Outgoing) -> Option<(u16, bool)> {
    if out.large == 0 && out.checksum == 0 {
        return None;
    }
    let at = tcp(&out.bytes)?;
    let frame = &mut out.bytes;
    let whole = u16::try_from(frame.len() - if at.six { IP + 40 } else { IP }).ok()?;
    put(frame, if at.six { IP + 4 } else { IP + 2 }, whole);
    if !at.six {
        put(frame, IP + 10, 0);
        let header = !sum(&[&frame[IP..at.transport]]);
        put(frame, IP + 10, header);
    }
    let mss = u16::try_from(out.large & 0xF_FFFF).ok()?;
    if mss == 0 {
        return None;
    }
    let value = pseudo(frame, at, frame.len() - at.transport);
    put(frame, at.transport + 16, value);
    Some((mss, at.six))
}

/// Makes a received TCP frame whose checksum field is stale, as `checksum` (slot
/// `TcpIpChecksumNetBufferListInfo`) says, one that a plain stack takes. False when the slot says that
/// the data was not checked, and so the field ought to be right.
pub fn incoming(bytes: &mut [u8], checksum: u64) -> bool {
    if checksum & TCP_STALE == 0 || checksum & TCP_GOOD == 0 {
        return false;
    }
    let Some(at) = tcp(bytes) else { return false };
    if !at.six {
        put(bytes, IP + 10, 0);
        let header = !sum(&[&bytes[IP..at.transport]]);
        put(bytes, IP + 10, header);
    }
    let field = at.transport + 16;
    put(bytes, field, 0);
    let own = bytes.len() - at.transport;
    let pseudo = pseudo(bytes, at, own).to_be_bytes();
    let value = !sum(&[&pseudo, &bytes[at.transport..]]);
    put(bytes, field, value);
    true
}

#[cfg(test)]
mod tests {
    extern crate std;

    use super::*;
    use std::vec;

    fn segment(sequence: u32, flags: u8, payload: usize) -> Vec<u8> {
        let mut f = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0, 0x45, 0];
        f.extend(u16::try_from(40 + payload).unwrap().to_be_bytes());
        f.extend([
            0, 1, 0, 0, 64, 6, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2, 0, 80, 1, 0,
        ]);
        f.extend(sequence.to_be_bytes());
        f.extend([0, 0, 0, 7, 0x50, flags, 1, 0, 0, 0, 0, 0]);
        f.extend((0..payload).map(|n| (n * 3).to_le_bytes()[0]));
        f
    }

    const ALL: Use = Use {
        checksums: true,
        large_sends: true,
    };

    fn lengths(frames: &[Vec<u8>]) -> Vec<(usize, usize)> {
        let mut made: VecDeque<Vec<u8>> = frames.iter().cloned().collect();
        let all = core::iter::from_fn(|| outgoing(&mut made, ALL));
        all.map(|out| (out.segments, out.bytes.len() - 54))
            .collect()
    }

    #[test]
    fn consecutive_full_segments_are_one_large_send() {
        let frames = [
            segment(1, ACK, 100),
            segment(101, ACK, 100),
            segment(201, ACK | PSH, 30),
        ];
        let mut made: VecDeque<Vec<u8>> = frames.iter().cloned().collect();
        let out = outgoing(&mut made, ALL).unwrap();
        assert_eq!(
            (out.segments, out.bytes.len(), out.header),
            (3, 54 + 230, 54)
        );
        assert_eq!(out.large, 0x64 | 34 << 20 | LARGE_V2);
        assert_eq!(
            (out.bytes[16], out.bytes[17], out.bytes[47]),
            (0, 0, ACK | PSH)
        );
        assert_eq!(out.bytes[54..154], frames[0][54..]);
        assert_eq!(out.bytes[254..], frames[2][54..]);
    }

    #[test]
    fn a_gap_a_flag_and_a_short_segment_end_a_unit() {
        let s = segment;
        assert_eq!(
            lengths(&[s(1, ACK, 100), s(102, ACK, 100)]),
            [(1, 100), (1, 100)]
        );
        assert_eq!(
            lengths(&[s(1, ACK, 100), s(101, ACK | 1, 100)]),
            [(1, 100), (1, 100)]
        );
        assert_eq!(
            lengths(&[s(1, ACK, 100), s(101, ACK, 50), s(151, ACK, 50)]),
            [(2, 150), (1, 50)]
        );
        assert_eq!(
            lengths(&[s(1, ACK | PSH, 100), s(101, ACK, 100)]),
            [(1, 100), (1, 100)]
        );
        assert_eq!(lengths(&[s(1, ACK, 0), s(1, ACK, 0)]), [(1, 0), (1, 0)]);
    }

    #[test]
    fn frames_of_others_between_segments_do_not_end_a_unit() {
        let mut other = segment(900, ACK, 0);
        other[34] = 9;
        let (first, last) = (segment(1, ACK, 100), segment(101, ACK, 100));
        let mut made = VecDeque::from([first, other.clone(), last]);
        assert_eq!(outgoing(&mut made, ALL).unwrap().segments, 2);
        assert_eq!(made, [other]);
    }

    #[test]
    fn a_packet_of_segments_has_right_headers() {
        let mut made = VecDeque::from([segment(1, ACK, 100), segment(101, ACK, 100)]);
        let mut out = outgoing(&mut made, ALL).unwrap();
        assert_eq!(packet(&mut out), Some((100, false)));
        assert_eq!(out.bytes[16..18], [0, 240]);
        assert_eq!(sum(&[&out.bytes[14..34]]), 0xFFFF);
        assert!(packet(&mut Outgoing { large: 0, ..out }).is_none());
    }

    #[test]
    fn nothing_is_changed_where_nothing_is_wanted() {
        let frame = segment(1, ACK, 10);
        let mut made = VecDeque::from([frame.clone()]);
        let out = outgoing(&mut made, Use::default()).unwrap();
        assert_eq!((out.bytes, out.checksum, out.large), (frame, 0, 0));
    }

    #[test]
    fn a_stale_unit_is_made_right_only_when_its_data_is_good() {
        let mut frame = segment(1, ACK, 301);
        assert!(!incoming(&mut frame, TCP_STALE));
        assert!(incoming(&mut frame, TCP_STALE | TCP_GOOD));
        assert_eq!(sum(&[&frame[14..34]]), 0xFFFF);
        let at = tcp(&frame).unwrap();
        let pseudo = pseudo(&frame, at, frame.len() - 34).to_be_bytes();
        assert_eq!(sum(&[&pseudo, &frame[34..]]), 0xFFFF);
    }
}
