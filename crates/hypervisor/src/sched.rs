//! Yielding, stopping and suspending (`xen/sched.h`).
#![allow(unsafe_code, reason = "each operation vouches for its argument")]
use xen_abi::hypercall::SCHED_OP;
use xen_abi::sched as abi;
use xen_abi::sched::ShutdownReason;

use crate::call::{Call, Hypervisor};
use crate::error::HypercallError;

/// How a suspended domain came back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resumed {
    /// As a new domain (restored or migrated): grants, ports, shared pages and watches are gone.
    Anew,
    /// As it was: the suspension was cancelled.
    Cancelled,
}

impl<C: Call> Hypervisor<C> {
    /// Lets another vCPU run.
    pub fn yield_cpu(&self) -> Result<(), HypercallError> {
        // SAFETY: the command takes no argument.
        unsafe { self.raw(SCHED_OP, [u64::from(abi::SCHEDOP_YIELD), 0, 0, 0, 0]) }.map(drop)
    }

    /// Stops the domain. Returns on failure only, or for [`ShutdownReason::SUSPEND`]: use
    /// [`Hypervisor::suspend`] for that.
    pub fn shutdown(&self, reason: ShutdownReason) -> Result<u64, HypercallError> {
        let mut arg = abi::Shutdown { reason };
        // SAFETY: the argument of this command; it holds no address.
        unsafe { self.command(SCHED_OP, abi::SCHEDOP_SHUTDOWN, &mut arg) }
    }

    /// Suspends the domain; returns when it is resumed.
    ///
    /// # Safety
    /// Called on vCPU 0 with interrupts off and every other CPU held where it uses nothing that is gone after
    /// [`Resumed::Anew`]: grant table, shared info, event channels, XenStore ring.
    pub unsafe fn suspend(&self) -> Result<Resumed, HypercallError> {
        match self.shutdown(ShutdownReason::SUSPEND)? {
            0 => Ok(Resumed::Anew),
            _ => Ok(Resumed::Cancelled),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::call::tests::Expect;

    #[test]
    fn suspend_tells_resumed_from_cancelled() {
        for (answer, want) in [(0, Resumed::Anew), (1, Resumed::Cancelled)] {
            let xen = Expect::new(29, 2, |arg: &mut abi::Shutdown, _| {
                assert_eq!(arg.reason, ShutdownReason(2));
                answer
            });
            // SAFETY: no Xen suspends anything.
            assert_eq!(unsafe { Hypervisor::with(&xen).suspend() }, Ok(want));
        }
    }
}
