//! Bindings for a target other than Windows.
//!
//! The test harness plays the Windows kernel in a Linux process and shares the NT types with the
//! drivers. bindgen writes a C `long` as `c_long` and every function as `extern "C"`; both mean
//! something else on Linux (64 bits, the System V calling convention). So for such a target the
//! generated text gets the Windows meaning written out. Layouts are checked by the `const`
//! assertions bindgen itself writes next to each type.

use std::{env, fs, path::PathBuf};

use crate::{ConfigError, IoError, headers};

/// Files `wdk-sys` generates for a WDM driver.
const GENERATED: &[&str] = &["types.rs", "constants.rs", "ntddk.rs"];

/// Rewrites what was generated, when the target is not Windows.
pub(crate) fn apply() -> Result<(), ConfigError> {
    let os = env::var("CARGO_CFG_TARGET_OS")
        .map_err(|_| ConfigError::NotRunByCargo("CARGO_CFG_TARGET_OS"))?;
    if os == "windows" {
        return Ok(());
    }
    let out_dir = env::var_os("OUT_DIR").ok_or(ConfigError::NotRunByCargo("OUT_DIR"))?;
    for name in GENERATED {
        let path = PathBuf::from(&out_dir).join(name);
        if path.is_file() {
            let text = with_windows_abi(&headers::read(&path)?);
            fs::write(&path, text).map_err(|source| IoError::with_path(&path, source))?;
        }
    }
    Ok(())
}

/// `text` with C's `long` as 32 bits and the Windows calling convention, whatever the target.
#[must_use]
pub fn with_windows_abi(text: &str) -> String {
    text.replace("::core::ffi::c_ulong", "u32")
        .replace("u32long", "::core::ffi::c_ulonglong")
        .replace("::core::ffi::c_long", "i32")
        .replace("i32long", "::core::ffi::c_longlong")
        .replace("extern \"C\"", "extern \"win64\"")
}

#[cfg(test)]
mod tests {
    use super::with_windows_abi;

    #[test]
    fn long_is_32_bits_and_long_long_stays() {
        assert_eq!(
            with_windows_abi("a: ::core::ffi::c_long, b: ::core::ffi::c_ulong"),
            "a: i32, b: u32"
        );
        let longlong = "a: ::core::ffi::c_longlong, b: ::core::ffi::c_ulonglong";
        assert_eq!(with_windows_abi(longlong), longlong);
    }

    #[test]
    fn functions_keep_the_windows_calling_convention() {
        assert_eq!(
            with_windows_abi("pub f: Option<unsafe extern \"C\" fn(u32)>"),
            "pub f: Option<unsafe extern \"win64\" fn(u32)>"
        );
    }
}
