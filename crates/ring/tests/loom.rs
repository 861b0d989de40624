//! Every interleaving and every allowed reordering of "push, then look at the event index" with
//! "arm, then look at the producer index": one of the two sides must see the other.
//!
//! The ring runs unchanged; only its memory is loom's. Both peers below are written here, on the
//! raw words, so that the ring is not checked against itself.
#![cfg(not(miri))]

use std::sync::atomic::Ordering;

use loom::sync::Arc;
use loom::sync::atomic::{AtomicU32, fence};
use loom::thread;

use ring::{FrontRing, Recheck, RingPage};

const REQ_PROD: usize = 0;
const REQ_EVENT: usize = 1;
const RSP_PROD: usize = 2;
const RSP_EVENT: usize = 3;
const ENTRIES: usize = 16;

/// A header and two one-word slots. The twelve private words are left out of the model.
struct Memory {
    header: [AtomicU32; 4],
    slots: [AtomicU32; 2],
}

impl Memory {
    fn new() -> Self {
        Self {
            header: core::array::from_fn(|_| AtomicU32::new(0)),
            slots: core::array::from_fn(|_| AtomicU32::new(0)),
        }
    }

    fn word(&self, word: usize) -> Option<&AtomicU32> {
        match word {
            0..4 => Some(&self.header[word]),
            ENTRIES.. => Some(&self.slots[word - ENTRIES]),
            _ => None,
        }
    }
}

struct Shared(Arc<Memory>);

impl RingPage for Shared {
    fn word_count(&self) -> usize {
        ENTRIES + 2
    }

    fn load(&self, word: usize) -> u32 {
        self.0
            .word(word)
            .map_or(0, |shared| shared.load(Ordering::Relaxed))
    }

    fn store(&self, word: usize, value: u32) {
        if let Some(shared) = self.0.word(word) {
            shared.store(value, Ordering::Relaxed);
        }
    }

    fn fence(&self, order: Ordering) {
        fence(order);
    }
}

type Ring = FrontRing<Shared, 1, 1>;

#[test]
fn a_pushed_request_is_seen_or_notified() {
    loom::model(|| {
        let memory = Arc::new(Memory::new());
        let mut ring = Ring::init(Shared(Arc::clone(&memory))).unwrap();
        // The backend: going to sleep having consumed nothing, with no event armed before.
        memory.header[REQ_EVENT].store(0, Ordering::Relaxed);
        let backend = thread::spawn({
            let memory = Arc::clone(&memory);
            move || {
                memory.header[REQ_EVENT].store(1, Ordering::Relaxed);
                fence(Ordering::SeqCst);
                let saw = memory.header[REQ_PROD].load(Ordering::Relaxed) != 0;
                fence(Ordering::Acquire);
                if saw {
                    assert_eq!(
                        memory.slots[0].load(Ordering::Relaxed),
                        42,
                        "request before index"
                    );
                }
                saw
            }
        });
        ring.put([42]).unwrap();
        let notified = ring.push().is_needed();
        let saw = backend.join().unwrap();
        assert!(notified || saw, "both sides sleep");
    });
}

#[test]
fn a_response_is_found_or_comes_with_an_event() {
    loom::model(|| {
        let memory = Arc::new(Memory::new());
        let mut ring = Ring::init(Shared(Arc::clone(&memory))).unwrap();
        ring.put([1]).unwrap();
        let _ = ring.push();
        // No event is armed yet.
        memory.header[RSP_EVENT].store(0, Ordering::Relaxed);
        let backend = thread::spawn({
            let memory = Arc::clone(&memory);
            move || {
                memory.slots[0].store(43, Ordering::Relaxed);
                fence(Ordering::Release);
                memory.header[RSP_PROD].store(1, Ordering::Relaxed);
                fence(Ordering::SeqCst);
                memory.header[RSP_EVENT].load(Ordering::Relaxed) == 1
            }
        });
        let found = ring.arm(1).unwrap() == Recheck::Poll;
        if found {
            let response = ring.responses().unwrap().next().expect("found by arm");
            assert_eq!(response.words, [43], "response before index");
        }
        let notified = backend.join().unwrap();
        assert!(found || notified, "both sides sleep");
    });
}
