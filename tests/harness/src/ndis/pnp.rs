//! NDIS as the function driver of a device: `AddDevice`, and the dispatch of every packet (ndis-contract.md 8.4).

use alloc::sync::Arc;
use core::sync::atomic::Ordering;

use ndis_sys as sys;
use wdk_sys::{DEVICE_OBJECT, DRIVER_OBJECT, IO_STACK_LOCATION, IRP, KEVENT};

use super::adapter::{Adapter, Devices};
use super::driver::check_object;
use super::nt::{self, Signal};
use super::{lifecycle, power};
use crate::driver;
use crate::export::{Module, exports};
use crate::field;
use crate::host::context::kernel;
use crate::io::device::{self, Device, INITIALIZING};
use crate::io::irp;
use crate::mem::guest::{Guest, read_bytes, write_bytes};
use crate::pnp::{MAJOR_PNP, MAJOR_POWER, flags, minor};
use crate::po;

exports! { Module::Ndis;
    NdisAddDevice = add_device, 0..=0;
    NdisDispatch = dispatch, 0..=2;
    NdisIrpCompletion = irp_completion, 0..=2;
}

const STATUS_NO_SUCH_DEVICE: i32 = 0xC000_000E_u32.cast_signed();
const STATUS_INVALID_DEVICE_REQUEST: i32 = 0xC000_0010_u32.cast_signed();
const STATUS_UNSUCCESSFUL: i32 = 0xC000_0001_u32.cast_signed();
const STATUS_PENDING: i32 = 0x103;
const MORE_PROCESSING_REQUIRED: i32 = 0xC000_0016_u32.cast_signed();
const MAJOR_SYSTEM_CONTROL: u8 = 0x17;
const FILE_DEVICE_NETWORK: u32 = 0x12;
/// `SL_INVOKE_ON_SUCCESS`, `_ERROR` and `_CANCEL`.
const INVOKE_ALWAYS: u8 = 0xE0;

type Irp = *mut IRP;

fn location(packet: Irp) -> Guest<*mut IO_STACK_LOCATION> {
    field!(
        packet,
        IRP,
        Tail.Overlay
            .__bindgen_anon_2
            .__bindgen_anon_1
            .CurrentStackLocation
    )
}

fn status_of(packet: Irp) -> Guest<i32> {
    field!(packet, IRP, IoStatus.__bindgen_anon_1.Status)
}

extern "win64" fn add_device(object: *mut DRIVER_OBJECT, physical: usize) -> i32 {
    let kernel = kernel();
    check_object(object);
    let Some(driver) = kernel.ndis.driver_of_object(object as usize) else {
        return STATUS_UNSUCCESSFUL;
    };
    let functional = device::make(object, 0, FILE_DEVICE_NETWORK, Device::default());
    let next = nt::call("IoAttachDeviceToDeviceStack", &[functional, physical]);
    if next == 0 {
        nt::call("IoDeleteDevice", &[functional]);
        return STATUS_NO_SUCH_DEVICE;
    }
    let adapter = Adapter::create(
        &driver,
        Devices {
            physical,
            functional,
            next,
        },
    );
    let handler = driver.add_device.load(Ordering::Acquire);
    if handler != 0 {
        let arguments = [adapter.handle, driver.context];
        let status = crate::low_status(driver::invoke("MiniportAddDevice", handler, &arguments));
        if status != sys::NDIS_STATUS_SUCCESS {
            detach(&adapter);
            return STATUS_UNSUCCESSFUL;
        }
    }
    flags(functional).store(flags(functional).load() & !INITIALIZING);
    0
}

fn detach(adapter: &Adapter) {
    nt::call("IoDetachDevice", &[adapter.devices.next]);
    nt::call("IoDeleteDevice", &[adapter.devices.functional]);
    kernel().ndis.remove_adapter(adapter.handle);
}

fn adapter_of(object: usize) -> Option<Arc<Adapter>> {
    kernel()
        .ndis
        .all_adapters()
        .into_iter()
        .find(|adapter| adapter.devices.functional == object)
}

/// Passes a packet down as it is.
fn skip(adapter: &Adapter, packet: Irp) -> i32 {
    let count = field!(packet, IRP, CurrentLocation);
    count.store(count.load() + 1);
    let at = location(packet);
    at.store((at.load() as usize + size_of::<IO_STACK_LOCATION>()) as *mut IO_STACK_LOCATION);
    irp::call(adapter.devices.next as *mut DEVICE_OBJECT, packet)
}

/// Passes a packet down and waits until the lower drivers are done with it. Returns its status.
fn forward_and_wait(adapter: &Adapter, packet: Irp) -> i32 {
    let signal = Signal::new();
    let mut copy = [0; size_of::<IO_STACK_LOCATION>()];
    read_bytes(location(packet).load() as usize, &mut copy);
    let next = irp::next_location(packet as usize);
    write_bytes(next as usize, &copy);
    let routine = nt::own_routine("NdisIrpCompletion");
    field!(next, IO_STACK_LOCATION, Control).store(INVOKE_ALWAYS);
    field!(next, IO_STACK_LOCATION, CompletionRoutine)
        .cast::<usize>()
        .store(routine);
    field!(next, IO_STACK_LOCATION, Context)
        .cast::<usize>()
        .store(signal.address());
    let returned = irp::call(adapter.devices.next as *mut DEVICE_OBJECT, packet);
    if returned == STATUS_PENDING {
        signal.wait(None);
    }
    signal.free();
    status_of(packet).load()
}

extern "win64" fn irp_completion(_device: usize, _packet: Irp, event: *mut KEVENT) -> i32 {
    crate::ke::object::set_event(event, 0, 0);
    MORE_PROCESSING_REQUIRED
}

fn complete(packet: Irp, status: i32) -> i32 {
    status_of(packet).store(status);
    irp::complete(packet, 0);
    status
}

extern "win64" fn dispatch(object: usize, packet: Irp) -> i32 {
    let Some(adapter) = adapter_of(object) else {
        return complete(packet, STATUS_NO_SUCH_DEVICE);
    };
    let stack = location(packet).load();
    let major = field!(stack, IO_STACK_LOCATION, MajorFunction).load();
    let function = field!(stack, IO_STACK_LOCATION, MinorFunction).load();
    match major {
        MAJOR_PNP => plug_and_play(&adapter, packet, function),
        MAJOR_POWER => power_request(&adapter, packet, function),
        MAJOR_SYSTEM_CONTROL => skip(&adapter, packet),
        _ => complete(packet, STATUS_INVALID_DEVICE_REQUEST),
    }
}

fn plug_and_play(adapter: &Arc<Adapter>, packet: Irp, function: u8) -> i32 {
    let removal = sys::NDIS_PAUSE_MINIPORT_DEVICE_REMOVE;
    match function {
        minor::START => {
            let status = forward_and_wait(adapter, packet);
            if status < 0 {
                complete(packet, status)
            } else {
                complete(packet, start(adapter))
            }
        }
        minor::QUERY_STOP | minor::QUERY_REMOVE | minor::CANCEL_STOP | minor::CANCEL_REMOVE => {
            status_of(packet).store(0);
            skip(adapter, packet)
        }
        minor::STOP => {
            lifecycle::stop(
                adapter,
                sys::NDIS_PAUSE_NDIS_INTERNAL,
                sys::NdisHaltDeviceStopped,
            );
            status_of(packet).store(0);
            skip(adapter, packet)
        }
        minor::SURPRISE_REMOVAL => {
            lifecycle::surprise_removed(adapter);
            lifecycle::stop(adapter, removal, sys::NdisHaltDeviceSurpriseRemoved);
            status_of(packet).store(0);
            skip(adapter, packet)
        }
        minor::REMOVE => remove(adapter, packet, removal),
        _ => skip(adapter, packet),
    }
}

fn start(adapter: &Arc<Adapter>) -> i32 {
    let status = lifecycle::initialize(adapter);
    if status != sys::NDIS_STATUS_SUCCESS {
        return if status < 0 {
            status
        } else {
            STATUS_UNSUCCESSFUL
        };
    }
    if adapter.binding.settings().restart {
        lifecycle::restart(adapter);
    }
    0
}

fn remove(adapter: &Arc<Adapter>, packet: Irp, reason: u32) -> i32 {
    let action = if adapter.surprise_removed.load(Ordering::Acquire) {
        sys::NdisHaltDeviceSurpriseRemoved
    } else {
        sys::NdisHaltDeviceDisabled
    };
    lifecycle::stop(adapter, reason, action);
    let handler = adapter.driver.remove_device.load(Ordering::Acquire);
    if handler != 0 {
        let context = adapter.device_context.load(Ordering::Acquire);
        driver::invoke("MiniportRemoveDevice", handler, &[context]);
    }
    status_of(packet).store(0);
    let status = skip(adapter, packet);
    detach(adapter);
    status
}

const SET_POWER: u8 = 2;
/// `DevicePowerState` of `POWER_STATE_TYPE`.
const DEVICE: usize = 1;

fn power_request(adapter: &Arc<Adapter>, packet: Irp, function: u8) -> i32 {
    let stack = location(packet).load();
    let words = field!(stack, IO_STACK_LOCATION, Parameters).cast::<usize>();
    let is_device = words.index(1).load() & 0xFFFF_FFFF == DEVICE;
    let state = words.index(2).cast::<u32>().load();
    if function != SET_POWER {
        status_of(packet).store(0);
        return skip(adapter, packet);
    }
    if !is_device {
        // NDIS is the power policy owner: it sends the device request for a system state itself.
        let device_state = if state <= 1 { 1 } else { 4 };
        if device_state == 4 {
            po::set_device(adapter.devices.physical, device_state);
        }
        let status = forward_and_wait(adapter, packet);
        if device_state == 1 {
            po::set_device(adapter.devices.physical, device_state);
        }
        return complete(packet, status);
    }
    if state == 1 {
        let status = forward_and_wait(adapter, packet);
        power::up(adapter);
        return complete(packet, status);
    }
    power::down(adapter, state);
    status_of(packet).store(0);
    skip(adapter, packet)
}
