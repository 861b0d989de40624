//! The life of an adapter: initialise, restart, pause, halt, shut down. All of it runs on system threads at
//! `PASSIVE_LEVEL`, in the orders of [`super::state`] only.

use alloc::boxed::Box;
use alloc::format;
use alloc::sync::Arc;
use core::sync::atomic::Ordering;

use ndis_sys::{
    self as sys, NDIS_MINIPORT_INIT_PARAMETERS as InitParameters,
    NDIS_MINIPORT_PAUSE_PARAMETERS as PauseParameters,
    NDIS_MINIPORT_RESTART_PARAMETERS as RestartParameters, NDIS_STATUS, NET_DEVICE_PNP_EVENT,
};
use spin::Mutex;

use super::adapter::{self, Adapter};
use super::configuration::MANDATORY;
use super::contract::{
    ATTRIBUTE_ORDER, CONFIGURATION, HALT_LEAK, OUTSTANDING, RETURN, STATE_COMPLETE, STATE_TIME,
};
use super::driver::Handler;
use super::nt::Signal;
use super::state::{Event, State};
use super::{header, protocol};
use crate::SECOND;
use crate::export::{Module, exports};
use crate::field;
use crate::host::context::kernel;
use crate::mem::guest::Guest;
use crate::rules;

exports! { Module::Ndis;
    NdisMPauseComplete = pause_complete, 0..=2;
    NdisMRestartComplete = restart_complete, 0..=2;
    NdisMRemoveMiniport = remove_miniport, 0..=2;
    NdisMSleep = sleep, 0..=1;
}

/// Longest pause or restart. NDIS itself waits for ever; a driver that takes this long never ends.
const LIMIT: u64 = 60 * SECOND;

/// An operation that the driver may complete later.
#[derive(Debug, Default)]
pub(crate) struct Completion(Mutex<Phase>);

#[derive(Clone, Copy, Debug, Default)]
enum Phase {
    #[default]
    Idle,
    Called(Signal),
    Completed(NDIS_STATUS),
}

impl Completion {
    fn begin(&self) -> Signal {
        let signal = Signal::new();
        *self.0.lock() = Phase::Called(signal);
        signal
    }

    /// Whether the driver has completed it and NDIS has not taken note yet.
    pub(crate) fn is_completed(&self) -> bool {
        matches!(*self.0.lock(), Phase::Completed(_))
    }

    /// The driver's `...Complete` call.
    fn complete(&self, status: NDIS_STATUS, what: &str) {
        let phase = *self.0.lock();
        if let Phase::Called(signal) = phase {
            *self.0.lock() = Phase::Completed(status);
            signal.set();
        } else {
            rules::violate(
                &STATE_COMPLETE,
                format!("{what}: nothing is pending ({phase:?})"),
            );
        }
    }

    /// The handler returned `status`: waits if it said pending. Returns the final status.
    fn finish(&self, signal: Signal, status: NDIS_STATUS, what: &str) -> NDIS_STATUS {
        let mut result = status;
        if status == sys::NDIS_STATUS_PENDING && !signal.wait(Some(LIMIT)) {
            rules::die(
                &STATE_TIME,
                format!("{what} is still pending after {} s", LIMIT / SECOND),
            );
        }
        if let Phase::Completed(completed) = *self.0.lock() {
            if status == sys::NDIS_STATUS_PENDING {
                result = completed;
            } else {
                rules::violate(
                    &STATE_COMPLETE,
                    format!("{what} was completed and returned {status:#x}"),
                );
            }
        }
        *self.0.lock() = Phase::Idle;
        signal.free();
        result
    }
}

/// Calls `MiniportInitializeEx`. Returns its status, or a failure if NDIS does not get that far.
pub(crate) fn initialize(adapter: &Arc<Adapter>) -> NDIS_STATUS {
    if let Some(missing) = MANDATORY
        .into_iter()
        .find(|keyword| adapter.keywords.get(keyword).is_none())
    {
        kernel().log.push(
            kernel().sched.now(),
            &format!("NDIS: keyword {missing} is missing"),
        );
        return sys::NDIS_STATUS_FAILURE;
    }
    adapter.advance(Event::Initialize);
    let kernel = kernel();
    let at = kernel.pool.allocate_own(size_of::<InitParameters>());
    let parameters = at as *mut InitParameters;
    header::write(
        at,
        sys::NDIS_OBJECT_TYPE_MINIPORT_INIT_PARAMETERS,
        1,
        size_of::<InitParameters>(),
    );
    let context = adapter.device_context.load(Ordering::Acquire);
    field!(parameters, InitParameters, MiniportAddDeviceContext)
        .cast::<usize>()
        .store(context);
    field!(parameters, InitParameters, IfIndex).store(12);
    // IfType 6 in the top 16 bits, NetLuidIndex in the middle.
    field!(parameters, InitParameters, NetLuid).store((6 << 48) | (0x8001 << 24));
    let arguments = [adapter.handle, adapter.driver.context, at];
    let status = adapter.driver.call_status(Handler::Initialize, &arguments);
    kernel.pool.free(at, None);
    if kernel
        .ndis
        .objects
        .owned_by(adapter.handle)
        .iter()
        .any(|what| what.contains("Configuration"))
    {
        rules::violate(
            &CONFIGURATION,
            "MiniportInitializeEx returned with an open configuration handle",
        );
    }
    if status != sys::NDIS_STATUS_SUCCESS {
        if status == sys::NDIS_STATUS_PENDING {
            rules::violate(&RETURN, "MiniportInitializeEx returned NDIS_STATUS_PENDING");
        }
        adapter.advance(Event::InitializeFailed);
        check_gone(adapter, "MiniportInitializeEx failed");
        return status;
    }
    adapter.advance(Event::Initialized);
    let complete = {
        let attributes = adapter.attributes.lock();
        attributes.registered && attributes.general.is_some()
    };
    if !complete {
        rules::violate(
            &ATTRIBUTE_ORDER,
            "MiniportInitializeEx succeeded without its attributes",
        );
        halt(adapter, sys::NdisHaltDeviceInitializationFailed);
        return sys::NDIS_STATUS_FAILURE;
    }
    power_profile_changed(adapter);
    sys::NDIS_STATUS_SUCCESS
}

/// Reports what the driver has not given back, and forgets all that the adapter told of itself.
fn check_gone(adapter: &Adapter, when: &str) {
    let kernel = kernel();
    let mut left = kernel.ndis.objects.owned_by(adapter.handle);
    left.extend(super::timer::set_for(adapter.handle));
    left.extend(super::work::queued_for(adapter.handle));
    if !left.is_empty() {
        rules::violate(&HALT_LEAK, format!("{when} and leaves {}", left.join(", ")));
        kernel.ndis.objects.forget(adapter.handle);
    }
    *adapter.attributes.lock() = super::Attributes::default();
    adapter.filter.store(0, Ordering::Release);
    adapter.low_power.store(false, Ordering::Release);
}

/// Calls `MiniportRestart` and waits. True if the adapter runs.
pub(crate) fn restart(adapter: &Arc<Adapter>) -> bool {
    adapter.advance(Event::Restart);
    let kernel = kernel();
    let at = kernel.pool.allocate_own(size_of::<RestartParameters>());
    let size = sys::NDIS_SIZEOF_MINIPORT_RESTART_PARAMETERS_REVISION_1;
    header::write(at, sys::NDIS_OBJECT_TYPE_DEFAULT, 1, size);
    let signal = adapter.restarting.begin();
    let status = adapter
        .driver
        .call_status(Handler::Restart, &[adapter.context(), at]);
    let status = adapter.restarting.finish(signal, status, "MiniportRestart");
    kernel.pool.free(at, None);
    let allowed = [
        sys::NDIS_STATUS_SUCCESS,
        sys::NDIS_STATUS_RESOURCES,
        sys::NDIS_STATUS_FAILURE,
        sys::NDIS_STATUS_PENDING,
    ];
    if !allowed.contains(&status) {
        rules::violate(&RETURN, format!("MiniportRestart ended with {status:#x}"));
    }
    let running = status == sys::NDIS_STATUS_SUCCESS;
    adapter.advance(if running {
        Event::Restarted
    } else {
        Event::RestartFailed
    });
    if running {
        protocol::restarted(adapter);
    }
    running
}

/// Calls `MiniportPause` and waits until it is complete; the protocol returns what it holds meanwhile.
pub(crate) fn pause(adapter: &Arc<Adapter>, reason: u32) {
    adapter.advance(Event::Pause);
    let kernel = kernel();
    let at = kernel.pool.allocate_own(size_of::<PauseParameters>());
    header::write(
        at,
        sys::NDIS_OBJECT_TYPE_DEFAULT,
        1,
        sys::NDIS_SIZEOF_MINIPORT_PAUSE_PARAMETERS_REVISION_1,
    );
    field!(at as *mut PauseParameters, PauseParameters, PauseReason).store(reason);
    let signal = adapter.pausing.begin();
    let returner = Arc::clone(adapter);
    kernel.sched.spawn(
        "protocol pauses",
        Box::new(move || protocol::pausing(&returner)),
    );
    let status = adapter
        .driver
        .call_status(Handler::Pause, &[adapter.context(), at]);
    if status != sys::NDIS_STATUS_PENDING {
        expect_idle(adapter, "MiniportPause returned");
    }
    let status = adapter.pausing.finish(signal, status, "MiniportPause");
    kernel.pool.free(at, None);
    if status != sys::NDIS_STATUS_SUCCESS {
        rules::violate(
            &RETURN,
            format!("MiniportPause ended with {status:#x}: it cannot fail"),
        );
    }
    adapter.advance(Event::Paused);
}

fn expect_idle(adapter: &Adapter, when: &str) {
    let (sends, receives) = (adapter.sends.outstanding(), adapter.receives.outstanding());
    if sends != 0 || receives != 0 {
        rules::violate(
            &OUTSTANDING,
            format!("{when} with {sends} sends and {receives} received lists outstanding"),
        );
    }
}

/// Calls `MiniportHaltEx` for a paused adapter.
pub(crate) fn halt(adapter: &Arc<Adapter>, action: i32) {
    // No request may be in the driver; the next one finds the adapter halted.
    adapter.requests.quiesce(|| adapter.advance(Event::Halt));
    let context = adapter.context();
    adapter.in_halt.store(true, Ordering::Release);
    adapter.driver.call(
        Handler::Halt,
        &[context, usize::try_from(action).unwrap_or(0)],
    );
    adapter.in_halt.store(false, Ordering::Release);
    expect_idle(adapter, "MiniportHaltEx returned");
    check_gone(adapter, "MiniportHaltEx returned");
}

/// Calls `MiniportShutdownEx`; nothing is called after it.
pub(crate) fn shutdown(adapter: &Arc<Adapter>, action: i32) {
    adapter.advance(Event::Shutdown);
    let arguments = [adapter.context(), usize::try_from(action).unwrap_or(0)];
    adapter.driver.call(Handler::Shutdown, &arguments);
}

/// Calls `MiniportDevicePnPEventNotify`, with one number as the event's data if there is any.
pub(crate) fn notify(adapter: &Arc<Adapter>, event: i32, data: Option<u32>) {
    let kernel = kernel();
    let size = size_of::<NET_DEVICE_PNP_EVENT>();
    let at = kernel.pool.allocate_own(size + 16);
    let block = at as *mut NET_DEVICE_PNP_EVENT;
    header::write(
        at,
        sys::NDIS_OBJECT_TYPE_DEFAULT,
        1,
        sys::NDIS_SIZEOF_NET_DEVICE_PNP_EVENT_REVISION_1,
    );
    field!(block, NET_DEVICE_PNP_EVENT, DevicePnPEvent).store(event);
    if let Some(data) = data {
        let value = Guest::<u32>::new(at + size);
        value.store(data);
        field!(block, NET_DEVICE_PNP_EVENT, InformationBuffer)
            .cast::<usize>()
            .store(value.address());
        field!(block, NET_DEVICE_PNP_EVENT, InformationBufferLength).store(4);
    }
    adapter
        .driver
        .call(Handler::PnpEvent, &[adapter.context(), at]);
    kernel.pool.free(at, None);
}

/// Tells that the machine runs on mains.
pub(crate) fn power_profile_changed(adapter: &Arc<Adapter>) {
    let mains = u32::try_from(sys::NdisPowerProfileAcOnLine).unwrap_or(1);
    notify(
        adapter,
        sys::NdisDevicePnPEventPowerProfileChanged,
        Some(mains),
    );
}

/// Tells that the device is gone.
pub(crate) fn surprise_removed(adapter: &Arc<Adapter>) {
    adapter.surprise_removed.store(true, Ordering::Release);
    if matches!(adapter.state(), State::Paused | State::Running) {
        notify(adapter, sys::NdisDevicePnPEventSurpriseRemoved, None);
    }
}

/// Pauses if running, and halts if initialised.
pub(crate) fn stop(adapter: &Arc<Adapter>, reason: u32, action: i32) {
    if adapter.state() == State::Running {
        pause(adapter, reason);
    }
    if adapter.state() == State::Paused {
        halt(adapter, action);
    }
}

extern "win64" fn pause_complete(handle: usize) {
    let adapter = adapter::of(handle, "NdisMPauseComplete");
    adapter::expect_no_lock("NdisMPauseComplete", false);
    // From here on no send reaches the driver: what is outstanding now was outstanding when it said so.
    expect_idle(&adapter, "NdisMPauseComplete");
    adapter
        .pausing
        .complete(sys::NDIS_STATUS_SUCCESS, "NdisMPauseComplete");
}

extern "win64" fn restart_complete(handle: usize, status: NDIS_STATUS) {
    let adapter = adapter::of(handle, "NdisMRestartComplete");
    adapter::expect_no_lock("NdisMRestartComplete", false);
    if status == sys::NDIS_STATUS_PENDING {
        rules::violate(&RETURN, "NdisMRestartComplete with NDIS_STATUS_PENDING");
    }
    adapter.restarting.complete(status, "NdisMRestartComplete");
}

extern "win64" fn remove_miniport(handle: usize) -> NDIS_STATUS {
    let adapter = adapter::of(handle, "NdisMRemoveMiniport");
    adapter.failed.store(true, Ordering::Release);
    sys::NDIS_STATUS_SUCCESS
}

extern "win64" fn sleep(microseconds: u32) {
    let due = kernel().sched.now() + u64::from(microseconds).max(1) * 10;
    crate::ke::wait::wait_for(&[], false, Some(due));
}
