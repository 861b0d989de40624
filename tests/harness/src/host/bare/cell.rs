//! What each processor runs for: one cell per processor.

use core::sync::atomic::{AtomicBool, AtomicPtr, Ordering};

use super::host;
use crate::host::context::Current;
use crate::kernel::Kernel;

struct Cell {
    kernel: AtomicPtr<Kernel>,
    on_fiber: AtomicBool,
}

static CELLS: [Cell; 64] = [const {
    Cell {
        kernel: AtomicPtr::new(core::ptr::null_mut()),
        on_fiber: AtomicBool::new(false),
    }
}; 64];

/// Only its own processor touches a cell; atomics because an interrupt may read it between the two stores.
pub(crate) fn current() -> Current {
    let cpu = host().cpu();
    let cell = &CELLS[cpu as usize];
    Current {
        kernel: cell.kernel.load(Ordering::Relaxed),
        cpu,
        on_fiber: cell.on_fiber.load(Ordering::Relaxed),
    }
}

/// The processor of `to` is the one that runs: bare-metal processors are the NT processors.
pub(crate) fn set_current(to: Current) {
    let cell = &CELLS[host().cpu() as usize];
    cell.kernel.store(to.kernel.cast_mut(), Ordering::Relaxed);
    cell.on_fiber.store(to.on_fiber, Ordering::Relaxed);
}
