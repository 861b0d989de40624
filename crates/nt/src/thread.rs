//! System threads.

use core::ffi::c_void;
use core::fmt;
use core::mem::ManuallyDrop;
use core::ptr::NonNull;
use core::time::Duration;

use wdk_sys::{HANDLE, NTSTATUS, ntddk};

use crate::bugcheck;
use crate::callback::kernel_callback;
use crate::event::{KERNEL_MODE, Wait, wait_for};
use crate::irql::Passive;
use crate::object;
use crate::pool::{PoolBox, Tag};
use crate::status::{Result, Status};
use crate::time::relative;

/// What a thread runs. It ends when this returns.
pub type Routine<T> = fn(T, &mut Passive<'_>);

/// What a thread starts with.
struct Start<T> {
    routine: Routine<T>,
    context: T,
    tag: Tag,
}

/// A running system thread, owned by who must wait for its end.
///
/// Must be joined: dropping it stops a checked build, and leaks a reference in a release build (the
/// thread would run on in an unloaded image).
pub struct Thread {
    object: NonNull<c_void>,
}

// SAFETY: a referenced thread object may be waited for from any thread.
unsafe impl Send for Thread {}
// SAFETY: as above.
unsafe impl Sync for Thread {}

impl Thread {
    /// Starts a thread that owns `context`.
    pub fn spawn<T: Send + 'static>(
        tag: Tag,
        context: T,
        routine: Routine<T>,
        _irql: &Passive<'_>,
    ) -> Result<Self> {
        let start = PoolBox::into_raw(PoolBox::try_new(
            tag,
            Start {
                routine,
                context,
                tag,
            },
        )?);
        let mut attributes = object::attributes(core::ptr::null_mut(), core::ptr::null_mut(), 0);
        let mut handle: HANDLE = core::ptr::null_mut();
        // SAFETY: all pointers are live; the entry point takes over the start block, which is
        // what it expects. The token proves PASSIVE_LEVEL.
        let status = unsafe {
            ntddk::PsCreateSystemThread(
                &raw mut handle,
                wdk_sys::THREAD_ALL_ACCESS,
                &raw mut attributes,
                core::ptr::null_mut(),
                core::ptr::null_mut(),
                Some(entry::<T>),
                start.as_ptr().cast(),
            )
        };
        if let Err(status) = Status::from_raw(status).into_result() {
            // SAFETY: made above with this tag; no thread took it over.
            drop(unsafe { PoolBox::<_>::from_raw(start, tag) });
            return Err(status);
        }
        Ok(Self {
            object: object_of(handle),
        })
    }

    /// Waits for the thread's end, at most for `timeout`.
    pub fn wait(&self, timeout: Option<Duration>, irql: &Passive<'_>) -> Wait {
        // SAFETY: the reference taken in spawn keeps the thread object.
        unsafe { wait_for(self.object.as_ptr(), timeout, irql) }
    }

    /// Waits for the thread's end. Not to be called by the thread itself.
    pub fn join(self, irql: &Passive<'_>) {
        let _ = self.wait(None, irql);
        let this = ManuallyDrop::new(self);
        // SAFETY: the reference was taken in spawn and is given back once.
        unsafe { ntddk::ObfDereferenceObject(this.object.as_ptr()) };
    }
}

/// The thread object of a new handle, which is closed.
fn object_of(handle: HANDLE) -> NonNull<c_void> {
    let mut object = core::ptr::null_mut();
    // SAFETY: the handle is open and ours; without a type the object's is not checked, and it is a
    // thread's.
    let status = unsafe {
        ntddk::ObReferenceObjectByHandle(
            handle,
            wdk_sys::THREAD_ALL_ACCESS,
            core::ptr::null_mut(),
            KERNEL_MODE,
            &raw mut object,
            core::ptr::null_mut(),
        )
    };
    // SAFETY: the handle is open, ours, and not used again.
    let _: NTSTATUS = unsafe { ntddk::ZwClose(handle) };
    // Going on would leave a thread nobody can wait for. An open handle always has its object.
    NonNull::new(object).unwrap_or_else(|| {
        bugcheck::kernel_contract("ObReferenceObjectByHandle", Status::from_raw(status))
    })
}

kernel_callback! {
    /// # Safety
    /// Called by the kernel with a start block that `spawn` gave away.
    unsafe fn entry<T>(start: *mut c_void) {
        run::<T>(start.cast());
        // SAFETY: this is a thread of our own, and its routine has returned.
        let _: NTSTATUS = unsafe {
            ntddk::PsTerminateSystemThread(Status::SUCCESS.into_raw())
        };
    }
}

/// Runs a thread's routine; all its locals are gone when this returns.
fn run<T>(start: *mut Start<T>) {
    let Some(start) = NonNull::new(start) else {
        return;
    };
    // SAFETY: spawn gave the block away, so it is read by this thread only.
    let tag = unsafe { start.as_ref() }.tag;
    // SAFETY: made by into_raw with this tag, and taken over once.
    let start = PoolBox::into_inner(unsafe { PoolBox::<Start<T>>::from_raw(start, tag) });
    // SAFETY: system threads begin at PASSIVE_LEVEL, and the token ends with the routine.
    let mut irql = unsafe { Passive::assume() };
    (start.routine)(start.context, &mut irql);
}

/// Lets this thread sleep.
pub fn sleep(time: Duration, _irql: &Passive<'_>) {
    let mut span = relative(time);
    // SAFETY: the span is live, and the token proves PASSIVE_LEVEL.
    let _: NTSTATUS = unsafe { ntddk::KeDelayExecutionThread(KERNEL_MODE, 0, &raw mut span) };
}

impl Drop for Thread {
    fn drop(&mut self) {
        bugcheck::dropped_open("Thread");
    }
}

impl fmt::Debug for Thread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Thread").finish_non_exhaustive()
    }
}
