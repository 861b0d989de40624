//! The dispatch routines: raw arguments to owned ones, IRQL to a token, result to a status.
//!
//! Every major function has a routine, so no request is left to the I/O manager's default.
#![allow(
    unsafe_code,
    reason = "the entry points the kernel calls; each block states its reason"
)]

use nt::device::DeviceRef;
use nt::irp::Irp;
use nt::irql::{AtMostDispatch, Passive};
use nt::status::Status;
use wdk_sys::{DEVICE_OBJECT, IRP, NTSTATUS, PDRIVER_DISPATCH};

use crate::device::{self, After, Extension};

/// Length of a driver object's table.
const MAJORS: usize = 28;
const _: () = assert!(MAJORS == wdk_sys::IRP_MJ_MAXIMUM_FUNCTION as usize + 1);

/// Fills the table of a driver object.
pub(crate) fn fill(table: &mut [PDRIVER_DISPATCH; MAJORS]) {
    *table = [Some(refuse_entry); MAJORS];
    for (major, routine) in [
        (
            wdk_sys::IRP_MJ_PNP,
            pnp_entry as unsafe extern "C" fn(_, _) -> _,
        ),
        (wdk_sys::IRP_MJ_POWER, power_entry),
        (wdk_sys::IRP_MJ_SYSTEM_CONTROL, system_control_entry),
    ] {
        if let Some(entry) = usize::try_from(major).ok().and_then(|at| table.get_mut(at)) {
            *entry = Some(routine);
        }
    }
}

/// The arguments of a dispatch routine.
///
/// # Safety
/// Called in a dispatch routine with its arguments. The extension is not used after the device's
/// deletion.
unsafe fn arguments<'a>(
    device: *mut DEVICE_OBJECT,
    irp: *mut IRP,
) -> Option<(DeviceRef, &'a Extension, Irp)> {
    // SAFETY: the I/O manager keeps the device at least for the call.
    let device = unsafe { DeviceRef::from_raw(device) }?;
    // SAFETY: each device of this driver is made with this extension.
    let extension = unsafe { device.extension::<Extension>() };
    // SAFETY: handed to this driver by this call, and finished through the result only.
    let irp = unsafe { Irp::from_raw(irp) }?;
    Some((device, extension, irp))
}

/// # Safety
/// Called by the I/O manager.
unsafe extern "C" fn pnp_entry(device: *mut DEVICE_OBJECT, irp: *mut IRP) -> NTSTATUS {
    // SAFETY: the arguments of a dispatch routine; see below for the deletion.
    let Some((device, extension, irp)) = (unsafe { arguments(device, irp) }) else {
        return Status::INVALID_PARAMETER.into_raw();
    };
    // SAFETY: plug-and-play requests come at PASSIVE_LEVEL; the token ends with this call.
    let mut irql = unsafe { Passive::assume() };
    let (status, after) = match extension {
        Extension::Fdo(fdo) => fdo.pnp(irp, &mut irql),
        Extension::Pdo(pdo) => pdo.pnp(irp, &mut irql),
    };
    if after == After::Delete {
        // SAFETY: the device is removed: no request is under way or will come, and the extension
        // is not used below.
        unsafe { device::delete(device, &irql) };
    }
    status.into_raw()
}

/// # Safety
/// Called by the I/O manager.
unsafe extern "C" fn power_entry(device: *mut DEVICE_OBJECT, irp: *mut IRP) -> NTSTATUS {
    // SAFETY: the arguments of a dispatch routine; power requests delete no device.
    let Some((_, extension, irp)) = (unsafe { arguments(device, irp) }) else {
        return Status::INVALID_PARAMETER.into_raw();
    };
    // SAFETY: power requests come at DISPATCH_LEVEL or below; the token ends with this call.
    let mut irql = unsafe { AtMostDispatch::assume() };
    let status = match extension {
        Extension::Fdo(fdo) => fdo.power(irp, &mut irql),
        Extension::Pdo(pdo) => pdo.power(irp, &mut irql),
    };
    status.into_raw()
}

/// WMI: nothing is offered, so requests go on to who does.
///
/// # Safety
/// Called by the I/O manager.
unsafe extern "C" fn system_control_entry(device: *mut DEVICE_OBJECT, irp: *mut IRP) -> NTSTATUS {
    // SAFETY: the arguments of a dispatch routine; the request deletes no device.
    let Some((_, extension, irp)) = (unsafe { arguments(device, irp) }) else {
        return Status::INVALID_PARAMETER.into_raw();
    };
    // SAFETY: dispatch routines run at DISPATCH_LEVEL or below; the token ends with this call.
    let irql = unsafe { AtMostDispatch::assume() };
    let status = match extension {
        Extension::Fdo(fdo) => fdo.pass_on(irp, &irql),
        // The bottom of its stack: what nobody handled stays as it is.
        Extension::Pdo(_) => irp.complete_unchanged(&irql),
    };
    status.into_raw()
}

/// Everything else, `CREATE`, `CLOSE`, `CLEANUP` and `DEVICE_CONTROL` among it: the bus has nothing
/// that programs could open.
///
/// # Safety
/// Called by the I/O manager.
unsafe extern "C" fn refuse_entry(_: *mut DEVICE_OBJECT, irp: *mut IRP) -> NTSTATUS {
    // SAFETY: handed to this driver by this call, and finished through the result only.
    let Some(mut irp) = (unsafe { Irp::from_raw(irp) }) else {
        return Status::INVALID_PARAMETER.into_raw();
    };
    // SAFETY: dispatch routines run at DISPATCH_LEVEL or below; the token ends with this call.
    let irql = unsafe { AtMostDispatch::assume() };
    irp.set_information(0);
    irp.complete(Status::INVALID_DEVICE_REQUEST, &irql)
        .into_raw()
}
