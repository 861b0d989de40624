//! `xenbus.sys`: the bus driver of the Xen platform device.
//!
//! It finds Xen, sets up what its children need (grant table, event channels, XenStore), reports one
//! child device per network interface of the guest, and hands the children's drivers the table of
//! functions in [`interface`].
//!
//! # From an IRP to a decision
//! 1. [`dispatch`] turns the kernel's raw arguments into owned ones and the IRQL into a token.
//! 2. [`fdo`] (the bus) and [`pdo`] (one interface) carry requests out.
//! 3. What to do with a request in which state is decided in `xenbus-core`, which runs and is tested
//!    without a kernel.
//!
//! Which code runs at which IRQL: `docs/irql.md`. Locks and their ranks: `docs/locking.md`.
#![no_std]
#![deny(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::arithmetic_side_effects
)]

use driver_image as _;

mod bus;
mod callback;
mod child;
mod children;
mod control;
mod device;
mod dispatch;
mod driver;
mod emulated;
mod events;
mod exclusive;
mod fdo;
mod grants;
mod hole;
mod host;
mod interrupts;
mod minor;
mod owned;
mod parameters;
mod pdo;
mod platform;
mod power;
mod provider;
mod relations;
mod resources;
mod shims;
mod store;
mod suspend;

/// Owner of all pool memory of the driver in `poolmon`.
const TAG: nt::pool::Tag = nt::pool::Tag::new(b"XnBs");

nt::driver_runtime!(TAG);
