//! The wire oracle: what must have happened to every frame between NDIS and the backend's wire.
//!
//! It looks at what NDIS handed to the driver and at what came out at the wire, and the other way round, and says
//! for each frame what is wrong. It is written from RFC 791, 8200, 768, 9293, IEEE 802.1Q and the NDIS documents
//! (`ndis-contract.md`, section 3), shares no line with the drivers or the model backend, and knows neither rings
//! nor grants.
//!
//! 1. [`generate`] makes frames: header stacks and sizes, from a seed.
//! 2. [`transmit`] says what a frame with its out-of-band requests must look like on the wire, after whoever is
//!    there has done what the driver left to it.
//! 3. [`receive`] judges a received list against the frame that the wire had.
//! 4. [`ledger`] keeps both in order: nothing lost, doubled, changed or out of order within a flow.
//! 5. [`rss`] is the hash.
#![forbid(unsafe_code)]

pub mod checksum;
pub mod generate;
pub mod ledger;
pub mod packet;
pub mod receive;
pub mod rss;
pub mod segment;
pub mod slots;
pub mod transmit;

mod bytes;
#[cfg(test)]
mod samples;
