//! Lists to send on their way from NDIS to the queues and back.
#![allow(
    unsafe_code,
    reason = "gives NDIS lists and status under the adapter's handle; each block says why it may"
)]

use core::sync::atomic::Ordering;

use ndis::Status;
use ndis::chain::{CompletionSink, Nbl, NblChain, NdisCompletions};
use ndis_sys as sys;
use netfront_core::tx::{Transition, TxBroken};
use nt::irql::{AtMostDispatch, Dispatch};

use super::Adapter;
use crate::queue::Reaped;

impl Adapter {
    fn sink(&self, flags: u32) -> NdisCompletions {
        // SAFETY: the adapter is not halted while it lives; chains come from its send handler.
        unsafe { NdisCompletions::new(self.handle().get(), flags) }
    }

    /// How many queues the backend serves.
    pub(crate) fn active_queues(&self) -> usize {
        self.active.load(Ordering::Acquire)
    }

    /// Notes how many queues the backend serves.
    pub(crate) fn set_active_queues(&self, count: usize) {
        self.active.store(count, Ordering::Release);
    }

    /// Number of the queue for a list, and generation of the steering: by its hash, so that a flow stays on one; else by
    /// the processor.
    fn queue_for(&self, list: &Nbl) -> (usize, u16) {
        let active = self.active.load(Ordering::Acquire);
        let (spread, generation) = if let Some((value, _)) = list.hash() {
            let [low, ..] = value.to_le_bytes();
            let entry = self.steering.get(usize::from(low & 0x7F));
            let entry = entry.map_or(0, |entry| entry.load(Ordering::Acquire));
            let [q0, q1, g0, g1] = entry.to_le_bytes();
            let queue = u16::from_le_bytes([q0, q1]);
            (queue.into(), u16::from_le_bytes([g0, g1]))
        } else {
            let processor = usize::try_from(nt::processor::current_index());
            (processor.unwrap_or(0), self.transition.generation())
        };
        (spread.checked_rem(active).unwrap_or(0), generation)
    }

    /// A change of the steering.
    pub(crate) fn transition(&self) -> &Transition {
        &self.transition
    }

    /// Sends lists the way of received ones: `mapping` has the queue of each entry of the table;
    /// without one the hash is dealt out evenly. Flows that move keep their order. While a change is under way another
    /// has to wait; the thread begins it when that is over.
    pub(crate) fn set_steering(&self, mapping: &[u16], irql: &mut AtMostDispatch<'_>) {
        let queue_of = |nth: usize| {
            let at = nth.checked_rem(mapping.len());
            let evenly = u16::try_from(nth).unwrap_or(0);
            at.map_or(evenly, |at| mapping.get(at).copied().unwrap_or(0))
        };
        let entries = || self.steering.iter().enumerate();
        let same = entries().all(|(nth, entry)| {
            let [q0, q1, ..] = entry.load(Ordering::Relaxed).to_le_bytes();
            u16::from_le_bytes([q0, q1]) == queue_of(nth)
        });
        let under_way = self.transition.is_under_way();
        self.steer_again.store(!same && under_way, Ordering::SeqCst);
        if same || under_way {
            return;
        }
        let active = self.active_queues();
        let generation = self.publishing.with(irql, |(), _| {
            let generation = self.transition.begin(u32::try_from(active).unwrap_or(1));
            let [g0, g1] = generation.to_le_bytes();
            for (nth, entry) in entries() {
                let [q0, q1] = queue_of(nth).to_le_bytes();
                entry.store(u32::from_le_bytes([q0, q1, g0, g1]), Ordering::Release);
            }
            generation
        });
        if active == 0 {
            self.transition.end();
        }
        for queue in self.queues().iter().take(active) {
            queue.tx.with(irql, |tx, _| tx.begin_order(generation));
            queue.wake();
        }
    }

    /// A queue has nothing left that was steered before the change.
    pub(crate) fn report_order(&self) {
        if self.transition.report() {
            self.order_is_kept();
        }
    }

    /// The change is over, or took too long: what waited for it goes.
    pub(crate) fn order_is_kept(&self) {
        self.transition.end();
        for queue in self.queues() {
            queue.wake();
        }
    }

    /// Whether a steering waits for the change before it to be over. Asked once.
    pub(crate) fn take_steer_again(&self) -> bool {
        !self.transition.is_under_way() && self.steer_again.swap(false, Ordering::SeqCst)
    }

    /// No queue sends anything: the steering in force is everybody's.
    pub(crate) fn reset_order(&self, irql: &mut AtMostDispatch<'_>) {
        self.transition.end();
        for queue in self.queues() {
            queue
                .tx
                .with(irql, |tx, _| tx.reset_order(&self.transition));
        }
    }

    /// Takes lists to send; `send_flags` are NDIS's.
    pub(crate) fn send(&self, mut lists: NblChain, send_flags: u32, irql: &mut AtMostDispatch<'_>) {
        let mut done = NblChain::new();
        while !lists.is_empty() {
            lists = self.send_once(lists, &mut done, irql);
        }
        // The flags for sending and for completing share the bit that tells the level.
        self.sink(send_flags & sys::NDIS_SEND_COMPLETE_FLAGS_DISPATCH_LEVEL)
            .complete(done);
    }

    /// Steers lists in runs that go the same way, and returns those that must be steered again.
    fn send_once(
        &self,
        mut lists: NblChain,
        done: &mut NblChain,
        irql: &mut AtMostDispatch<'_>,
    ) -> NblChain {
        let mut stale = NblChain::new();
        let mut run = NblChain::new();
        let mut way = (0, 0);
        while let Some(list) = lists.pop_front() {
            let next = self.queue_for(&list);
            if next != way && !run.is_empty() {
                let run = core::mem::take(&mut run);
                self.send_run(way, run, done, &mut stale, irql);
                if !stale.is_empty() {
                    // What comes after it may be of the same flow: it waits for its turn.
                    stale.push_back(list);
                    stale.append(lists);
                    return stale;
                }
            }
            way = next;
            run.push_back(list);
        }
        self.send_run(way, run, done, &mut stale, irql);
        stale
    }

    fn send_run(
        &self,
        (queue, generation): (usize, u16),
        mut run: NblChain,
        done: &mut NblChain,
        stale: &mut NblChain,
        irql: &mut AtMostDispatch<'_>,
    ) {
        if let Some(queue) = self.queues().get(queue) {
            let bus = self.bus();
            let sent = queue
                .tx
                .with(irql, |tx, irql| tx.send(run, generation, bus, irql));
            match sent {
                Ok(sent) => done.append(sent),
                Err(again) => stale.append(again),
            }
        } else {
            run.set_status(Status::FAILURE);
            done.append(run);
        }
    }

    /// Gives back the lists that wait under this identifier.
    pub(crate) fn cancel_sends(&self, id: u64, irql: &mut AtMostDispatch<'_>) {
        for queue in self.queues() {
            let cancelled = queue.tx.with(irql, |tx, _| tx.cancel(id));
            self.complete(cancelled, irql);
        }
    }

    /// Gives sent lists back. No lock is held.
    pub(crate) fn complete(&self, lists: NblChain, _irql: &AtMostDispatch<'_>) {
        self.sink(0).complete(lists);
    }

    /// Gives sent lists back, telling NDIS the level.
    pub(crate) fn complete_at_dispatch(&self, lists: NblChain, _irql: &Dispatch<'_>) {
        self.sink(sys::NDIS_SEND_COMPLETE_FLAGS_DISPATCH_LEVEL)
            .complete(lists);
    }

    /// Gives sent lists back, and tells a pause that waits for them.
    pub(crate) fn sends_done(&self, reaped: Reaped, irql: &AtMostDispatch<'_>) {
        self.complete(reaped.done, irql);
        if reaped.drained {
            self.pause_step();
        }
    }

    /// As [`Adapter::sends_done`]; whether the backend broke the protocol.
    pub(crate) fn sends_done_at_dispatch(
        &self,
        reaped: Reaped,
        irql: &Dispatch<'_>,
    ) -> Option<TxBroken> {
        self.complete_at_dispatch(reaped.done, irql);
        if reaped.drained {
            self.pause_step();
        }
        reaped.broken
    }
}
