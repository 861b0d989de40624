//! Each rule, shown to fail on an image that breaks it and nothing else.

use std::collections::BTreeSet;

use super::Check;
use crate::sample::{Sample, at};

/// Edits the valid image and says which rules the result breaks.
fn broken(edit: impl FnOnce(&mut Sample)) -> Vec<Check> {
    let mut sample = Sample::new();
    edit(&mut sample);
    sample.seal();
    checks_of(&sample, true)
}

fn checks_of(sample: &Sample, shims_allowed: bool) -> Vec<Check> {
    let (findings, _) = sample.lint(shims_allowed);
    let checks: BTreeSet<Check> = findings.iter().map(|finding| finding.check).collect();
    checks.into_iter().collect()
}

/// The rules that code in the place of `body`, an ordinary function, breaks.
fn with_code(code: &[u8]) -> Vec<Check> {
    broken(|sample| sample.put(at::BODY, code))
}

#[test]
fn the_valid_image_breaks_no_rule() {
    let (findings, counts) = Sample::new().lint(true);
    assert!(findings.is_empty(), "{findings:?}");
    assert_eq!((counts.imports, counts.guarded, counts.shims), (1, 2, 1));
}

#[test]
fn bytes_that_are_no_image() {
    let mut sample = Sample::new();
    sample.bytes.truncate(100);
    assert_eq!(checks_of(&sample, true), [Check::Format]);
    // PE32 has another magic number in the optional header.
    assert_eq!(broken(|s| s.put_header(24, &[0x0b, 0x01])), [Check::Format]);
}

#[test]
fn header_fields() {
    let arm64 = 0xaa64_u16.to_le_bytes();
    assert_eq!(broken(|s| s.put_header(4, &arm64)), [Check::Machine]);
    assert_eq!(
        broken(|s| s.put_header(24 + 68, &[3, 0])),
        [Check::Subsystem]
    );
    assert_eq!(
        broken(|s| s.put_header(24 + 48, &[6, 0])),
        [Check::Subsystem]
    );
    assert_eq!(
        broken(|s| s.put_header(24 + 40, &[6, 0])),
        [Check::OsVersion]
    );
    let data = at::COOKIE.to_le_bytes();
    assert_eq!(
        broken(|s| s.put_header(24 + 16, &data)),
        [Check::EntryPoint]
    );
}

#[test]
fn each_security_flag() {
    for (bit, check) in [
        (0x100, Check::NoExecute),
        (0x40, Check::DynamicBase),
        (0x20, Check::HighEntropy),
        (0x4000, Check::GuardCf),
    ] {
        assert_eq!(broken(|s| s.clear_header(24 + 70, bit)), [check]);
    }
    // LARGE_ADDRESS_AWARE is in the file header.
    assert_eq!(broken(|s| s.clear_header(22, 0x20)), [Check::HighEntropy]);
}

#[test]
fn relocations() {
    let stripped = 0x0023_u16.to_le_bytes();
    assert_eq!(
        broken(|s| s.put_header(22, &stripped)),
        [Check::Relocations]
    );
    assert_eq!(broken(|s| s.put_directory(5, 0, 0)), [Check::Relocations]);
    assert_eq!(
        broken(|s| s.put_section(4, 0, b".rel\0\0\0")),
        [Check::Relocations]
    );
    // The first entry after the block's head becomes one of a 32-bit pointer.
    let low = 0x3000_u16 | u16::try_from(at::RELOCATIONS & 0xfff).expect("twelve bits");
    assert_eq!(
        broken(|s| s.put(at::RELOCATIONS + 8, &low.to_le_bytes())),
        [Check::Relocations]
    );
}

#[test]
fn alignment_of_sections_and_file() {
    let small = 0x800_u32.to_le_bytes();
    assert_eq!(
        broken(|s| s.put_header(24 + 32, &small)),
        [Check::SectionAlignment]
    );
    let size = 0x9000_u32.to_le_bytes();
    assert_eq!(
        broken(|s| s.put_header(24 + 56, &size)),
        [Check::SectionAlignment]
    );
    let large = 0x1000_u32.to_le_bytes();
    assert_eq!(
        broken(|s| s.put_header(24 + 36, &large)),
        [Check::FileAlignment]
    );
    // .data holds the cookie, which moves with the section's place in the file.
    let checks = broken(|s| s.put_section(2, 16, &0x1f0_u32.to_le_bytes()));
    assert_eq!(checks, [Check::FileAlignment]);
}

#[test]
fn sections_writable_and_executable_or_shared() {
    let flags = 0xe000_0020_u32.to_le_bytes();
    assert_eq!(
        broken(|s| s.put_section(0, 36, &flags)),
        [Check::SectionAccess]
    );
    let flags = 0xd000_0040_u32.to_le_bytes();
    assert_eq!(
        broken(|s| s.put_section(2, 36, &flags)),
        [Check::SectionAccess]
    );
}

#[test]
fn import_addresses_among_code() {
    assert_eq!(
        broken(|s| s.put_directory(12, 0x1080, 16)),
        [Check::IatExecutable]
    );
}

#[test]
fn a_wrong_checksum() {
    let mut sample = Sample::new();
    sample.put_header(24 + 64, &[0, 0, 0, 0]);
    assert_eq!(checks_of(&sample, true), [Check::Checksum]);
    let mut sample = Sample::new();
    sample.put(at::BODY + 1, &[0x90]);
    assert_eq!(checks_of(&sample, true), [Check::Checksum]);
}

#[test]
fn load_configuration() {
    assert_eq!(broken(|s| s.put_directory(10, 0, 0)), [Check::LoadConfig]);
    let short = 112_u32.to_le_bytes();
    assert_eq!(
        broken(|s| s.put(at::LOAD_CONFIG, &short)),
        [Check::LoadConfig]
    );
    assert_eq!(
        broken(|s| s.put_directory(10, at::LOAD_CONFIG, 64)),
        [Check::LoadConfig]
    );
}

#[test]
fn guard_flags_and_table() {
    for flags in [0x100_u32, 0x400] {
        let flags = flags.to_le_bytes();
        assert_eq!(
            broken(|s| s.put(at::LOAD_CONFIG + 144, &flags)),
            [Check::GuardFlags]
        );
    }
    // No entries: then the callback is missing, too.
    let checks = broken(|s| s.put(at::LOAD_CONFIG + 136, &[0]));
    assert_eq!(checks, [Check::GuardTable, Check::AddressTaken]);
    // Out of order.
    let checks = broken(|s| {
        s.put(at::GUARD_TABLE, &at::CALLBACK.to_le_bytes());
        s.put(at::GUARD_TABLE + 4, &0x1000_u32.to_le_bytes());
    });
    assert_eq!(checks, [Check::GuardTable]);
    // In the middle of DriverEntry, and in no code.
    for wrong in [0x1004_u32, at::COOKIE] {
        let wrong = wrong.to_le_bytes();
        let checks = broken(|s| match u32::from_le_bytes(wrong) {
            0x1004 => s.put(at::GUARD_TABLE, &wrong),
            _ => s.put(at::GUARD_TABLE + 4, &wrong),
        });
        assert!(checks.contains(&Check::GuardTable), "{checks:?}");
    }
}

#[test]
fn a_function_pointer_whose_target_is_not_guarded() {
    let shim = (0x1_4000_0000 + u64::from(at::SHIM)).to_le_bytes();
    assert_eq!(
        broken(|s| s.put(at::CALLBACK_POINTER, &shim)),
        [Check::AddressTaken]
    );
}

#[test]
fn pointers_that_the_loader_replaces() {
    assert_eq!(
        broken(|s| s.put(at::GUARD_CHECK_POINTER, &[0; 8])),
        [Check::GuardPointers]
    );
    // Moved into writable memory, whose content is no address of code.
    let cookie = (0x1_4000_0000 + u64::from(at::COOKIE)).to_le_bytes();
    let checks = broken(|s| s.put(at::LOAD_CONFIG + 120, &cookie));
    assert!(checks.contains(&Check::GuardPointers), "{checks:?}");
}

#[test]
fn security_cookie() {
    assert_eq!(
        broken(|s| s.put(at::COOKIE, &[0; 8])),
        [Check::SecurityCookie]
    );
    assert_eq!(
        broken(|s| s.put(at::LOAD_CONFIG + 88, &[0; 8])),
        [Check::SecurityCookie]
    );
    let read_only = 0x4000_0040_u32.to_le_bytes();
    assert_eq!(
        broken(|s| s.put_section(2, 36, &read_only)),
        [Check::SecurityCookie]
    );
}

#[test]
fn debug_records() {
    for name in [
        b"C:\\x\\y.pdb\0",
        b"/tmp/x.pdb\0",
        b"sample.exe\0",
        b".pdb\0\0\0\0\0\0\0",
    ] {
        assert_eq!(
            broken(|s| s.put(at::PDB_RECORD + 24, name)),
            [Check::PdbName]
        );
    }
    assert_eq!(broken(|s| s.put(at::PDB_RECORD, b"NB10")), [Check::PdbName]);
    let only_codeview = broken(|s| s.put_directory(6, at::DEBUG_DIRECTORY, 28));
    assert_eq!(only_codeview, [Check::Timestamp]);
    // Without a Repro entry, zero is the only reproducible time.
    let zero = broken(|s| {
        s.put_directory(6, at::DEBUG_DIRECTORY, 28);
        s.put_header(8, &[0; 4]);
    });
    assert_eq!(zero, []);
}

#[test]
fn function_table() {
    let checks = broken(|s| s.put_section(3, 0, b".data2\0"));
    assert_eq!(checks, [Check::Unwind]);
    assert_eq!(broken(|s| s.put_directory(3, 0, 0)), [Check::Unwind]);
    // Overlapping entries.
    let begin = 0x100a_u32.to_le_bytes();
    assert_eq!(
        broken(|s| s.put(at::FUNCTION_TABLE + 12, &begin)),
        [Check::Unwind]
    );
    // Unwind information of a version that does not exist.
    assert_eq!(broken(|s| s.put(at::ENTRY_UNWIND, &[7])), [Check::Unwind]);
}

#[test]
fn functions_that_need_an_entry_in_the_function_table() {
    // call body; push rax; sub rsp, 8
    for code in [
        &[0xe8, 0xfb, 0xff, 0xff, 0xff][..],
        &[0x50],
        &[0x48, 0x83, 0xec, 0x08],
    ] {
        assert_eq!(with_code(code), [Check::Unwind], "{code:x?}");
    }
}

#[test]
fn thread_local_storage_and_delayed_imports() {
    assert_eq!(broken(|s| s.put_directory(9, 0x2200, 40)), [Check::Tls]);
    assert_eq!(
        broken(|s| s.put_directory(13, 0x2200, 32)),
        [Check::DelayImport]
    );
}

#[test]
fn imports() {
    assert_eq!(
        broken(|s| s.put(at::IMAGE_NAME, b"vcrun140.dll\0")),
        [Check::ImportSource]
    );
    assert_eq!(
        broken(|s| s.put(at::FUNCTION_NAME, b"DbgPrompt\0")),
        [Check::ImportUnlisted]
    );
    assert_eq!(
        broken(|s| s.put(at::FUNCTION_NAME, b"ListedOnly\0")),
        [Check::ImportUnproven]
    );
    assert_eq!(broken(|s| s.put(at::FUNCTION_NAME, b"NewerName\0")), []);
    // An import of the listed name from another image.
    assert_eq!(
        broken(|s| s.put(at::IMAGE_NAME, b"ndis.sys\0")),
        [Check::ImportUnlisted]
    );
    let by_number = 0x8000_0000_0000_0007_u64.to_le_bytes();
    assert_eq!(
        broken(|s| s.put(at::LOOKUP_TABLE, &by_number)),
        [Check::ImportTable]
    );
    let nowhere = 0x7fff_0000_u64.to_le_bytes();
    assert_eq!(
        broken(|s| s.put(at::LOOKUP_TABLE, &nowhere)),
        [Check::ImportTable]
    );
}

#[test]
fn instructions_that_drivers_may_not_use() {
    for (code, name) in [
        (&[0x44, 0x0f, 0x20, 0xc0][..], "mov rax, cr8"),
        (&[0x44, 0x0f, 0x22, 0xc0], "mov cr8, rax"),
        (&[0x0f, 0x20, 0xd8], "mov rax, cr3"),
        (&[0x0f, 0x21, 0xc0], "mov rax, dr0"),
        (
            &[0x65, 0x48, 0x8b, 0x04, 0x25, 0x20, 0, 0, 0],
            "mov rax, gs:[32]",
        ),
        (&[0x64, 0x48, 0x8b, 0x00], "mov rax, fs:[rax]"),
        (&[0x8e, 0xd8], "mov ds, eax"),
        (&[0xfa], "cli"),
        (&[0xfb], "sti"),
        (&[0xf4], "hlt"),
        (&[0x0f, 0x32], "rdmsr"),
        (&[0x0f, 0x30], "wrmsr"),
        (&[0x0f, 0xa2], "cpuid"),
        (&[0xec], "in al, dx"),
        (&[0xee], "out dx, al"),
        (&[0x6d], "insd"),
        (&[0x6e], "outsb"),
        (&[0x0f, 0x01, 0xc1], "vmcall"),
        (&[0x0f, 0x01, 0xd9], "vmmcall"),
        (&[0x0f, 0x05], "syscall"),
        (&[0x48, 0x0f, 0x07], "sysretq"),
        (&[0x48, 0xcf], "iretq"),
        (&[0x0f, 0x01, 0x10], "lgdt"),
        (&[0x0f, 0x01, 0x18], "lidt"),
        (&[0x0f, 0x01, 0x00], "sgdt"),
        (&[0x0f, 0x00, 0xd8], "ltr"),
        (&[0x0f, 0x09], "wbinvd"),
        (&[0x0f, 0x01, 0x38], "invlpg"),
        (&[0x0f, 0x01, 0xf8], "swapgs"),
        (&[0x0f, 0x01, 0xd0], "xgetbv"),
        (&[0x0f, 0x33], "rdpmc"),
        (&[0xf3, 0x48, 0x0f, 0xae, 0xc8], "rdgsbase rax"),
        (&[0xcd, 0x2e], "int 0x2e"),
        (&[0xc5, 0xfc, 0x28, 0xc1], "vmovaps ymm0, ymm1"),
        (&[0xc5, 0xf8, 0x28, 0xc1], "vmovaps xmm0, xmm1"),
        (&[0x62, 0xf1, 0x7c, 0x48, 0x28, 0xc1], "vmovaps zmm0, zmm1"),
        (&[0xd9, 0xe8], "fld1"),
        (&[0x0f, 0x6f, 0xc1], "movq mm0, mm1"),
        (&[0x0f, 0x77], "emms"),
    ] {
        assert_eq!(with_code(code), [Check::Instruction], "{name}");
    }
}

#[test]
fn an_instruction_may_break_two_rules() {
    // sysenter also loads a new stack pointer.
    assert_eq!(
        with_code(&[0x0f, 0x34]),
        [Check::Unwind, Check::Instruction]
    );
}

#[test]
fn instructions_that_drivers_may_use() {
    for (code, name) in [
        (&[0xcd, 0x29][..], "int 0x29 (fast fail)"),
        (&[0xcc], "int3"),
        (&[0x0f, 0x28, 0xc1], "movaps xmm0, xmm1"),
        (&[0xf0, 0x0f, 0xb1, 0x11], "lock cmpxchg [rcx], edx"),
        (&[0xf3, 0x90], "pause"),
        (&[0x0f, 0x0b], "ud2"),
        (&[0xff, 0xe1], "jmp rcx"),
    ] {
        assert_eq!(with_code(code), [], "{name}");
    }
}

#[test]
fn bytes_that_are_no_instruction() {
    assert_eq!(with_code(&[0x06]), [Check::Undecodable]);
}

#[test]
fn shims_where_none_are_allowed() {
    assert_eq!(checks_of(&Sample::new(), false), [Check::Instruction]);
}

#[test]
fn only_the_names_of_shims_allow() {
    let named = |name: &str| {
        broken(|sample| {
            sample.put(at::BODY, &[0x0f, 0x01, 0xc1, 0xc3]);
            sample.symbols.add(at::BODY, name);
        })
    };
    assert_eq!(named("HYPERCALL_PAGE"), []);
    assert_eq!(named("xen_shim_vmcall"), []);
    assert_eq!(named("my_xen_shim_vmcall"), [Check::Instruction]);
    // A shim's name does not reach over its end into code without a symbol.
    let after = broken(|sample| sample.put(at::SHIM + 5, &[0x0f, 0xa2, 0xc3]));
    assert_eq!(after, [Check::Instruction]);
}

#[test]
fn shims_may_not_use_vector_state() {
    let checks = broken(|sample| sample.put(at::SHIM + 1, &[0x0f, 0x77]));
    assert_eq!(checks, [Check::Instruction]);
}
