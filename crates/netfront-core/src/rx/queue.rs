//! The receive queue: posted pages beside the shared ring.

use core::fmt;

use netif::GrantRef;
use netif::extra::ExtraSlot;
use netif::rx::{RxFlags, RxRequest, RxResponse};
use ring::{Corrupt, Kick, Recheck, Response, Responses, RingPage, RxRing};

use super::packet::{Assembly, RxDrop, RxPacket};
use crate::table::{Stack, Table};
use crate::{CreateError, RING_SIZE};

/// Fewest requests published at once while the ring is not full: one packet of the longest kind
/// (17 data slots and 2 extras). Fewer can wake a backend that waits for that many and finds too
/// few, which it takes for a spurious event.
pub const REFILL_CHUNK: u32 = 19;

/// Most pages a queue holds, on the ring and beside it.
const SPARE_CAPACITY: usize = 512;

/// A page granted to the backend for writing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RxBuffer {
    /// The shell's name for the page.
    pub page: u32,
    /// Its grant.
    pub gref: GrantRef,
}

/// The shell's pool of receive pages.
pub trait RxMemory {
    /// A granted page that holds nothing of anyone's, or None when there is none now.
    fn supply(&mut self) -> Option<RxBuffer>;
}

/// The result of a refill.
#[must_use = "the backend may have to be notified"]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refill {
    /// Whether to notify the backend.
    pub kick: Kick,
    /// The pool ran dry with fewer than [`REFILL_CHUNK`] requests on the ring: refill again after
    /// a short while even if nothing happens.
    pub starved: bool,
}

/// The result of a poll.
#[must_use = "responses may be left"]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pass {
    /// Packets handed out.
    pub packets: u32,
    /// Packets dropped.
    pub dropped: u32,
    /// The budget ended the pass: poll again.
    pub more: bool,
}

/// What the backend did that ended the queue's use of this connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RxBroken {
    /// The ring's indices.
    Ring(Corrupt),
    /// A response where nothing was posted.
    EmptySlot(u16),
    /// The queue was taken down.
    Closed,
    /// The private tables contradict the ring; a fault of ours.
    Internal,
}

/// Counts since the queue was made; they wrap.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RxCounters {
    /// Packets handed out.
    pub packets: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Extra slots consumed.
    pub extras: u64,
    /// Packets dropped, by [`RxDrop`].
    pub drops: [u64; RxDrop::COUNT],
    /// Requests posted.
    pub posted: u64,
    /// Pushes that had to notify.
    pub kicks: u64,
}

impl RxCounters {
    /// Packets dropped for one reason.
    pub fn dropped(&self, reason: RxDrop) -> u64 {
        self.drops.get(reason as usize).copied().unwrap_or(0)
    }
}

/// The receive side of one queue.
pub struct RxQueue<P> {
    ring: RxRing<P>,
    /// What each ring slot's request posted; private, so that a response's `id` need not be
    /// trusted.
    posted: Table<Option<RxBuffer>>,
    /// Granted pages that are not on the ring.
    spare: Stack<RxBuffer>,
    broken: Option<RxBroken>,
    counters: RxCounters,
}

impl<P> fmt::Debug for RxQueue<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RxQueue")
            .field("ring", &self.ring)
            .field("broken", &self.broken)
            .field("counters", &self.counters)
            .finish_non_exhaustive()
    }
}

impl<P: RingPage> RxQueue<P> {
    /// Makes a queue on a page of its own, which it clears.
    pub fn new(page: P) -> Result<Self, CreateError> {
        Self::new_at(page, 0)
    }

    /// As [`RxQueue::new`] with ring indices that start at `index`; for tests of index wrap.
    pub fn new_at(page: P, index: u32) -> Result<Self, CreateError> {
        let ring = RxRing::init_at(page, index)?;
        if ring.size() != RING_SIZE {
            return Err(CreateError::RingPage);
        }
        Ok(Self {
            ring,
            posted: Table::filled(RING_SIZE as usize, None)?,
            spare: Stack::with_capacity(SPARE_CAPACITY)?,
            broken: None,
            counters: RxCounters::default(),
        })
    }

    /// Requests that the backend can use now.
    pub fn posted(&self) -> u32 {
        self.ring.published()
    }

    /// Why the queue is not in use any more.
    pub fn broken(&self) -> Option<RxBroken> {
        self.broken
    }

    /// Counts since the queue was made.
    pub fn counters(&self) -> &RxCounters {
        &self.counters
    }

    /// Takes back a page whose grant was kept, to be posted again; or gives it back when there
    /// is no use for it (the queue is full or broken).
    pub fn recycle(&mut self, buffer: RxBuffer) -> Result<(), RxBuffer> {
        // What is posted may come back to `spare` at any time, so room for it is kept.
        let held = self
            .spare
            .len()
            .saturating_add(self.ring.outstanding() as usize);
        if self.broken.is_some() || held >= SPARE_CAPACITY {
            return Err(buffer);
        }
        self.spare.push(buffer)
    }

    /// Fills the ring as far as there are pages. Publishes at least [`REFILL_CHUNK`] requests at
    /// once, unless the ring becomes full or the pages ran out and the backend has too few.
    pub fn refill(&mut self, memory: &mut impl RxMemory) -> Refill {
        let nothing = Refill {
            kick: Kick::Quiet,
            starved: false,
        };
        if self.broken.is_some() {
            return nothing;
        }
        let wanted = self.ring.free_requests();
        if wanted.saturating_add(self.ring.unpushed()) < REFILL_CHUNK {
            return nothing;
        }
        let mut dry = false;
        for _ in 0..wanted {
            let Some(buffer) = self.spare.pop().or_else(|| memory.supply()) else {
                dry = true;
                break;
            };
            if self.post(buffer).is_err() {
                self.break_with(RxBroken::Internal);
                let _ = self.spare.push(buffer);
                return nothing;
            }
        }
        let low = self.ring.published() < REFILL_CHUNK;
        let worth = self.ring.unpushed() >= REFILL_CHUNK || self.ring.free_requests() == 0 || low;
        let kick = if worth { self.ring.push() } else { Kick::Quiet };
        if kick.is_needed() {
            self.counters.kicks = self.counters.kicks.wrapping_add(1);
        }
        Refill {
            kick,
            starved: dry && self.ring.published() < REFILL_CHUNK,
        }
    }

    fn post(&mut self, buffer: RxBuffer) -> Result<(), ring::Full> {
        let slot = self.ring.slot(self.ring.next_request());
        let id = u16::try_from(slot).map_err(|_| ring::Full)?;
        let entry = self.posted.get_mut(id).ok_or(ring::Full)?;
        if entry.is_some() {
            return Err(ring::Full);
        }
        self.ring.put(
            RxRequest {
                id,
                gref: buffer.gref,
            }
            .emit(),
        )?;
        *entry = Some(buffer);
        self.counters.posted = self.counters.posted.wrapping_add(1);
        Ok(())
    }

    /// Hands out up to `budget` packets, dropped ones included. On an error, the packets handed
    /// out before it are good and the queue is broken.
    pub fn poll(
        &mut self,
        budget: u32,
        out: &mut impl FnMut(RxPacket<'_>),
    ) -> Result<Pass, RxBroken> {
        if let Some(broken) = self.broken {
            return Err(broken);
        }
        self.poll_ring(budget, out)
            .map_err(|broken| self.break_with(broken))
    }

    fn poll_ring(
        &mut self,
        budget: u32,
        out: &mut impl FnMut(RxPacket<'_>),
    ) -> Result<Pass, RxBroken> {
        let Self {
            ring,
            posted,
            spare,
            counters,
            ..
        } = self;
        let responses = ring.responses().map_err(RxBroken::Ring)?;
        let mut taker = Taker {
            responses,
            posted,
            spare,
        };
        let mut pass = Pass::default();
        while pass.packets.saturating_add(pass.dropped) < budget {
            let mut assembly = Assembly::new();
            match taker.packet(&mut assembly, counters) {
                Ok(true) => {}
                Ok(false) => return Ok(pass),
                Err(broken) => {
                    taker.recycle(&assembly)?;
                    return Err(broken);
                }
            }
            match assembly.finish() {
                Ok(packet) => {
                    counters.packets = counters.packets.wrapping_add(1);
                    counters.bytes = counters.bytes.wrapping_add(packet.length.into());
                    pass.packets = pass.packets.wrapping_add(1);
                    out(packet);
                }
                Err(reason) => {
                    if let Some(count) = counters.drops.get_mut(reason as usize) {
                        *count = count.wrapping_add(1);
                    }
                    pass.dropped = pass.dropped.wrapping_add(1);
                    taker.recycle(&assembly)?;
                }
            }
        }
        pass.more = taker.responses.left() > 0;
        Ok(pass)
    }

    /// Asks for an event at the next response.
    pub fn arm(&mut self) -> Result<Recheck, RxBroken> {
        if let Some(broken) = self.broken {
            return Err(broken);
        }
        self.ring
            .arm(1)
            .map_err(|corrupt| self.break_with(RxBroken::Ring(corrupt)))
    }

    /// Hands back every page the queue has, posted or spare, each once; their grants are the
    /// shell's to end. The queue is of no use afterwards.
    pub fn teardown(&mut self, out: &mut impl FnMut(RxBuffer)) {
        self.broken.get_or_insert(RxBroken::Closed);
        for slot in 0..self.posted.len() {
            if let Some(buffer) = self.posted.get_mut(slot).and_then(Option::take) {
                out(buffer);
            }
        }
        while let Some(buffer) = self.spare.pop() {
            out(buffer);
        }
    }

    fn break_with(&mut self, broken: RxBroken) -> RxBroken {
        *self.broken.get_or_insert(broken)
    }
}

/// Takes responses together with the pages they answer.
struct Taker<'q, P> {
    responses: Responses<'q, P, 2, 2>,
    posted: &'q mut Table<Option<RxBuffer>>,
    spare: &'q mut Stack<RxBuffer>,
}

impl<P: RingPage> Taker<'_, P> {
    /// Collects one packet; false when there is no response at all.
    fn packet(
        &mut self,
        assembly: &mut Assembly,
        counters: &mut RxCounters,
    ) -> Result<bool, RxBroken> {
        let Some(first) = self.responses.next() else {
            return Ok(false);
        };
        let mut flags = self.data(first, assembly, true)?;
        if flags.has(RxFlags::EXTRA_INFO) {
            self.extras(assembly, counters)?;
        }
        while flags.has(RxFlags::MORE_DATA) {
            let Some(next) = self.responses.next() else {
                assembly.fail(RxDrop::Truncated);
                break;
            };
            flags = self.data(next, assembly, false)?;
        }
        Ok(true)
    }

    fn data(
        &mut self,
        response: Response<2>,
        assembly: &mut Assembly,
        is_first: bool,
    ) -> Result<RxFlags, RxBroken> {
        let (id, buffer) = self.take(response.index)?;
        let response = RxResponse::parse(response.words);
        if let Some(unused) = assembly.data(response, id, buffer, is_first) {
            self.keep(unused)?;
        }
        Ok(response.flags)
    }

    /// Consumes a chain of extras; it ends with the responses at the latest.
    fn extras(
        &mut self,
        assembly: &mut Assembly,
        counters: &mut RxCounters,
    ) -> Result<(), RxBroken> {
        loop {
            let Some(response) = self.responses.next() else {
                assembly.fail(RxDrop::ExtraMissing);
                return Ok(());
            };
            let (_, buffer) = self.take(response.index)?;
            self.keep(buffer)?;
            counters.extras = counters.extras.wrapping_add(1);
            let slot = ExtraSlot(response.words);
            assembly.extra(slot);
            if !slot.more() {
                return Ok(());
            }
        }
    }

    /// The page posted at a ring index, by the queue's own record.
    fn take(&mut self, index: u32) -> Result<(u16, RxBuffer), RxBroken> {
        let slot = index & RING_SIZE.wrapping_sub(1);
        let id = u16::try_from(slot).map_err(|_| RxBroken::Internal)?;
        let entry = self.posted.get_mut(id).ok_or(RxBroken::Internal)?;
        Ok((id, entry.take().ok_or(RxBroken::EmptySlot(id))?))
    }

    fn keep(&mut self, buffer: RxBuffer) -> Result<(), RxBroken> {
        self.spare.push(buffer).map_err(|_| RxBroken::Internal)
    }

    fn recycle(&mut self, assembly: &Assembly) -> Result<(), RxBroken> {
        for fragment in assembly.fragments() {
            self.keep(fragment.buffer)?;
        }
        Ok(())
    }
}
