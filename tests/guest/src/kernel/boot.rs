//! The first instructions: from PVH's 32-bit entry to Rust in long mode.
//!
//! Xen's contract (`docs/misc/pvh.pandoc`): 32-bit protected mode with flat segments, paging off, interrupts off, EBX
//! holds the physical address of `hvm_start_info`. QEMU's loader, which starts HVM domains the same way, reads the entry's
//! address as 8 bytes. The first page tables map the low 4 GiB to itself, all rights; the
//! real ones are made in [`super::paging`].

use core::arch::global_asm;

/// Bytes of the boot stack, which later is the stack of processor 0 outside any thread.
pub(crate) const BOOT_STACK: usize = 256 * 1024;

// Control registers: CR4.PAE, OSFXSR, OSXMMEXCPT; EFER.LME, NXE; CR0.PE, MP, NE, WP, PG.
global_asm!(
    r#"
    .pushsection .note.Xen, "a", @note
    .p2align 2
    .long 4, 8, {note}
    .asciz "Xen"
    .quad pvh_entry
    .popsection

    .pushsection .text.boot, "ax", @progbits
    .code32
    .globl pvh_entry
pvh_entry:
    cli
    cld
    mov esp, offset boot_stack + {stack}
    mov edi, ebx

    mov eax, offset boot_pdpt + 3
    mov dword ptr [boot_pml4], eax
    xor ecx, ecx
2:
    mov eax, ecx
    shl eax, 12
    add eax, offset boot_pd + 3
    mov dword ptr [boot_pdpt + ecx * 8], eax
    inc ecx
    cmp ecx, 4
    jb 2b
    xor ecx, ecx
3:
    mov eax, ecx
    shl eax, 21
    or eax, 0x83
    mov dword ptr [boot_pd + ecx * 8], eax
    inc ecx
    cmp ecx, 2048
    jb 3b

    mov eax, offset boot_pml4
    mov ebx, offset boot_long_mode
    jmp boot_enable_paging

    // Page tables in EAX, where to go in 64-bit mode in EBX; EDI is kept. Also for the other processors.
    .globl boot_enable_paging
boot_enable_paging:
    mov cr3, eax
    mov eax, cr4
    or eax, 0x620
    mov cr4, eax
    mov ecx, 0xC0000080
    rdmsr
    or eax, 0x900
    wrmsr
    mov eax, cr0
    and eax, 0xFFFFFFF3
    or eax, 0x80010023
    mov cr0, eax
    lgdt [boot_gdt_pointer]
    push 8
    push ebx
    retf

    .code64
boot_long_mode:
    mov eax, 16
    mov ds, eax
    mov es, eax
    mov ss, eax
    xor eax, eax
    mov fs, eax
    mov gs, eax
    lea rsp, [boot_stack + {stack}]
    xor ebp, ebp
    mov edi, edi
    call {start}
    ud2
    .popsection

    .pushsection .rodata.boot, "a", @progbits
    .p2align 3
    .globl boot_gdt
boot_gdt:
    .quad 0
    .quad 0x00AF9B000000FFFF
    .quad 0x00CF93000000FFFF
    .quad 0x00CF9B000000FFFF
    .globl boot_gdt_pointer
boot_gdt_pointer:
    .word 31
    .quad boot_gdt
    .popsection

    .pushsection .bss.boot, "aw", @nobits
    .p2align 12
    .globl boot_pml4
boot_pml4:
    .skip 4096
boot_pdpt:
    .skip 4096
boot_pd:
    .skip 4 * 4096
boot_stack:
    .skip {stack}
    .popsection
    "#,
    note = const xen_abi::pvh::XEN_ELFNOTE_PHYS32_ENTRY,
    stack = const BOOT_STACK,
    start = sym super::start,
);
