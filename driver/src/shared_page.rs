//! Pages that the backend may use.

use core::sync::atomic::{AtomicU8, AtomicU32, Ordering};

use nt::physical::PhysicalAddress;
use nt::pool::{OutOfMemory, PAGE_SIZE, Pages, PoolArc};
use offload::sum::Sum;
use ring::RingPage;

use crate::TAG;

/// Number of the physical page `index` of `pages`.
pub(crate) fn pfn(pages: &Pages, index: usize) -> Option<u64> {
    pages
        .page(index)
        .map(|page| PhysicalAddress::of(page).pfn().0)
}

/// The page of a ring. The engine holds one owner, the link another, so that it outlives the
/// engine while the backend does not let go.
#[derive(Clone, Debug)]
pub(crate) struct RingMemory(PoolArc<Pages>);

impl RingMemory {
    /// A zeroed page.
    pub(crate) fn try_new() -> Result<Self, OutOfMemory> {
        Ok(Self(PoolArc::try_new(TAG, Pages::try_new(TAG, 1)?)?))
    }

    /// Its number.
    pub(crate) fn pfn(&self) -> Option<u64> {
        pfn(&self.0, 0)
    }
}

impl RingPage for RingMemory {
    fn word_count(&self) -> usize {
        self.0.words().len()
    }

    fn load(&self, word: usize) -> u32 {
        self.0.words().load(word)
    }

    fn store(&self, word: usize, value: u32) {
        self.0.words().store(word, value);
    }
}

/// Copies `len` bytes between pages one byte or word at a time: the backend may write the source
/// meanwhile, so each is read once. What lies beyond either page is left out.
pub(crate) fn copy(from: &Pages, at: usize, to: &Pages, place: usize, len: usize) {
    if at.is_multiple_of(4) && place.is_multiple_of(4) {
        // The bytes behind the end up to a whole word are the page's own.
        copy_words(
            from.words(),
            at >> 2,
            to.words(),
            place >> 2,
            len.div_ceil(4),
        );
    } else {
        copy_bytes(from.bytes(), at, to.bytes(), place, len);
    }
}

fn copy_words(from: &[AtomicU32], at: usize, to: &[AtomicU32], place: usize, count: usize) {
    let source = from.get(at..).unwrap_or_default();
    let target = to.get(place..).unwrap_or_default();
    for (target, source) in target.iter().zip(source).take(count) {
        target.store(source.load(Ordering::Relaxed), Ordering::Relaxed);
    }
}

fn copy_bytes(from: &[AtomicU8], at: usize, to: &[AtomicU8], place: usize, count: usize) {
    let source = from.get(at..).unwrap_or_default();
    let target = to.get(place..).unwrap_or_default();
    for (target, source) in target.iter().zip(source).take(count) {
        target.store(source.load(Ordering::Relaxed), Ordering::Relaxed);
    }
}

/// As [`copy`], without touching what lies behind the end: by words where both places are the same
/// within a word.
pub(crate) fn copy_exact(from: &Pages, at: usize, to: &Pages, place: usize, len: usize) {
    if at & 3 != place & 3 {
        copy_bytes(from.bytes(), at, to.bytes(), place, len);
        return;
    }
    let lead = (at.wrapping_neg() & 3).min(len);
    copy_bytes(from.bytes(), at, to.bytes(), place, lead);
    let (at, place) = (at.saturating_add(lead), place.saturating_add(lead));
    let len = len.saturating_sub(lead);
    let words = len >> 2;
    copy_words(from.words(), at >> 2, to.words(), place >> 2, words);
    let done = words << 2;
    let (at, place) = (at.saturating_add(done), place.saturating_add(done));
    let rest = len.saturating_sub(done);
    copy_bytes(from.bytes(), at, to.bytes(), place, rest);
}

/// Reads bytes of a page.
pub(crate) fn read(page: &Pages, at: usize, to: &mut [u8]) {
    let bytes = page.bytes().get(at..).unwrap_or_default();
    for (place, byte) in to.iter_mut().zip(bytes) {
        *place = byte.load(Ordering::Relaxed);
    }
}

/// Writes bytes of a page.
pub(crate) fn write(page: &Pages, at: usize, from: &[u8]) {
    let bytes = page.bytes().get(at..).unwrap_or_default();
    for (place, byte) in bytes.iter().zip(from) {
        place.store(*byte, Ordering::Relaxed);
    }
}

/// Sum over `len` bytes of a page.
pub(crate) fn sum(page: &Pages, at: usize, len: usize) -> Sum {
    let lead = (at.wrapping_neg() & 3).min(len);
    let words = len.saturating_sub(lead) >> 2;
    let middle = at.saturating_add(lead);
    let behind = middle.saturating_add(words << 2);
    let rest = len.saturating_sub(lead).saturating_sub(words << 2);
    let edge = |at, len: usize| {
        let mut bytes = [0; 4];
        let bytes = bytes.get_mut(..len).unwrap_or_default();
        read(page, at, bytes);
        let mut sum = Sum::default();
        sum.add(bytes);
        sum
    };
    let mut sum = edge(at, lead);
    let mut whole = Sum::default();
    let all = page.words().get(middle >> 2..).unwrap_or_default();
    for word in all.iter().take(words) {
        whole.add_word(u32::from_le(word.load(Ordering::Relaxed)));
    }
    sum.append(whole);
    sum.append(edge(behind, rest));
    sum
}

/// The six bytes at `at`: an Ethernet address.
pub(crate) fn address_at(page: &Pages, at: usize) -> [u8; 6] {
    let mut address = [0; 6];
    let bytes = page.bytes().get(at..).unwrap_or_default();
    for (place, byte) in address.iter_mut().zip(bytes) {
        *place = byte.load(Ordering::Relaxed);
    }
    address
}

/// Moves `len` bytes at `at` up by `by` bytes. The page is no longer the backend's.
pub(crate) fn move_up(page: &Pages, at: usize, len: usize, by: usize) {
    let end = at.saturating_add(len).saturating_add(by);
    let bytes = page.bytes().get(at..end).unwrap_or_default();
    for nth in (0..len).rev() {
        if let (Some(from), Some(to)) = (bytes.get(nth), bytes.get(nth.saturating_add(by))) {
            to.store(from.load(Ordering::Relaxed), Ordering::Relaxed);
        }
    }
}

/// Bytes of a page, as the lengths of frames are counted.
pub(crate) const PAGE_BYTES: u32 = 4096;
/// Its binary logarithm.
pub(crate) const PAGE_SHIFT: u32 = 12;
const _: () = assert!(PAGE_BYTES as usize == PAGE_SIZE);
