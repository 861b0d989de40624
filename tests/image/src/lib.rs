//! Checks the shipped driver images with a parser that is not the linker's.
//!
//! [`lint`] holds one image against the rules of `reference/ndis-contract.md` section 6.2 and the
//! project's own: what it may import ([`import_list`], [`mingw`]), and which instructions it may
//! contain in which functions ([`symbols`]).
#![forbid(unsafe_code)]

mod checks;
pub mod image;
pub mod import_list;
pub mod mingw;
#[cfg(test)]
mod sample;
pub mod symbols;

use std::fmt;

pub use checks::Check;
use image::Image;
use import_list::ImportLists;
use mingw::KnownExports;
use symbols::Symbols;

/// A rule that an image breaks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The rule.
    pub check: Check,
    /// Where and how.
    pub detail: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}", self.check, self.detail)
    }
}

/// What an image is held against.
#[derive(Clone, Copy, Debug)]
pub struct Policy<'a> {
    /// What drivers may import.
    pub imports: &'a ImportLists,
    /// What mingw-w64's import libraries offer.
    pub exports: &'a KnownExports,
    /// Whether shims (functions named `xen_shim_*`, and the hypercall page) may use privileged
    /// instructions. Where false, no function may.
    pub shims_allowed: bool,
}

/// What was looked at, for the test's output.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Instructions decoded.
    pub instructions: usize,
    /// Pieces of code between function starts.
    pub functions: usize,
    /// Functions imported.
    pub imports: usize,
    /// Entries of the table of guarded call targets.
    pub guarded: usize,
    /// Shims with instructions that only they may use.
    pub shims: usize,
}

/// Holds an image against all rules.
pub fn lint(bytes: &[u8], symbols: &Symbols, policy: Policy<'_>) -> (Vec<Finding>, Counts) {
    let image = match Image::parse(bytes) {
        Ok(image) => image,
        Err(reason) => {
            let check = Check::Format;
            let detail = reason.to_string();
            return (vec![Finding { check, detail }], Counts::default());
        }
    };
    checks::run(&image, symbols, policy)
}
