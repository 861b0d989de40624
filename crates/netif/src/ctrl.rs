//! Control ring messages: hash negotiation (1 to 7) and lasting grant mappings (8 to 10).

use xen_abi::netif::{self as abi, CtrlType};

use crate::GrantRef;
use crate::words::{high, join, low};

/// Words of a request, and of a slot.
pub const REQUEST_WORDS: usize = 4;
/// Words of a response.
pub const RESPONSE_WORDS: usize = 3;
/// Longest hash key, bytes (Linux netback).
pub const MAX_KEY: usize = 40;
/// Longest hash mapping, entries (Linux netback).
pub const MAX_MAPPING: usize = 128;

/// What a hash is computed over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HashKind {
    /// IPv4 addresses.
    Ipv4,
    /// IPv4 addresses and TCP ports.
    Ipv4Tcp,
    /// IPv6 addresses.
    Ipv6,
    /// IPv6 addresses and TCP ports.
    Ipv6Tcp,
}

impl HashKind {
    /// The number in a HASH extra.
    pub fn bit(self) -> u8 {
        match self {
            Self::Ipv4 => abi::XEN_NETIF_CTRL_HASH_TYPE_IPV4_BIT,
            Self::Ipv4Tcp => abi::XEN_NETIF_CTRL_HASH_TYPE_IPV4_TCP_BIT,
            Self::Ipv6 => abi::XEN_NETIF_CTRL_HASH_TYPE_IPV6_BIT,
            Self::Ipv6Tcp => abi::XEN_NETIF_CTRL_HASH_TYPE_IPV6_TCP_BIT,
        }
    }

    /// From the number in a HASH extra.
    pub fn from_bit(bit: u8) -> Option<Self> {
        [Self::Ipv4, Self::Ipv4Tcp, Self::Ipv6, Self::Ipv6Tcp]
            .into_iter()
            .find(|kind| kind.bit() == bit)
    }

    /// As a set of one.
    pub fn types(self) -> HashTypes {
        HashTypes(match self {
            Self::Ipv4 => abi::XEN_NETIF_CTRL_HASH_TYPE_IPV4,
            Self::Ipv4Tcp => abi::XEN_NETIF_CTRL_HASH_TYPE_IPV4_TCP,
            Self::Ipv6 => abi::XEN_NETIF_CTRL_HASH_TYPE_IPV6,
            Self::Ipv6Tcp => abi::XEN_NETIF_CTRL_HASH_TYPE_IPV6_TCP,
        })
    }
}

/// A set of hash types (`XEN_NETIF_CTRL_HASH_TYPE_*`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HashTypes(pub u32);

impl HashTypes {
    /// All that the protocol knows.
    pub const ALL: Self = Self(0xF);

    /// Those of both sets.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// Those of either set.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether `kind` is in the set.
    pub fn has(self, kind: HashKind) -> bool {
        self.0 & kind.types().0 != 0
    }

    /// Whether there is none.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }
}

/// A hash algorithm.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Algorithm(pub u32);

impl Algorithm {
    /// No hashing.
    pub const NONE: Self = Self(abi::XEN_NETIF_CTRL_HASH_ALGORITHM_NONE);
    /// Toeplitz, as NDIS defines it too.
    pub const TOEPLITZ: Self = Self(abi::XEN_NETIF_CTRL_HASH_ALGORITHM_TOEPLITZ);
}

/// A question or command to the backend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CtrlRequest {
    /// Which hash types are supported; Linux answers only while the algorithm is not NONE.
    GetHashFlags,
    /// Which hash types to use; likewise.
    SetHashFlags(HashTypes),
    /// The key, at the start of a granted page.
    SetHashKey {
        /// Grant of the page, read-only will do; must last until the response.
        gref: GrantRef,
        /// Bytes, at most [`MAX_KEY`]; a shorter key is padded with zeroes.
        length: u32,
    },
    /// How many entries a mapping may have.
    GetHashMappingSize,
    /// How many entries the mapping has; 0 means modulo. Linux clears the mapping.
    SetHashMappingSize(u32),
    /// A part of the mapping, as `u32` queue numbers at the start of a granted page.
    SetHashMapping {
        /// Grant of the page; must last until the response.
        gref: GrantRef,
        /// Entries in the page.
        entries: u32,
        /// Entry of the mapping that the first replaces.
        first: u32,
    },
    /// Which algorithm to use.
    SetHashAlgorithm(Algorithm),
    /// How many grants may stay mapped for a queue.
    GetGrefMappingSize {
        /// The queue.
        queue: u32,
    },
    /// Map these grants for good.
    AddGrefMapping {
        /// The queue.
        queue: u32,
        /// Grant of the page with the list.
        gref: GrantRef,
        /// Entries in the list.
        entries: u32,
    },
    /// Unmap these grants.
    DelGrefMapping {
        /// The queue.
        queue: u32,
        /// Grant of the page with the list.
        gref: GrantRef,
        /// Entries in the list.
        entries: u32,
    },
}

/// An entry in the list of [`CtrlRequest::AddGrefMapping`] or [`CtrlRequest::DelGrefMapping`], as words: a grant that may
/// be read. The backend writes its status into the last half word when it unmaps it.
#[must_use]
pub fn lasting(gref: GrantRef) -> [u32; 2] {
    [gref.0, join(abi::XEN_NETIF_CTRLF_GREF_READONLY, 0)]
}

/// A request type that the protocol does not define.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnknownType(pub u16);

impl CtrlRequest {
    /// The message's number; its response carries it too.
    pub fn kind(self) -> CtrlType {
        match self {
            Self::GetHashFlags => CtrlType::GET_HASH_FLAGS,
            Self::SetHashFlags(_) => CtrlType::SET_HASH_FLAGS,
            Self::SetHashKey { .. } => CtrlType::SET_HASH_KEY,
            Self::GetHashMappingSize => CtrlType::GET_HASH_MAPPING_SIZE,
            Self::SetHashMappingSize(_) => CtrlType::SET_HASH_MAPPING_SIZE,
            Self::SetHashMapping { .. } => CtrlType::SET_HASH_MAPPING,
            Self::SetHashAlgorithm(_) => CtrlType::SET_HASH_ALGORITHM,
            Self::GetGrefMappingSize { .. } => CtrlType::GET_GREF_MAPPING_SIZE,
            Self::AddGrefMapping { .. } => CtrlType::ADD_GREF_MAPPING,
            Self::DelGrefMapping { .. } => CtrlType::DEL_GREF_MAPPING,
        }
    }

    /// To the words of a slot; `id` comes back in the response.
    pub fn emit(self, id: u16) -> [u32; REQUEST_WORDS] {
        let [first, second, third] = match self {
            Self::GetHashFlags | Self::GetHashMappingSize => [0, 0, 0],
            Self::SetHashFlags(types) => [types.0, 0, 0],
            Self::SetHashKey { gref, length } => [gref.0, length, 0],
            Self::SetHashMappingSize(entries) => [entries, 0, 0],
            Self::SetHashMapping {
                gref,
                entries,
                first,
            } => [gref.0, entries, first],
            Self::SetHashAlgorithm(algorithm) => [algorithm.0, 0, 0],
            Self::GetGrefMappingSize { queue } => [queue, 0, 0],
            Self::AddGrefMapping {
                queue,
                gref,
                entries,
            }
            | Self::DelGrefMapping {
                queue,
                gref,
                entries,
            } => [queue, gref.0, entries],
        };
        [join(id, self.kind().0), first, second, third]
    }

    /// From the words of a slot: the id, and the request.
    pub fn parse(
        [id_type, first, second, third]: [u32; REQUEST_WORDS],
    ) -> Result<(u16, Self), UnknownType> {
        let request = match CtrlType(high(id_type)) {
            CtrlType::GET_HASH_FLAGS => Self::GetHashFlags,
            CtrlType::SET_HASH_FLAGS => Self::SetHashFlags(HashTypes(first)),
            CtrlType::SET_HASH_KEY => Self::SetHashKey {
                gref: GrantRef(first),
                length: second,
            },
            CtrlType::GET_HASH_MAPPING_SIZE => Self::GetHashMappingSize,
            CtrlType::SET_HASH_MAPPING_SIZE => Self::SetHashMappingSize(first),
            CtrlType::SET_HASH_MAPPING => Self::SetHashMapping {
                gref: GrantRef(first),
                entries: second,
                first: third,
            },
            CtrlType::SET_HASH_ALGORITHM => Self::SetHashAlgorithm(Algorithm(first)),
            CtrlType::GET_GREF_MAPPING_SIZE => Self::GetGrefMappingSize { queue: first },
            CtrlType::ADD_GREF_MAPPING => Self::AddGrefMapping {
                queue: first,
                gref: GrantRef(second),
                entries: third,
            },
            CtrlType::DEL_GREF_MAPPING => Self::DelGrefMapping {
                queue: first,
                gref: GrantRef(second),
                entries: third,
            },
            other => return Err(UnknownType(other.0)),
        };
        Ok((low(id_type), request))
    }
}

/// The result of a control message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CtrlStatus {
    /// Done.
    Success,
    /// The backend cannot.
    NotSupported,
    /// A parameter is wrong.
    InvalidParameter,
    /// Longer than the backend can hold.
    BufferOverflow,
    /// Not in the protocol; treated as a failure.
    Other(u32),
}

/// A response on the control ring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CtrlResponse {
    /// From the request.
    pub id: u16,
    /// From the request.
    pub kind: CtrlType,
    /// The result.
    pub status: CtrlStatus,
    /// The answer to a question; untrusted, clamp before use.
    pub data: u32,
}

impl CtrlResponse {
    /// From the words of a slot.
    pub fn parse([id_type, status, data]: [u32; RESPONSE_WORDS]) -> Self {
        let status = match abi::CtrlStatus(status) {
            abi::CtrlStatus::SUCCESS => CtrlStatus::Success,
            abi::CtrlStatus::NOT_SUPPORTED => CtrlStatus::NotSupported,
            abi::CtrlStatus::INVALID_PARAMETER => CtrlStatus::InvalidParameter,
            abi::CtrlStatus::BUFFER_OVERFLOW => CtrlStatus::BufferOverflow,
            other => CtrlStatus::Other(other.0),
        };
        Self {
            id: low(id_type),
            kind: CtrlType(high(id_type)),
            status,
            data,
        }
    }

    /// To the words of a slot.
    pub fn emit(self) -> [u32; RESPONSE_WORDS] {
        let status = match self.status {
            CtrlStatus::Success => abi::CtrlStatus::SUCCESS.0,
            CtrlStatus::NotSupported => abi::CtrlStatus::NOT_SUPPORTED.0,
            CtrlStatus::InvalidParameter => abi::CtrlStatus::INVALID_PARAMETER.0,
            CtrlStatus::BufferOverflow => abi::CtrlStatus::BUFFER_OVERFLOW.0,
            CtrlStatus::Other(other) => other,
        };
        [join(self.id, self.kind.0), status, self.data]
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn fields_stand_where_the_header_puts_them() {
        let request = CtrlRequest::SetHashMapping {
            gref: GrantRef(0x55),
            entries: 128,
            first: 2,
        };
        assert_eq!(request.emit(0x1234), [0x0006_1234, 0x55, 128, 2]);
        let add = CtrlRequest::AddGrefMapping {
            queue: 3,
            gref: GrantRef(9),
            entries: 4,
        };
        assert_eq!(add.emit(1), [0x0009_0001, 3, 9, 4]);
        let response = CtrlResponse {
            id: 7,
            kind: CtrlType::GET_HASH_FLAGS,
            status: CtrlStatus::InvalidParameter,
            data: 0xF,
        };
        assert_eq!(response.emit(), [0x0001_0007, 2, 0xF]);
    }

    #[test]
    fn types_0_and_11_are_not_messages() {
        assert_eq!(CtrlRequest::parse([0, 0, 0, 0]), Err(UnknownType(0)));
        assert_eq!(
            CtrlRequest::parse([0x000B_0000, 0, 0, 0]),
            Err(UnknownType(11))
        );
    }

    #[test]
    fn bits_and_masks_of_hash_kinds_agree() {
        for bit in 0..4 {
            let kind = HashKind::from_bit(bit).unwrap();
            assert_eq!((kind.bit(), kind.types().0), (bit, 1 << bit));
            assert!(HashTypes::ALL.has(kind));
        }
        assert_eq!(HashKind::from_bit(4), None);
    }

    proptest! {
        #![proptest_config(crate::cases())]

        #[test]
        fn every_message_survives_the_round_trip(id: u16, kind in 1_u32..=10, data: [u32; 3]) {
            let words = [u32::from(id) | kind << 16, data[0], data[1], data[2]];
            let (parsed, request) = CtrlRequest::parse(words).unwrap();
            prop_assert_eq!(parsed, id);
            prop_assert_eq!(CtrlRequest::parse(request.emit(id)), Ok((id, request)));
            prop_assert_eq!(u32::from(request.kind().0), kind);
        }

        #[test]
        fn every_response_survives_the_round_trip(words: [u32; 3]) {
            prop_assert_eq!(CtrlResponse::parse(words).emit(), words);
        }
    }
}
