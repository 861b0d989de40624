//! Timers that run a DPC.

use core::cell::UnsafeCell;
use core::ffi::c_void;
use core::fmt;
use core::mem::ManuallyDrop;
use core::ops::Deref;
use core::sync::atomic::{AtomicBool, Ordering};
use core::time::Duration;

use wdk_sys::{KDPC, KTIMER, ntddk};

use crate::bugcheck;
use crate::callback::kernel_callback;
use crate::dpc;
use crate::irql::{AtMostDispatch, Dispatch, Passive};
use crate::pool::{OutOfMemory, PoolBox, Tag};
use crate::time::relative;

/// What a timer does after its routine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Next {
    /// As set: a periodic timer goes on, a single one is done.
    AsSet,
    /// Runs once more after this time, and no more periodically.
    After(Duration),
}

/// What a timer runs: at `DISPATCH_LEVEL`, on any processor.
pub type Routine<T> = fn(&T, &Dispatch<'_>) -> Next;

/// What the kernel and the routine reach; its address never changes.
struct Block<T> {
    ktimer: UnsafeCell<KTIMER>,
    kdpc: UnsafeCell<KDPC>,
    closing: AtomicBool,
    routine: Routine<T>,
    context: T,
}

// SAFETY: the kernel guards the KTIMER and KDPC itself; the rest is shared as its types allow.
unsafe impl<T: Send> Send for Block<T> {}
// SAFETY: as above; the routine shares the context with the owner.
unsafe impl<T: Sync> Sync for Block<T> {}

/// A timer with its context, which the owner reaches by dereferencing.
///
/// Must be closed: dropping it stops a checked build and leaks the block in a release build.
pub struct Timer<T: Send + Sync + 'static> {
    block: ManuallyDrop<PoolBox<Block<T>>>,
}

impl<T: Send + Sync + 'static> Timer<T> {
    /// A timer that is not set.
    pub fn try_new(tag: Tag, context: T, routine: Routine<T>) -> Result<Self, OutOfMemory> {
        let block = PoolBox::try_new(
            tag,
            Block {
                ktimer: UnsafeCell::new(KTIMER::default()),
                kdpc: UnsafeCell::new(KDPC::default()),
                closing: AtomicBool::new(false),
                routine,
                context,
            },
        )?;
        let address = PoolBox::as_non_null(&block);
        // SAFETY: the KTIMER is ours, at its final address, and not set.
        unsafe {
            ntddk::KeInitializeTimerEx(block.ktimer.get(), wdk_sys::_TIMER_TYPE::NotificationTimer);
        };
        // SAFETY: as above for the KDPC. The context is the block the entry point expects; close
        // keeps it alive until no call can come.
        unsafe {
            ntddk::KeInitializeDpc(block.kdpc.get(), Some(entry::<T>), address.as_ptr().cast());
        };
        Ok(Self {
            block: ManuallyDrop::new(block),
        })
    }

    /// Runs the routine once, `after` from now. Replaces an earlier setting.
    pub fn set(&self, after: Duration, irql: &AtMostDispatch<'_>) {
        let _ = irql;
        start(&self.block, after, 0);
    }

    /// Runs the routine `period` from now and every `period` after that, in whole milliseconds
    /// (at least 1). Replaces an earlier setting.
    pub fn set_periodic(&self, period: Duration, irql: &AtMostDispatch<'_>) {
        let _ = irql;
        let milliseconds = i32::try_from(period.as_millis()).unwrap_or(i32::MAX).max(1);
        start(&self.block, period, milliseconds);
    }

    /// Unsets the timer. `true` when it was set; a run may be under way all the same.
    pub fn cancel(&self, irql: &AtMostDispatch<'_>) -> bool {
        let _ = irql;
        // SAFETY: initialized and live; the token proves DISPATCH_LEVEL at most.
        unsafe { ntddk::KeCancelTimer(self.block.ktimer.get()) != 0 }
    }

    /// Ends the timer and returns its context. When this returns no call runs or will come.
    ///
    /// Twice, for the run that looked at `closing` just before and set the timer again.
    pub fn close(mut self, irql: &Passive<'_>) -> T {
        self.block.closing.store(true, Ordering::SeqCst);
        for _ in 0..2 {
            self.cancel(irql);
            // SAFETY: the KDPC is live.
            unsafe { ntddk::KeRemoveQueueDpc(self.block.kdpc.get()) };
            dpc::flush(irql);
        }
        // SAFETY: taken once; ManuallyDrop::new below keeps drop from running.
        let block = unsafe { ManuallyDrop::take(&mut self.block) };
        let _closed = ManuallyDrop::new(self);
        PoolBox::into_inner(block).context
    }
}

fn start<T>(block: &Block<T>, after: Duration, period_ms: i32) {
    // SAFETY: both are initialized and live, and all callers are at DISPATCH_LEVEL or below.
    unsafe {
        ntddk::KeSetTimerEx(
            block.ktimer.get(),
            relative(after),
            period_ms,
            block.kdpc.get(),
        )
    };
}

kernel_callback! {
    /// # Safety
    /// Called by the kernel with a context that `try_new` gave it.
    unsafe fn entry<T>(_: *mut KDPC, context: *mut c_void, _: *mut c_void, _: *mut c_void) {
        // SAFETY: the context is the block, which close keeps alive while calls can come.
        let block = unsafe { &*context.cast::<Block<T>>() };
        // SAFETY: the kernel runs DPCs at DISPATCH_LEVEL, and the token ends with this call.
        let irql = unsafe { Dispatch::assume() };
        let next = (block.routine)(&block.context, &irql);
        if let Next::After(after) = next && !block.closing.load(Ordering::SeqCst) {
            start(block, after, 0);
        }
    }
}

impl<T: Send + Sync + 'static> Deref for Timer<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.block.context
    }
}

impl<T: Send + Sync + 'static> Drop for Timer<T> {
    fn drop(&mut self) {
        bugcheck::dropped_open("Timer");
    }
}

impl<T: Send + Sync + 'static> fmt::Debug for Timer<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Timer").finish_non_exhaustive()
    }
}
