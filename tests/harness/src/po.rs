//! Power (`Po`): power IRPs and the power manager's part in them.

use alloc::boxed::Box;
use alloc::format;
use wdk_sys::{IO_STACK_LOCATION, IO_STATUS_BLOCK};

use crate::driver;
use crate::export::{Module, exports, told_to_fail};
use crate::host::context::kernel;
use crate::io::irp;
use crate::mem::guest::{Guest, write_bytes};
use crate::pnp::{MAJOR_POWER, STATUS_NOT_SUPPORTED, fill};
use crate::rules;

const STATUS_INSUFFICIENT_RESOURCES: i32 = 0xC000_009A_u32.cast_signed();
const STATUS_PENDING: i32 = 0x103;
const SET_POWER: u8 = 2;
const QUERY_POWER: u8 = 3;
/// `DevicePowerState` and `SystemPowerState` of `POWER_STATE_TYPE`.
const SYSTEM: usize = 0;
const DEVICE: usize = 1;

exports! { Module::Ntoskrnl;
    PoRequestPowerIrp = request_irp, 0..=2, fallible;
    PoSetPowerState = set_state, 0..=2;
    PoStartNextPowerIrp = start_next, 0..=2;
    PoCallDriver = irp::call, 0..=2;
    PoRegisterDeviceForIdleDetection = register_idle, 0..=1;
    PoSetSystemWake = set_wake, 0..=2;
}

fn send(device: usize, minor: u8, kind: usize, state: u32) -> (i32, usize) {
    // Power.SystemContext, Type, State, ShutdownType.
    let words = [0, kind, state as usize, 0];
    irp::send(
        device,
        |stack: *mut IO_STACK_LOCATION| fill(stack, MAJOR_POWER, minor, words),
        (STATUS_NOT_SUPPORTED, 0),
    )
}

/// Asks and then tells a device's stack to go to a system state (`PowerSystemWorking` = 1 ...).
pub(crate) fn set_system(device: usize, state: u32, query: bool) -> i32 {
    if query {
        let (status, _) = send(device, QUERY_POWER, SYSTEM, state);
        if status < 0 {
            return status;
        }
    }
    let (status, _) = send(device, SET_POWER, SYSTEM, state);
    if status < 0 {
        rules::violate(
            &rules::POWER,
            format!(
                "IRP_MN_SET_POWER to S{} failed: {status:#x}",
                state.wrapping_sub(1)
            ),
        );
    }
    status
}

/// Tells a device's stack to go to a device state (`PowerDeviceD0` = 1 ... `D3` = 4).
pub(crate) fn set_device(device: usize, state: u32) -> i32 {
    let (status, _) = send(device, SET_POWER, DEVICE, state);
    if status < 0 {
        rules::violate(
            &rules::POWER,
            format!(
                "IRP_MN_SET_POWER to D{} failed: {status:#x}",
                state.wrapping_sub(1)
            ),
        );
    }
    status
}

extern "win64" fn request_irp(
    device: usize,
    minor: u8,
    state: u32,
    routine: usize,
    context: usize,
    out: *mut usize,
) -> i32 {
    if told_to_fail() {
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    if !kernel().io.devices.lock().contains_key(&device) {
        rules::die(
            &rules::POWER,
            format!("PoRequestPowerIrp: {device:#x} is no device object"),
        );
    }
    if !out.is_null() {
        Guest::from(out).store(0);
    }
    kernel().sched.spawn(
        "power request",
        Box::new(move || {
            let (status, information) = send(device, minor, DEVICE, state);
            if routine == 0 {
                return;
            }
            let kernel = kernel();
            let block = kernel.pool.allocate_own(size_of::<IO_STATUS_BLOCK>());
            write_bytes(block, &status.to_le_bytes());
            Guest::<usize>::new(block + 8).store(information);
            let arguments = [device, usize::from(minor), state as usize, context, block];
            driver::invoke("power completion routine", routine, &arguments);
            kernel.pool.free(block, None);
        }),
    );
    STATUS_PENDING
}

/// Returns the state before; every device is taken to have been in D0.
extern "win64" fn set_state(_device: usize, _kind: u32, _state: u32) -> u32 {
    1
}

extern "win64" fn start_next(_irp: usize) {}

extern "win64" fn register_idle(
    _device: usize,
    _conservation: u32,
    _performance: u32,
    _state: i32,
) -> usize {
    0
}

extern "win64" fn set_wake(_irp: usize) {}
