//! Threads as drivers see them (`Ps`).

use alloc::boxed::Box;
use core::sync::atomic::Ordering;

use crate::driver;
use crate::export::{Module, exports, told_to_fail};
use crate::host::context::kernel;
use crate::ke::{object, wait};
use crate::mem::guest::Guest;
use crate::ob;
use crate::rules;
use crate::sched::thread::Thread;

const STATUS_INSUFFICIENT_RESOURCES: i32 = 0xC000_009A_u32.cast_signed();

exports! { Module::Ntoskrnl;
    PsCreateSystemThread = create, 0..=0, fallible;
    PsTerminateSystemThread = terminate, 0..=0;
    PsGetCurrentThreadId = current_id, 0..=15;
    PsGetCurrentThread = current, 0..=15;
    KeGetCurrentThread = current, 0..=15;
    IoGetCurrentProcess = process, 0..=15;
    PsGetCurrentProcessId = process_id, 0..=15;
    KeSetPriorityThread = set_priority, 0..=0;
    KeSetBasePriorityThread = set_priority, 0..=0;
}

/// Address of the thread's KTHREAD; made on first use.
pub(crate) fn object_of(thread: &Thread) -> usize {
    let at = thread.object.load(Ordering::Acquire);
    if at != 0 {
        return at;
    }
    let fresh = kernel().pool.allocate_own(0x400);
    object::initialize_header(fresh, wait::kind::THREAD, 0, 0);
    thread.object.store(fresh, Ordering::Release);
    fresh
}

/// The running thread's body has returned.
pub(crate) fn ended() {
    let kernel = kernel();
    let thread = kernel.sched.current();
    let at = thread.object.load(Ordering::Acquire);
    if at != 0 {
        Guest::<i32>::new(at + 4).store(1);
        wait::signaled(at);
    }
}

extern "win64" fn create(
    handle: *mut usize,
    _access: u32,
    _attributes: usize,
    _process: usize,
    _client: usize,
    routine: usize,
    context: usize,
) -> i32 {
    if told_to_fail() {
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    let kernel = kernel();
    let owner = crate::ex::pool::calling_driver();
    let id = kernel.sched.spawn(
        "system thread",
        Box::new(move || {
            driver::invoke("system thread routine", routine, &[context]);
        }),
    );
    let Some(thread) = kernel.sched.thread(id) else {
        return STATUS_INSUFFICIENT_RESOURCES;
    };
    let object = object_of(&thread);
    Guest::from(handle).store(kernel.handles.open(ob::Target::Object(object), owner));
    0
}

extern "win64" fn terminate(status: u32) -> i32 {
    let kernel = kernel();
    let thread = kernel.sched.current();
    thread.exit_status.store(status, Ordering::Release);
    if !kernel.sched.cpu().held.lock().is_empty() {
        rules::violate(&rules::LOCK_BALANCE, "a thread ended with a spin lock held");
    }
    thread.frames.lock().clear();
    ended();
    kernel.sched.terminate()
}

extern "win64" fn current() -> usize {
    object_of(&kernel().sched.current())
}

extern "win64" fn current_id() -> usize {
    kernel().sched.current().id as usize * 4
}

extern "win64" fn process() -> usize {
    4
}

extern "win64" fn process_id() -> usize {
    4
}

extern "win64" fn set_priority(_thread: usize, _priority: i32) -> i32 {
    8
}
