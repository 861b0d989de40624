//! Grant table, version 1: entries shared with Xen, and the operations on it.
//!
//! Publishing an entry: write `domid`, then `frame`, then (release) `flags`. Ending a grant: compare-and-swap
//! `flags` to 0 while neither [`GTF_READING`] nor [`GTF_WRITING`] is set; the header's rules.
//!
//! From Xen's public headers: `xen/grant_table.h`.

use crate::domid::DomId;
use core::sync::atomic::{AtomicU16, AtomicU32};

/// A grant reference: index of an entry of the granting domain's table.
#[repr(transparent)]
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GrantRef(pub u32);

/// What a mapping is undone with.
#[repr(transparent)]
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GrantHandle(pub u32);

/// Result of one grant operation; errors are negative.
#[repr(transparent)]
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GrantStatus(pub i16);

impl GrantStatus {
    /// Done.
    pub const OKAY: Self = Self(0);
    /// Unspecified error.
    pub const GENERAL_ERROR: Self = Self(-1);
    /// Unknown domain.
    pub const BAD_DOMAIN: Self = Self(-2);
    /// Unknown or unfit grant reference.
    pub const BAD_GNTREF: Self = Self(-3);
    /// Unknown or unfit handle.
    pub const BAD_HANDLE: Self = Self(-4);
    /// Unfit virtual address.
    pub const BAD_VIRT_ADDR: Self = Self(-5);
    /// Unfit device address.
    pub const BAD_DEV_ADDR: Self = Self(-6);
    /// I/O MMU full.
    pub const NO_DEVICE_SPACE: Self = Self(-7);
    /// Not allowed.
    pub const PERMISSION_DENIED: Self = Self(-8);
    /// Page unfit for the operation.
    pub const BAD_PAGE: Self = Self(-9);
    /// Copy crosses a page boundary.
    pub const BAD_COPY_ARG: Self = Self(-10);
    /// Page address too large.
    pub const ADDRESS_TOO_BIG: Self = Self(-11);
    /// Not done; try again.
    pub const EAGAIN: Self = Self(-12);
    /// Out of handles or similar.
    pub const NO_SPACE: Self = Self(-13);
}

/// One entry of the shared table: read and changed by Xen at any time.
#[repr(C)]
#[derive(Debug, Default)]
pub struct GrantEntryV1 {
    /// `GTF_*`; written last when granting.
    pub flags: AtomicU16,
    /// Domain that gets access.
    pub domid: AtomicU16,
    /// Guest frame number of the page.
    pub frame: AtomicU32,
}

/// References below this belong to the toolstack.
pub const GNTTAB_NR_RESERVED_ENTRIES: u32 = 8;
/// The console's reference.
pub const GNTTAB_RESERVED_CONSOLE: u32 = 0;
/// XenStore's reference.
pub const GNTTAB_RESERVED_XENSTORE: u32 = 1;
/// Map a page of another domain: [`MapGrantRef`].
pub const GNTTABOP_MAP_GRANT_REF: u32 = 0;
/// Undo a mapping: [`UnmapGrantRef`].
pub const GNTTABOP_UNMAP_GRANT_REF: u32 = 1;
/// Size the table and list its frames: [`SetupTable`].
pub const GNTTABOP_SETUP_TABLE: u32 = 2;
/// Have Xen copy between pages: [`GrantCopy`].
pub const GNTTABOP_COPY: u32 = 5;
/// Current and largest size: [`QuerySize`].
pub const GNTTABOP_QUERY_SIZE: u32 = 6;
/// Choose the table's version: [`SetVersion`].
pub const GNTTABOP_SET_VERSION: u32 = 8;
/// Ask for the table's version: [`GetVersion`].
pub const GNTTABOP_GET_VERSION: u32 = 10;
/// `MapGrantRef::flags`: for I/O devices.
pub const GNTMAP_DEVICE_MAP: u32 = 1;
/// `MapGrantRef::flags`: for the CPU.
pub const GNTMAP_HOST_MAP: u32 = 2;
/// `MapGrantRef::flags`: read only.
pub const GNTMAP_READONLY: u32 = 4;

/// Type: entry is not in use.
pub const GTF_INVALID: u16 = 0;
/// Type: access to a frame.
pub const GTF_PERMIT_ACCESS: u16 = 1;
/// Type: accepts a transferred frame.
pub const GTF_ACCEPT_TRANSFER: u16 = 2;
/// Type: transitive (version 2).
pub const GTF_TRANSITIVE: u16 = 3;
/// Mask of the type.
pub const GTF_TYPE_MASK: u16 = 3;
/// The other domain may only read.
pub const GTF_READONLY: u16 = 4;
/// Set by Xen while the frame is mapped for reading.
pub const GTF_READING: u16 = 8;
/// Set by Xen while the frame is mapped for writing.
pub const GTF_WRITING: u16 = 16;
/// Part of a page only (version 2).
pub const GTF_SUB_PAGE: u16 = 256;
/// `GrantCopy::flags`: the source is a grant reference.
pub const GNTCOPY_SOURCE_GREF: u16 = 1;
/// `GrantCopy::flags`: the destination is a grant reference.
pub const GNTCOPY_DEST_GREF: u16 = 2;

/// Version 1 entries in a 4 KiB frame.
pub const ENTRIES_PER_FRAME_V1: usize = 512;

/// Argument of [`GNTTABOP_MAP_GRANT_REF`].
#[repr(C)]
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct MapGrantRef {
    /// In: guest physical address to map at.
    pub host_addr: u64,
    /// In: `GNTMAP_*`.
    pub flags: u32,
    /// In: reference in `dom`'s table.
    pub gref: GrantRef,
    /// In: granting domain.
    pub dom: DomId,
    /// Out: result.
    pub status: GrantStatus,
    /// Out: for unmapping.
    pub handle: GrantHandle,
    /// Out: bus address.
    pub dev_bus_addr: u64,
}

/// Argument of [`GNTTABOP_UNMAP_GRANT_REF`].
#[repr(C)]
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct UnmapGrantRef {
    /// In: guest physical address that was mapped.
    pub host_addr: u64,
    /// In: bus address, or 0.
    pub dev_bus_addr: u64,
    /// In: from the mapping.
    pub handle: GrantHandle,
    /// Out: result.
    pub status: GrantStatus,
}

/// Argument of [`GNTTABOP_SETUP_TABLE`].
#[repr(C)]
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SetupTable {
    /// In: whose table; [`DomId::SELF`].
    pub dom: DomId,
    /// In: wanted size in 4 KiB frames.
    pub nr_frames: u32,
    /// Out: result.
    pub status: GrantStatus,
    /// In: address of `nr_frames` 64-bit frame numbers to fill.
    pub frame_list: u64,
}

/// One end of a [`GrantCopy`].
#[repr(C)]
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct GrantCopyPtr {
    /// Grant reference (low 32 bits) or guest frame number, by `GrantCopy::flags`.
    pub frame: u64,
    /// Domain it belongs to.
    pub domid: DomId,
    /// Bytes into the page.
    pub offset: u16,
}

/// Argument of [`GNTTABOP_COPY`].
#[repr(C)]
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct GrantCopy {
    /// In: from.
    pub source: GrantCopyPtr,
    /// In: to.
    pub dest: GrantCopyPtr,
    /// In: bytes.
    pub len: u16,
    /// In: `GNTCOPY_*`.
    pub flags: u16,
    /// Out: result.
    pub status: GrantStatus,
}

/// Argument of [`GNTTABOP_QUERY_SIZE`].
#[repr(C)]
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct QuerySize {
    /// In: whose table.
    pub dom: DomId,
    /// Out: frames in use.
    pub nr_frames: u32,
    /// Out: frames it may have.
    pub max_nr_frames: u32,
    /// Out: result.
    pub status: GrantStatus,
}

/// Argument of [`GNTTABOP_SET_VERSION`].
#[repr(C)]
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SetVersion {
    /// In: wanted version, 1 or 2. Out: version in effect.
    pub version: u32,
}

/// Argument of [`GNTTABOP_GET_VERSION`].
#[repr(C)]
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct GetVersion {
    /// In: whose table.
    pub dom: DomId,
    /// Zero.
    pub pad: u16,
    /// Out: version in effect.
    pub version: u32,
}
