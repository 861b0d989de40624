//! The FIFO ABI: an event word per port; per vCPU and priority a queue of ports, linked through the words.
//!
//! ```text
//!   control block: ready bits, head[16]          word: PENDING | MASKED | LINKED | BUSY | .. | link (17 bits)
//!   head -> word of port a -> link b -> word of port b -> link 0: end
//! ```
//!
//! Xen appends, the guest takes off the front. The guest keeps the front of each queue in private memory and takes
//! it from the control block only when it had reached the end.

use core::sync::atomic::{AtomicU32, Ordering};

use xen_abi::event_channel::{
    EVENT_WORDS_PER_PAGE, EVTCHN_FIFO_BUSY, EVTCHN_FIFO_LINK_MASK, EVTCHN_FIFO_LINKED,
    EVTCHN_FIFO_MASKED, EVTCHN_FIFO_MAX_QUEUES, EVTCHN_FIFO_PENDING, FifoControlBlock, Port,
};

use super::{PortMask, Scan, Unmask};

const PENDING: u32 = 1 << EVTCHN_FIFO_PENDING;
const MASKED: u32 = 1 << EVTCHN_FIFO_MASKED;
const LINKED: u32 = 1 << EVTCHN_FIFO_LINKED;
const BUSY: u32 = 1 << EVTCHN_FIFO_BUSY;

/// How often the guest tries to clear a mask while Xen has the word busy, before it leaves that to Xen.
const UNMASK_TRIES: u32 = 8;

/// The pages of event words, wherever they are. Each page is added to Xen's array with `EVTCHNOP_expand_array`.
pub trait EventPages {
    /// The 1024 words of page `index`, or `None` if there is no such page yet.
    fn page(&self, index: usize) -> Option<&[AtomicU32]>;
}

impl EventPages for [&[AtomicU32]] {
    fn page(&self, index: usize) -> Option<&[AtomicU32]> {
        self.get(index).copied()
    }
}

/// Prepares a page before Xen sees it: every port masked, nothing pending.
pub fn prepare_page(page: &[AtomicU32]) {
    for word in page {
        word.store(MASKED, Ordering::Relaxed);
    }
}

/// An event word as unmasking needs it; a trait so that a test can act between any two accesses.
trait EventWord {
    fn load(&self) -> u32;
    fn compare_exchange(&self, expected: u32, new: u32) -> Result<(), u32>;
}

impl EventWord for AtomicU32 {
    fn load(&self) -> u32 {
        self.load(Ordering::SeqCst)
    }

    fn compare_exchange(&self, expected: u32, new: u32) -> Result<(), u32> {
        self.compare_exchange(expected, new, Ordering::SeqCst, Ordering::SeqCst)
            .map(|_| ())
    }
}

/// Clears the mask, but never while Xen changes the link (`BUSY`); then looks for an event.
///
/// `EVTCHNOP_unmask` clears the mask itself, so it is also the way out when the word stays busy.
fn unmask_word(word: &impl EventWord) -> Unmask {
    let mut seen = word.load();
    for _ in 0..UNMASK_TRIES {
        let idle = seen & !BUSY;
        match word.compare_exchange(idle, idle & !MASKED) {
            // Looked at after the mask is gone: an event from now on interrupts by itself.
            Ok(()) if word.load() & PENDING == 0 => return Unmask::Done,
            Ok(()) => return Unmask::Hypercall,
            Err(found) => seen = found,
        }
    }
    Unmask::Hypercall
}

/// The event words of all ports.
#[derive(Debug)]
pub struct EventArray<'a, P: ?Sized>(&'a P);

impl<'a, P: EventPages + ?Sized> EventArray<'a, P> {
    /// The words in `pages`.
    pub fn new(pages: &'a P) -> Self {
        Self(pages)
    }

    fn word(&self, port: Port) -> Option<&AtomicU32> {
        let port = usize::try_from(port.0).ok()?;
        let page = port.checked_div(EVENT_WORDS_PER_PAGE)?;
        self.0
            .page(page)?
            .get(port.checked_rem(EVENT_WORDS_PER_PAGE)?)
    }

    /// Whether the port is on a queue. A port must not be used again before it is off (it was closed on another
    /// vCPU, whose queue still names it).
    pub fn is_linked(&self, port: Port) -> bool {
        self.word(port)
            .is_some_and(|word| word.load(Ordering::SeqCst) & LINKED != 0)
    }
}

impl<P: EventPages + ?Sized> PortMask for EventArray<'_, P> {
    fn mask(&self, port: Port) {
        if let Some(word) = self.word(port) {
            word.fetch_or(MASKED, Ordering::SeqCst);
        }
    }

    fn unmask(&self, port: Port) -> Unmask {
        self.word(port).map_or(Unmask::Done, unmask_word)
    }

    fn clear_pending(&self, port: Port) -> bool {
        self.word(port)
            .is_some_and(|word| word.fetch_and(!PENDING, Ordering::SeqCst) & PENDING != 0)
    }

    fn is_pending(&self, port: Port) -> bool {
        self.word(port)
            .is_some_and(|word| word.load(Ordering::SeqCst) & PENDING != 0)
    }
}

/// The private half of a vCPU's queues: where each begins. Reset it when the control block is registered anew.
#[derive(Debug, Default)]
pub struct VcpuQueues {
    heads: [u32; EVTCHN_FIFO_MAX_QUEUES],
}

impl VcpuQueues {
    /// One pass over the events of a vCPU, highest priority first.
    ///
    /// `handle` is called with pending, unmasked ports, their pending bit cleared. At most `budget` words are taken
    /// off queues, so links in a circle end the pass, not the guest.
    pub fn scan<P: EventPages + ?Sized>(
        &mut self,
        control: &FifoControlBlock,
        array: &EventArray<'_, P>,
        budget: u32,
        mut handle: impl FnMut(Port),
    ) -> Scan {
        let mut scan = Scan::default();
        let mut ready = take_ready(control);
        for _ in 0..budget {
            if ready == 0 {
                return scan;
            }
            // Bit 0 is the highest priority.
            let priority = ready.trailing_zeros();
            let step = self.take_front(control, array, priority);
            if !step.more {
                ready &= !(1_u32.checked_shl(priority).unwrap_or(0));
            }
            if let Some(port) = step.deliver {
                scan.ports = scan.ports.saturating_add(1);
                handle(port);
            }
            scan.out_of_range = scan
                .out_of_range
                .saturating_add(u32::from(step.out_of_range));
            ready |= take_ready(control);
        }
        if ready != 0 {
            control.ready.fetch_or(ready, Ordering::SeqCst);
            scan.more = true;
        }
        scan
    }

    fn take_front<P: EventPages + ?Sized>(
        &mut self,
        control: &FifoControlBlock,
        array: &EventArray<'_, P>,
        priority: u32,
    ) -> Step {
        let at = usize::try_from(priority).unwrap_or(usize::MAX);
        let (Some(head), Some(shared_head)) = (self.heads.get_mut(at), control.head.get(at)) else {
            return Step::default();
        };
        if *head == 0 {
            // The end was reached last time: Xen has begun a new queue.
            *head = shared_head.load(Ordering::Acquire);
        }
        let port = Port(*head);
        *head = 0;
        if port.0 == 0 {
            return Step::default();
        }
        let Some(word) = array.word(port) else {
            return Step {
                out_of_range: true,
                ..Step::default()
            };
        };
        // One step: an event before it is in `old`; one after it finds the port off the queue and links it again.
        let old = word.fetch_and(!(LINKED | EVTCHN_FIFO_LINK_MASK), Ordering::SeqCst);
        *head = old & EVTCHN_FIFO_LINK_MASK;
        let more = *head != 0;
        // A masked event stays pending; unmasking finds it.
        if old & (PENDING | MASKED) != PENDING {
            return Step {
                more,
                ..Step::default()
            };
        }
        word.fetch_and(!PENDING, Ordering::SeqCst);
        Step {
            more,
            deliver: Some(port),
            out_of_range: false,
        }
    }
}

#[derive(Default)]
struct Step {
    /// The queue goes on.
    more: bool,
    deliver: Option<Port>,
    out_of_range: bool,
}

/// Takes the ready bits of the priorities that exist.
fn take_ready(control: &FifoControlBlock) -> u32 {
    control.ready.swap(0, Ordering::SeqCst) & 0xFFFF
}

#[cfg(test)]
#[path = "fifo_tests.rs"]
mod tests;
