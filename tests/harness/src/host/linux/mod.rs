//! The Linux process as host.

pub(crate) mod cell;
pub(crate) mod memory;
pub(crate) mod processor;
pub(crate) mod trap;
mod watchdog;

/// What [`crate::host::trap::Fault::number`] counts.
pub(crate) const FAULT_NUMBER: &str = "signal";
