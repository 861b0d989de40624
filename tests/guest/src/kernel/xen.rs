//! Hypercalls of the kernel's own: console, notification, power-off. The drivers have theirs.

use core::arch::asm;
use core::arch::x86_64::__cpuid_count;
use core::sync::atomic::{AtomicU32, Ordering};

use xen_abi::cpuid::{
    FIRST_LEAF, HVM_VCPU_ID_PRESENT, LAST_BASE, LEAF_HVM, LEAF_STEP, LEAF_TIME, LEAF_VERSION,
    SIGNATURE_EBX, SIGNATURE_ECX, SIGNATURE_EDX,
};
use xen_abi::domid::DomId;
use xen_abi::hvm::{HVMOP_GET_PARAM, HvmParam};
use xen_abi::hypercall::{EVENT_CHANNEL_OP, HVM_OP, SCHED_OP};
use xen_abi::sched::{SCHEDOP_SHUTDOWN, SCHEDOP_YIELD, Shutdown, ShutdownReason};

/// `EVTCHNOP_send`.
const EVENT_SEND: u64 = 4;

/// Base of Xen's CPUID leaves; 0 without Xen.
static BASE: AtomicU32 = AtomicU32::new(0);
/// 0: `vmcall`, 1: `vmmcall`.
static AMD: AtomicU32 = AtomicU32::new(0);

/// Looks for Xen, and for the instruction that calls it.
pub(crate) fn find() {
    let vendor = __cpuid_count(0, 0);
    // "Auth", "cAMD"; Hygon's are as AMD's.
    let amd = matches!(vendor.ebx, 0x6874_7541 | 0x6F67_7948);
    AMD.store(u32::from(amd), Ordering::Relaxed);
    let mut base = FIRST_LEAF;
    while base <= LAST_BASE {
        let leaf = __cpuid_count(base, 0);
        if (leaf.ebx, leaf.ecx, leaf.edx) == (SIGNATURE_EBX, SIGNATURE_ECX, SIGNATURE_EDX) {
            BASE.store(base, Ordering::Relaxed);
            return;
        }
        base += LEAF_STEP;
    }
}

/// Whether this machine is Xen's.
pub(crate) fn is_here() -> bool {
    BASE.load(Ordering::Relaxed) != 0
}

fn leaf(offset: u32, sub: u32) -> Option<core::arch::x86_64::CpuidResult> {
    let base = BASE.load(Ordering::Relaxed);
    (base != 0).then(|| __cpuid_count(base + offset, sub))
}

/// Xen's version.
pub(crate) fn version() -> Option<(u32, u32)> {
    leaf(LEAF_VERSION, 0).map(|leaf| (leaf.eax >> 16, leaf.eax & 0xFFFF))
}

/// Number of the calling vCPU.
pub(crate) fn vcpu_id() -> Option<u32> {
    let leaf = leaf(LEAF_HVM, 0)?;
    (leaf.eax & HVM_VCPU_ID_PRESENT != 0).then_some(leaf.ebx)
}

/// Frequency of the guest's time stamp counter, kHz.
pub(crate) fn tsc_khz() -> Option<u64> {
    leaf(LEAF_TIME, 0)
        .map(|leaf| u64::from(leaf.ecx))
        .filter(|khz| *khz != 0)
}

/// A hypercall with two arguments; -38 (ENOSYS) without Xen.
fn call(number: u32, first: u64, second: u64) -> i64 {
    if !is_here() {
        return -38;
    }
    let mut result = u64::from(number);
    if AMD.load(Ordering::Relaxed) == 1 {
        // SAFETY: the callers pass arguments that point to structures of their own.
        unsafe {
            asm!("vmmcall", inout("rax") result, inout("rdi") first => _, inout("rsi") second => _,
                out("rdx") _, out("r10") _, out("r8") _, options(nostack));
        }
    } else {
        // SAFETY: as above.
        unsafe {
            asm!("vmcall", inout("rax") result, inout("rdi") first => _, inout("rsi") second => _,
                out("rdx") _, out("r10") _, out("r8") _, options(nostack));
        }
    }
    result.cast_signed()
}

fn address_of<T>(value: &mut T) -> u64 {
    core::ptr::from_mut(value).expose_provenance() as u64
}

/// An HVM parameter of this domain.
pub(crate) fn parameter(index: u32) -> Option<u64> {
    let mut argument = HvmParam {
        domid: DomId::SELF,
        pad: 0,
        index,
        value: 0,
    };
    let done = call(
        HVM_OP,
        u64::from(HVMOP_GET_PARAM),
        address_of(&mut argument),
    );
    (done == 0).then_some(argument.value)
}

/// Notifies the other end of an event channel.
pub(crate) fn notify(port: u32) {
    let mut port = port;
    call(EVENT_CHANNEL_OP, EVENT_SEND, address_of(&mut port));
}

/// Gives the processor up for a moment.
pub(crate) fn yield_processor() {
    call(SCHED_OP, u64::from(SCHEDOP_YIELD), 0);
    core::hint::spin_loop();
}

/// Ends the domain; without Xen, the emulator.
pub(crate) fn power_off(reason: ShutdownReason) -> ! {
    super::console::flush();
    let mut argument = Shutdown { reason };
    call(
        SCHED_OP,
        u64::from(SCHEDOP_SHUTDOWN),
        address_of(&mut argument),
    );
    let mut exit = x86_64::instructions::port::PortWriteOnly::<u32>::new(0xF4);
    // SAFETY: QEMU's isa-debug-exit device, if there; elsewhere nobody listens.
    unsafe { exit.write(reason.0) };
    loop {
        x86_64::instructions::hlt();
    }
}
