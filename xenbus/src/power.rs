//! Power requests of the bus: the system's become the device's, and those are carried out by the
//! control thread.
#![allow(
    unsafe_code,
    reason = "sends power requests; each block states its reason"
)]

use core::ffi::c_void;
use core::ptr::NonNull;

use nt::device::DeviceRef;
use nt::irp::Irp;
use nt::irql::{AtMostDispatch, Passive};
use nt::log_warn;
use nt::pool::{PoolArc, PoolBox};
use nt::rundown::{Rundown, Ticket};
use nt::spinlock::SpinLock;
use nt::status::{Result, Status};
use wdk_sys::{DEVICE_OBJECT, IO_STATUS_BLOCK, POWER_STATE, UCHAR, ntddk};
use xenbus_core::pnp::power::{BusPower, DeviceState, Plan, SystemState};

use crate::TAG;
use crate::host::Host;
use crate::minor;
use crate::parameters::{self, Power};

/// What requests of the bus device pass through, and what outlives none of them.
#[derive(Debug)]
pub(crate) struct Gate {
    /// Requests under way; ends with `REMOVE_DEVICE`.
    pub(crate) requests: Rundown,
    /// Rank: leaf.
    pub(crate) power: SpinLock<BusPower>,
}

impl Gate {
    pub(crate) fn new() -> Result<PoolArc<Self>> {
        let gate = Self {
            requests: Rundown::try_new(TAG)?,
            power: SpinLock::new(BusPower::new()),
        };
        Ok(PoolArc::try_new(TAG, gate)?)
    }
}

/// Where a power request goes on.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Stack {
    /// The device to ask for a change of its power.
    pub(crate) pdo: DeviceRef,
    /// Our own device.
    pub(crate) itself: DeviceRef,
    /// The device below.
    pub(crate) lower: DeviceRef,
}

/// A power request that ends later; counted until dropped.
#[derive(Debug)]
struct Pending {
    gate: PoolArc<Gate>,
    ticket: Option<Ticket>,
    stack: Stack,
}

impl Drop for Pending {
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket.take() {
            // SAFETY: power requests are handled at DISPATCH_LEVEL or below, and nothing else has
            // this type; the token ends with this call.
            let irql = unsafe { AtMostDispatch::assume() };
            self.gate.requests.leave(ticket, &irql);
        }
    }
}

impl Pending {
    /// Passes the request on.
    fn forward(&self, irp: Irp, irql: &AtMostDispatch<'_>) -> Status {
        irp.forward(self.stack.lower, irql)
    }
}

/// A change of device power for the control thread.
#[derive(Debug)]
pub(crate) struct PowerTask {
    irp: Irp,
    pending: Pending,
    change: Change,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Change {
    /// The drivers below are told afterwards.
    Down,
    /// The drivers below have come up.
    Up { rebuild: bool },
}

/// `IRP_MJ_POWER` of the bus device. `host` is there when the bus is started.
pub(crate) fn dispatch(
    gate: &PoolArc<Gate>,
    stack: Stack,
    host: Option<PoolArc<Host>>,
    mut irp: Irp,
    irql: &mut AtMostDispatch<'_>,
) -> Status {
    let Some(ticket) = gate.requests.enter() else {
        return irp.complete(Status::DELETE_PENDING, irql);
    };
    let pending = Pending {
        gate: gate.clone(),
        ticket: Some(ticket),
        stack,
    };
    match irp.minor() {
        minor::SET_POWER => {}
        minor::QUERY_POWER => {
            irp.set_status(Status::SUCCESS);
            return pending.forward(irp, irql);
        }
        // Waking is for a driver below to refuse.
        _ => return pending.forward(irp, irql),
    }
    match parameters::power(&irp) {
        Some(Power::System(state)) => set_system(pending, irp, state, irql),
        Some(Power::Device(state)) => set_device(pending, host, irp, state, irql),
        None => pending.forward(irp, irql),
    }
}

/// A system request: first down the stack, then a device request, then its end.
fn set_system(
    pending: Pending,
    mut irp: Irp,
    state: SystemState,
    irql: &mut AtMostDispatch<'_>,
) -> Status {
    let gate = pending.gate.clone();
    let device = gate
        .power
        .with(irql, |power, _| power.system_request(state));
    // Room for what waits for the device request: without it nothing has happened yet.
    let Ok(room) = PoolBox::try_new(TAG, None) else {
        return irp.complete(Status::INSUFFICIENT_RESOURCES, irql);
    };
    irp.set_status(Status::SUCCESS);
    let lower = pending.stack.lower;
    let context = SystemRequest {
        pending,
        device,
        room,
    };
    irp.forward_then(lower, TAG, context, system_below, irql)
}

/// A system request on its way down.
struct SystemRequest {
    pending: Pending,
    device: DeviceState,
    room: PoolBox<Waiting>,
}

/// The drivers below have seen the system request: asks for device power, with which it ends.
fn system_below(request: SystemRequest, irp: Irp, irql: &mut AtMostDispatch<'_>) {
    let SystemRequest {
        pending,
        device,
        mut room,
    } = request;
    let status = irp.status();
    if !status.is_success() {
        let _ = irp.complete(status, irql);
        return;
    }
    let pdo = pending.stack.pdo;
    *room = Some((pending, irp));
    let waiting = PoolBox::into_raw(room);
    // SAFETY: the device is live while the system request is under way; the function takes the
    // context over, and is called once unless this fails.
    let status = unsafe {
        ntddk::PoRequestPowerIrp(
            pdo.as_ptr(),
            minor::SET_POWER,
            raw_state(device),
            Some(device_done),
            waiting.as_ptr().cast(),
            core::ptr::null_mut(),
        )
    };
    let status = Status::from_raw(status);
    if !status.is_success() {
        log_warn!("no device power request: {status}");
        // SAFETY: made in set_system with this tag, and the function will not be called.
        let waiting = PoolBox::into_inner(unsafe { PoolBox::<Waiting>::from_raw(waiting, TAG) });
        end(waiting, status, irql);
    }
}

/// Completes a system request.
fn end(waiting: Waiting, status: Status, irql: &AtMostDispatch<'_>) {
    if let Some((_pending, irp)) = waiting {
        let _ = irp.complete(status, irql);
    }
}

/// A system request that waits for its device request.
type Waiting = Option<(Pending, Irp)>;

/// # Safety
/// Called by the power manager with the context of `request_device_power`, once.
unsafe extern "C" fn device_done(
    _: *mut DEVICE_OBJECT,
    _: UCHAR,
    _: POWER_STATE,
    context: *mut c_void,
    status: *mut IO_STATUS_BLOCK,
) {
    // SAFETY: completion runs at DISPATCH_LEVEL or below; the token ends with this call.
    let irql = unsafe { AtMostDispatch::assume() };
    // SAFETY: the power manager gives the device request's outcome.
    let status = unsafe { status.as_ref() }.map_or(Status::UNSUCCESSFUL, |block| {
        // SAFETY: the block of a completed request has a status.
        Status::from_raw(unsafe { block.__bindgen_anon_1.Status })
    });
    let Some(waiting) = NonNull::new(context.cast::<Waiting>()) else {
        return;
    };
    // SAFETY: given away in request_device_power, and taken over once.
    let waiting = PoolBox::into_inner(unsafe { PoolBox::<Waiting>::from_raw(waiting, TAG) });
    end(waiting, status, &irql);
}

/// A device request.
fn set_device(
    pending: Pending,
    host: Option<PoolArc<Host>>,
    mut irp: Irp,
    state: DeviceState,
    irql: &mut AtMostDispatch<'_>,
) -> Status {
    irp.set_status(Status::SUCCESS);
    let gate = pending.gate.clone();
    let plan = gate.power.with(irql, |power, _| power.plan(state));
    let Some(host) = host else {
        gate.power.with(irql, |power, _| power.done(state));
        set_power_state(pending.stack.itself, state);
        return pending.forward(irp, irql);
    };
    match plan {
        Plan::Forward => pending.forward(irp, irql),
        Plan::DownThenForward => {
            irp.mark_pending();
            hand_over(&host, irp, pending, Change::Down, irql);
            Status::PENDING
        }
        Plan::ForwardThenUp { rebuild } => {
            let lower = pending.stack.lower;
            let change = Change::Up { rebuild };
            irp.forward_then(lower, TAG, (pending, host, change), device_below, irql)
        }
    }
}

/// A device request on its way down.
type DeviceRequest = (Pending, PoolArc<Host>, Change);

/// The drivers below have come up.
fn device_below((pending, host, change): DeviceRequest, irp: Irp, irql: &mut AtMostDispatch<'_>) {
    let status = irp.status();
    if status.is_success() {
        hand_over(&host, irp, pending, change, irql);
    } else {
        let _ = irp.complete(status, irql);
    }
}

/// Gives a request to the control thread. The power manager sends one at a time.
fn hand_over(
    host: &Host,
    irp: Irp,
    pending: Pending,
    change: Change,
    irql: &mut AtMostDispatch<'_>,
) {
    let task = PowerTask {
        irp,
        pending,
        change,
    };
    let unexpected = host.power.with(irql, |place, _| place.replace(task));
    host.control.set(irql);
    if let Some(task) = unexpected {
        let _ = task.irp.complete(Status::UNSUCCESSFUL, irql);
    }
}

impl PowerTask {
    /// On the control thread.
    pub(crate) fn carry_out(self, host: &Host, irql: &mut Passive<'_>) {
        let Self {
            irp,
            pending,
            change,
        } = self;
        let state = match change {
            Change::Down => DeviceState::D3,
            Change::Up { .. } => DeviceState::D0,
        };
        match change {
            Change::Down => {
                host.quiesce(irql);
                host.delivery.pause(&host.bus.events);
            }
            Change::Up { rebuild: true } => host.rebuild(true, irql),
            Change::Up { rebuild: false } => host.wake(irql),
        }
        pending.gate.power.with(irql, |power, _| power.done(state));
        set_power_state(pending.stack.itself, state);
        if change == Change::Down {
            let _ = pending.forward(irp, irql);
        } else {
            let _ = irp.complete(Status::SUCCESS, irql);
        }
    }
}

/// Tells the power manager the state of one of our devices.
pub(crate) fn set_power_state(device: DeviceRef, state: DeviceState) {
    // SAFETY: one of our devices, live by the contract of DeviceRef; callable at DISPATCH_LEVEL.
    unsafe {
        ntddk::PoSetPowerState(
            device.as_ptr(),
            wdk_sys::_POWER_STATE_TYPE::DevicePowerState,
            raw_state(state),
        )
    };
}

fn raw_state(state: DeviceState) -> POWER_STATE {
    use wdk_sys::_DEVICE_POWER_STATE as D;
    POWER_STATE {
        DeviceState: match state {
            DeviceState::D0 => D::PowerDeviceD0,
            DeviceState::D3 => D::PowerDeviceD3,
        },
    }
}
