//! The Windows test harness: plays `ntoskrnl.exe`, `hal.dll` and `ndis.sys` for the shipped `.sys` files in a Linux
//! process, or in a kernel of its own (`bare`).
//!
//! 1. [`Harness::builder`] makes a machine: processors, guest memory, a [`Platform`] below.
//! 2. [`Harness::load_driver`] maps a PE file as the kernel's loader would; every import is bound to a thunk of
//!    the one [registry](all_exports) of exports.
//! 3. Tests call into drivers on system threads; every import a driver calls checks its IRQL and the
//!    rules in [`rules`], and is a place where the seeded scheduler may run something else.
//! 4. [`Harness::assert_clean`] fails the test, with the seed, if a rule was broken.
//!
//! Modules are named by NT prefix. `host` is the only one that knows the operating system underneath;
//! `ndis` plays `ndis.sys`.
#![no_std]
#![cfg(target_arch = "x86_64")]

extern crate alloc;
#[cfg(feature = "linux")]
extern crate std;

use alloc::vec::Vec;

mod driver;
mod etw;
mod ex;
mod export;
mod harness;
mod host;
mod image;
mod io;
mod ke;
mod kernel;
mod mem;
mod mm;
pub mod ndis;
mod ob;
mod platform;
mod pnp;
mod po;
mod ps;
mod rtl;
pub mod rules;
mod sched;
mod trace_event;
mod zw;

pub use export::{Export, Module, all as all_exports_registered};
pub use harness::{Builder, DriverId, Harness, Machine, SECOND};
pub use host::HostError;
#[cfg(not(feature = "linux"))]
pub use host::bare;
pub use host::memory::Access;
pub use host::trap::{Fault, Registers};
pub use image::LoadError;
pub use kernel::FaultPlan;
pub use mem::guest::{Guest, read_bytes, write_bytes};
pub use platform::{Bare, Hypercall, Platform};
pub use pnp::relations::Changes;
pub use pnp::resources::LINE_VECTOR;
pub use pnp::root::RootDevice;
pub use pnp::{DeviceId, Identity, NodeState};
pub use rtl::log::LogLine;
pub use sched::Stop;
pub use trace_event::{Decoded, TraceEvent, TraceValue};
pub use zw::registry::Value;

/// The export tables of every module, joined.
fn all_exports() -> Vec<Export> {
    [
        ke::dpc::exports(),
        ke::irql::exports(),
        ke::object::exports(),
        ke::processor::exports(),
        ke::spinlock::exports(),
        ke::timer::exports(),
        ke::wait::exports(),
        ex::list::exports(),
        ex::pool::exports(),
        etw::exports(),
        io::connect::exports(),
        io::device::exports(),
        io::driver_object::exports(),
        io::irp::exports(),
        io::remove_lock::exports(),
        io::work::exports(),
        mm::exports(),
        ndis::exports(),
        ob::exports(),
        po::exports(),
        ps::exports(),
        rtl::log::exports(),
        rtl::memory::exports(),
        rtl::string::exports(),
        zw::key::exports(),
    ]
    .concat()
}

/// The NTSTATUS in a callback's return register.
#[expect(
    clippy::cast_possible_truncation,
    reason = "the status is the low half of the register"
)]
const fn low_status(value: usize) -> i32 {
    (value as u32).cast_signed()
}
