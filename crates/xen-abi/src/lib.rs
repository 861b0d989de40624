//! Xen's public ABI as the drivers need it: types and numbers, no behaviour.
//!
//! One module per header, for x86-64 guests. Three forms of items:
//! - private copies (arguments of hypercalls, ring slots): plain `#[repr(C)]` structs;
//! - memory shared with Xen or another domain: structs of atomics, so that safe code can look at them while
//!   the other side writes;
//! - numbers that come over shared memory: newtypes with associated constants, which hold any value the peer
//!   may send.
//!
//! `tests/xen-headers` compares every size, offset and value with Debian's `libxen-dev`.
//!
//! # Why these are not `xen-sys`'s types
//!
//! `xen-sys` 0.0.0-pre2 covers `xen.h`, `event_channel.h` and `sched.h` only, and does not compile for
//! `x86_64-pc-windows-msvc`: it takes C's `long` from `cty`, which is 32 bits wide there, while Xen's
//! `unsigned long` is 64 bits wide for every x86-64 guest. So its `xen_ulong_t`, `xen_pfn_t`, `vcpu_info` and
//! `shared_info` would have the wrong layout, and its hypercalls move 64-bit `rax` into a 32-bit result (a
//! compile error). Its hypercall functions are also `#[no_mangle]`, so each driver that links it would export
//! them and need a hypercall page. What it does have is compared with ours by a test on Linux
//! (`tests/agrees_with_xen_sys.rs`).
#![no_std]
#![forbid(unsafe_code)]

pub mod cpuid;
pub mod domid;
pub mod errno;
pub mod event_channel;
pub mod grant_table;
pub mod hvm;
pub mod hypercall;
pub mod memory;
pub mod netif;
pub mod platform_pci;
pub mod pvh;
pub mod ring;
pub mod sched;
pub mod shared_info;
pub mod vcpu;
pub mod version;
pub mod xenbus;
pub mod xs_wire;
