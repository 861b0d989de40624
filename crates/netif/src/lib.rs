//! Xen's network protocol (`xen/include/public/io/netif.h`): typed forms of what stands in ring
//! slots and in XenStore.
//!
//! TX and RX are named from the frontend's point of view throughout.
//!
//! Slots are private copies, as the little-endian words of the ring page. Each kind has a small
//! typed form with `parse` and `emit`; parsing never panics, and a value the protocol does not
//! define either survives the round trip or is an error that names it.
//!
//! | module | what |
//! |---|---|
//! | [`tx`] | transmit requests and responses |
//! | [`rx`] | receive requests and responses |
//! | [`extra`] | extra-info slots, in both directions |
//! | [`ctrl`] | control ring messages |
//! | [`number`] | strict reading of numbers from XenStore |
//! | [`vif`] | what the toolstack says about a vif: MAC, MTU, trust, cable, speed |
//! | [`features`] | what the backend can do, as one snapshot |
//! | [`publication`] | what the frontend writes to, and deletes from, its directory |
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

#[cfg(test)]
extern crate std;

/// Settings of all property tests: few cases under Miri, and no files.
#[cfg(test)]
fn cases() -> proptest::test_runner::Config {
    proptest::test_runner::Config {
        cases: if cfg!(miri) { 1 } else { 256 },
        failure_persistence: None,
        ..Default::default()
    }
}

pub mod ctrl;
pub mod extra;
pub mod features;
pub mod number;
pub mod publication;
pub mod rx;
pub mod tx;
pub mod vif;
mod words;

pub use xen_abi::grant_table::GrantRef;

/// Bytes of a page on a ring, whatever the guest's page size.
pub const PAGE_SIZE: u32 = 4096;
