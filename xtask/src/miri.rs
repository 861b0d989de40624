//! Runs the pure crates' tests under Miri, which finds undefined behaviour and data races.

use std::{fs, process::Output, sync::Mutex, thread, time::Instant};

use anyhow::{Context, Result, bail};

use crate::{process, tally::Tally};

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
    let mut library = process::program("cargo");
    library.args(["+nightly", "miri", "setup"]);
    library
        .env_remove("RUSTUP_TOOLCHAIN")
        .env_remove("CARGO")
        .env_remove("RUSTC");
    process::run("building Miri's standard library", &mut library)?;
    eprintln!("==> running the pure crates under Miri");
    let start = Instant::now();
    // Each crate is a single-threaded program for minutes, so two run side by side.
    let crates = Mutex::new(pure_crates()?);
    let worker = || -> Result<Vec<Output>> {
        let mut outputs = Vec::new();
        loop {
            let next = crates.lock().map_or(None, |mut left| left.pop());
            let Some(package) = next else {
                return Ok(outputs);
            };
            let output = miri_test(&package)?;
            eprintln!("    {package}: {:.0} s", start.elapsed().as_secs_f64());
            outputs.push(output);
        }
    };
    let outputs = thread::scope(|scope| {
        let workers = [scope.spawn(worker), scope.spawn(worker)];
        workers.map(|worker| {
            worker
                .join()
                .unwrap_or_else(|_| bail!("a thread of xtask panicked"))
        })
    });
    let mut success = true;
    for output in outputs
        .into_iter()
        .collect::<Result<Vec<_>>>()?
        .into_iter()
        .flatten()
    {
        let text = String::from_utf8_lossy(&output.stdout);
        *tally += Tally::of(&text);
        if !output.status.success() {
            success = false;
            println!("{text}\n{}", String::from_utf8_lossy(&output.stderr));
        }
    }
    Ok(success)
}

/// Runs one package's tests under Miri.
fn miri_test(package: &str) -> Result<Output> {
    let mut miri = process::program("cargo");
    miri.args(["+nightly", "miri", "test", "--package", package]);
    // RUSTUP_TOOLCHAIN, set by the cargo that runs us, would win over +nightly in child processes.
    miri.env_remove("RUSTUP_TOOLCHAIN")
        .env_remove("CARGO")
        .env_remove("RUSTC");
    miri.env("CARGO_TARGET_DIR", process::target_dir().join("miri"));
    miri.output()
        .with_context(|| format!("cannot start {miri:?}"))
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
    // Taken from the end: the longest ones first, so that both workers end at about the same time.
    let longest = ["xenstore", "xenbus-core", "ring", "netfront-core"];
    names.sort_by_key(|name| (longest.iter().position(|long| long == name), name.clone()));
    Ok(names)
}
