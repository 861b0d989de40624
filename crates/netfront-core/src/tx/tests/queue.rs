//! Named behaviours of the queue with an honest backend.

use std::vec::Vec;

use netif::ctrl::HashKind;
use netif::extra::{Gso, GsoKind, HashInfo};
use netif::features::Features;
use ring::Recheck;

use super::peer::{IN_PLACE, Memory, Peer, linux, page, policy, queue};
use crate::tx::*;

const BIG: [Fragment; 1] = [Fragment {
    pfn: 50,
    offset: 0,
    len: 9000,
}];

fn big() -> Frame<'static> {
    Frame {
        length: 9000,
        fragments: &BIG,
        checksum: TxChecksum::Complete,
        gso: None,
        hash: None,
    }
}

fn small() -> Frame<'static> {
    Frame {
        length: 100,
        fragments: &[],
        ..big()
    }
}

#[test]
fn a_copied_frame_is_complete_at_once() {
    let page = page();
    let (mut queue, mut peer) = (queue(&page, 16, policy(), 0), Peer::new(&page, 0));
    let mut memory = Memory::default();
    assert_eq!(
        queue.submit(&small(), Cookie(1), &mut memory),
        Ok(Submission::Copied)
    );
    assert!(peer.packet().is_none(), "not before the push");
    assert!(queue.push().is_needed());
    let packet = peer.packet().unwrap();
    assert_eq!((packet.0[0].size, packet.0[0].flags), (100, 0));
    assert_eq!((packet.0[0].gref, packet.0[0].offset), (10, 0));
    assert_eq!(memory.copied, [(0, 100)]);
    peer.answer(&packet, 0);
    let reaped = queue.reap(&mut memory, &mut |done| {
        panic!("given back before: {done:?}")
    });
    assert_eq!(reaped, Ok(1));
    assert_eq!(queue.in_flight(), 0);
}

#[test]
fn a_frame_in_place_comes_back_when_all_slots_are_answered() {
    let page = page();
    let (mut queue, mut peer) = (queue(&page, 16, policy(), 0), Peer::new(&page, 0));
    let mut memory = Memory::default();
    assert_eq!(
        queue.submit(&big(), Cookie(7), &mut memory),
        Ok(Submission::InFlight)
    );
    let _ = queue.push();
    let (data, _) = peer.packet().unwrap();
    assert_eq!(
        data.iter().map(|slot| slot.size).collect::<Vec<_>>(),
        [9000, 3968, 4096, 808]
    );
    assert_eq!(
        data.iter().map(|slot| slot.flags).collect::<Vec<_>>(),
        [4, 4, 4, 0]
    );
    assert_eq!(
        memory.granted.values().copied().collect::<Vec<_>>(),
        [50, 51, 52]
    );
    let mut done = Vec::new();
    for (nth, slot) in data.iter().rev().enumerate() {
        peer.respond(slot.id, 0);
        queue
            .reap(&mut memory, &mut |frame| done.push(frame))
            .unwrap();
        assert_eq!(done.len(), usize::from(nth == 3));
    }
    assert_eq!(
        done,
        [TxDone {
            cookie: Cookie(7),
            outcome: TxOutcome::Sent
        }]
    );
    assert!(memory.granted.is_empty());
    assert_eq!(queue.frames_in_flight(), 0);
}

#[test]
fn one_refused_slot_fails_the_frame() {
    let page = page();
    let (mut queue, mut peer) = (queue(&page, 16, policy(), 0), Peer::new(&page, 0));
    let mut memory = Memory::default();
    queue.submit(&big(), Cookie(7), &mut memory).unwrap();
    let _ = queue.push();
    let (data, _) = peer.packet().unwrap();
    for (slot, status) in data.iter().zip([0, -2, 0, 0]) {
        peer.respond(slot.id, status);
    }
    let mut done = Vec::new();
    queue
        .reap(&mut memory, &mut |frame| done.push(frame))
        .unwrap();
    assert_eq!(
        done,
        [TxDone {
            cookie: Cookie(7),
            outcome: TxOutcome::Failed
        }]
    );
    assert_eq!(queue.counters().failed_slots, 1);
}

#[test]
fn extras_follow_the_first_slot_and_their_answers_are_skipped() {
    let page = page();
    let (mut queue, mut peer) = (queue(&page, 16, policy(), 0), Peer::new(&page, 0));
    let mut memory = Memory::default();
    let frame = Frame {
        checksum: TxChecksum::BlankIpv4,
        gso: Some(Gso {
            kind: GsoKind::TcpV4,
            mss: 1460,
        }),
        hash: Some(HashInfo::toeplitz(HashKind::Ipv4Tcp, 0x1234_5678)),
        ..big()
    };
    queue.submit(&frame, Cookie(1), &mut memory).unwrap();
    let _ = queue.push();
    let packet = peer.packet().unwrap();
    assert_eq!(packet.0[0].flags, 1 | 2 | 4 | 8);
    assert_eq!(
        packet.1,
        [[0x05B4_0101, 1, 0], [0x0101_0004, 0x1234_5678, 0]]
    );
    peer.answer(&packet, 0);
    let mut done = 0;
    assert_eq!(queue.reap(&mut memory, &mut |_| done += 1), Ok(6));
    assert_eq!((done, queue.in_flight()), (1, 0));
}

#[test]
fn one_push_and_one_kick_serve_a_whole_chain() {
    let page = page();
    let (mut queue, mut peer) = (queue(&page, 16, policy(), 0), Peer::new(&page, 0));
    let mut memory = Memory::default();
    for n in 0..10 {
        queue.submit(&big(), Cookie(n), &mut memory).unwrap();
    }
    assert!(queue.push().is_needed());
    assert!(!queue.push().is_needed());
    assert_eq!(peer.packets().len(), 10);
}

#[test]
fn a_full_ring_is_busy_and_recovers() {
    let page = page();
    let (mut queue, mut peer) = (queue(&page, 16, policy(), 0), Peer::new(&page, 0));
    let mut memory = Memory::default();
    let mut taken = 0;
    while queue.submit(&big(), Cookie(taken), &mut memory).unwrap() == Submission::InFlight {
        taken += 1;
    }
    assert_eq!(taken, 64, "64 frames of 4 slots");
    assert!(!queue.has_room());
    let granted = memory.granted.len();
    assert_eq!(
        queue.submit(&big(), Cookie(99), &mut memory),
        Ok(Submission::Busy)
    );
    assert_eq!(memory.granted.len(), granted, "busy takes nothing");
    let _ = queue.push();
    for packet in peer.packets() {
        peer.answer(&packet, 0);
    }
    let mut done = Vec::new();
    assert_eq!(
        queue.reap(&mut memory, &mut |frame| done.push(frame.cookie.0)),
        Ok(256)
    );
    assert_eq!(done, (0..64).collect::<Vec<_>>());
    assert!(queue.has_room());
}

#[test]
fn bounce_pages_come_back_with_their_response() {
    let page = page();
    let copying = TxPolicy {
        in_place: false,
        ..policy()
    };
    let (mut queue, mut peer) = (queue(&page, 16, copying, 0), Peer::new(&page, 0));
    let mut memory = Memory::default();
    for round in 0..if cfg!(miri) { 3 } else { 10 } {
        for n in 0..5 {
            assert_eq!(
                queue.submit(&big(), Cookie(n), &mut memory),
                Ok(Submission::Copied)
            );
        }
        assert_eq!(
            queue.submit(&big(), Cookie(9), &mut memory),
            Ok(Submission::Busy),
            "{round}"
        );
        let _ = queue.push();
        for packet in peer.packets() {
            assert!(packet.0.iter().all(|slot| (100..116).contains(&slot.gref)));
            peer.answer(&packet, 0);
        }
        assert_eq!(queue.reap(&mut memory, &mut |_| ()), Ok(15));
    }
    assert!(memory.granted.is_empty());
}

#[test]
fn a_failed_copy_takes_nothing() {
    let page = page();
    let (mut queue, mut peer) = (queue(&page, 16, policy(), 0), Peer::new(&page, 0));
    let mut memory = Memory {
        fail_copies: true,
        ..Memory::default()
    };
    for _ in 0..if cfg!(miri) { 100 } else { 1000 } {
        let result = queue.submit(&big(), Cookie(1), &mut memory);
        assert_eq!(result, Err(SubmitError::CopyFailed));
    }
    assert!(
        memory.granted.is_empty(),
        "nothing was granted before the copies"
    );
    assert!(!queue.push().is_needed());
    memory.fail_copies = false;
    assert_eq!(
        queue.submit(&big(), Cookie(1), &mut memory),
        Ok(Submission::InFlight)
    );
    let _ = queue.push();
    assert_eq!(peer.packets().len(), 1);
}

#[test]
fn multicast_changes_ride_on_a_dummy() {
    let page = page();
    let (mut queue, mut peer) = (queue(&page, 16, policy(), 0), Peer::new(&page, 0));
    let mut memory = Memory::default();
    let group = [1, 0, 0x5E, 0, 0, 1];
    assert_eq!(
        queue.submit_multicast(Multicast::Add(group)),
        Ok(Submission::Copied)
    );
    let _ = queue.push();
    let packet = peer.packet().unwrap();
    assert_eq!((packet.0.len(), packet.0[0].flags), (1, 8));
    assert_eq!(packet.1, [[0x0001_0002, 0x0100_005E, 0]]);
    peer.answer(&packet, 0);
    assert_eq!(queue.reap(&mut memory, &mut |_| ()), Ok(2));
    assert_eq!(queue.in_flight(), 0);
}

#[test]
fn multicast_is_only_for_backends_that_offer_it() {
    let page = page();
    let backend = linux().without(Features::MULTICAST_CONTROL);
    let mut queue = queue(
        &page,
        16,
        TxPolicy {
            backend,
            ..policy()
        },
        0,
    );
    assert_eq!(
        queue.submit_multicast(Multicast::Remove([1; 6])),
        Err(SubmitError::Invalid(Violation::ExtraNotOffered))
    );
    assert_eq!(queue.in_flight(), 0);
}

#[test]
fn coalescing_asks_for_half_of_what_is_out() {
    let page = page();
    let (mut queue, mut peer) = (queue(&page, 16, policy(), 0), Peer::new(&page, 0));
    let mut memory = Memory::default();
    for n in 0..10 {
        queue.submit(&big(), Cookie(n), &mut memory).unwrap();
    }
    let _ = queue.push();
    assert_eq!(queue.arm(true), Ok(Recheck::Idle));
    assert_eq!(page[3].get(), 21);
    assert_eq!(queue.arm(false), Ok(Recheck::Idle));
    assert_eq!(page[3].get(), 1);
    let packet = peer.packet().unwrap();
    peer.answer(&packet, 0);
    assert_eq!(queue.arm(true), Ok(Recheck::Poll));
}

#[test]
fn teardown_hands_back_what_is_out() {
    let page = page();
    let mut queue = queue(&page, 16, policy(), 0);
    let mut memory = Memory::default();
    for n in 0..3 {
        queue.submit(&big(), Cookie(n), &mut memory).unwrap();
    }
    let _ = queue.push();
    let mut done = Vec::new();
    assert_eq!(
        queue.teardown(&mut memory, &mut |frame| done.push(frame)),
        0
    );
    let expected: Vec<_> = (0..3)
        .map(|n| TxDone {
            cookie: Cookie(n),
            outcome: TxOutcome::Aborted,
        })
        .collect();
    assert_eq!(done, expected);
    assert!(memory.granted.is_empty());
    assert_eq!(
        queue.submit(&big(), Cookie(9), &mut memory),
        Err(SubmitError::Broken)
    );
    assert_eq!(queue.reap(&mut memory, &mut |_| ()), Err(TxBroken::Closed));
    assert_eq!(queue.teardown(&mut memory, &mut |_| panic!("twice")), 0);
}

#[test]
fn a_page_the_backend_keeps_is_waited_for_and_then_named_as_lost() {
    let page = page();
    let mut queue = queue(&page, 16, policy(), 0);
    let mut memory = Memory::default();
    for n in 0..3 {
        queue.submit(&big(), Cookie(n), &mut memory).unwrap();
    }
    let grefs: Vec<u32> = memory.granted.keys().copied().collect();
    memory.held.extend([grefs[0], grefs[4]]);
    let mut done = Vec::new();
    assert_eq!(
        queue.teardown(&mut memory, &mut |frame| done.push(frame.cookie.0)),
        2
    );
    assert_eq!(done, [2]);
    memory.held.remove(&grefs[4]);
    assert_eq!(
        queue.teardown(&mut memory, &mut |frame| done.push(frame.cookie.0)),
        1
    );
    assert_eq!(done, [2, 1]);
    let (mut leaks, mut lost) = (Vec::new(), Vec::new());
    queue.abandon(&mut |leak| leaks.push(leak), &mut |frame| lost.push(frame));
    assert_eq!(leaks.len(), 1);
    assert_eq!((leaks[0].cookie, leaks[0].gref.0), (Cookie(0), grefs[0]));
    assert!(grefs[0] >= IN_PLACE);
    assert_eq!(
        lost,
        [TxDone {
            cookie: Cookie(0),
            outcome: TxOutcome::StillMapped
        }]
    );
    assert_eq!(queue.frames_in_flight(), 0);
}

#[test]
fn the_ring_wraps() {
    let page = page();
    let start = u32::MAX - 5;
    let (mut queue, mut peer) = (queue(&page, 16, policy(), start), Peer::new(&page, start));
    let mut memory = Memory::default();
    let mut done = 0;
    let rounds = if cfg!(miri) { 4 } else { 20 };
    for _ in 0..rounds {
        queue.submit(&big(), Cookie(1), &mut memory).unwrap();
        let _ = queue.push();
        let packet = peer.packet().unwrap();
        peer.answer(&packet, 0);
        queue.reap(&mut memory, &mut |_| done += 1).unwrap();
    }
    assert_eq!((done, queue.in_flight()), (rounds, 0));
}
