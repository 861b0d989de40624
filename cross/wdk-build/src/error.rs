//! Why a build cannot be configured, each with what to do about it.

use std::path::PathBuf;

use crate::ApiSubset;

/// A file or folder that could not be read or written.
#[derive(Debug, thiserror::Error)]
#[error("{path}: {source}")]
pub struct IoError {
    path: PathBuf,
    source: std::io::Error,
}

impl IoError {
    /// Ties `source` to the `path` it happened at.
    pub fn with_path(path: impl Into<PathBuf>, source: std::io::Error) -> Self {
        Self {
            path: path.into(),
            source,
        }
    }
}

/// Why a build cannot be configured.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// `WDKContentRoot` names a folder that is not there or holds no kit.
    #[error(
        "WDKContentRoot is {0}, which has no Include/<version>/km folder: set it to the folder of \
         an installed WDK or eWDK (for example C:\\Program Files (x86)\\Windows Kits\\10), or unset \
         it to build with mingw-w64's headers"
    )]
    KitNotFound(PathBuf),
    /// Neither a kit nor mingw-w64's headers.
    #[error(
        "no driver headers: {0} is missing; on Debian run: apt-get install mingw-w64-x86-64-dev; \
         elsewhere set MINGW_DDK_ROOT to a folder with include/ddk/ntddk.h, or WDKContentRoot to a WDK"
    )]
    HeadersNotFound(PathBuf),
    /// bindgen could not load libclang.
    #[error(
        "libclang was not found: on Debian run: apt-get install libclang-14-dev; elsewhere set \
         LIBCLANG_PATH to the folder that holds it"
    )]
    LibclangNotFound,
    /// The headers do not define a type that the drivers use.
    #[error(
        "the headers in {headers} define no type {name}, which the drivers use: install \
         mingw-w64-x86-64-dev 10.0 or later, or a WDK of Windows 10 1809 or later"
    )]
    TypeMissing {
        /// The type's name.
        name: &'static str,
        /// Folder of the header set.
        headers: PathBuf,
    },
    /// A folder of the kit is missing.
    #[error("{0} is missing: the kit is not whole; install it again")]
    DirectoryNotFound(PathBuf),
    /// A feature of `wdk-sys` whose headers are not served.
    #[error("the {0:?} headers of the WDK are not served by this stand-in for wdk-build")]
    SubsetNotServed(ApiSubset),
    /// Not run by Cargo.
    #[error("the environment variable {0} is not set: build scripts must be run by Cargo")]
    NotRunByCargo(&'static str),
    /// A file could not be read or written.
    #[error(transparent)]
    Io(#[from] IoError),
}
