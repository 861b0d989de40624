//! The notifying end of an event channel, kept beside the ring it belongs to.
#![allow(
    unsafe_code,
    reason = "calls that need an open channel; the bell is the proof of it"
)]

use interface::EventChannel;
use nt::irql::{AtMostDispatch, Passive};
use nt::processor::ProcessorNumber;
use nt::status::Status;

use super::Queue;
use crate::bus::Bus;
use crate::callbacks;

/// An open event channel of a queue.
#[derive(Debug)]
pub(crate) struct Bell {
    channel: EventChannel,
    port: u32,
}

// SAFETY: the bus driver lets any thread use a channel.
unsafe impl Send for Bell {}

/// The notifying end of a [`Bell`], kept beside the ring it serves.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Notifier(EventChannel);

// SAFETY: as for `Bell`.
unsafe impl Send for Notifier {}

impl Notifier {
    /// Notifies the backend.
    pub(crate) fn ring(self, bus: &Bus, irql: &AtMostDispatch<'_>) {
        // SAFETY: the channel is open: `Bell::notifier` was promised so.
        unsafe { bus.event_notify(self.0, irql) }
    }

    /// Lets the next event through; true when there is one already.
    pub(crate) fn unmask(self, bus: &Bus, irql: &AtMostDispatch<'_>) -> bool {
        // SAFETY: as for `ring`.
        unsafe { bus.event_unmask(self.0, irql) }
    }
}

impl Bell {
    /// Opens a channel whose events queue the DPC of `queue`.
    ///
    /// # Safety
    /// The queue, and its DPC, outlive the bell.
    pub(crate) unsafe fn open(
        bus: &Bus,
        remote: u16,
        queue: &Queue,
        processor: ProcessorNumber,
        irql: &Passive<'_>,
    ) -> Result<Self, Status> {
        let cookie = (&raw const *queue).cast_mut().cast();
        // SAFETY: the callback expects a queue, which lives long enough by the caller's promise.
        let channel = unsafe { bus.event_open(remote, callbacks::event, cookie, processor, irql) }?;
        // SAFETY: just opened.
        let port = unsafe { bus.event_port(channel) };
        Ok(Self { channel, port })
    }

    /// Its port, for XenStore.
    pub(crate) fn port(&self) -> u32 {
        self.port
    }

    /// Its notifying end.
    ///
    /// # Safety
    /// Not used after [`Bell::close`].
    pub(crate) unsafe fn notifier(&self) -> Notifier {
        Notifier(self.channel)
    }

    /// Closes the channel; no callback comes afterwards.
    pub(crate) fn close(self, bus: &Bus, irql: &Passive<'_>) {
        // SAFETY: open, and given up here.
        unsafe { bus.event_close(self.channel, irql) }
    }
}
