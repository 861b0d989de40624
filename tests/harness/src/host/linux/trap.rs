//! Traps taken by driver code in the Linux process: signals.
//!
//! A signal handler only redirects. A breakpoint continues in [`trap_gate`]; a fault continues in `faulted` on an
//! emergency stack and never returns to the driver.

use alloc::boxed::Box;
use alloc::vec;
use core::arch::naked_asm;
use core::cell::Cell;
use core::ffi::c_void;
use std::sync::Once;
use std::thread_local;

use crate::host::trap::{Fault, Registers};
use crate::kernel::Kernel;

const STACK: usize = 64 * 1024;

#[derive(Clone, Copy)]
struct Watch {
    window: usize,
    window_len: usize,
    emergency_top: usize,
}

thread_local! {
    static WATCH: Cell<Watch> = const { Cell::new(Watch { window: 0, window_len: 0, emergency_top: 0 }) };
    static FAULT: Cell<Option<Fault>> = const { Cell::new(None) };
    static STACKS: Stacks = Stacks::new();
}

static INSTALL: Once = Once::new();
const SIGNALS: [i32; 5] = [
    libc::SIGTRAP,
    libc::SIGSEGV,
    libc::SIGBUS,
    libc::SIGILL,
    libc::SIGFPE,
];

/// Takes over the traps of this OS thread for the drivers of `kernel`.
pub(crate) fn watch(kernel: &Kernel) {
    INSTALL.call_once(install);
    let mut watch = WATCH.get();
    if watch.emergency_top == 0 {
        watch.emergency_top =
            STACKS.with(|stacks| (stacks.emergency.as_ptr() as usize + STACK) & !15);
    }
    super::watchdog::start();
    watch.window = kernel.space.window().base();
    watch.window_len = kernel.space.window().len();
    WATCH.set(watch);
}

/// The stacks that signals of one OS thread use; they end with the thread.
struct Stacks {
    /// Never read: the system and the handlers write there.
    _signal: Box<[u8]>,
    emergency: Box<[u8]>,
}

impl Stacks {
    fn new() -> Self {
        let mut signal = vec![0_u8; STACK].into_boxed_slice();
        let stack = libc::stack_t {
            ss_sp: signal.as_mut_ptr().cast::<c_void>(),
            ss_flags: 0,
            ss_size: STACK,
        };
        // SAFETY: the stack is memory that nothing else uses, and is given back before it is freed.
        let done = unsafe { libc::sigaltstack(&raw const stack, core::ptr::null_mut()) };
        assert_eq!(done, 0, "the system refused a signal stack");
        Self {
            _signal: signal,
            emergency: vec![0_u8; STACK].into_boxed_slice(),
        }
    }
}

impl Drop for Stacks {
    fn drop(&mut self) {
        let none = libc::stack_t {
            ss_sp: core::ptr::null_mut(),
            ss_flags: libc::SS_DISABLE,
            ss_size: 0,
        };
        // SAFETY: the thread ends: no signal of a driver comes any more.
        unsafe { libc::sigaltstack(&raw const none, core::ptr::null_mut()) };
    }
}

fn install() {
    type Handler = extern "C" fn(i32, *mut libc::siginfo_t, *mut c_void);
    let handler: Handler = handle;
    for signal in SIGNALS {
        // SAFETY: all-zero bytes are a valid `sigaction`.
        let mut action: libc::sigaction = unsafe { core::mem::zeroed() };
        action.sa_sigaction = handler as usize;
        action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
        // SAFETY: `action` is complete, and the handler calls only async-signal-safe functions.
        let done = unsafe { libc::sigaction(signal, &raw const action, core::ptr::null_mut()) };
        assert_eq!(done, 0, "the system refused a signal handler");
    }
}

#[expect(
    clippy::cast_sign_loss,
    reason = "the C library types registers as signed"
)]
fn registers(greg: &[i64; 23]) -> Registers {
    let at = |index: i32| greg[index as usize] as u64;
    Registers {
        r15: at(libc::REG_R15),
        r14: at(libc::REG_R14),
        r13: at(libc::REG_R13),
        r12: at(libc::REG_R12),
        r11: at(libc::REG_R11),
        r10: at(libc::REG_R10),
        r9: at(libc::REG_R9),
        r8: at(libc::REG_R8),
        rdi: at(libc::REG_RDI),
        rsi: at(libc::REG_RSI),
        rbp: at(libc::REG_RBP),
        rbx: at(libc::REG_RBX),
        rdx: at(libc::REG_RDX),
        rcx: at(libc::REG_RCX),
        rax: at(libc::REG_RAX),
        rflags: at(libc::REG_EFL),
        rip: at(libc::REG_RIP),
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_sign_loss,
    reason = "the C library types registers as signed"
)]
extern "C" fn handle(signal: i32, info: *mut libc::siginfo_t, context: *mut c_void) {
    let watch = WATCH.get();
    let context = context.cast::<libc::ucontext_t>();
    // SAFETY: the system passes the interrupted context, which is ours to change until the handler returns.
    let greg = unsafe { &mut (*context).uc_mcontext.gregs };
    let rip = greg[libc::REG_RIP as usize] as u64 as usize;
    let in_driver = rip.wrapping_sub(watch.window) < watch.window_len;
    let wild = !(0x1_0000..=0x7FFF_FFFF_FFFF).contains(&rip);
    if !(crate::host::context::on_fiber() && (in_driver || wild)) {
        // A fault of the harness itself: let it be one.
        // SAFETY: restores the default action; the instruction then faults again and ends the process.
        unsafe { libc::signal(signal, libc::SIG_DFL) };
        return;
    }
    if signal == libc::SIGTRAP && in_driver {
        let rsp = greg[libc::REG_RSP as usize] as u64 as usize - 8;
        // SAFETY: win64 has no red zone, so the eight bytes below rsp are free driver stack.
        unsafe { (rsp as *mut usize).write(rip) };
        greg[libc::REG_RSP as usize] = rsp as i64;
        greg[libc::REG_RIP as usize] = trap_gate as *const () as i64;
        return;
    }
    // SAFETY: the system passes a filled `siginfo_t`.
    let info = unsafe { &*info };
    // SAFETY: every signal handled here carries an address.
    let address = unsafe { info.si_addr() } as u64;
    redirect(greg, signal.cast_unsigned(), address);
}

/// Has the interrupted driver code continue in [`faulted`], on the emergency stack.
#[expect(
    clippy::cast_possible_wrap,
    clippy::cast_sign_loss,
    reason = "the C library types registers as signed"
)]
fn redirect(greg: &mut [i64; 23], number: u32, address: u64) {
    FAULT.set(Some(Fault {
        number,
        address,
        rsp: greg[libc::REG_RSP as usize] as u64,
        registers: registers(greg),
    }));
    greg[libc::REG_RSP as usize] = (WATCH.get().emergency_top - 8) as i64;
    greg[libc::REG_RIP as usize] = faulted as *const () as i64;
}

/// Whether the context a signal handler was given is driver code.
#[expect(
    clippy::cast_sign_loss,
    clippy::cast_possible_truncation,
    reason = "the C library types registers as signed"
)]
pub(super) fn interrupts_driver(context: *mut c_void) -> bool {
    // SAFETY: the caller passes what the system gave its handler.
    let greg = unsafe { &(*context.cast::<libc::ucontext_t>()).uc_mcontext.gregs };
    let watch = WATCH.get();
    let rip = greg[libc::REG_RIP as usize] as u64 as usize;
    rip.wrapping_sub(watch.window) < watch.window_len
}

/// Gives up the driver code that a signal interrupted: it has run away.
pub(super) fn give_up(context: *mut c_void) {
    // SAFETY: the caller passes what the system gave its handler, which is ours to change until it returns.
    let greg = unsafe { &mut (*context.cast::<libc::ucontext_t>()).uc_mcontext.gregs };
    redirect(greg, Fault::RUN_AWAY, 0);
}

extern "C" fn faulted() -> ! {
    let fault = FAULT.take().unwrap_or_default();
    crate::driver::fault(&fault)
}

/// Entered in place of a patched instruction, with the address after its breakpoint byte on the stack.
#[unsafe(naked)]
unsafe extern "win64" fn trap_gate() {
    naked_asm!(
        "pushfq",
        "push rax",
        "push rcx",
        "push rdx",
        "push rbx",
        "push rbp",
        "push rsi",
        "push rdi",
        "push r8",
        "push r9",
        "push r10",
        "push r11",
        "push r12",
        "push r13",
        "push r14",
        "push r15",
        "cld",
        "mov rbx, rsp",
        "sub rsp, 544",
        "and rsp, -16",
        "fxsave64 [rsp + 32]",
        "mov rcx, rbx",
        "call {trapped}",
        "fxrstor64 [rsp + 32]",
        "mov rsp, rbx",
        "pop r15",
        "pop r14",
        "pop r13",
        "pop r12",
        "pop r11",
        "pop r10",
        "pop r9",
        "pop r8",
        "pop rdi",
        "pop rsi",
        "pop rbp",
        "pop rbx",
        "pop rdx",
        "pop rcx",
        "pop rax",
        "popfq",
        "ret",
        trapped = sym trapped,
    )
}

extern "win64" fn trapped(registers: *mut Registers) {
    // SAFETY: `trap_gate` passes the frame it has just stored, which nothing else refers to.
    let registers = unsafe { &mut *registers };
    crate::image::privileged::trapped(registers);
}
