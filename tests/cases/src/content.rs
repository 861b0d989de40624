//! What transfers carry.

/// Bytes that depend on a seed and on their position, and look like noise.
#[derive(Clone, Debug)]
pub(crate) struct Content(u64);

impl Content {
    pub(crate) const fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    pub(crate) fn fill(&mut self, out: &mut [u8]) {
        for word in out.chunks_mut(8) {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            let bytes = self.0.to_le_bytes();
            let len = word.len();
            word.copy_from_slice(&bytes[..len]);
        }
    }
}
