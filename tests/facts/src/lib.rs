//! Reads the fact tables in `tests/data/facts` that the tests compare bindings with.
//!
//! Three tables, measured from the headers of the Windows kit's structures with a C compiler:
//! `nt-layout.csv` (structures and their fields), `nt-constants.csv` (macros) and
//! `nt-enums.csv` (enumerators). [`Facts::load`] reads all three and indexes them by name.
#![forbid(unsafe_code)]

mod error;
mod table;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

pub use error::{FactError, Problem};

/// What a field occupies, counted from its offset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extent {
    /// So many bytes.
    Bytes(u64),
    /// A bit field: it begins at bit `first` of the byte at the field's offset.
    Bits {
        /// Lowest bit, 0 to 7.
        first: u32,
        /// Width in bits.
        count: u32,
    },
    /// An array without a length at the end of the structure.
    Flexible,
}

/// One field of a structure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    /// C path from the structure, such as `Parameters.Read.Length`; members of anonymous
    /// structures and unions stand at the level that contains them.
    pub path: String,
    /// Bytes from the start of the structure.
    pub offset: u64,
    /// What it occupies.
    pub extent: Extent,
}

/// The layout of one structure or union.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    /// Size in bytes.
    pub size: u64,
    /// Alignment in bytes, a power of two.
    pub align: u64,
    /// Fields in the order of the table. A path may appear twice: C lets a union member and a
    /// member of its anonymous sibling bear one name.
    pub fields: Vec<Field>,
}

impl Layout {
    /// Every field with this path.
    pub fn fields_at<'a>(&'a self, path: &'a str) -> impl Iterator<Item = &'a Field> {
        self.fields.iter().filter(move |field| field.path == path)
    }
}

/// The three tables.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    structs: BTreeMap<String, Layout>,
    constants: BTreeMap<String, i128>,
    enums: BTreeMap<String, BTreeMap<String, i128>>,
}

impl Facts {
    /// Reads `nt-layout.csv`, `nt-constants.csv` and `nt-enums.csv` from `folder`.
    pub fn load(folder: &Path) -> Result<Self, FactError> {
        let mut facts = Self::default();
        table::read_layouts(&folder.join("nt-layout.csv"), &mut facts.structs)?;
        table::read_constants(&folder.join("nt-constants.csv"), &mut facts.constants)?;
        table::read_enums(&folder.join("nt-enums.csv"), &mut facts)?;
        Ok(facts)
    }

    /// The folder of the checked-in tables.
    pub fn checked_in_folder() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../data/facts")
    }

    /// The layout of a structure or union, by its C name without the leading underscore.
    pub fn layout(&self, name: &str) -> Option<&Layout> {
        self.structs.get(name)
    }

    /// All layouts by name.
    pub fn layouts(&self) -> impl Iterator<Item = (&str, &Layout)> {
        self.structs
            .iter()
            .map(|(name, layout)| (name.as_str(), layout))
    }

    /// The value of a macro or, failing that, of an enumerator of any enum.
    pub fn constant(&self, name: &str) -> Option<i128> {
        self.constants.get(name).copied().or_else(|| {
            self.enums
                .values()
                .find_map(|enumerators| enumerators.get(name).copied())
        })
    }

    /// The value of an enumerator of one enum.
    pub fn enumerator(&self, enum_name: &str, name: &str) -> Option<i128> {
        self.enums.get(enum_name)?.get(name).copied()
    }

    /// How many structures, and macros with enumerators, the tables hold.
    pub fn counts(&self) -> (usize, usize) {
        let enumerators: usize = self.enums.values().map(BTreeMap::len).sum();
        (self.structs.len(), self.constants.len() + enumerators)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked_in() -> Facts {
        Facts::load(&Facts::checked_in_folder()).expect("the checked-in tables are valid")
    }

    #[test]
    fn checked_in_tables_load_whole() {
        let facts = checked_in();
        assert_eq!(facts.counts(), (278, 1977 + 822));
    }

    #[test]
    fn layout_has_size_alignment_and_fields() {
        let facts = checked_in();
        let header = facts.layout("NDIS_OBJECT_HEADER").expect("known");
        assert_eq!((header.size, header.align), (4, 2));
        let names: Vec<&str> = header.fields.iter().map(|f| f.path.as_str()).collect();
        assert_eq!(names, ["Type", "Revision", "Size"]);
        assert_eq!(header.fields[2].offset, 2);
        assert_eq!(header.fields[2].extent, Extent::Bytes(2));
    }

    #[test]
    fn nested_bit_and_flexible_fields_are_told_apart() {
        let facts = checked_in();
        let stack = facts.layout("IO_STACK_LOCATION").expect("known");
        let length: Vec<&Field> = stack.fields_at("Parameters.Read.Length").collect();
        assert_eq!(length.len(), 1);
        assert_eq!(length[0].offset, 8);
        let capabilities = facts.layout("DEVICE_CAPABILITIES").expect("known");
        let d2 = capabilities.fields_at("DeviceD2").next().expect("known");
        assert_eq!(d2.extent, Extent::Bits { first: 1, count: 1 });
        let list = facts.layout("SCATTER_GATHER_LIST").expect("known");
        let elements = list.fields_at("Elements").next().expect("known");
        assert_eq!((elements.offset, elements.extent), (16, Extent::Flexible));
    }

    #[test]
    fn constants_cover_macros_and_enumerators() {
        let facts = checked_in();
        assert_eq!(facts.constant("NDIS_STATUS_FAILURE"), Some(0xc000_0001));
        assert_eq!(facts.constant("BusQueryInstanceID"), Some(3));
        assert_eq!(
            facts.enumerator("BUS_QUERY_ID_TYPE", "BusQueryInstanceID"),
            Some(3)
        );
        assert_eq!(facts.enumerator("POOL_TYPE", "BusQueryInstanceID"), None);
        assert_eq!(facts.constant("NO_SUCH_NAME"), None);
    }

    #[test]
    fn missing_folder_is_named() {
        let error = Facts::load(Path::new("/nonexistent/facts")).expect_err("no such folder");
        assert!(
            error
                .to_string()
                .contains("/nonexistent/facts/nt-layout.csv"),
            "{error}"
        );
    }
}
