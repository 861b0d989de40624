//! Time by the time stamp counter; alarms by the APIC's timer.

use core::sync::atomic::{AtomicU64, Ordering};
use core::time::Duration;

use x86_64::instructions::port::Port;

use super::processor::{self, Local};
use super::{apic, xen};

/// Frequency of the counter, kHz.
static KHZ: AtomicU64 = AtomicU64::new(1_000_000);
/// The counter at the start.
static START: AtomicU64 = AtomicU64::new(0);
/// Ticks of the APIC's timer in 10 ms.
static TIMER_TICKS: AtomicU64 = AtomicU64::new(1);

fn counter() -> u64 {
    // SAFETY: every x86-64 processor has it.
    unsafe { core::arch::x86_64::_rdtsc() }
}

/// The counter's frequency by the PC's timer (channel 2, 1193182 Hz): for machines without Xen.
fn measure() -> u64 {
    const COUNT: u16 = 11932;
    let mut gate = Port::<u8>::new(0x61);
    let mut mode = Port::<u8>::new(0x43);
    let mut data = Port::<u8>::new(0x42);
    // SAFETY: the PC's timer and its gate, which nothing else uses here.
    let before = unsafe { gate.read() };
    // SAFETY: as above: speaker off, gate on.
    unsafe { gate.write((before & !2) | 1) };
    // SAFETY: as above: channel 2, both bytes, one shot.
    unsafe { mode.write(0b1011_0000) };
    let [low, high] = COUNT.to_le_bytes();
    // SAFETY: as above.
    unsafe { data.write(low) };
    // SAFETY: as above.
    unsafe { data.write(high) };
    let start = counter();
    for _ in 0..10_000_000 {
        // SAFETY: as above.
        if unsafe { gate.read() } & 0x20 != 0 {
            break;
        }
    }
    // 11932 ticks are 10 ms.
    (counter() - start) / 10
}

/// Finds the frequencies; the APIC is on.
pub(crate) fn set_up() {
    let khz = xen::tsc_khz().unwrap_or_else(measure).max(1);
    KHZ.store(khz, Ordering::Relaxed);
    START.store(counter(), Ordering::Relaxed);
    apic::arm_timer(u32::MAX);
    wait_for(Duration::from_millis(10));
    let left = apic::timer_left();
    apic::arm_timer(0);
    TIMER_TICKS.store(u64::from(u32::MAX - left).max(1), Ordering::Relaxed);
    super::print!(
        "time: TSC {khz} kHz, APIC timer {} ticks in 10 ms\n",
        u32::MAX - left
    );
}

/// 100 ns units since the start.
pub(crate) fn now() -> u64 {
    let since = counter().wrapping_sub(START.load(Ordering::Relaxed));
    let khz = KHZ.load(Ordering::Relaxed);
    u64::try_from(u128::from(since) * 10_000 / u128::from(khz)).unwrap_or(u64::MAX)
}

/// Waits without sleeping.
pub(crate) fn wait_for(duration: Duration) {
    let end = now() + u64::try_from(duration.as_nanos() / 100).unwrap_or(u64::MAX);
    while now() < end {
        core::hint::spin_loop();
    }
}

/// Interrupts the running processor at time `at`, or earlier: an alarm that is set and comes first stays, since setting one
/// costs an exit to Xen.
pub(crate) fn alarm_at(at: u64) {
    let alarm = &processor::local().alarm;
    let (now, set) = (now(), alarm.load(Ordering::Relaxed));
    if set > now && set <= at {
        return;
    }
    alarm.store(at.max(now + 1), Ordering::Relaxed);
    let units = u128::from(at.saturating_sub(now));
    let ticks = units * u128::from(TIMER_TICKS.load(Ordering::Relaxed)) / 100_000;
    apic::arm_timer(u32::try_from(ticks).unwrap_or(u32::MAX).max(1));
}

/// Time between two looks at what is due while a processor is busy, 100 ns units.
const TICK: u64 = 100_000;

/// Interrupts the running processor after a tick.
pub(crate) fn start_ticks() {
    alarm_at(now() + TICK);
}

/// The alarm of the running processor came. An idle one needs no tick.
pub(crate) fn ticked(local: &Local) {
    local.alarm.store(0, Ordering::Relaxed);
    if !local.idle.load(Ordering::Relaxed) {
        start_ticks();
    }
}
