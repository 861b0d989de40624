//! `DriverEntry` and `MiniportUnload`.
#![allow(
    unsafe_code,
    reason = "entry points called by the kernel with raw pointers"
)]

use core::ffi::c_void;
use core::ptr;
use core::sync::atomic::{AtomicPtr, AtomicU16, Ordering};

use ndis::NdisVersion;
use ndis::registration::{self, Registration};
use nt::log::Component;
use nt::sys::{DRIVER_OBJECT, NTSTATUS, UNICODE_STRING};

use crate::{handlers, trace};

/// Version of the driver, as NDIS is told it.
pub(crate) const DRIVER_VERSION: (u8, u8) = (0, 1);

/// Handle of the registration; null when there is none. Written in `DriverEntry` and taken in
/// `MiniportUnload`, between which nothing else touches it.
static DRIVER_HANDLE: AtomicPtr<c_void> = AtomicPtr::new(ptr::null_mut());

/// Version registered with NDIS, minor in the low byte.
static NDIS_VERSION: AtomicU16 = AtomicU16::new(0);

/// The version that NDIS accepted in `DriverEntry`.
pub(crate) fn ndis_version() -> NdisVersion {
    let [minor, major] = NDIS_VERSION.load(Ordering::Acquire).to_le_bytes();
    NdisVersion::new(major, minor)
}

/// Called by the kernel once the image is loaded. `PASSIVE_LEVEL`.
///
/// # Safety
/// The arguments are those the kernel passes.
#[unsafe(export_name = "DriverEntry")]
unsafe extern "system" fn driver_entry(
    driver: *mut DRIVER_OBJECT,
    registry_path: *mut UNICODE_STRING,
) -> NTSTATUS {
    nt::log::set_component(Component::Network);
    // SAFETY: `DriverEntry` runs once; `unload`, and a failure below, undo it.
    unsafe { trace::begin() };
    // SAFETY: the kernel's own arguments; the handlers keep NDIS's contract.
    let registered =
        unsafe { registration::register(driver, registry_path, &handlers::ALL, DRIVER_VERSION) };
    match registered {
        Ok(Registration { handle, version }) => {
            DRIVER_HANDLE.store(handle, Ordering::Release);
            let packed = u16::from_le_bytes([version.minor(), version.major()]);
            NDIS_VERSION.store(packed, Ordering::Release);
            nt::log_info!(
                "registered with NDIS {}.{}",
                version.major(),
                version.minor()
            );
            nt::sys::STATUS_SUCCESS
        }
        Err(status) => {
            nt::log_error!("NDIS refused the driver: {status:?}");
            trace::end();
            // NDIS_STATUS codes of registration are NTSTATUS values (ndis.h).
            status.0
        }
    }
}

/// Undoes `DriverEntry`, after every adapter was halted. `PASSIVE_LEVEL`.
///
/// # Safety
/// Called by NDIS.
pub(crate) unsafe extern "win64" fn unload(_driver: *mut DRIVER_OBJECT) {
    let handle = DRIVER_HANDLE.swap(ptr::null_mut(), Ordering::AcqRel);
    if !handle.is_null() {
        // SAFETY: the handle of the registration, taken out so that this happens once.
        unsafe { ndis_sys::NdisMDeregisterMiniportDriver(handle) };
    }
    trace::end();
}
