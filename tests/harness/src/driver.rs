//! Calling into drivers, and what happens when driver code breaks.

use alloc::format;
use alloc::vec::Vec;
use iced_x86::{Decoder, DecoderOptions, Mnemonic};

use crate::host::call::call_win64;
use crate::host::context::kernel;
use crate::host::trap::Fault;
use crate::rules;

/// One driver callback on a fiber's stack.
#[derive(Debug)]
pub(crate) struct Frame {
    /// Which callback, for reports.
    pub(crate) what: &'static str,
    /// It interrupted the thread (ISR, DPC): it has a stack of its own on NT.
    pub(crate) interrupting: bool,
    /// Stack pointer just before the callback was called.
    entry: usize,
    /// Bytes that outer driver callbacks of the same stack already use.
    outer: usize,
    /// Bytes the frame used when it last called out.
    used: usize,
}

/// What NT's own function between two driver frames is taken to need.
const BETWEEN: usize = 256;

impl Frame {
    /// Driver bytes on the stack when the innermost frame has reached `stack_pointer`.
    pub(crate) fn depth(&mut self, stack_pointer: usize) -> usize {
        self.used = self.entry.saturating_sub(stack_pointer);
        self.outer + self.used
    }
}

/// Calls the driver function at `address`, and checks on return what every callback must keep: the IRQL, and
/// the spin locks it was entered with.
pub(crate) fn invoke(what: &'static str, address: usize, arguments: &[usize]) -> usize {
    call(what, address, arguments, false)
}

/// As [`invoke`], for a callback that must return at another level than it is entered (a cancel routine).
pub(crate) fn invoke_lowering(
    what: &'static str,
    address: usize,
    arguments: &[usize],
    to: u8,
) -> usize {
    let cpu = kernel().sched.cpu().index;
    let thread = kernel().sched.current();
    push_frame(&thread, what, false);
    let mut all = [0_usize; 8];
    for (slot, from) in all.iter_mut().zip(arguments) {
        *slot = *from;
    }
    let result = run_driver(address, all);
    thread.frames.lock().pop();
    let irql = kernel().sched.cpu().irql();
    if irql != to {
        rules::violate(
            &rules::IRQL_RESTORED,
            format!("{what} on cpu {cpu} must return at IRQL {to}; it returned at {irql}"),
        );
        kernel().sched.cpu().set_irql(to);
    }
    result
}

/// As [`invoke`], for a callback that interrupts whatever runs: ISR or DPC.
pub(crate) fn interrupt(what: &'static str, address: usize, arguments: &[usize]) -> usize {
    call(what, address, arguments, true)
}

fn call(what: &'static str, address: usize, arguments: &[usize], interrupting: bool) -> usize {
    let kernel = kernel();
    if !kernel.space.executable(address) && !crate::export::is_thunk(address) {
        rules::die(
            &rules::POINTER,
            format!("{what} is {address:#x}, which is no code of a driver"),
        );
    }
    let irql = kernel.sched.cpu().irql();
    let held = kernel.sched.cpu().held.lock().len();
    let thread = kernel.sched.current();
    let regions = thread.regions.load(core::sync::atomic::Ordering::Acquire);
    push_frame(&thread, what, interrupting);
    kernel.trace.callback(what);
    let mut all = [0_usize; 8];
    for (to, from) in all.iter_mut().zip(arguments) {
        *to = *from;
    }
    let result = run_driver(address, all);
    thread.frames.lock().pop();
    let cpu = kernel.sched.cpu();
    if cpu.irql() != irql {
        rules::violate(
            &rules::IRQL_RESTORED,
            format!(
                "{what} was entered at IRQL {irql} and returned at {}",
                cpu.irql()
            ),
        );
        cpu.set_irql(irql);
    }
    let now = cpu.held.lock().len();
    if now != held {
        rules::violate(
            &rules::LOCK_BALANCE,
            format!("{what} was entered with {held} spin locks held and returned with {now}"),
        );
        cpu.held.lock().truncate(held);
    }
    if thread.regions.load(core::sync::atomic::Ordering::Acquire) != regions {
        rules::violate(
            &rules::REGION,
            format!("{what} left a critical region unbalanced"),
        );
        thread
            .regions
            .store(regions, core::sync::atomic::Ordering::Release);
    }
    result
}

/// Calls driver code, or an export as a driver would: without the kernel lock.
pub(crate) fn run_driver(address: usize, arguments: [usize; 8]) -> usize {
    let sched = &kernel().sched;
    sched.cpu().passed();
    sched.lock.release();
    let result = call_win64(address, arguments);
    sched.lock.acquire(sched.cpu().index);
    result
}

fn push_frame(thread: &crate::sched::thread::Thread, what: &'static str, interrupting: bool) {
    let marker = 0_u8;
    let entry = &raw const marker as usize;
    let mut frames = thread.frames.lock();
    let outer = match frames.last() {
        Some(frame) if !interrupting => frame.outer + frame.used + BETWEEN,
        _ => 0,
    };
    frames.push(Frame {
        what,
        interrupting,
        entry,
        outer,
        used: 0,
    });
}

/// A driver passed a pointer that it may not use so itself.
pub(crate) fn bad_pointer(address: usize, len: usize, write: bool) -> ! {
    let access = if write { "write" } else { "read" };
    let kernel = kernel();
    let block = kernel.pool.describe(address).unwrap_or_default();
    rules::die(
        &rules::POINTER,
        format!("the driver may not {access} {len} bytes at {address:#x}{block}"),
    )
}

/// Driver code faulted; the fiber is given up.
pub(crate) fn fault(fault: &Fault) -> ! {
    let kernel = kernel();
    kernel.sched.lock.ensure(kernel.sched.cpu().index);
    let r = &fault.registers;
    let at = usize::try_from(r.rip).unwrap_or(0);
    if fault.number == Fault::RUN_AWAY {
        if kernel.rules.is_fatal() {
            // The run is over, and this processor would not have noticed.
            kernel.sched.abandon();
        }
        rules::die(
            &rules::RUN_AWAY,
            format!(
                "driver code runs on without a call, last at {}",
                kernel.name_address(at)
            ),
        );
    }
    let mut code = [0_u8; 15];
    if kernel.space.read(at, &mut code).is_some() {
        let instruction = Decoder::with_ip(64, &code, r.rip, DecoderOptions::NONE).decode();
        if instruction.mnemonic() == Mnemonic::Int && instruction.immediate8() == 0x29 {
            rules::die(
                &rules::FAIL_FAST,
                format!(
                    "{} failed fast with code {}",
                    kernel.name_address(at),
                    r.rcx
                ),
            );
        }
    }
    let touched = usize::try_from(fault.address).unwrap_or(0);
    let block = kernel.pool.describe(touched).unwrap_or_default();
    let frames: Vec<&str> = kernel
        .sched
        .current()
        .frames
        .lock()
        .iter()
        .map(|frame| frame.what)
        .collect();
    rules::die(
        &rules::FAULT,
        format!(
            "{} {} at {} touching {:#x}{block}; in {frames:?}; rax={:#x} rbx={:#x} rcx={:#x} rdx={:#x} \
             rsi={:#x} rdi={:#x} rbp={:#x} rsp={:#x} r8={:#x} r9={:#x} r10={:#x} r11={:#x} r12={:#x} \
             r13={:#x} r14={:#x} r15={:#x}",
            crate::host::FAULT_NUMBER,
            fault.number,
            kernel.name_address(at),
            fault.address,
            r.rax,
            r.rbx,
            r.rcx,
            r.rdx,
            r.rsi,
            r.rdi,
            r.rbp,
            fault.rsp,
            r.r8,
            r.r9,
            r.r10,
            r.r11,
            r.r12,
            r.r13,
            r.r14,
            r.r15
        ),
    )
}
