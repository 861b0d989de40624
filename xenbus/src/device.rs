//! What a device object of this driver carries, and cells that are set once.
#![allow(
    unsafe_code,
    reason = "names device objects by address; each block states its reason"
)]

use core::sync::atomic::{AtomicPtr, Ordering};

use nt::device::{Device, DeviceRef};
use nt::irql::{AtMostDispatch, Passive};
use wdk_sys::DEVICE_OBJECT;

use crate::fdo::Fdo;
use crate::pdo::Pdo;

/// Extension of every device object of this driver.
#[derive(Debug)]
pub(crate) enum Extension {
    /// The bus.
    Fdo(Fdo),
    /// A network interface.
    Pdo(Pdo),
}

/// What a dispatch routine does with the device object after a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum After {
    /// Nothing.
    Keep,
    /// The request removed the device: delete the object.
    Delete,
}

/// Ends a device of this driver.
///
/// # Safety
/// `device` came from [`Device::into_ref`] of this driver, it is removed, and nobody uses its
/// extension any more.
pub(crate) unsafe fn delete(device: DeviceRef, _irql: &Passive<'_>) {
    // SAFETY: by the contract.
    drop(unsafe { Device::<Extension>::from_ref(device) });
}

/// Ends the device of a child that no request will come for: Windows never saw it, or is done with
/// its bus.
pub(crate) fn delete_unseen(device: DeviceRef, irql: &Passive<'_>) {
    // SAFETY: named by a child only, from Device::into_ref on; nobody has requests for it, and the
    // child was taken off the list, so this is done once.
    unsafe { delete(device, irql) };
}

/// Gives back a reference of an answer that was not given.
pub(crate) fn dereference(device: DeviceRef, irql: &AtMostDispatch<'_>) {
    // SAFETY: taken for the answer, and given up here.
    unsafe { device.dereference(irql) };
}

/// Asks Windows to eject a child's device.
pub(crate) fn request_eject(device: DeviceRef) {
    // SAFETY: a physical device object of ours, live by the contract of DeviceRef.
    unsafe { wdk_sys::ntddk::IoRequestDeviceEject(device.as_ptr()) };
}

/// A device that becomes known after the cell was made, once.
#[derive(Debug)]
pub(crate) struct OnceDevice(AtomicPtr<DEVICE_OBJECT>);

impl OnceDevice {
    pub(crate) const fn new() -> Self {
        Self(AtomicPtr::new(core::ptr::null_mut()))
    }

    /// Sets it. Nobody may know the cell's owner yet.
    pub(crate) fn set(&self, device: DeviceRef) {
        self.0.store(device.as_ptr(), Ordering::Release);
    }

    /// The device, if set.
    pub(crate) fn get(&self) -> Option<DeviceRef> {
        // SAFETY: set from a DeviceRef, whose device lives as long as the cell's owner: it is the
        // owner's own, or one below it in its stack.
        unsafe { DeviceRef::from_raw(self.0.load(Ordering::Acquire)) }
    }
}
