//! The transmit side of a queue: lists in order onto the ring.
//!
//! Frames are copied to pages that the backend may read for the whole connection, and are complete as soon as they are
//! on the ring: the backend may take its time, and reads nothing that was written later. Only if the administrator
//! wants it, and the backend is trusted, pages of long frames are granted in place; their list is complete when the
//! backend has let go of the last. Lists that find no room for [`PATIENCE`] seconds are given back.

use core::ptr;

use ndis::Status;
use ndis::chain::{Nbl, NblChain};
use ndis_sys as sys;
use netfront_core::tx::{
    Admission, Cookie, Fragment, Frame, Leak, MIN_FRAME, Multicast, SendOrder, Submission,
    SubmitError, Transition, TxBroken, TxChecksum,
};
use netif::extra::HashInfo;
use nt::irql::AtMostDispatch;
use nt::pool::OutOfMemory;
use offload::settings::Offloads;
use offload::tx::Head;
use ring::Recheck;

use super::flights::{FlightId, Flights};
use super::frame::{FrameBytes, FrameCursor};
use super::tx_link::{Lent, TxLink};
use super::tx_offload::{self, Asked};
use crate::bus::Bus;
use crate::frame_kind::Destination;
use crate::scaling;
use crate::statistics::Direction;
use crate::vlan::VlanSettings;

/// Parts of a frame that are looked at; a frame in more parts is copied.
const MAX_FRAGMENTS: usize = 24;

const NO_FRAGMENT: Fragment = Fragment {
    pfn: 0,
    offset: 0,
    len: 0,
};

/// A list of which some frames may be on the ring.
#[derive(Debug)]
struct Sending {
    list: Nbl,
    flight: FlightId,
    cursor: FrameCursor,
    /// Number of the next segment, of a frame that is cut here.
    segment: u32,
    status: Status,
}

/// How long a list waits for room, in seconds. NDIS wants progress every 22 s and each list back within 30 s (Driver
/// Verifier, `NdisTimedDataHang` and `NdisTimedDataSend`).
const PATIENCE: u32 = 15;

/// Bits of a list's reserved word: when it came, in seconds, and above it the large sends that were on then.
const SINCE: usize = 0xFFFF_FFFF;
const LARGE_V4: usize = 1 << 32;
const LARGE_V6: usize = 1 << 33;

/// Notes when lists came, in seconds, and what was on.
fn note(mut lists: NblChain, clock: u32, offloads: &Offloads) -> NblChain {
    let v4 = if offloads.lso4 { LARGE_V4 } else { 0 };
    let v6 = if offloads.lso6 { LARGE_V6 } else { 0 };
    let mut noted = NblChain::new();
    while let Some(mut list) = lists.pop_front() {
        let [word, _] = list.reserved_mut();
        *word = ptr::without_provenance_mut(clock as usize | v4 | v6);
        noted.push_back(list);
    }
    noted
}

fn since(list: &Nbl) -> u32 {
    let [word, _] = list.reserved();
    u32::try_from(word.addr() & SINCE).unwrap_or(u32::MAX)
}

/// Large sends that were on when a list was handed over: IPv4, IPv6.
fn large_sends(list: &Nbl) -> [bool; 2] {
    let [word, _] = list.reserved();
    [LARGE_V4, LARGE_V6].map(|bit| word.addr() & bit != 0)
}

/// What became of a frame.
enum Sent {
    Done,
    /// A segment of it is sent, and others are not.
    Part,
    Failed(Status),
    /// No room: later.
    Busy,
}

/// What came back.
#[derive(Debug, Default)]
pub(crate) struct Reaped {
    /// Lists that are complete.
    pub(crate) done: NblChain,
    /// The last list that a pause waits for is among them.
    pub(crate) drained: bool,
    /// The backend broke the protocol.
    pub(crate) broken: Option<TxBroken>,
}

/// The transmit side; under the queue's transmit lock.
pub(crate) struct TxSide {
    /// Why no list is taken, if so.
    gate: Option<Status>,
    waiting: NblChain,
    /// Lists that wait for what was steered before them, on other queues too.
    held: NblChain,
    order: SendOrder,
    sending: Option<Sending>,
    flights: Flights,
    /// The adapter is pausing and waits for lists under way.
    draining: bool,
    pub(crate) link: Option<TxLink>,
    pub(crate) statistics: Direction,
    /// Longest frame taken since the start, with header.
    max_frame: u32,
    vlan: VlanSettings,
    /// Offloads in force.
    pub(crate) offloads: Offloads,
    /// Events for completions are held back while nothing waits for them.
    pub(crate) moderation: bool,
    /// The domain is being suspended: the ring is left alone.
    pub(crate) frozen: bool,
    /// Seconds, as of the last look for old lists.
    clock: u32,
}

impl TxSide {
    /// Closed, without connection.
    #[inline(never)]
    pub(crate) fn try_new(max_frame: u32, vlan: VlanSettings) -> Result<Self, OutOfMemory> {
        Ok(Self {
            gate: Some(Status::PAUSED),
            waiting: NblChain::new(),
            held: NblChain::new(),
            order: SendOrder::default(),
            sending: None,
            flights: Flights::try_new()?,
            draining: false,
            link: None,
            statistics: Direction::default(),
            max_frame,
            vlan,
            offloads: Offloads::default(),
            moderation: true,
            frozen: false,
            clock: 0,
        })
    }

    /// Takes frames of at least this many bytes, with header, without tag.
    pub(crate) fn take_longer(&mut self, longest: u32) {
        self.max_frame = self.max_frame.max(longest);
    }

    /// Opens or closes for lists. The lists that closing leaves behind are to be completed.
    #[must_use]
    pub(crate) fn set_gate(&mut self, gate: Option<Status>) -> NblChain {
        self.gate = gate;
        gate.map_or_else(NblChain::new, |status| self.give_up(status))
    }

    /// Takes everything not yet on the ring, with this status. A list of which frames are there
    /// stays until they come back.
    #[must_use]
    pub(crate) fn give_up(&mut self, status: Status) -> NblChain {
        let mut left = core::mem::take(&mut self.waiting);
        left.append(core::mem::take(&mut self.held));
        left.set_status(status);
        self.statistics.count_discards(left.len().into());
        if let Some(Sending { list, flight, .. }) = self.sending.take() {
            self.statistics.count_discards(1);
            self.flights.end(flight, list, status, &mut left);
        }
        left
    }

    /// Takes lists that have waited for [`PATIENCE`] at `now`, in seconds. Not one of which all frames are on the ring.
    #[must_use]
    pub(crate) fn give_up_old(&mut self, now: u32) -> NblChain {
        self.clock = now;
        let is_old = |list: &Nbl| now.saturating_sub(since(list)) >= PATIENCE;
        let mut old = self.waiting.extract_if(is_old);
        old.append(self.held.extract_if(is_old));
        old.set_status(Status::RESOURCES);
        let half = self.sending.take_if(|sending| is_old(&sending.list));
        if let Some(Sending { list, flight, .. }) = half {
            let mut half = NblChain::new();
            self.flights.end(flight, list, Status::RESOURCES, &mut half);
            half.append(old);
            old = half;
        }
        self.statistics.count_discards(old.len().into());
        old
    }

    /// A pause begins: whether it waits for lists under way.
    pub(crate) fn begin_drain(&mut self) -> bool {
        self.draining = self.flights.parked() > 0;
        self.draining
    }

    /// Whether the last list that a pause waits for has just come back; told once.
    fn end_drain(&mut self) -> bool {
        let drained = self.draining && self.flights.parked() == 0;
        if drained {
            self.draining = false;
        }
        drained
    }

    /// Lists that wait for room.
    pub(crate) fn waiting(&self) -> u32 {
        self.waiting
            .len()
            .saturating_add(self.held.len())
            .saturating_add(u32::from(self.sending.is_some()))
    }

    /// Takes lists to send that were steered by this generation, and returns those that are complete; all of them, as an
    /// error, when they must be steered again.
    pub(crate) fn send(
        &mut self,
        mut lists: NblChain,
        generation: u16,
        bus: &Bus,
        irql: &AtMostDispatch<'_>,
    ) -> Result<NblChain, NblChain> {
        let refusal = self.gate.or_else(|| {
            let up = self.link.as_ref().is_some_and(|link| link.enabled);
            (!up).then_some(Status::FAILURE)
        });
        if let Some(status) = refusal {
            lists.set_status(status);
            self.statistics.count_discards(lists.len().into());
            return Ok(lists);
        }
        self.let_held_go_before(generation);
        let lists = note(lists, self.clock, &self.offloads);
        match self.order.admit(generation) {
            Admission::Now => self.waiting.append(lists),
            Admission::Later => self.held.append(lists),
            Admission::Stale => return Err(lists),
        }
        Ok(self.pump(bus, irql))
    }

    /// The steering has changed.
    pub(crate) fn begin_order(&mut self, generation: u16) {
        self.let_held_go_before(generation);
        self.order.begin(generation);
    }

    /// What is held for an earlier change goes before a later one begins.
    fn let_held_go_before(&mut self, generation: u16) {
        if self.order.is_overtaken_by(generation) {
            self.waiting.append(core::mem::take(&mut self.held));
        }
    }

    /// The connection begins or ends.
    pub(crate) fn reset_order(&mut self, transition: &Transition) {
        self.order.reset(transition);
        self.waiting.append(core::mem::take(&mut self.held));
    }

    /// Looks whether a change of the steering is over, and whether this queue's part of it is. True when that is to be
    /// reported.
    #[must_use]
    pub(crate) fn keep_order(&mut self, transition: &Transition) -> bool {
        if self.order.release(transition) {
            self.waiting.append(core::mem::take(&mut self.held));
        }
        let nothing_out = self
            .link
            .as_ref()
            .is_none_or(|link| link.engine.in_flight() == 0);
        let old_left = !self.waiting.is_empty() || self.sending.is_some() || !nothing_out;
        !old_left && self.order.old_is_done()
    }

    /// Takes the lists that `MiniportCancelSend` names.
    #[must_use]
    pub(crate) fn cancel(&mut self, id: u64) -> NblChain {
        let mut cancelled = self.waiting.extract_if(|list| list.cancel_id() == id);
        cancelled.append(self.held.extract_if(|list| list.cancel_id() == id));
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
        while let Some(mut sending) = self.sending.take().or_else(|| self.next_list()) {
            if !self.put(&mut link, &mut sending, irql) {
                self.sending = Some(sending);
                break;
            }
            let Sending {
                mut list,
                flight,
                status,
                ..
            } = sending;
            tx_offload::large_send_done(&mut list);
            self.flights.end(flight, list, status, &mut done);
        }
        link.push(bus, irql);
        self.link = Some(link);
        done
    }

    /// Takes the next list that waits.
    fn next_list(&mut self) -> Option<Sending> {
        if self.waiting.is_empty() {
            return None;
        }
        // There always is one: one more than frames can be on the ring.
        let flight = self.flights.begin()?;
        let list = self.waiting.pop_front()?;
        Some(Sending {
            cursor: FrameCursor::first(&list),
            segment: 0,
            list,
            flight,
            status: Status::SUCCESS,
        })
    }

    /// Puts frames of a list on the ring; false when there was no room for all.
    fn put(&mut self, link: &mut TxLink, sending: &mut Sending, irql: &AtMostDispatch<'_>) -> bool {
        loop {
            match self.put_frame(link, sending, irql) {
                Some(Sent::Done) => {}
                Some(Sent::Part) => {
                    sending.segment = sending.segment.saturating_add(1);
                    continue;
                }
                Some(Sent::Failed(status)) => {
                    self.statistics.count_errors(1);
                    sending.status = status;
                }
                Some(Sent::Busy) => return false,
                None => return true,
            }
            sending.segment = 0;
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
        let whole = sending.cursor.frame(&sending.list)?;
        let asked = Asked::of(&sending.list, self.vlan);
        if whole.length < MIN_FRAME || (!asked.is_large() && whole.length > self.max_frame) {
            return Some(Sent::Failed(Status::INVALID_LENGTH));
        }
        let mut address = [0; 6];
        if whole.first(&mut address, irql).is_err() {
            return Some(Sent::Failed(Status::RESOURCES));
        }
        let mut head = Head::default();
        let prepared = asked.prepare(
            &whole,
            &mut head,
            sending.segment,
            &self.limits(link, &sending.list),
            irql,
        );
        let ready = match prepared {
            Ok(ready) => ready,
            Err(status) => return Some(Sent::Failed(status)),
        };
        let mut bytes = whole.with_head(head.changed(), ready.from, ready.body);
        let length = bytes.wire_length();
        let mut fragments = [NO_FRAGMENT; MAX_FRAGMENTS];
        let fragments = bytes.fragments(&mut fragments);
        let frame = Frame {
            length,
            fragments,
            checksum: ready.checksum,
            gso: ready.gso,
            hash: sending.list.hash().and_then(|(value, info)| {
                let hash_type = info & sys::NDIS_HASH_TYPE_MASK;
                Some(HashInfo::toeplitz(scaling::kind(hash_type)?, value))
            }),
        };
        let mut memory = Lent {
            pool: &link.memory,
            frame: Some(&mut bytes),
            irql,
        };
        let cookie = sending.flight.cookie();
        let submitted = link.engine.submit(&frame, cookie, &mut memory);
        if submitted == Ok(Submission::InFlight) {
            self.flights.add_frame(sending.flight);
        }
        Some(match submitted {
            Ok(Submission::Busy) => Sent::Busy,
            Ok(Submission::Copied | Submission::InFlight) => {
                let again = ready.header.saturating_mul(ready.frames.saturating_sub(1));
                let bytes = u64::from(length).saturating_add(again.into());
                let to = Destination::of(address);
                self.statistics.count_many(to, ready.frames.into(), bytes);
                if ready.more { Sent::Part } else { Sent::Done }
            }
            Err(SubmitError::CopyFailed) => Sent::Failed(Status::RESOURCES),
            Err(SubmitError::Rejected(_) | SubmitError::Invalid(_) | SubmitError::Broken) => {
                Sent::Failed(Status::FAILURE)
            }
        })
    }

    fn limits(&self, link: &TxLink, list: &Nbl) -> tx_offload::Limits {
        tx_offload::Limits {
            large_sends: large_sends(list),
            able: tx_offload::able(link.engine.policy().backend),
            max_frame: self.max_frame,
        }
    }

    /// Tells the backend of a multicast change; whether there was room.
    pub(crate) fn tell_multicast(
        &mut self,
        change: Multicast,
        bus: &Bus,
        irql: &AtMostDispatch<'_>,
    ) -> bool {
        let frozen = self.frozen;
        let link = self.link.as_mut().filter(|link| link.enabled && !frozen);
        let Some(link) = link else {
            return false;
        };
        let submitted = link.engine.submit_multicast(change);
        link.push(bus, irql);
        submitted == Ok(Submission::Copied)
    }

    /// Sends a frame of ours of at most 128 bytes, if there is room.
    pub(crate) fn send_own(&mut self, frame: &[u8], bus: &Bus, irql: &AtMostDispatch<'_>) {
        let frozen = self.frozen;
        let link = self.link.as_mut().filter(|link| link.enabled && !frozen);
        let Some(link) = link else {
            return;
        };
        let mut head = Head::default();
        let place = head.fill(frame.len());
        place.copy_from_slice(frame.get(..place.len()).unwrap_or_default());
        head.take_all();
        if let Some(tag) = self.vlan.outgoing(0) {
            head.insert_tag(tag);
            head.take_all();
        }
        let mut bytes = FrameBytes::own(head.changed());
        let length = bytes.wire_length();
        let mut memory = Lent {
            pool: &link.memory,
            frame: Some(&mut bytes),
            irql,
        };
        let frame = Frame {
            length,
            fragments: &[],
            checksum: TxChecksum::Complete,
            gso: None,
            hash: None,
        };
        // Copied whole, so the cookie does not come back. Nothing is lost if there is no room: it is
        // sent again later.
        let sent = link.engine.submit(&frame, Cookie(usize::MAX), &mut memory);
        if sent == Ok(Submission::Copied) {
            self.statistics.count(Destination::Multicast, length);
        }
        link.push(bus, irql);
    }

    /// Takes the backend's answers.
    pub(crate) fn reap(&mut self, irql: &AtMostDispatch<'_>) -> Reaped {
        let mut reaped = Reaped::default();
        if self.frozen {
            return reaped;
        }
        let Some(link) = &mut self.link else {
            return reaped;
        };
        let mut memory = Lent {
            pool: &link.memory,
            frame: None,
            irql,
        };
        let failed = link.engine.counters().failed_slots;
        let flights = &mut self.flights;
        let done = &mut reaped.done;
        let result = link
            .engine
            .reap(&mut memory, &mut |frame| flights.frame_done(frame, done));
        reaped.broken = result.err();
        let failed = link.engine.counters().failed_slots.wrapping_sub(failed);
        self.statistics.count_errors(failed);
        reaped.drained = self.end_drain();
        reaped
    }

    /// Takes back all that a connection has, which has ended.
    pub(crate) fn take_down(&mut self, link: &mut TxLink, irql: &AtMostDispatch<'_>) -> Reaped {
        let mut reaped = Reaped::default();
        let mut memory = Lent {
            pool: &link.memory,
            frame: None,
            irql,
        };
        let flights = &mut self.flights;
        let done = &mut reaped.done;
        let left = link
            .engine
            .teardown(&mut memory, &mut |frame| flights.frame_done(frame, done));
        if left > 0 {
            // Only of pages in place, which the administrator wanted: the backend can only read them, and is trusted
            // with others of the guest; a list that is never complete would stop every pause.
            nt::log_warn!("the backend keeps pages of {left} frames");
            link.engine.abandon(&mut |_: Leak| {}, &mut |frame| {
                flights.frame_done(frame, done);
            });
        }
        reaped.drained = self.end_drain();
        reaped
    }

    /// Asks for the next event; whether there are answers already.
    pub(crate) fn arm(&mut self) -> Result<bool, TxBroken> {
        let Some(link) = self.link.as_mut().filter(|_| !self.frozen) else {
            return Ok(false);
        };
        // Half of what is out is soon enough, unless lists wait for room, or for all of it.
        let coalesce = self.moderation && self.sending.is_none() && !self.order.is_holding();
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
