//! The program behind every command of this repository: `cargo xtask VERB`.
//!
//! Each verb does its own set-up ([`setup`]) and ends with a non-zero exit code on failure.

mod bench;
mod build;
mod demo;
mod fuzz;
mod guest;
mod identity;
mod lint;
mod package;
mod process;
mod setup;
mod sim;
mod test;
mod xen;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Builds and tests the Windows PV network drivers for Xen.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Build both drivers into target/package: {netfront,xenbus}.{sys,pdb}.
    Build,
    /// Build, then add INF files, catalogs, signatures and a zip for pnputil to target/package.
    Package(package::Options),
    /// Do all set-up, then the main job: both drivers move data by TCP through a vif; results in target/demo.
    Demo(demo::Options),
    /// Build the drivers and the kernel that runs them on real Xen into target/guest.
    Guest,
    /// Run the drivers' start, traffic and stop under many schedules: --seeds N.
    Sim(sim::Options),
    /// Look for inputs on which a pure core breaks a promise: TARGET --time SECONDS.
    Fuzz(fuzz::Options),
    /// Measure, as ratios in one run; results in target/bench.
    Bench,
    /// Do all set-up, build the drivers, then run every test (with FILTER: those whose name has it).
    Test(test::Options),
    /// Run the drivers on real Xen against Linux's netback, in every case of the matrix (or those with FILTER).
    Xen(xen::Options),
    /// Check formatting, clippy and documentation, warnings denied.
    Lint,
    /// Install what building and testing needs, or say the command that does.
    Setup,
}

fn main() -> ExitCode {
    let result = match Arguments::parse().verb {
        Verb::Build => build::run(),
        Verb::Package(options) => package::run(&options),
        Verb::Demo(options) => demo::run(&options),
        Verb::Guest => guest::run(),
        Verb::Sim(options) => sim::run(&options),
        Verb::Fuzz(options) => fuzz::run(&options),
        Verb::Bench => bench::run(),
        Verb::Test(options) => test::run(&options),
        Verb::Xen(options) => xen::run(&options),
        Verb::Lint => lint::run(),
        Verb::Setup => setup::run(setup::Purpose::Test),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
