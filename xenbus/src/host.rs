//! The bus at work: its threads, its interrupts, and what they serve.

use core::sync::atomic::{AtomicBool, Ordering};

use nt::device::DeviceRef;
use nt::dpc::{Dpc, More};
use nt::event::{Event, EventKind};
use nt::irql::{AtMostDispatch, Dispatch, Passive};
use nt::pool::{PoolArc, PoolBox};
use nt::spinlock::SpinLock;
use nt::status::{Result, Status};
use nt::thread::Thread;
use nt::{log_error, log_info, log_warn};
use xenbus_core::enumerate::{VIF_DIRECTORY, VifSet};

use crate::TAG;
use crate::bus::{BUS, Bus};
use crate::callback::EventTarget;
use crate::children::Children;
use crate::control;
use crate::interrupts::{Delivery, Interrupts};
use crate::power::PowerTask;
use crate::resources::Resources;
use crate::shims;
use crate::store::{Failure, Notice, Within};

/// Tells the toolstack that network interfaces may come and go, and that we can be suspended.
const FEATURES: [&[u8]; 2] = [b"feature/hotplug/vif", b"control/feature-suspend"];
/// What the toolstack wants of the domain.
pub(crate) const SHUTDOWN_KEY: &[u8] = b"control/shutdown";

/// What the bus's threads share.
#[derive(Debug)]
pub(crate) struct Host {
    pub(crate) bus: PoolArc<Bus>,
    pub(crate) children: PoolArc<Children>,
    pub(crate) delivery: Delivery,
    pub(crate) store_target: EventTarget,
    /// Network cards are to be unplugged, again after each resume.
    pub(crate) unplug: bool,
    stopping: AtomicBool,
    /// The control thread has something to do.
    pub(crate) control: Event,
    /// The toolstack has written to the control key.
    pub(crate) asked: AtomicBool,
    /// Rank: leaf.
    pub(crate) power: SpinLock<Option<PowerTask>>,
}

/// A started bus, as its device owns it. Must be stopped.
#[derive(Debug)]
pub(crate) struct Running {
    bus: PoolArc<Bus>,
    children: PoolArc<Children>,
    interrupts: Option<Interrupts>,
    dpc: PoolBox<StoreDpc>,
    host: Option<PoolArc<Host>>,
    watch_thread: Option<Thread>,
    control_thread: Option<Thread>,
}

/// The DPC of the store's channel, at an address that does not change.
pub(crate) type StoreDpc = Option<Dpc<PoolArc<Bus>>>;

/// Runs when xenstored has written or read something.
fn store_dpc(bus: &PoolArc<Bus>, irql: &Dispatch<'_>) -> More {
    let mut irql = shims::lower(irql);
    if bus.store.pump(&mut irql) {
        More::Yes
    } else {
        More::No
    }
}

impl Running {
    /// Starts the bus. What fails is undone.
    pub(crate) fn start(
        pdo: DeviceRef,
        children: &PoolArc<Children>,
        resources: &Resources,
        unplug: bool,
        irql: &mut Passive<'_>,
    ) -> Result<Self> {
        let dpc = PoolBox::try_new(TAG, None)?;
        let bus = PoolArc::try_new(TAG, Bus::new(resources, irql)?)?;
        let mut running = Self {
            bus,
            children: children.clone(),
            interrupts: None,
            dpc,
            host: None,
            watch_thread: None,
            control_thread: None,
        };
        if let Err(status) = running.bring_up(pdo, resources, unplug, irql) {
            log_error!("the bus does not start: {status}");
            running.stop(irql);
            return Err(status);
        }
        Ok(running)
    }

    fn bring_up(
        &mut self,
        pdo: DeviceRef,
        resources: &Resources,
        unplug: bool,
        irql: &mut Passive<'_>,
    ) -> Result<()> {
        let interrupts = Interrupts::connect(&self.bus.events, pdo, resources, irql)?;
        let delivery = interrupts.plan();
        self.interrupts = Some(interrupts);
        *self.dpc = Some(Dpc::try_new(TAG, self.bus.clone(), store_dpc)?);
        let store_target = shims::store_target(&self.dpc);
        let host = PoolArc::try_new(
            TAG,
            Host {
                bus: self.bus.clone(),
                children: self.children.clone(),
                delivery: delivery?,
                store_target,
                unplug,
                stopping: AtomicBool::new(false),
                control: Event::try_new(TAG, EventKind::Synchronization, false)?,
                asked: AtomicBool::new(false),
                power: SpinLock::new(None),
            },
        )?;
        self.host = Some(host.clone());
        self.bus.connect_store(store_target, irql)?;
        if let Err(failure) = self.bus.store.forget_earlier(irql) {
            // Old daemons do not know the request.
            log_warn!("watches of an earlier driver may be left: {failure:?}");
        }
        self.watch_thread = Some(Thread::spawn(TAG, host.clone(), watch_thread, irql)?);
        self.control_thread = Some(Thread::spawn(TAG, host.clone(), control::thread, irql)?);
        self.children.set_bus(Some(self.bus.clone()), irql);
        host.enumerate(irql);
        host.announce(irql)
    }

    /// What the threads share, if the start came so far.
    pub(crate) fn host(&self) -> Option<&PoolArc<Host>> {
        self.host.as_ref()
    }

    /// Stops the bus: children are stopped or gone. Each step undoes one of the start, in reverse.
    pub(crate) fn stop(mut self, irql: &mut Passive<'_>) {
        self.children.set_bus(None, irql);
        if let Some(host) = &self.host {
            host.withdraw(irql);
            host.end_threads(irql);
        }
        let threads = [self.control_thread.take(), self.watch_thread.take()];
        for thread in threads.into_iter().flatten() {
            thread.join(irql);
        }
        // Calls of children end: what waits for xenstored fails at once.
        self.bus.users.close(irql);
        self.bus.store.close(irql);
        let _ = self.bus.users.close_and_wait(None, irql);
        self.bus.disconnect_store(irql);
        if let Some(interrupts) = self.interrupts.take() {
            interrupts.disconnect(irql);
        }
        if let Some(dpc) = self.dpc.take() {
            dpc.close(irql);
        }
        self.bus.end(irql);
    }
}

impl Host {
    /// Looks which network interfaces there are.
    pub(crate) fn enumerate(&self, irql: &mut Passive<'_>) {
        let names = self
            .bus
            .store
            .list(Within::none(BUS), VIF_DIRECTORY.as_bytes(), irql);
        let set = match names {
            Ok(names) => {
                let parts = names.as_bytes().split(|byte| *byte == 0);
                let (set, skipped) = VifSet::from_names(parts.filter(|name| !name.is_empty()));
                if skipped.malformed != 0 || skipped.too_many != 0 {
                    log_warn!("network interfaces left out: {skipped:?}");
                }
                set
            }
            Err(Failure::Store(xenstore::error::StoreError::NotFound)) => VifSet::EMPTY,
            Err(failure) => {
                // What there was stays: a store that does not answer takes no interfaces away.
                log_warn!("network interfaces cannot be listed: {failure:?}");
                return;
            }
        };
        Children::update(&self.children, &set, irql);
    }

    /// Watches what the bus reacts to, and says what it can do.
    fn announce(&self, irql: &mut Passive<'_>) -> Result<()> {
        let store = &self.bus.store;
        let interfaces = VIF_DIRECTORY.as_bytes();
        store
            .watch(BUS, interfaces, Notice::Interfaces, irql)
            .map_err(Status::from)?;
        if let Err(failure) = store.watch(BUS, SHUTDOWN_KEY, Notice::Control, irql) {
            log_warn!("suspend requests will not be seen: {failure:?}");
        }
        self.write_features(irql);
        log_info!("started");
        Ok(())
    }

    /// Says what the bus can do; again after each resume.
    pub(crate) fn write_features(&self, irql: &mut Passive<'_>) {
        for feature in FEATURES {
            if let Err(failure) = self.bus.store.write(Within::none(BUS), feature, b"1", irql) {
                log_warn!("a feature is not announced: {failure:?}");
            }
        }
    }

    /// Takes back what [`Host::announce`] did.
    fn withdraw(&self, irql: &mut Passive<'_>) {
        let store = &self.bus.store;
        for feature in FEATURES {
            if store.remove(Within::none(BUS), feature, irql) == Err(Failure::Timeout) {
                log_warn!("xenstored does not answer: it is left without a word");
                store.close(irql);
            }
        }
        store.reclaim_watches(BUS, irql);
    }

    /// Whether the threads are to end.
    pub(crate) fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Acquire)
    }

    fn end_threads(&self, irql: &AtMostDispatch<'_>) {
        self.stopping.store(true, Ordering::Release);
        self.control.set(irql);
        self.bus.store.wake_watch_thread(irql);
    }
}

/// Tells watches' owners that something changed.
#[expect(
    clippy::needless_pass_by_value,
    reason = "a thread owns what it starts with"
)]
fn watch_thread(host: PoolArc<Host>, irql: &mut Passive<'_>) {
    while !host.is_stopping() {
        host.bus.store.wait_for_watch(irql);
        let tell = |notice: &Notice, irql: &mut Passive<'_>| match notice {
            Notice::Child(target) => target.call(irql),
            Notice::Interfaces => host.enumerate(irql),
            Notice::Control => {
                host.asked.store(true, Ordering::Release);
                host.control.set(irql);
            }
        };
        while !host.is_stopping() && host.bus.store.tell_one(irql, tell) {}
    }
}
