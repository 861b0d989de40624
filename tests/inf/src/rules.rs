//! The rules for packages and network cards.

mod files;
mod net;
mod package;
mod registry;

use crate::{Class, Expected, Finding, Inf, Rule};

/// What every check is given.
struct Checks<'a> {
    inf: &'a Inf,
    expected: Expected<'a>,
    findings: &'a mut Vec<Finding>,
}

impl Checks<'_> {
    fn fail(&mut self, rule: Rule, line: usize, text: impl Into<String>) {
        self.findings.push(Finding {
            rule,
            line,
            text: text.into(),
        });
    }

    /// A value with its strings put in; as written if one is missing, which another rule finds.
    fn expand(&self, text: &str) -> String {
        self.inf.expand(text).unwrap_or_else(|_| text.to_owned())
    }
}

pub(crate) fn check(inf: &Inf, expected: Expected<'_>, findings: &mut Vec<Finding>) {
    let mut checks = Checks {
        inf,
        expected,
        findings,
    };
    checks.version();
    checks.models();
    checks.strings();
    checks.files();
    checks.forbidden();
    checks.registry();
    checks.services();
    if expected.class == Class::Net {
        checks.net_types();
        checks.net_bindings();
    }
    checks.reachable();
}
