//! The send path: who owns a list, for how long, and in what condition it comes back.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use ndis_sys::{self as sys, NET_BUFFER_LIST as List};
use spin::Mutex;

use super::adapter::{self, Adapter};
use super::contract::{SEND_DATA, SEND_DOUBLE, SEND_HANG, SEND_LINKS, SEND_TIME};
use super::driver::Handler;
use super::frame::SendList;
use super::list::{self, Built};
use super::nt;
use super::protocol::{SendOptions, Sent};
use super::send_record;
use crate::SECOND;
use crate::export::{Module, exports};
use crate::field;
use crate::host::context::kernel;
use crate::rules;
use crate::sched::events::Event;

exports! { Module::Ndis;
    NdisMSendNetBufferListsComplete = complete, 0..=2;
}

/// Longest send, and longest time without any progress, that Driver Verifier allows.
const SEND_LIMIT: u64 = 30 * SECOND;
const HANG_LIMIT: u64 = 22 * SECOND;
const LSO_SLOT: usize = 2;

#[derive(Debug)]
struct Record {
    id: u64,
    built: Built,
    since: u64,
    frames: usize,
    bytes: usize,
    lso: u64,
    reported: bool,
}

/// Lists that the driver has, and those that came back.
#[derive(Debug, Default)]
pub(crate) struct Sends {
    outstanding: Mutex<BTreeMap<usize, Record>>,
    done: Mutex<Vec<Sent>>,
    progress: AtomicU64,
    hang_reported: AtomicBool,
    watched: AtomicBool,
}

impl Sends {
    pub(crate) fn outstanding(&self) -> usize {
        self.outstanding.lock().len()
    }

    pub(crate) fn take_done(&self) -> Vec<Sent> {
        core::mem::take(&mut *self.done.lock())
    }

    /// What has been outstanding too long at `now`: identifiers of sends, and whether nothing moves.
    fn late(&self, now: u64) -> (Vec<u64>, bool) {
        let mut outstanding = self.outstanding.lock();
        let mut late = Vec::new();
        for record in outstanding.values_mut() {
            if now.saturating_sub(record.since) > SEND_LIMIT && !record.reported {
                record.reported = true;
                late.push(record.id);
            }
        }
        let oldest = outstanding.values().map(|record| record.since).min();
        drop(outstanding);
        let still = oldest.is_some_and(|oldest| {
            let last = self.progress.load(Ordering::Acquire).max(oldest);
            now.saturating_sub(last) > HANG_LIMIT
        });
        (
            late,
            still && !self.hang_reported.swap(true, Ordering::AcqRel),
        )
    }
}

/// Looks at the outstanding sends once a second of virtual time, for as long as there are any.
fn watch(adapter: &Arc<Adapter>) {
    if adapter.sends.watched.swap(true, Ordering::AcqRel) {
        return;
    }
    arm(adapter);
}

fn arm(adapter: &Arc<Adapter>) {
    let kernel = kernel();
    let watched = Arc::clone(adapter);
    let due = kernel.sched.now() + SECOND;
    kernel
        .sched
        .events
        .add(due, Event::Action(Box::new(move || check(&watched))));
}

fn check(adapter: &Arc<Adapter>) {
    let (late, still) = adapter.sends.late(kernel().sched.now());
    if still {
        rules::violate(
            &SEND_HANG,
            format!("no send completed for {} s", HANG_LIMIT / SECOND),
        );
    }
    if let Some(first) = late.first() {
        let what = format!(
            "{} sends are outstanding for {} s, the first is {first}",
            late.len(),
            SEND_LIMIT / SECOND
        );
        rules::violate(&SEND_TIME, what);
    }
    if adapter.sends.outstanding() == 0 {
        adapter.sends.watched.store(false, Ordering::Release);
    } else {
        arm(adapter);
    }
}

/// Sends lists as one chain. Returns their identifiers. Runs on a system thread.
pub(crate) fn submit(adapter: &Arc<Adapter>, lists: &[SendList], options: SendOptions) -> Vec<u64> {
    let kernel = kernel();
    let ids: Vec<u64> = lists.iter().map(|_| kernel.ndis.next_serial()).collect();
    let passes = adapter.state().may_send()
        && !adapter.pausing.is_completed()
        && (options.stray || !adapter.in_low_power());
    if !passes {
        let status = if adapter.in_low_power() {
            sys::NDIS_STATUS_LOW_POWER_STATE
        } else {
            sys::NDIS_STATUS_PAUSED
        };
        let time = kernel.sched.now();
        adapter.sends.done.lock().extend(ids.iter().map(|id| Sent {
            id: *id,
            status,
            time,
            by_ndis: true,
        }));
        return ids;
    }
    let now = kernel.sched.now();
    let mut chain = Vec::new();
    for (list, id) in lists.iter().zip(&ids) {
        assert!(!list.frames.is_empty(), "a list has at least one frame");
        let built = list::build(list, adapter.handle ^ 0x10);
        let lso = list
            .info
            .iter()
            .find(|(slot, _)| *slot == LSO_SLOT)
            .map_or(0, |(_, value)| *value);
        chain.push(built.at);
        let bytes = list.frames.iter().map(|frame| frame.bytes.len()).sum();
        let frames = list.frames.len();
        let record = Record {
            id: *id,
            built,
            since: now,
            frames,
            bytes,
            lso,
            reported: false,
        };
        adapter
            .sends
            .outstanding
            .lock()
            .insert(record.built.at, record);
    }
    for pair in chain.windows(2) {
        field!(pair[0] as *mut List, List, Next).store(pair[1] as *mut List);
    }
    watch(adapter);
    let mut flags = if options.check_loopback {
        sys::NDIS_SEND_FLAGS_CHECK_FOR_LOOPBACK
    } else {
        0
    };
    let first = chain.first().copied().unwrap_or(0);
    if options.dispatch.unwrap_or_else(|| kernel.sched.chance(2)) {
        flags |= sys::NDIS_SEND_FLAGS_DISPATCH_LEVEL;
        nt::at_dispatch(|| call(adapter, first, flags));
    } else {
        call(adapter, first, flags);
    }
    ids
}

fn call(adapter: &Arc<Adapter>, first: usize, flags: u32) {
    adapter.driver.call(
        Handler::Send,
        &[adapter.context(), first, 0, flags as usize],
    );
}

/// Asks the driver to give up queued sends that carry `cancel_id`.
pub(crate) fn cancel(adapter: &Arc<Adapter>, cancel_id: u64) {
    let id = usize::try_from(cancel_id).unwrap_or(0);
    let arguments = [adapter.context(), id];
    if kernel().sched.chance(2) {
        nt::at_dispatch(|| adapter.driver.call(Handler::CancelSend, &arguments));
    } else {
        adapter.driver.call(Handler::CancelSend, &arguments);
    }
}

extern "win64" fn complete(handle: usize, first: usize, flags: u32) {
    let adapter = adapter::of(handle, "NdisMSendNetBufferListsComplete");
    let dispatch = flags & sys::NDIS_SEND_COMPLETE_FLAGS_DISPATCH_LEVEL != 0;
    adapter::expect_no_lock("NdisMSendNetBufferListsComplete", dispatch);
    if first == 0 {
        rules::violate(
            &SEND_DOUBLE,
            "NdisMSendNetBufferListsComplete without a list",
        );
    }
    let mut at = first;
    while at != 0 {
        let record = adapter.sends.outstanding.lock().remove(&at);
        let Some(record) = record else {
            let block = kernel().pool.describe(at).unwrap_or_default();
            rules::violate(
                &SEND_DOUBLE,
                format!("{at:#x} is no list that the miniport has{block}"),
            );
            return;
        };
        let next = field!(at as *mut List, List, Next).load() as usize;
        finish(&adapter, record);
        at = next;
    }
}

fn finish(adapter: &Adapter, record: Record) {
    let kernel = kernel();
    let at = record.built.at;
    let status = field!(at as *mut List, List, Status).load();
    let lso = list::slot_of(at, LSO_SLOT).load();
    if let Some(what) = record.built.changed() {
        rules::violate(
            &SEND_LINKS,
            format!("send {} came back with other {what}", record.id),
        );
    }
    if record.built.data_changed() {
        rules::violate(
            &SEND_DATA,
            format!("send {} came back with other data", record.id),
        );
    }
    for (rule, what) in send_record::faults(status, record.lso, lso) {
        rules::violate(rule, format!("send {}: {what}", record.id));
    }
    let time = kernel.sched.now();
    adapter.sends.progress.store(time, Ordering::Release);
    adapter.sends.hang_reported.store(false, Ordering::Release);
    adapter.receives.count_send(
        status == sys::NDIS_STATUS_SUCCESS,
        record.frames,
        record.bytes,
    );
    adapter.sends.done.lock().push(Sent {
        id: record.id,
        status,
        time,
        by_ndis: false,
    });
    record.built.free();
}
