//! What ELF files say of their needs: shared libraries of programs, other modules of kernel modules. And the guest's
//! kernel in the form that QEMU's loader for HVM guests takes.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail};
use object::{
    Endianness, Object, ObjectSection,
    elf::{EM_386, ET_EXEC, EV_CURRENT},
    read::elf::{Dyn, ElfFile64, FileHeader, ProgramHeader, SectionHeader},
};

/// Folders of shared libraries, relative to the root, in the order they are looked in.
const LIBRARY_FOLDERS: &[&str] = &[
    "lib/x86_64-linux-gnu",
    "usr/lib/x86_64-linux-gnu",
    "usr/lib/x86_64-linux-gnu/xen-4.17",
    "lib64",
    "usr/lib",
];

/// Libraries that no file asks for: the C library loads them when a thread is cancelled.
const LOADED_LATER: &[&str] = &["libgcc_s.so.1"];

/// Names of the shared libraries that the file asks for (`DT_NEEDED`), and its interpreter.
///
/// # Errors
/// It is no 64-bit ELF file.
fn needed(bytes: &[u8]) -> Result<Vec<String>> {
    let file = ElfFile64::<Endianness>::parse(bytes)?;
    let header = file.elf_header();
    let endian = header.endian()?;
    let mut names = Vec::new();
    for section in file.elf_section_table().iter() {
        let Some((entries, link)) = section.dynamic(endian, bytes)? else {
            continue;
        };
        let strings = file.elf_section_table().strings(endian, bytes, link)?;
        for entry in entries {
            if entry.tag(endian) == object::elf::DT_NEEDED {
                let name = entry.string(endian, strings)?;
                names.push(String::from_utf8_lossy(name).into_owned());
            }
        }
    }
    if let Some(section) = file.section_by_name(".interp") {
        let path = String::from_utf8_lossy(section.data()?)
            .trim_end_matches('\0')
            .to_owned();
        names.extend(path.rsplit('/').next().map(str::to_owned));
    }
    Ok(names)
}

/// All shared libraries that `programs` need, directly or through others: name and file.
///
/// # Errors
/// A program is missing or no ELF file, or a library is in no folder of `root`.
pub(super) fn libraries(root: &Path, programs: &[PathBuf]) -> Result<BTreeMap<String, PathBuf>> {
    let mut found = BTreeMap::new();
    for &name in LOADED_LATER {
        find(root, name, &mut found).with_context(|| format!("no package brought {name}"))?;
    }
    let mut todo: Vec<PathBuf> = programs.to_vec();
    let mut seen = BTreeSet::new();
    while let Some(path) = todo.pop() {
        if !seen.insert(path.clone()) {
            continue;
        }
        let bytes = fs::read(&path).with_context(|| path.display().to_string())?;
        for name in needed(&bytes).with_context(|| path.display().to_string())? {
            if found.contains_key(&name) {
                continue;
            }
            let Some(library) = find(root, &name, &mut found) else {
                bail!("{} needs {name}, which no package brought", path.display());
            };
            todo.push(library);
        }
    }
    Ok(found)
}

/// Looks a library up in the folders, and adds it to those found.
fn find(root: &Path, name: &str, found: &mut BTreeMap<String, PathBuf>) -> Option<PathBuf> {
    let path = LIBRARY_FOLDERS
        .iter()
        .map(|folder| root.join(folder).join(name))
        .find(|path| path.exists())?;
    found.insert(name.to_owned(), path.clone());
    Some(path)
}

/// Kernel modules of the folder, with what they depend on, each after its dependencies.
///
/// # Errors
/// A module is missing or no ELF file.
pub(super) fn modules(folder: &Path, wanted: &[&str]) -> Result<Vec<PathBuf>> {
    let mut files = BTreeMap::new();
    index(folder, &mut files)?;
    let mut order = Vec::new();
    for name in wanted {
        add_module(name, &files, &mut order)?;
    }
    Ok(order)
}

fn add_module(
    name: &str,
    files: &BTreeMap<String, PathBuf>,
    order: &mut Vec<PathBuf>,
) -> Result<()> {
    // Debian builds some of them into the kernel in one version, as a module in another.
    let Some(path) = files.get(&name.replace('-', "_")) else {
        bail!("no kernel module {name}");
    };
    if order.contains(path) {
        return Ok(());
    }
    let bytes = fs::read(path).with_context(|| path.display().to_string())?;
    for dependency in depends(&bytes).with_context(|| path.display().to_string())? {
        add_module(&dependency, files, order)?;
    }
    order.push(path.clone());
    Ok(())
}

/// Bytes of a 32-bit file's header, and of each of its program headers.
const HEADER: usize = 52;
const PROGRAM_HEADER: usize = 32;

/// A 64-bit kernel as a 32-bit file, for loaders that know no other (Debian's device model for HVM guests is QEMU's i386
/// one): the same segments at the same places, without sections.
///
/// # Errors
/// It is no 64-bit ELF file, has an address above 4 GiB, or no room before its first segment.
pub(super) fn as_32_bit(bytes: &[u8]) -> Result<Vec<u8>> {
    let file = ElfFile64::<Endianness>::parse(bytes)?;
    let endian = file.elf_header().endian()?;
    let segments = file.elf_program_headers();
    let short = |value: usize| u16::try_from(value).map(u16::to_le_bytes);
    let word = |value: u64| u32::try_from(value).map(u32::to_le_bytes);
    let mut head = vec![0x7F, b'E', b'L', b'F', 1, 1, 1];
    head.resize(16, 0);
    head.extend(ET_EXEC.0.to_le_bytes());
    head.extend(EM_386.0.to_le_bytes());
    head.extend(u32::from(EV_CURRENT.0).to_le_bytes());
    head.extend(word(file.elf_header().e_entry(endian))?);
    // Program headers follow; no section headers; no flags.
    head.extend(word(HEADER as u64)?);
    head.extend([0; 8]);
    for value in [HEADER, PROGRAM_HEADER, segments.len(), 0, 0, 0] {
        head.extend(short(value)?);
    }
    for segment in segments {
        head.extend(segment.p_type(endian).0.to_le_bytes());
        for value in [
            segment.p_offset(endian),
            segment.p_vaddr(endian),
            segment.p_paddr(endian),
            segment.p_filesz(endian),
            segment.p_memsz(endian),
            u64::from(segment.p_flags(endian).0),
            segment.p_align(endian),
        ] {
            head.extend(word(value)?);
        }
    }
    let first = segments.iter().map(|segment| segment.p_offset(endian));
    if first.min().is_none_or(|first| first < head.len() as u64) {
        bail!("the first segment begins inside the headers");
    }
    let mut out = bytes.to_vec();
    out[..head.len()].copy_from_slice(&head);
    Ok(out)
}

/// The names behind `depends=` in a module's information.
fn depends(bytes: &[u8]) -> Result<Vec<String>> {
    let file = object::File::parse(bytes)?;
    let section = file
        .section_by_name(".modinfo")
        .context("no kernel module")?;
    Ok(parse_depends(section.data()?))
}

fn parse_depends(information: &[u8]) -> Vec<String> {
    information
        .split(|&byte| byte == 0)
        .filter_map(|entry| std::str::from_utf8(entry).ok()?.strip_prefix("depends="))
        .flat_map(|names| names.split(','))
        .filter(|name| !name.is_empty())
        .map(str::to_owned)
        .collect()
}

/// Every module below the folder, by its name with underscores.
fn index(folder: &Path, files: &mut BTreeMap<String, PathBuf>) -> Result<()> {
    for entry in fs::read_dir(folder).with_context(|| folder.display().to_string())? {
        let entry = entry?;
        let path = entry.path();
        if entry.file_type()?.is_dir() {
            index(&path, files)?;
        } else if let Some(name) = entry
            .file_name()
            .to_str()
            .and_then(|name| name.strip_suffix(".ko"))
        {
            files.insert(name.replace('-', "_"), path);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use object::{Endianness, Object, read::elf::ElfFile32, read::elf::ProgramHeader};

    use super::{as_32_bit, needed, parse_depends};

    /// A 64-bit file with one segment: 8 bytes at file offset 256, for 8 MiB.
    fn kernel(at: u64) -> Vec<u8> {
        let mut out = vec![0x7F, b'E', b'L', b'F', 2, 1, 1];
        out.resize(16, 0);
        // Executable for x86-64, version 1, entry, program headers at 64, no sections.
        out.extend([2, 0, 62, 0, 1, 0, 0, 0]);
        for word in [at, 64, 0] {
            out.extend(word.to_le_bytes());
        }
        out.extend([0, 0, 0, 0, 64, 0, 56, 0, 1, 0, 64, 0, 0, 0, 0, 0]);
        // Loaded, readable and executable.
        out.extend([1, 0, 0, 0, 5, 0, 0, 0]);
        for word in [256, at, at, 8, 16, 4096] {
            out.extend(u64::to_le_bytes(word));
        }
        out.resize(256, 0);
        out.extend(*b"segments");
        out
    }

    #[test]
    fn a_kernel_keeps_its_segments_in_32_bits() {
        let out = as_32_bit(&kernel(8 << 20)).unwrap();
        let file = ElfFile32::<Endianness>::parse(&out[..]).unwrap();
        let endian = Endianness::Little;
        let [segment] = file.elf_program_headers() else {
            panic!("one segment");
        };
        assert_eq!(file.entry(), 8 << 20);
        assert_eq!(segment.data(endian, &out[..]), Ok(&b"segments"[..]));
        assert_eq!(
            (segment.p_paddr(endian), segment.p_memsz(endian)),
            (8 << 20, 16)
        );
        assert!(as_32_bit(&kernel(1 << 32)).is_err());
        assert!(as_32_bit(b"no ELF file").is_err());
    }

    #[test]
    fn dependencies_of_modules_are_read() {
        let information = b"license=GPL\0depends=stp,llc\0retpoline=Y\0";
        assert_eq!(parse_depends(information), ["stp", "llc"]);
        assert!(parse_depends(b"depends=\0").is_empty());
    }

    #[test]
    fn this_program_needs_the_c_library() {
        let program = std::fs::read(std::env::current_exe().unwrap()).unwrap();
        let names = needed(&program).unwrap();
        assert!(names.iter().any(|name| name == "libc.so.6"), "{names:?}");
    }
}
