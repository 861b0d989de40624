//! The plug and play manager: sends what NT would send, in the orders NT allows, and checks the answers.
//!
//! A device node goes `Added -> Started -> (Stopped -> Started)* -> Removed`, with surprise removal possible at
//! any time after a start (ndis-contract.md 8.1). Every function here runs on a system thread at
//! `PASSIVE_LEVEL`; [`crate::Harness`] offers each as a method.

use alloc::format;
use alloc::vec::Vec;

pub(crate) mod actions;
mod harness;
pub(crate) mod identity;
pub(crate) mod relations;
pub(crate) mod resources;
pub(crate) mod root;

use alloc::collections::BTreeMap;

use spin::Mutex;
use wdk_sys::{DEVICE_OBJECT, IO_STACK_LOCATION};

use crate::field;
use crate::host::context::kernel;
use crate::io::irp;
use crate::mem::guest::Guest;
use crate::rules;
pub use identity::Identity;
pub(crate) use resources::{Interrupt, Resources};

/// A device, named by its physical device object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct DeviceId(pub(crate) usize);

impl DeviceId {
    /// Address of the physical device object, as drivers see it.
    #[must_use]
    pub const fn object(self) -> usize {
        self.0
    }
}

/// Where a device is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NodeState {
    /// Enumerated; perhaps with drivers attached, not started.
    Added,
    /// Started.
    Started,
    /// Told that it may be stopped.
    StopPending,
    /// Stopped for rebalancing.
    Stopped,
    /// Told that it may be removed.
    RemovePending,
    /// Gone without notice; its removal has not been sent.
    SurpriseRemoved,
    /// Removed.
    Removed,
}

/// One device node.
#[expect(
    clippy::struct_excessive_bools,
    reason = "four independent facts about a device"
)]
#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub(crate) state: NodeState,
    pub(crate) children: Vec<usize>,
    pub(crate) identity: Identity,
    /// A function driver's `AddDevice` has succeeded.
    pub(crate) attached: bool,
    /// The last it was told is that it is removed: its bus driver may delete it.
    pub(crate) removed: bool,
    /// `IoRequestDeviceEject` was called for it.
    pub(crate) eject: bool,
    /// No longer among its parent's relations.
    pub(crate) missing: bool,
}

/// The device tree.
#[derive(Debug, Default)]
pub(crate) struct Pnp(Mutex<BTreeMap<usize, Node>>);

impl Pnp {
    pub(crate) fn add(&self, object: usize, identity: Identity) {
        let node = Node {
            state: NodeState::Added,
            children: Vec::new(),
            identity,
            attached: false,
            removed: false,
            eject: false,
            missing: false,
        };
        self.0.lock().insert(object, node);
    }

    pub(crate) fn node(&self, device: usize) -> Node {
        self.0
            .lock()
            .get(&device)
            .cloned()
            .unwrap_or_else(|| panic!("{device:#x} is no known device"))
    }

    pub(crate) fn knows(&self, device: usize) -> bool {
        self.0.lock().contains_key(&device)
    }

    pub(crate) fn update(&self, device: usize, change: impl FnOnce(&mut Node)) {
        if let Some(node) = self.0.lock().get_mut(&device) {
            change(node);
        }
    }

    pub(crate) fn forget(&self, device: usize) {
        self.0.lock().remove(&device);
    }
}

/// Minor functions of `IRP_MJ_PNP`.
pub(crate) mod minor {
    pub(crate) const START: u8 = 0x00;
    pub(crate) const QUERY_REMOVE: u8 = 0x01;
    pub(crate) const REMOVE: u8 = 0x02;
    pub(crate) const CANCEL_REMOVE: u8 = 0x03;
    pub(crate) const STOP: u8 = 0x04;
    pub(crate) const QUERY_STOP: u8 = 0x05;
    pub(crate) const CANCEL_STOP: u8 = 0x06;
    pub(crate) const QUERY_RELATIONS: u8 = 0x07;
    pub(crate) const QUERY_INTERFACE: u8 = 0x08;
    pub(crate) const QUERY_CAPABILITIES: u8 = 0x09;
    pub(crate) const QUERY_REQUIREMENTS: u8 = 0x0B;
    pub(crate) const QUERY_TEXT: u8 = 0x0C;
    pub(crate) const FILTER_REQUIREMENTS: u8 = 0x0D;
    pub(crate) const EJECT: u8 = 0x11;
    pub(crate) const QUERY_ID: u8 = 0x13;
    pub(crate) const QUERY_STATE: u8 = 0x14;
    pub(crate) const QUERY_BUS: u8 = 0x15;
    pub(crate) const SURPRISE_REMOVAL: u8 = 0x17;
    pub(crate) const ENUMERATED: u8 = 0x19;
}

/// `IRP_MJ_PNP`.
pub(crate) const MAJOR_PNP: u8 = 0x1B;
/// `IRP_MJ_POWER`.
pub(crate) const MAJOR_POWER: u8 = 0x16;
pub(crate) const STATUS_UNSUCCESSFUL: i32 = 0xC000_0001_u32.cast_signed();
pub(crate) const STATUS_NOT_SUPPORTED: i32 = 0xC000_00BB_u32.cast_signed();

/// Words of a stack location's parameters.
pub(crate) type Words = [usize; 4];

/// Fills a stack location.
pub(crate) fn fill(stack: *mut IO_STACK_LOCATION, major: u8, minor: u8, words: Words) {
    field!(stack, IO_STACK_LOCATION, MajorFunction).store(major);
    field!(stack, IO_STACK_LOCATION, MinorFunction).store(minor);
    let parameters = field!(stack, IO_STACK_LOCATION, Parameters).cast::<usize>();
    for (index, word) in words.into_iter().enumerate() {
        parameters.index(index).store(word);
    }
}

/// Sends a PnP request to the top of a device's stack and waits. Returns status and information.
pub(crate) fn request(device: usize, minor: u8, words: Words, information: usize) -> (i32, usize) {
    irp::send(
        device,
        |stack| fill(stack, MAJOR_PNP, minor, words),
        (STATUS_NOT_SUPPORTED, information),
    )
}

/// A request that must not fail (ndis-contract.md 8.1).
pub(crate) fn must_succeed(device: usize, minor: u8, what: &str) -> i32 {
    let (status, _) = request(device, minor, [0; 4], 0);
    if status < 0 {
        rules::violate(
            &rules::PNP,
            format!("{what} must not fail; it returned {status:#x}"),
        );
    }
    status
}

/// A device object is being deleted: a known device must have been removed first.
pub(crate) fn deleted(object: usize) {
    let kernel = kernel();
    if !kernel.pnp.knows(object) {
        return;
    }
    let node = kernel.pnp.node(object);
    if !node.removed {
        rules::violate(
            &rules::PNP,
            format!(
                "PDO {object:#x} deleted in state {:?}: only after IRP_MN_REMOVE_DEVICE",
                node.state
            ),
        );
    }
    kernel.pnp.forget(object);
    kernel.handles.forget_references(object);
}

/// `IoRequestDeviceEject` was called.
pub(crate) fn eject_requested(object: usize) {
    kernel().pnp.update(object, |node| node.eject = true);
}

/// Takes a paged-pool block that a driver handed over as the answer to `what`; frees it after `read`.
pub(crate) fn take_answer<R>(address: usize, what: &str, read: impl FnOnce(usize) -> R) -> R {
    let kernel = kernel();
    if !kernel.pool.is_paged(address) {
        rules::violate(
            &rules::PNP,
            format!("{what}: the answer at {address:#x} is not in paged pool"),
        );
    }
    let result = read(address);
    if kernel.pool.size_of(address).is_some() {
        kernel.pool.free(address, None);
    }
    result
}

/// Flags of a device object.
pub(crate) fn flags(object: usize) -> Guest<u32> {
    field!(object as *mut DEVICE_OBJECT, DEVICE_OBJECT, Flags)
}
