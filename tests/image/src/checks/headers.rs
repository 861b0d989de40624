//! File header, optional header, section table and relocations.

use object::LittleEndian as LE;
use object::pe;
use object::read::pe::{ImageNtHeaders, ImageOptionalHeader};

use super::{Check, Findings};
use crate::image::{Directory, Image};

const SECTION_ALIGNMENT: u32 = 4096;
const FILE_ALIGNMENT: u32 = 512;
/// Offset of `CheckSum` from the NT headers: signature, file header, 64 bytes of optional header.
const CHECKSUM_OFFSET: usize = 4 + 20 + 64;

pub(super) fn check(image: &Image<'_>, findings: &mut Findings) {
    check_headers(image, findings);
    check_sections(image, findings);
    check_relocations(image, findings);
    check_checksum(image, findings);
    findings.require(
        image.directory(Directory::Tls).is_none(),
        Check::Tls,
        || "there is a TLS directory".to_owned(),
    );
}

fn check_headers(image: &Image<'_>, findings: &mut Findings) {
    let headers = image.file.nt_headers();
    let machine = headers.file_header().machine.get(LE);
    findings.require(
        machine == pe::IMAGE_FILE_MACHINE_AMD64,
        Check::Machine,
        || format!("machine is {:#x}", machine.0),
    );
    let optional = headers.optional_header();
    let subsystem = (
        optional.subsystem(),
        optional.major_subsystem_version(),
        optional.minor_subsystem_version(),
    );
    let native = (pe::IMAGE_SUBSYSTEM_NATIVE, 10, 0);
    findings.require(subsystem == native, Check::Subsystem, || {
        let (kind, major, minor) = subsystem;
        format!("subsystem is {}, version {major}.{minor}", kind.0)
    });
    let system = (
        optional.major_operating_system_version(),
        optional.minor_operating_system_version(),
    );
    findings.require(system == (10, 0), Check::OsVersion, || {
        format!("operating system version is {}.{}", system.0, system.1)
    });
    let flags = optional.dll_characteristics().0;
    for (flag, check, name) in [
        (
            pe::IMAGE_DLLCHARACTERISTICS_NX_COMPAT,
            Check::NoExecute,
            "NX_COMPAT",
        ),
        (
            pe::IMAGE_DLLCHARACTERISTICS_DYNAMIC_BASE,
            Check::DynamicBase,
            "DYNAMIC_BASE",
        ),
        (
            pe::IMAGE_DLLCHARACTERISTICS_HIGH_ENTROPY_VA,
            Check::HighEntropy,
            "HIGH_ENTROPY_VA",
        ),
        (
            pe::IMAGE_DLLCHARACTERISTICS_GUARD_CF,
            Check::GuardCf,
            "GUARD_CF",
        ),
    ] {
        findings.require(flags & flag.0 != 0, check, || format!("{name} is not set"));
    }
    let characteristics = headers.file_header().characteristics.get(LE).0;
    let large = characteristics & pe::IMAGE_FILE_LARGE_ADDRESS_AWARE.0 != 0;
    findings.require(large, Check::HighEntropy, || {
        "LARGE_ADDRESS_AWARE is not set".to_owned()
    });
    let entry = optional.address_of_entry_point();
    findings.require(image.is_code(entry), Check::EntryPoint, || {
        format!("entry point {entry:#x} is not in an executable section")
    });
}

fn check_sections(image: &Image<'_>, findings: &mut Findings) {
    let optional = image.file.nt_headers().optional_header();
    let alignment = optional.section_alignment();
    findings.require(
        alignment == SECTION_ALIGNMENT,
        Check::SectionAlignment,
        || format!("section alignment is {alignment}"),
    );
    let alignment = optional.file_alignment();
    findings.require(alignment == FILE_ALIGNMENT, Check::FileAlignment, || {
        format!("file alignment is {alignment}")
    });
    let mut end = SECTION_ALIGNMENT;
    for section in &image.sections {
        let name = &section.name;
        // The loader maps sections one after the other and refuses holes.
        findings.require(section.rva == end, Check::SectionAlignment, || {
            format!("{name} is at {:#x}, not at {end:#x}", section.rva)
        });
        end = section.rva.saturating_add(section.size);
        end = end
            .checked_next_multiple_of(SECTION_ALIGNMENT)
            .unwrap_or(u32::MAX);
        let aligned =
            section.file_offset % FILE_ALIGNMENT == 0 && section.file_size % FILE_ALIGNMENT == 0;
        findings.require(aligned, Check::FileAlignment, || {
            format!(
                "{name}: offset {:#x}, size {:#x}",
                section.file_offset, section.file_size
            )
        });
        let writable_code = section.is_writable() && section.is_executable();
        findings.require(!writable_code, Check::SectionAccess, || {
            format!("{name} is writable and executable")
        });
        let shared = section.flags & pe::IMAGE_SCN_MEM_SHARED.0 != 0;
        findings.require(!shared, Check::SectionAccess, || {
            format!("{name} is shared")
        });
    }
    let size = optional.size_of_image();
    findings.require(size == end, Check::SectionAlignment, || {
        format!("size of image is {size:#x}, but the sections end at {end:#x}")
    });
    if let Some((rva, _)) = image.directory(Directory::Iat) {
        findings.require(!image.is_code(rva), Check::IatExecutable, || {
            format!("the import address table at {rva:#x} is in an executable section")
        });
    }
}

fn check_relocations(image: &Image<'_>, findings: &mut Findings) {
    let characteristics = image
        .file
        .nt_headers()
        .file_header()
        .characteristics
        .get(LE)
        .0;
    let stripped = characteristics & pe::IMAGE_FILE_RELOCS_STRIPPED.0 != 0;
    findings.require(!stripped, Check::Relocations, || {
        "RELOCS_STRIPPED is set".to_owned()
    });
    let named = image
        .sections
        .iter()
        .any(|section| section.name == ".reloc");
    findings.require(named, Check::Relocations, || {
        "there is no .reloc section".to_owned()
    });
    let Some(relocations) = image.relocations() else {
        findings.add(Check::Relocations, "there are no readable base relocations");
        return;
    };
    for (rva, kind) in relocations {
        let known = kind == pe::IMAGE_REL_BASED_DIR64.0 || kind == pe::IMAGE_REL_BASED_ABSOLUTE.0;
        findings.require(known, Check::Relocations, || {
            format!("the one at {rva:#x} is of type {kind}")
        });
    }
}

fn check_checksum(image: &Image<'_>, findings: &mut Findings) {
    let offset = image.file.dos_header().nt_headers_offset() as usize + CHECKSUM_OFFSET;
    let found = image.file.nt_headers().optional_header().check_sum();
    let expected = checksum(image.bytes, offset);
    findings.require(found == expected, Check::Checksum, || {
        format!("checksum is {found:#x}, but must be {expected:#x}")
    });
}

/// The sum of all 16-bit words with end-around carry, with the checksum's own four bytes at
/// `skip` as zero, plus the length of the file (PE format, optional header; `CheckSumMappedFile`).
pub(crate) fn checksum(bytes: &[u8], skip: usize) -> u32 {
    let mut sum: u32 = 0;
    for (index, word) in bytes.chunks(2).enumerate() {
        let offset = index * 2;
        if (skip..skip + 4).contains(&offset) {
            continue;
        }
        let low = word.first().copied().unwrap_or_default();
        let high = word.get(1).copied().unwrap_or_default();
        sum += u32::from(u16::from_le_bytes([low, high]));
        sum = (sum & 0xffff) + (sum >> 16);
    }
    sum.wrapping_add(u32::try_from(bytes.len()).unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checksum_folds_carries_skips_itself_and_adds_the_length() {
        // 0xffff + 0x0002 carries to 0x0002; the four bytes at 4 do not count; odd end is padded.
        let bytes = [0xff, 0xff, 0x02, 0x00, 0xaa, 0xaa, 0xaa, 0xaa, 0x10];
        assert_eq!(checksum(&bytes, 4), 0x12 + 9);
    }
}
