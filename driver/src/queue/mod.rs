//! A queue: both directions, with rings, grants, pages, statistics and a DPC of its own. Queues
//! share nothing on the data path.
//!
//! | | lock | taken by |
//! |---|---|---|
//! | transmit side | `tx` | senders, the DPC, the connection thread |
//! | receive side and pages | `rx` | the DPC, returns of lists, the connection thread |
//!
//! The two are never held together, and nothing is completed or indicated under either. Frames for other processors
//! leave through [`handoff`].

mod bell;
mod cutting;
mod flights;
mod frame;
mod handoff;
mod list_pool;
mod rx;
mod rx_link;
mod rx_offload;
mod stack;
mod steering;
mod stock;
mod tx;
mod tx_link;
mod tx_offload;

use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use ndis::Status;
use ndis::chain::RxChain;
use netfront_core::rx::{PassGate, RxCounters};
use netfront_core::tx::{Multicast, TxPolicy};
use netif::GrantRef;
use netif::publication::{Ports, QueueKeys};
use nt::dpc::{Dpc, More};
use nt::irql::{AtMostDispatch, Dispatch, Passive};
use nt::processor::ProcessorNumber;
use nt::spinlock::SpinLock;
use nt::status::Status as NtStatus;
use offload::settings::Offloads;
use rss::{HashCounters, HashTypes, KEY_LEN, SteeringConfig};
use xen_abi::domid::DomId;

pub(crate) use bell::Bell;
pub(crate) use handoff::Targets;
pub(crate) use stock::queue_of;
pub(crate) use tx::Reaped;
pub(crate) use tx_offload::able;

use crate::adapter::{Adapter, AdapterRef, NdisHandle};
use crate::bus::Bus;
use crate::frame_kind::Filter;
use crate::grant::Grants;
use crate::remains::Remains;
use crate::statistics::{Coalescing, Statistics};
use crate::vlan::VlanSettings;
use crate::{TAG, callbacks};
use rx::{Received, Returned, RxSide};
use rx_link::RxLink;
use stock::Stock;
use tx::TxSide;
use tx_link::TxLink;

/// Which queue a DPC serves.
#[derive(Debug)]
pub(crate) struct DpcContext {
    adapter: AdapterRef,
    index: usize,
}

/// One queue.
pub(crate) struct Queue {
    pub(crate) tx: SpinLock<TxSide>,
    pub(crate) rx: SpinLock<RxSide>,
    /// Passes one at a time, and flows in order.
    pub(crate) gate: PassGate,
    /// Interrupts that came for it.
    events: AtomicU64,
    /// System-wide index of the processor its events and its DPC are on.
    processor: AtomicU32,
    /// Set from [`Queue::attach`] to [`Queue::detach`], while the adapter is in use.
    dpc: Option<Dpc<DpcContext>>,
}

// No cache line of a queue is another's: its gate asks for lines of its own, and with it the whole.
const _: () = assert!(align_of::<Queue>() == 64);

/// What a queue is made for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct QueueSpec {
    /// The adapter.
    pub(crate) adapter: NdisHandle,
    /// Version registered.
    pub(crate) version: ndis::NdisVersion,
    /// Number of the queue.
    pub(crate) index: u16,
    /// Receive pages.
    pub(crate) pages: u32,
    /// Longest frame, without tag.
    pub(crate) max_frame: u32,
    /// The adapter's address.
    pub(crate) address: [u8; 6],
    /// Tags.
    pub(crate) vlan: VlanSettings,
}

impl Queue {
    /// A queue without connection, closed. Not inlined, since a queue takes much of a page of stack.
    #[inline(never)]
    pub(crate) fn try_new(spec: &QueueSpec, irql: &AtMostDispatch<'_>) -> Result<Self, Status> {
        let stock = Stock::try_new(spec.adapter, spec.version, spec.index, spec.pages, irql)?;
        let filter = Filter::closed(spec.address);
        let tx = TxSide::try_new(spec.max_frame, spec.vlan).map_err(|_| Status::RESOURCES)?;
        let rx = RxSide::try_new(spec, stock, &filter).map_err(|_| Status::RESOURCES)?;
        Ok(Self {
            tx: SpinLock::new(tx),
            rx: SpinLock::new(rx),
            gate: PassGate::new(),
            events: AtomicU64::new(0),
            processor: AtomicU32::new(0),
            dpc: None,
        })
    }

    /// Makes the DPC, on one processor: two of them would indicate frames out of order. Undone by
    /// [`Queue::detach`].
    pub(crate) fn attach(
        &mut self,
        adapter: AdapterRef,
        index: usize,
        processor: ProcessorNumber,
    ) -> Result<(), NtStatus> {
        let dpc = Dpc::try_new(TAG, DpcContext { adapter, index }, run)?;
        self.note_processor(processor);
        self.dpc.insert(dpc).set_target(processor)
    }

    /// Ends the DPC. No event channel is open any more.
    pub(crate) fn detach(&mut self, irql: &Passive<'_>) {
        if let Some(dpc) = self.dpc.take() {
            dpc.close(irql);
        }
    }

    /// Has the DPC run. Any IRQL.
    pub(crate) fn wake(&self) {
        if let Some(dpc) = &self.dpc {
            dpc.queue();
        }
    }

    /// An event came. Any IRQL.
    pub(crate) fn event(&self) {
        self.events.fetch_add(1, Ordering::Relaxed);
        self.wake();
    }

    /// Events since the queue was made, and the system-wide index of the processor they are for.
    pub(crate) fn events(&self) -> (u64, u32) {
        (
            self.events.load(Ordering::Relaxed),
            self.processor.load(Ordering::Relaxed),
        )
    }

    fn note_processor(&self, processor: ProcessorNumber) {
        let index = processor.index().unwrap_or(0);
        self.processor.store(index, Ordering::Relaxed);
    }

    /// Counters since the queue was made.
    pub(crate) fn statistics(&self, irql: &mut AtMostDispatch<'_>) -> Statistics {
        Statistics {
            tx: self.tx.with(irql, |tx, _| tx.statistics),
            rx: self.rx.with(irql, |rx, _| rx.statistics),
        }
    }

    /// Takes lists back that were lent to the system. True when it was the last that a pause
    /// waits for.
    #[must_use]
    pub(crate) fn take_back(&self, lists: RxChain, irql: &mut AtMostDispatch<'_>) -> bool {
        let back = self.rx.with(irql, |rx, _| rx.take_back(lists));
        self.after_return(back)
    }

    /// As [`Queue::take_back`], at `DISPATCH_LEVEL`.
    #[must_use]
    pub(crate) fn take_back_at(&self, lists: RxChain, irql: &Dispatch<'_>) -> bool {
        let back = self.rx.with_at(irql, |rx| rx.take_back(lists));
        self.after_return(back)
    }

    fn after_return(&self, Returned { drained, hungry }: Returned) -> bool {
        if hungry {
            self.wake();
        }
        drained
    }

    /// One pass of the DPC, alone.
    fn pass(&self, adapter: &Adapter, irql: &Dispatch<'_>) -> More {
        if !self.gate.enter() {
            return More::No;
        }
        let more = self.pass_alone(adapter, irql);
        if self.gate.leave() { More::Yes } else { more }
    }

    fn pass_alone(&self, adapter: &Adapter, irql: &Dispatch<'_>) -> More {
        let here = nt::processor::current_index();
        let bus = adapter.bus();
        let reaped = self.tx.with_at(irql, |tx| {
            let mut reaped = tx.reap(irql);
            let report = tx.keep_order(adapter.transition());
            reaped.done.append(tx.pump(bus, irql));
            (reaped, report)
        });
        let (reaped, report) = reaped;
        if report {
            adapter.report_order();
        }
        let broken = adapter.sends_done_at_dispatch(reaped, irql);
        let polled = self.rx.with_at(irql, |rx| {
            self.gate.may_take(here).then(|| rx.poll(bus, irql))
        });
        let mut more = false;
        let shut = polled.is_none();
        match polled {
            Some(Ok(received)) => {
                more = received.more;
                self.indicate(adapter, received, here, irql);
            }
            Some(Err(broken)) => adapter.break_connection(&broken, irql),
            // Frames handed over before go first; the last of them brings us back.
            None => {}
        }
        if let Some(broken) = &broken {
            adapter.break_connection(broken, irql);
        }
        if more {
            return More::Yes;
        }
        // Once for each direction: asking for the event comes before letting it through.
        // A broken queue stays masked.
        let sent = self.tx.with_at(irql, |tx| {
            tx.arm().is_ok_and(|found| found || tx.unmask(bus, irql))
        });
        let filled = !shut
            && self.rx.with_at(irql, |rx| {
                rx.arm().is_ok_and(|found| found || rx.unmask(bus, irql))
            });
        if sent || filled { More::Yes } else { More::No }
    }

    /// Indicates what was received for this processor, and hands the rest over.
    fn indicate(&self, adapter: &Adapter, received: Received, here: u32, irql: &Dispatch<'_>) {
        let Received { mut lists, low, .. } = received;
        let targets = adapter.targets();
        let elsewhere = |target: u16| u32::from(target) != here && targets.has(target);
        let mut away = lists.extract_if(|list| stock::target_of(list).is_some_and(elsewhere));
        while let Some(first) = away.pop() {
            let target = stock::target_of(&first);
            let mut rest = away.extract_if(|list| stock::target_of(list) == target);
            let mut run = RxChain::new();
            let mut next = Some(first);
            while let Some(mut list) = next {
                if low {
                    stock::set_low(&mut list);
                }
                run.push(list);
                next = rest.pop();
            }
            self.gate.hand_over(run.len());
            let left = targets.push(target.unwrap_or(u16::MAX), run);
            // Every target is one that is there.
            lists.append(left);
        }
        adapter.indicate_run(lists, low, irql);
    }
}

/// The DPC.
fn run(context: &DpcContext, irql: &Dispatch<'_>) -> More {
    let adapter = context.adapter.get();
    match adapter.queues().get(context.index) {
        Some(queue) => queue.pass(adapter, irql),
        None => More::No,
    }
}

/// What a queue is connected to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Remote {
    /// The backend's domain.
    pub(crate) domain: DomId,
    /// What was negotiated for sending.
    pub(crate) policy: TxPolicy,
    /// Bounce pages.
    pub(crate) bounce_pages: usize,
    /// Whether each direction has a channel of its own.
    pub(crate) split: bool,
    /// Where events go.
    pub(crate) processor: ProcessorNumber,
}

/// The event channels of a connected queue; the connection thread has them.
#[derive(Debug)]
pub(crate) struct Channels {
    tx: Bell,
    rx: Option<Bell>,
}

impl Queue {
    /// Makes rings, grants and channels, and fills the receive ring. Undone by
    /// [`Queue::disconnect`], also when it fails half-way.
    ///
    /// # Safety
    /// The queue stays where it is, and its DPC is kept, until [`Queue::disconnect`].
    #[expect(
        unsafe_code,
        reason = "passes on the promise that the queue outlives its channels"
    )]
    pub(crate) unsafe fn connect(
        &self,
        adapter: &Adapter,
        remote: &Remote,
        channels: &mut Option<Channels>,
        irql: &mut Passive<'_>,
    ) -> Result<QueueKeys, NtStatus> {
        let bus = adapter.bus();
        let mut tx = TxLink::prepare(bus, remote.domain, remote.policy, remote.bounce_pages, irql)?;
        let tx_ring = tx.ring_grant();
        let rx = RxLink::prepare(bus, remote.domain, irql);
        let mut rx = match rx {
            Ok(rx) => rx,
            Err(status) => {
                // Nobody was told of it.
                drop(tx.release(bus, irql));
                return Err(status);
            }
        };
        let rx_ring = rx.ring_grant();
        // SAFETY: the caller's promise.
        let opened = unsafe { self.open_channels(adapter, remote, channels, irql) };
        if let Some(channels) = channels.as_ref() {
            // SAFETY: `disconnect` takes the links out before it closes the channels.
            let notifier = unsafe { channels.tx.notifier() };
            tx.notifier = Some(notifier);
            let own = channels.rx.as_ref();
            // SAFETY: as above.
            let own = own.map(|bell| unsafe { bell.notifier() });
            rx.split = own.is_some();
            rx.notifier = Some(own.unwrap_or(notifier));
        }
        self.tx.with(irql, |side, _| side.link = Some(tx));
        self.rx.with(irql, |side, _| {
            side.link = Some(rx);
            side.fill();
        });
        Ok(QueueKeys {
            tx_ring,
            rx_ring,
            ports: opened?,
        })
    }

    /// # Safety
    /// As for [`Queue::connect`].
    #[expect(unsafe_code, reason = "as for `connect`")]
    unsafe fn open_channels(
        &self,
        adapter: &Adapter,
        remote: &Remote,
        channels: &mut Option<Channels>,
        irql: &Passive<'_>,
    ) -> Result<Ports, NtStatus> {
        let bus = adapter.bus();
        let Remote {
            domain, processor, ..
        } = *remote;
        let cookie = core::ptr::from_ref(self).cast_mut().cast();
        // SAFETY: the callback expects a queue, which lives long enough by the caller's promise.
        let tx = unsafe { Bell::open(bus, domain.0, callbacks::event, cookie, processor, irql) }?;
        let tx_port = tx.port();
        let channels = channels.insert(Channels { tx, rx: None });
        if !remote.split {
            return Ok(Ports::Shared(tx_port));
        }
        // SAFETY: as above.
        let rx = unsafe { Bell::open(bus, domain.0, callbacks::event, cookie, processor, irql) }?;
        let rx_port = rx.port();
        channels.rx = Some(rx);
        Ok(Ports::Split {
            tx: tx_port,
            rx: rx_port,
        })
    }

    /// Undoes [`Queue::connect`]; what the backend did not let go, of each direction.
    pub(crate) fn disconnect(
        &self,
        adapter: &Adapter,
        channels: Option<Channels>,
        irql: &mut Passive<'_>,
    ) -> [Option<Remains>; 2] {
        let bus = adapter.bus();
        let (tx, left) = self.tx.with(irql, |side, _| {
            side.frozen = false;
            (side.link.take(), side.give_up(Status::FAILURE))
        });
        adapter.complete(left, irql);
        let rx = self.rx.with(irql, |side, _| side.unlink());
        // Nobody has a notifier now.
        if let Some(Channels { tx, rx }) = channels {
            for bell in [Some(tx), rx].into_iter().flatten() {
                bell.close(bus, irql);
            }
        }
        let mut kept = [None, None];
        if let Some(mut link) = tx {
            let reaped = self
                .tx
                .with(irql, |side, irql| side.take_down(&mut link, irql));
            adapter.sends_done(reaped, irql);
            kept = [link.release(bus, irql), None];
        }
        if let (Some(link), [_, kept]) = (rx, &mut kept) {
            *kept = self
                .rx
                .with(irql, |side, irql| link.release(&mut side.stock, bus, irql));
        }
        kept
    }

    /// Takes receive pages of an ended connection back, as far as the backend lets go; how many grants it keeps.
    pub(crate) fn reclaim(
        &self,
        grants: &mut Grants,
        bus: &Bus,
        irql: &mut AtMostDispatch<'_>,
    ) -> usize {
        self.rx.with(irql, |side, irql| {
            grants.collect(bus, irql, &mut |gref| side.stock.reclaim(GrantRef(gref)))
        })
    }

    /// Takes back lists that have waited for room for too long.
    pub(crate) fn give_up_old(&self, adapter: &Adapter, now: u32, irql: &mut AtMostDispatch<'_>) {
        let old = self.tx.with(irql, |tx, _| tx.give_up_old(now));
        if !old.is_empty() {
            nt::log_warn!("no room for {} lists for too long", old.len());
        }
        adapter.complete(old, irql);
    }

    /// Moves events and DPC to a processor.
    pub(crate) fn place(
        &self,
        adapter: &Adapter,
        channels: &Channels,
        processor: ProcessorNumber,
        irql: &Passive<'_>,
    ) {
        if let Some(dpc) = &self.dpc {
            match dpc.set_target(processor) {
                Ok(()) => self.note_processor(processor),
                Err(status) => nt::log_warn!("a DPC stays where it is: {status:?}"),
            }
        }
        for bell in [Some(&channels.tx), channels.rx.as_ref()]
            .into_iter()
            .flatten()
        {
            bell.place(adapter.bus(), processor, irql);
        }
    }

    /// Hashes and steers received frames by these settings; none: not at all. Every frame that is taken from the ring
    /// after this goes by them.
    pub(crate) fn steer(&self, config: Option<&SteeringConfig<'_>>, irql: &mut AtMostDispatch<'_>) {
        self.rx.with(irql, |rx, _| {
            self.gate.change();
            match config {
                Some(config) => rx.steering.set(config),
                None => rx.steering.clear(),
            }
        });
    }

    /// The backend tells hashes of the types `offered` from now on, for the hashing `set`; without one, none.
    pub(crate) fn believe(
        &self,
        offered: HashTypes,
        set: Option<(HashTypes, &[u8; KEY_LEN])>,
        irql: &mut AtMostDispatch<'_>,
    ) {
        self.rx.with(irql, |rx, _| match set {
            Some((types, key)) if !offered.is_empty() => rx.steering.believe(offered, types, key),
            _ => rx.steering.disbelieve(),
        });
    }

    /// Counters of hashes, and whether the backend's turned out wrong.
    pub(crate) fn hashes(&self, irql: &mut AtMostDispatch<'_>) -> (HashCounters, bool) {
        self.rx.with(irql, |rx, _| {
            (rx.steering.counters(), rx.steering.is_deceived())
        })
    }

    /// Receive counters of this connection.
    pub(crate) fn receive_counters(&self, irql: &mut AtMostDispatch<'_>) -> RxCounters {
        self.rx.with(irql, |side, _| {
            side.link
                .as_ref()
                .map_or_else(RxCounters::default, |link| *link.engine.counters())
        })
    }

    /// Multicast changes that the backend refused on this connection.
    pub(crate) fn refused_groups(&self, irql: &mut AtMostDispatch<'_>) -> u64 {
        self.tx.with(irql, |side, _| {
            side.link
                .as_ref()
                .map_or(0, |link| link.engine.counters().refused_groups)
        })
    }

    /// Tells the backend of a multicast change; whether there was room.
    pub(crate) fn tell_multicast(
        &self,
        adapter: &Adapter,
        change: Multicast,
        irql: &mut AtMostDispatch<'_>,
    ) -> bool {
        self.tx.with(irql, |tx, irql| {
            tx.tell_multicast(change, adapter.bus(), irql)
        })
    }

    /// Sends a short frame of the driver's own, if there is room.
    pub(crate) fn send_own(&self, adapter: &Adapter, frame: &[u8], irql: &mut AtMostDispatch<'_>) {
        self.tx
            .with(irql, |tx, irql| tx.send_own(frame, adapter.bus(), irql));
    }

    /// Puts offloads in force, and interrupt moderation.
    pub(crate) fn set_offloads(
        &self,
        offloads: &Offloads,
        moderation: bool,
        irql: &mut AtMostDispatch<'_>,
    ) {
        self.tx.with(irql, |tx, _| {
            tx.offloads = *offloads;
            tx.moderation = moderation;
        });
        self.rx.with(irql, |rx, _| rx.offloads = *offloads);
    }

    /// Coalescing counters since the queue was made.
    pub(crate) fn coalescing(&self, irql: &mut AtMostDispatch<'_>) -> Coalescing {
        self.rx.with(irql, |rx, _| rx.coalescing)
    }

    /// Slots that the backend owes an answer for, and answers it gave.
    pub(crate) fn progress(&self, irql: &mut AtMostDispatch<'_>) -> (u32, u64) {
        self.tx.with(irql, |side, _| {
            side.link.as_ref().map_or((0, 0), |link| {
                (link.engine.in_flight(), link.engine.counters().responses)
            })
        })
    }

    /// The connection has no control ring.
    pub(crate) fn leave_hashes_out(&self, irql: &mut AtMostDispatch<'_>) {
        self.tx.with(irql, |side, _| {
            if let Some(link) = &mut side.link {
                link.engine.leave_hashes_out();
            }
        });
    }

    /// The grants of pages that frames to send are copied to, always in the same order: they last as long as the
    /// connection. None without one.
    pub(crate) fn lasting_grants(&self, irql: &mut AtMostDispatch<'_>, tell: impl FnMut(GrantRef)) {
        self.tx.with(irql, |side, _| {
            if let Some(link) = &side.link {
                link.memory.pool_grants().for_each(tell);
            }
        });
    }

    /// Lets frames on the ring, or not any more. Lists that closing leaves behind are to be
    /// completed.
    pub(crate) fn enable(&self, enabled: bool, adapter: &Adapter, irql: &mut AtMostDispatch<'_>) {
        let left = self.tx.with(irql, |side, _| {
            if let Some(link) = &mut side.link {
                link.enabled = enabled;
            }
            if enabled {
                ndis::chain::NblChain::new()
            } else {
                side.give_up(Status::FAILURE)
            }
        });
        adapter.complete(left, irql);
        self.wake();
    }

    /// Leaves the rings alone, or takes them up again.
    pub(crate) fn freeze(&self, frozen: bool, irql: &mut AtMostDispatch<'_>) {
        self.tx.with(irql, |side, _| side.frozen = frozen);
        self.rx.with(irql, |side, _| side.frozen = frozen);
        if !frozen {
            self.wake();
        }
    }
}

impl core::fmt::Debug for Queue {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Queue").finish_non_exhaustive()
    }
}
