//! The receive side of a queue.
//!
//! # Life of a page
//!
//! 1. The shell grants a page for writing and offers it through [`RxMemory::supply`];
//!    [`RxQueue::refill`] posts it. Every queue that was published is kept full, even one that is
//!    not in use: netback drops the carrier of the whole vif when a packet waits 60 s for a slot.
//! 2. The backend fills it. [`RxQueue::poll`] checks the responses, puts packets together and
//!    hands them out with their pages. The grant is still there: the shell either ends it before
//!    it looks at the data, or copies the data out first and looks at the copy.
//! 3. A page whose grant was kept goes back with [`RxQueue::recycle`]; pages of extras and of
//!    dropped packets are recycled by the queue itself.
//!
//! # What may be wrong
//!
//! A packet may be ([`RxDrop`]: dropped, counted, its pages recycled) or the backend may be
//! ([`RxBroken`]: the queue waits for a new connection).

mod gate;
mod packet;
mod queue;
#[cfg(test)]
mod tests;

pub use gate::PassGate;
pub use packet::{
    MAX_FRAGMENTS, MAX_FRAME, MIN_FRAME, MIN_MSS, RxChecksum, RxDrop, RxFragment, RxPacket,
};
pub use queue::{Pass, REFILL_CHUNK, Refill, RxBroken, RxBuffer, RxCounters, RxMemory, RxQueue};
