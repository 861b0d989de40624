//! Processors and groups: one group, numbered 0, with every processor active.

use wdk_sys::{GROUP_AFFINITY, PROCESSOR_NUMBER};

use crate::export::{Module, exports};
use crate::field;
use crate::host::context::kernel;
use crate::mem::guest::Guest;

const ALL_GROUPS: u16 = 0xFFFF;
const STATUS_INVALID_PARAMETER: i32 = 0xC000_000D_u32.cast_signed();

exports! { Module::Ntoskrnl;
    KeQueryActiveProcessorCount = active_count, 0..=2;
    KeQueryActiveProcessorCountEx = active_count_ex, 0..=2;
    KeQueryMaximumProcessorCount = maximum_count, 0..=15;
    KeQueryMaximumProcessorCountEx = active_count_ex, 0..=15;
    KeQueryActiveGroupCount = group_count, 0..=15;
    KeQueryMaximumGroupCount = group_count, 0..=15;
    KeQueryGroupAffinity = group_affinity, 0..=15;
    KeQueryActiveProcessors = active_mask, 0..=2;
    KeGetCurrentProcessorNumberEx = current_number_ex, 0..=15;
    KeGetCurrentProcessorIndex = current_index, 0..=15;
    KeGetProcessorNumberFromIndex = number_from_index, 0..=15;
    KeGetProcessorIndexFromNumber = index_from_number, 0..=15;
    KeSetSystemGroupAffinityThread = set_affinity, 0..=1;
    KeRevertToUserGroupAffinityThread = revert_affinity, 0..=1;
    KeSetSystemAffinityThreadEx = set_affinity_mask, 0..=1;
    KeRevertToUserAffinityThreadEx = revert_affinity_mask, 0..=1;
}

fn count() -> u32 {
    u32::try_from(kernel().sched.cpus().len()).unwrap_or(1)
}

fn mask() -> u64 {
    let count = count();
    if count >= 64 {
        u64::MAX
    } else {
        (1 << count) - 1
    }
}

extern "win64" fn active_count(active: *mut u64) -> u32 {
    if !active.is_null() {
        Guest::from(active).store(mask());
    }
    count()
}

extern "win64" fn active_count_ex(group: u16) -> u32 {
    if group == 0 || group == ALL_GROUPS {
        count()
    } else {
        0
    }
}

extern "win64" fn maximum_count() -> u32 {
    count()
}

extern "win64" fn group_count() -> u16 {
    1
}

extern "win64" fn group_affinity(group: u16) -> u64 {
    if group == 0 { mask() } else { 0 }
}

extern "win64" fn active_mask() -> u64 {
    mask()
}

fn store_number(out: *mut PROCESSOR_NUMBER, index: u32) {
    field!(out, PROCESSOR_NUMBER, Group).store(0);
    field!(out, PROCESSOR_NUMBER, Number).store(u8::try_from(index).unwrap_or(0));
    field!(out, PROCESSOR_NUMBER, Reserved).store(0);
}

extern "win64" fn current_number_ex(out: *mut PROCESSOR_NUMBER) -> u32 {
    let index = kernel().sched.cpu().index;
    if !out.is_null() {
        store_number(out, index);
    }
    index
}

extern "win64" fn current_index() -> u32 {
    kernel().sched.cpu().index
}

extern "win64" fn number_from_index(index: u32, out: *mut PROCESSOR_NUMBER) -> i32 {
    if index >= count() {
        return STATUS_INVALID_PARAMETER;
    }
    store_number(out, index);
    0
}

extern "win64" fn index_from_number(number: *const PROCESSOR_NUMBER) -> u32 {
    let group = field!(number, PROCESSOR_NUMBER, Group).load();
    let index = u32::from(field!(number, PROCESSOR_NUMBER, Number).load());
    if group == 0 && index < count() {
        index
    } else {
        u32::MAX
    }
}

/// Moves the running thread to the lowest processor of `wanted`, and returns the mask it ran under before.
fn move_to(wanted: u64) -> u64 {
    let kernel = kernel();
    let thread = kernel.sched.current();
    let before = 1_u64 << thread.cpu();
    let to = (wanted & mask()).trailing_zeros();
    if to < count() && to != thread.cpu() && thread.may_switch() {
        thread.set_cpu(to);
        *thread.state.lock() = crate::sched::thread::State::Ready;
        kernel.sched.push_ready(to, thread.id);
        kernel.sched.block();
    }
    before
}

extern "win64" fn set_affinity(affinity: *const GROUP_AFFINITY, previous: *mut GROUP_AFFINITY) {
    let before = move_to(field!(affinity, GROUP_AFFINITY, Mask).load());
    if !previous.is_null() {
        field!(previous, GROUP_AFFINITY, Mask).store(before);
        field!(previous, GROUP_AFFINITY, Group).store(0);
        field!(previous, GROUP_AFFINITY, Reserved).store([0; 3]);
    }
}

extern "win64" fn revert_affinity(previous: *const GROUP_AFFINITY) {
    move_to(field!(previous, GROUP_AFFINITY, Mask).load());
}

extern "win64" fn set_affinity_mask(wanted: u64) -> u64 {
    move_to(wanted)
}

extern "win64" fn revert_affinity_mask(previous: u64) {
    if previous != 0 {
        move_to(previous);
    }
}
