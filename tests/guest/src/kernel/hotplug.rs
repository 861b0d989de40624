//! Traffic through whatever dom0 does to the interfaces; dom0 says on the command port what comes next.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use cases::{Change, Interfaces, Ipv4Address, Plan, Shape};
use guest::command_line::Settings;
use harness::{DeviceId, SECOND};
use serde_json::{Value, json};

use super::event::tell;
use super::print;
use super::run::{CONNECT, Guest, Result, WINDOW, queues, text_of};

/// Port of the commands.
const COMMANDS: u16 = 5003;
/// The interface that has the command connection.
const FIRST: u32 = 0;
/// How long the last words have to get out, seconds.
const GOODBYE: u64 = 1;

struct Hotplug<'a> {
    settings: &'a Settings,
    interfaces: Interfaces,
    /// The command connection: its stream on the first interface.
    commands: Option<usize>,
    passes: u64,
}

pub(super) fn run(guest: &mut Guest, settings: &Settings) -> Result<()> {
    let shape = Shape {
        ip: Ipv4Address::from(settings.ip),
        peer: Ipv4Address::from(settings.peer),
        mtu: usize::from(settings.mtu),
        window: WINDOW,
        seed: settings.seed,
    };
    let mut case = Hotplug {
        settings,
        interfaces: Interfaces::new(shape),
        commands: None,
        passes: 0,
    };
    let end = guest.system.harness.now() + u64::from(settings.seconds) * SECOND;
    while case.commands.is_none() {
        if guest.system.harness.now() > CONNECT * SECOND {
            return Err(format!("no vif is connected after {CONNECT} s"));
        }
        case.interfaces
            .try_run(guest, 1, |all, _| all.has_changes());
        case.follow(guest)?;
    }
    case.interfaces.set_background(true);
    let mut result = case.pass(guest);
    while result.is_ok() {
        if guest.system.harness.now() > end {
            return Err(format!("no end after {} s", settings.seconds));
        }
        case.interfaces.try_run(guest, 1, |all, _| {
            all.has_changes()
                || all
                    .get(FIRST)
                    .is_some_and(|first| first.guest.stack.has_line(0))
        });
        case.follow(guest)?;
        match case.command().as_deref() {
            None => {}
            Some("end") => break,
            Some("pass") => result = case.pass(guest),
            Some(line) => result = case.set_rss(guest, line),
        }
    }
    case.finish(guest);
    match (result, case.interfaces.damaged) {
        (Ok(()), 0) => Ok(()),
        (Ok(()), damaged) => Err(format!("{damaged} transfers between passes were damaged")),
        (failure, _) => failure,
    }
}

impl Hotplug<'_> {
    /// Tells an event on the console and to dom0's program.
    fn tell(&mut self, event: &Value) {
        tell(event);
        if let (Some(stream), Some(first)) = (self.commands, self.interfaces.get(FIRST)) {
            first.guest.stack.say(stream, &event.to_string());
        }
    }

    /// Does what the changes of the interfaces ask for, and keeps the command connection.
    fn follow(&mut self, guest: &Guest) -> Result<()> {
        while let Some(change) = self.interfaces.next_change() {
            match change {
                Change::Up { vif, first } => self.up(guest, vif, first)?,
                Change::Down { vif } => self.tell(&json!({"event": "disconnected", "vif": vif})),
                Change::Gone { vif } => {
                    if vif == FIRST {
                        self.commands = None;
                    }
                    self.tell(&json!({"event": "disconnected", "vif": vif}));
                }
            }
        }
        let broken = |stream| {
            let first = self.interfaces.get(FIRST);
            first.is_some_and(|first| first.guest.stack.is_broken(stream))
        };
        if self.commands.is_some_and(broken) {
            self.call(queues(&guest.system));
        }
        Ok(())
    }

    fn up(&mut self, guest: &Guest, vif: u32, first: bool) -> Result<()> {
        let Some(interface) = self.interfaces.get(vif) else {
            return Ok(());
        };
        let device = interface.guest.device;
        let general = guest.system.protocol(device).attributes().general;
        let mac = general.map_or([0; 6], |general| general.current_address);
        let queues = queues(&guest.system);
        if first {
            let most = self.settings.queues.min(self.settings.cpus);
            let processors: Vec<u8> = (0..most).filter_map(|cpu| u8::try_from(cpu).ok()).collect();
            steer(guest, device, &processors)?;
            if vif == FIRST {
                self.call(queues);
            }
        }
        self.tell(
            &json!({"event": "connected", "vif": vif, "queues": queues, "mac": text_of(mac)}),
        );
        Ok(())
    }

    /// Makes the command connection.
    fn call(&mut self, queues: u32) {
        let peer = Ipv4Address::from(self.settings.peer);
        if let Some(first) = self.interfaces.get(FIRST) {
            let stream = first.open_lines(peer, COMMANDS);
            first
                .guest
                .stack
                .say(stream, &format!("hello {FIRST} {queues}"));
            self.commands = Some(stream);
        }
    }

    /// The next command, if there is one.
    fn command(&mut self) -> Option<String> {
        let stream = self.commands?;
        self.interfaces.get(FIRST)?.guest.stack.heard(stream)
    }

    /// The transfers, on every interface that is connected.
    fn pass(&mut self, guest: &mut Guest) -> Result<()> {
        self.passes += 1;
        let plan = Plan {
            peer: Ipv4Address::from(self.settings.peer),
            bytes: u64::from(self.settings.mib) << 20,
            connections: u64::from(self.settings.queues),
            seed: self.settings.seed.wrapping_add(self.passes),
            seconds: u64::from(self.settings.seconds),
        };
        let outcome = self.interfaces.transfer(guest, &plan);
        let (result, detail) = match &outcome {
            Ok(moved) => ("ok", format!("{moved:?}; {}", self.interfaces.state())),
            Err(error) => ("failed", error.clone()),
        };
        self.follow(guest)?;
        self.tell(&json!({"event": "case", "name": "pass", "result": result, "detail": detail}));
        outcome.map(|_| ())
    }

    /// `rss CPUS`: has every interface's flows go to these processors.
    fn set_rss(&self, guest: &Guest, line: &str) -> Result<()> {
        let cpus = line.strip_prefix("rss ").map(|cpus| cpus.split(','));
        let cpus: Option<Vec<u8>> =
            cpus.and_then(|cpus| cpus.map(|cpu| cpu.trim().parse().ok()).collect());
        let cpus = cpus.ok_or_else(|| format!("bad command: {line:?}"))?;
        for interface in self.interfaces.all() {
            steer(guest, interface.guest.device, &cpus)?;
        }
        Ok(())
    }

    /// Says what the traffic between passes came to, and lets the last words out.
    fn finish(&mut self, guest: &mut Guest) {
        print!("traffic between passes: {}\n", self.interfaces.state());
        self.interfaces.set_background(false);
        for interface in self.interfaces.all_mut() {
            interface.guest.stack.close_streams();
        }
        self.interfaces.try_run(guest, GOODBYE, |_, _| false);
    }
}

/// Turns RSS on for these processors.
fn steer(guest: &Guest, device: DeviceId, processors: &[u8]) -> Result<()> {
    if processors.is_empty() || guest.system.harness.protocol_of(device).is_none() {
        return Ok(());
    }
    let status = guest.system.set_rss(device, processors);
    let text = format!(
        "RSS on processors {processors:?}: {:#x}",
        status.cast_unsigned()
    );
    print!("{text}\n");
    if status < 0 { Err(text) } else { Ok(()) }
}
