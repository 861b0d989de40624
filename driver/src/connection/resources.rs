//! What a connection is made of: queues with their grants and channels, the control ring; and what is left of them.

use netfront_core::tx::TxPolicy;
use netif::features::Features;
use nt::irql::Passive;
use nt::status::Status;
use rss::{HashTypes, Placement};

use super::hashing::Hashing;
use super::{DRAIN_TICK, Worker, now};
use crate::queue::Remote;
use crate::remains::Remains;
use crate::scaling::Hashing as Set;

/// Frames of at most this many bytes are copied even if pages are granted in place: an ordinary frame is complete at
/// once then.
const COPY_BREAK: u32 = 2048;
/// How long a halt waits for pages that the backend still uses when the connection has ended, in milliseconds: longer
/// than the 10 s that another guest's full receive queue may hold them.
const LINGER: u64 = 15_000;

impl Worker<'_> {
    /// Makes queues, grants and channels.
    #[expect(unsafe_code, reason = "promises that queues outlive their channels")]
    #[inline(never)]
    pub(super) fn prepare(&mut self, irql: &mut Passive<'_>) -> Result<(), Status> {
        let (Some(backend), Some(terms)) = (&self.backend, self.terms) else {
            return Err(Status::DEVICE_NOT_READY);
        };
        let keywords = self.adapter.keywords();
        self.queues = usize::from(terms.backend.max_queues).min(self.adapter.queues().len());
        let policy = TxPolicy {
            backend: terms.backend.features,
            in_place: terms.trusted && keywords.sends_in_place(),
            copy_break: COPY_BREAK,
        };
        let remote = Remote {
            domain: backend.domain,
            policy,
            bounce_pages: usize::try_from(keywords.transmit_buffers()).unwrap_or(usize::MAX),
            split: terms.backend.features.has(Features::SPLIT_EVENT_CHANNELS),
            processor: self.adapter.home(0),
        };
        let places = self.channels.iter_mut().zip(self.keys.iter_mut());
        let queues = self.adapter.queues().iter().take(self.queues);
        for (index, (queue, (channels, keys))) in queues.zip(places).enumerate() {
            let remote = Remote {
                processor: self.adapter.home(index),
                ..remote
            };
            // SAFETY: the queue is the adapter's, which outlives this thread; the thread releases
            // what it prepared before it ends.
            let connected = unsafe { queue.connect(self.adapter, &remote, channels, irql) };
            match connected {
                Ok(connected) => *keys = connected,
                Err(status) if index == 0 => return Err(status),
                Err(status) => {
                    // Grants or event channels have run out: fewer queues do the work.
                    nt::log_warn!("{index} queues instead of {}: {status:?}", self.queues);
                    // Nobody was told of it.
                    drop(queue.disconnect(self.adapter, channels.take(), irql));
                    self.queues = index;
                    break;
                }
            }
        }
        // With one queue netback does not choose, and labels hashes that are none as such.
        while self.queues > 1 && terms.backend.features.has(Features::CTRL_RING) {
            // SAFETY: the adapter outlives this thread, which releases what it prepared.
            let hashing =
                unsafe { Hashing::prepare(self.adapter, backend.domain, self.queues, irql) };
            match hashing {
                Ok(hashing) => {
                    self.hashing = Some(hashing);
                    break;
                }
                Err(status) => {
                    // What the last queue has will do for the ring.
                    let last = self.queues.saturating_sub(1);
                    nt::log_warn!("{last} queues, for want of a control ring: {status:?}");
                    if let (Some(queue), Some(channels)) =
                        (self.adapter.queues().get(last), self.channels.get_mut(last))
                    {
                        // Nobody was told of it.
                        drop(queue.disconnect(self.adapter, channels.take(), irql));
                    }
                    self.queues = last;
                }
            }
        }
        if self.hashing.is_none() {
            for queue in self.adapter.queues().iter().take(self.queues) {
                queue.leave_hashes_out(irql);
            }
        }
        self.placement = Placement::new(self.queues);
        Ok(())
    }

    #[inline(never)]
    pub(super) fn release(&mut self, irql: &mut Passive<'_>) {
        self.traffic = false;
        self.draining = false;
        self.believe(HashTypes::NONE, irql);
        self.adapter.reset_order(irql);
        self.placement = Placement::new(1);
        self.applied = Set::Off;
        let hashing = self.hashing.take();
        let hashing = hashing.and_then(|hashing| hashing.release(self.adapter, irql));
        self.keep(hashing);
        for nth in 0..self.channels.len() {
            let channels = self.channels.get_mut(nth).and_then(Option::take);
            if let Some(queue) = self.adapter.queues().get(nth) {
                for remains in queue.disconnect(self.adapter, channels, irql) {
                    self.keep(remains);
                }
            }
        }
        self.queues = 0;
    }

    /// Keeps what the backend does not let go.
    pub(super) fn keep(&mut self, remains: Option<Remains>) {
        let Some(remains) = remains else { return };
        nt::log_warn!("the backend keeps {} grants for now", remains.count());
        // Without room for it it is lost: dropping it leaves the pages as they are.
        if self.remains.try_reserve(1).is_ok() {
            self.remains.push(remains);
        }
    }

    /// Takes back what the backend has let go of since.
    #[inline(never)]
    pub(super) fn collect_remains(&mut self, irql: &mut Passive<'_>) {
        let adapter = self.adapter;
        self.remains
            .retain_mut(|remains| !remains.collect(adapter.queues(), adapter.bus(), irql));
    }

    /// Waits a while for what the backend still uses: nobody looks after it afterwards.
    #[inline(never)]
    pub(super) fn linger(&mut self, irql: &mut Passive<'_>) {
        let end = now().saturating_add(LINGER);
        self.collect_remains(irql);
        while !self.remains.is_empty() && now() < end {
            nt::thread::sleep(DRAIN_TICK, irql);
            self.collect_remains(irql);
        }
        let kept = self.remains.iter().map(Remains::count);
        let kept = kept.fold(0, usize::saturating_add);
        if kept > 0 {
            nt::log_warn!("the backend keeps {kept} grants; their pages are lost");
        }
    }
}
