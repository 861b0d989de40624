//! Version, models, strings, and what a package must not hold.

use std::collections::BTreeSet;

use super::Checks;
use crate::{Class, Entry, Rule};

/// First build of Windows that runs drivers from the driver store (Windows 10 1709).
const DRIVER_STORE_BUILD: u32 = 16_299;

/// Sections and directives that a package in the driver store must not have: they write outside
/// of it, run code at installation, or install without a device.
const FORBIDDEN: &[&str] = &[
    "BitReg",
    "ClassInstall32",
    "CoInstallers",
    "DefaultInstall",
    "DelFiles",
    "DelReg",
    "DelService",
    "FactDef",
    "Ini2Reg",
    "InterfaceInstall32",
    "LogConfig",
    "LogConfigOverride",
    "ProfileItems",
    "RegisterDlls",
    "RenFiles",
    "UnregisterDlls",
    "UpdateIniFields",
    "UpdateInis",
];

impl Checks<'_> {
    pub(super) fn version(&mut self) {
        let (name, guid) = match self.expected.class {
            Class::System => ("System", "{4D36E97D-E325-11CE-BFC1-08002BE10318}"),
            Class::Net => ("Net", "{4D36E972-E325-11CE-BFC1-08002BE10318}"),
        };
        let catalog = format!("{}.cat", self.expected.name);
        for (key, wanted) in [
            ("Signature", "$Windows NT$"),
            ("Class", name),
            ("ClassGuid", guid),
            ("CatalogFile", &catalog),
            ("PnpLockdown", "1"),
        ] {
            let (line, found) = self.version_value(key);
            if !found.eq_ignore_ascii_case(wanted) {
                self.fail(
                    Rule::Version,
                    line,
                    format!("{key} is {found:?}, not {wanted:?}"),
                );
            }
        }
        let (line, provider) = self.version_value("Provider");
        if provider.is_empty() || provider.to_ascii_lowercase().contains("microsoft") {
            self.fail(Rule::Version, line, format!("Provider {provider:?}"));
        }
        let (line, _) = self.version_value("DriverVer");
        let values = self
            .inf
            .section("Version")
            .and_then(|section| section.entry("DriverVer"));
        if !values.is_some_and(is_driver_ver) {
            self.fail(
                Rule::Version,
                line,
                "DriverVer is not mm/dd/yyyy,w.x.y.z".to_owned(),
            );
        }
        let keys: Vec<&Entry> = self.inf.entries("Version").iter().collect();
        for (at, entry) in keys.iter().enumerate() {
            let earlier = keys.iter().take(at);
            if earlier
                .filter_map(|e| e.key.as_deref())
                .any(|key| entry.is(key))
            {
                self.fail(Rule::Version, entry.line, "a second time");
            }
        }
    }

    /// Line and expanded first value of a key of `[Version]`.
    fn version_value(&self, key: &str) -> (usize, String) {
        let section = self.inf.section("Version");
        match section.and_then(|section| section.entry(key)) {
            Some(entry) => (entry.line, self.expand(entry.value(0))),
            None => (0, String::new()),
        }
    }

    /// Names of the models' sections, with the line of the manufacturer.
    pub(super) fn model_sections(&self) -> Vec<(usize, String)> {
        let mut names = Vec::new();
        for entry in self.inf.entries("Manufacturer") {
            for decoration in entry.values.iter().skip(1) {
                names.push((entry.line, format!("{}.{decoration}", entry.value(0))));
            }
        }
        names
    }

    pub(super) fn models(&mut self) {
        let manufacturers = self.inf.entries("Manufacturer");
        if manufacturers.is_empty() {
            self.fail(Rule::Decoration, 0, "no manufacturer");
        }
        for entry in manufacturers {
            if entry.values.len() < 2 {
                self.fail(Rule::Decoration, entry.line, "models for no system");
            }
            for decoration in entry.values.iter().skip(1) {
                let build = decoration
                    .strip_prefix("NTamd64.10.0...")
                    .and_then(|build| build.parse::<u32>().ok());
                if build.is_none_or(|build| build < DRIVER_STORE_BUILD) {
                    let text = format!(
                        "{decoration}: not x64 from build {DRIVER_STORE_BUILD} on, where drivers run from the store"
                    );
                    self.fail(Rule::Decoration, entry.line, text);
                }
            }
        }
        let mut ids = BTreeSet::new();
        for (line, name) in self.model_sections() {
            let Some(section) = self.inf.section(&name) else {
                self.fail(Rule::Decoration, line, format!("no section [{name}]"));
                continue;
            };
            for entry in &section.entries {
                let install = format!("{}.NT", entry.value(0));
                if self.inf.section(&install).is_none() {
                    self.fail(Rule::Models, entry.line, format!("no section [{install}]"));
                }
                if entry
                    .key
                    .as_deref()
                    .is_none_or(|key| self.expand(key).is_empty())
                {
                    self.fail(Rule::Models, entry.line, "a model without description");
                }
                for id in entry.values.iter().skip(1) {
                    if !ids.insert(id.clone()) {
                        self.fail(Rule::Models, entry.line, format!("{id} a second time"));
                    }
                }
            }
        }
        let wanted: BTreeSet<String> = self
            .expected
            .hardware_ids
            .iter()
            .map(|id| (*id).to_owned())
            .collect();
        if ids != wanted {
            self.fail(
                Rule::Models,
                0,
                format!("hardware ids {ids:?}, but the bus reports {wanted:?}"),
            );
        }
    }

    pub(super) fn strings(&mut self) {
        let mut used = BTreeSet::new();
        let sections = self.inf.sections();
        for section in sections
            .iter()
            .filter(|s| !s.name.eq_ignore_ascii_case("Strings"))
        {
            for entry in &section.entries {
                for text in entry.key.iter().chain(&entry.values) {
                    used.extend(tokens(text));
                    if let Err(token) = self.inf.expand(text) {
                        self.fail(
                            Rule::Strings,
                            entry.line,
                            format!("%{token}% is not defined"),
                        );
                    }
                }
            }
        }
        let mut defined = BTreeSet::new();
        for entry in self.inf.entries("Strings") {
            let name = entry.key.as_deref().unwrap_or("").to_ascii_lowercase();
            if !used.contains(&name) {
                self.fail(Rule::Strings, entry.line, format!("%{name}% is not used"));
            }
            if !defined.insert(name) {
                self.fail(Rule::Strings, entry.line, "a second time");
            }
        }
    }

    pub(super) fn forbidden(&mut self) {
        for section in self.inf.sections() {
            let parts: Vec<&str> = section.name.split('.').collect();
            let headings = parts.iter().copied().map(|part| (section.line, part));
            let keys = section
                .entries
                .iter()
                .filter_map(|entry| entry.key.as_deref().map(|key| (entry.line, key)));
            let found: Vec<(usize, String)> = headings
                .chain(keys)
                .filter(|(_, word)| FORBIDDEN.iter().any(|f| f.eq_ignore_ascii_case(word)))
                .map(|(line, word)| (line, word.to_owned()))
                .collect();
            for (line, word) in found {
                self.fail(Rule::Forbidden, line, word);
            }
        }
        for entry in self.inf.sections().iter().flat_map(|s| &s.entries) {
            let run_once = entry.values.iter().any(|value| {
                let value = value.to_ascii_lowercase();
                value.contains("runonce") || value.contains("rundll32")
            });
            if run_once {
                self.fail(
                    Rule::Forbidden,
                    entry.line,
                    "runs a program at installation",
                );
            }
        }
    }

    pub(super) fn reachable(&mut self) {
        let fixed = [
            "Version",
            "Manufacturer",
            "DestinationDirs",
            "SourceDisksNames",
            "SourceDisksFiles",
            "Strings",
        ];
        let mut used: BTreeSet<String> =
            fixed.iter().map(|name| name.to_ascii_lowercase()).collect();
        for (_, name) in self.model_sections() {
            for entry in self.inf.entries(&name) {
                let install = entry.value(0).to_ascii_lowercase();
                for suffix in [".nt", ".nt.hw", ".nt.services"] {
                    used.insert(format!("{install}{suffix}"));
                }
            }
            used.insert(name.to_ascii_lowercase());
        }
        for entry in self.inf.sections().iter().flat_map(|s| &s.entries) {
            if entry.is("CopyFiles") || entry.is("AddReg") {
                used.extend(entry.values.iter().map(|value| value.to_ascii_lowercase()));
            } else if entry.is("AddService") {
                let sections = entry.values.iter().skip(2);
                used.extend(sections.map(|value| value.to_ascii_lowercase()));
            }
        }
        for section in self.inf.sections() {
            if !used.contains(&section.name.to_ascii_lowercase()) {
                self.fail(
                    Rule::Reachable,
                    section.line,
                    format!("nothing refers to [{}]", section.name),
                );
            }
        }
    }
}

/// Names between percent signs, in lower case.
fn tokens(text: &str) -> impl Iterator<Item = String> + '_ {
    text.split('%')
        .skip(1)
        .step_by(2)
        .filter(|token| !token.is_empty())
        .map(str::to_ascii_lowercase)
}

/// A date that exists and four numbers of 16 bits.
fn is_driver_ver(entry: &Entry) -> bool {
    let date: Vec<Option<u32>> = entry
        .value(0)
        .split('/')
        .map(|part| part.parse().ok())
        .collect();
    let date_is_good = match date.as_slice() {
        [
            Some(month @ 1..=12),
            Some(day @ 1..),
            Some(year @ 2000..=2100),
        ] => {
            let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
            let days = match month {
                4 | 6 | 9 | 11 => 30,
                2 if leap => 29,
                2 => 28,
                _ => 31,
            };
            *day <= days && entry.value(0).len() == 10
        }
        _ => false,
    };
    let parts: Vec<&str> = entry.value(1).split('.').collect();
    date_is_good && parts.len() == 4 && parts.iter().all(|part| part.parse::<u16>().is_ok())
}
