//! Hashes and receive-side scaling, as NDIS sets them and the backend agrees.

use core::sync::atomic::Ordering;

use nt::dpc::Dpc;
use nt::irql::AtMostDispatch;
use rss::HashTypes;

use super::{Adapter, AdapterRef};
use crate::mail::Messages;
use crate::scaling::{Hashing, TableIndices};

impl Adapter {
    /// Hashing and scaling as NDIS has set them.
    pub(crate) fn hashing(&self, irql: &mut AtMostDispatch<'_>) -> Hashing {
        self.hashing.with(irql, |hashing, _| *hashing)
    }

    /// Hash types that NDIS wants, and those of them that the backend tells.
    pub(crate) fn hash_types(&self, irql: &mut AtMostDispatch<'_>) -> (u32, u32) {
        let wanted = self
            .hashing(irql)
            .hash()
            .map_or(0, |(types, _)| types.bits());
        (wanted, self.negotiated.load(Ordering::Relaxed))
    }

    /// Notes the hash types of the backend that are in use.
    pub(crate) fn set_negotiated(&self, types: HashTypes) {
        self.negotiated.store(types.bits(), Ordering::Relaxed);
    }

    /// Changes hashing and scaling. Every frame that comes after this is hashed, and handed to a processor, by `set`; the
    /// connection thread then moves the queues and tells the backend.
    pub(crate) fn set_hashing(&self, set: &Hashing, irql: &mut AtMostDispatch<'_>) {
        self.hashing.with(irql, |hashing, _| *hashing = *set);
        self.steer(set, irql);
        self.mail().send(Messages::RSS, irql);
    }

    /// Has received frames go by `set`. Not inlined: the table takes much of a page of stack.
    #[inline(never)]
    fn steer(&self, set: &Hashing, irql: &mut AtMostDispatch<'_>) {
        let table = TableIndices::of(set);
        let config = set.config(table.get());
        for queue in self.queues() {
            queue.steer(config.as_ref(), irql);
        }
    }

    /// Has the control ring's DPC run. Any IRQL.
    pub(crate) fn wake_control(&self) {
        if let Some(dpc) = &self.control_dpc {
            dpc.queue();
        }
    }

    /// Sets the control ring's DPC, before the adapter is shared.
    pub(crate) fn set_control_dpc(&mut self, dpc: Dpc<AdapterRef>) {
        self.control_dpc = Some(dpc);
    }

    /// Takes the control ring's DPC out, to be closed.
    pub(crate) fn take_control_dpc(&mut self) -> Option<Dpc<AdapterRef>> {
        self.control_dpc.take()
    }
}
