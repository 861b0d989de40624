//! Work items: a routine that runs once on a system thread at `PASSIVE_LEVEL`.

use crate::driver;
use crate::ex::pool::calling_driver;
use crate::export::{Module, exports, told_to_fail};
use crate::host::context::kernel;
use crate::rules;
use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;

exports! { Module::Ntoskrnl;
    IoAllocateWorkItem = allocate, 0..=2, fallible;
    IoFreeWorkItem = free, 0..=2;
    IoQueueWorkItem = queue, 0..=2;
    IoQueueWorkItemEx = queue_ex, 0..=2;
}

/// One allocated work item.
#[derive(Clone, Debug)]
pub(crate) struct Item {
    object: usize,
    owner: String,
    queued: bool,
}

extern "win64" fn allocate(object: usize) -> usize {
    if told_to_fail() {
        return 0;
    }
    let kernel = kernel();
    let at = kernel.pool.allocate_own(64);
    kernel.io.work.lock().insert(
        at,
        Item {
            object,
            owner: calling_driver(),
            queued: false,
        },
    );
    at
}

extern "win64" fn free(item: usize) {
    let kernel = kernel();
    match kernel.io.work.lock().remove(&item) {
        None => rules::violate(&rules::OBJECT, format!("{item:#x} is no live work item")),
        Some(state) if state.queued => {
            rules::violate(
                &rules::POOL_LIVE,
                format!("work item {item:#x} freed while it is queued"),
            );
        }
        Some(_) => {}
    }
    kernel.pool.free(item, None);
}

extern "win64" fn queue(item: usize, routine: usize, _kind: i32, context: usize) {
    start(item, routine, context, false);
}

extern "win64" fn queue_ex(item: usize, routine: usize, _kind: i32, context: usize) {
    start(item, routine, context, true);
}

fn start(item: usize, routine: usize, context: usize, extended: bool) {
    let kernel = kernel();
    let object = {
        let mut work = kernel.io.work.lock();
        let Some(state) = work.get_mut(&item) else {
            drop(work);
            rules::die(&rules::OBJECT, format!("{item:#x} is no live work item"));
        };
        if state.queued {
            drop(work);
            rules::die(
                &rules::OBJECT,
                format!("work item {item:#x} is queued already"),
            );
        }
        state.queued = true;
        state.object
    };
    kernel.sched.spawn(
        "work item",
        Box::new(move || {
            // Off the queue before the routine runs: the routine may free the item or queue it again.
            if let Some(state) = crate::host::context::kernel().io.work.lock().get_mut(&item) {
                state.queued = false;
            }
            let plain = [object, context, 0];
            let with_item = [object, context, item];
            driver::invoke(
                "work item routine",
                routine,
                if extended { &with_item } else { &plain },
            );
        }),
    );
}

/// Work items that image `owner` has not freed.
pub(crate) fn owned_by(owner: &str) -> usize {
    kernel()
        .io
        .work
        .lock()
        .values()
        .filter(|item| item.owner == owner)
        .count()
}
