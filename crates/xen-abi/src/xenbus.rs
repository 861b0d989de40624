//! States of a device's two ends in XenStore.
//!
//! From Xen's public headers: `xen/io/xenbus.h`.

/// Connection state, written as a decimal number under `state`.
#[repr(transparent)]
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct XenbusState(pub u32);

impl XenbusState {
    /// Node missing or unreadable.
    pub const UNKNOWN: Self = Self(0);
    /// Starting.
    pub const INITIALISING: Self = Self(1);
    /// Waits for the peer or for hotplug scripts.
    pub const INIT_WAIT: Self = Self(2);
    /// Waits for the peer to connect.
    pub const INITIALISED: Self = Self(3);
    /// In use.
    pub const CONNECTED: Self = Self(4);
    /// Being closed.
    pub const CLOSING: Self = Self(5);
    /// Closed.
    pub const CLOSED: Self = Self(6);
    /// Being changed.
    pub const RECONFIGURING: Self = Self(7);
    /// Changed.
    pub const RECONFIGURED: Self = Self(8);
}
