//! Events, semaphores and mutexes.

use alloc::format;
use wdk_sys::{DISPATCHER_HEADER, KEVENT, KMUTEX, KSEMAPHORE, LIST_ENTRY};

use super::wait::{self, kind};
use crate::export::{Module, exports};
use crate::field;
use crate::host::context::kernel;
use crate::mem::guest::Guest;
use crate::rules;

exports! { Module::Ntoskrnl;
    KeInitializeEvent = initialize_event, 0..=15;
    KeSetEvent = set_event, 0..=2;
    KeClearEvent = clear_event, 0..=2;
    KeResetEvent = reset_event, 0..=2;
    KeReadStateEvent = read_state, 0..=2;
    KePulseEvent = pulse_event, 0..=2;
    KeInitializeSemaphore = initialize_semaphore, 0..=15;
    KeReleaseSemaphore = release_semaphore, 0..=2;
    KeReadStateSemaphore = read_state, 0..=15;
    KeInitializeMutex = initialize_mutex, 0..=15;
    KeReleaseMutex = release_mutex, 0..=2;
    KeReadStateMutex = read_state, 0..=2;
}

/// Fills a dispatcher header: type, size in words, state, and an empty wait list.
pub(crate) fn initialize_header(object: usize, kind: u8, words: u8, signal: i32) {
    let header = Guest::<DISPATCHER_HEADER>::new(object).pointer();
    Guest::<[u8; 4]>::new(object).store([kind, 0, words, 0]);
    field!(header, DISPATCHER_HEADER, SignalState).store(signal);
    let list = field!(header, DISPATCHER_HEADER, WaitListHead);
    list.store(LIST_ENTRY {
        Flink: list.pointer(),
        Blink: list.pointer(),
    });
}

fn state(object: usize) -> Guest<i32> {
    field!(
        Guest::<DISPATCHER_HEADER>::new(object).pointer(),
        DISPATCHER_HEADER,
        SignalState
    )
}

fn expect_kind(object: usize, allowed: &[u8], what: &str) {
    let found = Guest::<u8>::new(object).load();
    if !allowed.contains(&found) {
        rules::die(
            &rules::OBJECT,
            format!("{object:#x} is no {what}: its type is {found}"),
        );
    }
}

const EVENTS: &[u8] = &[kind::NOTIFICATION_EVENT, kind::SYNCHRONIZATION_EVENT];

pub(crate) extern "win64" fn initialize_event(event: *mut KEVENT, of: i32, signaled: u8) {
    let kind = if of == 0 {
        kind::NOTIFICATION_EVENT
    } else {
        kind::SYNCHRONIZATION_EVENT
    };
    initialize_header(event as usize, kind, 6, i32::from(signaled != 0));
}

pub(crate) extern "win64" fn set_event(event: *mut KEVENT, _increment: i32, wait: u8) -> i32 {
    let event = event as usize;
    expect_kind(event, EVENTS, "event");
    if wait != 0 && kernel().sched.cpu().irql() != 0 {
        rules::violate(&rules::IRQL, "KeSetEvent with Wait above PASSIVE_LEVEL");
    }
    let before = state(event).load();
    state(event).store(1);
    if before <= 0 {
        wait::signaled(event);
    }
    before
}

extern "win64" fn clear_event(event: *mut KEVENT) {
    expect_kind(event as usize, EVENTS, "event");
    state(event as usize).store(0);
}

extern "win64" fn reset_event(event: *mut KEVENT) -> i32 {
    expect_kind(event as usize, EVENTS, "event");
    let before = state(event as usize).load();
    state(event as usize).store(0);
    before
}

extern "win64" fn pulse_event(event: *mut KEVENT, increment: i32, wait: u8) -> i32 {
    let before = set_event(event, increment, wait);
    state(event as usize).store(0);
    before
}

extern "win64" fn read_state(object: usize) -> i32 {
    state(object).load()
}

extern "win64" fn initialize_semaphore(semaphore: *mut KSEMAPHORE, count: i32, limit: i32) {
    initialize_header(semaphore as usize, kind::SEMAPHORE, 8, count);
    field!(semaphore, KSEMAPHORE, Limit).store(limit);
}

extern "win64" fn release_semaphore(
    semaphore: *mut KSEMAPHORE,
    _increment: i32,
    adjust: i32,
    _wait: u8,
) -> i32 {
    expect_kind(semaphore as usize, &[kind::SEMAPHORE], "semaphore");
    let before = state(semaphore as usize).load();
    let after = before.saturating_add(adjust);
    if after > field!(semaphore, KSEMAPHORE, Limit).load() || adjust <= 0 {
        rules::die(
            &rules::OBJECT,
            format!("semaphore {semaphore:p} released beyond its limit"),
        );
    }
    state(semaphore as usize).store(after);
    for _ in 0..adjust {
        wait::signaled(semaphore as usize);
    }
    before
}

extern "win64" fn initialize_mutex(mutex: *mut KMUTEX, _level: u32) {
    initialize_header(mutex as usize, kind::MUTANT, 14, 1);
    field!(mutex, KMUTEX, OwnerThread).store(core::ptr::null_mut());
    field!(mutex, KMUTEX, ApcDisable).store(1);
}

extern "win64" fn release_mutex(mutex: *mut KMUTEX, _wait: u8) -> i32 {
    expect_kind(mutex as usize, &[kind::MUTANT], "mutex");
    let owner = field!(mutex, KMUTEX, OwnerThread).load() as usize;
    let me = crate::ps::object_of(&kernel().sched.current());
    if owner != me {
        rules::die(
            &rules::MUTEX_OWNER,
            format!("mutex {mutex:p} is not owned by this thread"),
        );
    }
    let before = state(mutex as usize).load();
    state(mutex as usize).store(before + 1);
    if before == 0 {
        field!(mutex, KMUTEX, OwnerThread).store(core::ptr::null_mut());
        wait::signaled(mutex as usize);
    }
    before
}
