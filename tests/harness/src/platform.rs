//! What the (simulated) machine answers to privileged instructions.

/// The machine below the drivers: processor identification, ports, model-specific registers, hypercalls.
///
/// All methods run on the fiber of the driver that executed the instruction; they may raise interrupts
/// through [`crate::Machine`], but must not block.
pub trait Platform: Send + Sync {
    /// The machine is built: `machine` gives access to its memory, interrupts and time. Called once, before anything else.
    fn attached(&self, machine: crate::Machine) {
        let _ = machine;
    }
    /// CPUID of `leaf` and `subleaf` on processor `cpu`: eax, ebx, ecx, edx.
    fn cpuid(&self, cpu: u32, leaf: u32, subleaf: u32) -> [u32; 4];
    /// `in` of `width` bytes (1, 2 or 4).
    fn port_in(&self, cpu: u32, port: u16, width: u8) -> u32;
    /// `out` of `width` bytes (1, 2 or 4).
    fn port_out(&self, cpu: u32, port: u16, width: u8, value: u32);
    /// RDMSR; `None` raises a general protection fault.
    fn rdmsr(&self, cpu: u32, msr: u32) -> Option<u64>;
    /// WRMSR; `None` raises a general protection fault.
    fn wrmsr(&self, cpu: u32, msr: u32, value: u64) -> Option<()>;
    /// `vmcall` or `vmmcall`: the number from rax and the arguments from rdi, rsi, rdx, r10 and r8; returns rax.
    fn hypercall(&self, cpu: u32, call: Hypercall) -> u64;
    /// Something to do that no driver instruction started: the other end of a ring, a device's timer. Called
    /// between driver steps, in an order that the seed decides. Returns whether it did anything.
    fn poll(&self) -> bool {
        false
    }
}

/// One hypercall, as the registers hold it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hypercall {
    /// Number (rax).
    pub number: u64,
    /// rdi, rsi, rdx, r10, r8: arguments; pointers are kernel addresses of the guest.
    pub arguments: [u64; 5],
    /// The instruction was `vmmcall` (AMD), not `vmcall` (Intel).
    pub amd: bool,
}

/// A machine without a hypervisor: `cpuid` has no hypervisor leaves, and hypercalls fail with -38 (ENOSYS).
#[derive(Debug, Default)]
pub struct Bare;

impl Platform for Bare {
    fn cpuid(&self, cpu: u32, leaf: u32, _subleaf: u32) -> [u32; 4] {
        match leaf {
            // Highest leaf 1, "GenuineIntel".
            0 => [1, 0x756E_6547, 0x6C65_746E, 0x4965_6E69],
            1 => [
                0x0005_06E3,
                cpu << 24,
                1 << 20,
                (1 << 9) | (1 << 15) | (1 << 25) | (1 << 26),
            ],
            _ => [0; 4],
        }
    }

    fn port_in(&self, _cpu: u32, _port: u16, width: u8) -> u32 {
        if width >= 4 {
            u32::MAX
        } else {
            (1 << (u32::from(width) * 8)) - 1
        }
    }

    fn port_out(&self, _cpu: u32, _port: u16, _width: u8, _value: u32) {}

    fn rdmsr(&self, _cpu: u32, _msr: u32) -> Option<u64> {
        None
    }

    fn wrmsr(&self, _cpu: u32, _msr: u32, _value: u64) -> Option<()> {
        None
    }

    fn hypercall(&self, _cpu: u32, _call: Hypercall) -> u64 {
        (-38_i64).cast_unsigned()
    }
}
