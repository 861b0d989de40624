//! `tests/data/wdk-differences.csv`: where the headers that `wdk-sys` is generated from on Linux
//! (mingw-w64) are known to differ from the Windows kit's, and why that does no harm.
//!
//! Columns: `item,found,reason`. An item is a Rust path in `wdk_sys`; `found` is what the compiler
//! says (`size:align`, `offset:size`, a value in hexadecimal, or `-` for a field that the facts
//! lack). Only exactly that is accepted: any other answer stays a finding. With the real kit the
//! differences are absent, so an unused line is no error.

use std::collections::BTreeMap;
use std::path::Path;

use crate::compare::{Finding, Problem, Report};
use crate::sourced::SourcedError;
use crate::touched::Identifiers;

/// The list: what is found, by item.
#[derive(Clone, Debug, Default)]
pub struct Differences(BTreeMap<String, String>);

impl Differences {
    /// Reads the list from a file.
    pub fn load(file: &Path) -> Result<Self, SourcedError> {
        let text = std::fs::read_to_string(file).map_err(|error| SourcedError {
            file: file.to_owned(),
            line: 0,
            reason: error.to_string(),
        })?;
        Self::parse(file, &text)
    }

    /// Reads the list from its text; `file` is for messages.
    pub fn parse(file: &Path, text: &str) -> Result<Self, SourcedError> {
        let fail = |line, reason: &str| SourcedError {
            file: file.to_owned(),
            line,
            reason: reason.to_owned(),
        };
        let mut lines = text.lines().enumerate();
        if lines.next().map(|(_, line)| line) != Some("item,found,reason") {
            return Err(fail(1, "the first line must be `item,found,reason`"));
        }
        let mut list = BTreeMap::new();
        for (index, line) in lines {
            let columns: Vec<&str> = line.splitn(3, ',').collect();
            let &[item, found, reason] = columns.as_slice() else {
                return Err(fail(index + 1, "three columns are due"));
            };
            if !item.starts_with("wdk_sys::") {
                return Err(fail(index + 1, "bindings of our own may not differ"));
            }
            if reason.trim().len() < 8 {
                return Err(fail(index + 1, "a reason is due"));
            }
            if list.insert(item.to_owned(), found.to_owned()).is_some() {
                return Err(fail(index + 1, "the item appears twice"));
            }
        }
        Ok(Self(list))
    }

    /// Takes the findings on the list out of the report and gives their number. A constant that
    /// our sources use may not differ, list or no list.
    pub fn accept(&self, report: &mut Report, users: &[Identifiers]) -> usize {
        let before = report.findings.len();
        report.findings.retain(|finding| {
            let name = finding.item.rsplit("::").next().unwrap_or_default();
            let is_value = matches!(finding.problem, Problem::Value { .. });
            let in_use = is_value && users.iter().any(|user| user.contains(name));
            in_use || self.0.get(&finding.item) != Some(&found_text(finding))
        });
        before - report.findings.len()
    }
}

fn found_text(finding: &Finding) -> String {
    match &finding.problem {
        Problem::Layout { found, .. } | Problem::Field { found, .. } => {
            format!("{}:{}", found.0, found.1)
        }
        Problem::Value { found, .. } => format!("{found:#x}"),
        Problem::Contradiction | Problem::Unknown => "-".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(rows: &str) -> Result<Differences, String> {
        let text = format!("item,found,reason\n{rows}");
        Differences::parse(Path::new("list.csv"), &text).map_err(|error| error.to_string())
    }

    fn report(found: (u64, u64)) -> Report {
        let finding = Finding {
            item: "wdk_sys::_IRP".to_owned(),
            problem: Problem::Layout {
                expected: (208, 16),
                found,
            },
        };
        Report {
            findings: vec![finding],
            ..Report::default()
        }
    }

    #[test]
    fn only_the_very_difference_listed_is_accepted() {
        let list = parse("wdk_sys::_IRP,208:8,we never hold one by value\n").expect("valid");
        let (mut same, mut other) = (report((208, 8)), report((200, 8)));
        assert_eq!((list.accept(&mut same, &[]), same.findings.len()), (1, 0));
        assert_eq!((list.accept(&mut other, &[]), other.findings.len()), (0, 1));
    }

    #[test]
    fn a_constant_in_use_may_not_differ() {
        let list = parse("wdk_sys::VERSION,0x1,nobody uses it\n").expect("valid");
        let finding = Finding {
            item: "wdk_sys::VERSION".to_owned(),
            problem: Problem::Value {
                expected: 2,
                found: 1,
                size: 4,
            },
        };
        let mut report = Report {
            findings: vec![finding],
            ..Report::default()
        };
        let mut used = Identifiers::default();
        used.add_text(Path::new("code.rs"), "fn f() { g(VERSION) }")
            .expect("parses");
        assert_eq!(list.accept(&mut report.clone(), &[]), 1);
        assert_eq!(list.accept(&mut report, &[used]), 0);
    }

    #[test]
    fn our_own_bindings_may_not_differ() {
        let error = parse("ndis_sys::MDL,1:1,some reason\n").expect_err("ours");
        assert!(error.contains("list.csv:2: bindings of our own"), "{error}");
    }

    #[test]
    fn a_reason_is_due() {
        let error = parse("wdk_sys::_IRP,208:8,\n").expect_err("no reason");
        assert!(error.contains("a reason is due"), "{error}");
    }
}
