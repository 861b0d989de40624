//! The receive side of one connection: ring and grants.

use netfront_core::RING_SIZE;
use netfront_core::rx::{RxBuffer, RxMemory, RxQueue};
use netif::GrantRef;
use nt::irql::AtMostDispatch;
use nt::status::Status;
use xen_abi::domid::DomId;
use xenbus_core::grant::Access;

use super::bell::Notifier;
use super::stack::NumberStack;
use super::stock::Stock;
use crate::bus::Bus;
use crate::grant::{Grants, StillInUse};
use crate::remains::{Memory, Remains};
use crate::shared_page::RingMemory;

/// Grants for pages: as many as the ring has slots, and some for pages that are between two
/// places.
const PAGE_GRANTS: usize = RING_SIZE as usize + 64;
/// Order of the grants: ring, pages.
const RING_GRANT: usize = 0;
const FIRST_PAGE: usize = 1;

/// The receive side while connected.
pub(crate) struct RxLink {
    pub(crate) engine: RxQueue<RingMemory>,
    pub(crate) grants: PageGrants,
    ring: RingMemory,
    /// None until the event channel is open.
    pub(crate) notifier: Option<Notifier>,
    /// The channel is the receive side's own.
    pub(crate) split: bool,
    /// The backend kept a page that it said it had filled.
    pub(crate) stuck: bool,
}

/// Grants of the queue's pages, apart from the engine that borrows them.
pub(crate) struct PageGrants {
    grants: Grants,
    free: NumberStack,
}

impl RxLink {
    /// Makes a ring for the domain `remote`.
    pub(crate) fn prepare(
        bus: &Bus,
        remote: DomId,
        irql: &AtMostDispatch<'_>,
    ) -> Result<Self, Status> {
        let ring = RingMemory::try_new()?;
        let engine = RxQueue::new(ring.clone()).map_err(|_| Status::INSUFFICIENT_RESOURCES)?;
        let count = u32::try_from(PAGE_GRANTS).unwrap_or(u32::MAX);
        let mut free = NumberStack::try_new(count)?;
        let grants = Grants::reserve(bus, PAGE_GRANTS.saturating_add(FIRST_PAGE), remote, irql)?;
        if let (Some(gref), Some(pfn)) = (grants.reference(RING_GRANT), ring.pfn()) {
            grants.grant(gref, pfn, Access::ReadWrite);
        }
        for gref in grants.references(FIRST_PAGE) {
            free.push(gref.0);
        }
        Ok(Self {
            engine,
            grants: PageGrants { grants, free },
            ring,
            notifier: None,
            split: false,
            stuck: false,
        })
    }

    /// Grant of the ring.
    pub(crate) fn ring_grant(&self) -> GrantRef {
        let grants = &self.grants.grants;
        grants.reference(RING_GRANT).unwrap_or_default()
    }

    /// Ends all grants and puts the pages back; what the backend still uses.
    pub(crate) fn release(
        self,
        stock: &mut Stock,
        bus: &Bus,
        irql: &AtMostDispatch<'_>,
    ) -> Option<Remains> {
        let Self {
            mut engine,
            mut grants,
            ring,
            ..
        } = self;
        // The stock knows which pages have a grant, those that got stuck too. One that does not
        // come back keeps the note of its grant, and is not free before that is back.
        engine.teardown(&mut |_: RxBuffer| {});
        for page in stock.numbers() {
            if let Some(gref) = stock.grant_of(page) {
                let _ = grants.end(stock, RxBuffer { page, gref });
            }
        }
        drop(engine);
        let memory = [
            Memory::Ring(ring, RING_GRANT),
            Memory::Nothing,
            Memory::Nothing,
        ];
        let queue = stock.queue();
        let reclaim: &mut dyn FnMut(u32) = &mut |gref| stock.reclaim(GrantRef(gref));
        Remains::of(grants.grants, memory, Some((queue, reclaim)), bus, irql)
    }
}

impl PageGrants {
    /// Takes a page back from the backend.
    pub(crate) fn revoke(&mut self, stock: &mut Stock, buffer: RxBuffer) -> Result<(), StillInUse> {
        self.grants.revoke(buffer.gref)?;
        stock.set_grant(buffer.page, None);
        self.free.push(buffer.gref.0);
        Ok(())
    }

    /// Takes a page back and frees it.
    pub(crate) fn end(&mut self, stock: &mut Stock, buffer: RxBuffer) -> Result<(), StillInUse> {
        self.revoke(stock, buffer)?;
        stock.put(buffer.page);
        Ok(())
    }
}

/// What a refill borrows.
pub(crate) struct Supply<'l> {
    pub(crate) grants: &'l mut PageGrants,
    pub(crate) stock: &'l mut Stock,
}

impl RxMemory for Supply<'_> {
    fn supply(&mut self) -> Option<RxBuffer> {
        let page = self.stock.take()?;
        let granted = self
            .stock
            .pfn(page)
            .and_then(|pfn| Some((pfn, GrantRef(self.grants.free.pop()?))));
        let Some((pfn, gref)) = granted else {
            self.stock.put(page);
            return None;
        };
        self.grants.grants.grant(gref, pfn, Access::ReadWrite);
        self.stock.set_grant(page, Some(gref));
        Some(RxBuffer { page, gref })
    }
}
