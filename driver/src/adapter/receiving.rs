//! Received lists on their way to NDIS and back to their queues.
#![allow(
    unsafe_code,
    reason = "gives NDIS lists and status under the adapter's handle; each block says why it may"
)]

use core::sync::atomic::Ordering;

use ndis::chain::RxChain;
use ndis_sys as sys;
use nt::irql::{AtMostDispatch, Dispatch};

use super::{Adapter, Closed};
use crate::queue::queue_of;

impl Adapter {
    /// Gives received lists to the system, for good or for the length of the call if pages are low; back to their queues
    /// if the adapter takes no frames any more. No lock is held.
    pub(crate) fn indicate_run(&self, lists: RxChain, low: bool, irql: &Dispatch<'_>) {
        if lists.is_empty() {
            return;
        }
        if Closed::gate(self.closed.load(Ordering::Acquire)).is_some() {
            self.lists_returned_at_dispatch(lists, irql);
        } else if low {
            // SAFETY: lists are made while the receive side is open, and a pause waits for them; each was filled by
            // `Stock::lend`.
            let lists = unsafe {
                lists.indicate_with_resources(
                    self.handle().get(),
                    sys::NDIS_RECEIVE_FLAGS_DISPATCH_LEVEL,
                )
            };
            self.lists_returned_at_dispatch(lists, irql);
        } else {
            // SAFETY: as above.
            unsafe {
                lists.indicate(self.handle().get(), sys::NDIS_RECEIVE_FLAGS_DISPATCH_LEVEL);
            }
        }
    }

    /// Takes lists back that were shown or not taken, of any queues.
    fn lists_returned_at_dispatch(&self, lists: RxChain, irql: &Dispatch<'_>) {
        Self::by_queue(lists, |queue, run| {
            if let Some(queue) = self.queues().get(queue)
                && queue.take_back_at(run, irql)
            {
                self.pause_step();
            }
        });
    }

    /// Takes lists back that were lent, of any queues.
    pub(crate) fn lists_returned(&self, lists: RxChain, irql: &mut AtMostDispatch<'_>) {
        Self::by_queue(lists, |queue, run| {
            if let Some(queue) = self.queues().get(queue)
                && queue.take_back(run, irql)
            {
                self.pause_step();
            }
        });
    }

    /// Lists in runs of one queue each.
    fn by_queue(mut lists: RxChain, mut each: impl FnMut(usize, RxChain)) {
        let mut run = RxChain::new();
        let mut queue_of_run = 0;
        while let Some(list) = lists.pop() {
            let queue = queue_of(&list);
            if queue != queue_of_run && !run.is_empty() {
                each(queue_of_run, core::mem::take(&mut run));
            }
            queue_of_run = queue;
            run.push(list);
        }
        if !run.is_empty() {
            each(queue_of_run, run);
        }
    }
}
