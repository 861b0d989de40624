//! Ring memory for unit tests.

use std::ops::Index;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::vec::Vec;

use ring::RingPage;

const ROW: usize = 32;

/// A page of shared words, in rows: Miri's aliasing model looks at all neighbours of a word at
/// each access, so one array of 1024 would make the tests take minutes there.
pub(crate) struct Page(Vec<Vec<AtomicU32>>);

/// A zeroed page.
pub(crate) fn page() -> Page {
    let row = || (0..ROW).map(|_| AtomicU32::new(0)).collect();
    Page((0..1024 / ROW).map(|_| row()).collect())
}

impl Index<usize> for Page {
    type Output = AtomicU32;

    fn index(&self, word: usize) -> &AtomicU32 {
        &self.0[word / ROW][word % ROW]
    }
}

impl RingPage for Page {
    fn word_count(&self) -> usize {
        1024
    }

    fn load(&self, word: usize) -> u32 {
        self[word].load(Relaxed)
    }

    fn store(&self, word: usize, value: u32) {
        self[word].store(value, Relaxed);
    }
}
