//! IRQL as drivers change it, critical regions, and bug checks.

use alloc::format;
use alloc::string::String;
use core::sync::atomic::Ordering;

use crate::export::{Module, exports};
use crate::host::context::kernel;
use crate::rules;
use crate::sched::deliver;

/// DPCs and spin locks.
pub(crate) const DISPATCH: u8 = 2;

exports! { Module::Ntoskrnl;
    KeGetCurrentIrql = get, 0..=15;
    KfRaiseIrql = raise, 0..=15;
    KeRaiseIrqlToDpcLevel = raise_to_dispatch, 0..=2;
    KeLowerIrql = lower, 0..=15;
    KfLowerIrql = lower, 0..=15;
    KeEnterCriticalRegion = enter_region, 0..=1;
    KeLeaveCriticalRegion = leave_region, 0..=1;
    KeEnterGuardedRegion = enter_region, 0..=1;
    KeLeaveGuardedRegion = leave_region, 0..=1;
    KeAreApcsDisabled = apcs_disabled, 0..=2;
    KeBugCheckEx = bug_check_ex, 0..=15;
    KeBugCheck = bug_check, 0..=15;
}

extern "win64" fn get() -> u8 {
    kernel().sched.cpu().irql()
}

/// Raises, and returns the level before.
pub(crate) extern "win64" fn raise(to: u8) -> u8 {
    let cpu = kernel().sched.cpu();
    if to < cpu.irql() {
        rules::violate(
            &rules::IRQL_DIRECTION,
            format!("raise from {} to {to}", cpu.irql()),
        );
    }
    cpu.set_irql(to)
}

extern "win64" fn raise_to_dispatch() -> u8 {
    raise(DISPATCH)
}

extern "win64" fn lower(to: u8) {
    let sched = &kernel().sched;
    let cpu = sched.cpu();
    if to > cpu.irql() {
        rules::violate(
            &rules::IRQL_DIRECTION,
            format!("lower from {} to {to}", cpu.irql()),
        );
    }
    if to < DISPATCH && !cpu.held.lock().is_empty() {
        rules::violate(
            &rules::LOCK_BALANCE,
            format!("lowered to IRQL {to} with a spin lock held"),
        );
    }
    deliver::lower(sched, to);
}

extern "win64" fn enter_region() {
    kernel()
        .sched
        .current()
        .regions
        .fetch_add(1, Ordering::AcqRel);
}

extern "win64" fn leave_region() {
    if kernel()
        .sched
        .current()
        .regions
        .fetch_sub(1, Ordering::AcqRel)
        == 0
    {
        kernel().sched.current().regions.store(0, Ordering::Release);
        rules::violate(
            &rules::REGION,
            "left a critical region that was not entered",
        );
    }
}

extern "win64" fn apcs_disabled() -> u8 {
    u8::from(kernel().sched.current().regions.load(Ordering::Acquire) != 0)
}

extern "win64" fn bug_check_ex(code: u32, a: usize, b: usize, c: usize, d: usize) {
    // The drivers' panic handler passes a file name and a line; show a readable string if there is one.
    let text = [a, b, c, d]
        .into_iter()
        .find_map(readable)
        .unwrap_or_default();
    rules::die(
        &rules::BUGCHECK,
        format!("bug check {code:#x} ({a:#x}, {b:#x}, {c:#x}, {d:#x}){text}"),
    );
}

fn readable(address: usize) -> Option<String> {
    let mut bytes = [0_u8; 96];
    kernel().space.read(address, &mut bytes)?;
    let len = bytes
        .iter()
        .take_while(|byte| (0x20..0x7F).contains(*byte))
        .count();
    (len >= 4).then(|| format!(" {:?}", String::from_utf8_lossy(&bytes[..len])))
}

extern "win64" fn bug_check(code: u32) {
    rules::die(&rules::BUGCHECK, format!("bug check {code:#x}"));
}
