//! Timer objects: a `KTIMER` and a `KDPC` of NDIS's, with the miniport's function as the DPC routine.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use ndis_sys::{self as sys, NDIS_STATUS, NDIS_TIMER_CHARACTERISTICS as Characteristics};
use wdk_sys::{KDPC, KTIMER};

use super::adapter;
use super::contract::TIMER;
use super::object::{Kind, Object};
use super::{handle, header};
use crate::export::{Module, exports, told_to_fail};
use crate::field;
use crate::host::context::kernel;
use crate::ke::{object, wait};
use crate::mem::guest::Guest;
use crate::rules;
use crate::sched::events::Event;

exports! { Module::Ndis;
    NdisAllocateTimerObject = allocate, 0..=2, fallible;
    NdisSetTimerObject = set, 0..=2;
    NdisCancelTimerObject = cancel, 0..=2;
    NdisFreeTimerObject = free, 0..=2;
}

const DPC: usize = size_of::<KTIMER>();
/// Where the default context is kept.
const CONTEXT: usize = DPC + size_of::<KDPC>();
const SIZE: usize = CONTEXT + 16;

extern "win64" fn allocate(owner: usize, at: *mut Characteristics, out: *mut usize) -> NDIS_STATUS {
    let fail = told_to_fail();
    adapter::expect_handle(owner, "NdisAllocateTimerObject");
    let kernel = kernel();
    if !header::TIMER.accept(at as usize, kernel.ndis.minor()) {
        return sys::NDIS_STATUS_BAD_VERSION;
    }
    let function = field!(at, Characteristics, TimerFunction)
        .cast::<usize>()
        .load();
    if !kernel.space.executable(function) {
        rules::violate(&TIMER, format!("TimerFunction {function:#x} is no code"));
        return sys::NDIS_STATUS_INVALID_PARAMETER;
    }
    if field!(at, Characteristics, AllocationTag).load() == 0 {
        rules::violate(&TIMER, "a timer object without a tag");
    }
    if fail {
        return sys::NDIS_STATUS_RESOURCES;
    }
    let context = field!(at, Characteristics, FunctionContext)
        .cast::<usize>()
        .load();
    let block = kernel.pool.allocate_own(SIZE);
    object::initialize_header(block, wait::kind::NOTIFICATION_TIMER, 16, 0);
    let dpc = (block + DPC) as *mut KDPC;
    // A DPC object of medium importance.
    field!(dpc, KDPC, Type).store(19);
    field!(dpc, KDPC, Importance).store(1);
    field!(dpc, KDPC, DeferredRoutine)
        .cast::<usize>()
        .store(function);
    field!(block as *mut KTIMER, KTIMER, Dpc).store(dpc);
    Guest::<usize>::new(block + CONTEXT).store(context);
    let timer = handle::fresh();
    kernel.ndis.objects.add(timer, Kind::Timer, owner, 0, block);
    Guest::from(out).store(timer);
    sys::NDIS_STATUS_SUCCESS
}

fn find(timer: usize, what: &str) -> Object {
    kernel()
        .ndis
        .objects
        .get(timer, Kind::Timer)
        .unwrap_or_else(|| {
            rules::die(
                &TIMER,
                format!("{what}: {timer:#x} is no live timer object"),
            );
        })
}

extern "win64" fn set(timer: usize, due: i64, period: i32, context: usize) -> u8 {
    let block = find(timer, "NdisSetTimerObject").size;
    let events = &kernel().sched.events;
    let was = events.cancel_timer(block);
    let context = if context == 0 {
        Guest::<usize>::new(block + CONTEXT).load()
    } else {
        context
    };
    let raw = block as *mut KTIMER;
    let dpc = (block + DPC) as *mut KDPC;
    field!(dpc, KDPC, DeferredContext)
        .cast::<usize>()
        .store(context);
    field!(raw, KTIMER, Header.SignalState).store(0);
    field!(raw, KTIMER, Period).store(u32::try_from(period).unwrap_or(0));
    events.add(wait::due_time(due), Event::Timer(block));
    u8::from(was)
}

fn is_periodic(block: usize) -> bool {
    field!(block as *mut KTIMER, KTIMER, Period).load() != 0
}

extern "win64" fn cancel(timer: usize) -> u8 {
    let block = find(timer, "NdisCancelTimerObject").size;
    if is_periodic(block) && kernel().sched.cpu().irql() != 0 {
        rules::violate(
            &TIMER,
            "a periodic timer object cancelled above PASSIVE_LEVEL",
        );
    }
    u8::from(kernel().sched.events.cancel_timer(block))
}

/// What is still going on with a timer's block.
fn busy(block: usize) -> Option<&'static str> {
    let kernel = kernel();
    if kernel
        .sched
        .events
        .timer_between(block, block + 1)
        .is_some()
    {
        return Some("set");
    }
    let dpc = block + DPC;
    let cpus = kernel.sched.cpus();
    if cpus
        .iter()
        .any(|cpu| cpu.dpc_between(dpc, dpc + 1).is_some())
    {
        return Some("queued");
    }
    cpus.iter()
        .any(|cpu| *cpu.running_dpc.lock() == Some(dpc))
        .then_some("running")
}

extern "win64" fn free(timer: usize) {
    let object = find(timer, "NdisFreeTimerObject");
    let kernel = kernel();
    if let Some(what) = busy(object.size) {
        rules::violate(&TIMER, format!("a timer object freed while it is {what}"));
        kernel.sched.events.cancel_timer(object.size);
        for cpu in kernel.sched.cpus() {
            cpu.remove_dpc(object.size + DPC);
        }
    }
    kernel.ndis.objects.remove(timer, Kind::Timer);
    kernel.pool.free(object.size, None);
}

/// Timers of an adapter that are set or running, in words.
pub(crate) fn set_for(owner: usize) -> Vec<String> {
    let timers = kernel().ndis.objects.blocks_of(owner, Kind::Timer);
    timers
        .into_iter()
        .filter_map(busy)
        .map(|what| format!("a timer object {what}"))
        .collect()
}
