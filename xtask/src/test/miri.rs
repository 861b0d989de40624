//! Runs the pure crates' tests under Miri, which finds undefined behaviour and data races.

use std::{fs, process::Command};

use anyhow::Result;

use super::jobs::Job;
use crate::process;

/// The crate that reads and writes memory shared with another domain.
const SHARED_MEMORY: &str = "ring";

/// What is left out in the other crates, where it takes more than half of Miri's time: the model of aliasing, and whether
/// each value is one of its type's. Code that forbids `unsafe` cannot break these; accesses, memory that was never
/// written, races, leaks, arithmetic and panics are looked at everywhere.
const SAFE_CODE: &str = "-Zmiri-disable-stacked-borrows -Zmiri-disable-validation";

/// A job for each pure crate; or why there is no Miri.
///
/// # Errors
/// A program could not be started.
pub(crate) fn jobs() -> Result<Result<Vec<Job>, String>> {
    if let Err(reason) = setup() {
        return Ok(Err(reason));
    }
    let mut library = nightly(&["miri", "setup"]);
    process::run("building Miri's standard library", &mut library)?;
    let job = |package: String| {
        let mut test = nightly(&["miri", "test", "--package", &package]);
        // Other flags, another folder: in one, each would have the dependencies built anew.
        let folder = if package == SHARED_MEMORY {
            "miri-shared-memory"
        } else {
            test.env("MIRIFLAGS", SAFE_CODE);
            "miri"
        };
        test.env("CARGO_TARGET_DIR", process::target_dir().join(folder));
        Job::program(format!("Miri: {package}"), test)
    };
    Ok(Ok(pure_crates()?.into_iter().map(job).collect()))
}

/// The nightly toolchain's cargo.
fn nightly(arguments: &[&str]) -> Command {
    let mut cargo = process::program("cargo");
    // RUSTUP_TOOLCHAIN, set by the cargo that runs us, would win over +nightly in child processes.
    cargo
        .arg("+nightly")
        .args(arguments)
        .env_remove("RUSTUP_TOOLCHAIN")
        .env_remove("CARGO")
        .env_remove("RUSTC");
    cargo
}

/// Makes sure that a nightly toolchain with Miri is there.
fn setup() -> Result<(), String> {
    let has_miri = || {
        nightly(&["miri", "--version"])
            .output()
            .is_ok_and(|output| output.status.success())
    };
    let has_source = || {
        process::program("rustup")
            .args(["+nightly", "component", "list", "--installed"])
            .env_remove("RUSTUP_TOOLCHAIN")
            .output()
            .is_ok_and(|output| String::from_utf8_lossy(&output.stdout).contains("rust-src"))
    };
    if has_miri() && has_source() {
        return Ok(());
    }
    let mut add = process::program("rustup");
    add.args([
        "component",
        "add",
        "--toolchain",
        "nightly",
        "miri",
        "rust-src",
    ]);
    match process::run("rustup component add miri", &mut add) {
        Ok(()) if has_miri() => Ok(()),
        _ => Err(
            "no nightly toolchain with Miri: rustup toolchain install nightly --component \
                  miri,rust-src"
                .to_owned(),
        ),
    }
}

/// Packages in `crates/` that forbid unsafe code: the protocol, rings and state machines.
fn pure_crates() -> Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(process::root().join("crates"))? {
        let folder = entry?.path();
        let source = fs::read_to_string(folder.join("src/lib.rs")).unwrap_or_default();
        if source.contains("#![forbid(unsafe_code)]") {
            names.extend(
                folder
                    .file_name()
                    .map(|name| name.to_string_lossy().into_owned()),
            );
        }
    }
    names.sort();
    Ok(names)
}
