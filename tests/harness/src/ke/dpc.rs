//! Deferred procedure calls.

use alloc::format;
use wdk_sys::{KDPC, PROCESSOR_NUMBER};

use crate::driver;
use crate::export::{Module, exports};
use crate::field;
use crate::host::context::kernel;
use crate::mem::guest::Guest;
use crate::rules;
use crate::sched::deliver;

const DPC_OBJECT: u8 = 19;
const THREADED_DPC_OBJECT: u8 = 24;
const HIGH_IMPORTANCE: u8 = 2;
/// `KDPC.Number` of a DPC with a target: processor number plus this.
const TARGETED: u16 = 0x0800;
const STATUS_INVALID_PARAMETER: i32 = 0xC000_000D_u32.cast_signed();

exports! { Module::Ntoskrnl;
    KeInitializeDpc = initialize, 0..=15;
    KeInitializeThreadedDpc = initialize_threaded, 0..=15;
    KeInsertQueueDpc = insert, 0..=15;
    KeRemoveQueueDpc = remove, 0..=15;
    KeSetTargetProcessorDpc = set_target, 0..=15;
    KeSetTargetProcessorDpcEx = set_target_ex, 0..=15;
    KeSetImportanceDpc = set_importance, 0..=15;
    KeFlushQueuedDpcs = flush, 0..=0;
}

fn initialize_as(kind: u8, dpc: *mut KDPC, routine: usize, context: usize) {
    let at = Guest::<usize>::new(dpc as usize);
    for word in 0..size_of::<KDPC>() / 8 {
        at.index(word).store(0);
    }
    field!(dpc, KDPC, Type).store(kind);
    field!(dpc, KDPC, Importance).store(1);
    field!(dpc, KDPC, DeferredRoutine)
        .cast::<usize>()
        .store(routine);
    field!(dpc, KDPC, DeferredContext)
        .cast::<usize>()
        .store(context);
}

extern "win64" fn initialize(dpc: *mut KDPC, routine: usize, context: usize) {
    initialize_as(DPC_OBJECT, dpc, routine, context);
}

extern "win64" fn initialize_threaded(dpc: *mut KDPC, routine: usize, context: usize) {
    initialize_as(THREADED_DPC_OBJECT, dpc, routine, context);
}

fn expect_dpc(dpc: *mut KDPC) {
    let kind = field!(dpc, KDPC, Type).load();
    if kind != DPC_OBJECT && kind != THREADED_DPC_OBJECT {
        rules::die(
            &rules::OBJECT,
            format!("{dpc:p} is no initialised DPC: its type is {kind}"),
        );
    }
}

fn queued(dpc: *mut KDPC) -> Guest<usize> {
    field!(dpc, KDPC, DpcData).cast()
}

/// Queues the DPC for its target, or for processor `here`. False if it is queued already.
pub(crate) fn queue(dpc: *mut KDPC, here: u32, first: usize, second: usize) -> bool {
    expect_dpc(dpc);
    if queued(dpc).load() != 0 {
        return false;
    }
    let number = field!(dpc, KDPC, Number).load();
    let cpu = if number >= TARGETED {
        u32::from(number - TARGETED)
    } else {
        here
    };
    field!(dpc, KDPC, SystemArgument1)
        .cast::<usize>()
        .store(first);
    field!(dpc, KDPC, SystemArgument2)
        .cast::<usize>()
        .store(second);
    queued(dpc).store(cpu as usize + 1);
    let high = field!(dpc, KDPC, Importance).load() == HIGH_IMPORTANCE;
    kernel().sched.queue_dpc(cpu, dpc as usize, high);
    true
}

extern "win64" fn insert(dpc: *mut KDPC, first: usize, second: usize) -> u8 {
    let sched = &kernel().sched;
    let done = queue(dpc, sched.cpu().index, first, second);
    deliver::pending(sched);
    u8::from(done)
}

extern "win64" fn remove(dpc: *mut KDPC) -> u8 {
    expect_dpc(dpc);
    let cpu = queued(dpc).load();
    if cpu == 0 {
        return 0;
    }
    let was = kernel().sched.cpus()[cpu - 1].remove_dpc(dpc as usize);
    queued(dpc).store(0);
    u8::from(was)
}

/// Runs one dequeued DPC on the current stack, at `DISPATCH_LEVEL`.
pub(crate) fn run(dpc: usize) {
    let at = Guest::<KDPC>::new(dpc).pointer();
    let routine = field!(at, KDPC, DeferredRoutine).cast::<usize>().load();
    let context = field!(at, KDPC, DeferredContext).cast::<usize>().load();
    let first = field!(at, KDPC, SystemArgument1).cast::<usize>().load();
    let second = field!(at, KDPC, SystemArgument2).cast::<usize>().load();
    // Free to be queued again, even by its own routine.
    queued(at).store(0);
    let cpu = kernel().sched.cpu();
    *cpu.running_dpc.lock() = Some(dpc);
    driver::interrupt("DPC routine", routine, &[dpc, context, first, second]);
    *cpu.running_dpc.lock() = None;
}

extern "win64" fn set_target(dpc: *mut KDPC, cpu: i8) {
    expect_dpc(dpc);
    let cpu = u16::try_from(cpu).unwrap_or(0);
    if usize::from(cpu) >= kernel().sched.cpus().len() {
        rules::die(
            &rules::OBJECT,
            format!("KeSetTargetProcessorDpc: there is no processor {cpu}"),
        );
    }
    field!(dpc, KDPC, Number).store(TARGETED + cpu);
}

extern "win64" fn set_target_ex(dpc: *mut KDPC, number: *const PROCESSOR_NUMBER) -> i32 {
    expect_dpc(dpc);
    let group = field!(number, PROCESSOR_NUMBER, Group).load();
    let cpu = field!(number, PROCESSOR_NUMBER, Number).load();
    let index = super::processor::index_of(group, cpu).and_then(|index| u16::try_from(index).ok());
    let Some(index) = index else {
        return STATUS_INVALID_PARAMETER;
    };
    field!(dpc, KDPC, Number).store(TARGETED + index);
    0
}

extern "win64" fn set_importance(dpc: *mut KDPC, importance: i32) {
    expect_dpc(dpc);
    field!(dpc, KDPC, Importance).store(u8::try_from(importance).unwrap_or(1));
}

/// Waits until every DPC queued or running at the call has run.
extern "win64" fn flush() {
    let sched = &kernel().sched;
    deliver::pending(sched);
    for cpu in sched.cpus() {
        let mut turns = 0_u32;
        while (cpu.has_dpcs() || cpu.running_dpc.lock().is_some())
            && (turns < 10_000 || sched.is_parallel())
        {
            sched.lock.breathe(sched.cpu().index, turns + 1);
            sched.yield_now();
            // Those that were queued on this processor meanwhile interrupt the wait: nobody else runs them.
            deliver::pending(sched);
            turns = turns.saturating_add(1);
        }
    }
}
