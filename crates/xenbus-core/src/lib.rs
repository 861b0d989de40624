//! What the `XenBus` bus driver decides, without the system around it: no NT types, no hypercalls, no waiting.
//!
//! | module | decides |
//! |---|---|
//! | [`grant`] | which grant reference is used for what, and when a page may be taken back |
//! | [`event`] | which ports have events, in both delivery ABIs; masking; storms |
//! | [`platform`] | unplug of emulated devices, interrupt delivery, Xen's version, where shared pages go |
//! | [`enumerate`] | which network interfaces exist, and their `PnP` ids |
//! | [`pnp`] | what each `PnP` and power request does in each state |
//! | [`interface_version`] | which version of the child interface is handed out, and who still holds it |
//!
//! Shared memory comes in as atomics. Xen is trusted to the degree that it could do anything anyway, but no word
//! of it can cause a panic, an access out of bounds or an endless loop here.
#![no_std]
#![forbid(unsafe_code)]
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

pub mod enumerate;
pub mod event;
pub mod grant;
pub mod interface_version;
pub mod platform;
pub mod pnp;
