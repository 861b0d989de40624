//! An adapter: what the handlers, the DPCs and the connection thread share.
//!
//! | module | what of it |
//! |---|---|
//! | `sending`, `receiving` | lists on their way between NDIS and the queues |
//! | `hashing` | hashes and receive-side scaling |
//! | `offloads` | what is offloaded to the card |
//! | `link` | link state, speed, MTU, addresses |
//! | `states` | pause, power, removal, halt |
#![allow(
    unsafe_code,
    reason = "NDIS's handle and references to the adapter cross threads; each block says why they may"
)]

mod hashing;
mod link;
mod offloads;
mod receiving;
mod sending;
mod states;

use alloc::vec::Vec;
use core::ptr::NonNull;
use core::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering};

use ndis::rss::MAX_ENTRIES;
use ndis::{NdisVersion, Status};
use ndis_sys::NDIS_HANDLE;
use netfront_core::announce::Addresses;
use netfront_core::tx::Transition;
use nt::dpc::Dpc;
use nt::irql::AtMostDispatch;
use nt::processor::ProcessorNumber;
use nt::spinlock::SpinLock;

use crate::attributes::Identity;
use crate::bus::Bus;
use crate::drain::Drain;
use crate::frame_kind::Filter;
use crate::keywords::{Keywords, MtuLimits};
use crate::mail::{Mail, Messages};
use crate::offload::OffloadState;
use crate::queue::{Queue, Targets};
use crate::scaling::Hashing;
use crate::statistics::Statistics;
use crate::text::Path;

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
