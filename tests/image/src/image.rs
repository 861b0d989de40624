//! A parsed image: headers as plain numbers, and memory by relative address.

use std::fmt;

use object::LittleEndian as LE;
use object::read::pe::{ImageNtHeaders, ImageOptionalHeader, PeFile64};

/// The bytes are no 64-bit PE image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FormatError(pub String);

impl fmt::Display for FormatError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no PE32+ image: {}", self.0)
    }
}

impl std::error::Error for FormatError {}

/// A section.
#[derive(Clone, Debug)]
pub struct Section {
    /// Its name.
    pub name: String,
    /// Relative address.
    pub rva: u32,
    /// Size in memory.
    pub size: u32,
    /// Offset in the file.
    pub file_offset: u32,
    /// Size in the file.
    pub file_size: u32,
    /// `IMAGE_SCN_*`.
    pub flags: u32,
}

impl Section {
    /// Whether code in it can run.
    pub fn is_executable(&self) -> bool {
        self.flags & object::pe::IMAGE_SCN_MEM_EXECUTE.0 != 0
    }

    /// Whether it can be written.
    pub fn is_writable(&self) -> bool {
        self.flags & object::pe::IMAGE_SCN_MEM_WRITE.0 != 0
    }

    /// Whether the address is in it.
    pub fn contains(&self, rva: u32) -> bool {
        rva.checked_sub(self.rva)
            .is_some_and(|offset| offset < self.size)
    }
}

/// Index of a data directory (PE format, "Optional Header Data Directories").
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Directory {
    /// Exports.
    Export = 0,
    /// Imports.
    Import = 1,
    /// Function table, `.pdata`.
    Exception = 3,
    /// Base relocations.
    BaseRelocation = 5,
    /// Debug.
    Debug = 6,
    /// Thread-local storage.
    Tls = 9,
    /// Load configuration.
    LoadConfig = 10,
    /// Import address table.
    Iat = 12,
    /// Delayed imports.
    DelayImport = 13,
}

/// An image.
#[derive(Debug)]
pub struct Image<'a> {
    /// The whole file.
    pub bytes: &'a [u8],
    /// object's view of it.
    pub file: PeFile64<'a>,
    /// Sections in the order of the file.
    pub sections: Vec<Section>,
}

impl<'a> Image<'a> {
    /// Parses headers and the section table.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, FormatError> {
        let file = PeFile64::parse(bytes).map_err(|error| FormatError(error.to_string()))?;
        let sections = file.section_table().iter().map(|header| Section {
            name: String::from_utf8_lossy(header.raw_name()).into_owned(),
            rva: header.virtual_address.get(LE),
            size: header.virtual_size.get(LE),
            file_offset: header.pointer_to_raw_data.get(LE),
            file_size: header.size_of_raw_data.get(LE),
            flags: header.characteristics.get(LE).0,
        });
        let sections = sections.collect();
        Ok(Self {
            bytes,
            file,
            sections,
        })
    }

    /// The section an address is in.
    pub fn section_at(&self, rva: u32) -> Option<&Section> {
        self.sections.iter().find(|section| section.contains(rva))
    }

    /// Whether an address is in an executable section.
    pub fn is_code(&self, rva: u32) -> bool {
        self.section_at(rva).is_some_and(Section::is_executable)
    }

    /// Bytes of a section as the file has them.
    pub fn content(&self, section: &Section) -> &'a [u8] {
        let length = section.file_size.min(section.size) as usize;
        let start = section.file_offset as usize;
        self.bytes
            .get(start..start.saturating_add(length))
            .unwrap_or_default()
    }

    /// `length` bytes at an address, if one section has them all in the file.
    pub fn read(&self, rva: u32, length: usize) -> Option<&'a [u8]> {
        let section = self.section_at(rva)?;
        let start = (rva - section.rva) as usize;
        self.content(section).get(start..start.checked_add(length)?)
    }

    /// A 32-bit number at an address.
    pub fn u32_at(&self, rva: u32) -> Option<u32> {
        let bytes = self.read(rva, 4)?;
        Some(u32::from_le_bytes(bytes.try_into().ok()?))
    }

    /// A 64-bit number at an address.
    pub fn u64_at(&self, rva: u32) -> Option<u64> {
        let bytes = self.read(rva, 8)?;
        Some(u64::from_le_bytes(bytes.try_into().ok()?))
    }

    /// The relative address of an absolute one.
    pub fn rva_of(&self, address: u64) -> Option<u32> {
        let base = self.file.nt_headers().optional_header().image_base();
        u32::try_from(address.checked_sub(base)?).ok()
    }

    /// Address and size of a data directory; `None` when absent or empty.
    pub fn directory(&self, index: Directory) -> Option<(u32, u32)> {
        let directory = self.file.data_directory(index as usize)?;
        let place = (directory.virtual_address.get(LE), directory.size.get(LE));
        (place.0 != 0 && place.1 != 0).then_some(place)
    }

    /// Where the pointers are that the loader relocates, with each one's type.
    pub fn relocations(&self) -> Option<Vec<(u32, u16)>> {
        let blocks = self
            .file
            .data_directories()
            .relocation_blocks(self.bytes, &self.file.section_table());
        let mut blocks = blocks.ok()??;
        let mut relocations = Vec::new();
        while let Some(block) = blocks.next().ok()? {
            relocations.extend(block.map(|entry| (entry.virtual_address, entry.typ.0)));
        }
        Some(relocations)
    }

    /// Begin, end and unwind information of every function in `.pdata`.
    pub fn functions(&self) -> Vec<(u32, u32, u32)> {
        let Some((rva, size)) = self.directory(Directory::Exception) else {
            return Vec::new();
        };
        let Some(bytes) = self.read(rva, size as usize) else {
            return Vec::new();
        };
        let (words, _) = bytes.as_chunks::<4>();
        let words: Vec<u32> = words.iter().map(|word| u32::from_le_bytes(*word)).collect();
        let (entries, _) = words.as_chunks::<3>();
        entries
            .iter()
            .map(|&[begin, end, unwind]| (begin, end, unwind))
            .collect()
    }
}
