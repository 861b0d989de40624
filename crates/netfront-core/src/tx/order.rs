//! Keeps the order of a flow's frames when it moves to another transmit queue.
//!
//! Frames of two rings are sent in any order. So when the steering changes, nothing that was steered by the new one is put
//! on a ring until the backend has answered for everything that was steered by the old one, on every queue: frames wait
//! beside their queue meanwhile.
//!
//! 1. A change has a generation ([`Transition::begin`]). The new steering is published, each entry with its generation in
//!    one word; then each queue is told ([`SendOrder::begin`]). Whoever publishes is not interrupted by senders.
//! 2. A sender shows the generation of the entry it used to the queue it found there: one that is too old must be steered
//!    again, one that is newer than the queue's tells the queue of the change ([`SendOrder::admit`]).
//! 3. Each queue reports once when nothing old is left ([`SendOrder::old_is_done`]); the last report releases them all.

use core::sync::atomic::{AtomicU16, AtomicU32, Ordering};

/// What a queue does with frames that a sender has steered to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// They join the frames that wait for the ring.
    Now,
    /// They wait until the queues are released.
    Later,
    /// They were steered by a steering that is no longer in force: steer them again.
    Stale,
}

/// The queue's part; under its lock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SendOrder {
    generation: u16,
    holding: bool,
    reported: bool,
}

impl SendOrder {
    /// What to do with frames steered by this generation.
    pub fn admit(&mut self, generation: u16) -> Admission {
        if generation != self.generation {
            if !is_newer(generation, self.generation) {
                return Admission::Stale;
            }
            self.begin(generation);
        }
        if self.holding {
            Admission::Later
        } else {
            Admission::Now
        }
    }

    /// Whether the queue holds frames of a change before this generation's: that change is over, and they go first. To be
    /// asked before [`SendOrder::admit`] and [`SendOrder::begin`].
    #[must_use = "what was held must go"]
    pub fn is_overtaken_by(&self, generation: u16) -> bool {
        self.holding && is_newer(generation, self.generation)
    }

    /// A steering is in force of which the queue may have heard from a sender already.
    pub fn begin(&mut self, generation: u16) {
        if is_newer(generation, self.generation) {
            *self = Self {
                generation,
                holding: true,
                reported: false,
            };
        }
    }

    /// Whether new frames wait.
    #[must_use]
    pub const fn is_holding(&self) -> bool {
        self.holding
    }

    /// Nothing steered before the change is left on this queue. True the first time: the transition is to be told.
    #[must_use = "the transition waits for the report"]
    pub fn old_is_done(&mut self) -> bool {
        let first = self.holding && !self.reported;
        self.reported |= first;
        first
    }

    /// Ends the waiting if the transition is over. True when it does: what was held may go.
    #[must_use = "what was held must go"]
    pub fn release(&mut self, transition: &Transition) -> bool {
        let over = self.holding && transition.is_over(self.generation);
        self.holding &= !over;
        over
    }

    /// The connection begins or ends: nothing is out, and nothing waits.
    pub fn reset(&mut self, transition: &Transition) {
        *self = Self {
            generation: transition.generation(),
            holding: false,
            reported: true,
        };
    }
}

/// All queues' part of a change.
#[derive(Debug, Default)]
pub struct Transition {
    generation: AtomicU16,
    /// Queues that have not reported.
    left: AtomicU32,
    /// The last generation that was released.
    released: AtomicU16,
}

impl Transition {
    /// Generation 0, in force.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            generation: AtomicU16::new(0),
            left: AtomicU32::new(0),
            released: AtomicU16::new(0),
        }
    }

    /// The generation in force.
    pub fn generation(&self) -> u16 {
        self.generation.load(Ordering::Acquire)
    }

    /// Whether queues still wait; then no other change may begin.
    pub fn is_under_way(&self) -> bool {
        !self.is_over(self.generation())
    }

    fn is_over(&self, generation: u16) -> bool {
        self.released.load(Ordering::Acquire) == generation
    }

    /// Begins a change of the steering for so many queues. Returns the generation to publish, and to tell each of them.
    pub fn begin(&self, queues: u32) -> u16 {
        self.left.store(queues, Ordering::Release);
        let generation = self.generation().wrapping_add(1);
        self.generation.store(generation, Ordering::Release);
        generation
    }

    /// A queue reports. True when it was the last: all queues are to look.
    #[must_use = "the queues wait"]
    pub fn report(&self) -> bool {
        let before = self.left.fetch_sub(1, Ordering::AcqRel);
        if before != 1 {
            return false;
        }
        self.end();
        true
    }

    /// Ends the change whatever is still out: it took too long, or the connection ends.
    pub fn end(&self) {
        self.released.store(self.generation(), Ordering::Release);
    }
}

/// Whether `one` comes after `other`, over the wrap.
fn is_newer(one: u16, other: u16) -> bool {
    one != other && one.wrapping_sub(other) < 1 << 15
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec;
    use std::vec::Vec;

    use proptest::prelude::*;

    #[test]
    fn nothing_waits_while_nothing_changes() {
        let transition = Transition::new();
        let mut order = SendOrder::default();
        assert_eq!(order.admit(transition.generation()), Admission::Now);
        assert!(!order.old_is_done() && !order.release(&transition));
        assert!(!transition.is_under_way());
    }

    #[test]
    fn all_wait_for_the_last_queue() {
        let transition = Transition::new();
        let mut queues = [SendOrder::default(); 3];
        let generation = transition.begin(3);
        // A sender is faster than the thread.
        assert_eq!(queues[1].admit(generation), Admission::Later);
        for queue in &mut queues {
            queue.begin(generation);
            assert_eq!(queue.admit(0), Admission::Stale);
            assert_eq!(queue.admit(generation), Admission::Later);
        }
        for queue in &mut queues[..2] {
            assert!(queue.old_is_done());
            assert!(!transition.report());
            assert!(!queue.old_is_done(), "once");
            assert!(!queue.release(&transition));
        }
        assert!(transition.is_under_way());
        assert!(queues[2].old_is_done() && transition.report());
        for queue in &mut queues {
            assert!(queue.release(&transition));
            assert_eq!(queue.admit(generation), Admission::Now);
        }
        assert!(!transition.is_under_way());
    }

    #[test]
    fn generations_wrap() {
        assert!(is_newer(0, u16::MAX) && !is_newer(u16::MAX, 0) && !is_newer(5, 5));
    }

    proptest! {
        #![proptest_config(ProptestConfig {
            cases: if cfg!(miri) { 2 } else { 300 }, failure_persistence: None,
            ..ProptestConfig::default()
        })]

        /// A model of senders, queues and a backend that takes from any ring: one flow, moved about, stays in order.
        #[test]
        fn a_flow_stays_in_order(steps in prop::collection::vec((0_u8..6, 0_usize..3), 1..200)) {
            let transition = Transition::new();
            let mut order = [SendOrder::default(); 3];
            let mut rings: [Vec<u32>; 3] = [vec![], vec![], vec![]];
            let mut held: [Vec<u32>; 3] = [vec![], vec![], vec![]];
            let (mut at, mut next, mut out) = (0, 0, vec![]);
            // What a sender has read and not yet used.
            let mut read = None;
            for (step, queue) in steps {
                match step {
                    0 => read = Some((transition.generation(), at)),
                    1 => {
                        // The sender goes on with what it has read, however old that is.
                        let (mut generation, mut to) = read.take().unwrap_or((transition.generation(), at));
                        if is_newer(order[to].generation, generation) {
                            (generation, to) = (transition.generation(), at);
                        }
                        if order[to].is_overtaken_by(generation) {
                            let mut now = core::mem::take(&mut held[to]);
                            rings[to].append(&mut now);
                        }
                        let admission = order[to].admit(generation);
                        prop_assert_ne!(admission, Admission::Stale);
                        let place = if admission == Admission::Now { &mut rings } else { &mut held };
                        place[to].push(next);
                        next += 1;
                    }
                    2 if !rings[queue].is_empty() => out.push(rings[queue].remove(0)),
                    3 if rings[queue].is_empty() && order[queue].old_is_done() => {
                        let _ = transition.report();
                    }
                    4 if order[queue].release(&transition) => {
                        let mut now = core::mem::take(&mut held[queue]);
                        rings[queue].append(&mut now);
                    }
                    // A change: its order of publishing is the thread's.
                    5 if !transition.is_under_way() => {
                        at = queue;
                        let generation = transition.begin(3);
                        for (nth, each) in order.iter_mut().enumerate() {
                            // A queue may not have noticed yet that the change before is over.
                            if each.is_overtaken_by(generation) {
                                let mut now = core::mem::take(&mut held[nth]);
                                rings[nth].append(&mut now);
                            }
                            each.begin(generation);
                        }
                    }
                    _ => {}
                }
            }
            prop_assert!(out.is_sorted(), "{out:?}");
        }
    }
}
