//! A network interface of the guest, as the bus and its driver know it.

use nt::device::DeviceRef;
use nt::irql::{AtMostDispatch, Passive};
use nt::log_error;
use nt::pool::PoolArc;
use nt::spinlock::SpinLock;
use nt::status::{Result, Status};
use xenbus_core::enumerate::{VIF_DIRECTORY, VifId};
use xenbus_core::interface_version::{References, Released};
use xenbus_core::pnp::pdo::Pdo as Position;
use xenstore::path::PathBuf;

use crate::TAG;
use crate::bus::Bus;
use crate::device::OnceDevice;
use crate::emulated::Cards;
use crate::grants::Owner;

/// Bytes of `device/vif/N`.
const PATH_MAX: usize = 32;

/// One interface, from its appearance to its end and the last reference of its driver.
#[derive(Debug)]
pub(crate) struct Child {
    pub(crate) vif: VifId,
    pub(crate) owner: Owner,
    /// Its card counts there.
    pub(crate) cards: PoolArc<Cards>,
    path: PathBuf<PATH_MAX>,
    /// Its physical device object.
    pub(crate) device: OnceDevice,
    /// Rank: leaf.
    pub(crate) position: SpinLock<Position>,
    /// The bus, while its driver may use it; kept until the device is removed. Rank: leaf.
    bus: SpinLock<Option<PoolArc<Bus>>>,
    references: References,
    /// Itself, while its driver has references. Rank: leaf.
    kept: SpinLock<Option<PoolArc<Child>>>,
}

impl Child {
    pub(crate) fn new(vif: VifId, owner: Owner, cards: PoolArc<Cards>) -> Result<PoolArc<Self>> {
        let number = vif.instance_id();
        let path = PathBuf::join(&[VIF_DIRECTORY, number.as_str()]);
        let child = Self {
            vif,
            owner,
            cards,
            path: path.map_err(|_| Status::INVALID_PARAMETER)?,
            device: OnceDevice::new(),
            position: SpinLock::new(Position::new()),
            bus: SpinLock::new(None),
            references: References::new(),
            kept: SpinLock::new(None),
        };
        Ok(PoolArc::try_new(TAG, child)?)
    }

    /// Its folder in XenStore.
    pub(crate) fn path(&self) -> &[u8] {
        self.path.as_path().as_bytes()
    }

    /// Its driver may use the bus from now on.
    pub(crate) fn started(&self, bus: PoolArc<Bus>, irql: &mut AtMostDispatch<'_>) {
        let old = self.bus.with(irql, |place, _| place.replace(bus));
        drop(old);
    }

    /// Its driver may use the bus no longer: what it has left is taken back.
    pub(crate) fn stopped(&self, irql: &mut Passive<'_>) {
        let Some(bus) = self.bus.with(irql, |place, _| place.take()) else {
            return;
        };
        bus.reclaim(self.owner, irql);
        let held = self.references.held();
        if held != 0 {
            log_error!(
                "the driver of interface {} keeps {held} references",
                self.vif.0
            );
        }
    }

    /// The bus, while its driver may use it.
    pub(crate) fn bus(&self, irql: &mut AtMostDispatch<'_>) -> Option<PoolArc<Bus>> {
        self.bus.with(irql, |bus, _| bus.clone())
    }

    /// Takes a reference: `this` lives until it is given back.
    pub(crate) fn acquire(this: &PoolArc<Self>, irql: &mut AtMostDispatch<'_>) -> bool {
        this.kept.with(irql, |kept, _| {
            let taken = this.references.acquire().is_ok();
            if taken && kept.is_none() {
                *kept = Some(this.clone());
            }
            taken
        })
    }

    /// One more, for somebody who has one.
    pub(crate) fn acquire_another(&self, irql: &mut AtMostDispatch<'_>) {
        let acquired = self.kept.with(irql, |_, _| self.references.acquire());
        if acquired.is_err() {
            log_error!("a reference to interface {} is not counted", self.vif.0);
        }
    }

    /// Gives a reference back. With the last one, what it kept comes back, to be dropped when
    /// nothing of this child is used any more.
    #[must_use = "dropped by the caller, who knows that nothing is used any more"]
    pub(crate) fn release(&self, irql: &mut AtMostDispatch<'_>) -> Option<PoolArc<Self>> {
        self.kept
            .with(irql, |kept, _| match self.references.release() {
                Released::Held => None,
                Released::Last => kept.take(),
                Released::Underflow => {
                    log_error!("interface {} has no reference to give back", self.vif.0);
                    None
                }
            })
    }

    /// The device object, once there is one.
    pub(crate) fn device(&self) -> Option<DeviceRef> {
        self.device.get()
    }
}
