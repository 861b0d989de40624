//! Captured events, and what `TraceLogging` events say: their metadata describes their payload.

use alloc::string::String;
use alloc::vec::Vec;

/// One captured event.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TraceEvent {
    /// Virtual time, 100 ns units.
    pub time: u64,
    /// The provider's GUID, as in memory.
    pub provider: [u8; 16],
    /// Event id of the descriptor.
    pub id: u16,
    /// Level of the descriptor: 1 critical to 5 verbose.
    pub level: u8,
    /// Keyword of the descriptor.
    pub keyword: u64,
    /// `TraceLogging` metadata of the provider: size, then name.
    pub provider_metadata: Vec<u8>,
    /// `TraceLogging` metadata of the event: size, tags, name, fields.
    pub event_metadata: Vec<u8>,
    /// Payload, all pieces joined.
    pub data: Vec<u8>,
}

/// A field's value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TraceValue {
    /// An unsigned integer.
    Number(u64),
    /// A counted string of bytes.
    Text(String),
}

/// What an event says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decoded {
    /// The provider's name.
    pub provider: String,
    /// The event's name.
    pub name: String,
    /// Names and values.
    pub fields: Vec<(String, TraceValue)>,
}

impl Decoded {
    /// The number in a field.
    #[must_use]
    pub fn number(&self, field: &str) -> Option<u64> {
        self.fields.iter().find_map(|(name, value)| match value {
            TraceValue::Number(number) if name == field => Some(*number),
            _ => None,
        })
    }

    /// The text in a field.
    #[must_use]
    pub fn text(&self, field: &str) -> Option<&str> {
        self.fields.iter().find_map(|(name, value)| match value {
            TraceValue::Text(text) if name == field => Some(text.as_str()),
            _ => None,
        })
    }
}

/// Takes a string that ends with a zero byte.
fn name(bytes: &mut &[u8]) -> Option<String> {
    let end = bytes.iter().position(|byte| *byte == 0)?;
    let text = String::from_utf8(bytes[..end].to_vec()).ok()?;
    *bytes = &bytes[end + 1..];
    Some(text)
}

fn take<'b>(bytes: &mut &'b [u8], count: usize) -> Option<&'b [u8]> {
    let (taken, rest) = bytes.split_at_checked(count)?;
    *bytes = rest;
    Some(taken)
}

/// Metadata without its size, if the size is right.
fn sized(metadata: &[u8]) -> Option<&[u8]> {
    let (size, rest) = metadata.split_first_chunk::<2>()?;
    (usize::from(u16::from_le_bytes(*size)) == metadata.len()).then_some(rest)
}

impl TraceEvent {
    /// Decodes a `TraceLogging` event with fields of unsigned integers and counted strings; `None` when it is none.
    #[must_use]
    pub fn decode(&self) -> Option<Decoded> {
        let mut provider = sized(&self.provider_metadata)?;
        let mut meta = sized(&self.event_metadata)?;
        // Tags: seven bits a byte, the eighth says that another follows.
        while take(&mut meta, 1)?[0] & 0x80 != 0 {}
        let event = name(&mut meta)?;
        let mut data = &self.data[..];
        let mut fields = Vec::new();
        while !meta.is_empty() {
            let field = name(&mut meta)?;
            let kind = take(&mut meta, 1)?[0];
            if kind & 0x80 != 0 {
                // How to show it.
                let _format = take(&mut meta, 1)?;
            }
            // 20 and 21 are the hexadecimal ones.
            let size = match kind & 0x1F {
                4 => 1,
                6 => 2,
                8 | 20 => 4,
                10 | 21 => 8,
                23 => {
                    let count = take(&mut data, 2)?;
                    let count = u16::from_le_bytes([count[0], count[1]]);
                    let text = take(&mut data, count.into())?.to_vec();
                    fields.push((field, TraceValue::Text(String::from_utf8(text).ok()?)));
                    continue;
                }
                _ => return None,
            };
            let bytes = take(&mut data, size)?;
            let number = bytes
                .iter()
                .rev()
                .fold(0, |sum, byte| sum << 8 | u64::from(*byte));
            fields.push((field, TraceValue::Number(number)));
        }
        data.is_empty().then_some(Decoded {
            provider: name(&mut provider)?,
            name: event,
            fields,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{TraceEvent, TraceValue};

    #[test]
    fn an_event_is_decoded_by_its_metadata() {
        let event = TraceEvent {
            provider_metadata: b"\x06\0P.Q\0".to_vec(),
            event_metadata: b"\x0F\0\0Name\0A\0\x08B\0\x17".to_vec(),
            data: [&7_u32.to_le_bytes()[..], b"\x02\0hi"].concat(),
            ..TraceEvent::default()
        };
        let mut event = event;
        let size = u16::try_from(event.event_metadata.len()).expect("short");
        event.event_metadata[..2].copy_from_slice(&size.to_le_bytes());
        let decoded = event.decode().expect("sound");
        assert_eq!(
            (decoded.provider.as_str(), decoded.name.as_str()),
            ("P.Q", "Name")
        );
        assert_eq!(
            (decoded.number("A"), decoded.text("B")),
            (Some(7), Some("hi"))
        );
        assert_eq!(decoded.fields[0].1, TraceValue::Number(7));
        event.data.push(0);
        assert_eq!(event.decode(), None, "bytes are left over");
    }
}
