//! Guest memory, seen twice.
//!
//! [`Ram`] is the whole of guest-physical memory, always readable and writable through its *alias*; the
//! harness, the simulated hypervisor and the backend use that view. `Window` is the kernel address
//! space the drivers see: reserved and inaccessible until single frames are mapped into it
//! with the access the driver is allowed.

use core::sync::atomic::AtomicU32;

use super::HostError;
use super::system::memory::Backing;
pub(crate) use super::system::memory::{Window, ZeroTable};

/// Bytes in a page, and the unit of every mapping.
pub(crate) const PAGE: usize = 4096;

/// What a driver may do with a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Nothing: every access faults.
    None,
    /// Read.
    Read,
    /// Read and write, not execute.
    ReadWrite,
    /// Read and execute, not write.
    ReadExecute,
}

/// Guest-physical memory.
#[derive(Debug)]
pub(crate) struct Ram {
    backing: Backing,
}

impl Ram {
    /// `ram` bytes of memory and `hole` bytes above it that only devices answer for. A bare-metal host has what
    /// it has, whatever is asked for.
    pub(crate) fn new(ram: usize, hole: usize) -> Result<Self, HostError> {
        Ok(Self {
            backing: Backing::new(ram, hole)?,
        })
    }

    #[cfg(feature = "linux")]
    pub(super) const fn backing(&self) -> &Backing {
        &self.backing
    }

    /// First guest-physical address above memory and hole.
    pub(crate) const fn len(&self) -> usize {
        self.backing.end()
    }

    /// First guest-physical address of the hole.
    pub(crate) fn hole(&self) -> usize {
        self.backing.hole()
    }

    /// Frames to hand out: first frame and count of each range.
    pub(crate) fn free_frames(&self) -> alloc::vec::Vec<(usize, usize)> {
        self.backing.free_frames()
    }

    fn alias_at(&self, physical: u64, len: usize) -> Option<*mut u8> {
        let start = usize::try_from(physical).ok()?;
        (start.checked_add(len)? <= self.len()).then(|| (self.backing.alias() + start) as *mut u8)
    }

    /// Copies guest-physical memory out. `None` if the range leaves the memory.
    pub(crate) fn read(&self, physical: u64, out: &mut [u8]) -> Option<()> {
        let from = self.alias_at(physical, out.len())?;
        // SAFETY: `from` is inside the alias mapping for `out.len()` bytes; `out` is host memory and cannot overlap it.
        unsafe { core::ptr::copy_nonoverlapping(from, out.as_mut_ptr(), out.len()) };
        Some(())
    }

    /// Copies into guest-physical memory, whatever protection the drivers' view has.
    pub(crate) fn write(&self, physical: u64, data: &[u8]) -> Option<()> {
        let to = self.alias_at(physical, data.len())?;
        // SAFETY: `to` is inside the alias mapping for `data.len()` bytes; `data` is host memory and cannot overlap it.
        unsafe { core::ptr::copy_nonoverlapping(data.as_ptr(), to, data.len()) };
        Some(())
    }

    /// Fills guest-physical memory with one byte.
    pub(crate) fn fill(&self, physical: u64, len: usize, byte: u8) -> Option<()> {
        let to = self.alias_at(physical, len)?;
        // SAFETY: `to` is inside the alias mapping for `len` bytes.
        unsafe { core::ptr::write_bytes(to, byte, len) };
        Some(())
    }

    /// The words of one page, shared with whoever else uses the page.
    pub(crate) fn page_words(&self, pfn: u32) -> Option<&[AtomicU32; PAGE / 4]> {
        let at = self.alias_at(u64::from(pfn) * PAGE as u64, PAGE)?;
        #[expect(
            clippy::cast_ptr_alignment,
            reason = "the address is a multiple of the page size"
        )]
        let page = at.cast::<[AtomicU32; PAGE / 4]>();
        // SAFETY: the page is mapped as long as `self` lives, is aligned, and is only accessed atomically or by
        // volatile copies on behalf of another processor, as real shared memory is.
        Some(unsafe { &*page })
    }
}
