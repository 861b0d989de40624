//! Deferred procedure calls.

use core::cell::UnsafeCell;
use core::ffi::c_void;
use core::fmt;
use core::mem::ManuallyDrop;
use core::ops::Deref;
use core::sync::atomic::{AtomicBool, Ordering};

use wdk_sys::{KDPC, ntddk};

use crate::bugcheck;
use crate::callback::kernel_callback;
use crate::irql::{Dispatch, Passive};
use crate::pool::{OutOfMemory, PoolBox, Tag};
use crate::processor::ProcessorNumber;
use crate::status::{Result, Status};

/// Whether a DPC wants to run again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum More {
    /// All is done until somebody queues it.
    No,
    /// The budget was spent: queue it again behind the other DPCs of its processor.
    Yes,
}

/// What a DPC runs: at `DISPATCH_LEVEL`, on its target processor.
pub type Routine<T> = fn(&T, &Dispatch<'_>) -> More;

/// Where in the queue of its processor a DPC goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Importance {
    /// At the end; the processor is told when the queue is long or the time comes.
    Low,
    /// At the end; the default.
    Medium,
    /// At the end, and another processor is told at once.
    MediumHigh,
    /// At the front, and another processor is told at once.
    High,
}

/// What the kernel and the routine reach; its address never changes.
struct Block<T> {
    kdpc: UnsafeCell<KDPC>,
    closing: AtomicBool,
    routine: Routine<T>,
    context: T,
}

// SAFETY: the kernel guards the KDPC itself; the rest is shared as its types allow.
unsafe impl<T: Send> Send for Block<T> {}
// SAFETY: as above; the routine shares the context with the owner.
unsafe impl<T: Sync> Sync for Block<T> {}

/// A DPC with its context, which the owner reaches by dereferencing.
///
/// Must be closed: dropping it stops a checked build and leaks the block in a release build.
pub struct Dpc<T: Send + Sync + 'static> {
    block: ManuallyDrop<PoolBox<Block<T>>>,
}

impl<T: Send + Sync + 'static> Dpc<T> {
    /// A DPC that is not queued, for whatever processor queues it.
    pub fn try_new(
        tag: Tag,
        context: T,
        routine: Routine<T>,
    ) -> core::result::Result<Self, OutOfMemory> {
        let block = PoolBox::try_new(
            tag,
            Block {
                kdpc: UnsafeCell::new(KDPC::default()),
                closing: AtomicBool::new(false),
                routine,
                context,
            },
        )?;
        let address = PoolBox::as_non_null(&block);
        // SAFETY: the KDPC is ours, at its final address, and not queued. The context is the block
        // the entry point expects; close keeps it alive until no call can come.
        unsafe {
            ntddk::KeInitializeDpc(block.kdpc.get(), Some(entry::<T>), address.as_ptr().cast());
        };
        Ok(Self {
            block: ManuallyDrop::new(block),
        })
    }

    /// Queues the DPC. `false` when it is queued already: one run answers both. Any IRQL, service
    /// routines included.
    pub fn queue(&self) -> bool {
        insert(&self.block)
    }

    /// Makes `target` the processor it runs on, from the next time it is queued.
    pub fn set_target(&self, target: ProcessorNumber) -> Result<()> {
        let mut number = target.to_raw();
        // SAFETY: both are live; the kernel reads the target when the DPC is queued.
        let status =
            unsafe { ntddk::KeSetTargetProcessorDpcEx(self.block.kdpc.get(), &raw mut number) };
        Status::from_raw(status).into_result()
    }

    /// Sets where in the queue it goes, from the next time it is queued.
    pub fn set_importance(&self, importance: Importance) {
        use wdk_sys::_KDPC_IMPORTANCE as K;
        let importance = match importance {
            Importance::Low => K::LowImportance,
            Importance::Medium => K::MediumImportance,
            Importance::MediumHigh => K::MediumHighImportance,
            Importance::High => K::HighImportance,
        };
        // SAFETY: the KDPC is live; the kernel reads the importance when it is queued.
        unsafe { ntddk::KeSetImportanceDpc(self.block.kdpc.get(), importance) };
    }

    /// Ends the DPC and returns its context. When this returns no call runs or will come.
    ///
    /// Whoever could queue it holds a reference, so only the routine itself still can; it may have
    /// looked at `closing` just before. The first flush waits for that run, the second for the one
    /// it queued.
    pub fn close(mut self, irql: &Passive<'_>) -> T {
        self.block.closing.store(true, Ordering::SeqCst);
        for _ in 0..2 {
            // SAFETY: the KDPC is live.
            unsafe { ntddk::KeRemoveQueueDpc(self.block.kdpc.get()) };
            flush(irql);
        }
        // SAFETY: taken once; ManuallyDrop::new below keeps drop from running.
        let block = unsafe { ManuallyDrop::take(&mut self.block) };
        let _closed = ManuallyDrop::new(self);
        PoolBox::into_inner(block).context
    }
}

/// Waits until every DPC queued before has run, on every processor.
pub fn flush(_irql: &Passive<'_>) {
    // SAFETY: the token proves PASSIVE_LEVEL.
    unsafe { ntddk::KeFlushQueuedDpcs() };
}

fn insert<T>(block: &Block<T>) -> bool {
    // SAFETY: the KDPC is initialized and live; callable at any IRQL.
    unsafe {
        ntddk::KeInsertQueueDpc(
            block.kdpc.get(),
            core::ptr::null_mut(),
            core::ptr::null_mut(),
        ) != 0
    }
}

kernel_callback! {
    /// # Safety
    /// Called by the kernel with a context that `try_new` gave it.
    unsafe fn entry<T>(_: *mut KDPC, context: *mut c_void, _: *mut c_void, _: *mut c_void) {
        // SAFETY: the context is the block, which close keeps alive while calls can come.
        let block = unsafe { &*context.cast::<Block<T>>() };
        // SAFETY: the kernel runs DPCs at DISPATCH_LEVEL, and the token ends with this call.
        let irql = unsafe { Dispatch::assume() };
        let more = (block.routine)(&block.context, &irql);
        if more == More::Yes && !block.closing.load(Ordering::SeqCst) {
            insert(block);
        }
    }
}

impl<T: Send + Sync + 'static> Deref for Dpc<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.block.context
    }
}

impl<T: Send + Sync + 'static> Drop for Dpc<T> {
    fn drop(&mut self) {
        bugcheck::dropped_open("Dpc");
    }
}

impl<T: Send + Sync + 'static> fmt::Debug for Dpc<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dpc").finish_non_exhaustive()
    }
}
