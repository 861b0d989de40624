//! What ELF files say of their needs: shared libraries of programs, other modules of kernel modules.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail};
use object::{
    Endianness, Object, ObjectSection,
    read::elf::{Dyn, ElfFile64, FileHeader, SectionHeader},
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
    use super::{needed, parse_depends};

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
