//! Strict reading of numbers from XenStore, whose other writers are not trusted to be sane.

/// Why a value is not the number it should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NumberError {
    /// Nothing there.
    Empty,
    /// More digits than any number in range can have.
    TooLong,
    /// Something else than `0` to `9`: a sign, a space, a line end, a NUL.
    NotDecimal,
    /// A number, but not in the range that makes sense for the key.
    OutOfRange,
}

/// Digits of `u64::MAX`; leading zeroes count.
const MAX_DIGITS: usize = 20;

/// Reads an unsigned decimal number that is at most `max`.
pub fn decimal(text: &[u8], max: u64) -> Result<u64, NumberError> {
    if text.is_empty() {
        return Err(NumberError::Empty);
    }
    if text.len() > MAX_DIGITS {
        return Err(NumberError::TooLong);
    }
    let mut value = 0_u64;
    for &byte in text {
        let digit = match byte {
            b'0'..=b'9' => u64::from(byte & 0xF),
            _ => return Err(NumberError::NotDecimal),
        };
        value = value
            .checked_mul(10)
            .and_then(|tens| tens.checked_add(digit))
            .ok_or(NumberError::OutOfRange)?;
    }
    if value > max {
        Err(NumberError::OutOfRange)
    } else {
        Ok(value)
    }
}

/// Reads an unsigned decimal number of 32 bits, at most `max`.
pub fn decimal_u32(text: &[u8], max: u32) -> Result<u32, NumberError> {
    u32::try_from(decimal(text, u64::from(max))?).map_err(|_| NumberError::OutOfRange)
}

/// Reads a yes or no: any number but zero is yes.
pub fn flag(text: &[u8]) -> Result<bool, NumberError> {
    Ok(decimal(text, u64::from(u32::MAX))? != 0)
}

/// Reads a bit rate `N`, `NK`, `NM` or `NG`, in bits per second.
pub fn bit_rate(text: &[u8]) -> Result<u64, NumberError> {
    let (digits, unit) = match text.split_last() {
        Some((b'K', digits)) => (digits, 1_000),
        Some((b'M', digits)) => (digits, 1_000_000),
        Some((b'G', digits)) => (digits, 1_000_000_000),
        _ => (text, 1),
    };
    decimal(digits, u64::MAX)?
        .checked_mul(unit)
        .ok_or(NumberError::OutOfRange)
}

#[cfg(test)]
mod tests {
    use std::string::{String, ToString};

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn only_plain_decimal_numbers_in_range_are_read() {
        assert_eq!(decimal(b"0", 0), Ok(0));
        assert_eq!(decimal(b"18446744073709551615", u64::MAX), Ok(u64::MAX));
        assert_eq!(
            decimal(b"18446744073709551616", u64::MAX),
            Err(NumberError::OutOfRange)
        );
        assert_eq!(
            decimal(b"000000000000000000001", u64::MAX),
            Err(NumberError::TooLong)
        );
        assert_eq!(decimal(b"9", 8), Err(NumberError::OutOfRange));
        assert_eq!(decimal(b"", 8), Err(NumberError::Empty));
        for junk in [
            "-1", "+1", " 1", "1 ", "1\n", "1\0", "0x1", "1e3", "one", "\u{661}",
        ] {
            assert_eq!(
                decimal(junk.as_bytes(), 8),
                Err(NumberError::NotDecimal),
                "{junk:?}"
            );
        }
    }

    #[test]
    fn a_flag_is_any_number() {
        assert_eq!(flag(b"0"), Ok(false));
        assert_eq!(flag(b"1"), Ok(true));
        assert_eq!(flag(b"2"), Ok(true));
        assert_eq!(flag(b"yes"), Err(NumberError::NotDecimal));
    }

    #[test]
    fn rates_have_units() {
        assert_eq!(bit_rate(b"10G"), Ok(10_000_000_000));
        assert_eq!(bit_rate(b"100M"), Ok(100_000_000));
        assert_eq!(bit_rate(b"64K"), Ok(64_000));
        assert_eq!(bit_rate(b"9600"), Ok(9600));
        assert_eq!(bit_rate(b"G"), Err(NumberError::Empty));
        assert_eq!(bit_rate(b"1T"), Err(NumberError::NotDecimal));
        assert_eq!(
            bit_rate(b"18446744073709551615K"),
            Err(NumberError::OutOfRange)
        );
    }

    proptest! {
        #![proptest_config(crate::cases())]

        #[test]
        fn numbers_survive(value: u64) {
            prop_assert_eq!(decimal(value.to_string().as_bytes(), u64::MAX), Ok(value));
        }

        #[test]
        fn junk_agrees_with_the_standard_library(text in "[0-9]{0,22}|.{0,8}") {
            let expected: Option<u64> = String::from(&text).parse().ok()
                .filter(|_| text.bytes().all(|b| b.is_ascii_digit()) && text.len() <= MAX_DIGITS);
            prop_assert_eq!(decimal(text.as_bytes(), u64::MAX).ok(), expected);
        }
    }
}
