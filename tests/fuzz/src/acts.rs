//! Reads what happens next from the fuzzer's bytes.

/// The bytes that are left. Past their end everything is zero.
pub(crate) struct Acts<'b>(&'b [u8]);

impl<'b> Acts<'b> {
    pub(crate) fn new(bytes: &'b [u8]) -> Self {
        Self(bytes)
    }

    /// The next act, unless all are done.
    pub(crate) fn next(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    fn array<const N: usize>(&mut self) -> [u8; N] {
        core::array::from_fn(|_| self.byte())
    }

    pub(crate) fn byte(&mut self) -> u8 {
        self.next().unwrap_or(0)
    }

    pub(crate) fn half(&mut self) -> u16 {
        u16::from_le_bytes(self.array())
    }

    pub(crate) fn word(&mut self) -> u32 {
        u32::from_le_bytes(self.array())
    }

    /// A place in something of `length` places; 0 when it has none.
    pub(crate) fn place(&mut self, length: usize) -> usize {
        usize::from(self.half()).checked_rem(length).unwrap_or(0)
    }

    /// At most `most` of the bytes that are left.
    pub(crate) fn take(&mut self, most: usize) -> &'b [u8] {
        let (taken, rest) = self.0.split_at(most.min(self.0.len()));
        self.0 = rest;
        taken
    }

    /// All that is left.
    pub(crate) fn rest(self) -> &'b [u8] {
        self.0
    }
}
