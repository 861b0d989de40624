//! `netfront.sys`: the NDIS miniport for Xen's paravirtual network.
//!
//! # Life of the driver
//! 1. [`entry`] registers the miniport with the newest NDIS version that the system and the driver
//!    share.
//! 2. NDIS attaches to each vif device of `xenbus.sys` and calls the [`handlers`].
//! 3. [`miniport`] makes an [`adapter::Adapter`] and starts its [`connection`] thread, which
//!    connects its [`queue`]s to the backend.
//! 4. `MiniportUnload` undoes the registration.
//!
//! All decisions live in crates without NT types; here callbacks become calls on them.
//! `docs/irql-netfront.md` and `docs/locking-netfront.md` say what runs where and under which lock.
#![no_std]
#![deny(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::arithmetic_side_effects
)]

extern crate alloc;

mod adapter;
mod attributes;
mod bus;
mod callbacks;
mod connection;
mod drain;
mod entry;
mod error_log;
mod frame_kind;
mod grant;
mod handlers;
mod keywords;
mod mail;
mod miniport;
mod offload;
mod oid;
mod power;
mod processors;
mod queue;
mod remains;
mod scaling;
mod shared_page;
mod statistics;
mod text;
mod trace;
mod vlan;

use driver_image as _;

/// Tag of the driver's pool memory.
pub(crate) const TAG: nt::pool::Tag = nt::pool::Tag::new(b"XNet");

nt::driver_runtime!(TAG);
