//! Messages on the wire (`io/xs_wire.h`): a 16-byte header of four little-endian words, then a payload.
//!
//! ```text
//!  0      4        8       12     16
//!  | type | req_id | tx_id | len | payload: len bytes, at most 4096 |
//! ```
//!
//! Views are checked when they are made; their accessors cannot fail afterwards.

use xen_abi::xs_wire::XENSTORE_PAYLOAD_MAX;
pub use xen_abi::xs_wire::XsType;

use crate::number::{self, NumberError};

/// Bytes in a header.
pub const HEADER_LEN: usize = 16;
/// Most bytes after the header, in either direction.
pub const PAYLOAD_MAX: usize = XENSTORE_PAYLOAD_MAX;
/// Bytes in the longest message.
pub const MESSAGE_MAX: usize = HEADER_LEN.saturating_add(PAYLOAD_MAX);

/// A header as a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// What the message is.
    pub kind: XsType,
    /// Chosen by the client, echoed in the reply; 0 in watch events.
    pub req_id: u32,
    /// Transaction the request belongs to; 0 for none.
    pub tx_id: u32,
    /// Bytes of payload. [`Header::parse`] guarantees at most [`PAYLOAD_MAX`].
    pub len: u32,
}

/// The header names more than [`PAYLOAD_MAX`] bytes: the stream cannot be followed any further.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PayloadTooLong {
    /// The length named.
    pub len: u32,
}

impl Header {
    /// Reads a header and checks its length field.
    pub fn parse(bytes: &[u8; HEADER_LEN]) -> Result<Self, PayloadTooLong> {
        let [
            a0,
            a1,
            a2,
            a3,
            b0,
            b1,
            b2,
            b3,
            c0,
            c1,
            c2,
            c3,
            d0,
            d1,
            d2,
            d3,
        ] = *bytes;
        let header = Self {
            kind: XsType(u32::from_le_bytes([a0, a1, a2, a3])),
            req_id: u32::from_le_bytes([b0, b1, b2, b3]),
            tx_id: u32::from_le_bytes([c0, c1, c2, c3]),
            len: u32::from_le_bytes([d0, d1, d2, d3]),
        };
        if header.payload_len() > PAYLOAD_MAX {
            return Err(PayloadTooLong { len: header.len });
        }
        Ok(header)
    }

    /// The header as it travels.
    pub fn emit(&self) -> [u8; HEADER_LEN] {
        let [a0, a1, a2, a3] = self.kind.0.to_le_bytes();
        let [b0, b1, b2, b3] = self.req_id.to_le_bytes();
        let [c0, c1, c2, c3] = self.tx_id.to_le_bytes();
        let [d0, d1, d2, d3] = self.len.to_le_bytes();
        [
            a0, a1, a2, a3, b0, b1, b2, b3, c0, c1, c2, c3, d0, d1, d2, d3,
        ]
    }

    /// The length of the payload in bytes.
    pub fn payload_len(&self) -> usize {
        usize::try_from(self.len).unwrap_or(usize::MAX)
    }
}

/// The payload does not have the form its type prescribes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed;

impl From<NumberError> for Malformed {
    fn from(_: NumberError) -> Self {
        Self
    }
}

/// Splits `payload` behind its first NUL; the NUL belongs to neither half.
fn split_string(payload: &[u8]) -> Result<(&[u8], &[u8]), Malformed> {
    let nul = payload
        .iter()
        .position(|byte| *byte == 0)
        .ok_or(Malformed)?;
    let (text, rest) = payload.split_at_checked(nul).ok_or(Malformed)?;
    let (_, rest) = rest.split_first().ok_or(Malformed)?;
    Ok((text, rest))
}

/// A watch event: `path|token|` (newer daemons may append more strings).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WatchEvent<'a> {
    /// The key that changed: the watched one or one below it.
    pub path: &'a [u8],
    /// The token given at registration.
    pub token: &'a [u8],
}

impl<'a> WatchEvent<'a> {
    /// Checks and splits a payload.
    pub fn parse(payload: &'a [u8]) -> Result<Self, Malformed> {
        let (path, rest) = split_string(payload)?;
        let (token, _) = split_string(rest)?;
        Ok(Self { path, token })
    }
}

/// NUL-terminated strings one after another, checked to end with a NUL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Strings<'a>(&'a [u8]);

impl<'a> Strings<'a> {
    /// Checks that `payload` is empty or ends with a NUL.
    pub fn parse(payload: &'a [u8]) -> Result<Self, Malformed> {
        match payload.last() {
            None | Some(0) => Ok(Self(payload)),
            Some(_) => Err(Malformed),
        }
    }
}

impl<'a> Iterator for Strings<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let (text, rest) = split_string(self.0).ok()?;
        self.0 = rest;
        Some(text)
    }
}

/// One answer to `DIRECTORY_PART`: `gencnt|name|name|..`, an empty name after the last child.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DirectoryPart<'a> {
    /// Generation of the directory; pieces of different generations do not fit together.
    pub generation: u64,
    /// The names of this piece, each with its NUL.
    pub names: &'a [u8],
    /// Whether the directory ends with this piece.
    pub last: bool,
}

impl<'a> DirectoryPart<'a> {
    /// Checks and splits a payload.
    pub fn parse(payload: &'a [u8]) -> Result<Self, Malformed> {
        let (generation, rest) = split_string(payload)?;
        let generation = number::parse_u64(generation)?;
        // The empty string that ends the list is a NUL at the start or behind another NUL.
        let (names, last) = match rest {
            [0] => (rest.get(..0).ok_or(Malformed)?, true),
            [names @ .., 0, 0] => (
                rest.get(..names.len().saturating_add(1)).ok_or(Malformed)?,
                true,
            ),
            [.., 0] => (rest, false),
            _ => return Err(Malformed),
        };
        Ok(Self {
            generation,
            names,
            last,
        })
    }
}

/// What a permission entry allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// `n`
    None,
    /// `r`
    Read,
    /// `w`
    Write,
    /// `b`
    Both,
}

/// One permission entry, such as `b0`. The first entry of a key names its owner and the default.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Permission {
    /// What is allowed.
    pub access: Access,
    /// To which domain.
    pub domid: u16,
}

impl Permission {
    /// Reads one entry, without its NUL.
    pub fn parse(text: &[u8]) -> Result<Self, Malformed> {
        let (access, domid) = text.split_first().ok_or(Malformed)?;
        let access = match access {
            b'n' => Access::None,
            b'r' => Access::Read,
            b'w' => Access::Write,
            b'b' => Access::Both,
            _ => return Err(Malformed),
        };
        Ok(Self {
            access,
            domid: number::parse_u16(domid)?,
        })
    }

    /// The letter of the entry.
    pub fn letter(self) -> u8 {
        match self.access {
            Access::None => b'n',
            Access::Read => b'r',
            Access::Write => b'w',
            Access::Both => b'b',
        }
    }
}

#[cfg(test)]
mod tests {
    use std::vec::Vec;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn header_bytes_are_four_little_endian_words() {
        let header = Header {
            kind: XsType::WRITE,
            req_id: 0x0102_0304,
            tx_id: 5,
            len: 4096,
        };
        let bytes = header.emit();
        assert_eq!(bytes, [11, 0, 0, 0, 4, 3, 2, 1, 5, 0, 0, 0, 0, 16, 0, 0]);
        assert_eq!(Header::parse(&bytes), Ok(header));
    }

    #[test]
    fn a_payload_of_4097_bytes_is_refused() {
        let header = Header {
            kind: XsType::READ,
            req_id: 1,
            tx_id: 0,
            len: 4097,
        };
        assert_eq!(
            Header::parse(&header.emit()),
            Err(PayloadTooLong { len: 4097 })
        );
    }

    #[test]
    fn watch_events_need_two_terminated_strings() {
        let event = WatchEvent::parse(b"device/vif\x00123\x00").unwrap();
        assert_eq!((event.path, event.token), (&b"device/vif"[..], &b"123"[..]));
        assert!(WatchEvent::parse(b"device/vif\x00123\x00extra\x00").is_ok());
        assert_eq!(WatchEvent::parse(b"device/vif\x00123"), Err(Malformed));
        assert_eq!(WatchEvent::parse(b"device/vif"), Err(Malformed));
        assert_eq!(WatchEvent::parse(b""), Err(Malformed));
    }

    #[test]
    fn strings_are_split_at_nuls() {
        let names: Vec<&[u8]> = Strings::parse(b"0\x001\x0010\x00").unwrap().collect();
        assert_eq!(names, [&b"0"[..], b"1", b"10"]);
        assert_eq!(Strings::parse(b"").unwrap().count(), 0);
        assert_eq!(Strings::parse(b"0\x001"), Err(Malformed));
    }

    #[test]
    fn the_last_directory_part_ends_with_an_empty_name() {
        let part = DirectoryPart::parse(b"42\x00a\x00bc\x00").unwrap();
        assert_eq!(
            part,
            DirectoryPart {
                generation: 42,
                names: b"a\x00bc\x00",
                last: false
            }
        );
        let part = DirectoryPart::parse(b"42\x00bc\x00\x00").unwrap();
        assert_eq!(
            part,
            DirectoryPart {
                generation: 42,
                names: b"bc\x00",
                last: true
            }
        );
        let part = DirectoryPart::parse(b"42\x00\x00").unwrap();
        assert_eq!(
            part,
            DirectoryPart {
                generation: 42,
                names: b"",
                last: true
            }
        );
        assert_eq!(DirectoryPart::parse(b"42\x00"), Err(Malformed));
        assert_eq!(DirectoryPart::parse(b"x\x00a\x00"), Err(Malformed));
        assert_eq!(DirectoryPart::parse(b"42\x00a"), Err(Malformed));
    }

    #[test]
    fn permissions_are_a_letter_and_a_domain() {
        assert_eq!(
            Permission::parse(b"b0"),
            Ok(Permission {
                access: Access::Both,
                domid: 0
            })
        );
        assert_eq!(Permission::parse(b"r12").unwrap().letter(), b'r');
        for bad in [&b""[..], b"b", b"x0", b"b-1", b"b65536"] {
            assert_eq!(Permission::parse(bad), Err(Malformed));
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig {
            cases: if cfg!(miri) { 4 } else { 512 }, failure_persistence: None, ..ProptestConfig::default()
        })]

        #[test]
        fn no_payload_makes_a_view_panic(payload in proptest::collection::vec(any::<u8>(), 0..64)) {
            let _ = WatchEvent::parse(&payload);
            let _ = DirectoryPart::parse(&payload);
            let _ = Permission::parse(&payload);
            if let Ok(strings) = Strings::parse(&payload) {
                let bytes: usize = strings.map(|text| text.len() + 1).sum();
                prop_assert_eq!(bytes, payload.len());
            }
        }

        #[test]
        fn any_header_that_parses_is_emitted_unchanged(bytes: [u8; 16]) {
            if let Ok(header) = Header::parse(&bytes) {
                prop_assert_eq!(header.emit(), bytes);
            }
        }
    }
}
