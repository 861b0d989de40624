//! The network frontend's engine: every decision of the data path and of the connection, and no
//! I/O.
//!
//! Pages, grants, event channels, XenStore and clocks belong to the shell; it lends them through
//! the small traits [`tx::TxMemory`], [`rx::RxMemory`] and [`control::ControlMemory`], or passes
//! values in. Times are milliseconds of a clock that does not go back. Nothing here waits,
//! allocates after connecting, or panics on what a peer says.
//!
//! | module | what | one per |
//! |---|---|---|
//! | [`tx`] | frames to slots, responses to completions | queue |
//! | [`rx`] | posted pages to packets | queue |
//! | [`control`] | hash negotiation on the control ring | vif |
//! | [`connect`] | the `XenBus` state machine | vif |
//! | [`multicast`] | the backend's multicast list | vif |
//! | [`announce`] | frames that tell where an address is now | vif |
//! | [`watchdog`] | a backend that stopped answering | vif |
//! | [`report`] | what the driver tells of its queues | vif |
//!
//! A queue shares nothing with another queue: each may be driven by its own CPU without a lock.
//!
//! # When the backend breaks the protocol
//!
//! The first violation latches the queue: from then on it takes no frame, looks at no response,
//! and asks for no event. What it holds is handed back by `teardown`, each frame and each page
//! exactly once, after the event channel is closed. Only a new connection clears the latch.
#![no_std]
#![forbid(unsafe_code)]
#![cfg_attr(
    not(test),
    deny(
        clippy::indexing_slicing,
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::arithmetic_side_effects
    )
)]

extern crate alloc;
#[cfg(test)]
extern crate std;

pub mod announce;
pub mod connect;
pub mod control;
pub mod multicast;
pub mod report;
pub mod rx;
pub mod table;
#[cfg(test)]
mod test_page;
pub mod tx;
pub mod watchdog;

/// Slots of a transmit ring and of a receive ring.
pub const RING_SIZE: u32 = 256;

/// A queue could not be made; nothing was granted or published yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CreateError {
    /// No memory for the private tables.
    OutOfMemory,
    /// The ring's memory is not one page.
    RingPage,
    /// Fewer grants were given than the queue needs.
    TooFewGrants,
}

impl From<table::OutOfMemory> for CreateError {
    fn from(table::OutOfMemory: table::OutOfMemory) -> Self {
        Self::OutOfMemory
    }
}

impl From<ring::PageTooSmall> for CreateError {
    fn from(ring::PageTooSmall: ring::PageTooSmall) -> Self {
        Self::RingPage
    }
}
