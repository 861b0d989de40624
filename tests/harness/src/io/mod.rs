//! The I/O manager (`Io`): driver and device objects, IRPs, work items, interrupts.

pub(crate) mod driver_object;

use crate::ke::spinlock::LockOrder;

/// State of the I/O manager.
#[derive(Debug, Default)]
pub(crate) struct Io {
    pub(crate) lock_order: LockOrder,
}
