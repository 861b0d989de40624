//! The transmit side of a queue: lists in order onto the ring.
//!
//! Every frame is copied to pages that the backend may read for the whole connection, so a list is
//! complete as soon as its last frame is on the ring, and nothing of the sender's is ever in use
//! by the backend.

use ndis::Status;
use ndis::chain::{Nbl, NblChain};
use ndis_sys as sys;
use netfront_core::tx::{
    Cookie, Frame, MIN_FRAME, Submission, SubmitError, TxBroken, TxChecksum, TxDone,
};
use nt::irql::AtMostDispatch;
use ring::Recheck;

use super::frame::FrameCursor;
use super::tx_link::{Lent, TxLink};
use crate::bus::Bus;
use crate::frame_kind::Destination;
use crate::statistics::Direction;
use crate::vlan::VlanSettings;

/// A list of which some frames may be on the ring.
#[derive(Debug)]
struct Sending {
    list: Nbl,
    cursor: FrameCursor,
    status: Status,
}

/// What became of a frame.
enum Sent {
    Done,
    Failed(Status),
    /// No room: later.
    Busy,
}

/// The transmit side; under the queue's transmit lock.
pub(crate) struct TxSide {
    /// Why no list is taken, if so.
    gate: Option<Status>,
    waiting: NblChain,
    sending: Option<Sending>,
    pub(crate) link: Option<TxLink>,
    pub(crate) statistics: Direction,
    /// Longest frame, with header.
    max_frame: u32,
    vlan: VlanSettings,
    /// The domain is being suspended: the ring is left alone.
    pub(crate) frozen: bool,
}

impl TxSide {
    /// Closed, without connection.
    pub(crate) fn new(max_frame: u32, vlan: VlanSettings) -> Self {
        Self {
            gate: Some(Status::PAUSED),
            waiting: NblChain::new(),
            sending: None,
            link: None,
            statistics: Direction::default(),
            max_frame,
            vlan,
            frozen: false,
        }
    }

    /// Opens or closes for lists. The lists that closing leaves behind are to be completed.
    #[must_use]
    pub(crate) fn set_gate(&mut self, gate: Option<Status>) -> NblChain {
        self.gate = gate;
        gate.map_or_else(NblChain::new, |status| self.give_up(status))
    }

    /// Takes everything not yet on the ring, with this status.
    #[must_use]
    pub(crate) fn give_up(&mut self, status: Status) -> NblChain {
        let mut left = NblChain::new();
        if let Some(Sending { list, .. }) = self.sending.take() {
            left.push_back(list);
        }
        left.append(core::mem::take(&mut self.waiting));
        left.set_status(status);
        self.statistics.count_discards(left.len().into());
        left
    }

    /// Lists that wait for room.
    pub(crate) fn waiting(&self) -> u32 {
        self.waiting
            .len()
            .saturating_add(u32::from(self.sending.is_some()))
    }

    /// Takes lists to send, and returns those that are complete.
    #[must_use]
    pub(crate) fn send(
        &mut self,
        mut lists: NblChain,
        bus: &Bus,
        irql: &AtMostDispatch<'_>,
    ) -> NblChain {
        let refusal = self.gate.or_else(|| {
            let up = self.link.as_ref().is_some_and(|link| link.enabled);
            (!up).then_some(Status::FAILURE)
        });
        if let Some(status) = refusal {
            lists.set_status(status);
            self.statistics.count_discards(lists.len().into());
            return lists;
        }
        self.waiting.append(lists);
        self.pump(bus, irql)
    }

    /// Takes the lists that `MiniportCancelSend` names.
    #[must_use]
    pub(crate) fn cancel(&mut self, id: u64) -> NblChain {
        let mut cancelled = self.waiting.extract_if(|list| list.cancel_id() == id);
        cancelled.set_status(Status::SEND_ABORTED);
        cancelled
    }

    /// Puts what waits on the ring as far as there is room, and returns the lists that are
    /// complete.
    #[must_use]
    pub(crate) fn pump(&mut self, bus: &Bus, irql: &AtMostDispatch<'_>) -> NblChain {
        let mut done = NblChain::new();
        let frozen = self.frozen;
        let Some(mut link) = self.link.take_if(|link| link.enabled && !frozen) else {
            return done;
        };
        loop {
            let mut sending = match self.sending.take() {
                Some(sending) => sending,
                None => match self.waiting.pop_front() {
                    Some(list) => Sending {
                        cursor: FrameCursor::first(&list),
                        list,
                        status: Status::SUCCESS,
                    },
                    None => break,
                },
            };
            if !self.put(&mut link, &mut sending, irql) {
                self.sending = Some(sending);
                break;
            }
            let Sending {
                mut list, status, ..
            } = sending;
            list.set_status(status);
            done.push_back(list);
        }
        if link.engine.push().is_needed()
            && let Some(notifier) = link.notifier
        {
            notifier.ring(bus, irql);
        }
        self.link = Some(link);
        done
    }

    /// Puts frames of a list on the ring; false when there was no room for all.
    fn put(&mut self, link: &mut TxLink, sending: &mut Sending, irql: &AtMostDispatch<'_>) -> bool {
        loop {
            match self.put_frame(link, sending, irql) {
                Some(Sent::Done) => {}
                Some(Sent::Failed(status)) => {
                    self.statistics.count_errors(1);
                    sending.status = status;
                }
                Some(Sent::Busy) => return false,
                None => return true,
            }
            sending.cursor.advance(&sending.list);
        }
    }

    /// Puts the next frame on the ring; none when there is no next.
    ///
    /// Not inlined: its slots take much of a page of stack, which no other call shall carry.
    #[inline(never)]
    fn put_frame(
        &mut self,
        link: &mut TxLink,
        sending: &Sending,
        irql: &AtMostDispatch<'_>,
    ) -> Option<Sent> {
        let mut bytes = sending.cursor.frame(&sending.list)?;
        if !(MIN_FRAME..=self.max_frame).contains(&bytes.length) {
            return Some(Sent::Failed(Status::INVALID_LENGTH));
        }
        let Ok(address) = bytes.destination(irql) else {
            return Some(Sent::Failed(Status::RESOURCES));
        };
        let slot = sending.list.info(sys::Ieee8021QNetBufferListInfo);
        bytes.tag = self.vlan.outgoing(slot);
        let length = bytes.wire_length();
        let frame = Frame {
            length,
            fragments: &[],
            checksum: TxChecksum::Complete,
            gso: None,
            hash: None,
        };
        let mut memory = Lent {
            pool: &link.memory,
            frame: Some(&mut bytes),
            irql,
        };
        Some(match link.engine.submit(&frame, Cookie(0), &mut memory) {
            Ok(Submission::Busy) => Sent::Busy,
            // In flight never is: without fragments a frame is copied whole.
            Ok(Submission::Copied | Submission::InFlight) => {
                self.statistics.count(Destination::of(address), length);
                Sent::Done
            }
            Err(SubmitError::CopyFailed) => Sent::Failed(Status::RESOURCES),
            Err(SubmitError::Rejected(_) | SubmitError::Invalid(_) | SubmitError::Broken) => {
                Sent::Failed(Status::FAILURE)
            }
        })
    }

    /// Takes the backend's answers.
    pub(crate) fn reap(&mut self, irql: &AtMostDispatch<'_>) -> Result<(), TxBroken> {
        let Some(link) = self.link.as_mut().filter(|_| !self.frozen) else {
            return Ok(());
        };
        let mut memory = Lent {
            pool: &link.memory,
            frame: None,
            irql,
        };
        // Frames are complete when they are on the ring, so none comes back here.
        let failed = link.engine.counters().failed_slots;
        let result = link.engine.reap(&mut memory, &mut |_: TxDone| {});
        let failed = link.engine.counters().failed_slots.wrapping_sub(failed);
        self.statistics.count_errors(failed);
        result.map(|_| ())
    }

    /// Asks for the next event; whether there are answers already.
    pub(crate) fn arm(&mut self) -> Result<bool, TxBroken> {
        let Some(link) = self.link.as_mut().filter(|_| !self.frozen) else {
            return Ok(false);
        };
        // Half of what is out is soon enough, unless lists wait for room.
        let coalesce = self.sending.is_none();
        Ok(link.engine.arm(coalesce)? == Recheck::Poll)
    }

    /// Lets the next event through; whether there is one already.
    pub(crate) fn unmask(&self, bus: &Bus, irql: &AtMostDispatch<'_>) -> bool {
        let link = self.link.as_ref().filter(|_| !self.frozen);
        link.and_then(|link| link.notifier)
            .is_some_and(|notifier| notifier.unmask(bus, irql))
    }
}

impl core::fmt::Debug for TxSide {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("TxSide")
            .field("gate", &self.gate)
            .field("waiting", &self.waiting())
            .field("connected", &self.link.is_some())
            .finish_non_exhaustive()
    }
}
