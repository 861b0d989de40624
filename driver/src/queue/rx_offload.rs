//! Checksums and coalescing of received frames, done to pages that are the driver's.

use ndis::chain::Nbl;
use ndis::oob::{self, Verdict as NdisVerdict};
use ndis_sys as sys;
use netfront_core::rx::{RxChecksum, RxPacket};
use netif::extra::GsoKind;
use offload::rx::{Complete, Deliver, Facts, Told, Verdict};
use offload::sum::Sum;
use offload::tx::Checksum;
use offload::{HEAD_BYTES, IpVersion};

use super::stock::{Piece, Stock};
use crate::shared_page;

/// What the backend says of a packet whose frame has `length` bytes.
pub(super) fn facts(packet: &RxPacket<'_>, length: u32) -> Facts {
    Facts {
        length,
        checksum: match packet.checksum {
            RxChecksum::Unknown => Told::Nothing,
            RxChecksum::Validated => Told::Validated,
            RxChecksum::Blank => Told::Blank,
        },
        gso: packet.gso.map(|gso| match gso.kind {
            GsoKind::TcpV4 => (IpVersion::V4, gso.mss),
            GsoKind::TcpV6 => (IpVersion::V6, gso.mss),
        }),
    }
}

/// The first bytes of a frame; how many.
pub(super) fn first_bytes(stock: &Stock, pieces: &[Piece], head: &mut [u8; HEAD_BYTES]) -> usize {
    let Some(first) = pieces.first() else {
        return 0;
    };
    let count = usize::try_from(first.length).map_or(HEAD_BYTES, |len| len.min(HEAD_BYTES));
    if let (Some(page), Some(place)) = (stock.memory(first.page), head.get_mut(..count)) {
        shared_page::read(page, first.offset as usize, place);
    }
    count
}

/// Writes what a frame's checksum and coalescing slots say.
pub(super) fn tell(list: &mut Nbl, deliver: &Deliver) {
    let verdict = |verdict| match verdict {
        Verdict::Unchecked => NdisVerdict::Unchecked,
        Verdict::Good => NdisVerdict::Good,
        Verdict::Bad => NdisVerdict::Bad,
    };
    let checksum = oob::RxChecksum {
        ip: verdict(deliver.ip),
        tcp: verdict(deliver.tcp),
        udp: verdict(deliver.udp),
        stale: deliver.unit.is_some_and(|unit| unit.stale),
    };
    list.set_info(sys::TcpIpChecksumNetBufferListInfo, checksum.slot());
    if let Some(unit) = deliver.unit {
        list.set_info(
            sys::TcpRecvSegCoalesceInfo,
            oob::coalesced(unit.segments, 0),
        );
    }
}

/// Completes the transport checksum of a frame.
pub(super) fn complete(stock: &Stock, pieces: &[Piece], work: &Complete) {
    write(stock, pieces, work.field, work.pseudo);
    let sum = sum(stock, pieces, work.from, work.to);
    write(
        stock,
        pieces,
        work.field,
        Checksum::value(work.never_zero, sum),
    );
}

/// Sum over bytes `from..to` of a frame.
pub(super) fn sum(stock: &Stock, pieces: &[Piece], from: usize, to: usize) -> Sum {
    let mut sum = Sum::default();
    let mut position = 0_usize;
    for piece in pieces {
        let length = piece.length as usize;
        let skip = from.saturating_sub(position).min(length);
        let end = to.saturating_sub(position).min(length);
        position = position.saturating_add(length);
        if let Some(page) = stock.memory(piece.page)
            && end > skip
        {
            let at = (piece.offset as usize).saturating_add(skip);
            sum.append(shared_page::sum(page, at, end.saturating_sub(skip)));
        }
    }
    sum
}

/// Writes a checksum, which is in the first piece.
pub(super) fn write(stock: &Stock, pieces: &[Piece], at: usize, value: u16) {
    if let Some(first) = pieces.first()
        && let Some(page) = stock.memory(first.page)
    {
        let at = (first.offset as usize).saturating_add(at);
        shared_page::write(page, at, &value.to_be_bytes());
    }
}
