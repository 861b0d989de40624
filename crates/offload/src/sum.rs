//! The Internet checksum (RFC 1071): one's complement sum of 16-bit words.

/// A sum under way. It may be fed in pieces of any length.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sum {
    /// Sum of the words as a little-endian machine reads them: addition in one's complement does
    /// not care for byte order.
    total: u64,
    /// An odd number of bytes was fed.
    odd: bool,
}

impl Sum {
    /// Adds the next bytes.
    pub fn add(&mut self, mut bytes: &[u8]) {
        let Some((first, rest)) = bytes.split_first() else {
            return;
        };
        if self.odd {
            self.total = self.total.wrapping_add(u64::from(*first) << 8);
            self.odd = false;
            bytes = rest;
        }
        let (words, rest) = bytes.as_chunks::<4>();
        for word in words {
            self.total = self
                .total
                .wrapping_add(u64::from(u32::from_le_bytes(*word)));
        }
        for (nth, byte) in rest.iter().enumerate() {
            let shift = if nth & 1 == 0 { 0 } else { 8 };
            self.total = self.total.wrapping_add(u64::from(*byte) << shift);
        }
        self.odd = rest.len() & 1 != 0;
    }

    /// Adds four bytes read as one little-endian word. Only after an even number of bytes: use a
    /// sum of its own and [`Sum::append`] elsewhere.
    pub fn add_word(&mut self, word: u32) {
        debug_assert!(!self.odd, "a word at an odd place");
        self.total = self.total.wrapping_add(word.into());
    }

    /// Adds the sum of the bytes that follow.
    pub fn append(&mut self, next: Self) {
        let folded = next.little_endian();
        let placed = if self.odd {
            folded.swap_bytes()
        } else {
            folded
        };
        self.total = self.total.wrapping_add(placed.into());
        self.odd ^= next.odd;
    }

    fn little_endian(self) -> u16 {
        let mut total = self.total;
        for _ in 0..3 {
            // At most 2^48 + 2^16, then 2^33, 2^17 and 2^16: nothing is lost.
            total = (total >> 16).wrapping_add(total & 0xFFFF);
        }
        total = (total >> 16).wrapping_add(total & 0xFFFF);
        #[expect(clippy::cast_possible_truncation, reason = "folded to 16 bits")]
        let folded = total as u16;
        folded
    }

    /// The sum, as a number.
    pub fn folded(self) -> u16 {
        self.little_endian().swap_bytes()
    }

    /// What a checksum field holds: the complement.
    pub fn checksum(self) -> u16 {
        !self.folded()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::vec::Vec;

    /// As RFC 1071 defines it, word by word.
    fn reference(bytes: &[u8]) -> u16 {
        let mut sum = 0_u64;
        for pair in bytes.chunks(2) {
            let low = pair.get(1).copied().unwrap_or(0);
            sum += u64::from(u16::from_be_bytes([pair[0], low]));
        }
        while sum > 0xFFFF {
            sum = (sum >> 16) + (sum & 0xFFFF);
        }
        sum as u16
    }

    #[test]
    fn the_example_of_the_rfc() {
        let mut sum = Sum::default();
        sum.add(&[0x00, 0x01, 0xF2, 0x03, 0xF4, 0xF5, 0xF6, 0xF7]);
        assert_eq!((sum.folded(), sum.checksum()), (0xDDF2, 0x220D));
    }

    #[test]
    fn all_ones_for_64_kib_fold_without_loss() {
        let bytes = std::vec![0xFF_u8; if cfg!(miri) { 2047 } else { 65_535 }];
        let mut sum = Sum::default();
        sum.add(&bytes);
        assert_eq!(sum.folded(), reference(&bytes));
    }

    proptest! {
        #![proptest_config(ProptestConfig {
            cases: if cfg!(miri) { 4 } else { 256 },
            failure_persistence: None,
            ..ProptestConfig::default()
        })]
        #[test]
        fn pieces_of_any_length_give_the_same_sum(
            bytes in proptest::collection::vec(any::<u8>(), 0..300),
            cuts in proptest::collection::vec(any::<prop::sample::Index>(), 0..6))
        {
            let mut at: Vec<usize> = cuts.iter().map(|c| c.index(bytes.len() + 1)).collect();
            at.extend([0, bytes.len()]);
            at.sort_unstable();
            let (mut fed, mut appended) = (Sum::default(), Sum::default());
            for pair in at.windows(2) {
                let piece = &bytes[pair[0]..pair[1]];
                fed.add(piece);
                let mut own = Sum::default();
                own.add(piece);
                appended.append(own);
            }
            prop_assert_eq!(fed.folded() % 0xFFFF, reference(&bytes) % 0xFFFF);
            prop_assert_eq!(appended.folded() % 0xFFFF, reference(&bytes) % 0xFFFF);
        }
    }
}
