//! Waiting on dispatcher objects: events, timers, semaphores, mutexes, threads.

use alloc::format;
use alloc::vec::Vec;
use core::sync::atomic::Ordering;

use spin::Mutex;
use wdk_sys::{DISPATCHER_HEADER, KMUTEX, LARGE_INTEGER, NTSTATUS};

use crate::export::{Module, exports};
use crate::field;
use crate::host::context::kernel;
use crate::mem::guest::Guest;
use crate::rules;
use crate::sched::events::Event;
use crate::sched::thread::{State, Thread};

/// 100 ns units between 1601 and the virtual machine's start (in 2025).
pub(crate) const BOOT_TIME: u64 = 0x01DB_8000_0000_0000;

const STATUS_TIMEOUT: i32 = 0x102;

/// Object types of `DISPATCHER_HEADER.Type`.
pub(crate) mod kind {
    pub(crate) const NOTIFICATION_EVENT: u8 = 0;
    pub(crate) const SYNCHRONIZATION_EVENT: u8 = 1;
    pub(crate) const MUTANT: u8 = 2;
    pub(crate) const SEMAPHORE: u8 = 5;
    pub(crate) const THREAD: u8 = 6;
    pub(crate) const NOTIFICATION_TIMER: u8 = 8;
    pub(crate) const SYNCHRONIZATION_TIMER: u8 = 9;
}

exports! { Module::Ntoskrnl;
    KeWaitForSingleObject = wait_single, 0..=2;
    KeWaitForMultipleObjects = wait_multiple, 0..=2;
    KeDelayExecutionThread = delay, 0..=1;
}

/// What a blocked thread waits for.
#[derive(Debug)]
pub(crate) struct Wait {
    number: u64,
    objects: Vec<usize>,
    all: bool,
    result: Option<i32>,
}

/// Blocked threads, oldest first.
#[derive(Debug, Default)]
pub(crate) struct Waiters(Mutex<Vec<u32>>);

type Header = Guest<DISPATCHER_HEADER>;

fn header_kind(object: usize) -> u8 {
    Guest::<u8>::new(object).load()
}

fn state(object: usize) -> Guest<i32> {
    field!(
        Header::new(object).pointer(),
        DISPATCHER_HEADER,
        SignalState
    )
}

fn is_signaled(object: usize, thread: &Thread) -> bool {
    if state(object).load() > 0 {
        return true;
    }
    let mutex = Guest::<KMUTEX>::new(object);
    let owner = thread.object.load(Ordering::Acquire);
    header_kind(object) == kind::MUTANT
        && owner != 0
        && field!(mutex.pointer(), KMUTEX, OwnerThread).load() as usize == owner
}

/// What a satisfied wait does to the object.
fn consume(object: usize, thread: &Thread) {
    match header_kind(object) {
        kind::SYNCHRONIZATION_EVENT | kind::SYNCHRONIZATION_TIMER => state(object).store(0),
        kind::SEMAPHORE => state(object).store(state(object).load() - 1),
        kind::MUTANT => {
            state(object).store(state(object).load() - 1);
            let owner = crate::ps::object_of(thread);
            let mutex = Guest::<KMUTEX>::new(object);
            field!(mutex.pointer(), KMUTEX, OwnerThread).store(owner as *mut _);
        }
        _ => {}
    }
}

/// Tries to satisfy a wait now. The result is the index of the object, or 0 for all.
fn try_now(objects: &[usize], all: bool, thread: &Thread) -> Option<i32> {
    if all {
        if !objects.iter().all(|object| is_signaled(*object, thread)) {
            return None;
        }
        for object in objects {
            consume(*object, thread);
        }
        return Some(0);
    }
    let index = objects
        .iter()
        .position(|object| is_signaled(*object, thread))?;
    consume(objects[index], thread);
    i32::try_from(index).ok()
}

/// `object` may have become signaled: hands it to those who wait for it, oldest first.
pub(crate) fn signaled(object: usize) {
    let kernel = kernel();
    let waiting: Vec<u32> = kernel.waiters.0.lock().clone();
    for id in waiting {
        let Some(thread) = kernel.sched.thread(id) else {
            continue;
        };
        let mut slot = thread.wait.lock();
        let Some(wait) = slot.as_mut().filter(|wait| wait.objects.contains(&object)) else {
            continue;
        };
        if let Some(result) = try_now(&wait.objects, wait.all, &thread) {
            wait.result = Some(result);
            let number = wait.number;
            drop(slot);
            wake(&thread, number);
        }
    }
}

fn wake(thread: &Thread, number: u64) {
    let kernel = kernel();
    kernel.waiters.0.lock().retain(|id| *id != thread.id);
    kernel.sched.events.cancel_wait(thread.id, number);
    kernel.sched.make_ready(thread);
}

/// The timeout of a wait has come.
pub(crate) fn time_out(thread: u32, number: u64) {
    let Some(thread) = kernel().sched.thread(thread) else {
        return;
    };
    let mut slot = thread.wait.lock();
    if let Some(wait) = slot
        .as_mut()
        .filter(|wait| wait.number == number && wait.result.is_none())
    {
        wait.result = Some(STATUS_TIMEOUT);
        drop(slot);
        wake(&thread, number);
    }
}

/// Absolute virtual time of a driver's timeout: negative is relative, positive counts from 1601.
pub(crate) fn due_time(value: i64) -> u64 {
    let now = kernel().sched.now();
    if value <= 0 {
        now.saturating_add(value.unsigned_abs())
    } else {
        value.unsigned_abs().saturating_sub(BOOT_TIME)
    }
}

/// Blocks until the objects are signaled or `due` has come.
pub(crate) fn wait_for(objects: &[usize], all: bool, due: Option<u64>) -> NTSTATUS {
    let kernel = kernel();
    let thread = kernel.sched.current();
    if let Some(result) = try_now(objects, all, &thread) {
        return result;
    }
    if due.is_some_and(|due| due <= kernel.sched.now()) {
        return STATUS_TIMEOUT;
    }
    let irql = kernel.sched.cpu().irql();
    if irql > 1 {
        rules::die(
            &rules::WAIT_IRQL,
            format!("a wait that blocks at IRQL {irql}"),
        );
    }
    if !kernel.sched.cpu().held.lock().is_empty() {
        rules::violate(
            &rules::WAIT_IRQL,
            "a wait that blocks with a spin lock held",
        );
    }
    let number = thread.wait_count.fetch_add(1, Ordering::AcqRel);
    *thread.wait.lock() = Some(Wait {
        number,
        objects: objects.to_vec(),
        all,
        result: None,
    });
    *thread.state.lock() = State::Waiting;
    kernel.waiters.0.lock().push(thread.id);
    if let Some(due) = due {
        kernel
            .sched
            .events
            .add(due, Event::WaitTimeout(thread.id, number));
    }
    kernel.sched.block();
    kernel.sched.cpu().set_irql(irql);
    let done = thread.wait.lock().take();
    done.and_then(|wait| wait.result).unwrap_or(STATUS_TIMEOUT)
}

fn timeout(pointer: *const LARGE_INTEGER) -> Option<u64> {
    (!pointer.is_null()).then(|| due_time(Guest::from(pointer).cast::<i64>().load()))
}

fn check_objects(objects: &[usize]) {
    for object in objects {
        if !matches!(header_kind(*object), 0 | 1 | 2 | 5 | 6 | 8 | 9) {
            rules::die(
                &rules::OBJECT,
                format!("{object:#x} is no dispatcher object"),
            );
        }
    }
}

extern "win64" fn wait_single(
    object: usize,
    _reason: i32,
    _mode: i8,
    _alertable: u8,
    limit: *const LARGE_INTEGER,
) -> NTSTATUS {
    check_objects(&[object]);
    wait_for(&[object], false, timeout(limit))
}

extern "win64" fn wait_multiple(
    count: u32,
    objects: *const usize,
    kind: i32,
    _reason: i32,
    _mode: i8,
    _alertable: u8,
    limit: *const LARGE_INTEGER,
    blocks: usize,
) -> NTSTATUS {
    // THREAD_WAIT_OBJECTS: more need the caller's own wait blocks; MAXIMUM_WAIT_OBJECTS is the end.
    if count > 64 || (count > 3 && blocks == 0) {
        rules::die(
            &rules::OBJECT,
            format!("a wait for {count} objects without wait blocks for them"),
        );
    }
    let list: Vec<usize> = (0..count as usize)
        .map(|index| Guest::from(objects).index(index).load())
        .collect();
    check_objects(&list);
    wait_for(&list, kind == 0, timeout(limit))
}

extern "win64" fn delay(_mode: i8, _alertable: u8, interval: *const LARGE_INTEGER) -> NTSTATUS {
    let due = timeout(interval).unwrap_or(0).max(kernel().sched.now() + 1);
    wait_for(&[], false, Some(due));
    0
}
