//! Version and features (`xen/version.h`).
#![allow(unsafe_code, reason = "each operation vouches for its argument")]
use xen_abi::hypercall::XEN_VERSION;
use xen_abi::version as abi;

use crate::call::{Call, Hypervisor};
use crate::error::HypercallError;

impl<C: Call> Hypervisor<C> {
    /// Xen's version as `major << 16 | minor`.
    pub fn version(&self) -> Result<u64, HypercallError> {
        // SAFETY: the command takes no argument.
        unsafe { self.raw(XEN_VERSION, [u64::from(abi::XENVER_VERSION), 0, 0, 0, 0]) }
    }

    /// The rest of Xen's version, such as `.4-pre`, NUL-terminated.
    pub fn extra_version(&self) -> Result<abi::ExtraVersion, HypercallError> {
        let mut arg = abi::ExtraVersion::default();
        // SAFETY: the argument of this command; it holds no address.
        unsafe { self.command(XEN_VERSION, abi::XENVER_EXTRAVERSION, &mut arg) }?;
        Ok(arg)
    }

    /// The first 32 feature bits (bit numbers `XENFEAT_*`).
    pub fn features(&self) -> Result<u32, HypercallError> {
        let mut arg = abi::FeatureInfo::default();
        // SAFETY: the argument of this command; it holds no address.
        unsafe { self.command(XEN_VERSION, abi::XENVER_GET_FEATURES, &mut arg) }?;
        Ok(arg.submap)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::call::tests::Expect;

    #[test]
    fn the_features_are_those_of_the_first_map() {
        let xen = Expect::new(17, 6, |arg: &mut abi::FeatureInfo, _| {
            assert_eq!(arg.submap_idx, 0);
            arg.submap = 0x705;
            0
        });
        assert_eq!(Hypervisor::with(&xen).features(), Ok(0x705));
    }
}
