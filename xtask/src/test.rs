//! Runs every test there is.

use anyhow::{Result, bail};
use clap::Args;

use crate::{
    build::{self, DRIVERS},
    miri, package,
    process::{self, Keep},
    reproducible,
    setup::{self, Purpose},
    tally::Tally,
};

/// Options of `cargo xtask test`.
#[derive(Args)]
pub(crate) struct Options {
    /// Run only the tests whose name contains this; leaves out Miri and the second build.
    filter: Option<String>,
}

/// `cargo xtask test`.
///
/// # Errors
/// Set-up or build failed, or a test did.
pub(crate) fn run(options: &Options) -> Result<()> {
    setup::run(Purpose::Test)?;
    build::drivers(&process::root(), &process::target_dir())?;
    // What is tested is what is shipped: the signed images.
    package::assemble(&build::package_dir(), &package::test_signer()?)?;
    let mut tally = Tally::default();
    let mut not_run = Vec::new();
    let mut success = workspace(options.filter.as_deref(), &mut tally)?;
    if options.filter.is_none() {
        let identical = reproducible::check()?;
        tally += Tally::one(identical);
        success &= identical;
        success &= miri::run(&mut tally, &mut not_run)?;
    }
    for what in &not_run {
        println!("NOT RUN: {what}");
    }
    println!(
        "{} passed, {} failed, {} skipped",
        tally.passed, tally.failed, tally.skipped
    );
    if !success {
        bail!("tests failed");
    }
    if tally.passed == 0 {
        bail!(
            "no test has a name with {:?}",
            options.filter.as_deref().unwrap_or_default()
        );
    }
    Ok(())
}

/// All tests of all packages but the drivers themselves, which are tested as built images.
fn workspace(filter: Option<&str>, tally: &mut Tally) -> Result<bool> {
    let mut test = process::cargo();
    test.args(["test", "--workspace", "--no-fail-fast"]);
    for driver in DRIVERS {
        test.args(["--exclude", driver]);
    }
    test.env("NETFRONT_PACKAGE_DIR", build::package_dir());
    test.args(filter);
    let finished = process::run_and_keep("running the tests", &mut test, &Keep::Output)?;
    *tally += Tally::of(&finished.output);
    Ok(finished.success)
}
