//! `NetworkAddress`: the administrator's Ethernet address.

use crate::keyword::Keyword;
use crate::reading::{Raw, without_nul};

/// `-`.
const DASH: u16 = 0x2D;

/// Why the administrator's address is not used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AddressRefusal {
    /// Not a `REG_SZ`.
    WrongType,
    /// Not 12 hexadecimal digits, nor six pairs of them with dashes between.
    NotHexadecimal,
    /// A group address: no station may have one.
    Group,
    /// All zero.
    Zero,
}

/// What `NetworkAddress` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AddressReading {
    /// Nothing: use the vif's own address.
    Unset,
    /// Use this one.
    Set([u8; 6]),
    /// Not usable: use the vif's own address, and log it once.
    Refused(AddressRefusal),
}

impl Keyword {
    /// Reads an Ethernet address: 12 hexadecimal digits, with a dash after each pair or without,
    /// the two forms that `NdisReadNetworkAddress` takes. Empty text is no address.
    ///
    /// NDIS does not check the value, so a group address or zero is refused here.
    pub fn read_address(&self, raw: Raw<'_>) -> AddressReading {
        let text = match raw {
            Raw::Missing => return AddressReading::Unset,
            Raw::Integer(_) | Raw::OtherType => {
                return AddressReading::Refused(AddressRefusal::WrongType);
            }
            Raw::Text(text) => without_nul(text),
        };
        if text.is_empty() {
            return AddressReading::Unset;
        }
        match parse(text) {
            Ok(address) => AddressReading::Set(address),
            Err(why) => AddressReading::Refused(why),
        }
    }
}

fn parse(text: &[u16]) -> Result<[u8; 6], AddressRefusal> {
    let address = plain(text)
        .or_else(|| dashed(text))
        .ok_or(AddressRefusal::NotHexadecimal)?;
    let [first, ..] = address;
    if first & 1 != 0 {
        Err(AddressRefusal::Group)
    } else if address == [0; 6] {
        Err(AddressRefusal::Zero)
    } else {
        Ok(address)
    }
}

fn plain(text: &[u16]) -> Option<[u8; 6]> {
    let (pairs, []) = text.as_chunks::<2>() else {
        return None;
    };
    octets(pairs.iter().copied())
}

fn dashed(text: &[u16]) -> Option<[u8; 6]> {
    let (groups, rest) = text.as_chunks::<3>();
    let [high, low] = *rest else {
        return None;
    };
    if groups.iter().any(|[.., dash]| *dash != DASH) {
        return None;
    }
    let pairs = groups.iter().map(|[high, low, _]| [*high, *low]);
    octets(pairs.chain([[high, low]]))
}

fn octets(mut pairs: impl Iterator<Item = [u16; 2]>) -> Option<[u8; 6]> {
    let mut address = [0; 6];
    for byte in &mut address {
        let [high, low] = pairs.next()?;
        *byte = (digit(high)? << 4) | digit(low)?;
    }
    pairs.next().is_none().then_some(address)
}

fn digit(unit: u16) -> Option<u8> {
    let digit = char::from_u32(u32::from(unit))?.to_digit(16)?;
    u8::try_from(digit).ok()
}

#[cfg(test)]
mod tests {
    extern crate std;

    use std::vec::Vec;

    use super::*;
    use crate::table::NETWORK_ADDRESS;

    fn read(text: &str) -> AddressReading {
        let units: Vec<u16> = text.encode_utf16().collect();
        NETWORK_ADDRESS.read_address(Raw::Text(&units))
    }

    #[test]
    fn twelve_digits_of_a_station_address_are_taken() {
        let address = [0x02, 0x16, 0x3E, 0xAB, 0xCD, 0xEF];
        assert_eq!(read("02163EABCDEF"), AddressReading::Set(address));
        assert_eq!(read("02163eabcdef\0"), AddressReading::Set(address));
        assert_eq!(read("02-16-3E-ab-CD-EF"), AddressReading::Set(address));
    }

    #[test]
    fn absent_or_empty_is_unset() {
        assert_eq!(
            NETWORK_ADDRESS.read_address(Raw::Missing),
            AddressReading::Unset
        );
        assert_eq!(read(""), AddressReading::Unset);
        assert_eq!(read("\0"), AddressReading::Unset);
    }

    #[test]
    fn all_else_is_refused_with_its_reason() {
        for (text, why) in [
            ("02163EABCDE", AddressRefusal::NotHexadecimal),
            ("02163EABCDEF0", AddressRefusal::NotHexadecimal),
            ("02163EABCDEG", AddressRefusal::NotHexadecimal),
            ("02-16-3E-AB-CD-EF-", AddressRefusal::NotHexadecimal),
            ("02-16-3E-AB-CDEF", AddressRefusal::NotHexadecimal),
            ("02-16-3E-AB-CD", AddressRefusal::NotHexadecimal),
            ("02-16-3E-AB-CD-EF-01", AddressRefusal::NotHexadecimal),
            ("0216-3EAB-CDEF", AddressRefusal::NotHexadecimal),
            ("02:16:3E:AB:CD:EF", AddressRefusal::NotHexadecimal),
            ("+2163EABCDEF", AddressRefusal::NotHexadecimal),
            ("01163EABCDEF", AddressRefusal::Group),
            ("FFFFFFFFFFFF", AddressRefusal::Group),
            ("000000000000", AddressRefusal::Zero),
        ] {
            assert_eq!(read(text), AddressReading::Refused(why), "{text}");
        }
        for raw in [Raw::Integer(5), Raw::OtherType] {
            assert_eq!(
                NETWORK_ADDRESS.read_address(raw),
                AddressReading::Refused(AddressRefusal::WrongType)
            );
        }
    }
}
