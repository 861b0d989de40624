//! The driver as a whole: entry, new devices, unload.
#![allow(
    unsafe_code,
    reason = "the entry points the kernel calls; each block states its reason"
)]

use core::ptr::NonNull;
use core::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use nt::device::{Attachment, Device, DeviceRef, DeviceSpec};
use nt::irql::Passive;
use nt::log_info;
use nt::registry::{Access, Key};
use nt::status::{Result, Status};
use nt::unicode::UnicodeStr;
use wdk_sys::{DEVICE_OBJECT, DRIVER_OBJECT, NTSTATUS, UNICODE_STRING};
use xenbus_core::platform::unplug::Policy;

use crate::device::Extension;
use crate::dispatch;
use crate::fdo::Fdo;

/// No value of the parameter: none that makes sense.
const NOT_SET: u32 = u32::MAX;

/// The parameter `UnplugNetworkCards`; see [`unplug_policy`].
static UNPLUG: AtomicU32 = AtomicU32::new(NOT_SET);

/// See [`wants_fifo`].
static FIFO: AtomicBool = AtomicBool::new(true);

/// The driver object, which outlives every device of the driver.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Driver(NonNull<DRIVER_OBJECT>);

// SAFETY: a driver object may be named from any thread; its state is the I/O manager's.
unsafe impl Send for Driver {}
// SAFETY: as above.
unsafe impl Sync for Driver {}

impl Driver {
    /// Makes a device object of this driver.
    pub(crate) fn create_device(
        self,
        spec: DeviceSpec,
        extension: Extension,
        irql: &Passive<'_>,
    ) -> Result<Device<Extension>> {
        // SAFETY: the object is this driver's, by the construction in driver_entry and add_device.
        unsafe { Device::create(self.0, spec, extension, irql) }
    }
}

/// The first function the kernel calls: names the others.
///
/// # Safety
/// Called once by the kernel, with this driver's object and the path of its service key.
#[unsafe(export_name = "DriverEntry")]
pub(crate) unsafe extern "system" fn driver_entry(
    driver: *mut DRIVER_OBJECT,
    registry_path: *const UNICODE_STRING,
) -> NTSTATUS {
    // SAFETY: DriverEntry runs at PASSIVE_LEVEL; the token ends with this call.
    let irql = unsafe { Passive::assume() };
    nt::log::set_component(nt::log::Component::Bus);
    let Some(driver) = NonNull::new(driver) else {
        return Status::INVALID_PARAMETER.into_raw();
    };
    // SAFETY: the kernel's driver object, which nobody else uses before this function returns.
    let object = unsafe { &mut *driver.as_ptr() };
    dispatch::fill(&mut object.MajorFunction);
    object.DriverUnload = Some(unload);
    // SAFETY: the kernel gives every driver object an extension.
    let Some(extension) = (unsafe { object.DriverExtension.as_mut() }) else {
        return Status::INVALID_PARAMETER.into_raw();
    };
    if !registry_path.is_null() {
        // SAFETY: the kernel's string, which lives until this function returns.
        read_parameters(unsafe { UnicodeStr::from_raw(registry_path) }, &irql);
    }
    extension.AddDevice = Some(add_device_entry);
    log_info!("loaded, version {}", env!("CARGO_PKG_VERSION"));
    Status::SUCCESS.into_raw()
}

/// Reads the values of the service's key `Parameters`, which rule until the driver is unloaded.
fn read_parameters(registry_path: UnicodeStr<'_>, irql: &Passive<'_>) {
    let Ok(key) = Key::of_parameters(registry_path, Access::Read, irql) else {
        return;
    };
    let unplug = key.read_dword(nt::utf16!("UnplugNetworkCards"));
    UNPLUG.store(unplug.unwrap_or(NOT_SET), Ordering::Relaxed);
    let fifo = key.read_dword(nt::utf16!("FifoEventChannels"));
    FIFO.store(fifo != Ok(0), Ordering::Relaxed);
}

/// Whether the FIFO ABI of event channels is tried. Only a value of 0 keeps it off, for a Xen on which
/// it does not work.
pub(crate) fn wants_fifo() -> bool {
    FIFO.load(Ordering::Relaxed)
}

/// What the administrator says about emulated network cards.
pub(crate) fn unplug_policy() -> Policy {
    match UNPLUG.load(Ordering::Relaxed) {
        NOT_SET => Policy::Automatic,
        value => Policy::from_parameter(Some(value)),
    }
}

/// # Safety
/// Called by the kernel when no device of the driver is left.
unsafe extern "C" fn unload(_: *mut DRIVER_OBJECT) {
    log_info!("unloaded");
}

/// # Safety
/// Called by the kernel with this driver's object and the physical device object of a new device.
unsafe extern "C" fn add_device_entry(
    driver: *mut DRIVER_OBJECT,
    pdo: *mut DEVICE_OBJECT,
) -> NTSTATUS {
    // SAFETY: AddDevice runs at PASSIVE_LEVEL; the token ends with this call.
    let mut irql = unsafe { Passive::assume() };
    // SAFETY: the physical device object lives until our device is removed.
    let pdo = unsafe { DeviceRef::from_raw(pdo) };
    let (Some(driver), Some(pdo)) = (NonNull::new(driver), pdo) else {
        return Status::INVALID_PARAMETER.into_raw();
    };
    Status::of(add_device(Driver(driver), pdo, &mut irql)).into_raw()
}

/// Puts a function device on top of the stack of `pdo`. The hardware is not touched before
/// `START_DEVICE`.
fn add_device(driver: Driver, pdo: DeviceRef, irql: &mut Passive<'_>) -> Result<()> {
    let fdo = Fdo::new(driver, pdo)?;
    let spec = DeviceSpec {
        device_type: wdk_sys::FILE_DEVICE_BUS_EXTENDER,
        autogenerated_name: false,
    };
    let device = driver.create_device(spec, Extension::Fdo(fdo), irql)?;
    let attachment = Attachment::attach(device.as_ref(), pdo, irql)?;
    let lower = attachment.lower().flags();
    if let Extension::Fdo(fdo) = device.extension() {
        fdo.attached(device.as_ref(), attachment, irql);
    }
    // Power requests come at PASSIVE_LEVEL; buffers as the device below takes them.
    let inherited = lower & (wdk_sys::DO_BUFFERED_IO | wdk_sys::DO_DIRECT_IO);
    device.as_ref().change_flags(
        wdk_sys::DO_POWER_PAGABLE | inherited,
        wdk_sys::DO_DEVICE_INITIALIZING,
        irql,
    );
    device.into_ref();
    Ok(())
}
