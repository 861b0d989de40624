//! A small valid driver image, made byte by byte, for tests to break.

use object::pe;
use object::write::pe::{NtHeaders, SectionRange, Writer};

use crate::checks::checksum;
use crate::import_list::{Exporter, ImportLists};
use crate::mingw::KnownExports;
use crate::symbols::Symbols;
use crate::{Counts, Finding, Policy, lint};

/// Relative addresses of what tests edit. Sections follow each other page by page.
pub(crate) mod at {
    pub(crate) const CALLBACK: u32 = 0x1040;
    pub(crate) const SHIM: u32 = 0x1050;
    pub(crate) const BODY: u32 = 0x1060;
    pub(crate) const LOOKUP_TABLE: u32 = 0x2010;
    pub(crate) const IMAGE_NAME: u32 = 0x2050;
    pub(crate) const FUNCTION_NAME: u32 = 0x2062;
    pub(crate) const GUARD_CHECK_POINTER: u32 = 0x2080;
    pub(crate) const CALLBACK_POINTER: u32 = 0x2090;
    pub(crate) const GUARD_TABLE: u32 = 0x20a0;
    pub(crate) const ENTRY_UNWIND: u32 = 0x20c0;
    pub(crate) const DEBUG_DIRECTORY: u32 = 0x20d0;
    pub(crate) const PDB_RECORD: u32 = 0x2110;
    pub(crate) const LOAD_CONFIG: u32 = 0x2140;
    pub(crate) const COOKIE: u32 = 0x3000;
    pub(crate) const FUNCTION_TABLE: u32 = 0x4000;
    pub(crate) const RELOCATIONS: u32 = 0x5000;
}

const BASE: u64 = 0x1_4000_0000;
const LOAD_CONFIG_SIZE: u32 = 280;
/// Relocated pointers: four in the load configuration, two for the loader, one to the callback.
const POINTERS: [(u32, u32); 7] = [
    (at::LOAD_CONFIG + 88, at::COOKIE),
    (at::LOAD_CONFIG + 112, at::GUARD_CHECK_POINTER),
    (at::LOAD_CONFIG + 120, at::GUARD_CHECK_POINTER + 8),
    (at::LOAD_CONFIG + 128, at::GUARD_TABLE),
    (at::GUARD_CHECK_POINTER, 0x1020),
    (at::GUARD_CHECK_POINTER + 8, 0x1030),
    (at::CALLBACK_POINTER, at::CALLBACK),
];

/// An image to edit, with the symbols of its functions.
pub(crate) struct Sample {
    pub(crate) bytes: Vec<u8>,
    pub(crate) symbols: Symbols,
    sections: Vec<SectionRange>,
}

fn place(bytes: &mut [u8], offset: usize, data: &[u8]) {
    bytes[offset..offset + data.len()].copy_from_slice(data);
}

fn code() -> Vec<u8> {
    let mut code = vec![0xcc; 0x100];
    // sub rsp, 40; call [DbgPrintEx]; xor eax, eax; add rsp, 40; ret
    place(
        &mut code,
        0x00,
        &[0x48, 0x83, 0xec, 0x28, 0xff, 0x15, 0xf6, 0x0f, 0, 0],
    );
    place(&mut code, 0x0a, &[0x31, 0xc0, 0x48, 0x83, 0xc4, 0x28, 0xc3]);
    // The guard's check (ret) and dispatch (jmp rax).
    place(&mut code, 0x20, &[0xc3]);
    place(&mut code, 0x30, &[0xff, 0xe0]);
    // The callback: xor eax, eax; ret
    place(&mut code, 0x40, &[0x31, 0xc0, 0xc3]);
    // The shim: push rbx; cpuid; pop rbx; ret
    place(&mut code, 0x50, &[0x53, 0x0f, 0xa2, 0x5b, 0xc3]);
    place(&mut code, 0x60, &[0xc3]);
    code
}

fn read_only_data() -> Vec<u8> {
    let mut data = vec![0; 0x260];
    let mut put = |rva: u32, bytes: &[u8]| place(&mut data, (rva - 0x2000) as usize, bytes);
    let mut put_u32 = |rva: u32, value: u32| put(rva, &value.to_le_bytes());
    // Import address and lookup tables, then one import descriptor.
    put_u32(0x2000, 0x2060);
    put_u32(at::LOOKUP_TABLE, 0x2060);
    put_u32(0x2020, at::LOOKUP_TABLE);
    put_u32(0x202c, at::IMAGE_NAME);
    put_u32(0x2030, 0x2000);
    put_u32(at::GUARD_TABLE, 0x1000);
    put_u32(at::GUARD_TABLE + 4, at::CALLBACK);
    // Debug directory: a CodeView entry and a Repro entry.
    put_u32(at::DEBUG_DIRECTORY + 12, 2);
    put_u32(at::DEBUG_DIRECTORY + 16, 35);
    put_u32(at::DEBUG_DIRECTORY + 20, at::PDB_RECORD);
    put_u32(at::DEBUG_DIRECTORY + 28 + 12, 16);
    put_u32(at::LOAD_CONFIG, LOAD_CONFIG_SIZE);
    put_u32(at::LOAD_CONFIG + 136, 2);
    put_u32(at::LOAD_CONFIG + 144, 0x500);
    for (slot, target) in POINTERS {
        let address = BASE + u64::from(target);
        place(&mut data, (slot - 0x2000) as usize, &address.to_le_bytes());
    }
    let mut put = |rva: u32, bytes: &[u8]| place(&mut data, (rva - 0x2000) as usize, bytes);
    put(at::IMAGE_NAME, b"ntoskrnl.exe\0");
    put(at::FUNCTION_NAME, b"DbgPrintEx\0");
    // Unwind information: 40 bytes allocated; rbx pushed.
    put(at::ENTRY_UNWIND, &[1, 4, 1, 0, 4, 0x42, 0, 0]);
    put(at::ENTRY_UNWIND + 8, &[1, 1, 1, 0, 1, 0x30, 0, 0]);
    put(at::PDB_RECORD, b"RSDS");
    put(at::PDB_RECORD + 24, b"sample.pdb\0");
    data
}

fn function_table() -> Vec<u8> {
    let entries = [
        [0x1000, 0x1011, at::ENTRY_UNWIND],
        [at::SHIM, at::SHIM + 5, at::ENTRY_UNWIND + 8],
    ];
    entries
        .iter()
        .flatten()
        .flat_map(|word| word.to_le_bytes())
        .collect()
}

fn headers() -> NtHeaders {
    NtHeaders {
        machine: pe::IMAGE_FILE_MACHINE_AMD64,
        time_date_stamp: 0x1234_5678,
        characteristics: pe::IMAGE_FILE_EXECUTABLE_IMAGE | pe::IMAGE_FILE_LARGE_ADDRESS_AWARE,
        major_linker_version: 14,
        minor_linker_version: 0,
        address_of_entry_point: 0x1000,
        image_base: BASE,
        major_operating_system_version: 10,
        minor_operating_system_version: 0,
        major_image_version: 0,
        minor_image_version: 0,
        major_subsystem_version: 10,
        minor_subsystem_version: 0,
        subsystem: pe::IMAGE_SUBSYSTEM_NATIVE,
        dll_characteristics: pe::IMAGE_DLLCHARACTERISTICS_NX_COMPAT
            | pe::IMAGE_DLLCHARACTERISTICS_DYNAMIC_BASE
            | pe::IMAGE_DLLCHARACTERISTICS_HIGH_ENTROPY_VA
            | pe::IMAGE_DLLCHARACTERISTICS_GUARD_CF,
        size_of_stack_reserve: 0,
        size_of_stack_commit: 0,
        size_of_heap_reserve: 0,
        size_of_heap_commit: 0,
    }
}

fn image() -> (Vec<u8>, Vec<SectionRange>) {
    let mut bytes = Vec::new();
    let mut writer = Writer::new(true, 0x1000, 0x200, &mut bytes);
    let (code, data, table) = (code(), read_only_data(), function_table());
    let length = |content: &[u8]| u32::try_from(content.len()).expect("a few hundred bytes");
    writer.reserve_dos_header();
    writer.reserve_nt_headers(16);
    for (index, rva, size) in [
        (pe::IMAGE_DIRECTORY_ENTRY_IMPORT, 0x2020, 40),
        (pe::IMAGE_DIRECTORY_ENTRY_IAT, 0x2000, 16),
        (pe::IMAGE_DIRECTORY_ENTRY_DEBUG, at::DEBUG_DIRECTORY, 56),
        (
            pe::IMAGE_DIRECTORY_ENTRY_LOAD_CONFIG,
            at::LOAD_CONFIG,
            LOAD_CONFIG_SIZE,
        ),
    ] {
        writer.set_data_directory(index, rva, size);
    }
    writer.reserve_section_headers(5);
    for (slot, _) in POINTERS {
        writer.add_reloc(slot, pe::IMAGE_REL_BASED_DIR64);
    }
    let sections = vec![
        writer.reserve_text_section(length(&code)),
        writer.reserve_rdata_section(length(&data)),
        writer.reserve_data_section(8, 8),
        writer.reserve_pdata_section(length(&table)),
        writer.reserve_reloc_section(),
    ];
    writer.write_empty_dos_header().expect("the buffer grows");
    writer.write_nt_headers(headers());
    writer.write_section_headers();
    writer.write_section(sections[0].file_offset, &code);
    writer.write_section(sections[1].file_offset, &data);
    writer.write_section(sections[2].file_offset, &0x2b99_2ddf_a232_u64.to_le_bytes());
    writer.write_section(sections[3].file_offset, &table);
    writer.write_reloc_section();
    (bytes, sections)
}

impl Sample {
    /// The valid image.
    pub(crate) fn new() -> Self {
        let (bytes, sections) = image();
        let mut symbols = Symbols::default();
        for (rva, name) in [
            (0x1000, "DriverEntry"),
            (0x1020, "guard_check"),
            (0x1030, "guard_dispatch"),
            (at::CALLBACK, "callback"),
            (at::SHIM, "xen_shim_cpuid"),
            (at::BODY, "body"),
        ] {
            symbols.add(rva, name);
        }
        let mut sample = Self {
            bytes,
            symbols,
            sections,
        };
        sample.seal();
        sample
    }

    /// Overwrites bytes at a relative address.
    pub(crate) fn put(&mut self, rva: u32, data: &[u8]) {
        let section = self
            .sections
            .iter()
            .rfind(|section| section.virtual_address <= rva)
            .expect("an address in a section");
        let offset = section.file_offset + (rva - section.virtual_address);
        place(&mut self.bytes, offset as usize, data);
    }

    /// Overwrites bytes from the start of the NT headers.
    pub(crate) fn put_header(&mut self, offset: usize, data: &[u8]) {
        let start = self.headers() + offset;
        place(&mut self.bytes, start, data);
    }

    /// Clears bits of a 16-bit number in the NT headers.
    pub(crate) fn clear_header(&mut self, offset: usize, bits: u16) {
        let start = self.headers() + offset;
        let old = u16::from_le_bytes([self.bytes[start], self.bytes[start + 1]]);
        self.put_header(offset, &(old & !bits).to_le_bytes());
    }

    /// Overwrites bytes in the header of a section: 0 is `.text`, 4 is `.reloc`.
    pub(crate) fn put_section(&mut self, section: usize, offset: usize, data: &[u8]) {
        self.put_header(24 + 240 + section * 40 + offset, data);
    }

    /// Sets a data directory.
    pub(crate) fn put_directory(&mut self, index: usize, rva: u32, size: u32) {
        self.put_header(24 + 112 + index * 8, &rva.to_le_bytes());
        self.put_header(24 + 112 + index * 8 + 4, &size.to_le_bytes());
    }

    /// Puts the right checksum in.
    pub(crate) fn seal(&mut self) {
        let offset = self.headers() + 24 + 64;
        let sum = checksum(&self.bytes, offset);
        place(&mut self.bytes, offset, &sum.to_le_bytes());
    }

    /// Lints as it stands. Only `DbgPrintEx` is on the list and known.
    pub(crate) fn lint(&self, shims_allowed: bool) -> (Vec<Finding>, Counts) {
        let mut imports = ImportLists::default();
        let list = "DbgPrintEx # log\nListedOnly # x\nNewerName # x; since: Windows 10 1703\n";
        imports
            .add(Exporter::Ntoskrnl, std::path::Path::new("list.txt"), list)
            .expect("valid");
        let mut exports = KnownExports::default();
        exports.add(Exporter::Ntoskrnl, "DbgPrintEx");
        let policy = Policy {
            imports: &imports,
            exports: &exports,
            shims_allowed,
        };
        lint(&self.bytes, &self.symbols, policy)
    }

    fn headers(&self) -> usize {
        let field = self.bytes[0x3c..].first_chunk().expect("a DOS header");
        u32::from_le_bytes(*field) as usize
    }
}
