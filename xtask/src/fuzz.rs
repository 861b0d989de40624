//! `cargo xtask fuzz`: looks for bytes on which a core breaks a promise, with libFuzzer.

use std::{fs, path::Path};

use anyhow::{Context, Result, bail};
use clap::Args;

use crate::{
    process,
    setup::{self, Purpose},
};

/// Options of `cargo xtask fuzz`.
#[derive(Args)]
pub(crate) struct Options {
    /// What is fuzzed; without it the targets are named.
    target: Option<String>,
    /// For so many seconds; 0: until it is stopped or finds something.
    #[arg(long, default_value_t = 60)]
    time: u64,
}

/// What the fuzzer is built for: named, so that what runs in the build itself is built without [`COVERAGE`].
const TARGET: &str = "x86_64-unknown-linux-gnu";
const PROFILE: &str = "fuzz";

/// What has the compiler count the edges that run and note what is compared, for libFuzzer to steer by.
const COVERAGE: &str = "-Cpasses=sancov-module \
    -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters \
    -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares";

/// Longest input in bytes.
const MAX_LEN: u32 = 4096;
/// An input that takes longer, in seconds, is a hang.
const HANG: u32 = 20;

/// Fuzzes one target. It begins with the inputs that are kept in the tree and with what earlier runs found worth a try.
///
/// # Errors
/// There is no such target, set-up or build failed, or an input breaks a promise: it is in the tree then, where the tests
/// find it.
pub(crate) fn run(options: &Options) -> Result<()> {
    let all = process::root().join("tests/fuzz/inputs");
    let names = names(&all)?;
    let Some(name) = &options.target else {
        println!("{}", names.join("\n"));
        return Ok(());
    };
    if !names.contains(name) {
        bail!("no target {name}: there are {}", names.join(", "));
    }
    setup::run(Purpose::Fuzz)?;
    let folder = process::target_dir().join("fuzz");
    let mut build = process::cargo();
    build
        .args(["build", "--package", "fuzz", "--features", "engine"])
        .args(["--profile", PROFILE, "--target", TARGET, "--target-dir"])
        .arg(&folder)
        .env("RUSTFLAGS", COVERAGE);
    process::run("building the fuzzer", &mut build)?;

    let corpus = folder.join("corpus").join(name);
    fs::create_dir_all(&corpus).with_context(|| corpus.display().to_string())?;
    let kept = all.join(name);
    let mut fuzzer = process::program(folder.join(TARGET).join(PROFILE).join("fuzz"));
    fuzzer
        .env("FUZZ_TARGET", name)
        .arg(format!("-max_total_time={}", options.time))
        .arg(format!("-artifact_prefix={}/", kept.display()))
        .args([format!("-max_len={MAX_LEN}"), format!("-timeout={HANG}")])
        // What is only slow breaks nothing and is not kept.
        .arg(format!("-report_slow_units={HANG}"))
        .arg("-print_final_stats=1")
        .args([&corpus, &kept]);
    process::run(&format!("fuzzing {name}"), &mut fuzzer).with_context(|| {
        let kept = kept.display();
        format!("the input is in {kept}: `cargo xtask test kept_inputs` fails until it is mended")
    })
}

/// The targets: each has a folder of inputs.
fn names(inputs: &Path) -> Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(inputs).with_context(|| inputs.display().to_string())? {
        names.push(entry?.file_name().to_string_lossy().into_owned());
    }
    names.sort();
    Ok(names)
}
