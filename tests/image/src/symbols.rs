//! Names of functions, from the program database next to an image.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use pdb::{FallibleIterator, PDB, SymbolData};

/// Names by relative address.
#[derive(Clone, Debug, Default)]
pub struct Symbols {
    names: BTreeMap<u32, String>,
}

/// The program database could not be read.
#[derive(Debug)]
pub struct SymbolsError {
    /// The file.
    pub file: PathBuf,
    /// What is wrong.
    pub reason: String,
}

impl fmt::Display for SymbolsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.file.display(), self.reason)
    }
}

impl std::error::Error for SymbolsError {}

impl Symbols {
    /// Reads public symbols and procedures.
    pub fn load(file: &Path) -> Result<Self, SymbolsError> {
        let fail = |reason: String| SymbolsError {
            file: file.to_owned(),
            reason,
        };
        let source = std::fs::File::open(file).map_err(|error| fail(error.to_string()))?;
        read(source).map_err(|error| fail(error.to_string()))
    }

    /// Adds one name. A public symbol's name wins over a procedure's at the same address.
    pub fn add(&mut self, rva: u32, name: &str) {
        self.names.insert(rva, name.to_owned());
    }

    /// The symbol that an address belongs to, if one starts there or before.
    pub fn at_or_before(&self, rva: u32) -> Option<(u32, &str)> {
        let (start, name) = self.names.range(..=rva).next_back()?;
        Some((*start, name))
    }

    /// Every address with a name.
    pub fn starts(&self) -> impl Iterator<Item = u32> {
        self.names.keys().copied()
    }
}

fn read(source: std::fs::File) -> pdb::Result<Symbols> {
    let mut pdb = PDB::open(source)?;
    let addresses = pdb.address_map()?;
    let mut symbols = Symbols::default();
    let debug = pdb.debug_information()?;
    let mut modules = debug.modules()?;
    while let Some(module) = modules.next()? {
        let Some(info) = pdb.module_info(&module)? else {
            continue;
        };
        let mut records = info.symbols()?;
        while let Some(record) = records.next()? {
            // Records of kinds the reader does not know are no procedures.
            if let Ok(SymbolData::Procedure(procedure)) = record.parse()
                && let Some(rva) = procedure.offset.to_rva(&addresses)
            {
                symbols.add(rva.0, &procedure.name.to_string());
            }
        }
    }
    let globals = pdb.global_symbols()?;
    let mut records = globals.iter();
    while let Some(record) = records.next()? {
        if let Ok(SymbolData::Public(public)) = record.parse()
            && let Some(rva) = public.offset.to_rva(&addresses)
        {
            symbols.add(rva.0, &public.name.to_string());
        }
    }
    Ok(symbols)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_belongs_to_the_symbol_before_it() {
        let mut symbols = Symbols::default();
        symbols.add(0x1000, "a");
        symbols.add(0x1020, "b");
        assert_eq!(symbols.at_or_before(0x1010), Some((0x1000, "a")));
        assert_eq!(symbols.at_or_before(0x1020), Some((0x1020, "b")));
        assert_eq!(symbols.at_or_before(0xfff), None);
    }

    #[test]
    fn a_missing_file_is_named() {
        let error = Symbols::load(Path::new("/nonexistent/x.pdb")).expect_err("missing");
        assert!(
            error.to_string().starts_with("/nonexistent/x.pdb: "),
            "{error}"
        );
    }
}
