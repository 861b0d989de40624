//! Checks INF files: what Microsoft's `InfVerif` says of a driver package, as far as the text shows
//! it, what NDIS asks of a network card, and that the settings are those the driver reads.
//!
//! `InfVerif` itself runs on Windows only (`cargo make infverif`). The rules here are written from
//! its documentation and that of the INF sections; each is shown to fail on a broken file in
//! `tests/broken.rs`.
#![forbid(unsafe_code)]

pub mod hlk;
mod parse;
mod rules;
mod settings;

pub use parse::{Entry, Inf, Section};
pub use settings::expected_lines;

use std::fmt;

use keywords::Keyword;

/// The rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rule {
    /// Every line belongs to a section, brackets and quotes are closed, all is ASCII.
    Syntax,
    /// `[Version]`: signature, class with its GUID, provider, date and version, catalog, lock-down.
    Version,
    /// Models are for x64 and a system that runs drivers from the driver store, and exist.
    Decoration,
    /// Each model has its install section, and the hardware ids are those the bus reports.
    Models,
    /// Every `%token%` is defined, and every string is used.
    Strings,
    /// Files stay in the driver store.
    Destination,
    /// Source list, copy list, services and package folder name the same files.
    Files,
    /// No directive or section that driver package isolation forbids.
    Forbidden,
    /// The registry is written below the device or driver only, in well-formed lines.
    Registry,
    /// Kernel driver on demand, its image in the driver store, no other driver's name.
    Service,
    /// Characteristics, bus and the three types of a network card.
    NetTypes,
    /// Bindings of a network card: service, upper and lower range.
    NetBindings,
    /// Settings are the rows of the table, and no other.
    Settings,
    /// Every section is used.
    Reachable,
}

impl Rule {
    /// All of them.
    pub const ALL: [Self; 14] = [
        Self::Syntax,
        Self::Version,
        Self::Decoration,
        Self::Models,
        Self::Strings,
        Self::Destination,
        Self::Files,
        Self::Forbidden,
        Self::Registry,
        Self::Service,
        Self::NetTypes,
        Self::NetBindings,
        Self::Settings,
        Self::Reachable,
    ];
}

/// A rule that a file breaks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The rule.
    pub rule: Rule,
    /// Line in the file, from 1; 0 if something is missing.
    pub line: usize,
    /// What is wrong.
    pub text: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {:?}: {}", self.line, self.rule, self.text)
    }
}

/// Device class of a package.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// Bus drivers.
    System,
    /// Network cards.
    Net,
}

/// What the file must be for.
#[derive(Clone, Copy, Debug)]
pub struct Expected<'a> {
    /// File name without extension: that of its catalog too.
    pub name: &'a str,
    /// Class.
    pub class: Class,
    /// Hardware ids, all of them.
    pub hardware_ids: &'a [&'a str],
    /// Settings, in order.
    pub settings: &'a [&'static Keyword],
    /// Files of the package's folder, if there is one to compare with.
    pub package: Option<&'a [String]>,
}

/// All findings, in the order of the rules.
pub fn lint(text: &str, expected: Expected<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    let inf = Inf::parse(text, &mut findings);
    rules::check(&inf, expected, &mut findings);
    settings::check(&inf, expected, &mut findings);
    findings
}
