//! The miniport's states: pause and restart, power, removal, halt.
#![allow(
    unsafe_code,
    reason = "gives NDIS lists and status under the adapter's handle; each block says why it may"
)]

use core::sync::atomic::Ordering;
use core::time::Duration;

use interface::SuspendPhase;
use ndis::Status;
use ndis_sys as sys;
use nt::irql::{AtMostDispatch, Passive};

use super::{Adapter, Closed};
use crate::mail::Messages;
use crate::power::PowerState;
use crate::text::Value;
use crate::{error_log, trace};

/// How long a power-down waits for the backend to let go. NDIS wants an answer within 12 s
/// (Driver Verifier, `NdisTimedOidComplete`).
const POWER_DOWN: Duration = Duration::from_secs(8);

impl Adapter {
    /// Something a pause waits for is done.
    pub(super) fn pause_step(&self) {
        if self.pausing.done() {
            // SAFETY: the pause returned PENDING, or is about to: it holds a step of its own until
            // it knows which.
            unsafe { sys::NdisMPauseComplete(self.handle().get()) };
        }
    }

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
}
