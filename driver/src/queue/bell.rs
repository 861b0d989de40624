//! The notifying end of an event channel, kept beside the ring it belongs to.
#![allow(
    unsafe_code,
    reason = "calls that need an open channel; the bell is the proof of it"
)]

use core::ffi::c_void;

use interface::{EventCallback, EventChannel};
use nt::irql::{AtMostDispatch, Passive};
use nt::processor::ProcessorNumber;
use nt::status::Status;

use crate::bus::Bus;

/// An open event channel.
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
    /// Opens a channel.
    ///
    /// # Safety
    /// `callback` may be called with `cookie`, at any IRQL, until the bell is closed.
    pub(crate) unsafe fn open(
        bus: &Bus,
        remote: u16,
        callback: EventCallback,
        cookie: *mut c_void,
        processor: ProcessorNumber,
        irql: &Passive<'_>,
    ) -> Result<Self, Status> {
        // SAFETY: the caller's promise.
        let channel = unsafe { bus.event_open(remote, callback, cookie, processor, irql) }?;
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

    /// Moves its events to another processor.
    pub(crate) fn place(&self, bus: &Bus, processor: ProcessorNumber, irql: &Passive<'_>) {
        // SAFETY: open until `close` takes the bell.
        let moved = unsafe { bus.event_place(self.channel, processor, irql) };
        if let Err(status) = moved {
            nt::log_warn!("port {} stays where it is: {status:?}", self.port);
        }
    }

    /// Closes the channel; no callback comes afterwards.
    pub(crate) fn close(self, bus: &Bus, irql: &Passive<'_>) {
        // SAFETY: open, and given up here.
        unsafe { bus.event_close(self.channel, irql) }
    }
}
