//! Safe layer over the NT kernel for the drivers.
//!
//! Callbacks and imports of NT are C; this crate gives the drivers owned types over them. Three
//! rules run through it:
//!
//! * **IRQL is a value.** What must not run at `DISPATCH_LEVEL` takes [`irql::Passive`]; a DPC has
//!   none to give. Tokens are made only in the FFI shims ([`irql`]).
//! * **What the kernel links by address lives in pool and is closed, not dropped.** DPCs, timers,
//!   work items, threads and interrupts have `close(self, &Passive)`. Dropping an open one stops a
//!   checked build with a bug check; a release build leaks the block, which is always sound.
//! * **Imports exist in Windows 10 1809**, and nothing here reads CR8 or the GS segment: the same
//!   binary runs in the test harness ([`imports`]).
//!
//! On a host other than Windows the crate builds so that its pure parts can be tested; the kernel's
//! functions are then unresolved names that no test may reach.
#![no_std]
#![allow(
    unsafe_code,
    reason = "this crate is the boundary to the kernel; each block states its reason"
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

mod callback;
mod layout;
mod object;

pub mod bugcheck;
pub mod device;
pub mod dpc;
pub mod event;
pub mod imports;
pub mod interrupt;
pub mod irp;
pub mod irql;
pub mod log;
pub mod mdl;
pub mod physical;
pub mod pool;
pub mod processor;
pub mod registry;
pub mod rundown;
pub mod spinlock;
pub mod status;
pub mod thread;
pub mod time;
pub mod timer;
pub mod unicode;
pub mod work_item;

/// The raw bindings, for the shims of the drivers.
pub use wdk_sys as sys;
