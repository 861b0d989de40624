//! `cargo xtask bench`: benchmarks, JSON to target/bench.

use std::fs;

use anyhow::{Context, Result};

use crate::process;

/// Runs them all.
///
/// # Errors
/// A benchmark does not build or does not end well.
pub(crate) fn run() -> Result<()> {
    let out = process::target_dir().join("bench");
    fs::create_dir_all(&out).with_context(|| format!("cannot make {}", out.display()))?;
    let report = out.join("toeplitz.json");
    let mut bench = process::cargo();
    bench
        .args(["bench", "--package", "rss", "--bench", "toeplitz", "--"])
        .arg(&report);
    process::run("measuring the RSS hash", &mut bench)?;
    println!("{}", report.display());
    Ok(())
}
