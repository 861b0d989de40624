//! vCPU operations.
//!
//! From Xen's public headers: `xen/vcpu.h`.

/// Give a vCPU its first state.
pub const VCPUOP_INITIALISE: u32 = 0;
/// Start a vCPU.
pub const VCPUOP_UP: u32 = 1;
/// Stop a vCPU.
pub const VCPUOP_DOWN: u32 = 2;
/// Answers 1 if the vCPU runs.
pub const VCPUOP_IS_UP: u32 = 3;
/// Arm the timer: [`SetSingleshotTimer`].
pub const VCPUOP_SET_SINGLESHOT_TIMER: u32 = 8;
/// Disarm the timer.
pub const VCPUOP_STOP_SINGLESHOT_TIMER: u32 = 9;
/// Put a vCPU's info elsewhere: [`RegisterVcpuInfo`]. Once per vCPU; needed for vCPUs from 32 on.
pub const VCPUOP_REGISTER_VCPU_INFO: u32 = 10;

/// Argument of [`VCPUOP_REGISTER_VCPU_INFO`].
#[repr(C)]
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RegisterVcpuInfo {
    /// In: guest frame.
    pub mfn: u64,
    /// In: bytes into it; the info may not cross a page.
    pub offset: u32,
    /// Zero.
    pub reserved: u32,
}

/// Argument of [`VCPUOP_SET_SINGLESHOT_TIMER`].
#[repr(C)]
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SetSingleshotTimer {
    /// In: system time in nanoseconds.
    pub timeout_abs_ns: u64,
    /// In: 0.
    pub flags: u32,
}
