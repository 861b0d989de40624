//! What every driver image must hold beside its code: the load configuration directory with the
//! tables of control flow guard, and the security cookie.
//!
//! A C driver gets these from the kit's run-time library, which Rust does not link. The linker
//! (`/GUARD:CF`) makes the tables and the symbols `__guard_*`; the directory that points at them,
//! and the two pointers that the loader replaces, must come from an object file under the names
//! below (PE format, "The Load Configuration Structure"; `IMAGE_LOAD_CONFIG_DIRECTORY64` in
//! winnt.h).
//!
//! A driver links this crate by `use driver_image as _;`.
#![cfg_attr(not(test), no_std)]
#![cfg_attr(
    all(windows, target_arch = "x86_64"),
    expect(
        unsafe_code,
        reason = "assembles the load configuration directory; no Rust code runs"
    )
)]

#[cfg(all(windows, target_arch = "x86_64"))]
core::arch::global_asm!(
    // The loader replaces this value (the default one, by which it knows the variable) at load.
    ".section .data, \"dw\"",
    ".balign 8",
    ".globl __security_cookie",
    "__security_cookie:",
    ".quad 0x00002B992DDFA232",
    // What the two pointers do until the loader replaces them: accept every target.
    ".text",
    ".balign 16",
    ".globl driver_image_guard_check",
    ".def driver_image_guard_check; .scl 2; .type 32; .endef",
    "driver_image_guard_check:",
    "ret",
    ".balign 16",
    ".globl driver_image_guard_dispatch",
    ".def driver_image_guard_dispatch; .scl 2; .type 32; .endef",
    "driver_image_guard_dispatch:",
    "jmp rax",
    // Read-only once the loader is done.
    ".section .00cfg, \"dr\"",
    ".balign 8",
    ".globl __guard_check_icall_fptr",
    "__guard_check_icall_fptr:",
    ".quad driver_image_guard_check",
    ".globl __guard_dispatch_icall_fptr",
    "__guard_dispatch_icall_fptr:",
    ".quad driver_image_guard_dispatch",
    // IMAGE_LOAD_CONFIG_DIRECTORY64, up to and with GuardEHContinuationCount.
    ".section .rdata, \"dr\"",
    ".balign 8",
    ".globl _load_config_used",
    "_load_config_used:",
    ".long 280",                         // Size
    ".long 0",                           // TimeDateStamp
    ".short 0, 0",                       // MajorVersion, MinorVersion
    ".long 0, 0, 0",                     // GlobalFlags*, CriticalSectionDefaultTimeout
    ".quad 0, 0, 0, 0, 0", // DeCommit*, LockPrefixTable, MaximumAllocationSize, VirtualMemoryThreshold
    ".quad 0",             // ProcessAffinityMask
    ".long 0",             // ProcessHeapFlags
    ".short 0, 0",         // CSDVersion, DependentLoadFlags
    ".quad 0",             // EditList
    ".quad __security_cookie", // SecurityCookie
    ".quad 0, 0",          // SEHandlerTable, SEHandlerCount
    ".quad __guard_check_icall_fptr", // GuardCFCheckFunctionPointer
    ".quad __guard_dispatch_icall_fptr", // GuardCFDispatchFunctionPointer
    ".quad __guard_fids_table", // GuardCFFunctionTable
    ".quad __guard_fids_count", // GuardCFFunctionCount
    ".long __guard_flags", // GuardFlags
    ".short 0, 0",         // CodeIntegrity: Flags, Catalog
    ".long 0, 0",          // CodeIntegrity: CatalogOffset, Reserved
    ".quad __guard_iat_table", // GuardAddressTakenIatEntryTable
    ".quad __guard_iat_count", // GuardAddressTakenIatEntryCount
    ".quad __guard_longjmp_table", // GuardLongJumpTargetTable
    ".quad __guard_longjmp_count", // GuardLongJumpTargetCount
    ".quad 0, 0",          // DynamicValueRelocTable, CHPEMetadataPointer
    ".quad 0, 0",          // GuardRFFailureRoutine*, GuardRFFailureRoutineFunctionPointer
    ".long 0",             // DynamicValueRelocTableOffset
    ".short 0, 0",         // DynamicValueRelocTableSection, Reserved2
    ".quad 0",             // GuardRFVerifyStackPointerFunctionPointer
    ".long 0, 0",          // HotPatchTableOffset, Reserved3
    ".quad 0, 0",          // EnclaveConfigurationPointer, VolatileMetadataPointer
    ".quad __guard_eh_cont_table", // GuardEHContinuationTable
    ".quad __guard_eh_cont_count", // GuardEHContinuationCount
    ".text",
);

#[cfg(test)]
mod tests {
    #[test]
    fn the_directory_is_as_long_as_it_says() {
        let source = include_str!("lib.rs");
        let directory = source
            .split("\"_load_config_used:\",")
            .nth(1)
            .and_then(|rest| rest.split("\".text\",").next())
            .unwrap();
        let mut length = 0;
        let mut stated = None;
        for line in directory.lines() {
            let Some(directive) = line
                .trim()
                .strip_prefix('"')
                .and_then(|l| l.split('"').next())
            else {
                continue;
            };
            let (kind, values) = directive.split_once(' ').unwrap();
            let size = match kind {
                ".short" => 2,
                ".long" => 4,
                ".quad" => 8,
                other => panic!("{other}"),
            };
            stated = stated.or_else(|| values.parse::<usize>().ok());
            length += size * values.split(',').count();
        }
        assert_eq!(stated, Some(length));
    }
}
