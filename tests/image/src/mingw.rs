//! What the import libraries of mingw-w64 offer: a list of exports that we did not write.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::{Path, PathBuf};

use object::read::archive::ArchiveFile;

use crate::import_list::Exporter;

/// Where Debian's `mingw-w64-x86-64-dev` has them.
pub const FOLDER: &str = "/usr/x86_64-w64-mingw32/lib";

/// Names by exporter.
#[derive(Clone, Debug, Default)]
pub struct KnownExports {
    names: BTreeMap<Exporter, BTreeSet<String>>,
}

/// A library could not be read.
#[derive(Debug)]
pub struct LibraryError {
    /// The file.
    pub file: PathBuf,
    /// What is wrong.
    pub reason: String,
}

impl fmt::Display for LibraryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let file = self.file.display();
        write!(
            f,
            "{file}: {} (apt install mingw-w64-x86-64-dev)",
            self.reason
        )
    }
}

impl std::error::Error for LibraryError {}

impl KnownExports {
    /// Reads the three libraries from `folder`.
    pub fn load(folder: &Path) -> Result<Self, LibraryError> {
        let mut known = Self::default();
        for exporter in Exporter::ALL {
            let file = folder.join(format!("lib{}.a", exporter.stem()));
            let fail = |reason: String| LibraryError {
                file: file.clone(),
                reason,
            };
            let bytes = std::fs::read(&file).map_err(|error| fail(error.to_string()))?;
            let names = names_of_library(&bytes).map_err(fail)?;
            known.names.insert(exporter, names);
        }
        Ok(known)
    }

    /// Adds one name.
    pub fn add(&mut self, exporter: Exporter, name: &str) {
        self.names
            .entry(exporter)
            .or_default()
            .insert(name.to_owned());
    }

    /// Whether the library has this name.
    pub fn has(&self, exporter: Exporter, name: &str) -> bool {
        self.names
            .get(&exporter)
            .is_some_and(|names| names.contains(name))
    }
}

/// Each import has a symbol `__imp_NAME` in the archive's symbol table.
fn names_of_library(bytes: &[u8]) -> Result<BTreeSet<String>, String> {
    let archive = ArchiveFile::parse(bytes).map_err(|error| error.to_string())?;
    let symbols = archive.symbols().map_err(|error| error.to_string())?;
    let symbols = symbols.ok_or("the library has no symbol table")?;
    let mut names = BTreeSet::new();
    for symbol in symbols {
        let symbol = symbol.map_err(|error| error.to_string())?;
        if let Some(name) = symbol.name().strip_prefix(b"__imp_") {
            names.insert(String::from_utf8_lossy(name).into_owned());
        }
    }
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debians_libraries_have_old_names_and_not_new_ones() {
        let known = KnownExports::load(Path::new(FOLDER)).unwrap_or_else(|error| panic!("{error}"));
        assert!(known.has(Exporter::Ntoskrnl, "IoCreateDevice"));
        assert!(known.has(Exporter::Ndis, "NdisMRegisterMiniportDriver"));
        assert!(!known.has(Exporter::Ndis, "IoCreateDevice"));
        assert!(!known.has(Exporter::Ntoskrnl, "ExNoSuchFunction"));
    }

    #[test]
    fn a_missing_library_names_the_package() {
        let error = KnownExports::load(Path::new("/nonexistent")).expect_err("missing");
        let text = error.to_string();
        assert!(text.starts_with("/nonexistent/libntoskrnl.a: "), "{text}");
        assert!(text.contains("mingw-w64-x86-64-dev"), "{text}");
    }

    #[test]
    fn bytes_that_are_no_library_are_refused() {
        assert!(names_of_library(b"garbage").is_err());
    }
}
