//! Ring memory for unit tests.

use std::boxed::Box;
use std::cell::Cell;
use std::ops::Index;

use ring::{PAGE_WORDS, RingPage};

/// A page of words. No threads here, so they are plain cells, made and cleared in one go: Miri takes its time over each
/// word, and over atomic ones most.
pub(crate) struct Page(Box<Cell<[u32; PAGE_WORDS]>>);

/// A zeroed page.
pub(crate) fn page() -> Page {
    Page(Box::new(Cell::new([0; PAGE_WORDS])))
}

impl Index<usize> for Page {
    type Output = Cell<u32>;

    fn index(&self, word: usize) -> &Cell<u32> {
        &self.0.as_array_of_cells()[word]
    }
}

impl RingPage for Page {
    fn word_count(&self) -> usize {
        PAGE_WORDS
    }

    fn load(&self, word: usize) -> u32 {
        self[word].get()
    }

    fn store(&self, word: usize, value: u32) {
        self[word].set(value);
    }

    fn clear(&self) {
        self.0.set([0; PAGE_WORDS]);
    }
}
