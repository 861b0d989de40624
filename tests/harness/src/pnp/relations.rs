//! Bus relations: which children a bus driver reports, and what follows from a change.

use super::{DeviceId, NodeState, flags, identity, minor, request, take_answer};
use crate::host::context::kernel;
use crate::io::device::{BUS_ENUMERATED, INITIALIZING};
use crate::mem::guest::Guest;
use crate::rules;
use alloc::format;
use alloc::vec::Vec;

/// What an enumeration changed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// Children seen for the first time.
    pub arrived: Vec<DeviceId>,
    /// Children no longer reported; they have not been told yet.
    pub departed: Vec<DeviceId>,
    /// All children reported now.
    pub present: Vec<DeviceId>,
}

fn report(parent: usize) -> Vec<usize> {
    let kernel = kernel();
    let (status, answer) = request(parent, minor::QUERY_RELATIONS, [0; 4], 0);
    if status < 0 || answer == 0 {
        return Vec::new();
    }
    take_answer(answer, "BusRelations", |at| {
        let count = Guest::<u32>::new(at).load() as usize;
        let list: Vec<usize> = (0..count.min(1024))
            .map(|index| Guest::<usize>::new(at + 8).index(index).load())
            .collect();
        for &child in &list {
            if !kernel.io.devices.lock().contains_key(&child) {
                rules::die(
                    &rules::PNP,
                    format!("BusRelations names {child:#x}, which is no device object"),
                );
            }
            if kernel.handles.references(child) < 1 {
                rules::violate(
                    &rules::PNP,
                    format!("BusRelations: PDO {child:#x} was not referenced"),
                );
                kernel.handles.add_reference(child, 1);
            }
        }
        list
    })
}

/// Asks a bus driver for its children and takes note of what changed.
pub(crate) fn enumerate(parent: usize) -> Changes {
    let kernel = kernel();
    let before = kernel.pnp.node(parent).children;
    let now = report(parent);
    let mut changes = Changes::default();
    for &child in &now {
        if before.contains(&child) {
            // The reference that the report carried is not needed a second time.
            kernel.handles.add_reference(child, -1);
            continue;
        }
        let bits = flags(child);
        if bits.load() & INITIALIZING != 0 {
            rules::violate(
                &rules::DEVICE,
                format!("PDO {child:#x} reported with DO_DEVICE_INITIALIZING set"),
            );
        }
        bits.store(bits.load() | BUS_ENUMERATED);
        kernel.pnp.add(child, identity::Identity::default());
        let identity = identity::query(child);
        kernel.pnp.update(child, |node| node.identity = identity);
        request(child, minor::ENUMERATED, [0; 4], 0);
        changes.arrived.push(DeviceId(child));
    }
    for &child in before.iter().filter(|child| !now.contains(child)) {
        kernel.pnp.update(child, |node| node.missing = true);
        changes.departed.push(DeviceId(child));
    }
    check_unique(&now);
    changes.present = now.iter().copied().map(DeviceId).collect();
    kernel.pnp.update(parent, |node| node.children = now);
    changes
}

fn check_unique(children: &[usize]) {
    let kernel = kernel();
    for (index, &a) in children.iter().enumerate() {
        for &b in &children[index + 1..] {
            let (left, right) = (kernel.pnp.node(a).identity, kernel.pnp.node(b).identity);
            if left.device == right.device && left.instance == right.instance {
                rules::violate(
                    &rules::PNP_ID,
                    format!(
                        "two children are {}\\{} (bug check 0xCA)",
                        left.device, left.instance
                    ),
                );
            }
        }
    }
}

/// A device was removed. One that is still there keeps its node, and the node the reference of its report: it may
/// be started again. Of one that is gone the system lets go.
pub(crate) fn release(device: usize) {
    let kernel = kernel();
    if !kernel.pnp.knows(device) {
        return;
    }
    if kernel.pnp.node(device).missing {
        kernel.handles.add_reference(device, -1);
        return;
    }
    kernel.pnp.update(device, |node| {
        if node.state == NodeState::Removed {
            node.state = NodeState::Added;
        }
    });
}
