//! The FIFO ABI's pages: event words, and a control block per vCPU.
#![allow(
    unsafe_code,
    reason = "gives pages to Xen and views them as what they are; each block states its reason"
)]

use core::ptr::NonNull;
use core::sync::atomic::{AtomicU32, Ordering};

use hypervisor::HypercallError;
use nt::physical::PhysicalAddress;
use nt::pool::{OutOfMemory, PAGE_SIZE, Pages};
use xen_abi::event_channel::{EVENT_WORDS_PER_PAGE, FifoControlBlock};
use xenbus_core::event::fifo::{EventPages, prepare_page};

use super::PORTS_MAX;
use crate::TAG;
use crate::platform::Platform;

/// Bytes from one control block to the next: a multiple of 8 that keeps each in one page, and off
/// its neighbour's cache line.
const BLOCK: usize = 128;
const _: () = assert!(size_of::<FifoControlBlock>() <= BLOCK && PAGE_SIZE.is_multiple_of(BLOCK));
/// Pages of event words.
const WORD_PAGES: usize = PORTS_MAX / EVENT_WORDS_PER_PAGE;

/// Pages that Xen writes until the event channels are reset. Must not be dropped before.
#[derive(Debug)]
pub(super) struct FifoMemory {
    words: Pages,
    blocks: Pages,
}

impl FifoMemory {
    /// Pages for so many processors, every port masked.
    pub(super) fn new(processors: usize) -> Result<Self, OutOfMemory> {
        let bytes = processors.checked_mul(BLOCK).ok_or(OutOfMemory)?;
        let memory = Self {
            words: Pages::try_new(TAG, WORD_PAGES)?,
            blocks: Pages::try_new(TAG, bytes.div_ceil(PAGE_SIZE))?,
        };
        prepare_page(memory.words.words());
        Ok(memory)
    }

    /// As new, after a resume: Xen has forgotten the pages.
    pub(super) fn clear(&self) {
        prepare_page(self.words.words());
        for word in self.blocks.words() {
            word.store(0, Ordering::Relaxed);
        }
    }

    /// Gives the pages to Xen, which changes to the FIFO ABI with the first control block.
    pub(super) fn register(&self, platform: &Platform) -> Result<(), HypercallError> {
        for (index, processor) in platform.processors().iter().enumerate() {
            let block = self.block_address(index).ok_or(HypercallError::Invalid)?;
            let offset = block.addr().get() % PAGE_SIZE;
            let offset = u32::try_from(offset).map_err(|_| HypercallError::Invalid)?;
            let gfn = PhysicalAddress::of(block).pfn().0;
            // SAFETY: the block is ours, used for this only, and stays until the reset.
            unsafe { platform.xen.init_control(gfn, offset, processor.vcpu) }?;
        }
        for page in 0..WORD_PAGES {
            let page = self.words.page(page).ok_or(HypercallError::Invalid)?;
            let gfn = PhysicalAddress::of(page).pfn().0;
            // SAFETY: the page is ours, used for this only, and stays until the reset.
            unsafe { platform.xen.expand_array(gfn) }?;
        }
        Ok(())
    }

    /// The control block of a processor.
    pub(super) fn block(&self, processor: usize) -> Option<&FifoControlBlock> {
        let block: NonNull<FifoControlBlock> = self.block_address(processor)?.cast();
        // SAFETY: inside the pages, aligned to 128 bytes, and as long-lived as self; the type is
        // atomics only, which any bytes make up.
        Some(unsafe { block.as_ref() })
    }

    fn block_address(&self, processor: usize) -> Option<NonNull<u8>> {
        let offset = processor.checked_mul(BLOCK)?;
        if offset >= self.blocks.len() {
            return None;
        }
        // SAFETY: the offset is inside the pages.
        Some(unsafe { self.blocks.as_ptr().add(offset) })
    }
}

impl EventPages for FifoMemory {
    fn page(&self, index: usize) -> Option<&[AtomicU32]> {
        self.words.words().chunks(EVENT_WORDS_PER_PAGE).nth(index)
    }
}
