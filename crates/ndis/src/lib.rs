//! First safe layer over [`ndis_sys`]: what the driver's callbacks turn raw NDIS arguments into.
//!
//! 1. [`version`] chooses the NDIS version to register; [`object`] derives from it the revision and
//!    size of every structure given to NDIS.
//! 2. [`registration`] registers the handlers and the adapter attributes.
//! 3. [`chain`] owns lists of frames, [`data`] walks the bytes of one, [`oob`] reads and writes
//!    what travels beside them.
//! 4. [`request`] answers OID requests, [`rss`] checks RSS settings, [`processors`] reads which
//!    processors RSS may use, [`configuration`] reads keywords and [`indication`] tells NDIS what
//!    changed.
//! 5. [`handoff`] brings received lists to another processor.
//!
//! IRQL is written at each function that calls NDIS. Nothing here allocates.
#![no_std]
#![allow(
    unsafe_code,
    reason = "turns NDIS's raw pointers into owned and borrowed types; each block says why it may"
)]
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

pub mod addresses;
pub mod chain;
pub mod configuration;
pub mod data;
pub mod handoff;
pub mod indication;
pub mod object;
pub mod offload;
pub mod oob;
pub mod processors;
pub mod registration;
pub mod request;
pub mod rss;
pub mod status;
pub mod version;

pub use status::Status;
pub use version::NdisVersion;
