//! What every host of the harness does alike: Windows's part in the life of both drivers, the guest's traffic above
//! NDIS, and the test cases.
//!
//! The host supplies a [`Machine`]: a Linux process with the simulated Xen (`tests/world`), or the bare-metal guest on
//! real Xen (`tests/guest`).
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod rss;
mod stack;
mod system;
mod traffic;

pub use stack::{End, Progress, Stack};
pub use system::{Below, Child, System};
pub use traffic::{GuestStack, Moved};

/// A host, as the traffic and the cases see it.
pub trait Machine {
    /// The Windows machine.
    fn system(&self) -> &System;

    /// The Windows machine.
    fn system_mut(&mut self) -> &mut System;

    /// The hash that a frame received on interface `handle` must carry, by the function that was set; `None` if it
    /// must carry none.
    fn expected_hash(&self, handle: u32, frame: &[u8]) -> Option<u32>;
}
