//! The I/O manager (`Io`): driver and device objects, IRPs, work items, interrupts.

use alloc::vec::Vec;

pub(crate) mod connect;
pub(crate) mod device;
pub(crate) mod driver_object;
pub(crate) mod irp;
pub(crate) mod remove_lock;
pub(crate) mod work;

use alloc::collections::BTreeMap;

use spin::Mutex;

use crate::ke::spinlock::{LockOrder, LocksTaken};

/// State of the I/O manager.
#[derive(Debug, Default)]
pub(crate) struct Io {
    pub(crate) lock_order: LockOrder,
    pub(crate) locks_taken: LocksTaken,
    /// What the harness knows of each device object.
    pub(crate) devices: Mutex<BTreeMap<usize, device::Device>>,
    pub(crate) irps: Mutex<BTreeMap<usize, irp::Record>>,
    pub(crate) work: Mutex<BTreeMap<usize, work::Item>>,
    /// Physical device objects whose relations a bus driver declared changed.
    pub(crate) invalidated: Mutex<Vec<usize>>,
}
