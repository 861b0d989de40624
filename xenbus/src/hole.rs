//! Pages of Xen in the memory range of the platform device, mapped.
#![allow(
    unsafe_code,
    reason = "maps pages shared with Xen and views them as what they are; each block states its reason"
)]

use core::ptr::NonNull;
use core::sync::atomic::{AtomicU32, Ordering};

use crate::resources::Resources;
use hypervisor::{HypercallError, Hypervisor};
use nt::irql::AtMostDispatch;
use nt::log_warn;
use nt::physical::{Caching, IoMapping, PhysicalAddress};
use nt::pool::PAGE_SIZE;
use nt::status::{Result, Status};
use xen_abi::grant_table::{ENTRIES_PER_FRAME_V1, GrantEntryV1};
use xen_abi::hvm::HVM_PARAM_STORE_PFN;
use xen_abi::memory::{XENMAPSPACE_GRANT_TABLE, XENMAPSPACE_SHARED_INFO};
use xen_abi::shared_info::SharedInfo;
use xen_abi::xs_wire::XenstoreDomainInterface;
use xenbus_core::grant::GrantFrames;
use xenbus_core::platform::hole::HoleLayout;

const _: () = assert!(size_of::<SharedInfo>() <= PAGE_SIZE);
const _: () = assert!(size_of::<XenstoreDomainInterface>() <= PAGE_SIZE);
const _: () = assert!(size_of::<[GrantEntryV1; ENTRIES_PER_FRAME_V1]>() == PAGE_SIZE);

/// The range, mapped once at its full length, so that what is placed there keeps its address over a
/// suspend.
#[derive(Debug)]
pub(crate) struct Hole {
    xen: Hypervisor,
    layout: HoleLayout,
    mapping: IoMapping,
    /// Pages of Xen in the range: the shared info page, and this many less one of grant frames.
    placed: AtomicU32,
}

impl Hole {
    /// Maps the memory range of the device and places the shared info page.
    pub(crate) fn open(
        xen: Hypervisor,
        resources: &Resources,
        irql: &AtMostDispatch<'_>,
    ) -> Result<Self> {
        let (base, len) = resources
            .memory()
            .ok_or(Status::DEVICE_CONFIGURATION_ERROR)?;
        let table = xen
            .query_table_size()
            .map_err(|_| Status::DEVICE_CONFIGURATION_ERROR)?;
        let layout = HoleLayout::plan(base, len, table.max_frames)
            .map_err(|_| Status::DEVICE_CONFIGURATION_ERROR)?;
        let bytes = usize::try_from(layout.len_bytes()).map_err(|_| Status::INVALID_PARAMETER)?;
        let start = PhysicalAddress(base);
        // SAFETY: the range is the device's own; Xen's pages in it are ordinary memory.
        let mapping = unsafe { IoMapping::map(start, bytes, Caching::Cached, irql) }?;
        let hole = Self {
            xen,
            layout,
            mapping,
            placed: AtomicU32::new(0),
        };
        hole.place_shared_info()
            .map_err(|_| Status::DEVICE_CONFIGURATION_ERROR)?;
        Ok(hole)
    }

    /// Puts the shared info page in its place; again after each resume.
    pub(crate) fn place_shared_info(&self) -> core::result::Result<(), HypercallError> {
        // SAFETY: the frame is in our range, and used for this only.
        unsafe {
            self.xen
                .add_to_physmap(XENMAPSPACE_SHARED_INFO, 0, self.layout.shared_info())
        }?;
        self.placed.fetch_max(1, Ordering::AcqRel);
        Ok(())
    }

    /// Puts a frame of the grant table in its place; again after each resume.
    pub(crate) fn place_grant_frame(&self, index: u32) -> core::result::Result<(), HypercallError> {
        let gfn = self
            .layout
            .grant_frame(index)
            .ok_or(HypercallError::Exhausted)?;
        // SAFETY: the frame is in our range, and used for this only.
        unsafe {
            self.xen
                .add_to_physmap(XENMAPSPACE_GRANT_TABLE, u64::from(index), gfn)
        }?;
        let placed = index.saturating_add(2);
        self.placed.fetch_max(placed, Ordering::AcqRel);
        Ok(())
    }

    /// Takes the pages out of the range.
    ///
    /// Whoever still has addresses in the range reads ones and writes nowhere from then on.
    pub(crate) fn clear(&self) {
        let Some(grant_frames) = self.placed.swap(0, Ordering::AcqRel).checked_sub(1) else {
            return;
        };
        let frames = (0..grant_frames).filter_map(|index| self.layout.grant_frame(index));
        for gfn in frames.chain([self.layout.shared_info()]) {
            // SAFETY: the frame is in our range, and the bus is at its end.
            if let Err(error) = unsafe { self.xen.remove_from_physmap(gfn) } {
                log_warn!("frame {gfn:#x} stays: {error:?}");
            }
        }
    }

    /// Most frames of the grant table there is room for.
    pub(crate) fn grant_frames_max(&self) -> u32 {
        self.layout.grant_frames()
    }

    pub(crate) fn shared_info(&self) -> &SharedInfo {
        let page: NonNull<SharedInfo> = self.mapping.as_ptr().cast();
        // SAFETY: the first page of the mapping, which lives as long as self; the type is atomics
        // only, which any bytes make up.
        unsafe { page.as_ref() }
    }
}

impl Drop for Hole {
    fn drop(&mut self) {
        self.clear();
    }
}

impl GrantFrames for Hole {
    fn frame(&self, index: usize) -> Option<&[GrantEntryV1]> {
        let offset = index.checked_add(1)?.checked_mul(PAGE_SIZE)?;
        let end = offset.checked_add(PAGE_SIZE)?;
        if end > self.mapping.len() {
            return None;
        }
        // SAFETY: the offset is inside the mapping.
        let page = unsafe { self.mapping.as_ptr().add(offset) };
        let entries: NonNull<[GrantEntryV1; ENTRIES_PER_FRAME_V1]> = page.cast();
        // SAFETY: a whole page of the mapping, which lives as long as self; the type is atomics
        // only, which any bytes make up.
        Some(unsafe { entries.as_ref() })
    }
}

/// The page shared with xenstored, mapped.
#[derive(Debug)]
pub(crate) struct StorePage {
    gfn: u64,
    mapping: IoMapping,
}

impl StorePage {
    /// The frame Xen names for the page (`HVM_PARAM_STORE_PFN`).
    pub(crate) fn named_frame(xen: Hypervisor) -> Result<u64> {
        let frame = xen.hvm_param(HVM_PARAM_STORE_PFN).ok();
        frame
            .filter(|frame| *frame != 0)
            .ok_or(Status::DEVICE_CONFIGURATION_ERROR)
    }

    /// Maps the page Xen names.
    pub(crate) fn open(xen: Hypervisor, irql: &AtMostDispatch<'_>) -> Result<Self> {
        let gfn = Self::named_frame(xen)?;
        let address = gfn
            .checked_mul(PAGE_SIZE as u64)
            .ok_or(Status::DEVICE_CONFIGURATION_ERROR)?;
        let address = PhysicalAddress(address);
        // SAFETY: Xen set the page aside for this, outside the memory it told Windows of.
        let mapping = unsafe { IoMapping::map(address, PAGE_SIZE, Caching::Cached, irql) }?;
        Ok(Self { gfn, mapping })
    }

    /// The frame it was named by.
    pub(crate) fn gfn(&self) -> u64 {
        self.gfn
    }

    pub(crate) fn interface(&self) -> &XenstoreDomainInterface {
        let page: NonNull<XenstoreDomainInterface> = self.mapping.as_ptr().cast();
        // SAFETY: the one page of the mapping, which lives as long as self; the type is atomics
        // only, which any bytes make up.
        unsafe { page.as_ref() }
    }
}
