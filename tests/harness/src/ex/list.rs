//! Interlocked lists and interlocked arithmetic that NT exports as functions.

use wdk_sys::{LIST_ENTRY, SLIST_HEADER};

use crate::export::{Module, exports};
use crate::field;
use crate::host::context::kernel;
use crate::ke::spinlock;
use crate::mem::guest::Guest;

exports! { Module::Ntoskrnl;
    ExInterlockedInsertHeadList = insert_head, 0..=15;
    ExInterlockedInsertTailList = insert_tail, 0..=15;
    ExInterlockedRemoveHeadList = remove_head, 0..=15;
    InitializeSListHead = initialize, 0..=15;
    ExpInterlockedPushEntrySList = push, 0..=15;
    ExpInterlockedPopEntrySList = pop, 0..=15;
    ExpInterlockedFlushSList = flush, 0..=15;
    ExQueryDepthSList = depth, 0..=15;
}

fn locked<R>(lock: *mut usize, body: impl FnOnce() -> R) -> R {
    let before = kernel().sched.cpu().irql();
    kernel().sched.cpu().set_irql(15);
    spinlock::acquire(lock as usize);
    let result = body();
    spinlock::release(lock as usize);
    kernel().sched.cpu().set_irql(before);
    result
}

type Entry = *mut LIST_ENTRY;

fn link(before: Entry, entry: Entry, after: Entry) {
    field!(entry, LIST_ENTRY, Flink).store(after);
    field!(entry, LIST_ENTRY, Blink).store(before);
    field!(before, LIST_ENTRY, Flink).store(entry);
    field!(after, LIST_ENTRY, Blink).store(entry);
}

fn unless_empty(head: Entry, first: Entry) -> Entry {
    if head == first {
        core::ptr::null_mut()
    } else {
        first
    }
}

extern "win64" fn insert_head(head: Entry, entry: Entry, lock: *mut usize) -> Entry {
    locked(lock, || {
        let first = field!(head, LIST_ENTRY, Flink).load();
        link(head, entry, first);
        unless_empty(head, first)
    })
}

extern "win64" fn insert_tail(head: Entry, entry: Entry, lock: *mut usize) -> Entry {
    locked(lock, || {
        let last = field!(head, LIST_ENTRY, Blink).load();
        link(last, entry, head);
        unless_empty(head, last)
    })
}

extern "win64" fn remove_head(head: Entry, lock: *mut usize) -> Entry {
    locked(lock, || {
        let first = field!(head, LIST_ENTRY, Flink).load();
        if first == head {
            return core::ptr::null_mut();
        }
        let second = field!(first, LIST_ENTRY, Flink).load();
        field!(head, LIST_ENTRY, Flink).store(second);
        field!(second, LIST_ENTRY, Blink).store(head);
        first
    })
}

// The two words of SLIST_HEADER are this harness's own to lay out: depth in the first, first entry in
// the second. Drivers reach it only through these functions.
fn words(header: *mut SLIST_HEADER) -> (Guest<usize>, Guest<usize>) {
    let first = Guest::<usize>::new(header as usize);
    (first, first.index(1))
}

extern "win64" fn initialize(header: *mut SLIST_HEADER) {
    let (depth, first) = words(header);
    depth.store(0);
    first.store(0);
}

extern "win64" fn push(header: *mut SLIST_HEADER, entry: usize) -> usize {
    let (depth, first) = words(header);
    let before = first.load();
    Guest::<usize>::new(entry).store(before);
    first.store(entry);
    depth.store(depth.load() + 1);
    before
}

extern "win64" fn pop(header: *mut SLIST_HEADER) -> usize {
    let (depth, first) = words(header);
    let entry = first.load();
    if entry != 0 {
        first.store(Guest::<usize>::new(entry).load());
        depth.store(depth.load() - 1);
    }
    entry
}

extern "win64" fn flush(header: *mut SLIST_HEADER) -> usize {
    let (depth, first) = words(header);
    let entry = first.load();
    first.store(0);
    depth.store(0);
    entry
}

extern "win64" fn depth(header: *mut SLIST_HEADER) -> u16 {
    u16::try_from(words(header).0.load()).unwrap_or(u16::MAX)
}
