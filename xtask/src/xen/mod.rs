//! The drivers on real Xen: Debian's Xen in QEMU, Debian's Linux with netback in dom0, our guest.
//!
//! | module | is |
//! |---|---|
//! | `packages` | Debian's packages, cached and unpacked |
//! | `elf`, `cpio`, `initramfs`, `kernel` | what is booted, made from them |
//! | `machine` | one boot: QEMU, its journal, its end |
//! | `cases` | what a boot does |
//! | `verdict` | what must be true of what happened |
//! | `report` | `report.json` |
//!
//! `tests/dom0` is the other side: the program that runs in dom0.

mod cases;
pub(crate) mod cpio;
mod elf;
mod initramfs;
mod kernel;
mod machine;
mod packages;
mod report;
mod verdict;

use std::{
    fs,
    path::{Path, PathBuf},
    time::Instant,
};

use anyhow::{Context, Result, bail};
use clap::{Args, ValueEnum};
use dom0::{event::Line, plan::Plan};

use crate::{
    build, guest, process,
    setup::{self, Purpose},
    test::Tally,
};
pub(crate) use cases::Load;

/// Target of the program in dom0: one file without libraries.
const DOM0_TARGET: &str = "x86_64-unknown-linux-musl";

/// What the guest runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum GuestKind {
    /// Our kernel with the shipped drivers.
    Drivers,
    /// Debian's Linux with its own xen-netfront: a test of the test bed itself.
    Linux,
}

/// Options of `cargo xtask xen`.
#[derive(Args)]
pub(crate) struct Options {
    /// Run only the cases whose name contains one of these.
    filters: Vec<String>,
    /// Lists the cases.
    #[arg(long)]
    list: bool,
    /// Show the consoles of dom0 and the guest as they come.
    #[arg(long)]
    verbose: bool,
    /// What the guest runs.
    #[arg(long, value_enum, default_value_t = GuestKind::Drivers)]
    guest: GuestKind,
    /// Full HVM guests, with the real platform device, in place of PVH ones.
    #[arg(long)]
    hvm: bool,
    /// Run all that many times.
    #[arg(long, default_value_t = 1)]
    repeat: u32,
    /// Name of the folder in target/xen, to which the number of the round is added.
    #[arg(long, default_value = "matrix")]
    name: String,
    /// Seed of the transfers.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

impl Options {
    fn selects(&self, name: &str) -> bool {
        self.filters.is_empty()
            || self
                .filters
                .iter()
                .any(|filter| name.contains(filter.as_str()))
    }
}

/// `cargo xtask xen`: the whole matrix, in one boot.
///
/// # Errors
/// Set-up or build failed, the machine hangs, or a case failed.
pub(crate) fn run(options: &Options) -> Result<()> {
    let cases: Vec<_> = cases::matrix(options.guest, options.seed, options.hvm)
        .into_iter()
        .filter(|case| options.selects(&case.name))
        .collect();
    if cases.is_empty() {
        bail!("no case has a name with one of {:?}", options.filters);
    }
    if options.list {
        for case in &cases {
            println!("{}", case.name);
        }
        return Ok(());
    }
    let bed = Bed::prepare(options.guest, options.hvm)?;
    let mut tally = Tally::default();
    let plan = Plan { cases };
    for round in 1..=options.repeat {
        if options.repeat > 1 {
            eprintln!("==> round {round} of {}", options.repeat);
        }
        let name = format!("{}-{round}", options.name);
        let (_, results) = bed.run(&name, &plan, options.verbose)?;
        for (case, result) in &results {
            tally += Tally::one(result.is_ok());
            match result {
                Ok(()) => println!("ok      {case}"),
                Err(problems) => println!("FAILED  {case}: {}", problems.join("; ")),
            }
        }
    }
    println!(
        "{} passed, {} failed, 0 skipped",
        tally.passed, tally.failed
    );
    if tally.failed > 0 {
        bail!("cases failed; logs are in {}", xen_dir().display());
    }
    Ok(())
}

/// `cargo xtask demo --xen`: one case, and `report.json`; `repeat` times.
///
/// # Errors
/// As of [`run`].
pub(crate) fn demo(load: &Load, guest: GuestKind, repeat: u32, verbose: bool) -> Result<()> {
    let start = Instant::now();
    let bed = Bed::prepare(guest, load.hvm)?;
    let mut tally = Tally::default();
    let mut last = Ok(());
    for round in 1..=repeat.max(1) {
        let run = if repeat > 1 {
            format!("demo-{round}")
        } else {
            "demo".to_owned()
        };
        let result = demo_once(&bed, &run, load, guest, verbose);
        let seconds = start.elapsed().as_secs_f64();
        match &result {
            Ok(()) => println!("{run} on real Xen: ok, {seconds:.0} s from the start"),
            Err(error) => println!("{run} on real Xen: FAILED: {error:#}"),
        }
        tally += Tally::one(result.is_ok());
        last = last.and(result);
    }
    // CI adds it to the tests'.
    println!(
        "{} passed, {} failed, 0 skipped",
        tally.passed, tally.failed
    );
    last
}

fn demo_once(bed: &Bed, run: &str, load: &Load, guest: GuestKind, verbose: bool) -> Result<()> {
    let plan = Plan {
        cases: vec![cases::demo(guest, load)],
    };
    let (events, results) = bed.run(run, &plan, verbose)?;
    let folder = process::target_dir().join("demo");
    fs::create_dir_all(&folder)?;
    let report = report::gather(&events, guest);
    report::print_table(&report);
    let path = folder.join("report.json");
    fs::write(&path, format!("{report:#}\n"))?;
    fs::copy(&path, share(run).join("report.json"))?;
    let capture = share(run).join("demo").join("vif0.pcap");
    if capture.is_file() {
        fs::copy(&capture, folder.join("traffic.pcap"))?;
    }
    println!("report: {}", path.display());
    let failed = results.into_iter().filter_map(|(_, result)| result.err());
    let mut problems: Vec<String> = failed.flatten().collect();
    if guest == GuestKind::Drivers {
        problems.extend(verdict::of_demo(&report, load).err().into_iter().flatten());
    }
    if !problems.is_empty() {
        bail!("{}", problems.join("; "));
    }
    Ok(())
}

/// Folder of everything the test bed makes.
fn xen_dir() -> PathBuf {
    process::target_dir().join("xen")
}

/// Folder of one run, which dom0 sees as `/share`.
fn share(run: &str) -> PathBuf {
    xen_dir().join(run)
}

/// All that is booted, made and ready.
struct Bed {
    xen: PathBuf,
    kernel: PathBuf,
    initramfs: PathBuf,
    program: PathBuf,
    /// Files the guests need: name in dom0's shared folder, and where they are.
    guest: Vec<(&'static str, PathBuf)>,
}

/// What came of one case.
type Verdict = (String, Result<(), Vec<String>>);

impl Bed {
    /// Downloads, builds and unpacks all that a run needs; a run itself loads nothing from anywhere.
    fn prepare(guest: GuestKind, hvm: bool) -> Result<Self> {
        setup::run(Purpose::Xen)?;
        setup::rustup_target(DOM0_TARGET)?;
        if !packages::cached(hvm) {
            setup::refresh_package_lists();
        }
        let root = packages::unpack(hvm)?;
        let folder = xen_dir();
        fs::create_dir_all(&folder)?;
        let program = build_program()?;
        let initramfs = folder.join("dom0.cpio");
        fs::write(&initramfs, initramfs::build(&root, hvm)?)?;
        let guest = match guest {
            GuestKind::Drivers => drivers_guest(&folder, hvm)?,
            GuestKind::Linux => linux_guest(&root, &folder, hvm)?,
        };
        Ok(Self {
            xen: kernel::xen(&root, &folder)?,
            kernel: kernel::linux(&root, &folder)?,
            initramfs,
            program,
            guest,
        })
    }

    /// Boots once, runs the plan, and judges what happened.
    fn run(&self, run: &str, plan: &Plan, verbose: bool) -> Result<(Vec<Line>, Vec<Verdict>)> {
        let share = share(run);
        if share.exists() {
            fs::remove_dir_all(&share)?;
        }
        fs::create_dir_all(&share)?;
        copy(&self.program, &share.join("dom0"))?;
        for (name, path) in &self.guest {
            copy(path, &share.join(name))?;
        }
        fs::write(
            share.join("plan.json"),
            serde_json::to_vec_pretty(plan).context("the plan")?,
        )?;
        eprintln!(
            "==> booting Xen in QEMU; logs and results: {}",
            share.display()
        );
        let events = machine::run(&machine::Boot {
            xen: &self.xen,
            kernel: &self.kernel,
            initramfs: &self.initramfs,
            share: &share,
            seconds: plan.cases.iter().map(|case| case.seconds + 60).sum(),
            verbose,
        })?;
        let results: Vec<Verdict> = plan
            .cases
            .iter()
            .map(|case| (case.name.clone(), verdict::of(case, &events)))
            .collect();
        if results.iter().any(|(_, result)| result.is_err()) {
            machine::last_lines(&share);
        }
        Ok((events, results))
    }
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::copy(from, to)
        .map(drop)
        .with_context(|| format!("{} to {}", from.display(), to.display()))
}

/// The program that runs in dom0, without libraries of its own.
fn build_program() -> Result<PathBuf> {
    let mut build = process::cargo();
    build
        .args([
            "build",
            "--release",
            "--package",
            "dom0",
            "--target",
            DOM0_TARGET,
        ])
        .env("CARGO_TARGET_X86_64_UNKNOWN_LINUX_MUSL_LINKER", "rust-lld")
        .env(
            "CARGO_TARGET_X86_64_UNKNOWN_LINUX_MUSL_RUSTFLAGS",
            "-Clink-self-contained=yes",
        );
    process::run("building dom0's program", &mut build)?;
    Ok(process::target_dir()
        .join(DOM0_TARGET)
        .join("release")
        .join("dom0"))
}

/// Our kernel and the drivers.
fn drivers_guest(folder: &Path, hvm: bool) -> Result<Vec<(&'static str, PathBuf)>> {
    build::drivers(&process::root(), &process::target_dir())?;
    let guest = guest::build()?;
    let mut kernel = guest.kernel;
    if hvm {
        let narrow = folder.join("guest-hvm.elf");
        fs::write(&narrow, elf::as_32_bit(&fs::read(&kernel)?)?)?;
        kernel = narrow;
    }
    Ok(vec![("guest.elf", kernel), ("guest.module", guest.modules)])
}

/// Debian's kernel, with a file system that brings its interface up.
fn linux_guest(
    root: &packages::Root,
    folder: &Path,
    hvm: bool,
) -> Result<Vec<(&'static str, PathBuf)>> {
    let path = folder.join("linux-guest.cpio");
    fs::write(&path, initramfs::linux_guest(root)?)?;
    // QEMU's loader in HVM guests wants the image with the real-mode code.
    let kernel = if hvm {
        kernel::image(root)?
    } else {
        kernel::linux(root, folder)?
    };
    Ok(vec![("guest.elf", kernel), ("guest.module", path)])
}
