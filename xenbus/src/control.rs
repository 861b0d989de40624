//! The control thread: suspends the domain when the toolstack asks, and carries the bus through
//! changes of power.
#![allow(
    unsafe_code,
    reason = "suspends the domain; each block states its reason"
)]

use core::sync::atomic::Ordering;

use hypervisor::sched::Resumed;
use interface::SuspendPhase;
use nt::irql::Passive;
use nt::pool::PoolArc;
use nt::processor::{self, ProcessorNumber};
use nt::spinlock::SpinLock;
use nt::{log_error, log_info, log_warn};

use crate::bus::BUS;
use crate::host::{Host, SHUTDOWN_KEY};
use crate::platform;
use crate::store::Within;

/// The thread.
#[expect(
    clippy::needless_pass_by_value,
    reason = "a thread owns what it starts with"
)]
pub(crate) fn thread(host: PoolArc<Host>, irql: &mut Passive<'_>) {
    loop {
        let _ = host.control.wait(None, irql);
        // Also when the bus stops: a power request is never left behind.
        while let Some(task) = host.power.with(irql, |task, _| task.take()) {
            task.carry_out(&host, irql);
        }
        if host.is_stopping() {
            return;
        }
        if host.asked.swap(false, Ordering::AcqRel) {
            host.answer_toolstack(irql);
        }
    }
}

impl Host {
    /// The toolstack has written to the control key.
    fn answer_toolstack(&self, irql: &mut Passive<'_>) {
        let store = &self.bus.store;
        let Ok(wish) = store.read(Within::none(BUS), SHUTDOWN_KEY, irql) else {
            return;
        };
        match wish.as_bytes() {
            b"" => {}
            b"suspend" => {
                // The answer: the toolstack waits for the key to be empty.
                if let Err(failure) = store.write(Within::none(BUS), SHUTDOWN_KEY, b"", irql) {
                    log_warn!("a suspend request cannot be taken: {failure:?}");
                    return;
                }
                self.suspend(irql);
            }
            other => log_info!("\"{}\" is left to the guest agent", other.escape_ascii()),
        }
    }

    /// Suspends the domain, and comes back on this host or another.
    fn suspend(&self, irql: &mut Passive<'_>) {
        log_info!("suspending");
        self.quiesce(irql);
        match self.enter_suspend(irql) {
            Some(Resumed::Anew) => {
                log_info!("resumed as a new domain");
                self.rebuild(false, irql);
            }
            Some(Resumed::Cancelled) => {
                log_info!("the suspend was cancelled");
                self.wake(irql);
            }
            None => self.wake(irql),
        }
    }

    /// Has everybody stop using what will be gone.
    pub(crate) fn quiesce(&self, irql: &mut Passive<'_>) {
        self.bus.suspends.tell(SuspendPhase::BEFORE, irql);
        self.bus.store.pause(irql);
    }

    /// The hypercall, on the first processor and not to be interrupted by threads there. `None`: it
    /// failed.
    ///
    /// The others run on: children have stopped using grants and channels, the store is paused, and
    /// a service routine that comes meanwhile finds nothing.
    fn enter_suspend(&self, irql: &mut Passive<'_>) -> Option<Resumed> {
        let first = ProcessorNumber {
            group: 0,
            number: 0,
        };
        let alone = SpinLock::new(());
        // The token is borrowed for the run on the other processor, so the lock takes its own.
        let outcome = processor::run_on(first, irql, || {
            crate::shims::with_passive(|irql| {
                alone.with(irql, |(), _| {
                    // SAFETY: on the first vCPU, at DISPATCH_LEVEL; nobody uses what will be gone.
                    let resumed = unsafe { self.bus.platform.xen.suspend() };
                    if resumed == Ok(Resumed::Anew) {
                        self.bus.place_shared_info();
                    }
                    resumed
                })
            })
        });
        match outcome {
            Ok(Ok(resumed)) => Some(resumed),
            Ok(Err(error)) => {
                log_error!("the domain is not suspended: {error:?}");
                None
            }
            Err(status) => {
                log_error!("the first processor is not there: {status}");
                None
            }
        }
    }

    /// Comes back from [`Host::quiesce`] with nothing lost.
    pub(crate) fn wake(&self, irql: &mut Passive<'_>) {
        if let Err(status) = self.delivery.restore(&self.bus.events) {
            log_error!("Xen no longer interrupts: {status}");
        }
        self.bus.store.go_on(irql);
        self.bus.suspends.tell(SuspendPhase::CANCELLED, irql);
    }

    /// Sets up anew what was lost, and tells everybody.
    pub(crate) fn rebuild(&self, after_sleep: bool, irql: &mut Passive<'_>) {
        if self.unplug {
            platform::unplug_network_cards();
        }
        let bus = &self.bus;
        if after_sleep {
            bus.place_shared_info();
        }
        let rebuilt = bus
            .resumed(after_sleep, irql)
            .and_then(|()| self.delivery.restore(&bus.events))
            .and_then(|()| bus.connect_store(self.store_target, irql))
            .and_then(|()| bus.store.resumed(irql));
        if let Err(status) = rebuilt {
            // Children find out when they try to connect.
            log_error!("the bus is lost: {status}");
            bus.store.close(irql);
        }
        self.write_features(irql);
        self.bus.suspends.tell(SuspendPhase::AFTER, irql);
        self.enumerate(irql);
    }
}
