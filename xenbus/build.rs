//! Links the driver as a kernel image.

use std::error::Error;

use import_libraries::Exporter;

fn main() -> Result<(), Box<dyn Error>> {
    wdk_build::configure_wdk_binary_build()?;
    import_libraries::link(&[Exporter::Ntoskrnl, Exporter::Hal])?;
    Ok(())
}
