//! The kernel lock: in the parallel mode, one real processor at a time runs harness code.
//!
//! It is taken where driver code calls in (import gate, patched instruction, return from a callback) and given
//! back where driver code runs on, so drivers run in parallel while everything an export does is as
//! uninterrupted as in the deterministic mode. It belongs to the processor, not the thread: switching stacks keeps it.

use core::sync::atomic::{AtomicU32, Ordering};

use crate::host::processor::{HAND_OVER, relax};

/// The lock. Does nothing in the deterministic mode, where one OS thread runs everything.
#[derive(Debug)]
pub(crate) struct KernelLock {
    parallel: bool,
    /// Holder's number plus one.
    owner: AtomicU32,
    waiting: AtomicU32,
}

impl KernelLock {
    pub(crate) const fn new(parallel: bool) -> Self {
        Self {
            parallel,
            owner: AtomicU32::new(0),
            waiting: AtomicU32::new(0),
        }
    }

    /// Takes the lock for holder `who`, a processor's number or the monitor's.
    pub(crate) fn acquire(&self, who: u32) {
        if !self.parallel {
            return;
        }
        debug_assert_ne!(self.owner.load(Ordering::Relaxed), who + 1, "recursion");
        if self.try_acquire(who) {
            return;
        }
        self.waiting.fetch_add(1, Ordering::Relaxed);
        let mut turn = 0;
        while self.owner.load(Ordering::Relaxed) != 0 || !self.try_acquire(who) {
            relax(turn);
            turn += 1;
        }
        self.waiting.fetch_sub(1, Ordering::Relaxed);
    }

    fn try_acquire(&self, who: u32) -> bool {
        self.owner
            .compare_exchange(0, who + 1, Ordering::Acquire, Ordering::Relaxed)
            .is_ok()
    }

    /// Gives the lock back.
    pub(crate) fn release(&self) {
        if self.parallel {
            self.owner.store(0, Ordering::Release);
        }
    }

    /// Takes the lock unless `who` has it.
    pub(crate) fn ensure(&self, who: u32) {
        if self.owner.load(Ordering::Relaxed) != who + 1 {
            self.acquire(who);
        }
    }

    /// Lets others in, if there are any; `turn` counts the consecutive calls for nothing.
    pub(crate) fn breathe(&self, who: u32, turn: u32) {
        if self.parallel && (turn != 0 || self.waiting.load(Ordering::Relaxed) != 0) {
            self.release();
            relax(turn.saturating_add(HAND_OVER));
            self.acquire(who);
        }
    }
}
