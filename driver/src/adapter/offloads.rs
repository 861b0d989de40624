//! What is offloaded to the card: NDIS's wishes, the backend's features, what is told.
#![allow(
    unsafe_code,
    reason = "gives NDIS lists and status under the adapter's handle; each block says why it may"
)]

use core::sync::atomic::Ordering;

use ndis::indication::Indicator;
use netif::features::Features;
use nt::irql::{AtMostDispatch, Passive};

use super::{Adapter, Closed};
use crate::offload::OffloadState;
use crate::statistics::Coalescing;

impl Adapter {
    /// The offloads' state.
    pub(crate) fn offloads(&self, irql: &mut AtMostDispatch<'_>) -> OffloadState {
        self.offload.with(irql, |state, _| *state)
    }

    /// Changes the offloads' state and puts it in force.
    pub(crate) fn change_offloads<R>(
        &self,
        irql: &mut AtMostDispatch<'_>,
        change: impl FnOnce(&mut OffloadState) -> R,
    ) -> R {
        let (result, applied) = self.offload.with(irql, |state, _| {
            let result = change(state);
            (result, state.applied())
        });
        let moderation = self.is_moderated();
        for queue in self.queues() {
            queue.set_offloads(&applied, moderation, irql);
        }
        result
    }

    /// Whether events may be held back.
    pub(crate) fn is_moderated(&self) -> bool {
        self.moderation.load(Ordering::Acquire)
    }

    /// Lets events be held back, or not any more.
    pub(crate) fn set_moderated(&self, on: bool, irql: &mut AtMostDispatch<'_>) {
        self.moderation.store(on, Ordering::Release);
        self.change_offloads(irql, |_| ());
    }

    /// Tells NDIS which offloads are in force.
    pub(crate) fn tell_offloads(&self, irql: &mut AtMostDispatch<'_>) {
        let in_force = self.offloads(irql).in_force();
        let mut told = ndis::offload::describe(self.version(), &in_force);
        // SAFETY: callers are the OID handler and the connection thread, which end before the
        // adapter is halted.
        unsafe { Indicator::new(self.handle().get(), self.version()) }
            .offload_current_config(&mut told);
    }

    /// The backend offers these features: tells NDIS if that changes what can be done.
    pub(crate) fn set_backend(&self, features: Features, irql: &mut Passive<'_>) {
        let scatter_gather = features.has(Features::SG);
        self.change_mtu(irql, |limits| limits.scatter_gather = scatter_gather);
        let changed = self.change_offloads(irql, |state| state.set_backend(features));
        if !changed || self.closed.load(Ordering::Acquire) & Closed::HALTING.0 != 0 {
            return;
        }
        let possible = *self.offloads(irql).possible();
        let mut told = ndis::offload::describe(self.version(), &possible);
        // SAFETY: the connection thread ends before the adapter is halted.
        unsafe { Indicator::new(self.handle().get(), self.version()) }
            .offload_hardware_capabilities(&mut told);
        self.tell_offloads(irql);
    }

    /// Coalescing counters of all queues.
    pub(crate) fn coalescing(&self, irql: &mut AtMostDispatch<'_>) -> Coalescing {
        let mut sum = Coalescing::default();
        for queue in self.queues() {
            sum.merge(&queue.coalescing(irql));
        }
        sum
    }
}
