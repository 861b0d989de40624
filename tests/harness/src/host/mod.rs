//! Everything the harness takes from the system it runs on, in one place.
//!
//! The Linux process host needs three things: memory that can be mapped twice with different
//! protections ([`memory`]), stacks to switch between ([`context`]), and traps ([`trap`]). The bare-metal
//! host (a guest on real Xen) will supply the same three modules over its own page tables and IDT; nothing
//! outside this module names `libc`, a signal or an OS thread.
#![allow(
    unsafe_code,
    reason = "mappings, stack switches and traps cannot be expressed in safe Rust; they are kept here"
)]

pub(crate) mod call;
pub(crate) mod context;
pub(crate) mod gate;
pub(crate) mod memory;
pub(crate) mod trap;
