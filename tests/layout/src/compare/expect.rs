//! What an answer of the compiler must be.

use facts::Extent;

use super::Problem;
use crate::probe::Row;

/// What a row must say.
#[derive(Clone, Debug)]
pub(super) enum Expectation {
    /// Size and alignment.
    Layout(u64, u64),
    /// One of these offsets with its extent.
    Field(Vec<(u64, Extent)>),
    /// An integer with bit fields in it, given where the bit fields of its structure are.
    BitStorage(Vec<u64>),
    /// One of these values; more than one only where a C name means several bit fields.
    Value(Vec<i128>),
}

impl Expectation {
    /// Compares a row.
    pub(super) fn check(&self, [first, second]: Row) -> Result<(), Problem> {
        let found = (first, second);
        match self {
            Self::Layout(size, align) if found == (*size, *align) => Ok(()),
            Self::Layout(size, align) => Err(Problem::Layout {
                expected: (*size, *align),
                found,
            }),
            Self::Field(places) if places.iter().any(|place| fits(*place, found)) => Ok(()),
            Self::Field(places) => Err(Problem::Field {
                expected: places.iter().map(describe).collect::<Vec<_>>().join(" or "),
                found,
            }),
            Self::BitStorage(offsets) => {
                let inside = |offset: &u64| (first..first.saturating_add(second)).contains(offset);
                if offsets.iter().any(inside) {
                    Ok(())
                } else {
                    Err(Problem::Unknown)
                }
            }
            Self::Value(values) if values.iter().any(|value| holds(*value, first, second)) => {
                Ok(())
            }
            Self::Value(values) => Err(Problem::Value {
                expected: values.first().copied().unwrap_or_default(),
                found: first,
                size: second,
            }),
        }
    }
}

fn fits((offset, extent): (u64, Extent), found: (u64, u64)) -> bool {
    match extent {
        Extent::Bytes(size) => found == (offset, size),
        // In Rust such an array has length 0, or 1 as old C headers have it.
        Extent::Flexible => found.0 == offset,
        // An integer that holds a group of bit fields may bear the first one's name.
        Extent::Bits { first, count } => {
            first == 0 && found.0 == offset && found.1 <= 8 && found.1 * 8 >= u64::from(count)
        }
    }
}

fn describe((offset, extent): &(u64, Extent)) -> String {
    match extent {
        Extent::Bytes(size) => format!("{offset} and {size}"),
        Extent::Flexible => format!("{offset}, an array without length"),
        Extent::Bits { first, count } => format!("{offset}, bits {first}+{count}"),
    }
}

/// Whether `size` bytes with these bits hold the value, as a signed or an unsigned number.
fn holds(expected: i128, bits: u64, size: u64) -> bool {
    let width = size * 8;
    let in_range = expected >= -(1 << (width - 1)) && expected < 1 << width;
    in_range && expected & ((1 << width) - 1) == i128::from(bits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_compare_in_the_width_of_the_constant() {
        assert!(holds(0xc000_0001, 0xc000_0001, 4));
        assert!(holds(-1, 0xffff_ffff, 4));
        assert!(holds(-1, u64::MAX, 8));
        assert!(!holds(0xc000_0001, 0xffff_ffff_c000_0001, 8));
        assert!(!holds(0x1_0000_0001, 1, 4));
        assert!(!holds(256, 0, 1));
    }

    #[test]
    fn a_field_may_have_one_of_two_places() {
        let places = vec![(88, Extent::Bytes(16)), (88, Extent::Bytes(8))];
        let expectation = Expectation::Field(places);
        assert_eq!(expectation.check([88, 8]), Ok(()));
        let problem = expectation.check([80, 8]).expect_err("wrong offset");
        let expected = "88 and 16 or 88 and 8".to_owned();
        assert_eq!(
            problem,
            Problem::Field {
                expected,
                found: (80, 8)
            }
        );
    }

    #[test]
    fn a_flexible_array_is_compared_by_offset() {
        let expectation = Expectation::Field(vec![(16, Extent::Flexible)]);
        assert_eq!(expectation.check([16, 0]), Ok(()));
        assert!(expectation.check([8, 0]).is_err());
    }

    #[test]
    fn an_integer_may_bear_the_name_of_its_first_bit_field() {
        let at = |first| Expectation::Field(vec![(4, Extent::Bits { first, count: 2 })]);
        assert_eq!(at(0).check([4, 4]), Ok(()));
        assert!(at(0).check([8, 4]).is_err());
        assert!(at(2).check([4, 4]).is_err());
    }

    #[test]
    fn bit_storage_must_contain_a_bit_field() {
        let expectation = Expectation::BitStorage(vec![4, 5]);
        assert_eq!(expectation.check([4, 4]), Ok(()));
        assert_eq!(expectation.check([8, 4]), Err(Problem::Unknown));
    }
}
