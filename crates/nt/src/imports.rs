//! Exports of the kernel that `wdk-sys` does not declare, or declares only for some header sets.
//!
//! All others are called through `wdk_sys::ntddk`. Everything this crate imports is exported by
//! Windows 10 1809 and Server 2019.

use core::ffi::c_void;

use wdk_sys::{KIRQL, LARGE_INTEGER, PHYSICAL_ADDRESS, SIZE_T, ULONG};

macro_rules! kernel_imports {
    ($($(#[$meta:meta])* pub fn $name:ident($($arg:ident: $ty:ty),* $(,)?) $(-> $ret:ty)?;)+) => {
        #[cfg(windows)]
        unsafe extern "C" {
            $($(#[$meta])* pub fn $name($($arg: $ty),*) $(-> $ret)?;)+
        }
        #[cfg(not(windows))]
        unsafe extern "win64" {
            $($(#[$meta])* pub fn $name($($arg: $ty),*) $(-> $ret)?;)+
        }
    };
}

kernel_imports! {
    /// Allocates from a pool. `wdk-sys` leaves it out as deprecated, but its successor
    /// `ExAllocatePool2` is not exported before Windows 10 2004. Windows 2000 and later.
    ///
    /// At most `DISPATCH_LEVEL` for non-paged pool, at most `APC_LEVEL` for paged pool. Null when
    /// there is no memory. `pool_type` is a `POOL_TYPE`.
    pub fn ExAllocatePoolWithTag(pool_type: i32, bytes: SIZE_T, tag: ULONG) -> *mut c_void;

    /// The current IRQL. The WDK's own is an inline read of CR8, which the harness cannot run;
    /// this is the export of the same name. Called in checked builds only.
    pub fn KeGetCurrentIrql() -> KIRQL;

    /// Maps device memory with a page protection, so never executable. At most `DISPATCH_LEVEL`.
    ///
    /// Windows 10 1507 and later; mingw-w64's headers and `libntoskrnl.a` do not know it.
    pub fn MmMapIoSpaceEx(address: PHYSICAL_ADDRESS, bytes: SIZE_T, protect: ULONG) -> *mut c_void;

    /// Reads the system time (100 ns since 1601, UTC). Any IRQL.
    ///
    /// Windows 8 and later; mingw-w64's headers and `libntoskrnl.a` do not know it.
    pub fn KeQuerySystemTimePrecise(time: *mut LARGE_INTEGER);
}
