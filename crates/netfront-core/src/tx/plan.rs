//! How a frame is cut into slots: which bytes are copied and which pages are granted in place.
//!
//! A pure decision. netback copies the first 128 bytes of every frame and maps the rest, so:
//!
//! | frame | slots |
//! |---|---|
//! | at most 128 bytes | one, in the header pool |
//! | pages are not granted in place, or small, or no page list | copied to bounce pages |
//! | the rest | 128 bytes in the header pool, then the pages in place; pieces under 512 bytes are copied together |
//! | the same with too many slots | every piece shorter than a page is copied together, else all of it |
//!
//! Copied frames hold nothing of the sender's, so they complete at once, however long the backend takes to read them.
//! That is also the only way not to show an untrusted backend what shares a page with the frame.

use netif::extra::{Extra, Gso, GsoKind, HashInfo};
use netif::features::Features;
use netif::tx::{MAX_DATA_SLOTS, MAX_PACKET, TxFlags};

const PAGE: u32 = netif::PAGE_SIZE;

/// Bytes of a slot in the header pool: what netback copies of every frame.
pub const HEADER_BYTES: u32 = 128;
/// Shortest frame: an Ethernet header. netback refuses a first slot that is shorter.
pub const MIN_FRAME: u32 = 14;
/// Extra slots a frame may have: GSO and HASH.
pub const MAX_EXTRAS: usize = 2;
/// Most slots a frame may have.
pub const MAX_SLOTS: usize = 20;
/// Pieces shorter than this are cheaper to copy than to grant and map.
const SMALL_PIECE: u32 = 512;

/// Bytes of a frame in the guest's memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fragment {
    /// Number of the first page.
    pub pfn: u64,
    /// First byte in that page, below 4096.
    pub offset: u32,
    /// Bytes. May reach over several pages when these follow each other in physical memory.
    pub len: u32,
}

/// What is left to the backend to fill in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TxChecksum {
    /// Nothing: the frame is complete.
    Complete,
    /// The TCP or UDP checksum over IPv4; the field holds the pseudo-header sum with length.
    /// Never for an IP fragment.
    BlankIpv4,
    /// The same over IPv6.
    BlankIpv6,
}

/// A frame to send.
#[derive(Clone, Copy, Debug)]
pub struct Frame<'f> {
    /// Bytes, 14 to 65535.
    pub length: u32,
    /// Where they are, in order; empty when the pages are not known, which makes it a copy.
    pub fragments: &'f [Fragment],
    /// Checksum.
    pub checksum: TxChecksum,
    /// Segmentation; the headers must be complete and the checksum blank.
    pub gso: Option<Gso>,
    /// The frame's hash; a hint, left out when the backend has no control ring.
    pub hash: Option<HashInfo>,
}

/// What was negotiated, and what is preferred.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TxPolicy {
    /// What the backend can do.
    pub backend: Features,
    /// Whether pages of the sender are granted as they are. They stay the backend's until it lets go, and it sees all
    /// that is in them.
    pub in_place: bool,
    /// Frames of at most this many bytes are copied.
    pub copy_break: u32,
}

/// Why a frame can never be sent on this connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reject {
    /// Not 14 to 65535 bytes.
    Length,
    /// The fragments do not add up to the length, or one starts beyond its page.
    Fragments,
    /// More than a page, and the backend takes one slot only.
    NeedsScatterGather,
    /// A blank checksum the backend does not complete.
    Checksum,
    /// Segmentation the backend does not do, or without segment size or blank checksum.
    Gso,
}

/// Where a slot's bytes come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// Copied to the header pool.
    Header,
    /// Copied to a bounce page.
    Bounce,
    /// Granted in place.
    Page {
        /// Number of the page.
        pfn: u64,
    },
}

/// One data slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PlannedSlot {
    /// Where the bytes come from.
    pub source: Source,
    /// First byte in the frame.
    pub from: u32,
    /// First byte in the page, for [`Source::Page`].
    pub offset: u16,
    /// Bytes, 1 to 4096.
    pub len: u16,
}

const UNUSED: PlannedSlot = PlannedSlot {
    source: Source::Header,
    from: 0,
    offset: 0,
    len: 0,
};

/// A frame cut into slots, in ring order but for the extras, which follow the first.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    slots: [PlannedSlot; MAX_DATA_SLOTS],
    count: usize,
    bounce_pages: usize,
    /// Flags of the first slot, without those that link slots.
    pub flags: TxFlags,
    /// Bytes of the frame.
    pub length: u16,
    /// Segmentation.
    pub gso: Option<Gso>,
    /// Hash.
    pub hash: Option<HashInfo>,
}

impl Plan {
    /// The data slots.
    pub fn slots(&self) -> &[PlannedSlot] {
        self.slots.get(..self.count).unwrap_or_default()
    }

    /// The extra slots.
    pub fn extras(&self) -> impl Iterator<Item = Extra> {
        self.gso
            .map(Extra::Gso)
            .into_iter()
            .chain(self.hash.map(Extra::Hash))
    }

    /// Bounce pages it takes.
    pub fn bounce_pages(&self) -> usize {
        self.bounce_pages
    }

    /// Whether all bytes are copied, so that the sender's memory is free at once.
    pub fn is_copy(&self) -> bool {
        self.slots()
            .iter()
            .all(|slot| !matches!(slot.source, Source::Page { .. }))
    }

    /// Adds a slot; None when there are too many.
    fn push(&mut self, slot: PlannedSlot) -> Option<()> {
        *self.slots.get_mut(self.count)? = slot;
        self.count = self.count.saturating_add(1);
        if slot.source == Source::Bounce {
            self.bounce_pages = self.bounce_pages.saturating_add(1);
        }
        Some(())
    }

    /// Adds copied bytes, a page at a time.
    fn push_copied(&mut self, mut from: u32, mut len: u32) -> Option<()> {
        while len > 0 {
            let part = len.min(PAGE);
            let len_of_slot = u16::try_from(part).ok()?;
            self.push(PlannedSlot {
                source: Source::Bounce,
                from,
                offset: 0,
                len: len_of_slot,
            })?;
            from = from.saturating_add(part);
            len = len.saturating_sub(part);
        }
        Some(())
    }
}

/// Cuts a frame into slots; None when that takes more bounce pages than are free, so later.
///
/// Not inlined, as the steps below: plans are large, and the caller's stack is a kernel's.
#[inline(never)]
pub fn plan(
    frame: &Frame<'_>,
    policy: TxPolicy,
    free_bounce_pages: usize,
) -> Result<Option<Plan>, Reject> {
    let blank = blank_plan(frame, policy)?;
    let length = frame.length;
    if length <= HEADER_BYTES {
        let mut plan = blank;
        let slot = PlannedSlot {
            source: Source::Header,
            from: 0,
            offset: 0,
            len: blank.length,
        };
        return Ok(plan.push(slot).map(|()| plan));
    }
    let scatter_gather = policy.backend.has(Features::SG);
    if !scatter_gather && length > PAGE {
        return Err(Reject::NeedsScatterGather);
    }
    let fits = |plan: &Plan| plan.bounce_pages <= free_bounce_pages;
    let in_place = policy.in_place && scatter_gather && !frame.fragments.is_empty();
    let mapped = |small| {
        if in_place {
            mostly_mapped(blank, frame.fragments, small)
        } else {
            None
        }
    };
    let copied = || all_copied(blank, length);
    let found = if length <= policy.copy_break {
        copied().filter(fits).or_else(|| mapped(0))
    } else {
        mapped(SMALL_PIECE)
            .filter(fits)
            .or_else(|| mapped(0))
            .or_else(|| mapped(PAGE).filter(fits))
            .or_else(|| copied().filter(fits))
    };
    Ok(found)
}

/// Checks what can be checked without cutting.
fn blank_plan(frame: &Frame<'_>, policy: TxPolicy) -> Result<Plan, Reject> {
    if !(MIN_FRAME..=MAX_PACKET).contains(&frame.length) {
        return Err(Reject::Length);
    }
    let length = u16::try_from(frame.length).map_err(|_| Reject::Length)?;
    if !frame.fragments.is_empty() {
        let sum = frame
            .fragments
            .iter()
            .fold(0_u64, |sum, part| sum.saturating_add(part.len.into()));
        let inside = frame.fragments.iter().all(|part| part.offset < PAGE);
        if sum != u64::from(frame.length) || !inside {
            return Err(Reject::Fragments);
        }
    }
    let (flags, needs) = match frame.checksum {
        TxChecksum::Complete => (TxFlags::default(), Features::NONE),
        TxChecksum::BlankIpv4 => (blank_flags(), Features::IPV4_CSUM),
        TxChecksum::BlankIpv6 => (blank_flags(), Features::IPV6_CSUM),
    };
    if !policy.backend.has(needs) {
        return Err(Reject::Checksum);
    }
    if let Some(gso) = frame.gso {
        let (needs, checksum) = match gso.kind {
            GsoKind::TcpV4 => (Features::GSO_TCPV4, TxChecksum::BlankIpv4),
            GsoKind::TcpV6 => (Features::GSO_TCPV6, TxChecksum::BlankIpv6),
        };
        if gso.mss == 0 || frame.checksum != checksum || !policy.backend.has(needs) {
            return Err(Reject::Gso);
        }
    }
    let hash = frame
        .hash
        .filter(|_| policy.backend.has(Features::CTRL_RING));
    Ok(Plan {
        slots: [UNUSED; MAX_DATA_SLOTS],
        count: 0,
        bounce_pages: 0,
        flags,
        length,
        gso: frame.gso,
        hash,
    })
}

fn blank_flags() -> TxFlags {
    TxFlags::CSUM_BLANK.with(TxFlags::DATA_VALIDATED)
}

/// All bytes in bounce pages.
#[inline(never)]
fn all_copied(mut plan: Plan, length: u32) -> Option<Plan> {
    plan.push_copied(0, length)?;
    Some(plan)
}

/// The header copied, pieces shorter than `small` copied together, the others granted in place;
/// None when that takes too many slots.
#[inline(never)]
fn mostly_mapped(mut plan: Plan, fragments: &[Fragment], small: u32) -> Option<Plan> {
    let header = u16::try_from(HEADER_BYTES).ok()?;
    plan.push(PlannedSlot {
        source: Source::Header,
        from: 0,
        offset: 0,
        len: header,
    })?;
    let (mut at, mut run_from, mut run_len) = (0_u32, 0_u32, 0_u32);
    for piece in fragments.iter().copied().flat_map(pieces) {
        let in_header = HEADER_BYTES.saturating_sub(at).min(piece.len);
        let from = at.saturating_add(in_header);
        let len = piece.len.saturating_sub(in_header);
        at = at.saturating_add(piece.len);
        if len == 0 {
            continue;
        }
        if len < small {
            if run_len == 0 {
                run_from = from;
            }
            run_len = run_len.saturating_add(len);
            continue;
        }
        plan.push_copied(run_from, run_len)?;
        run_len = 0;
        plan.push(PlannedSlot {
            source: Source::Page { pfn: piece.pfn },
            from,
            offset: u16::try_from(piece.offset.saturating_add(in_header)).ok()?,
            len: u16::try_from(len).ok()?,
        })?;
    }
    plan.push_copied(run_from, run_len)?;
    Some(plan)
}

/// Splits a fragment at page bounds.
fn pieces(fragment: Fragment) -> impl Iterator<Item = Fragment> {
    let mut rest = fragment;
    core::iter::from_fn(move || {
        if rest.len == 0 {
            return None;
        }
        let piece = Fragment {
            len: rest.len.min(PAGE.saturating_sub(rest.offset)),
            ..rest
        };
        rest = Fragment {
            pfn: rest.pfn.wrapping_add(1),
            offset: 0,
            len: rest.len.saturating_sub(piece.len),
        };
        Some(piece)
    })
}
