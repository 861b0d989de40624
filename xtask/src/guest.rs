//! Builds the test guest: the kernel that runs the drivers on real Xen, and the archive that brings them.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};

use crate::{
    build::{self, DRIVERS},
    process, setup,
    xen::cpio::Archive,
};

/// Target of the kernel.
pub(crate) const GUEST_TARGET: &str = "x86_64-unknown-none";
/// Cargo profile of the kernel, and the name of its folder of results.
pub(crate) const GUEST_PROFILE: &str = "kernel";

/// What a domain is started with.
#[derive(Clone, Debug)]
pub(crate) struct Guest {
    /// ELF file with a note for the PVH entry: `kernel=` of a PVH domain.
    pub(crate) kernel: PathBuf,
    /// The drivers, as a cpio archive (newc): `ramdisk=`.
    pub(crate) modules: PathBuf,
}

/// `cargo xtask guest`.
///
/// # Errors
/// Set-up or build failed.
pub(crate) fn run() -> Result<()> {
    build::run()?;
    let guest = build()?;
    println!("{}\n{}", guest.kernel.display(), guest.modules.display());
    Ok(())
}

/// Builds the kernel, and packs the drivers of `target/package`, which are built already.
///
/// # Errors
/// The build failed, or a driver is missing.
pub(crate) fn build() -> Result<Guest> {
    setup::rustup_target(GUEST_TARGET)?;
    let mut cargo = process::cargo();
    cargo.args(["build", "--package", "guest", "--bin", "guest"]);
    cargo.args(["--target", GUEST_TARGET, "--profile", GUEST_PROFILE]);
    process::run("building the guest's kernel", &mut cargo)?;
    let target = process::target_dir();
    let folder = target.join("guest");
    fs::create_dir_all(&folder)?;
    let guest = Guest {
        kernel: folder.join("guest.elf"),
        modules: folder.join("modules.cpio"),
    };
    let built = target.join(GUEST_TARGET).join(GUEST_PROFILE).join("guest");
    fs::copy(&built, &guest.kernel).with_context(|| format!("no {}", built.display()))?;
    fs::write(&guest.modules, modules(&build::package_dir())?)?;
    Ok(guest)
}

/// The archive of the drivers in `folder`.
fn modules(folder: &Path) -> Result<Vec<u8>> {
    let mut archive = Archive::default();
    for driver in DRIVERS {
        let name = format!("{driver}.sys");
        let path = folder.join(&name);
        let image = fs::read(&path)
            .with_context(|| format!("no {}: run: cargo xtask build", path.display()))?;
        archive.file(&name, &image);
    }
    Ok(archive.finish())
}
