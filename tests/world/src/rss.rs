//! What the system sets when RSS is on, and what hashes are then right: written from NDIS's documents, not from the
//! driver.

use core::mem::offset_of;

use ndis_sys::{
    NDIS_HASH_IPV4, NDIS_HASH_IPV6, NDIS_HASH_IPV6_EX, NDIS_HASH_TCP_IPV4, NDIS_HASH_TCP_IPV6,
    NDIS_HASH_TCP_IPV6_EX, NDIS_HASH_UDP_IPV4, NDIS_HASH_UDP_IPV6, NDIS_HASH_UDP_IPV6_EX,
    NDIS_OBJECT_TYPE_RSS_PARAMETERS, NDIS_RECEIVE_SCALE_PARAMETERS as Parameters,
};

/// The secret key of Microsoft's RSS verification suite.
pub const KEY: [u8; 40] = [
    0x6d, 0x5a, 0x56, 0xda, 0x25, 0x5b, 0x0e, 0xc2, 0x41, 0x67, 0x25, 0x3d, 0x43, 0xa3, 0x8f, 0xb0,
    0xd0, 0xca, 0x2b, 0xcb, 0xae, 0x7b, 0x30, 0xb4, 0x77, 0xcb, 0x2d, 0xa3, 0x80, 0x30, 0xf2, 0x0c,
    0x6a, 0x42, 0xb7, 0x3b, 0xbe, 0xac, 0x01, 0xfa,
];
/// Entries of the longest table, and bytes of each (`PROCESSOR_NUMBER`).
const ENTRIES: usize = 128;
const ENTRY: usize = 4;
/// Bytes of the fixed part, revision 3.
const HEAD: usize = 44;

/// All nine hash types.
pub const ALL_TYPES: u32 = 0x1_FF00;
/// The four that a backend knows.
pub const NETIF_TYPES: u32 =
    NDIS_HASH_IPV4 | NDIS_HASH_TCP_IPV4 | NDIS_HASH_IPV6 | NDIS_HASH_TCP_IPV6;

/// A processor by group and number.
pub type Number = (u16, u8);

/// `NDIS_RECEIVE_SCALE_PARAMETERS`, revision 3.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    /// `NDIS_RSS_PARAM_FLAG_*`.
    pub flags: u16,
    /// Hash types, without the function.
    pub types: u32,
    /// The secret key.
    pub key: [u8; 40],
    /// The table.
    pub table: Vec<Number>,
    /// Processor of frames without a hash.
    pub default: Number,
}

fn put(out: &mut [u8], at: usize, value: &[u8]) {
    out[at..at + value.len()].copy_from_slice(value);
}

impl Setting {
    /// All types, Microsoft's key, and a table of 128 entries dealt out to `processors`.
    ///
    /// # Panics
    /// Without processors.
    #[must_use]
    pub fn new(processors: &[Number]) -> Self {
        Self {
            flags: 0,
            types: NETIF_TYPES,
            key: KEY,
            table: processors.iter().copied().cycle().take(ENTRIES).collect(),
            default: processors[0],
        }
    }

    /// The structure with table and key behind it.
    ///
    /// # Panics
    /// With a table that no structure can hold.
    #[must_use]
    pub fn bytes(&self) -> Vec<u8> {
        let table = HEAD;
        let key = table + self.table.len() * ENTRY;
        let mut out = vec![0; key + self.key.len()];
        let word = |value: usize| u32::try_from(value).expect("a small number").to_le_bytes();
        let short = |value: usize| u16::try_from(value).expect("a small number").to_le_bytes();
        put(&mut out, 0, &[NDIS_OBJECT_TYPE_RSS_PARAMETERS, 3]);
        put(&mut out, 2, &short(HEAD));
        put(
            &mut out,
            offset_of!(Parameters, Flags),
            &self.flags.to_le_bytes(),
        );
        let information = self.types | ndis_sys::NdisHashFunctionToeplitz;
        put(
            &mut out,
            offset_of!(Parameters, HashInformation),
            &information.to_le_bytes(),
        );
        put(
            &mut out,
            offset_of!(Parameters, IndirectionTableSize),
            &short(self.table.len() * ENTRY),
        );
        put(
            &mut out,
            offset_of!(Parameters, IndirectionTableOffset),
            &word(table),
        );
        put(
            &mut out,
            offset_of!(Parameters, HashSecretKeySize),
            &short(self.key.len()),
        );
        put(
            &mut out,
            offset_of!(Parameters, HashSecretKeyOffset),
            &word(key),
        );
        let number = |(group, number): Number| {
            let [low, high] = group.to_le_bytes();
            [low, high, number, 0]
        };
        put(
            &mut out,
            offset_of!(Parameters, DefaultProcessorNumber),
            &number(self.default),
        );
        for (index, processor) in self.table.iter().enumerate() {
            put(&mut out, table + index * ENTRY, &number(*processor));
        }
        put(&mut out, key, &self.key);
        out
    }

    /// The processor of a hash.
    #[must_use]
    pub fn processor(&self, hash: u32) -> Number {
        self.table[hash as usize & (self.table.len() - 1)]
    }
}

/// `NDIS_RECEIVE_SCALE_PARAMETERS` that deal 128 table entries out to `processors` of group 0, with the Toeplitz
/// function over TCP and IP.
#[must_use]
pub fn parameters(processors: &[u8]) -> Vec<u8> {
    let numbers: Vec<Number> = processors.iter().map(|number| (0, *number)).collect();
    Setting::new(&numbers).bytes()
}

/// What of a frame may be hashed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hashable {
    /// Source and destination address, 4 or 16 bytes each.
    pub addresses: Vec<u8>,
    /// The same with those of mobility headers in place of the plain ones, if there are any.
    pub mobile: Option<Vec<u8>>,
    /// TCP (6) or UDP (17), and both ports; none in fragments and other protocols.
    pub ports: Option<(u8, [u8; 4])>,
}

impl Hashable {
    /// Type and input of the frame's hash when these types are wanted.
    #[must_use]
    pub fn best(&self, wanted: u32) -> Option<(u32, Vec<u8>)> {
        let v4 = self.addresses.len() == 8;
        if let Some((protocol, ports)) = self.ports {
            let (plain, extended) = match (v4, protocol) {
                (true, 6) => (NDIS_HASH_TCP_IPV4, 0),
                (true, _) => (NDIS_HASH_UDP_IPV4, 0),
                (false, 6) => (NDIS_HASH_TCP_IPV6, NDIS_HASH_TCP_IPV6_EX),
                (false, _) => (NDIS_HASH_UDP_IPV6, NDIS_HASH_UDP_IPV6_EX),
            };
            let found = self.choose(wanted, plain, extended);
            if let Some((kind, mut input)) = found {
                input.extend(ports);
                return Some((kind, input));
            }
        }
        if self.addresses.is_empty() {
            return None;
        }
        if v4 {
            self.choose(wanted, NDIS_HASH_IPV4, 0)
        } else {
            self.choose(wanted, NDIS_HASH_IPV6, NDIS_HASH_IPV6_EX)
        }
    }

    fn choose(&self, wanted: u32, plain: u32, extended: u32) -> Option<(u32, Vec<u8>)> {
        if wanted & extended != 0
            && let Some(mobile) = &self.mobile
        {
            return Some((extended, mobile.clone()));
        }
        if wanted & plain != 0 {
            return Some((plain, self.addresses.clone()));
        }
        (wanted & extended != 0).then(|| (extended, self.addresses.clone()))
    }
}
