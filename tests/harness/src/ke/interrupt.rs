//! Connected interrupts and their delivery.

use alloc::vec::Vec;
use spin::Mutex;

use crate::driver;
use crate::host::context::kernel;
use crate::sched::cpu::PendingInterrupt;

/// One connected service routine.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Connected {
    pub vector: u32,
    pub irql: u8,
    pub routine: usize,
    pub context: usize,
    /// Address of the KINTERRUPT the driver was given.
    pub object: usize,
    /// Message number, for message-signalled interrupts.
    pub message: Option<u32>,
    /// Address of the spin lock that the routine runs under.
    pub lock: usize,
}

/// Every connected interrupt.
#[derive(Debug, Default)]
pub(crate) struct Interrupts {
    connected: Mutex<Vec<Connected>>,
    unclaimed: Mutex<Vec<u32>>,
}

impl Interrupts {
    pub(crate) fn connect(&self, interrupt: Connected) {
        self.connected.lock().push(interrupt);
    }

    /// Removes what was connected with `object`; whether there was anything.
    pub(crate) fn disconnect(&self, object: usize) -> bool {
        let mut connected = self.connected.lock();
        let before = connected.len();
        connected.retain(|interrupt| interrupt.object != object);
        connected.len() != before
    }

    pub(crate) fn of_object(&self, object: usize) -> Option<Connected> {
        self.connected
            .lock()
            .iter()
            .copied()
            .find(|interrupt| interrupt.object == object)
    }

    /// Service routines inside an image that are still connected.
    pub(crate) fn owned_by(&self, base: usize, size: usize) -> usize {
        let image = base..base + size;
        self.connected
            .lock()
            .iter()
            .filter(|interrupt| image.contains(&interrupt.routine))
            .count()
    }

    /// Vectors that came when nobody was connected, or nobody claimed.
    pub(crate) fn unclaimed(&self) -> Vec<u32> {
        self.unclaimed.lock().clone()
    }
}

/// Runs the service routines of an interrupt at its IRQL, on the current stack.
pub(crate) fn run(interrupt: PendingInterrupt) {
    let kernel = kernel();
    let routines: Vec<Connected> = kernel
        .interrupts
        .connected
        .lock()
        .iter()
        .copied()
        .filter(|connected| connected.vector == interrupt.vector)
        .collect();
    let mut claimed = false;
    for routine in routines {
        super::spinlock::acquire(routine.lock);
        let message = routine.message.unwrap_or(0) as usize;
        let arguments = [routine.object, routine.context, message];
        claimed |=
            driver::interrupt("interrupt service routine", routine.routine, &arguments) & 0xFF != 0;
        super::spinlock::release(routine.lock);
    }
    if !claimed {
        kernel.interrupts.unclaimed.lock().push(interrupt.vector);
    }
    #[cfg(not(feature = "linux"))]
    crate::host::bare::host().served(interrupt.vector);
}
