//! Runs the steps of a case.

use std::{
    fs::{self, File},
    path::Path,
    process::{Child, Command, Stdio},
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use dom0::{
    event::Event,
    plan::{Case, Step},
};

use crate::{
    command::Tool,
    commands::Commands,
    console::Console,
    domain::{Domain, wait_until},
    journal::Journal,
    observe,
};

/// netback's module parameter.
const MAX_QUEUES: &str = "/sys/module/xen_netback/parameters/max_queues";

/// Takes a backend from its driver.
const UNBIND: &str = "/sys/bus/xen-backend/drivers/vif/unbind";

/// Bytes of each packet that the capture keeps: all headers and the start of the payload.
const SNAP_LENGTH: &str = "192";

/// Packets a capture keeps.
const CAPTURE_PACKETS: &str = "20000";

/// The interface that the guest's command connection goes through.
const COMMAND_VIF: u32 = 0;

/// A case that runs.
struct Running<'a> {
    case: &'a Case,
    folder: &'a Path,
    journal: &'a Arc<Journal>,
    commands: &'a Commands,
    end: Instant,
    domain: Option<Domain>,
    console: Option<Console>,
    captures: Vec<Child>,
    keep_alive: Option<Child>,
}

/// Runs a case to its end. Returns why it failed, if it did, and what of its domain is left.
pub(crate) fn run(
    case: &Case,
    folder: &Path,
    journal: &Arc<Journal>,
    commands: &Commands,
) -> (Option<String>, Vec<String>) {
    let mut running = Running {
        case,
        folder,
        journal,
        commands,
        end: Instant::now() + Duration::from_secs(case.seconds),
        domain: None,
        console: None,
        captures: Vec::new(),
        keep_alive: None,
    };
    let mut failure = None;
    for step in &case.steps {
        journal.write(Event::Step { step: step.clone() });
        let start = Instant::now();
        let result = running.step(step);
        let error = result.as_ref().err().map(|error| format!("{error:#}"));
        journal.write(Event::Done {
            step: step.clone(),
            seconds: start.elapsed().as_secs_f64(),
            failure: error.clone(),
            note: result.ok().flatten(),
        });
        if let Some(error) = error {
            failure = Some(format!("{}: {error}", serde_json::json!(step)));
            break;
        }
    }
    if failure.is_some() {
        // What it looks like now is what one wants to see.
        let _ = running.observe("failure");
    }
    let left = running.finish();
    (failure, left)
}

impl Running<'_> {
    /// Returns what there is to say beside success.
    fn step(&mut self, step: &Step) -> Result<Option<String>> {
        let left = self.end.saturating_duration_since(Instant::now());
        ensure!(!left.is_zero(), "the case's time is over");
        let bounded = |seconds: u64| Duration::from_secs(seconds).min(left);
        match step {
            Step::Create => self.create()?,
            Step::Connected { vif, seconds } => {
                let domain = self.domain()?;
                let connected = self.wait_or_end(bounded(*seconds), |_, slice| {
                    wait_until(slice, || domain.is_connected(*vif))
                })?;
                ensure!(connected, "{}", domain.connection(*vif));
            }
            Step::Queues { vif, count } => {
                let queues = observe::queues(&self.domain()?.device(*vif));
                ensure!(queues == *count, "netback has {queues} queues");
            }
            Step::Event {
                name,
                count,
                seconds,
            } => self.wait_event(name, *count, bounded(*seconds))?,
            Step::Ping { vif, bytes, count } => return ping(*vif, *bytes, *count).map(Some),
            Step::Pause { seconds } => self.domain()?.pause(bounded(*seconds))?,
            Step::Detach { vif } => {
                self.domain()?.detach(*vif)?;
                if *vif == COMMAND_VIF {
                    // The guest's end of it is gone with the interface.
                    self.commands.forget();
                }
            }
            Step::Attach { vif } => self.domain()?.attach(*vif)?,
            Step::ReloadNetback { max_queues } => self.reload_netback(*max_queues)?,
            Step::LinkBounce { vif, seconds } => {
                let device = self.domain()?.device(*vif);
                set_link(&device, "down")?;
                thread::sleep(bounded(*seconds));
                set_link(&device, "up")?;
            }
            Step::Observe { label } => self.observe(label)?,
            Step::Command { line, seconds } => {
                let commands = self.commands;
                self.wait_or_end(bounded(*seconds), |_, slice| {
                    wait_until(slice, || commands.connected())
                })?;
                commands.send(line, Duration::from_secs(1))?;
            }
            Step::KeepAlive { vif } => self.keep_alive = Some(keep_alive(*vif)?),
            Step::Release => end(self.keep_alive.take()),
            Step::Sleep { seconds } => thread::sleep(bounded(*seconds)),
            Step::End { seconds } => self.domain()?.wait_end(bounded(*seconds))?,
        }
        Ok(None)
    }

    fn create(&mut self) -> Result<()> {
        fs::write(MAX_QUEUES, self.case.max_queues.to_string()).context(MAX_QUEUES)?;
        set_mtu("xenbr0", self.case.guest.mtu)?;
        let console = self
            .folder
            .parent()
            .unwrap_or(self.folder)
            .join("console")
            .join(format!("guest-{}.log", self.case.name));
        self.console = Some(Console::follow(console, self.journal));
        let domain = Domain::create(self.case, self.folder)?;
        for vif in 0..self.case.guest.vifs {
            self.captures
                .extend(capture(&domain.device(vif), self.folder, vif));
        }
        self.domain = Some(domain);
        Ok(())
    }

    fn wait_event(&self, name: &str, count: usize, time: Duration) -> Result<()> {
        let console = self.console.as_ref().context("no console")?;
        let seen = self.wait_or_end(time, |_, slice| {
            wait_until(slice, || console.count(name) >= count)
        })?;
        ensure!(
            seen,
            "the guest said {name:?} {} times, not {count}",
            console.count(name)
        );
        Ok(())
    }

    /// Waits for a condition in slices, and looks between them whether the guest still lives.
    fn wait_or_end(
        &self,
        time: Duration,
        mut condition: impl FnMut(&Self, Duration) -> bool,
    ) -> Result<bool> {
        let end = Instant::now() + time;
        loop {
            if condition(self, Duration::from_secs(2)) {
                return Ok(true);
            }
            if Instant::now() >= end {
                return Ok(false);
            }
            if !self.domain()?.exists() {
                // Its last words may have come just now.
                if condition(self, Duration::from_millis(500)) {
                    return Ok(true);
                }
                bail!("the guest has ended");
            }
        }
    }

    /// A connected interface holds netback's module, so each is taken from its driver first. netback
    /// asks for the toolstack's script when it is back; `xl` does not run it again, so this does.
    fn reload_netback(&self, max_queues: u32) -> Result<()> {
        let domain = self.domain()?;
        for vif in 0..self.case.guest.vifs {
            fs::write(UNBIND, format!("vif-{}-{vif}", domain.id)).context(UNBIND)?;
        }
        Tool::new("busybox").args(["rmmod", "xen_netback"]).run()?;
        let device = domain.device(0);
        let path = format!("/sys/class/net/{device}");
        ensure!(!Path::new(&path).exists(), "{device} survived the module");
        thread::sleep(Duration::from_secs(1));
        Tool::new("/etc/insert-netback")
            .args([max_queues.to_string()])
            .run()?;
        for vif in 0..self.case.guest.vifs {
            let path = format!("/sys/class/net/{}", domain.device(vif));
            if wait_until(Duration::from_mins(1), || Path::new(&path).exists()) {
                domain.hotplug(vif)?;
            } else {
                bail!("{path} did not come back");
            }
        }
        Ok(())
    }

    fn observe(&self, label: &str) -> Result<()> {
        let domain = self.domain()?;
        for vif in 0..self.case.guest.vifs {
            let observed = observe::interface(domain, vif, label, self.folder)?;
            self.journal.write(Event::Observed(observed));
        }
        Ok(())
    }

    fn domain(&self) -> Result<&Domain> {
        self.domain.as_ref().context("no domain yet")
    }

    fn finish(mut self) -> Vec<String> {
        let mut left = Vec::new();
        if let Some(domain) = &self.domain {
            if domain.exists()
                && let Err(error) = domain.destroy()
            {
                left.push(format!("xl destroy: {error:#}"));
            }
            left.extend(domain.left());
        }
        // A capture has ended with its device, if not before.
        for child in self.captures.drain(..).chain(self.keep_alive.take()) {
            end(Some(child));
        }
        left
    }
}

fn ping(vif: u32, bytes: u32, count: u32) -> Result<String> {
    let text = Tool::new("busybox")
        .args(["ping", "-q", "-W", "10", "-c", &count.to_string()])
        .args(["-s", &bytes.to_string(), &address(vif)])
        .run()?;
    let summary = text
        .lines()
        .find(|line| line.contains("packet loss"))
        .unwrap_or_default();
    ensure!(summary.contains(" 0% packet loss"), "{text}");
    Ok(summary.to_owned())
}

/// The guest's address on its interface of this number.
fn address(vif: u32) -> String {
    format!("10.0.0.{}", 2 + vif)
}

fn keep_alive(vif: u32) -> Result<Child> {
    Command::new("busybox")
        .args(["ping", "-q", &address(vif)])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
        .context("ping")
}

/// Kills a program, unless it has ended.
fn end(child: Option<Child>) {
    if let Some(mut child) = child {
        let _ = child.kill();
        let _ = child.wait();
    }
}

fn set_link(device: &str, state: &str) -> Result<()> {
    Tool::new("busybox")
        .args(["ip", "link", "set", device, state])
        .run()
        .map(drop)
}

fn set_mtu(device: &str, mtu: u32) -> Result<()> {
    Tool::new("busybox")
        .args(["ip", "link", "set", device, "mtu", &mtu.to_string()])
        .run()
        .map(drop)
}

/// Starts tcpdump on a device, if it is there.
fn capture(device: &str, folder: &Path, vif: u32) -> Option<Child> {
    let said = File::create(folder.join(format!("vif{vif}.tcpdump"))).ok()?;
    Command::new("tcpdump")
        .args(["-i", device, "-s", SNAP_LENGTH, "-c", CAPTURE_PACKETS])
        // Written by blocks: over the shared folder every write is a round trip.
        .args(["-Z", "root", "-n", "-w"])
        .arg(folder.join(format!("vif{vif}.pcap")))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(said)
        .spawn()
        .ok()
}
