//! Switching between stacks, and knowing which harness and processor the running code belongs to.
//!
//! A hand-written symmetric switch is used instead of a coroutine crate: a fiber must be left from deep inside
//! nested `win64` calls, be abandoned without unwinding (driver frames have no DWARF tables), move between
//! OS threads in the parallel scheduler, and run on bare metal; all four are one short routine here.

use core::arch::naked_asm;

use super::system::cell::{current, set_current};
use crate::kernel::Kernel;

/// Saves the callee-saved state of the running stack in `*save` and continues the stack saved as `load`.
///
/// The SSE registers are those that win64 callees keep: on bare metal the harness is compiled without SSE, so
/// nobody else saves them for the driver frames below.
///
/// # Safety
/// `load` was produced by this function or by `prepare`, its stack is intact, and nobody else runs it.
#[unsafe(naked)]
unsafe extern "sysv64" fn switch_raw(save: *mut usize, load: usize) {
    naked_asm!(
        "push rbp",
        "push rbx",
        "push r12",
        "push r13",
        "push r14",
        "push r15",
        "sub rsp, 168",
        "movups [rsp], xmm6",
        "movups [rsp + 16], xmm7",
        "movups [rsp + 32], xmm8",
        "movups [rsp + 48], xmm9",
        "movups [rsp + 64], xmm10",
        "movups [rsp + 80], xmm11",
        "movups [rsp + 96], xmm12",
        "movups [rsp + 112], xmm13",
        "movups [rsp + 128], xmm14",
        "movups [rsp + 144], xmm15",
        "stmxcsr [rsp + 160]",
        "mov [rdi], rsp",
        "mov rsp, rsi",
        "movups xmm6, [rsp]",
        "movups xmm7, [rsp + 16]",
        "movups xmm8, [rsp + 32]",
        "movups xmm9, [rsp + 48]",
        "movups xmm10, [rsp + 64]",
        "movups xmm11, [rsp + 80]",
        "movups xmm12, [rsp + 96]",
        "movups xmm13, [rsp + 112]",
        "movups xmm14, [rsp + 128]",
        "movups xmm15, [rsp + 144]",
        "ldmxcsr [rsp + 160]",
        "add rsp, 168",
        "pop r15",
        "pop r14",
        "pop r13",
        "pop r12",
        "pop rbx",
        "pop rbp",
        "ret",
    )
}

/// First frame of a fiber: ends the frame chain, then enters the scheduler's thread body.
#[unsafe(naked)]
unsafe extern "sysv64" fn start_raw() {
    naked_asm!(
        "xor ebp, ebp",
        "push 0",
        "mov rdi, rbx",
        "call {main}",
        "ud2",
        main = sym fiber_main,
    )
}

extern "sysv64" fn fiber_main(thread: usize) -> ! {
    crate::sched::thread_body(u32::try_from(thread).unwrap_or(0))
}

/// A place for the stack pointer of a context that is not running.
#[derive(Debug, Default)]
pub(crate) struct Slot(core::sync::atomic::AtomicUsize);

impl Slot {
    pub(crate) const fn new() -> Self {
        Self(core::sync::atomic::AtomicUsize::new(0))
    }

    /// Makes the slot start thread number `thread` on the stack that ends at `top`.
    pub(crate) fn prepare(&self, top: usize, thread: u32) {
        let top = top & !15;
        // Loaded by `switch_raw` in this order: SSE registers, mxcsr (all exceptions masked), r15 r14 r13 r12 rbx
        // rbp, then the return address.
        let mut frame = [0_usize; 28];
        frame[20] = 0x1F80;
        frame[25] = thread as usize;
        frame[27] = start_raw as *const () as usize;
        let at = top - 232;
        // SAFETY: the caller owns the 232 bytes below `top`: the end of a stack nothing runs on yet.
        unsafe { core::ptr::write(at as *mut [usize; 28], frame) };
        self.0.store(at, core::sync::atomic::Ordering::Release);
    }

    /// Leaves the running context in `self` and continues the one in `next`.
    pub(crate) fn switch_to(&self, next: &Self) {
        let load = next.0.load(core::sync::atomic::Ordering::Acquire);
        assert!(load != 0, "switch to a context that was never prepared");
        // SAFETY: slots are filled only by `prepare` and by this call, and the scheduler runs a slot on one
        // processor at a time (`Thread::on_cpu`).
        unsafe { switch_raw(self.0.as_ptr(), load) };
    }
}

/// What a real processor (OS thread) is running for, set by the scheduler around every switch.
#[derive(Clone, Copy)]
pub(crate) struct Current {
    pub(super) kernel: *const Kernel,
    pub(super) cpu: u32,
    pub(super) on_fiber: bool,
}

/// The harness whose fiber or scheduler is running here.
///
/// The reference is good for the whole of the running fiber: fibers end before their harness does.
pub(crate) fn kernel() -> &'static Kernel {
    let at = current().kernel;
    assert!(!at.is_null(), "code of the harness ran outside a harness");
    // SAFETY: `enter` stored the address of a kernel that stays alive until `leave`, and the fibers that hold
    // this reference run only in between.
    unsafe { &*at }
}

/// The virtual processor that runs here.
pub(crate) fn cpu_index() -> u32 {
    current().cpu
}

/// Whether a driver-visible stack is running (else it is the scheduler or the test itself).
pub(crate) fn on_fiber() -> bool {
    let now = current();
    now.on_fiber && !now.kernel.is_null()
}

/// Marks this OS thread as running processor `cpu` of `kernel`.
pub(crate) fn enter(kernel: &Kernel, cpu: u32, on_fiber: bool) {
    set_current(Current {
        kernel,
        cpu,
        on_fiber,
    });
}

/// Marks this OS thread as running the test again.
pub(crate) fn leave() {
    set_current(Current {
        kernel: core::ptr::null(),
        cpu: 0,
        on_fiber: false,
    });
}

/// As [`kernel`], where there may be none.
#[cfg(not(feature = "linux"))]
pub(crate) fn try_kernel() -> Option<&'static Kernel> {
    let at = current().kernel;
    // SAFETY: as in `kernel`.
    (!at.is_null()).then(|| unsafe { &*at })
}
