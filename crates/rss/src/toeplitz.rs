//! The Toeplitz hash, by tables of 4 input bits.
//!
//! Definition (NDIS "RSS hashing functions"): for each set bit of the input, leftmost first, the 32 key bits that
//! start at the bit's position are added to the result by exclusive or. That is linear, so the contribution of
//! a nibble at a given place depends on nothing else and is looked up. Nibbles, not bytes: the tables of one key take 4.5 KiB
//! (1.5 KiB of them for IPv4), which stays in the first-level cache beside the packet; byte tables take 36 KiB.

/// Bytes of a secret key.
pub const KEY_LEN: usize = 40;
/// Bytes of the longest input: two IPv6 addresses and two ports.
pub const INPUT_MAX: usize = 36;

/// Contributions of the high and the low nibble of one input byte.
#[derive(Debug, Clone, Copy)]
pub struct ByteTables {
    high: [u32; 16],
    low: [u32; 16],
}

impl ByteTables {
    /// Those of the key of zeros.
    pub const ZERO: Self = Self {
        high: [0; 16],
        low: [0; 16],
    };
}

/// A secret key, prepared for hashing. `S` holds [`INPUT_MAX`] tables: in place, or elsewhere where the stack is small.
#[derive(Clone)]
pub struct Toeplitz<S = [ByteTables; INPUT_MAX]> {
    tables: S,
}

impl<S> core::fmt::Debug for Toeplitz<S> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Toeplitz { .. }")
    }
}

impl Toeplitz {
    /// Prepares a key. A shorter key is padded with zeros by the caller, as netif and NDIS define it.
    #[must_use]
    pub fn new(key: &[u8; KEY_LEN]) -> Self {
        let mut toeplitz = Self::in_storage([ByteTables::ZERO; INPUT_MAX]);
        toeplitz.set_key(key);
        toeplitz
    }
}

impl<S: AsRef<[ByteTables]> + AsMut<[ByteTables]>> Toeplitz<S> {
    /// Uses [`INPUT_MAX`] tables of the caller's; fewer hash less of the input.
    pub const fn in_storage(tables: S) -> Self {
        Self { tables }
    }

    /// Prepares another key.
    pub fn set_key(&mut self, key: &[u8; KEY_LEN]) {
        // The 8 windows of an input byte lie in the 5 key bytes from its position on.
        let tables = self.tables.as_mut().iter_mut();
        for (table, bytes) in tables.take(INPUT_MAX).zip(key.windows(5)) {
            let bits = bytes
                .iter()
                .fold(0_u64, |bits, &byte| (bits << 8) | u64::from(byte));
            table.high = nibble_table(bits >> 4);
            table.low = nibble_table(bits);
        }
    }

    /// Hashes `input`: addresses and ports as on the wire. Bytes beyond [`INPUT_MAX`] do not count.
    #[inline]
    #[must_use]
    pub fn hash(&self, input: &[u8]) -> u32 {
        let mut hash = 0;
        for (table, &byte) in self.tables.as_ref().iter().zip(input) {
            hash ^= nibble(&table.high, byte >> 4) ^ nibble(&table.low, byte & 0xF);
        }
        hash
    }
}

/// The contributions of a nibble, whose four bits have as windows `bits` shifted right by 4, 3, 2 and 1.
fn nibble_table(bits: u64) -> [u32; 16] {
    let mut table = [0; 16];
    for (value, entry) in (0_u8..16).zip(&mut table) {
        for bit in 0..4_u8 {
            if value & (1 << bit) != 0 {
                // Bit 3 is the leftmost: its window starts 3 bits before that of bit 0.
                let window = bits >> bit.saturating_add(1);
                *entry ^= low_half(window);
            }
        }
    }
    table
}

/// The low 32 bits.
#[expect(
    clippy::cast_possible_truncation,
    reason = "the low half is what is wanted"
)]
const fn low_half(bits: u64) -> u32 {
    bits as u32
}

#[inline]
fn nibble(table: &[u32; 16], index: u8) -> u32 {
    // The index is below 16, so there is always an entry.
    table.get(usize::from(index)).copied().unwrap_or(0)
}
