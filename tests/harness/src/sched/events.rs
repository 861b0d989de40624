//! What happens at a virtual time: timers, wait timeouts, and actions of the test.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use core::fmt;
use core::sync::atomic::{AtomicU64, Ordering};

use spin::Mutex;

use super::Sched;

/// One thing that is due at a time.
pub(crate) enum Event {
    /// A KTIMER expires.
    Timer(usize),
    /// The wait number `.1` of thread `.0` times out.
    WaitTimeout(u32, u64),
    /// Something the test or a simulated device asked for. Runs in the scheduler context.
    Action(Box<dyn FnOnce() + Send>),
}

impl fmt::Debug for Event {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Timer(timer) => write!(out, "timer {timer:#x}"),
            Self::WaitTimeout(thread, wait) => write!(out, "timeout of wait {wait} of {thread}"),
            Self::Action(_) => out.write_str("action"),
        }
    }
}

/// Everything that is due, ordered by time, then by age.
#[derive(Debug, Default)]
pub(crate) struct Events {
    queue: Mutex<BTreeMap<(u64, u64), Event>>,
    age: AtomicU64,
}

impl Events {
    pub(crate) fn add(&self, due: u64, event: Event) {
        let age = self.age.fetch_add(1, Ordering::AcqRel);
        self.queue.lock().insert((due, age), event);
    }

    /// Takes a timer out; whether it was in.
    pub(crate) fn cancel_timer(&self, timer: usize) -> bool {
        let mut queue = self.queue.lock();
        let before = queue.len();
        queue.retain(|_, event| !matches!(event, Event::Timer(queued) if *queued == timer));
        queue.len() != before
    }

    pub(crate) fn cancel_wait(&self, thread: u32, wait: u64) {
        self.queue.lock().retain(
            |_, event| !matches!(event, Event::WaitTimeout(t, w) if *t == thread && *w == wait),
        );
    }

    /// A queued timer in an address range.
    pub(crate) fn timer_between(&self, from: usize, to: usize) -> Option<usize> {
        self.queue.lock().values().find_map(|event| match event {
            Event::Timer(timer) if (from..to).contains(timer) => Some(*timer),
            _ => None,
        })
    }

    pub(crate) fn next_due(&self) -> Option<u64> {
        self.queue.lock().keys().next().map(|(due, _)| *due)
    }

    /// Carries out what is due. Runs in the scheduler context.
    pub(crate) fn fire_due(&self, sched: &Sched) {
        loop {
            let now = sched.now();
            let event = {
                let mut queue = self.queue.lock();
                match queue.first_entry() {
                    Some(first) if first.key().0 <= now => first.remove(),
                    _ => return,
                }
            };
            match event {
                Event::Timer(timer) => crate::ke::timer::expire(timer),
                Event::WaitTimeout(thread, wait) => crate::ke::wait::time_out(thread, wait),
                Event::Action(action) => action(),
            }
        }
    }
}
