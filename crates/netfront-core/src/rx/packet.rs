//! One packet: from responses and extras to pages and meaning.

use netif::ctrl::HashKind;
use netif::extra::{Extra, ExtraError, ExtraSlot, Gso, HashInfo};
use netif::rx::{RxFlags, RxResponse};

use super::queue::RxBuffer;

/// Most data slots of a packet: what Linux accepts, 18 and one more for a short first slot.
pub const MAX_FRAGMENTS: usize = 19;
/// Shortest packet: an Ethernet header.
pub const MIN_FRAME: u32 = 14;
/// Longest packet: a 64 KiB IP packet with Ethernet header and VLAN tag.
pub const MAX_FRAME: u32 = 65_535 + 18;
/// Smallest segment that is believed; Linux goes no lower either (48 less 40 of options).
pub const MIN_MSS: u16 = 8;

/// Why a packet was dropped. The discriminant is its place in
/// [`RxCounters::drops`](super::RxCounters::drops).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RxDrop {
    /// The backend reported an error for a slot.
    Status,
    /// A slot's data reaches over its page.
    PageBound,
    /// A response names another request than the one at its index.
    IdMismatch,
    /// An extra is announced and does not come.
    ExtraMissing,
    /// An extra of a kind that is unknown, not for receiving, or there twice.
    ExtraKind,
    /// An extra after the first slot.
    ExtraLate,
    /// Impossible segmentation.
    Gso,
    /// More data is announced and does not come.
    Truncated,
    /// More data slots than a packet can have.
    TooManySlots,
    /// Shorter than an Ethernet header or longer than any packet.
    Length,
}

impl RxDrop {
    /// Number of reasons.
    pub const COUNT: usize = 10;
}

/// What the backend says of the TCP or UDP checksum. A hint: it is the shell's to check that
/// there is such a header before acting on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RxChecksum {
    /// Nothing.
    Unknown,
    /// It was checked and is right.
    Validated,
    /// The field holds the pseudo-header sum only; the data is as good as validated.
    Blank,
}

/// A part of a packet's data.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RxFragment {
    /// The page, still granted to the backend.
    pub buffer: RxBuffer,
    /// First byte in the page.
    pub offset: u16,
    /// Bytes, at least 1; `offset + len <= 4096`.
    pub len: u16,
}

/// A packet; the pages of its fragments belong to whoever gets it.
#[derive(Clone, Copy, Debug)]
pub struct RxPacket<'p> {
    /// Its data, 1 to [`MAX_FRAGMENTS`] parts.
    pub fragments: &'p [RxFragment],
    /// Bytes, [`MIN_FRAME`] to [`MAX_FRAME`]: the sum of the fragments.
    pub length: u32,
    /// Checksum.
    pub checksum: RxChecksum,
    /// That it is to be cut, and so has no right checksum yet. `mss` is at least [`MIN_MSS`]; that
    /// the headers fit it, and that there is more than one segment, is not checked.
    pub gso: Option<Gso>,
    /// Its Toeplitz hash, as the backend computed it.
    pub hash: Option<(HashKind, u32)>,
}

/// A packet while its slots come in.
#[derive(Debug)]
pub(super) struct Assembly {
    fragments: [RxFragment; MAX_FRAGMENTS],
    count: usize,
    length: u32,
    first: RxFlags,
    gso: Option<Gso>,
    hash: Option<HashInfo>,
    error: Option<RxDrop>,
}

impl Assembly {
    pub(super) fn new() -> Self {
        Self {
            fragments: [RxFragment::default(); MAX_FRAGMENTS],
            count: 0,
            length: 0,
            first: RxFlags::default(),
            gso: None,
            hash: None,
            error: None,
        }
    }

    /// Takes a data slot; the buffer comes back when the packet has no use for it.
    pub(super) fn data(
        &mut self,
        response: RxResponse,
        id: u16,
        buffer: RxBuffer,
        is_first: bool,
    ) -> Option<RxBuffer> {
        if is_first {
            self.first = response.flags;
        } else if response.flags.has(RxFlags::EXTRA_INFO) {
            self.fail(RxDrop::ExtraLate);
        }
        if response.id != id {
            self.fail(RxDrop::IdMismatch);
        }
        let Ok(len) = u16::try_from(response.status) else {
            self.fail(RxDrop::Status);
            return Some(buffer);
        };
        if u32::from(response.offset).saturating_add(len.into()) > netif::PAGE_SIZE {
            self.fail(RxDrop::PageBound);
        }
        if len == 0 {
            return Some(buffer);
        }
        let Some(entry) = self.fragments.get_mut(self.count) else {
            self.fail(RxDrop::TooManySlots);
            return Some(buffer);
        };
        *entry = RxFragment {
            buffer,
            offset: response.offset,
            len,
        };
        self.count = self.count.saturating_add(1);
        self.length = self.length.saturating_add(len.into());
        None
    }

    /// Takes an extra slot.
    pub(super) fn extra(&mut self, slot: ExtraSlot) {
        match slot.parse() {
            Ok(Extra::Gso(gso)) if self.gso.is_none() => self.gso = Some(gso),
            Ok(Extra::Hash(hash)) if self.hash.is_none() => self.hash = Some(hash),
            // XDP headroom was not asked for, and moves the data.
            Ok(_) | Err(ExtraError::Type(_)) => self.fail(RxDrop::ExtraKind),
            Err(ExtraError::GsoSize | ExtraError::GsoKind(_)) => self.fail(RxDrop::Gso),
        }
    }

    /// Notes a reason to drop the packet; the first one counts.
    pub(super) fn fail(&mut self, reason: RxDrop) {
        self.error.get_or_insert(reason);
    }

    pub(super) fn fragments(&self) -> &[RxFragment] {
        self.fragments.get(..self.count).unwrap_or_default()
    }

    /// The packet, or why there is none.
    pub(super) fn finish(&self) -> Result<RxPacket<'_>, RxDrop> {
        if let Some(reason) = self.error {
            return Err(reason);
        }
        if !(MIN_FRAME..=MAX_FRAME).contains(&self.length) {
            return Err(RxDrop::Length);
        }
        if self.gso.is_some_and(|gso| gso.mss < MIN_MSS) {
            return Err(RxDrop::Gso);
        }
        let checksum = if self.first.has(RxFlags::CSUM_BLANK) {
            RxChecksum::Blank
        } else if self.first.has(RxFlags::DATA_VALIDATED) {
            RxChecksum::Validated
        } else {
            RxChecksum::Unknown
        };
        Ok(RxPacket {
            fragments: self.fragments(),
            length: self.length,
            checksum,
            // One segment too: backends that set no checksum flags leave its checksum blank.
            gso: self.gso,
            hash: self
                .hash
                .and_then(|hash| Some((hash.toeplitz_kind()?, hash.value))),
        })
    }
}
