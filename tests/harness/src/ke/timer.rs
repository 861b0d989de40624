//! Timers, and the clock that drivers read.

use alloc::format;
use wdk_sys::{KDPC, KTIMER, LARGE_INTEGER};

use super::object::initialize_header;
use super::wait::{self, BOOT_TIME, kind};
use crate::export::{Module, exports};
use crate::field;
use crate::host::context::kernel;
use crate::mem::guest::Guest;
use crate::rules;
use crate::sched::events::Event;

exports! { Module::Ntoskrnl;
    KeInitializeTimer = initialize, 0..=2;
    KeInitializeTimerEx = initialize_ex, 0..=2;
    KeSetTimer = set, 0..=2;
    KeSetTimerEx = set_ex, 0..=2;
    KeSetCoalescableTimer = set_coalescable, 0..=2;
    KeCancelTimer = cancel, 0..=2;
    KeReadStateTimer = read_state, 0..=2;
    KeQuerySystemTimePrecise = query_system_time, 0..=15;
    KeQueryInterruptTime = interrupt_time, 0..=15;
    KeQueryInterruptTimePrecise = interrupt_time_precise, 0..=15;
    KeQueryUnbiasedInterruptTime = interrupt_time, 0..=15;
    KeQueryTimeIncrement = time_increment, 0..=15;
    KeQueryPerformanceCounter = performance_counter, 0..=15;
    KeStallExecutionProcessor = stall, 0..=15;
}

extern "win64" fn initialize(timer: *mut KTIMER) {
    initialize_ex(timer, 0);
}

extern "win64" fn initialize_ex(timer: *mut KTIMER, of: i32) {
    let kind = if of == 0 {
        kind::NOTIFICATION_TIMER
    } else {
        kind::SYNCHRONIZATION_TIMER
    };
    initialize_header(timer as usize, kind, 16, 0);
    field!(timer, KTIMER, Dpc).store(core::ptr::null_mut());
    field!(timer, KTIMER, Period).store(0);
}

fn expect_timer(timer: *mut KTIMER) {
    let kind = Guest::<u8>::new(timer as usize).load();
    if kind != kind::NOTIFICATION_TIMER && kind != kind::SYNCHRONIZATION_TIMER {
        rules::die(
            &rules::OBJECT,
            format!("{timer:p} is no initialised timer: its type is {kind}"),
        );
    }
}

extern "win64" fn set(timer: *mut KTIMER, due: i64, dpc: *mut KDPC) -> u8 {
    set_ex(timer, due, 0, dpc)
}

extern "win64" fn set_coalescable(
    timer: *mut KTIMER,
    due: i64,
    period: u32,
    _delay: u32,
    dpc: *mut KDPC,
) -> u8 {
    set_ex(timer, due, period, dpc)
}

/// Sets the timer; the previous setting is cancelled. `due` is passed by value, as NT does.
extern "win64" fn set_ex(timer: *mut KTIMER, due: i64, period: u32, dpc: *mut KDPC) -> u8 {
    expect_timer(timer);
    let events = &kernel().sched.events;
    let was = events.cancel_timer(timer as usize);
    field!(timer, KTIMER, Header.SignalState).store(0);
    field!(timer, KTIMER, Dpc).store(dpc);
    field!(timer, KTIMER, Period).store(period);
    events.add(wait::due_time(due), Event::Timer(timer as usize));
    u8::from(was)
}

extern "win64" fn cancel(timer: *mut KTIMER) -> u8 {
    expect_timer(timer);
    u8::from(kernel().sched.events.cancel_timer(timer as usize))
}

extern "win64" fn read_state(timer: *mut KTIMER) -> u8 {
    u8::from(field!(timer, KTIMER, Header.SignalState).load() > 0)
}

/// The timer's time has come. Runs in the scheduler context, as the clock interrupt would.
pub(crate) fn expire(timer: usize) {
    let kernel = kernel();
    let at = Guest::<KTIMER>::new(timer).pointer();
    field!(at, KTIMER, Header.SignalState).store(1);
    wait::signaled(timer);
    let period = field!(at, KTIMER, Period).load();
    if period != 0 {
        let next = kernel.sched.now() + u64::from(period) * 10_000;
        kernel.sched.events.add(next, Event::Timer(timer));
    }
    let dpc = field!(at, KTIMER, Dpc).load();
    if !dpc.is_null() {
        let count = u32::try_from(kernel.sched.cpus().len()).unwrap_or(1);
        let here = kernel.sched.rng.lock().below(count);
        super::dpc::queue(dpc, here, 0, 0);
    }
}

pub(crate) extern "win64" fn query_system_time(out: *mut LARGE_INTEGER) {
    Guest::from(out)
        .cast::<u64>()
        .store(BOOT_TIME + kernel().sched.now());
}

extern "win64" fn interrupt_time() -> u64 {
    kernel().sched.now()
}

extern "win64" fn interrupt_time_precise(counter: *mut u64) -> u64 {
    let now = kernel().sched.now();
    Guest::from(counter).store(now);
    now
}

extern "win64" fn time_increment() -> u32 {
    156_250
}

/// 10 MHz: one tick per 100 ns.
extern "win64" fn performance_counter(frequency: *mut LARGE_INTEGER) -> u64 {
    if !frequency.is_null() {
        Guest::from(frequency).cast::<u64>().store(10_000_000);
    }
    kernel().sched.now()
}

extern "win64" fn stall(microseconds: u32) {
    let sched = &kernel().sched;
    if microseconds > 50 {
        rules::violate(
            &rules::STALL,
            format!("a busy wait of {microseconds} microseconds"),
        );
    }
    sched.set_now(sched.now() + u64::from(microseconds) * 10);
    sched.yield_now();
}
