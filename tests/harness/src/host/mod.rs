//! Everything the harness takes from the system it runs on, in one place.
//!
//! Two systems supply the same few items: `linux`, a process, and `bare`, a kernel of its own that installs a
//! `bare::Host`. They are memory that can be mapped twice with different access ([`memory`]), processors and time
//! (`processor`), traps (`trap`). What is the same for both is here: the stack switch ([`context`]), the gates
//! between driver code and the harness ([`gate`]), single accesses to shared memory ([`call`]).
//! Nothing outside this module names `libc`, a signal, an OS thread or an assembly instruction.
#![allow(
    unsafe_code,
    reason = "mappings, stack switches and traps cannot be expressed in safe Rust; they are kept here"
)]

#[cfg(not(feature = "linux"))]
pub mod bare;
pub(crate) mod call;
pub(crate) mod context;
pub(crate) mod gate;
#[cfg(feature = "linux")]
mod linux;
pub(crate) mod memory;
pub(crate) mod trap;

#[cfg(not(feature = "linux"))]
use bare as system;
#[cfg(feature = "linux")]
use linux as system;

pub(crate) use system::{FAULT_NUMBER, processor};

/// Why the system did not give what was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HostError {
    /// No memory, or no address space.
    NoMemory,
    /// The system's own error number (`errno`).
    System(i32),
}

impl core::fmt::Display for HostError {
    fn fmt(&self, out: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::NoMemory => out.write_str("no memory left"),
            Self::System(number) => write!(out, "the system's error {number}"),
        }
    }
}

impl core::error::Error for HostError {}
