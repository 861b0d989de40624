//! Work items.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use spin::Mutex;

use super::adapter;
use super::contract::WORK_ITEM;
use super::handle;
use super::object::Kind;
use crate::driver;
use crate::export::{Module, exports, told_to_fail};
use crate::host::context::kernel;
use crate::rules;

exports! { Module::Ndis;
    NdisAllocateIoWorkItem = allocate, 0..=2, fallible;
    NdisQueueIoWorkItem = queue, 0..=2;
    NdisFreeIoWorkItem = free, 0..=2;
}

/// Work items by handle: owner, whether it is queued, and how many of its routines run.
#[derive(Debug, Default)]
pub(crate) struct Items(Mutex<BTreeMap<usize, Item>>);

#[derive(Clone, Copy, Debug)]
struct Item {
    owner: usize,
    queued: bool,
}

extern "win64" fn allocate(owner: usize) -> usize {
    let fail = told_to_fail();
    adapter::expect_handle(owner, "NdisAllocateIoWorkItem");
    if fail {
        return 0;
    }
    let item = handle::fresh();
    let ndis = &kernel().ndis;
    ndis.objects.add(item, Kind::WorkItem, owner, 0, 0);
    ndis.work.0.lock().insert(
        item,
        Item {
            owner,
            queued: false,
        },
    );
    item
}

extern "win64" fn queue(item: usize, routine: usize, context: usize) {
    let kernel = kernel();
    let before = kernel
        .ndis
        .work
        .0
        .lock()
        .get_mut(&item)
        .map(|item| core::mem::replace(&mut item.queued, true));
    match before {
        None => rules::die(
            &WORK_ITEM,
            format!("NdisQueueIoWorkItem: {item:#x} is no live work item"),
        ),
        Some(true) => rules::die(&WORK_ITEM, format!("work item {item:#x} is queued already")),
        Some(false) => {}
    }
    kernel.sched.spawn(
        "NDIS work item",
        Box::new(move || {
            // Off the queue before the routine runs: it may free the item, or queue it again.
            if let Some(item) = crate::host::context::kernel()
                .ndis
                .work
                .0
                .lock()
                .get_mut(&item)
            {
                item.queued = false;
            }
            driver::invoke("NDIS work item routine", routine, &[context, item]);
        }),
    );
}

extern "win64" fn free(item: usize) {
    let ndis = &kernel().ndis;
    let removed = ndis.work.0.lock().remove(&item);
    match removed {
        None => rules::violate(
            &WORK_ITEM,
            format!("NdisFreeIoWorkItem: {item:#x} is no live work item"),
        ),
        Some(state) if state.queued => {
            rules::violate(
                &WORK_ITEM,
                format!("work item {item:#x} freed while it is queued"),
            );
        }
        Some(_) => {}
    }
    ndis.objects.remove(item, Kind::WorkItem);
}

/// Queued work items of an adapter, in words.
pub(crate) fn queued_for(owner: usize) -> Vec<String> {
    let items = kernel()
        .ndis
        .work
        .0
        .lock()
        .values()
        .filter(|item| item.owner == owner && item.queued)
        .count();
    (items != 0)
        .then(|| format!("{items} queued work items"))
        .into_iter()
        .collect()
}
