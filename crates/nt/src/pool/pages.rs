//! Whole pages.

use core::alloc::Layout;
use core::fmt;
use core::marker::PhantomData;
use core::ptr::NonNull;
use core::sync::atomic::{AtomicU8, AtomicU32};

use super::{NonPagedNx, OutOfMemory, RawPool, Tag, allocate, release};

/// Bytes in a page.
pub const PAGE_SIZE: usize = 4096;

/// Consecutive zeroed pages in the pool, aligned to a page: for rings, grants and bounce buffers.
///
/// A peer may write them at any time, so Rust sees them as atomics only, never as `&[u8]`.
pub struct Pages<P: RawPool = NonPagedNx> {
    start: NonNull<u8>,
    layout: Layout,
    tag: Tag,
    pool: PhantomData<fn() -> P>,
}

// SAFETY: the memory is reached through atomics and raw pointers only.
unsafe impl<P: RawPool> Send for Pages<P> {}
// SAFETY: as above.
unsafe impl<P: RawPool> Sync for Pages<P> {}

impl Pages {
    /// `count` zeroed pages of non-paged pool; at least 1.
    pub fn try_new(tag: Tag, count: usize) -> Result<Self, OutOfMemory> {
        Self::try_new_in(tag, count)
    }
}

impl<P: RawPool> Pages<P> {
    /// `count` zeroed pages of the pool `P`; at least 1.
    pub fn try_new_in(tag: Tag, count: usize) -> Result<Self, OutOfMemory> {
        let layout = count
            .max(1)
            .checked_mul(PAGE_SIZE)
            .and_then(|bytes| Layout::from_size_align(bytes, PAGE_SIZE).ok())
            .ok_or(OutOfMemory)?;
        let start = allocate::<P>(layout, tag, true).ok_or(OutOfMemory)?;
        Ok(Self {
            start,
            layout,
            tag,
            pool: PhantomData,
        })
    }

    /// Number of pages.
    pub fn count(&self) -> usize {
        self.len().checked_div(PAGE_SIZE).unwrap_or(0)
    }

    /// Number of bytes; a multiple of [`PAGE_SIZE`], never 0.
    #[expect(clippy::len_without_is_empty, reason = "there is at least one page")]
    pub fn len(&self) -> usize {
        self.layout.size()
    }

    /// Address of the first byte. To write there other than through the atomics is the caller's
    /// unsafe code to justify.
    pub fn as_ptr(&self) -> NonNull<u8> {
        self.start
    }

    /// Address of page `index`.
    pub fn page(&self, index: usize) -> Option<NonNull<u8>> {
        let offset = index.checked_mul(PAGE_SIZE)?;
        if offset >= self.len() {
            return None;
        }
        // SAFETY: the offset is inside the allocation.
        Some(unsafe { self.start.add(offset) })
    }

    /// All of it as 32-bit words.
    pub fn words(&self) -> &[AtomicU32] {
        let words = self.len().checked_div(size_of::<u32>()).unwrap_or(0);
        // SAFETY: initialized, aligned to a page, as long as self, and shared as atomics only.
        unsafe { NonNull::slice_from_raw_parts(self.start.cast(), words).as_ref() }
    }

    /// All of it as bytes.
    pub fn bytes(&self) -> &[AtomicU8] {
        // SAFETY: initialized, as long as self, and shared as atomics only.
        unsafe { NonNull::slice_from_raw_parts(self.start.cast(), self.len()).as_ref() }
    }
}

impl<P: RawPool> Drop for Pages<P> {
    fn drop(&mut self) {
        // SAFETY: allocated in try_new_in with this layout and tag; every borrow has ended.
        unsafe { release::<P>(self.start, self.layout, self.tag) };
    }
}

impl<P: RawPool> fmt::Debug for Pages<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pages")
            .field("start", &self.start)
            .field("count", &self.count())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use core::sync::atomic::Ordering;

    use super::super::fake::FakePool;
    use super::super::{OutOfMemory, Tag};
    use super::{PAGE_SIZE, Pages};

    const TAG: Tag = Tag::new(b"Test");

    #[test]
    fn pages_are_aligned_zeroed_and_freed() {
        let pages = Pages::<FakePool>::try_new_in(TAG, 3).unwrap();
        assert_eq!(pages.as_ptr().addr().get() % PAGE_SIZE, 0);
        assert_eq!((pages.count(), pages.len()), (3, 3 * PAGE_SIZE));
        assert!(
            pages
                .words()
                .iter()
                .all(|word| word.load(Ordering::Relaxed) == 0)
        );
        drop(pages);
        FakePool::assert_empty();
    }

    #[test]
    fn words_and_bytes_are_the_same_memory() {
        let pages = Pages::<FakePool>::try_new_in(TAG, 1).unwrap();
        pages.words()[1].store(0x0403_0201, Ordering::Relaxed);
        let bytes: [u8; 4] =
            core::array::from_fn(|at| pages.bytes()[4 + at].load(Ordering::Relaxed));
        assert_eq!(bytes, [1, 2, 3, 4]);
    }

    #[test]
    fn a_page_has_an_address_only_when_it_exists() {
        let pages = Pages::<FakePool>::try_new_in(TAG, 2).unwrap();
        let second = pages.page(1).unwrap();
        assert_eq!(second.addr().get() - pages.as_ptr().addr().get(), PAGE_SIZE);
        assert_eq!(pages.page(2), None);
        assert_eq!(pages.page(usize::MAX), None);
    }

    #[test]
    fn a_count_past_the_address_space_is_an_error() {
        assert_eq!(
            Pages::<FakePool>::try_new_in(TAG, usize::MAX).err(),
            Some(OutOfMemory)
        );
    }
}
