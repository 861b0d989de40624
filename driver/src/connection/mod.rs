//! The connection thread: does what the connection machine of `netfront-core` says, at
//! `PASSIVE_LEVEL`, where it may wait for XenStore.

mod around;
mod hashing;
mod resources;
mod steering;
mod store;
mod watches;

use alloc::vec::Vec;
use core::time::Duration;

use netfront_core::connect::{Action, Connection, Event, Notice};
use netfront_core::watchdog::{Verdict, Watchdog};
use netif::GrantRef;
use netif::features::Features;
use netif::publication::{Ports, Publication, QueueKeys};
use nt::irql::Passive;
use nt::pool::{OutOfMemory, PoolSlice};
use rss::Placement;
use xen_abi::xenbus::XenbusState;

use crate::TAG;
use crate::adapter::{Adapter, AdapterRef};
use crate::mail::Messages;
use crate::queue::Channels;
use crate::remains::Remains;
use crate::scaling::Hashing as Set;
use crate::trace;
use around::Around;
use hashing::Hashing;
use store::{Backend, Terms};
use watches::WakeOn;

pub(crate) use store::{offered, settings};

/// How often a working connection is looked after.
const TICK: Duration = Duration::from_secs(1);
/// How often the queues are asked whether they have drained.
const DRAIN_TICK: Duration = Duration::from_millis(50);
/// Watches in the frontend's folder.
const FRONTEND_KEYS: [&str; 5] = ["backend", "backend-id", "disconnect", "mtu", "speed"];
/// Events that one event can lead to before the thread looks at its mail again.
const MAX_EVENTS: usize = 64;

/// What we can receive: packets of several slots and segments, and blank checksums.
const RECEIVE: Features = Features::SG
    .with(Features::GSO_TCPV4)
    .with(Features::GSO_TCPV6)
    .with(Features::IPV4_CSUM)
    .with(Features::IPV6_CSUM);

/// What the thread has.
struct Worker<'a> {
    adapter: &'a Adapter,
    machine: Connection,
    watchdog: Watchdog,
    backend: Option<Backend>,
    backend_watch: Option<WakeOn>,
    carrier_watch: Option<WakeOn>,
    around: Around,
    terms: Option<Terms>,
    /// Of each queue, used or not; off the stack.
    channels: PoolSlice<Option<Channels>>,
    keys: PoolSlice<QueueKeys>,
    /// Queues of the present connection.
    queues: usize,
    hashing: Option<Hashing>,
    /// Which queue serves which processors.
    placement: Placement,
    /// What the backend was told of.
    applied: Set,
    /// When a change of the steering was first seen under way.
    steering_since: Option<u64>,
    /// That the backend's hashes are wrong was said.
    deceived: bool,
    traffic: bool,
    draining: bool,
    /// What backends still used when their connections ended.
    remains: Vec<Remains>,
}

#[expect(
    clippy::needless_pass_by_value,
    reason = "the routine of a thread owns what it starts with"
)]
/// The thread. Ends when it is told to, and disconnected.
pub(crate) fn run(adapter: AdapterRef, irql: &mut Passive<'_>) {
    let adapter = adapter.get();
    match Worker::try_new(adapter) {
        Ok(mut worker) => worker.run(irql),
        Err(OutOfMemory) => nt::log_error!("no memory for the connection"),
    }
}

/// Milliseconds of a clock that does not go back.
fn now() -> u64 {
    u64::try_from(nt::time::since_boot().as_millis()).unwrap_or(u64::MAX)
}

impl<'a> Worker<'a> {
    fn try_new(adapter: &'a Adapter) -> Result<Self, OutOfMemory> {
        let queues = adapter.queues().len();
        let no_keys = QueueKeys {
            tx_ring: GrantRef::default(),
            rx_ring: GrantRef::default(),
            ports: Ports::Shared(0),
        };
        Ok(Self {
            adapter,
            machine: Connection::new(),
            watchdog: Watchdog::new(now()),
            backend: None,
            backend_watch: None,
            carrier_watch: None,
            around: Around::default(),
            terms: None,
            channels: PoolSlice::try_from_fn(TAG, queues, |_| None)?,
            keys: PoolSlice::try_from_fn(TAG, queues, |_| no_keys)?,
            queues: 0,
            hashing: None,
            placement: Placement::new(1),
            applied: Set::Off,
            steering_since: None,
            deceived: false,
            traffic: false,
            draining: false,
            remains: Vec::new(),
        })
    }

    fn run(&mut self, irql: &mut Passive<'_>) {
        let mut watches = [const { None }; FRONTEND_KEYS.len()];
        let mut exit = false;
        loop {
            self.watch_frontend(&mut watches, irql);
            let messages = self.adapter.mail().receive(self.timeout(), irql);
            exit |= messages.has(Messages::EXIT);
            self.take(messages, irql);
            self.tick(irql);
            if exit && self.machine.is_stopped() {
                break;
            }
        }
        for watch in watches.into_iter().flatten() {
            WakeOn::end(watch, self.adapter, irql);
        }
        self.end_backend_watch(irql);
        self.linger(irql);
    }

    /// Sets the watches that are missing; one that fails is tried again with the next event.
    fn watch_frontend(
        &self,
        watches: &mut [Option<WakeOn>; FRONTEND_KEYS.len()],
        irql: &Passive<'_>,
    ) {
        for (place, key) in watches.iter_mut().zip(FRONTEND_KEYS) {
            if place.is_none() {
                *place = self.watch(self.adapter.frontend(), key, irql);
            }
        }
    }

    #[expect(unsafe_code, reason = "promises that the adapter outlives this thread")]
    fn watch(
        &self,
        folder: &crate::text::Path,
        key: &'static str,
        irql: &Passive<'_>,
    ) -> Option<WakeOn> {
        // SAFETY: the thread ends its watches, and the adapter waits for the thread.
        let watch = unsafe { WakeOn::new(self.adapter, folder, key, irql) };
        watch
            .inspect_err(|error| nt::log_warn!("{folder}/{key} is not watched: {error:?}"))
            .ok()
    }

    fn end_backend_watch(&mut self, irql: &Passive<'_>) {
        let watches = [self.backend_watch.take(), self.carrier_watch.take()];
        for watch in watches.into_iter().flatten() {
            watch.end(self.adapter, irql);
        }
    }

    fn timeout(&self) -> Option<Duration> {
        let tick = if self.draining {
            Some(DRAIN_TICK)
        } else {
            (self.traffic || !self.remains.is_empty()).then_some(TICK)
        };
        let until = |deadline: u64| Duration::from_millis(deadline.saturating_sub(now()));
        let control = self.hashing.as_ref().and_then(Hashing::deadline);
        [
            tick,
            self.machine.deadline().map(until),
            control.filter(|_| self.traffic || self.draining).map(until),
        ]
        .into_iter()
        .flatten()
        .min()
    }

    fn take(&mut self, messages: Messages, irql: &mut Passive<'_>) {
        if messages.has(Messages::GONE) {
            // The system may take the device while its backend lives: that one has to let go of our pages first.
            if !self.is_backend_there(irql) {
                self.feed(Event::BackendGone, irql);
            }
            self.feed(Event::Stop, irql);
        }
        if messages.has(Messages::RESUMED) {
            self.feed(Event::Resumed, irql);
            // Those without a connection were frozen too.
            for queue in self.adapter.queues() {
                queue.freeze(false, irql);
            }
        }
        if messages.has(Messages::CONNECT) {
            self.feed(Event::Start, irql);
        }
        if messages.has(Messages::STORE) {
            self.look_at_store(irql);
        }
        if messages.has(Messages::RSS) && self.traffic {
            self.apply_rss(irql);
        }
        if messages.has(Messages::FILTER) && self.traffic {
            self.around.follow_filter(self.adapter, irql);
        }
        if messages.has(Messages::BROKEN) {
            self.feed(Event::Reconnect, irql);
        }
        if messages.has(Messages::DISCONNECT) || messages.has(Messages::EXIT) {
            self.feed(Event::Stop, irql);
        }
    }

    /// Time passes.
    #[inline(never)]
    fn tick(&mut self, irql: &mut Passive<'_>) {
        self.feed(Event::Timer, irql);
        self.collect_remains(irql);
        if !self.traffic && !self.draining {
            return;
        }
        self.run_hashing(irql);
        self.look_at_hashes(irql);
        self.look_at_order(irql);
        let seconds = u32::try_from(nt::time::since_boot().as_secs()).unwrap_or(u32::MAX);
        let (mut in_flight, mut responses, mut broken) = (0_u32, 0_u64, false);
        for queue in self.adapter.queues().iter().take(self.queues) {
            queue.give_up_old(self.adapter, seconds, irql);
            let (slots, answers) = queue.progress(irql);
            in_flight = in_flight.saturating_add(slots);
            responses = responses.wrapping_add(answers);
            let (hungry, stuck) = queue.rx.with(irql, |rx, _| (rx.is_hungry(), rx.is_stuck()));
            if slots > 0 || hungry {
                queue.wake();
            }
            broken |= stuck;
        }
        if self.draining {
            if in_flight == 0 && self.hashing.as_ref().is_none_or(Hashing::is_stopped) {
                self.draining = false;
                self.feed(Event::Drained, irql);
            }
            return;
        }
        self.around.follow_filter(self.adapter, irql);
        self.around.announce(self.adapter, irql);
        self.around.trace_drops(self.adapter, irql);
        match self.watchdog.tick(now(), in_flight, responses) {
            Verdict::Fine if broken => {
                nt::log_error!("the backend keeps pages it has filled");
                self.feed(Event::Reconnect, irql);
            }
            Verdict::Fine => {}
            Verdict::Reconnect => {
                nt::log_warn!("the backend is silent: connecting anew");
                self.feed(Event::Reconnect, irql);
            }
            Verdict::Disabled => {
                nt::log_error!("the backend stays silent: its domain has disabled the vif");
                self.adapter.log_hardware_failure();
                self.feed(Event::Cable(false), irql);
            }
        }
    }

    /// Whether the backend we know still has a state.
    fn is_backend_there(&self, irql: &Passive<'_>) -> bool {
        let state = |backend: &Backend| store::state(self.adapter.bus(), &backend.path, irql);
        let known = self.backend.as_ref().map(state);
        matches!(known, Some(Ok(Some(_))))
    }

    /// Something watched changed: who serves us, its state, the cable.
    #[inline(never)]
    fn look_at_store(&mut self, irql: &mut Passive<'_>) {
        let adapter = self.adapter;
        let (bus, frontend) = (adapter.bus(), adapter.frontend());
        let carrier_off = self
            .backend
            .as_ref()
            .is_some_and(|backend| store::is_carrier_off(bus, &backend.path, irql));
        let pulled = store::is_cable_pulled(bus, frontend, irql);
        let plugged = !pulled && !carrier_off && !self.watchdog.is_disabled();
        self.feed(Event::Cable(plugged), irql);
        if let Ok(settings) = settings(bus, frontend, irql) {
            adapter.set_store_settings(settings.speed, settings.mtu, irql);
        }
        let found = match store::backend(bus, frontend, irql) {
            Ok(found) => found,
            Err(error) => {
                nt::log_warn!("the backend's path cannot be read: {error:?}");
                return;
            }
        };
        if found != self.backend {
            self.feed(Event::BackendMoved, irql);
            return;
        }
        let Some(backend) = &self.backend else { return };
        match store::state(bus, &backend.path, irql) {
            Ok(Some(XenbusState::CONNECTED)) if self.allows_fewer_queues(irql) => {
                nt::log_warn!("another backend is there, with fewer queues: connecting anew");
                self.feed(Event::Reconnect, irql);
            }
            Ok(Some(state)) => {
                if state == XenbusState::CLOSED {
                    let online = store::is_online(bus, &backend.path, irql);
                    self.feed(Event::Online(online), irql);
                }
                self.feed(Event::Backend(state), irql);
            }
            Ok(None) => self.feed(Event::BackendGone, irql),
            Err(error) => nt::log_warn!("the backend's state cannot be read: {error:?}"),
        }
    }

    /// Whether the backend allows fewer queues than are in use: it is not the one they were connected to.
    ///
    /// A netback that is loaded again takes a frontend that shows Connected for its own. It refuses more queues than it
    /// has, and shows Connected all the same: the states before that may be gone when they are looked at.
    fn allows_fewer_queues(&self, irql: &Passive<'_>) -> bool {
        let Some(backend) = self.backend.as_ref().filter(|_| self.traffic) else {
            return false;
        };
        let (bus, frontend) = (self.adapter.bus(), self.adapter.frontend());
        let queues = u16::try_from(self.queues).unwrap_or(u16::MAX);
        store::terms(bus, frontend, &backend.path, queues, irql)
            .is_ok_and(|terms| terms.backend.max_queues < queues)
    }

    /// Gives the machine an event and does what it says, until nothing is left to do.
    #[inline(never)]
    fn feed(&mut self, event: Event, irql: &mut Passive<'_>) {
        let mut events = [None; MAX_EVENTS];
        let mut end = 1_usize;
        if let Some(first) = events.first_mut() {
            *first = Some(event);
        }
        let mut next = 0_usize;
        while let Some(event) = events.get(next).copied().flatten() {
            next = next.saturating_add(1);
            for action in self.machine.handle(event, now()).iter() {
                if let Some(result) = self.perform(action, irql)
                    && let Some(place) = events.get_mut(end)
                {
                    *place = Some(result);
                    end = end.saturating_add(1);
                }
            }
        }
    }

    /// Does one action; its result, if it has one now.
    #[inline(never)]
    fn perform(&mut self, action: Action, irql: &mut Passive<'_>) -> Option<Event> {
        let adapter = self.adapter;
        match action {
            Action::FindBackend => return self.find_backend(irql),
            Action::WriteState(state) => self.write_state(state, irql),
            Action::ReadKeys => {
                let backend = self.backend.as_ref()?;
                let read = store::terms(
                    adapter.bus(),
                    adapter.frontend(),
                    &backend.path,
                    u16::try_from(adapter.queues().len()).unwrap_or(u16::MAX),
                    irql,
                );
                return Some(Event::KeysRead(read.map(|terms| self.terms = Some(terms))));
            }
            Action::Prepare => {
                let prepared = self.prepare(irql);
                if let Err(status) = prepared {
                    nt::log_error!("the queues cannot be made: {status:?}");
                }
                return Some(Event::Prepared(prepared.is_ok()));
            }
            Action::Publish => return Some(Event::Published(self.publish(irql))),
            Action::EnableTraffic => {
                if let Some(terms) = self.terms {
                    adapter.set_backend(terms.backend.features, irql);
                }
                // Before the first frame; the control ring follows.
                self.adapter.set_active_queues(self.queues);
                self.steer(irql);
                self.adapter.reset_order(irql);
                self.enable(true, irql);
                let features = self
                    .terms
                    .map_or(Features::NONE, |terms| terms.backend.features);
                self.around.connected(features);
                self.around.follow_filter(adapter, irql);
                self.around.announce(adapter, irql);
                let queues = u32::try_from(self.queues).unwrap_or(u32::MAX);
                let trusted = self.terms.is_some_and(|terms| terms.trusted);
                trace::connected(adapter.identity().current, queues, features.bits(), trusted);
                self.run_hashing(irql);
                adapter.bus().report_working(irql);
            }
            Action::StopTraffic => {
                self.trace_end(irql);
                self.enable(false, irql);
                self.draining = true;
                if let Some(hashing) = &mut self.hashing {
                    hashing.want_stop();
                }
                self.run_hashing(irql);
            }
            Action::Release | Action::Forget => self.release(irql),
            Action::Link(up) => adapter.set_link(up, irql),
            Action::Finished => adapter.mail().disconnected(irql),
            Action::Log(notice) => self.log(notice),
        }
        None
    }

    /// Tells listeners what the connection carried.
    #[inline(never)]
    fn trace_end(&self, irql: &mut Passive<'_>) {
        let station = self.adapter.identity().current;
        for (queue, number) in self.adapter.queues().iter().take(self.queues).zip(0_u32..) {
            trace::queue(station, number, &queue.statistics(irql));
        }
        trace::disconnected(station);
    }

    /// Looks for the backend; none when XenStore does not answer, which the machine finds out by
    /// its timeout.
    #[inline(never)]
    fn find_backend(&mut self, irql: &mut Passive<'_>) -> Option<Event> {
        self.end_backend_watch(irql);
        let adapter = self.adapter;
        let found = store::backend(adapter.bus(), adapter.frontend(), irql);
        self.backend = found.ok()?;
        let Some(backend) = &self.backend else {
            return Some(Event::BackendGone);
        };
        // The watch comes first: no change falls between it and the reading.
        self.backend_watch = self.watch(&backend.path, "state", irql);
        self.carrier_watch = self.watch(&backend.path, "carrier", irql);
        match store::state(adapter.bus(), &backend.path, irql) {
            Ok(Some(state)) => Some(Event::Backend(state)),
            Ok(None) => Some(Event::BackendGone),
            Err(_) => None,
        }
    }

    fn write_state(&self, state: XenbusState, irql: &Passive<'_>) {
        store::write_state(self.adapter.bus(), self.adapter.frontend(), state, irql);
    }

    fn publish(&self, irql: &Passive<'_>) -> Result<(), netfront_core::connect::PublishError> {
        let publication = Publication {
            queues: self.keys.get(..self.queues).unwrap_or_default(),
            ctrl: self.hashing.as_ref().map(Hashing::keys),
            receive: RECEIVE,
            multicast_control: false,
        };
        store::publish(
            self.adapter.bus(),
            self.adapter.frontend(),
            &publication,
            irql,
        )
    }

    fn enable(&mut self, enabled: bool, irql: &mut Passive<'_>) {
        self.traffic = enabled;
        if enabled {
            self.draining = false;
            self.watchdog.reconnected(now());
        }
        for queue in self.adapter.queues().iter().take(self.queues) {
            queue.enable(enabled, self.adapter, irql);
        }
    }

    fn log(&self, notice: Notice) {
        match notice {
            Notice::Connected => nt::log_info!("{notice:?}, {} queues", self.queues),
            Notice::NoBackend | Notice::BackendClosed => nt::log_warn!("{notice:?}"),
            Notice::Timeout(_) => {
                nt::log_error!("{notice:?}");
                self.adapter.log_timeout();
            }
            _ => {
                nt::log_error!("{notice:?}");
                self.adapter.log_hardware_failure();
            }
        }
    }
}
