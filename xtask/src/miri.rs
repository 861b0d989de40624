//! Runs the pure crates' tests under Miri, which finds undefined behaviour and data races.

use std::fs;

use anyhow::Result;

use crate::{
    process::{self, Keep},
    tally::Tally,
};

/// Adds the tests run to `tally`, or a line to `not_run` where there is no Miri. Returns whether
/// all passed.
///
/// # Errors
/// A program could not be started.
pub(crate) fn run(tally: &mut Tally, not_run: &mut Vec<String>) -> Result<bool> {
    if let Err(reason) = setup() {
        not_run.push(format!("the pure crates' tests under Miri: {reason}"));
        return Ok(true);
    }
    let mut miri = process::program("cargo");
    miri.args(["+nightly", "miri", "test"]);
    for package in pure_crates()? {
        miri.args(["--package", &package]);
    }
    // RUSTUP_TOOLCHAIN, set by the cargo that runs us, would win over +nightly in child processes.
    miri.env_remove("RUSTUP_TOOLCHAIN")
        .env_remove("CARGO")
        .env_remove("RUSTC");
    miri.env("CARGO_TARGET_DIR", process::target_dir().join("miri"));
    let finished = process::run_and_keep(
        "running the pure crates under Miri",
        &mut miri,
        &Keep::Output,
    )?;
    *tally += Tally::of(&finished.output);
    Ok(finished.success)
}

/// Makes sure that a nightly toolchain with Miri is there.
fn setup() -> Result<(), String> {
    let has_miri = || {
        process::program("cargo")
            .args(["+nightly", "miri", "--version"])
            .env_remove("RUSTUP_TOOLCHAIN")
            .env_remove("CARGO")
            .env_remove("RUSTC")
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
