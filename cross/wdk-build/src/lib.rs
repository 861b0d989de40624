//! Portable stand-in for Microsoft's `wdk-build`, put in its place by `[patch.crates-io]`.
//!
//! The published crate refuses every host but Windows. This one offers what the build scripts of
//! `wdk-sys` 0.5 and `wdk` 0.5 call, and takes the headers from one of two [`HeaderSet`]s:
//!
//! 1. `WDKContentRoot` is set (Windows with the WDK, or an eWDK prompt): the real kit.
//! 2. Otherwise: the DDK headers of mingw-w64 (Debian's `mingw-w64-x86-64-dev`), with the few
//!    headers in `include/` placed before them.
//!
//! Only the WDM driver model on x86-64 is served; the types for KMDF and UMDF exist because
//! `wdk-sys` names them.
//!
//! A build for a target other than Windows is for the test harness: see [`host_abi`].

mod bindings;
mod check;
mod error;
mod headers;
pub mod host_abi;
mod link;

pub use bindings::BuilderExt;
pub use error::{ConfigError, IoError};
pub use headers::HeaderSet;

use std::path::PathBuf;

/// What a build script needs to know of the driver and of the headers it is built against.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Driver model; always [`DriverConfig::Wdm`] here.
    pub driver_config: DriverConfig,
    headers: HeaderSet,
}

/// The driver model. Only [`DriverConfig::Wdm`] is ever made by this crate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DriverConfig {
    /// Windows Driver Model.
    Wdm,
    /// Kernel-mode driver framework; not served.
    Kmdf(KmdfConfig),
    /// User-mode driver framework; not served.
    Umdf(UmdfConfig),
}

/// Version of the kernel-mode framework. Named by `wdk-sys`, never made here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KmdfConfig {
    /// Major version.
    pub kmdf_version_major: u8,
    /// Minor version the driver is built for.
    pub target_kmdf_version_minor: u8,
}

/// Version of the user-mode framework. Named by `wdk-sys`, never made here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UmdfConfig {
    /// Major version.
    pub umdf_version_major: u8,
    /// Minor version the driver is built for.
    pub target_umdf_version_minor: u8,
}

/// Groups of WDK headers `wdk-sys` can be asked for. Only [`ApiSubset::Base`] has headers here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ApiSubset {
    /// What every driver needs: `ntifs.h`, `ntddk.h`.
    Base,
    /// Driver frameworks; empty for a WDM driver.
    Wdf,
    /// General purpose I/O pins.
    Gpio,
    /// Human interface devices.
    Hid,
    /// Parallel ports.
    ParallelPorts,
    /// Simple peripheral bus.
    Spb,
    /// Storage.
    Storage,
    /// Universal serial bus.
    Usb,
}

impl Config {
    /// The configuration of this build, from the environment.
    ///
    /// # Errors
    /// [`ConfigError`] when `WDKContentRoot` names no kit, or when neither a kit nor mingw-w64's
    /// DDK headers are there.
    pub fn from_env_auto() -> Result<Self, ConfigError> {
        println!("cargo::rerun-if-env-changed=WDKContentRoot");
        println!("cargo::rerun-if-env-changed=MINGW_DDK_ROOT");
        Ok(Self {
            driver_config: DriverConfig::Wdm,
            headers: HeaderSet::from_env()?,
        })
    }

    /// Folders searched for headers, first to last.
    ///
    /// # Errors
    /// [`ConfigError::DirectoryNotFound`] when one of them is missing.
    pub fn include_paths(&self) -> Result<impl Iterator<Item = PathBuf> + use<>, ConfigError> {
        Ok(self.headers.include_paths()?.into_iter())
    }

    /// Macros defined before the headers are read.
    pub fn preprocessor_definitions(
        &self,
    ) -> impl Iterator<Item = (String, Option<String>)> + use<> {
        self.headers.definitions().into_iter()
    }

    /// Headers of `api_subset`.
    ///
    /// # Errors
    /// [`ConfigError::SubsetNotServed`] for a subset the drivers do not use.
    pub fn headers(
        &self,
        api_subset: ApiSubset,
    ) -> Result<impl Iterator<Item = String> + use<>, ConfigError> {
        let names: &[&str] = match api_subset {
            ApiSubset::Base => &["ntifs.h", "ntddk.h"],
            ApiSubset::Wdf => &[],
            other => return Err(ConfigError::SubsetNotServed(other)),
        };
        Ok(names.iter().map(ToString::to_string))
    }

    /// A C source text that includes the headers of all `api_subsets`.
    ///
    /// # Errors
    /// As [`Config::headers`].
    pub fn bindgen_header_contents(
        &self,
        api_subsets: impl IntoIterator<Item = ApiSubset>,
    ) -> Result<String, ConfigError> {
        let mut contents = String::new();
        for api_subset in api_subsets {
            for header in self.headers(api_subset)? {
                contents.push_str(&format!("#include \"{header}\"\n"));
            }
        }
        Ok(contents)
    }

    /// Link attributes for the bindings of `api_subset`: none. The libraries are given to the
    /// linker by the driver itself, through [`configure_wdk_binary_build`].
    #[must_use]
    pub fn bindgen_library_link_raw_lines(&self, _api_subset: ApiSubset) -> Option<String> {
        None
    }

    /// Name of the framework's function table: none for a WDM driver.
    #[must_use]
    pub fn compute_wdffunctions_symbol_name(&self) -> Option<String> {
        None
    }

    fn emit_cfg() {
        println!(
            "cargo::rustc-check-cfg=cfg(driver_model__driver_type, values(\"WDM\",\"KMDF\",\"UMDF\"))"
        );
        println!("cargo::rustc-cfg=driver_model__driver_type=\"WDM\"");
    }
}

/// Configures a library that uses the WDK: emits the `cfg` values `wdk-sys` and `wdk` test.
///
/// # Errors
/// As [`Config::from_env_auto`].
pub fn configure_wdk_library_build() -> Result<(), ConfigError> {
    configure_wdk_library_build_and_then(|_| Ok(()))
}

/// As [`configure_wdk_library_build`], then calls `generate` and checks what it generated.
///
/// # Errors
/// As [`Config::from_env_auto`]; what `generate` returns; [`ConfigError::TypeMissing`] when the
/// headers lack a type the drivers use.
pub fn configure_wdk_library_build_and_then<F, E>(mut generate: F) -> Result<(), E>
where
    F: FnMut(Config) -> Result<(), E>,
    E: From<ConfigError>,
{
    let config = told(Config::from_env_auto())?;
    Config::emit_cfg();
    generate(config.clone())?;
    told(check::required_types(&config.headers))?;
    told(host_abi::apply())?;
    Ok(())
}

/// Has Cargo print an error as one line: `wdk-sys` and `wdk` would print it among many others.
pub(crate) fn told<T>(result: Result<T, ConfigError>) -> Result<T, ConfigError> {
    if let Err(error) = &result {
        println!("cargo::error={error}");
    }
    result
}

/// Configures the link of a driver image: to be called by the build script of a driver.
///
/// # Errors
/// As [`Config::from_env_auto`]; [`ConfigError::DirectoryNotFound`] when the kit has no libraries.
pub fn configure_wdk_binary_build() -> Result<(), ConfigError> {
    link::configure(&HeaderSet::from_env()?)
}
