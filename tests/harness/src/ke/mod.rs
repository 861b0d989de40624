//! Kernel executive core (`Ke`): IRQL, locks, dispatcher objects, DPCs, timers, processors.

pub(crate) mod dpc;
pub(crate) mod interrupt;
pub(crate) mod irql;
pub(crate) mod object;
pub(crate) mod processor;
pub(crate) mod spinlock;
pub(crate) mod timer;
pub(crate) mod wait;
