//! What is written to the registry.

use super::{Checks, files::number};
use crate::Rule;

/// `FLG_ADDREG_*`: text, key only, multiple text, expandable text, number.
const TYPES: &[u32] = &[0, 0x10, 0x0001_0000, 0x0002_0000, 0x0001_0001];
/// The one of numbers.
const DWORD: u32 = 0x0001_0001;

impl Checks<'_> {
    pub(super) fn registry(&mut self) {
        let lists = self.inf.sections().iter().flat_map(|s| s.all("AddReg"));
        let named: Vec<(usize, String)> = lists
            .flat_map(|entry| entry.values.iter().map(|name| (entry.line, name.clone())))
            .chain(self.event_logs())
            .collect();
        for (line, name) in named {
            if self.inf.section(&name).is_none() {
                self.fail(Rule::Registry, line, format!("no section [{name}]"));
            }
            for entry in self.inf.entries(&name) {
                let line = entry.line;
                if entry.key.is_some() || !(3..=5).contains(&entry.values.len()) {
                    self.fail(Rule::Registry, line, "not root, key, name, type, value");
                    continue;
                }
                if entry.value(0) != "HKR" {
                    let text = format!("{}: only HKR may be written", entry.value(0));
                    self.fail(Rule::Registry, line, text);
                }
                let flags = match entry.value(3) {
                    "" => Some(0),
                    text => number(text),
                };
                match flags {
                    Some(flags) if !TYPES.contains(&flags) => {
                        self.fail(Rule::Registry, line, format!("type {flags:#x}"));
                    }
                    Some(DWORD) if number(entry.value(4)).is_none() => {
                        self.fail(Rule::Registry, line, "not a number");
                    }
                    None => self.fail(Rule::Registry, line, "the type is no number"),
                    Some(_) => {}
                }
            }
        }
    }

    /// The event log sections of the services.
    fn event_logs(&self) -> Vec<(usize, String)> {
        let services = self.inf.sections().iter().flat_map(|s| s.all("AddService"));
        services
            .filter(|entry| !entry.value(3).is_empty())
            .map(|entry| (entry.line, entry.value(3).to_owned()))
            .collect()
    }
}
