//! Guest memory of the bare machine: its own.

use alloc::vec::Vec;
use core::sync::atomic::AtomicU32;

use super::host;
use crate::host::HostError;
use crate::host::memory::{Access, PAGE, Ram};

/// Devices' memory goes up to 4 GiB: behind the hole, the toolstack has put the rings of XenStore and console.
const DEVICES_END: usize = 1 << 32;

/// The memory the kernel has handed over.
#[derive(Debug)]
pub(crate) struct Backing {
    alias: usize,
    free: Vec<(usize, usize)>,
    hole: usize,
    end: usize,
}

impl Backing {
    /// What there is, whatever is asked for.
    #[expect(
        clippy::unnecessary_wraps,
        reason = "the same signature for every host"
    )]
    pub(crate) fn new(_ram: usize, _hole: usize) -> Result<Self, HostError> {
        let hole = host().hole();
        Ok(Self {
            alias: host().alias(),
            free: host()
                .ram()
                .iter()
                .map(|range| (range.first as usize, range.count as usize))
                .collect(),
            hole: hole.first as usize * PAGE,
            end: ((hole.first as usize + hole.count as usize) * PAGE).max(DEVICES_END),
        })
    }

    /// Address at which guest-physical address 0 shows.
    pub(crate) const fn alias(&self) -> usize {
        self.alias
    }

    /// First guest-physical address that is neither memory nor hole.
    pub(crate) const fn end(&self) -> usize {
        self.end
    }

    /// Frames the harness may hand out, as first frame and count.
    pub(crate) fn free_frames(&self) -> Vec<(usize, usize)> {
        self.free.clone()
    }

    /// First guest-physical address of the hole.
    pub(crate) const fn hole(&self) -> usize {
        self.hole
    }
}

/// The kernel address space the drivers see.
#[derive(Debug)]
pub(crate) struct Window {
    base: usize,
    len: usize,
}

impl Window {
    /// The kernel's reserved addresses. One machine at a time uses them.
    #[expect(
        clippy::unnecessary_wraps,
        reason = "the same signature for every host"
    )]
    pub(crate) fn reserve() -> Result<Self, HostError> {
        let range = host().window();
        Ok(Self {
            base: range.base,
            len: range.len,
        })
    }

    /// First address.
    pub(crate) const fn base(&self) -> usize {
        self.base
    }

    /// Bytes reserved.
    pub(crate) const fn len(&self) -> usize {
        self.len
    }

    fn at(&self, page: usize, pages: usize) -> usize {
        assert!((page + pages) * PAGE <= self.len, "range leaves the window");
        self.base + page * PAGE
    }

    /// Maps `pages` consecutive pages from frame `pfn` at page index `page`.
    pub(crate) fn map(
        &self,
        page: usize,
        _ram: &Ram,
        pfn: u32,
        pages: usize,
        access: Access,
    ) -> Result<(), HostError> {
        host().map(self.at(page, pages), pfn, pages, access)
    }

    /// Changes what drivers may do with mapped pages.
    pub(crate) fn protect(
        &self,
        page: usize,
        pages: usize,
        access: Access,
    ) -> Result<(), HostError> {
        host().protect(self.at(page, pages), pages, access)
    }

    /// Makes pages inaccessible and forgets what they showed.
    pub(crate) fn unmap(&self, page: usize, pages: usize) -> Result<(), HostError> {
        host().unmap(self.at(page, pages), pages)
    }
}

/// A table of words that starts as zero.
#[derive(Debug)]
pub(crate) struct ZeroTable(Vec<AtomicU32>);

impl ZeroTable {
    pub(crate) fn new(len: usize) -> Result<Self, HostError> {
        let mut words = Vec::new();
        words
            .try_reserve_exact(len)
            .map_err(|_| HostError::NoMemory)?;
        words.resize_with(len, || AtomicU32::new(0));
        Ok(Self(words))
    }

    pub(crate) fn words(&self) -> &[AtomicU32] {
        &self.0
    }
}

/// Puts `code` into executable memory of its own.
pub(crate) fn install_code(code: &[u8]) -> Result<usize, HostError> {
    host().install_code(code)
}
