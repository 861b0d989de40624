//! The reviewed lists of what drivers may import: `cross/imports/{ntoskrnl,hal,ndis}.txt`.
//!
//! One name a line, `#` before a comment. A comment with `since:` says which Windows version
//! added the function, for names that mingw-w64's import libraries lack.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

/// An image that drivers may import from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Exporter {
    /// `ntoskrnl.exe`.
    Ntoskrnl,
    /// `hal.dll`.
    Hal,
    /// `ndis.sys`.
    Ndis,
}

impl Exporter {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Ntoskrnl, Self::Hal, Self::Ndis];

    /// Stem of the files named after it: the list and the import library.
    pub fn stem(self) -> &'static str {
        match self {
            Self::Ntoskrnl => "ntoskrnl",
            Self::Hal => "hal",
            Self::Ndis => "ndis",
        }
    }

    /// The exporter with this file name in an import table.
    pub fn of_image(name: &str) -> Option<Self> {
        match name.to_ascii_lowercase().as_str() {
            "ntoskrnl.exe" => Some(Self::Ntoskrnl),
            "hal.dll" => Some(Self::Hal),
            "ndis.sys" => Some(Self::Ndis),
            _ => None,
        }
    }
}

/// Windows versions in the order of their release, up to the oldest one that must run the
/// drivers.
const SUPPORTED: &[&str] = &[
    "Windows 2000",
    "Windows XP",
    "Windows Server 2003",
    "Windows Vista",
    "Windows Server 2008",
    "Windows 7",
    "Windows Server 2008 R2",
    "Windows 8",
    "Windows Server 2012",
    "Windows 8.1",
    "Windows Server 2012 R2",
    "Windows 10 1507",
    "Windows 10 1511",
    "Windows 10 1607",
    "Windows Server 2016",
    "Windows 10 1703",
    "Windows 10 1709",
    "Windows 10 1803",
    "Windows 10 1809",
    "Windows Server 2019",
];

/// Whether a function that came with this version is in every Windows that must run the drivers.
/// False for a version this table does not know.
pub fn is_old_enough(version: &str) -> bool {
    SUPPORTED.contains(&version)
}

/// A name that may be imported.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The Windows version that added it, if the list says.
    pub since: Option<String>,
}

/// The lists.
#[derive(Clone, Debug, Default)]
pub struct ImportLists {
    entries: BTreeMap<Exporter, BTreeMap<String, Entry>>,
}

/// A list could not be read.
#[derive(Debug)]
pub struct ImportListError {
    /// The file.
    pub file: PathBuf,
    /// Line in it, from 1; 0 for the whole file.
    pub line: usize,
    /// What is wrong.
    pub reason: String,
}

impl fmt::Display for ImportListError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.file.display(), self.line, self.reason)
    }
}

impl std::error::Error for ImportListError {}

impl ImportLists {
    /// Reads the three lists from `folder`.
    pub fn load(folder: &Path) -> Result<Self, ImportListError> {
        let mut lists = Self::default();
        for exporter in Exporter::ALL {
            let file = folder.join(format!("{}.txt", exporter.stem()));
            let text = std::fs::read_to_string(&file).map_err(|error| ImportListError {
                file: file.clone(),
                line: 0,
                reason: error.to_string(),
            })?;
            lists.add(exporter, &file, &text)?;
        }
        Ok(lists)
    }

    /// Adds one list from its text; `file` is for messages.
    pub fn add(
        &mut self,
        exporter: Exporter,
        file: &Path,
        text: &str,
    ) -> Result<(), ImportListError> {
        let entries = self.entries.entry(exporter).or_default();
        for (index, line) in text.lines().enumerate() {
            let fail = |reason: String| ImportListError {
                file: file.to_owned(),
                line: index + 1,
                reason,
            };
            let (name, comment) = line.split_once('#').unwrap_or((line, ""));
            let name = name.trim();
            if name.is_empty() {
                continue;
            }
            if !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
                return Err(fail(format!("`{name}` is no name of a function")));
            }
            let since = comment.split_once("since:").map(|(_, version)| {
                let version = version.split([';', ',']).next().unwrap_or_default();
                version.trim().to_owned()
            });
            if let Some(version) = &since
                && !is_old_enough(version)
            {
                let oldest = "Windows 10 1809";
                return Err(fail(format!(
                    "{name}: `{version}` is not {oldest} or older"
                )));
            }
            if entries.insert(name.to_owned(), Entry { since }).is_some() {
                return Err(fail(format!("`{name}` appears twice")));
            }
        }
        Ok(())
    }

    /// The entry of a name, if it may be imported.
    pub fn get(&self, exporter: Exporter, name: &str) -> Option<&Entry> {
        self.entries.get(&exporter)?.get(name)
    }

    /// Every entry.
    pub fn iter(&self) -> impl Iterator<Item = (Exporter, &str, &Entry)> {
        self.entries.iter().flat_map(|(exporter, entries)| {
            entries
                .iter()
                .map(|(name, entry)| (*exporter, name.as_str(), entry))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<ImportLists, String> {
        let mut lists = ImportLists::default();
        lists
            .add(Exporter::Ntoskrnl, Path::new("list.txt"), text)
            .map_err(|error| error.to_string())?;
        Ok(lists)
    }

    #[test]
    fn names_comments_and_versions_are_read() {
        let text = "# heading\n\nDbgPrintEx  # log lines\nIoBar # x; since: Windows 10 1607\n";
        let lists = parse(text).expect("valid");
        assert_eq!(lists.iter().count(), 2);
        let entry = lists.get(Exporter::Ntoskrnl, "DbgPrintEx").expect("listed");
        assert_eq!(entry.since, None);
        let entry = lists.get(Exporter::Ntoskrnl, "IoBar").expect("listed");
        assert_eq!(entry.since.as_deref(), Some("Windows 10 1607"));
        assert_eq!(lists.get(Exporter::Ndis, "DbgPrintEx"), None);
    }

    #[test]
    fn versions_that_came_later_or_are_unknown_are_refused() {
        let error = parse("ExAllocatePool2 # since: Windows 10 2004\n").expect_err("too new");
        assert_eq!(
            error,
            "list.txt:1: ExAllocatePool2: `Windows 10 2004` is not Windows 10 1809 or older"
        );
        assert!(parse("A # since: Windows 95\n").is_err());
        assert!(parse("A # since:\n").is_err());
    }

    #[test]
    fn repeats_and_malformed_names_are_refused() {
        assert!(
            parse("A\nA # again\n")
                .expect_err("twice")
                .contains("list.txt:2: `A` appears")
        );
        assert!(parse("A B\n").expect_err("two words").contains("`A B`"));
    }

    #[test]
    fn image_names_are_known_without_regard_to_case() {
        assert_eq!(Exporter::of_image("NTOSKRNL.exe"), Some(Exporter::Ntoskrnl));
        assert_eq!(Exporter::of_image("vcruntime140.dll"), None);
    }
}
