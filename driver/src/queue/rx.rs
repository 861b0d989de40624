//! The receive side of a queue: filled pages into lists.
//!
//! Small frames are copied to a page of ours and the backend's page is posted again with the grant
//! it has; of larger ones the pages are taken back before anything looks at them, and lent to the
//! system as they are.

use ndis::chain::{Nbl, RxChain};
use ndis_sys as sys;
use netfront_core::rx::{
    MAX_FRAGMENTS, MAX_FRAME, REFILL_CHUNK, RxBroken, RxBuffer, RxFragment, RxPacket,
};
use nt::irql::AtMostDispatch;
use nt::pool::{OutOfMemory, Pages};
use offload::HEAD_BYTES;
use offload::rx::{self as rules, Deliver, Plan, Wanted};
use offload::settings::Offloads;
use ring::Recheck;
use rss::{Steered, Steering};

use super::QueueSpec;
use super::cutting::{Large, Progress};
use super::rx_link::{PageGrants, RxLink, Supply};
use super::rx_offload;
use super::steering::{self, HashTables};
use super::stock::{Piece, Stock};
use crate::adapter::NdisHandle;
use crate::bus::Bus;
use crate::frame_kind::{Destination, Filter};
use crate::shared_page::{PAGE_BYTES, address_at, copy, move_up};
use crate::statistics::{Coalescing, Direction};
use crate::vlan::{Incoming, TAG_BYTES, TAG_PLACE, TAG_TYPE, VlanSettings};

/// Frames of at most this many bytes are copied.
const COPY_BREAK: u32 = 256;
/// Frames handed out in one pass; segments of a frame that is cut are frames.
const BUDGET: u32 = 128;
/// With fewer free pages than this the system is asked to give lists back at once: enough to fill
/// a chunk of the ring and to copy the frames of a pass.
const LOW_PAGES: usize = 64;
/// Pages that the copy of a frame may take. With fewer free ones no frame is taken from the ring.
const COPY_PAGES: usize = MAX_FRAME.div_ceil(PAGE_BYTES) as usize;
/// Bytes that must be in the first page: Ethernet, IP and TCP headers of any length.
const FIRST_BYTES: u32 = 256;

/// The receive side; under the queue's receive lock.
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a fact of its own, which another part of the driver tells"
)]
pub(crate) struct RxSide {
    /// Whether frames may be handed up.
    open: bool,
    /// The adapter is pausing and waits for lists.
    pub(crate) draining: bool,
    pub(crate) filter: Filter,
    pub(crate) link: Option<RxLink>,
    pub(crate) stock: Stock,
    pub(crate) statistics: Direction,
    pub(crate) coalescing: Coalescing,
    /// Offloads in force.
    pub(crate) offloads: Offloads,
    /// Hashes, and the processors that frames are for.
    pub(crate) steering: Steering<HashTables>,
    /// Longest frame taken since the start, without tag.
    max_frame: u32,
    vlan: VlanSettings,
    /// A frame that is being cut. No other is taken from the ring before it is.
    cutting: Option<Large>,
    /// It, or the next frame, waits for pages.
    out_of_pages: bool,
    /// The domain is being suspended: the ring is left alone.
    pub(crate) frozen: bool,
    adapter: NdisHandle,
}

/// What a pass found.
#[derive(Debug, Default)]
pub(crate) struct Received {
    /// To be indicated.
    pub(crate) lists: RxChain,
    /// Pages are low: the lists must come back at once.
    pub(crate) low: bool,
    /// There may be more.
    pub(crate) more: bool,
}

/// What a return of lists led to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Returned {
    /// It was the last list that a pause waits for.
    pub(crate) drained: bool,
    /// There was too little of pages for the backend or for a frame that is cut, and now there are some.
    pub(crate) hungry: bool,
}

impl RxSide {
    /// Closed, without connection.
    #[inline(never)]
    pub(crate) fn try_new(
        spec: &QueueSpec,
        stock: Stock,
        filter: &Filter,
    ) -> Result<Self, OutOfMemory> {
        Ok(Self {
            open: false,
            draining: false,
            filter: *filter,
            link: None,
            stock,
            statistics: Direction::default(),
            coalescing: Coalescing::default(),
            offloads: Offloads::default(),
            max_frame: spec.max_frame,
            steering: Steering::in_storage(HashTables::try_new()?),
            vlan: spec.vlan,
            cutting: None,
            out_of_pages: false,
            frozen: false,
            adapter: spec.adapter,
        })
    }

    /// Takes what the backend filled, up to a budget, and posts pages anew.
    pub(crate) fn poll(
        &mut self,
        bus: &Bus,
        irql: &AtMostDispatch<'_>,
    ) -> Result<Received, RxBroken> {
        let mut received = Received::default();
        if self.frozen {
            return Ok(received);
        }
        let Some(mut link) = self.link.take() else {
            return Ok(received);
        };
        self.out_of_pages = false;
        self.cut(&mut received.lists);
        let RxLink {
            engine,
            grants,
            stuck,
            ..
        } = &mut link;
        let mut recycled = Recycled::default();
        // The engine is borrowed while it hands out packets, so pages to post again wait.
        let mut pass = Ok(());
        for _ in 0..BUDGET {
            self.out_of_pages |= self.stock.free_pages() < COPY_PAGES && self.stock.lent() > 0;
            if self.cutting.is_some() || received.lists.len() >= BUDGET || self.out_of_pages {
                break;
            }
            let polled = engine.poll(1, &mut |packet: RxPacket<'_>| {
                self.take_packet(&packet, grants, &mut recycled, stuck, &mut received.lists);
            });
            recycled.give_back(|buffer| {
                if let Err(buffer) = engine.recycle(buffer) {
                    *stuck |= grants.end(&mut self.stock, buffer).is_err();
                }
            });
            match polled {
                Ok(polled) => {
                    self.statistics.count_errors(polled.dropped.into());
                    received.more = polled.more;
                }
                Err(broken) => pass = Err(broken),
            }
            self.cut(&mut received.lists);
            if !received.more || pass.is_err() {
                break;
            }
        }
        if self.cutting.is_some() || received.lists.len() >= BUDGET || self.out_of_pages {
            // Without pages it goes on when lists come back.
            received.more = !self.out_of_pages;
        }
        let refill = engine.refill(&mut Supply {
            grants,
            stock: &mut self.stock,
        });
        if refill.kick.is_needed()
            && let Some(notifier) = link.notifier
        {
            notifier.ring(bus, irql);
        }
        received.low = self.out_of_pages || self.stock.free_pages() < LOW_PAGES;
        self.link = Some(link);
        match pass {
            Err(broken) if received.lists.is_empty() => Err(broken),
            // What was received before the violation is good; the next pass tells of it.
            Err(_) => {
                received.more = true;
                Ok(received)
            }
            Ok(()) => Ok(received),
        }
    }

    /// Goes on with the frame that is being cut.
    #[inline(never)]
    fn cut(&mut self, lists: &mut RxChain) {
        let Some(large) = &mut self.cutting else {
            return;
        };
        large.dress.steered = self.steering.again(large.dress.steered);
        let room = BUDGET.saturating_sub(lists.len());
        let (cut, progress) = large.go_on(&mut self.stock, self.adapter, room, lists);
        self.statistics
            .count_many(large.to, cut.made.into(), cut.bytes);
        self.statistics.count_discards(cut.lost.into());
        // With nothing out, no page will come back.
        self.out_of_pages = progress == Progress::NoPages && self.stock.lent() > 0;
        if progress != Progress::Part && !self.out_of_pages {
            self.end_cut();
        }
    }

    /// Ends the cutting of a frame; segments that were not made are lost.
    #[inline(never)]
    fn end_cut(&mut self) {
        self.out_of_pages = false;
        if let Some(large) = self.cutting.take() {
            let lost = large.end(&mut self.stock);
            self.statistics.count_discards(lost.into());
        }
    }

    /// Lets frames be handed up, or not any more.
    pub(crate) fn set_open(&mut self, open: bool) {
        self.open = open;
        if !open {
            self.end_cut();
        }
    }

    /// Takes the connection's side of the ring out.
    pub(crate) fn unlink(&mut self) -> Option<RxLink> {
        self.frozen = false;
        self.end_cut();
        self.link.take()
    }

    /// Takes frames of at least this many bytes, without tag.
    pub(crate) fn take_longer(&mut self, longest: u32) {
        self.max_frame = self.max_frame.max(longest);
    }

    /// Takes lists back.
    pub(crate) fn take_back(&mut self, mut lists: RxChain) -> Returned {
        while let Some(list) = lists.pop() {
            self.stock.take_back(list);
        }
        let drained = self.draining && self.stock.lent() == 0;
        if drained {
            self.draining = false;
        }
        Returned {
            drained,
            hungry: self.is_hungry(),
        }
    }

    /// Fills the ring of a backend that does not see it yet.
    pub(crate) fn fill(&mut self) {
        if let Some(link) = &mut self.link {
            let _unseen = link.engine.refill(&mut Supply {
                grants: &mut link.grants,
                stock: &mut self.stock,
            });
        }
    }

    /// Makes a list of a packet, or gives its pages back.
    fn take_packet(
        &mut self,
        packet: &RxPacket<'_>,
        grants: &mut PageGrants,
        recycled: &mut Recycled,
        stuck: &mut bool,
        lists: &mut RxChain,
    ) {
        let longest = self.max_frame.saturating_add(TAG_BYTES);
        if !self.open || (packet.length > longest && packet.gso.is_none()) {
            if self.open {
                self.statistics.count_errors(1);
            }
            recycled.extend(packet.fragments);
            return;
        }
        // A list's pages must follow each other without gaps, and no header may be split.
        let lendable = packet
            .fragments
            .iter()
            .skip(1)
            .all(|fragment| fragment.offset == 0)
            && packet
                .fragments
                .first()
                .is_some_and(|first| u32::from(first.len) >= packet.length.min(FIRST_BYTES));
        let copied = if packet.length <= COPY_BREAK || !lendable {
            self.copy(packet)
        } else {
            None
        };
        let mut pieces = [Piece::default(); MAX_FRAGMENTS];
        let count = match copied {
            Some(copy) => {
                recycled.extend(packet.fragments);
                for (place, piece) in pieces.iter_mut().zip(copy.pieces) {
                    *place = piece;
                }
                copy.count
            }
            None if lendable => {
                let Some(count) = self.take_pages(packet, grants, stuck, &mut pieces) else {
                    self.statistics.count_errors(1);
                    return;
                };
                count
            }
            None => {
                recycled.extend(packet.fragments);
                self.statistics.count_discards(1);
                return;
            }
        };
        let pieces = pieces.get_mut(..count).unwrap_or_default();
        if self.finish(packet, pieces, lists) == Pieces::Free {
            for piece in pieces {
                self.stock.put(piece.page);
            }
        }
    }

    /// Looks at a frame that is ours now, and makes lists of it if it is wanted.
    ///
    /// Not inlined: its copy of the headers takes stack that no other call shall carry.
    #[inline(never)]
    fn finish(
        &mut self,
        packet: &RxPacket<'_>,
        pieces: &mut [Piece],
        lists: &mut RxChain,
    ) -> Pieces {
        let Some(first) = pieces.first_mut() else {
            return Pieces::Free;
        };
        let Some(page) = self.stock.memory(first.page) else {
            return Pieces::Free;
        };
        let address = address_at(page, first.offset as usize);
        if !self.filter.accepts(address) {
            return Pieces::Free;
        }
        let tag = take_tag(page, first);
        let recorded = self.filter.is_promiscuous();
        let Incoming::Accept(slot) = self.vlan.incoming(tag, recorded) else {
            return Pieces::Free;
        };
        let stripped = if tag.is_some() { TAG_BYTES } else { 0 };
        let length = packet.length.saturating_sub(stripped);
        let mut head = [0; HEAD_BYTES];
        let known = rx_offload::first_bytes(&self.stock, pieces, &mut head);
        let known = head.get(..known).unwrap_or_default();
        let mut dress = Dress {
            tag: slot,
            steered: steering::steer(&mut self.steering, packet, known),
            deliver: Deliver::default(),
        };
        let facts = rx_offload::facts(packet, length);
        let wanted = Wanted {
            offloads: self.offloads,
            recorded,
        };
        let to = Destination::of(address);
        match rules::plan(known, &facts, &wanted, self.max_frame) {
            Plan::Deliver(deliver) => {
                dress.deliver = deliver;
                if let Some(work) = &deliver.complete {
                    rx_offload::complete(&self.stock, pieces, work);
                }
                let Some(mut list) = self.stock.lend(self.adapter.get(), pieces) else {
                    self.statistics.count_discards(1);
                    return Pieces::Free;
                };
                dress.put_on(&mut list);
                lists.push(list);
                if let Some(unit) = deliver.unit {
                    self.coalescing.count(unit.segments, unit.payload);
                    let segments = u64::from(unit.segments);
                    let header = u64::from(length.saturating_sub(unit.payload));
                    let again = header.saturating_mul(segments.saturating_sub(1));
                    let bytes = again.saturating_add(packet.length.into());
                    self.statistics.count_many(to, segments, bytes);
                } else {
                    self.statistics.count(to, packet.length);
                }
                Pieces::Used
            }
            Plan::Cut(segmenter, deliver) => {
                dress.deliver = deliver;
                if self.offloads.rsc4 || self.offloads.rsc6 {
                    self.coalescing.count_abort();
                }
                self.cutting = Some(Large::new(segmenter, head, dress, to, pieces));
                Pieces::Used
            }
            Plan::Drop => {
                self.statistics.count_errors(1);
                Pieces::Free
            }
        }
    }

    /// Takes the pages of a packet from the backend. None when one does not come; the others are
    /// free then.
    fn take_pages(
        &mut self,
        packet: &RxPacket<'_>,
        grants: &mut PageGrants,
        stuck: &mut bool,
        pieces: &mut [Piece; MAX_FRAGMENTS],
    ) -> Option<usize> {
        let mut all = true;
        for (place, fragment) in pieces.iter_mut().zip(packet.fragments) {
            all &= grants.revoke(&mut self.stock, fragment.buffer).is_ok();
            *place = Piece {
                page: fragment.buffer.page,
                offset: fragment.offset.into(),
                length: fragment.len.into(),
            };
        }
        if all {
            return Some(packet.fragments.len());
        }
        *stuck = true;
        for fragment in packet.fragments {
            if self.stock.grant_of(fragment.buffer.page).is_none() {
                self.stock.put(fragment.buffer.page);
            }
        }
        None
    }

    /// Copies a packet to free pages of ours; none when there are too few.
    fn copy(&mut self, packet: &RxPacket<'_>) -> Option<Copied> {
        let needed = usize::try_from(packet.length.div_ceil(PAGE_BYTES)).ok()?;
        if self.stock.free_pages() < needed {
            return None;
        }
        let mut copied = Copied::default();
        for fragment in packet.fragments {
            self.copy_fragment(fragment, &mut copied);
        }
        Some(copied)
    }

    fn copy_fragment(&mut self, fragment: &RxFragment, copied: &mut Copied) {
        let mut at = usize::from(fragment.offset);
        let mut left = u32::from(fragment.len);
        while left > 0 {
            let Some(piece) = copied.last_with_room(&mut self.stock) else {
                return;
            };
            let part = left.min(PAGE_BYTES.saturating_sub(piece.length));
            let (target, place) = (piece.page, piece.length as usize);
            piece.length = piece.length.saturating_add(part);
            let source = self.stock.memory(fragment.buffer.page);
            if let (Some(from), Some(to)) = (source, self.stock.memory(target)) {
                copy(from, at, to, place, part as usize);
            }
            at = at.saturating_add(part as usize);
            left = left.saturating_sub(part);
        }
    }

    /// Asks for the next event; whether there are responses already. Without pages no event is of use: lists that come
    /// back are.
    pub(crate) fn arm(&mut self) -> Result<bool, RxBroken> {
        let idle = self.frozen || self.out_of_pages;
        let Some(link) = self.link.as_mut().filter(|_| !idle) else {
            return Ok(false);
        };
        Ok(link.engine.arm()? == Recheck::Poll)
    }

    /// Lets the next event through; whether there is one already.
    pub(crate) fn unmask(&self, bus: &Bus, irql: &AtMostDispatch<'_>) -> bool {
        let link = self.link.as_ref();
        link.filter(|link| link.split && !self.frozen)
            .and_then(|link| link.notifier)
            .is_some_and(|notifier| notifier.unmask(bus, irql))
    }

    /// Whether the backend has too few pages, or a frame waits for some.
    pub(crate) fn is_hungry(&self) -> bool {
        let link = self.link.as_ref().filter(|_| !self.frozen);
        link.is_some_and(|link| self.out_of_pages || link.engine.posted() < REFILL_CHUNK)
    }

    /// Whether the backend kept a page that it said it had filled.
    pub(crate) fn is_stuck(&self) -> bool {
        self.link.as_ref().is_some_and(|link| link.stuck)
    }
}

/// What became of a frame's pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pieces {
    /// They are the system's, or those of the frame that is being cut.
    Used,
    /// They are free.
    Free,
}

/// What a frame's lists say beside its bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Dress {
    /// Value of the tag slot.
    tag: u64,
    /// Its hash, and the processor it is for.
    pub(super) steered: Steered,
    /// Checksums and coalescing.
    deliver: Deliver,
}

impl Dress {
    /// Writes it to a list.
    pub(super) fn put_on(&self, list: &mut Nbl) {
        list.set_info(sys::Ieee8021QNetBufferListInfo, self.tag);
        steering::note(self.steered, list);
        rx_offload::tell(list, &self.deliver);
    }
}

/// Takes the tag out of a frame whose first bytes are in `first`, by moving the addresses over it.
fn take_tag(page: &Pages, first: &mut Piece) -> Option<u16> {
    let start = first.offset as usize;
    let at = start.saturating_add(TAG_PLACE as usize);
    let [kind_high, kind_low, high, low, ..] = address_at(page, at);
    let whole = TAG_PLACE.saturating_add(TAG_BYTES);
    if [kind_high, kind_low] != TAG_TYPE || first.length < whole.saturating_add(2) {
        return None;
    }
    move_up(page, start, TAG_PLACE as usize, TAG_BYTES as usize);
    first.offset = first.offset.saturating_add(TAG_BYTES);
    first.length = first.length.saturating_sub(TAG_BYTES);
    Some(u16::from_be_bytes([high, low]))
}

/// A copy of a packet.
#[derive(Debug, Default)]
struct Copied {
    pieces: [Piece; MAX_FRAGMENTS],
    count: usize,
}

impl Copied {
    /// The last piece if there is room in its page, else one of a new page.
    fn last_with_room(&mut self, stock: &mut Stock) -> Option<&mut Piece> {
        let last = self.count.checked_sub(1);
        let full = last
            .and_then(|last| self.pieces.get(last))
            .is_none_or(|piece| piece.length >= PAGE_BYTES);
        if full {
            let place = self.pieces.get_mut(self.count)?;
            place.page = stock.take()?;
            self.count = self.count.saturating_add(1);
        }
        self.pieces.get_mut(self.count.checked_sub(1)?)
    }
}

/// Pages to post again, of one packet.
#[derive(Debug, Default)]
struct Recycled {
    fragments: [RxFragment; MAX_FRAGMENTS],
    count: usize,
}

impl Recycled {
    fn extend(&mut self, fragments: &[RxFragment]) {
        for fragment in fragments {
            if let Some(place) = self.fragments.get_mut(self.count) {
                *place = *fragment;
                self.count = self.count.saturating_add(1);
            }
        }
    }

    fn give_back(&mut self, mut to: impl FnMut(RxBuffer)) {
        for fragment in self.fragments.iter().take(self.count) {
            to(fragment.buffer);
        }
        self.count = 0;
    }
}

impl core::fmt::Debug for RxSide {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("RxSide")
            .field("open", &self.open)
            .field("connected", &self.link.is_some())
            .finish_non_exhaustive()
    }
}
