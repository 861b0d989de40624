//! Big-endian fields in frames.

/// Two bytes at `at`, if the frame has them.
pub(crate) fn be16(frame: &[u8], at: usize) -> Option<u16> {
    let pair = frame.get(at..at.checked_add(2)?)?;
    Some(u16::from_be_bytes([pair[0], pair[1]]))
}

/// Four bytes at `at`, if the frame has them.
pub(crate) fn be32(frame: &[u8], at: usize) -> Option<u32> {
    let word = frame.get(at..at.checked_add(4)?)?;
    Some(u32::from_be_bytes([word[0], word[1], word[2], word[3]]))
}

/// Writes two bytes at `at`, which the frame has.
pub(crate) fn put16(frame: &mut [u8], at: usize, value: u16) {
    frame[at..at + 2].copy_from_slice(&value.to_be_bytes());
}

/// Writes four bytes at `at`, which the frame has.
pub(crate) fn put32(frame: &mut [u8], at: usize, value: u32) {
    frame[at..at + 4].copy_from_slice(&value.to_be_bytes());
}

/// A length that fits a 16-bit field.
///
/// # Panics
/// When it does not: the caller has limited it.
pub(crate) fn short(len: usize) -> u16 {
    u16::try_from(len).expect("lengths in headers are limited to 65535")
}
