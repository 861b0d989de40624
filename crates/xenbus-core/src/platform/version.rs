//! Finding Xen, and what version it is.

use xen_abi::cpuid::{
    FIRST_LEAF, HVM_DOMID_PRESENT, HVM_UPCALL_VECTOR, HVM_VCPU_ID_PRESENT, LAST_BASE, LEAF_HVM,
    LEAF_STEP, LEAF_VERSION, SIGNATURE_EBX, SIGNATURE_ECX, SIGNATURE_EDX,
};

/// The four registers a CPUID leaf gives: EAX, EBX, ECX, EDX.
pub type Leaf = [u32; 4];

/// Oldest version the drivers run on: the first with all that they ask for (event channel upcall vectors came last).
pub const OLDEST: Version = Version { major: 4, minor: 6 };

/// Xen's version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version {
    /// Before the dot.
    pub major: u16,
    /// After it.
    pub minor: u16,
}

/// What CPUID says of Xen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Xen {
    /// First of Xen's leaves: `0x4000_0000`, or higher when Xen shows Hyper-V's enlightenments first.
    pub base: u32,
    /// Version.
    pub version: Version,
    /// EAX of the HVM leaf, 0 if there is none.
    pub hvm_features: u32,
}

/// Why there is no Xen to work with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DetectError {
    /// No signature.
    NotXen,
    /// Older than [`OLDEST`].
    TooOld(Version),
}

/// Looks for Xen's signature in steps of 0x100 leaves. At most 256 calls of `cpuid`.
pub fn detect(mut cpuid: impl FnMut(u32) -> Leaf) -> Result<Xen, DetectError> {
    let step = usize::try_from(LEAF_STEP).unwrap_or(usize::MAX);
    for base in (FIRST_LEAF..=LAST_BASE).step_by(step) {
        let [max, ebx, ecx, edx] = cpuid(base);
        if (ebx, ecx, edx) != (SIGNATURE_EBX, SIGNATURE_ECX, SIGNATURE_EDX) {
            continue;
        }
        let [eax, ..] = cpuid(base.saturating_add(LEAF_VERSION));
        let [high1, high0, low1, low0] = eax.to_be_bytes();
        let major = u16::from_be_bytes([high1, high0]);
        let version = Version {
            major,
            minor: u16::from_be_bytes([low1, low0]),
        };
        if version < OLDEST {
            return Err(DetectError::TooOld(version));
        }
        let hvm_leaf = base.saturating_add(LEAF_HVM);
        let hvm_features = if max >= hvm_leaf {
            cpuid(hvm_leaf)[0]
        } else {
            0
        };
        return Ok(Xen {
            base,
            version,
            hvm_features,
        });
    }
    Err(DetectError::NotXen)
}

impl Xen {
    /// Whether CPUID vouches for upcall vectors per vCPU.
    pub fn has_upcall_vectors(&self) -> bool {
        self.hvm_features & HVM_UPCALL_VECTOR != 0
    }

    /// Xen's id of the vCPU that ran CPUID and got `leaf` from [`Xen::hvm_leaf`]. Not the system's processor number.
    pub fn vcpu_id(&self, leaf: Leaf) -> Option<u32> {
        let [eax, ebx, ..] = leaf;
        (eax & HVM_VCPU_ID_PRESENT != 0).then_some(ebx)
    }

    /// The id of this domain, if Xen says.
    pub fn domid(&self, leaf: Leaf) -> Option<u16> {
        let [eax, _, ecx, _] = leaf;
        (eax & HVM_DOMID_PRESENT != 0)
            .then_some(ecx)
            .and_then(|domid| u16::try_from(domid).ok())
    }

    /// The leaf to read on each processor for [`Xen::vcpu_id`].
    pub fn hvm_leaf(&self) -> u32 {
        self.base.saturating_add(LEAF_HVM)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn machine(base: u32, version: u32, max: u32) -> impl Fn(u32) -> Leaf {
        move |leaf| match leaf.wrapping_sub(base) {
            0 => [base + max, 0x566e_6558, 0x6558_4d4d, 0x4d4d_566e],
            1 => [version, 0, 0, 0],
            4 => [0x58, 3, 17, 0],
            _ => [0x4000_0005, 0x7263_694D, 0x666F_736F, 0x7648_2074],
        }
    }

    #[test]
    fn xen_is_found_behind_hyper_v_leaves() {
        for base in [0x4000_0000, 0x4000_0100, 0x4000_FF00] {
            let xen = detect(machine(base, 0x0004_0011, 5)).unwrap();
            assert_eq!(
                (xen.base, xen.version),
                (
                    base,
                    Version {
                        major: 4,
                        minor: 17
                    }
                )
            );
            assert!(xen.has_upcall_vectors());
            let leaf = machine(base, 0, 5)(xen.hvm_leaf());
            assert_eq!((xen.vcpu_id(leaf), xen.domid(leaf)), (Some(3), Some(17)));
        }
    }

    #[test]
    fn other_hypervisors_and_old_ones_are_refused() {
        assert_eq!(detect(|_| [0; 4]), Err(DetectError::NotXen));
        let old = detect(machine(0x4000_0000, 0x0004_0005, 5));
        assert_eq!(
            old,
            Err(DetectError::TooOld(Version { major: 4, minor: 5 }))
        );
    }

    #[test]
    fn a_leaf_beyond_the_last_is_not_believed() {
        let xen = detect(machine(0x4000_0000, 0x0004_0011, 3)).unwrap();
        assert!(!xen.has_upcall_vectors());
        assert_eq!(
            (xen.vcpu_id([0, 3, 17, 0]), xen.domid([0, 3, 17, 0])),
            (None, None)
        );
    }
}
