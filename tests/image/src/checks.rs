//! The rules.

mod code;
mod debug;
mod guard;
mod headers;
mod imports;
#[cfg(test)]
mod tests;
mod unwind;

#[cfg(test)]
pub(crate) use headers::checksum;

use crate::image::Image;
use crate::symbols::Symbols;
use crate::{Counts, Finding, Policy};

/// A rule, by what breaks it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Check {
    /// Not a PE32+ image at all.
    Format,
    /// Machine is not x86-64.
    Machine,
    /// Subsystem is not native, or not version 10.0.
    Subsystem,
    /// Operating system version is not 10.0.
    OsVersion,
    /// `NX_COMPAT` is not set.
    NoExecute,
    /// `DYNAMIC_BASE` is not set.
    DynamicBase,
    /// `HIGH_ENTROPY_VA` or `LARGE_ADDRESS_AWARE` is not set.
    HighEntropy,
    /// `GUARD_CF` is not set.
    GuardCf,
    /// No base relocations, they are marked as stripped, or one is not of a 64-bit pointer.
    Relocations,
    /// Section alignment is not 4096, or a section or the image's size does not keep to it.
    SectionAlignment,
    /// File alignment is not 512, or a section's place in the file does not keep to it.
    FileAlignment,
    /// A section can be both written and executed, or is shared between processes.
    SectionAccess,
    /// The entry point is not in an executable section.
    EntryPoint,
    /// The checksum is wrong.
    Checksum,
    /// The load configuration is missing or too short.
    LoadConfig,
    /// The load configuration's flags do not say that guards and their table are there.
    GuardFlags,
    /// The table of guarded call targets is missing, out of order, or names what is no function.
    GuardTable,
    /// A pointer that the loader replaces with its check is missing, writable or aims at no code.
    GuardPointers,
    /// A function's address is in data, but the function is not in the guard table.
    AddressTaken,
    /// The security cookie is missing, not writable or not its default.
    SecurityCookie,
    /// No debug record with the name of a `.pdb` file, or the name has a path.
    PdbName,
    /// The time stamps are of the build, not of its input.
    Timestamp,
    /// The function table is missing, out of order, or lacks a function that needs to be in it.
    Unwind,
    /// There is thread-local storage.
    Tls,
    /// There are delayed imports.
    DelayImport,
    /// The import table is damaged or imports by number.
    ImportTable,
    /// The import address table is in an executable section.
    IatExecutable,
    /// An import from an image that drivers do not import from.
    ImportSource,
    /// An import that is not on the reviewed list.
    ImportUnlisted,
    /// An import that mingw-w64 does not know and the list gives no Windows version for.
    ImportUnproven,
    /// Bytes in a code section that are no instruction.
    Undecodable,
    /// An instruction that drivers may not use there.
    Instruction,
}

/// Where a rule reports what breaks it.
#[derive(Debug, Default)]
struct Findings(Vec<Finding>);

impl Findings {
    fn add(&mut self, check: Check, detail: impl Into<String>) {
        let detail = detail.into();
        self.0.push(Finding { check, detail });
    }

    /// Reports unless `good`.
    fn require(&mut self, good: bool, check: Check, detail: impl FnOnce() -> String) {
        if !good {
            self.add(check, detail());
        }
    }
}

pub(crate) fn run(
    image: &Image<'_>,
    symbols: &Symbols,
    policy: Policy<'_>,
) -> (Vec<Finding>, Counts) {
    let mut findings = Findings::default();
    let mut counts = Counts::default();
    headers::check(image, &mut findings);
    debug::check(image, &mut findings);
    guard::check(image, symbols, &mut findings, &mut counts);
    unwind::check(image, &mut findings);
    imports::check(image, policy, &mut findings, &mut counts);
    code::check(image, symbols, policy, &mut findings, &mut counts);
    (findings.0, counts)
}
