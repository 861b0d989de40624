//! Hash negotiation on the control ring.
//!
//! The caller says what it wants ([`Goal`]); the client knows what the backend was told, and sends
//! whatever is between the two, one request at a time. A goal may change at any moment: the next
//! request then leads to the new one.
//!
//! # Order on a fresh connection
//!
//! netback keeps its hash state over reconnects, and answers questions about flags only while an
//! algorithm is set, so:
//!
//! 1. reset: algorithm NONE, mapping size 0;
//! 2. once, find out: algorithm TOEPLITZ, GET flags, GET mapping size, GET gref mapping size;
//! 3. the goal: TOEPLITZ, flags, key, mapping size, mapping; or NONE;
//! 4. once, where it is offered: ADD gref mapping for each queue's pools, so that the backend keeps those pages mapped.
//!    They are deleted again before the reset of [`Goal::Stop`].
//!
//! A new mapping of the same size needs only SET mapping, which netback swaps in at once. The
//! client must not be made before the backend is Connected, since a mapping is checked against the
//! number of queues; and it should be told [`Goal::Stop`] before disconnecting.
//!
//! # Time
//!
//! A request that is not answered within 2.5 s is notified once more (netback can miss a wake-up);
//! after 5 s the control ring is given up for this connection, and hashing is done in software.

mod client;
mod lasting;
mod state;
#[cfg(test)]
mod tests;

pub use client::{Control, ControlMemory, ControlPass};
pub use state::{Capabilities, Event, Failure, Goal, GoalError, HashConfig, Step, Unavailable};

/// When an unanswered request is notified again, in milliseconds.
pub const RENOTIFY_MS: u64 = 2_500;
/// When an unanswered request means that the control ring is of no use, in milliseconds.
pub const TIMEOUT_MS: u64 = 5_000;
