//! Xen's CPUID leaves. They start at the first 0x100-aligned base from [`FIRST_LEAF`] whose signature matches.
//!
//! From Xen's public headers: `xen/arch-x86/cpuid.h`.

/// First base to look at.
pub const FIRST_LEAF: u32 = 0x4000_0000;
/// Distance of the bases (the header's prose: 0x100 aligned).
pub const LEAF_STEP: u32 = 0x100;
/// Last base to look at.
pub const LAST_BASE: u32 = 0x4000_FF00;
/// `XenV`.
pub const SIGNATURE_EBX: u32 = 0x566e_6558;
/// `MMXe`.
pub const SIGNATURE_ECX: u32 = 0x6558_4d4d;
/// `nVMM`.
pub const SIGNATURE_EDX: u32 = 0x4d4d_566e;
/// Offset of the version leaf: EAX = major << 16 or minor.
pub const LEAF_VERSION: u32 = 1;
/// Offset of the leaf with hypercall pages (EAX) and MSR base (EBX).
pub const LEAF_HYPERCALL: u32 = 2;
/// Offset of the time leaf.
pub const LEAF_TIME: u32 = 3;
/// Offset of the HVM leaf: EAX features, EBX vCPU id, ECX domain id.
pub const LEAF_HVM: u32 = 4;
/// HVM leaf EAX: APIC registers virtualized.
pub const HVM_APIC_ACCESS_VIRT: u32 = 1;
/// HVM leaf EAX: x2APIC virtualized.
pub const HVM_X2APIC_VIRT: u32 = 2;
/// HVM leaf EAX: foreign mappings are in the I/O MMU.
pub const HVM_IOMMU_MAPPINGS: u32 = 4;
/// HVM leaf EAX: EBX holds the vCPU id.
pub const HVM_VCPU_ID_PRESENT: u32 = 8;
/// HVM leaf EAX: ECX holds the domain id.
pub const HVM_DOMID_PRESENT: u32 = 16;
/// HVM leaf EAX: extended destination ids.
pub const HVM_EXT_DEST_ID: u32 = 32;
/// HVM leaf EAX: per-vCPU upcall vectors work fully.
pub const HVM_UPCALL_VECTOR: u32 = 64;
