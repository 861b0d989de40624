//! The frontend's side of Xen's shared rings (`xen/include/public/io/ring.h`).
//!
//! Everything is named from the frontend's point of view: it produces requests and consumes
//! responses. The peer owns the other half of the page and may lie about it, so
//!
//! * the indices that matter (`req_prod_pvt`, `rsp_cons`) are private and never read back from the
//!   page;
//! * `rsp_prod` is read once per pass and checked against what was really asked for;
//! * a request is built in private words and copied out as the last step, a response is copied in
//!   once and the shared slot is not looked at again.
//!
//! # The page
//!
//! ```text
//!  word 0 req_prod   1 req_event   2 rsp_prod   3 rsp_event   4..16 private, zero
//!  word 16.. entries: request and response share a slot; slot = index & (size - 1)
//! ```
//!
//! Indices run freely through 2^32. A slot is `REQ` words long (the request is never the shorter
//! of the two in netif); the number of slots is the largest power of two that fits.
//!
//! # Life of a ring
//!
//! 1. [`FrontRing::init`] writes the header; the shell grants and publishes the page.
//! 2. [`FrontRing::put`] stages requests, [`FrontRing::push`] publishes them and says whether the
//!    peer asked to be told ([`Kick`]).
//! 3. [`FrontRing::responses`] hands out what was answered; [`FrontRing::arm`] asks for the next
//!    event and says whether something slipped in meanwhile ([`Recheck`]).
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

mod front;
mod notify;
mod page;

#[cfg(test)]
mod tests;

pub use front::{
    Corrupt, CtrlRing, FrontRing, Full, PageTooSmall, Response, Responses, RxRing, TxRing,
};
pub use notify::{Kick, Recheck, event_crossed};
pub use page::{PAGE_WORDS, RingPage};
