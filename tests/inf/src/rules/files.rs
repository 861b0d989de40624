//! Files and services.

use std::collections::BTreeSet;

use super::Checks;
use crate::Rule;

/// Services of the C drivers, which may still be installed.
const TAKEN: &[&str] = &[
    "xen", "xenbus", "xenfilt", "xenvif", "xennet", "xenvbd", "xendisk", "xencrsh", "xeniface",
    "xenhid", "xenvkbd", "xencons", "xenagent",
];

impl Checks<'_> {
    pub(super) fn files(&mut self) {
        let destinations = self.inf.entries("DestinationDirs");
        if !destinations.iter().any(|entry| entry.is("DefaultDestDir")) {
            self.fail(Rule::Destination, 0, "no DefaultDestDir");
        }
        for entry in destinations {
            if entry.values != ["13"] {
                self.fail(Rule::Destination, entry.line, "not 13, the driver store");
            }
        }

        let mut sources = BTreeSet::new();
        for entry in self.inf.entries("SourceDisksFiles") {
            sources.insert(entry.key.clone().unwrap_or_default());
            let disk = entry.value(0);
            if self
                .inf
                .section("SourceDisksNames")
                .is_none_or(|s| s.entry(disk).is_none())
            {
                self.fail(Rule::Files, entry.line, format!("no disk {disk}"));
            }
        }
        let mut copied = BTreeSet::new();
        let lists = self.inf.sections().iter().flat_map(|s| s.all("CopyFiles"));
        for list in lists.flat_map(|entry| entry.values.iter().map(move |v| (entry.line, v))) {
            let (line, name) = list;
            match self.inf.section(name) {
                Some(section) => {
                    copied.extend(
                        section
                            .entries
                            .iter()
                            .map(|entry| entry.value(0).to_owned()),
                    );
                }
                None => self.fail(Rule::Files, line, format!("no section [{name}]")),
            }
        }
        if sources != copied {
            self.fail(
                Rule::Files,
                0,
                format!("sources are {sources:?}, but copied are {copied:?}"),
            );
        }
        if let Some(package) = self.expected.package {
            let catalog = format!("{}.cat", self.expected.name);
            for file in sources.iter().chain([&catalog]) {
                if !package.contains(file) {
                    self.fail(Rule::Files, 0, format!("{file} is not in the package"));
                }
            }
        }
    }

    pub(super) fn services(&mut self) {
        let mut names = Vec::new();
        for (_, models) in self.model_sections() {
            for model in self.inf.entries(&models) {
                let name = format!("{}.NT.Services", model.value(0));
                match self.inf.section(&name) {
                    Some(section) => names.push(section.clone()),
                    None => self.fail(Rule::Service, model.line, format!("no section [{name}]")),
                }
            }
        }
        names.dedup();
        for section in names {
            let mut services = section.all("AddService");
            let (Some(service), None) = (services.next(), services.next()) else {
                self.fail(Rule::Service, section.line, "not one AddService");
                continue;
            };
            if TAKEN
                .iter()
                .any(|taken| taken.eq_ignore_ascii_case(service.value(0)))
            {
                let text = format!("{} is a service of the C drivers", service.value(0));
                self.fail(Rule::Service, service.line, text);
            }
            // SPSVCINST_ASSOCSERVICE: the device's function driver.
            if number(service.value(1)) != Some(2) {
                self.fail(Rule::Service, service.line, "flags are not 2");
            }
            self.service(service.value(2), service.line);
            let log = service.value(3);
            if !log.is_empty() && self.inf.section(log).is_none() {
                self.fail(Rule::Service, service.line, format!("no section [{log}]"));
            }
        }
    }

    fn service(&mut self, name: &str, line: usize) {
        let Some(section) = self.inf.section(name) else {
            self.fail(Rule::Service, line, format!("no section [{name}]"));
            return;
        };
        // Kernel driver, on demand, errors are logged.
        for (key, wanted) in [("ServiceType", 1), ("StartType", 3), ("ErrorControl", 1)] {
            let entry = section.entry(key);
            if entry.and_then(|entry| number(entry.value(0))) != Some(wanted) {
                let line = entry.map_or(section.line, |entry| entry.line);
                self.fail(Rule::Service, line, format!("{key} is not {wanted}"));
            }
        }
        let binary = section.entry("ServiceBinary");
        let file = binary.and_then(|entry| entry.value(0).strip_prefix(r"%13%\"));
        let listed = self.inf.section("SourceDisksFiles");
        let listed = file.and_then(|file| listed?.entry(file));
        if listed.is_none() {
            let line = binary.map_or(section.line, |entry| entry.line);
            self.fail(
                Rule::Service,
                line,
                "ServiceBinary is no file of the package in %13%",
            );
        }
    }
}

/// A number in decimal, or in hexadecimal with `0x`.
pub(super) fn number(text: &str) -> Option<u32> {
    match text.strip_prefix("0x") {
        Some(digits) => u32::from_str_radix(digits, 16).ok(),
        None => text.parse().ok(),
    }
}
