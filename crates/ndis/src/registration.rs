//! Registration of the driver and of an adapter's attributes.

use core::ptr;

use ndis_sys as sys;
use ndis_sys::NDIS_HANDLE;
use wdk_sys::{DRIVER_OBJECT, UNICODE_STRING};

use crate::object::NdisObject;
use crate::status::Status;
use crate::version::NdisVersion;

/// Handlers of a miniport without reset, direct or synchronous requests: exactly the required ones.
#[derive(Clone, Copy)]
#[expect(
    missing_docs,
    reason = "each field is the handler of its name; see its type"
)]
#[expect(missing_debug_implementations, reason = "only function pointers")]
pub struct Handlers {
    pub initialize: sys::MINIPORT_INITIALIZE,
    pub halt: sys::MINIPORT_HALT,
    pub unload: sys::MINIPORT_UNLOAD,
    pub pause: sys::MINIPORT_PAUSE,
    pub restart: sys::MINIPORT_RESTART,
    pub oid_request: sys::MINIPORT_OID_REQUEST,
    pub cancel_oid_request: sys::MINIPORT_CANCEL_OID_REQUEST,
    pub send: sys::MINIPORT_SEND_NET_BUFFER_LISTS,
    pub return_lists: sys::MINIPORT_RETURN_NET_BUFFER_LISTS,
    pub cancel_send: sys::MINIPORT_CANCEL_SEND,
    pub pnp_event: sys::MINIPORT_DEVICE_PNP_EVENT_NOTIFY,
    pub shutdown: sys::MINIPORT_SHUTDOWN,
}

impl Handlers {
    /// The structure NDIS takes. `driver` is the driver's own version, major and minor.
    pub fn characteristics(
        &self,
        version: NdisVersion,
        driver: (u8, u8),
    ) -> sys::NDIS_MINIPORT_DRIVER_CHARACTERISTICS {
        let mut c = sys::NDIS_MINIPORT_DRIVER_CHARACTERISTICS::new(version);
        c.MajorNdisVersion = version.major();
        c.MinorNdisVersion = version.minor();
        (c.MajorDriverVersion, c.MinorDriverVersion) = driver;
        c.Flags = sys::NDIS_WDM_DRIVER;
        c.InitializeHandlerEx = Some(self.initialize);
        c.HaltHandlerEx = Some(self.halt);
        c.UnloadHandler = Some(self.unload);
        c.PauseHandler = Some(self.pause);
        c.RestartHandler = Some(self.restart);
        c.OidRequestHandler = Some(self.oid_request);
        c.CancelOidRequestHandler = Some(self.cancel_oid_request);
        c.SendNetBufferListsHandler = Some(self.send);
        c.ReturnNetBufferListsHandler = Some(self.return_lists);
        c.CancelSendHandler = Some(self.cancel_send);
        c.DevicePnPEventNotifyHandler = Some(self.pnp_event);
        c.ShutdownHandlerEx = Some(self.shutdown);
        c
    }
}

/// A registered driver: what `MiniportUnload` needs to undo it.
#[derive(Clone, Copy, Debug)]
pub struct Registration {
    /// Driver handle.
    pub handle: NDIS_HANDLE,
    /// Version that NDIS accepted; every structure's revision follows from it.
    pub version: NdisVersion,
}

/// Tries the candidates in turn while the answer is `BAD_VERSION`.
fn first_accepted(
    candidates: impl Iterator<Item = NdisVersion>,
    mut register: impl FnMut(NdisVersion) -> Result<NDIS_HANDLE, Status>,
) -> Result<Registration, Status> {
    for version in candidates {
        match register(version) {
            Ok(handle) => return Ok(Registration { handle, version }),
            Err(Status::BAD_VERSION) => {}
            Err(other) => return Err(other),
        }
    }
    Err(Status::BAD_VERSION)
}

/// Registers the driver with the newest version that the system and the driver share.
/// IRQL: `PASSIVE_LEVEL`.
///
/// # Safety
/// The pointers are `DriverEntry`'s arguments; the handlers keep the contract of their types.
pub unsafe fn register(
    driver: *mut DRIVER_OBJECT,
    registry_path: *mut UNICODE_STRING,
    handlers: &Handlers,
    driver_version: (u8, u8),
) -> Result<Registration, Status> {
    let os = NdisVersion::running().ok_or(Status::BAD_VERSION)?;
    first_accepted(NdisVersion::candidates(os), |version| {
        let mut characteristics = handlers.characteristics(version, driver_version);
        let mut handle = ptr::null_mut();
        // SAFETY: the caller's promise; NDIS copies the characteristics.
        let status = unsafe {
            sys::NdisMRegisterMiniportDriver(
                driver,
                registry_path,
                ptr::null_mut(),
                &raw mut characteristics,
                &raw mut handle,
            )
        };
        Status(status).ok().map(|()| handle)
    })
}

impl Registration {
    /// Undoes the registration. IRQL: `PASSIVE_LEVEL`.
    ///
    /// # Safety
    /// Called once, in `MiniportUnload` or in a `DriverEntry` that fails.
    pub unsafe fn deregister(self) {
        // SAFETY: the caller's promise.
        unsafe { sys::NdisMDeregisterMiniportDriver(self.handle) };
    }
}

/// Structures that `NdisMSetMiniportAttributes` takes.
pub trait AdapterAttributes: NdisObject {}

impl AdapterAttributes for sys::NDIS_MINIPORT_ADAPTER_REGISTRATION_ATTRIBUTES {}
impl AdapterAttributes for sys::NDIS_MINIPORT_ADAPTER_GENERAL_ATTRIBUTES {}
impl AdapterAttributes for sys::NDIS_MINIPORT_ADAPTER_OFFLOAD_ATTRIBUTES {}

/// Sets one group of attributes: registration first, then general, then the rest.
/// IRQL: `PASSIVE_LEVEL`, inside `MiniportInitializeEx`.
///
/// # Safety
/// `adapter` is the handle passed to that handler; pointers inside the structure are valid.
pub unsafe fn set_attributes<T: AdapterAttributes>(
    adapter: NDIS_HANDLE,
    attributes: &mut T,
) -> Result<(), Status> {
    // SAFETY: the caller's promise; the header tells NDIS which member of the union it is.
    let status =
        unsafe { sys::NdisMSetMiniportAttributes(adapter, ptr::from_mut(attributes).cast()) };
    Status(status).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    fn attempt(os: u8, accepts: u8) -> (Vec<u8>, Result<Registration, Status>) {
        let mut tried = Vec::new();
        let result = first_accepted(NdisVersion::candidates(NdisVersion::new(6, os)), |v| {
            tried.push(v.minor());
            if v.minor() <= accepts {
                Ok(ptr::null_mut())
            } else {
                Err(Status::BAD_VERSION)
            }
        });
        (tried, result)
    }

    #[test]
    fn falls_back_one_version_at_a_time() {
        let (tried, result) = attempt(89, 87);
        assert_eq!(tried, [89, 88, 87]);
        assert_eq!(result.map(|r| r.version.minor()), Ok(87));
        let (tried, result) = attempt(83, 80);
        assert_eq!(tried, [83, 82]);
        assert_eq!(result.map(|r| r.version), Err(Status::BAD_VERSION));
    }

    #[test]
    fn another_failure_ends_the_attempts() {
        let mut n = 0;
        let r = first_accepted(NdisVersion::candidates(NdisVersion::V6_89), |_| {
            n += 1;
            Err(Status::RESOURCES)
        });
        assert_eq!((n, r.map(|r| r.version)), (1, Err(Status::RESOURCES)));
    }
}
