//! How a driver image is linked.

use std::{env, path::Path};

use crate::{ConfigError, HeaderSet};

/// Arguments every driver image is linked with, kit or not (ndis-contract: PE expectations).
const ARGUMENTS: &[&str] = &[
    "/DRIVER",
    "/NODEFAULTLIB",
    "/SUBSYSTEM:NATIVE,10.00",
    "/OSVERSION:10.0",
    "/ENTRY:DriverEntry",
    "/NXCOMPAT",
    "/DYNAMICBASE",
    "/HIGHENTROPYVA",
    "/GUARD:CF",
    "/RELEASE",
    "/INTEGRITYCHECK:NO",
    "/OPT:REF,ICF",
    "/DEBUG:FULL",
    "/MANIFEST:NO",
    // The same bytes wherever it is built: no time stamp, no path of this machine.
    "/BREPRO",
    "/PDBALTPATH:%_PDB%",
];

/// Emits the linker arguments for the driver whose build script calls it.
pub(crate) fn configure(set: &HeaderSet) -> Result<(), ConfigError> {
    let os = env::var("CARGO_CFG_TARGET_OS")
        .map_err(|_| ConfigError::NotRunByCargo("CARGO_CFG_TARGET_OS"))?;
    if os != "windows" {
        // A check or documentation build for the host links nothing.
        return Ok(());
    }
    for argument in ARGUMENTS {
        println!("cargo::rustc-cdylib-link-arg={argument}");
    }
    if let Some(folder) = set.library_path()? {
        emit_kit_libraries(&folder);
    }
    Ok(())
}

/// With a kit its own import libraries are used; without one the driver names those of `implib`.
fn emit_kit_libraries(folder: &Path) {
    println!("cargo::rustc-cdylib-link-arg=/LIBPATH:{}", folder.display());
    for library in ["ntoskrnl.lib", "hal.lib", "ndis.lib"] {
        println!("cargo::rustc-cdylib-link-arg={library}");
    }
}
