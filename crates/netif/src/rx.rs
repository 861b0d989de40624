//! Receive slots.

use xen_abi::netif as abi;

use crate::GrantRef;
use crate::words::{high, join, low};

/// Words of a request, of a response and of a slot.
pub const SLOT_WORDS: usize = 2;

/// A receive request: one page the backend may fill.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RxRequest {
    /// The frontend's choice; comes back in the response unless an extra overlays it.
    pub id: u16,
    /// Writable grant of the page.
    pub gref: GrantRef,
}

impl RxRequest {
    /// From the words of a slot.
    pub fn parse([id_pad, gref]: [u32; SLOT_WORDS]) -> Self {
        Self {
            id: low(id_pad),
            gref: GrantRef(gref),
        }
    }

    /// To the words of a slot.
    pub fn emit(self) -> [u32; SLOT_WORDS] {
        [join(self.id, 0), self.gref.0]
    }
}

/// Flags of a receive response (`NETRXF_*`); hints, since the backend writes them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RxFlags(pub u16);

impl RxFlags {
    /// The packet's data is known good.
    pub const DATA_VALIDATED: Self = Self(abi::NETRXF_DATA_VALIDATED);
    /// The TCP or UDP checksum field holds the pseudo-header sum.
    pub const CSUM_BLANK: Self = Self(abi::NETRXF_CSUM_BLANK);
    /// The packet goes on in the next data slot.
    pub const MORE_DATA: Self = Self(abi::NETRXF_MORE_DATA);
    /// Extra slots follow this one.
    pub const EXTRA_INFO: Self = Self(abi::NETRXF_EXTRA_INFO);

    /// Whether all of `other` are set.
    pub fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Both sets of flags.
    #[must_use]
    pub fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// A receive response; it stands at the index of its request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RxResponse {
    /// From the request.
    pub id: u16,
    /// First byte in the page.
    pub offset: u16,
    /// Flags.
    pub flags: RxFlags,
    /// Bytes in this slot; negative is an error, of netif's numbers or of the grant table's.
    pub status: i16,
}

impl RxResponse {
    /// From the words of a slot.
    pub fn parse([id_offset, flags_status]: [u32; SLOT_WORDS]) -> Self {
        Self {
            id: low(id_offset),
            offset: high(id_offset),
            flags: RxFlags(low(flags_status)),
            status: high(flags_status).cast_signed(),
        }
    }

    /// To the words of a slot.
    pub fn emit(self) -> [u32; SLOT_WORDS] {
        [
            join(self.id, self.offset),
            join(self.flags.0, self.status.cast_unsigned()),
        ]
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn fields_stand_where_the_header_puts_them() {
        let request = RxRequest {
            id: 0x0201,
            gref: GrantRef(0x0807_0605),
        };
        assert_eq!(request.emit(), [0x0000_0201, 0x0807_0605]);
        let response = RxResponse {
            id: 0x0201,
            offset: 0x0403,
            flags: RxFlags(0x0605),
            status: -2,
        };
        assert_eq!(response.emit(), [0x0403_0201, 0xFFFE_0605]);
    }

    proptest! {
        #![proptest_config(crate::cases())]

        #[test]
        fn every_response_survives_the_round_trip(words: [u32; 2]) {
            prop_assert_eq!(RxResponse::parse(words).emit(), words);
            prop_assert_eq!(RxRequest::parse(words).emit(), [words[0] & 0xFFFF, words[1]]);
        }
    }
}
