//! What the queue is lent, and what it answers.

use netif::GrantRef;
use ring::Corrupt;

use super::TxId;
use super::plan::Reject;
use super::validate::Violation;

/// The backend has the page mapped: the grant cannot be ended now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StillMapped;

/// The frame's bytes could not be read (out of mapping resources).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CopyFailed;

/// Memory and grants of one queue, lent for the time of a call.
///
/// Copies of one frame are asked for in the order of the frame's bytes, and before its grants.
pub trait TxMemory {
    /// Copies `len` bytes of the frame at `from` to the slot's place in the header pool
    /// ([`TxId::header_page`], [`TxId::header_offset`]).
    fn copy_header(&mut self, id: TxId, from: u32, len: u16) -> Result<(), CopyFailed>;
    /// Copies `len` bytes of the frame at `from` to the start of a bounce page.
    fn copy_bounce(&mut self, page: u16, from: u32, len: u16) -> Result<(), CopyFailed>;
    /// Lets the backend read a page.
    fn grant(&mut self, gref: GrantRef, pfn: u64);
    /// Ends a grant made by [`TxMemory::grant`].
    fn revoke(&mut self, gref: GrantRef) -> Result<(), StillMapped>;
}

/// Grants for the life of a connection.
#[derive(Clone, Copy, Debug)]
pub struct TxResources<'g> {
    /// The header pool's pages, granted read-only: [`HEADER_PAGES`](super::HEADER_PAGES).
    pub headers: &'g [GrantRef],
    /// The bounce pages, granted read-only and zeroed at first: [`MIN_BOUNCE_PAGES`](super::MIN_BOUNCE_PAGES) to
    /// [`MAX_BOUNCE_PAGES`](super::MAX_BOUNCE_PAGES); more are left unused.
    pub bounce: &'g [GrantRef],
    /// Unused references for pages in place: 256, one for each slot. Only if the policy is to grant pages in place.
    pub in_place: &'g [GrantRef],
}

/// How a frame was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Submission {
    /// On the ring, and nothing of the caller's is in use: the frame is complete now, and its
    /// cookie does not come back.
    Copied,
    /// On the ring; its cookie comes back later.
    InFlight,
    /// Not taken: no room now. Submit it again after responses were reaped.
    Busy,
}

/// Why a frame was not taken, and never will be on this connection (or, for `CopyFailed`, now).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SubmitError {
    /// The frame does not suit the connection.
    Rejected(Reject),
    /// The packet built from it would have been malformed: a fault of ours, caught in time.
    Invalid(Violation),
    /// Its bytes could not be read.
    CopyFailed,
    /// The queue waits for a new connection.
    Broken,
}

/// What the backend did that ended the queue's use of this connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TxBroken {
    /// The ring's indices.
    Ring(Corrupt),
    /// A response to a slot number beyond the table.
    IdRange(u16),
    /// A response to a slot that was not pending: never used, or answered already.
    NotPending(u16),
    /// More answers to extras than extras.
    UnexpectedNull,
    /// It answered a slot and keeps its page mapped.
    StillMapped(u16),
    /// The queue was taken down.
    Closed,
    /// The private tables contradict the ring; a fault of ours.
    Internal,
}

/// A multicast list change, carried by a frame that goes nowhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Multicast {
    /// Receive this group.
    Add([u8; 6]),
    /// Stop receiving it.
    Remove([u8; 6]),
}

/// Counts since the queue was made; they wrap.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TxCounters {
    /// Frames put on the ring.
    pub frames: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Frames copied whole.
    pub copied_frames: u64,
    /// Pages granted in place.
    pub pages_in_place: u64,
    /// Bounce pages used.
    pub bounce_pages: u64,
    /// Times there was no room.
    pub busy: u64,
    /// Slots that the backend refused or dropped.
    pub failed_slots: u64,
    /// Multicast changes that the backend refused: its list is full.
    pub refused_groups: u64,
    /// Responses consumed, those to extras included.
    pub responses: u64,
    /// Pushes that had to notify.
    pub kicks: u64,
    /// Pushes that had not.
    pub quiet_pushes: u64,
}
