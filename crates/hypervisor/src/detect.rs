//! Finding Xen by CPUID.
use xen_abi::cpuid;
use xen_abi::domid::DomId;

/// The registers a CPUID leaf fills.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Leaf {
    /// `eax`.
    pub eax: u32,
    /// `ebx`.
    pub ebx: u32,
    /// `ecx`.
    pub ecx: u32,
    /// `edx`.
    pub edx: u32,
}

/// Reads CPUID leaves of the CPU it runs on.
pub trait Cpuid {
    /// Reads a leaf.
    fn read(&self, leaf: u32, subleaf: u32) -> Leaf;
}

/// Which instruction enters the hypervisor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Vendor {
    /// Intel and those that follow it: `vmcall`.
    Intel,
    /// AMD and Hygon: `vmmcall`.
    Amd,
}

/// Xen, found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Detected {
    /// First of Xen's leaves: `0x4000_0000`, or higher with Viridian enlightenments on.
    pub base: u32,
    /// The CPU's vendor.
    pub vendor: Vendor,
    /// Xen's major version.
    pub major: u16,
    /// Xen's minor version.
    pub minor: u16,
    /// `xen_abi::cpuid::HVM_*` of the HVM leaf; 0 if there is none.
    pub hvm_features: u32,
    /// This domain's number, if Xen tells.
    pub domid: Option<DomId>,
}

/// CPUID leaf 1, ECX: a hypervisor is present.
const HYPERVISOR_PRESENT: u32 = 1 << 31;

/// Looks for Xen; `None` if this is no Xen guest.
#[must_use]
pub fn detect(cpu: &impl Cpuid) -> Option<Detected> {
    if cpu.read(1, 0).ecx & HYPERVISOR_PRESENT == 0 {
        return None;
    }
    let step = usize::try_from(cpuid::LEAF_STEP).ok()?;
    let base = (cpuid::FIRST_LEAF..=cpuid::LAST_BASE)
        .step_by(step)
        .find(|&base| is_xen(cpu, base))?;
    let version = cpu.read(base | cpuid::LEAF_VERSION, 0).eax;
    let hvm = hvm_leaf(cpu, base);
    Some(Detected {
        base,
        vendor: vendor(cpu.read(0, 0)),
        major: half(version >> 16),
        minor: half(version),
        hvm_features: hvm.eax,
        domid: (hvm.eax & cpuid::HVM_DOMID_PRESENT != 0).then(|| DomId(half(hvm.ecx))),
    })
}

impl Detected {
    /// Xen's id of the vCPU this runs on, if Xen tells. It is not the system's processor number.
    ///
    /// The caller must be kept on one CPU for the answer to mean anything (`DISPATCH_LEVEL` or affinity).
    #[must_use]
    pub fn vcpu_id(&self, cpu: &impl Cpuid) -> Option<u32> {
        let hvm = hvm_leaf(cpu, self.base);
        (hvm.eax & cpuid::HVM_VCPU_ID_PRESENT != 0).then_some(hvm.ebx)
    }

    /// Whether an interrupt vector per vCPU works fully.
    #[must_use]
    pub const fn has_upcall_vector(&self) -> bool {
        self.hvm_features & cpuid::HVM_UPCALL_VECTOR != 0
    }
}

fn is_xen(cpu: &impl Cpuid, base: u32) -> bool {
    let leaf = cpu.read(base, 0);
    leaf.ebx == cpuid::SIGNATURE_EBX
        && leaf.ecx == cpuid::SIGNATURE_ECX
        && leaf.edx == cpuid::SIGNATURE_EDX
        && leaf.eax >= base | cpuid::LEAF_HYPERCALL
}

/// The HVM leaf; zeros if Xen does not have it.
fn hvm_leaf(cpu: &impl Cpuid, base: u32) -> Leaf {
    let leaf = base | cpuid::LEAF_HVM;
    if cpu.read(base, 0).eax >= leaf {
        cpu.read(leaf, 0)
    } else {
        Leaf::default()
    }
}

/// From the vendor string of leaf 0 (`ebx`, `edx`, `ecx`).
fn vendor(leaf: Leaf) -> Vendor {
    let text = [leaf.ebx, leaf.edx, leaf.ecx].map(u32::to_le_bytes);
    if text == *b"AuthenticAMD".as_chunks::<4>().0 || text == *b"HygonGenuine".as_chunks::<4>().0 {
        Vendor::Amd
    } else {
        Vendor::Intel
    }
}

/// The low 16 bits.
#[expect(
    clippy::cast_possible_truncation,
    reason = "the low half is what is wanted"
)]
const fn half(bits: u32) -> u16 {
    bits as u16
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use std::collections::BTreeMap;

    #[derive(Default, Clone)]
    struct Table(BTreeMap<u32, Leaf>);

    impl Cpuid for Table {
        fn read(&self, leaf: u32, _subleaf: u32) -> Leaf {
            // As on hardware, leaves beyond the last one hold noise.
            self.0.get(&leaf).copied().unwrap_or(Leaf {
                eax: 7,
                ebx: 7,
                ecx: 7,
                edx: 7,
            })
        }
    }

    const SIGNATURE: [u8; 12] = *b"XenVMMXenVMM";

    fn text_leaf(eax: u32, text: &[u8; 12]) -> Leaf {
        let [ebx, ecx, edx] =
            [0, 4, 8].map(|i| u32::from_le_bytes(text[i..i + 4].try_into().unwrap()));
        Leaf { eax, ebx, ecx, edx }
    }

    fn xen_at(base: u32, vendor: &[u8; 12]) -> Table {
        let mut table = Table::default();
        let v = text_leaf(0x16, vendor);
        table.0.insert(
            0,
            Leaf {
                ecx: v.edx,
                edx: v.ecx,
                ..v
            },
        );
        table.0.insert(
            1,
            Leaf {
                ecx: HYPERVISOR_PRESENT,
                ..Leaf::default()
            },
        );
        table.0.insert(base, text_leaf(base + 5, &SIGNATURE));
        table.0.insert(
            base + 1,
            Leaf {
                eax: 0x0004_0011,
                ..Leaf::default()
            },
        );
        table.0.insert(
            base + 4,
            Leaf {
                eax: 0x58,
                ebx: 3,
                ecx: 9,
                edx: 0,
            },
        );
        table
    }

    #[test]
    fn xen_is_found_at_the_first_base() {
        let found = detect(&xen_at(0x4000_0000, b"GenuineIntel")).unwrap();
        assert_eq!((found.base, found.vendor), (0x4000_0000, Vendor::Intel));
        assert_eq!((found.major, found.minor), (4, 17));
        assert_eq!(found.domid, Some(DomId(9)));
        assert!(found.has_upcall_vector());
    }

    #[test]
    fn xen_is_found_behind_viridian() {
        let mut table = xen_at(0x4000_0100, b"AuthenticAMD");
        table
            .0
            .insert(0x4000_0000, text_leaf(0x4000_0005, b"Microsoft Hv"));
        let found = detect(&table).unwrap();
        assert_eq!((found.base, found.vendor), (0x4000_0100, Vendor::Amd));
        assert_eq!(found.vcpu_id(&table), Some(3));
    }

    #[test]
    fn the_last_base_counts_and_the_next_does_not() {
        assert!(detect(&xen_at(0x4000_FF00, b"HygonGenuine")).is_some());
        assert!(detect(&xen_at(0x4001_0000, b"HygonGenuine")).is_none());
    }

    #[test]
    fn no_hypervisor_bit_means_no_xen() {
        let mut table = xen_at(0x4000_0000, b"GenuineIntel");
        table.0.insert(1, Leaf::default());
        assert_eq!(detect(&table), None);
    }

    #[test]
    fn another_hypervisor_is_not_xen() {
        let mut table = xen_at(0x4000_0000, b"GenuineIntel");
        table
            .0
            .insert(0x4000_0000, text_leaf(0x4000_0005, b"KVMKVMKVM\0\0\0"));
        assert_eq!(detect(&table), None);
    }

    #[test]
    fn a_xen_without_the_hvm_leaf_tells_no_ids() {
        let mut table = xen_at(0x4000_0000, b"GenuineIntel");
        table
            .0
            .insert(0x4000_0000, text_leaf(0x4000_0002, &SIGNATURE));
        let found = detect(&table).unwrap();
        assert_eq!((found.hvm_features, found.domid), (0, None));
        assert_eq!(found.vcpu_id(&table), None);
    }
}
