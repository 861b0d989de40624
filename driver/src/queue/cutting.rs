//! Received frames of several segments, cut into lists of their own.
//!
//! Each segment takes pages of its own, and a frame can have more segments than there are pages. So a frame is cut as far
//! as there are free ones; the rest of it, and all that is behind it on the ring, waits until lists come back.

use ndis::chain::RxChain;
use netfront_core::rx::MAX_FRAGMENTS;
use offload::HEAD_BYTES;
use offload::segment::Segmenter;

use super::rx::Dress;
use super::rx_offload::{sum, write};
use super::stock::{Piece, Stock};
use crate::adapter::NdisHandle;
use crate::frame_kind::Destination;
use crate::shared_page::{self, PAGE_BYTES};

/// Most pages of a segment: 9014 bytes at any offset below 4, and some to spare.
const SEGMENT_PAGES: usize = 4;

/// A frame that is being cut.
#[derive(Debug)]
pub(super) struct Large {
    /// How.
    pub(super) segmenter: Segmenter,
    /// Its headers, and then those of each segment.
    pub(super) head: [u8; HEAD_BYTES],
    /// What all its segments say beside their bytes.
    pub(super) dress: Dress,
    /// Whom it is for.
    pub(super) to: Destination,
    /// Its pages, which are the driver's until it is cut.
    pieces: [Piece; MAX_FRAGMENTS],
    count: usize,
    /// Number of the next segment.
    next: u32,
}

/// What became of some segments.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Cut {
    /// Segments handed up.
    pub(super) made: u32,
    /// Their bytes.
    pub(super) bytes: u64,
    /// Segments that will never be.
    pub(super) lost: u32,
}

/// Where a frame that is cut stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Progress {
    /// All is cut.
    Done,
    /// There is more to cut, and there are pages for it.
    Part,
    /// There are no pages for the next segment.
    NoPages,
}

impl Large {
    /// For a frame in these pieces, at most [`MAX_FRAGMENTS`].
    pub(super) fn new(
        segmenter: Segmenter,
        head: [u8; HEAD_BYTES],
        dress: Dress,
        to: Destination,
        pieces: &[Piece],
    ) -> Self {
        let mut own = [Piece::default(); MAX_FRAGMENTS];
        for (place, piece) in own.iter_mut().zip(pieces) {
            *place = *piece;
        }
        Self {
            segmenter,
            head,
            dress,
            to,
            pieces: own,
            count: pieces.len(),
            next: 0,
        }
    }

    /// Makes lists of at most `room` more segments.
    pub(super) fn go_on(
        &mut self,
        stock: &mut Stock,
        adapter: NdisHandle,
        room: u32,
        lists: &mut RxChain,
    ) -> (Cut, Progress) {
        let mut cut = Cut::default();
        let header = self.segmenter.header();
        let pieces = self.pieces.get(..self.count).unwrap_or_default();
        for _ in 0..room {
            let segment = self.segmenter.segment(self.next);
            let (Some(segment), Some(head)) = (segment, self.head.get_mut(..header)) else {
                return (cut, Progress::Done);
            };
            let from = header.saturating_add(segment.from as usize);
            let body = segment.length as usize;
            let Some(layout) = layout(pieces, header, from, body) else {
                // No such place in the frame.
                cut.lost = cut.lost.saturating_add(1);
                self.next = self.next.saturating_add(1);
                continue;
            };
            if stock.free_pages() < layout.pages {
                return (cut, Progress::NoPages);
            }
            self.segmenter.write(head, self.next);
            self.next = self.next.saturating_add(1);
            let built = build(stock, head, pieces, &layout);
            let list = built.and_then(|(new, count)| {
                let new = new.get(..count)?;
                let total = header.saturating_add(body);
                let sum = sum(stock, new, self.segmenter.transport(), total);
                let place = self.segmenter.checksum_field();
                write(stock, new, place, Segmenter::checksum(sum));
                let list = stock.lend(adapter.get(), new);
                if list.is_none() {
                    give_back(stock, new);
                }
                list
            });
            if let Some(mut list) = list {
                self.dress.put_on(&mut list);
                lists.push(list);
                cut.made = cut.made.saturating_add(1);
                let bytes = header.saturating_add(body);
                cut.bytes = cut.bytes.saturating_add(bytes as u64);
            } else {
                cut.lost = cut.lost.saturating_add(1);
            }
        }
        let is_left = self.segmenter.segment(self.next).is_some();
        (
            cut,
            if is_left {
                Progress::Part
            } else {
                Progress::Done
            },
        )
    }

    /// Frees its pages; how many segments were not made.
    pub(super) fn end(self, stock: &mut Stock) -> u32 {
        give_back(stock, self.pieces.get(..self.count).unwrap_or_default());
        self.segmenter.count().saturating_sub(self.next)
    }
}

fn give_back(stock: &mut Stock, pieces: &[Piece]) {
    for piece in pieces {
        stock.put(piece.page);
    }
}

/// Where the bytes of a segment come from and go to.
#[derive(Clone, Copy, Debug)]
struct Layout {
    /// First byte of the payload, in the large frame.
    from: usize,
    /// Bytes of payload.
    body: usize,
    /// First byte of the segment in its first page.
    offset: usize,
    /// Bytes of the pages, from the first page's first byte to the segment's end.
    end: usize,
    /// Pages.
    pages: usize,
}

fn layout(pieces: &[Piece], header: usize, from: usize, body: usize) -> Option<Layout> {
    // Payload keeps its place in a word, so that it is copied by words.
    let source = place_of(pieces, from)?;
    let offset = source.wrapping_sub(header) & 3;
    let end = offset.checked_add(header)?.checked_add(body)?;
    let pages = end.div_ceil(PAGE_BYTES as usize);
    (pages <= SEGMENT_PAGES).then_some(Layout {
        from,
        body,
        offset,
        end,
        pages,
    })
}

/// A frame of `head` and a part of another frame, in free pages.
fn build(
    stock: &mut Stock,
    head: &[u8],
    pieces: &[Piece],
    layout: &Layout,
) -> Option<([Piece; SEGMENT_PAGES], usize)> {
    let mut new = [Piece::default(); SEGMENT_PAGES];
    let mut left = layout.end;
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
        let skip = if count == 0 { layout.offset } else { 0 };
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
        shared_page::write(page, layout.offset, head);
    }
    let start = layout.offset.saturating_add(head.len());
    copy_body(stock, pieces, layout.from, layout.body, (&new, start));
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
