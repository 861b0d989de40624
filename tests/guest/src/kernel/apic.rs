//! The local APIC of each processor, through x2APIC registers where there are, else memory.

use core::arch::x86_64::__cpuid_count;
use core::sync::atomic::{AtomicBool, Ordering};

use x86_64::registers::model_specific::Msr;

use super::processor;

/// Where the registers are without x2APIC.
pub(crate) const REGISTERS: u64 = 0xFEE0_0000;
/// Vectors of our own, above those the harness hands out.
pub(crate) const TIMER: u8 = 0xE0;
pub(crate) const KICK: u8 = 0xE1;
pub(crate) const SPURIOUS: u8 = 0xFF;

const BASE: u32 = 0x1B;
const BASE_ENABLE: u64 = 1 << 11;
const BASE_X2: u64 = 1 << 10;
const EOI: u32 = 0x0B;
const SPURIOUS_VECTOR: u32 = 0x0F;
const COMMAND: u32 = 0x30;
const COMMAND_HIGH: u32 = 0x31;
const TIMER_ENTRY: u32 = 0x32;
const LINT0: u32 = 0x35;
const TIMER_START: u32 = 0x38;
const TIMER_NOW: u32 = 0x39;
const TIMER_DIVIDE: u32 = 0x3E;
const MASKED: u32 = 1 << 16;
/// Delivery of an interrupt command: INIT, start-up; assert; all but the sender; still being sent.
const INIT: u32 = 5 << 8;
const START_UP: u32 = 6 << 8;
const ASSERT: u32 = 1 << 14;
const OTHERS: u32 = 3 << 18;
const SENDING: u32 = 1 << 12;

static X2: AtomicBool = AtomicBool::new(false);

fn read(register: u32) -> u32 {
    if X2.load(Ordering::Relaxed) {
        // SAFETY: an x2APIC register that can be read.
        unsafe { Msr::new(0x800 + register).read() as u32 }
    } else {
        let at = REGISTERS as usize + (register as usize) * 16;
        // SAFETY: the registers are mapped where they are.
        unsafe { core::ptr::with_exposed_provenance::<u32>(at).read_volatile() }
    }
}

fn write(register: u32, value: u32) {
    if X2.load(Ordering::Relaxed) {
        let mut msr = Msr::new(0x800 + register);
        // SAFETY: an x2APIC register that can be written.
        unsafe { msr.write(u64::from(value)) };
    } else {
        let at = REGISTERS as usize + (register as usize) * 16;
        // SAFETY: the registers are mapped where they are.
        unsafe { core::ptr::with_exposed_provenance_mut::<u32>(at).write_volatile(value) };
    }
}

fn command(target: u32, value: u32) {
    if X2.load(Ordering::Relaxed) {
        let mut msr = Msr::new(0x800 + COMMAND);
        // SAFETY: the interrupt command register.
        unsafe { msr.write(u64::from(target) << 32 | u64::from(value)) };
        return;
    }
    // A handler in between would send its own.
    x86_64::instructions::interrupts::without_interrupts(|| {
        write(COMMAND_HIGH, target << 24);
        write(COMMAND, value);
        while read(COMMAND) & SENDING != 0 {
            core::hint::spin_loop();
        }
    });
}

/// The APIC's number as CPUID tells it.
pub(crate) fn initial_id() -> u32 {
    __cpuid_count(1, 0).ebx >> 24
}

/// Turns the running processor's APIC on.
pub(crate) fn enable() {
    let has_x2 = __cpuid_count(1, 0).ecx & (1 << 21) != 0;
    let mut base = Msr::new(BASE);
    // SAFETY: every processor with an APIC has this register.
    let mut value = unsafe { base.read() } | BASE_ENABLE;
    if has_x2 {
        value |= BASE_X2;
    }
    // SAFETY: enables what is there.
    unsafe { base.write(value) };
    X2.store(has_x2, Ordering::Relaxed);
    write(LINT0, MASKED);
    write(SPURIOUS_VECTOR, 0x100 | u32::from(SPURIOUS));
    // Not before the APIC is on: until then every entry stays masked.
    write(TIMER_DIVIDE, 0b0011);
    write(TIMER_ENTRY, u32::from(TIMER));
}

/// Ends the interrupt that is in service. Xen can also inject around the APIC: then none is, and this does nothing, as no
/// handler lets another interrupt in before it has called this.
pub(crate) fn end() {
    write(EOI, 0);
}

/// Sends [`KICK`] to a processor.
pub(crate) fn kick(cpu: u32) {
    if let Some(local) = processor::of(cpu) {
        command(local.apic_id, ASSERT | u32::from(KICK));
    }
}

/// Resets all other processors.
pub(crate) fn init_others() {
    command(0, OTHERS | ASSERT | INIT);
}

/// Starts all other processors in real mode at a page below 1 MiB.
pub(crate) fn start_others(page: u8) {
    command(0, OTHERS | ASSERT | START_UP | u32::from(page));
}

/// Has [`TIMER`] come once after `ticks` of the APIC's timer (divided by 16); 0 stops it.
pub(crate) fn arm_timer(ticks: u32) {
    write(TIMER_START, ticks);
}

/// Ticks left.
pub(crate) fn timer_left() -> u32 {
    read(TIMER_NOW)
}
