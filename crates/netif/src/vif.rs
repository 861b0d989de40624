//! What the toolstack says about a vif, in the frontend's directory.

use core::fmt;

use crate::number::{NumberError, bit_rate, decimal_u32, flag};

/// Smallest MTU taken from XenStore: what IPv4 needs (RFC 791).
pub const MIN_MTU: u16 = 68;
/// Largest MTU: Linux netback's, a 64 KiB packet with Ethernet header and VLAN tag.
pub const MAX_MTU: u16 = 65_517;
/// MTU when nothing is said.
pub const DEFAULT_MTU: u16 = 1500;
/// Slowest link that is believed, in bits per second.
pub const MIN_SPEED: u64 = 1_000_000;
/// Fastest link that is believed, in bits per second.
pub const MAX_SPEED: u64 = 1_000_000_000_000;
/// First domain number that is no real domain (`DOMID_FIRST_RESERVED`).
pub const FIRST_RESERVED_DOMAIN: u16 = 0x7FF0;

/// An Ethernet address a station can have: not multicast, not zero.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct MacAddress([u8; 6]);

/// Why a value is not a station's Ethernet address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MacError {
    /// Not six pairs of hexadecimal digits with colons between them.
    Syntax,
    /// A group address.
    Multicast,
    /// All zeroes.
    Zero,
}

impl MacAddress {
    /// From its bytes.
    pub fn new(bytes: [u8; 6]) -> Result<Self, MacError> {
        let [first, ..] = bytes;
        if bytes == [0; 6] {
            Err(MacError::Zero)
        } else if first & 1 != 0 {
            Err(MacError::Multicast)
        } else {
            Ok(Self(bytes))
        }
    }

    /// From `xx:xx:xx:xx:xx:xx`.
    pub fn parse(text: &[u8]) -> Result<Self, MacError> {
        let mut bytes = [0; 6];
        let mut pairs = text.split(|&byte| byte == b':');
        for byte in &mut bytes {
            let &[high, low] = pairs.next().ok_or(MacError::Syntax)? else {
                return Err(MacError::Syntax);
            };
            *byte = (hex(high)? << 4) | hex(low)?;
        }
        match pairs.next() {
            None => Self::new(bytes),
            Some(_) => Err(MacError::Syntax),
        }
    }

    /// Its bytes.
    pub fn bytes(self) -> [u8; 6] {
        self.0
    }
}

fn hex(digit: u8) -> Result<u8, MacError> {
    match digit {
        b'0'..=b'9' => Ok(digit & 0xF),
        b'a'..=b'f' | b'A'..=b'F' => Ok((digit & 0xF).wrapping_add(9)),
        _ => Err(MacError::Syntax),
    }
}

impl fmt::Display for MacAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (nth, byte) in self.0.into_iter().enumerate() {
            let colon = if nth == 0 { "" } else { ":" };
            write!(f, "{colon}{byte:02x}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for MacAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// What is wrong with a value; the setting then keeps its default.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ValueError {
    /// Not a number in range.
    Number(NumberError),
    /// Not an Ethernet address.
    Mac(MacError),
}

/// The toolstack's settings of a vif, read once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VifSettings {
    /// Ethernet address, when a usable one is given.
    pub mac: Option<MacAddress>,
    /// MTU in bytes, [`MIN_MTU`]`..=`[`MAX_MTU`].
    pub mtu: u16,
    /// Whether the backend may see whole pages of the guest (`trusted`; absent means yes).
    pub trusted: bool,
    /// Whether the operator pulled the cable (`disconnect`, of XAPI).
    pub cable_pulled: bool,
    /// Link speed in bits per second, when given; [`MIN_SPEED`]`..=`[`MAX_SPEED`].
    pub speed: Option<u64>,
}

impl Default for VifSettings {
    fn default() -> Self {
        Self {
            mac: None,
            mtu: DEFAULT_MTU,
            trusted: true,
            cable_pulled: false,
            speed: None,
        }
    }
}

impl VifSettings {
    /// The keys that [`VifSettings::read`] looks up.
    pub const KEYS: [&str; 5] = ["mac", "mtu", "trusted", "disconnect", "speed"];

    /// Reads the settings; `lookup` gives the value of a key of the frontend's directory, and
    /// `rejected` is told what was there but was not usable. Numbers beyond the range are clamped.
    /// A `trusted` that cannot be read means no.
    pub fn read<V: AsRef<[u8]>>(
        mut lookup: impl FnMut(&'static str) -> Option<V>,
        mut rejected: impl FnMut(&'static str, ValueError),
    ) -> Self {
        let mut settings = Self::default();
        for key in Self::KEYS {
            let Some(value) = lookup(key) else { continue };
            if let Err(error) = settings.set(key, value.as_ref()) {
                rejected(key, error);
            }
        }
        settings
    }

    fn set(&mut self, key: &str, value: &[u8]) -> Result<(), ValueError> {
        match key {
            "mac" => self.mac = Some(MacAddress::parse(value).map_err(ValueError::Mac)?),
            "mtu" => {
                let mtu = decimal_u32(value, u32::MAX).map_err(ValueError::Number)?;
                self.mtu = u16::try_from(mtu)
                    .unwrap_or(MAX_MTU)
                    .clamp(MIN_MTU, MAX_MTU);
            }
            "trusted" => {
                self.trusted = false;
                self.trusted = flag(value).map_err(ValueError::Number)?;
            }
            "disconnect" => self.cable_pulled = flag(value).map_err(ValueError::Number)?,
            "speed" => {
                let speed = bit_rate(value).map_err(ValueError::Number)?;
                self.speed = Some(speed.clamp(MIN_SPEED, MAX_SPEED));
            }
            _ => {}
        }
        Ok(())
    }
}

/// Reads `backend-id`: a number of a real domain.
pub fn backend_id(value: &[u8]) -> Result<u16, NumberError> {
    let last = FIRST_RESERVED_DOMAIN.saturating_sub(1);
    u16::try_from(decimal_u32(value, last.into())?).map_err(|_| NumberError::OutOfRange)
}

#[cfg(test)]
mod tests {
    use std::string::ToString;
    use std::vec::Vec;

    use super::*;

    fn read(keys: &[(&str, &'static str)]) -> (VifSettings, Vec<(&'static str, ValueError)>) {
        let mut rejected = Vec::new();
        let settings = VifSettings::read(
            |key| {
                keys.iter()
                    .find(|(name, _)| *name == key)
                    .map(|(_, value)| *value)
            },
            |key, error| rejected.push((key, error)),
        );
        (settings, rejected)
    }

    #[test]
    fn addresses_are_six_pairs_of_a_station() {
        let mac = MacAddress::parse(b"00:16:3e:0A:b9:ff").unwrap();
        assert_eq!(mac.bytes(), [0, 0x16, 0x3E, 0x0A, 0xB9, 0xFF]);
        assert_eq!(mac.to_string(), "00:16:3e:0a:b9:ff");
        for junk in [
            "",
            "00:16:3e:0a:b9",
            "00:16:3e:0a:b9:ff:00",
            "00:16:3e:0a:b9:f",
            "00-16-3e-0a-b9-ff",
            "00:16:3e:0a:b9:fg",
            "00:16:3e:0a:b9:ff ",
            " 0:16:3e:0a:b9:ff",
            "00:16:3e:0a:b9:ff:",
        ] {
            assert_eq!(
                MacAddress::parse(junk.as_bytes()),
                Err(MacError::Syntax),
                "{junk:?}"
            );
        }
        assert_eq!(
            MacAddress::parse(b"01:00:5e:00:00:01"),
            Err(MacError::Multicast)
        );
        assert_eq!(MacAddress::parse(b"00:00:00:00:00:00"), Err(MacError::Zero));
    }

    #[test]
    fn silence_means_the_defaults() {
        assert_eq!(read(&[]), (VifSettings::default(), Vec::new()));
    }

    #[test]
    fn settings_are_read_and_clamped() {
        let (settings, rejected) = read(&[
            ("mac", "00:16:3e:00:00:01"),
            ("mtu", "70000"),
            ("trusted", "0"),
            ("disconnect", "1"),
            ("speed", "9999G"),
        ]);
        assert!(rejected.is_empty());
        assert_eq!(settings.mac.unwrap().bytes()[5], 1);
        assert_eq!((settings.mtu, settings.speed), (MAX_MTU, Some(MAX_SPEED)));
        assert!(!settings.trusted && settings.cable_pulled);
        assert_eq!(read(&[("mtu", "5")]).0.mtu, MIN_MTU);
        assert_eq!(read(&[("mtu", "9000")]).0.mtu, 9000);
    }

    #[test]
    fn junk_is_reported_and_falls_to_the_safe_side() {
        let (settings, rejected) = read(&[
            ("mac", "junk"),
            ("mtu", "-1"),
            ("trusted", "maybe"),
            ("speed", "fast"),
        ]);
        assert_eq!(rejected.len(), 4);
        assert_eq!(
            (settings.mac, settings.mtu, settings.speed),
            (None, DEFAULT_MTU, None)
        );
        assert!(!settings.trusted);
    }

    #[test]
    fn a_backend_is_a_real_domain() {
        assert_eq!(backend_id(b"0"), Ok(0));
        assert_eq!(backend_id(b"32751"), Ok(0x7FEF));
        assert_eq!(backend_id(b"32752"), Err(NumberError::OutOfRange));
        assert_eq!(backend_id(b""), Err(NumberError::Empty));
    }
}
