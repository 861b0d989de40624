//! The bus: the function device on top of the Xen platform device.

use nt::device::{Attachment, DeviceRef};
use nt::irp::Irp;
use nt::irql::{AtMostDispatch, Passive};
use nt::log_error;
use nt::pool::PoolArc;
use nt::spinlock::SpinLock;
use nt::status::{Result, Status};
use xenbus_core::pnp::Request;
use xenbus_core::pnp::fdo::{Fdo as Position, Order, Plan, Work};

use crate::children::Children;
use crate::device::{After, OnceDevice};
use crate::driver::{self, Driver};
use crate::host::{Host, Running};
use crate::minor;
use crate::parameters;
use crate::platform;
use crate::power::{self, Gate, Stack};
use crate::resources::{self, Resources};

/// The bus device.
#[derive(Debug)]
pub(crate) struct Fdo {
    /// Physical device object of the platform device.
    pdo: DeviceRef,
    itself: OnceDevice,
    lower: OnceDevice,
    /// Detaches when the device is deleted. Rank: leaf.
    attachment: SpinLock<Option<Attachment>>,
    gate: PoolArc<Gate>,
    /// Rank: leaf.
    position: SpinLock<Position>,
    children: PoolArc<Children>,
    /// What a start made and a stop takes. Rank: leaf.
    running: SpinLock<Option<Running>>,
}

impl Fdo {
    /// A bus on the device whose physical device object is `pdo`.
    pub(crate) fn new(driver: Driver, pdo: DeviceRef) -> Result<Self> {
        Ok(Self {
            pdo,
            itself: OnceDevice::new(),
            lower: OnceDevice::new(),
            attachment: SpinLock::new(None),
            gate: Gate::new()?,
            position: SpinLock::new(Position::new()),
            children: Children::new(driver, pdo)?,
            running: SpinLock::new(None),
        })
    }

    /// The device object `itself` is on its stack now.
    pub(crate) fn attached(
        &self,
        itself: DeviceRef,
        attachment: Attachment,
        irql: &mut AtMostDispatch<'_>,
    ) {
        self.itself.set(itself);
        self.lower.set(attachment.lower());
        self.attachment
            .with(irql, |place, _| *place = Some(attachment));
    }

    /// Passes a request on unchanged.
    pub(crate) fn pass_on(&self, irp: Irp, irql: &AtMostDispatch<'_>) -> Status {
        let Some(_request) = self.gate.requests.guard(irql) else {
            return irp.complete(Status::DELETE_PENDING, irql);
        };
        self.forward(irp, irql)
    }

    /// Passes a request on, for a caller that is counted as a user or is the last one.
    fn forward(&self, irp: Irp, irql: &AtMostDispatch<'_>) -> Status {
        match self.lower.get() {
            Some(lower) => irp.forward(lower, irql),
            None => irp.complete(Status::NO_SUCH_DEVICE, irql),
        }
    }

    /// Passes a request on and waits for the drivers below.
    fn forward_and_wait(&self, irp: &mut Irp, irql: &Passive<'_>) -> Status {
        match self.lower.get() {
            Some(lower) => irp.forward_and_wait(lower, irql),
            None => Status::NO_SUCH_DEVICE,
        }
    }

    /// `IRP_MJ_PNP`.
    pub(crate) fn pnp(&self, mut irp: Irp, irql: &mut Passive<'_>) -> (Status, After) {
        let request = minor::state_change(irp.minor());
        if request == Some(Request::Remove) {
            return (self.remove(irp, irql), After::Delete);
        }
        let Some(_request) = self.gate.requests.guard(irql) else {
            return (irp.complete(Status::DELETE_PENDING, irql), After::Keep);
        };
        let status = match (request, irp.minor()) {
            (Some(Request::Start), _) => self.start(irp, irql),
            (Some(request), _) => self.change_state(request, irp, irql),
            (None, minor::QUERY_DEVICE_RELATIONS) => self.relations(irp, irql),
            (None, minor::FILTER_RESOURCE_REQUIREMENTS) => self.filter_requirements(irp, irql),
            (None, minor::DEVICE_USAGE_NOTIFICATION) => {
                let in_path = parameters::usage_in_path(&irp);
                let below = self.forward_and_wait(&mut irp, irql);
                if below.is_success() {
                    self.position
                        .with(irql, |position, _| position.special_file(in_path));
                }
                irp.complete(below, irql)
            }
            _ => self.forward(irp, irql),
        };
        (status, After::Keep)
    }

    /// `START_DEVICE`: the drivers below first, who do not see the message interrupts.
    fn start(&self, mut irp: Irp, irql: &mut Passive<'_>) -> Status {
        let plan = self
            .position
            .with(irql, |position, _| position.plan(Request::Start));
        if plan == Plan::Refuse {
            return irp.complete(Status::UNSUCCESSFUL, irql);
        }
        let resources = match Resources::of_start(&mut irp) {
            Ok(resources) => resources,
            Err(status) => {
                log_error!("no resources: {status}");
                return irp.complete(status, irql);
            }
        };
        Resources::hide_messages(&mut irp);
        let below = self.forward_and_wait(&mut irp, irql);
        resources.show_messages(&mut irp);
        let started = below
            .into_result()
            .and_then(|()| self.start_bus(&resources, irql));
        self.done(Request::Start, started.is_ok(), irql);
        irp.complete(Status::of(started), irql)
    }

    fn start_bus(&self, resources: &Resources, irql: &mut Passive<'_>) -> Result<()> {
        let unplug = self.children.cards().start(driver::unplug_policy(), irql);
        if unplug && platform::is_xen() {
            platform::unplug_network_cards();
        }
        let running = Running::start(self.pdo, &self.children, resources, unplug, irql)?;
        // In the extension itself, so that keeping it cannot fail.
        self.running.with(irql, |place, _| *place = Some(running));
        Ok(())
    }

    fn stop_bus(&self, irql: &mut Passive<'_>) {
        if let Some(running) = self.running.with(irql, |running, _| running.take()) {
            running.stop(irql);
        }
    }

    /// What the bus's threads share, while it is started.
    fn host(&self, irql: &mut AtMostDispatch<'_>) -> Option<PoolArc<Host>> {
        self.running.with(irql, |running, _| {
            running.as_ref().and_then(|running| running.host().cloned())
        })
    }

    /// All other requests that change the state, but the removal.
    fn change_state(&self, request: Request, mut irp: Irp, irql: &mut Passive<'_>) -> Status {
        let plan = self
            .position
            .with(irql, |position, _| position.plan(request));
        let Plan::Do { order, work, .. } = plan else {
            return irp.complete(Status::UNSUCCESSFUL, irql);
        };
        if work == Work::Stop {
            self.stop_bus(irql);
        }
        match order {
            Order::LowerFirst => {
                let below = self.forward_and_wait(&mut irp, irql);
                self.done(request, below.is_success(), irql);
                irp.complete(below, irql)
            }
            Order::WorkFirst => {
                self.done(request, true, irql);
                irp.set_status(Status::SUCCESS);
                self.forward(irp, irql)
            }
        }
    }

    fn done(&self, request: Request, succeeded: bool, irql: &mut AtMostDispatch<'_>) {
        self.position
            .with(irql, |position, _| position.done(request, succeeded));
    }

    /// `REMOVE_DEVICE`: the last request. The device object is deleted afterwards.
    fn remove(&self, mut irp: Irp, irql: &mut Passive<'_>) -> Status {
        let _ = self.gate.requests.close_and_wait(None, irql);
        self.stop_bus(irql);
        self.children.delete_all(irql);
        self.done(Request::Remove, true, irql);
        irp.set_status(Status::SUCCESS);
        self.forward(irp, irql)
    }

    fn relations(&self, mut irp: Irp, irql: &mut Passive<'_>) -> Status {
        if parameters::relation(&irp) != wdk_sys::_DEVICE_RELATION_TYPE::BusRelations {
            return self.forward(irp, irql);
        }
        match self.children.relations(&mut irp, irql) {
            Ok(()) => {
                irp.set_status(Status::SUCCESS);
                self.forward(irp, irql)
            }
            Err(status) => irp.complete(status, irql),
        }
    }

    /// `FILTER_RESOURCE_REQUIREMENTS`: on the way up, after the bus driver below.
    fn filter_requirements(&self, mut irp: Irp, irql: &Passive<'_>) -> Status {
        let below = self.forward_and_wait(&mut irp, irql);
        // Not supported below: the list that came with the request counts.
        let usable = below.is_success() || below == Status::NOT_SUPPORTED;
        if usable && platform::offers_vectors() && resources::ask_for_messages(&mut irp, irql) {
            return irp.complete(Status::SUCCESS, irql);
        }
        irp.complete(below, irql)
    }

    /// `IRP_MJ_POWER`.
    pub(crate) fn power(&self, irp: Irp, irql: &mut AtMostDispatch<'_>) -> Status {
        let (Some(itself), Some(lower)) = (self.itself.get(), self.lower.get()) else {
            return irp.complete(Status::NO_SUCH_DEVICE, irql);
        };
        let stack = Stack {
            pdo: self.pdo,
            itself,
            lower,
        };
        let host = self.host(irql);
        power::dispatch(&self.gate, stack, host, irp, irql)
    }
}
