//! Grant references of the guest's own table (version 1).
//!
//! A granted page goes through these states; only the last arrow makes it safe to use again:
//!
//! ```text
//!   free --publish--> granted --(Xen: the peer maps it)--> in use --(unmaps)--> granted --revoke--> free
//! ```
//!
//! # Who holds what, without a lock on the fast path
//!
//! - An **entry** belongs to whoever holds its reference. [`publish`] and [`revoke`] touch that entry only, so
//!   different references need no lock between them.
//! - The **free list** ([`GrantAllocator`]) lives in private memory and is shared: the caller keeps it under a lock.
//! - A queue keeps a [`GrantCache`] of its own and goes to the free list only to refill or to give back, in batches.
//!
//! A reference whose page the peer still uses is never given out again: [`RevokeError::StillInUse`] leaves it where
//! it is. Try later, or write it off with [`GrantAllocator::write_off`] and leak the page.

use core::sync::atomic::{AtomicU16, Ordering};

use xen_abi::domid::DomId;
use xen_abi::grant_table::{
    ENTRIES_PER_FRAME_V1, GNTTAB_NR_RESERVED_ENTRIES, GTF_PERMIT_ACCESS, GTF_READING, GTF_READONLY,
    GTF_TYPE_MASK, GTF_WRITING, GrantEntryV1, GrantRef,
};

/// Entries in one frame of the table.
pub const ENTRIES_PER_FRAME: u32 = 512;
const _: () = assert!(ENTRIES_PER_FRAME_V1 == 512);

/// How often [`revoke`] tries again when Xen changes the flags meanwhile. Each failure is a map or unmap by the
/// peer, who must not be able to keep this CPU busy.
const REVOKE_TRIES: u32 = 16;

/// What the other domain may do with a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Read it.
    ReadOnly,
    /// Read and write it.
    ReadWrite,
}

/// The frames of the table, wherever they are mapped.
pub trait GrantFrames {
    /// The entries of frame `index`: 512 of them, or `None` if the frame is not mapped.
    fn frame(&self, index: usize) -> Option<&[GrantEntryV1]>;

    /// The entry of a reference.
    fn entry(&self, gref: GrantRef) -> Option<&GrantEntryV1> {
        let frame = usize::try_from(gref.0 / ENTRIES_PER_FRAME).ok()?;
        let at = usize::try_from(gref.0 % ENTRIES_PER_FRAME).ok()?;
        self.frame(frame)?.get(at)
    }
}

impl GrantFrames for [&[GrantEntryV1]] {
    fn frame(&self, index: usize) -> Option<&[GrantEntryV1]> {
        self.get(index).copied()
    }
}

/// Why a grant was not ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RevokeError {
    /// The other domain has the page mapped, or is copying. The page must not be used for anything else.
    StillInUse,
    /// The entry grants nothing: ended twice, or a reference out of thin air.
    NotGranted,
}

/// The flags of an entry as [`revoke`] needs them; a trait so that a test can act between any two accesses.
trait Flags {
    fn load(&self) -> u16;
    /// Compare-and-swap to 0; `Err` with the value found.
    fn clear_if(&self, expected: u16) -> Result<(), u16>;
}

impl Flags for AtomicU16 {
    fn load(&self) -> u16 {
        self.load(Ordering::Relaxed)
    }

    fn clear_if(&self, expected: u16) -> Result<(), u16> {
        // Acquire: what the other domain wrote before Xen dropped its use is visible once this succeeds.
        // Release: nothing done with the page so far moves behind it.
        self.compare_exchange(expected, 0, Ordering::AcqRel, Ordering::Relaxed)
            .map(|_| ())
    }
}

/// Grants a page. The caller holds the reference of `entry` and `entry` grants nothing yet.
///
/// Order (`grant_table.h`): domain, frame, barrier, flags. From the flags on, the entry is valid.
pub fn publish(entry: &GrantEntryV1, domid: DomId, frame: u32, access: Access) {
    entry.domid.store(domid.0, Ordering::Relaxed);
    entry.frame.store(frame, Ordering::Relaxed);
    let flags = match access {
        Access::ReadOnly => GTF_PERMIT_ACCESS | GTF_READONLY,
        Access::ReadWrite => GTF_PERMIT_ACCESS,
    };
    entry.flags.store(flags, Ordering::Release);
}

/// Ends a grant: afterwards the other domain can neither map nor copy the page.
///
/// The flags become 0 only in one step from a state without `reading` and `writing`; a look first and a store
/// afterwards would lose a mapping made between the two.
pub fn revoke(entry: &GrantEntryV1) -> Result<(), RevokeError> {
    revoke_flags(&entry.flags)
}

fn revoke_flags(word: &impl Flags) -> Result<(), RevokeError> {
    let mut flags = word.load();
    for _ in 0..REVOKE_TRIES {
        if flags & GTF_TYPE_MASK == 0 {
            return Err(RevokeError::NotGranted);
        }
        if flags & (GTF_READING | GTF_WRITING) != 0 {
            return Err(RevokeError::StillInUse);
        }
        match word.clear_if(flags) {
            Ok(()) => return Ok(()),
            Err(found) => flags = found,
        }
    }
    Err(RevokeError::StillInUse)
}

/// Why there is no free reference.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AllocError {
    /// Map frame [`GrantAllocator::next_frame`] of the table, report it with [`GrantAllocator::frame_added`], ask again.
    Grow,
    /// The table has its largest size and each reference is taken.
    Exhausted,
}

/// Why a reference was not taken back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FreeError {
    /// Reserved, beyond the table, or not given out.
    NotAllocated,
}

/// The memory for the free list is smaller than the largest table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FreeListTooSmall;

/// Numbers for leak checks: `free + taken + written_off` = references of the frames added, less the reserved ones.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GrantCounts {
    /// In the free list.
    pub free: u32,
    /// Given out, those in caches included.
    pub taken: u32,
    /// Never to be used again.
    pub written_off: u32,
}

/// Marks in the free list that are no references.
const END: u32 = u32::MAX;
const TAKEN: u32 = u32::MAX - 1;
const WRITTEN_OFF: u32 = u32::MAX - 2;

/// The free list of references, and the growth of the table. Under a lock of the caller's.
///
/// `L` holds one word per reference of the largest table ([`GrantAllocator::list_len`]): the next free reference,
/// or a mark. It is private memory; nothing of it is kept in the table itself.
#[derive(Debug)]
pub struct GrantAllocator<L> {
    links: L,
    head: u32,
    frames: u32,
    max_frames: u32,
    counts: GrantCounts,
}

impl<L: AsRef<[u32]> + AsMut<[u32]>> GrantAllocator<L> {
    /// Words the free list needs for a table of `max_frames` (from `GNTTABOP_query_size`).
    pub fn list_len(max_frames: u32) -> Option<usize> {
        usize::try_from(max_frames.checked_mul(ENTRIES_PER_FRAME)?).ok()
    }

    /// An allocator of a table without frames yet.
    pub fn new(links: L, max_frames: u32) -> Result<Self, FreeListTooSmall> {
        let needed = Self::list_len(max_frames).ok_or(FreeListTooSmall)?;
        if links.as_ref().len() < needed {
            return Err(FreeListTooSmall);
        }
        Ok(Self {
            links,
            head: END,
            frames: 0,
            max_frames,
            counts: GrantCounts::default(),
        })
    }

    /// The index of the frame to map next; `None` at the largest size.
    pub fn next_frame(&self) -> Option<u32> {
        (self.frames < self.max_frames).then_some(self.frames)
    }

    /// Frames added so far.
    ///
    /// After a resume the table is empty: map frames `0..frames()` anew. What was granted before grants nothing
    /// any more, so owners give their references back with [`GrantAllocator::free`], without ending the grants.
    pub fn frames(&self) -> u32 {
        self.frames
    }

    /// Frame [`GrantAllocator::next_frame`] is mapped: its references are free, but for those the toolstack owns.
    pub fn frame_added(&mut self) {
        let Some(frame) = self.next_frame() else {
            return;
        };
        let first = frame.saturating_mul(ENTRIES_PER_FRAME);
        let last = first.saturating_add(ENTRIES_PER_FRAME);
        self.frames = self.frames.saturating_add(1);
        // From the top, so that low references are given out first.
        for gref in (first.max(GNTTAB_NR_RESERVED_ENTRIES)..last).rev() {
            self.push(gref);
        }
        if let Some(reserved) = self
            .links
            .as_mut()
            .get_mut(..reserved_len())
            .filter(|_| frame == 0)
        {
            reserved.fill(WRITTEN_OFF);
        }
    }

    /// The counts now.
    pub fn counts(&self) -> GrantCounts {
        self.counts
    }

    /// Takes a free reference. Its entry grants nothing.
    pub fn allocate(&mut self) -> Result<GrantRef, AllocError> {
        let gref = self.head;
        let Some(link) = link(self.links.as_mut(), gref) else {
            return Err(if self.next_frame().is_some() {
                AllocError::Grow
            } else {
                AllocError::Exhausted
            });
        };
        self.head = *link;
        *link = TAKEN;
        self.counts.free = self.counts.free.saturating_sub(1);
        self.counts.taken = self.counts.taken.saturating_add(1);
        Ok(GrantRef(gref))
    }

    /// Gives a reference back whose grant has ended, or never began.
    pub fn free(&mut self, gref: GrantRef) -> Result<(), FreeError> {
        self.take_back(gref)?;
        self.push(gref.0);
        Ok(())
    }

    /// Gives a reference up for good: the other domain does not let go of its page. Leak the page too.
    pub fn write_off(&mut self, gref: GrantRef) -> Result<(), FreeError> {
        *self.take_back(gref)? = WRITTEN_OFF;
        self.counts.written_off = self.counts.written_off.saturating_add(1);
        Ok(())
    }

    /// Allocates a reference and grants a page with it.
    pub fn grant_access<F: GrantFrames + ?Sized>(
        &mut self,
        frames: &F,
        domid: DomId,
        frame: u32,
        access: Access,
    ) -> Result<GrantRef, AllocError> {
        let gref = self.allocate()?;
        let Some(entry) = frames.entry(gref) else {
            // The allocator was told of a frame that is not mapped.
            self.write_off(gref).ok();
            return Err(AllocError::Exhausted);
        };
        publish(entry, domid, frame, access);
        Ok(gref)
    }

    /// Ends a grant and takes the reference back.
    pub fn end_access<F: GrantFrames + ?Sized>(
        &mut self,
        frames: &F,
        gref: GrantRef,
    ) -> Result<(), RevokeError> {
        let link = link(self.links.as_mut(), gref.0).filter(|link| **link == TAKEN);
        let entry = link
            .and_then(|_| frames.entry(gref))
            .ok_or(RevokeError::NotGranted)?;
        revoke(entry)?;
        self.free(gref).map_err(|_| RevokeError::NotGranted)
    }

    fn push(&mut self, gref: u32) {
        if let Some(link) = link(self.links.as_mut(), gref) {
            *link = self.head;
            self.head = gref;
            self.counts.free = self.counts.free.saturating_add(1);
        }
    }

    fn take_back(&mut self, gref: GrantRef) -> Result<&mut u32, FreeError> {
        let limit = self.frames.saturating_mul(ENTRIES_PER_FRAME);
        let link = link(self.links.as_mut(), gref.0)
            .filter(|link| **link == TAKEN && gref.0 < limit)
            .ok_or(FreeError::NotAllocated)?;
        self.counts.taken = self.counts.taken.saturating_sub(1);
        Ok(link)
    }
}

fn link(links: &mut [u32], gref: u32) -> Option<&mut u32> {
    links.get_mut(usize::try_from(gref).ok()?)
}

fn reserved_len() -> usize {
    usize::try_from(GNTTAB_NR_RESERVED_ENTRIES).unwrap_or(0)
}

/// Free references of one owner (a queue, a CPU): granting and ending need no lock while it neither runs dry nor
/// overflows. Not shared: the owner has it by `&mut`.
#[derive(Debug)]
pub struct GrantCache<const N: usize> {
    refs: [GrantRef; N],
    len: usize,
}

/// The cache has no reference: [`GrantCache::refill`] it, under the allocator's lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CacheEmpty;

/// The cache has no room: [`GrantCache::shed`] some, under the allocator's lock, or free the reference there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CacheFull;

impl<const N: usize> Default for GrantCache<N> {
    fn default() -> Self {
        Self {
            refs: [GrantRef(0); N],
            len: 0,
        }
    }
}

impl<const N: usize> GrantCache<N> {
    /// References in the cache.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Takes a reference; its entry grants nothing.
    pub fn take(&mut self) -> Result<GrantRef, CacheEmpty> {
        let last = self.len.checked_sub(1).ok_or(CacheEmpty)?;
        let gref = *self.refs.get(last).ok_or(CacheEmpty)?;
        self.len = last;
        Ok(gref)
    }

    /// Keeps a reference whose grant has ended.
    pub fn put(&mut self, gref: GrantRef) -> Result<(), CacheFull> {
        *self.refs.get_mut(self.len).ok_or(CacheFull)? = gref;
        self.len = self.len.saturating_add(1);
        Ok(())
    }

    /// Fills up to `level` from the allocator; the error, if any, says how to get more.
    pub fn refill<L>(
        &mut self,
        allocator: &mut GrantAllocator<L>,
        level: usize,
    ) -> Result<(), AllocError>
    where
        L: AsRef<[u32]> + AsMut<[u32]>,
    {
        while self.len < level.min(N) {
            let gref = allocator.allocate()?;
            if self.put(gref).is_err() {
                break;
            }
        }
        Ok(())
    }

    /// Gives references back to the allocator until `level` remain; 0 when the owner goes away.
    pub fn shed<L>(&mut self, allocator: &mut GrantAllocator<L>, level: usize)
    where
        L: AsRef<[u32]> + AsMut<[u32]>,
    {
        while self.len > level {
            let Ok(gref) = self.take() else { return };
            // A reference that is not the allocator's is a defect of the owner's; its counts will show it.
            allocator.free(gref).ok();
        }
    }
}

#[cfg(test)]
#[path = "grant_tests.rs"]
mod tests;
