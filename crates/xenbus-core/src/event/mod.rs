//! Event channels: from words shared with Xen to ports, and from ports to their owners.
//!
//! One pass over a vCPU's events, in either ABI:
//!
//! 1. find pending, unmasked ports ([`two_level::scan`], [`fifo::VcpuQueues::scan`]), at most a budget of them;
//! 2. clear each port's pending bit, then tell the caller: an event that comes while the handler looks at its ring
//!    is pending again, not lost;
//! 3. [`ports::PortTable`] names the owner.
//!
//! # Masking, and the race when unmasking
//!
//! A masked port collects its event but does not interrupt. An event that arrived meanwhile raises no interrupt when
//! the guest clears the mask itself: it has to look afterwards, and have Xen unmask (`EVTCHNOP_unmask`) if there is
//! one. [`Unmask`] says which.
//!
//! Nothing here waits, and each pass is bounded whatever the shared words say.

use xen_abi::event_channel::Port;

pub mod fifo;
pub mod ports;
pub mod two_level;

/// What is left to do to unmask a port.
#[must_use = "a pending event may be waiting for the hypercall"]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unmask {
    /// The port is unmasked and no event was pending.
    Done,
    /// Make the hypercall `EVTCHNOP_unmask` for the port.
    Hypercall,
}

/// What a pass found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Scan {
    /// Ports handed to the caller.
    pub ports: u32,
    /// The budget ended before the events did; what remains is marked again. Run another pass.
    pub more: bool,
    /// Words or links that named a port beyond the array. Their queue was dropped.
    pub out_of_range: u32,
}

/// Masking of ports, the same in both ABIs. Calls for a port beyond the shared words do nothing.
pub trait PortMask {
    /// Keeps the port from interrupting.
    fn mask(&self, port: Port);
    /// Lets the port interrupt again.
    fn unmask(&self, port: Port) -> Unmask;
    /// Drops a pending event; `true` if there was one.
    fn clear_pending(&self, port: Port) -> bool;
    /// Whether an event is pending.
    fn is_pending(&self, port: Port) -> bool;
}
