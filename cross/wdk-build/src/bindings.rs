//! How bindgen is asked for bindings.

use std::{borrow::Borrow, env, path::Path};

use bindgen::{Builder, EnumVariation, Formatter, RustEdition, RustTarget};

use crate::{Config, ConfigError, told};

/// Makes bindgen builders for the WDK's headers.
pub trait BuilderExt {
    /// A builder with everything set but the header and the kinds of items wanted.
    ///
    /// # Errors
    /// [`ConfigError::LibclangNotFound`], or a folder of the header set is missing.
    fn wdk_default(config: impl Borrow<Config>) -> Result<Builder, ConfigError>;
}

impl BuilderExt for Builder {
    fn wdk_default(config: impl Borrow<Config>) -> Result<Builder, ConfigError> {
        let config = config.borrow();
        told(require_libclang())?;
        let includes =
            told(config.include_paths())?.map(|folder| format!("-I{}", folder.display()));
        let definitions = config
            .preprocessor_definitions()
            .map(|(name, value)| match value {
                Some(value) => format!("-D{name}={value}"),
                None => format!("-D{name}"),
            });
        Ok(Builder::default()
            .use_core()
            .derive_default(true)
            .generate_cstr(true)
            // The host's own headers must not be found.
            .detect_include_paths(false)
            .clang_args(config.headers.clang_arguments())
            .clang_args(includes)
            .clang_args(definitions)
            // Bit-fields that no Rust layout can hold (IA32_MCG_CAP).
            .blocklist_item(".*MCG_CAP(?:__bindgen.*)?")
            .blocklist_item(".*WHEA_XPF_MCA_SECTION")
            .opaque_type("_KGDTENTRY64")
            .opaque_type("_KIDTENTRY64")
            .must_use_type("NTSTATUS")
            .default_enum_style(EnumVariation::ModuleConsts)
            // wdk-sys itself needs 1.85 (edition 2024).
            .rust_target(rust_target())
            .rust_edition(RustEdition::Edition2024)
            .parse_callbacks(Box::new(bindgen::CargoCallbacks::new()))
            .formatter(Formatter::Prettyplease))
    }
}

fn rust_target() -> RustTarget {
    RustTarget::stable(85, 0).unwrap_or_default()
}

/// bindgen panics with many lines when libclang is missing; one clear line is better.
fn require_libclang() -> Result<(), ConfigError> {
    if cfg!(windows) || env::var_os("LIBCLANG_PATH").is_some() {
        return Ok(());
    }
    let folders = [
        "/usr/lib/x86_64-linux-gnu",
        "/usr/lib64",
        "/usr/lib",
        "/usr/local/lib",
    ];
    let llvm = (11..30).map(|version| format!("/usr/lib/llvm-{version}/lib"));
    let found = folders
        .iter()
        .map(ToString::to_string)
        .chain(llvm)
        .any(|folder| holds_libclang(&folder));
    if found {
        Ok(())
    } else {
        Err(ConfigError::LibclangNotFound)
    }
}

fn holds_libclang(folder: &str) -> bool {
    let Ok(entries) = Path::new(folder).read_dir() else {
        return false;
    };
    entries.filter_map(Result::ok).any(|entry| {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        // libclang-cpp is C++; bindgen needs the C interface.
        name.starts_with("libclang") && !name.starts_with("libclang-cpp") && name.contains(".so")
    })
}
