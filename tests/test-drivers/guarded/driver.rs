//! A driver built with control flow guard and a security cookie; `--cfg stray_call` makes it call an address that is no
//! function.
#![no_std]
#![allow(unexpected_cfgs)]

#[path = "../nt.rs"]
mod nt;
use nt::*;

// A load configuration as short as the loader accepts: up to and with GuardFlags.
core::arch::global_asm!(
    ".section .data, \"dw\"",
    ".balign 8",
    ".globl __security_cookie",
    "__security_cookie:",
    ".quad 0x00002B992DDFA232",
    ".text",
    ".balign 16",
    ".globl accept_all",
    ".def accept_all; .scl 2; .type 32; .endef",
    "accept_all:",
    "ret",
    ".section .00cfg, \"dr\"",
    ".balign 8",
    ".globl __guard_check_icall_fptr",
    "__guard_check_icall_fptr:",
    ".quad accept_all",
    ".globl __guard_dispatch_icall_fptr",
    "__guard_dispatch_icall_fptr:",
    ".quad accept_all",
    ".section .rdata, \"dr\"",
    ".balign 8",
    ".globl _load_config_used",
    "_load_config_used:",
    ".long 0x94",
    ".fill 0x54, 1, 0",
    ".quad __security_cookie",
    ".quad 0, 0",
    ".quad __guard_check_icall_fptr",
    ".quad __guard_dispatch_icall_fptr",
    ".quad __guard_fids_table",
    ".quad __guard_fids_count",
    ".long __guard_flags",
    ".text",
);

unsafe extern "C" {
    static __security_cookie: u64;
}

unsafe extern "system" fn unload(_driver: Ptr) {}

unsafe extern "system" fn wanted(value: usize) -> usize {
    value + 1
}

type Call = unsafe extern "system" fn(usize) -> usize;

#[unsafe(no_mangle)]
unsafe extern "system" fn DriverEntry(driver: Ptr, _path: Ptr) -> i32 {
    unsafe {
        at::<usize>(driver, 104).write(unload as *const () as usize);
        let replaced = (&raw const __security_cookie).read_volatile() != 0x0000_2B99_2DDF_A232;
        let call: Call = core::hint::black_box(wanted as Call);
        let sum = call(41);
        DbgPrintEx(77, 3, c"cookie replaced %d, sum %d".as_ptr().cast(), replaced as usize, sum);
        #[cfg(stray_call)]
        {
            let stray = (wanted as *const () as usize) + 4;
            let call: Call = core::hint::black_box(core::mem::transmute::<usize, Call>(stray));
            call(1);
        }
        0
    }
}
