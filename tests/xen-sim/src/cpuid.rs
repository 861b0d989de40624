//! CPUID leaves of the hypervisor range.

use crate::machine::Machine;

const XEN: [u32; 3] = [0x566e_6558, 0x6558_4d4d, 0x4d4d_566e];
/// "Microsoft Hv", as EBX, ECX, EDX.
const VIRIDIAN: [u32; 3] = [0x7263_694d, 0x666f_736f, 0x7648_2074];

impl Machine {
    /// First leaf of Xen's range: `0x4000_0000`, or `0x4000_0100` behind Viridian.
    pub fn cpuid_base(&self) -> u32 {
        if self.config.viridian {
            0x4000_0100
        } else {
            0x4000_0000
        }
    }

    /// EAX, EBX, ECX, EDX of `leaf` for `vcpu`; `None` outside `0x4000_0000..=0x4000_ffff`.
    pub fn cpuid(&self, vcpu: u32, leaf: u32, subleaf: u32) -> Option<[u32; 4]> {
        if leaf & 0xffff_0000 != 0x4000_0000 {
            return None;
        }
        let base = self.cpuid_base();
        if self.config.viridian && leaf < base {
            return Some(viridian(leaf));
        }
        Some(match leaf.wrapping_sub(base) {
            0 => [base + 5, XEN[0], XEN[1], XEN[2]],
            1 => [
                (u32::from(self.config.version.0) << 16) | u32::from(self.config.version.1),
                0,
                0,
                0,
            ],
            2 => [1, self.hypercall_msr(), 0, 0],
            3 if subleaf == 0 => [0, 0, 2_000_000, 0],
            4 if subleaf == 0 => {
                let vector = u32::from(self.config.upcall_vector) << 6;
                [
                    (1 << 3) | (1 << 4) | vector,
                    vcpu,
                    u32::from(self.config.domid),
                    0,
                ]
            }
            _ => [0; 4],
        })
    }

    /// The MSR that makes Xen fill a hypercall page.
    pub fn hypercall_msr(&self) -> u32 {
        if self.config.viridian {
            0x4000_0200
        } else {
            0x4000_0000
        }
    }

    /// A guest's `wrmsr`; false where Xen has no such MSR.
    ///
    /// Writing the hypercall page MSR is recorded as a violation and has no effect: the drivers must
    /// not let Xen write code (XSA-466).
    pub fn write_msr(&mut self, msr: u32, value: u64) -> bool {
        if msr != self.hypercall_msr() {
            return false;
        }
        self.violations
            .push(crate::Violation::HypercallPageRequested { value });
        true
    }
}

fn viridian(leaf: u32) -> [u32; 4] {
    match leaf {
        0x4000_0000 => [0x4000_0006, VIRIDIAN[0], VIRIDIAN[1], VIRIDIAN[2]],
        0x4000_0001 => [0x3123_7648, 0, 0, 0],
        0x4000_0002 => [0x0000_1db1, 0x000a_0000, 0, 0],
        // Hypercall and VP index MSRs, TSC frequencies.
        0x4000_0003 => [(1 << 5) | (1 << 6) | (1 << 11), 0, 0, 1 << 8],
        0x4000_0005 => [64, 0, 0, 0],
        _ => [0; 4],
    }
}
