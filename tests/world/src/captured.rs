//! Reads captures: written from the format's description, and not with the crate that [`Capture`](crate::Capture) writes
//! them with.

/// A little-endian number of `count` bytes at `at`.
fn number(bytes: &[u8], at: usize, count: usize) -> u64 {
    let part = &bytes[at..at + count];
    part.iter()
        .rev()
        .fold(0, |value, byte| value << 8 | u64::from(*byte))
}

/// One captured frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// When it passed, in nanoseconds.
    pub nanoseconds: u64,
    /// From the guest.
    pub outbound: bool,
    /// From the Ethernet header on, without checksum.
    pub bytes: Vec<u8>,
}

/// A length of four bytes.
fn size(bytes: &[u8], at: usize) -> usize {
    usize::try_from(number(bytes, at, 4)).expect("four bytes")
}

/// Reads a file of one section with one Ethernet interface (draft-ietf-opsawg-pcapng).
///
/// # Panics
/// When it is none, or has something else in it.
#[must_use]
pub fn parse(file: &[u8]) -> Vec<Frame> {
    let (mut at, mut frames, mut interfaces) = (0, Vec::new(), 0);
    while at < file.len() {
        let (kind, length) = (number(file, at, 4), size(file, at + 4));
        assert!(
            length.is_multiple_of(4) && length >= 12,
            "block length {length}"
        );
        assert_eq!(size(file, at + length - 4), length, "both lengths");
        let body = &file[at + 8..at + length - 4];
        match kind {
            0x0A0D_0D0A => {
                assert_eq!(at, 0, "one section");
                assert_eq!(number(body, 0, 4), 0x1A2B_3C4D, "byte order");
                assert_eq!((number(body, 4, 2), number(body, 6, 2)), (1, 0), "version");
            }
            1 => {
                assert_eq!(number(body, 0, 2), 1, "LINKTYPE_ETHERNET");
                interfaces += 1;
            }
            6 => frames.push(packet(body)),
            other => panic!("block {other:#x}"),
        }
        at += length;
    }
    assert_eq!(interfaces, 1);
    frames
}

/// An enhanced packet block.
fn packet(body: &[u8]) -> Frame {
    assert_eq!(number(body, 0, 4), 0, "the only interface");
    let time = number(body, 4, 4) << 32 | number(body, 8, 4);
    let (captured, original) = (size(body, 12), size(body, 16));
    assert_eq!(captured, original, "whole frames");
    let options = &body[20 + captured.next_multiple_of(4)..];
    assert_eq!(
        (number(options, 0, 2), number(options, 2, 2)),
        (2, 4),
        "epb_flags"
    );
    Frame {
        nanoseconds: time,
        outbound: number(options, 4, 4) & 3 == 2,
        bytes: body[20..20 + captured].to_vec(),
    }
}
