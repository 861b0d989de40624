//! The protocol driver above every adapter: what tests send, receive, hold and ask.

use alloc::borrow::ToOwned;
use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, Ordering};

use ndis_sys as sys;
use spin::Mutex;

use super::adapter::Adapter;
use super::attributes::Attributes;
use super::configuration::KeywordRead;
use super::error_log::ErrorLogEntry;
use super::frame::SendList;
use super::oid::{self, OidRequest, OidResult};
use super::power::DeviceState;
use super::processor::{self, Numa};
use super::receive::{self, Counters};
use super::receive_rules::SLOTS;
use super::state::State;
use super::status::{LinkState, StatusSeen};
use super::{lifecycle, send};
use crate::host::context::kernel;
use crate::pnp::DeviceId;
use crate::sched::Stop;
use crate::zw::registry::Value;
use crate::{Harness, po};

/// An adapter, named by the handle that its driver knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct AdapterId(usize);

/// What the protocol does with received lists.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ReceivePolicy {
    /// Returns them before the indication returns.
    Inside,
    /// Returns them soon, from another thread, in another order and other groups.
    Later,
    /// One or the other, as the seed decides for each indication.
    #[default]
    Either,
    /// Keeps them until the test returns them, or the adapter is paused.
    Hold,
}

/// How lists are sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SendOptions {
    /// At `DISPATCH_LEVEL`; the seed chooses if `None`.
    pub dispatch: Option<bool>,
    /// With `NDIS_SEND_FLAGS_CHECK_FOR_LOOPBACK`.
    pub check_loopback: bool,
    /// Pass them to the driver in a low-power state, as NDIS does with sends that come at the same time.
    pub stray: bool,
}

/// A completed send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sent {
    /// What [`Protocol::send`] returned for the list.
    pub id: u64,
    /// `NDIS_STATUS_*`.
    pub status: i32,
    /// Virtual time of the completion.
    pub time: u64,
    /// The driver never saw it: NDIS refused it in this state.
    pub by_ndis: bool,
}

impl Sent {
    /// Whether the send succeeded.
    #[must_use]
    pub const fn is_success(&self) -> bool {
        self.status == sys::NDIS_STATUS_SUCCESS
    }
}

/// One received frame, copied when it was indicated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Received {
    /// The frame, from the destination address on.
    pub bytes: Vec<u8>,
    /// Out-of-band slots, by `NDIS_NET_BUFFER_LIST_INFO`.
    pub info: [u64; SLOTS],
    /// `NDIS_RECEIVE_FLAGS_*` of the indication.
    pub flags: u32,
    /// Processor it was indicated on.
    pub cpu: u32,
    /// Virtual time.
    pub time: u64,
}

impl Received {
    /// An out-of-band slot.
    #[must_use]
    pub fn slot(&self, which: i32) -> u64 {
        usize::try_from(which)
            .ok()
            .and_then(|index| self.info.get(index))
            .copied()
            .unwrap_or(0)
    }
}

/// What NDIS does with the next adapters.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) keywords: Vec<(String, Value)>,
    /// A protocol is bound: the adapter is restarted after it is initialised.
    pub(crate) restart: bool,
    /// Packet filter that the protocol sets after each restart; 0 sets none.
    pub(crate) filter: u32,
    pub(crate) policy: ReceivePolicy,
    pub(crate) rss_base: u8,
    pub(crate) rss_processors: Option<usize>,
    pub(crate) rss_shape: u32,
    pub(crate) numa: Numa,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            keywords: Vec::new(),
            restart: true,
            filter: sys::NDIS_PACKET_TYPE_DIRECTED
                | sys::NDIS_PACKET_TYPE_MULTICAST
                | sys::NDIS_PACKET_TYPE_BROADCAST,
            policy: ReceivePolicy::Either,
            rss_base: 0,
            rss_processors: None,
            rss_shape: 0,
            numa: Numa::default(),
        }
    }
}

/// The protocol's side of one adapter.
#[derive(Debug)]
pub(crate) struct Binding {
    settings: Mutex<Settings>,
    inbox: Mutex<VecDeque<Received>>,
    held: Mutex<VecDeque<usize>>,
    returning: AtomicBool,
    hold_through_pause: AtomicBool,
}

impl Binding {
    pub(crate) fn new(settings: &Settings) -> Self {
        let mut settings = settings.clone();
        settings.rss_shape = kernel().sched.rng.lock().below(16);
        Self {
            settings: Mutex::new(settings),
            inbox: Mutex::default(),
            held: Mutex::default(),
            returning: AtomicBool::new(false),
            hold_through_pause: AtomicBool::new(false),
        }
    }

    pub(crate) fn settings(&self) -> Settings {
        self.settings.lock().clone()
    }

    /// Some of the held lists, out of order, as the seed decides.
    fn some_held(&self) -> Vec<usize> {
        let mut held = self.held.lock();
        let mut rng = kernel().sched.rng.lock();
        let most = u32::try_from(held.len()).unwrap_or(u32::MAX);
        let count = if most == 0 { 0 } else { 1 + rng.below(most) };
        let mut some = Vec::new();
        for _ in 0..count {
            let left = u32::try_from(held.len()).unwrap_or(u32::MAX);
            some.extend(held.remove(rng.below(left) as usize));
        }
        some
    }
}

/// The driver indicated frames: `lists` are held by the protocol now. Called inside the indication.
pub(crate) fn received(
    adapter: &Arc<Adapter>,
    frames: Vec<Received>,
    lists: &[usize],
    deliver: bool,
) {
    if deliver {
        adapter.binding.inbox.lock().extend(frames);
    }
    if lists.is_empty() {
        return;
    }
    let policy = adapter.binding.settings.lock().policy;
    let inside = match policy {
        ReceivePolicy::Inside => true,
        ReceivePolicy::Either => kernel().sched.chance(2),
        ReceivePolicy::Later | ReceivePolicy::Hold => false,
    };
    if inside {
        receive::give_back(adapter, lists, false);
        return;
    }
    adapter.binding.held.lock().extend(lists.iter().copied());
    if policy != ReceivePolicy::Hold && !adapter.binding.returning.swap(true, Ordering::AcqRel) {
        let returner = Arc::clone(adapter);
        kernel()
            .sched
            .spawn("protocol returns", Box::new(move || return_all(&returner)));
    }
}

/// Returns every held list, in groups.
fn return_all(adapter: &Arc<Adapter>) {
    adapter.binding.returning.store(false, Ordering::Release);
    loop {
        let some = adapter.binding.some_held();
        if some.is_empty() {
            return;
        }
        let dispatch = kernel().sched.chance(2);
        receive::give_back(adapter, &some, dispatch);
    }
}

/// The adapter is being paused: the protocol gives back what it holds. On a thread of its own.
pub(crate) fn pausing(adapter: &Arc<Adapter>) {
    while adapter.state() == State::Pausing
        && !adapter.binding.hold_through_pause.load(Ordering::Acquire)
    {
        return_all(adapter);
        if adapter.receives.outstanding() == 0 {
            return;
        }
        // An indication that was on its way when the pause began may still bring lists.
        let due = kernel().sched.now() + 10_000;
        crate::ke::wait::wait_for(&[], false, Some(due));
    }
}

/// The adapter runs: the protocol sets what it wants to receive.
pub(crate) fn restarted(adapter: &Arc<Adapter>) {
    let filter = adapter.binding.settings.lock().filter;
    let supported = adapter
        .attributes
        .lock()
        .general
        .as_ref()
        .map_or(0, |general| general.filters);
    if filter & supported != 0 {
        let value = (filter & supported).to_le_bytes();
        oid::run(
            adapter,
            &OidRequest::set(sys::OID_GEN_CURRENT_PACKET_FILTER, value),
        );
    }
    // TCP/IP says how its frames are encapsulated before it uses offloads (ndis-contract 3.2).
    if adapter.attributes.lock().offload.is_some() {
        let request = OidRequest::set(sys::OID_OFFLOAD_ENCAPSULATION, ethernet_encapsulation());
        oid::run(adapter, &request);
    }
}

/// `NDIS_OFFLOAD_ENCAPSULATION`: both IP versions in Ethernet frames.
fn ethernet_encapsulation() -> Vec<u8> {
    let size = sys::NDIS_SIZEOF_OFFLOAD_ENCAPSULATION_REVISION_1;
    let [low, high, ..] = size.to_le_bytes();
    let mut bytes = vec![
        sys::NDIS_OBJECT_TYPE_OFFLOAD_ENCAPSULATION,
        sys::NDIS_OFFLOAD_ENCAPSULATION_REVISION_1,
        low,
        high,
    ];
    for _ in 0..2 {
        for word in [
            sys::NDIS_OFFLOAD_SET_ON,
            sys::NDIS_ENCAPSULATION_IEEE_802_3,
            14,
        ] {
            bytes.extend(word.to_le_bytes());
        }
    }
    bytes
}

/// A test's view of one adapter, from above.
///
/// Methods that call into the driver do so on a system thread, and run the machine until the call returns. They
/// fail with [`Stop`] if it does not, or if a driver did something after which nothing can go on.
#[derive(Clone, Debug)]
pub struct Protocol<'machine> {
    harness: &'machine Harness,
    adapter: Arc<Adapter>,
}

impl Harness {
    /// Simulates NDIS 6.`minor`, 82 to 89, for drivers that register from now on. 89 unless set.
    pub fn set_ndis_version(&self, minor: u8) {
        assert!((82..=89).contains(&minor), "NDIS 6.82 to 6.89");
        self.kernel.ndis.set_minor(minor);
    }

    /// Sets a keyword of every adapter that is added from now on; `None` removes it.
    pub fn set_default_keyword(&self, keyword: &str, value: Option<Value>) {
        let mut settings = self.kernel.ndis.settings.lock();
        settings
            .keywords
            .retain(|(known, _)| !known.eq_ignore_ascii_case(keyword));
        settings
            .keywords
            .extend(value.map(|value| (keyword.to_owned(), value)));
    }

    /// Whether adapters added from now on have a protocol bound, which restarts them and sets a filter.
    pub fn set_bound(&self, bound: bool) {
        self.kernel.ndis.settings.lock().restart = bound;
    }

    /// Packet filter that the protocol sets on adapters added from now on; 0 sets none.
    pub fn set_default_filter(&self, filter: u32) {
        self.kernel.ndis.settings.lock().filter = filter;
    }

    /// First processor, and number of processors, that RSS may use on adapters added from now on.
    pub fn set_rss_processors(&self, base: u8, most: Option<usize>) {
        let mut settings = self.kernel.ndis.settings.lock();
        settings.rss_base = base;
        settings.rss_processors = most;
    }

    /// Processors of a NUMA node, and the node of the slots of adapters added from now on. All are one node unless set.
    pub fn set_numa(&self, per_node: u32, near: u16) {
        let per_node = per_node.max(1);
        self.kernel.ndis.settings.lock().numa = Numa { per_node, near };
    }

    /// Every miniport adapter, oldest first.
    #[must_use]
    pub fn adapters(&self) -> Vec<AdapterId> {
        self.kernel
            .ndis
            .all_adapters()
            .iter()
            .map(|adapter| AdapterId(adapter.handle))
            .collect()
    }

    /// The protocol above an adapter.
    #[must_use]
    pub fn protocol(&self, id: AdapterId) -> Option<Protocol<'_>> {
        let adapter = self.kernel.ndis.adapter(id.0)?;
        Some(Protocol {
            harness: self,
            adapter,
        })
    }

    /// The protocol above the adapter of a device.
    #[must_use]
    pub fn protocol_of(&self, device: DeviceId) -> Option<Protocol<'_>> {
        let adapters = self.kernel.ndis.all_adapters();
        let adapter = adapters
            .into_iter()
            .find(|adapter| adapter.devices.physical == device.object())?;
        Some(Protocol {
            harness: self,
            adapter,
        })
    }

    /// What drivers wrote to the event log through NDIS.
    #[must_use]
    pub fn error_log(&self) -> Vec<ErrorLogEntry> {
        self.kernel.ndis.errors.lock().clone()
    }
}

impl Protocol<'_> {
    fn on_thread<R: Send + 'static>(
        &self,
        body: impl FnOnce(&Arc<Adapter>) -> R + Send + 'static,
    ) -> Result<R, Stop> {
        let adapter = Arc::clone(&self.adapter);
        self.harness.on_thread(move || body(&adapter))
    }

    /// Runs `body` on a system thread, and does not wait for it.
    fn start(
        &self,
        name: &'static str,
        body: impl FnOnce(&Arc<Adapter>) + Send + 'static,
    ) -> Result<(), Stop> {
        self.on_thread(move |adapter| {
            let adapter = Arc::clone(adapter);
            kernel().sched.spawn(name, Box::new(move || body(&adapter)));
        })
    }

    /// The adapter.
    #[must_use]
    pub fn id(&self) -> AdapterId {
        AdapterId(self.adapter.handle)
    }

    /// State of the adapter.
    #[must_use]
    pub fn state(&self) -> State {
        self.adapter.state()
    }

    /// What the driver told in its attributes.
    #[must_use]
    pub fn attributes(&self) -> Attributes {
        self.adapter.attributes.lock().clone()
    }

    /// Sends lists as one chain. Returns an identifier for each; [`Protocol::take_sent`] tells how they ended.
    pub fn send(&self, lists: Vec<SendList>, options: SendOptions) -> Result<Vec<u64>, Stop> {
        self.on_thread(move |adapter| send::submit(adapter, &lists, options))
    }

    /// As [`Protocol::send`], on a thread of its own: returns before the driver has seen the lists, so that sends
    /// overlap with each other and with whatever the test does next.
    pub fn start_send(&self, lists: Vec<SendList>, options: SendOptions) -> Result<(), Stop> {
        self.start("protocol sends", move |adapter| {
            send::submit(adapter, &lists, options);
        })
    }

    /// Asks the driver to give up queued sends that carry `cancel_id` in slot `NetBufferListCancelId`.
    pub fn cancel_sends(&self, cancel_id: u64) -> Result<(), Stop> {
        self.on_thread(move |adapter| send::cancel(adapter, cancel_id))
    }

    /// Sends that ended since the last call.
    #[must_use]
    pub fn take_sent(&self) -> Vec<Sent> {
        self.adapter.sends.take_done()
    }

    /// Lists that the driver has not completed.
    #[must_use]
    pub fn sends_outstanding(&self) -> usize {
        self.adapter.sends.outstanding()
    }

    /// Frames received since the last call.
    #[must_use]
    pub fn take_received(&self) -> Vec<Received> {
        self.adapter.binding.inbox.lock().drain(..).collect()
    }

    /// The oldest frame received and not taken.
    #[must_use]
    pub fn peek_received(&self) -> Option<Received> {
        self.adapter.binding.inbox.lock().front().cloned()
    }

    /// Lists indicated and not returned to the driver.
    #[must_use]
    pub fn receives_outstanding(&self) -> usize {
        self.adapter.receives.outstanding()
    }

    /// Changes what the protocol does with received lists.
    pub fn set_receive_policy(&self, policy: ReceivePolicy) {
        self.adapter.binding.settings.lock().policy = policy;
    }

    /// Keep held lists even when the adapter is paused, until the test returns them.
    pub fn hold_through_pause(&self, hold: bool) {
        self.adapter
            .binding
            .hold_through_pause
            .store(hold, Ordering::Release);
    }

    /// Returns up to `count` of the held lists, oldest first, as one chain.
    pub fn return_received(&self, count: usize) -> Result<(), Stop> {
        self.on_thread(move |adapter| {
            let lists: Vec<usize> = {
                let mut held = adapter.binding.held.lock();
                let count = count.min(held.len());
                held.drain(..count).collect()
            };
            receive::give_back(adapter, &lists, kernel().sched.chance(2));
        })
    }

    /// Sends a request to the driver and waits for its end.
    pub fn oid(&self, request: OidRequest) -> Result<OidResult, Stop> {
        self.on_thread(move |adapter| oid::run(adapter, &request))
    }

    /// Asks for an object with `room` bytes.
    pub fn query(&self, oid: u32, room: usize) -> Result<OidResult, Stop> {
        self.oid(OidRequest::query(oid, room))
    }

    /// Sets an object.
    pub fn set(&self, oid: u32, value: impl Into<Vec<u8>>) -> Result<OidResult, Stop> {
        self.oid(OidRequest::set(oid, value))
    }

    /// Sets the packet filter.
    pub fn set_filter(&self, filter: u32) -> Result<OidResult, Stop> {
        self.set(sys::OID_GEN_CURRENT_PACKET_FILTER, filter.to_le_bytes())
    }

    /// Pauses the running adapter, as a protocol that binds does.
    pub fn pause(&self) -> Result<(), Stop> {
        self.on_thread(|adapter| lifecycle::pause(adapter, sys::NDIS_PAUSE_BIND_PROTOCOL))
    }

    /// Begins to pause the running adapter on a thread of its own; [`Protocol::state`] tells when it is done.
    pub fn start_pause(&self) -> Result<(), Stop> {
        self.start("protocol binds", |adapter| {
            lifecycle::pause(adapter, sys::NDIS_PAUSE_BIND_PROTOCOL);
        })
    }

    /// Restarts the paused adapter. True if it runs.
    pub fn restart(&self) -> Result<bool, Stop> {
        self.on_thread(lifecycle::restart)
    }

    /// Moves the device to a power state, with all that NDIS does around it.
    pub fn set_power(&self, state: DeviceState) -> Result<i32, Stop> {
        self.on_thread(move |adapter| po::set_device(adapter.devices.physical, state.code()))
    }

    /// Shuts the system down as far as this adapter is concerned: nothing is called after it.
    pub fn shutdown(&self) -> Result<(), Stop> {
        self.on_thread(|adapter| lifecycle::shutdown(adapter, sys::NdisShutdownPowerOff))
    }

    /// Status indications so far.
    #[must_use]
    pub fn statuses(&self) -> Vec<StatusSeen> {
        self.adapter.statuses.seen()
    }

    /// The link as last told.
    #[must_use]
    pub fn link(&self) -> LinkState {
        self.adapter.statuses.link()
    }

    /// Link indications that told nothing new.
    #[must_use]
    pub fn redundant_link_indications(&self) -> u32 {
        self.adapter.statuses.redundant()
    }

    /// What passed through, as NDIS saw it.
    #[must_use]
    pub fn counters(&self) -> Counters {
        self.adapter.receives.counters()
    }

    /// Indices of the processors that RSS may use: what TCP/IP makes tables of.
    pub fn rss_processors(&self) -> Result<Vec<u32>, Stop> {
        self.on_thread(|adapter| processor::rss_processors(adapter))
    }

    /// Keywords that the driver asked for.
    #[must_use]
    pub fn keyword_reads(&self) -> Vec<KeywordRead> {
        self.adapter.keywords.reads()
    }

    /// Sets a keyword for the next time the driver reads it; `None` removes it.
    pub fn set_keyword(&self, keyword: &str, value: Option<Value>) {
        let registry = &self.harness.kernel.registry;
        self.adapter.keywords.set(registry, keyword, value);
    }

    /// Whether the driver asked to be removed (`NdisMRemoveMiniport`).
    #[must_use]
    pub fn asked_for_removal(&self) -> bool {
        self.adapter.failed.load(Ordering::Acquire)
    }
}
