//! The platform under the bus: what Xen offers, how it interrupts, where shared pages go, and how emulated devices
//! are made to leave.

pub mod hole;
pub mod unplug;
pub mod upcall;
pub mod version;
