//! vCPU operations (`xen/vcpu.h`).
#![allow(unsafe_code, reason = "each operation vouches for its argument")]
use xen_abi::hypercall::VCPU_OP;
use xen_abi::vcpu as abi;

use crate::call::{Call, Hypervisor};
use crate::error::HypercallError;

impl<C: Call> Hypervisor<C> {
    /// Has Xen keep the `VcpuInfo` of a vCPU at `offset` of guest frame `gfn`. Once per vCPU and life of the domain.
    ///
    /// # Safety
    /// Those 64 bytes are a `VcpuInfo` within one page, which stays there as long as the domain lives.
    pub unsafe fn register_vcpu_info(
        &self,
        vcpu: u32,
        gfn: u64,
        offset: u32,
    ) -> Result<(), HypercallError> {
        let mut arg = abi::RegisterVcpuInfo {
            mfn: gfn,
            offset,
            reserved: 0,
        };
        let address = core::ptr::from_mut(&mut arg).expose_provenance() as u64;
        let args = [
            u64::from(abi::VCPUOP_REGISTER_VCPU_INFO),
            u64::from(vcpu),
            address,
            0,
            0,
        ];
        // SAFETY: the argument lives through the call; the frame is the caller's promise.
        unsafe { self.raw(VCPU_OP, args) }.map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::call::tests::Expect;

    #[test]
    fn the_vcpu_is_the_second_argument() {
        let xen = Expect::new(24, 10, |arg: &mut abi::RegisterVcpuInfo, args| {
            assert_eq!(
                (args[1], arg.mfn, arg.offset, arg.reserved),
                (33, 0x88, 128, 0)
            );
            0
        });
        // SAFETY: no Xen takes the frame.
        let answer = unsafe { Hypervisor::with(&xen).register_vcpu_info(33, 0x88, 128) };
        assert_eq!(answer, Ok(()));
    }
}
