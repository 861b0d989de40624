//! Links the driver as a kernel image.

use std::{error::Error, process::ExitCode};

use import_libraries::Exporter;

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
    import_libraries::link(&[Exporter::Ntoskrnl, Exporter::Hal])?;
    Ok(())
}
