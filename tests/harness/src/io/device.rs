//! Device objects and stacks.

use alloc::format;
use alloc::string::String;
use wdk_sys::{DEVICE_OBJECT, DRIVER_OBJECT, KEVENT, UNICODE_STRING};

use crate::ex::pool::calling_driver;
use crate::export::{Module, exports, told_to_fail};
use crate::field;
use crate::host::context::kernel;
use crate::mem::guest::Guest;
use crate::rules;

const STATUS_INSUFFICIENT_RESOURCES: i32 = 0xC000_009A_u32.cast_signed();
const STATUS_NO_SUCH_DEVICE: i32 = 0xC000_000E_u32.cast_signed();
/// `DO_DEVICE_INITIALIZING`.
pub(crate) const INITIALIZING: u32 = 0x80;
/// `DO_BUS_ENUMERATED_DEVICE`.
pub(crate) const BUS_ENUMERATED: u32 = 0x1000;

exports! { Module::Ntoskrnl;
    IoCreateDevice = create, 0..=0, fallible;
    IoDeleteDevice = delete, 0..=0;
    IoAttachDeviceToDeviceStack = attach, 0..=0, fallible;
    IoDetachDevice = detach, 0..=0;
    IoGetAttachedDeviceReference = attached_reference, 0..=2;
    IoInvalidateDeviceRelations = invalidate_relations, 0..=2;
    IoInvalidateDeviceState = invalidate_state, 0..=2;
    IoRequestDeviceEject = request_eject, 0..=2;
}

/// What the I/O manager keeps of a device object besides the object itself.
#[derive(Clone, Debug, Default)]
pub(crate) struct Device {
    /// Image that made it; empty for the system's own.
    pub(crate) owner: String,
    /// The device object below it in its stack.
    pub(crate) lower: usize,
    /// `IoDeleteDevice` was called while a device was attached above: the object goes when that one detaches.
    pub(crate) delete_pending: bool,
    /// The harness's own device: dispatched without a driver.
    pub(crate) native: bool,
    /// Interrupt of each message, for a native device with interrupts.
    pub(crate) resources: crate::pnp::Resources,
}

type Object = *mut DEVICE_OBJECT;

/// Makes a device object with `extension` bytes behind it.
pub(crate) fn make(driver: *mut DRIVER_OBJECT, extension: u32, kind: u32, device: Device) -> usize {
    let kernel = kernel();
    let size = size_of::<DEVICE_OBJECT>();
    let at = kernel.pool.allocate_own(size + extension as usize);
    let object = at as Object;
    field!(object, DEVICE_OBJECT, Type).store(3);
    field!(object, DEVICE_OBJECT, Size)
        .store(u16::try_from(size + extension as usize).unwrap_or(u16::MAX));
    field!(object, DEVICE_OBJECT, DriverObject).store(driver);
    field!(object, DEVICE_OBJECT, Flags).store(INITIALIZING);
    field!(object, DEVICE_OBJECT, DeviceType).store(kind);
    field!(object, DEVICE_OBJECT, StackSize).store(1);
    if extension != 0 {
        field!(object, DEVICE_OBJECT, DeviceExtension)
            .cast::<usize>()
            .store(at + size);
    }
    let lock = field!(object, DEVICE_OBJECT, DeviceLock).pointer();
    crate::ke::object::initialize_event(lock.cast::<KEVENT>(), 1, 1);
    if !driver.is_null() {
        let first = field!(driver, DRIVER_OBJECT, DeviceObject);
        field!(object, DEVICE_OBJECT, NextDevice).store(first.load());
        first.store(object);
    }
    kernel.io.devices.lock().insert(at, device);
    at
}

extern "win64" fn create(
    driver: *mut DRIVER_OBJECT,
    extension: u32,
    _name: *mut UNICODE_STRING,
    kind: u32,
    characteristics: u32,
    _exclusive: u8,
    out: *mut usize,
) -> i32 {
    if told_to_fail() {
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    let device = Device {
        owner: calling_driver(),
        ..Device::default()
    };
    let object = make(driver, extension, kind, device);
    field!(object as Object, DEVICE_OBJECT, Characteristics).store(characteristics);
    Guest::from(out).store(object);
    0
}

extern "win64" fn delete(object: Object) {
    let kernel = kernel();
    let known = kernel.io.devices.lock().get(&(object as usize)).cloned();
    let Some(device) = known.filter(|device| !device.delete_pending) else {
        rules::violate(
            &rules::DEVICE,
            format!("{object:p} is no live device object"),
        );
        return;
    };
    if device.lower != 0 {
        rules::violate(
            &rules::DEVICE,
            format!(
                "device {object:p} deleted while attached to {:#x}",
                device.lower
            ),
        );
    }
    let covered = !field!(object, DEVICE_OBJECT, AttachedDevice)
        .load()
        .is_null();
    let enumerated = field!(object, DEVICE_OBJECT, Flags).load() & BUS_ENUMERATED != 0;
    if covered && !enumerated {
        rules::violate(
            &rules::DEVICE,
            format!("device {object:p} deleted below another device"),
        );
    }
    let driver = field!(object, DEVICE_OBJECT, DriverObject).load();
    let mut link = field!(driver, DRIVER_OBJECT, DeviceObject);
    while !link.load().is_null() {
        let at = link.load();
        if at == object {
            link.store(field!(object, DEVICE_OBJECT, NextDevice).load());
            break;
        }
        link = field!(at, DEVICE_OBJECT, NextDevice);
    }
    if covered && enumerated {
        // A bus driver deletes its device in REMOVE_DEVICE, before the function driver above has detached.
        if let Some(device) = kernel.io.devices.lock().get_mut(&(object as usize)) {
            device.delete_pending = true;
        }
        return;
    }
    release(object);
}

/// The memory of a deleted device is given back.
fn release(object: Object) {
    let kernel = kernel();
    kernel.io.devices.lock().remove(&(object as usize));
    crate::pnp::deleted(object as usize);
    kernel.pool.free(object as usize, None);
}

/// The uppermost device of the stack that `object` is in.
pub(crate) fn top(object: usize) -> usize {
    let mut at = object as Object;
    loop {
        let next = field!(at, DEVICE_OBJECT, AttachedDevice).load();
        if next.is_null() {
            return at as usize;
        }
        at = next;
    }
}

extern "win64" fn attach(source: Object, target: Object) -> usize {
    if told_to_fail() {
        return 0;
    }
    let below = top(target as usize);
    let lower = below as Object;
    field!(lower, DEVICE_OBJECT, AttachedDevice).store(source);
    let depth = field!(lower, DEVICE_OBJECT, StackSize).load();
    field!(source, DEVICE_OBJECT, StackSize).store(depth + 1);
    let alignment = field!(lower, DEVICE_OBJECT, AlignmentRequirement).load();
    field!(source, DEVICE_OBJECT, AlignmentRequirement).store(alignment);
    if let Some(device) = kernel().io.devices.lock().get_mut(&(source as usize)) {
        device.lower = below;
    }
    below
}

extern "win64" fn detach(target: Object) {
    let upper = field!(target, DEVICE_OBJECT, AttachedDevice).load();
    if upper.is_null() {
        rules::violate(
            &rules::DEVICE,
            format!("IoDetachDevice: nothing is attached to {target:p}"),
        );
        return;
    }
    field!(target, DEVICE_OBJECT, AttachedDevice).store(core::ptr::null_mut());
    if let Some(device) = kernel().io.devices.lock().get_mut(&(upper as usize)) {
        device.lower = 0;
    }
    let pending = kernel()
        .io
        .devices
        .lock()
        .get(&(target as usize))
        .is_some_and(|device| device.delete_pending);
    if pending {
        release(target);
    }
}

extern "win64" fn attached_reference(object: Object) -> usize {
    let top = top(object as usize);
    kernel().handles.add_reference(top, 1);
    top
}

extern "win64" fn invalidate_relations(object: Object, _kind: i32) {
    if !kernel().io.devices.lock().contains_key(&(object as usize)) {
        rules::violate(
            &rules::DEVICE,
            format!("IoInvalidateDeviceRelations: {object:p} is no device"),
        );
        return;
    }
    kernel().io.invalidated.lock().push(object as usize);
}

extern "win64" fn invalidate_state(_object: Object) {}

extern "win64" fn request_eject(object: Object) {
    crate::pnp::eject_requested(object as usize);
}

/// `STATUS_NO_SUCH_DEVICE`, for callers that name a device that is gone.
pub(crate) const fn no_such_device() -> i32 {
    STATUS_NO_SUCH_DEVICE
}
