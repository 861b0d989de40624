//! Physical addresses and device memory.

use core::fmt;
use core::ptr::NonNull;

use wdk_sys::{PHYSICAL_ADDRESS, ntddk};

use crate::imports;
use crate::irql::AtMostDispatch;
use crate::status::{Result, Status};
use crate::time::quad;

/// log2 of the page size.
const PAGE_SHIFT: u32 = 12;

/// A physical address of the machine as Windows sees it (of the guest, under Xen).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PhysicalAddress(pub u64);

/// Number of a physical page: what a Xen grant names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Pfn(pub u64);

impl PhysicalAddress {
    /// The physical address behind resident memory. Any IRQL.
    ///
    /// Memory that is not resident has an address that means nothing.
    pub fn of(memory: NonNull<u8>) -> Self {
        // SAFETY: looks the address up; memory that is not mapped gives 0.
        let address = unsafe { ntddk::MmGetPhysicalAddress(memory.as_ptr().cast()) };
        Self(quad(address).cast_unsigned())
    }

    /// The page it is in.
    pub const fn pfn(self) -> Pfn {
        Pfn(self.0 >> PAGE_SHIFT)
    }

    fn to_raw(self) -> PHYSICAL_ADDRESS {
        PHYSICAL_ADDRESS {
            QuadPart: self.0.cast_signed(),
        }
    }
}

/// How the processor caches device memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Caching {
    /// Each access reaches the device: registers.
    Uncached,
    /// As ordinary memory: pages a hypervisor shares.
    Cached,
}

/// Device memory mapped for reading and writing, never for execution. Unmapped when dropped.
///
/// The device may write it at any time: use it through volatile or atomic accesses.
pub struct IoMapping {
    start: NonNull<u8>,
    len: usize,
}

// SAFETY: a mapping belongs to the system, not to a thread.
unsafe impl Send for IoMapping {}
// SAFETY: it lends a raw pointer only.
unsafe impl Sync for IoMapping {}

impl IoMapping {
    /// Maps `len` bytes from `address` on.
    ///
    /// # Safety
    /// The range belongs to a device of this driver and is not memory Windows uses.
    pub unsafe fn map(
        address: PhysicalAddress,
        len: usize,
        caching: Caching,
        irql: &AtMostDispatch<'_>,
    ) -> Result<Self> {
        let _ = irql;
        if len == 0 {
            return Err(Status::INVALID_PARAMETER);
        }
        let protect = wdk_sys::PAGE_READWRITE
            | match caching {
                Caching::Uncached => wdk_sys::PAGE_NOCACHE,
                Caching::Cached => 0,
            };
        // SAFETY: by the contract the range may be mapped; the token proves DISPATCH_LEVEL at most.
        let start = unsafe { imports::MmMapIoSpaceEx(address.to_raw(), len as u64, protect) };
        Ok(Self {
            start: NonNull::new(start.cast()).ok_or(Status::INSUFFICIENT_RESOURCES)?,
            len,
        })
    }

    /// Address of the first byte.
    pub fn as_ptr(&self) -> NonNull<u8> {
        self.start
    }

    /// Number of bytes.
    #[expect(clippy::len_without_is_empty, reason = "a mapping is never empty")]
    pub fn len(&self) -> usize {
        self.len
    }
}

impl Drop for IoMapping {
    fn drop(&mut self) {
        // SAFETY: mapped in `map` with this length. A driver's drops run at DISPATCH_LEVEL or
        // below: service routines own nothing.
        unsafe { ntddk::MmUnmapIoSpace(self.start.as_ptr().cast(), self.len as u64) };
    }
}

impl fmt::Debug for IoMapping {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IoMapping")
            .field("len", &self.len)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::{Pfn, PhysicalAddress};

    #[test]
    fn a_page_holds_4096_addresses() {
        assert_eq!(PhysicalAddress(0x1_2345_6fff).pfn(), Pfn(0x12_3456));
        assert_eq!(PhysicalAddress(0x1_2345_7000).pfn(), Pfn(0x12_3457));
    }
}
