//! An adapter: what the handlers, the DPCs and the connection thread share.
#![allow(
    unsafe_code,
    reason = "gives NDIS lists and status under its handle; each block says why it may"
)]

use alloc::vec::Vec;
use core::ptr::NonNull;
use core::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use core::time::Duration;

use interface::SuspendPhase;
use ndis::addresses::{AddressList, Protocol};
use ndis::chain::{CompletionSink, Nbl, NblChain, NdisCompletions, RxChain};
use ndis::indication::{Indicator, Link};
use ndis::rss::MAX_ENTRIES;
use ndis::{NdisVersion, Status};
use ndis_sys as sys;
use ndis_sys::NDIS_HANDLE;
use netfront_core::announce::Addresses;
use netfront_core::tx::{Transition, TxBroken};
use netif::features::Features;
use nt::dpc::Dpc;
use nt::irql::{AtMostDispatch, Dispatch, Passive};
use nt::processor::ProcessorNumber;
use nt::spinlock::SpinLock;
use rss::HashTypes;

use crate::attributes::{DEFAULT_SPEED, Identity};
use crate::bus::Bus;
use crate::drain::Drain;
use crate::error_log;
use crate::frame_kind::Filter;
use crate::keywords::{ETHERNET_HEADER, Keywords, MtuLimits};
use crate::mail::{Mail, Messages};
use crate::offload::OffloadState;
use crate::power::PowerState;
use crate::queue::{Queue, Reaped, Targets, queue_of};
use crate::scaling::{Hashing, TableIndices};
use crate::statistics::{Coalescing, Statistics};
use crate::text::{Path, Value};
use crate::trace;

/// How long a power-down waits for the backend to let go. NDIS wants an answer within 12 s
/// (Driver Verifier, `NdisTimedOidComplete`).
const POWER_DOWN: Duration = Duration::from_secs(8);

/// The handle NDIS knows the adapter by.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NdisHandle(NDIS_HANDLE);

// SAFETY: NDIS takes its handles from any thread.
unsafe impl Send for NdisHandle {}
// SAFETY: as above.
unsafe impl Sync for NdisHandle {}

impl NdisHandle {
    /// # Safety
    /// The handle of an adapter that is not halted while this lives.
    pub(crate) unsafe fn new(handle: NDIS_HANDLE) -> Self {
        Self(handle)
    }

    /// For NDIS.
    pub(crate) fn get(self) -> NDIS_HANDLE {
        self.0
    }
}

/// What keeps lists from being taken; bits of [`Adapter::closed`].
#[derive(Clone, Copy, Debug)]
struct Closed(u32);

impl Closed {
    const PAUSED: Self = Self(1);
    const LOW_POWER: Self = Self(1 << 1);
    const REMOVED: Self = Self(1 << 2);
    /// `MiniportHaltEx` has begun: NDIS is told nothing any more.
    const HALTING: Self = Self(1 << 3);

    /// The status of lists, none when they are taken.
    fn gate(bits: u32) -> Option<Status> {
        let has = |closed: Self| bits & closed.0 != 0;
        if has(Self::REMOVED) || has(Self::HALTING) {
            Some(Status::NOT_ACCEPTED)
        } else if has(Self::LOW_POWER) {
            Some(Status::LOW_POWER_STATE)
        } else if has(Self::PAUSED) {
            Some(Status::PAUSED)
        } else {
            None
        }
    }
}

/// What an adapter is made of.
pub(crate) struct Parts {
    pub(crate) handle: NdisHandle,
    pub(crate) version: NdisVersion,
    pub(crate) bus: Bus,
    pub(crate) frontend: Path,
    pub(crate) identity: Identity,
    pub(crate) keywords: Keywords,
    /// Processors that queues live on while no table names others: those NDIS lets RSS use. Not empty.
    pub(crate) processors: Vec<ProcessorNumber>,
    pub(crate) queues: Vec<Queue>,
    pub(crate) targets: Targets,
    pub(crate) mail: Mail,
    pub(crate) offload: OffloadState,
    /// What the MTU in `identity` comes from.
    pub(crate) mtu_limits: MtuLimits,
}

/// The adapter. Its address does not change from `MiniportInitializeEx` to `MiniportHaltEx`.
pub(crate) struct Adapter {
    parts: Parts,
    closed: AtomicU32,
    link_up: AtomicBool,
    /// Queues that the backend serves; 0 before the first connection.
    active: AtomicUsize,
    pausing: Drain,
    offload: SpinLock<OffloadState>,
    /// Addresses that protocols have on the interface.
    addresses: SpinLock<Addresses>,
    /// Link speed in bits per second.
    speed: AtomicU64,
    /// Largest payload of a frame, in bytes, as NDIS knows it.
    mtu: AtomicU32,
    mtu_limits: SpinLock<MtuLimits>,
    /// Whether events may be held back.
    moderation: AtomicBool,
    /// What NDIS has set. Received frames go by it at once; queues and backend follow, by the connection thread.
    hashing: SpinLock<Hashing>,
    /// Hash types of the backend that are in use; NDIS's bits.
    negotiated: AtomicU32,
    /// For each of the low 7 bits of a sent list's hash: queue, and generation of the steering above it.
    steering: [AtomicU32; MAX_ENTRIES],
    /// Published under this lock, so that no sender finds half of a steering and waits on this processor for the rest.
    publishing: SpinLock<()>,
    transition: Transition,
    /// A steering waits until the change before it is over.
    steer_again: AtomicBool,
    /// Wakes the connection thread for the control ring.
    control_dpc: Option<Dpc<AdapterRef>>,
}

impl Adapter {
    /// Paused, without connection.
    pub(crate) fn new(parts: Parts) -> Self {
        let moderation = parts.keywords.interrupt_moderation();
        Self {
            offload: SpinLock::new(parts.offload),
            addresses: SpinLock::new(Addresses::default()),
            speed: AtomicU64::new(parts.identity.speed),
            mtu: AtomicU32::new(parts.identity.mtu),
            mtu_limits: SpinLock::new(parts.mtu_limits),
            moderation: AtomicBool::new(moderation),
            parts,
            closed: AtomicU32::new(Closed::PAUSED.0),
            link_up: AtomicBool::new(false),
            active: AtomicUsize::new(0),
            pausing: Drain::default(),
            hashing: SpinLock::new(Hashing::Off),
            negotiated: AtomicU32::new(0),
            steering: [const { AtomicU32::new(0) }; MAX_ENTRIES],
            publishing: SpinLock::new(()),
            transition: Transition::new(),
            steer_again: AtomicBool::new(false),
            control_dpc: None,
        }
    }

    /// Version registered with NDIS.
    pub(crate) fn version(&self) -> NdisVersion {
        self.parts.version
    }

    /// The bus driver's functions.
    pub(crate) fn bus(&self) -> &Bus {
        &self.parts.bus
    }

    /// The frontend's folder in XenStore.
    pub(crate) fn frontend(&self) -> &Path {
        &self.parts.frontend
    }

    /// Addresses and speed, and the MTU at the start.
    pub(crate) fn identity(&self) -> &Identity {
        &self.parts.identity
    }

    /// Settings.
    pub(crate) fn keywords(&self) -> &Keywords {
        &self.parts.keywords
    }

    /// All queues, used or not.
    pub(crate) fn queues(&self) -> &[Queue] {
        &self.parts.queues
    }

    /// Where received lists are handed over.
    pub(crate) fn targets(&self) -> &Targets {
        &self.parts.targets
    }

    /// As [`Adapter::targets`], before they are shared or afterwards.
    pub(crate) fn targets_mut(&mut self) -> &mut Targets {
        &mut self.parts.targets
    }

    /// The processor of a queue that no table gives another.
    pub(crate) fn home(&self, queue: usize) -> ProcessorNumber {
        let processors = &self.parts.processors;
        let nth = queue.checked_rem(processors.len()).unwrap_or(0);
        let first = ProcessorNumber {
            group: 0,
            number: 0,
        };
        processors.get(nth).copied().unwrap_or(first)
    }

    /// All queues, before they are shared or afterwards.
    pub(crate) fn queues_mut(&mut self) -> &mut [Queue] {
        &mut self.parts.queues
    }

    /// Messages for the connection thread.
    pub(crate) fn mail(&self) -> &Mail {
        &self.parts.mail
    }

    /// The handle NDIS knows it by.
    pub(crate) fn handle(&self) -> NdisHandle {
        self.parts.handle
    }

    /// Whether the device was removed by surprise.
    pub(crate) fn is_removed(&self) -> bool {
        self.closed.load(Ordering::Acquire) & Closed::REMOVED.0 != 0
    }

    /// Whether the link is up.
    pub(crate) fn is_link_up(&self) -> bool {
        self.link_up.load(Ordering::Acquire)
    }

    /// The packet filter; the same in all queues.
    pub(crate) fn filter(&self, irql: &mut AtMostDispatch<'_>) -> Filter {
        match self.queues().first() {
            Some(queue) => queue.rx.with(irql, |rx, _| rx.filter),
            None => Filter::closed(self.identity().current),
        }
    }

    /// Changes the packet filter of every queue.
    pub(crate) fn change_filter(
        &self,
        irql: &mut AtMostDispatch<'_>,
        change: impl Fn(&mut Filter),
    ) {
        for queue in self.queues() {
            queue.rx.with(irql, |rx, _| change(&mut rx.filter));
        }
        self.mail().send(Messages::FILTER, irql);
    }

    /// Counters of all queues.
    pub(crate) fn statistics(&self, irql: &mut AtMostDispatch<'_>) -> Statistics {
        let mut sum = Statistics::default();
        for queue in self.queues() {
            let statistics = queue.statistics(irql);
            sum.tx.merge(&statistics.tx);
            sum.rx.merge(&statistics.rx);
        }
        sum
    }

    /// Lists that wait for room on a ring.
    pub(crate) fn waiting_lists(&self, irql: &mut AtMostDispatch<'_>) -> u64 {
        self.queues()
            .iter()
            .map(|queue| u64::from(queue.tx.with(irql, |tx, _| tx.waiting())))
            .fold(0, u64::saturating_add)
    }
}

/// Offloads.
impl Adapter {
    /// The offloads' state.
    pub(crate) fn offloads(&self, irql: &mut AtMostDispatch<'_>) -> OffloadState {
        self.offload.with(irql, |state, _| *state)
    }

    /// Changes the offloads' state and puts it in force.
    pub(crate) fn change_offloads<R>(
        &self,
        irql: &mut AtMostDispatch<'_>,
        change: impl FnOnce(&mut OffloadState) -> R,
    ) -> R {
        let (result, applied) = self.offload.with(irql, |state, _| {
            let result = change(state);
            (result, state.applied())
        });
        let moderation = self.is_moderated();
        for queue in self.queues() {
            queue.set_offloads(&applied, moderation, irql);
        }
        result
    }

    /// Whether events may be held back.
    pub(crate) fn is_moderated(&self) -> bool {
        self.moderation.load(Ordering::Acquire)
    }

    /// Lets events be held back, or not any more.
    pub(crate) fn set_moderated(&self, on: bool, irql: &mut AtMostDispatch<'_>) {
        self.moderation.store(on, Ordering::Release);
        self.change_offloads(irql, |_| ());
    }

    /// Tells NDIS which offloads are in force.
    pub(crate) fn tell_offloads(&self, irql: &mut AtMostDispatch<'_>) {
        let in_force = self.offloads(irql).in_force();
        let mut told = ndis::offload::describe(self.version(), &in_force);
        // SAFETY: callers are the OID handler and the connection thread, which end before the
        // adapter is halted.
        unsafe { Indicator::new(self.handle().get(), self.version()) }
            .offload_current_config(&mut told);
    }

    /// The backend offers these features: tells NDIS if that changes what can be done.
    pub(crate) fn set_backend(&self, features: Features, irql: &mut Passive<'_>) {
        let scatter_gather = features.has(Features::SG);
        self.change_mtu(irql, |limits| limits.scatter_gather = scatter_gather);
        let changed = self.change_offloads(irql, |state| state.set_backend(features));
        if !changed || self.closed.load(Ordering::Acquire) & Closed::HALTING.0 != 0 {
            return;
        }
        let possible = *self.offloads(irql).possible();
        let mut told = ndis::offload::describe(self.version(), &possible);
        // SAFETY: the connection thread ends before the adapter is halted.
        unsafe { Indicator::new(self.handle().get(), self.version()) }
            .offload_hardware_capabilities(&mut told);
        self.tell_offloads(irql);
    }

    /// Coalescing counters of all queues.
    pub(crate) fn coalescing(&self, irql: &mut AtMostDispatch<'_>) -> Coalescing {
        let mut sum = Coalescing::default();
        for queue in self.queues() {
            sum.merge(&queue.coalescing(irql));
        }
        sum
    }
}

/// Lists on their way to NDIS and back.
impl Adapter {
    fn sink(&self, flags: u32) -> NdisCompletions {
        // SAFETY: the adapter is not halted while it lives; chains come from its send handler.
        unsafe { NdisCompletions::new(self.handle().get(), flags) }
    }

    /// How many queues the backend serves.
    pub(crate) fn active_queues(&self) -> usize {
        self.active.load(Ordering::Acquire)
    }

    /// Notes how many queues the backend serves.
    pub(crate) fn set_active_queues(&self, count: usize) {
        self.active.store(count, Ordering::Release);
    }

    /// Number of the queue for a list, and generation of the steering: by its hash, so that a flow stays on one; else by
    /// the processor.
    fn queue_for(&self, list: &Nbl) -> (usize, u16) {
        let active = self.active.load(Ordering::Acquire);
        let (spread, generation) = if let Some((value, _)) = list.hash() {
            let [low, ..] = value.to_le_bytes();
            let entry = self.steering.get(usize::from(low & 0x7F));
            let entry = entry.map_or(0, |entry| entry.load(Ordering::Acquire));
            let [q0, q1, g0, g1] = entry.to_le_bytes();
            let queue = u16::from_le_bytes([q0, q1]);
            (queue.into(), u16::from_le_bytes([g0, g1]))
        } else {
            let processor = usize::try_from(nt::processor::current_index());
            (processor.unwrap_or(0), self.transition.generation())
        };
        (spread.checked_rem(active).unwrap_or(0), generation)
    }

    /// A change of the steering.
    pub(crate) fn transition(&self) -> &Transition {
        &self.transition
    }

    /// Sends lists the way of received ones: `mapping` has the queue of each entry of the table;
    /// without one the hash is dealt out evenly. Flows that move keep their order. While a change is under way another
    /// has to wait; the thread begins it when that is over.
    pub(crate) fn set_steering(&self, mapping: &[u16], irql: &mut AtMostDispatch<'_>) {
        let queue_of = |nth: usize| {
            let at = nth.checked_rem(mapping.len());
            let evenly = u16::try_from(nth).unwrap_or(0);
            at.map_or(evenly, |at| mapping.get(at).copied().unwrap_or(0))
        };
        let entries = || self.steering.iter().enumerate();
        let same = entries().all(|(nth, entry)| {
            let [q0, q1, ..] = entry.load(Ordering::Relaxed).to_le_bytes();
            u16::from_le_bytes([q0, q1]) == queue_of(nth)
        });
        let under_way = self.transition.is_under_way();
        self.steer_again.store(!same && under_way, Ordering::SeqCst);
        if same || under_way {
            return;
        }
        let active = self.active_queues();
        let generation = self.publishing.with(irql, |(), _| {
            let generation = self.transition.begin(u32::try_from(active).unwrap_or(1));
            let [g0, g1] = generation.to_le_bytes();
            for (nth, entry) in entries() {
                let [q0, q1] = queue_of(nth).to_le_bytes();
                entry.store(u32::from_le_bytes([q0, q1, g0, g1]), Ordering::Release);
            }
            generation
        });
        if active == 0 {
            self.transition.end();
        }
        for queue in self.queues().iter().take(active) {
            queue.tx.with(irql, |tx, _| tx.begin_order(generation));
            queue.wake();
        }
    }

    /// A queue has nothing left that was steered before the change.
    pub(crate) fn report_order(&self) {
        if self.transition.report() {
            self.order_is_kept();
        }
    }

    /// The change is over, or took too long: what waited for it goes.
    pub(crate) fn order_is_kept(&self) {
        self.transition.end();
        for queue in self.queues() {
            queue.wake();
        }
    }

    /// Whether a steering waits for the change before it to be over. Asked once.
    pub(crate) fn take_steer_again(&self) -> bool {
        !self.transition.is_under_way() && self.steer_again.swap(false, Ordering::SeqCst)
    }

    /// No queue sends anything: the steering in force is everybody's.
    pub(crate) fn reset_order(&self, irql: &mut AtMostDispatch<'_>) {
        self.transition.end();
        for queue in self.queues() {
            queue
                .tx
                .with(irql, |tx, _| tx.reset_order(&self.transition));
        }
    }

    /// Hashing and scaling as NDIS has set them.
    pub(crate) fn hashing(&self, irql: &mut AtMostDispatch<'_>) -> Hashing {
        self.hashing.with(irql, |hashing, _| *hashing)
    }

    /// Hash types that NDIS wants, and those of them that the backend tells.
    pub(crate) fn hash_types(&self, irql: &mut AtMostDispatch<'_>) -> (u32, u32) {
        let wanted = self
            .hashing(irql)
            .hash()
            .map_or(0, |(types, _)| types.bits());
        (wanted, self.negotiated.load(Ordering::Relaxed))
    }

    /// Notes the hash types of the backend that are in use.
    pub(crate) fn set_negotiated(&self, types: HashTypes) {
        self.negotiated.store(types.bits(), Ordering::Relaxed);
    }

    /// Changes hashing and scaling. Every frame that comes after this is hashed, and handed to a processor, by `set`; the
    /// connection thread then moves the queues and tells the backend.
    pub(crate) fn set_hashing(&self, set: &Hashing, irql: &mut AtMostDispatch<'_>) {
        self.hashing.with(irql, |hashing, _| *hashing = *set);
        self.steer(set, irql);
        self.mail().send(Messages::RSS, irql);
    }

    /// Has received frames go by `set`. Not inlined: the table takes much of a page of stack.
    #[inline(never)]
    fn steer(&self, set: &Hashing, irql: &mut AtMostDispatch<'_>) {
        let table = TableIndices::of(set);
        let config = set.config(table.get());
        for queue in self.queues() {
            queue.steer(config.as_ref(), irql);
        }
    }

    /// Has the control ring's DPC run. Any IRQL.
    pub(crate) fn wake_control(&self) {
        if let Some(dpc) = &self.control_dpc {
            dpc.queue();
        }
    }

    /// Sets the control ring's DPC, before the adapter is shared.
    pub(crate) fn set_control_dpc(&mut self, dpc: Dpc<AdapterRef>) {
        self.control_dpc = Some(dpc);
    }

    /// Takes the control ring's DPC out, to be closed.
    pub(crate) fn take_control_dpc(&mut self) -> Option<Dpc<AdapterRef>> {
        self.control_dpc.take()
    }

    /// Takes lists to send; `send_flags` are NDIS's.
    pub(crate) fn send(&self, mut lists: NblChain, send_flags: u32, irql: &mut AtMostDispatch<'_>) {
        let mut done = NblChain::new();
        while !lists.is_empty() {
            lists = self.send_once(lists, &mut done, irql);
        }
        // The flags for sending and for completing share the bit that tells the level.
        self.sink(send_flags & sys::NDIS_SEND_COMPLETE_FLAGS_DISPATCH_LEVEL)
            .complete(done);
    }

    /// Steers lists in runs that go the same way, and returns those that must be steered again.
    fn send_once(
        &self,
        mut lists: NblChain,
        done: &mut NblChain,
        irql: &mut AtMostDispatch<'_>,
    ) -> NblChain {
        let mut stale = NblChain::new();
        let mut run = NblChain::new();
        let mut way = (0, 0);
        while let Some(list) = lists.pop_front() {
            let next = self.queue_for(&list);
            if next != way && !run.is_empty() {
                let run = core::mem::take(&mut run);
                self.send_run(way, run, done, &mut stale, irql);
                if !stale.is_empty() {
                    // What comes after it may be of the same flow: it waits for its turn.
                    stale.push_back(list);
                    stale.append(lists);
                    return stale;
                }
            }
            way = next;
            run.push_back(list);
        }
        self.send_run(way, run, done, &mut stale, irql);
        stale
    }

    fn send_run(
        &self,
        (queue, generation): (usize, u16),
        mut run: NblChain,
        done: &mut NblChain,
        stale: &mut NblChain,
        irql: &mut AtMostDispatch<'_>,
    ) {
        if let Some(queue) = self.queues().get(queue) {
            let bus = self.bus();
            let sent = queue
                .tx
                .with(irql, |tx, irql| tx.send(run, generation, bus, irql));
            match sent {
                Ok(sent) => done.append(sent),
                Err(again) => stale.append(again),
            }
        } else {
            run.set_status(Status::FAILURE);
            done.append(run);
        }
    }

    /// Gives back the lists that wait under this identifier.
    pub(crate) fn cancel_sends(&self, id: u64, irql: &mut AtMostDispatch<'_>) {
        for queue in self.queues() {
            let cancelled = queue.tx.with(irql, |tx, _| tx.cancel(id));
            self.complete(cancelled, irql);
        }
    }

    /// Gives sent lists back. No lock is held.
    pub(crate) fn complete(&self, lists: NblChain, _irql: &AtMostDispatch<'_>) {
        self.sink(0).complete(lists);
    }

    /// Gives sent lists back, telling NDIS the level.
    pub(crate) fn complete_at_dispatch(&self, lists: NblChain, _irql: &Dispatch<'_>) {
        self.sink(sys::NDIS_SEND_COMPLETE_FLAGS_DISPATCH_LEVEL)
            .complete(lists);
    }

    /// Gives sent lists back, and tells a pause that waits for them.
    pub(crate) fn sends_done(&self, reaped: Reaped, irql: &AtMostDispatch<'_>) {
        self.complete(reaped.done, irql);
        if reaped.drained {
            self.pause_step();
        }
    }

    /// As [`Adapter::sends_done`]; whether the backend broke the protocol.
    pub(crate) fn sends_done_at_dispatch(
        &self,
        reaped: Reaped,
        irql: &Dispatch<'_>,
    ) -> Option<TxBroken> {
        self.complete_at_dispatch(reaped.done, irql);
        if reaped.drained {
            self.pause_step();
        }
        reaped.broken
    }

    /// Gives received lists to the system, for good or for the length of the call if pages are low; back to their queues
    /// if the adapter takes no frames any more. No lock is held.
    pub(crate) fn indicate_run(&self, lists: RxChain, low: bool, irql: &Dispatch<'_>) {
        if lists.is_empty() {
            return;
        }
        if Closed::gate(self.closed.load(Ordering::Acquire)).is_some() {
            self.lists_returned_at_dispatch(lists, irql);
        } else if low {
            // SAFETY: lists are made while the receive side is open, and a pause waits for them; each was filled by
            // `Stock::lend`.
            let lists = unsafe {
                lists.indicate_with_resources(
                    self.handle().get(),
                    sys::NDIS_RECEIVE_FLAGS_DISPATCH_LEVEL,
                )
            };
            self.lists_returned_at_dispatch(lists, irql);
        } else {
            // SAFETY: as above.
            unsafe {
                lists.indicate(self.handle().get(), sys::NDIS_RECEIVE_FLAGS_DISPATCH_LEVEL);
            }
        }
    }

    /// Takes lists back that were shown or not taken, of any queues.
    fn lists_returned_at_dispatch(&self, lists: RxChain, irql: &Dispatch<'_>) {
        Self::by_queue(lists, |queue, run| {
            if let Some(queue) = self.queues().get(queue)
                && queue.take_back_at(run, irql)
            {
                self.pause_step();
            }
        });
    }

    /// Takes lists back that were lent, of any queues.
    pub(crate) fn lists_returned(&self, lists: RxChain, irql: &mut AtMostDispatch<'_>) {
        Self::by_queue(lists, |queue, run| {
            if let Some(queue) = self.queues().get(queue)
                && queue.take_back(run, irql)
            {
                self.pause_step();
            }
        });
    }

    /// Lists in runs of one queue each.
    fn by_queue(mut lists: RxChain, mut each: impl FnMut(usize, RxChain)) {
        let mut run = RxChain::new();
        let mut queue_of_run = 0;
        while let Some(list) = lists.pop() {
            let queue = queue_of(&list);
            if queue != queue_of_run && !run.is_empty() {
                each(queue_of_run, core::mem::take(&mut run));
            }
            queue_of_run = queue;
            run.push(list);
        }
        if !run.is_empty() {
            each(queue_of_run, run);
        }
    }

    /// Something a pause waits for is done.
    fn pause_step(&self) {
        if self.pausing.done() {
            // SAFETY: the pause returned PENDING, or is about to: it holds a step of its own until
            // it knows which.
            unsafe { sys::NdisMPauseComplete(self.handle().get()) };
        }
    }
}

/// States.
impl Adapter {
    /// Sets and clears reasons to take no lists, and completes what closing leaves behind.
    fn change_closed(&self, set: u32, clear: u32, irql: &mut AtMostDispatch<'_>) {
        self.closed.fetch_or(set, Ordering::AcqRel);
        let bits = self.closed.fetch_and(!clear, Ordering::AcqRel) & !clear;
        let gate = Closed::gate(bits);
        for queue in self.queues() {
            let left = queue.tx.with(irql, |tx, _| tx.set_gate(gate));
            self.complete(left, irql);
            queue.rx.with(irql, |rx, _| rx.set_open(gate.is_none()));
        }
    }

    /// Begins to send and receive.
    pub(crate) fn restart(&self, irql: &mut AtMostDispatch<'_>) {
        self.change_closed(0, Closed::PAUSED.0, irql);
        for queue in self.queues() {
            queue.wake();
        }
    }

    /// Stops sending and receiving. [`Status::PENDING`]: `NdisMPauseComplete` follows.
    pub(crate) fn pause(&self, irql: &mut Passive<'_>) -> Status {
        self.pausing.begin();
        self.change_closed(Closed::PAUSED.0, 0, irql);
        for queue in self.queues() {
            // Counted under the lock, before whoever finishes can count it off.
            queue.tx.with(irql, |tx, _| {
                if tx.begin_drain() {
                    self.pausing.add();
                }
            });
            queue.rx.with(irql, |rx, _| {
                rx.draining = rx.stock.lent() > 0;
                if rx.draining {
                    self.pausing.add();
                }
            });
        }
        // Indications under way have returned when this has.
        nt::dpc::flush(irql);
        if self.pausing.done() {
            Status::SUCCESS
        } else {
            Status::PENDING
        }
    }

    /// Enters a power state.
    pub(crate) fn set_power(&self, state: PowerState, irql: &mut Passive<'_>) {
        match state {
            PowerState::D0 => {
                self.change_closed(0, Closed::LOW_POWER.0, irql);
                self.mail().connect(irql);
            }
            PowerState::Low => {
                self.change_closed(Closed::LOW_POWER.0, 0, irql);
                // Indications under way have returned when this has.
                nt::dpc::flush(irql);
                let _ = self.mail().disconnect(POWER_DOWN, irql);
            }
        }
    }

    /// The device is gone.
    pub(crate) fn surprise_removed(&self, irql: &mut Passive<'_>) {
        self.change_closed(Closed::REMOVED.0, 0, irql);
        self.mail().send(Messages::GONE, irql);
    }

    /// The halt begins: the connection is closed, and NDIS told nothing of it.
    pub(crate) fn halt(&self, irql: &mut Passive<'_>) {
        self.change_closed(Closed::HALTING.0, 0, irql);
        self.mail().send(Messages::EXIT, irql);
    }

    /// Around a suspend of the domain.
    pub(crate) fn suspend(&self, phase: SuspendPhase, irql: &mut Passive<'_>) {
        match phase {
            SuspendPhase::BEFORE => {
                for queue in self.queues() {
                    queue.freeze(true, irql);
                }
            }
            // The queues stay frozen until their old rings are dropped.
            SuspendPhase::AFTER => self.mail().send(Messages::RESUMED, irql),
            _ => {
                for queue in self.queues() {
                    queue.freeze(false, irql);
                }
            }
        }
    }

    /// A queue cannot go on with this connection.
    pub(crate) fn break_connection(&self, why: &dyn core::fmt::Debug, irql: &AtMostDispatch<'_>) {
        nt::log_error!("the backend broke the protocol: {why:?}");
        if let Ok(reason) = Value::format(format_args!("{why:?}")) {
            trace::broken(self.identity().current, reason.as_bytes());
        }
        self.mail().send(Messages::BROKEN, irql);
    }

    /// Tells the event log that a wait for the backend took too long.
    pub(crate) fn log_timeout(&self) {
        // SAFETY: the adapter is not halted while it lives.
        unsafe { error_log::write(self.handle().get(), sys::NDIS_ERROR_CODE_TIMEOUT) }
    }

    /// Tells the event log that the backend does not do its part.
    pub(crate) fn log_hardware_failure(&self) {
        // SAFETY: the adapter is not halted while it lives.
        unsafe { error_log::write(self.handle().get(), sys::NDIS_ERROR_CODE_HARDWARE_FAILURE) }
    }

    /// Link speed in bits per second.
    pub(crate) fn speed(&self) -> u64 {
        self.speed.load(Ordering::Acquire)
    }

    /// The toolstack's settings as they are now: a new speed is told when the link is up, a new MTU at once.
    pub(crate) fn set_store_settings(&self, speed: Option<u64>, mtu: u16, irql: &mut Passive<'_>) {
        let fastest = self.identity().max_speed();
        let speed = speed.unwrap_or(DEFAULT_SPEED).min(fastest);
        if self.speed.swap(speed, Ordering::AcqRel) != speed && self.is_link_up() {
            nt::log_info!("link speed: {speed} bit/s");
            self.set_link(true, irql);
        }
        self.change_mtu(irql, |limits| limits.store = mtu);
    }

    /// Largest payload of a frame, in bytes, as NDIS knows it.
    pub(crate) fn mtu(&self) -> u32 {
        self.mtu.load(Ordering::Acquire)
    }

    /// Largest frame with its header, without tag, in bytes.
    pub(crate) fn max_frame(&self) -> u32 {
        self.mtu().saturating_add(ETHERNET_HEADER)
    }

    /// Changes what the MTU depends on, and tells NDIS if that changes the MTU.
    ///
    /// A smaller one is for what the system builds from now on. Frames as long as before still pass until the next
    /// start, both ways: they may have been handed over, or put on the wire, before the change was known.
    fn change_mtu(&self, irql: &mut Passive<'_>, change: impl FnOnce(&mut MtuLimits)) {
        let limits = self.mtu_limits.with(irql, |limits, _| {
            change(limits);
            *limits
        });
        let mtu = self.keywords().mtu(limits);
        let halting = self.closed.load(Ordering::Acquire) & Closed::HALTING.0 != 0;
        if halting || self.mtu.swap(mtu, Ordering::AcqRel) == mtu {
            return;
        }
        nt::log_info!("MTU: {mtu} bytes");
        let longest = self.max_frame();
        // Senders may use it as soon as NDIS knows it, and NDIS must know it before longer frames come.
        for queue in self.queues() {
            queue.tx.with(irql, |tx, _| tx.take_longer(longest));
        }
        // SAFETY: the connection thread, which calls this, ends before the adapter is halted.
        unsafe { Indicator::new(self.handle().get(), self.version()) }.mtu(mtu);
        for queue in self.queues() {
            queue.rx.with(irql, |rx, _| rx.take_longer(longest));
        }
    }

    /// Addresses that protocols have on the interface.
    pub(crate) fn addresses(&self, irql: &mut AtMostDispatch<'_>) -> Addresses {
        self.addresses.with(irql, |addresses, _| *addresses)
    }

    /// Takes a protocol's addresses.
    pub(crate) fn set_addresses(&self, list: &AddressList<'_>, irql: &mut AtMostDispatch<'_>) {
        self.addresses
            .with(irql, |addresses, _| match list.protocol {
                Protocol::V4 => addresses.set_v4(list.v4()),
                Protocol::V6 => addresses.set_v6(list.v6()),
                Protocol::Other => {}
            });
    }

    /// Tells NDIS of the link.
    pub(crate) fn set_link(&self, up: bool, _irql: &Passive<'_>) {
        self.link_up.store(up, Ordering::Release);
        let closed = self.closed.load(Ordering::Acquire);
        if closed & Closed::HALTING.0 != 0 {
            return;
        }
        trace::link(self.identity().current, up, self.speed());
        let low = closed & Closed::LOW_POWER.0 != 0;
        let link = match (up, low) {
            (true, _) => Link::Up(self.speed()),
            (false, true) => Link::Unknown,
            (false, false) => Link::Down,
        };
        // SAFETY: the thread that calls this ends before the adapter is halted.
        unsafe { Indicator::new(self.handle().get(), self.version()) }.link(link);
    }
}

/// A reference to an adapter for those that end before it does: its DPCs and its thread.
#[derive(Debug)]
pub(crate) struct AdapterRef(NonNull<Adapter>);

// SAFETY: the adapter is shared between threads, and its parts allow that.
unsafe impl Send for AdapterRef {}
// SAFETY: as above.
unsafe impl Sync for AdapterRef {}

impl AdapterRef {
    /// # Safety
    /// The adapter stays where it is while the reference lives, and is not borrowed mutably while
    /// it is used.
    pub(crate) unsafe fn new(adapter: NonNull<Adapter>) -> Self {
        Self(adapter)
    }

    /// The adapter.
    pub(crate) fn get(&self) -> &Adapter {
        // SAFETY: promised in `new`.
        unsafe { self.0.as_ref() }
    }
}
