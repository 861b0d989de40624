//! The shared info page and per-vCPU info, both written by Xen at any time.
//!
//! From Xen's public headers: `xen/xen.h` and `xen/arch-x86/xen-x86_64.h`.

use core::sync::atomic::{AtomicI8, AtomicU8, AtomicU32, AtomicU64};

/// vCPUs whose info lies in the shared info page.
pub const LEGACY_MAX_VCPUS: usize = 32;

/// `VcpuTimeInfo::flags`: the clock is monotonic between vCPUs.
pub const PVCLOCK_TSC_STABLE_BIT: u8 = 1;
/// `VcpuTimeInfo::flags`: the guest was paused.
pub const PVCLOCK_GUEST_STOPPED: u8 = 2;

/// Clock parameters. Odd or changed `version` means: read again.
#[repr(C)]
#[derive(Debug, Default)]
pub struct VcpuTimeInfo {
    /// Changes before and after each update.
    pub version: AtomicU32,
    /// Unused.
    pub pad0: AtomicU32,
    /// TSC at the last update.
    pub tsc_timestamp: AtomicU64,
    /// Nanoseconds at the last update.
    pub system_time: AtomicU64,
    /// Multiplier, 32-bit fraction.
    pub tsc_to_system_mul: AtomicU32,
    /// Shift before multiplying.
    pub tsc_shift: AtomicI8,
    /// `PVCLOCK_*`.
    pub flags: AtomicU8,
    /// Unused.
    pub pad1: [AtomicU8; 2],
}

/// x86 part of [`VcpuInfo`].
#[repr(C)]
#[derive(Debug, Default)]
pub struct ArchVcpuInfo {
    /// Fault address (PV guests only).
    pub cr2: AtomicU64,
    /// Unused.
    pub pad: AtomicU64,
}

/// Event delivery state of one vCPU.
#[repr(C)]
#[derive(Debug, Default)]
pub struct VcpuInfo {
    /// Non-zero: look for events. Clear before looking.
    pub evtchn_upcall_pending: AtomicU8,
    /// PV guests only.
    pub evtchn_upcall_mask: AtomicU8,
    /// 2-level ABI: which words of `SharedInfo::evtchn_pending` to look at.
    pub evtchn_pending_sel: AtomicU64,
    /// x86 part.
    pub arch: ArchVcpuInfo,
    /// Clock of the vCPU.
    pub time: VcpuTimeInfo,
}

/// x86 part of [`SharedInfo`] (PV guests and tools).
#[repr(C)]
#[derive(Debug, Default)]
pub struct ArchSharedInfo {
    /// Entries of the frame table.
    pub max_pfn: AtomicU64,
    /// Frame table root.
    pub pfn_to_mfn_frame_list_list: AtomicU64,
    /// Cause of an NMI.
    pub nmi_reason: AtomicU64,
    /// Address space of the frame table.
    pub p2m_cr3: AtomicU64,
    /// Address of the frame table.
    pub p2m_vaddr: AtomicU64,
    /// Changes of the frame table.
    pub p2m_generation: AtomicU64,
}

/// The shared info page. Xen may make it longer: only the offsets count.
#[repr(C)]
#[derive(Debug)]
pub struct SharedInfo {
    /// Info of the first 32 vCPUs.
    pub vcpu_info: [VcpuInfo; LEGACY_MAX_VCPUS],
    /// 2-level ABI: a bit per port, set by Xen, cleared by the guest.
    pub evtchn_pending: [AtomicU64; 64],
    /// 2-level ABI: a bit per port, written by the guest.
    pub evtchn_mask: [AtomicU64; 64],
    /// Odd or changed: read again.
    pub wc_version: AtomicU32,
    /// Wall clock at system time 0, seconds, low half.
    pub wc_sec: AtomicU32,
    /// Nanoseconds of the same.
    pub wc_nsec: AtomicU32,
    /// Seconds, high half.
    pub wc_sec_hi: AtomicU32,
    /// x86 part.
    pub arch: ArchSharedInfo,
}
