//! Which queue serves which processor, and what the backend is told of it.

use ndis::rss::MAX_ENTRIES;
use nt::irql::Passive;
use nt::processor::ProcessorNumber;
use rss::HashTypes;

use super::{Worker, now};
use crate::scaling::TableIndices;
use crate::trace;

/// How long frames wait at most for those of before a change of the steering, in milliseconds.
const ORDER_PATIENCE: u64 = 1000;

/// Queues of a mapping that deals hashes out evenly.
fn in_turn(queues: usize) -> [u16; MAX_ENTRIES] {
    let mut mapping = [0; MAX_ENTRIES];
    let queues = u16::try_from(queues.max(1)).unwrap_or(1);
    for (place, nth) in mapping.iter_mut().zip((0..queues).cycle()) {
        *place = nth;
    }
    mapping
}

impl Worker<'_> {
    /// Brings queues and backend to what NDIS has set.
    pub(super) fn apply_rss(&mut self, irql: &mut Passive<'_>) {
        self.steer(irql);
        self.run_hashing(irql);
    }

    /// Moves the queues to the processors that NDIS has named, and says what the backend is to be told. Frames go by it
    /// already ([`Adapter::set_hashing`]).
    ///
    /// Not inlined, as others here: the tables take much of a page of stack, which no other call shall carry.
    #[inline(never)]
    pub(super) fn steer(&mut self, irql: &mut Passive<'_>) {
        let set = self.adapter.hashing(irql);
        let table = TableIndices::of(&set);
        self.placement = self.placement.next(table.get());
        self.adapter.set_steering(self.placement.mapping(), irql);
        for (index, queue) in self.adapter.queues().iter().take(self.queues).enumerate() {
            let named = self.placement.home(index).map(u32::from);
            let processor = named.and_then(|index| ProcessorNumber::from_index(index).ok());
            let processor = processor.unwrap_or_else(|| self.adapter.home(index));
            if let Some(Some(channels)) = self.channels.get(index) {
                queue.place(self.adapter, channels, processor, irql);
            }
        }
        self.applied = set;
        self.deceived = false;
        if let Some(hashing) = &mut self.hashing {
            // Hashes without a table go to the queues in turn.
            let in_turn = in_turn(self.queues);
            let mapping = match self.placement.mapping() {
                [] => in_turn.get(..).unwrap_or_default(),
                mapping => mapping,
            };
            hashing.want(set.hash(), mapping);
        }
    }

    /// Goes on with the control ring.
    #[inline(never)]
    pub(super) fn run_hashing(&mut self, irql: &mut Passive<'_>) {
        let Some(hashing) = &mut self.hashing else {
            return;
        };
        if let Some(types) = hashing.run(self.adapter, now(), irql) {
            self.believe(types, irql);
        }
    }

    pub(super) fn believe(&self, types: HashTypes, irql: &mut Passive<'_>) {
        self.adapter.set_negotiated(types);
        trace::hash(self.adapter.identity().current, types.bits());
        for queue in self.adapter.queues() {
            queue.believe(types, self.applied.hash(), irql);
        }
    }

    /// A change of the steering that the backend does not let come to an end is ended, and one that waited for it is begun.
    #[inline(never)]
    pub(super) fn look_at_order(&mut self, irql: &mut Passive<'_>) {
        if self.adapter.transition().is_under_way() {
            let since = *self.steering_since.get_or_insert_with(now);
            if now().saturating_sub(since) < ORDER_PATIENCE {
                return;
            }
            self.adapter.order_is_kept();
        }
        self.steering_since = None;
        if self.adapter.take_steer_again() {
            self.adapter.set_steering(self.placement.mapping(), irql);
        }
    }

    /// Says so when a backend's hashes turned out wrong.
    pub(super) fn look_at_hashes(&mut self, irql: &mut Passive<'_>) {
        let mut wrong = false;
        for queue in self.adapter.queues().iter().take(self.queues) {
            wrong |= queue.hashes(irql).1;
        }
        if wrong && !self.deceived {
            nt::log_warn!("the backend tells wrong hashes: they are computed here");
            self.deceived = true;
        }
    }
}
