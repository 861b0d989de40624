//! What became of frames, and the record of those that are still out.

use netif::GrantRef;

use super::Cookie;
use crate::table::{OutOfMemory, Stack, Table, free_numbers};

/// What became of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TxOutcome {
    /// The backend took it.
    Sent,
    /// The backend refused or dropped it.
    Failed,
    /// The connection ended first; its pages are the caller's again.
    Aborted,
    /// The connection ended and the backend still has a page of it mapped: that memory must not
    /// be used for anything else.
    StillMapped,
}

/// A frame that is the caller's again; each submitted cookie comes back in exactly one of these,
/// or from `submit` itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TxDone {
    /// The frame.
    pub cookie: Cookie,
    /// What became of it.
    pub outcome: TxOutcome,
}

/// A page that could not be taken back: neither it nor its grant may be used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Leak {
    /// The frame it belongs to.
    pub cookie: Cookie,
    /// The grant that cannot be ended.
    pub gref: GrantRef,
}

/// A frame of which slots are unanswered.
#[derive(Clone, Copy, Debug)]
struct Packet {
    cookie: Cookie,
    slots_left: u8,
    outcome: TxOutcome,
}

/// Frames whose memory is still in use.
#[derive(Debug)]
pub(super) struct Packets {
    table: Table<Option<Packet>>,
    free: Stack<u16>,
}

/// Number of a frame's record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct PacketId(u16);

impl Packets {
    pub(super) fn new(count: u16) -> Result<Self, OutOfMemory> {
        Ok(Self {
            table: Table::filled(count.into(), None)?,
            free: free_numbers(count)?,
        })
    }

    pub(super) fn has_room(&self) -> bool {
        self.free.len() > 0
    }

    pub(super) fn in_use(&self) -> usize {
        self.table.len().saturating_sub(self.free.len())
    }

    /// Records a frame of `slots` slots, at least one.
    pub(super) fn add(&mut self, cookie: Cookie, slots: u8) -> Option<PacketId> {
        let number = self.free.pop()?;
        *self.table.get_mut(number)? = Some(Packet {
            cookie,
            slots_left: slots,
            outcome: TxOutcome::Sent,
        });
        Some(PacketId(number))
    }

    pub(super) fn cookie(&self, id: PacketId) -> Option<Cookie> {
        self.table.get(id.0)?.map(|packet| packet.cookie)
    }

    /// Notes that one slot is done; the frame when that was its last. The first bad outcome of a
    /// slot is the frame's.
    pub(super) fn slot_done(&mut self, id: PacketId, outcome: TxOutcome) -> Option<TxDone> {
        let entry = self.table.get_mut(id.0)?;
        let packet = entry.as_mut()?;
        let worse = outcome == TxOutcome::StillMapped;
        if worse || packet.outcome == TxOutcome::Sent {
            packet.outcome = outcome;
        }
        packet.slots_left = packet.slots_left.saturating_sub(1);
        if packet.slots_left > 0 {
            return None;
        }
        let done = TxDone {
            cookie: packet.cookie,
            outcome: packet.outcome,
        };
        *entry = None;
        let _ = self.free.push(id.0);
        Some(done)
    }
}
