//! `netfront.sys`: the NDIS miniport for Xen's paravirtual network.
//!
//! # Life of the driver
//! 1. [`entry`] registers the miniport with the newest NDIS version that the system and the driver
//!    share.
//! 2. NDIS attaches to each vif device of `xenbus.sys` and calls the [`handlers`].
//! 3. `MiniportUnload` undoes the registration.
//!
//! All decisions live in crates without NT types; here callbacks become calls on them.
#![no_std]
#![deny(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::arithmetic_side_effects
)]

mod entry;
mod handlers;

use driver_image as _;

nt::driver_runtime!(nt::pool::Tag::new(b"XNet"));
