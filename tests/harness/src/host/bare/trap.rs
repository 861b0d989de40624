//! Entry from the kernel's interrupt and exception stubs.

use core::arch::naked_asm;

use crate::host::context::{self, kernel};
use crate::host::trap::Fault;
use crate::kernel::Kernel;

/// The window's bounds never change: nothing to do.
pub(crate) const fn watch(_kernel: &Kernel) {}

fn in_driver(address: u64) -> bool {
    let window = super::host().window();
    usize::try_from(address).is_ok_and(|at| at.wrapping_sub(window.base) < window.len)
}

/// Interrupt `vector` (32 to 255) was taken on the running processor while the instruction at `rip` was next. Called with
/// interrupts disabled, after the end of interrupt. NT delivers it at IRQL `vector / 16`.
///
/// If driver code was interrupted and its level allows, the driver's service routine, DPCs and other threads run
/// before the call returns, with interrupts enabled; it returns with interrupts disabled, possibly on another
/// processor. Otherwise the interrupt is remembered and delivered at the next import call, or when the processor
/// is idle.
pub fn interrupt(vector: u8, rip: u64) {
    if !super::is_installed() {
        return;
    }
    let now = context::try_kernel();
    let Some(kernel) = now else {
        super::cell::keep(vector);
        return;
    };
    kernel.sched.raise_here(u32::from(vector));
    preempt(rip);
}

/// As [`interrupt`], for the kernel's own timer or [`super::Host::wake`]: nothing is pending for NT, but time has moved on.
pub fn tick(rip: u64) {
    if super::is_installed() {
        preempt(rip);
    }
}

/// Longest run of driver code without a call, in 100 ns units. Emulated processors are slow.
const LIMIT: u64 = 300_000_000;

fn preempt(rip: u64) {
    if context::on_fiber() && in_driver(rip) {
        if kernel().sched.cpu().runs_away(super::host().now(), LIMIT) {
            let mut fault = Fault {
                number: Fault::RUN_AWAY,
                ..Fault::default()
            };
            fault.registers.rip = rip;
            give_up(&fault);
        }
        // SAFETY: driver code was interrupted: no lock is held and its stack is valid; interrupts are disabled.
        unsafe { preempt_gate() };
    }
}

/// Saves the SSE state of the interrupted driver code around [`preempted`], with interrupts enabled.
#[unsafe(naked)]
unsafe extern "sysv64" fn preempt_gate() {
    naked_asm!(
        "push rbp",
        "mov rbp, rsp",
        "sub rsp, 512",
        "and rsp, -16",
        "fxsave64 [rsp]",
        "sti",
        "call {preempted}",
        "cli",
        "fxrstor64 [rsp]",
        "mov rsp, rbp",
        "pop rbp",
        "ret",
        preempted = sym preempted,
    )
}

extern "sysv64" fn preempted() {
    kernel().sched.preempt_driver();
}

/// An exception was taken. Called with interrupts disabled, on the processor's exception stack. Does not return if the
/// fault is a driver's: the driver's thread is given up and the violation recorded. Returns if it is not: the
/// kernel reports it and stops.
pub fn fault(fault: &Fault) {
    let wild = fault.registers.rip < 0x1_0000;
    if super::is_installed() && context::on_fiber() && (wild || in_driver(fault.registers.rip)) {
        give_up(fault);
    }
}

fn give_up(fault: &Fault) -> ! {
    // SAFETY: the fiber's stack is not used again; harness code runs with interrupts enabled.
    unsafe { core::arch::asm!("sti", options(nomem, nostack)) };
    crate::driver::fault(fault)
}
