//! Xen, simulated at hypercall level for one HVM guest domain.
//!
//! The guest side is [`Machine::hypercall`], [`Machine::cpuid`], [`Machine::io_read`] and
//! [`Machine::io_write`]; the other side (backends, `xenstored`, the toolstack) uses the `backend_*`
//! and grant methods. Everything is deterministic: no threads, no clock, no randomness. Structures
//! shared with the guest (shared info, FIFO pages, grant entries) live in guest frames and are read
//! and written atomically, so a guest on other threads may run beside it; the `Machine` itself is
//! `Send` and is put behind a lock by whoever needs that.
//!
//! Behaviour is written from Xen's public headers and documents; results are Linux error numbers, negated.
#![no_std]
#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    reason = "values are cut to the width of an ABI field throughout; the width is the point"
)]

extern crate alloc;

pub mod abi;
mod cpuid;
mod evtchn;
mod grant;
mod hvm;
mod leak;
mod machine;
mod mem;
mod memory_op;
mod ports;
mod sched;
mod shared;
#[cfg(test)]
mod tests;

pub use abi::Errno;
pub use evtchn::PortState;
pub use grant::{GrantError, MappedGrant};
pub use hvm::{Callback, Interrupts, Line, NoInterrupts, RecordedInterrupts};
pub use leak::{LeakReport, Violation};
pub use machine::{Config, Machine};
pub use mem::{FlatMemory, GuestMemory, Page};
pub use ports::Unplug;
pub use sched::SuspendOutcome;
