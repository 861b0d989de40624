//! Direct start of a PVH guest: the note in its image, and what it finds at [`StartInfo`] (EBX at entry).
//!
//! From Xen's public headers: `xen/arch-x86/hvm/start_info.h` and `xen/elfnote.h`.

/// [`StartInfo::magic`].
pub const START_MAGIC: u32 = 0x336e_c578;
/// Note type (name `Xen`): physical address of the 32-bit entry.
pub const XEN_ELFNOTE_PHYS32_ENTRY: u32 = 18;
/// [`MemmapEntry::kind`]: usable.
pub const MEMMAP_TYPE_RAM: u32 = 1;
/// [`MemmapEntry::kind`]: reserved.
pub const MEMMAP_TYPE_RESERVED: u32 = 2;
/// [`MemmapEntry::kind`]: ACPI tables.
pub const MEMMAP_TYPE_ACPI: u32 = 3;
/// [`MemmapEntry::kind`]: ACPI non-volatile.
pub const MEMMAP_TYPE_NVS: u32 = 4;
/// [`MemmapEntry::kind`]: faulty.
pub const MEMMAP_TYPE_UNUSABLE: u32 = 5;
/// [`MemmapEntry::kind`]: switched off.
pub const MEMMAP_TYPE_DISABLED: u32 = 6;
/// [`MemmapEntry::kind`]: persistent.
pub const MEMMAP_TYPE_PMEM: u32 = 7;

/// Start information; all addresses physical, 0 = absent.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct StartInfo {
    /// [`START_MAGIC`].
    pub magic: u32,
    /// 1 or later when the memory map is present.
    pub version: u32,
    /// `SIF_*`.
    pub flags: u32,
    /// Modules.
    pub nr_modules: u32,
    /// List of [`ModlistEntry`].
    pub modlist_paddr: u64,
    /// Command line, NUL-terminated.
    pub cmdline_paddr: u64,
    /// ACPI root pointer.
    pub rsdp_paddr: u64,
    /// List of [`MemmapEntry`].
    pub memmap_paddr: u64,
    /// Its length.
    pub memmap_entries: u32,
    /// Zero.
    pub reserved: u32,
}

/// A module.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ModlistEntry {
    /// Physical address.
    pub paddr: u64,
    /// Bytes.
    pub size: u64,
    /// Its command line.
    pub cmdline_paddr: u64,
    /// Unused.
    pub reserved: u64,
}

/// A range of physical memory.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct MemmapEntry {
    /// First byte.
    pub addr: u64,
    /// Bytes.
    pub size: u64,
    /// `MEMMAP_TYPE_*`.
    pub kind: u32,
    /// Zero.
    pub reserved: u32,
}
