//! Grant references: who has which, and the growth of the table.

use nt::irql::AtMostDispatch;
use nt::pool::{PoolArc, PoolSlice};
use nt::spinlock::SpinLock;
use nt::status::{Result, Status};
use nt::{log_error, log_warn};
use xen_abi::grant_table::{GrantEntryV1, GrantRef};
use xenbus_core::grant::{ENTRIES_PER_FRAME, GrantAllocator, GrantFrames, RevokeError, revoke};

use crate::TAG;
use crate::hole::Hole;
use crate::owned::Storage;

/// A user of the bus: a child, by its number from 1 on. 0 is nobody.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Owner(pub(crate) u8);

const NOBODY: Owner = Owner(0);

/// Why a reference was not taken back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ReleaseError {
    /// Its entry still grants something.
    StillInUse,
    /// It is not the caller's.
    NotYours,
}

/// The grant table of this guest.
#[derive(Debug)]
pub(crate) struct Grants {
    hole: PoolArc<Hole>,
    /// Rank: leaf.
    table: SpinLock<Table>,
}

#[derive(Debug)]
struct Table {
    allocator: GrantAllocator<Storage<u32>>,
    owners: Storage<Owner>,
}

impl Grants {
    /// A table without frames.
    pub(crate) fn new(hole: PoolArc<Hole>) -> Result<Self> {
        let frames = hole.grant_frames_max();
        let len = GrantAllocator::<Storage<u32>>::list_len(frames)
            .ok_or(Status::DEVICE_CONFIGURATION_ERROR)?;
        let allocator = GrantAllocator::new(Storage::try_new(len, &0)?, frames)
            .map_err(|_| Status::DEVICE_CONFIGURATION_ERROR)?;
        let owners = Storage::try_new(len, &NOBODY)?;
        Ok(Self {
            hole,
            table: SpinLock::new(Table { allocator, owners }),
        })
    }

    /// How many references could still be given out.
    pub(crate) fn free(&self, irql: &mut AtMostDispatch<'_>) -> usize {
        let max = self.hole.grant_frames_max();
        self.table.with(irql, |table, _| table.available(max))
    }

    /// Gives `owner` `count` references, each with its entry; all or none.
    pub(crate) fn reserve(
        &self,
        owner: Owner,
        count: usize,
        irql: &mut AtMostDispatch<'_>,
        mut give: impl FnMut(usize, GrantRef, &GrantEntryV1),
    ) -> Result<()> {
        let mut taken = PoolSlice::try_from_fn(TAG, count, |_| GrantRef(0))?;
        self.table.with(irql, |table, _| {
            table.take_all(owner, &mut taken, &self.hole)
        })?;
        for (index, gref) in taken.iter().enumerate() {
            if let Some(entry) = self.hole.entry(*gref) {
                give(index, *gref, entry);
            }
        }
        Ok(())
    }

    /// Takes a reference back whose grant has ended.
    pub(crate) fn release(
        &self,
        owner: Owner,
        gref: GrantRef,
        irql: &mut AtMostDispatch<'_>,
    ) -> core::result::Result<(), ReleaseError> {
        self.table.with(irql, |table, _| {
            let entry = self.hole.entry(gref);
            let (Some(entry), true) = (entry, table.owner(gref) == Some(owner)) else {
                return Err(ReleaseError::NotYours);
            };
            if is_active(entry) {
                return Err(ReleaseError::StillInUse);
            }
            table.free(gref);
            Ok(())
        })
    }

    /// Takes back what `owner` has left. Where the backend still uses a page the reference is given
    /// up for good. Returns how many there were.
    pub(crate) fn reclaim(&self, owner: Owner, irql: &mut AtMostDispatch<'_>) -> u32 {
        self.table.with(irql, |table, _| {
            let mut leaked = 0_u32;
            let frames = table.allocator.frames();
            for gref in (0..frames.saturating_mul(ENTRIES_PER_FRAME)).map(GrantRef) {
                if table.owner(gref) != Some(owner) {
                    continue;
                }
                leaked = leaked.saturating_add(1);
                match self.hole.entry(gref).map(revoke) {
                    Some(Ok(()) | Err(RevokeError::NotGranted)) => table.free(gref),
                    Some(Err(RevokeError::StillInUse)) | None => table.write_off(gref),
                }
            }
            leaked
        })
    }

    /// Places the frames of the table anew, after a resume: all entries are zero.
    pub(crate) fn resumed(&self, irql: &mut AtMostDispatch<'_>) -> Result<()> {
        self.table.with(irql, |table, _| {
            for frame in 0..table.allocator.frames() {
                self.hole.place_grant_frame(frame).map_err(|error| {
                    log_error!("grant frame {frame} is lost: {error:?}");
                    Status::DEVICE_NOT_READY
                })?;
            }
            Ok(())
        })
    }
}

/// Whether an entry grants something.
fn is_active(entry: &GrantEntryV1) -> bool {
    entry.flags.load(core::sync::atomic::Ordering::Acquire) != 0
}

/// Ends what an earlier driver left granted in a new frame. What it cannot end is not given out.
fn clean(frame: u32, hole: &Hole) {
    let first = frame.saturating_mul(ENTRIES_PER_FRAME);
    let Some(entries) = usize::try_from(frame).ok().and_then(|at| hole.frame(at)) else {
        return;
    };
    let reserved = xen_abi::grant_table::GNTTAB_NR_RESERVED_ENTRIES;
    for (offset, entry) in (0_u32..).zip(entries) {
        let gref = GrantRef(first.saturating_add(offset));
        if gref.0 >= reserved && is_active(entry) && revoke(entry).is_err() {
            log_warn!("grant {} of an earlier driver is still used", gref.0);
        }
    }
}

impl Table {
    fn available(&self, max_frames: u32) -> usize {
        let unused = max_frames.saturating_sub(self.allocator.frames());
        let more = unused.saturating_mul(ENTRIES_PER_FRAME);
        let free = self.allocator.counts().free.saturating_add(more);
        usize::try_from(free).unwrap_or(0)
    }

    /// Adds frames until `count` references are free.
    fn grow_to(&mut self, count: usize, hole: &Hole) -> bool {
        if self.available(hole.grant_frames_max()) < count {
            return false;
        }
        while usize::try_from(self.allocator.counts().free).unwrap_or(0) < count {
            let Some(frame) = self.allocator.next_frame() else {
                return false;
            };
            if let Err(error) = hole.place_grant_frame(frame) {
                log_warn!("no grant frame {frame}: {error:?}");
                return false;
            }
            self.allocator.frame_added();
            clean(frame, hole);
        }
        true
    }

    /// Fills `taken`, or takes nothing.
    fn take_all(&mut self, owner: Owner, taken: &mut [GrantRef], hole: &Hole) -> Result<()> {
        let enough = self.grow_to(taken.len(), hole);
        let mut done = 0_usize;
        for place in taken.iter_mut().take_while(|_| enough) {
            let Some(gref) = self.take(owner, hole) else {
                break;
            };
            *place = gref;
            done = done.saturating_add(1);
        }
        if enough && done == taken.len() {
            return Ok(());
        }
        for gref in taken.iter().take(done) {
            self.free(*gref);
        }
        Err(Status::INSUFFICIENT_RESOURCES)
    }

    /// A reference whose entry grants nothing.
    fn take(&mut self, owner: Owner, hole: &Hole) -> Option<GrantRef> {
        loop {
            let gref = self.allocator.allocate().ok()?;
            match hole.entry(gref) {
                Some(entry) if !is_active(entry) => {
                    self.set_owner(gref, owner);
                    return Some(gref);
                }
                // Left by an earlier driver, and in use to this day. Each one is skipped once.
                _ => self.allocator.write_off(gref).ok()?,
            }
        }
    }

    fn owner(&self, gref: GrantRef) -> Option<Owner> {
        let at = usize::try_from(gref.0).ok()?;
        self.owners.as_ref().get(at).copied()
    }

    fn set_owner(&mut self, gref: GrantRef, owner: Owner) {
        let place = usize::try_from(gref.0)
            .ok()
            .and_then(|at| self.owners.as_mut().get_mut(at));
        if let Some(place) = place {
            *place = owner;
        }
    }

    fn free(&mut self, gref: GrantRef) {
        self.set_owner(gref, NOBODY);
        // Ours by its owner, so the allocator has given it out.
        self.allocator.free(gref).ok();
    }

    fn write_off(&mut self, gref: GrantRef) {
        self.set_owner(gref, NOBODY);
        self.allocator.write_off(gref).ok();
    }
}
