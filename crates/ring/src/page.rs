//! The memory a ring lives in.

use core::sync::atomic::{AtomicU32, Ordering};

/// 32-bit words in one 4 KiB page.
pub const PAGE_WORDS: usize = 1024;

/// Words that are shared with the peer.
///
/// Plain `[AtomicU32]` implements it, and so does a reference to anything that does; the shell
/// implements it for the page it owns, tests for memory that is checked by loom.
/// Accesses are relaxed; the ring orders them with [`RingPage::fence`].
pub trait RingPage {
    /// How many words there are; constant over the life of the page.
    fn word_count(&self) -> usize;
    /// Reads one word, zero when there is no such word.
    fn load(&self, word: usize) -> u32;
    /// Writes one word; does nothing when there is no such word.
    fn store(&self, word: usize, value: u32);
    /// Zeroes all words.
    fn clear(&self) {
        for word in 0..self.word_count() {
            self.store(word, 0);
        }
    }
    /// A memory barrier between this CPU and the peer's.
    fn fence(&self, order: Ordering) {
        core::sync::atomic::fence(order);
    }
}

impl RingPage for [AtomicU32] {
    fn word_count(&self) -> usize {
        self.len()
    }

    fn load(&self, word: usize) -> u32 {
        self.get(word)
            .map_or(0, |shared| shared.load(Ordering::Relaxed))
    }

    fn store(&self, word: usize, value: u32) {
        if let Some(shared) = self.get(word) {
            shared.store(value, Ordering::Relaxed);
        }
    }
}

impl<const N: usize> RingPage for [AtomicU32; N] {
    fn word_count(&self) -> usize {
        N
    }

    fn load(&self, word: usize) -> u32 {
        self.as_slice().load(word)
    }

    fn store(&self, word: usize, value: u32) {
        self.as_slice().store(word, value);
    }
}

impl<P: RingPage + ?Sized> RingPage for &P {
    fn word_count(&self) -> usize {
        P::word_count(self)
    }

    fn load(&self, word: usize) -> u32 {
        P::load(self, word)
    }

    fn store(&self, word: usize, value: u32) {
        P::store(self, word, value);
    }

    fn clear(&self) {
        P::clear(self);
    }

    fn fence(&self, order: Ordering) {
        P::fence(self, order);
    }
}
