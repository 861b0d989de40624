//! HVM parameters and upcall vectors (`xen/hvm/hvm_op.h`, `xen/hvm/params.h`).
#![allow(unsafe_code, reason = "each operation vouches for its argument")]
use xen_abi::domid::DomId;
use xen_abi::hvm as abi;
use xen_abi::hypercall::HVM_OP;

use crate::call::{Call, Hypervisor};
use crate::error::HypercallError;

impl<C: Call> Hypervisor<C> {
    /// Reads a parameter (`HVM_PARAM_*`) of this domain.
    pub fn hvm_param(&self, index: u32) -> Result<u64, HypercallError> {
        let mut arg = abi::HvmParam {
            domid: DomId::SELF,
            pad: 0,
            index,
            value: 0,
        };
        // SAFETY: the argument of this command; it holds no address.
        unsafe { self.command(HVM_OP, abi::HVMOP_GET_PARAM, &mut arg) }?;
        Ok(arg.value)
    }

    /// Sets a parameter (`HVM_PARAM_*`) of this domain.
    ///
    /// # Safety
    /// What the parameter brings about is handled: an interrupt that is asked for has a handler.
    pub unsafe fn set_hvm_param(&self, index: u32, value: u64) -> Result<(), HypercallError> {
        let mut arg = abi::HvmParam {
            domid: DomId::SELF,
            pad: 0,
            index,
            value,
        };
        // SAFETY: the argument of this command; the rest is the caller's promise.
        unsafe { self.command(HVM_OP, abi::HVMOP_SET_PARAM, &mut arg) }.map(drop)
    }

    /// Has Xen signal events of a vCPU (Xen's id) by an interrupt vector of its own; 0 turns that off.
    ///
    /// # Safety
    /// The vector has a handler on that vCPU.
    pub unsafe fn set_upcall_vector(&self, vcpu: u32, vector: u8) -> Result<(), HypercallError> {
        let mut arg = abi::EvtchnUpcallVector { vcpu, vector };
        // SAFETY: the argument of this command; the rest is the caller's promise.
        unsafe { self.command(HVM_OP, abi::HVMOP_SET_EVTCHN_UPCALL_VECTOR, &mut arg) }.map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::call::tests::Expect;

    #[test]
    fn a_parameter_is_read() {
        let xen = Expect::new(34, 1, |arg: &mut abi::HvmParam, _| {
            assert_eq!((arg.domid, arg.index), (DomId(0x7FF0), 1));
            arg.value = 0xFEFFC;
            0
        });
        assert_eq!(
            Hypervisor::with(&xen).hvm_param(abi::HVM_PARAM_STORE_PFN),
            Ok(0xFEFFC)
        );
    }
}
