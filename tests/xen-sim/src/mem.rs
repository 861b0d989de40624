//! Guest memory: the only module that touches it through raw pointers.
//!
//! The guest runs beside the simulation, so nothing here makes a reference to plain guest data: aligned
//! fields are accessed as atomics, byte ranges by copies whose ends are checked against the frame.
#![allow(
    unsafe_code,
    reason = "guest memory is foreign memory, reachable by pointer only"
)]

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU8, AtomicU16, AtomicU32, AtomicU64, Ordering::SeqCst};

use crate::abi::{EFAULT, Errno, PAGE_SIZE};

/// The guest's memory, as the host sees it.
///
/// # Safety
/// Every pointer returned must stay valid for reads and writes of its whole range for as long as the
/// [`Machine`](crate::Machine) lives, and `frame_ptr` results must be aligned to 4096.
pub unsafe trait GuestMemory: Send {
    /// The 4096 bytes of guest frame `pfn`, or `None` where the guest has no memory.
    fn frame_ptr(&self, pfn: u64) -> Option<*mut u8>;

    /// The `len` bytes at guest *virtual* address `va` (hypercall arguments are virtual).
    fn translate(&self, va: u64, len: usize) -> Option<*mut u8>;
}

/// One guest frame (or a page that Xen keeps itself), accessed by offset.
///
/// A copyable pointer: it names the frame, it does not own it. Offsets are checked and must be
/// aligned for the access; a wrong one is an error of the simulation and panics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Page(*mut u8);

// SAFETY: a Page is only used through atomics and byte copies, which any thread may do.
unsafe impl Send for Page {}

macro_rules! atomic_access {
    ($($read:ident, $write:ident, $or:ident, $and:ident, $cas:ident, $at:ident, $int:ty, $atomic:ty;)*) => {$(
        #[allow(clippy::cast_ptr_alignment, reason = "the offset is checked to be aligned (u8 needs none)")]
        fn $at(&self, offset: usize) -> &$atomic {
            let size = core::mem::size_of::<$int>();
            assert!(offset.is_multiple_of(size) && offset + size <= PAGE_SIZE, "offset {offset} of a page");
            // SAFETY: inside the page by the check above.
            let at = unsafe { self.0.add(offset) };
            // SAFETY: aligned and inside a page that outlives the machine (GuestMemory's contract).
            unsafe { <$atomic>::from_ptr(at.cast::<$int>()) }
        }
        #[doc = concat!("Reads the `", stringify!($int), "` at `offset` once.")]
        pub fn $read(&self, offset: usize) -> $int { self.$at(offset).load(SeqCst) }
        #[doc = concat!("Writes the `", stringify!($int), "` at `offset`.")]
        pub fn $write(&self, offset: usize, value: $int) { self.$at(offset).store(value, SeqCst); }
        #[doc = concat!("Ors `bits` into the `", stringify!($int), "` at `offset`; returns the old value.")]
        pub fn $or(&self, offset: usize, bits: $int) -> $int { self.$at(offset).fetch_or(bits, SeqCst) }
        #[doc = concat!("Ands `bits` into the `", stringify!($int), "` at `offset`; returns the old value.")]
        pub fn $and(&self, offset: usize, bits: $int) -> $int { self.$at(offset).fetch_and(bits, SeqCst) }
        #[doc = concat!("Replaces the `", stringify!($int), "` at `offset` if it is `old`; else returns what it is.")]
        pub fn $cas(&self, offset: usize, old: $int, new: $int) -> Result<(), $int> {
            self.$at(offset).compare_exchange(old, new, SeqCst, SeqCst).map(|_| ())
        }
    )*};
}

impl Page {
    /// Whether two values name the same frame.
    pub fn same(&self, other: &Self) -> bool {
        self.0 == other.0
    }

    atomic_access! {
        read_u8, write_u8, or_u8, and_u8, cas_u8, at_u8, u8, AtomicU8;
        read_u16, write_u16, or_u16, and_u16, cas_u16, at_u16, u16, AtomicU16;
        read_u32, write_u32, or_u32, and_u32, cas_u32, at_u32, u32, AtomicU32;
        read_u64, write_u64, or_u64, and_u64, cas_u64, at_u64, u64, AtomicU64;
    }

    /// Copies out of the page. Panics when the range leaves the page.
    pub fn read(&self, offset: usize, out: &mut [u8]) {
        assert!(offset + out.len() <= PAGE_SIZE, "range leaves the page");
        // SAFETY: inside the page by the check above.
        let from = unsafe { self.0.add(offset) };
        // SAFETY: both ranges are valid for `out.len()` bytes and `out` is ours alone.
        unsafe { core::ptr::copy_nonoverlapping(from, out.as_mut_ptr(), out.len()) };
    }

    /// Copies into the page. Panics when the range leaves the page.
    pub fn write(&self, offset: usize, bytes: &[u8]) {
        assert!(offset + bytes.len() <= PAGE_SIZE, "range leaves the page");
        // SAFETY: inside the page by the check above.
        let to = unsafe { self.0.add(offset) };
        // SAFETY: both ranges are valid for `bytes.len()` bytes; guest frames never overlap `bytes`.
        unsafe { core::ptr::copy_nonoverlapping(bytes.as_ptr(), to, bytes.len()) };
    }
}

/// A page of Xen's own, for a shared structure the guest has not placed yet.
#[derive(Debug)]
pub(crate) struct OwnPage(*mut PageBytes);

#[repr(C, align(4096))]
struct PageBytes([u8; PAGE_SIZE]);

// SAFETY: the page is owned and only reached through `Page`.
unsafe impl Send for OwnPage {}

impl OwnPage {
    pub(crate) fn new() -> Self {
        Self(Box::into_raw(Box::new(PageBytes([0; PAGE_SIZE]))))
    }

    pub(crate) fn page(&self) -> Page {
        Page(self.0.cast())
    }
}

impl Drop for OwnPage {
    fn drop(&mut self) {
        // SAFETY: made by `Box::into_raw` in `new` and freed once, here.
        drop(unsafe { Box::from_raw(self.0) });
    }
}

/// The guest's memory with the checks Xen makes.
pub(crate) struct Memory(Box<dyn GuestMemory>);

impl core::fmt::Debug for Memory {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Memory")
    }
}

impl Memory {
    pub(crate) fn new(guest: Box<dyn GuestMemory>) -> Self {
        Self(guest)
    }

    pub(crate) fn frame(&self, pfn: u64) -> Option<Page> {
        let at = self.0.frame_ptr(pfn)?;
        assert!(
            at.addr().is_multiple_of(PAGE_SIZE),
            "frame_ptr gave an unaligned frame"
        );
        Some(Page(at))
    }

    /// Copies `N` bytes from guest virtual address `va`.
    pub(crate) fn read_guest<const N: usize>(&self, va: u64) -> Result<[u8; N], Errno> {
        let from = self.0.translate(va, N).ok_or(EFAULT)?;
        let mut out = [0_u8; N];
        // SAFETY: translate vouches for N bytes at `from`; `out` is a local.
        unsafe { core::ptr::copy_nonoverlapping(from, out.as_mut_ptr(), N) };
        Ok(out)
    }

    /// Copies `bytes` to guest virtual address `va`.
    pub(crate) fn write_guest(&self, va: u64, bytes: &[u8]) -> Result<(), Errno> {
        let to = self.0.translate(va, bytes.len()).ok_or(EFAULT)?;
        // SAFETY: translate vouches for the range at `to`; it never overlaps `bytes`, which is ours.
        unsafe { core::ptr::copy_nonoverlapping(bytes.as_ptr(), to, bytes.len()) };
        Ok(())
    }

    /// Copies `len` bytes from guest virtual address `va`.
    pub(crate) fn read_guest_bytes(&self, va: u64, len: usize) -> Result<Vec<u8>, Errno> {
        let mut out = Vec::new();
        for i in 0..len as u64 {
            out.push(self.read_guest::<1>(va.wrapping_add(i))?[0]);
        }
        Ok(out)
    }
}

/// Guest memory that is one block: frame `n` is at offset `4096 * n`, and a virtual address is the host's.
///
/// Clones name the same block; it is freed with the last of them.
#[derive(Clone, Debug)]
pub struct FlatMemory(alloc::sync::Arc<Block>);

#[derive(Debug)]
struct Block(Vec<OwnPages>);

/// A run of pages; boxed slices of aligned pages give one contiguous, aligned block.
#[derive(Debug)]
struct OwnPages(*mut PageBytes, usize);

// SAFETY: owned memory, reached only through `Page` and checked copies.
unsafe impl Send for OwnPages {}
// SAFETY: as above.
unsafe impl Sync for OwnPages {}

impl Drop for OwnPages {
    fn drop(&mut self) {
        let slice = core::ptr::slice_from_raw_parts_mut(self.0, self.1);
        // SAFETY: made by `Box::into_raw` of a boxed slice of this length, freed once, here.
        drop(unsafe { Box::from_raw(slice) });
    }
}

impl FlatMemory {
    /// Memory of `frames` zeroed frames.
    pub fn new(frames: usize) -> Self {
        let pages: Vec<PageBytes> = (0..frames).map(|_| PageBytes([0; PAGE_SIZE])).collect();
        let start = Box::into_raw(pages.into_boxed_slice()).cast::<PageBytes>();
        Self(alloc::sync::Arc::new(Block(alloc::vec![OwnPages(
            start, frames
        )])))
    }

    fn run(&self) -> &OwnPages {
        &self.0.0[0]
    }

    /// Frame `pfn`. Panics past the end of the memory.
    pub fn page(&self, pfn: u64) -> Page {
        Page(self.frame_ptr(pfn).expect("a frame of this memory"))
    }

    /// The virtual address of byte `offset` of frame `pfn`.
    pub fn va(&self, pfn: u64, offset: usize) -> u64 {
        self.page(pfn).0.addr() as u64 + offset as u64
    }
}

// SAFETY: the block lives as long as any clone, and the Machine holds one; pages are aligned.
unsafe impl GuestMemory for FlatMemory {
    fn frame_ptr(&self, pfn: u64) -> Option<*mut u8> {
        let run = self.run();
        let index = usize::try_from(pfn).ok().filter(|&i| i < run.1)?;
        // SAFETY: `index` is inside the run.
        Some(unsafe { run.0.add(index) }.cast())
    }

    fn translate(&self, va: u64, len: usize) -> Option<*mut u8> {
        let run = self.run();
        let offset = usize::try_from(va.checked_sub(run.0.addr() as u64)?).ok()?;
        if offset.checked_add(len)? > run.1 * PAGE_SIZE {
            return None;
        }
        // SAFETY: `offset + len` is inside the run.
        Some(unsafe { run.0.cast::<u8>().add(offset) })
    }
}
