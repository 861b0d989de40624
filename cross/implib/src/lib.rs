//! Makes the import libraries that the drivers link with, from the lists in `cross/imports`.
//!
//! One text file per exporting image, named after it: `ntoskrnl.txt`, `hal.txt`, `ndis.txt`. A
//! line is a name, then `#` and why it is imported. A name that mingw-w64's import libraries lack
//! says `since:` and the Windows version that added it. What is not on a list cannot be linked.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use implib::{Flavor, ImportLibrary, MachineType};

/// An image that drivers import from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exporter {
    /// The kernel.
    Ntoskrnl,
    /// The hardware abstraction layer (forwarded to the kernel since Windows 10 2004).
    Hal,
    /// The network driver interface.
    Ndis,
}

impl Exporter {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Ntoskrnl, Self::Hal, Self::Ndis];

    /// File name of the image, as it stands in an import table.
    #[must_use]
    pub fn image(self) -> &'static str {
        match self {
            Self::Ntoskrnl => "ntoskrnl.exe",
            Self::Hal => "hal.dll",
            Self::Ndis => "ndis.sys",
        }
    }

    /// Stem of the list's and the library's file name.
    #[must_use]
    pub fn stem(self) -> &'static str {
        match self {
            Self::Ntoskrnl => "ntoskrnl",
            Self::Hal => "hal",
            Self::Ndis => "ndis",
        }
    }
}

/// A line of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Import {
    /// The exported name.
    pub name: String,
    /// Why it is imported.
    pub reason: String,
    /// Windows version that added it, where the list says so.
    pub since: Option<String>,
}

/// Why the libraries cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum ImportListError {
    /// A file could not be read or written.
    #[error("{path}: {source}")]
    File {
        /// The file.
        path: PathBuf,
        /// What happened.
        source: io::Error,
    },
    /// A line is not a name and a comment.
    #[error("{path}:{line}: write a name, then # and why it is imported")]
    Line {
        /// The list.
        path: PathBuf,
        /// Line number, from 1.
        line: usize,
    },
    /// A name stands in a list twice, or out of order.
    #[error(
        "{path}:{line}: {name} is not after the name before it: keep the list sorted, each name once"
    )]
    Order {
        /// The list.
        path: PathBuf,
        /// Line number, from 1.
        line: usize,
        /// The name.
        name: String,
    },
}

/// Folder of the reviewed lists.
#[must_use]
pub fn list_folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../imports")
}

/// Reads the list of `exporter` in `folder`.
///
/// # Errors
/// [`ImportListError`] for a file that cannot be read or a line that breaks the format.
pub fn read_list(folder: &Path, exporter: Exporter) -> Result<Vec<Import>, ImportListError> {
    let path = folder.join(exporter.stem()).with_extension("txt");
    match fs::read_to_string(&path) {
        Ok(text) => parse(&text, &path),
        Err(source) => Err(ImportListError::File { path, source }),
    }
}

fn parse(text: &str, path: &Path) -> Result<Vec<Import>, ImportListError> {
    let mut imports: Vec<Import> = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let line_number = index + 1;
        if line.trim().is_empty() || line.starts_with('#') {
            continue;
        }
        let import = parse_line(line).ok_or_else(|| ImportListError::Line {
            path: path.to_owned(),
            line: line_number,
        })?;
        if imports
            .last()
            .is_some_and(|before| before.name >= import.name)
        {
            return Err(ImportListError::Order {
                path: path.to_owned(),
                line: line_number,
                name: import.name,
            });
        }
        imports.push(import);
    }
    Ok(imports)
}

fn parse_line(line: &str) -> Option<Import> {
    let (name, comment) = line.split_once('#')?;
    let name = name.trim();
    let is_symbol = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    let reason = comment.trim();
    if !is_symbol || reason.is_empty() {
        return None;
    }
    let since = reason
        .split_once("since:")
        .map(|(_, version)| version.trim().to_owned());
    Some(Import {
        name: name.to_owned(),
        reason: reason.to_owned(),
        since,
    })
}

/// Writes `ntoskrnl.lib`, `hal.lib` and `ndis.lib` into `out_folder` from the lists in `folder`.
///
/// # Errors
/// [`ImportListError`].
pub fn write_libraries(folder: &Path, out_folder: &Path) -> Result<(), ImportListError> {
    for exporter in Exporter::ALL {
        let imports = read_list(folder, exporter)?;
        let path = out_folder.join(exporter.stem()).with_extension("lib");
        write_library(exporter, &imports, &path)
            .map_err(|source| ImportListError::File { path, source })?;
    }
    Ok(())
}

fn write_library(exporter: Exporter, imports: &[Import], path: &Path) -> io::Result<()> {
    let mut definition = format!("LIBRARY {}\nEXPORTS\n", exporter.image());
    for import in imports {
        definition.push_str(&import.name);
        definition.push('\n');
    }
    let library = ImportLibrary::new(&definition, MachineType::AMD64, Flavor::Msvc)
        .map_err(|error| io::Error::other(error.to_string()))?;
    library
        .write_to(&mut fs::File::create(path)?)
        .map_err(|error| io::Error::other(error.to_string()))
}

/// For a driver's build script: writes the libraries into `OUT_DIR` and has the driver linked
/// with `exporters`. Does nothing when a WDK is used, which has libraries of its own.
///
/// # Errors
/// [`ImportListError`].
pub fn link(exporters: &[Exporter]) -> Result<(), ImportListError> {
    println!("cargo::rerun-if-changed={}", list_folder().display());
    println!("cargo::rerun-if-env-changed=WDKContentRoot");
    let kit = std::env::var_os("WDKContentRoot").is_some_and(|root| !root.is_empty());
    let Some(out_folder) = std::env::var_os("OUT_DIR")
        .filter(|_| !kit)
        .map(PathBuf::from)
    else {
        return Ok(());
    };
    write_libraries(&list_folder(), &out_folder)?;
    println!(
        "cargo::rustc-cdylib-link-arg=/LIBPATH:{}",
        out_folder.display()
    );
    for exporter in exporters {
        println!("cargo::rustc-cdylib-link-arg={}.lib", exporter.stem());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Result<Vec<Import>, String> {
        parse(text, Path::new("list.txt")).map_err(|error| error.to_string())
    }

    #[test]
    fn a_line_is_a_name_and_a_reason() {
        let imports = parsed("# head\n\nIoDetachDevice # leaves the stack\n").unwrap();
        assert_eq!(imports.len(), 1);
        assert_eq!(imports[0].name, "IoDetachDevice");
        assert_eq!(imports[0].since, None);
    }

    #[test]
    fn the_version_that_added_a_name_is_read() {
        let imports = parsed("MmMapIoSpaceEx # maps the BAR; since: Windows 10 1507\n").unwrap();
        assert_eq!(imports[0].since.as_deref(), Some("Windows 10 1507"));
    }

    #[test]
    fn a_name_without_a_reason_is_refused_with_its_line() {
        assert_eq!(
            parsed("KeBugCheckEx # panics\nDbgPrintEx\n").unwrap_err(),
            "list.txt:2: write a name, then # and why it is imported"
        );
    }

    #[test]
    fn a_name_out_of_order_or_twice_is_refused() {
        for text in ["B # b\nA # a\n", "A # a\nA # again\n"] {
            assert!(
                parsed(text)
                    .unwrap_err()
                    .contains("list.txt:2: A is not after"),
                "{text}"
            );
        }
    }

    #[test]
    fn the_library_names_the_exporter_and_each_import() {
        let imports = parsed("DbgPrintEx # logs\nKeBugCheckEx # panics\n").unwrap();
        let path = std::env::temp_dir().join(format!("implib-{}.lib", std::process::id()));
        write_library(Exporter::Ntoskrnl, &imports, &path).unwrap();
        let bytes = fs::read(&path).unwrap();
        fs::remove_file(&path).unwrap();
        let archive = object::read::archive::ArchiveFile::parse(bytes.as_slice()).unwrap();
        let mut names = Vec::new();
        for member in archive.members() {
            let data = member.unwrap().data(bytes.as_slice()).unwrap();
            if let Ok(import) = object::read::coff::ImportFile::parse(data) {
                assert_eq!(import.dll(), b"ntoskrnl.exe");
                names.push(String::from_utf8(import.symbol().to_vec()).unwrap());
            }
        }
        assert_eq!(names, ["DbgPrintEx", "KeBugCheckEx"]);
    }

    #[test]
    fn the_checked_in_lists_are_well_formed() {
        for exporter in Exporter::ALL {
            read_list(&list_folder(), exporter).unwrap();
        }
    }
}
