//! The receive queue: a backend that fills slots with what it likes.

use std::collections::BTreeSet;

use netfront_core::rx::{MAX_FRAME, RxBuffer, RxMemory, RxQueue};
use netif::GrantRef;
use ring::PAGE_WORDS;

use crate::acts::Acts;
use crate::page::{HEADER, Page, REQ_PROD, RSP_PROD};

/// Pages that were never used: 0, 1, 2 and so on.
struct Pool(u32);

impl RxMemory for Pool {
    fn supply(&mut self) -> Option<RxBuffer> {
        let page = self.0;
        self.0 += 1;
        Some(RxBuffer {
            page,
            gref: GrantRef(5000 + page),
        })
    }
}

/// Takes packets. Their pages, each of them seen to lie in its bounds.
fn poll(queue: &mut RxQueue<&Page>, budget: u32) -> Vec<RxBuffer> {
    let mut got = Vec::new();
    let _ = queue.poll(budget, &mut |packet| {
        assert!((14..=MAX_FRAME).contains(&packet.length));
        let sum: u32 = packet.fragments.iter().map(|f| u32::from(f.len)).sum();
        assert_eq!(sum, packet.length);
        for fragment in packet.fragments {
            assert!(fragment.len > 0);
            assert!(u32::from(fragment.offset) + u32::from(fragment.len) <= 4096);
            got.push(fragment.buffer);
        }
    });
    got
}

/// The target `receive`.
pub(crate) fn run(bytes: &[u8]) {
    let mut acts = Acts::new(bytes);
    let mut answered = if acts.byte() & 1 == 0 {
        0
    } else {
        u32::MAX - 100
    };
    let page = Page::new();
    let mut queue = RxQueue::new_at(&page, answered).expect("memory");
    let mut pool = Pool(0);
    let mut ours = BTreeSet::new();
    let _ = queue.refill(&mut pool);
    while let Some(act) = acts.next() {
        let slot = HEADER + (answered as usize % 256) * 2;
        match act % 8 {
            // Data as it should be, any words for the right request, any words.
            kind @ 0..=4 if page[REQ_PROD].get() != answered => {
                let id = page[slot].get() & 0xFFFF;
                let (first, second) = match kind {
                    0 | 1 => (id, u32::from(act >> 3) | 60 << 16),
                    2 | 3 => (id | u32::from(acts.half()) << 16, acts.word()),
                    _ => (acts.word(), acts.word()),
                };
                page[slot].set(first);
                page[slot + 1].set(second);
                answered = answered.wrapping_add(1);
                page[RSP_PROD].set(answered);
            }
            5 => page[acts.place(PAGE_WORDS)].set(acts.word()),
            _ => {
                for buffer in poll(&mut queue, u32::from(act >> 3)) {
                    assert!(ours.insert(buffer.page), "page {} twice", buffer.page);
                    if act & 1 == 0 && queue.recycle(buffer).is_ok() {
                        ours.remove(&buffer.page);
                    }
                }
                let _ = queue.refill(&mut pool);
                let _ = queue.arm();
            }
        }
    }
    queue.teardown(&mut |buffer| assert!(ours.insert(buffer.page), "page {} twice", buffer.page));
    assert_eq!(ours.len(), pool.0 as usize, "pages lost");
}
