//! Pages that Xen owns and the guest places in its address space.

use crate::mem::{Memory, OwnPage, Page};

/// A shared page: in Xen's own memory until the guest places it, then in a guest frame.
#[derive(Debug)]
pub(crate) struct SharedPage {
    home: OwnPage,
    placed: Option<(u64, Page)>,
}

impl SharedPage {
    pub(crate) fn new() -> Self {
        Self {
            home: OwnPage::new(),
            placed: None,
        }
    }

    /// Where the structure is now.
    pub(crate) fn page(&self) -> Page {
        self.placed
            .map_or_else(|| self.home.page(), |(_, page)| page)
    }

    /// The guest frame it was placed at.
    pub(crate) fn pfn(&self) -> Option<u64> {
        self.placed.map(|(pfn, _)| pfn)
    }

    /// Moves the page to guest frame `pfn`; false where the guest has no frame.
    pub(crate) fn place(&mut self, memory: &Memory, pfn: u64) -> bool {
        let Some(page) = memory.frame(pfn) else {
            return false;
        };
        if self.pfn() != Some(pfn) {
            copy(self.page(), page);
            self.placed = Some((pfn, page));
        }
        true
    }

    /// Takes the page back out of the guest's address space, keeping its contents.
    pub(crate) fn unplace(&mut self) {
        copy(self.page(), self.home.page());
        self.placed = None;
    }
}

fn copy(from: Page, to: Page) {
    if !from.same(&to) {
        let mut bytes = [0; crate::abi::PAGE_SIZE];
        from.read(0, &mut bytes);
        to.write(0, &bytes);
    }
}
