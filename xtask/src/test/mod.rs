//! Runs every test there is.
//!
//! | module | is |
//! |---|---|
//! | `programs` | the test programs of the workspace |
//! | `miri` | the pure crates under Miri |
//! | `reproducible` | the second build of the drivers |
//! | `jobs` | runs all these, one per processor |
//! | `tally` | what came of them, counted |

mod jobs;
mod miri;
mod programs;
mod reproducible;
mod tally;

use std::{io::Write, thread};

use anyhow::{Result, bail};
use clap::Args;

use crate::{
    build, package, process,
    setup::{self, Purpose},
};
use jobs::{Job, Work};
pub(crate) use tally::Tally;

/// Options of `cargo xtask test`.
#[derive(Args)]
pub(crate) struct Options {
    /// Run only the tests whose name contains this; leaves out Miri and the second build.
    filter: Option<String>,
}

/// The jobs that take longest, in this order: they begin first, so that all processors end at about the same time.
const LONGEST: &[&str] = &[
    "world::lives",
    "Miri: netfront-core",
    "world::drivers",
    "layout::bindings",
    SECOND_BUILD,
    "Miri: xenstore",
    "Miri: rss",
    "Miri: offload",
    "Miri: ring",
    "Miri: xenbus-core",
    "Miri: netif",
    "documentation",
    "Miri: keywords",
];
const SECOND_BUILD: &str = "second build";

/// `cargo xtask test`.
///
/// # Errors
/// Set-up or build failed, or a test did.
pub(crate) fn run(options: &Options) -> Result<()> {
    setup::run(Purpose::Test)?;
    let filter = options.filter.as_deref();
    let programs = thread::scope(|scope| {
        // The drivers are built for another target, in another folder: neither build waits for the other.
        let drivers = scope.spawn(drivers);
        let programs = programs::build();
        match drivers.join() {
            Ok(result) => result.and(programs),
            Err(_) => bail!("a thread of xtask panicked"),
        }
    })?;
    let mut jobs: Vec<Job> = programs.iter().map(|program| program.job(filter)).collect();
    jobs.push(programs::documentation(filter));
    let mut not_run = Vec::new();
    if filter.is_none() {
        jobs.push(Job {
            name: SECOND_BUILD.to_owned(),
            work: Work::Call(reproducible::check),
        });
        match miri::jobs()? {
            Ok(miri) => jobs.extend(miri),
            Err(reason) => not_run.push(format!("the pure crates' tests under Miri: {reason}")),
        }
    }
    jobs.sort_by_key(|job| {
        let place = LONGEST.iter().position(|long| *long == job.name);
        place.unwrap_or(LONGEST.len())
    });
    let (tally, failed) = all(jobs)?;
    conclude(tally, &failed, &not_run, filter)
}

/// Builds and packages the drivers: what is tested is what is shipped, the signed images.
fn drivers() -> Result<()> {
    build::drivers(&process::root(), &process::target_dir())?;
    package::assemble(&build::package_dir(), &package::test_signer()?).map(drop)
}

/// Runs `jobs`. Returns what they count, and the names of those that failed.
fn all(jobs: Vec<Job>) -> Result<(Tally, Vec<String>)> {
    eprintln!("==> running the tests");
    let logs = process::target_dir().join("test-logs");
    let mut tally = Tally::default();
    let mut failed = Vec::new();
    jobs::run(jobs, &logs, |name, outcome| {
        if name == SECOND_BUILD {
            tally += Tally::one(outcome.success);
        } else {
            let counted = Tally::of(&outcome.output);
            if !outcome.success || counted != Tally::default() {
                let text = format!("---- {name}\n{}\n", outcome.output.trim_end());
                let _ = std::io::stdout().write_all(text.as_bytes());
            }
            tally += counted;
        }
        if !outcome.success {
            failed.push(name.to_owned());
        }
    })?;
    Ok((tally, failed))
}

/// Says what came of all, the count last.
fn conclude(
    tally: Tally,
    failed: &[String],
    not_run: &[String],
    filter: Option<&str>,
) -> Result<()> {
    for what in not_run {
        println!("NOT RUN: {what}");
    }
    println!(
        "{} passed, {} failed, {} skipped",
        tally.passed, tally.failed, tally.skipped
    );
    if !failed.is_empty() {
        bail!("tests failed: {}", failed.join(", "));
    }
    if tally.passed == 0 {
        bail!("no test has a name with {:?}", filter.unwrap_or_default());
    }
    Ok(())
}
