//! Real processors of the Linux process: one OS thread each.

use alloc::boxed::Box;
use alloc::format;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, Ordering};
use core::time::Duration;
use std::sync::{LazyLock, Mutex, PoisonError};
use std::thread::{Builder, JoinHandle, Thread};
use std::time::Instant;

use crate::host::HostError;

/// Virtual time is the harness's own; it passes when nothing else can run.
pub(crate) const REAL_TIME: bool = false;

/// The thread that runs the test watches; processor 0 has a thread of its own.
pub(crate) const CALLER_IS_A_PROCESSOR: bool = false;

/// The OS threads of one machine.
#[derive(Debug)]
pub(crate) struct Processors {
    threads: Mutex<Vec<JoinHandle<()>>>,
    /// By processor, to wake it.
    sleepers: Vec<Sleeper>,
}

#[derive(Debug, Default)]
struct Sleeper {
    thread: Mutex<Option<Thread>>,
    asleep: AtomicBool,
}

impl Processors {
    pub(crate) fn new(count: u32) -> Self {
        Self {
            threads: Mutex::new(Vec::new()),
            sleepers: (0..count).map(|_| Sleeper::default()).collect(),
        }
    }

    /// Runs `body` on processor `cpu`.
    pub(crate) fn start(&self, cpu: u32, body: Box<dyn FnOnce() + Send>) -> Result<(), HostError> {
        let thread = Builder::new()
            .name(format!("nt-cpu-{cpu}"))
            .spawn(body)
            .map_err(|error| HostError::System(error.raw_os_error().unwrap_or(0)))?;
        let sleeper = &self.sleepers[cpu as usize];
        *lock(&sleeper.thread) = Some(thread.thread().clone());
        lock(&self.threads).push(thread);
        Ok(())
    }

    /// Waits for [`Processors::wake`]; `ready` is asked first, and what makes it true later must wake.
    pub(crate) fn idle(&self, cpu: u32, _until: Option<u64>, ready: &dyn Fn() -> bool) {
        let asleep = &self.sleepers[cpu as usize].asleep;
        asleep.store(true, Ordering::SeqCst);
        if !ready() {
            // The limit only bounds what a lost wake could cost.
            std::thread::park_timeout(Duration::from_millis(20));
        }
        asleep.store(false, Ordering::SeqCst);
    }

    /// Ends the wait of a processor, or its next one.
    pub(crate) fn wake(&self, cpu: u32) {
        let sleeper = &self.sleepers[cpu as usize];
        if sleeper.asleep.load(Ordering::SeqCst)
            && let Some(thread) = &*lock(&sleeper.thread)
        {
            thread.unpark();
        }
    }

    /// Waits until every body has returned.
    pub(crate) fn join(&self) {
        for thread in core::mem::take(&mut *lock(&self.threads)) {
            // A body that panics ends the program, or its test.
            drop(thread.join());
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Turn of a busy wait that lets another thread take what was just given back.
pub(crate) const HAND_OVER: u32 = 64;

/// Turn number `turn` of a busy wait.
pub(crate) fn relax(turn: u32) {
    match turn {
        0..64 => core::hint::spin_loop(),
        64..256 => std::thread::yield_now(),
        _ => std::thread::sleep(Duration::from_micros(20)),
    }
}

/// Real time since the first call, in 100 ns units.
pub(crate) fn now() -> u64 {
    static START: LazyLock<Instant> = LazyLock::new(Instant::now);
    u64::try_from(START.elapsed().as_nanos() / 100).unwrap_or(u64::MAX)
}
