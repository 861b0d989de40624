//! Work items: code at `PASSIVE_LEVEL`, queued from `DISPATCH_LEVEL`.

use core::ffi::c_void;
use core::fmt;
use core::mem::ManuallyDrop;
use core::ops::Deref;
use core::ptr::NonNull;
use core::sync::atomic::{AtomicU32, Ordering};

use wdk_sys::{_IO_WORKITEM, ntddk};

use crate::bugcheck;
use crate::callback::kernel_callback;
use crate::device::DeviceRef;
use crate::event::{Event, EventKind};
use crate::irql::{AtMostDispatch, Passive};
use crate::pool::{PoolBox, Tag};
use crate::status::{Result, Status};

/// Queued and not yet begun.
const QUEUED: u32 = 1;
/// The routine runs.
const RUNNING: u32 = 2;
/// No more queueing; the last run signals.
const CLOSED: u32 = 4;

/// Where a work item stands: which of the flags are set.
///
/// `QUEUED` alone is with the kernel. `RUNNING | QUEUED` is a run that must run again before it
/// ends; the kernel does not have the item then, so one item never runs twice at a time.
#[derive(Debug, Default)]
struct Progress(AtomicU32);

/// What the caller of [`Progress::queue`] does.
#[derive(Debug, PartialEq, Eq)]
enum Queueing {
    /// Hand the item to the kernel.
    Submit,
    /// Nothing: a run under way goes round again.
    Again,
    /// Nothing: it is queued already.
    Already,
    /// Nothing: it is closed.
    Closed,
}

/// What follows a run.
#[derive(Debug, PartialEq, Eq)]
enum AfterRun {
    /// Run again.
    Again,
    /// Return.
    Idle,
    /// Signal who closes, then return without touching the block.
    Drained,
}

impl Progress {
    fn queue(&self) -> Queueing {
        let before = self
            .0
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |flags| {
                (flags & (QUEUED | CLOSED) == 0).then_some(flags | QUEUED)
            });
        match before {
            Ok(flags) if flags & RUNNING == 0 => Queueing::Submit,
            Ok(_) => Queueing::Again,
            Err(flags) if flags & CLOSED == 0 => Queueing::Already,
            Err(_) => Queueing::Closed,
        }
    }

    /// A run begins: what is queued from now on needs another.
    fn begin(&self) {
        // QUEUED is set, so one flag is exchanged for the other.
        self.0.fetch_xor(QUEUED | RUNNING, Ordering::AcqRel);
    }

    fn end(&self) -> AfterRun {
        let mut flags = self.0.load(Ordering::Acquire);
        loop {
            let (next, after) = if flags & QUEUED != 0 {
                (flags & !QUEUED, AfterRun::Again)
            } else if flags & CLOSED != 0 {
                (CLOSED, AfterRun::Drained)
            } else {
                (0, AfterRun::Idle)
            };
            match self
                .0
                .compare_exchange(flags, next, Ordering::AcqRel, Ordering::Acquire)
            {
                Ok(_) => return after,
                Err(now) => flags = now,
            }
        }
    }

    /// Closes; `true` when a run is queued or under way, and the signal will come.
    fn close(&self) -> bool {
        self.0.fetch_or(CLOSED, Ordering::AcqRel) & (QUEUED | RUNNING) != 0
    }
}

/// What a work item runs: in a system thread.
pub type Routine<T> = fn(&T, &mut Passive<'_>);

struct Block<T> {
    progress: Progress,
    drained: Event,
    routine: Routine<T>,
    context: T,
}

/// A work item with its context, which the owner reaches by dereferencing.
///
/// Its device object is kept, and with it the driver's image, until a queued run has returned.
/// Must be closed: dropping it stops a checked build and leaks the item in a release build.
pub struct WorkItem<T: Send + Sync + 'static> {
    block: ManuallyDrop<PoolBox<Block<T>>>,
    item: NonNull<_IO_WORKITEM>,
}

// SAFETY: the kernel guards the item itself; the context is shared as its type allows.
unsafe impl<T: Send + Sync> Send for WorkItem<T> {}
// SAFETY: as above.
unsafe impl<T: Send + Sync> Sync for WorkItem<T> {}

impl<T: Send + Sync + 'static> WorkItem<T> {
    /// A work item of `device` that is not queued.
    pub fn try_new(
        tag: Tag,
        device: DeviceRef,
        context: T,
        routine: Routine<T>,
        irql: &AtMostDispatch<'_>,
    ) -> Result<Self> {
        let _ = irql;
        let block = PoolBox::try_new(
            tag,
            Block {
                progress: Progress::default(),
                drained: Event::try_new(tag, EventKind::Notification, false)?,
                routine,
                context,
            },
        )?;
        // SAFETY: the device is live by the contract of DeviceRef.
        let item = unsafe { ntddk::IoAllocateWorkItem(device.as_ptr()) };
        let item = NonNull::new(item).ok_or(Status::INSUFFICIENT_RESOURCES)?;
        Ok(Self {
            block: ManuallyDrop::new(block),
            item,
        })
    }

    /// Queues a run. `false` when one is queued that has not begun: it answers both.
    pub fn queue(&self, irql: &AtMostDispatch<'_>) -> bool {
        let _ = irql;
        match self.block.progress.queue() {
            Queueing::Submit => {
                // SAFETY: the item is ours and not queued, which `progress` makes sure of; the
                // context is the block, which close keeps alive until the run has ended.
                unsafe {
                    ntddk::IoQueueWorkItemEx(
                        self.item.as_ptr(),
                        Some(entry::<T>),
                        wdk_sys::_WORK_QUEUE_TYPE::DelayedWorkQueue,
                        PoolBox::as_non_null(&self.block).as_ptr().cast(),
                    );
                }
                true
            }
            Queueing::Again => true,
            Queueing::Already | Queueing::Closed => false,
        }
    }

    /// Ends the item and returns its context. Waits for a run queued or under way. Not to be
    /// called from the routine.
    pub fn close(mut self, irql: &Passive<'_>) -> T {
        if self.block.progress.close() {
            let _ = self.block.drained.wait(None, irql);
        }
        // SAFETY: the item is ours and, with no run queued, not with the kernel. A run that
        // still returns does not touch it: the kernel took it off its queue before.
        unsafe { ntddk::IoFreeWorkItem(self.item.as_ptr()) };
        // SAFETY: taken once; ManuallyDrop::new below keeps drop from running.
        let block = unsafe { ManuallyDrop::take(&mut self.block) };
        let _closed = ManuallyDrop::new(self);
        PoolBox::into_inner(block).context
    }
}

kernel_callback! {
    /// # Safety
    /// Called by the kernel with a context that `queue` gave it.
    unsafe fn entry<T>(_: *mut c_void, context: *mut c_void, _: *mut _IO_WORKITEM) {
        // SAFETY: the context is the block, which close keeps alive until the run has ended.
        let block = unsafe { &*context.cast::<Block<T>>() };
        // SAFETY: the kernel runs work items at PASSIVE_LEVEL, and the token ends with this call.
        let mut irql = unsafe { Passive::assume() };
        block.progress.begin();
        loop {
            (block.routine)(&block.context, &mut irql);
            match block.progress.end() {
                AfterRun::Again => {}
                AfterRun::Idle => return,
                AfterRun::Drained => {
                    block.drained.set(&irql);
                    return;
                }
            }
        }
    }
}

impl<T: Send + Sync + 'static> Deref for WorkItem<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.block.context
    }
}

impl<T: Send + Sync + 'static> Drop for WorkItem<T> {
    fn drop(&mut self) {
        bugcheck::dropped_open("WorkItem");
    }
}

impl<T: Send + Sync + 'static> fmt::Debug for WorkItem<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WorkItem").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::{AfterRun, Progress, Queueing};

    #[test]
    fn an_item_is_with_the_kernel_once() {
        let item = Progress::default();
        assert_eq!(item.queue(), Queueing::Submit);
        assert_eq!(item.queue(), Queueing::Already);
        item.begin();
        assert_eq!(item.queue(), Queueing::Again);
        assert_eq!(item.queue(), Queueing::Already);
        assert_eq!(item.end(), AfterRun::Again);
        assert_eq!(item.end(), AfterRun::Idle);
        assert_eq!(item.queue(), Queueing::Submit);
    }

    #[test]
    fn closing_an_idle_item_waits_for_nothing() {
        let item = Progress::default();
        assert!(!item.close());
        assert_eq!(item.queue(), Queueing::Closed);
    }

    #[test]
    fn closing_waits_for_a_queued_run_and_its_repetition() {
        let item = Progress::default();
        assert_eq!(item.queue(), Queueing::Submit);
        assert!(item.close());
        item.begin();
        assert_eq!(item.queue(), Queueing::Closed);
        assert_eq!(item.end(), AfterRun::Drained);

        let item = Progress::default();
        assert_eq!(item.queue(), Queueing::Submit);
        item.begin();
        assert_eq!(item.queue(), Queueing::Again);
        assert!(item.close());
        assert_eq!(item.end(), AfterRun::Again);
        assert_eq!(item.end(), AfterRun::Drained);
    }
}
