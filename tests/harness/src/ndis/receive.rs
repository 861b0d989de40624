//! The receive path: what is indicated, who holds it, and how it goes back.

use alloc::collections::BTreeSet;
use alloc::format;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU64, Ordering};

use ndis_sys::{self as sys, NET_BUFFER as Buffer, NET_BUFFER_LIST as List};
use spin::Mutex;

use super::adapter::{self, Adapter};
use super::contract::{POWER, RECEIVE_CHAIN, RECEIVE_OWNER};
use super::driver::Handler;
use super::object::Kind;
use super::protocol::{self, Received};
use super::receive_rules::{self, LEFT_OVER, Limits, SLOTS, Seen};
use super::state::State;
use super::{list, mdl, nt};
use crate::export::{Module, exports};
use crate::field;
use crate::host::context::kernel;
use crate::mem::guest::write_bytes;
use crate::rules;

exports! { Module::Ndis;
    NdisMIndicateReceiveNetBufferLists = indicate, 0..=2;
}

/// What passed through an adapter, as NDIS saw it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Calls of `NdisMIndicateReceiveNetBufferLists`.
    pub indications: u64,
    /// Frames received, and their bytes.
    pub received_frames: u64,
    /// Bytes of them.
    pub received_bytes: u64,
    /// Frames whose send succeeded.
    pub sent_frames: u64,
    /// Bytes of them.
    pub sent_bytes: u64,
    /// Lists whose send failed.
    pub failed_sends: u64,
}

/// Lists that the protocol holds, and what was counted.
#[derive(Debug, Default)]
pub(crate) struct Receives {
    held: Mutex<BTreeSet<usize>>,
    inside: AtomicU64,
    counters: Mutex<Counters>,
}

impl Receives {
    /// Lists not returned yet, and indications that have not returned.
    pub(crate) fn outstanding(&self) -> usize {
        self.held.lock().len() + usize::try_from(self.inside.load(Ordering::Acquire)).unwrap_or(0)
    }

    pub(crate) fn counters(&self) -> Counters {
        *self.counters.lock()
    }

    /// Whether the protocol holds the list.
    pub(crate) fn holds(&self, list: usize) -> bool {
        self.held.lock().contains(&list)
    }

    pub(crate) fn count_send(&self, success: bool, frames: usize, bytes: usize) {
        let mut counters = self.counters.lock();
        if success {
            counters.sent_frames += frames as u64;
            counters.sent_bytes += bytes as u64;
        } else {
            counters.failed_sends += 1;
        }
    }

    fn count_receive(&self, lists: &[Received]) {
        let mut counters = self.counters.lock();
        counters.indications += 1;
        counters.received_frames += lists.len() as u64;
        counters.received_bytes += lists
            .iter()
            .map(|list| list.bytes.len() as u64)
            .sum::<u64>();
    }
}

/// Longest chain that is followed: more is a loop.
const CHAIN: usize = 65_536;

extern "win64" fn indicate(handle: usize, first: usize, port: u32, count: u32, flags: u32) {
    let adapter = adapter::of(handle, "NdisMIndicateReceiveNetBufferLists");
    let dispatch = flags & sys::NDIS_RECEIVE_FLAGS_DISPATCH_LEVEL != 0;
    adapter::expect_no_lock("NdisMIndicateReceiveNetBufferLists", dispatch);
    let legal = adapter.expect_state(State::may_receive, "received frames indicated");
    if adapter.in_low_power() {
        rules::violate(&POWER, "received frames indicated in a low-power state");
    }
    if port != 0 {
        rules::violate(&RECEIVE_CHAIN, format!("port {port}"));
    }
    let resources = flags & sys::NDIS_RECEIVE_FLAGS_RESOURCES != 0;
    let lists = walk(&adapter, first);
    if lists.len() != count as usize || lists.is_empty() {
        let what = format!(
            "{} lists in the chain, NumberOfNetBufferLists is {count}",
            lists.len()
        );
        rules::violate(&RECEIVE_CHAIN, what);
    }
    let limits = limits(&adapter);
    let received: Vec<Received> = lists
        .iter()
        .filter_map(|at| take(&adapter, *at, flags, &limits))
        .collect();
    adapter.receives.count_receive(&received);
    if !resources {
        adapter.receives.held.lock().extend(lists.iter().copied());
    }
    adapter.receives.inside.fetch_add(1, Ordering::AcqRel);
    let deliver = legal && limits.filter != 0;
    protocol::received(
        &adapter,
        received,
        if resources { &[] } else { &lists },
        deliver,
    );
    adapter.receives.inside.fetch_sub(1, Ordering::AcqRel);
    if resources {
        for at in lists {
            spoil(at);
        }
    }
}

/// The lists of a chain, up to the first that is not the driver's to indicate.
fn walk(adapter: &Adapter, first: usize) -> Vec<usize> {
    let kernel = kernel();
    let mut lists = Vec::new();
    let mut at = first;
    while at != 0 && lists.len() < CHAIN {
        if kernel.ndis.objects.get(at, Kind::List).is_none() {
            let block = kernel.pool.describe(at).unwrap_or_default();
            rules::violate(
                &RECEIVE_OWNER,
                format!("{at:#x} is no list of an NDIS pool{block}"),
            );
            break;
        }
        if adapter.receives.holds(at) || lists.contains(&at) {
            rules::violate(
                &RECEIVE_OWNER,
                format!("list {at:#x} is indicated already and was not returned"),
            );
            break;
        }
        lists.push(at);
        at = field!(at as *mut List, List, Next).load() as usize;
    }
    lists
}

fn limits(adapter: &Adapter) -> Limits {
    let attributes = adapter.attributes.lock();
    let general = attributes.general.clone().unwrap_or_default();
    Limits {
        total: attributes.longest_mtu as usize + 14,
        lookahead: general.lookahead as usize,
        filter: adapter.filter.load(Ordering::Acquire),
        address: general.current_address,
        no_units: adapter
            .requests
            .no_units
            .each_ref()
            .map(|off| off.load(Ordering::Acquire)),
    }
}

/// Reads and checks one list.
fn take(adapter: &Adapter, at: usize, flags: u32, limits: &Limits) -> Option<Received> {
    let raw = at as *mut List;
    let first = field!(raw, List, FirstNetBuffer).load();
    let mut buffers = 0;
    let mut buffer = first;
    while !buffer.is_null() && buffers < 16 {
        buffers += 1;
        buffer = field!(buffer, Buffer, Next).load();
    }
    let (length, bytes, in_first) = if first.is_null() {
        (0, None, 0)
    } else {
        read(first)
    };
    let mut info = [0; SLOTS];
    for (index, value) in info.iter_mut().enumerate() {
        *value = list::slot_of(at, index).load();
    }
    let seen = Seen {
        buffers,
        source_is_adapter: field!(raw, List, SourceHandle).load() as usize == adapter.handle,
        status: field!(raw, List, Status).load(),
        length,
        bytes,
        first: in_first,
        info,
        flags,
    };
    for (rule, what) in receive_rules::faults(&seen, limits) {
        rules::violate(rule, what);
    }
    let kernel = kernel();
    Some(Received {
        bytes: seen.bytes?,
        info: seen.info,
        flags,
        cpu: kernel.sched.cpu().index,
        time: kernel.sched.now(),
    })
}

/// Length of a frame, its bytes, and how many of them are in the MDL it begins in.
fn read(buffer: *mut Buffer) -> (usize, Option<Vec<u8>>, usize) {
    let current = field!(buffer, Buffer, CurrentMdl).load() as usize;
    let offset = field!(buffer, Buffer, CurrentMdlOffset).load() as usize;
    let length = field!(buffer, Buffer, stDataLength).cast::<u32>().load() as usize;
    if current == 0 || length > 1 << 20 {
        return (length, None, 0);
    }
    let in_first = mdl::piece(current).len.saturating_sub(offset).min(length);
    (length, mdl::read_chain(current, offset, length), in_first)
}

/// Leaves marks in everything of a list that the next user must set anew.
fn spoil(at: usize) {
    for index in 0..SLOTS {
        list::slot_of(at, index).store(LEFT_OVER | index as u64);
    }
    let from = core::mem::offset_of!(List, ProtocolReserved);
    write_bytes(at + from, &[0x9B; 32]);
    field!(at as *mut List, List, Scratch)
        .cast::<usize>()
        .store(0x9B9B_9B9B);
}

/// Gives lists back to the driver as one chain, in the order given. Lists that are not held are left out.
pub(crate) fn give_back(adapter: &Arc<Adapter>, lists: &[usize], dispatch: bool) {
    let lists: Vec<usize> = {
        let mut held = adapter.receives.held.lock();
        lists.iter().copied().filter(|at| held.remove(at)).collect()
    };
    let Some(first) = lists.first().copied() else {
        return;
    };
    for (index, at) in lists.iter().enumerate() {
        let next = lists.get(index + 1).copied().unwrap_or(0);
        field!(*at as *mut List, List, Next).store(next as *mut List);
        spoil(*at);
    }
    let context = adapter.context();
    let already = kernel().sched.cpu().irql() == 2;
    let call = |flags: u32| {
        adapter
            .driver
            .call(Handler::Return, &[context, first, flags as usize]);
    };
    let flag = sys::NDIS_RETURN_FLAGS_DISPATCH_LEVEL;
    if already {
        call(flag);
    } else if dispatch {
        nt::at_dispatch(|| call(flag));
    } else {
        call(0);
    }
}
