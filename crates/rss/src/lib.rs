//! Receive-side scaling in software: from an Ethernet frame to the CPU or queue that handles it.
//!
//! 1. [`classify`](classify()) finds which addresses and ports of a frame are hashed, and under which hash type.
//! 2. [`Toeplitz::hash`] hashes them with the secret key.
//! 3. [`IndirectionTable::lookup`] turns the hash's low bits into an entry of the table.
//!
//! [`Steering`] does all three for a queue, with the backend's hashes where they can be used; [`Placement`] says which
//! queue serves which processors, and [`order`] where queues live before a table says so.
//!
//! Hash types and input order are those of NDIS RSS; Xen's netif uses the same algorithm and inputs for the
//! four types it knows, so a value from the backend and one from here are equal for the same packet and key.
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

mod classify;
mod hash_type;
mod ipv6;
mod nearness;
mod placement;
mod steer;
mod table;
mod toeplitz;

pub use classify::{Flow, classify};
pub use hash_type::{HashType, HashTypes};
pub use nearness::{Candidate, Spread, order};
pub use placement::{Placement, QUEUES_MAX};
pub use steer::{HashCounters, SAMPLE, Steered, Steering, SteeringConfig, WRONG_MAX};
pub use table::{IndirectionTable, TABLE_MAX, TABLE_MIN, TableError};
pub use toeplitz::{ByteTables, INPUT_MAX, KEY_LEN, Toeplitz};

/// The hash of a frame, and the type under which it was computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FrameHash {
    /// The Toeplitz hash.
    pub value: u32,
    /// The type actually used, one of the enabled ones.
    pub hash_type: HashType,
}

/// Hashes a frame under the best enabled type; `None` if no enabled type fits it.
///
/// `frame` starts at the Ethernet header; it may be a window of the frame that holds its headers.
#[must_use]
pub fn hash_frame<S: AsRef<[ByteTables]> + AsMut<[ByteTables]>>(
    toeplitz: &Toeplitz<S>,
    frame: &[u8],
    enabled: HashTypes,
) -> Option<FrameHash> {
    let flow = classify(frame, enabled)?;
    Some(FrameHash {
        value: toeplitz.hash(flow.input()),
        hash_type: flow.hash_type(),
    })
}
