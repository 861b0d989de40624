//! The ring against a tiny peer written apart from it: its own indices, its own arithmetic.

use core::ops::Index;
use core::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::vec::Vec;

use proptest::prelude::*;

use super::*;

const ROW: usize = 8;

/// A page of shared words, in rows: Miri's aliasing model looks at all neighbours of a word at each access, so one
/// array of 1024 makes these tests take minutes there.
struct Page(Vec<Vec<AtomicU32>>);

impl Index<usize> for Page {
    type Output = AtomicU32;

    fn index(&self, word: usize) -> &AtomicU32 {
        &self.0[word / ROW][word % ROW]
    }
}

impl RingPage for Page {
    fn word_count(&self) -> usize {
        PAGE_WORDS
    }

    fn load(&self, word: usize) -> u32 {
        self[word].load(Relaxed)
    }

    fn store(&self, word: usize, value: u32) {
        self[word].store(value, Relaxed);
    }
}

fn page() -> Page {
    // Dirty on purpose: init must not leave anything of it to the peer.
    let row = || (0..ROW).map(|_| AtomicU32::new(0xDEAD_BEEF)).collect();
    Page((0..PAGE_WORDS / ROW).map(|_| row()).collect())
}

/// A backend for a ring of 3-word slots: answers requests with their first word.
struct Peer<'p> {
    page: &'p Page,
    req_cons: u32,
    rsp_prod: u32,
}

impl<'p> Peer<'p> {
    fn new(page: &'p Page, index: u32) -> Self {
        Self {
            page,
            req_cons: index,
            rsp_prod: index,
        }
    }

    fn waiting(&self) -> u32 {
        self.page[0].load(Relaxed).wrapping_sub(self.req_cons)
    }

    /// Answers up to `n` requests; true when the frontend wants an event.
    fn answer(&mut self, n: u32) -> bool {
        let before = self.rsp_prod;
        for _ in 0..n.min(self.waiting()) {
            let request = self.page[16 + (self.req_cons as usize % 256) * 3].load(Relaxed);
            self.page[16 + (self.rsp_prod as usize % 256) * 3].store(request, Relaxed);
            self.req_cons = self.req_cons.wrapping_add(1);
            self.rsp_prod = self.rsp_prod.wrapping_add(1);
        }
        self.page[2].store(self.rsp_prod, Relaxed);
        let wanted = self.page[3].load(Relaxed);
        let mut at = before;
        while at != self.rsp_prod {
            at = at.wrapping_add(1);
            if at == wanted {
                return true;
            }
        }
        false
    }

    fn sleep(&self) {
        self.page[1].store(self.req_cons.wrapping_add(1), Relaxed);
    }
}

#[test]
fn init_writes_the_header_and_clears_the_page() {
    let page = page();
    let ring = TxRing::init(&page).unwrap();
    let words: Vec<u32> = (0..PAGE_WORDS).map(|word| page.load(word)).collect();
    assert_eq!(words[..4], [0, 1, 0, 1]);
    assert!(words[4..].iter().all(|&word| word == 0));
    assert_eq!(ring.free_requests(), 256);
}

#[test]
fn sizes_are_those_of_the_protocol() {
    let page = page();
    assert_eq!(TxRing::init(&page).unwrap().size(), 256);
    assert_eq!(RxRing::init(&page).unwrap().size(), 256);
    assert_eq!(CtrlRing::init(&page).unwrap().size(), 128);
}

#[test]
fn memory_without_room_for_a_slot_is_refused() {
    let words: [AtomicU32; 18] = core::array::from_fn(|_| AtomicU32::new(0));
    assert_eq!(TxRing::init(&words).unwrap_err(), PageTooSmall);
    assert_eq!(RxRing::init(&words).unwrap().size(), 1);
}

#[test]
fn requests_are_invisible_until_pushed() {
    let page = page();
    let mut ring = TxRing::init(&page).unwrap();
    let mut peer = Peer::new(&page, 0);
    ring.put([1, 2, 3]).unwrap();
    assert_eq!(peer.waiting(), 0);
    assert_eq!(ring.unpushed(), 1);
    assert_eq!(ring.push(), Kick::Notify);
    assert_eq!(peer.waiting(), 1);
    assert_eq!(page[16].load(Relaxed), 1);
    assert_eq!(page[18].load(Relaxed), 3);
    assert!(peer.answer(1));
    assert_eq!(
        ring.responses().unwrap().next(),
        Some(Response {
            index: 0,
            words: [1]
        })
    );
}

/// The same page as the plain array that it is elsewhere.
#[test]
fn an_array_of_words_is_a_page() {
    let page: [AtomicU32; 16 + 3 * 4] = core::array::from_fn(|_| AtomicU32::new(7));
    let mut ring = TxRing::init(&page).unwrap();
    assert_eq!(ring.size(), 4);
    ring.put([1, 2, 3]).unwrap();
    assert_eq!(ring.push(), Kick::Notify);
    assert_eq!(
        page[16..19]
            .iter()
            .map(|word| word.load(Relaxed))
            .sum::<u32>(),
        6
    );
    page[2].store(1, Relaxed);
    assert_eq!(ring.responses().unwrap().count(), 1);
    assert_eq!(RingPage::load(&page, 99), 0);
    RingPage::store(&page, 99, 1);
}

#[test]
fn pushing_nothing_notifies_nobody() {
    let page = page();
    let mut ring = TxRing::init(&page).unwrap();
    assert_eq!(ring.push(), Kick::Quiet);
    ring.put([0; 3]).unwrap();
    assert_eq!(ring.push(), Kick::Notify);
    assert_eq!(ring.push(), Kick::Quiet);
}

#[test]
fn a_busy_peer_is_not_notified_again() {
    let page = page();
    let mut ring = TxRing::init(&page).unwrap();
    let mut peer = Peer::new(&page, 0);
    ring.put([0; 3]).unwrap();
    assert!(ring.push().is_needed());
    ring.put([0; 3]).unwrap();
    assert!(
        !ring.push().is_needed(),
        "the peer has not gone back to sleep"
    );
    peer.answer(2);
    peer.sleep();
    ring.put([0; 3]).unwrap();
    assert!(ring.push().is_needed());
}

#[test]
fn a_full_ring_says_try_later() {
    let page = page();
    let mut ring = TxRing::init(&page).unwrap();
    let mut peer = Peer::new(&page, 0);
    for n in 0..256 {
        ring.put([n, 0, 0]).unwrap();
    }
    assert_eq!(ring.put([0; 3]), Err(Full));
    let _ = ring.push();
    peer.answer(256);
    assert_eq!(
        ring.free_requests(),
        0,
        "an unconsumed response still holds its slot"
    );
    assert_eq!(ring.responses().unwrap().count(), 256);
    assert_eq!(ring.free_requests(), 256);
}

#[test]
fn dropping_the_iterator_keeps_the_rest() {
    let page = page();
    let mut ring = TxRing::init(&page).unwrap();
    let mut peer = Peer::new(&page, 0);
    for n in 0..5 {
        ring.put([n, 0, 0]).unwrap();
    }
    let _ = ring.push();
    peer.answer(5);
    assert_eq!(ring.responses().unwrap().take(2).count(), 2);
    let rest: Vec<u32> = ring
        .responses()
        .unwrap()
        .map(|response| response.words[0])
        .collect();
    assert_eq!(rest, [2, 3, 4]);
}

#[test]
fn more_responses_than_requests_is_corrupt() {
    for lie in [1, 2, 257, u32::MAX / 2] {
        let page = page();
        let mut ring = TxRing::init(&page).unwrap();
        page[2].store(lie, Relaxed);
        assert_eq!(
            ring.responses().unwrap_err(),
            Corrupt::Overflow {
                rsp_prod: lie,
                limit: 0
            },
            "{lie}"
        );
    }
}

#[test]
fn a_response_to_an_unpublished_request_is_corrupt() {
    let page = page();
    let mut ring = TxRing::init(&page).unwrap();
    ring.put([0; 3]).unwrap();
    page[2].store(1, Relaxed);
    assert!(matches!(ring.responses(), Err(Corrupt::Overflow { .. })));
}

#[test]
fn a_producer_going_back_is_corrupt() {
    let page = page();
    let mut ring = TxRing::init(&page).unwrap();
    for _ in 0..10 {
        ring.put([0; 3]).unwrap();
    }
    let _ = ring.push();
    page[2].store(8, Relaxed);
    assert_eq!(ring.responses().unwrap().take(4).count(), 4);
    page[2].store(6, Relaxed);
    assert_eq!(
        ring.responses().unwrap_err(),
        Corrupt::Backwards {
            rsp_prod: 6,
            seen: 8
        }
    );
    page[2].store(3, Relaxed);
    assert_eq!(
        ring.arm(1).unwrap_err(),
        Corrupt::Backwards {
            rsp_prod: 3,
            seen: 8
        }
    );
    page[2].store(9, Relaxed);
    assert_eq!(ring.responses().unwrap().count(), 5);
}

#[test]
fn scribbling_on_our_half_of_the_header_changes_nothing() {
    let page = page();
    let mut ring = TxRing::init(&page).unwrap();
    ring.put([7, 0, 0]).unwrap();
    let _ = ring.push();
    page[0].store(0x1234_5678, Relaxed);
    assert_eq!(ring.free_requests(), 255);
    ring.put([8, 0, 0]).unwrap();
    let _ = ring.push();
    assert_eq!(page[0].load(Relaxed), 2);
}

#[test]
fn arming_finds_what_slipped_in() {
    let page = page();
    let mut ring = TxRing::init(&page).unwrap();
    let mut peer = Peer::new(&page, 0);
    ring.put([0; 3]).unwrap();
    let _ = ring.push();
    assert_eq!(ring.arm(1).unwrap(), Recheck::Idle);
    assert!(peer.answer(1), "the armed event comes");
    assert_eq!(ring.arm(1).unwrap(), Recheck::Poll);
}

#[test]
fn coalescing_waits_for_that_many_and_never_for_more_than_outstanding() {
    let page = page();
    let mut ring = TxRing::init(&page).unwrap();
    let mut peer = Peer::new(&page, 0);
    for _ in 0..8 {
        ring.put([0; 3]).unwrap();
    }
    let _ = ring.push();
    assert_eq!(ring.arm(4).unwrap(), Recheck::Idle);
    assert!(!peer.answer(3));
    assert!(peer.answer(1));
    assert_eq!(ring.responses().unwrap().count(), 4);
    let _ = ring.arm(1000).unwrap();
    assert_eq!(
        page[3].load(Relaxed),
        8,
        "the last outstanding response at the latest"
    );
    assert!(peer.answer(4));
    let _ = ring.responses().unwrap().count();
    let _ = ring.arm(0).unwrap();
    assert_eq!(
        page[3].load(Relaxed),
        9,
        "an empty ring waits for the next one"
    );
}

#[test]
fn one_kick_serves_two_pushes() {
    assert_eq!(Kick::Quiet.or(Kick::Notify), Kick::Notify);
    assert_eq!(Kick::Notify.or(Kick::Quiet), Kick::Notify);
    assert_eq!(Kick::Quiet.or(Kick::Quiet), Kick::Quiet);
}

/// The arithmetic depends on differences only, so a window around each interesting point, at
/// several bases, covers it: every push length a ring can have, every event distance that can be
/// near it, and the far ones.
#[test]
fn event_crossed_is_membership_in_the_half_open_interval() {
    let step = if cfg!(miri) { 64 } else { 1 };
    let bases = [0, 1, 255, 256, u32::MAX / 2, u32::MAX - 255, u32::MAX];
    for base in bases {
        for pushed in (0_u32..=256).step_by(step) {
            let new = base.wrapping_add(pushed);
            for ahead in (0_u32..=520).step_by(step) {
                let event = base.wrapping_add(ahead);
                let inside = ahead >= 1 && ahead <= pushed;
                assert_eq!(
                    event_crossed(base, new, event),
                    inside,
                    "{base} +{pushed} {event}"
                );
                let event = base.wrapping_sub(ahead);
                assert!(!event_crossed(base, new, event), "{base} +{pushed} {event}");
            }
            for far in [0x4000_0000, 0x8000_0000, 0xC000_0000_u32] {
                assert!(!event_crossed(base, new, base.wrapping_add(far)));
            }
        }
    }
}

#[test]
fn indices_wrap() {
    for start in [
        u32::MAX,
        u32::MAX - 3,
        u32::MAX - 255,
        u32::MAX - 256,
        i32::MAX as u32 - 2,
    ] {
        let page = page();
        let mut ring = TxRing::init_at(&page, start).unwrap();
        let mut peer = Peer::new(&page, start);
        for round in 0..if cfg!(miri) { 3 } else { 40_u32 } {
            for n in 0..13 {
                ring.put([round * 13 + n, 0, 0]).unwrap();
            }
            assert!(ring.push().is_needed(), "{start} {round}");
            assert!(peer.answer(13), "{start} {round}");
            peer.sleep();
            let got: Vec<u32> = ring.responses().unwrap().map(|r| r.words[0]).collect();
            assert_eq!(got, (round * 13..round * 13 + 13).collect::<Vec<u32>>());
            assert_eq!(ring.arm(1).unwrap(), Recheck::Idle);
        }
        page[2].store(peer.rsp_prod.wrapping_sub(1), Relaxed);
        assert!(matches!(ring.responses(), Err(Corrupt::Backwards { .. })));
    }
}

#[derive(Clone, Debug)]
enum Step {
    Put(u8),
    Push,
    Answer(u8),
    Sleep,
    Consume(u8),
    Arm(u8),
}

/// Miri runs the same properties on fewer and smaller steps.
const MANY: u32 = if cfg!(miri) { 6 } else { 300 };
const STEPS: usize = if cfg!(miri) { 12 } else { 80 };

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        (0..MANY.min(255)).prop_map(|n| Step::Put(n.try_into().unwrap())),
        Just(Step::Push),
        any::<u8>().prop_map(Step::Answer),
        Just(Step::Sleep),
        any::<u8>().prop_map(Step::Consume),
        any::<u8>().prop_map(Step::Arm),
    ]
}

fn config(cases: u32) -> ProptestConfig {
    ProptestConfig {
        cases: if cfg!(miri) { 2 } else { cases },
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

proptest! {
    #![proptest_config(config(256))]

    /// With an honest peer every request is answered once, in order, and a sleeping side is
    /// always woken when there is something for it.
    #[test]
    fn nothing_is_lost_and_nobody_sleeps_through(
        start in prop_oneof![Just(0_u32), Just(u32::MAX - 100), any::<u32>()],
        steps in prop::collection::vec(step(), 1..STEPS),
    ) {
        let page = page();
        let mut ring = TxRing::init_at(&page, start).unwrap();
        let mut peer = Peer::new(&page, start);
        let (mut put, mut got) = (0_u32, 0_u32);
        let mut peer_asleep = true;
        for step in steps {
            match step {
                Step::Put(n) => for _ in 0..n {
                    match ring.put([put, 0, 0]) {
                        Ok(index) => prop_assert_eq!(index, start.wrapping_add(put)),
                        Err(Full) => break,
                    }
                    put += 1;
                },
                Step::Push => {
                    let some = ring.unpushed() != 0;
                    let kick = ring.push();
                    prop_assert_eq!(kick.is_needed(), some && peer_asleep);
                    peer_asleep &= !kick.is_needed();
                }
                Step::Answer(n) => {
                    peer.answer(n.into());
                }
                Step::Sleep => {
                    peer.sleep();
                    peer_asleep = peer.waiting() == 0;
                }
                Step::Consume(n) => for response in ring.responses().unwrap().take(n.into()) {
                    prop_assert_eq!(response.words[0], got);
                    got += 1;
                },
                Step::Arm(n) => {
                    let there = peer.rsp_prod.wrapping_sub(start) != got;
                    prop_assert_eq!(ring.arm(n.into()).unwrap() == Recheck::Poll, there);
                }
            }
            prop_assert_eq!(ring.outstanding(), put - got);
            prop_assert!(ring.outstanding() <= 256);
        }
        let _ = ring.push();
        while peer.waiting() != 0 { peer.answer(256); }
        got += u32::try_from(ring.responses().unwrap().count()).unwrap();
        prop_assert_eq!(got, put);
    }

    /// Whatever the peer writes: no panic, and no more responses than requests.
    #[test]
    fn a_lying_peer_gets_no_further_than_an_error(
        lies in prop::collection::vec((0_usize..64, any::<u32>(), 0..MANY), 1..STEPS),
    ) {
        let page = page();
        let mut ring = TxRing::init(&page).unwrap();
        let (mut put, mut got) = (0_u64, 0_u64);
        for (word, lie, requests) in lies {
            page[word].store(lie, Relaxed);
            page[2].store(if lie % 3 == 0 { lie } else { lie % 512 }, Relaxed);
            for _ in 0..requests {
                put += u64::from(ring.put([0; 3]).is_ok());
            }
            let _ = ring.push();
            if let Ok(responses) = ring.responses() {
                got += responses.count() as u64;
            }
            let _ = ring.arm(lie);
            prop_assert!(got <= put);
            prop_assert!(ring.outstanding() <= 256);
        }
    }
}
