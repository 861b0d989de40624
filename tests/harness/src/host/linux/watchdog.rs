//! Notices driver code that runs on and on without calling anything: a timer of the OS thread's own processor time.

use core::ffi::c_void;
use core::ptr::{null, null_mut};
use std::sync::Once;
use std::thread_local;

use crate::host::context;

const SIGNAL: i32 = libc::SIGVTALRM;
/// Between two looks, in nanoseconds of the thread's processor time.
const INTERVAL: i64 = 250_000_000;
/// Longest run without a call, in 100 ns units of the thread's processor time.
const LIMIT: u64 = 20_000_000;

/// The timer of one OS thread; it ends with the thread.
struct Timer(libc::timer_t);

impl Drop for Timer {
    fn drop(&mut self) {
        // SAFETY: the timer was made in `arm` and is deleted once.
        unsafe { libc::timer_delete(self.0) };
    }
}

thread_local! {
    static TIMER: Timer = arm();
}

/// Starts the watchdog of the running OS thread, if it has none.
pub(super) fn start() {
    static INSTALL: Once = Once::new();
    INSTALL.call_once(install);
    TIMER.with(|_| {});
}

fn install() {
    type Handler = extern "C" fn(i32, *mut libc::siginfo_t, *mut c_void);
    let handler: Handler = look;
    // SAFETY: all-zero bytes are a valid `sigaction`.
    let mut action: libc::sigaction = unsafe { core::mem::zeroed() };
    action.sa_sigaction = handler as usize;
    action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK | libc::SA_RESTART;
    // SAFETY: `action` is complete, and the handler calls only async-signal-safe functions.
    let done = unsafe { libc::sigaction(SIGNAL, &raw const action, null_mut()) };
    assert_eq!(done, 0, "the system refused a signal handler");
}

fn arm() -> Timer {
    // SAFETY: all-zero bytes are a valid `sigevent`.
    let mut event: libc::sigevent = unsafe { core::mem::zeroed() };
    event.sigev_notify = libc::SIGEV_THREAD_ID;
    event.sigev_signo = SIGNAL;
    // SAFETY: no arguments.
    event.sigev_notify_thread_id = unsafe { libc::gettid() };
    let mut timer: libc::timer_t = null_mut();
    // SAFETY: both structures are complete and live through the call.
    let made = unsafe {
        libc::timer_create(
            libc::CLOCK_THREAD_CPUTIME_ID,
            &raw mut event,
            &raw mut timer,
        )
    };
    assert_eq!(made, 0, "the system refused a timer");
    let every = libc::timespec {
        tv_sec: 0,
        tv_nsec: INTERVAL,
    };
    let setting = libc::itimerspec {
        it_interval: every,
        it_value: every,
    };
    // SAFETY: the timer was made above; no old setting is asked for.
    let set = unsafe { libc::timer_settime(timer, 0, &raw const setting, null_mut()) };
    assert_eq!(set, 0, "the system refused to start a timer");
    Timer(timer)
}

/// The running thread's processor time, 100 ns units. Async-signal-safe.
fn processor_time() -> u64 {
    let mut now = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: `now` is a timespec to fill.
    unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &raw mut now) };
    now.tv_sec.unsigned_abs() * 10_000_000 + now.tv_nsec.unsigned_abs() / 100
}

extern "C" fn look(_signal: i32, _info: *mut libc::siginfo_t, interrupted: *mut c_void) {
    debug_assert_ne!(interrupted.cast_const(), null());
    if context::on_fiber() && super::trap::interrupts_driver(interrupted) {
        let cpu = context::kernel().sched.cpu();
        if cpu.runs_away(processor_time(), LIMIT) {
            super::trap::give_up(interrupted);
        }
    }
}
