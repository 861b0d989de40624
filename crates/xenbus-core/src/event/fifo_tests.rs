use std::boxed::Box;
use std::cell::{Cell, RefCell};
use std::vec;
use std::vec::Vec;

use proptest::prelude::*;

use super::*;

/// Xen's half, for one vCPU, written from the ABI's description.
struct Xen {
    words: Vec<AtomicU32>,
    control: Box<FifoControlBlock>,
    tails: RefCell<[u32; 16]>,
    priorities: RefCell<Vec<u32>>,
}

impl Xen {
    fn new() -> Self {
        let words: Vec<AtomicU32> = (0..1024).map(|_| AtomicU32::new(0)).collect();
        Self {
            words,
            control: Box::default(),
            tails: RefCell::default(),
            priorities: RefCell::new(vec![7; 1024]),
        }
    }

    fn raise(&self, port: u32) {
        let word = &self.words[port as usize];
        word.fetch_or(PENDING, Ordering::SeqCst);
        self.link_if_due(port);
    }

    fn hypercall_unmask(&self, port: u32) {
        self.words[port as usize].fetch_and(!MASKED, Ordering::SeqCst);
        if self.words[port as usize].load(Ordering::SeqCst) & PENDING != 0 {
            self.link_if_due(port);
        }
    }

    fn link_if_due(&self, port: u32) {
        let word = &self.words[port as usize];
        if word.load(Ordering::SeqCst) & (MASKED | LINKED) != 0 {
            return;
        }
        word.fetch_or(LINKED, Ordering::SeqCst);
        let priority = self.priorities.borrow()[port as usize];
        let tail = std::mem::replace(&mut self.tails.borrow_mut()[priority as usize], port);
        // Appended behind the tail if that is still on the queue.
        let appended = tail != 0 && tail != port && {
            let tail = &self.words[tail as usize];
            let linked = tail.load(Ordering::SeqCst) & LINKED != 0;
            if linked {
                tail.fetch_or(port, Ordering::SeqCst);
            }
            linked
        };
        if !appended {
            self.control.head[priority as usize].store(port, Ordering::SeqCst);
            self.control.ready.fetch_or(1 << priority, Ordering::SeqCst);
        }
    }

    fn scan(&self, queues: &mut VcpuQueues, budget: u32) -> (Vec<u32>, Scan) {
        let pages = [&self.words[..]];
        let array = EventArray::new(&pages[..]);
        let mut ports = Vec::new();
        let scan = queues.scan(&self.control, &array, budget, |port| ports.push(port.0));
        (ports, scan)
    }
}

#[test]
fn events_come_in_order_of_priority_then_of_arrival() {
    let xen = Xen::new();
    xen.priorities.borrow_mut()[9] = 0;
    for port in [5, 3, 9, 4] {
        xen.raise(port);
    }
    let mut queues = VcpuQueues::default();
    assert_eq!(xen.scan(&mut queues, 100).0, [9, 5, 3, 4]);
    assert_eq!(xen.scan(&mut queues, 100), (vec![], Scan::default()));
    xen.raise(5);
    assert_eq!(xen.scan(&mut queues, 100).0, [5]);
}

#[test]
fn a_spent_budget_leaves_the_rest_of_the_queue() {
    let xen = Xen::new();
    for port in 1..=5 {
        xen.raise(port);
    }
    let mut queues = VcpuQueues::default();
    let (ports, scan) = xen.scan(&mut queues, 2);
    assert_eq!((ports, scan.more), (vec![1, 2], true));
    xen.raise(1);
    assert_eq!(xen.scan(&mut queues, 100).0, [3, 4, 5, 1]);
}

#[test]
fn a_masked_event_is_taken_off_the_queue_and_found_again_when_unmasked() {
    let xen = Xen::new();
    let pages = [&xen.words[..]];
    let array = EventArray::new(&pages[..]);
    xen.raise(6);
    array.mask(Port(6));
    let mut queues = VcpuQueues::default();
    assert_eq!(xen.scan(&mut queues, 100).0, [0_u32; 0]);
    assert!(!array.is_linked(Port(6)) && array.is_pending(Port(6)));
    assert_eq!(array.unmask(Port(6)), Unmask::Hypercall);
    xen.hypercall_unmask(6);
    assert_eq!(xen.scan(&mut queues, 100).0, [6]);
    array.mask(Port(6));
    assert_eq!(array.unmask(Port(6)), Unmask::Done);
    assert!(!array.clear_pending(Port(6)));
}

#[test]
fn ports_beyond_the_array_end_their_queue_only() {
    let xen = Xen::new();
    xen.raise(3);
    xen.control.head[2].store(70_000, Ordering::SeqCst);
    xen.control.ready.fetch_or(1 << 2, Ordering::SeqCst);
    let (ports, scan) = xen.scan(&mut VcpuQueues::default(), 100);
    assert_eq!(ports, [3]);
    assert_eq!((scan.out_of_range, scan.more), (1, false));
    let pages: [&[AtomicU32]; 0] = [];
    let array = EventArray::new(&pages[..]);
    array.mask(Port(1));
    assert_eq!(array.unmask(Port(u32::MAX)), Unmask::Done);
}

#[test]
fn links_in_a_circle_end_with_the_pass() {
    let xen = Xen::new();
    for (port, link) in [(1, 2), (2, 3), (3, 1)] {
        xen.words[port].store(PENDING | LINKED | link, Ordering::SeqCst);
    }
    xen.control.head[7].store(1, Ordering::SeqCst);
    xen.control.ready.store(0xFFFF_FF80, Ordering::SeqCst);
    let (ports, scan) = xen.scan(&mut VcpuQueues::default(), 1000);
    assert_eq!((ports, scan.more), (vec![1, 2, 3], false));
}

#[test]
fn a_prepared_page_is_masked_throughout() {
    let words = [const { AtomicU32::new(0) }; 8];
    prepare_page(&words);
    assert!(
        words
            .iter()
            .all(|word| word.load(Ordering::SeqCst) == MASKED)
    );
}

/// An event word with Xen acting before each access of `unmask_word`, following a list of choices.
struct Contested<'a> {
    word: Cell<u32>,
    choices: &'a RefCell<Vec<u8>>,
    used: Cell<usize>,
    /// An event arrived that Xen linked by itself, because it found the port unmasked.
    delivered: Cell<bool>,
    cleared_while_busy: Cell<bool>,
}

/// Nothing, an event, Xen begins to change the link, Xen ends that.
const CHOICES: u8 = 4;
const DEPTH: usize = if cfg!(miri) { 3 } else { 7 };

impl Contested<'_> {
    fn xen_acts(&self) {
        let at = self.used.get();
        if at >= DEPTH {
            return;
        }
        self.used.set(at + 1);
        let mut choices = self.choices.borrow_mut();
        if choices.len() == at {
            choices.push(0);
        }
        let word = self.word.get();
        match choices[at] {
            1 => {
                if word & MASKED == 0 {
                    self.delivered.set(true);
                }
                self.word.set(word | PENDING);
            }
            2 => self.word.set(word | BUSY),
            3 => self.word.set((word & !BUSY) | 0x2A),
            _ => {}
        }
    }
}

impl EventWord for Contested<'_> {
    fn load(&self) -> u32 {
        self.xen_acts();
        self.word.get()
    }

    fn compare_exchange(&self, expected: u32, new: u32) -> Result<(), u32> {
        self.xen_acts();
        let word = self.word.get();
        if word != expected {
            return Err(word);
        }
        self.cleared_while_busy.set(word & BUSY != 0);
        self.word.set(new);
        Ok(())
    }
}

#[test]
fn no_interleaving_loses_an_event_or_disturbs_xen_while_unmasking() {
    let choices = RefCell::new(Vec::new());
    let mut runs = 0;
    loop {
        let word = Contested {
            word: Cell::new(MASKED),
            choices: &choices,
            used: Cell::new(0),
            delivered: Cell::new(false),
            cleared_while_busy: Cell::new(false),
        };
        let unmask = unmask_word(&word);
        assert!(!word.cleared_while_busy.get());
        let pending = word.word.get() & PENDING != 0;
        match unmask {
            // The hypercall unmasks and delivers whatever is pending.
            Unmask::Hypercall => {}
            Unmask::Done => {
                assert_eq!(word.word.get() & MASKED, 0);
                assert!(!pending || word.delivered.get(), "an event is lost");
            }
        }
        runs += 1;
        let mut path = choices.borrow_mut();
        path.truncate(word.used.get());
        while path.last() == Some(&(CHOICES - 1)) {
            path.pop();
        }
        match path.last_mut() {
            Some(last) => *last += 1,
            None => break,
        }
    }
    assert!(
        runs > if cfg!(miri) { 5 } else { 100 },
        "{runs} interleavings are too few to mean anything"
    );
}

#[test]
fn a_word_that_stays_busy_is_left_to_xen() {
    let word = AtomicU32::new(MASKED | BUSY);
    assert_eq!(unmask_word(&word), Unmask::Hypercall);
    assert_eq!(word.load(Ordering::SeqCst), MASKED | BUSY);
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: if cfg!(miri) { 2 } else { 128 }, failure_persistence: None, ..ProptestConfig::default()
    })]

    /// Whatever the words say, a pass ends within its budget and names only ports of the array.
    #[test]
    fn random_words_never_run_away(
        words in proptest::collection::vec(any::<u32>(), 64),
        heads: [u32; 16], ready: u32, budget in 0_u32..if cfg!(miri) { 20 } else { 200 },
    ) {
        let xen = Xen::new();
        for (cell, value) in xen.words.iter().zip(&words) {
            cell.store(*value, Ordering::SeqCst);
        }
        for (cell, value) in xen.control.head.iter().zip(heads) {
            cell.store(value % 2048, Ordering::SeqCst);
        }
        xen.control.ready.store(ready, Ordering::SeqCst);
        let mut queues = VcpuQueues::default();
        let (ports, scan) = xen.scan(&mut queues, budget);
        prop_assert!(scan.ports <= budget && ports.iter().all(|port| *port != 0 && *port < 1024));
    }

    /// Events, passes, masking in any order: each event is delivered, or still pending on a masked port.
    #[test]
    fn no_event_is_lost(acts in proptest::collection::vec((0_u8..5, 1_u32..12), 0..if cfg!(miri) { 10 } else { 60 })) {
        let xen = Xen::new();
        let pages = [&xen.words[..]];
        let array = EventArray::new(&pages[..]);
        let mut queues = VcpuQueues::default();
        let mut expected = [false; 12];
        for (act, port) in acts {
            match act {
                0 | 1 => { xen.raise(port); expected[port as usize] = true; }
                2 => array.mask(Port(port)),
                3 => if array.unmask(Port(port)) == Unmask::Hypercall { xen.hypercall_unmask(port); },
                _ => for port in xen.scan(&mut queues, port).0 {
                    prop_assert!(std::mem::take(&mut expected[port as usize]));
                },
            }
        }
        for port in 1..12 {
            if array.unmask(Port(port)) == Unmask::Hypercall { xen.hypercall_unmask(port); }
        }
        let (ports, scan) = xen.scan(&mut queues, 1000);
        prop_assert!(!scan.more);
        for port in ports {
            prop_assert!(std::mem::take(&mut expected[port as usize]));
        }
        prop_assert_eq!(expected, [false; 12]);
    }
}
