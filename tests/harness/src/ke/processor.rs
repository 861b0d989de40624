//! Processors and groups: groups of the same size, as `bcdedit /set groupsize` makes them, with every processor
//! active.

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

/// Processors in all groups up to `group`, at most all.
fn upto(group: u16) -> u32 {
    (u32::from(group) + 1)
        .saturating_mul(kernel().group_size)
        .min(count())
}

/// Processors of a group; 0 when there is no such group.
fn count_of(group: u16) -> u32 {
    let before = group.checked_sub(1).map_or(0, upto);
    upto(group) - before
}

/// The active processors of a group.
pub(crate) fn mask_of(group: u16) -> u64 {
    match count_of(group) {
        64.. => u64::MAX,
        count => (1 << count) - 1,
    }
}

/// Group and number of the processor with this index.
pub(crate) fn number_of(index: u32) -> PROCESSOR_NUMBER {
    let size = kernel().group_size;
    PROCESSOR_NUMBER {
        Group: u16::try_from(index / size).unwrap_or(u16::MAX),
        Number: u8::try_from(index % size).unwrap_or(0),
        Reserved: 0,
    }
}

/// Index of a processor by group and number; none when it does not exist.
pub(crate) fn index_of(group: u16, number: u8) -> Option<u32> {
    let inside = u32::from(number) < count_of(group);
    inside.then(|| u32::from(group) * kernel().group_size + u32::from(number))
}

extern "win64" fn active_count(active: *mut u64) -> u32 {
    if !active.is_null() {
        Guest::from(active).store(mask_of(0));
    }
    count_of(0)
}

extern "win64" fn active_count_ex(group: u16) -> u32 {
    if group == ALL_GROUPS {
        count()
    } else {
        count_of(group)
    }
}

extern "win64" fn maximum_count() -> u32 {
    count_of(0)
}

extern "win64" fn group_count() -> u16 {
    u16::try_from(count().div_ceil(kernel().group_size)).unwrap_or(1)
}

extern "win64" fn group_affinity(group: u16) -> u64 {
    mask_of(group)
}

extern "win64" fn active_mask() -> u64 {
    mask_of(0)
}

fn store_number(out: *mut PROCESSOR_NUMBER, index: u32) {
    let number = number_of(index);
    field!(out, PROCESSOR_NUMBER, Group).store(number.Group);
    field!(out, PROCESSOR_NUMBER, Number).store(number.Number);
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
    let number = field!(number, PROCESSOR_NUMBER, Number).load();
    index_of(group, number).unwrap_or(u32::MAX)
}

/// Moves the running thread to the lowest processor of `wanted` in `group`, and returns group and mask that it ran
/// under before.
fn move_to(group: u16, wanted: u64) -> (u16, u64) {
    let kernel = kernel();
    let thread = kernel.sched.current();
    let before = number_of(thread.cpu());
    let lowest = u8::try_from(wanted.trailing_zeros()).unwrap_or(u8::MAX);
    if let Some(to) = index_of(group, lowest)
        && to != thread.cpu()
        && thread.may_switch()
    {
        thread.set_cpu(to);
        *thread.state.lock() = crate::sched::thread::State::Ready;
        kernel.sched.push_ready(to, thread.id);
        kernel.sched.block();
    }
    (before.Group, 1 << before.Number)
}

extern "win64" fn set_affinity(affinity: *const GROUP_AFFINITY, previous: *mut GROUP_AFFINITY) {
    let (group, mask) = move_to(
        field!(affinity, GROUP_AFFINITY, Group).load(),
        field!(affinity, GROUP_AFFINITY, Mask).load(),
    );
    if !previous.is_null() {
        field!(previous, GROUP_AFFINITY, Mask).store(mask);
        field!(previous, GROUP_AFFINITY, Group).store(group);
        field!(previous, GROUP_AFFINITY, Reserved).store([0; 3]);
    }
}

extern "win64" fn revert_affinity(previous: *const GROUP_AFFINITY) {
    move_to(
        field!(previous, GROUP_AFFINITY, Group).load(),
        field!(previous, GROUP_AFFINITY, Mask).load(),
    );
}

extern "win64" fn set_affinity_mask(wanted: u64) -> u64 {
    move_to(0, wanted).1
}

extern "win64" fn revert_affinity_mask(previous: u64) {
    if previous != 0 {
        move_to(0, previous);
    }
}
