//! What NDIS asks of a network card's file.

use super::{Checks, files::number};
use crate::{Entry, Rule, Section};

impl Checks<'_> {
    /// The install sections.
    fn installs(&self) -> Vec<Section> {
        let mut installs: Vec<Section> = self
            .model_sections()
            .iter()
            .flat_map(|(_, models)| self.inf.entries(models))
            .filter_map(|model| self.inf.section(&format!("{}.NT", model.value(0))))
            .cloned()
            .collect();
        installs.dedup();
        installs
    }

    pub(super) fn net_types(&mut self) {
        for install in self.installs() {
            let value = |key: &str| {
                let entry = install.entry(key);
                entry.and_then(|entry| number(entry.value(0)))
            };
            // Without all three NDIS does not call MiniportInitializeEx; they are what the driver
            // sets in its general attributes.
            for (key, wanted) in [
                ("*IfType", 6),
                ("*MediaType", 0),
                ("*PhysicalMediaType", 14),
            ] {
                if value(key) != Some(wanted) {
                    self.fail(
                        Rule::NetTypes,
                        install.line,
                        format!("{key} is not {wanted}"),
                    );
                }
            }
            match value("Characteristics") {
                // Exactly one of virtual, software-enumerated and physical; the page of settings
                // needs NCF_HAS_UI.
                Some(bits) if (bits & 7).is_power_of_two() && bits & 0x80 != 0 => {
                    if bits & 4 != 0 && value("BusType").is_none() {
                        self.fail(
                            Rule::NetTypes,
                            install.line,
                            "a physical card needs BusType",
                        );
                    }
                }
                _ => self.fail(Rule::NetTypes, install.line, "Characteristics"),
            }
        }
    }

    pub(super) fn net_bindings(&mut self) {
        let service = self
            .inf
            .sections()
            .iter()
            .find_map(|s| s.entry("AddService"));
        let service = service.map_or("", |entry| entry.value(0)).to_owned();
        let entries: Vec<Entry> = self.registry_entries();
        for (key, name, wanted) in [
            ("Ndi", "Service", service.as_str()),
            (r"Ndi\Interfaces", "UpperRange", "ndis5"),
            (r"Ndi\Interfaces", "LowerRange", "ethernet"),
        ] {
            let found = entries.iter().find(|entry| {
                entry.value(1).eq_ignore_ascii_case(key)
                    && entry.value(2).eq_ignore_ascii_case(name)
            });
            if found.is_none_or(|entry| entry.value(4) != wanted) {
                let line = found.map_or(0, |entry| entry.line);
                self.fail(
                    Rule::NetBindings,
                    line,
                    format!("{key}, {name} is not {wanted:?}"),
                );
            }
        }
    }

    /// All lines the install sections add to the adapter's key.
    fn registry_entries(&self) -> Vec<Entry> {
        self.installs()
            .iter()
            .flat_map(|install| install.all("AddReg"))
            .flat_map(|list| &list.values)
            .flat_map(|name| self.inf.entries(name))
            .cloned()
            .collect()
    }
}
