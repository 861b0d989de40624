//! The gates between driver code and the harness: one machine-code thunk per export, and the checks behind
//! the two Control Flow Guard pointers.
//!
//! A driver's import table never points at an export itself but at a thunk that loads the export's number
//! and jumps to [`import_gate`]; so every call passes one place that knows the caller's return address
//! and stack pointer before any argument is looked at.

use core::arch::naked_asm;

use alloc::vec;

use super::HostError;
use super::context::kernel;

/// Bytes per thunk.
const THUNK: usize = 32;

/// Executable thunks, one per export number.
#[derive(Debug)]
pub(crate) struct Thunks {
    base: usize,
    count: usize,
}

impl Thunks {
    /// Writes `count` thunks and makes them executable and read-only.
    pub(crate) fn new(count: usize) -> Result<Self, HostError> {
        let len = (count * THUNK)
            .next_multiple_of(super::memory::PAGE)
            .max(super::memory::PAGE);
        let mut code = vec![0xCC_u8; len];
        for (index, thunk) in code.chunks_exact_mut(THUNK).take(count).enumerate() {
            let number = u32::try_from(index).map_err(|_| HostError::NoMemory)?;
            let gate = import_gate as *const () as usize as u64;
            // mov r11d, number / mov r10, import_gate / jmp r10: r10 and r11 are free at a win64 call.
            thunk[..2].copy_from_slice(&[0x41, 0xBB]);
            thunk[2..6].copy_from_slice(&number.to_le_bytes());
            thunk[6..8].copy_from_slice(&[0x49, 0xBA]);
            thunk[8..16].copy_from_slice(&gate.to_le_bytes());
            thunk[16..19].copy_from_slice(&[0x41, 0xFF, 0xE2]);
        }
        Ok(Self {
            base: super::system::memory::install_code(&code)?,
            count,
        })
    }

    /// Address of the thunk of export `index`.
    pub(crate) fn address(&self, index: usize) -> usize {
        assert!(index < self.count, "thunk of an export that does not exist");
        self.base + index * THUNK
    }

    /// Whether `address` is the first byte of a thunk.
    pub(crate) const fn contains(&self, address: usize) -> bool {
        address >= self.base
            && address < self.base + self.count * THUNK
            && (address - self.base).is_multiple_of(THUNK)
    }
}

/// Reached from every thunk with the export number in r11d; keeps all argument registers.
#[unsafe(naked)]
unsafe extern "win64" fn import_gate() {
    naked_asm!(
        "push rcx",
        "push rdx",
        "push r8",
        "push r9",
        "push r11",
        "sub rsp, 96",
        "movups [rsp + 32], xmm0",
        "movups [rsp + 48], xmm1",
        "movups [rsp + 64], xmm2",
        "movups [rsp + 80], xmm3",
        "mov ecx, r11d",
        "lea rdx, [rsp + 136]",
        "call {entered}",
        "movups xmm0, [rsp + 32]",
        "movups xmm1, [rsp + 48]",
        "movups xmm2, [rsp + 64]",
        "movups xmm3, [rsp + 80]",
        "add rsp, 96",
        "pop r11",
        "pop r9",
        "pop r8",
        "pop rdx",
        "pop rcx",
        "jmp rax",
        entered = sym import_entered,
    )
}

extern "win64" fn import_entered(index: u32, frame: *mut usize) -> usize {
    // SAFETY: `frame` is where the driver's call instruction left its return address.
    let caller = unsafe { frame.read() };
    let target = crate::export::entered(index as usize, caller, frame as usize);
    if crate::export::comes_back() {
        kernel().sched.current().returns.lock().push(caller);
        // SAFETY: as above; the export will return to `import_exit`, which continues at `caller`.
        unsafe { frame.write(import_exit as *const () as usize) };
    }
    target
}

/// Where exports return to in the parallel mode, with the result in rax (or xmm0): continues at the driver's
/// return address, whose stack slot is free again.
#[unsafe(naked)]
unsafe extern "win64" fn import_exit() {
    naked_asm!(
        "push rax",
        "push rax",
        "sub rsp, 48",
        "movups [rsp + 32], xmm0",
        "call {left}",
        "movups xmm0, [rsp + 32]",
        "add rsp, 48",
        "mov [rsp + 8], rax",
        "pop rax",
        "ret",
        left = sym import_left,
    )
}

extern "win64" fn import_left() -> usize {
    crate::export::left()
}

/// Stands behind `__guard_check_icall_fptr`: target in rcx, every register kept.
#[unsafe(naked)]
pub(crate) unsafe extern "win64" fn guard_check_gate() {
    naked_asm!(
        "push rax",
        "push rcx",
        "push rdx",
        "push r8",
        "push r9",
        "push r10",
        "push r11",
        "sub rsp, 96",
        "movups [rsp + 32], xmm0",
        "movups [rsp + 48], xmm1",
        "movups [rsp + 64], xmm2",
        "movups [rsp + 80], xmm3",
        "mov rdx, [rsp + 152]",
        "call {checked}",
        "movups xmm0, [rsp + 32]",
        "movups xmm1, [rsp + 48]",
        "movups xmm2, [rsp + 64]",
        "movups xmm3, [rsp + 80]",
        "add rsp, 96",
        "pop r11",
        "pop r10",
        "pop r9",
        "pop r8",
        "pop rdx",
        "pop rcx",
        "pop rax",
        "ret",
        checked = sym guard_checked,
    )
}

/// Stands behind `__guard_dispatch_icall_fptr`: target in rax, jumped to after the check.
#[unsafe(naked)]
pub(crate) unsafe extern "win64" fn guard_dispatch_gate() {
    naked_asm!(
        "push rax",
        "push rcx",
        "push rdx",
        "push r8",
        "push r9",
        "push r10",
        "push r11",
        "sub rsp, 96",
        "movups [rsp + 32], xmm0",
        "movups [rsp + 48], xmm1",
        "movups [rsp + 64], xmm2",
        "movups [rsp + 80], xmm3",
        "mov rcx, rax",
        "mov rdx, [rsp + 152]",
        "call {checked}",
        "movups xmm0, [rsp + 32]",
        "movups xmm1, [rsp + 48]",
        "movups xmm2, [rsp + 64]",
        "movups xmm3, [rsp + 80]",
        "add rsp, 96",
        "pop r11",
        "pop r10",
        "pop r9",
        "pop r8",
        "pop rdx",
        "pop rcx",
        "pop rax",
        "jmp rax",
        checked = sym guard_checked,
    )
}

extern "win64" fn guard_checked(target: usize, caller: usize) {
    crate::image::guard::check(target, caller);
}
