//! The bus: the function device on top of the Xen platform device.

use nt::device::{Attachment, DeviceRef};
use nt::irp::Irp;
use nt::irql::{AtMostDispatch, Passive};
use nt::rundown::Rundown;
use nt::spinlock::SpinLock;
use nt::status::{Result, Status};
use xenbus_core::pnp::Request;
use xenbus_core::pnp::fdo::{Fdo as Position, Order, Plan};

use crate::TAG;
use crate::device::{After, OnceDevice};
use crate::driver::Driver;
use crate::minor;

/// The bus device.
#[derive(Debug)]
pub(crate) struct Fdo {
    _driver: Driver,
    _pdo: DeviceRef,
    itself: OnceDevice,
    lower: OnceDevice,
    /// Detaches when the device is deleted.
    attachment: SpinLock<Option<Attachment>>,
    /// Requests under way; ends with `REMOVE_DEVICE`.
    requests: Rundown,
    position: SpinLock<Position>,
}

impl Fdo {
    /// A bus on the device whose physical device object is `pdo`.
    pub(crate) fn new(driver: Driver, pdo: DeviceRef) -> Result<Self> {
        Ok(Self {
            _driver: driver,
            _pdo: pdo,
            itself: OnceDevice::new(),
            lower: OnceDevice::new(),
            attachment: SpinLock::new(None),
            requests: Rundown::try_new(TAG)?,
            position: SpinLock::new(Position::new()),
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
        let Some(_request) = self.requests.guard(irql) else {
            return irp.complete(Status::DELETE_PENDING, irql);
        };
        self.forward(irp, irql)
    }

    /// Passes a request on, for a caller that is counted in `requests` or is the last one.
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
    pub(crate) fn pnp(&self, irp: Irp, irql: &mut Passive<'_>) -> (Status, After) {
        let Some(request) = minor::state_change(irp.minor()) else {
            return (self.pass_on(irp, irql), After::Keep);
        };
        if request == Request::Remove {
            return (self.remove(irp, irql), After::Delete);
        }
        let Some(_request) = self.requests.guard(irql) else {
            return (irp.complete(Status::DELETE_PENDING, irql), After::Keep);
        };
        (self.change_state(request, irp, irql), After::Keep)
    }

    fn change_state(&self, request: Request, mut irp: Irp, irql: &mut Passive<'_>) -> Status {
        let plan = self
            .position
            .with(irql, |position, _| position.plan(request));
        let Plan::Do { order, .. } = plan else {
            return irp.complete(Status::UNSUCCESSFUL, irql);
        };
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
        let _ = self.requests.close_and_wait(None, irql);
        self.done(Request::Remove, true, irql);
        irp.set_status(Status::SUCCESS);
        self.forward(irp, irql)
    }

    /// `IRP_MJ_POWER`.
    pub(crate) fn power(&self, irp: Irp, irql: &mut AtMostDispatch<'_>) -> Status {
        self.pass_on(irp, irql)
    }
}
