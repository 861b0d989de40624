//! What is known of driver code that trapped.

pub(crate) use super::system::trap::watch;

/// The integer registers of interrupted driver code.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
#[allow(missing_docs, reason = "the registers' own names")]
pub struct Registers {
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
    pub rflags: u64,
    /// The instruction that trapped, or where execution continues.
    pub rip: u64,
}

/// A fault in driver code.
#[derive(Clone, Copy, Debug, Default)]
pub struct Fault {
    /// Signal number on Linux, exception vector on bare metal, or [`Fault::RUN_AWAY`].
    pub number: u32,
    /// Address that was touched (CR2), where the exception has one.
    pub address: u64,
    /// Stack pointer at the fault.
    pub rsp: u64,
    /// The other registers.
    pub registers: Registers,
}

impl Fault {
    /// No fault: the code has run too long without calling anything.
    pub(crate) const RUN_AWAY: u32 = u32::MAX;
}
