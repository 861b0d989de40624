//! The page of a ring, written by both sides.

use std::cell::Cell;
use std::ops::Index;

use ring::{PAGE_WORDS, RingPage};

/// Words of the ring's header before its slots.
pub(crate) const HEADER: usize = 16;
/// Where the frontend tells how many requests there are.
pub(crate) const REQ_PROD: usize = 0;
/// Where the backend tells how many responses there are.
pub(crate) const RSP_PROD: usize = 2;

/// A zeroed page.
pub(crate) struct Page(Vec<Cell<u32>>);

impl Page {
    pub(crate) fn new() -> Self {
        Self(vec![Cell::new(0); PAGE_WORDS])
    }
}

impl Index<usize> for Page {
    type Output = Cell<u32>;

    fn index(&self, word: usize) -> &Cell<u32> {
        &self.0[word]
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
}
