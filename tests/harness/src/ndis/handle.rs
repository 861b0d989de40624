//! Handles that NDIS gives out. A handle is an address where nothing is: a driver that looks inside faults.

use crate::host::context::kernel;

/// First handle: in the kernel's half of the address space, where the harness maps nothing.
const BASE: usize = 0xFFFF_9C00_0000_0000;

/// A handle that was never given out before.
pub(crate) fn fresh() -> usize {
    let serial = usize::try_from(kernel().ndis.next_serial()).unwrap_or(0);
    BASE + (serial + 1) * 0x40
}
