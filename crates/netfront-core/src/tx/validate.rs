//! The last look at a built packet before the backend sees it.
//!
//! Linux netback answers some malformed packets by disabling the vif for good, for every later
//! driver too, until it is plugged anew (`xenvif_fatal_tx_err`). So what is about to be pushed is
//! checked once more, from the slots alone, knowing nothing of how they were made.

use netif::extra::{Extra, ExtraError, ExtraSlot, GsoKind};
use netif::features::Features;
use netif::tx::{MAX_DATA_SLOTS, TxFlags, TxRequest};

use super::plan::MIN_FRAME;

/// A slot about to be put on the ring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TxSlot {
    /// Data.
    Data(TxRequest),
    /// An extra.
    Extra(ExtraSlot),
}

impl TxSlot {
    /// Its words on the ring.
    pub fn words(self) -> [u32; 3] {
        match self {
            Self::Data(request) => request.emit(),
            Self::Extra(extra) => extra.tx_words(),
        }
    }
}

/// A rule the packet breaks. In brackets, what Linux netback does about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Violation {
    /// No slots, or the first is an extra. (reads it as a request)
    NoFirstSlot,
    /// `extra_info` on a slot that no extra follows, or the reverse. (fatal)
    ExtraChain,
    /// An extra the backend did not offer to read, or twice the same. (fatal when unknown)
    ExtraNotOffered,
    /// `more_data` on the last slot, or missing before it. (fatal)
    DataChain,
    /// More than 18 data slots. (19: copied anew; 20: dropped; 21: fatal)
    TooManySlots,
    /// More than one slot without `feature-sg`. (other backends read it as garbage)
    NotScatterGather,
    /// A slot reaches over its page. (fatal)
    PageBound,
    /// The sizes of the later slots do not leave 14 bytes to the first. (dropped)
    FirstSlot,
    /// A later slot without bytes. (answered, wasted)
    EmptySlot,
    /// A blank checksum not marked as validated, or segmentation without blank checksum. (slow)
    ChecksumFlags,
    /// Segmentation of nothing or of something unknown. (fatal)
    Gso,
}

/// Checks one packet; `backend` is what the backend offered.
pub fn validate(slots: &[TxSlot], backend: Features) -> Result<(), Violation> {
    let Some((&TxSlot::Data(first), rest)) = slots.split_first() else {
        return Err(Violation::NoFirstSlot);
    };
    let extras = rest
        .iter()
        .take_while(|slot| matches!(slot, TxSlot::Extra(_)))
        .count();
    let (extras, data) = rest.split_at_checked(extras).ok_or(Violation::ExtraChain)?;
    if first.flags.has(TxFlags::EXTRA_INFO) == extras.is_empty() {
        return Err(Violation::ExtraChain);
    }
    let kinds = check_extras(extras, backend)?;
    check_flags(first.flags, kinds)?;
    check_data(first, data, kinds, backend)
}

/// What extras a packet has.
#[derive(Clone, Copy, Debug, Default)]
struct Kinds {
    gso: bool,
    hash: bool,
    multicast: bool,
}

fn check_extras(extras: &[TxSlot], backend: Features) -> Result<Kinds, Violation> {
    let mut kinds = Kinds::default();
    let last = extras.len().saturating_sub(1);
    for (nth, slot) in extras.iter().enumerate() {
        let TxSlot::Extra(extra) = slot else {
            return Err(Violation::ExtraChain);
        };
        if extra.more() != (nth != last) {
            return Err(Violation::ExtraChain);
        }
        let (seen, needs) = match extra.parse().map_err(refused)? {
            Extra::Gso(gso) => match gso.kind {
                GsoKind::TcpV4 => (&mut kinds.gso, Features::GSO_TCPV4),
                GsoKind::TcpV6 => (&mut kinds.gso, Features::GSO_TCPV6),
            },
            Extra::Hash(_) => (&mut kinds.hash, Features::CTRL_RING),
            Extra::McastAdd(_) | Extra::McastDel(_) => {
                (&mut kinds.multicast, Features::MULTICAST_CONTROL)
            }
            Extra::Xdp { .. } => return Err(Violation::ExtraNotOffered),
        };
        if *seen || !backend.has(needs) {
            return Err(Violation::ExtraNotOffered);
        }
        *seen = true;
    }
    Ok(kinds)
}

fn refused(error: ExtraError) -> Violation {
    match error {
        ExtraError::Type(_) => Violation::ExtraNotOffered,
        ExtraError::GsoSize | ExtraError::GsoKind(_) => Violation::Gso,
    }
}

fn check_flags(flags: TxFlags, kinds: Kinds) -> Result<(), Violation> {
    let blank = flags.has(TxFlags::CSUM_BLANK);
    if (blank && !flags.has(TxFlags::DATA_VALIDATED)) || (kinds.gso && !blank) {
        return Err(Violation::ChecksumFlags);
    }
    Ok(())
}

fn check_data(
    first: TxRequest,
    later: &[TxSlot],
    kinds: Kinds,
    backend: Features,
) -> Result<(), Violation> {
    if later.len() >= MAX_DATA_SLOTS {
        return Err(Violation::TooManySlots);
    }
    if kinds.multicast && !later.is_empty() {
        return Err(Violation::DataChain);
    }
    if !later.is_empty() && !backend.has(Features::SG) {
        return Err(Violation::NotScatterGather);
    }
    if first.flags.has(TxFlags::MORE_DATA) == later.is_empty() {
        return Err(Violation::DataChain);
    }
    let mut first_len = u32::from(first.size);
    let last = later.len().saturating_sub(1);
    for (nth, slot) in later.iter().enumerate() {
        let &TxSlot::Data(request) = slot else {
            return Err(Violation::ExtraChain);
        };
        if request.flags.has(TxFlags::EXTRA_INFO) {
            return Err(Violation::ExtraChain);
        }
        if request.flags.has(TxFlags::MORE_DATA) != (nth != last) {
            return Err(Violation::DataChain);
        }
        if request.size == 0 {
            return Err(Violation::EmptySlot);
        }
        check_page(request.offset, request.size.into())?;
        first_len = first_len
            .checked_sub(request.size.into())
            .ok_or(Violation::FirstSlot)?;
    }
    if first_len < MIN_FRAME {
        return Err(Violation::FirstSlot);
    }
    check_page(first.offset, first_len)
}

fn check_page(offset: u16, len: u32) -> Result<(), Violation> {
    if u32::from(offset).saturating_add(len) > netif::PAGE_SIZE {
        return Err(Violation::PageBound);
    }
    Ok(())
}
