//! The cases: the drivers in the harness, on this kernel, on real Xen.

use alloc::boxed::Box;
use alloc::format;
use alloc::string::{String, ToString};

use cases::{GuestStack, Ipv4Address, Machine, Stack, System, rss};
use guest::archive;
use guest::command_line::{Case, Settings};
use harness::{DeviceId, Harness, SECOND, Stop, Value};
use serde_json::json;

use super::event::tell;
use super::heap::Memory;
use super::host::Kernel;
use super::platform::{self, Device};
use super::print;

/// TCP window of each connection.
pub(super) const WINDOW: usize = 64 * 1024;
/// How long a vif may take to connect, seconds.
pub(super) const CONNECT: u64 = 60;

pub(super) type Result<T> = core::result::Result<T, String>;

/// The Windows machine on this kernel.
pub(super) struct Guest {
    pub(super) system: System,
}

impl Machine for Guest {
    fn system(&self) -> &System {
        &self.system
    }

    fn system_mut(&mut self) -> &mut System {
        &mut self.system
    }

    fn wait(&mut self, ticks: u64) {
        let frames = |harness: &Harness| -> u64 {
            let protocols = harness.adapters().into_iter();
            let counters = protocols.filter_map(|id| Some(harness.protocol(id)?.counters()));
            counters
                .map(|counters| counters.received_frames + counters.sent_frames)
                .sum()
        };
        let harness = &self.system.harness;
        let before = frames(harness);
        let result = harness.run_until(ticks, || frames(harness) != before);
        assert!(
            result != Err(Stop::Fatal),
            "a driver broke a rule after which it cannot go on"
        );
        self.system.settle();
    }

    fn expected_hash(&self, _handle: u32, frame: &[u8]) -> Option<u32> {
        rss::hash(frame)
    }
}

/// Loads the drivers of `archive` and runs the case.
pub(super) fn run(
    settings: &Settings,
    memory: Memory,
    drivers: &[u8],
    device: Option<&Device>,
) -> Result<()> {
    let host = Box::leak(Box::new(Kernel::new(memory, settings.cpus)));
    harness::bare::install(host);
    let mut harness = Harness::builder()
        .cpus(settings.cpus)
        .seed(settings.seed)
        .build()
        .map_err(|error| error.to_string())?;
    let mut load = |name: &str, service: &str| {
        let image = archive::file(drivers, name).ok_or(format!("no {name} in the module"))?;
        let loaded = harness.load_image(name, image, service);
        loaded.map_err(|error| error.to_string())
    };
    let xenbus = load("xenbus.sys", "xenbus")?;
    let netfront = load("netfront.sys", "netfront")?;
    let queues = settings.queues.to_string();
    harness.set_default_keyword("*NumRssQueues", Some(Value::text(&queues)));
    // The frame with its Ethernet header.
    let longest = (u32::from(settings.mtu) + 14).to_string();
    harness.set_default_keyword("*JumboPacket", Some(Value::text(&longest)));
    let mut system = System::new(harness, xenbus, netfront, Box::new(String::new));
    if !settings.fifo {
        system.set_bus_parameter("FifoEventChannels", Value::dword(0));
    }
    if let Some(device) = device {
        system.platform = device.plug(settings.line);
        let unplug = u32::from(settings.unplug);
        system.set_bus_parameter("UnplugNetworkCards", Value::dword(unplug));
    }
    let mut guest = Guest { system };
    guest.system.boot();
    if device.is_some() {
        platform::check_cards(settings.unplug)?;
    }
    let result = match settings.case {
        Case::Kernel | Case::Boot => connect(&mut guest, settings).map(|_| ()),
        Case::Demo => super::traffic::run(&mut guest, settings, false),
        Case::Rss => super::traffic::run(&mut guest, settings, true),
        Case::Offloads => super::offloads::run(&mut guest, settings),
        Case::Hotplug => super::hotplug::run(&mut guest, settings),
    };
    result?;
    guest.system.tear_down();
    let violations = guest.system.harness.violations();
    for violation in &violations {
        tell(&json!({
            "event": "violation",
            "rule": violation.rule.id,
            "text": violation.to_string(),
        }));
    }
    if violations.is_empty() {
        print!("both drivers are unloaded; nothing left behind; no rule broken\n");
        Ok(())
    } else {
        Err(format!("{} rules were broken", violations.len()))
    }
}

/// The number of queues that the driver last told it is connected with.
pub(super) fn queues(system: &System) -> u32 {
    let log = system.harness.log();
    log.iter()
        .rev()
        .find_map(|line| {
            let (_, rest) = line.text.split_once("Connected, ")?;
            rest.split_once(' ')?.0.parse().ok()
        })
        .unwrap_or(0)
}

/// Waits for the first vif to connect, and turns RSS on.
pub(super) fn connect(guest: &mut Guest, settings: &Settings) -> Result<GuestStack> {
    let end = guest.system.harness.now() + CONNECT * SECOND;
    let device = loop {
        if let Some(device) = connected(&guest.system) {
            break device;
        }
        if guest.system.harness.now() > end {
            return Err(format!("no vif is connected after {CONNECT} s"));
        }
        guest.system.pass(SECOND / 20);
    };
    let general = guest.system.protocol(device).attributes().general;
    let mac = general.map_or([0; 6], |general| general.current_address);
    let queues = queues(&guest.system);
    tell(&json!({"event": "connected", "vif": 0, "queues": queues, "mac": text_of(mac)}));
    if queues > 1 {
        let processors: alloc::vec::Vec<u8> = (0..processors(settings)).collect();
        let status = guest.system.set_rss(device, &processors);
        print!(
            "RSS on processors {processors:?}: {:#x}\n",
            status.cast_unsigned()
        );
    }
    let stack = Stack::at(
        mac,
        Ipv4Address::from(settings.ip),
        usize::from(settings.mtu),
        WINDOW,
        settings.seed,
    );
    let mut stack = GuestStack::new(stack, device, 0);
    if queues > 1 {
        stack.processors = processors(settings).into();
    }
    Ok(stack)
}

/// Processors that RSS deals flows out to.
pub(super) fn processors(settings: &Settings) -> u8 {
    u8::try_from(settings.queues.min(settings.cpus)).unwrap_or(u8::MAX)
}

/// The first device whose link is up.
fn connected(system: &System) -> Option<DeviceId> {
    let mut devices = system.interfaces().into_iter();
    devices.find(|device| {
        let protocol = system.harness.protocol_of(*device);
        protocol.is_some_and(|protocol| protocol.link().is_connected())
    })
}

pub(super) fn text_of(mac: [u8; 6]) -> String {
    let bytes = mac.map(|byte| format!("{byte:02x}"));
    bytes.join(":")
}
