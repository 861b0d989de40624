//! Links the driver as a kernel image.

use std::path::PathBuf;
use std::{error::Error, fs, process::ExitCode};

use import_libraries::Exporter;

/// A library without members.
const EMPTY_ARCHIVE: &[u8] = b"!<arch>\n";

fn main() -> ExitCode {
    match configure() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // One line for the reader; Cargo shows it before anything else.
            println!("cargo::error={error}");
            ExitCode::FAILURE
        }
    }
}

fn configure() -> Result<(), Box<dyn Error>> {
    wdk_build::configure_wdk_binary_build()?;
    import_libraries::link(&[Exporter::Ntoskrnl, Exporter::Ndis])?;
    // The crate tracelogging names this library for a function that no driver calls.
    let folder = PathBuf::from(std::env::var_os("OUT_DIR").ok_or("no OUT_DIR")?);
    fs::write(folder.join("rpcrt4.lib"), EMPTY_ARCHIVE)?;
    println!("cargo::rustc-link-search=native={}", folder.display());
    Ok(())
}
