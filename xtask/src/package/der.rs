//! Writes the few ASN.1 types of a catalog in DER (X.690).

/// Year, month and day of a number of days since 1 January 1970. Years are taken to begin in March,
/// which makes the leap day their last.
pub(crate) fn date(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = (month_from_march + 2) % 12 + 1;
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, day)
}

/// Tag, length and contents.
pub(crate) fn element(tag: u8, contents: &[u8]) -> Vec<u8> {
    let mut encoded = vec![tag];
    let length = contents.len().to_be_bytes();
    let significant: Vec<u8> = length.into_iter().skip_while(|byte| *byte == 0).collect();
    match significant.as_slice() {
        [] => encoded.push(0),
        [short] if *short < 0x80 => encoded.push(*short),
        long => {
            encoded.push(0x80 | u8::try_from(long.len()).expect("a length has 8 bytes at most"));
            encoded.extend(long);
        }
    }
    encoded.extend(contents);
    encoded
}

/// `SEQUENCE`.
pub(crate) fn sequence(parts: &[Vec<u8>]) -> Vec<u8> {
    element(0x30, &parts.concat())
}

/// `SET OF`: DER wants the members in the order of their bytes.
pub(crate) fn set_of(mut members: Vec<Vec<u8>>) -> Vec<u8> {
    members.sort();
    element(0x31, &members.concat())
}

/// `[number] EXPLICIT`.
pub(crate) fn explicit(number: u8, inner: &[u8]) -> Vec<u8> {
    element(0xA0 | number, inner)
}

/// `[number] IMPLICIT` of a primitive type.
pub(crate) fn implicit(number: u8, contents: &[u8]) -> Vec<u8> {
    element(0x80 | number, contents)
}

/// `OBJECT IDENTIFIER`.
pub(crate) fn oid(arcs: &[u32]) -> Vec<u8> {
    let [first, second, rest @ ..] = arcs else {
        panic!("an object identifier has at least two arcs")
    };
    let mut contents = Vec::new();
    for arc in std::iter::once(first * 40 + second).chain(rest.iter().copied()) {
        // Groups of 7 bits, the first ones with the high bit; no leading zeros.
        let [_, .., low] = arc.to_be_bytes();
        let mut groups = vec![low & 0x7F];
        let mut high = arc >> 7;
        while high != 0 {
            let [_, .., low] = high.to_be_bytes();
            groups.insert(0, low | 0x80);
            high >>= 7;
        }
        contents.extend(groups);
    }
    element(0x06, &contents)
}

/// `INTEGER`, not negative.
pub(crate) fn integer(value: u32) -> Vec<u8> {
    let bytes = value.to_be_bytes();
    let mut contents: Vec<u8> = bytes.into_iter().skip_while(|byte| *byte == 0).collect();
    if contents.first().is_none_or(|byte| *byte >= 0x80) {
        contents.insert(0, 0);
    }
    element(0x02, &contents)
}

/// `NULL`.
pub(crate) fn null() -> Vec<u8> {
    element(0x05, &[])
}

/// `OCTET STRING`.
pub(crate) fn octets(bytes: &[u8]) -> Vec<u8> {
    element(0x04, bytes)
}

/// `BMPString`: UTF-16, most significant byte first.
pub(crate) fn bmp(text: &str) -> Vec<u8> {
    let bytes: Vec<u8> = text.encode_utf16().flat_map(u16::to_be_bytes).collect();
    element(0x1E, &bytes)
}

/// `UTCTime` of a time in seconds since 1970, between 1950 and 2049.
pub(crate) fn utc_time(seconds: i64) -> Vec<u8> {
    let (year, month, day) = date(seconds.div_euclid(86_400));
    let time = seconds.rem_euclid(86_400);
    let text = format!(
        "{:02}{month:02}{day:02}{:02}{:02}{:02}Z",
        year % 100,
        time / 3600,
        time / 60 % 60,
        time % 60
    );
    element(0x17, text.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_short_or_long() {
        assert_eq!(element(4, &[]), [4, 0]);
        assert_eq!(element(4, &[7; 127])[..2], [4, 127]);
        assert_eq!(element(4, &[7; 128])[..3], [4, 0x81, 128]);
        assert_eq!(element(4, &[7; 256])[..4], [4, 0x82, 1, 0]);
    }

    #[test]
    fn integers_are_shortest_and_not_negative() {
        assert_eq!(integer(0), [2, 1, 0]);
        assert_eq!(integer(127), [2, 1, 127]);
        assert_eq!(integer(128), [2, 2, 0, 128]);
        assert_eq!(integer(0x1001_0001), [2, 4, 0x10, 1, 0, 1]);
    }

    #[test]
    fn object_identifiers_are_in_base_128() {
        // 1.2.840.113549, the example of X.690's readers everywhere.
        assert_eq!(
            oid(&[1, 2, 840, 113_549]),
            [6, 6, 0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D]
        );
        assert_eq!(oid(&[2, 5, 0]), [6, 2, 0x55, 0]);
    }

    #[test]
    fn members_of_a_set_are_sorted() {
        assert_eq!(
            set_of(vec![integer(2), integer(1)]),
            [0x31, 6, 2, 1, 1, 2, 1, 2]
        );
    }

    #[test]
    fn times_are_dates_of_the_calendar() {
        assert_eq!(utc_time(0), element(0x17, b"700101000000Z"));
        // `date -u -d '2024-02-29 23:59:59' +%s`
        assert_eq!(utc_time(1_709_251_199), element(0x17, b"240229235959Z"));
        assert_eq!(date(20_780), (2026, 11, 23));
        assert_eq!(date(-1), (1969, 12, 31));
    }
}
