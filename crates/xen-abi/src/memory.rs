//! Memory operations: where shared pages appear in the guest's physical memory.
//!
//! From Xen's public headers: `xen/memory.h`.

use crate::domid::DomId;

/// Give pages back: [`MemoryReservation`]. Answers the number of extents done.
pub const XENMEM_DECREASE_RESERVATION: u32 = 1;
/// Fill holes with pages: [`MemoryReservation`]. Answers the number of extents done.
pub const XENMEM_POPULATE_PHYSMAP: u32 = 6;
/// Place a page: [`AddToPhysmap`].
pub const XENMEM_ADD_TO_PHYSMAP: u32 = 7;
/// The E820 map at start: [`MemoryMap`].
pub const XENMEM_MEMORY_MAP: u32 = 9;
/// Highest guest frame in use: [`MemoryDomain`].
pub const XENMEM_MAXIMUM_GPFN: u32 = 14;
/// Take a page out: [`RemoveFromPhysmap`].
pub const XENMEM_REMOVE_FROM_PHYSMAP: u32 = 15;
/// [`AddToPhysmap`] space: the shared info page.
pub const XENMAPSPACE_SHARED_INFO: u32 = 0;
/// [`AddToPhysmap`] space: frame `idx` of the grant table.
pub const XENMAPSPACE_GRANT_TABLE: u32 = 1;
/// [`AddToPhysmap`] space: another guest frame.
pub const XENMAPSPACE_GMFN: u32 = 2;

/// Argument of [`XENMEM_ADD_TO_PHYSMAP`].
#[repr(C)]
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct AddToPhysmap {
    /// In: [`DomId::SELF`].
    pub domid: DomId,
    /// In: pages, for ranges only.
    pub size: u16,
    /// In: `XENMAPSPACE_*`.
    pub space: u32,
    /// In: index in the space.
    pub idx: u64,
    /// In: guest frame to appear at.
    pub gpfn: u64,
}

/// Argument of [`XENMEM_REMOVE_FROM_PHYSMAP`].
#[repr(C)]
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RemoveFromPhysmap {
    /// In: [`DomId::SELF`].
    pub domid: DomId,
    /// In: guest frame.
    pub gpfn: u64,
}

/// Argument of the reservation operations.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct MemoryReservation {
    /// In: address of the list of 64-bit frame numbers.
    pub extent_start: u64,
    /// In: entries of the list.
    pub nr_extents: u64,
    /// In: log2 of pages per extent.
    pub extent_order: u32,
    /// In: 0.
    pub mem_flags: u32,
    /// In: [`DomId::SELF`].
    pub domid: DomId,
}

/// Argument of [`XENMEM_MAXIMUM_GPFN`].
#[repr(C)]
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct MemoryDomain {
    /// In: [`DomId::SELF`].
    pub domid: DomId,
}

/// Argument of [`XENMEM_MEMORY_MAP`].
#[repr(C)]
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct MemoryMap {
    /// In: room in `buffer`. Out: entries written.
    pub nr_entries: u32,
    /// In: address of E820 entries.
    pub buffer: u64,
}
