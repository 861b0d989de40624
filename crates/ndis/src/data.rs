//! The bytes of one frame: MDLs from `CurrentMdl` at `CurrentMdlOffset`, `DataLength` bytes long.
//!
//! ```text
//!   MdlChain -> [ MDL ] -> [ MDL ] -> [ MDL ] -> ...
//!                            ^ CurrentMdl
//!                  |<- CurrentMdlOffset ->|<---- DataLength ---->|
//! ```
//! The chain may be longer than the frame and may hold MDLs of no bytes (Microsoft, "Sending
//! Ethernet Frames"). A chain shorter than the frame is an error, reported once.

use core::marker::PhantomData;

use ndis_sys::NET_BUFFER;
use wdk_sys::MDL;

/// Bytes of a page.
pub const PAGE_SIZE: u32 = 1 << PAGE_SHIFT;
/// Binary logarithm of [`PAGE_SIZE`].
const PAGE_SHIFT: u32 = 12;

/// Part of a frame that lies in one page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fragment {
    /// Page frame number.
    pub pfn: u64,
    /// Bytes of the page before the fragment, below 4096.
    pub offset: u32,
    /// Bytes of the fragment, from 1 to `4096 - offset`.
    pub len: u32,
}

/// The MDL chain ended before the frame did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ShortChain {
    /// Bytes of the frame that no MDL holds.
    pub missing: u32,
}

/// Where a frame's bytes are; a view that owns nothing.
#[derive(Clone, Copy, Debug)]
pub struct NbData<'a> {
    mdl: *const MDL,
    skip: u32,
    length: u32,
    frame: PhantomData<&'a NET_BUFFER>,
}

impl<'a> NbData<'a> {
    /// The bytes of `frame`.
    ///
    /// # Safety
    /// The chain at `CurrentMdl` is valid for `'a`, and each MDL's page array describes locked
    /// pages, as NDIS promises for frames that a miniport owns.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "DataLength is the low half"
    )]
    pub unsafe fn new(frame: &'a NET_BUFFER) -> Self {
        Self {
            mdl: frame.CurrentMdl,
            skip: frame.CurrentMdlOffset,
            length: frame.stDataLength as u32,
            frame: PhantomData,
        }
    }

    /// Bytes of the frame.
    pub fn len(&self) -> u32 {
        self.length
    }

    /// Whether the frame has no bytes.
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// The fragments in order. Their lengths add up to [`Self::len`] unless an error ends them.
    pub fn fragments(&self) -> Fragments<'a> {
        Fragments {
            mdl: self.mdl,
            position: self.skip,
            remaining: self.length,
            frame: PhantomData,
        }
    }
}

/// Iterator over a frame's fragments.
#[derive(Clone, Debug)]
pub struct Fragments<'a> {
    mdl: *const MDL,
    /// Bytes of the present MDL already passed.
    position: u32,
    remaining: u32,
    frame: PhantomData<&'a NET_BUFFER>,
}

impl Iterator for Fragments<'_> {
    type Item = Result<Fragment, ShortChain>;

    fn next(&mut self) -> Option<Self::Item> {
        while self.remaining != 0 {
            // SAFETY: `NbData::new` was promised a valid chain; null ends it.
            let Some(mdl) = (unsafe { self.mdl.as_ref() }) else {
                let missing = core::mem::take(&mut self.remaining);
                return Some(Err(ShortChain { missing }));
            };
            let left = mdl.ByteCount.saturating_sub(self.position);
            if left == 0 {
                // An offset beyond the MDL carries on in the next one.
                self.position = self.position.saturating_sub(mdl.ByteCount);
                self.mdl = mdl.Next;
                continue;
            }
            let start = u64::from(mdl.ByteOffset).saturating_add(u64::from(self.position));
            #[expect(clippy::cast_possible_truncation, reason = "below PAGE_SIZE")]
            let offset = (start & u64::from(PAGE_SIZE.saturating_sub(1))) as u32;
            let page = start >> PAGE_SHIFT;
            let len = left
                .min(self.remaining)
                .min(PAGE_SIZE.saturating_sub(offset));
            let page = page as usize;
            // SAFETY: the page array follows the MDL header (MmGetMdlPfnArray).
            let pages = unsafe { self.mdl.add(1) }.cast::<u64>();
            // SAFETY: the array has an element for each page that the MDL's bytes touch, and byte
            // `position` of the MDL is in page number `page`.
            let entry = unsafe { pages.add(page) };
            // SAFETY: as above; elements are aligned because the header is 48 bytes.
            let pfn = unsafe { entry.read() };
            self.position = self.position.saturating_add(len);
            self.remaining = self.remaining.saturating_sub(len);
            return Some(Ok(Fragment { pfn, offset, len }));
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::boxed::Box;
    use std::vec::Vec;

    /// An MDL with room for its page array.
    #[repr(C)]
    struct TestMdl {
        mdl: MDL,
        pages: [u64; 8],
    }

    /// Builds a chain; each element is (offset in first page, bytes). Pages are numbered
    /// `100 * element + page`.
    fn chain(parts: &[(u32, u32)]) -> (*mut MDL, Vec<*mut TestMdl>) {
        let mut head: *mut MDL = core::ptr::null_mut();
        let mut all = Vec::new();
        for (i, &(offset, count)) in parts.iter().enumerate().rev() {
            // SAFETY: an MDL of zeros is a valid value.
            let mut m: Box<TestMdl> = Box::new(unsafe { core::mem::zeroed() });
            m.mdl.Next = head;
            m.mdl.ByteOffset = offset;
            m.mdl.ByteCount = count;
            for (p, slot) in m.pages.iter_mut().enumerate() {
                *slot = (100 * i + p) as u64;
            }
            let raw = Box::into_raw(m);
            all.push(raw);
            head = raw.cast();
        }
        (head, all)
    }

    fn walk(parts: &[(u32, u32)], skip: u32, length: u32) -> Vec<Result<Fragment, ShortChain>> {
        let (head, all) = chain(parts);
        // SAFETY: a NET_BUFFER of zeros is a valid value.
        let mut nb: NET_BUFFER = unsafe { core::mem::zeroed() };
        nb.CurrentMdl = head;
        nb.CurrentMdlOffset = skip;
        nb.stDataLength = length as usize;
        // SAFETY: the chain lives until the end of this function.
        let data = unsafe { NbData::new(&nb) };
        let out = data.fragments().collect();
        for m in all {
            // SAFETY: made by `Box::into_raw` above.
            drop(unsafe { Box::from_raw(m) });
        }
        out
    }

    #[expect(
        clippy::unnecessary_wraps,
        reason = "compared with what the iterator gives"
    )]
    fn frag(pfn: u64, offset: u32, len: u32) -> Result<Fragment, ShortChain> {
        Ok(Fragment { pfn, offset, len })
    }

    #[test]
    fn splits_at_pages() {
        assert_eq!(
            walk(&[(4000, 5000)], 0, 5000),
            [frag(0, 4000, 96), frag(1, 0, 4096), frag(2, 0, 808)]
        );
    }

    #[test]
    fn starts_in_the_middle_and_stops_before_the_end_of_the_chain() {
        assert_eq!(
            walk(&[(16, 100), (0, 4096), (0, 4096)], 90, 30),
            [frag(0, 106, 10), frag(100, 0, 20)]
        );
    }

    #[test]
    fn passes_over_mdls_without_bytes() {
        assert_eq!(
            walk(&[(0, 0), (8, 14), (0, 0), (0, 0), (1, 60)], 0, 74),
            [frag(100, 8, 14), frag(400, 1, 60)]
        );
    }

    #[test]
    fn a_short_chain_is_one_error_and_the_end() {
        assert_eq!(
            walk(&[(0, 60)], 0, 100),
            [frag(0, 0, 60), Err(ShortChain { missing: 40 })]
        );
        assert_eq!(walk(&[], 0, 1), [Err(ShortChain { missing: 1 })]);
    }

    #[test]
    fn an_empty_frame_has_no_fragments() {
        assert_eq!(walk(&[(0, 60)], 0, 0), []);
    }

    #[test]
    fn only_the_low_half_of_the_length_counts() {
        // SAFETY: a NET_BUFFER of zeros is a valid value.
        let mut nb: NET_BUFFER = unsafe { core::mem::zeroed() };
        nb.stDataLength = 0xDEAD_0000_0000_0040;
        // SAFETY: the chain is empty and not walked.
        assert_eq!(unsafe { NbData::new(&nb) }.len(), 0x40);
    }

    proptest! {
        #![proptest_config(ProptestConfig {
        cases: if cfg!(miri) { 8 } else { 256 },
        failure_persistence: None,
        ..ProptestConfig::default()
    })]
        #[test]
        fn fragments_cover_the_frame_and_never_cross_a_page(
            parts in proptest::collection::vec((0u32..4096, 0u32..20_000), 0..6),
            skip in 0u32..3000, length in 0u32..60_000)
        {
            let total: u32 = parts.iter().map(|p| p.1).sum();
            let out = walk(&parts, skip, length);
            let mut sum = 0;
            for f in out.iter().flatten() {
                prop_assert!(f.len > 0 && f.offset + f.len <= PAGE_SIZE);
                sum += f.len;
            }
            let errors = out.iter().filter(|f| f.is_err()).count();
            let have = total.saturating_sub(skip);
            if have >= length {
                prop_assert_eq!((sum, errors), (length, 0));
            } else {
                prop_assert_eq!((sum, errors), (have, 1));
                prop_assert_eq!(out.last(), Some(&Err(ShortChain { missing: length - have })));
            }
        }
    }
}
