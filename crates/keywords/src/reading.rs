//! From what the registry holds to the value in force.

use crate::keyword::{Keyword, Kind};

/// What the registry holds for a keyword.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Raw<'a> {
    /// Nothing.
    Missing,
    /// A `REG_DWORD`.
    Integer(u32),
    /// A `REG_SZ`: what Device Manager and PowerShell write, for numbers too. UTF-16, with or
    /// without its NUL.
    Text(&'a [u16]),
    /// A value of another type.
    OtherType,
}

/// Why a value is not used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Neither `REG_SZ` nor `REG_DWORD`.
    WrongType,
    /// Not 1 to 10 decimal digits, or more than 32 bits hold.
    NotANumber,
    /// Below the smallest or above the largest value.
    OutOfRange,
    /// Between two steps.
    OffStep,
    /// Not one of the choices.
    NotAChoice,
}

/// The value in force, and how it came about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reading {
    /// From the registry.
    Set(u32),
    /// The default: the registry has none.
    Default(u32),
    /// The default: what the registry has is not usable. To be logged, once.
    Refused(u32, Refusal),
}

impl Reading {
    /// The value in force.
    pub const fn value(self) -> u32 {
        match self {
            Self::Set(value) | Self::Default(value) | Self::Refused(value, _) => value,
        }
    }

    /// Why the registry's value is not used; `None` if it is, or if there is none.
    pub const fn refusal(self) -> Option<Refusal> {
        match self {
            Self::Set(_) | Self::Default(_) => None,
            Self::Refused(_, why) => Some(why),
        }
    }
}

impl Keyword {
    /// The value in force for what the registry holds. Text keywords have no number: for them it
    /// is [`Refusal::WrongType`] and 0, unless nothing is there.
    pub fn read(&self, raw: Raw<'_>) -> Reading {
        let default = self.default().unwrap_or(0);
        let number = match raw {
            Raw::Missing => return Reading::Default(default),
            Raw::OtherType => Err(Refusal::WrongType),
            Raw::Integer(number) => Ok(number),
            Raw::Text(text) => decimal(text).ok_or(Refusal::NotANumber),
        };
        match number.and_then(|number| self.check(number)) {
            Ok(value) => Reading::Set(value),
            Err(why) => Reading::Refused(default, why),
        }
    }

    fn check(&self, value: u32) -> Result<u32, Refusal> {
        match self.kind {
            Kind::Integer(integer) => {
                if !(integer.min..=integer.max).contains(&value) {
                    return Err(Refusal::OutOfRange);
                }
                let above = value.saturating_sub(integer.min);
                if above.checked_rem(integer.step) == Some(0) {
                    Ok(value)
                } else {
                    Err(Refusal::OffStep)
                }
            }
            Kind::Enumeration(enumeration) => enumeration
                .choices
                .iter()
                .find(|choice| choice.value == value)
                .map(|choice| choice.value)
                .ok_or(Refusal::NotAChoice),
            Kind::Edit(_) => Err(Refusal::WrongType),
        }
    }
}

/// Takes the NUL off that a `REG_SZ` may carry.
pub(crate) fn without_nul(text: &[u16]) -> &[u16] {
    text.strip_suffix(&[0]).unwrap_or(text)
}

/// 1 to 10 decimal digits and nothing else: no sign, no space, no `0x`.
fn decimal(text: &[u16]) -> Option<u32> {
    let text = without_nul(text);
    if text.is_empty() || text.len() > 10 {
        return None;
    }
    text.iter().try_fold(0_u32, |number, unit| {
        let digit = char::from_u32(u32::from(*unit))?.to_digit(10)?;
        number.checked_mul(10)?.checked_add(digit)
    })
}

#[cfg(test)]
mod tests {
    extern crate std;

    use std::format;
    use std::string::ToString;
    use std::vec::Vec;

    use proptest::prelude::*;

    use super::*;
    use crate::keyword::{Choice, Integer, IntegerType};
    use crate::{PLANNED, TABLE, table};

    fn units(text: &str) -> Vec<u16> {
        text.encode_utf16().collect()
    }

    const STEPPED: Keyword = Keyword {
        name: "Stepped",
        text: "",
        optional: false,
        kind: Kind::Integer(Integer {
            integer_type: IntegerType::Int,
            default: 10,
            min: 2,
            max: 12,
            step: 4,
        }),
    };

    #[test]
    fn nothing_there_is_the_default_and_no_refusal() {
        let reading = table::JUMBO_PACKET.read(Raw::Missing);
        assert_eq!(reading, Reading::Default(1514));
        assert_eq!(reading.refusal(), None);
    }

    #[test]
    fn numbers_are_read_as_text_and_as_dword() {
        for raw in [
            Raw::Integer(9014),
            Raw::Text(&units("9014")),
            Raw::Text(&units("9014\0")),
            Raw::Text(&units("0009014")),
        ] {
            assert_eq!(table::JUMBO_PACKET.read(raw), Reading::Set(9014), "{raw:?}");
        }
    }

    #[test]
    fn limits_belong_to_the_range() {
        for (value, expected) in [
            (1513, Reading::Refused(1514, Refusal::OutOfRange)),
            (1514, Reading::Set(1514)),
            (9014, Reading::Set(9014)),
            (9015, Reading::Refused(1514, Refusal::OutOfRange)),
            (u32::MAX, Reading::Refused(1514, Refusal::OutOfRange)),
        ] {
            assert_eq!(table::JUMBO_PACKET.read(Raw::Integer(value)), expected);
        }
    }

    #[test]
    fn what_is_no_decimal_number_is_refused() {
        for text in [
            "",
            "\0",
            "-1",
            "+5",
            " 1514",
            "1514 ",
            "0x5EA",
            "15l4",
            "1e3",
            "4294967296",
            "99999999999",
            "1514\0\0",
            "१५१४",
            "1.5",
        ] {
            assert_eq!(
                table::JUMBO_PACKET.read(Raw::Text(&units(text))),
                Reading::Refused(1514, Refusal::NotANumber),
                "{text:?}"
            );
        }
        // A lone surrogate is no character at all.
        let lone = [0xD800];
        assert_eq!(
            table::JUMBO_PACKET.read(Raw::Text(&lone)).refusal(),
            Some(Refusal::NotANumber)
        );
    }

    #[test]
    fn other_types_are_refused() {
        let reading = table::JUMBO_PACKET.read(Raw::OtherType);
        assert_eq!(reading, Reading::Refused(1514, Refusal::WrongType));
    }

    #[test]
    fn values_between_steps_are_refused() {
        let read = |value| STEPPED.read(Raw::Integer(value));
        assert_eq!(read(2), Reading::Set(2));
        assert_eq!(read(6), Reading::Set(6));
        assert_eq!(read(7), Reading::Refused(10, Refusal::OffStep));
        // No division by a step of 0, should the table ever have one.
        let Kind::Integer(mut integer) = STEPPED.kind else {
            panic!()
        };
        integer.step = 0;
        let broken = Keyword {
            kind: Kind::Integer(integer),
            ..STEPPED
        };
        assert_eq!(
            broken.read(Raw::Integer(6)).refusal(),
            Some(Refusal::OffStep)
        );
    }

    #[test]
    fn enumerations_take_their_choices_only() {
        const CHOICES: &[Choice] = &[
            Choice {
                value: 1,
                label: "One",
            },
            Choice {
                value: 3,
                label: "Three",
            },
        ];
        let keyword = Keyword::enumeration("Enumeration", "", 3, CHOICES);
        assert_eq!(keyword.read(Raw::Text(&units("1"))), Reading::Set(1));
        for value in [0, 2, 4, u32::MAX] {
            assert_eq!(
                keyword.read(Raw::Integer(value)),
                Reading::Refused(3, Refusal::NotAChoice)
            );
        }
    }

    #[test]
    fn text_keywords_have_no_number() {
        let reading = table::NETWORK_ADDRESS.read(Raw::Integer(7));
        assert_eq!(reading, Reading::Refused(0, Refusal::WrongType));
    }

    /// Whether a keyword may have the value, said another way than `check` does.
    fn allowed(keyword: &Keyword, value: u64) -> bool {
        match keyword.kind {
            Kind::Integer(i) => {
                let (min, max, step) = (u64::from(i.min), u64::from(i.max), u64::from(i.step));
                let whole_steps = value.saturating_sub(min) / step;
                min + whole_steps * step == value && value <= max
            }
            Kind::Enumeration(e) => e.choices.iter().any(|c| u64::from(c.value) == value),
            Kind::Edit(_) => false,
        }
    }

    fn keywords() -> impl Strategy<Value = &'static Keyword> {
        let all: Vec<&'static Keyword> = TABLE
            .iter()
            .chain(PLANNED)
            .copied()
            .filter(|keyword| keyword.default().is_some())
            .collect();
        proptest::sample::select(all)
    }

    proptest! {
        #![proptest_config(ProptestConfig {
            cases: if cfg!(miri) { 4 } else { 512 },
            failure_persistence: None,
            ..ProptestConfig::default()
        })]

        #[test]
        fn whatever_the_registry_holds_the_value_is_allowed(
            keyword in keywords(),
            text in proptest::collection::vec(any::<u16>(), 0..16),
            number in any::<u32>(),
        ) {
            for raw in [Raw::Text(&text), Raw::Integer(number), Raw::OtherType, Raw::Missing] {
                let value = keyword.read(raw).value();
                prop_assert!(allowed(keyword, value.into()), "{} = {value}", keyword.name);
            }
        }

        #[test]
        fn allowed_values_and_no_others_are_set(keyword in keywords(), number in 0_u64..70_000) {
            let text = units(&number.to_string());
            let set = matches!(keyword.read(Raw::Text(&text)), Reading::Set(_));
            prop_assert_eq!(set, allowed(keyword, number), "{}", format!("{} = {number}", keyword.name));
        }
    }
}
