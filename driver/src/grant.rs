//! Grant references of one owner, and the entries they name.
#![allow(
    unsafe_code,
    reason = "reaches the grant table's entries through the bus driver's addresses"
)]

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

    /// Gives all references back; how many the other domain still uses, which stay set aside.
    pub(crate) fn release(self, bus: &Bus, irql: &AtMostDispatch<'_>) -> usize {
        self.slots
            .iter()
            .filter(|slot| {
                self.revoke(GrantRef(slot.gref)).is_err()
                    || bus.grant_release(slot.gref, irql).is_err()
            })
            .count()
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
