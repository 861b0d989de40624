//! The bytes the peer sends: a fixed sequence without short period, so that a lost, doubled or moved
//! page changes the hash.

/// The sequence. `offset` is the position of the next byte.
#[derive(Debug, Clone, Copy, Default)]
pub struct Pattern {
    offset: u64,
}

impl Pattern {
    /// Fills `buffer` with the next bytes. `buffer.len()` is a multiple of 8 except in the last call.
    pub fn fill(&mut self, buffer: &mut [u8]) {
        for chunk in buffer.chunks_mut(8) {
            let word = mix(self.offset).to_le_bytes();
            chunk.copy_from_slice(&word[..chunk.len()]);
            self.offset += 8;
        }
    }
}

/// The finalizer of `SplitMix64`: every bit of the position changes about half of the result's.
fn mix(position: u64) -> u64 {
    let mut word = position.wrapping_add(0x9e37_79b9_7f4a_7c15);
    word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    word ^ (word >> 31)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::Pattern;

    #[test]
    fn chunks_do_not_change_the_sequence() {
        let mut whole = [0; 4096];
        Pattern::default().fill(&mut whole);
        let mut parts = [0; 4096];
        let mut pattern = Pattern::default();
        for part in parts.chunks_mut(24) {
            pattern.fill(part);
        }
        assert_eq!(whole, parts);
    }

    #[test]
    fn no_word_repeats_in_a_mebibyte() {
        let mut bytes = vec![0; 1 << 20];
        Pattern::default().fill(&mut bytes);
        let words: HashSet<&[u8]> = bytes.chunks(8).collect();
        assert_eq!(words.len(), bytes.len() / 8);
    }
}
