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
    /// First seed, or the seed of a sweep.
    #[arg(long, default_value_t = 1)]
    first: u64,
    /// Runs every so many-th seed twice and compares the traces; 0: none.
    #[arg(long, default_value_t = 0)]
    twice: u64,
    /// Instead: this many cycles of load, start, disable, enable, stop, start, surprise removal, unload.
    #[arg(long)]
    cycles: Option<u64>,
    /// Instead: fails each call of an export that may fail, one per life, until there are no more.
    #[arg(long)]
    sweep: bool,
    /// Instead: judges this many random frames between NDIS and the wire.
    #[arg(long)]
    frames: Option<u64>,
    /// Queues of a life of the sweep; the tests run it with 1.
    #[arg(long, default_value_t = 4)]
    queues: u32,
    /// Bytes each way in a life of the sweep.
    #[arg(long, default_value_t = 50_000)]
    bytes: u64,
    /// In a life of the sweep, all calls after the one fail too, until the stop.
    #[arg(long)]
    for_good: bool,
    /// Starts with this life.
    #[arg(long, default_value_t = 0)]
    from: u64,
    /// The last life: with --from, one that went wrong is lived again.
    #[arg(long)]
    last: Option<u64>,
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
    for (name, value) in [
        ("--seeds", Some(options.seeds)),
        ("--first", Some(options.first)),
        ("--twice", Some(options.twice)),
        ("--cycles", options.cycles),
        ("--frames", options.frames),
        ("--queues", Some(options.queues.into())),
        ("--bytes", Some(options.bytes)),
        ("--from", Some(options.from)),
        ("--last", options.last),
    ] {
        if let Some(value) = value {
            sim.arg(name).arg(value.to_string());
        }
    }
    for (name, on) in [("--sweep", options.sweep), ("--for-good", options.for_good)] {
        if on {
            sim.arg(name);
        }
    }
    if options.parallel {
        sim.arg("--parallel");
    }
    process::run("the simulation", &mut sim)
}
