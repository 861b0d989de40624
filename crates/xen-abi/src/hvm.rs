//! HVM operations and parameters.
//!
//! From Xen's public headers: `xen/hvm/hvm_op.h` and `xen/hvm/params.h`.

use crate::domid::DomId;

/// Set a parameter: [`HvmParam`].
pub const HVMOP_SET_PARAM: u32 = 0;
/// Read a parameter: [`HvmParam`].
pub const HVMOP_GET_PARAM: u32 = 1;
/// Nanoseconds since the host started: [`HvmTime`].
pub const HVMOP_GET_TIME: u32 = 10;
/// Interrupt vector of a vCPU: [`EvtchnUpcallVector`].
pub const HVMOP_SET_EVTCHN_UPCALL_VECTOR: u32 = 23;
/// How events reach vCPU 0: see `HVM_PARAM_CALLBACK_TYPE_*`.
pub const HVM_PARAM_CALLBACK_IRQ: u32 = 0;
/// Frame of the XenStore ring.
pub const HVM_PARAM_STORE_PFN: u32 = 1;
/// Port of the XenStore ring.
pub const HVM_PARAM_STORE_EVTCHN: u32 = 2;
/// Viridian features on (read by the toolstack).
pub const HVM_PARAM_VIRIDIAN: u32 = 9;
/// Frame of the console ring.
pub const HVM_PARAM_CONSOLE_PFN: u32 = 17;
/// Port of the console ring.
pub const HVM_PARAM_CONSOLE_EVTCHN: u32 = 18;
/// Number of parameters.
pub const HVM_NR_PARAMS: u32 = 39;

/// Callback type: a global interrupt in bits 55:0.
pub const HVM_PARAM_CALLBACK_TYPE_GSI: u64 = 0;
/// Callback type: a PCI interrupt line (domain 47:32, bus 31:16, devfn 15:8, line 1:0).
pub const HVM_PARAM_CALLBACK_TYPE_PCI_INTX: u64 = 1;
/// Callback type: a vector in bits 7:0.
pub const HVM_PARAM_CALLBACK_TYPE_VECTOR: u64 = 2;
/// Bits of the callback type.
pub const HVM_PARAM_CALLBACK_IRQ_TYPE_MASK: u64 = 0xFF00_0000_0000_0000;

/// Position of the callback type.
pub const HVM_PARAM_CALLBACK_IRQ_TYPE_SHIFT: u32 = 56;

/// Argument of the parameter operations.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct HvmParam {
    /// In: [`DomId::SELF`].
    pub domid: DomId,
    /// Zero.
    pub pad: u16,
    /// In: `HVM_PARAM_*`.
    pub index: u32,
    /// In or out: value.
    pub value: u64,
}

/// Argument of [`HVMOP_GET_TIME`].
#[repr(C)]
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct HvmTime {
    /// Out: nanoseconds.
    pub now: u64,
}

/// Argument of [`HVMOP_SET_EVTCHN_UPCALL_VECTOR`].
#[repr(C)]
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct EvtchnUpcallVector {
    /// In: Xen vCPU id.
    pub vcpu: u32,
    /// In: vector, 0x10 to 0xFF; 0 turns it off.
    pub vector: u8,
}
