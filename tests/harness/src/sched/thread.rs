//! One fiber: an NT thread, or a processor's idle loop.

use alloc::boxed::Box;
use alloc::format;
use alloc::vec::Vec;
use core::fmt;
use core::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering};

use spin::Mutex;

use crate::driver::Frame;
use crate::host::context::Slot;
use crate::host::memory::{Access, PAGE};
use crate::kernel::Kernel;
use crate::mem::space::Frames;

/// Bytes of a fiber's stack. Far more than NT's 24 KiB, because the harness's own frames are on it too; the
/// driver's share is measured (`driver::Frame`).
pub(crate) const STACK: usize = 512 * 1024;

/// Kernel stack a driver has on x64: ndis-contract 6.2.
pub(crate) const KERNEL_STACK: usize = 24 * 1024;

/// What a thread is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    Ready,
    Running,
    Waiting,
    Terminated,
}

/// A thread and what is known of the driver code on its stack.
pub(crate) struct Thread {
    pub(crate) id: u32,
    pub(crate) name: &'static str,
    pub(crate) slot: Slot,
    pub(crate) stack: usize,
    pub(crate) state: Mutex<State>,
    cpu: AtomicU32,
    body: Mutex<Option<Box<dyn FnOnce() + Send>>>,
    /// Address of its KTHREAD, 0 until somebody needs one.
    pub(crate) object: AtomicUsize,
    /// Where the exports on the stack return to, outermost first (parallel mode).
    pub(crate) returns: Mutex<Vec<usize>>,
    /// Driver callbacks on the stack, outermost first.
    pub(crate) frames: Mutex<Vec<Frame>>,
    /// Result of the wait that made it ready, and the wait's generation.
    pub(crate) wait: Mutex<Option<crate::ke::wait::Wait>>,
    pub(crate) wait_count: AtomicU64,
    last_call: Mutex<(&'static str, usize)>,
    fail: AtomicBool,
    /// Depth of critical and guarded regions.
    pub(crate) regions: AtomicU32,
    pub(crate) exit_status: AtomicU32,
}

impl fmt::Debug for Thread {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "thread {} ({})", self.id, self.name)
    }
}

/// Takes guest memory for a stack. The page below it is inaccessible.
pub(crate) fn new_stack(kernel: &Kernel) -> Option<usize> {
    kernel
        .space
        .allocate(STACK / PAGE, Frames::Contiguous, Access::ReadWrite, 0)
}

impl Thread {
    pub(crate) fn new(
        id: u32,
        name: &'static str,
        cpu: u32,
        stack: usize,
        body: Box<dyn FnOnce() + Send>,
    ) -> Self {
        Self {
            id,
            name,
            slot: Slot::new(),
            stack,
            state: Mutex::new(State::Ready),
            cpu: AtomicU32::new(cpu),
            body: Mutex::new(Some(body)),
            object: AtomicUsize::new(0),
            returns: Mutex::new(Vec::new()),
            frames: Mutex::new(Vec::new()),
            wait: Mutex::new(None),
            wait_count: AtomicU64::new(0),
            last_call: Mutex::new(("start", 0)),
            fail: AtomicBool::new(false),
            regions: AtomicU32::new(0),
            exit_status: AtomicU32::new(0),
        }
    }

    pub(crate) fn cpu(&self) -> u32 {
        self.cpu.load(Ordering::Acquire)
    }

    pub(crate) fn set_cpu(&self, cpu: u32) {
        self.cpu.store(cpu, Ordering::Release);
    }

    pub(crate) fn take_body(&self) -> Option<Box<dyn FnOnce() + Send>> {
        self.body.lock().take()
    }

    /// Notes a call from driver code: who called what, and how deep the driver's stack is.
    pub(crate) fn note_call(&self, name: &'static str, caller: usize, stack_pointer: usize) {
        *self.last_call.lock() = (name, caller);
        let mut frames = self.frames.lock();
        let Some(frame) = frames.last_mut() else {
            return;
        };
        let depth = frame.depth(stack_pointer);
        if depth > KERNEL_STACK {
            let what = frame.what;
            drop(frames);
            crate::rules::die(
                &crate::rules::STACK,
                format!(
                    "{what} is {depth} bytes deep when it calls {name}; the kernel stack is 24 KiB"
                ),
            );
        }
    }

    /// The last export the thread's driver code called, and its return address.
    pub(crate) fn last_call(&self) -> (&'static str, usize) {
        *self.last_call.lock()
    }

    pub(crate) fn fail_next(&self) {
        self.fail.store(true, Ordering::Release);
    }

    pub(crate) fn take_failure(&self) -> bool {
        self.fail.swap(false, Ordering::AcqRel)
    }

    /// Whether the thread may be put back in the ready queue: not an idle loop, and not inside a DPC or ISR.
    pub(crate) fn may_switch(&self) -> bool {
        self.name != "idle" && self.frames.lock().iter().all(|frame| !frame.interrupting)
    }
}
