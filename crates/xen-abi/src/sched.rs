//! Scheduler operations and shutdown reasons.
//!
//! From Xen's public headers: `xen/sched.h`.

/// Why a domain stops.
#[repr(transparent)]
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ShutdownReason(pub u32);

impl ShutdownReason {
    /// Normal end.
    pub const POWEROFF: Self = Self(0);
    /// Restart.
    pub const REBOOT: Self = Self(1);
    /// Saved or migrated; the call returns when it resumes.
    pub const SUSPEND: Self = Self(2);
    /// Crashed.
    pub const CRASH: Self = Self(3);
    /// Watchdog expired.
    pub const WATCHDOG: Self = Self(4);
    /// Reset of Xen state only.
    pub const SOFT_RESET: Self = Self(5);
}

/// Give up the CPU.
pub const SCHEDOP_YIELD: u32 = 0;
/// Sleep until an event.
pub const SCHEDOP_BLOCK: u32 = 1;
/// Stop the domain: [`Shutdown`].
pub const SCHEDOP_SHUTDOWN: u32 = 2;
/// Wait for ports: [`Poll`].
pub const SCHEDOP_POLL: u32 = 3;

/// Argument of [`SCHEDOP_SHUTDOWN`].
#[repr(C)]
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Shutdown {
    /// In: why.
    pub reason: ShutdownReason,
}

/// Argument of [`SCHEDOP_POLL`].
#[repr(C)]
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Poll {
    /// In: address of the list of ports.
    pub ports: u64,
    /// In: its length.
    pub nr_ports: u32,
    /// In: absolute system time in nanoseconds, 0 for none.
    pub timeout: u64,
}
