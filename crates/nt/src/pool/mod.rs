//! Kernel pool memory.
//!
//! All memory of the drivers is non-paged and not executable (`NonPagedPoolNx`), carries a tag, and
//! comes from `ExAllocatePoolWithTag`: `ExAllocatePool2` is not in Windows 10 1809. Allocation and
//! release work at `DISPATCH_LEVEL` and below.
//!
//! | type | is |
//! |---|---|
//! | [`PoolAllocator`] | the global allocator of a driver |
//! | [`PoolBox`], [`PoolSlice`], [`PoolArc`] | owned memory whose constructors can fail |
//! | [`Pages`] | whole zeroed pages, for memory a peer shares |
//! | [`paged`] | paged memory handed to the plug-and-play manager |

mod arc;
mod boxed;
mod layout;
pub mod paged;
mod pages;

pub use arc::PoolArc;
pub use boxed::{PoolBox, PoolSlice};
pub use pages::{PAGE_SIZE, Pages};

use core::alloc::{GlobalAlloc, Layout};
use core::fmt;
use core::ptr::NonNull;

use wdk_sys::ntddk;

use crate::imports;
use crate::status::Status;

/// `NonPagedPoolNx` of `POOL_TYPE`: resident and not executable.
const NON_PAGED_POOL_NX: i32 = 512;

/// A pool tag: four printable characters that name the owner in `poolmon` and Driver Verifier.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Tag(u32);

impl Tag {
    /// The tag that tools show as `characters`.
    ///
    /// # Panics
    /// When one of them is not printable ASCII: at build time, in a constant.
    pub const fn new(characters: &[u8; 4]) -> Self {
        let [a, b, c, d] = *characters;
        assert!(
            printable(a) && printable(b) && printable(c) && printable(d),
            "a pool tag is four printable ASCII characters"
        );
        Self(u32::from_le_bytes(*characters))
    }

    /// The number for the kernel.
    pub const fn into_raw(self) -> u32 {
        self.0
    }
}

const fn printable(character: u8) -> bool {
    matches!(character, b' '..=b'~')
}

impl fmt::Debug for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tag(")?;
        for character in self.0.to_le_bytes() {
            write!(f, "{}", char::from(character))?;
        }
        f.write_str(")")
    }
}

/// There was no memory. Worth another try later.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OutOfMemory;

impl fmt::Display for OutOfMemory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("out of pool memory")
    }
}

impl core::error::Error for OutOfMemory {}

impl From<OutOfMemory> for Status {
    fn from(_: OutOfMemory) -> Self {
        Self::INSUFFICIENT_RESOURCES
    }
}

/// Where pool memory comes from: the kernel, or a test.
///
/// # Safety
/// `allocate` returns null or a block of at least `bytes` bytes that nothing else uses until
/// `free`, aligned as the kernel's pool is: to 16 bytes, and to a page from a page's size on.
pub unsafe trait RawPool {
    /// Allocates `bytes` bytes, never 0.
    fn allocate(bytes: usize, tag: Tag) -> *mut u8;

    /// Gives a block back.
    ///
    /// # Safety
    /// `block` came from `allocate` with the same tag and is not used any more.
    unsafe fn free(block: *mut u8, tag: Tag);
}

/// The kernel's non-paged pool without execute permission.
#[derive(Debug, Clone, Copy)]
pub struct NonPagedNx;

// SAFETY: ExAllocatePoolWithTag promises exactly the alignments the trait asks for.
unsafe impl RawPool for NonPagedNx {
    fn allocate(bytes: usize, tag: Tag) -> *mut u8 {
        // SAFETY: no preconditions at DISPATCH_LEVEL or below, where all driver code runs but
        // service routines; those hold an `Isr`, which reaches nothing that allocates.
        unsafe { imports::ExAllocatePoolWithTag(NON_PAGED_POOL_NX, bytes as u64, tag.0) }.cast()
    }

    unsafe fn free(block: *mut u8, tag: Tag) {
        // SAFETY: by the trait's contract the block is ours, live and of this tag.
        unsafe { ntddk::ExFreePoolWithTag(block.cast(), tag.0) }
    }
}

/// Memory of `layout` from `P`; zeroed when `zero`. `layout.size()` is not 0.
fn allocate<P: RawPool>(layout: Layout, tag: Tag, zero: bool) -> Option<NonNull<u8>> {
    let plan = layout::Plan::of(layout)?;
    let base = NonNull::new(P::allocate(plan.bytes(), tag))?;
    let block = match plan {
        layout::Plan::Direct { .. } => base,
        layout::Plan::Shifted { align, .. } => {
            let shift = layout::shift(base.addr().get(), align)?;
            // SAFETY: the plan's size covers the largest shift and the layout after it.
            let block = unsafe { base.add(shift) };
            // SAFETY: a shift leaves at least 8 bytes before the block, inside the allocation.
            let slot = unsafe { block.cast::<*mut u8>().sub(1) };
            // SAFETY: as above; the block's alignment of 32 or more aligns the slot.
            unsafe { slot.write(base.as_ptr()) };
            block
        }
    };
    if zero {
        // SAFETY: the block has the layout's size.
        unsafe { block.write_bytes(0, layout.size()) };
    }
    Some(block)
}

/// Gives back what [`allocate`] returned.
///
/// # Safety
/// `block` came from `allocate::<P>` with the same layout and tag and is not used any more.
unsafe fn release<P: RawPool>(block: NonNull<u8>, layout: Layout, tag: Tag) {
    let base = match layout::Plan::of(layout) {
        Some(layout::Plan::Shifted { .. }) => {
            // SAFETY: with this plan `allocate` left room for the base before the block.
            let slot = unsafe { block.cast::<*mut u8>().sub(1) };
            // SAFETY: `allocate` wrote the base there.
            unsafe { slot.read() }
        }
        _ => block.as_ptr(),
    };
    // SAFETY: base is what P::allocate returned for this block; the caller gives it up.
    unsafe { P::free(base, tag) };
}

/// The global allocator of a driver: non-paged pool with one tag.
///
/// `alloc`'s infallible calls end in a bug check when memory is short; drivers use the fallible
/// ones (`try_reserve`) or the types of this module.
#[derive(Debug, Default)]
pub struct PoolAllocator<const TAG: u32>;

impl<const TAG: u32> PoolAllocator<TAG> {
    /// The allocator.
    pub const fn new() -> Self {
        Self
    }
}

// SAFETY: `allocate` gives memory of the layout or none, and `release` gets the same layout back.
unsafe impl<const TAG: u32> GlobalAlloc for PoolAllocator<TAG> {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        into_raw(allocate::<NonPagedNx>(layout, Tag(TAG), false))
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        into_raw(allocate::<NonPagedNx>(layout, Tag(TAG), true))
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        if let Some(block) = NonNull::new(block) {
            // SAFETY: by GlobalAlloc's contract the block is ours and has this layout.
            unsafe { release::<NonPagedNx>(block, layout, Tag(TAG)) }
        }
    }
}

fn into_raw(block: Option<NonNull<u8>>) -> *mut u8 {
    block.map_or(core::ptr::null_mut(), NonNull::as_ptr)
}

#[cfg(test)]
mod fake;

#[cfg(test)]
mod tests {
    use core::alloc::Layout;

    use super::fake::FakePool;
    use super::{Tag, allocate, release};

    const TAG: Tag = Tag::new(b"Test");

    #[test]
    fn a_tag_reads_in_tools_as_it_is_written() {
        assert_eq!(TAG.into_raw().to_le_bytes(), *b"Test");
        assert_eq!(std::format!("{TAG:?}"), "Tag(Test)");
    }

    #[test]
    fn every_layout_is_aligned_writable_and_released_whole() {
        let sizes = [1, 7, 16, 17, 100, 4000, 4095, 4096, 4097, 10_000];
        let aligns = [1, 2, 8, 16, 32, 64, 512, 2048, 4096, 8192, 65_536];
        for (size, align) in sizes
            .into_iter()
            .flat_map(|size| aligns.into_iter().map(move |align| (size, align)))
        {
            let layout = Layout::from_size_align(size, align).unwrap();
            let block = allocate::<FakePool>(layout, TAG, false).unwrap();
            assert_eq!(block.addr().get() % align, 0, "{layout:?}");
            // SAFETY: the block has this size; Miri checks that.
            unsafe { block.write_bytes(0xa5, size) };
            // SAFETY: allocated above with this layout and tag. The fake checks the base.
            unsafe { release::<FakePool>(block, layout, TAG) };
        }
        FakePool::assert_empty();
    }

    #[test]
    fn zeroed_memory_is_zero_whatever_was_there() {
        for align in [16, 256] {
            let layout = Layout::from_size_align(300, align).unwrap();
            let block = allocate::<FakePool>(layout, TAG, true).unwrap();
            for at in 0..300 {
                // SAFETY: inside the block.
                let byte = unsafe { block.add(at) };
                // SAFETY: the block is initialized.
                assert_eq!(unsafe { byte.read() }, 0);
            }
            // SAFETY: allocated above with this layout and tag.
            unsafe { release::<FakePool>(block, layout, TAG) };
        }
    }

    #[test]
    fn a_pool_without_memory_gives_none() {
        let _failing = FakePool::fail_all();
        let layout = Layout::from_size_align(64, 64).unwrap();
        assert!(allocate::<FakePool>(layout, TAG, true).is_none());
    }

    #[test]
    fn a_size_past_the_address_space_gives_none() {
        let layout = Layout::from_size_align(isize::MAX as usize - 8191, 8192).unwrap();
        assert!(allocate::<FakePool>(layout, TAG, false).is_none());
    }
}
