//! Remove locks: a count of users that removal waits for.

use wdk_sys::IO_REMOVE_LOCK;

use crate::export::{Module, exports};
use crate::field;
use crate::rules;

const STATUS_DELETE_PENDING: i32 = 0xC000_0056_u32.cast_signed();

exports! { Module::Ntoskrnl;
    IoInitializeRemoveLockEx = initialize, 0..=0;
    IoAcquireRemoveLockEx = acquire, 0..=2;
    IoReleaseRemoveLockEx = release, 0..=2;
    IoReleaseRemoveLockAndWaitEx = release_and_wait, 0..=0;
}

type Lock = *mut IO_REMOVE_LOCK;

extern "win64" fn initialize(lock: Lock, _tag: u32, _minutes: u32, _high: u32, _size: u32) {
    field!(lock, IO_REMOVE_LOCK, Common.Removed).store(0);
    field!(lock, IO_REMOVE_LOCK, Common.IoCount).store(1);
    let event = field!(lock, IO_REMOVE_LOCK, Common.RemoveEvent).pointer();
    crate::ke::object::initialize_event(event, 1, 0);
}

extern "win64" fn acquire(lock: Lock, _tag: usize, _file: usize, _line: u32, _size: u32) -> i32 {
    let count = field!(lock, IO_REMOVE_LOCK, Common.IoCount);
    if field!(lock, IO_REMOVE_LOCK, Common.Removed).load() != 0 {
        return STATUS_DELETE_PENDING;
    }
    count.store(count.load() + 1);
    0
}

extern "win64" fn release(lock: Lock, _tag: usize, _size: u32) {
    let count = field!(lock, IO_REMOVE_LOCK, Common.IoCount);
    let left = count.load() - 1;
    count.store(left);
    if left < 0 {
        rules::violate(&rules::REMOVE_LOCK, "released more often than acquired");
    }
    if left == 0 {
        let event = field!(lock, IO_REMOVE_LOCK, Common.RemoveEvent).pointer();
        crate::ke::object::set_event(event, 0, 0);
    }
}

extern "win64" fn release_and_wait(lock: Lock, tag: usize, size: u32) {
    if field!(lock, IO_REMOVE_LOCK, Common.Removed).load() != 0 {
        rules::violate(
            &rules::REMOVE_LOCK,
            "IoReleaseRemoveLockAndWait called twice",
        );
        return;
    }
    field!(lock, IO_REMOVE_LOCK, Common.Removed).store(1);
    // The caller's own reference, and the one made at initialisation.
    release(lock, tag, size);
    let count = field!(lock, IO_REMOVE_LOCK, Common.IoCount);
    count.store(count.load() - 1);
    if count.load() > 0 {
        let event = field!(lock, IO_REMOVE_LOCK, Common.RemoveEvent).address();
        crate::ke::wait::wait_for(&[event], false, None);
    }
}
