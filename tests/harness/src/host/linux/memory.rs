//! Guest memory of the Linux process: one memory file, seen twice.

use alloc::vec;
use alloc::vec::Vec;
use core::ffi::c_void;
use core::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::io;

use crate::host::HostError;
use crate::host::memory::{Access, PAGE, Ram};

/// Bytes of address space one harness reserves. Address space, not memory.
const WINDOW: usize = 8 << 30;

const fn protection(access: Access) -> i32 {
    match access {
        Access::None => libc::PROT_NONE,
        Access::Read => libc::PROT_READ,
        Access::ReadWrite => libc::PROT_READ | libc::PROT_WRITE,
        Access::ReadExecute => libc::PROT_READ | libc::PROT_EXEC,
    }
}

/// What the system's last refusal was.
pub(super) fn last_error() -> HostError {
    HostError::System(io::Error::last_os_error().raw_os_error().unwrap_or(0))
}

/// The memory file: offset in it is the guest-physical address.
#[derive(Debug)]
pub(crate) struct Backing {
    fd: i32,
    alias: usize,
    ram: usize,
    len: usize,
}

impl Backing {
    /// Makes `ram + hole` bytes (multiples of the page size) of zeroed memory; no page is committed yet.
    pub(crate) fn new(ram: usize, hole: usize) -> Result<Self, HostError> {
        let len = ram + hole;
        // SAFETY: the name is a NUL-terminated literal.
        let fd = unsafe { libc::memfd_create(c"guest-ram".as_ptr(), libc::MFD_CLOEXEC) };
        if fd < 0 {
            return Err(last_error());
        }
        let size = i64::try_from(len).map_err(|_| HostError::NoMemory)?;
        // SAFETY: `fd` is the file made above.
        if unsafe { libc::ftruncate(fd, size) } != 0 {
            return Err(last_error());
        }
        let prot = libc::PROT_READ | libc::PROT_WRITE;
        let flags = libc::MAP_SHARED | libc::MAP_NORESERVE;
        // SAFETY: a fresh mapping at an address of the kernel's choice touches nothing that exists.
        let alias = unsafe { libc::mmap(core::ptr::null_mut(), len, prot, flags, fd, 0) };
        if alias == libc::MAP_FAILED {
            return Err(last_error());
        }
        Ok(Self {
            fd,
            alias: alias as usize,
            ram,
            len,
        })
    }

    /// Address at which guest-physical address 0 shows.
    pub(crate) const fn alias(&self) -> usize {
        self.alias
    }

    /// First guest-physical address that is neither memory nor hole.
    pub(crate) const fn end(&self) -> usize {
        self.len
    }

    /// Frames the harness may hand out, as first frame and count.
    pub(crate) fn free_frames(&self) -> Vec<(usize, usize)> {
        // Frame 0 is never handed out: a frame number of zero is a bug somewhere.
        vec![(16, self.ram / PAGE - 16)]
    }

    /// First guest-physical address of the hole.
    pub(crate) const fn hole(&self) -> usize {
        self.ram
    }
}

impl Drop for Backing {
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
    /// Reserves inaccessible address space.
    pub(crate) fn reserve() -> Result<Self, HostError> {
        let flags = libc::MAP_PRIVATE
            | libc::MAP_ANONYMOUS
            | libc::MAP_NORESERVE
            | libc::MAP_FIXED_NOREPLACE;
        let len = WINDOW;
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
            let error = last_error();
            if error != HostError::System(libc::EEXIST) {
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
    ) -> Result<(), HostError> {
        assert!(
            (page + pages) * PAGE <= self.len,
            "mapping leaves the window"
        );
        let flags = libc::MAP_SHARED | libc::MAP_FIXED | libc::MAP_NORESERVE;
        let at = (self.base + page * PAGE) as *mut c_void;
        let offset = i64::from(pfn) << 12;
        // SAFETY: the range is inside this window's own reservation, so only its own pages are replaced.
        let got = unsafe {
            libc::mmap(
                at,
                pages * PAGE,
                protection(access),
                flags,
                ram.backing().fd,
                offset,
            )
        };
        if got == libc::MAP_FAILED {
            Err(last_error())
        } else {
            Ok(())
        }
    }

    /// Changes what drivers may do with mapped pages.
    pub(crate) fn protect(
        &self,
        page: usize,
        pages: usize,
        access: Access,
    ) -> Result<(), HostError> {
        assert!(
            (page + pages) * PAGE <= self.len,
            "protection leaves the window"
        );
        let at = (self.base + page * PAGE) as *mut c_void;
        // SAFETY: the range is inside this window's own reservation.
        let done = unsafe { libc::mprotect(at, pages * PAGE, protection(access)) };
        if done != 0 { Err(last_error()) } else { Ok(()) }
    }

    /// Makes pages inaccessible and forgets what they showed.
    pub(crate) fn unmap(&self, page: usize, pages: usize) -> Result<(), HostError> {
        assert!(
            (page + pages) * PAGE <= self.len,
            "unmapping leaves the window"
        );
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE | libc::MAP_FIXED;
        let at = (self.base + page * PAGE) as *mut c_void;
        // SAFETY: the range is inside this window's own reservation.
        let got = unsafe { libc::mmap(at, pages * PAGE, libc::PROT_NONE, flags, -1, 0) };
        if got == libc::MAP_FAILED {
            Err(last_error())
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
    pub(crate) fn new(len: usize) -> Result<Self, HostError> {
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
        let prot = libc::PROT_READ | libc::PROT_WRITE;
        // SAFETY: a fresh anonymous mapping touches nothing that exists.
        let at = unsafe { libc::mmap(core::ptr::null_mut(), len * 4, prot, flags, -1, 0) };
        if at == libc::MAP_FAILED {
            Err(last_error())
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

/// Puts `code` into memory of its own that is executable and read-only, for as long as the process lives.
pub(crate) fn install_code(code: &[u8]) -> Result<usize, HostError> {
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
    let prot = libc::PROT_READ | libc::PROT_WRITE;
    // SAFETY: a fresh anonymous mapping touches nothing that exists.
    let at = unsafe { libc::mmap(core::ptr::null_mut(), code.len(), prot, flags, -1, 0) };
    if at == libc::MAP_FAILED {
        return Err(last_error());
    }
    // SAFETY: the mapping above is `code.len()` writable bytes, distinct from `code`.
    unsafe { core::ptr::copy_nonoverlapping(code.as_ptr(), at.cast::<u8>(), code.len()) };
    // SAFETY: the mapping above is this function's own.
    let done = unsafe { libc::mprotect(at, code.len(), libc::PROT_READ | libc::PROT_EXEC) };
    if done != 0 {
        return Err(last_error());
    }
    Ok(at as usize)
}
