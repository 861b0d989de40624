//! What a connection needs beside its queues: the backend's multicast list, and announcements of
//! our addresses after the vif has moved.

use netfront_core::multicast::{MulticastList, Step};
use netfront_core::tx::Multicast;
use netif::features::Features;
use nt::irql::Passive;

use super::store;
use crate::adapter::Adapter;
use crate::trace;

/// How often addresses are announced after a connect, a tick apart.
const ANNOUNCEMENTS: u32 = 3;

/// State of one connection.
#[derive(Debug, Default)]
pub(super) struct Around {
    /// The backend can be asked to filter.
    offered: bool,
    list: MulticastList,
    /// It was asked for more groups than its list takes.
    full: bool,
    announcements: u32,
    /// Received packets that were dropped, when that was last told.
    dropped: u64,
}

impl Around {
    /// Frames can be sent: a new connection, to a backend that offers these features.
    #[inline(never)]
    pub(super) fn connected(&mut self, features: Features) {
        let needed = Features::MULTICAST_CONTROL.with(Features::DYNAMIC_MULTICAST);
        *self = Self {
            offered: features.has(needed),
            announcements: ANNOUNCEMENTS,
            ..Self::default()
        };
    }

    /// Brings the backend's list to what the packet filter lets through. What finds no room on the
    /// ring is left for the next tick.
    #[inline(never)]
    pub(super) fn follow_filter(&mut self, adapter: &Adapter, irql: &mut Passive<'_>) {
        if !self.offered {
            return;
        }
        let Some(queue) = adapter.queues().first() else {
            return;
        };
        if queue.refused_groups(irql) > 0 && !self.full {
            nt::log_warn!("the backend's multicast list is full: it filters no more");
            self.full = true;
        }
        let filter = adapter.filter(irql);
        let wanted = filter.groups_wanted().filter(|_| !self.full);
        while let Some(step) = self.list.next(wanted) {
            let done = match step {
                Step::Add(group) => queue.tell_multicast(adapter, Multicast::Add(group), irql),
                Step::Remove(group) => {
                    queue.tell_multicast(adapter, Multicast::Remove(group), irql)
                }
                Step::Request(on) => {
                    nt::log_trace!("multicast control: {on}");
                    store::request_multicast_control(adapter.bus(), adapter.frontend(), on, irql)
                }
            };
            if !done {
                return;
            }
            self.list.done(step);
        }
    }

    /// Tells listeners of drops, if there are new ones.
    #[inline(never)]
    pub(super) fn trace_drops(&mut self, adapter: &Adapter, irql: &mut Passive<'_>) {
        let station = adapter.identity().current;
        let mut dropped = 0_u64;
        for queue in adapter.queues() {
            let counters = queue.receive_counters(irql);
            dropped = counters
                .drops
                .iter()
                .copied()
                .fold(dropped, u64::wrapping_add);
        }
        if dropped == self.dropped {
            return;
        }
        self.dropped = dropped;
        for (queue, number) in adapter.queues().iter().zip(0_u32..) {
            let counters = queue.receive_counters(irql);
            if counters.drops.iter().any(|count| *count > 0) {
                trace::drops(station, number, &counters);
            }
        }
    }

    /// A tick: tells the network where our addresses are, a few times.
    #[inline(never)]
    pub(super) fn announce(&mut self, adapter: &Adapter, irql: &mut Passive<'_>) {
        let Some(left) = self.announcements.checked_sub(1) else {
            return;
        };
        self.announcements = left;
        let station = adapter.identity().current;
        if let Some(queue) = adapter.queues().first() {
            adapter.addresses(irql).frames(station, |frame| {
                queue.send_own(adapter, frame, irql);
            });
        }
    }
}
