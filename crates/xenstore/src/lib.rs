//! `XenStore` as a guest driver uses it: a client that does no I/O of its own.
//!
//! `XenStore` is the small tree of keys through which a Xen guest and its backends find each other. The guest
//! talks to the daemon (`xenstored`) through one shared page: two byte rings, one event channel.
//!
//! Layers, bottom to top; each uses only those above it in this list:
//!
//! 1. [`wire`] - the 16-byte header, message types, checked views of payloads.
//! 2. [`number`], [`path`], [`error`] - strict parsing of what the other side wrote, checked paths, error replies.
//! 3. [`ring`] - the client's side of the shared page. Indices written by the daemon are read once and checked.
//! 4. [`client`] - requests in flight, replies in any order, watches. Bytes in, bytes out; never waits.
//! 5. [`transaction`], [`listing`] - scripts of several requests run to completion over a client.
//! 6. [`pump`] - moves bytes between a client and a ring.
//!
//! # Life of a connection
//!
//! 1. [`ring::Ring::attach`] to the page, [`client::Client::new`] with storage of the caller's.
//! 2. Requests: `client.read(..)` and friends give a [`client::RequestHandle`] or say "try later".
//! 3. On an event (and after requests): [`pump::transmit`], [`pump::receive`], and [`client::Client::take`] until
//!    it has nothing more. Each is bounded and may run at `DISPATCH_LEVEL` under the caller's lock.
//! 4. After suspend: `attach` again, [`client::Client::reset`]. Everything in flight comes back as
//!    `Disconnected`, watches are registered again.
//!
//! # The other side may lie
//!
//! A ring index out of range, a reply of more than 4096 bytes or of the wrong type latches the connection: it
//! moves no more bytes until it is attached again. Nothing in this crate panics on any input.
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

pub mod client;
pub mod error;
pub mod listing;
pub mod number;
pub mod path;
pub mod pump;
pub mod ring;
pub mod transaction;
pub mod wire;

mod inbox;
mod incoming;
mod outbox;
mod request;
mod watch;
