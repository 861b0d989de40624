//! What each processor runs for: one cell per processor.

use core::sync::atomic::{AtomicBool, AtomicPtr, AtomicU64, Ordering};

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
    // SAFETY: null, or a kernel that lives as long as it is set here.
    if let Some(kernel) = unsafe { to.kernel.as_ref() } {
        deliver_kept(kernel);
    }
}

/// Vectors that came while the processor was outside the machine, one bit each: the test's own code ran.
static KEPT: [[AtomicU64; 4]; 64] = [const { [const { AtomicU64::new(0) }; 4] }; 64];

/// Keeps an interrupt until the processor is in the machine again. Takes no lock.
pub(super) fn keep(vector: u8) {
    let kept = &KEPT[host().cpu() as usize];
    kept[usize::from(vector) / 64].fetch_or(1 << (vector % 64), Ordering::Relaxed);
}

fn deliver_kept(kernel: &Kernel) {
    for (first, word) in (0..).step_by(64).zip(&KEPT[host().cpu() as usize]) {
        if word.load(Ordering::Relaxed) == 0 {
            continue;
        }
        let bits = word.swap(0, Ordering::Relaxed);
        for vector in (0..64).filter(|bit| bits & (1 << bit) != 0) {
            kernel.sched.raise_here(first + vector);
        }
    }
}
