//! How a hypercall is made.
use crate::detect::Detected;
use crate::error::{HypercallError, check};
use crate::shim::Native;

/// Makes hypercalls. [`Native`] is the real one; tests have their own.
#[allow(
    unsafe_code,
    reason = "a hypercall can do anything to the guest's memory"
)]
pub trait Call {
    /// Makes hypercall `number` with up to five arguments; returns what Xen answers.
    ///
    /// # Safety
    /// The arguments are right for the hypercall: addresses among them are of memory that Xen may read or write
    /// as the hypercall defines, until it returns, or longer if the hypercall says so.
    unsafe fn call(&self, number: u32, args: [u64; 5]) -> i64;
}

/// The hypervisor under this guest.
#[derive(Debug, Clone, Copy)]
pub struct Hypervisor<C = Native> {
    call: C,
}

impl Hypervisor<Native> {
    /// The real hypervisor; `detected` is proof that there is one, and says which instruction reaches it.
    #[must_use]
    pub fn new(detected: &Detected) -> Self {
        Self {
            call: Native::new(detected.vendor),
        }
    }
}

impl<C: Call> Hypervisor<C> {
    /// A hypervisor reached in another way.
    pub const fn with(call: C) -> Self {
        Self { call }
    }

    /// Makes hypercall `number` with a command and the address of its argument.
    ///
    /// # Safety
    /// `T` is the argument that `number` and `command` define, and whatever addresses it holds satisfy
    /// [`Call::call`].
    #[allow(
        unsafe_code,
        reason = "the one place where an argument's address is passed"
    )]
    pub(crate) unsafe fn command<T>(
        &self,
        number: u32,
        command: u32,
        argument: &mut T,
    ) -> Result<u64, HypercallError> {
        let address = core::ptr::from_mut(argument).expose_provenance() as u64;
        // SAFETY: the address is of a `T` that lives through the call; the rest is the caller's promise.
        check(unsafe {
            self.call
                .call(number, [u64::from(command), address, 0, 0, 0])
        })
    }

    /// Makes hypercall `number` with plain numbers.
    ///
    /// # Safety
    /// As [`Call::call`].
    #[allow(unsafe_code, reason = "passes the caller's promise on")]
    pub(crate) unsafe fn raw(&self, number: u32, args: [u64; 5]) -> Result<u64, HypercallError> {
        // SAFETY: the caller's promise.
        check(unsafe { self.call.call(number, args) })
    }
}

#[cfg(test)]
pub(crate) mod tests {
    //! A hypervisor for the tests: checks the hypercall's number and command, and lets the test see the argument.
    #![allow(
        unsafe_code,
        reason = "plays the hypervisor, which reads the guest's memory"
    )]
    use super::*;
    use core::cell::Cell;

    /// Expects one call, and hands its argument to `serve`.
    pub(crate) struct Expect<T, F> {
        number: u32,
        command: u32,
        serve: F,
        calls: Cell<u32>,
        argument: core::marker::PhantomData<fn(&mut T)>,
    }

    impl<T, F: Fn(&mut T, [u64; 5]) -> i64> Expect<T, F> {
        pub(crate) fn new(number: u32, command: u32, serve: F) -> Self {
            let calls = Cell::new(0);
            Self {
                number,
                command,
                serve,
                calls,
                argument: core::marker::PhantomData,
            }
        }

        pub(crate) fn calls(&self) -> u32 {
            self.calls.get()
        }
    }

    impl<T, F: Fn(&mut T, [u64; 5]) -> i64> Call for &Expect<T, F> {
        unsafe fn call(&self, number: u32, args: [u64; 5]) -> i64 {
            self.calls.set(self.calls.get() + 1);
            assert_eq!((number, args[0]), (self.number, u64::from(self.command)));
            // The argument is second, but for vcpu_op, which has the vCPU there.
            let at = if number == xen_abi::hypercall::VCPU_OP {
                2
            } else {
                1
            };
            let address = usize::try_from(args[at]).expect("64-bit");
            let argument = core::ptr::with_exposed_provenance_mut::<T>(address);
            // SAFETY: the operations under test pass the address of a live `T`.
            (self.serve)(unsafe { &mut *argument }, args)
        }
    }
}
