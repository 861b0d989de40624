//! What certification expects of settings, where they exist: `NICStrictPropertyValidation`, whose
//! source is published as microsoft/Test-NetHLK.
//!
//! Only settings of this driver, present or planned, are listed. Expectations are those for an
//! adapter of 10 Gb/s or more.

use keywords::{Keyword, Kind};

/// How a limit is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// Any value will do.
    Any,
    /// This value.
    Exactly(u32),
    /// This value or a smaller one.
    AtMost(u32),
    /// This value or a larger one.
    AtLeast(u32),
}

impl Limit {
    fn holds(self, value: u32) -> bool {
        match self {
            Self::Any => true,
            Self::Exactly(wanted) => value == wanted,
            Self::AtMost(wanted) => value <= wanted,
            Self::AtLeast(wanted) => value >= wanted,
        }
    }
}

/// What is expected of a setting.
#[derive(Clone, Copy, Debug)]
pub enum Expectation {
    /// Numbers: smallest `DisplayParameterType`, default, smallest and largest value; step 1.
    Number(u8, Limit, Limit, Limit),
    /// Enumerations: default, and all values.
    Choice(u32, &'static [u32]),
}

use Expectation::{Choice, Number};
use Limit::{Any, AtLeast, AtMost, Exactly};

const OFF_ON: Expectation = Choice(1, &[0, 1]);

/// Name and expectation; names without regard to case, as the registry has them.
pub const EXPECTATIONS: &[(&str, Expectation)] = &[
    (
        "*JumboPacket",
        Number(2, Exactly(1514), AtMost(1514), AtLeast(9014)),
    ),
    ("*ReceiveBuffers", Number(1, Any, Any, Any)),
    ("*TransmitBuffers", Number(1, Any, Any, Any)),
    ("VLANID", Number(2, Exactly(0), Exactly(0), Exactly(4094))),
    ("*PriorityVLANTag", Choice(3, &[0, 1, 2, 3])),
    ("*InterruptModeration", OFF_ON),
    ("*RSS", OFF_ON),
    ("*RSSProfile", Choice(4, &[1, 2, 3, 4, 5])),
    (
        "*NumRSSQueues",
        Number(1, Exactly(8), Exactly(1), AtLeast(8)),
    ),
    (
        "*MaxRssProcessors",
        Number(1, Exactly(8), Exactly(1), AtLeast(8)),
    ),
    (
        "*NumaNodeId",
        Number(1, Exactly(65_535), Exactly(0), Exactly(65_535)),
    ),
    ("*RssBaseProcGroup", Number(1, Exactly(0), Exactly(0), Any)),
    ("*RssMaxProcGroup", Number(1, Exactly(0), Exactly(0), Any)),
    ("*RssBaseProcNumber", Number(1, Exactly(0), Exactly(0), Any)),
    ("*RssMaxProcNumber", Number(1, Exactly(63), Exactly(0), Any)),
    ("*LsoV2IPv4", OFF_ON),
    ("*LsoV2IPv6", OFF_ON),
    ("*RscIPv4", OFF_ON),
    ("*RscIPv6", OFF_ON),
];

/// Settings that the certification test of every adapter asks for ("Base").
pub const BASE: &[&str] = &[
    "*PriorityVLANTag",
    "*FlowControl",
    "*InterruptModeration",
    "*JumboPacket",
];

/// What certification would say against a keyword; nothing if it does not look at it.
pub fn objections(keyword: &Keyword) -> Vec<String> {
    let expectation = EXPECTATIONS
        .iter()
        .find(|(name, _)| name.eq_ignore_ascii_case(keyword.name));
    let mut objections = Vec::new();
    match (
        expectation.map(|(_, expectation)| *expectation),
        keyword.kind,
    ) {
        (None, _) => {}
        (Some(Number(kind, default, min, max)), Kind::Integer(integer)) => {
            if keyword.display_parameter_type() < Some(kind) {
                objections.push(format!("type {} is too small", keyword.inf_type()));
            }
            for (what, limit, value) in [
                ("default", default, integer.default),
                ("min", min, integer.min),
                ("max", max, integer.max),
                ("step", Exactly(1), integer.step),
            ] {
                if !limit.holds(value) {
                    objections.push(format!("{what} is {value}, not {limit:?}"));
                }
            }
        }
        (Some(Choice(default, values)), Kind::Enumeration(enumeration)) => {
            if enumeration.default != default {
                objections.push(format!("default is not {default}"));
            }
            let choices = enumeration.choices.iter().map(|choice| choice.value);
            if !choices.eq(values.iter().copied()) {
                objections.push(format!("values are not {values:?}"));
            }
        }
        (Some(expectation), _) => objections.push(format!("is not {expectation:?}")),
    }
    objections
        .into_iter()
        .map(|objection| format!("{}: {objection}", keyword.name))
        .collect()
}
