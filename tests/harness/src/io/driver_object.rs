//! Driver objects, `DriverEntry`, unloading.

use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use wdk_sys::{DRIVER_EXTENSION, DRIVER_OBJECT, IRP, UNICODE_STRING};

use crate::driver;
use crate::export::{Module, exports};
use crate::field;
use crate::host::context::kernel;
use crate::image::Image;
use crate::mem::guest::Guest;
use crate::rtl::string::store_unicode;
use crate::rules;

const STATUS_INVALID_DEVICE_REQUEST: i32 = 0xC000_0010_u32.cast_signed();
/// `IRP_MJ_MAXIMUM_FUNCTION` plus one.
pub(crate) const MAJOR_FUNCTIONS: usize = 28;

exports! { Module::Ntoskrnl;
    IopInvalidDeviceRequest = invalid_request, 0..=2;
}

/// What `MajorFunction` holds where a driver has set nothing.
extern "win64" fn invalid_request(_device: usize, irp: usize) -> i32 {
    let packet = irp as *mut IRP;
    field!(packet, IRP, IoStatus.__bindgen_anon_1.Status).store(STATUS_INVALID_DEVICE_REQUEST);
    crate::io::irp::complete(packet, 0);
    STATUS_INVALID_DEVICE_REQUEST
}

/// A loaded driver.
#[derive(Clone, Debug)]
pub(crate) struct Driver {
    pub(crate) image: Arc<Image>,
    pub(crate) object: usize,
    pub(crate) service_key: String,
}

/// Makes the driver object for `image`.
pub(crate) fn create(image: Arc<Image>, service: &str) -> Driver {
    let kernel = kernel();
    let at = kernel
        .pool
        .allocate_own(size_of::<DRIVER_OBJECT>() + size_of::<DRIVER_EXTENSION>());
    let object = at as *mut DRIVER_OBJECT;
    let extension = (at + size_of::<DRIVER_OBJECT>()) as *mut DRIVER_EXTENSION;
    let service_key =
        format!("\\Registry\\Machine\\System\\CurrentControlSet\\Services\\{service}");
    kernel.registry.create(&service_key);
    field!(object, DRIVER_OBJECT, Type).store(4);
    field!(object, DRIVER_OBJECT, Size)
        .store(i16::try_from(size_of::<DRIVER_OBJECT>()).unwrap_or(0));
    field!(object, DRIVER_OBJECT, DriverStart)
        .cast::<usize>()
        .store(image.base);
    field!(object, DRIVER_OBJECT, DriverSize).store(u32::try_from(image.size).unwrap_or(0));
    field!(object, DRIVER_OBJECT, DriverExtension).store(extension);
    field!(object, DRIVER_OBJECT, DriverInit)
        .cast::<usize>()
        .store(image.entry);
    field!(extension, DRIVER_EXTENSION, DriverObject).store(object);
    store_unicode(
        field!(object, DRIVER_OBJECT, DriverName).pointer(),
        &format!("\\Driver\\{service}"),
    );
    store_unicode(
        field!(extension, DRIVER_EXTENSION, ServiceKeyName).pointer(),
        service,
    );
    let default = crate::export::find_kernel_routine("IopInvalidDeviceRequest").unwrap_or(0);
    let table = field!(object, DRIVER_OBJECT, MajorFunction).cast::<usize>();
    for index in 0..MAJOR_FUNCTIONS {
        table.index(index).store(default);
    }
    Driver {
        image,
        object: at,
        service_key,
    }
}

/// Calls `DriverEntry`. Runs on a system thread at `PASSIVE_LEVEL`.
pub(crate) fn enter(driver: &Driver) -> i32 {
    let kernel = kernel();
    let path = kernel.pool.allocate_own(size_of::<UNICODE_STRING>());
    store_unicode(path as *mut UNICODE_STRING, &driver.service_key);
    let status = driver::invoke("DriverEntry", driver.image.entry, &[driver.object, path]);
    let buffer = field!(path as *mut UNICODE_STRING, UNICODE_STRING, Buffer).load() as usize;
    // The path is only good during the call: a driver that keeps it finds an inaccessible page.
    kernel.pool.free(buffer, None);
    kernel.pool.free(path, None);
    let object = driver.object as *mut DRIVER_OBJECT;
    for index in 0..MAJOR_FUNCTIONS {
        let routine = field!(object, DRIVER_OBJECT, MajorFunction)
            .cast::<usize>()
            .index(index)
            .load();
        if !kernel.space.executable(routine) && !crate::export::is_thunk(routine) {
            rules::violate(
                &rules::OBJECT,
                format!("MajorFunction[{index}] is {routine:#x}: no code"),
            );
        }
    }
    crate::low_status(status)
}

/// Calls `DriverUnload`, if the driver has one, and checks that nothing of it is left.
pub(crate) fn unload(driver: &Driver) -> bool {
    let object = driver.object as *mut DRIVER_OBJECT;
    let routine = field!(object, DRIVER_OBJECT, DriverUnload)
        .cast::<usize>()
        .load();
    if routine == 0 {
        return false;
    }
    driver::invoke("DriverUnload", routine, &[driver.object]);
    check_leaks(driver);
    Guest::<u8>::new(driver.object).store(0);
    true
}

/// Reports everything of the driver that is still alive.
pub(crate) fn check_leaks(driver: &Driver) {
    let kernel = kernel();
    let image = &driver.image;
    let name = &image.name;
    let blocks = kernel.pool.owned_by(name);
    if !blocks.is_empty() {
        let list: Vec<String> = blocks
            .iter()
            .take(8)
            .map(|(tag, size)| format!("{} bytes of {}", size, crate::ex::pool::tag_text(*tag)))
            .collect();
        rules::violate(
            &rules::LEAK,
            format!(
                "{name} leaves {} pool blocks: {}",
                blocks.len(),
                list.join(", ")
            ),
        );
    }
    let mut rest = kernel.mm.owned_by(name);
    let counted = [
        (crate::io::irp::owned_by(name), "IRPs"),
        (crate::io::work::owned_by(name), "work items"),
        (kernel.etw.owned_by(name), "trace providers"),
        (
            kernel
                .io
                .devices
                .lock()
                .values()
                .filter(|device| device.owner == *name)
                .count(),
            "device objects",
        ),
        (
            kernel.interrupts.owned_by(image.base, image.size),
            "connected interrupts",
        ),
    ];
    rest.extend(
        counted
            .iter()
            .filter(|(count, _)| *count != 0)
            .map(|(count, what)| format!("{count} {what}")),
    );
    if !rest.is_empty() {
        rules::violate(&rules::LEAK, format!("{name} leaves {}", rest.join(", ")));
    }
    let handles = kernel.handles.owned_by(name);
    if handles != 0 {
        rules::violate(
            &rules::LEAK,
            format!("{name} leaves {handles} open handles"),
        );
    }
    let range = (image.base, image.base + image.size);
    if let Some(timer) = kernel.sched.events.timer_between(range.0, range.1) {
        rules::violate(&rules::LEAK, format!("{name} leaves timer {timer:#x} set"));
    }
    if kernel
        .sched
        .cpus()
        .iter()
        .any(|cpu| cpu.dpc_between(range.0, range.1).is_some())
    {
        rules::violate(&rules::LEAK, format!("{name} leaves a DPC queued"));
    }
}
