//! Keeps the order of a queue's frames when they are handed to other processors.
//!
//! A queue's pass runs on one processor. Frames that the indirection table names another processor for are handed over
//! and indicated there; the rest is indicated in the pass. A flow always goes the same way, so its order is kept. When
//! the way changes (a new table, or the queue moved to another processor), frames on the old way may be overtaken by
//! later ones on the new: so no frame is taken from the ring until everything handed over before has been indicated.
//!
//! And two passes never run at once: the second, on the new processor, would overtake the first.

use core::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, Ordering};

const IDLE: u8 = 0;
const RUNNING: u8 = 1;
const RUNNING_AND_WANTED: u8 = 2;
/// No processor has this index.
const NOWHERE: u32 = u32::MAX;

/// The gate of one queue. In cache lines of its own.
#[derive(Debug)]
#[repr(align(64))]
pub struct PassGate {
    pass: AtomicU8,
    /// Lists handed over and not yet indicated.
    handed: AtomicU32,
    /// The way has changed.
    settling: AtomicBool,
    /// Where the last pass took frames.
    processor: AtomicU32,
}

impl Default for PassGate {
    fn default() -> Self {
        Self::new()
    }
}

impl PassGate {
    /// No pass, nothing handed over.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            pass: AtomicU8::new(IDLE),
            handed: AtomicU32::new(0),
            settling: AtomicBool::new(false),
            processor: AtomicU32::new(NOWHERE),
        }
    }

    /// Begins a pass. False when one is running: its [`PassGate::leave`] then says to run again.
    pub fn enter(&self) -> bool {
        loop {
            let found = self.pass.load(Ordering::SeqCst);
            let next = if found == IDLE {
                RUNNING
            } else {
                RUNNING_AND_WANTED
            };
            let changed =
                self.pass
                    .compare_exchange_weak(found, next, Ordering::SeqCst, Ordering::SeqCst);
            if changed.is_ok() {
                return found == IDLE;
            }
        }
    }

    /// Ends a pass. True when another was wanted meanwhile.
    #[must_use = "the pass that was wanted must be run"]
    pub fn leave(&self) -> bool {
        self.pass.swap(IDLE, Ordering::SeqCst) == RUNNING_AND_WANTED
    }

    /// The way of frames changes. Called under the lock under which frames are taken.
    pub fn change(&self) {
        self.settling.store(true, Ordering::SeqCst);
    }

    /// Whether frames may be taken from the ring, in a pass on this processor (system-wide index) and under the lock. If
    /// not, [`PassGate::indicated`] will say to run the pass again.
    pub fn may_take(&self, processor: u32) -> bool {
        if self.processor.swap(processor, Ordering::SeqCst) != processor {
            self.change();
        }
        if self.settling.load(Ordering::SeqCst) {
            if self.handed.load(Ordering::SeqCst) > 0 {
                return false;
            }
            self.settling.store(false, Ordering::SeqCst);
        }
        true
    }

    /// Lists are about to be handed over, in a pass.
    pub fn hand_over(&self, lists: u32) {
        self.handed.fetch_add(lists, Ordering::SeqCst);
    }

    /// Lists that were handed over have been indicated, or given back. True when the queue waits for this.
    #[must_use = "the queue's pass must be run"]
    pub fn indicated(&self, lists: u32) -> bool {
        let before = self.handed.fetch_sub(lists, Ordering::SeqCst);
        before == lists && self.settling.load(Ordering::SeqCst)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::thread;

    #[test]
    fn a_second_pass_is_run_after_the_first() {
        let gate = PassGate::new();
        assert!(gate.enter());
        assert!(!gate.enter());
        assert!(!gate.enter());
        assert!(gate.leave(), "wanted meanwhile");
        assert!(gate.enter());
        assert!(!gate.leave());
    }

    #[test]
    fn frames_are_taken_freely_while_nothing_changes() {
        let gate = PassGate::new();
        assert!(gate.may_take(3));
        gate.hand_over(5);
        assert!(gate.may_take(3));
        assert!(!gate.indicated(5), "nobody waits");
    }

    #[test]
    fn a_change_waits_for_what_was_handed_over() {
        for moved in [false, true] {
            let gate = PassGate::new();
            assert!(gate.may_take(3));
            gate.hand_over(5);
            let processor = if moved {
                4
            } else {
                gate.change();
                3
            };
            assert!(!gate.may_take(processor));
            assert!(!gate.indicated(2));
            assert!(!gate.may_take(processor));
            assert!(gate.indicated(3), "the last one wakes the queue");
            assert!(gate.may_take(processor));
        }
    }

    #[test]
    fn a_change_with_nothing_handed_over_waits_for_nothing() {
        let gate = PassGate::new();
        gate.change();
        assert!(gate.may_take(0));
    }

    /// Whenever the pass finds the gate shut, somebody tells it to come again.
    #[test]
    fn no_wake_up_is_lost() {
        let rounds = if cfg!(miri) { 30 } else { 2_000 };
        let gate = Arc::new(PassGate::new());
        let woken = Arc::new(AtomicU32::new(0));
        assert!(gate.may_take(0));
        for _ in 0..rounds {
            gate.hand_over(1);
            let consumer = {
                let (gate, woken) = (Arc::clone(&gate), Arc::clone(&woken));
                thread::spawn(move || {
                    if gate.indicated(1) {
                        woken.fetch_add(1, Ordering::SeqCst);
                    }
                })
            };
            gate.change();
            let shut = !gate.may_take(0);
            consumer.join().unwrap();
            let told = woken.swap(0, Ordering::SeqCst) > 0;
            assert!(told || !shut, "shut and never told");
            assert!(gate.may_take(0));
        }
    }
}
