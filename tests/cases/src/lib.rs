//! What every host of the harness does alike: Windows's part in the life of both drivers, the guest's traffic above
//! NDIS, and the test cases.
//!
//! The host supplies a [`Machine`]: a Linux process with the simulated Xen (`tests/world`), or the bare-metal guest on
//! real Xen (`tests/guest`).
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

mod coalesced;
mod content;
mod demo;
mod interfaces;
mod landings;
pub mod offloads;
pub mod rss;
mod stack;
mod stamp;
mod system;
mod table_changes;
mod traffic;
pub mod transfer;

pub use demo::{Outcome, Plan, download_while, transfer, transfer_while};
pub use interfaces::{Change, Interface, Interfaces, Shape};
pub use large_frames::Use;
pub use smoltcp::wire::Ipv4Address;
pub use stack::{End, Progress, Stack};
pub use system::{Below, Child, System};
pub use table_changes::TableChanges;
pub use traffic::{GuestStack, Moved, Track};

/// A host, as the traffic and the cases see it.
pub trait Machine {
    /// The Windows machine.
    fn system(&self) -> &System;

    /// The Windows machine.
    fn system_mut(&mut self) -> &mut System;

    /// Lets up to `ticks` (100 ns units) pass; less if something comes for a stack, where time is real.
    fn wait(&mut self, ticks: u64) {
        self.system_mut().pass(ticks);
    }

    /// The hash that a frame received on interface `handle` must carry, by the function that was set; `None` if it
    /// must carry none.
    fn expected_hash(&self, handle: u32, frame: &[u8]) -> Option<u32>;
}
