//! What the system sets when RSS is on, and what hashes are then right: written from NDIS's documents, not from the
//! driver.

use alloc::vec;
use alloc::vec::Vec;
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
const ENTRIES: u8 = 128;
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
            table: dealt(processors),
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

fn dealt<T: Copy>(processors: &[T]) -> Vec<T> {
    processors
        .iter()
        .copied()
        .cycle()
        .take(ENTRIES.into())
        .collect()
}

/// The table of [`parameters`]: entry N holds processor N modulo their number.
#[must_use]
pub fn table(processors: &[u8]) -> Vec<u8> {
    dealt(processors)
}

/// The entry of a hash in that table.
#[must_use]
pub fn entry(hash: u32) -> u32 {
    hash % u32::from(ENTRIES)
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

/// The flow that an Ethernet frame belongs to, as the hash function sees it: addresses of an IPv4 packet, and its TCP
/// ports unless it is a fragment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Flow {
    /// Source and destination address, source and destination port.
    bytes: [u8; 12],
    /// The ports count.
    tcp: bool,
}

impl Flow {
    /// The flow of a frame; `None` for other protocols than IPv4.
    #[must_use]
    pub fn of(frame: &[u8]) -> Option<Self> {
        const TCP: u8 = 6;
        let ip = frame.get(14..)?;
        if frame.get(12..14)? != [8, 0] || ip.first()? >> 4 != 4 {
            return None;
        }
        let header = usize::from(ip[0] & 15) * 4;
        let fragment = u16::from_be_bytes([*ip.get(6)?, *ip.get(7)?]) & 0x3FFF != 0;
        let mut flow = Self {
            bytes: [0; 12],
            tcp: *ip.get(9)? == TCP && !fragment,
        };
        flow.bytes[..8].copy_from_slice(ip.get(12..20)?);
        if flow.tcp {
            flow.bytes[8..].copy_from_slice(ip.get(header..header + 4)?);
        }
        Some(flow)
    }

    /// The TCP flow from `source` to `destination`.
    #[must_use]
    pub fn tcp(source: ([u8; 4], u16), destination: ([u8; 4], u16)) -> Self {
        let mut bytes = [0; 12];
        bytes[..4].copy_from_slice(&source.0);
        bytes[4..8].copy_from_slice(&destination.0);
        bytes[8..10].copy_from_slice(&source.1.to_be_bytes());
        bytes[10..].copy_from_slice(&destination.1.to_be_bytes());
        Self { bytes, tcp: true }
    }

    /// The flow in the other direction.
    #[must_use]
    pub fn reversed(&self) -> Self {
        let mut bytes = self.bytes;
        bytes[..8].rotate_left(4);
        bytes[8..].rotate_left(2);
        Self {
            bytes,
            tcp: self.tcp,
        }
    }

    /// Its hash under the key of [`parameters`].
    #[must_use]
    pub fn hash(&self) -> u32 {
        toeplitz(&self.bytes[..if self.tcp { 12 } else { 8 }])
    }
}

/// The hash that the key of [`parameters`] gives for an Ethernet frame: over addresses and ports of TCP, over addresses
/// of other IPv4 packets, none for anything else (Microsoft's "RSS Hashing Functions").
#[must_use]
pub fn hash(frame: &[u8]) -> Option<u32> {
    Flow::of(frame).map(|flow| flow.hash())
}

/// For each set bit of the input, from the left, the 32 bits of the key that begin at its position, combined by XOR.
fn toeplitz(input: &[u8]) -> u32 {
    let mut hash = 0;
    for (at, byte) in input.iter().enumerate() {
        // The 32 bits that begin at this byte, and the 8 that follow them.
        let window = KEY.iter().skip(at).chain([&0; 5]).take(5);
        let window = window.fold(0_u64, |bits, byte| bits << 8 | u64::from(*byte));
        for bit in 0..8 {
            if byte & (0x80 >> bit) != 0 {
                hash ^= window >> (8 - bit);
            }
        }
    }
    u32::try_from(hash & 0xFFFF_FFFF).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::{Flow, hash};

    /// The first IPv4 vector of Microsoft's "Verifying the RSS Hash Calculation".
    #[test]
    fn the_hash_is_that_of_the_verification_suite() {
        let mut frame = [0; 54];
        frame[12] = 8;
        frame[14] = 0x45;
        frame[23] = 6;
        frame[26..30].copy_from_slice(&[66, 9, 149, 187]);
        frame[30..34].copy_from_slice(&[161, 142, 100, 80]);
        frame[34..36].copy_from_slice(&2794_u16.to_be_bytes());
        frame[36..38].copy_from_slice(&1766_u16.to_be_bytes());
        assert_eq!(hash(&frame), Some(0x51cc_c178));
        frame[23] = 17;
        assert_eq!(hash(&frame), Some(0x323e_8fc2));
        frame[12] = 0x86;
        assert_eq!(hash(&frame), None);
    }

    #[test]
    fn a_flow_is_known_from_both_ends() {
        let there = Flow::tcp(([66, 9, 149, 187], 2794), ([161, 142, 100, 80], 1766));
        assert_eq!(there.hash(), 0x51cc_c178);
        let back = Flow::tcp(([161, 142, 100, 80], 1766), ([66, 9, 149, 187], 2794));
        assert_eq!(there.reversed(), back);
        assert_ne!(there.hash(), back.hash());
    }
}
