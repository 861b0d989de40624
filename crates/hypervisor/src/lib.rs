//! Xen as a guest kernel sees it: detection, hypercalls, and the ports of the platform device.
//!
//! 1. [`detect`](detect()) finds Xen by CPUID and tells Intel from AMD.
//! 2. [`Hypervisor::new`] takes that as proof and offers the operations, one module per header.
//! 3. [`ports`] holds the unplug protocol and the log ports.
//!
//! Everything can run without Xen: the operations go through [`Call`], the ports through [`ports::PortIo`], CPUID
//! through [`Cpuid`]; [`Native`] is the real one.
//!
//! # Sensitive instructions
//!
//! `cpuid`, `vmcall`, `vmmcall`, `in` and `out` stand in these assembler symbols and nowhere else, so that a
//! test can disassemble a driver and refuse them anywhere else. They are global symbols of the object (found in
//! the map file and the PDB) but not Rust functions, so a driver does not export them.
//!
//! | symbol | instructions | does |
//! |---|---|---|
//! | `HYPERCALL_PAGE` (4096 bytes) | `vmcall`, `vmmcall` | 128 slots of 32 bytes, one per hypercall number |
//! | `xen_shim_cpuid` | `cpuid` | reads a leaf |
//! | `xen_shim_in8`, `xen_shim_in16` | `in` | reads a port |
//! | `xen_shim_out8`, `xen_shim_out16`, `xen_shim_out32` | `out` | writes a port |
//! | `xen_shim_hypercall` | none | jumps to a slot |
//!
//! # Hypercall page
//!
//! Xen offers to write such a page itself; we do not let it (XSA-466; code written at run time breaks HVCI).
//! `HYPERCALL_PAGE` is part of the read-only code section. Each slot loads its number and executes `vmcall` or
//! `vmmcall`, as a data byte outside the page says, which [`Hypervisor::new`] sets from the CPU's vendor.
//! The layout is that which Xen documents (slot = 32 * number), so other callers of such a page can use it too.
//!
//! # Calling convention
//!
//! Xen takes arguments in `rdi`, `rsi`, `rdx`, `r10`, `r8` and answers in `rax`, whatever the guest's system. The
//! shims are `extern "sysv64"` on every target, Windows too: that convention has the same registers but `rcx`
//! for `r10`, and leaves it to the compiler to save `rdi` and `rsi`, which Windows code must keep. (The published
//! crate `xen-sys` passes the fifth argument in `r9`, which is wrong.)
//!
//! All operations may be called at any IRQL.
#![no_std]
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

mod call;
mod detect;
mod error;
pub mod event_channel;
pub mod grant_table;
pub mod hvm;
pub mod memory;
pub mod ports;
pub mod sched;
mod shim;
pub mod vcpu;
pub mod version;

pub use call::{Call, Hypervisor};
pub use detect::{Cpuid, Detected, Leaf, Vendor, detect};
pub use error::HypercallError;
pub use shim::{Native, hypercall_page};
