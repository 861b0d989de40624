//! `cargo xtask demo`: the drivers at work.

use anyhow::Result;
use clap::Args;

use crate::{
    build, process,
    setup::{self, Purpose},
    xen::{self, GuestKind, Load},
};

/// Options of `cargo xtask demo`.
#[derive(Args)]
pub(crate) struct Options {
    /// Queues of the vif.
    #[arg(long, default_value_t = 4)]
    queues: u16,
    /// Processors of the guest: 4 unless said otherwise; with --xen as many as queues, for Linux 1.
    #[arg(long)]
    cpus: Option<u32>,
    /// Moves data for at least this many seconds, and at least 256 MiB each way.
    #[arg(long, default_value_t = 0)]
    seconds: u64,
    /// Instead: attach the backend to a TAP device in a network namespace; the host pings the guest and moves 64 MiB
    /// each way through its own TCP. Needs root.
    #[arg(long)]
    tap: bool,
    /// Seed of the scheduler: the same seed gives the same run.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Processors run in parallel, as OS threads, in place of the seeded schedule.
    #[arg(long)]
    parallel: bool,
    #[command(flatten)]
    real: RealXen,
}

/// Options of `cargo xtask demo --xen`.
#[derive(Args)]
struct RealXen {
    /// On real Xen, against Linux's netback.
    #[arg(long)]
    xen: bool,
    /// With --xen: a full HVM guest, with the real platform device.
    #[arg(long, requires = "xen")]
    hvm: bool,
    /// With --xen: what the guest runs.
    #[arg(long, value_enum, default_value_t = GuestKind::Drivers, requires = "xen")]
    guest: GuestKind,
    /// With --xen: MiB to move each way.
    #[arg(long, default_value_t = 16, requires = "xen")]
    mib: u32,
    /// With --xen: so many runs, one after the other; each must pass.
    #[arg(long, default_value_t = 1, requires = "xen")]
    repeat: u32,
    /// With --xen: shows the consoles of dom0 and the guest as they come.
    #[arg(long, requires = "xen")]
    verbose: bool,
}

/// Builds the drivers and the program in `tests/world`, and runs it. Results are in `target/demo`.
///
/// # Errors
/// Set-up or build failed, or the drivers did.
pub(crate) fn run(options: &Options) -> Result<()> {
    let real = &options.real;
    if real.xen {
        let load = Load {
            queues: options.queues.into(),
            cpus: options.cpus.unwrap_or(match real.guest {
                GuestKind::Drivers => options.queues.into(),
                // docs/testing.md says why.
                GuestKind::Linux => 1,
            }),
            mib: real.mib,
            seed: options.seed,
            hvm: real.hvm,
        };
        return xen::demo(&load, real.guest, real.repeat, real.verbose);
    }
    setup::run(if options.tap {
        Purpose::Test
    } else {
        Purpose::Build
    })?;
    build::drivers(&process::root(), &process::target_dir())?;
    let mut compile = process::cargo();
    compile.args(["build", "--release", "--package", "world", "--bin", "demo"]);
    process::run("building the demo", &mut compile)?;
    let program = process::target_dir().join("release").join("demo");
    let mut demo = process::program(program);
    demo.env("NETFRONT_PACKAGE_DIR", build::package_dir());
    demo.arg("--out").arg(process::target_dir().join("demo"));
    for (name, value) in [
        ("--queues", u64::from(options.queues)),
        ("--cpus", u64::from(options.cpus.unwrap_or(4))),
        ("--seconds", options.seconds),
        ("--seed", options.seed),
    ] {
        demo.arg(name).arg(value.to_string());
    }
    if options.tap {
        demo.arg("--tap");
    }
    if options.parallel {
        demo.arg("--parallel");
    }
    process::run("the demo", &mut demo)
}
