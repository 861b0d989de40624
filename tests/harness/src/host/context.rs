//! Switching between stacks, and knowing which harness and processor the running code belongs to.
//!
//! A hand-written symmetric switch is used instead of a coroutine crate: a fiber must be left from deep inside
//! nested `win64` calls, be abandoned without unwinding (driver frames have no DWARF tables), move between
//! OS threads in the parallel scheduler, and run on bare metal; all four are one short routine here.

use core::arch::naked_asm;
use core::cell::Cell;

use crate::kernel::Kernel;

/// Saves the callee-saved state of the running stack in `*save` and continues the stack saved as `load`.
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
        "mov [rdi], rsp",
        "mov rsp, rsi",
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
        // Popped by `switch_raw` in this order: r15 r14 r13 r12 rbx rbp, then the return address.
        let frame: [usize; 7] = [
            0,
            0,
            0,
            0,
            thread as usize,
            0,
            start_raw as *const () as usize,
        ];
        let at = top - 64;
        // SAFETY: the caller owns the 64 bytes below `top`: the end of a stack nothing runs on yet.
        unsafe { core::ptr::write(at as *mut [usize; 7], frame) };
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

/// What the OS thread is running for, set by the scheduler around every switch.
#[derive(Clone, Copy)]
struct Current {
    kernel: *const Kernel,
    cpu: u32,
    on_fiber: bool,
}

thread_local! {
    static CURRENT: Cell<Current> =
        const { Cell::new(Current { kernel: core::ptr::null(), cpu: 0, on_fiber: false }) };
}

// Not inlined: a fiber may continue on another OS thread, so no address of thread-local data may be kept
// across a switch.
#[inline(never)]
fn current() -> Current {
    CURRENT.get()
}

#[inline(never)]
fn set_current(to: Current) {
    CURRENT.set(to);
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
