//! Answering TX slots: when, in which order, and truthfully or not.

use xen_abi::netif::NETIF_RSP_NULL;

use crate::config::ResponseMode;
use crate::host::{Host, SharedPage};
use crate::hostile::Attack;
use crate::queue::Pending;
use crate::rule::Rule;
use crate::tx_frame::digest;
use crate::vif::Netback;

impl<P: SharedPage> Netback<P> {
    /// Takes over a served slot. `copied`: its page is not needed any more.
    pub(crate) fn answer(&mut self, q: usize, mut pending: Pending<P>, copied: bool) {
        pending.due_ns = match self.responses {
            ResponseMode::Immediate if copied => return self.write_response(q, &pending),
            ResponseMode::Immediate | ResponseMode::Reordered(_) => self.now_ns,
            ResponseMode::Delayed(ns) => self.now_ns.saturating_add(ns),
            ResponseMode::Held => u64::MAX,
        };
        self.queues[q].pending.push_back(pending);
    }

    /// Answers the slots that are due and publishes.
    pub(crate) fn tx_flush<H: Host<Page = P>>(&mut self, host: &mut H, q: usize) -> bool {
        let mut due = Vec::new();
        let now = self.now_ns;
        let mut keep = core::mem::take(&mut self.queues[q].pending);
        keep.retain_mut(|p| {
            let released = p.due_ns == u64::MAX && self.to_release > 0;
            self.to_release -= usize::from(released);
            if p.due_ns > now && !released {
                return true;
            }
            due.push(core::mem::replace(
                p,
                Pending {
                    id: 0,
                    extras: 0,
                    status: 0,
                    page: None,
                    content: None,
                    due_ns: 0,
                },
            ));
            false
        });
        self.queues[q].pending = keep;
        if let ResponseMode::Reordered(seed) = &mut self.responses {
            shuffle(&mut due, seed);
        }
        let mut worked = false;
        for mut pending in due {
            worked = true;
            if let Some(page) = pending.page.take() {
                self.check_unchanged(q, &page, &pending);
                let _ = host.unmap(page);
            }
            self.write_response(q, &pending);
        }
        let queue = &mut self.queues[q];
        if queue.tx.push() {
            host.notify(queue.tx_port.number);
            self.counters.tx_notifies += 1;
            worked = true;
        }
        worked
    }

    /// The frontend may not touch a page before its slot is answered.
    fn check_unchanged(&mut self, q: usize, page: &P, pending: &Pending<P>) {
        let Some((offset, size, before)) = pending.content else {
            return;
        };
        let mut bytes = vec![0; usize::from(size)];
        page.read(usize::from(offset), &mut bytes);
        if digest(&bytes) != before {
            self.broken(q as u16, Rule::TxPageChanged(pending.id));
        }
    }

    fn write_response(&mut self, q: usize, pending: &Pending<P>) {
        let (mut id, mut status) = (pending.id, pending.status);
        let mut times = 1;
        if let Some(fake) = self.hostile.take(|a| match a {
            Attack::TxId(id) => Some(id),
            _ => None,
        }) {
            id = fake;
        }
        if let Some(fake) = self.hostile.take(|a| match a {
            Attack::TxStatus(status) => Some(status),
            _ => None,
        }) {
            status = fake;
        }
        if self.hostile.take_one(Attack::TxDuplicate) {
            times = 2;
        }
        let queue = &mut self.queues[q];
        queue.in_flight.remove(&pending.id);
        let ring = &mut queue.tx;
        for _ in 0..times {
            let word = u32::from(id) | u32::from(status as u16) << 16;
            ring.put_words(ring.rsp_prod_pvt, [word]);
            ring.rsp_prod_pvt = ring.rsp_prod_pvt.wrapping_add(1);
        }
        for _ in 0..pending.extras {
            // Only the status is written: the id is whatever stood in the slot.
            let [stale] = ring.words::<1>(ring.rsp_prod_pvt);
            let word = stale & 0xFFFF | u32::from(NETIF_RSP_NULL as u16) << 16;
            ring.put_words(ring.rsp_prod_pvt, [word]);
            ring.rsp_prod_pvt = ring.rsp_prod_pvt.wrapping_add(1);
        }
        self.counters.tx_responses += 1;
    }
}

/// Fisher-Yates with a xorshift generator, whose state stays in `seed`.
fn shuffle<T>(items: &mut [T], seed: &mut u64) {
    for n in (1..items.len()).rev() {
        let mut x = *seed | 1;
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        *seed = x;
        items.swap(n, (x % (n as u64 + 1)) as usize);
    }
}
