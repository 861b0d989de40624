//! The requests of a device's life, each legal only in some states.

use alloc::format;
use alloc::vec;
use alloc::vec::Vec;
use wdk_sys::{DRIVER_EXTENSION, DRIVER_OBJECT};

use super::{NodeState, flags, minor, must_succeed, relations, request, resources};
use crate::driver;
use crate::field;
use crate::host::context::kernel;
use crate::io::device::{self, INITIALIZING};
use crate::io::driver_object::Driver;
use crate::mem::guest::{Guest, read_bytes};
use crate::rules;

/// Asserts that the test asks only for what NT would do in this state.
fn expect(device: usize, allowed: &[NodeState], what: &str) -> NodeState {
    let state = kernel().pnp.node(device).state;
    assert!(
        allowed.contains(&state),
        "the test asks for {what} in state {state:?}; NT never does"
    );
    state
}

fn set(device: usize, state: NodeState) {
    kernel().pnp.update(device, |node| node.state = state);
}

/// Calls the driver's `AddDevice` for the device.
pub(crate) fn attach(device: usize, driver: &Driver) -> i32 {
    expect(device, &[NodeState::Added], "AddDevice");
    let object = driver.object as *mut DRIVER_OBJECT;
    let extension = field!(object, DRIVER_OBJECT, DriverExtension).load();
    let routine = field!(extension, DRIVER_EXTENSION, AddDevice)
        .cast::<usize>()
        .load();
    if routine == 0 {
        return device::no_such_device();
    }
    kernel().pnp.update(device, |node| node.removed = false);
    let before = device::top(device);
    let status = crate::low_status(driver::invoke(
        "AddDevice",
        routine,
        &[driver.object, device],
    ));
    let after = device::top(device);
    if status >= 0 {
        if after != before && flags(after).load() & INITIALIZING != 0 {
            rules::violate(&rules::DEVICE, "AddDevice left DO_DEVICE_INITIALIZING set");
        }
        kernel().pnp.update(device, |node| node.attached = true);
    } else if after != before {
        rules::violate(
            &rules::DEVICE,
            "AddDevice failed and left a device attached",
        );
    }
    status
}

/// Starts the device with the resources that its stack asked for.
pub(crate) fn start(device: usize) -> i32 {
    expect(device, &[NodeState::Added, NodeState::Stopped], "START");
    kernel().pnp.update(device, |node| node.removed = false);
    let status = resources::start(device);
    if status >= 0 {
        set(device, NodeState::Started);
        request(
            device,
            minor::QUERY_CAPABILITIES,
            [capabilities_block(), 0, 0, 0],
            0,
        );
        request(device, minor::QUERY_STATE, [0; 4], 0);
    }
    status
}

/// A zeroed `DEVICE_CAPABILITIES` of the system; kept, as it is small and drivers may fill it late.
fn capabilities_block() -> usize {
    let size = size_of::<wdk_sys::DEVICE_CAPABILITIES>();
    let at = kernel().pool.allocate_own(size);
    Guest::<u16>::new(at).store(u16::try_from(size).unwrap_or(64));
    Guest::<u16>::new(at + 2).store(1);
    at
}

/// Asks whether the device may be stopped.
pub(crate) fn query_stop(device: usize) -> i32 {
    expect(device, &[NodeState::Started], "QUERY_STOP");
    let (status, _) = request(device, minor::QUERY_STOP, [0; 4], 0);
    set(device, NodeState::StopPending);
    status
}

/// Takes back the question; always sent if any driver refused.
pub(crate) fn cancel_stop(device: usize) -> i32 {
    expect(
        device,
        &[NodeState::StopPending, NodeState::Started],
        "CANCEL_STOP",
    );
    set(device, NodeState::Started);
    must_succeed(device, minor::CANCEL_STOP, "CANCEL_STOP_DEVICE")
}

/// Stops the device for rebalancing.
pub(crate) fn stop(device: usize) -> i32 {
    expect(device, &[NodeState::StopPending], "STOP");
    let status = must_succeed(device, minor::STOP, "STOP_DEVICE");
    set(device, NodeState::Stopped);
    status
}

/// Asks whether the device may be removed.
pub(crate) fn query_remove(device: usize) -> i32 {
    expect(
        device,
        &[NodeState::Added, NodeState::Started, NodeState::Stopped],
        "QUERY_REMOVE",
    );
    let (status, _) = request(device, minor::QUERY_REMOVE, [0; 4], 0);
    set(device, NodeState::RemovePending);
    status
}

/// Takes back the question.
pub(crate) fn cancel_remove(device: usize) -> i32 {
    expect(device, &[NodeState::RemovePending], "CANCEL_REMOVE");
    set(device, NodeState::Started);
    must_succeed(device, minor::CANCEL_REMOVE, "CANCEL_REMOVE_DEVICE")
}

/// Tells the device that its hardware is gone.
pub(crate) fn surprise_remove(device: usize) -> i32 {
    let alive = [
        NodeState::Started,
        NodeState::StopPending,
        NodeState::Stopped,
        NodeState::RemovePending,
    ];
    expect(device, &alive, "SURPRISE_REMOVAL");
    set(device, NodeState::SurpriseRemoved);
    kernel().pnp.update(device, |node| node.missing = true);
    must_succeed(device, minor::SURPRISE_REMOVAL, "SURPRISE_REMOVAL")
}

/// Removes the device; its function driver must detach and delete its device object.
pub(crate) fn remove(device: usize) -> i32 {
    let may = [
        NodeState::Added,
        NodeState::RemovePending,
        NodeState::SurpriseRemoved,
    ];
    expect(device, &may, "REMOVE");
    for child in kernel().pnp.node(device).children {
        if kernel().pnp.knows(child) {
            let state = kernel().pnp.node(child).state;
            assert!(
                matches!(state, NodeState::Added | NodeState::Removed),
                "the test removes a bus before its child, which is {state:?}"
            );
        }
    }
    kernel().pnp.update(device, |node| {
        node.state = NodeState::Removed;
        node.removed = true;
    });
    let status = must_succeed(device, minor::REMOVE, "REMOVE_DEVICE");
    let kernel = kernel();
    if kernel.io.devices.lock().contains_key(&device) && device::top(device) != device {
        rules::violate(
            &rules::DEVICE,
            format!(
                "device {:#x} is still attached after REMOVE_DEVICE",
                device::top(device)
            ),
        );
    }
    kernel.pnp.update(device, |node| node.attached = false);
    relations::release(device);
    status
}

/// Ejects a removed device: its bus driver makes it go away.
pub(crate) fn eject(device: usize) -> i32 {
    assert!(
        kernel().pnp.node(device).removed,
        "the test ejects a device that is not removed"
    );
    request(device, minor::EJECT, [0; 4], 0).0
}

/// Asks a device's stack for an interface. Returns the status and the filled table.
pub(crate) fn query_interface(
    device: usize,
    guid: [u8; 16],
    size: u16,
    version: u16,
    specific: usize,
) -> (i32, usize) {
    let kernel = kernel();
    let block = kernel.pool.allocate_own(16 + usize::from(size));
    crate::mem::guest::write_bytes(block, &guid);
    let lengths = usize::from(size) | (usize::from(version) << 16);
    let table = block + 16;
    let (status, _) = request(
        device,
        minor::QUERY_INTERFACE,
        [block, lengths, table, specific],
        0,
    );
    (status, table)
}

/// Reads the table of an interface.
pub(crate) fn read_table(table: usize, size: u16) -> Vec<u8> {
    let mut bytes = vec![0; usize::from(size)];
    read_bytes(table, &mut bytes);
    bytes
}
