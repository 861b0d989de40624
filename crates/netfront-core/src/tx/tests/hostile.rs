//! A backend that lies: the queue breaks, keeps what is out, and hands it back once.

use std::collections::BTreeSet;
use std::vec::Vec;

use netif::ctrl::HashKind;
use netif::extra::HashInfo;
use proptest::prelude::*;
use ring::Corrupt;

use super::peer::{Memory, Page, Peer, page, policy, queue};
use crate::tx::*;

const BIG: [Fragment; 2] = [
    Fragment {
        pfn: 50,
        offset: 0,
        len: 5000,
    },
    Fragment {
        pfn: 60,
        offset: 9,
        len: 600,
    },
];

fn big() -> Frame<'static> {
    Frame {
        length: 5600,
        fragments: &BIG,
        checksum: TxChecksum::Complete,
        gso: None,
        hash: None,
    }
}

/// A queue with one frame out, of which the backend has seen the slots.
fn one_out(page: &Page) -> (TxQueue<&Page>, Peer<'_>, Memory, Vec<u16>) {
    let (mut queue, mut peer) = (queue(page, 16, policy(), 0), Peer::new(page, 0));
    let mut memory = Memory::default();
    queue.submit(&big(), Cookie(5), &mut memory).unwrap();
    let _ = queue.push();
    let ids = peer
        .packet()
        .unwrap()
        .0
        .iter()
        .map(|slot| slot.id)
        .collect();
    (queue, peer, memory, ids)
}

/// The queue is broken for `reason`, and the frame comes back by teardown only.
fn breaks(queue: &mut TxQueue<&Page>, memory: &mut Memory, reason: TxBroken) {
    let result = queue.reap(memory, &mut |done| panic!("handed back: {done:?}"));
    assert_eq!(result, Err(reason));
    assert_eq!(queue.broken(), Some(reason));
    assert_eq!(
        queue.submit(&big(), Cookie(6), memory),
        Err(SubmitError::Broken)
    );
    assert!(!queue.push().is_needed());
    assert_eq!(queue.arm(false), Err(reason));
    memory.held.clear();
    let mut done = Vec::new();
    assert_eq!(
        queue.teardown(memory, &mut |frame| done.push(frame.cookie)),
        0
    );
    assert_eq!(done, [Cookie(5)]);
    assert!(memory.granted.is_empty());
}

#[test]
fn an_id_beyond_the_table_breaks() {
    for id in [256, 0x7FFF, 0xFFFF] {
        let page = page();
        let (mut queue, mut peer, mut memory, _) = one_out(&page);
        peer.respond(id, 0);
        breaks(&mut queue, &mut memory, TxBroken::IdRange(id));
    }
}

#[test]
fn an_answer_to_an_unused_slot_breaks() {
    let page = page();
    let (mut queue, mut peer, mut memory, ids) = one_out(&page);
    let unused = (0..256).find(|id| !ids.contains(id)).unwrap();
    peer.respond(unused, 0);
    breaks(&mut queue, &mut memory, TxBroken::NotPending(unused));
}

#[test]
fn a_second_answer_to_a_slot_breaks() {
    let page = page();
    let (mut queue, mut peer, mut memory, ids) = one_out(&page);
    peer.respond(ids[1], 0);
    peer.respond(ids[1], 0);
    breaks(&mut queue, &mut memory, TxBroken::NotPending(ids[1]));
}

#[test]
fn more_nulls_than_extras_break() {
    let page = page();
    let (mut queue, mut peer, mut memory, _) = one_out(&page);
    peer.respond(0xFFFF, 1);
    breaks(&mut queue, &mut memory, TxBroken::UnexpectedNull);
}

#[test]
fn a_page_still_mapped_after_its_answer_breaks() {
    let page = page();
    let (mut queue, mut peer, mut memory, ids) = one_out(&page);
    memory.held.extend(memory.granted.keys().copied());
    peer.respond(ids[1], 0);
    breaks(&mut queue, &mut memory, TxBroken::StillMapped(ids[1]));
}

#[test]
fn a_producer_that_jumps_breaks() {
    for (value, expected) in [
        (
            257,
            Corrupt::Overflow {
                rsp_prod: 257,
                limit: 4,
            },
        ),
        (
            5,
            Corrupt::Overflow {
                rsp_prod: 5,
                limit: 4,
            },
        ),
        (
            u32::MAX,
            Corrupt::Backwards {
                rsp_prod: u32::MAX,
                seen: 0,
            },
        ),
    ] {
        let page = page();
        let (mut queue, _, mut memory, _) = one_out(&page);
        page[2].set(value);
        breaks(&mut queue, &mut memory, TxBroken::Ring(expected));
    }
}

#[derive(Clone, Debug)]
enum Move {
    Submit {
        len: u32,
        hash: bool,
        untracked: bool,
    },
    Push,
    Reap,
    Arm(bool),
    /// Answer something that is really out.
    Honest {
        nth: usize,
        status: i16,
    },
    Null,
    Respond {
        id: u16,
        status: i16,
    },
    RspProd(u32),
    Scribble {
        word: usize,
        value: u32,
    },
    Hold(bool),
}

fn a_move() -> impl Strategy<Value = Move> {
    prop_oneof![
        12 => (0_u32..70_000, any::<bool>(), any::<bool>())
            .prop_map(|(len, hash, untracked)| Move::Submit { len, hash, untracked }),
        6 => Just(Move::Push),
        8 => Just(Move::Reap),
        1 => any::<bool>().prop_map(Move::Arm),
        30 => (any::<usize>(), -3_i16..1).prop_map(|(nth, status)| Move::Honest { nth, status }),
        1 => Just(Move::Null),
        1 => (0_u16..300, -3_i16..3).prop_map(|(id, status)| Move::Respond { id, status }),
        1 => any::<u32>().prop_map(Move::RspProd),
        1 => (0_usize..1024, any::<u32>())
            .prop_map(|(word, value)| Move::Scribble { word, value }),
        1 => any::<bool>().prop_map(Move::Hold),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: if cfg!(miri) { 1 } else { 120 }, failure_persistence: None,
        ..ProptestConfig::default()
    })]

    /// Whatever the backend does, each cookie comes back exactly once, and after the end every
    /// page is either revoked or named as lost.
    #[test]
    fn no_cookie_is_lost_or_comes_twice(
        moves in prop::collection::vec(a_move(), 1..if cfg!(miri) { 12 } else { 150 }),
        start in prop_oneof![Just(0_u32), Just(u32::MAX - 20)],
        in_place: bool,
    ) {
        let page = page();
        let policy = TxPolicy { in_place, ..policy() };
        let mut queue = queue(&page, 32, policy, start);
        let mut peer = Peer::new(&page, start);
        let mut memory = Memory::default();
        let mut out = BTreeSet::new();
        let mut back = Vec::new();
        let (mut pending, mut nulls, mut scribbled): (Vec<u16>, usize, bool) = (Vec::new(), 0, false);
        for (cookie, step) in moves.into_iter().enumerate() {
            match step {
                Move::Submit { len, hash, untracked } => {
                    let parts = [Fragment { pfn: 9, offset: 100, len }];
                    let frame = Frame {
                        length: len,
                        fragments: if untracked { &[] } else { &parts },
                        hash: hash.then(|| HashInfo::toeplitz(HashKind::Ipv4, 5)),
                        ..big()
                    };
                    if queue.submit(&frame, Cookie(cookie), &mut memory)
                        == Ok(Submission::InFlight)
                    {
                        out.insert(cookie);
                    }
                }
                Move::Push => {
                    let _ = queue.push();
                    if !scribbled {
                        for (data, extras) in peer.packets() {
                            pending.extend(data.iter().map(|slot| slot.id));
                            nulls += extras.len();
                        }
                    }
                }
                Move::Reap => {
                    let _ = queue.reap(&mut memory, &mut |done| back.push(done.cookie.0));
                }
                Move::Arm(coalesce) => { let _ = queue.arm(coalesce); }
                Move::Honest { nth, status } => {
                    if nulls > 0 && nth % 5 == 0 {
                        nulls -= 1;
                        peer.respond(0xBEEF, 1);
                    } else if !pending.is_empty() {
                        peer.respond(pending.swap_remove(nth % pending.len()), status);
                    }
                }
                Move::Null => peer.respond(0xBEEF, 1),
                Move::Respond { id, status } => peer.respond(id, status),
                Move::RspProd(value) => {
                    page[2].set(value);
                }
                Move::Scribble { word, value } => {
                    scribbled = true;
                    page[word].set(value);
                }
                Move::Hold(hold) => {
                    memory.held = if hold {
                        memory.granted.keys().copied().collect()
                    } else {
                        BTreeSet::new()
                    };
                }
            }
        }
        queue.teardown(&mut memory, &mut |done| back.push(done.cookie.0));
        let mut lost = BTreeSet::new();
        queue.abandon(&mut |leak| { lost.insert(leak.gref.0); }, &mut |done| back.push(done.cookie.0));
        let unique: BTreeSet<_> = back.iter().copied().collect();
        prop_assert_eq!(unique.len(), back.len(), "a cookie came back twice");
        prop_assert_eq!(unique, out);
        prop_assert_eq!(lost, memory.granted.keys().copied().collect::<BTreeSet<_>>());
        prop_assert_eq!(queue.frames_in_flight(), 0);
    }

    /// With a backend that only reorders, everything is sent and nothing is left.
    #[test]
    fn any_order_of_answers_is_good(
        lens in prop::collection::vec(14_u32..20_000, 1..20),
        order in any::<u64>(),
    ) {
        let page = page();
        let (mut queue, mut peer) = (queue(&page, 64, policy(), 0), Peer::new(&page, 0));
        let mut memory = Memory::default();
        let mut out = BTreeSet::new();
        let mut back = Vec::new();
        for (cookie, len) in lens.into_iter().enumerate() {
            let parts = [Fragment { pfn: 9, offset: 100, len }];
            let frame = Frame { length: len, fragments: &parts, ..big() };
            if queue.submit(&frame, Cookie(cookie), &mut memory) == Ok(Submission::InFlight) {
                out.insert(cookie);
            }
        }
        let _ = queue.push();
        let mut ids: Vec<u16> =
            peer.packets().iter().flat_map(|(data, _)| data).map(|slot| slot.id).collect();
        let mut random = order;
        while !ids.is_empty() {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let nth = usize::try_from(random >> 33).unwrap() % ids.len();
            peer.respond(ids.swap_remove(nth), 0);
        }
        queue.reap(&mut memory, &mut |done| back.push(done.cookie.0)).unwrap();
        prop_assert_eq!(back.into_iter().collect::<BTreeSet<_>>(), out);
        prop_assert_eq!(queue.in_flight(), 0);
        prop_assert!(memory.granted.is_empty());
    }
}
