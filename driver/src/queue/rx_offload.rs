//! Checksums and segments of received frames, done to pages that are the driver's.

use ndis::chain::{Nbl, RxChain};
use ndis::oob::{self, Verdict as NdisVerdict};
use ndis_sys as sys;
use netfront_core::rx::{RxChecksum, RxPacket};
use netif::extra::GsoKind;
use offload::rx::{Complete, Deliver, Facts, Told, Verdict};
use offload::segment::Segmenter;
use offload::sum::Sum;
use offload::tx::Checksum;
use offload::{HEAD_BYTES, IpVersion};

use super::rx::Dress;
use super::stock::{Piece, Stock};
use crate::adapter::NdisHandle;
use crate::shared_page::{self, PAGE_BYTES};

/// Most pages of a segment: 9014 bytes at any offset below 4, and some to spare.
const SEGMENT_PAGES: usize = 4;

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
fn sum(stock: &Stock, pieces: &[Piece], from: usize, to: usize) -> Sum {
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
fn write(stock: &Stock, pieces: &[Piece], at: usize, value: u16) {
    if let Some(first) = pieces.first()
        && let Some(page) = stock.memory(first.page)
    {
        let at = (first.offset as usize).saturating_add(at);
        shared_page::write(page, at, &value.to_be_bytes());
    }
}

/// What cutting a frame led to.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Cut {
    /// Segments that could be made.
    pub(super) made: u32,
    /// Their bytes.
    pub(super) bytes: u64,
    /// Segments for which there was no page.
    pub(super) lost: u32,
}

/// Cuts a frame, whose headers are `head`, into lists of their own.
pub(super) fn cut(
    stock: &mut Stock,
    adapter: NdisHandle,
    segmenter: &Segmenter,
    (head, pieces): (&mut [u8; HEAD_BYTES], &[Piece]),
    dress: &Dress,
    lists: &mut RxChain,
) -> Cut {
    let mut cut = Cut::default();
    let header = segmenter.header();
    for nth in 0..segmenter.count() {
        let (Some(segment), Some(head)) = (segmenter.segment(nth), head.get_mut(..header)) else {
            break;
        };
        segmenter.write(head, nth);
        let from = header.saturating_add(segment.from as usize);
        let body = segment.length as usize;
        let made = build(stock, head, pieces, from, body);
        let list = made.and_then(|(new, count)| {
            let new = new.get(..count)?;
            let total = header.saturating_add(body);
            let sum = sum(stock, new, segmenter.transport(), total);
            write(
                stock,
                new,
                segmenter.checksum_field(),
                Segmenter::checksum(sum),
            );
            let list = stock.lend(adapter.get(), new);
            if list.is_none() {
                give_back(stock, new);
            }
            list
        });
        if let Some(mut list) = list {
            dress.put_on(&mut list);
            lists.push(list);
            cut.made = cut.made.saturating_add(1);
            let bytes = header.saturating_add(body);
            cut.bytes = cut.bytes.saturating_add(bytes as u64);
        } else {
            cut.lost = cut.lost.saturating_add(1);
        }
    }
    cut
}

fn give_back(stock: &mut Stock, pieces: &[Piece]) {
    for piece in pieces {
        stock.put(piece.page);
    }
}

/// A frame of `head` and `body` bytes of another frame from its byte `from` on, in free pages.
fn build(
    stock: &mut Stock,
    head: &[u8],
    pieces: &[Piece],
    from: usize,
    body: usize,
) -> Option<([Piece; SEGMENT_PAGES], usize)> {
    // Payload keeps its place in a word, so that it is copied by words.
    let source = place_of(pieces, from)?;
    let offset = source.wrapping_sub(head.len()) & 3;
    let mut new = [Piece::default(); SEGMENT_PAGES];
    let mut left = offset.saturating_add(head.len()).saturating_add(body);
    let mut count = 0_usize;
    while left > 0 {
        let page = stock.take();
        let (Some(page), Some(place)) = (page, new.get_mut(count)) else {
            if let Some(page) = page {
                stock.put(page);
            }
            give_back(stock, new.get(..count).unwrap_or_default());
            return None;
        };
        let here = left.min(PAGE_BYTES as usize);
        let skip = if count == 0 { offset } else { 0 };
        *place = Piece {
            page,
            offset: u32::try_from(skip).unwrap_or(0),
            length: u32::try_from(here.saturating_sub(skip)).unwrap_or(0),
        };
        count = count.saturating_add(1);
        left = left.saturating_sub(here);
    }
    let first = new.first()?;
    if let Some(page) = stock.memory(first.page) {
        shared_page::write(page, offset, head);
    }
    let start = offset.saturating_add(head.len());
    copy_body(stock, pieces, from, body, (&new, start));
    Some((new, count))
}

/// Where in its page byte `at` of a frame is.
fn place_of(pieces: &[Piece], at: usize) -> Option<usize> {
    let mut position = 0_usize;
    for piece in pieces {
        let end = position.saturating_add(piece.length as usize);
        if at < end {
            return (piece.offset as usize).checked_add(at.saturating_sub(position));
        }
        position = end;
    }
    None
}

/// Copies `body` bytes from byte `from` of a frame on to the pages of another, from byte `start`
/// of the first page on.
fn copy_body(
    stock: &Stock,
    pieces: &[Piece],
    from: usize,
    body: usize,
    (new, start): (&[Piece; SEGMENT_PAGES], usize),
) {
    let page_bytes = PAGE_BYTES as usize;
    let end = from.saturating_add(body);
    let mut position = 0_usize;
    let mut target = start;
    for piece in pieces {
        let length = piece.length as usize;
        let mut skip = from.saturating_sub(position).min(length);
        let until = end.saturating_sub(position).min(length);
        position = position.saturating_add(length);
        while skip < until {
            let nth = target.checked_div(page_bytes).unwrap_or(0);
            let place = target & page_bytes.saturating_sub(1);
            let part = until
                .saturating_sub(skip)
                .min(page_bytes.saturating_sub(place));
            let at = (piece.offset as usize).saturating_add(skip);
            let to = new.get(nth).and_then(|new| stock.memory(new.page));
            if let (Some(source), Some(to)) = (stock.memory(piece.page), to) {
                shared_page::copy_exact(source, at, to, place, part);
            }
            skip = skip.saturating_add(part);
            target = target.saturating_add(part);
        }
    }
}
