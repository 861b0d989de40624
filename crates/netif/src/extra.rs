//! Extra-info slots: 8 bytes that overlay a transmit or receive slot.

use xen_abi::netif::{self as abi, ExtraType};

use crate::ctrl::HashKind;
use crate::words::{high, join, low};

/// Words of an extra slot.
pub const EXTRA_WORDS: usize = 2;

/// What is to be segmented.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GsoKind {
    /// TCP over IPv4.
    TcpV4,
    /// TCP over IPv6.
    TcpV6,
}

/// A packet of several segments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gso {
    /// Its protocol.
    pub kind: GsoKind,
    /// Payload bytes of a segment; not zero on the wire.
    pub mss: u16,
}

/// A packet's hash value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HashInfo {
    /// Bit number of the hash type; values above 3 mean nothing.
    pub kind: u8,
    /// Algorithm, 1 for Toeplitz.
    pub algorithm: u8,
    /// The value.
    pub value: u32,
}

impl HashInfo {
    /// A Toeplitz hash.
    pub fn toeplitz(kind: HashKind, value: u32) -> Self {
        Self {
            kind: kind.bit(),
            algorithm: 1,
            value,
        }
    }

    /// The hash type, when it is one of the protocol's and the algorithm is Toeplitz.
    pub fn toeplitz_kind(self) -> Option<HashKind> {
        if self.algorithm == 1 {
            HashKind::from_bit(self.kind)
        } else {
            None
        }
    }
}

/// A known extra slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extra {
    /// Segmentation.
    Gso(Gso),
    /// Add a multicast address; transmit only, the packet itself is a dummy.
    McastAdd([u8; 6]),
    /// Remove a multicast address; transmit only.
    McastDel([u8; 6]),
    /// Hash value.
    Hash(HashInfo),
    /// Linux's XDP headroom in bytes; receive only, and only where it was asked for.
    Xdp {
        /// Bytes before the data.
        headroom: u16,
    },
}

/// Why a slot is not a known extra.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExtraError {
    /// Type 0 or one that no header defines.
    Type(u8),
    /// Segmentation into segments of nothing.
    GsoSize,
    /// Segmentation of an unknown protocol.
    GsoKind(u8),
}

/// The words of a slot that should be an extra.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExtraSlot(pub [u32; EXTRA_WORDS]);

impl ExtraSlot {
    /// Whether another extra follows. Valid whatever the type is, so that a chain with an unknown
    /// link can still be walked.
    pub fn more(self) -> bool {
        let [head, _] = self.0;
        let [_, flags, ..] = head.to_le_bytes();
        flags & abi::XEN_NETIF_EXTRA_FLAG_MORE != 0
    }

    /// The typed form.
    pub fn parse(self) -> Result<Extra, ExtraError> {
        let [head, tail] = self.0;
        let [kind, _, second, third] = head.to_le_bytes();
        let [fourth, fifth, sixth, seventh] = tail.to_le_bytes();
        let address = [second, third, fourth, fifth, sixth, seventh];
        match ExtraType(kind) {
            ExtraType::GSO => {
                let kind = match abi::GsoType(fourth) {
                    abi::GsoType::TCPV4 => GsoKind::TcpV4,
                    abi::GsoType::TCPV6 => GsoKind::TcpV6,
                    other => return Err(ExtraError::GsoKind(other.0)),
                };
                match high(head) {
                    0 => Err(ExtraError::GsoSize),
                    mss => Ok(Extra::Gso(Gso { kind, mss })),
                }
            }
            ExtraType::MCAST_ADD => Ok(Extra::McastAdd(address)),
            ExtraType::MCAST_DEL => Ok(Extra::McastDel(address)),
            ExtraType::HASH => Ok(Extra::Hash(HashInfo {
                kind: second,
                algorithm: third,
                value: tail,
            })),
            ExtraType::XDP => Ok(Extra::Xdp {
                headroom: high(head),
            }),
            other => Err(ExtraError::Type(other.0)),
        }
    }

    /// The slot for an extra.
    pub fn emit(extra: Extra, more: bool) -> Self {
        let flags = if more {
            abi::XEN_NETIF_EXTRA_FLAG_MORE
        } else {
            0
        };
        let (kind, payload) = match extra {
            Extra::Gso(Gso { kind, mss }) => {
                let kind = match kind {
                    GsoKind::TcpV4 => abi::GsoType::TCPV4,
                    GsoKind::TcpV6 => abi::GsoType::TCPV6,
                };
                let [low, high] = mss.to_le_bytes();
                (ExtraType::GSO, [low, high, kind.0, 0, 0, 0])
            }
            Extra::McastAdd(address) => (ExtraType::MCAST_ADD, address),
            Extra::McastDel(address) => (ExtraType::MCAST_DEL, address),
            Extra::Hash(HashInfo {
                kind,
                algorithm,
                value,
            }) => {
                let [v0, v1, v2, v3] = value.to_le_bytes();
                (ExtraType::HASH, [kind, algorithm, v0, v1, v2, v3])
            }
            Extra::Xdp { headroom } => {
                let [low, high] = headroom.to_le_bytes();
                (ExtraType::XDP, [low, high, 0, 0, 0, 0])
            }
        };
        let [p0, p1, p2, p3, p4, p5] = payload;
        Self([
            u32::from_le_bytes([kind.0, flags, p0, p1]),
            u32::from_le_bytes([p2, p3, p4, p5]),
        ])
    }

    /// The slot as it stands on the transmit ring, whose slots are a word longer.
    pub fn tx_words(self) -> [u32; 3] {
        let [head, tail] = self.0;
        [head, tail, 0]
    }

    /// The extra in a transmit slot.
    pub fn from_tx_words([head, tail, _]: [u32; 3]) -> Self {
        Self([head, tail])
    }

    /// A slot from its type, flags and first payload half; for tests of hostile peers.
    pub fn raw(kind: u8, flags: u8, first: u16, rest: u32) -> Self {
        Self([
            join(low(u32::from_le_bytes([kind, flags, 0, 0])), first),
            rest,
        ])
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn bytes_stand_where_the_header_puts_them() {
        let gso = Extra::Gso(Gso {
            kind: GsoKind::TcpV6,
            mss: 0x05B4,
        });
        assert_eq!(ExtraSlot::emit(gso, true).0, [0x05B4_0101, 0x0000_0002]);
        let hash = Extra::Hash(HashInfo::toeplitz(HashKind::Ipv6Tcp, 0x0403_0201));
        assert_eq!(ExtraSlot::emit(hash, false).0, [0x0103_0004, 0x0403_0201]);
        let add = Extra::McastAdd([1, 0, 0x5E, 4, 5, 6]);
        assert_eq!(ExtraSlot::emit(add, false).0, [0x0001_0002, 0x0605_045E]);
        assert_eq!(
            ExtraSlot::emit(Extra::Xdp { headroom: 256 }, false).0,
            [0x0100_0005, 0]
        );
    }

    #[test]
    fn what_no_header_defines_is_refused_and_named() {
        assert_eq!(ExtraSlot::raw(0, 0, 0, 0).parse(), Err(ExtraError::Type(0)));
        assert_eq!(ExtraSlot::raw(6, 0, 0, 0).parse(), Err(ExtraError::Type(6)));
        assert_eq!(ExtraSlot::raw(1, 0, 0, 1).parse(), Err(ExtraError::GsoSize));
        assert_eq!(
            ExtraSlot::raw(1, 0, 1460, 0).parse(),
            Err(ExtraError::GsoKind(0))
        );
        assert_eq!(
            ExtraSlot::raw(1, 0, 1460, 3).parse(),
            Err(ExtraError::GsoKind(3))
        );
    }

    #[test]
    fn an_unknown_link_still_says_whether_the_chain_goes_on() {
        assert!(ExtraSlot::raw(77, 1, 0, 0).more());
        assert!(!ExtraSlot::raw(77, 2, 0, 0).more());
    }

    #[test]
    fn a_hash_type_beyond_the_protocol_is_no_hash() {
        let Ok(Extra::Hash(info)) = ExtraSlot::raw(4, 0, 0x0104, 7).parse() else {
            panic!("a HASH extra");
        };
        assert_eq!(info.toeplitz_kind(), None);
        assert_eq!(
            HashInfo {
                kind: 1,
                algorithm: 2,
                value: 0
            }
            .toeplitz_kind(),
            None
        );
    }

    proptest! {
        #![proptest_config(crate::cases())]

        #[test]
        fn what_parses_emits_itself(words: [u32; 2], kind in 0_u8..7) {
            let words = [(words[0] & !0xFF) | u32::from(kind), words[1]];
            if let Ok(extra) = ExtraSlot(words).parse() {
                let again = ExtraSlot::emit(extra, ExtraSlot(words).more());
                prop_assert_eq!(again.parse(), Ok(extra));
                prop_assert_eq!(again.more(), ExtraSlot(words).more());
            }
        }
    }
}
