//! Transmit slots.

use xen_abi::netif as abi;

use crate::GrantRef;
use crate::words::{high, join, low};

/// Words of a request, and of a slot.
pub const REQUEST_WORDS: usize = 3;
/// Words of a response.
pub const RESPONSE_WORDS: usize = 1;
/// Most data slots a packet may have with every backend. Linux netback drops a packet of more
/// than 19 and kills the vif at 21; from the 19th on it copies the packet anew.
pub const MAX_DATA_SLOTS: usize = abi::XEN_NETIF_NR_SLOTS_MIN;
/// Longest packet, in bytes: the first slot's `size` is the whole packet's.
pub const MAX_PACKET: u32 = 0xFFFF;

/// Flags of a transmit request (`NETTXF_*`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TxFlags(pub u16);

impl TxFlags {
    /// The TCP or UDP checksum field holds the pseudo-header sum, length included.
    pub const CSUM_BLANK: Self = Self(abi::NETTXF_CSUM_BLANK);
    /// The packet's data is known good.
    pub const DATA_VALIDATED: Self = Self(abi::NETTXF_DATA_VALIDATED);
    /// The packet goes on in the next data slot.
    pub const MORE_DATA: Self = Self(abi::NETTXF_MORE_DATA);
    /// Extra slots follow this one; first slot only.
    pub const EXTRA_INFO: Self = Self(abi::NETTXF_EXTRA_INFO);

    /// Whether all of `other` are set.
    pub fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Both sets of flags.
    #[must_use]
    pub fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// These flags without `other`.
    #[must_use]
    pub fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }
}

/// A transmit request: one data slot of a packet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TxRequest {
    /// Grant of the page.
    pub gref: GrantRef,
    /// First byte in the page.
    pub offset: u16,
    /// Flags.
    pub flags: TxFlags,
    /// The frontend's choice; comes back in the response.
    pub id: u16,
    /// Bytes: of the whole packet in its first slot, of this slot in the others.
    pub size: u16,
}

impl TxRequest {
    /// From the words of a slot.
    pub fn parse([gref, offset_flags, id_size]: [u32; REQUEST_WORDS]) -> Self {
        Self {
            gref: GrantRef(gref),
            offset: low(offset_flags),
            flags: TxFlags(high(offset_flags)),
            id: low(id_size),
            size: high(id_size),
        }
    }

    /// To the words of a slot.
    pub fn emit(self) -> [u32; REQUEST_WORDS] {
        [
            self.gref.0,
            join(self.offset, self.flags.0),
            join(self.id, self.size),
        ]
    }
}

/// What became of a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TxStatus {
    /// Taken.
    Okay,
    /// Refused.
    Error,
    /// Dropped.
    Dropped,
    /// Answers an extra slot: the response's `id` means nothing.
    Null,
    /// Not in the protocol; treated as refused.
    Other(i16),
}

/// A transmit response. They come in the order of completion, one for each slot, extras included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TxResponse {
    /// From the request; meaningless with [`TxStatus::Null`], so look at the status first.
    pub id: u16,
    /// What became of it.
    pub status: TxStatus,
}

impl TxResponse {
    /// From the word of a slot.
    pub fn parse([word]: [u32; RESPONSE_WORDS]) -> Self {
        let status = match high(word).cast_signed() {
            abi::NETIF_RSP_OKAY => TxStatus::Okay,
            abi::NETIF_RSP_ERROR => TxStatus::Error,
            abi::NETIF_RSP_DROPPED => TxStatus::Dropped,
            abi::NETIF_RSP_NULL => TxStatus::Null,
            other => TxStatus::Other(other),
        };
        Self {
            id: low(word),
            status,
        }
    }

    /// To the word of a slot.
    pub fn emit(self) -> [u32; RESPONSE_WORDS] {
        let status = match self.status {
            TxStatus::Okay => abi::NETIF_RSP_OKAY,
            TxStatus::Error => abi::NETIF_RSP_ERROR,
            TxStatus::Dropped => abi::NETIF_RSP_DROPPED,
            TxStatus::Null => abi::NETIF_RSP_NULL,
            TxStatus::Other(other) => other,
        };
        [join(self.id, status.cast_unsigned())]
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn fields_stand_where_the_header_puts_them() {
        let request = TxRequest {
            gref: GrantRef(0x0403_0201),
            offset: 0x0605,
            flags: TxFlags(0x0807),
            id: 0x0A09,
            size: 0x0C0B,
        };
        assert_eq!(request.emit(), [0x0403_0201, 0x0807_0605, 0x0C0B_0A09]);
        let response = TxResponse {
            id: 0x0201,
            status: TxStatus::Dropped,
        };
        assert_eq!(response.emit(), [0xFFFE_0201]);
    }

    #[test]
    fn a_null_status_is_seen_whatever_the_id() {
        assert_eq!(TxResponse::parse([0x0001_FFFF]).status, TxStatus::Null);
    }

    proptest! {
        #![proptest_config(crate::cases())]

        #[test]
        fn every_slot_survives_the_round_trip(words: [u32; 3], word: u32) {
            prop_assert_eq!(TxRequest::parse(words).emit(), words);
            prop_assert_eq!(TxResponse::parse([word]).emit(), [word]);
        }
    }
}
