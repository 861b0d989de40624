//! Guest memory: one memory file, seen twice.
//!
//! [`Ram`] is the whole of guest-physical memory, always readable and writable through its *alias*; the
//! harness, the simulated hypervisor and the backend use that view. [`Window`] is the kernel address
//! space the drivers see: reserved and inaccessible until single pages of the file are mapped into it
//! with the protection the driver is allowed.

use core::ffi::c_void;
use core::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::io;

/// Bytes in a page, and the unit of every mapping.
pub(crate) const PAGE: usize = 4096;

/// What a driver may do with a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    None,
    Read,
    ReadWrite,
    ReadExecute,
}

impl Access {
    const fn prot(self) -> i32 {
        match self {
            Self::None => libc::PROT_NONE,
            Self::Read => libc::PROT_READ,
            Self::ReadWrite => libc::PROT_READ | libc::PROT_WRITE,
            Self::ReadExecute => libc::PROT_READ | libc::PROT_EXEC,
        }
    }
}

/// Guest-physical memory: offset in the file is the guest-physical address.
#[derive(Debug)]
pub(crate) struct Ram {
    fd: i32,
    alias: usize,
    len: usize,
}

impl Ram {
    /// Makes `len` bytes (a multiple of the page size) of zeroed memory; no page is committed yet.
    pub(crate) fn new(len: usize) -> io::Result<Self> {
        // SAFETY: the name is a NUL-terminated literal.
        let fd = unsafe { libc::memfd_create(c"guest-ram".as_ptr(), libc::MFD_CLOEXEC) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        let size = i64::try_from(len).map_err(io::Error::other)?;
        // SAFETY: `fd` is the file made above.
        if unsafe { libc::ftruncate(fd, size) } != 0 {
            return Err(io::Error::last_os_error());
        }
        let prot = libc::PROT_READ | libc::PROT_WRITE;
        let flags = libc::MAP_SHARED | libc::MAP_NORESERVE;
        // SAFETY: a fresh mapping at an address of the kernel's choice touches nothing that exists.
        let alias = unsafe { libc::mmap(core::ptr::null_mut(), len, prot, flags, fd, 0) };
        if alias == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        Ok(Self {
            fd,
            alias: alias as usize,
            len,
        })
    }

    /// Bytes of guest-physical memory.
    pub(crate) const fn len(&self) -> usize {
        self.len
    }

    fn alias_at(&self, physical: u64, len: usize) -> Option<*mut u8> {
        let start = usize::try_from(physical).ok()?;
        (start.checked_add(len)? <= self.len).then(|| (self.alias + start) as *mut u8)
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

impl Drop for Ram {
    fn drop(&mut self) {
        // SAFETY: the mapping was made in `new` and no reference into it outlives `self`.
        unsafe { libc::munmap(self.alias as *mut c_void, self.len) };
        // SAFETY: the file was made in `new` and is closed once.
        unsafe { libc::close(self.fd) };
    }
}

/// The kernel address space of one harness.
#[derive(Debug)]
pub(crate) struct Window {
    base: usize,
    len: usize,
}

/// Where the next window is tried: fixed places, so that addresses repeat from run to run.
static NEXT_SLOT: AtomicUsize = AtomicUsize::new(0);
const FIRST_WINDOW: usize = 0x2000_0000_0000;
const WINDOW_STRIDE: usize = 64 << 30;

impl Window {
    /// Reserves `len` inaccessible bytes.
    pub(crate) fn reserve(len: usize) -> io::Result<Self> {
        let flags = libc::MAP_PRIVATE
            | libc::MAP_ANONYMOUS
            | libc::MAP_NORESERVE
            | libc::MAP_FIXED_NOREPLACE;
        loop {
            let slot = NEXT_SLOT.fetch_add(1, Ordering::Relaxed) % 512;
            let want = FIRST_WINDOW + slot * WINDOW_STRIDE;
            // SAFETY: NOREPLACE keeps the call from touching a mapping that exists.
            let got =
                unsafe { libc::mmap(want as *mut c_void, len, libc::PROT_NONE, flags, -1, 0) };
            if got != libc::MAP_FAILED {
                return Ok(Self {
                    base: got as usize,
                    len,
                });
            }
            let error = io::Error::last_os_error();
            if error.raw_os_error() != Some(libc::EEXIST) {
                return Err(error);
            }
        }
    }

    /// First address.
    pub(crate) const fn base(&self) -> usize {
        self.base
    }

    /// Bytes reserved.
    pub(crate) const fn len(&self) -> usize {
        self.len
    }

    /// Maps `pages` consecutive pages of `ram` from frame `pfn` at page index `page`.
    pub(crate) fn map(
        &self,
        page: usize,
        ram: &Ram,
        pfn: u32,
        pages: usize,
        access: Access,
    ) -> io::Result<()> {
        assert!(
            (page + pages) * PAGE <= self.len,
            "mapping leaves the window"
        );
        let flags = libc::MAP_SHARED | libc::MAP_FIXED | libc::MAP_NORESERVE;
        let at = (self.base + page * PAGE) as *mut c_void;
        let offset = i64::from(pfn) << 12;
        // SAFETY: the range is inside this window's own reservation, so only its own pages are replaced.
        let got = unsafe { libc::mmap(at, pages * PAGE, access.prot(), flags, ram.fd, offset) };
        if got == libc::MAP_FAILED {
            Err(io::Error::last_os_error())
        } else {
            Ok(())
        }
    }

    /// Changes what drivers may do with mapped pages.
    pub(crate) fn protect(&self, page: usize, pages: usize, access: Access) -> io::Result<()> {
        assert!(
            (page + pages) * PAGE <= self.len,
            "protection leaves the window"
        );
        let at = (self.base + page * PAGE) as *mut c_void;
        // SAFETY: the range is inside this window's own reservation.
        let done = unsafe { libc::mprotect(at, pages * PAGE, access.prot()) };
        if done != 0 {
            Err(io::Error::last_os_error())
        } else {
            Ok(())
        }
    }

    /// Makes pages inaccessible and forgets what they showed.
    pub(crate) fn unmap(&self, page: usize, pages: usize) -> io::Result<()> {
        assert!(
            (page + pages) * PAGE <= self.len,
            "unmapping leaves the window"
        );
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE | libc::MAP_FIXED;
        let at = (self.base + page * PAGE) as *mut c_void;
        // SAFETY: the range is inside this window's own reservation.
        let got = unsafe { libc::mmap(at, pages * PAGE, libc::PROT_NONE, flags, -1, 0) };
        if got == libc::MAP_FAILED {
            Err(io::Error::last_os_error())
        } else {
            Ok(())
        }
    }
}

impl Drop for Window {
    fn drop(&mut self) {
        // SAFETY: the reservation is this window's own; the harness has stopped every driver in it.
        unsafe { libc::munmap(self.base as *mut c_void, self.len) };
    }
}

/// A table of words that starts as zero and costs memory only where it is written.
#[derive(Debug)]
pub(crate) struct ZeroTable {
    at: usize,
    len: usize,
}

impl ZeroTable {
    pub(crate) fn new(len: usize) -> io::Result<Self> {
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
        let prot = libc::PROT_READ | libc::PROT_WRITE;
        // SAFETY: a fresh anonymous mapping touches nothing that exists.
        let at = unsafe { libc::mmap(core::ptr::null_mut(), len * 4, prot, flags, -1, 0) };
        if at == libc::MAP_FAILED {
            Err(io::Error::last_os_error())
        } else {
            Ok(Self {
                at: at as usize,
                len,
            })
        }
    }

    pub(crate) fn words(&self) -> &[AtomicU32] {
        // SAFETY: the mapping holds `len` aligned words, zeroed by the system, as long as `self` lives.
        unsafe { core::slice::from_raw_parts(self.at as *const AtomicU32, self.len) }
    }
}

impl Drop for ZeroTable {
    fn drop(&mut self) {
        // SAFETY: the mapping was made in `new`; no slice of it outlives `self`.
        unsafe { libc::munmap(self.at as *mut c_void, self.len * 4) };
    }
}
