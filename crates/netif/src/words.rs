//! Halves of 32-bit words.

/// The less significant half: the field at the lower address.
pub(crate) fn low(word: u32) -> u16 {
    let [first, second, ..] = word.to_le_bytes();
    u16::from_le_bytes([first, second])
}

/// The more significant half: the field two bytes further on.
pub(crate) fn high(word: u32) -> u16 {
    let [.., third, fourth] = word.to_le_bytes();
    u16::from_le_bytes([third, fourth])
}

/// Two neighbouring 16-bit fields, the one at the lower address first.
pub(crate) fn join(low: u16, high: u16) -> u32 {
    u32::from(low) | (u32::from(high) << 16)
}
