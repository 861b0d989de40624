//! One boot of Xen in QEMU: no hardware virtualization is needed, QEMU emulates AMD's.

use std::{
    fs::{self, File},
    io::{self, Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
    process::{Child, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use dom0::event::{Event, Line};

use crate::process;

/// How often the journal is looked at.
const PERIOD: Duration = Duration::from_millis(200);

/// Lines of each log that a hang shows.
const LAST_LINES: usize = 25;

/// Real seconds dom0 may take until its program runs.
const BOOT_SECONDS: u64 = 600;

/// Real seconds per second of the machine's clock, on a busy machine: dom0's program keeps to the
/// plan's limits by that clock; this is for when it does not.
const SLOWNESS: u64 = 4;

/// The machine's clock counts instructions, 4 ns each, and skips what nobody waits for in idle time:
/// however busy the real machine is, the emulated one sees the same speed. With real time, timers of
/// Xen, dom0 and a guest on a busy machine leave no time for anything else, and kernels report
/// lockups.
const CLOCK: &str = "shift=2,sleep=off";

/// Memory of the machine, in MiB, and dom0's part.
const MEMORY: u32 = 3072;
const DOM0_MEMORY: u32 = 1024;

/// What QEMU starts.
#[derive(Debug)]
pub(super) struct Boot<'a> {
    /// Xen.
    pub(super) xen: &'a Path,
    /// dom0's kernel.
    pub(super) kernel: &'a Path,
    /// dom0's file system.
    pub(super) initramfs: &'a Path,
    /// Folder dom0 sees as `/share`, where all logs and results are.
    pub(super) share: &'a Path,
    /// Seconds the plan may take once dom0 is up, by the machine's clock.
    pub(super) seconds: u64,
    /// Whether dom0's and the guest's console are shown as they come.
    pub(super) verbose: bool,
}

/// Boots, waits for the end of the plan, and returns all events.
///
/// # Errors
/// QEMU cannot be started; the machine hangs or ends early: the last lines of Xen, dom0 and the guest
/// are printed.
pub(super) fn run(boot: &Boot<'_>) -> Result<Vec<Line>> {
    let serial = boot.share.join("serial.log");
    let mut qemu = Machine(start(boot, &serial)?);
    let start = Instant::now();
    let mut journal = Follower::new(boot.share.join("events.jsonl"));
    let mut console = Follower::new(serial.clone());
    let mut events = Vec::new();
    loop {
        let ended = qemu.0.try_wait()?;
        let before = events.len();
        for text in journal.lines() {
            let line: Line =
                serde_json::from_str(&text).with_context(|| format!("events.jsonl: {text}"))?;
            tell(&line);
            events.push(line);
        }
        let printed = console.lines();
        if boot.verbose {
            for line in printed {
                println!("{line}");
            }
        }
        if let Some(status) = ended
            && events.len() == before
        {
            if events
                .iter()
                .any(|line| matches!(line.event, Event::AllDone))
            {
                return Ok(events);
            }
            last_lines(boot.share);
            bail!(
                "the machine ended ({status}) before its plan did; logs: {}",
                boot.share.display()
            );
        }
        let allowed = if events.is_empty() {
            BOOT_SECONDS
        } else {
            BOOT_SECONDS + SLOWNESS * boot.seconds
        };
        if start.elapsed() > Duration::from_secs(allowed) {
            last_lines(boot.share);
            bail!(
                "the machine hangs after {allowed} s; logs: {}",
                boot.share.display()
            );
        }
        thread::sleep(PERIOD);
    }
}

/// Ends QEMU when dropped.
struct Machine(Child);

impl Drop for Machine {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn start(boot: &Boot<'_>, serial: &Path) -> Result<Child> {
    let xen = format!(
        "dom0_mem={DOM0_MEMORY}M,max:{DOM0_MEMORY}M dom0_max_vcpus=2 console=com1 com1=115200,8n1 loglvl=warning guest_loglvl=warning"
    );
    let modules = format!(
        "{} console=hvc0 loglevel=4 panic=-1 init=/init,{}",
        boot.kernel.display(),
        boot.initramfs.display()
    );
    let share = format!(
        "local,id=share,path={},security_model=none,multidevs=remap",
        boot.share.display()
    );
    let mut qemu = process::program("qemu-system-x86_64");
    qemu.args(["-accel", "tcg,thread=single", "-icount", CLOCK]);
    qemu.args(["-cpu", "qemu64,+svm,+npt"])
        .args(["-smp", "2", "-m", &MEMORY.to_string()])
        .args([
            "-display",
            "none",
            "-nodefaults",
            "-no-user-config",
            "-no-reboot",
        ])
        .arg("-serial")
        .arg(format!("file:{}", serial.display()))
        .arg("-monitor")
        .arg(format!(
            "unix:{},server=on,wait=off",
            boot.share.join("monitor").display()
        ))
        .args(["-fsdev", &share])
        .args(["-device", "virtio-9p-pci,fsdev=share,mount_tag=share"])
        .arg("-kernel")
        .arg(boot.xen)
        .args(["-append", &xen, "-initrd", &modules])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(File::create(boot.share.join("qemu.log"))?);
    qemu.spawn().context("qemu-system-x86_64")
}

/// A file that grows, read line by line.
struct Follower {
    path: PathBuf,
    offset: u64,
    rest: Vec<u8>,
}

impl Follower {
    fn new(path: PathBuf) -> Self {
        Self {
            path,
            offset: 0,
            rest: Vec::new(),
        }
    }

    /// The whole lines that have come since the last call.
    fn lines(&mut self) -> Vec<String> {
        if let Ok(read) = self.read() {
            self.offset += read.len() as u64;
            self.rest.extend_from_slice(&read);
        }
        let Some(end) = self.rest.iter().rposition(|&byte| byte == b'\n') else {
            return Vec::new();
        };
        let whole: Vec<u8> = self.rest.drain(..=end).collect();
        String::from_utf8_lossy(&whole)
            .lines()
            .map(|line| line.trim_end().to_owned())
            .collect()
    }

    fn read(&self) -> io::Result<Vec<u8>> {
        let mut file = File::open(&self.path)?;
        file.seek(SeekFrom::Start(self.offset))?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        Ok(bytes)
    }
}

/// One line of progress.
fn tell(line: &Line) {
    let text = match &line.event {
        Event::Dom0 { xen, linux } => format!("dom0 is up: Xen {xen}, Linux {linux}"),
        Event::Begin => "begins".to_owned(),
        Event::Done {
            step,
            seconds,
            failure,
            note,
        } => {
            let step = serde_json::to_string(step).unwrap_or_default();
            match (failure, note) {
                (Some(failure), _) => format!("{step}: FAILED: {failure}"),
                (None, Some(note)) => format!("{step}: {seconds:.1} s: {note}"),
                (None, None) => format!("{step}: {seconds:.1} s"),
            }
        }
        Event::Guest { said } => format!("guest: {}", short(&said.to_string())),
        Event::Traffic {
            way,
            bytes,
            seconds,
            ..
        } => format!("{way:?} of {bytes} bytes: {seconds:.1} s"),
        Event::Broken { error } => format!("traffic peer: {error}"),
        Event::KernelTrouble { lines } => format!("dom0's kernel: {}", lines.join("; ")),
        Event::Finished { failure: None, .. } => "finished".to_owned(),
        Event::Finished {
            failure: Some(_), ..
        } => "failed".to_owned(),
        Event::Step { .. } | Event::Observed(_) | Event::AllDone => return,
    };
    let case = if line.case.is_empty() {
        "bed"
    } else {
        &line.case
    };
    // Standard error, as all progress.
    let _ = writeln!(io::stderr(), "    {:6.1} {case}: {text}", line.at);
}

fn short(text: &str) -> String {
    const LENGTH: usize = 160;
    let mut cut: String = text.chars().take(LENGTH).collect();
    if cut.len() < text.len() {
        cut.push_str("...");
    }
    cut
}

/// Prints the ends of all logs of the run: Xen, dom0, each guest.
pub(super) fn last_lines(share: &Path) {
    let serial = fs::read(share.join("serial.log")).unwrap_or_default();
    let serial = String::from_utf8_lossy(&serial).into_owned();
    let (xen, dom0): (Vec<&str>, Vec<&str>) =
        serial.lines().partition(|line| line.contains("(XEN)"));
    print_end("Xen", &xen);
    let (guest, dom0): (Vec<&str>, Vec<&str>) = dom0
        .into_iter()
        .partition(|line| line.starts_with("guest: "));
    print_end("dom0", &dom0);
    print_end("guest", &guest);
    let qemu = fs::read_to_string(share.join("qemu.log")).unwrap_or_default();
    print_end("QEMU", &qemu.lines().collect::<Vec<_>>());
}

fn print_end(what: &str, lines: &[&str]) {
    eprintln!("---- last lines of {what}:");
    for line in lines.iter().skip(lines.len().saturating_sub(LAST_LINES)) {
        eprintln!("{}", line.trim_end());
    }
}
