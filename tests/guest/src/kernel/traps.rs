//! Interrupts and faults.
//!
//! Each of the 256 vectors has a stub that stores every integer register and calls [`trapped`]. Faults have stacks of
//! their own; interrupts use the stack they come upon (there is no red zone in the kernel or in Windows code).

use core::arch::global_asm;
use core::sync::atomic::Ordering;

use harness::bare::{Fault, Registers};
use spin::Once;
use x86_64::VirtAddr;
use x86_64::registers::control::Cr2;
use x86_64::structures::idt::InterruptDescriptorTable;

use super::{apic, paging, processor};

/// The registers of interrupted code, as the stub stores them.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub(crate) struct Frame {
    pub r15: u64,
    pub r14: u64,
    pub r13: u64,
    pub r12: u64,
    pub r11: u64,
    pub r10: u64,
    pub r9: u64,
    pub r8: u64,
    pub rdi: u64,
    pub rsi: u64,
    pub rbp: u64,
    pub rbx: u64,
    pub rdx: u64,
    pub rcx: u64,
    pub rax: u64,
    pub vector: u64,
    pub error: u64,
    pub rip: u64,
    pub cs: u64,
    pub rflags: u64,
    pub rsp: u64,
    pub ss: u64,
}

impl Frame {
    fn registers(&self) -> Registers {
        Registers {
            r15: self.r15,
            r14: self.r14,
            r13: self.r13,
            r12: self.r12,
            r11: self.r11,
            r10: self.r10,
            r9: self.r9,
            r8: self.r8,
            rdi: self.rdi,
            rsi: self.rsi,
            rbp: self.rbp,
            rbx: self.rbx,
            rdx: self.rdx,
            rcx: self.rcx,
            rax: self.rax,
            rflags: self.rflags,
            rip: self.rip,
        }
    }
}

/// Bytes of a stub.
const STUB: u64 = 16;
/// First vector that is no fault.
const FIRST_INTERRUPT: u64 = 32;
const PAGE_FAULT: u64 = 14;

// Vectors 8, 10 to 14, 17, 21, 29 and 30 push an error code themselves.
global_asm!(
    r#"
    .pushsection .text.traps, "ax", @progbits
    .p2align 4
    .globl trap_stubs
trap_stubs:
    .set vector, 0
    .rept 256
    .p2align 4
    .if vector != 8 && vector != 10 && vector != 11 && vector != 12 && vector != 13 && vector != 14 && vector != 17 && vector != 21 && vector != 29 && vector != 30
    push 0
    .endif
    push vector
    jmp trap_common
    .set vector, vector + 1
    .endr
trap_common:
    push rax
    push rcx
    push rdx
    push rbx
    push rbp
    push rsi
    push rdi
    push r8
    push r9
    push r10
    push r11
    push r12
    push r13
    push r14
    push r15
    cld
    mov rdi, rsp
    mov rbx, rsp
    and rsp, -16
    call {trapped}
    mov rsp, rbx
    pop r15
    pop r14
    pop r13
    pop r12
    pop r11
    pop r10
    pop r9
    pop r8
    pop rdi
    pop rsi
    pop rbp
    pop rbx
    pop rdx
    pop rcx
    pop rax
    add rsp, 16
    iretq
    .popsection
    "#,
    trapped = sym trapped,
);

unsafe extern "C" {
    static trap_stubs: u8;
}

static TABLE: Once<InterruptDescriptorTable> = Once::new();

fn build() -> InterruptDescriptorTable {
    let mut table = InterruptDescriptorTable::new();
    let stubs = (&raw const trap_stubs).expose_provenance() as u64;
    let stub = |vector: u64| VirtAddr::new(stubs + vector * STUB);
    macro_rules! fault {
        ($($field:ident = $vector:literal, $stack:expr;)+) => { $(
            // SAFETY: the stub of this vector, which ends with `iretq`; the stack is set up with the processor.
            unsafe { table.$field.set_handler_addr(stub($vector)).set_stack_index($stack); }
        )+ };
    }
    fault! {
        divide_error = 0, processor::IST_FAULT;
        debug = 1, processor::IST_FAULT;
        non_maskable_interrupt = 2, processor::IST_NMI;
        breakpoint = 3, processor::IST_FAULT;
        overflow = 4, processor::IST_FAULT;
        bound_range_exceeded = 5, processor::IST_FAULT;
        invalid_opcode = 6, processor::IST_FAULT;
        device_not_available = 7, processor::IST_FAULT;
        double_fault = 8, processor::IST_DOUBLE;
        invalid_tss = 10, processor::IST_FAULT;
        segment_not_present = 11, processor::IST_FAULT;
        stack_segment_fault = 12, processor::IST_FAULT;
        general_protection_fault = 13, processor::IST_FAULT;
        page_fault = 14, processor::IST_FAULT;
        x87_floating_point = 16, processor::IST_FAULT;
        alignment_check = 17, processor::IST_FAULT;
        machine_check = 18, processor::IST_FAULT;
        simd_floating_point = 19, processor::IST_FAULT;
        virtualization = 20, processor::IST_FAULT;
        cp_protection_exception = 21, processor::IST_FAULT;
    }
    for vector in FIRST_INTERRUPT..=255 {
        // SAFETY: the stub of this vector, which ends with `iretq`.
        unsafe { table[vector as u8].set_handler_addr(stub(vector)) };
    }
    table
}

/// Has the running processor use the table.
pub(crate) fn load() {
    TABLE.call_once(build).load();
}

/// Interrupts `vector` that processor `cpu` has taken.
pub(crate) fn count(cpu: u32, vector: u8) -> u32 {
    processor::of(cpu).map_or(0, |local| {
        local.counts[usize::from(vector)].load(Ordering::Relaxed)
    })
}

/// Interrupts on: bit 9 of RFLAGS.
const RFLAGS_IF: u64 = 1 << 9;
/// The vector of `int 0x29`, which code may execute with interrupts off.
const FAST_FAIL: u64 = 0x29;

/// Whether this is an interrupt that came although interrupts were off, as no processor does it.
///
/// QEMU 7.2 does: when it emulates `VMRUN` with an interrupt to inject, it may deliver that a second time
/// at the next exit of its own loop (`helper_vmrun` leaves `exception_index` set). The first delivery is
/// being handled below this one; nothing is lost by leaving at once.
fn is_second_delivery(frame: &Frame) -> bool {
    frame.vector >= FIRST_INTERRUPT && frame.vector != FAST_FAIL && frame.rflags & RFLAGS_IF == 0
}

extern "sysv64" fn trapped(frame: &Frame) {
    if is_second_delivery(frame) {
        return;
    }
    if frame.vector >= FIRST_INTERRUPT {
        interrupted(frame);
    } else {
        faulted(frame);
    }
}

fn interrupted(frame: &Frame) {
    let vector = frame.vector as u8;
    let local = processor::local();
    local.counts[usize::from(vector)].fetch_add(1, Ordering::Relaxed);
    paging::catch_up();
    match vector {
        apic::SPURIOUS => return,
        apic::TIMER => super::time::ticked(local),
        _ => {}
    }
    if u32::from(vector) == harness::LINE_VECTOR {
        super::platform::line_came();
    }
    apic::end();
    if vector < apic::TIMER {
        harness::bare::interrupt(vector, frame.rip);
    } else {
        harness::bare::tick(frame.rip);
    }
}

fn faulted(frame: &Frame) {
    let address = if frame.vector == PAGE_FAULT {
        Cr2::read_raw()
    } else {
        0
    };
    // Error code of a page fault: bit 1 write, bit 4 instruction fetch.
    let (write, fetch) = (frame.error & 2 != 0, frame.error & 16 != 0);
    if frame.vector == PAGE_FAULT && paging::allows_now(address, write, fetch) {
        x86_64::instructions::tlb::flush(VirtAddr::new_truncate(address));
        return;
    }
    harness::bare::fault(&Fault {
        number: frame.vector as u32,
        address,
        rsp: frame.rsp,
        registers: frame.registers(),
    });
    super::console::unlock();
    panic!("fault {} at {address:#x}: {frame:#x?}", frame.vector);
}
