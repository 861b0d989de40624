//! What plug-and-play and power requests ask, out of their stack locations.
#![allow(
    unsafe_code,
    reason = "reads the union member that a request's code says; each block states its reason"
)]

use core::mem::offset_of;
use core::ptr::NonNull;

use nt::irp::Irp;
use wdk_sys::{
    _DEVICE_POWER_STATE as D, _SYSTEM_POWER_STATE as S, DEVICE_CAPABILITIES, GUID,
    IO_STACK_LOCATION,
};
use xenbus_core::pnp::power::{DeviceState, SystemState};

// Offsets of wdm.h that the bindings must have (tests/data/facts/nt-layout.csv).
const _: () = assert!(offset_of!(IO_STACK_LOCATION, Parameters.QueryId.IdType) == 8);
const _: () = assert!(offset_of!(IO_STACK_LOCATION, Parameters.Power.Type) == 16);
const _: () = assert!(offset_of!(IO_STACK_LOCATION, Parameters.Power.State) == 24);
const _: () = assert!(offset_of!(IO_STACK_LOCATION, Parameters.UsageNotification.Type) == 16);
const _: () = assert!(
    offset_of!(
        IO_STACK_LOCATION,
        Parameters.StartDevice.AllocatedResourcesTranslated
    ) == 16
);

/// A power state that is set or asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Power {
    /// Of the system.
    System(SystemState),
    /// Of the device.
    Device(DeviceState),
}

/// `SET_POWER` and `QUERY_POWER`: which state. None: one that does not exist.
pub(crate) fn power(irp: &Irp) -> Option<Power> {
    // SAFETY: the parameters of the requests this is called for.
    let power = unsafe { irp.stack().Parameters.Power };
    if power.Type == wdk_sys::_POWER_STATE_TYPE::SystemPowerState {
        // SAFETY: the type says that this member is in use.
        let state = unsafe { power.State.SystemState };
        return Some(Power::System(match state {
            S::PowerSystemWorking => SystemState::S0,
            S::PowerSystemSleeping1 => SystemState::S1,
            S::PowerSystemSleeping2 => SystemState::S2,
            S::PowerSystemSleeping3 => SystemState::S3,
            S::PowerSystemHibernate => SystemState::S4,
            S::PowerSystemShutdown => SystemState::S5,
            _ => return None,
        }));
    }
    // SAFETY: the type says that this member is in use.
    let state = unsafe { power.State.DeviceState };
    match state {
        D::PowerDeviceD0 => Some(Power::Device(DeviceState::D0)),
        D::PowerDeviceD1 | D::PowerDeviceD2 | D::PowerDeviceD3 => {
            Some(Power::Device(DeviceState::D3))
        }
        _ => None,
    }
}

/// `QUERY_DEVICE_RELATIONS`: which (`DEVICE_RELATION_TYPE`).
pub(crate) fn relation(irp: &Irp) -> u32 {
    // SAFETY: the parameters of the request this is called for.
    unsafe { irp.stack().Parameters.QueryDeviceRelations.Type }
}

/// `QUERY_ID`: which (`BUS_QUERY_ID_TYPE`).
pub(crate) fn id(irp: &Irp) -> u32 {
    // SAFETY: the parameters of the request this is called for.
    unsafe { irp.stack().Parameters.QueryId.IdType }
}

/// `QUERY_DEVICE_TEXT`: which (`DEVICE_TEXT_TYPE`).
pub(crate) fn text(irp: &Irp) -> u32 {
    // SAFETY: the parameters of the request this is called for.
    unsafe { irp.stack().Parameters.QueryDeviceText.DeviceTextType }
}

/// `DEVICE_USAGE_NOTIFICATION`: whether a special file comes to be on the path, or leaves it.
pub(crate) fn usage_in_path(irp: &Irp) -> bool {
    // SAFETY: the parameters of the request this is called for.
    unsafe { irp.stack().Parameters.UsageNotification.InPath != 0 }
}

/// `QUERY_CAPABILITIES`: where the answer goes, if it is of the version known here.
pub(crate) fn capabilities(irp: &mut Irp) -> Option<&mut DEVICE_CAPABILITIES> {
    const SIZE: usize = size_of::<DEVICE_CAPABILITIES>();
    // SAFETY: the parameters of the request this is called for.
    let place = unsafe { irp.stack().Parameters.DeviceCapabilities.Capabilities };
    // SAFETY: the sender's structure, which is ours while we have the request.
    let capabilities = unsafe { place.as_mut() }?;
    let known = capabilities.Version == 1 && usize::from(capabilities.Size) >= SIZE;
    known.then_some(capabilities)
}

/// `QUERY_INTERFACE`: what is asked for.
pub(crate) struct InterfaceRequest {
    pub(crate) guid: GUID,
    pub(crate) version: u16,
    pub(crate) size: u16,
    /// Room for `size` bytes.
    pub(crate) place: NonNull<u8>,
}

/// `QUERY_INTERFACE`: what is asked for. None: the request makes no sense.
pub(crate) fn interface(irp: &Irp) -> Option<InterfaceRequest> {
    // SAFETY: the parameters of the request this is called for.
    let query = unsafe { irp.stack().Parameters.QueryInterface };
    // SAFETY: the sender's GUID, live while we have the request.
    let guid = unsafe { query.InterfaceType.as_ref() }?;
    Some(InterfaceRequest {
        guid: *guid,
        version: query.Version,
        size: query.Size,
        place: NonNull::new(query.Interface)?.cast(),
    })
}
