//! Starting the other processors.
//!
//! All of them are started at once (INIT, start-up, start-up, to all but the sender) in a page below 1 MiB. Each takes
//! a ticket, which chooses its stack; what it is called is then asked of Xen.

use alloc::boxed::Box;
use alloc::vec;
use core::arch::global_asm;
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use core::time::Duration;

use super::processor::MOST;
use super::{apic, paging, processor, time, xen};

/// Where they start.
pub(crate) const TRAMPOLINE: u64 = 0x8000;
/// Bytes of a processor's stack outside any thread.
const STACK: usize = 256 * 1024;
/// How long all of them may take.
const PATIENCE: Duration = Duration::from_secs(20);

// 16-bit code runs at 0800:0000 and may touch only its own page; the rest is reached through 32-bit addresses.
global_asm!(
    r#"
    .pushsection .rodata.smp, "a", @progbits
    .globl smp_trampoline
    .globl smp_trampoline_end
    .code16
smp_trampoline:
    cli
    cld
    xor ax, ax
    mov ds, ax
    lgdtd [smp_pointer_at]
    mov eax, cr0
    or eax, 1
    mov cr0, eax
    .byte 0x66, 0xEA
    .long {trampoline} + smp_protected - smp_trampoline
    .word 24
    .code32
smp_protected:
    mov eax, 16
    mov ds, eax
    mov es, eax
    mov ss, eax
    mov edx, 1
    lock xadd dword ptr [{tickets}], edx
    cmp edx, {most}
    jae 3f
    mov edi, edx
    mov esp, dword ptr [{stacks} + edx * 8]
    mov eax, dword ptr [{root}]
    mov ebx, offset smp_long_mode
    mov ecx, offset boot_enable_paging
    jmp ecx
3:
    hlt
    jmp 3b
    .p2align 3
smp_pointer:
    .word 31
    .long boot_gdt
smp_trampoline_end:
    .set smp_pointer_at, {trampoline} + smp_pointer - smp_trampoline
    .popsection

    .pushsection .text.smp, "ax", @progbits
    .code64
smp_long_mode:
    mov eax, 16
    mov ds, eax
    mov es, eax
    mov ss, eax
    xor eax, eax
    mov fs, eax
    mov gs, eax
    mov edi, edi
    mov rsp, qword ptr [{stacks} + rdi * 8]
    xor ebp, ebp
    call {main}
    ud2
    .popsection
    "#,
    trampoline = const TRAMPOLINE,
    most = const MOST,
    tickets = sym TICKETS,
    stacks = sym STACKS,
    root = sym ROOT,
    main = sym main,
);

unsafe extern "C" {
    static smp_trampoline: u8;
    static smp_trampoline_end: u8;
}

static TICKETS: AtomicU32 = AtomicU32::new(1);
static STACKS: [AtomicU64; MOST] = [const { AtomicU64::new(0) }; MOST];
static ROOT: AtomicU32 = AtomicU32::new(0);
static RUNNING: AtomicU32 = AtomicU32::new(1);

/// Copies the code to where it runs; before that page becomes read-only.
pub(crate) fn place_trampoline() {
    let from = &raw const smp_trampoline;
    let len = (&raw const smp_trampoline_end).addr() - from.addr();
    let to = core::ptr::with_exposed_provenance_mut::<u8>(TRAMPOLINE as usize);
    // SAFETY: memory below 1 MiB is kept free for this, and `len` is less than a page.
    unsafe { core::ptr::copy_nonoverlapping(from, to, len) };
}

/// Starts the other processors of `cpus` and waits for them.
pub(crate) fn start_others(cpus: u32) {
    assert!(cpus as usize <= MOST, "at most {MOST} processors");
    if cpus > 1 {
        ROOT.store(paging::root(), Ordering::Release);
        for place in &STACKS[1..cpus as usize] {
            let stack = Box::leak(vec![0_u8; STACK].into_boxed_slice());
            let top = (stack.as_mut_ptr().expose_provenance() + STACK) & !15;
            place.store(top as u64, Ordering::Release);
        }
        let page = u8::try_from(TRAMPOLINE >> 12).unwrap_or(0);
        apic::init_others();
        time::wait_for(Duration::from_millis(10));
        apic::start_others(page);
        time::wait_for(Duration::from_micros(200));
        if TICKETS.load(Ordering::Acquire) < cpus {
            apic::start_others(page);
        }
        let end = time::now() + 10 * u64::try_from(PATIENCE.as_micros()).unwrap_or(0);
        while RUNNING.load(Ordering::Acquire) < cpus {
            assert!(
                time::now() < end,
                "{} of {cpus} processors run",
                RUNNING.load(Ordering::Acquire)
            );
            xen::yield_processor();
        }
    }
}

extern "sysv64" fn main(ticket: u32) -> ! {
    let index = xen::vcpu_id().unwrap_or(ticket);
    processor::set_up(index, apic::initial_id());
    apic::enable();
    RUNNING.fetch_add(1, Ordering::AcqRel);
    super::host::run_other(index)
}
