//! Interrupts and DPCs: what runs nested on a processor's current stack when its IRQL allows.

use super::Sched;
use crate::ke::{dpc, interrupt};

/// Highest level at which no DPC runs.
pub(crate) const DISPATCH: u8 = 2;

/// Runs every interrupt and DPC that the level of the running processor allows.
pub(crate) fn pending(sched: &Sched) {
    loop {
        let cpu = sched.cpu();
        if let Some(interrupt) = cpu.take_interrupt() {
            let before = cpu.set_irql(interrupt.irql);
            interrupt::run(interrupt);
            sched.cpu().set_irql(before);
            continue;
        }
        if cpu.irql() >= DISPATCH {
            return;
        }
        let Some(first) = cpu.next_dpc() else { return };
        let before = cpu.set_irql(DISPATCH);
        dpc::run(first);
        sched.cpu().set_irql(before);
    }
}

/// Lowers the running processor to `to`, and delivers what that allows.
pub(crate) fn lower(sched: &Sched, to: u8) {
    sched.cpu().set_irql(to);
    pending(sched);
}
