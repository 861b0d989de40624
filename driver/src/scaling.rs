//! Receive-side scaling: NDIS's words, the control ring's and our own.

use ndis::rss::{HashParameters, MAX_ENTRIES, Processor, RssLimits, RssParameters};
use ndis_sys as sys;
use netif::ctrl::{HashKind, HashTypes as NetifTypes};
use nt::processor::ProcessorNumber;
use rss::{HashType, HashTypes, IndirectionTable, SteeringConfig};

/// What is offered to NDIS: every type there is, since what a backend cannot hash is hashed here.
pub(crate) const fn limits(udp: bool) -> RssLimits {
    let types = HashTypes::ALL.bits();
    RssLimits {
        hash_types: if udp { types } else { types & !UDP },
        entries: MAX_ENTRIES,
    }
}

/// The UDP types.
const UDP: u32 = HashType::UdpIpv4.bit() | HashType::UdpIpv6.bit() | HashType::UdpIpv6Ex.bit();

/// `NDIS_RSS_CAPS_*`: the algorithm and the types, and that frames are sorted before the DPC.
pub(crate) const fn capabilities(udp: bool) -> u32 {
    let always = sys::NdisHashFunctionToeplitz
        | sys::NDIS_RSS_CAPS_HASH_TYPE_TCP_IPV4
        | sys::NDIS_RSS_CAPS_HASH_TYPE_TCP_IPV6
        | sys::NDIS_RSS_CAPS_HASH_TYPE_TCP_IPV6_EX
        | sys::NDIS_RSS_CAPS_CLASSIFICATION_AT_ISR
        | sys::NDIS_RSS_CAPS_CLASSIFICATION_AT_DPC;
    let of_udp = sys::NDIS_RSS_CAPS_HASH_TYPE_UDP_IPV4
        | sys::NDIS_RSS_CAPS_HASH_TYPE_UDP_IPV6
        | sys::NDIS_RSS_CAPS_HASH_TYPE_UDP_IPV6_EX;
    if udp { always | of_udp } else { always }
}

/// The same types, as the hash knows them and as the control ring does.
const PAIRS: [(HashType, HashKind); 4] = [
    (HashType::Ipv4, HashKind::Ipv4),
    (HashType::TcpIpv4, HashKind::Ipv4Tcp),
    (HashType::Ipv6, HashKind::Ipv6),
    (HashType::TcpIpv6, HashKind::Ipv6Tcp),
];

/// The type that the control ring calls `kind`.
pub(crate) fn hash_type(kind: HashKind) -> HashType {
    match kind {
        HashKind::Ipv4 => HashType::Ipv4,
        HashKind::Ipv4Tcp => HashType::TcpIpv4,
        HashKind::Ipv6 => HashType::Ipv6,
        HashKind::Ipv6Tcp => HashType::TcpIpv6,
    }
}

/// The control ring's name of the type with NDIS's bit, if it has one.
pub(crate) fn kind(ndis_type: u32) -> Option<HashKind> {
    PAIRS
        .iter()
        .find(|(hash_type, _)| hash_type.bit() == ndis_type)
        .map(|(_, kind)| *kind)
}

/// Types for the control ring.
pub(crate) fn to_netif(types: HashTypes) -> NetifTypes {
    PAIRS
        .iter()
        .filter(|(hash_type, _)| types.contains(*hash_type))
        .fold(NetifTypes::default(), |types, (_, kind)| {
            types.or(kind.types())
        })
}

/// Types of the control ring.
pub(crate) fn from_netif(types: NetifTypes) -> HashTypes {
    PAIRS
        .iter()
        .filter(|(_, kind)| types.has(*kind))
        .fold(HashTypes::NONE, |all, (hash_type, _)| all | *hash_type)
}

/// What NDIS has set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(
    clippy::large_enum_variant,
    reason = "one per adapter, copied on PASSIVE stacks only"
)]
pub(crate) enum Hashing {
    /// No hash, no scaling.
    #[default]
    Off,
    /// Receive-side scaling.
    Scale(RssParameters),
    /// Hashes alone (`OID_GEN_RECEIVE_HASH`).
    Hash(HashParameters),
}

impl Hashing {
    /// Types and key, if frames are hashed.
    pub(crate) fn hash(&self) -> Option<(HashTypes, &[u8; rss::KEY_LEN])> {
        let (bits, key) = match self {
            Self::Off => return None,
            Self::Scale(parameters) => (parameters.hash_types, &parameters.key),
            Self::Hash(parameters) => (parameters.hash_types, &parameters.key),
        };
        Some((HashTypes::from_bits(bits)?, key))
    }

    /// The parameters of receive-side scaling, if it is on.
    pub(crate) fn scaling(&self) -> Option<&RssParameters> {
        match self {
            Self::Scale(parameters) => Some(parameters),
            Self::Off | Self::Hash(_) => None,
        }
    }

    /// What a queue needs to know; `table` holds the indices of the table's processors.
    pub(crate) fn config<'a>(&'a self, table: &[u16]) -> Option<SteeringConfig<'a>> {
        let (types, key) = self.hash()?;
        // A table of one entry is two of the same.
        let table = match table {
            [only] => IndirectionTable::new(&[*only, *only]).ok(),
            table => IndirectionTable::new(table).ok(),
        };
        let default = self.scaling().and_then(|scaling| scaling.default_processor);
        Some(SteeringConfig {
            types,
            key,
            table,
            default: default.and_then(index),
        })
    }
}

/// System-wide index of a processor, if it runs.
pub(crate) fn index(processor: Processor) -> Option<u16> {
    let number = ProcessorNumber {
        group: processor.group,
        number: processor.number,
    };
    number.index().and_then(|index| u16::try_from(index).ok())
}

/// Indices of the table's processors.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TableIndices {
    indices: [u16; MAX_ENTRIES],
    len: usize,
}

impl TableIndices {
    /// Of the table in force; empty without one. A processor that no longer runs counts as the first.
    pub(crate) fn of(hashing: &Hashing) -> Self {
        let mut table = Self {
            indices: [0; MAX_ENTRIES],
            len: 0,
        };
        let entries = hashing.scaling().map_or(&[][..], RssParameters::table);
        for (place, processor) in table.indices.iter_mut().zip(entries) {
            *place = index(*processor).unwrap_or(0);
            table.len = table.len.saturating_add(1);
        }
        table
    }

    /// The indices.
    pub(crate) fn get(&self) -> &[u16] {
        self.indices.get(..self.len).unwrap_or_default()
    }
}
