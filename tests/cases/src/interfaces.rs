//! Every interface that is there, each with a stack of its own, while interfaces come, go, and lose their link.

use alloc::collections::VecDeque;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use harness::{DeviceId, SECOND};
use smoltcp::wire::Ipv4Address;

use crate::demo::{Outcome, Plan};
use crate::stack::{End, Stack};
use crate::traffic::GuestStack;
use crate::transfer::{DOWNLOAD, UPLOAD};
use crate::{Machine, System};

/// Bytes of each transfer of the traffic between passes.
const ROUND: u64 = 8 * 1024;
/// Time between two of them, 100 ns units.
const PAUSE: u64 = SECOND / 2;
/// The first of the ports a stack may connect from, and how many there are to begin with.
const PORTS: core::ops::Range<u64> = 32_768..60_000;

/// What the stacks are like.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    /// Address on interface 0, in a /24; interface N has the Nth after it.
    pub ip: Ipv4Address,
    /// The server of [`mod@crate::transfer`], on every interface.
    pub peer: Ipv4Address,
    /// Bytes of an IP packet.
    pub mtu: usize,
    /// Bytes of a TCP window.
    pub window: usize,
    /// Seed of contents and sequence numbers.
    pub seed: u64,
}

/// What happened to an interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// Its link is up.
    Up {
        /// Its number.
        vif: u32,
        /// It was not so before since the interface came.
        first: bool,
    },
    /// Its link is down.
    Down {
        /// Its number.
        vif: u32,
    },
    /// It was removed.
    Gone {
        /// Its number.
        vif: u32,
    },
}

/// One interface.
#[derive(Debug)]
pub struct Interface {
    /// Its number in `XenStore`.
    pub vif: u32,
    /// Its stack.
    pub guest: GuestStack,
    /// Its link is up.
    pub is_up: bool,
    /// Transfers of the traffic between passes that came to their end.
    pub rounds: u64,
    was_up: bool,
    /// The first streams are somebody else's.
    kept: usize,
    next_round: u64,
}

/// All interfaces.
#[derive(Debug)]
pub struct Interfaces {
    shape: Shape,
    list: Vec<Interface>,
    changes: VecDeque<Change>,
    /// Traffic flows between passes.
    background: bool,
    /// Transfers of that traffic which brought other bytes than were sent.
    pub damaged: u64,
}

/// Number of an interface: the bus driver's instance id.
fn number(system: &System, device: DeviceId) -> Option<u32> {
    system.harness.identity(device).instance.parse().ok()
}

/// The address `vif` addresses behind `first`.
fn address(first: Ipv4Address, vif: u32) -> Ipv4Address {
    Ipv4Address::from_bits(first.to_bits().wrapping_add(vif))
}

impl Interface {
    fn new(system: &System, device: DeviceId, vif: u32, shape: &Shape) -> Self {
        let general = system.protocol(device).attributes().general;
        let mac = general.map_or([0; 6], |general| general.current_address);
        let now = system.harness.now();
        let ip = address(shape.ip, vif);
        let mut stack = Stack::at(mac, ip, shape.mtu, shape.window, shape.seed ^ now);
        // The peer may still have connections of an interface that was here before.
        let port = PORTS.start + now % (PORTS.end - PORTS.start);
        stack.connect_from(u16::try_from(port).unwrap_or(u16::MAX));
        Self {
            vif,
            guest: GuestStack::new(stack, device, vif),
            is_up: false,
            rounds: 0,
            was_up: false,
            kept: 0,
            next_round: 0,
        }
    }

    /// Connects to `port` of `peer` for lines of text. Other streams are dropped; the traffic keeps this one.
    pub fn open_lines(&mut self, peer: Ipv4Address, port: u16) -> usize {
        self.guest.stack.forget_streams();
        self.kept = 1;
        self.guest.stack.call(peer, port, End::Lines, 0)
    }

    /// No transfer of the traffic between passes is under way.
    fn is_quiet(&self) -> bool {
        self.guest.stack.streams() <= self.kept
    }

    /// Starts `connections` transfers each way.
    fn start(&mut self, peer: Ipv4Address, seed: u64, connections: u64, bytes: u64) {
        let stack = &mut self.guest.stack;
        stack.keep_streams(self.kept);
        for number in 0..connections {
            let seed = seed.wrapping_mul(1000).wrapping_add(number);
            stack.call(peer, UPLOAD, End::Upload { seed }, bytes);
            stack.call(peer, DOWNLOAD, End::Download, bytes);
        }
    }

    /// Whether the transfers kept their content; `None` while they run.
    fn ended(&self) -> Option<bool> {
        self.guest.stack.intact_after(self.kept)
    }
}

impl Interfaces {
    /// None yet.
    #[must_use]
    pub const fn new(shape: Shape) -> Self {
        Self {
            shape,
            list: Vec::new(),
            changes: VecDeque::new(),
            background: false,
            damaged: 0,
        }
    }

    /// Every interface, in the order they came.
    pub fn all(&self) -> impl Iterator<Item = &Interface> {
        self.list.iter()
    }

    /// As [`Self::all`].
    pub fn all_mut(&mut self) -> impl Iterator<Item = &mut Interface> {
        self.list.iter_mut()
    }

    /// The interface of this number.
    pub fn get(&mut self, vif: u32) -> Option<&mut Interface> {
        self.list.iter_mut().find(|interface| interface.vif == vif)
    }

    /// Whether a change was seen and not taken.
    #[must_use]
    pub fn has_changes(&self) -> bool {
        !self.changes.is_empty()
    }

    /// The next change that was seen.
    pub fn next_change(&mut self) -> Option<Change> {
        self.changes.pop_front()
    }

    /// Whether little transfers go on all the time on each interface whose link is up. One that is under way stays,
    /// whatever happens to the link.
    pub const fn set_background(&mut self, on: bool) {
        self.background = on;
    }

    /// Looks which interfaces are there, and how their links are.
    fn look(&mut self, system: &System) {
        let there = |device| system.harness.protocol_of(device).is_some();
        let present: Vec<DeviceId> = system
            .interfaces()
            .into_iter()
            .filter(|d| there(*d))
            .collect();
        let (kept, gone) = core::mem::take(&mut self.list)
            .into_iter()
            .partition(|interface: &Interface| present.contains(&interface.guest.device));
        self.list = kept;
        for interface in &gone {
            self.changes.push_back(Change::Gone { vif: interface.vif });
        }
        for device in present {
            let known = self
                .list
                .iter()
                .any(|interface| interface.guest.device == device);
            if let Some(vif) = number(system, device).filter(|_| !known) {
                self.list
                    .push(Interface::new(system, device, vif, &self.shape));
            }
        }
        for interface in &mut self.list {
            let link = system.protocol(interface.guest.device).link();
            if link.is_connected() == interface.is_up {
                continue;
            }
            interface.is_up = !interface.is_up;
            let vif = interface.vif;
            self.changes.push_back(if interface.is_up {
                let first = !interface.was_up;
                interface.was_up = true;
                Change::Up { vif, first }
            } else {
                Change::Down { vif }
            });
        }
    }

    /// Keeps the traffic between passes going.
    fn stir(&mut self, now: u64) {
        let peer = self.shape.peer;
        for interface in &mut self.list {
            if !interface.is_quiet() {
                let Some(intact) = interface.ended() else {
                    continue;
                };
                interface.guest.stack.keep_streams(interface.kept);
                interface.rounds += 1;
                interface.next_round = now + PAUSE;
                self.damaged += u64::from(!intact);
            } else if self.background && interface.is_up && now >= interface.next_round {
                let seed = interface.rounds;
                interface.start(peer, seed, 1, ROUND);
            }
        }
    }

    /// One turn of every stack. Whether anything moved.
    fn turn(&mut self, machine: &mut impl Machine) -> bool {
        let mut worked = false;
        for interface in &mut self.list {
            // It may have gone in another one's turn.
            let device = interface.guest.device;
            if machine.system().harness.protocol_of(device).is_some() {
                worked |= interface.guest.turn(machine);
            }
        }
        worked
    }

    /// Lets the stacks work until `done` says so, for at most `seconds` of the machine's time; false when that is over.
    pub fn try_run<M: Machine>(
        &mut self,
        machine: &mut M,
        seconds: u64,
        done: impl FnMut(&mut Self, &M) -> bool,
    ) -> bool {
        self.run_with(machine, seconds, true, done)
    }

    /// As [`Self::try_run`]; with `stir` the traffic between passes is taken care of.
    fn run_with<M: Machine>(
        &mut self,
        machine: &mut M,
        seconds: u64,
        stir: bool,
        mut done: impl FnMut(&mut Self, &M) -> bool,
    ) -> bool {
        let end = machine.system().harness.now() + seconds * SECOND;
        loop {
            self.look(machine.system());
            if stir {
                self.stir(machine.system().harness.now());
            }
            if done(self, machine) {
                return true;
            }
            if self.turn(machine) {
                continue;
            }
            let now = machine.system().harness.now();
            if now >= end {
                return false;
            }
            let stacks = self.list.iter_mut();
            let next = stacks.filter_map(|interface| interface.guest.stack.next_deadline(now));
            let next = next.min().unwrap_or(end).min(now + SECOND / 100);
            machine.wait(next.saturating_sub(now).clamp(100, SECOND / 100));
            machine.system_mut().settle();
        }
    }

    /// Moves what the plan says on every interface whose link is up, on all at once. What is under way ends first. The
    /// error says what is missing or damaged.
    pub fn transfer(&mut self, machine: &mut impl Machine, plan: &Plan) -> Result<Outcome, String> {
        let background = core::mem::replace(&mut self.background, false);
        let result = self.pass(machine, plan);
        self.background = background;
        result
    }

    fn pass(&mut self, machine: &mut impl Machine, plan: &Plan) -> Result<Outcome, String> {
        let quiet = |all: &mut Self, _: &_| all.list.iter().all(Interface::is_quiet);
        if !self.try_run(machine, plan.seconds, quiet) {
            return Err(format!("what was under way is stuck: {}", self.state()));
        }
        let start = machine.system().harness.now();
        let bytes = plan.bytes.div_ceil(plan.connections);
        let mut taking_part = Vec::new();
        for interface in self.list.iter_mut().filter(|interface| interface.is_up) {
            interface.start(plan.peer, plan.seed, plan.connections, bytes);
            taking_part.push(interface.vif);
        }
        let ended = self.run_with(machine, plan.seconds, false, |all, _| {
            all.list.iter().all(|interface| interface.ended().is_some())
        });
        if !ended {
            let text = format!("not done after {} s: {}", plan.seconds, self.state());
            return Err(text);
        }
        for vif in &taking_part {
            let interface = self.get(*vif).ok_or(format!("vif {vif} went meanwhile"))?;
            if interface.ended() != Some(true) {
                return Err(format!("vif {vif}: the content hashes differ"));
            }
            interface.guest.stack.keep_streams(interface.kept);
        }
        let moved = bytes * plan.connections * taking_part.len() as u64;
        Ok(Outcome {
            sent: moved,
            received: moved,
            ticks: machine.system().harness.now() - start,
        })
    }

    /// For messages: where each transfer is.
    #[must_use]
    pub fn state(&self) -> String {
        let mut text = String::new();
        for interface in &self.list {
            let progress = interface.guest.stack.progress();
            let moved: Vec<u64> = progress.iter().map(|stream| stream.moved).collect();
            text += &format!(
                "vif {} link {} moved {moved:?} bytes, {} rounds; ",
                interface.vif, interface.is_up, interface.rounds
            );
        }
        text
    }
}
