//! Registration of miniport drivers, and the parts of the driver object that NDIS takes over.

use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use ndis_sys::{
    self as sys, NDIS_MINIPORT_DRIVER_CHARACTERISTICS as Characteristics,
    NDIS_MINIPORT_PNP_CHARACTERISTICS, NDIS_OBJECT_HEADER, NDIS_STATUS,
};
use wdk_sys::{DRIVER_EXTENSION, DRIVER_OBJECT, UNICODE_STRING};

use super::contract::{DEREGISTER, DRIVER_OBJECT as OBJECT_RULE, HALT_LEAK, OPTIONS, REGISTER};
use super::{handle, header, nt};
use crate::driver;
use crate::export::{Module, exports, told_to_fail};
use crate::field;
use crate::host::context::kernel;
use crate::io::driver_object::MAJOR_FUNCTIONS;
use crate::mem::guest::Guest;
use crate::rules;

exports! { Module::Ndis;
    NdisMRegisterMiniportDriver = register, 0..=0, fallible;
    NdisMDeregisterMiniportDriver = deregister, 0..=0;
    NdisSetOptionalHandlers = set_optional, 0..=0;
    NdisGetVersion = version, 0..=2;
    NdisGetRoutineAddress = routine_address, 0..=0;
    NdisDriverUnload = unload, 0..=0;
}

/// A handler of the characteristics; the number is its place in the structure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Handler {
    SetOptions,
    Initialize,
    Halt,
    Unload,
    Pause,
    Restart,
    OidRequest,
    Send,
    Return,
    CancelSend,
    CheckForHang,
    Reset,
    PnpEvent,
    Shutdown,
    CancelOidRequest,
    DirectOidRequest,
    CancelDirectOidRequest,
    SynchronousOidRequest,
}

const HANDLERS: usize = 18;
const FIRST: usize = core::mem::offset_of!(Characteristics, SetOptionsHandler);
const _: () = assert!(Handler::SynchronousOidRequest as usize + 1 == HANDLERS);
const _: () = assert!(FIRST + HANDLERS * 8 == size_of::<Characteristics>());
const _: () = assert!(core::mem::offset_of!(Characteristics, ShutdownHandlerEx) == FIRST + 13 * 8);

const REQUIRED: [Handler; 12] = [
    Handler::Initialize,
    Handler::Halt,
    Handler::Unload,
    Handler::Pause,
    Handler::Restart,
    Handler::OidRequest,
    Handler::Send,
    Handler::Return,
    Handler::CancelSend,
    Handler::PnpEvent,
    Handler::Shutdown,
    Handler::CancelOidRequest,
];
/// Optional handlers of which a driver has both or none.
const PAIRS: [(Handler, Handler); 2] = [
    (Handler::CheckForHang, Handler::Reset),
    (Handler::DirectOidRequest, Handler::CancelDirectOidRequest),
];

impl Handler {
    const fn name(self) -> &'static str {
        match self {
            Self::SetOptions => "MiniportSetOptions",
            Self::Initialize => "MiniportInitializeEx",
            Self::Halt => "MiniportHaltEx",
            Self::Unload => "MiniportDriverUnload",
            Self::Pause => "MiniportPause",
            Self::Restart => "MiniportRestart",
            Self::OidRequest => "MiniportOidRequest",
            Self::Send => "MiniportSendNetBufferLists",
            Self::Return => "MiniportReturnNetBufferLists",
            Self::CancelSend => "MiniportCancelSend",
            Self::CheckForHang => "MiniportCheckForHangEx",
            Self::Reset => "MiniportResetEx",
            Self::PnpEvent => "MiniportDevicePnPEventNotify",
            Self::Shutdown => "MiniportShutdownEx",
            Self::CancelOidRequest => "MiniportCancelOidRequest",
            Self::DirectOidRequest => "MiniportDirectOidRequest",
            Self::CancelDirectOidRequest => "MiniportCancelDirectOidRequest",
            Self::SynchronousOidRequest => "MiniportSynchronousOidRequest",
        }
    }
}

/// A registered miniport driver.
#[derive(Debug)]
pub(crate) struct Miniport {
    pub(crate) handle: usize,
    /// Address of its driver object.
    pub(crate) object: usize,
    /// Registered minor version of NDIS 6.
    pub(crate) minor: u8,
    pub(crate) context: usize,
    handlers: [usize; HANDLERS],
    in_options: AtomicBool,
    /// `MiniportAddDevice` and `MiniportRemoveDevice`, if set.
    pub(crate) add_device: AtomicUsize,
    pub(crate) remove_device: AtomicUsize,
}

impl Miniport {
    /// Address of a handler, 0 if the driver has none.
    pub(crate) fn handler(&self, which: Handler) -> usize {
        self.handlers[which as usize]
    }

    /// Calls a handler the driver must have.
    pub(crate) fn call(&self, which: Handler, arguments: &[usize]) -> usize {
        driver::invoke(which.name(), self.handler(which), arguments)
    }

    /// As [`Miniport::call`], for handlers that return a status.
    pub(crate) fn call_status(&self, which: Handler, arguments: &[usize]) -> NDIS_STATUS {
        crate::low_status(self.call(which, arguments))
    }
}

fn code(address: usize) -> bool {
    kernel().space.executable(address)
}

/// What is wrong with a set of handlers; `is_code` tells whether an address can be called.
fn handler_faults(handlers: &[usize; HANDLERS], is_code: impl Fn(usize) -> bool) -> Vec<String> {
    let mut faults = Vec::new();
    for handler in REQUIRED {
        if handlers[handler as usize] == 0 {
            faults.push(format!("{} is required", handler.name()));
        }
    }
    for (a, b) in PAIRS {
        if (handlers[a as usize] == 0) != (handlers[b as usize] == 0) {
            faults.push(format!("{} and {} come together", a.name(), b.name()));
        }
    }
    for (index, address) in handlers.iter().enumerate() {
        if *address != 0 && !is_code(*address) {
            faults.push(format!("handler {index} is {address:#x}, which is no code"));
        }
    }
    faults
}

extern "win64" fn register(
    object: *mut DRIVER_OBJECT,
    path: *mut UNICODE_STRING,
    context: usize,
    characteristics: *mut Characteristics,
    out: *mut usize,
) -> NDIS_STATUS {
    let fail = told_to_fail();
    let kernel = kernel();
    let major = field!(characteristics, Characteristics, MajorNdisVersion).load();
    let minor = field!(characteristics, Characteristics, MinorNdisVersion).load();
    if major != 6 || minor > kernel.ndis.minor() {
        return sys::NDIS_STATUS_BAD_VERSION;
    }
    // The path must be readable, as NDIS keeps a copy of it.
    let _ = crate::rtl::string::read_unicode(path);
    if !header::DRIVER_CHARACTERISTICS.accept(characteristics as usize, minor) {
        return sys::NDIS_STATUS_BAD_CHARACTERISTICS;
    }
    let first = Guest::<usize>::new(characteristics as usize + FIRST);
    let mut handlers = [0; HANDLERS];
    let (_, size) = header::DRIVER_CHARACTERISTICS.shape(minor);
    let count = (usize::from(size) - FIRST) / 8;
    for (index, handler) in handlers.iter_mut().enumerate().take(count) {
        *handler = first.index(index).load();
    }
    let faults = handler_faults(&handlers, code);
    if !faults.is_empty() {
        rules::violate(&REGISTER, faults.join("; "));
        return sys::NDIS_STATUS_BAD_CHARACTERISTICS;
    }
    let flags = field!(characteristics, Characteristics, Flags).load();
    if flags & !(sys::NDIS_WDM_DRIVER | sys::NDIS_INTERMEDIATE_DRIVER) != 0 {
        rules::violate(
            &REGISTER,
            format!("Flags {flags:#x} has bits that mean nothing"),
        );
    }
    if kernel.ndis.driver_of_object(object as usize).is_some() {
        rules::violate(&REGISTER, "the driver object is registered already");
        return sys::NDIS_STATUS_FAILURE;
    }
    if fail {
        return sys::NDIS_STATUS_RESOURCES;
    }
    let driver = Arc::new(Miniport {
        handle: handle::fresh(),
        object: object as usize,
        minor,
        context,
        handlers,
        in_options: AtomicBool::new(false),
        add_device: AtomicUsize::new(0),
        remove_device: AtomicUsize::new(0),
    });
    Guest::from(out).store(driver.handle);
    kernel.ndis.add_driver(&driver);
    if driver.handler(Handler::SetOptions) != 0 {
        driver.in_options.store(true, Ordering::Release);
        let status = driver.call_status(Handler::SetOptions, &[driver.handle, context]);
        driver.in_options.store(false, Ordering::Release);
        if status != sys::NDIS_STATUS_SUCCESS {
            kernel.ndis.remove_driver(driver.handle);
            return status;
        }
    }
    take_over(object);
    sys::NDIS_STATUS_SUCCESS
}

/// Points the driver object at NDIS.
fn take_over(object: *mut DRIVER_OBJECT) {
    let extension = field!(object, DRIVER_OBJECT, DriverExtension).load();
    let add = nt::own_routine("NdisAddDevice");
    field!(extension, DRIVER_EXTENSION, AddDevice)
        .cast::<usize>()
        .store(add);
    field!(object, DRIVER_OBJECT, DriverUnload)
        .cast::<usize>()
        .store(nt::own_routine("NdisDriverUnload"));
    let table = field!(object, DRIVER_OBJECT, MajorFunction).cast::<usize>();
    for index in 0..MAJOR_FUNCTIONS {
        table.index(index).store(nt::own_routine("NdisDispatch"));
    }
}

/// Reports a miniport that has changed what [`take_over`] set.
pub(crate) fn check_object(object: *mut DRIVER_OBJECT) {
    let extension = field!(object, DRIVER_OBJECT, DriverExtension).load();
    let add = field!(extension, DRIVER_EXTENSION, AddDevice)
        .cast::<usize>()
        .load();
    let table = field!(object, DRIVER_OBJECT, MajorFunction).cast::<usize>();
    let dispatch = nt::own_routine("NdisDispatch");
    let changed = (0..MAJOR_FUNCTIONS).find(|index| table.index(*index).load() != dispatch);
    if add != nt::own_routine("NdisAddDevice") || changed.is_some() {
        rules::violate(
            &OBJECT_RULE,
            format!("AddDevice or MajorFunction[{changed:?}] was replaced"),
        );
    }
}

extern "win64" fn deregister(driver: usize) {
    let kernel = kernel();
    if kernel.ndis.remove_driver(driver).is_none() {
        rules::violate(&DEREGISTER, format!("{driver:#x} is no registered driver"));
        return;
    }
    if kernel
        .ndis
        .all_adapters()
        .iter()
        .any(|adapter| adapter.driver.handle == driver)
    {
        rules::violate(&DEREGISTER, "deregistered while it has adapters");
    }
    let left = kernel.ndis.objects.owned_by(driver);
    if !left.is_empty() {
        rules::violate(
            &HALT_LEAK,
            format!("the driver deregisters and leaves {}", left.join(", ")),
        );
        kernel.ndis.objects.forget(driver);
    }
    if kernel.ndis.drivers.lock().is_empty() {
        // Pools may be made without a handle: with the last driver gone they are nobody's.
        let left = kernel.ndis.objects.owned_by(0);
        if !left.is_empty() {
            let what = format!("the last driver deregisters and leaves {}", left.join(", "));
            rules::violate(&HALT_LEAK, what);
            kernel.ndis.objects.forget(0);
        }
    }
}

/// `DriverUnload` of every registered miniport.
extern "win64" fn unload(object: *mut DRIVER_OBJECT) {
    let kernel = kernel();
    let Some(driver) = kernel.ndis.driver_of_object(object as usize) else {
        return;
    };
    check_object(object);
    driver.call(Handler::Unload, &[object as usize]);
    if kernel.ndis.remove_driver(driver.handle).is_some() {
        rules::violate(
            &DEREGISTER,
            "MiniportDriverUnload returned without NdisMDeregisterMiniportDriver",
        );
    }
}

extern "win64" fn set_optional(handle: usize, handlers: *mut NDIS_OBJECT_HEADER) -> NDIS_STATUS {
    let kernel = kernel();
    let Some(driver) = kernel.ndis.driver(handle) else {
        rules::violate(
            &OPTIONS,
            format!("NdisSetOptionalHandlers: {handle:#x} is no driver handle"),
        );
        return sys::NDIS_STATUS_FAILURE;
    };
    if !driver.in_options.load(Ordering::Acquire) {
        rules::violate(
            &OPTIONS,
            "NdisSetOptionalHandlers outside MiniportSetOptions",
        );
        return sys::NDIS_STATUS_INVALID_STATE;
    }
    let kind = header::read(handlers as usize).kind;
    if kind != sys::NDIS_OBJECT_TYPE_MINIPORT_PNP_CHARACTERISTICS {
        // Selective suspend and the rest change nothing of what the harness calls.
        return sys::NDIS_STATUS_SUCCESS;
    }
    if !header::PNP_CHARACTERISTICS.accept(handlers as usize, driver.minor) {
        return sys::NDIS_STATUS_BAD_CHARACTERISTICS;
    }
    let at = handlers as usize as *mut NDIS_MINIPORT_PNP_CHARACTERISTICS;
    let add = field!(
        at,
        NDIS_MINIPORT_PNP_CHARACTERISTICS,
        MiniportAddDeviceHandler
    )
    .cast::<usize>()
    .load();
    let remove = field!(
        at,
        NDIS_MINIPORT_PNP_CHARACTERISTICS,
        MiniportRemoveDeviceHandler
    );
    let remove = remove.cast::<usize>().load();
    if !code(add) || !code(remove) {
        rules::violate(
            &OPTIONS,
            "MiniportAddDevice or MiniportRemoveDevice is no code",
        );
        return sys::NDIS_STATUS_BAD_CHARACTERISTICS;
    }
    driver.add_device.store(add, Ordering::Release);
    driver.remove_device.store(remove, Ordering::Release);
    sys::NDIS_STATUS_SUCCESS
}

extern "win64" fn version() -> u32 {
    0x0006_0000 | u32::from(kernel().ndis.minor())
}

extern "win64" fn routine_address(name: *const UNICODE_STRING) -> usize {
    crate::export::resolve("ndis.sys", &crate::rtl::string::read_unicode(name)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use alloc::format;

    use super::{HANDLERS, Handler, REQUIRED, handler_faults};

    #[test]
    fn each_required_handler_is_missed_when_it_is_absent() {
        let full = [1; HANDLERS];
        assert!(handler_faults(&full, |_| true).is_empty());
        for handler in REQUIRED {
            let mut handlers = full;
            handlers[handler as usize] = 0;
            let faults = handler_faults(&handlers, |_| true);
            assert_eq!(faults, [format!("{} is required", handler.name())]);
        }
    }

    #[test]
    fn half_a_pair_is_a_fault_and_a_whole_or_absent_one_is_not() {
        let mut handlers = [1; HANDLERS];
        handlers[Handler::Reset as usize] = 0;
        assert_eq!(handler_faults(&handlers, |_| true).len(), 1);
        handlers[Handler::CheckForHang as usize] = 0;
        assert!(handler_faults(&handlers, |_| true).is_empty());
    }

    #[test]
    fn a_handler_outside_code_is_a_fault() {
        let mut handlers = [1; HANDLERS];
        handlers[3] = 77;
        assert_eq!(handler_faults(&handlers, |at| at != 77).len(), 1);
    }
}
