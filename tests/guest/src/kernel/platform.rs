//! The Xen platform device of an HVM domain, found on the PCI bus; a PVH domain has neither.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU32, Ordering};

use guest::memory_map::Span;
use guest::pci::{self, Bar};
use harness::{Identity, LINE_VECTOR, RootDevice};
use serde_json::json;
use spin::Mutex;
use x86_64::instructions::port::Port;
use xen_abi::platform_pci::{PCI_DEVICE_PLATFORM, PCI_VENDOR};

use super::{event, processor};

const ADDRESS: u16 = 0xCF8;
const DATA: u16 = 0xCFC;
/// Registers of a device, by byte.
const ID: u8 = 0;
const COMMAND: u8 = 4;
const CLASS: u8 = 8;
const BARS: u8 = 0x10;
const SUBSYSTEM: u8 = 0x2C;
const INTERRUPT: u8 = 0x3C;
const NOBODY: u32 = u32::MAX;
const SLOTS: u8 = 32;
/// Class in the upper byte of the class register: network.
const NETWORK: u32 = 2;

/// The I/O APIC, where Xen has it.
const IO_APIC: usize = 0xFEC0_0000;
const REDIRECTION: u32 = 0x10;
const ACTIVE_LOW: u32 = 1 << 13;
const LEVEL: u32 = 1 << 15;
const MASKED: u32 = 1 << 16;

/// Masks of the two old interrupt controllers: firmware leaves them connected, at vectors of exceptions.
const OLD_MASKS: [u16; 2] = [0x21, 0xA1];

/// Silences the old interrupt controllers. In a PVH domain nobody listens.
pub(crate) fn mask_old_controllers() {
    for port in OLD_MASKS {
        // SAFETY: all inputs masked; nothing here uses them.
        unsafe { Port::<u8>::new(port).write(0xFF) };
    }
}

/// The device.
#[derive(Clone, Debug)]
pub(crate) struct Device {
    /// Its memory.
    pub(crate) memory: Span,
    ports: (u16, u32),
    /// Input of the interrupt controller.
    input: u32,
    identity: Identity,
}

static CONFIGURATION: Mutex<()> = Mutex::new(());

fn with_register<R>(slot: u8, register: u8, body: impl FnOnce(&mut Port<u32>) -> R) -> R {
    let _one = CONFIGURATION.lock();
    let at = 1 << 31 | u32::from(slot) << 11 | u32::from(register & !3);
    // SAFETY: PCI's configuration mechanism; without a PCI bus nobody listens.
    unsafe { Port::new(ADDRESS).write(at) };
    body(&mut Port::new(DATA))
}

fn read(slot: u8, register: u8) -> u32 {
    // SAFETY: reads a register of a device, or all ones.
    with_register(slot, register, |data| unsafe { data.read() })
}

fn write(slot: u8, register: u8, value: u32) {
    // SAFETY: the callers write registers of the platform device, which is ours.
    with_register(slot, register, |data| unsafe { data.write(value) });
}

/// The range of a base address register, whose size is found by writing to it.
fn range(slot: u8, register: u8) -> Option<Bar> {
    let value = read(slot, register);
    write(slot, register, u32::MAX);
    let mask = read(slot, register);
    write(slot, register, value);
    pci::bar(value, mask)
}

/// Looks for the device on bus 0.
pub(crate) fn find() -> Option<Device> {
    let wanted = u32::from(PCI_DEVICE_PLATFORM) << 16 | u32::from(PCI_VENDOR);
    let slot = (0..SLOTS).find(|slot| read(*slot, ID) == wanted)?;
    // Ports and memory answer, but not while the sizes are found.
    let command = read(slot, COMMAND) & 0xFFFF;
    write(slot, COMMAND, command & !3);
    let ranges = [range(slot, BARS), range(slot, BARS + 4)];
    write(slot, COMMAND, command | 3);
    let [
        Some(Bar::Ports(first, count)),
        Some(Bar::Memory(start, len)),
    ] = ranges
    else {
        panic!("the platform device has unexpected registers: {ranges:x?}");
    };
    let pin = (read(slot, INTERRUPT) >> 8) as u8;
    let subsystem = read(slot, SUBSYSTEM);
    let revision = read(slot, CLASS) & 0xFF;
    let device = format!("PCI\\VEN_{PCI_VENDOR:04X}&DEV_{PCI_DEVICE_PLATFORM:04X}");
    let identity = Identity {
        hardware: alloc::vec![format!(
            "{device}&SUBSYS_{subsystem:08X}&REV_{revision:02X}"
        )],
        device,
        instance: format!("{slot:02X}"),
        ..Identity::default()
    };
    Some(Device {
        memory: Span {
            start,
            end: start + len,
        },
        ports: (first, count),
        input: pci::input(slot, pin),
        identity,
    })
}

/// Emulated network cards that are there, as vendor and device.
fn network_cards() -> Vec<String> {
    let slots = (0..SLOTS).filter(|slot| read(*slot, ID) != NOBODY);
    slots
        .filter(|slot| read(*slot, CLASS) >> 24 == NETWORK)
        .map(|slot| {
            let id = read(slot, ID);
            format!("{:04x}:{:04x}", id & 0xFFFF, id >> 16)
        })
        .collect()
}

/// Input of the line that is connected to [`LINE_VECTOR`], plus 1; 0 without a line.
static LINE: AtomicU32 = AtomicU32::new(0);

fn redirect(input: u32, low: u32) {
    let select = core::ptr::with_exposed_provenance_mut::<u32>(IO_APIC);
    let window = core::ptr::with_exposed_provenance_mut::<u32>(IO_APIC + 0x10);
    let target = processor::of(0).map_or(0, |local| local.apic_id);
    for (half, value) in [(1, target << 24), (0, low)] {
        // SAFETY: the I/O APIC's registers, mapped where they are; every HVM domain has it.
        unsafe { select.write_volatile(REDIRECTION + input * 2 + half) };
        // SAFETY: as above.
        unsafe { window.write_volatile(value) };
    }
}

/// Lets the line interrupt, or not.
fn let_through(on: bool) {
    if let Some(input) = LINE.load(Ordering::Acquire).checked_sub(1) {
        let mask = if on { 0 } else { MASKED };
        redirect(input, LINE_VECTOR | ACTIVE_LOW | LEVEL | mask);
    }
}

/// The line has interrupted: it would again at once, before its service routine could run.
pub(crate) fn line_came() {
    let_through(false);
}

/// The line's service routines have run.
pub(crate) fn line_served() {
    let_through(true);
}

impl Device {
    /// The device as the plug and play manager sees it, with its interrupt connected. With `line_only` no driver gets a
    /// vector of its own.
    pub(crate) fn plug(&self, line_only: bool) -> RootDevice {
        event::tell(&json!({
            "event": "platform",
            "hardware": self.identity.hardware,
            "memory": format!("{:#x}..{:#x}", self.memory.start, self.memory.end),
            "ports": format!("{:#x}, {}", self.ports.0, self.ports.1),
            "input": self.input,
            "network_cards": network_cards(),
        }));
        LINE.store(self.input + 1, Ordering::Release);
        let_through(true);
        RootDevice {
            identity: self.identity.clone(),
            memory: u32::try_from(self.memory.len()).unwrap_or(0),
            ports: Some(self.ports),
            line: true,
            input: Some(self.input),
            line_only,
        }
    }
}

/// Whether emulated network cards have come and gone as they should: `unplugged` says whether they should be gone.
pub(crate) fn check_cards(unplugged: bool) -> Result<(), String> {
    let cards = network_cards();
    event::tell(&json!({"event": "network_cards", "left": cards}));
    if cards.is_empty() == unplugged {
        Ok(())
    } else {
        Err(format!("network cards on the PCI bus: {cards:?}"))
    }
}
