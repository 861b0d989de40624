//! Driver images: reading, checking, relocating, binding and mapping a PE file.

use alloc::string::String;
use alloc::vec::Vec;

pub(crate) mod guard;
pub(crate) mod load;
#[cfg(feature = "linux")]
pub(crate) mod privileged;

#[cfg(feature = "linux")]
use alloc::collections::BTreeMap;
use alloc::collections::BTreeSet;

/// A mapped driver image.
#[derive(Debug)]
pub(crate) struct Image {
    /// File name, for reports.
    pub(crate) name: String,
    pub(crate) base: usize,
    pub(crate) size: usize,
    /// Address of the entry point.
    pub(crate) entry: usize,
    /// Relative addresses that indirect calls may target; `None` if the image was built without CFG.
    pub(crate) targets: Option<BTreeSet<u32>>,
    /// Privileged instructions by address.
    #[cfg(feature = "linux")]
    pub(crate) sites: BTreeMap<usize, privileged::Site>,
    /// The function table: start and end of each function, and its unwind data, relative to the base.
    #[expect(dead_code, reason = "read by the stack walk that reports will print")]
    pub(crate) functions: Vec<[u32; 3]>,
}

/// Why an image was not loaded.
#[derive(Debug)]
pub enum LoadError {
    /// The file could not be read.
    File(String),
    /// The file is not an image this loader accepts.
    Format(String),
    /// Names that no export table has, with the file they are imported from.
    Missing {
        /// The importing driver.
        driver: String,
        /// `module!name` of each.
        names: Vec<String>,
    },
    /// No room in guest memory.
    Memory,
}

impl core::fmt::Display for LoadError {
    fn fmt(&self, out: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::File(error) => write!(out, "cannot read the image: {error}"),
            Self::Format(why) => write!(out, "not a loadable image: {why}"),
            Self::Missing { driver, names } => {
                write!(
                    out,
                    "{driver} imports what the harness does not export: {}",
                    names.join(", ")
                )
            }
            Self::Memory => out.write_str("no guest memory left for the image"),
        }
    }
}

impl core::error::Error for LoadError {}
