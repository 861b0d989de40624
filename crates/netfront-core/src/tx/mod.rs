//! The transmit side of a queue.
//!
//! # Life of a frame
//!
//! 1. [`TxQueue::submit`] plans its slots ([`plan()`]), copies what is to be copied, checks the
//!    packet ([`validate()`]), grants the rest and puts the slots on the ring.
//! 2. [`TxQueue::push`] publishes all frames of one send call with one producer update.
//! 3. The backend answers slots in any order; [`TxQueue::reap`] ends each slot's grant and
//!    returns a frame's [`Cookie`] once all its slots are answered. A frame that was copied whole
//!    has been given back by `submit` already.
//! 4. [`TxQueue::arm`] asks for the next event.
//!
//! # Memory
//!
//! A slot's `id` is its index in a private table. It owns 128 bytes of the header pool and one
//! grant reference for a page in place; bounce pages come from a free list. Pool pages are granted
//! read-only once per connection and stay so.

mod completion;
mod lent;
mod order;
mod plan;
mod queue;
#[cfg(test)]
mod tests;
mod validate;

pub use completion::{Leak, TxDone, TxOutcome};
pub use lent::{
    CopyFailed, Multicast, StillMapped, Submission, SubmitError, TxBroken, TxCounters, TxMemory,
    TxResources,
};
pub use order::{Admission, SendOrder, Transition};
pub use plan::{
    Fragment, Frame, HEADER_BYTES, MAX_EXTRAS, MAX_SLOTS, MIN_FRAME, Plan, PlannedSlot, Reject,
    Source, TxChecksum, TxPolicy, plan,
};
pub use queue::TxQueue;
pub use validate::{TxSlot, Violation, validate};

/// Pages of the header pool: 128 bytes for each slot.
pub const HEADER_PAGES: usize = 8;
/// Header pool slots in a page.
pub const HEADERS_PER_PAGE: u16 = 32;
/// Fewest bounce pages: one frame of the longest kind must fit.
pub const MIN_BOUNCE_PAGES: usize = 16;
/// Most bounce pages that can be of use.
pub const MAX_BOUNCE_PAGES: usize = 256;

/// The caller's name for a frame.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Cookie(pub usize);

/// Number of a transmit slot in the private table, and `id` on the ring.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TxId(pub u16);

impl TxId {
    /// Which page of the header pool its 128 bytes are in: `0..8`.
    pub fn header_page(self) -> usize {
        usize::from(self.0 / HEADERS_PER_PAGE)
    }

    /// Where in that page, in bytes.
    pub fn header_offset(self) -> u16 {
        (self.0 % HEADERS_PER_PAGE) << 7
    }
}
