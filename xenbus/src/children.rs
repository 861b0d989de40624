//! The children of the bus: who is there, who is new, who is gone.

use nt::device::{DeviceRef, DeviceSpec};
use nt::irp::Irp;
use nt::irql::{AtMostDispatch, Passive};
use nt::pool::{PoolArc, PoolSlice};
use nt::spinlock::SpinLock;
use nt::status::Result;
use nt::{log_error, log_info};
use xenbus_core::enumerate::{VIFS_MAX, VifId, VifSet};
use xenbus_core::pnp::pdo::Relation;

use crate::TAG;
use crate::bus::Bus;
use crate::child::Child;
use crate::device::{self, Extension};
use crate::driver::Driver;
use crate::emulated::Cards;
use crate::grants::Owner;
use crate::owned::Storage;
use crate::pdo::Pdo;
use crate::relations;

/// The children, from the bus device's first day to its last.
#[derive(Debug)]
pub(crate) struct Children {
    driver: Driver,
    /// Physical device object of the bus: whose relations change.
    parent: DeviceRef,
    /// Which of them work.
    cards: PoolArc<Cards>,
    /// Rank: 1. A child's position is taken under it.
    list: SpinLock<List>,
    /// The bus, while it is started. Rank: leaf.
    bus: SpinLock<Option<PoolArc<Bus>>>,
}

#[derive(Debug)]
struct List {
    /// The index is the owner's number, less one.
    children: Storage<Option<PoolArc<Child>>>,
    /// What XenStore had when it was last asked.
    present: VifSet,
}

impl List {
    fn children(&self) -> impl Iterator<Item = &PoolArc<Child>> {
        self.children.as_ref().iter().flatten()
    }

    fn has(&self, vif: VifId) -> bool {
        self.children().any(|child| child.vif == vif)
    }

    /// Puts a child at the place its owner's number says.
    fn insert(&mut self, child: &PoolArc<Child>) {
        let index = usize::from(child.owner.0).saturating_sub(1);
        if let Some(place) = self.children.as_mut().get_mut(index) {
            *place = Some(child.clone());
        }
    }

    fn free_owner(&self) -> Option<Owner> {
        let index = self.children.as_ref().iter().position(Option::is_none)?;
        u8::try_from(index.checked_add(1)?).ok().map(Owner)
    }
}

/// What is to be done for an interface that has no child yet.
enum Newcomer {
    /// Make one.
    Make(VifId, Owner),
    /// Nothing (more).
    None,
}

impl Children {
    pub(crate) fn new(driver: Driver, parent: DeviceRef) -> Result<PoolArc<Self>> {
        let list = List {
            children: Storage::try_new(VIFS_MAX, &None)?,
            present: VifSet::EMPTY,
        };
        let children = Self {
            driver,
            parent,
            cards: PoolArc::try_new(TAG, Cards::new(parent))?,
            list: SpinLock::new(list),
            bus: SpinLock::new(None),
        };
        Ok(PoolArc::try_new(TAG, children)?)
    }

    /// Which of the children's cards work.
    pub(crate) fn cards(&self) -> &Cards {
        &self.cards
    }

    /// Names the bus that started children use; none when it stops.
    pub(crate) fn set_bus(&self, bus: Option<PoolArc<Bus>>, irql: &mut AtMostDispatch<'_>) {
        let old = self
            .bus
            .with(irql, |place, _| core::mem::replace(place, bus));
        drop(old);
    }

    /// The bus, while it is started.
    pub(crate) fn bus(&self, irql: &mut AtMostDispatch<'_>) -> Option<PoolArc<Bus>> {
        self.bus.with(irql, |bus, _| bus.clone())
    }

    /// Compares with what XenStore has now, and has Windows ask when something changed.
    pub(crate) fn update(this: &PoolArc<Self>, set: &VifSet, irql: &mut Passive<'_>) {
        let mut changed = this.list.with(irql, |list, irql| {
            list.present = *set;
            let gone = list.children().filter(|child| !set.contains(child.vif));
            let mut changed = false;
            for child in gone {
                child.position.with_at(irql, |position| {
                    changed |= position.relation() == Relation::Report;
                    position.vanished();
                });
            }
            changed
        });
        while let Newcomer::Make(vif, owner) = this.newcomer(irql) {
            match Self::make(this, vif, owner, irql) {
                Ok(()) => changed = true,
                Err(status) => {
                    log_error!("interface {} has no device: {status}", vif.0);
                    break;
                }
            }
        }
        if changed {
            this.parent.invalidate_bus_relations(irql);
        }
    }

    /// The next interface without a child. One whose earlier child is still on its way out waits for
    /// its end: both would have the same ids.
    fn newcomer(&self, irql: &mut AtMostDispatch<'_>) -> Newcomer {
        self.list.with(irql, |list, _| {
            let mut present = list.present.as_slice().iter();
            let new = present.find(|vif| !list.has(**vif));
            match (new, list.free_owner()) {
                (Some(vif), Some(owner)) => Newcomer::Make(*vif, owner),
                _ => Newcomer::None,
            }
        })
    }

    fn make(this: &PoolArc<Self>, vif: VifId, owner: Owner, irql: &mut Passive<'_>) -> Result<()> {
        let child = Child::new(vif, owner, this.cards.clone())?;
        let pdo = Pdo::new(child.clone(), this.clone())?;
        let spec = DeviceSpec {
            device_type: wdk_sys::FILE_DEVICE_UNKNOWN,
            autogenerated_name: true,
        };
        let device = this.driver.create_device(spec, Extension::Pdo(pdo), irql)?;
        child.device.set(device.as_ref());
        device.as_ref().change_flags(
            wdk_sys::DO_POWER_PAGABLE,
            wdk_sys::DO_DEVICE_INITIALIZING,
            irql,
        );
        this.list.with(irql, |list, _| list.insert(&child));
        // From here on the plug-and-play manager's requests end it.
        device.into_ref();
        log_info!("interface {} is here", vif.0);
        Ok(())
    }

    /// `QUERY_DEVICE_RELATIONS` for `BusRelations`.
    pub(crate) fn relations(&self, irp: &mut Irp, irql: &mut Passive<'_>) -> Result<()> {
        let mut reported: Storage<Option<DeviceRef>> = Storage::try_new(VIFS_MAX, &None)?;
        let mut unknown: Storage<Option<PoolArc<Child>>> = Storage::try_new(VIFS_MAX, &None)?;
        self.list.with(irql, |list, irql| {
            let places = reported.as_mut().iter_mut().zip(unknown.as_mut());
            for (child, (device, forgotten)) in list.children().zip(places) {
                let report = child
                    .position
                    .with_at(irql, |position| match position.relation() {
                        Relation::Report => {
                            position.reported_present();
                            Ok(())
                        }
                        Relation::Omit => Err(position.reported_missing()),
                    });
                match report {
                    Ok(()) => {
                        *device = child.device();
                        if let Some(device) = device {
                            device.reference(irql);
                        }
                    }
                    Err(true) => *forgotten = Some(child.clone()),
                    Err(false) => {}
                }
            }
        });
        // Windows never saw them: nobody else deletes them.
        for child in unknown.as_ref().iter().flatten() {
            self.forget(child, irql);
            if let Some(device) = child.device() {
                device::delete_unseen(device, irql);
            }
        }
        let mut devices = reported.as_ref().iter().flatten().copied();
        let count = reported.as_ref().iter().flatten().count();
        let list = PoolSlice::try_from_fn(TAG, count, |_| devices.next().unwrap_or(self.parent));
        let answered = list
            .map_err(Into::into)
            .and_then(|list| relations::answer(irp, &list, irql));
        if answered.is_err() {
            for device in reported.as_ref().iter().flatten() {
                device::dereference(*device, irql);
            }
        }
        answered
    }

    /// A child's device is being deleted. An interface that came back meanwhile is new now.
    pub(crate) fn forget(&self, child: &PoolArc<Child>, irql: &mut AtMostDispatch<'_>) {
        let came_back = self.list.with(irql, |list, _| {
            for place in list.children.as_mut() {
                if place.as_ref().is_some_and(|it| PoolArc::same(it, child)) {
                    *place = None;
                }
            }
            list.present.contains(child.vif)
        });
        log_info!("interface {} is gone", child.vif.0);
        if came_back && let Some(bus) = self.bus(irql) {
            bus.store.look_again(irql);
        }
    }

    /// The bus goes: the devices of children that are left go with it.
    pub(crate) fn delete_all(&self, irql: &mut Passive<'_>) {
        loop {
            let next = self.list.with(irql, |list, _| {
                list.present = VifSet::EMPTY;
                list.children().next().cloned()
            });
            let Some(child) = next else { return };
            child.stopped(irql);
            self.forget(&child, irql);
            if let Some(device) = child.device() {
                device::delete_unseen(device, irql);
            }
        }
    }
}
