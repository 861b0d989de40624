//! The transmit queue: private slot table beside the shared ring.

use core::fmt;

use netif::GrantRef;
use netif::extra::{Extra, ExtraSlot};
use netif::features::Features;
use netif::tx::{TxFlags, TxRequest, TxResponse, TxStatus};
use ring::{Kick, Recheck, RingPage, TxRing};

use super::completion::{Leak, PacketId, Packets, TxDone, TxOutcome};
use super::lent::{
    CopyFailed, Multicast, Submission, SubmitError, TxBroken, TxCounters, TxMemory, TxResources,
};
use super::plan::{self, Frame, Plan, PlannedSlot, Source, TxPolicy};
use super::validate::{TxSlot, validate};
use super::{Cookie, HEADER_PAGES, MAX_BOUNCE_PAGES, MIN_BOUNCE_PAGES, TxId};
use crate::table::{Stack, Table, free_numbers};
use crate::{CreateError, RING_SIZE};

/// What a slot holds until it is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Holding {
    Header,
    /// As a header; it carries a multicast change.
    Multicast,
    Bounce(u16),
    InPlace,
}

/// Private state of a slot; the ring is never read to learn it.
#[derive(Clone, Copy, Debug)]
enum Slot {
    Free,
    /// On the ring, unanswered. Frames copied whole have no record.
    Pending(Holding, Option<PacketId>),
    /// Answered, but its page is still mapped.
    Stuck(Option<PacketId>),
}

/// The transmit side of one queue.
pub struct TxQueue<P> {
    ring: TxRing<P>,
    policy: TxPolicy,
    slots: Table<Slot>,
    free_ids: Stack<u16>,
    packets: Packets,
    headers: Table<GrantRef>,
    bounce: Table<GrantRef>,
    free_bounce: Stack<u16>,
    in_place: Table<GrantRef>,
    extras_pending: u32,
    broken: Option<TxBroken>,
    counters: TxCounters,
}

impl<P> fmt::Debug for TxQueue<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TxQueue")
            .field("ring", &self.ring)
            .field("extras_pending", &self.extras_pending)
            .field("broken", &self.broken)
            .field("counters", &self.counters)
            .finish_non_exhaustive()
    }
}

/// A packet's slots in ring order, built in private memory.
struct Build {
    slots: [TxSlot; plan::MAX_SLOTS],
    count: usize,
}

impl Build {
    fn new() -> Self {
        Self {
            slots: [TxSlot::Data(TxRequest::default()); plan::MAX_SLOTS],
            count: 0,
        }
    }

    fn push(&mut self, slot: TxSlot) {
        if let Some(entry) = self.slots.get_mut(self.count) {
            *entry = slot;
        }
        // Counting on past the end makes `packet` come out empty, which the validator refuses.
        self.count = self.count.saturating_add(1);
    }

    fn packet(&self) -> &[TxSlot] {
        self.slots.get(..self.count).unwrap_or_default()
    }
}

impl<P: RingPage> TxQueue<P> {
    /// Makes a queue on a page of its own, which it clears.
    pub fn new(
        page: P,
        resources: &TxResources<'_>,
        policy: TxPolicy,
    ) -> Result<Self, CreateError> {
        Self::new_at(page, resources, policy, 0)
    }

    /// As [`TxQueue::new`] with ring indices that start at `index`; for tests of index wrap.
    pub fn new_at(
        page: P,
        resources: &TxResources<'_>,
        policy: TxPolicy,
        index: u32,
    ) -> Result<Self, CreateError> {
        let TxResources {
            headers,
            bounce,
            in_place,
        } = *resources;
        let bounce = bounce
            .get(..bounce.len().min(MAX_BOUNCE_PAGES))
            .unwrap_or_default();
        let ids = u16::try_from(RING_SIZE).map_err(|_| CreateError::RingPage)?;
        if headers.len() < HEADER_PAGES
            || bounce.len() < MIN_BOUNCE_PAGES
            || (policy.in_place && in_place.len() < usize::from(ids))
        {
            return Err(CreateError::TooFewGrants);
        }
        let bounce_pages = u16::try_from(bounce.len()).map_err(|_| CreateError::TooFewGrants)?;
        let ring = TxRing::init_at(page, index)?;
        if ring.size() != RING_SIZE {
            return Err(CreateError::RingPage);
        }
        Ok(Self {
            ring,
            policy,
            slots: Table::filled(ids.into(), Slot::Free)?,
            free_ids: free_numbers(ids)?,
            packets: Packets::new(ids)?,
            headers: Table::from_values(headers.iter().copied())?,
            bounce: Table::from_values(bounce.iter().copied())?,
            free_bounce: free_numbers(bounce_pages)?,
            in_place: Table::from_values(in_place.iter().copied())?,
            extras_pending: 0,
            broken: None,
            counters: TxCounters::default(),
        })
    }

    /// Whether any frame can be submitted without being told [`Submission::Busy`].
    pub fn has_room(&self) -> bool {
        self.ring.free_requests() as usize >= plan::MAX_SLOTS
            && self.free_ids.len() >= plan::MAX_SLOTS
            && self.free_bounce.len() >= MIN_BOUNCE_PAGES
            && self.packets.has_room()
    }

    /// Slots on the ring whose response was not reaped; 0 when the backend owes nothing.
    pub fn in_flight(&self) -> u32 {
        self.ring.outstanding()
    }

    /// Frames whose cookie has not come back.
    pub fn frames_in_flight(&self) -> usize {
        self.packets.in_use()
    }

    /// Why the queue is not in use any more.
    pub fn broken(&self) -> Option<TxBroken> {
        self.broken
    }

    /// Counts since the queue was made.
    pub fn counters(&self) -> TxCounters {
        self.counters
    }

    /// What the queue's plans follow.
    pub fn policy(&self) -> TxPolicy {
        self.policy
    }

    /// The connection has no control ring, whatever the backend offers: no HASH extras.
    pub fn leave_hashes_out(&mut self) {
        self.policy.backend = self.policy.backend.without(Features::CTRL_RING);
    }

    /// Puts a frame on the ring, to be published by the next [`TxQueue::push`].
    pub fn submit(
        &mut self,
        frame: &Frame<'_>,
        cookie: Cookie,
        memory: &mut impl TxMemory,
    ) -> Result<Submission, SubmitError> {
        if self.broken.is_some() {
            return Err(SubmitError::Broken);
        }
        let plan = plan::plan(frame, self.policy, self.free_bounce.len())
            .map_err(SubmitError::Rejected)?;
        let Some(plan) = plan.filter(|plan| self.fits(plan)) else {
            self.counters.busy = self.counters.busy.wrapping_add(1);
            return Ok(Submission::Busy);
        };
        let mut build = Build::new();
        if self.build(&plan, memory, &mut build).is_err() {
            self.release(&build);
            return Err(SubmitError::CopyFailed);
        }
        if let Err(violation) = validate(build.packet(), self.policy.backend) {
            self.release(&build);
            return Err(SubmitError::Invalid(violation));
        }
        Ok(self.commit(&plan, &build, cookie, memory))
    }

    /// Asks the backend to change its multicast list; only with
    /// [`Features::MULTICAST_CONTROL`](netif::features::Features::MULTICAST_CONTROL), and on queue 0 only, since netback does not lock the list.
    pub fn submit_multicast(&mut self, change: Multicast) -> Result<Submission, SubmitError> {
        if self.broken.is_some() {
            return Err(SubmitError::Broken);
        }
        if self.ring.free_requests() < 2 {
            return Ok(Submission::Busy);
        }
        let Some(id) = self.free_ids.pop() else {
            return Ok(Submission::Busy);
        };
        let (gref, offset) = self.header_place(TxId(id));
        // netback looks at neither the grant nor the bytes, only at the length, for its rate limit.
        let flags = TxFlags::EXTRA_INFO;
        let size = 14;
        let mut build = Build::new();
        build.push(TxSlot::Data(TxRequest {
            gref,
            offset,
            flags,
            id,
            size,
        }));
        let extra = match change {
            Multicast::Add(address) => Extra::McastAdd(address),
            Multicast::Remove(address) => Extra::McastDel(address),
        };
        build.push(TxSlot::Extra(ExtraSlot::emit(extra, false)));
        if let Err(violation) = validate(build.packet(), self.policy.backend) {
            let _ = self.free_ids.push(id);
            return Err(SubmitError::Invalid(violation));
        }
        self.set_slot(id, Slot::Pending(Holding::Multicast, None));
        self.put(&build);
        Ok(Submission::Copied)
    }

    /// Publishes what was submitted since the last push.
    pub fn push(&mut self) -> Kick {
        if self.broken.is_some() || self.ring.unpushed() == 0 {
            return Kick::Quiet;
        }
        let kick = self.ring.push();
        let count = if kick.is_needed() {
            &mut self.counters.kicks
        } else {
            &mut self.counters.quiet_pushes
        };
        *count = count.wrapping_add(1);
        kick
    }

    /// Takes the responses that are there and hands back finished frames.
    ///
    /// Bounded by the ring's size. On an error the queue is broken, and the frames it did not
    /// hand back wait for [`TxQueue::teardown`].
    pub fn reap(
        &mut self,
        memory: &mut impl TxMemory,
        done: &mut impl FnMut(TxDone),
    ) -> Result<u32, TxBroken> {
        if let Some(broken) = self.broken {
            return Err(broken);
        }
        let mut reaped = 0_u32;
        loop {
            // One response at a time keeps the ring free for `answer`; `rsp_prod` is read once.
            let responses = self.ring.responses().map_err(TxBroken::Ring);
            let mut responses = match responses {
                Ok(responses) => responses,
                Err(broken) => return Err(self.break_with(broken)),
            };
            let mut batch = [None; 32];
            for entry in &mut batch {
                *entry = responses.next();
            }
            let more = responses.left() > 0;
            for response in batch.into_iter().flatten() {
                reaped = reaped.wrapping_add(1);
                self.counters.responses = self.counters.responses.wrapping_add(1);
                if let Err(broken) = self.answer(TxResponse::parse(response.words), memory, done) {
                    return Err(self.break_with(broken));
                }
            }
            if !more {
                return Ok(reaped);
            }
        }
    }

    /// Asks for an event at the next response, or with `coalesce` once half of what is out is
    /// answered; the caller then owes a timer, or reaps on other occasions.
    pub fn arm(&mut self, coalesce: bool) -> Result<Recheck, TxBroken> {
        if let Some(broken) = self.broken {
            return Err(broken);
        }
        let half = self.ring.published() >> 1;
        let distance = if coalesce { half.saturating_add(1) } else { 1 };
        self.ring
            .arm(distance)
            .map_err(|corrupt| self.break_with(TxBroken::Ring(corrupt)))
    }

    /// Hands back every frame whose pages can be taken from the backend; how many are left.
    ///
    /// Call it when the backend has let go (or time is up), after the event channel is closed;
    /// again later while frames are left. The queue is of no use afterwards.
    pub fn teardown(&mut self, memory: &mut impl TxMemory, done: &mut impl FnMut(TxDone)) -> usize {
        self.broken.get_or_insert(TxBroken::Closed);
        for id in 0..self.slots.len() {
            let Ok(id) = u16::try_from(id) else { break };
            let packet = match self.slots.get(id) {
                Some(Slot::Pending(Holding::InPlace, packet) | Slot::Stuck(packet)) => {
                    let gref = self.in_place.get(id).unwrap_or_default();
                    if memory.revoke(gref).is_err() {
                        self.set_slot(id, Slot::Stuck(packet));
                        continue;
                    }
                    packet
                }
                Some(Slot::Pending(_, packet)) => packet,
                Some(Slot::Free) | None => continue,
            };
            self.set_slot(id, Slot::Free);
            self.finish_slot(packet, TxOutcome::Aborted, done);
        }
        self.packets.in_use()
    }

    /// Gives up on what [`TxQueue::teardown`] left: names the pages that are lost, and hands
    /// back their frames as [`TxOutcome::StillMapped`].
    pub fn abandon(&mut self, leak: &mut impl FnMut(Leak), done: &mut impl FnMut(TxDone)) {
        self.broken.get_or_insert(TxBroken::Closed);
        for id in 0..self.slots.len() {
            let Ok(id) = u16::try_from(id) else { break };
            let (packet, outcome) = match self.slots.get(id) {
                Some(Slot::Stuck(packet) | Slot::Pending(Holding::InPlace, packet)) => {
                    let gref = self.in_place.get(id).unwrap_or_default();
                    if let Some(cookie) = packet.and_then(|packet| self.packets.cookie(packet)) {
                        leak(Leak { cookie, gref });
                    }
                    (packet, TxOutcome::StillMapped)
                }
                Some(Slot::Pending(_, packet)) => (packet, TxOutcome::Aborted),
                Some(Slot::Free) | None => continue,
            };
            self.set_slot(id, Slot::Free);
            self.finish_slot(packet, outcome, done);
        }
    }
}

/// Building a packet.
impl<P: RingPage> TxQueue<P> {
    fn fits(&self, plan: &Plan) -> bool {
        let slots = plan.slots().len();
        let with_extras = slots.saturating_add(plan.extras().count());
        self.ring.free_requests() as usize >= with_extras
            && self.free_ids.len() >= slots
            && self.free_bounce.len() >= plan.bounce_pages()
            && self.packets.has_room()
    }

    /// Takes ids and bounce pages, copies, and builds the slots. On an error `build` has what was
    /// taken so far.
    #[inline(never)]
    fn build(
        &mut self,
        plan: &Plan,
        memory: &mut impl TxMemory,
        build: &mut Build,
    ) -> Result<(), CopyFailed> {
        let last = plan.slots().len().saturating_sub(1);
        let extras = plan.extras().count();
        for (nth, slot) in plan.slots().iter().enumerate() {
            let mut flags = if nth == 0 {
                plan.flags
            } else {
                TxFlags::default()
            };
            if nth != last {
                flags = flags.with(TxFlags::MORE_DATA);
            }
            if nth == 0 && extras > 0 {
                flags = flags.with(TxFlags::EXTRA_INFO);
            }
            let size = if nth == 0 { plan.length } else { slot.len };
            let (id, gref, offset, holding) = self.place(slot).ok_or(CopyFailed)?;
            self.set_slot(id, Slot::Pending(holding, None));
            build.push(TxSlot::Data(TxRequest {
                gref,
                offset,
                flags,
                id,
                size,
            }));
            match holding {
                Holding::Header => memory.copy_header(TxId(id), slot.from, slot.len)?,
                Holding::Bounce(page) => memory.copy_bounce(page, slot.from, slot.len)?,
                Holding::InPlace | Holding::Multicast => {}
            }
            if nth == 0 {
                for (nth, extra) in plan.extras().enumerate() {
                    let more = nth.saturating_add(1) < extras;
                    build.push(TxSlot::Extra(ExtraSlot::emit(extra, more)));
                }
            }
        }
        Ok(())
    }

    /// An id, and where the slot's bytes are.
    fn place(&mut self, slot: &PlannedSlot) -> Option<(u16, GrantRef, u16, Holding)> {
        let id = self.free_ids.pop()?;
        Some(match slot.source {
            Source::Header => {
                let (gref, offset) = self.header_place(TxId(id));
                (id, gref, offset, Holding::Header)
            }
            Source::Bounce => {
                let Some(page) = self.free_bounce.pop() else {
                    let _ = self.free_ids.push(id);
                    return None;
                };
                (id, self.bounce.get(page)?, 0, Holding::Bounce(page))
            }
            Source::Page { .. } => (id, self.in_place.get(id)?, slot.offset, Holding::InPlace),
        })
    }

    fn header_place(&self, id: TxId) -> (GrantRef, u16) {
        (
            self.headers.get(id.header_page()).unwrap_or_default(),
            id.header_offset(),
        )
    }

    /// Undoes [`TxQueue::build`].
    fn release(&mut self, build: &Build) {
        for slot in build.packet() {
            if let TxSlot::Data(request) = slot {
                self.free_slot(request.id);
            }
        }
    }

    /// Grants the pages in place and puts the packet on the ring.
    #[inline(never)]
    fn commit(
        &mut self,
        plan: &Plan,
        build: &Build,
        cookie: Cookie,
        memory: &mut impl TxMemory,
    ) -> Submission {
        let slots = u8::try_from(plan.slots().len()).unwrap_or(u8::MAX);
        let packet = if plan.is_copy() {
            None
        } else {
            self.packets.add(cookie, slots)
        };
        let requests = build.packet().iter().filter_map(|slot| match slot {
            TxSlot::Data(request) => Some(request),
            TxSlot::Extra(_) => None,
        });
        let mut in_place = 0_u64;
        for (slot, request) in plan.slots().iter().zip(requests) {
            if let Some(Slot::Pending(_, owner)) = self.slots.get_mut(request.id) {
                *owner = packet;
            }
            if let Source::Page { pfn } = slot.source {
                memory.grant(request.gref, pfn);
                in_place = in_place.wrapping_add(1);
            }
        }
        self.put(build);
        let counters = &mut self.counters;
        counters.frames = counters.frames.wrapping_add(1);
        counters.bytes = counters.bytes.wrapping_add(plan.length.into());
        counters.pages_in_place = counters.pages_in_place.wrapping_add(in_place);
        counters.bounce_pages = counters
            .bounce_pages
            .wrapping_add(plan.bounce_pages() as u64);
        if packet.is_some() {
            return Submission::InFlight;
        }
        counters.copied_frames = counters.copied_frames.wrapping_add(1);
        Submission::Copied
    }

    /// Copies the slots to the ring. Room was checked, so a full ring is a fault of ours; the
    /// frame then comes back from `teardown`.
    fn put(&mut self, build: &Build) {
        for slot in build.packet() {
            if self.ring.put(slot.words()).is_err() {
                self.break_with(TxBroken::Internal);
                return;
            }
            if matches!(slot, TxSlot::Extra(_)) {
                self.extras_pending = self.extras_pending.saturating_add(1);
            }
        }
    }
}

/// Taking a packet apart.
impl<P: RingPage> TxQueue<P> {
    fn answer(
        &mut self,
        response: TxResponse,
        memory: &mut impl TxMemory,
        done: &mut impl FnMut(TxDone),
    ) -> Result<(), TxBroken> {
        let is_multicast = matches!(
            self.slots.get(response.id),
            Some(Slot::Pending(Holding::Multicast, _))
        );
        let outcome = match response.status {
            TxStatus::Null => {
                self.extras_pending = self
                    .extras_pending
                    .checked_sub(1)
                    .ok_or(TxBroken::UnexpectedNull)?;
                return Ok(());
            }
            TxStatus::Okay => TxOutcome::Sent,
            TxStatus::Error | TxStatus::Dropped | TxStatus::Other(_) if is_multicast => {
                self.counters.refused_groups = self.counters.refused_groups.wrapping_add(1);
                TxOutcome::Failed
            }
            TxStatus::Error | TxStatus::Dropped | TxStatus::Other(_) => {
                self.counters.failed_slots = self.counters.failed_slots.wrapping_add(1);
                TxOutcome::Failed
            }
        };
        let id = response.id;
        let packet = match self.slots.get(id).ok_or(TxBroken::IdRange(id))? {
            Slot::Free | Slot::Stuck(_) => return Err(TxBroken::NotPending(id)),
            Slot::Pending(holding, packet) => {
                let gref = self.in_place.get(id).unwrap_or_default();
                if holding == Holding::InPlace && memory.revoke(gref).is_err() {
                    self.set_slot(id, Slot::Stuck(packet));
                    return Err(TxBroken::StillMapped(id));
                }
                packet
            }
        };
        self.free_slot(id);
        self.finish_slot(packet, outcome, done);
        Ok(())
    }

    /// Gives back a slot's id and bounce page.
    fn free_slot(&mut self, id: u16) {
        if let Some(Slot::Pending(Holding::Bounce(page), _)) = self.slots.get(id) {
            let _ = self.free_bounce.push(page);
        }
        self.set_slot(id, Slot::Free);
        let _ = self.free_ids.push(id);
    }

    fn finish_slot(
        &mut self,
        packet: Option<PacketId>,
        outcome: TxOutcome,
        done: &mut impl FnMut(TxDone),
    ) {
        if let Some(frame) = packet.and_then(|packet| self.packets.slot_done(packet, outcome)) {
            done(frame);
        }
    }

    fn set_slot(&mut self, id: u16, slot: Slot) {
        if let Some(entry) = self.slots.get_mut(id) {
            *entry = slot;
        }
    }

    fn break_with(&mut self, broken: TxBroken) -> TxBroken {
        *self.broken.get_or_insert(broken)
    }
}
