//! The loader. Everything is done in a private copy; guest memory sees only the finished image.

use alloc::borrow::ToOwned;
use alloc::collections::BTreeSet;
use alloc::format;
use alloc::string::String;
use alloc::string::ToString;
use alloc::vec;
use alloc::vec::Vec;

use object::LittleEndian as LE;
use object::pe;
use object::read::pe::{ImageNtHeaders, ImageOptionalHeader, PeFile64};

use super::{Image, LoadError, guard};
use crate::host::memory::{Access, PAGE};
use crate::kernel::Kernel;
use crate::mem::space::Frames;
use crate::rules::{self, IMAGE};

/// The value a linker leaves in the security cookie, which the loader must replace.
const DEFAULT_COOKIE: u64 = 0x0000_2B99_2DDF_A232;

struct Section {
    name: String,
    start: usize,
    len: usize,
    access: Access,
}

fn format(why: impl core::fmt::Display) -> LoadError {
    LoadError::Format(why.to_string())
}

/// The image as it will be mapped, before it is.
struct Draft<'data> {
    name: String,
    pe: PeFile64<'data>,
    data: &'data [u8],
    bytes: Vec<u8>,
    base: usize,
}

impl Draft<'_> {
    fn get<const N: usize>(&self, rva: usize) -> Result<[u8; N], LoadError> {
        self.bytes
            .get(rva..rva.saturating_add(N))
            .and_then(|bytes| bytes.try_into().ok())
            .ok_or_else(|| format(format_args!("{rva:#x} is outside the image")))
    }

    fn u64_at(&self, rva: usize) -> Result<u64, LoadError> {
        Ok(u64::from_le_bytes(self.get(rva)?))
    }

    fn u32_at(&self, rva: usize) -> Result<u32, LoadError> {
        Ok(u32::from_le_bytes(self.get(rva)?))
    }

    fn put(&mut self, rva: usize, value: u64) -> Result<(), LoadError> {
        self.bytes
            .get_mut(rva..rva.saturating_add(8))
            .ok_or_else(|| format(format_args!("{rva:#x} is outside the image")))?
            .copy_from_slice(&value.to_le_bytes());
        Ok(())
    }

    fn directory(&self, index: usize) -> Option<(usize, usize)> {
        let directory = self.pe.data_directory(index)?;
        Some((
            directory.virtual_address.get(LE) as usize,
            directory.size.get(LE) as usize,
        ))
    }

    /// Copies headers and sections to where they will be.
    fn lay_out(&mut self) -> Result<Vec<Section>, LoadError> {
        let headers = self.pe.nt_headers().optional_header().size_of_headers() as usize;
        let head = self
            .data
            .get(..headers)
            .ok_or_else(|| format("headers are cut off"))?;
        self.bytes
            .get_mut(..headers)
            .ok_or_else(|| format("headers leave the image"))?
            .copy_from_slice(head);
        let mut sections = vec![Section {
            name: "headers".into(),
            start: 0,
            len: headers,
            access: Access::Read,
        }];
        for section in self.pe.section_table().iter() {
            let name = String::from_utf8_lossy(section.raw_name()).into_owned();
            let start = section.virtual_address.get(LE) as usize;
            let raw = section.pe_data(self.data).map_err(format)?;
            let len = (section.virtual_size.get(LE) as usize).max(1);
            let used = raw.len().min(len.next_multiple_of(PAGE));
            self.bytes
                .get_mut(start..start.saturating_add(used))
                .ok_or_else(|| format(format_args!("section {name} leaves the image")))?
                .copy_from_slice(&raw[..used]);
            let flags = section.characteristics.get(LE);
            let write = flags & pe::IMAGE_SCN_MEM_WRITE != 0;
            let execute = flags & pe::IMAGE_SCN_MEM_EXECUTE != 0;
            if write && execute {
                rules::violate(
                    &IMAGE,
                    format!("{}: {name} is writable and executable", self.name),
                );
            }
            if !start.is_multiple_of(PAGE) {
                return Err(format(format_args!("section {name} is not page aligned")));
            }
            let access = match (write, execute) {
                (_, true) => Access::ReadExecute,
                (true, false) => Access::ReadWrite,
                (false, false) => Access::Read,
            };
            sections.push(Section {
                name,
                start,
                len,
                access,
            });
        }
        Ok(sections)
    }

    fn relocate(&mut self, preferred: u64) -> Result<(), LoadError> {
        let delta = (self.base as u64).wrapping_sub(preferred);
        let sections = self.pe.section_table();
        let blocks = self
            .pe
            .data_directories()
            .relocation_blocks(self.data, &sections)
            .map_err(format)?;
        let Some(mut blocks) = blocks else {
            // Nothing to change: fine, unless the linker threw the table away (checked with the headers).
            return Ok(());
        };
        let mut places = Vec::new();
        while let Some(block) = blocks.next().map_err(format)? {
            for relocation in block {
                match relocation.typ {
                    pe::IMAGE_REL_BASED_ABSOLUTE => {}
                    pe::IMAGE_REL_BASED_DIR64 => places.push(relocation.virtual_address as usize),
                    other => {
                        return Err(format(format_args!(
                            "relocation type {other} is not for x64"
                        )));
                    }
                }
            }
        }
        for place in places {
            let value = self.u64_at(place)?;
            self.put(place, value.wrapping_add(delta))?;
        }
        Ok(())
    }

    /// Fills the import address table; every name that is missing is listed at once.
    fn bind(&mut self) -> Result<(), LoadError> {
        let Some(table) = self.pe.import_table().map_err(format)? else {
            return Ok(());
        };
        let mut missing = Vec::new();
        let mut found = Vec::new();
        let mut descriptors = table.descriptors().map_err(format)?;
        while let Some(descriptor) = descriptors.next().map_err(format)? {
            let file = table.name(descriptor.name.get(LE)).map_err(format)?;
            let file = String::from_utf8_lossy(file).into_owned();
            let names = match descriptor.original_first_thunk.get(LE) {
                0 => descriptor.first_thunk.get(LE),
                lookup => lookup,
            };
            let mut thunks = table.thunks(names).map_err(format)?;
            let mut slot = descriptor.first_thunk.get(LE) as usize;
            while let Some(thunk) = thunks.next::<pe::ImageNtHeaders64>().map_err(format)? {
                match table
                    .import::<pe::ImageNtHeaders64>(thunk)
                    .map_err(format)?
                {
                    object::read::pe::Import::Ordinal(number) => {
                        missing.push(format!("{file}!#{number}"));
                    }
                    object::read::pe::Import::Name(_, name) => {
                        let name = String::from_utf8_lossy(name);
                        match crate::export::resolve(&file, &name) {
                            Some(address) => found.push((slot, address)),
                            None => missing.push(format!("{file}!{name}")),
                        }
                    }
                }
                slot += 8;
            }
        }
        if !missing.is_empty() {
            return Err(LoadError::Missing {
                driver: self.name.clone(),
                names: missing,
            });
        }
        for (slot, address) in found {
            self.put(slot, address as u64)?;
        }
        Ok(())
    }

    /// Sets the security cookie and the Control Flow Guard pointers; returns the table of call targets.
    fn configure(&mut self, cookie: u64) -> Result<Option<BTreeSet<u32>>, LoadError> {
        let Some((rva, _)) = self
            .directory(pe::IMAGE_DIRECTORY_ENTRY_LOAD_CONFIG)
            .filter(|(rva, _)| *rva != 0)
        else {
            return Ok(None);
        };
        let size = self.u32_at(rva)? as usize;
        // Offsets of IMAGE_LOAD_CONFIG_DIRECTORY64: PE format, "Load Configuration Layout".
        let pointer = |draft: &Self, offset: usize| -> Result<Option<usize>, LoadError> {
            if offset + 8 > size {
                return Ok(None);
            }
            let address = draft.u64_at(rva + offset)?;
            Ok(usize::try_from(address.wrapping_sub(draft.base as u64))
                .ok()
                .filter(|_| address != 0))
        };
        if let Some(at) = pointer(self, 0x58)? {
            if self.u64_at(at)? != DEFAULT_COOKIE {
                rules::violate(
                    &IMAGE,
                    format!("{}: the security cookie is not the default", self.name),
                );
            }
            self.put(at, cookie & 0x0000_FFFF_FFFF_FFFF)?;
        }
        if let Some(at) = pointer(self, 0x70)? {
            self.put(at, guard::check_address() as u64)?;
        }
        if let Some(at) = pointer(self, 0x78)? {
            self.put(at, guard::dispatch_address() as u64)?;
        }
        let (Some(table), true) = (pointer(self, 0x80)?, size >= 0x94) else {
            return Ok(None);
        };
        let count = usize::try_from(self.u64_at(rva + 0x88)?).map_err(format)?;
        let flags = self.u32_at(rva + 0x90)?;
        // IMAGE_GUARD_CF_FUNCTION_TABLE_SIZE_MASK: extra bytes per entry, in the top four bits.
        let stride = 4 + (flags >> 28) as usize;
        let mut targets = BTreeSet::new();
        for index in 0..count.min(self.bytes.len()) {
            targets.insert(self.u32_at(table + index * stride)?);
        }
        Ok(Some(targets))
    }

    fn functions(&self) -> Result<Vec<[u32; 3]>, LoadError> {
        let Some((rva, size)) = self.directory(pe::IMAGE_DIRECTORY_ENTRY_EXCEPTION) else {
            return Ok(Vec::new());
        };
        (rva..rva + size)
            .step_by(12)
            .take(size / 12)
            .map(|at| Ok([self.u32_at(at)?, self.u32_at(at + 4)?, self.u32_at(at + 8)?]))
            .collect()
    }
}

fn check_headers(name: &str, pe: &PeFile64<'_>) -> Result<(), LoadError> {
    let header = pe.nt_headers().optional_header();
    if pe.nt_headers().file_header().machine.get(LE) != pe::IMAGE_FILE_MACHINE_AMD64 {
        return Err(format("the machine is not x86-64"));
    }
    let want = |ok: bool, what: &str| {
        if !ok {
            rules::violate(&IMAGE, format!("{name}: {what}"));
        }
    };
    let stripped =
        pe.nt_headers().file_header().characteristics.get(LE) & pe::IMAGE_FILE_RELOCS_STRIPPED != 0;
    want(!stripped, "relocations are stripped");
    want(
        header.subsystem() == pe::IMAGE_SUBSYSTEM_NATIVE,
        "the subsystem is not NATIVE",
    );
    want(
        header.section_alignment() as usize >= PAGE,
        "SectionAlignment is below 4096 (0x2004)",
    );
    let flags = header.dll_characteristics();
    want(
        flags & pe::IMAGE_DLLCHARACTERISTICS_DYNAMIC_BASE != 0,
        "DYNAMIC_BASE is not set",
    );
    want(
        flags & pe::IMAGE_DLLCHARACTERISTICS_NX_COMPAT != 0,
        "NX_COMPAT is not set",
    );
    Ok(())
}

/// The PE checksum: words of the file added up with carry, without the field itself, plus the length.
fn checksum(data: &[u8], field: usize) -> u32 {
    let mut sum = 0_u64;
    for (index, pair) in data.chunks(2).enumerate() {
        let at = index * 2;
        if at == field || at == field + 2 {
            continue;
        }
        sum += u64::from(pair[0]) | (u64::from(pair.get(1).copied().unwrap_or(0)) << 8);
        sum = (sum & 0xFFFF) + (sum >> 16);
    }
    u32::try_from((sum & 0xFFFF) + data.len() as u64).unwrap_or(0)
}

/// Loads the image in `data` into `kernel`'s address space.
pub(crate) fn load(kernel: &Kernel, name: &str, data: &[u8]) -> Result<Image, LoadError> {
    let pe = PeFile64::parse(data).map_err(format)?;
    check_headers(name, &pe)?;
    let header = pe.nt_headers().optional_header();
    let field = pe.dos_header().nt_headers_offset() as usize + 24 + 64;
    if header.check_sum() != checksum(data, field) {
        rules::violate(&IMAGE, format!("{name}: the checksum is wrong"));
    }
    let size = (header.size_of_image() as usize).next_multiple_of(PAGE);
    if size > 64 << 20 {
        return Err(format("the image is larger than 64 MiB"));
    }
    let preferred = header.image_base();
    let entry = header.address_of_entry_point() as usize;
    let pages = size / PAGE;
    // A gap of a size that the seed decides, so that the base differs from seed to seed.
    let gap = kernel.sched.rng.lock().below(256) as usize + 1;
    let hole = kernel
        .space
        .allocate(gap, Frames::Contiguous, Access::None, 0)
        .ok_or(LoadError::Memory)?;
    let base = kernel
        .space
        .allocate(pages, Frames::Contiguous, Access::ReadWrite, 0);
    kernel.space.free(hole, gap);
    let base = base.ok_or(LoadError::Memory)?;
    let mut draft = Draft {
        name: name.to_owned(),
        pe,
        data,
        bytes: vec![0; size],
        base,
    };
    let sections = draft.lay_out()?;
    draft.relocate(preferred)?;
    draft.bind()?;
    let cookie = kernel.sched.rng.lock().next();
    let targets = draft.configure(cookie)?;
    let functions = draft.functions()?;
    let executable: Vec<(usize, usize)> = sections
        .iter()
        .filter(|section| section.access == Access::ReadExecute)
        .map(|section| (section.start, section.start + section.len))
        .collect();
    let table = draft
        .directory(pe::IMAGE_DIRECTORY_ENTRY_IAT)
        .map_or(0, |(rva, _)| rva);
    if executable
        .iter()
        .any(|(start, end)| (*start..*end).contains(&table))
        && table != 0
    {
        rules::violate(
            &IMAGE,
            format!("{name}: the import table is executable (0x2005)"),
        );
    }
    #[cfg(feature = "linux")]
    let sites = super::privileged::patch(base, &mut draft.bytes, &executable, &functions);
    kernel
        .space
        .write(base, &draft.bytes)
        .ok_or(LoadError::Memory)?;
    kernel
        .space
        .protect(base, pages, Access::Read)
        .ok_or(LoadError::Memory)?;
    for section in &sections {
        let count = section.len.div_ceil(PAGE);
        kernel
            .space
            .protect(base + section.start, count, section.access)
            .ok_or_else(|| format(format_args!("section {} leaves the image", section.name)))?;
    }
    Ok(Image {
        name: name.to_owned(),
        base,
        size,
        entry: base + entry,
        targets,
        #[cfg(feature = "linux")]
        sites,
        functions,
    })
}

/// Removes the image's pages. Nothing of it may be called any more.
pub(crate) fn unload(kernel: &Kernel, image: &Image) {
    kernel.space.free(image.base, image.size / PAGE);
}
