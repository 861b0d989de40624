//! UTF-16 strings as the kernel wants them.

use core::fmt::{self, Write};
use core::marker::PhantomData;

use wdk_sys::UNICODE_STRING;

/// Most UTF-16 units a `UNICODE_STRING` can count (its length is in bytes, in 16 bits).
pub const MAX_UNITS: usize = 0x7fff;

/// A borrowed UTF-16 string of at most [`MAX_UNITS`] units, without a terminator.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct UnicodeStr<'a> {
    units: &'a [u16],
}

impl<'a> UnicodeStr<'a> {
    /// The empty string.
    pub const EMPTY: Self = Self { units: &[] };

    /// A view of `units`; none when there are more than [`MAX_UNITS`].
    pub const fn new(units: &'a [u16]) -> Option<Self> {
        if units.len() <= MAX_UNITS {
            Some(Self { units })
        } else {
            None
        }
    }

    /// A view of `units`, for [`utf16!`](crate::utf16).
    ///
    /// # Panics
    /// When there are more than [`MAX_UNITS`]: at build time.
    #[doc(hidden)]
    pub const fn literal(units: &'a [u16]) -> Self {
        assert!(units.len() <= MAX_UNITS, "literal too long");
        Self { units }
    }

    /// A view of the kernel's string.
    ///
    /// # Safety
    /// `raw` points to a `UNICODE_STRING` whose buffer holds its length and does not change for
    /// `'a`.
    pub unsafe fn from_raw(raw: *const UNICODE_STRING) -> Self {
        // SAFETY: by the contract.
        let raw = unsafe { raw.read() };
        let len = usize::from(raw.Length >> 1);
        if raw.Buffer.is_null() || len == 0 {
            return Self::EMPTY;
        }
        Self {
            // SAFETY: by the contract the buffer holds the length, in bytes.
            units: unsafe { core::slice::from_raw_parts(raw.Buffer, len) },
        }
    }

    /// The units.
    pub const fn units(self) -> &'a [u16] {
        self.units
    }

    /// The string as the kernel's functions take it.
    pub fn to_raw(self) -> RawUnicode<'a> {
        // At most MAX_UNITS, so twice that fits.
        let bytes = u16::try_from(self.units.len())
            .unwrap_or(0)
            .saturating_mul(2);
        RawUnicode {
            raw: UNICODE_STRING {
                Length: bytes,
                MaximumLength: bytes,
                Buffer: self.units.as_ptr().cast_mut(),
            },
            units: PhantomData,
        }
    }
}

impl fmt::Display for UnicodeStr<'_> {
    /// Unpaired surrogates show as U+FFFD.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        char::decode_utf16(self.units.iter().copied())
            .try_for_each(|unit| f.write_char(unit.unwrap_or(char::REPLACEMENT_CHARACTER)))
    }
}

impl fmt::Debug for UnicodeStr<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{self}\"")
    }
}

/// A `UNICODE_STRING` over borrowed units, for functions that do not write to it.
pub struct RawUnicode<'a> {
    raw: UNICODE_STRING,
    units: PhantomData<&'a [u16]>,
}

impl RawUnicode<'_> {
    /// The pointer for the kernel; valid as long as this value.
    pub fn as_mut_ptr(&mut self) -> *mut UNICODE_STRING {
        &raw mut self.raw
    }
}

impl fmt::Debug for RawUnicode<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RawUnicode")
            .field("bytes", &self.raw.Length)
            .finish_non_exhaustive()
    }
}

/// UTF-16 text of at most `N` units, written with `write!`. Text past the end is cut off at a
/// character and remembered in [`UnicodeBuffer::is_cut`].
#[derive(Clone)]
pub struct UnicodeBuffer<const N: usize> {
    units: [u16; N],
    len: usize,
    cut: bool,
}

impl<const N: usize> UnicodeBuffer<N> {
    /// An empty buffer.
    pub const fn new() -> Self {
        const {
            assert!(
                N <= MAX_UNITS,
                "a UNICODE_STRING cannot count that many units"
            );
        };
        Self {
            units: [0; N],
            len: 0,
            cut: false,
        }
    }

    /// Adds a NUL, as ids and lists of ids need.
    pub fn push_nul(&mut self) {
        self.push(&[0]);
    }

    /// Whether some of the text did not fit.
    pub const fn is_cut(&self) -> bool {
        self.cut
    }

    /// The text so far.
    pub fn as_str(&self) -> UnicodeStr<'_> {
        UnicodeStr {
            units: self.units.get(..self.len).unwrap_or(&[]),
        }
    }

    fn push(&mut self, units: &[u16]) {
        let end = self.len.saturating_add(units.len());
        match self.units.get_mut(self.len..end) {
            Some(room) if !self.cut => {
                room.copy_from_slice(units);
                self.len = end;
            }
            _ => self.cut = true,
        }
    }
}

impl<const N: usize> Default for UnicodeBuffer<N> {
    fn default() -> Self {
        Self::new()
    }
}

impl<const N: usize> Write for UnicodeBuffer<N> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for character in text.chars() {
            self.push(character.encode_utf16(&mut [0; 2]));
        }
        if self.cut { Err(fmt::Error) } else { Ok(()) }
    }
}

impl<const N: usize> fmt::Debug for UnicodeBuffer<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_str().fmt(f)
    }
}

/// A [`UnicodeStr`] of a string literal, encoded at build time.
#[macro_export]
macro_rules! utf16 {
    ($text:literal) => {{
        const UNITS: [u16; $crate::unicode::encoded_len($text)] = $crate::unicode::encode($text);
        const TEXT: $crate::unicode::UnicodeStr<'static> =
            $crate::unicode::UnicodeStr::literal(&UNITS);
        TEXT
    }};
}

/// UTF-16 units of `text`, for [`utf16!`](crate::utf16).
#[doc(hidden)]
#[expect(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "evaluated at build time, where a panic is an error message"
)]
pub const fn encoded_len(text: &str) -> usize {
    let bytes = text.as_bytes();
    let (mut at, mut units) = (0, 0);
    while at < bytes.len() {
        // Continuation bytes start no character; four-byte characters take two units.
        units += match bytes[at] {
            0x80..=0xbf => 0,
            0xf0..=0xff => 2,
            _ => 1,
        };
        at += 1;
    }
    units
}

/// `text` in UTF-16, for [`utf16!`](crate::utf16). `N` is [`encoded_len`] of it.
#[doc(hidden)]
#[expect(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    reason = "evaluated at build time, where a panic is an error message; units are masked"
)]
pub const fn encode<const N: usize>(text: &str) -> [u16; N] {
    let bytes = text.as_bytes();
    let mut units = [0; N];
    let (mut at, mut out) = (0, 0);
    while at < bytes.len() {
        let first = bytes[at] as u32;
        let (mut code, more) = match bytes[at] {
            0x00..=0x7f => (first, 0),
            0x80..=0xdf => (first & 0x1f, 1),
            0xe0..=0xef => (first & 0x0f, 2),
            0xf0..=0xff => (first & 0x07, 3),
        };
        at += 1;
        let end = at + more;
        while at < end {
            code = code << 6 | (bytes[at] as u32 & 0x3f);
            at += 1;
        }
        if code >= 0x1_0000 {
            let offset = code - 0x1_0000;
            units[out] = 0xd800 | (offset >> 10) as u16;
            units[out + 1] = 0xdc00 | (offset & 0x3ff) as u16;
            out += 2;
        } else {
            units[out] = code as u16;
            out += 1;
        }
    }
    units
}

#[cfg(test)]
mod tests {
    use core::fmt::Write;
    use std::string::ToString;
    use std::vec::Vec;

    use super::{MAX_UNITS, UnicodeBuffer, UnicodeStr, encode, encoded_len};

    #[test]
    fn literals_are_encoded_as_std_does() {
        const TEXT: &str = "Aß€😀z";
        const UNITS: [u16; encoded_len(TEXT)] = encode(TEXT);
        assert_eq!(UNITS.to_vec(), TEXT.encode_utf16().collect::<Vec<_>>());
        assert_eq!(crate::utf16!("Aß€😀z").to_string(), TEXT);
        assert_eq!(crate::utf16!("").units(), [0_u16; 0]);
    }

    #[test]
    fn a_string_crosses_the_kernels_form() {
        let mut raw = crate::utf16!("Parameters").to_raw();
        // SAFETY: made just now over a constant.
        let back = unsafe { UnicodeStr::from_raw(raw.as_mut_ptr()) };
        assert_eq!(back, crate::utf16!("Parameters"));
        let mut raw = UnicodeStr::EMPTY.to_raw();
        // SAFETY: as above.
        let back = unsafe { UnicodeStr::from_raw(raw.as_mut_ptr()) };
        assert_eq!(back, UnicodeStr::EMPTY);
    }

    #[test]
    fn an_odd_byte_length_counts_whole_units() {
        let units = [0x41, 0x42];
        let raw = wdk_sys::UNICODE_STRING {
            Length: 3,
            MaximumLength: 4,
            Buffer: units.as_ptr().cast_mut(),
        };
        // SAFETY: the buffer holds the length.
        let text = unsafe { UnicodeStr::from_raw(&raw const raw) };
        assert_eq!(text.units(), [0x41]);
    }

    #[test]
    fn a_view_is_never_longer_than_the_kernel_can_count() {
        let units = std::vec![0; MAX_UNITS + 1];
        assert!(UnicodeStr::new(&units).is_none());
        assert_eq!(
            UnicodeStr::new(&units[1..]).unwrap().units().len(),
            MAX_UNITS
        );
    }

    #[test]
    fn text_is_formatted_and_terminated() {
        let mut buffer = UnicodeBuffer::<16>::new();
        write!(buffer, "XENBUS\\VIF{}", 12).unwrap();
        buffer.push_nul();
        assert_eq!(buffer.as_str().to_string(), "XENBUS\\VIF12\0");
        assert!(!buffer.is_cut());
    }

    #[test]
    fn text_that_does_not_fit_is_cut_at_a_character() {
        let mut buffer = UnicodeBuffer::<3>::new();
        assert!(write!(buffer, "ab😀c").is_err());
        assert_eq!(buffer.as_str().to_string(), "ab");
        assert!(buffer.is_cut());
        assert!(write!(buffer, "c").is_err(), "nothing is added after a cut");
        assert_eq!(buffer.as_str().to_string(), "ab");
    }

    #[test]
    fn broken_utf16_prints_as_replacement_characters() {
        assert_eq!(
            UnicodeStr::new(&[0x41, 0xd800]).unwrap().to_string(),
            "A\u{fffd}"
        );
    }
}
