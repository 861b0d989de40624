//! One miniport adapter.

use alloc::format;
use alloc::sync::Arc;
use core::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};

use spin::Mutex;

use super::attributes::Attributes;
use super::configuration::Keywords;
use super::contract::{FLAG_IRQL, HANDLE, LOCK_HELD, STATE};
use super::driver::Miniport;
use super::handle;
use super::lifecycle::Completion;
use super::oid::Requests;
use super::protocol::Binding;
use super::receive::Receives;
use super::send::Sends;
use super::state::{Event, State};
use super::status::Statuses;
use crate::host::context::kernel;
use crate::rules;

/// Device objects of an adapter: physical, NDIS's own, and the one below NDIS's.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Devices {
    pub(crate) physical: usize,
    pub(crate) functional: usize,
    pub(crate) next: usize,
}

/// One adapter, from `AddDevice` until its device is removed.
#[derive(Debug)]
pub(crate) struct Adapter {
    /// The `NdisMiniportHandle` and `MiniportAdapterHandle` that the driver knows.
    pub(crate) handle: usize,
    pub(crate) driver: Arc<Miniport>,
    pub(crate) devices: Devices,
    state: Mutex<State>,
    pub(crate) attributes: Mutex<Attributes>,
    /// Context of `MiniportAddDevice`.
    pub(crate) device_context: AtomicUsize,
    pub(crate) keywords: Keywords,
    pub(crate) pausing: Completion,
    pub(crate) restarting: Completion,
    pub(crate) sends: Sends,
    pub(crate) receives: Receives,
    pub(crate) requests: Requests,
    pub(crate) statuses: Statuses,
    pub(crate) binding: Binding,
    /// Packet filter that the driver last accepted.
    pub(crate) filter: AtomicU32,
    /// Between `OID_PNP_SET_POWER` to a low state and back.
    pub(crate) low_power: AtomicBool,
    pub(crate) surprise_removed: AtomicBool,
    /// `MiniportHaltEx` has been called and has not returned.
    pub(crate) in_halt: AtomicBool,
    /// `NdisMRemoveMiniport` was called.
    pub(crate) failed: AtomicBool,
    /// Paused for the low-power state, so that waking restarts it.
    pub(crate) paused_for_power: AtomicBool,
}

impl Adapter {
    /// Makes the adapter of a device and enters it in NDIS's table.
    pub(crate) fn create(driver: &Arc<Miniport>, devices: Devices) -> Arc<Self> {
        let settings = kernel().ndis.settings.lock().clone();
        let adapter = Arc::new(Self {
            handle: handle::fresh(),
            driver: Arc::clone(driver),
            devices,
            state: Mutex::new(State::Halted),
            attributes: Mutex::default(),
            device_context: AtomicUsize::new(0),
            keywords: Keywords::new(devices.physical, settings.keywords.clone()),
            pausing: Completion::default(),
            restarting: Completion::default(),
            sends: Sends::default(),
            receives: Receives::default(),
            requests: Requests::new(),
            statuses: Statuses::default(),
            binding: Binding::new(&settings),
            filter: AtomicU32::new(0),
            low_power: AtomicBool::new(false),
            surprise_removed: AtomicBool::new(false),
            in_halt: AtomicBool::new(false),
            failed: AtomicBool::new(false),
            paused_for_power: AtomicBool::new(false),
        });
        kernel().ndis.add_adapter(&adapter);
        adapter
    }

    pub(crate) fn state(&self) -> State {
        *self.state.lock()
    }

    /// Moves the adapter on. A move NDIS never makes is a bug of the test or of the harness.
    pub(crate) fn advance(&self, event: Event) {
        let mut state = self.state.lock();
        let next = state.after(event);
        let next =
            next.unwrap_or_else(|| panic!("{event:?} in state {:?}: NDIS never does that", *state));
        *state = next;
    }

    /// The driver's context, which the registration attributes brought.
    pub(crate) fn context(&self) -> usize {
        self.attributes.lock().context
    }

    pub(crate) fn in_low_power(&self) -> bool {
        self.low_power.load(Ordering::Acquire)
    }

    /// Reports the driver if it does `what` in a state outside `allowed`. False if it did.
    pub(crate) fn expect_state(&self, allowed: impl Fn(State) -> bool, what: &str) -> bool {
        let state = self.state();
        if allowed(state) {
            return true;
        }
        rules::violate(&STATE, format!("{what} in state {state:?}"));
        false
    }
}

/// The adapter of a handle from a driver. Anything else ends the run: NDIS would stop the system.
pub(crate) fn of(handle: usize, what: &str) -> Arc<Adapter> {
    kernel().ndis.adapter(handle).unwrap_or_else(|| {
        rules::die(
            &HANDLE,
            format!("{what}: {handle:#x} is no miniport adapter handle"),
        );
    })
}

/// Whether `handle` is an adapter's or a driver's; reports it if it is neither.
pub(crate) fn expect_handle(handle: usize, what: &str) {
    let ndis = &kernel().ndis;
    if ndis.adapter(handle).is_none() && ndis.driver(handle).is_none() {
        rules::violate(&HANDLE, format!("{what}: {handle:#x} is no handle of NDIS"));
    }
}

/// Checks what holds for every call that may call back into the driver: no spin lock is held, and a flag that
/// says `DISPATCH_LEVEL` is true.
pub(crate) fn expect_no_lock(what: &str, dispatch_flag: bool) {
    let cpu = kernel().sched.cpu();
    let held = cpu.held.lock().len();
    if held != 0 {
        rules::violate(&LOCK_HELD, format!("{what} with {held} spin locks held"));
    }
    let irql = cpu.irql();
    if dispatch_flag && irql != 2 {
        rules::violate(
            &FLAG_IRQL,
            format!("{what}: the flags say DISPATCH_LEVEL, the IRQL is {irql}"),
        );
    }
}
