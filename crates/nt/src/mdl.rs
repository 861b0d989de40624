//! Memory descriptor lists.

use core::fmt;
use core::marker::PhantomData;
use core::ops::Deref;
use core::ptr::NonNull;

use wdk_sys::{MDL, ULONG, ntddk};

use crate::event::KERNEL_MODE;
use crate::irql::AtMostDispatch;
use crate::pool::{PAGE_SIZE, Pages};
use crate::status::{Result, Status};

/// MDL flags under which `MappedSystemVa` is valid.
const HAS_ADDRESS: u32 = wdk_sys::MDL_MAPPED_TO_SYSTEM_VA | wdk_sys::MDL_SOURCE_IS_NONPAGED_POOL;

/// `NormalPagePriority`: fails when the system runs low.
const NORMAL_PAGE_PRIORITY: u32 = 16;

/// `MdlMappingNoExecute`, which goes with a page priority (Windows 8 and later).
const MAPPING_NO_EXECUTE: u32 = 0x4000_0000;

/// Pages that `len` bytes touch, `offset` bytes into the first.
const fn spanned_pages(offset: u32, len: u32) -> usize {
    // Both are 32 bits wide, so the sum fits.
    let bytes = (offset as usize).saturating_add(len as usize);
    bytes.div_ceil(PAGE_SIZE)
}

/// A borrowed MDL: one piece of a buffer, which may go on in [`MdlRef::next`].
#[derive(Clone, Copy)]
pub struct MdlRef<'a> {
    mdl: NonNull<MDL>,
    lent: PhantomData<&'a MDL>,
}

impl<'a> MdlRef<'a> {
    /// A view of `mdl`; none for null.
    ///
    /// # Safety
    /// Not null, `mdl` is an MDL whose pages are locked or resident, and neither it nor the ones
    /// linked to it change for `'a` but by mapping.
    pub unsafe fn from_raw(mdl: *mut MDL) -> Option<Self> {
        Some(Self {
            mdl: NonNull::new(mdl)?,
            lent: PhantomData,
        })
    }

    /// The MDL for the kernel.
    pub fn as_ptr(self) -> *mut MDL {
        self.mdl.as_ptr()
    }

    /// Number of bytes it describes.
    pub fn byte_count(self) -> u32 {
        // SAFETY: live for 'a by the contract of from_raw.
        unsafe { (*self.mdl.as_ptr()).ByteCount }
    }

    /// Offset of the first byte in its page.
    pub fn byte_offset(self) -> u32 {
        // SAFETY: live for 'a by the contract of from_raw.
        unsafe { (*self.mdl.as_ptr()).ByteOffset }
    }

    /// The next piece.
    pub fn next(self) -> Option<Self> {
        // SAFETY: live for 'a by the contract of from_raw.
        let next = unsafe { (*self.mdl.as_ptr()).Next };
        Some(Self {
            mdl: NonNull::new(next)?,
            lent: PhantomData,
        })
    }

    /// Page numbers of the pages it touches, in order.
    pub fn pfns(self) -> &'a [u64] {
        let pages = spanned_pages(self.byte_offset(), self.byte_count());
        // SAFETY: the page numbers follow the structure, at its end.
        let first = unsafe { self.mdl.add(1) };
        // SAFETY: an MDL holds one for each page it touches, and they do not change for 'a.
        unsafe { NonNull::slice_from_raw_parts(first.cast(), pages).as_ref() }
    }

    /// Address of the bytes in system memory, mapping them (not executable) when they are not; as
    /// `MmGetSystemAddressForMdlSafe`. Who owns the MDL ends the mapping with it.
    ///
    /// [`Status::INSUFFICIENT_RESOURCES`] when there are no page tables left: worth a later try.
    pub fn system_address(self, irql: &AtMostDispatch<'_>) -> Result<NonNull<u8>> {
        let _ = irql;
        // SAFETY: live for 'a by the contract of from_raw.
        let flags = unsafe { (*self.mdl.as_ptr()).MdlFlags };
        let address = if u32::from(flags.cast_unsigned()) & HAS_ADDRESS != 0 {
            // SAFETY: live for 'a by the contract of from_raw.
            unsafe { (*self.mdl.as_ptr()).MappedSystemVa }
        } else {
            // SAFETY: the pages are locked by the contract of from_raw; a failure is reported, not
            // a bug check. The token proves DISPATCH_LEVEL at most.
            unsafe {
                ntddk::MmMapLockedPagesSpecifyCache(
                    self.mdl.as_ptr(),
                    KERNEL_MODE,
                    wdk_sys::_MEMORY_CACHING_TYPE::MmCached,
                    core::ptr::null_mut(),
                    0,
                    // A ULONG in the WDK, an enumeration in mingw-w64's headers.
                    (NORMAL_PAGE_PRIORITY | MAPPING_NO_EXECUTE) as _,
                )
            }
        };
        NonNull::new(address.cast()).ok_or(Status::INSUFFICIENT_RESOURCES)
    }
}

impl fmt::Debug for MdlRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mdl")
            .field("byte_offset", &self.byte_offset())
            .field("byte_count", &self.byte_count())
            .finish_non_exhaustive()
    }
}

/// An MDL of our own over resident memory. Dereferences to an [`MdlRef`].
pub struct Mdl<'a> {
    view: MdlRef<'a>,
}

// SAFETY: the structure is read-only once built, and its memory is not a thread's.
unsafe impl Send for Mdl<'_> {}
// SAFETY: as above.
unsafe impl Sync for Mdl<'_> {}

impl<'a> Mdl<'a> {
    /// Describes all of `pages`.
    pub fn of_pages(pages: &'a Pages, irql: &AtMostDispatch<'_>) -> Result<Self> {
        // SAFETY: the pages are non-paged pool, borrowed for 'a.
        unsafe { Self::of_non_paged(pages.as_ptr(), pages.len(), irql) }
    }

    /// Describes `len` bytes of non-paged pool, which also is their system address.
    ///
    /// # Safety
    /// The bytes are non-paged pool and live for `'a`.
    pub unsafe fn of_non_paged(
        start: NonNull<u8>,
        len: usize,
        irql: &AtMostDispatch<'_>,
    ) -> Result<Self> {
        let _ = irql;
        let len = ULONG::try_from(len).map_err(|_| Status::INVALID_PARAMETER)?;
        // SAFETY: no IRP to attach to; only the address and length are recorded.
        let mdl = unsafe {
            ntddk::IoAllocateMdl(start.as_ptr().cast(), len, 0, 0, core::ptr::null_mut())
        };
        let mdl = NonNull::new(mdl).ok_or(Status::INSUFFICIENT_RESOURCES)?;
        // SAFETY: the MDL is new, and by the contract its memory is non-paged pool.
        unsafe { ntddk::MmBuildMdlForNonPagedPool(mdl.as_ptr()) };
        Ok(Self {
            view: MdlRef {
                mdl,
                lent: PhantomData,
            },
        })
    }

    /// Gives up ownership, as when the MDL is handed up in a receive; [`Mdl::from_raw`] takes it
    /// back.
    pub fn into_raw(self) -> *mut MDL {
        core::mem::ManuallyDrop::new(self).view.as_ptr()
    }

    /// Takes ownership back; none for null.
    ///
    /// # Safety
    /// Not null, `mdl` came from [`Mdl::into_raw`], once, and its memory lives for `'a`.
    pub unsafe fn from_raw(mdl: *mut MDL) -> Option<Self> {
        // SAFETY: by the contract, an MDL over non-paged pool.
        let view = unsafe { MdlRef::from_raw(mdl) }?;
        Some(Self { view })
    }
}

impl<'a> Deref for Mdl<'a> {
    type Target = MdlRef<'a>;

    fn deref(&self) -> &Self::Target {
        &self.view
    }
}

impl Drop for Mdl<'_> {
    fn drop(&mut self) {
        // SAFETY: allocated with IoAllocateMdl and owned; an MDL of non-paged pool has no mapping
        // to undo.
        unsafe { ntddk::IoFreeMdl(self.view.as_ptr()) };
    }
}

impl fmt::Debug for Mdl<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.view.fmt(f)
    }
}

/// The bytes of locked pages mapped by us, until dropped.
pub struct MappedMdl<'a> {
    mdl: MdlRef<'a>,
    start: NonNull<u8>,
    ours: bool,
}

impl<'a> MappedMdl<'a> {
    /// Maps `mdl` (not executable), unless it has an address already.
    pub fn map(mdl: MdlRef<'a>, irql: &AtMostDispatch<'_>) -> Result<Self> {
        // SAFETY: live for 'a by the contract of MdlRef.
        let flags = unsafe { (*mdl.as_ptr()).MdlFlags };
        Ok(Self {
            mdl,
            start: mdl.system_address(irql)?,
            ours: u32::from(flags.cast_unsigned()) & HAS_ADDRESS == 0,
        })
    }

    /// Address of the first byte.
    pub fn as_ptr(&self) -> NonNull<u8> {
        self.start
    }
}

impl Drop for MappedMdl<'_> {
    fn drop(&mut self) {
        if self.ours {
            // SAFETY: mapped by `map`, and the address ends with this value.
            unsafe {
                ntddk::MmUnmapLockedPages(self.start.as_ptr().cast(), self.mdl.as_ptr());
            };
        }
    }
}

impl fmt::Debug for MappedMdl<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.mdl.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use wdk_sys::MDL;

    use super::{MdlRef, spanned_pages};

    #[test]
    fn bytes_touch_the_pages_they_are_in() {
        assert_eq!(spanned_pages(0, 0), 0);
        assert_eq!(spanned_pages(0, 4096), 1);
        assert_eq!(spanned_pages(1, 4096), 2);
        assert_eq!(spanned_pages(4095, 2), 2);
        assert_eq!(spanned_pages(4095, u32::MAX), 1_048_577);
    }

    /// An MDL with its page numbers behind it, as the kernel lays it out.
    #[repr(C)]
    struct WithPages {
        mdl: MDL,
        pfns: [u64; 2],
    }

    #[test]
    fn a_chain_is_walked_and_its_page_numbers_read() {
        let mut second = WithPages {
            mdl: MDL {
                ByteCount: 10,
                ..MDL::default()
            },
            pfns: [0x30, 0xbad],
        };
        let mut first = WithPages {
            mdl: MDL {
                Next: (&raw mut second).cast(),
                ByteOffset: 4000,
                ByteCount: 200,
                ..MDL::default()
            },
            pfns: [0x10, 0x20],
        };
        // SAFETY: both are live, laid out as MDLs, and not changed below.
        let mdl = unsafe { MdlRef::from_raw((&raw mut first).cast()) }.unwrap();
        assert_eq!(mdl.pfns(), [0x10, 0x20]);
        let next = mdl.next().unwrap();
        assert_eq!((next.pfns(), next.byte_count()), ([0x30].as_slice(), 10));
        assert!(next.next().is_none());
    }
}
