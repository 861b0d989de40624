//! The transmit side of one connection: ring, pools and grants.
#![allow(
    unsafe_code,
    reason = "copies frames into pages the backend may read; each block says why it may"
)]

use netfront_core::RING_SIZE;
use netfront_core::tx::{
    CopyFailed, HEADER_PAGES, StillMapped, TxId, TxMemory, TxPolicy, TxQueue, TxResources,
};
use netif::GrantRef;
use nt::irql::AtMostDispatch;
use nt::pool::{OutOfMemory, PAGE_SIZE, Pages, PoolSlice};
use nt::status::Status;
use xen_abi::domid::DomId;
use xenbus_core::grant::Access;

use super::bell::Notifier;
use super::frame::FrameBytes;
use crate::TAG;
use crate::bus::Bus;
use crate::grant::Grants;
use crate::remains::{Memory, Remains};
use crate::shared_page::{RingMemory, pfn};

/// Pages in place, one for each slot, if pages are granted so at all.
const IN_PLACE: usize = RING_SIZE as usize;

/// The transmit side while connected.
pub(crate) struct TxLink {
    pub(crate) engine: TxQueue<RingMemory>,
    pub(crate) memory: TxPool,
    ring: RingMemory,
    /// None until the event channel is open.
    pub(crate) notifier: Option<Notifier>,
    /// Frames may be put on the ring.
    pub(crate) enabled: bool,
}

/// Pools and grants, apart from the engine that borrows them.
pub(crate) struct TxPool {
    headers: Pages,
    bounce: Pages,
    grants: Grants,
}

/// Order of the grants: ring, headers, bounce pages, pages in place.
const RING_GRANT: usize = 0;
const FIRST_HEADER: usize = 1;
const FIRST_BOUNCE: usize = FIRST_HEADER + HEADER_PAGES;

impl TxLink {
    /// Makes rings and pools for the domain `remote`; `bounce_pages` is 16 to 256.
    pub(crate) fn prepare(
        bus: &Bus,
        remote: DomId,
        policy: TxPolicy,
        bounce_pages: usize,
        irql: &AtMostDispatch<'_>,
    ) -> Result<Self, Status> {
        let first_in_place = FIRST_BOUNCE.saturating_add(bounce_pages);
        let in_place = if policy.in_place { IN_PLACE } else { 0 };
        let count = first_in_place.saturating_add(in_place);
        let ring = RingMemory::try_new()?;
        let headers = Pages::try_new(TAG, HEADER_PAGES)?;
        let bounce = Pages::try_new(TAG, bounce_pages)?;
        let grants = Grants::reserve(bus, count, remote, irql)?;
        let references =
            PoolSlice::try_from_fn(TAG, count, |nth| grants.reference(nth).unwrap_or_default());
        let engine = references
            .map_err(|OutOfMemory| Status::NO_MEMORY)
            .and_then(|all| {
                let part = |from: usize, to: usize| all.get(from..to).unwrap_or_default();
                let resources = TxResources {
                    headers: part(FIRST_HEADER, FIRST_BOUNCE),
                    bounce: part(FIRST_BOUNCE, first_in_place),
                    in_place: part(first_in_place, count),
                };
                TxQueue::new(ring.clone(), &resources, policy)
                    .map_err(|_| Status::INSUFFICIENT_RESOURCES)
            });
        let engine = match engine {
            Ok(engine) => engine,
            Err(status) => {
                // Nothing was granted yet.
                grants.release(bus, irql);
                return Err(status);
            }
        };
        let memory = TxPool {
            headers,
            bounce,
            grants,
        };
        memory.publish(&ring);
        Ok(Self {
            engine,
            memory,
            ring,
            notifier: None,
            enabled: false,
        })
    }

    /// Publishes what was submitted, and notifies the backend if it has to be.
    pub(crate) fn push(&mut self, bus: &Bus, irql: &AtMostDispatch<'_>) {
        if self.engine.push().is_needed()
            && let Some(notifier) = self.notifier
        {
            notifier.ring(bus, irql);
        }
    }

    /// Grant of the ring.
    pub(crate) fn ring_grant(&self) -> GrantRef {
        self.memory.grants.reference(RING_GRANT).unwrap_or_default()
    }

    /// Ends all grants; what the backend still uses.
    pub(crate) fn release(self, bus: &Bus, irql: &AtMostDispatch<'_>) -> Option<Remains> {
        let Self {
            engine,
            memory,
            ring,
            ..
        } = self;
        drop(engine);
        let TxPool {
            headers,
            bounce,
            grants,
        } = memory;
        let bounce_end = FIRST_BOUNCE.saturating_add(bounce.count());
        let memory = [
            Memory::Ring(ring, RING_GRANT),
            Memory::Pages(headers, FIRST_HEADER..FIRST_BOUNCE),
            Memory::Pages(bounce, FIRST_BOUNCE..bounce_end),
        ];
        Remains::of(grants, memory, None, bus, irql)
    }
}

impl TxPool {
    /// Grants of header and bounce pages.
    pub(crate) fn pool_grants(&self) -> impl Iterator<Item = GrantRef> {
        let count = self.headers.count().saturating_add(self.bounce.count());
        self.grants.references(FIRST_HEADER).take(count)
    }

    /// Lets the backend read the pools and use the ring.
    fn publish(&self, ring: &RingMemory) {
        let grant = |nth, page: Option<u64>, access| {
            if let (Some(gref), Some(pfn)) = (self.grants.reference(nth), page) {
                self.grants.grant(gref, pfn, access);
            }
        };
        grant(RING_GRANT, ring.pfn(), Access::ReadWrite);
        for page in 0..self.headers.count() {
            let nth = FIRST_HEADER.saturating_add(page);
            grant(nth, pfn(&self.headers, page), Access::ReadOnly);
        }
        for page in 0..self.bounce.count() {
            let nth = FIRST_BOUNCE.saturating_add(page);
            grant(nth, pfn(&self.bounce, page), Access::ReadOnly);
        }
    }
}

/// The pools and the frame that is being sent.
pub(crate) struct Lent<'l, 'f> {
    pub(crate) pool: &'l TxPool,
    /// None when no frame is at hand: then nothing is copied.
    pub(crate) frame: Option<&'l mut FrameBytes<'f>>,
    pub(crate) irql: &'l AtMostDispatch<'l>,
}

impl Lent<'_, '_> {
    fn copy(
        &mut self,
        pages: &Pages,
        page: usize,
        offset: u16,
        from: u32,
        len: u16,
    ) -> Result<(), CopyFailed> {
        let frame = self.frame.as_deref_mut().ok_or(CopyFailed)?;
        let end = usize::from(offset).saturating_add(len.into());
        let start = pages.page(page).filter(|_| end <= PAGE_SIZE);
        let start = start.ok_or(CopyFailed)?;
        // SAFETY: the offset is within the page.
        let target = unsafe { start.add(offset.into()) };
        // SAFETY: `len` bytes from there are within the page, which Rust sees as atomics.
        unsafe { frame.copy(from, target.as_ptr(), len.into(), self.irql) }
    }
}

impl TxMemory for Lent<'_, '_> {
    fn copy_header(&mut self, id: TxId, from: u32, len: u16) -> Result<(), CopyFailed> {
        let pool = self.pool;
        self.copy(
            &pool.headers,
            id.header_page(),
            id.header_offset(),
            from,
            len,
        )
    }

    fn copy_bounce(&mut self, page: u16, from: u32, len: u16) -> Result<(), CopyFailed> {
        let pool = self.pool;
        self.copy(&pool.bounce, page.into(), 0, from, len)
    }

    fn grant(&mut self, gref: GrantRef, pfn: u64) {
        self.pool.grants.grant(gref, pfn, Access::ReadOnly);
    }

    fn revoke(&mut self, gref: GrantRef) -> Result<(), StillMapped> {
        self.pool.grants.revoke(gref).map_err(|_| StillMapped)
    }
}
