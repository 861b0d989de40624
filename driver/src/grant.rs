//! Grant references of one owner, and the entries they name.
#![allow(
    unsafe_code,
    reason = "reaches the grant table's entries through the bus driver's addresses"
)]

use core::ops::Range;
use core::ptr;

use interface::GrantSlot;
use nt::irql::AtMostDispatch;
use nt::pool::{OutOfMemory, PoolSlice};
use nt::status::Status;
use xen_abi::domid::DomId;
use xen_abi::grant_table::{GrantEntryV1, GrantRef};
use xenbus_core::grant::{Access, RevokeError, publish, revoke};

use crate::TAG;
use crate::bus::Bus;

/// The other domain still uses the page: it must stay as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct StillInUse;

/// Grant references set aside for one owner, all for one other domain.
pub(crate) struct Grants {
    /// Sorted by reference.
    slots: PoolSlice<GrantSlot>,
    remote: DomId,
}

// SAFETY: the entries are atomics at addresses that stay mapped while the bus driver's functions
// are held, which the adapter does for longer than its grants.
unsafe impl Send for Grants {}
// SAFETY: as above.
unsafe impl Sync for Grants {}

impl Grants {
    /// Sets `count` references aside, all or none.
    pub(crate) fn reserve(
        bus: &Bus,
        count: usize,
        remote: DomId,
        irql: &AtMostDispatch<'_>,
    ) -> Result<Self, Status> {
        let none = GrantSlot {
            gref: 0,
            entry: ptr::null(),
        };
        let mut slots = PoolSlice::try_from_fn(TAG, count, |_| none)
            .map_err(|OutOfMemory| Status::INSUFFICIENT_RESOURCES)?;
        bus.grants_reserve(&mut slots, irql)?;
        slots.sort_unstable_by_key(|slot| slot.gref);
        Ok(Self { slots, remote })
    }

    /// The references in order, from `first` on.
    pub(crate) fn references(&self, first: usize) -> impl Iterator<Item = GrantRef> {
        self.slots
            .iter()
            .skip(first)
            .map(|slot| GrantRef(slot.gref))
    }

    /// The reference number `nth`.
    pub(crate) fn reference(&self, nth: usize) -> Option<GrantRef> {
        self.slots.get(nth).map(|slot| GrantRef(slot.gref))
    }

    /// Grants a page with a reference that is unused.
    pub(crate) fn grant(&self, gref: GrantRef, pfn: u64, access: Access) {
        if let Some(entry) = self.entry(gref) {
            // No guest has pages beyond 16 TiB; the last frame number names none of them.
            let frame = u32::try_from(pfn).unwrap_or(u32::MAX);
            publish(entry, self.remote, frame, access);
        }
    }

    /// Ends a grant. One that grants nothing (any more, after a resume) is ended; of one that is
    /// not ours nothing is known.
    pub(crate) fn revoke(&self, gref: GrantRef) -> Result<(), StillInUse> {
        match self.entry(gref).map(revoke) {
            Some(Ok(()) | Err(RevokeError::NotGranted)) => Ok(()),
            Some(Err(RevokeError::StillInUse)) | None => Err(StillInUse),
        }
    }

    /// Gives all references back, of which none was used; what the other domain still uses stays set aside.
    pub(crate) fn release(mut self, bus: &Bus, irql: &AtMostDispatch<'_>) {
        self.collect(bus, irql, &mut |_| {});
    }

    /// Gives the references back whose page the other domain does not use (any more), telling `ended` of each before it
    /// can be another's; how many are left.
    pub(crate) fn collect(
        &mut self,
        bus: &Bus,
        irql: &AtMostDispatch<'_>,
        ended: &mut dyn FnMut(u32),
    ) -> usize {
        let mut left = 0_usize;
        for nth in 0..self.slots.len() {
            let Some(slot) = self.slots.get(nth).filter(|slot| !slot.entry.is_null()) else {
                continue;
            };
            let gref = slot.gref;
            if self.revoke(GrantRef(gref)).is_ok() {
                ended(gref);
                if bus.grant_release(gref, irql).is_ok() {
                    if let Some(slot) = self.slots.get_mut(nth) {
                        slot.entry = ptr::null();
                    }
                    continue;
                }
            }
            left = left.saturating_add(1);
        }
        left
    }

    /// Whether one of the references at these places was not given back.
    pub(crate) fn has_any(&self, places: Range<usize>) -> bool {
        let slots = self.slots.get(places).unwrap_or_default();
        slots.iter().any(|slot| !slot.entry.is_null())
    }

    /// References that were not given back.
    pub(crate) fn count(&self) -> usize {
        let is_ours = |slot: &&GrantSlot| !slot.entry.is_null();
        self.slots.iter().filter(is_ours).count()
    }

    fn entry(&self, gref: GrantRef) -> Option<&GrantEntryV1> {
        let nth = self
            .slots
            .binary_search_by_key(&gref.0, |slot| slot.gref)
            .ok()?;
        let slot = self.slots.get(nth)?;
        // SAFETY: null or an entry that stays mapped while the bus driver's functions are held.
        unsafe { slot.entry.as_ref() }
    }
}

impl core::fmt::Debug for Grants {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Grants")
            .field("count", &self.slots.len())
            .field("remote", &self.remote)
            .finish()
    }
}
