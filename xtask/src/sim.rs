//! `cargo xtask sim`: many schedules of the drivers' whole life.

use anyhow::Result;
use clap::Args;

use crate::{
    build, process,
    setup::{self, Purpose},
};

/// Options of `cargo xtask sim`.
#[derive(Args)]
pub(crate) struct Options {
    /// Number of seeds.
    #[arg(long, default_value_t = 1000)]
    seeds: u64,
    /// First seed.
    #[arg(long, default_value_t = 1)]
    first: u64,
    /// Instead: this many starts and stops, with traffic, in every way there is.
    #[arg(long)]
    cycles: Option<u32>,
    /// Instead: fails each call of an export that may fail, one per run, until there are no more.
    #[arg(long)]
    faults: bool,
    /// Instead: judges this many random frames between NDIS and the wire.
    #[arg(long)]
    frames: Option<u64>,
    /// Runs each seed twice and compares the traces.
    #[arg(long)]
    twice: bool,
    /// Processors run in parallel, as OS threads, in place of the seeded schedule.
    #[arg(long)]
    parallel: bool,
}

/// Builds the drivers and the program in `tests/world`, and runs it.
///
/// # Errors
/// Set-up or build failed, or a run did: its seed is named.
pub(crate) fn run(options: &Options) -> Result<()> {
    setup::run(Purpose::Build)?;
    build::drivers(&process::root(), &process::target_dir())?;
    let mut compile = process::cargo();
    compile.args(["build", "--release", "--package", "world", "--bin", "sim"]);
    process::run("building the simulation", &mut compile)?;
    let mut sim = process::program(process::target_dir().join("release").join("sim"));
    sim.env("NETFRONT_PACKAGE_DIR", build::package_dir());
    sim.args(["--seeds", &options.seeds.to_string()]);
    sim.args(["--first", &options.first.to_string()]);
    if let Some(cycles) = options.cycles {
        sim.args(["--cycles", &cycles.to_string()]);
    }
    if let Some(frames) = options.frames {
        sim.args(["--frames", &frames.to_string()]);
    }
    if options.faults {
        sim.arg("--faults");
    }
    if options.twice {
        sim.arg("--twice");
    }
    if options.parallel {
        sim.arg("--parallel");
    }
    process::run("the simulation", &mut sim)
}
