//! Hash types, in the numbering of NDIS's `HashInformation` (`NDIS_HASH_*`).
use core::ops::{BitOr, BitOrAssign};

/// What a hash was computed over. The discriminant is the type's bit in `HashInformation`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u32)]
pub enum HashType {
    /// IPv4 addresses.
    Ipv4 = 0x100,
    /// IPv4 addresses and TCP ports.
    TcpIpv4 = 0x200,
    /// IPv6 addresses.
    Ipv6 = 0x400,
    /// IPv6 addresses, those of mobility extension headers first.
    Ipv6Ex = 0x800,
    /// IPv6 addresses and TCP ports.
    TcpIpv6 = 0x1000,
    /// IPv6 addresses, those of mobility extension headers first, and TCP ports.
    TcpIpv6Ex = 0x2000,
    /// IPv4 addresses and UDP ports.
    UdpIpv4 = 0x4000,
    /// IPv6 addresses and UDP ports.
    UdpIpv6 = 0x8000,
    /// IPv6 addresses, those of mobility extension headers first, and UDP ports.
    UdpIpv6Ex = 0x1_0000,
}

impl HashType {
    /// Every type.
    pub const ALL: [Self; 9] = [
        Self::Ipv4,
        Self::TcpIpv4,
        Self::Ipv6,
        Self::Ipv6Ex,
        Self::TcpIpv6,
        Self::TcpIpv6Ex,
        Self::UdpIpv4,
        Self::UdpIpv6,
        Self::UdpIpv6Ex,
    ];

    /// The type's bit in `HashInformation`.
    #[must_use]
    pub const fn bit(self) -> u32 {
        self as u32
    }
}

impl HashType {
    /// The Ethertype of frames hashed under the type.
    #[must_use]
    pub const fn ethertype(self) -> u16 {
        match self {
            Self::Ipv4 | Self::TcpIpv4 | Self::UdpIpv4 => 0x0800,
            _ => 0x86DD,
        }
    }
}

/// A set of hash types.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct HashTypes(u32);

impl HashTypes {
    /// No type.
    pub const NONE: Self = Self(0);
    /// All nine types.
    pub const ALL: Self = Self(0x1_FF00);
    /// The four types Xen's netif control ring knows: IPv4, IPv6, and both with TCP.
    pub const NETIF: Self = Self(0x1700);

    /// The types in the type field of `HashInformation`; `None` if a bit outside them is set.
    #[must_use]
    pub const fn from_bits(bits: u32) -> Option<Self> {
        if bits & !Self::ALL.0 == 0 {
            Some(Self(bits))
        } else {
            None
        }
    }

    /// The set as the type field of `HashInformation`.
    #[must_use]
    pub const fn bits(self) -> u32 {
        self.0
    }

    /// Whether the set has no type.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether `hash_type` is in the set.
    #[must_use]
    pub const fn contains(self, hash_type: HashType) -> bool {
        self.0 & hash_type.bit() != 0
    }

    /// Whether every type of `other` is in the set.
    #[must_use]
    pub const fn contains_all(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}

impl From<HashType> for HashTypes {
    fn from(hash_type: HashType) -> Self {
        Self(hash_type.bit())
    }
}

impl BitOr for HashTypes {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl BitOr<HashType> for HashTypes {
    type Output = Self;

    fn bitor(self, other: HashType) -> Self {
        Self(self.0 | other.bit())
    }
}

impl BitOrAssign<HashType> for HashTypes {
    fn bitor_assign(&mut self, other: HashType) {
        self.0 |= other.bit();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_is_every_type() {
        let set = HashType::ALL
            .iter()
            .fold(HashTypes::NONE, |set, &t| set | t);
        assert_eq!(set, HashTypes::ALL);
        assert_eq!(HashTypes::from_bits(0x1_FF00), Some(HashTypes::ALL));
        assert_eq!(HashTypes::from_bits(0x2_0000), None);
        assert_eq!(
            HashTypes::from_bits(0x0000_0001),
            None,
            "a hash function is not a type"
        );
    }

    #[test]
    fn netif_types_are_the_four() {
        let four = [
            HashType::Ipv4,
            HashType::TcpIpv4,
            HashType::Ipv6,
            HashType::TcpIpv6,
        ];
        for hash_type in HashType::ALL {
            assert_eq!(
                HashTypes::NETIF.contains(hash_type),
                four.contains(&hash_type)
            );
        }
    }
}
