//! The grant table, version 1: 8-byte entries (flags u16, domid u16, frame u32) in frames the guest places.
//!
//! `grant_table_op` for the guest; map, unmap and copy for backends. While a grant is in use Xen
//! keeps `reading` (and `writing`) set in the entry, which is what the guest's revoke looks at.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use crate::abi::{
    self, DOMID_SELF, ENOSYS, Errno, GNTST_BAD_COPY_ARG, GNTST_BAD_GNTREF, GNTST_BAD_HANDLE,
    GNTST_BAD_PAGE, GNTST_GENERAL_ERROR, GNTST_OKAY, GNTST_PERMISSION_DENIED, GREFS_PER_FRAME,
    GTF_PERMIT_ACCESS, GTF_READING, GTF_READONLY, GTF_SUB_PAGE, GTF_TYPE_MASK, GTF_WRITING,
    PAGE_SIZE,
};
use crate::leak::Violation;
use crate::machine::Machine;
use crate::mem::Page;
use crate::shared::SharedPage;

/// Why a grant operation failed: a `GNTST_*` status, always negative.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GrantError(pub i16);

/// A grant mapped by a backend. Give it back with [`Machine::unmap_grant`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MappedGrant {
    /// Handle of the mapping.
    pub handle: u32,
    /// The granted frame.
    pub page: Page,
    /// Mapped for reading only: the holder must not write.
    pub readonly: bool,
}

/// A grant in use, by mapping or by a copy under way.
#[derive(Clone, Copy, Debug)]
struct Active {
    domid: u16,
    frame: u32,
    readers: u32,
    writers: u32,
}

#[derive(Debug)]
pub(crate) struct Grants {
    frames: Vec<SharedPage>,
    max_frames: u32,
    active: BTreeMap<u32, Active>,
    /// Mappings: handle to gref and whether read-only.
    maps: BTreeMap<u32, (u32, bool)>,
    next_handle: u32,
}

impl Grants {
    pub(crate) fn new(max_frames: u32) -> Self {
        Self {
            frames: alloc::vec![SharedPage::new()],
            max_frames,
            active: BTreeMap::new(),
            maps: BTreeMap::new(),
            next_handle: 1,
        }
    }

    /// Everything gone, as after a resume. Handles are not reused.
    pub(crate) fn reset(&mut self) {
        let next_handle = self.next_handle;
        *self = Self {
            next_handle,
            ..Self::new(self.max_frames)
        };
    }

    fn grow(&mut self, frames: u32) -> bool {
        while (self.frames.len() as u32) < frames.min(self.max_frames) {
            self.frames.push(SharedPage::new());
        }
        frames <= self.max_frames
    }

    pub(crate) fn frame_for_placing(&mut self, index: u64) -> Option<&mut SharedPage> {
        let index = u32::try_from(index).ok().filter(|&i| i < self.max_frames)?;
        self.grow(index + 1);
        self.frames.get_mut(index as usize)
    }

    pub(crate) fn placed_at(&mut self, pfn: u64) -> Option<&mut SharedPage> {
        self.frames.iter_mut().find(|f| f.pfn() == Some(pfn))
    }

    /// The frame and offset of entry `gref`.
    pub(crate) fn entry(&self, gref: u32) -> Option<(Page, usize)> {
        let frame = self.frames.get((gref / GREFS_PER_FRAME) as usize)?;
        Some((frame.page(), (gref % GREFS_PER_FRAME) as usize * 8))
    }

    pub(crate) fn is_mapped_frame(&self, pfn: u64) -> bool {
        self.active.values().any(|a| u64::from(a.frame) == pfn)
    }

    /// Entries beyond the reserved ones with flags set: gref and flags.
    pub(crate) fn used(&self) -> Vec<(u32, u16)> {
        (abi::RESERVED_GREFS..self.frames.len() as u32 * GREFS_PER_FRAME)
            .filter_map(|gref| {
                let (page, at) = self.entry(gref)?;
                let flags = page.read_u16(at);
                (flags != 0).then_some((gref, flags))
            })
            .collect()
    }

    /// Mapped grants: handle and gref.
    pub(crate) fn mapped(&self) -> Vec<(u32, u32)> {
        self.maps
            .iter()
            .map(|(&handle, &(gref, _))| (handle, gref))
            .collect()
    }

    /// Takes the grant into use for `domid`: checks the entry and sets its in-use flags atomically.
    fn acquire(&mut self, domid: u16, gref: u32, readonly: bool) -> Result<u32, GrantError> {
        let (page, at) = self.entry(gref).ok_or(GrantError(GNTST_BAD_GNTREF))?;
        let active = self.active.get(&gref).copied();
        if active.is_some_and(|a| a.domid != domid) {
            return Err(GrantError(GNTST_GENERAL_ERROR));
        }
        let wanted = GTF_READING | if readonly { 0 } else { GTF_WRITING };
        // Bounded, because the guest may change the word faster than it is exchanged.
        for _ in 0..5 {
            let head = page.read_u32(at);
            let (flags, owner) = (head as u16, (head >> 16) as u16);
            let kind = flags & (GTF_TYPE_MASK | GTF_SUB_PAGE);
            if active.is_none() && (kind != GTF_PERMIT_ACCESS || owner != domid)
                || !readonly && flags & GTF_READONLY != 0
            {
                return Err(GrantError(GNTST_GENERAL_ERROR));
            }
            if page.cas_u32(at, head, head | u32::from(wanted)).is_ok() {
                let frame = active.map_or_else(|| page.read_u32(at + 4), |a| a.frame);
                let entry = self.active.entry(gref).or_insert(Active {
                    domid,
                    frame,
                    readers: 0,
                    writers: 0,
                });
                let count = if readonly {
                    &mut entry.readers
                } else {
                    &mut entry.writers
                };
                *count += 1;
                return Ok(frame);
            }
        }
        Err(GrantError(GNTST_GENERAL_ERROR))
    }

    /// Ends one use; clears in-use flags that no other use needs.
    fn release(&mut self, gref: u32, readonly: bool) {
        let Some(active) = self.active.get_mut(&gref) else {
            return;
        };
        let count = if readonly {
            &mut active.readers
        } else {
            &mut active.writers
        };
        *count = count.saturating_sub(1);
        let (readers, writers) = (active.readers, active.writers);
        let Some((page, at)) = self.entry(gref) else {
            return;
        };
        if writers == 0 {
            page.and_u16(at, !GTF_WRITING);
        }
        if readers == 0 && writers == 0 {
            self.active.remove(&gref);
            page.and_u16(at, !GTF_READING);
        }
    }

    /// What is wrong with the entry of a grant in use, if anything.
    fn check(&self, gref: u32) -> Option<Violation> {
        let active = self.active.get(&gref)?;
        let (page, at) = self.entry(gref)?;
        let flags = page.read_u16(at);
        if flags & GTF_TYPE_MASK != GTF_PERMIT_ACCESS || flags & GTF_READING == 0 {
            return Some(Violation::RevokedInUse { gref, flags });
        }
        let frame = page.read_u32(at + 4);
        (frame != active.frame).then_some(Violation::FrameChangedInUse { gref })
    }
}

impl Machine {
    pub(crate) fn grant_table_op(&mut self, op: u64, arg: u64, count: u64) -> Result<i64, Errno> {
        for i in 0..count {
            match op {
                abi::GNTTABOP_QUERY_SIZE => self.query_size(arg.wrapping_add(i * 16))?,
                abi::GNTTABOP_SETUP_TABLE => self.setup_table(arg.wrapping_add(i * 24))?,
                abi::GNTTABOP_SET_VERSION => {
                    let version = u32::from_le_bytes(self.memory.read_guest(arg)?);
                    if version != 1 {
                        // As Xen with gnttab=max-ver:1.
                        return Err(if version == 2 { ENOSYS } else { abi::EINVAL });
                    }
                }
                abi::GNTTABOP_GET_VERSION => {
                    self.memory
                        .write_guest(arg.wrapping_add(4), &1_u32.to_le_bytes())?;
                }
                _ => return Err(ENOSYS),
            }
        }
        Ok(0)
    }

    fn grant_status(&self, domid: u16) -> i16 {
        if domid == DOMID_SELF || domid == self.config.domid {
            GNTST_OKAY
        } else {
            GNTST_PERMISSION_DENIED
        }
    }

    fn query_size(&mut self, arg: u64) -> Result<(), Errno> {
        let raw: [u8; 2] = self.memory.read_guest(arg)?;
        let status = self.grant_status(u16::from_le_bytes(raw));
        if status == GNTST_OKAY {
            let now = self.grants.frames.len() as u32;
            self.memory
                .write_guest(arg.wrapping_add(4), &now.to_le_bytes())?;
            let most = self.grants.max_frames;
            self.memory
                .write_guest(arg.wrapping_add(8), &most.to_le_bytes())?;
        }
        self.memory
            .write_guest(arg.wrapping_add(12), &status.to_le_bytes())
    }

    fn setup_table(&mut self, arg: u64) -> Result<(), Errno> {
        let raw: [u8; 24] = self.memory.read_guest(arg)?;
        let mut list = [0; 8];
        list.copy_from_slice(&raw[16..]);
        let frames = u32::from_le_bytes([raw[4], raw[5], raw[6], raw[7]]);
        let mut status = self.grant_status(u16::from_le_bytes([raw[0], raw[1]]));
        if status == GNTST_OKAY && !self.grants.grow(frames) {
            status = GNTST_GENERAL_ERROR;
        }
        if status == GNTST_OKAY {
            for (i, frame) in self.grants.frames.iter().take(frames as usize).enumerate() {
                let pfn = frame.pfn().unwrap_or(u64::MAX);
                let at = u64::from_le_bytes(list).wrapping_add(i as u64 * 8);
                self.memory.write_guest(at, &pfn.to_le_bytes())?;
            }
        }
        self.memory
            .write_guest(arg.wrapping_add(8), &status.to_le_bytes())
    }

    /// Maps grant `gref` of the guest for domain `domid`.
    pub fn map_grant(
        &mut self,
        domid: u16,
        gref: u32,
        readonly: bool,
    ) -> Result<MappedGrant, GrantError> {
        let page = self.acquire(domid, gref, readonly)?;
        let handle = self.grants.next_handle;
        self.grants.next_handle += 1;
        self.grants.maps.insert(handle, (gref, readonly));
        Ok(MappedGrant {
            handle,
            page,
            readonly,
        })
    }

    fn acquire(&mut self, domid: u16, gref: u32, readonly: bool) -> Result<Page, GrantError> {
        let frame = self.grants.acquire(domid, gref, readonly)?;
        let removed = self.removed_frames.contains(&u64::from(frame));
        let page = self.memory.frame(u64::from(frame)).filter(|_| !removed);
        page.ok_or_else(|| {
            self.grants.release(gref, readonly);
            GrantError(GNTST_BAD_PAGE)
        })
    }

    fn check_use(&mut self, gref: u32) {
        if let Some(violation) = self.grants.check(gref)
            && !self.violations.contains(&violation)
        {
            self.violations.push(violation);
        }
    }

    /// Unmaps. A mapping that a resume of the guest already ended answers `GNTST_bad_handle`.
    pub fn unmap_grant(&mut self, map: MappedGrant) -> Result<(), GrantError> {
        let (gref, readonly) = self
            .grants
            .maps
            .remove(&map.handle)
            .ok_or(GrantError(GNTST_BAD_HANDLE))?;
        self.check_use(gref);
        self.grants.release(gref, readonly);
        Ok(())
    }

    /// Checks every grant in use for entries the guest changed; what it finds is a [`Violation`].
    ///
    /// Backends call it once per poll; unmapping and copying check their own grant.
    pub fn check_grants(&mut self) {
        let grefs: Vec<u32> = self.grants.active.keys().copied().collect();
        for gref in grefs {
            self.check_use(gref);
        }
    }

    /// `GNTTABOP_copy` from a granted page.
    pub fn copy_from_grant(
        &mut self,
        domid: u16,
        gref: u32,
        offset: usize,
        out: &mut [u8],
    ) -> Result<(), GrantError> {
        if offset + out.len() > PAGE_SIZE {
            return Err(GrantError(GNTST_BAD_COPY_ARG));
        }
        let page = self.acquire(domid, gref, true)?;
        page.read(offset, out);
        self.check_use(gref);
        self.grants.release(gref, true);
        Ok(())
    }

    /// `GNTTABOP_copy` to a granted page.
    pub fn copy_to_grant(
        &mut self,
        domid: u16,
        gref: u32,
        offset: usize,
        bytes: &[u8],
    ) -> Result<(), GrantError> {
        if offset + bytes.len() > PAGE_SIZE {
            return Err(GrantError(GNTST_BAD_COPY_ARG));
        }
        let page = self.acquire(domid, gref, false)?;
        page.write(offset, bytes);
        self.check_use(gref);
        self.grants.release(gref, false);
        Ok(())
    }

    /// Whether any backend has guest frame `pfn` in use now: such a frame must not be freed.
    pub fn frame_in_use(&self, pfn: u64) -> bool {
        self.grants.is_mapped_frame(pfn)
    }
}
