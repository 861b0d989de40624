//! Where the headers come from: a real kit, or mingw-w64.

use std::{
    env, fs,
    path::{Path, PathBuf},
};

use crate::{ConfigError, IoError};

/// Folder that mingw-w64's headers and import libraries are in on Debian.
const DEBIAN_MINGW: &str = "/usr/x86_64-w64-mingw32";

/// A set of headers a driver can be built against.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HeaderSet {
    /// A Windows Driver Kit: its content root and the newest version folder in it.
    Kit {
        /// `WDKContentRoot`.
        root: PathBuf,
        /// Name of the version folder, such as `10.0.26100.0`.
        version: String,
    },
    /// mingw-w64 with its public-domain DDK headers, found below this folder.
    Mingw(PathBuf),
}

impl HeaderSet {
    /// The set the environment asks for.
    pub(crate) fn from_env() -> Result<Self, ConfigError> {
        // Cargo and eWDK prompts differ in the letter case; Windows does not care, Linux does.
        match env::var_os("WDKContentRoot").filter(|root| !root.is_empty()) {
            Some(root) => Self::kit(PathBuf::from(root)),
            None => Self::mingw(
                env::var_os("MINGW_DDK_ROOT").map_or_else(|| DEBIAN_MINGW.into(), PathBuf::from),
            ),
        }
    }

    fn kit(root: PathBuf) -> Result<Self, ConfigError> {
        let Ok(entries) = fs::read_dir(root.join("Include")) else {
            return Err(ConfigError::KitNotFound(root));
        };
        let newest = entries
            .filter_map(Result::ok)
            .filter(|entry| entry.path().join("km").is_dir())
            .filter_map(|entry| entry.file_name().into_string().ok())
            .max_by_key(|name| version_numbers(name));
        match newest {
            Some(version) => Ok(Self::Kit { root, version }),
            None => Err(ConfigError::KitNotFound(root)),
        }
    }

    fn mingw(root: PathBuf) -> Result<Self, ConfigError> {
        let probe = root.join("include/ddk/ntddk.h");
        if probe.is_file() {
            Ok(Self::Mingw(root))
        } else {
            Err(ConfigError::HeadersNotFound(probe))
        }
    }

    /// Top folder of the set, for messages.
    pub(crate) fn root(&self) -> &Path {
        match self {
            Self::Kit { root, .. } | Self::Mingw(root) => root,
        }
    }

    pub(crate) fn include_paths(&self) -> Result<Vec<PathBuf>, ConfigError> {
        let folders = match self {
            Self::Kit { root, version } => {
                let include = root.join("Include").join(version);
                vec![
                    include.join("km/crt"),
                    include.join("km"),
                    include.join("shared"),
                ]
            }
            Self::Mingw(root) => vec![
                PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("include"),
                root.join("include/ddk"),
                root.join("include"),
            ],
        };
        if let Some(missing) = folders.iter().find(|folder| !folder.is_dir()) {
            return Err(ConfigError::DirectoryNotFound(missing.clone()));
        }
        Ok(folders)
    }

    /// Folder of the kit's own import libraries; none for mingw-w64, whose archives no
    /// MSVC-style linker reads (crate `implib` makes ours).
    pub(crate) fn library_path(&self) -> Result<Option<PathBuf>, ConfigError> {
        match self {
            Self::Mingw(_) => Ok(None),
            Self::Kit { root, version } => {
                let folder = root.join("Lib").join(version).join("km/x64");
                if folder.is_dir() {
                    Ok(Some(folder))
                } else {
                    Err(ConfigError::DirectoryNotFound(folder))
                }
            }
        }
    }

    /// Macros for x86-64 kernel mode, Windows 10 1809 (wdm.h, sdkddkver.h).
    pub(crate) fn definitions(&self) -> Vec<(String, Option<String>)> {
        let mut definitions = vec![
            ("_WIN64", None),
            ("_AMD64_", None),
            ("AMD64", None),
            ("_KERNEL_MODE", None),
            ("_WIN32_WINNT", Some("0x0A00")),
            ("WINVER", Some("0x0A00")),
            ("NTDDI_VERSION", Some("0x0A000006")),
        ];
        if let Self::Mingw(_) = self {
            // mingw-w64's own guards for what MSVC has built in.
            definitions.push(("__INTRINSIC_PROLOG(name)", Some("0")));
        }
        definitions
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value.map(str::to_owned)))
            .collect()
    }

    /// Arguments for clang that fit these headers.
    pub(crate) fn clang_arguments(&self) -> Vec<String> {
        let common = [
            "-fms-extensions",
            "-fno-builtin",
            "-Wno-pragma-pack",
            "-Wno-ignored-attributes",
            "-Wno-microsoft",
            "-Wno-deprecated-declarations",
        ];
        let particular: &[&str] = match self {
            Self::Kit { .. } => &[
                "--target=x86_64-pc-windows-msvc",
                "-fms-compatibility",
                "-fdelayed-template-parsing",
                "-Wno-nonportable-include-path",
                "-Wno-invalid-token-paste",
            ],
            // -fms-compatibility would make clang define what mingw-w64 defines itself.
            Self::Mingw(_) => &["--target=x86_64-pc-windows-gnu"],
        };
        common
            .iter()
            .chain(particular)
            .map(ToString::to_string)
            .collect()
    }
}

/// `10.0.26100.0` as numbers, so that 26100 sorts after 9600.
fn version_numbers(name: &str) -> Vec<u32> {
    name.split('.')
        .map(|part| part.parse().unwrap_or(0))
        .collect()
}

/// Reads a text file.
pub(crate) fn read(path: &Path) -> Result<String, ConfigError> {
    fs::read_to_string(path).map_err(|source| IoError::with_path(path, source).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kit_with(versions: &[&str]) -> tempdir::Folder {
        let folder = tempdir::Folder::new();
        for version in versions {
            for part in ["km/crt", "km", "shared"] {
                fs::create_dir_all(folder.path().join("Include").join(version).join(part)).unwrap();
            }
        }
        folder
    }

    /// A folder under the system's temporary one, removed at the end.
    mod tempdir {
        use std::{
            env, fs, path::PathBuf, process, sync::atomic::AtomicU32, sync::atomic::Ordering,
        };

        pub(super) struct Folder(PathBuf);

        impl Folder {
            pub(super) fn new() -> Self {
                static NEXT: AtomicU32 = AtomicU32::new(0);
                let name = format!(
                    "wdk-build-{}-{}",
                    process::id(),
                    NEXT.fetch_add(1, Ordering::Relaxed)
                );
                let path = env::temp_dir().join(name);
                fs::create_dir_all(&path).unwrap();
                Self(path)
            }

            pub(super) fn path(&self) -> PathBuf {
                self.0.clone()
            }
        }

        impl Drop for Folder {
            fn drop(&mut self) {
                let _ = fs::remove_dir_all(&self.0);
            }
        }
    }

    #[test]
    fn the_newest_version_of_a_kit_is_chosen_by_number() {
        let folder = kit_with(&["10.0.9600.0", "10.0.26100.0", "10.0.19041.0"]);
        let set = HeaderSet::kit(folder.path()).unwrap();
        assert_eq!(
            set,
            HeaderSet::Kit {
                root: folder.path(),
                version: "10.0.26100.0".to_owned()
            }
        );
        assert_eq!(set.include_paths().unwrap().len(), 3);
    }

    #[test]
    fn a_kit_root_that_is_not_there_is_named_with_the_way_out() {
        let error = HeaderSet::kit("/no/such/kit".into())
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("/no/such/kit") && error.contains("WDKContentRoot"),
            "{error}"
        );
    }

    #[test]
    fn a_kit_without_libraries_says_which_folder_is_missing() {
        let folder = kit_with(&["10.0.26100.0"]);
        let error = HeaderSet::kit(folder.path())
            .unwrap()
            .library_path()
            .unwrap_err()
            .to_string();
        assert!(error.contains("km/x64"), "{error}");
    }

    #[test]
    fn missing_mingw_headers_name_the_package() {
        let error = HeaderSet::mingw("/no/such/mingw".into())
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("apt-get install mingw-w64-x86-64-dev"),
            "{error}"
        );
    }
}
