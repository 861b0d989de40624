//! The indirection table: from hash to queue or CPU.

/// Fewest entries.
pub const TABLE_MIN: usize = 2;
/// Most entries, of NDIS (6.20 and later) and of Linux netback.
pub const TABLE_MAX: usize = 128;

/// Why a list of entries is no indirection table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TableError {
    /// Fewer than [`TABLE_MIN`] or more than [`TABLE_MAX`] entries.
    Length,
    /// The number of entries is no power of two.
    NotPowerOfTwo,
}

/// A table of 2, 4, ... 128 entries, indexed by the low bits of a hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IndirectionTable<T> {
    /// The given entries, repeated to fill: the low 7 bits of a hash then find the same entry as the low bits the
    /// given length calls for.
    entries: [T; TABLE_MAX],
    len: usize,
}

impl<T: Copy> IndirectionTable<T> {
    /// Makes a table of a list of entries.
    ///
    /// # Errors
    /// See [`TableError`].
    pub fn new(entries: &[T]) -> Result<Self, TableError> {
        let len = entries.len();
        let (Some(&first), TABLE_MIN..=TABLE_MAX) = (entries.first(), len) else {
            return Err(TableError::Length);
        };
        if !len.is_power_of_two() {
            return Err(TableError::NotPowerOfTwo);
        }
        let mut filled = [first; TABLE_MAX];
        for (slot, &entry) in filled.iter_mut().zip(entries.iter().cycle()) {
            *slot = entry;
        }
        Ok(Self {
            entries: filled,
            len,
        })
    }

    /// The entry for a hash.
    #[inline]
    #[must_use]
    pub fn lookup(&self, hash: u32) -> T {
        let [low, ..] = hash.to_le_bytes();
        let [first, ..] = self.entries;
        // The index is below 128, so there is always an entry.
        self.entries
            .get(usize::from(low & 0x7F))
            .copied()
            .unwrap_or(first)
    }

    /// The entries, as given.
    #[must_use]
    pub fn entries(&self) -> &[T] {
        self.entries.get(..self.len).unwrap_or(&self.entries)
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use std::vec::Vec;

    #[test]
    fn lookup_uses_the_low_bits() {
        for len in [2_usize, 4, 8, 16, 32, 64, 128] {
            let list: Vec<usize> = (0..len).collect();
            let table = IndirectionTable::new(&list).unwrap();
            assert_eq!(table.entries(), list);
            for hash in [0, 1, 0x7F, 0x80, 0x1234_5678, u32::MAX] {
                assert_eq!(
                    table.lookup(hash),
                    hash as usize & (len - 1),
                    "len {len} hash {hash:#x}"
                );
            }
        }
    }

    #[test]
    fn other_lengths_are_refused() {
        for len in [0, 1, 129, 256] {
            assert_eq!(
                IndirectionTable::new(&std::vec![0_u8; len]),
                Err(TableError::Length),
                "len {len}"
            );
        }
        for len in [3, 6, 100, 127] {
            assert_eq!(
                IndirectionTable::new(&std::vec![0_u8; len]),
                Err(TableError::NotPowerOfTwo),
                "len {len}"
            );
        }
    }
}
