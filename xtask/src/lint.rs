//! Formatting, clippy and documentation, warnings denied.

use anyhow::Result;

use crate::{
    build::{self, DRIVER_PROFILE, DRIVERS},
    guest::{GUEST_PROFILE, GUEST_TARGET},
    process,
    setup::{self, DRIVER_TARGET, Purpose},
};

/// `cargo xtask lint`.
///
/// # Errors
/// The first check that fails.
pub(crate) fn run() -> Result<()> {
    setup::run(Purpose::Test)?;
    process::run(
        "formatting",
        process::cargo().args(["fmt", "--all", "--check"]),
    )?;

    let mut clippy = process::cargo();
    clippy.args(["clippy", "--workspace", "--all-targets"]);
    let mut doc = process::cargo();
    doc.args([
        "doc",
        "--workspace",
        "--no-deps",
        "--document-private-items",
    ]);
    for driver in DRIVERS {
        clippy.args(["--exclude", driver]);
        doc.args(["--exclude", driver]);
    }
    process::run("clippy", clippy.args(["--", "-D", "warnings"]))?;

    // The drivers, and with them what their libraries only have on Windows.
    let mut driver_clippy = process::cargo();
    driver_clippy.args([
        "clippy",
        "--profile",
        DRIVER_PROFILE,
        "--target",
        DRIVER_TARGET,
    ]);
    for driver in DRIVERS {
        driver_clippy.args(["--package", driver]);
    }
    build::with_driver_flags(&mut driver_clippy, &process::root(), &process::target_dir())?;
    process::run(
        "clippy for the drivers",
        driver_clippy.args(["--", "-D", "warnings"]),
    )?;

    // The test guest's kernel, which is empty for other targets.
    setup::rustup_target(GUEST_TARGET)?;
    let mut guest = process::cargo();
    guest.args(["clippy", "--package", "guest", "--target", GUEST_TARGET]);
    guest.args(["--profile", GUEST_PROFILE, "--", "-D", "warnings"]);
    process::run("clippy for the guest", &mut guest)?;

    process::run("documentation", doc.env("RUSTDOCFLAGS", "-D warnings"))
}
