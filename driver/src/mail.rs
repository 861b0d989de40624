//! What the connection thread is told by others.

use core::sync::atomic::{AtomicU32, Ordering};
use core::time::Duration;

use nt::event::{Event, EventKind, Wait};
use nt::irql::{AtMostDispatch, Passive};
use nt::pool::OutOfMemory;

use crate::TAG;

/// A set of messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Messages(u32);

impl Messages {
    /// Something watched in XenStore changed.
    pub(crate) const STORE: Self = Self(1);
    /// The domain was resumed elsewhere.
    pub(crate) const RESUMED: Self = Self(1 << 1);
    /// A queue is broken.
    pub(crate) const BROKEN: Self = Self(1 << 2);
    /// The vif shall be connected.
    pub(crate) const CONNECT: Self = Self(1 << 3);
    /// The vif shall be disconnected.
    pub(crate) const DISCONNECT: Self = Self(1 << 4);
    /// The device is gone: nobody answers any more.
    pub(crate) const GONE: Self = Self(1 << 5);
    /// The thread shall end once it is disconnected.
    pub(crate) const EXIT: Self = Self(1 << 6);

    /// The control ring has an answer.
    pub(crate) const CONTROL: Self = Self(1 << 7);
    /// Receive-side scaling was set.
    pub(crate) const RSS: Self = Self(1 << 8);

    /// The packet filter or the multicast list was set.
    pub(crate) const FILTER: Self = Self(1 << 16);

    /// Whether it is among them.
    pub(crate) fn has(self, message: Self) -> bool {
        self.0 & message.0 != 0
    }
}

/// The thread's mailbox.
#[derive(Debug)]
pub(crate) struct Mail {
    messages: AtomicU32,
    wake: Event,
    /// Set while the thread is disconnected by command.
    idle: Event,
}

impl Mail {
    /// An empty one.
    pub(crate) fn try_new() -> Result<Self, OutOfMemory> {
        Ok(Self {
            messages: AtomicU32::new(0),
            wake: Event::try_new(TAG, EventKind::Synchronization, false)?,
            idle: Event::try_new(TAG, EventKind::Notification, false)?,
        })
    }

    /// Leaves a message.
    pub(crate) fn send(&self, message: Messages, irql: &AtMostDispatch<'_>) {
        self.messages.fetch_or(message.0, Ordering::AcqRel);
        self.wake.set(irql);
    }

    /// Something watched changed.
    pub(crate) fn store_changed(&self, irql: &AtMostDispatch<'_>) {
        self.send(Messages::STORE, irql);
    }

    /// Has the vif connected; does not wait for it.
    pub(crate) fn connect(&self, irql: &AtMostDispatch<'_>) {
        self.idle.clear(irql);
        self.messages
            .fetch_and(!Messages::DISCONNECT.0, Ordering::AcqRel);
        self.send(Messages::CONNECT, irql);
    }

    /// Has the vif disconnected, and waits for it at most for `timeout`.
    pub(crate) fn disconnect(&self, timeout: Duration, irql: &Passive<'_>) -> Wait {
        self.messages
            .fetch_and(!Messages::CONNECT.0, Ordering::AcqRel);
        self.send(Messages::DISCONNECT, irql);
        self.idle.wait(Some(timeout), irql)
    }

    /// The thread says that it is disconnected.
    pub(crate) fn disconnected(&self, irql: &Passive<'_>) {
        self.idle.set(irql);
    }

    /// Waits for messages, at most for `timeout`, and takes them.
    pub(crate) fn receive(&self, timeout: Option<Duration>, irql: &Passive<'_>) -> Messages {
        let _ = self.wake.wait(timeout, irql);
        Messages(self.messages.swap(0, Ordering::AcqRel))
    }
}
