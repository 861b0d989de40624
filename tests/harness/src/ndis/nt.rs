//! What NDIS itself asks of NT: exports called as a driver calls them, and waiting.

use wdk_sys::KEVENT;

use crate::driver::run_driver;
use crate::host::context::kernel;
use crate::ke::{object, wait};
use crate::sched::deliver;

/// Calls an export of ntoskrnl.exe through its thunk.
pub(crate) fn call(name: &'static str, arguments: &[usize]) -> usize {
    let at = crate::export::resolve("ntoskrnl.exe", name).expect("the harness exports it");
    let mut all = [0; 8];
    for (to, from) in all.iter_mut().zip(arguments) {
        *to = *from;
    }
    run_driver(at, all)
}

/// Address of an export of `ndis.sys` itself, as a driver object or an IRP holds it.
pub(crate) fn own_routine(name: &'static str) -> usize {
    crate::export::resolve("ndis.sys", name).expect("NDIS exports it to itself")
}

/// Runs `body` at `DISPATCH_LEVEL` and lowers again.
pub(crate) fn at_dispatch<R>(body: impl FnOnce() -> R) -> R {
    let before = kernel().sched.cpu().set_irql(2);
    let result = body();
    deliver::lower(&kernel().sched, before);
    result
}

/// An event of NDIS's own, in memory that NT's wait functions accept.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Signal(usize);

impl Signal {
    /// An event that stays set once it is.
    pub(crate) fn new() -> Self {
        Self::make(0, 0)
    }

    /// A mutual exclusion: waiting takes it, setting gives it back.
    pub(crate) fn exclusion() -> Self {
        Self::make(1, 1)
    }

    fn make(kind: i32, set: u8) -> Self {
        let at = kernel().pool.allocate_own(size_of::<KEVENT>());
        object::initialize_event(at as *mut KEVENT, kind, set);
        Self(at)
    }

    /// Address of its KEVENT.
    pub(crate) const fn address(self) -> usize {
        self.0
    }

    pub(crate) fn set(self) {
        object::set_event(self.0 as *mut KEVENT, 0, 0);
    }

    /// Waits until it is set, for at most `limit` (100 ns units). False if it was not.
    pub(crate) fn wait(self, limit: Option<u64>) -> bool {
        let due = limit.map(|limit| kernel().sched.now() + limit);
        wait::wait_for(&[self.0], false, due) == 0
    }

    /// Gives the memory back.
    pub(crate) fn free(self) {
        kernel().pool.free(self.0, None);
    }
}
