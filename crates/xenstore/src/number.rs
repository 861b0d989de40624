//! Numbers out of `XenStore` values, read strictly.
//!
//! A value is text another domain wrote. Decimal digits only: no sign, no space, no trailing NUL, no base
//! prefix, and never more characters than the largest number of the type has.

/// Why a value is not a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NumberError {
    /// No characters at all.
    Empty,
    /// Starts with `+` or `-`.
    Signed,
    /// Holds a character that is not a decimal digit.
    NotDigit,
    /// More characters than any number of the type has, so not worth reading.
    TooLong,
    /// Larger than the type, or than the limit the caller named.
    Overflow,
}

/// Digits in `u64::MAX`.
const U64_DIGITS: usize = 20;
/// Digits in `u32::MAX`.
const U32_DIGITS: usize = 10;
/// Digits in `u16::MAX`.
const U16_DIGITS: usize = 5;

fn parse(text: &[u8], digits: usize, max: u64) -> Result<u64, NumberError> {
    match text.first() {
        None => return Err(NumberError::Empty),
        Some(b'+' | b'-') => return Err(NumberError::Signed),
        Some(_) => {}
    }
    if text.len() > digits {
        return Err(NumberError::TooLong);
    }
    let mut value: u64 = 0;
    for &byte in text {
        let digit = byte
            .checked_sub(b'0')
            .filter(|digit| *digit <= 9)
            .ok_or(NumberError::NotDigit)?;
        value = value
            .checked_mul(10)
            .and_then(|value| value.checked_add(u64::from(digit)))
            .ok_or(NumberError::Overflow)?;
    }
    if value > max {
        Err(NumberError::Overflow)
    } else {
        Ok(value)
    }
}

/// Reads an unsigned 64-bit decimal number.
pub fn parse_u64(text: &[u8]) -> Result<u64, NumberError> {
    parse(text, U64_DIGITS, u64::MAX)
}

/// Reads an unsigned 32-bit decimal number.
pub fn parse_u32(text: &[u8]) -> Result<u32, NumberError> {
    let value = parse(text, U32_DIGITS, u64::from(u32::MAX))?;
    u32::try_from(value).map_err(|_| NumberError::Overflow)
}

/// Reads an unsigned 16-bit decimal number.
pub fn parse_u16(text: &[u8]) -> Result<u16, NumberError> {
    let value = parse(text, U16_DIGITS, u64::from(u16::MAX))?;
    u16::try_from(value).map_err(|_| NumberError::Overflow)
}

/// Reads the id of a real domain: below `DOMID_FIRST_RESERVED` (0x7FF0, xen.h).
pub fn parse_domid(text: &[u8]) -> Result<u16, NumberError> {
    let domid = parse_u16(text)?;
    if domid < 0x7FF0 {
        Ok(domid)
    } else {
        Err(NumberError::Overflow)
    }
}

/// Reads a feature flag: any number but 0 means the feature is there.
pub fn parse_flag(text: &[u8]) -> Result<bool, NumberError> {
    Ok(parse_u32(text)? != 0)
}

/// A number as decimal text, without allocation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decimal {
    text: [u8; U64_DIGITS],
    start: usize,
}

impl Decimal {
    /// The decimal text of `value`.
    pub fn new(value: u64) -> Self {
        let mut text = [b'0'; U64_DIGITS];
        let mut start = U64_DIGITS;
        let mut rest = value;
        for (at, cell) in text.iter_mut().enumerate().rev() {
            let digit = u8::try_from(rest % 10).unwrap_or(0);
            *cell = b'0'.saturating_add(digit);
            start = at;
            rest /= 10;
            if rest == 0 {
                break;
            }
        }
        Self { text, start }
    }

    /// The digits, no leading zero.
    pub fn as_bytes(&self) -> &[u8] {
        self.text.get(self.start..).unwrap_or_default()
    }

    /// The digits as a string.
    pub fn as_str(&self) -> &str {
        core::str::from_utf8(self.as_bytes()).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use std::string::ToString;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn limits_of_each_type_are_read_and_one_more_is_not() {
        assert_eq!(parse_u64(b"18446744073709551615"), Ok(u64::MAX));
        assert_eq!(
            parse_u64(b"18446744073709551616"),
            Err(NumberError::Overflow)
        );
        assert_eq!(parse_u32(b"4294967295"), Ok(u32::MAX));
        assert_eq!(parse_u32(b"4294967296"), Err(NumberError::Overflow));
        assert_eq!(parse_u16(b"65535"), Ok(u16::MAX));
        assert_eq!(parse_u16(b"65536"), Err(NumberError::Overflow));
        assert_eq!(parse_domid(b"32751"), Ok(0x7FEF));
        assert_eq!(parse_domid(b"32752"), Err(NumberError::Overflow));
    }

    #[test]
    fn anything_but_digits_is_refused_with_its_reason() {
        assert_eq!(parse_u32(b""), Err(NumberError::Empty));
        assert_eq!(parse_u32(b"-1"), Err(NumberError::Signed));
        assert_eq!(parse_u32(b"+1"), Err(NumberError::Signed));
        assert_eq!(parse_u32(b" 1"), Err(NumberError::NotDigit));
        assert_eq!(parse_u32(b"1\0"), Err(NumberError::NotDigit));
        assert_eq!(parse_u32(b"0x10"), Err(NumberError::NotDigit));
        assert_eq!(parse_u32(b"1:"), Err(NumberError::NotDigit));
        assert_eq!(parse_u32(b"00000000001"), Err(NumberError::TooLong));
        assert_eq!(parse_u32(&[b'9'; 4096]), Err(NumberError::TooLong));
    }

    #[test]
    fn a_flag_is_any_number_but_zero() {
        assert_eq!(parse_flag(b"0"), Ok(false));
        assert_eq!(parse_flag(b"1"), Ok(true));
        assert_eq!(parse_flag(b"2"), Ok(true));
        assert_eq!(parse_flag(b"yes"), Err(NumberError::NotDigit));
    }

    #[test]
    fn decimal_text_has_no_leading_zero() {
        for value in [0, 7, 10, 4096, u64::from(u32::MAX), u64::MAX] {
            assert_eq!(Decimal::new(value).as_str(), value.to_string());
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig {
            cases: if cfg!(miri) { 4 } else { 256 }, failure_persistence: None, ..ProptestConfig::default()
        })]

        #[test]
        fn text_of_a_number_reads_back(value: u64) {
            prop_assert_eq!(parse_u64(Decimal::new(value).as_bytes()), Ok(value));
        }

        #[test]
        fn any_bytes_agree_with_the_standard_parser(text in proptest::collection::vec(any::<u8>(), 0..12)) {
            let expected = core::str::from_utf8(&text).ok()
                .filter(|text| !text.starts_with('+') && text.len() <= 10)
                .and_then(|text| text.parse::<u32>().ok());
            prop_assert_eq!(parse_u32(&text).ok(), expected);
        }
    }
}
