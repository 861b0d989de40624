//! All settings of an adapter, read at once.

use core::fmt;

use crate::address::{AddressReading, AddressRefusal};
use crate::keyword::{Keyword, Kind};
use crate::reading::{Raw, Reading, Refusal};
use crate::table::{NETWORK_ADDRESS, TABLE};

/// Why a setting is not what the registry says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Remark {
    /// The registry has none. To be expected of an optional keyword; of another only when the
    /// adapter was not installed by its INF file.
    Missing,
    /// The registry's number is not usable.
    Number(Refusal),
    /// The registry's Ethernet address is not usable.
    Address(AddressRefusal),
}

impl fmt::Display for Remark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Missing => "not set",
            Self::Number(Refusal::WrongType) | Self::Address(AddressRefusal::WrongType) => {
                "of the wrong type"
            }
            Self::Number(Refusal::NotANumber) => "no decimal number",
            Self::Number(Refusal::OutOfRange) => "out of range",
            Self::Number(Refusal::OffStep) => "between two steps",
            Self::Number(Refusal::NotAChoice) => "none of its values",
            Self::Address(AddressRefusal::NotHexadecimal) => "no 12 hexadecimal digits",
            Self::Address(AddressRefusal::Group) => "the address of a group",
            Self::Address(AddressRefusal::Zero) => "zero",
        })
    }
}

/// The values in force, one for each keyword of [`TABLE`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// In the table's order; 0 for text.
    numbers: [u32; TABLE.len()],
    network_address: Option<[u8; 6]>,
}

impl Settings {
    /// Reads each keyword of the table once, in its order. `raw` says what the registry holds;
    /// `remark` is told, at most once a keyword, why its value is not used.
    pub fn read<'r>(
        mut raw: impl FnMut(&'static Keyword) -> Raw<'r>,
        mut remark: impl FnMut(&'static Keyword, Remark),
    ) -> Self {
        let mut settings = Self::default();
        for (place, keyword) in settings.numbers.iter_mut().zip(TABLE.iter().copied()) {
            let found = raw(keyword);
            let why = if let Kind::Edit(_) = keyword.kind {
                let reading = keyword.read_address(found);
                if let AddressReading::Set(address) = reading {
                    settings.network_address = Some(address);
                }
                match reading {
                    AddressReading::Set(_) => None,
                    AddressReading::Unset => Some(Remark::Missing),
                    AddressReading::Refused(why) => Some(Remark::Address(why)),
                }
            } else {
                let reading = keyword.read(found);
                *place = reading.value();
                match reading {
                    Reading::Set(_) => None,
                    Reading::Default(_) => Some(Remark::Missing),
                    Reading::Refused(_, why) => Some(Remark::Number(why)),
                }
            };
            if let Some(why) = why {
                remark(keyword, why);
            }
        }
        settings
    }

    /// The value in force of a number or an enumeration. Of a keyword that is only planned, and so
    /// not in the table, it is the default.
    pub fn number(&self, keyword: &Keyword) -> u32 {
        TABLE
            .iter()
            .zip(self.numbers)
            .find(|(row, _)| row.name == keyword.name)
            .map(|(_, number)| number)
            .or(keyword.default())
            .unwrap_or(0)
    }

    /// Whether a keyword of two values, 0 and 1, is 1.
    pub fn is_on(&self, keyword: &Keyword) -> bool {
        self.number(keyword) != 0
    }

    /// The administrator's address (`NetworkAddress`).
    pub const fn network_address(&self) -> Option<[u8; 6]> {
        self.network_address
    }
}

impl Default for Settings {
    /// Every default.
    fn default() -> Self {
        let mut numbers = [0; TABLE.len()];
        for (place, keyword) in numbers.iter_mut().zip(TABLE) {
            *place = keyword.default().unwrap_or(0);
        }
        Self {
            numbers,
            network_address: None,
        }
    }
}

// `Settings::read` takes the one text for the address.
const _: () = {
    let mut texts = 0;
    let mut rows: &[&Keyword] = TABLE;
    while let [first, rest @ ..] = rows {
        if matches!(first.kind, Kind::Edit(_)) {
            texts += 1;
        }
        rows = rest;
    }
    assert!(texts == 1 && matches!(NETWORK_ADDRESS.kind, Kind::Edit(_)));
};

#[cfg(test)]
mod tests {
    extern crate std;

    use std::string::ToString;
    use std::vec::Vec;

    use super::*;
    use crate::table;

    #[test]
    fn every_keyword_is_read_once_and_remarked_on_once() {
        let (mut read, mut remarks) = (Vec::new(), Vec::new());
        let settings = Settings::read(
            |keyword| {
                read.push(keyword.name);
                Raw::OtherType
            },
            |keyword, why| {
                assert_eq!(why.to_string(), "of the wrong type");
                remarks.push(keyword.name);
            },
        );
        let all: Vec<&str> = TABLE.iter().map(|keyword| keyword.name).collect();
        assert_eq!(read, all);
        assert_eq!(remarks, all);
        assert_eq!(settings, Settings::default());
    }

    #[test]
    fn what_is_set_is_in_force_without_remark() {
        let address: Vec<u16> = "02163EABCDEF".encode_utf16().collect();
        let settings = Settings::read(
            |keyword| match keyword.name {
                "NetworkAddress" => Raw::Text(&address),
                "*JumboPacket" => Raw::Integer(9014),
                "*RSS" => Raw::Integer(0),
                _ => Raw::Missing,
            },
            |keyword, why| {
                assert_eq!(why, Remark::Missing);
                assert!(!["NetworkAddress", "*JumboPacket", "*RSS"].contains(&keyword.name));
            },
        );
        assert_eq!(settings.number(&table::JUMBO_PACKET), 9014);
        assert!(!settings.is_on(&table::RSS));
        assert_eq!(settings.number(&table::VLAN_ID), 0);
        assert_eq!(
            settings.network_address(),
            Some([2, 0x16, 0x3E, 0xAB, 0xCD, 0xEF])
        );
    }

    #[test]
    fn a_planned_keyword_has_its_default() {
        const PLANNED: Keyword = Keyword::int("NotInTheTable", "", 7, (1, 9));
        assert_eq!(Settings::default().number(&PLANNED), 7);
    }
}
