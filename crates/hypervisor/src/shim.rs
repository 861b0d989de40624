//! The assembler symbols that hold the sensitive instructions, and the safe ways to them.
#![allow(
    unsafe_code,
    reason = "the boundary to instructions the compiler knows nothing of"
)]
use core::arch::global_asm;
use core::sync::atomic::{AtomicU8, Ordering};

use xen_abi::hypercall::{PAGE_SLOTS, SLOT_SIZE};

use crate::call::Call;
use crate::detect::{Cpuid, Leaf, Vendor};
use crate::ports::PortIo;

/// Bytes of the hypercall page.
const PAGE_SIZE: usize = PAGE_SLOTS * SLOT_SIZE;

/// Which instruction the slots execute: 0 `vmcall`, else `vmmcall`. Data, read by the slots.
///
/// Exported names are for Rust items only, so this has none: the assembler is given its address by `sym`.
static USE_VMMCALL: AtomicU8 = AtomicU8::new(0);

/// Opens a code section of our own in the object format of the target.
#[cfg(windows)]
macro_rules! section {
    () => {
        ".pushsection .text$xen,\"xr\""
    };
}
#[cfg(not(windows))]
macro_rules! section {
    () => {
        ".pushsection .text.xen,\"ax\",@progbits"
    };
}

/// Marks a global symbol as a function.
#[cfg(windows)]
macro_rules! function {
    ($name:literal) => {
        concat!(
            ".globl ",
            $name,
            "\n.def ",
            $name,
            "\n.scl 2\n.type 32\n.endef\n",
            $name,
            ":"
        )
    };
}
#[cfg(not(windows))]
macro_rules! function {
    ($name:literal) => {
        concat!(
            ".globl ",
            $name,
            "\n.type ",
            $name,
            ",@function\n",
            $name,
            ":"
        )
    };
}

// A slot: 5 + 7 + 2 + 3 + 1 + 3 + 1 = 22 bytes of code, the rest breakpoints.
#[cfg(not(miri))]
global_asm!(
    section!(),
    ".p2align 12, 0xCC",
    function!("HYPERCALL_PAGE"),
    ".set .Lxen_slot, 0",
    ".rept {slots}",
    ".p2align 5, 0xCC",
    "mov eax, offset .Lxen_slot",
    "cmp byte ptr [rip + {use_vmmcall}], 0",
    "jne 2f",
    "vmcall",
    "ret",
    "2:",
    "vmmcall",
    "ret",
    ".set .Lxen_slot, .Lxen_slot + 1",
    ".endr",
    ".p2align 12, 0xCC",
    ".popsection",
    slots = const PAGE_SLOTS,
    use_vmmcall = sym USE_VMMCALL,
);

// Leaf functions in the System V convention: no stack is used, so Windows needs no unwind data for them.
// `xen_shim_hypercall` has Xen's five arguments in place but the fourth, and ends in the slot, whose `ret` is its
// own. A number without a slot answers -ENOSYS.
#[cfg(not(miri))]
global_asm!(
    section!(),
    ".p2align 4, 0xCC",
    function!("xen_shim_hypercall"),
    "cmp r9d, {slots}",
    "jae 2f",
    "mov r10, rcx",
    "lea rax, [rip + HYPERCALL_PAGE]",
    "mov r9d, r9d",
    "shl r9, 5",
    "add rax, r9",
    "jmp rax",
    "2:",
    "mov rax, {enosys}",
    "ret",
    ".p2align 4, 0xCC",
    function!("xen_shim_cpuid"),
    "mov r8, rdx",
    "mov r9, rbx",
    "mov eax, edi",
    "mov ecx, esi",
    "cpuid",
    "mov dword ptr [r8], eax",
    "mov dword ptr [r8 + 4], ebx",
    "mov dword ptr [r8 + 8], ecx",
    "mov dword ptr [r8 + 12], edx",
    "mov rbx, r9",
    "ret",
    ".p2align 4, 0xCC",
    function!("xen_shim_in8"),
    "mov edx, edi",
    "in al, dx",
    "movzx eax, al",
    "ret",
    ".p2align 4, 0xCC",
    function!("xen_shim_in16"),
    "mov edx, edi",
    "in ax, dx",
    "movzx eax, ax",
    "ret",
    ".p2align 4, 0xCC",
    function!("xen_shim_out8"),
    "mov edx, edi",
    "mov eax, esi",
    "out dx, al",
    "ret",
    ".p2align 4, 0xCC",
    function!("xen_shim_out16"),
    "mov edx, edi",
    "mov eax, esi",
    "out dx, ax",
    "ret",
    ".p2align 4, 0xCC",
    function!("xen_shim_out32"),
    "mov edx, edi",
    "mov eax, esi",
    "out dx, eax",
    "ret",
    ".popsection",
    slots = const PAGE_SLOTS,
    enosys = const -38_i64,
);

// The signatures are those of the assembler above.
unsafe extern "sysv64" {
    fn xen_shim_hypercall(a1: u64, a2: u64, a3: u64, a4: u64, a5: u64, number: u32) -> i64;
    fn xen_shim_cpuid(leaf: u32, subleaf: u32, out: *mut Leaf);
    fn xen_shim_in8(port: u16) -> u8;
    fn xen_shim_in16(port: u16) -> u16;
    fn xen_shim_out8(port: u16, value: u8);
    fn xen_shim_out16(port: u16, value: u16);
    fn xen_shim_out32(port: u16, value: u32);
}

// The page is defined above: that many bytes, never written.
unsafe extern "C" {
    static HYPERCALL_PAGE: [u8; PAGE_SIZE];
}

/// The hypercall page's bytes: code, at a multiple of 4096.
#[must_use]
pub fn hypercall_page() -> &'static [u8; PAGE_SIZE] {
    // SAFETY: the page is initialized, never written, and there as long as the image.
    unsafe { &HYPERCALL_PAGE }
}

/// The real CPU and hypervisor.
#[derive(Debug, Clone, Copy)]
pub struct Native(());

impl Native {
    /// Hypercalls by the instruction of `vendor`; only [`crate::Hypervisor::new`] makes one, with proof of Xen.
    pub(crate) fn new(vendor: Vendor) -> Self {
        USE_VMMCALL.store(u8::from(vendor == Vendor::Amd), Ordering::Release);
        Self(())
    }

    /// The real CPUID instruction.
    #[must_use]
    pub const fn cpuid() -> impl Cpuid {
        NativeCpuid
    }

    /// The real I/O ports.
    ///
    /// # Safety
    /// The CPU runs in kernel mode, and the caller may use the ports it goes on to name: writing to another
    /// device's port can do anything.
    #[must_use]
    pub const unsafe fn ports() -> impl PortIo {
        NativePorts
    }
}

impl Call for Native {
    unsafe fn call(&self, number: u32, [a1, a2, a3, a4, a5]: [u64; 5]) -> i64 {
        // SAFETY: Xen is there (proof at construction); the arguments are the caller's promise.
        unsafe { xen_shim_hypercall(a1, a2, a3, a4, a5, number) }
    }
}

struct NativeCpuid;

impl Cpuid for NativeCpuid {
    fn read(&self, leaf: u32, subleaf: u32) -> Leaf {
        let mut out = Leaf::default();
        // SAFETY: every x86-64 CPU has the instruction; `out` takes the four registers.
        unsafe { xen_shim_cpuid(leaf, subleaf, &raw mut out) };
        out
    }
}

struct NativePorts;

impl PortIo for NativePorts {
    fn in8(&self, port: u16) -> u8 {
        // SAFETY: promised when the ports were asked for.
        unsafe { xen_shim_in8(port) }
    }

    fn in16(&self, port: u16) -> u16 {
        // SAFETY: as above.
        unsafe { xen_shim_in16(port) }
    }

    fn out8(&self, port: u16, value: u8) {
        // SAFETY: as above.
        unsafe { xen_shim_out8(port, value) }
    }

    fn out16(&self, port: u16, value: u16) {
        // SAFETY: as above.
        unsafe { xen_shim_out16(port, value) }
    }

    fn out32(&self, port: u16, value: u32) {
        // SAFETY: as above.
        unsafe { xen_shim_out32(port, value) }
    }
}

#[cfg(all(test, not(miri)))]
pub(crate) mod tests {
    use super::*;

    #[test]
    fn cpuid_is_what_the_compiler_reads() {
        for leaf in [0, 1, 0x8000_0000] {
            let ours = Native::cpuid().read(leaf, 0);
            let theirs = core::arch::x86_64::__cpuid_count(leaf, 0);
            assert_eq!(ours.eax, theirs.eax, "leaf {leaf:#x}");
            assert_eq!(ours.edx, theirs.edx, "leaf {leaf:#x}");
        }
    }

    #[test]
    fn a_number_without_a_slot_is_not_supported() {
        let native = Native::new(Vendor::Intel);
        for number in [128, 129, 0x1_0000, u32::MAX] {
            // SAFETY: no hypercall is made: the number has no slot.
            assert_eq!(unsafe { native.call(number, [0; 5]) }, -38);
        }
    }

    /// The machine code of the hypercall shim.
    pub(crate) fn hypercall_shim() -> &'static [u8] {
        let start = xen_shim_hypercall as *const u8;
        // SAFETY: the code is longer than this: the other shims follow it in the section.
        unsafe { core::slice::from_raw_parts(start, 48) }
    }
}

#[cfg(all(test, not(miri)))]
#[path = "shim_code_tests.rs"]
mod code_tests;
