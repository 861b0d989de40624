//! The receive pages and lists of a queue, for the life of the adapter.
//!
//! A page is in one place at a time: free here, posted to the backend (its grant is noted), lent to
//! the system in a list, or stuck with a backend that does not let go.
#![allow(
    unsafe_code,
    reason = "changes the MDLs of its own pages; each block says why it may"
)]

use core::mem::ManuallyDrop;
use core::ptr::{self, NonNull};

use ndis::chain::{Nbl, NblChain};
use ndis::{NdisVersion, Status};
use ndis_sys::NDIS_HANDLE;
use netif::GrantRef;
use nt::irql::AtMostDispatch;
use nt::mdl::Mdl;
use nt::pool::{OutOfMemory, Pages, PoolSlice};
use nt::sys::MDL;

use super::list_pool::{ListPool, describe};
use super::stack::NumberStack;
use crate::TAG;
use crate::adapter::NdisHandle;
use crate::shared_page::{PAGE_BYTES, pfn};

/// A part of a frame in a page of the stock.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Piece {
    /// Number of the page.
    pub(crate) page: u32,
    /// First byte.
    pub(crate) offset: u32,
    /// Bytes.
    pub(crate) length: u32,
}

/// A page and its MDL, which describes all of it when it is free.
#[derive(Default)]
struct Page {
    memory: Option<Pages>,
    mdl: Option<NonNull<MDL>>,
    /// The grant with which it is posted or stuck.
    gref: Option<GrantRef>,
    /// The next page of the same list.
    next: Option<u32>,
}

// SAFETY: the MDL belongs to the page.
unsafe impl Send for Page {}

/// Pages and lists.
pub(crate) struct Stock {
    pages: PoolSlice<Page>,
    free: NumberStack,
    lists: NblChain,
    pool: ListPool,
    queue: u16,
    /// Lists the system has.
    lent: u32,
}

impl Stock {
    /// `count` free pages and as many lists, for queue number `queue`.
    pub(crate) fn try_new(
        adapter: NdisHandle,
        version: NdisVersion,
        queue: u16,
        count: u32,
        irql: &AtMostDispatch<'_>,
    ) -> Result<Self, Status> {
        let out_of_memory = |OutOfMemory| Status::RESOURCES;
        let pool = ListPool::try_new(adapter, version)?;
        let mut stock = Self {
            pages: PoolSlice::try_from_fn(TAG, 0, |_| Page::default()).map_err(out_of_memory)?,
            free: NumberStack::try_new(count).map_err(out_of_memory)?,
            lists: NblChain::new(),
            pool,
            queue,
            lent: 0,
        };
        let length = usize::try_from(count).map_err(|_| Status::RESOURCES)?;
        stock.pages =
            PoolSlice::try_from_fn(TAG, length, |_| Page::default()).map_err(out_of_memory)?;
        for number in 0..count {
            let page = Page::try_new(irql)?;
            if let Some(place) = stock.page_mut(number) {
                *place = page;
            }
            stock.free.push(number);
            let list = stock.pool.allocate().ok_or(Status::RESOURCES)?;
            stock.lists.push_back(list);
        }
        Ok(stock)
    }

    fn page(&self, number: u32) -> Option<&Page> {
        self.pages.get(usize::try_from(number).ok()?)
    }

    fn page_mut(&mut self, number: u32) -> Option<&mut Page> {
        self.pages.get_mut(usize::try_from(number).ok()?)
    }

    /// Takes a free page.
    pub(crate) fn take(&mut self) -> Option<u32> {
        self.free.pop()
    }

    /// Puts a page back that grants nothing.
    pub(crate) fn put(&mut self, number: u32) {
        let Some(page) = self.page_mut(number) else {
            return;
        };
        page.gref = None;
        page.next = None;
        page.set_extent(PAGE_BYTES, ptr::null_mut());
        self.free.push(number);
    }

    /// Free pages.
    pub(crate) fn free_pages(&self) -> usize {
        self.free.len()
    }

    /// Lists the system has.
    pub(crate) fn lent(&self) -> u32 {
        self.lent
    }

    /// The page's memory.
    pub(crate) fn memory(&self, number: u32) -> Option<&Pages> {
        self.page(number)?.memory.as_ref()
    }

    /// Number of the physical page.
    pub(crate) fn pfn(&self, number: u32) -> Option<u64> {
        pfn(self.memory(number)?, 0)
    }

    /// Notes the grant of a page.
    pub(crate) fn set_grant(&mut self, number: u32, gref: Option<GrantRef>) {
        if let Some(page) = self.page_mut(number) {
            page.gref = gref;
        }
    }

    /// Numbers of all pages.
    pub(crate) fn numbers(&self) -> core::ops::Range<u32> {
        0..u32::try_from(self.pages.len()).unwrap_or(u32::MAX)
    }

    /// The grant of a page.
    pub(crate) fn grant_of(&self, number: u32) -> Option<GrantRef> {
        self.page(number)?.gref
    }

    /// Number of the queue.
    pub(crate) fn queue(&self) -> u16 {
        self.queue
    }

    /// A grant of an ended connection is back: its page is free.
    pub(crate) fn reclaim(&mut self, gref: GrantRef) {
        let page = self
            .numbers()
            .find(|page| self.grant_of(*page) == Some(gref));
        if let Some(page) = page {
            self.put(page);
        }
    }

    /// Makes a list of pages that grant nothing; none when there is no list left. But for the
    /// first, the pieces begin with their page.
    pub(crate) fn lend(&mut self, adapter: NDIS_HANDLE, pieces: &[Piece]) -> Option<Nbl> {
        let first = *pieces.first()?;
        let mut list = self.lists.pop_front()?;
        let mut chain: *mut MDL = ptr::null_mut();
        let mut next = None;
        let mut length = 0_u32;
        for piece in pieces.iter().rev() {
            let end = piece.offset.saturating_add(piece.length);
            length = length.saturating_add(piece.length);
            if let Some(page) = self.page_mut(piece.page) {
                chain = page.set_extent(end, chain);
                page.next = next;
                next = Some(piece.page);
            }
        }
        describe(&mut list, chain, first.offset, length);
        list.clear_info();
        list.set_source(adapter);
        list.set_status(Status::SUCCESS);
        *list.reserved_mut() = [
            ptr::without_provenance_mut(usize::from(self.queue)),
            ptr::without_provenance_mut(usize::try_from(first.page).unwrap_or(usize::MAX)),
        ];
        self.lent = self.lent.saturating_add(1);
        Some(list)
    }

    /// Takes a lent list back, and its pages.
    pub(crate) fn take_back(&mut self, mut list: Nbl) {
        let [_, first] = *list.reserved_mut();
        let mut next = u32::try_from(first.addr()).ok();
        describe(&mut list, ptr::null_mut(), 0, 0);
        // No list has more pages than there are.
        for _ in 0..self.pages.len() {
            let Some(number) = next else { break };
            next = self.page(number).and_then(|page| page.next);
            self.put(number);
        }
        self.lists.push_back(list);
        self.lent = self.lent.saturating_sub(1);
    }
}

/// Number of the queue whose stock a list came from.
pub(crate) fn queue_of(list: &Nbl) -> usize {
    let [word, _] = list.reserved();
    word.addr() & QUEUE_MASK
}

/// Bits of the first reserved word: queue, a processor plus one, and whether pages are low.
const QUEUE_MASK: usize = 0xFFFF;
const TARGET_SHIFT: u32 = 16;
const TARGET_MASK: usize = 0xFFFF << TARGET_SHIFT;
const LOW: usize = 1 << 32;

/// Notes the processor (system-wide index) that a list is for.
pub(crate) fn set_target(list: &mut Nbl, processor: u16) {
    let target = usize::from(processor).saturating_add(1) << TARGET_SHIFT & TARGET_MASK;
    let [word, _] = list.reserved_mut();
    *word = ptr::without_provenance_mut(word.addr() & !TARGET_MASK | target);
}

/// The processor that a list is for, if one was noted.
pub(crate) fn target_of(list: &Nbl) -> Option<u16> {
    let [word, _] = list.reserved();
    let target = (word.addr() & TARGET_MASK) >> TARGET_SHIFT;
    u16::try_from(target.checked_sub(1)?).ok()
}

/// Notes that the list must come back at once.
pub(crate) fn set_low(list: &mut Nbl) {
    let [word, _] = list.reserved_mut();
    *word = ptr::without_provenance_mut(word.addr() | LOW);
}

/// Whether the list must come back at once.
pub(crate) fn is_low(list: &Nbl) -> bool {
    let [word, _] = list.reserved();
    word.addr() & LOW != 0
}

impl Drop for Stock {
    /// All lists are back.
    fn drop(&mut self) {
        while let Some(list) = self.lists.pop_front() {
            ListPool::free(list);
        }
    }
}

impl Page {
    /// A free page.
    fn try_new(irql: &AtMostDispatch<'_>) -> Result<Self, Status> {
        let memory = Pages::try_new(TAG, 1).map_err(|OutOfMemory| Status::RESOURCES)?;
        // SAFETY: non-paged pool, which outlives the MDL: `drop` frees the MDL first.
        let mdl = unsafe { Mdl::of_non_paged(memory.as_ptr(), memory.len(), irql) };
        let mdl = mdl.map_err(|_| Status::RESOURCES)?.into_raw();
        Ok(Self {
            memory: Some(memory),
            mdl: NonNull::new(mdl),
            gref: None,
            next: None,
        })
    }

    /// Makes the MDL describe the first `bytes` of the page, and go on at `next`. Returns it.
    fn set_extent(&mut self, bytes: u32, next: *mut MDL) -> *mut MDL {
        let Some(mdl) = self.mdl else {
            return next;
        };
        // SAFETY: the MDL is the page's, and the page is free or about to be lent: nobody else
        // looks at it.
        let raw = unsafe { &mut *mdl.as_ptr() };
        raw.ByteCount = bytes.min(PAGE_BYTES);
        raw.Next = next;
        mdl.as_ptr()
    }
}

impl Drop for Page {
    fn drop(&mut self) {
        let memory = self.memory.take();
        if self.gref.is_some() {
            // The backend still uses it.
            let _leaked = ManuallyDrop::new(memory);
            return;
        }
        self.set_extent(PAGE_BYTES, ptr::null_mut());
        if let Some(mdl) = self.mdl.take() {
            // SAFETY: it came from `into_raw`, and its memory is freed after it.
            drop(unsafe { Mdl::from_raw(mdl.as_ptr()) });
        }
        drop(memory);
    }
}
