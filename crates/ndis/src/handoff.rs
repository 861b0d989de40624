//! Lock-free hand-off of received lists to another processor.
//!
//! Any number of producers push chains; one consumer takes all there is. Lists of one producer come out in the order
//! they went in. There is one word, the last list pushed, each list pointing to the one pushed before it; a push is one
//! compare-and-swap however long the chain is, and a take is one swap.

use core::fmt;
use core::ptr;
use core::sync::atomic::{AtomicPtr, Ordering};

use ndis_sys::NET_BUFFER_LIST;

use crate::chain::RxChain;

/// Lists on their way to a processor. In a cache line of its own, apart from other processors' lists.
#[derive(Default)]
#[repr(align(64))]
pub struct HandOff {
    /// The newest list; `Next` leads to older ones.
    newest: AtomicPtr<NET_BUFFER_LIST>,
}

impl HandOff {
    /// Nothing on its way.
    pub const fn new() -> Self {
        Self {
            newest: AtomicPtr::new(ptr::null_mut()),
        }
    }

    /// Whether nothing is on its way.
    pub fn is_empty(&self) -> bool {
        self.newest.load(Ordering::Acquire).is_null()
    }

    /// Hands lists over. IRQL: any.
    pub fn push(&self, lists: RxChain) {
        let Some(run) = lists.into_reversed() else {
            return;
        };
        let mut newest = self.newest.load(Ordering::Relaxed);
        loop {
            run.link_oldest(newest);
            let pushed = self.newest.compare_exchange_weak(
                newest,
                run.newest(),
                Ordering::AcqRel,
                Ordering::Relaxed,
            );
            match pushed {
                Ok(_) => return,
                Err(now) => newest = now,
            }
        }
    }

    /// Takes all lists, the oldest first. IRQL: any.
    pub fn take(&self) -> RxChain {
        let newest = self.newest.swap(ptr::null_mut(), Ordering::AcqRel);
        // SAFETY: lists that were pushed are owned by this stack, and the swap gives them all up; the pushes that linked
        // them happened before it.
        unsafe { RxChain::from_reversed(newest) }
    }
}

impl fmt::Debug for HandOff {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HandOff")
            .field("empty", &self.is_empty())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::boxed::Box;
    use std::sync::Arc;
    use std::sync::atomic::AtomicBool;
    use std::thread;
    use std::vec::Vec;

    use crate::chain::Nbl;
    use core::ptr::NonNull;

    fn list(producer: usize, number: usize) -> Nbl {
        // SAFETY: a list of zeroes is an empty one.
        let raw: NET_BUFFER_LIST = unsafe { core::mem::zeroed() };
        let raw = NonNull::from(Box::leak(Box::new(raw)));
        // SAFETY: just made, and freed by `name` alone.
        let mut list = unsafe { Nbl::from_raw(raw) };
        *list.reserved_mut() = [
            ptr::without_provenance_mut(producer),
            ptr::without_provenance_mut(number),
        ];
        list
    }

    /// What a list is called; the list is freed.
    fn name(mut list: Nbl) -> (usize, usize) {
        let [producer, number] = *list.reserved_mut();
        // SAFETY: made by `list`, and owned.
        drop(unsafe { Box::from_raw(list.into_raw().as_ptr()) });
        (producer.addr(), number.addr())
    }

    fn names(mut lists: RxChain) -> Vec<(usize, usize)> {
        let count = lists.len();
        let names: Vec<_> = core::iter::from_fn(|| lists.pop()).map(name).collect();
        assert_eq!(names.len(), count as usize);
        names
    }

    #[test]
    fn lists_come_out_in_the_order_they_went_in() {
        let handoff = HandOff::new();
        assert!(handoff.take().is_empty());
        handoff.push(RxChain::new());
        assert!(handoff.is_empty());
        for chain in [0..3, 3..4, 4..9] {
            let mut lists = RxChain::new();
            for number in chain {
                lists.push(list(0, number));
            }
            handoff.push(lists);
        }
        let numbers: Vec<_> = names(handoff.take()).iter().map(|name| name.1).collect();
        assert_eq!(numbers, (0..9).collect::<Vec<_>>());
        assert!(handoff.is_empty());
    }

    #[test]
    fn producers_at_once_lose_nothing_and_keep_their_order() {
        const PRODUCERS: usize = 3;
        let each = if cfg!(miri) { 20 } else { 20_000 };
        let handoff = Arc::new(HandOff::new());
        let stop = Arc::new(AtomicBool::new(false));
        let producers: Vec<_> = (0..PRODUCERS)
            .map(|producer| {
                let handoff = Arc::clone(&handoff);
                thread::spawn(move || {
                    let mut number = 0;
                    while number < each {
                        let mut lists = RxChain::new();
                        for _ in 0..=number % 4 {
                            lists.push(list(producer, number));
                            number += 1;
                        }
                        handoff.push(lists);
                    }
                    number
                })
            })
            .collect();
        let consumer = {
            let (handoff, stop) = (Arc::clone(&handoff), Arc::clone(&stop));
            thread::spawn(move || {
                let mut next = [0; PRODUCERS];
                loop {
                    let last = stop.load(Ordering::Acquire);
                    for (producer, number) in names(handoff.take()) {
                        assert_eq!(number, next[producer], "producer {producer}");
                        next[producer] += 1;
                    }
                    if last {
                        return next;
                    }
                }
            })
        };
        let pushed: Vec<usize> = producers.into_iter().map(|p| p.join().unwrap()).collect();
        stop.store(true, Ordering::Release);
        assert_eq!(consumer.join().unwrap().to_vec(), pushed);
    }
}
