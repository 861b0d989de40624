//! Processors of the bare machine.

use alloc::boxed::Box;
use alloc::sync::Arc;
use core::sync::atomic::{AtomicU32, Ordering};

use super::host;
use crate::host::HostError;

/// Time is the host's.
pub(crate) const REAL_TIME: bool = true;

/// The caller of the harness is processor 0.
pub(crate) const CALLER_IS_A_PROCESSOR: bool = true;

/// The processors of the machine.
#[derive(Debug)]
pub(crate) struct Processors(Arc<AtomicU32>);

impl Processors {
    pub(crate) fn new(_count: u32) -> Self {
        Self(Arc::new(AtomicU32::new(0)))
    }

    /// Runs `body` on processor `cpu`.
    pub(crate) fn start(&self, cpu: u32, body: Box<dyn FnOnce() + Send>) -> Result<(), HostError> {
        self.0.fetch_add(1, Ordering::AcqRel);
        let alive = Arc::clone(&self.0);
        host().start_cpu(
            cpu,
            Box::new(move || {
                body();
                alive.fetch_sub(1, Ordering::AcqRel);
            }),
        )
    }

    /// Waits for an interrupt, [`Processors::wake`], or the time `until`.
    #[expect(clippy::unused_self, reason = "the same signature for every host")]
    pub(crate) fn idle(&self, _cpu: u32, until: Option<u64>, ready: &dyn Fn() -> bool) {
        host().idle(until, ready);
    }

    /// Ends the wait of a processor, or interrupts it.
    #[expect(clippy::unused_self, reason = "the same signature for every host")]
    pub(crate) fn wake(&self, cpu: u32) {
        if cpu != host().cpu() {
            host().wake(cpu);
        }
    }

    /// Waits until every body has returned.
    pub(crate) fn join(&self) {
        while self.0.load(Ordering::Acquire) != 0 {
            host().relax();
        }
    }
}

/// Turns of a busy wait before the rest of the time slice is given away: giving it away is a hypercall, and the other
/// processor is often as quick.
const PATIENCE: u32 = 64;

/// Turn of a busy wait that lets another processor take what was just given back.
pub(crate) const HAND_OVER: u32 = 0;

/// Turn number `turn` of a busy wait.
pub(crate) fn relax(turn: u32) {
    if turn < PATIENCE {
        core::hint::spin_loop();
    } else {
        host().relax();
    }
}

/// The host's time, in 100 ns units.
pub(crate) fn now() -> u64 {
    host().now()
}
