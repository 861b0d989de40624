//! The tricks do what they say, and the honest model is deterministic.

use crate::support::*;
use netback_model::{Attack, FrameMeta, ResponseMode};

#[test]
fn tx_responses_lie() {
    let mut b = Bench::linux();
    for (attack, expected) in [
        (Attack::TxId(0xFFFF), vec![(0xFFFF, 0)]),
        (Attack::TxStatus(-9), vec![(1, -9)]),
        (Attack::TxDuplicate, vec![(1, 0), (1, 0)]),
    ] {
        b.back.attack(attack, 1);
        b.send(1, &plain(60), &[60], 0, &[]);
        assert_eq!(b.guest.queues[0].tx_responses(), expected);
        b.send(1, &plain(60), &[60], 0, &[]);
        assert_eq!(b.guest.queues[0].tx_responses(), [(1, 0)], "once only");
    }
}

#[test]
fn producers_jump() {
    let mut b = Bench::linux();
    for (attack, port) in [
        (Attack::TxRspProd(257), b.guest.queues[0].tx_port),
        (Attack::RxRspProd(-5), b.guest.queues[0].rx_port),
    ] {
        b.back.attack(attack, 1);
        b.settle();
        assert!(b.world.guest_take(port));
    }
    let page = |ring: &FrontRing| ring.page.bytes(8, 4);
    assert_eq!(page(&b.guest.queues[0].tx), 257_u32.to_le_bytes());
    assert_eq!(page(&b.guest.queues[0].rx), (-5_i32).to_le_bytes());
}

#[test]
fn rx_responses_lie() {
    let mut b = Bench::linux();
    for (attack, flags, status) in [
        (Attack::RxStatus(-3), 0, -3),
        (Attack::RxOffset(4090), 0, 60),
        (Attack::RxFlags(0x8000), 0x8000, 60),
    ] {
        b.back.attack(attack, 1);
        b.receive(&plain(60), FrameMeta::default());
        let got = b.guest.queues[0].rx_responses();
        assert_eq!((got[0].flags, got[0].status), (flags, status));
    }
    b.back.attack(Attack::RxExtra([9, 1, 0, 0, 0, 0, 0, 0]), 1);
    b.receive(&plain(60), FrameMeta::default());
    let got = b.guest.queues[0].rx_responses();
    assert_eq!((got[0].flags, got[1].bytes()[0]), (8, 9));
}

#[test]
fn endless_chains_use_every_request_and_announce_more() {
    for (attack, flag) in [(Attack::RxExtrasEndless, 8), (Attack::RxMoreEndless, 4)] {
        let mut b = Bench::linux();
        b.back.attack(attack, 1);
        b.receive(&plain(60), FrameMeta::default());
        let got = b.guest.queues[0].rx_responses();
        assert_eq!(got.len(), 256);
        assert_eq!(got[0].flags, flag);
        if flag == 8 {
            assert!(got[1..].iter().all(|r| r.bytes()[1] == 1));
        } else {
            assert!(got[1..].iter().all(|r| r.flags == 4));
        }
    }
}

#[test]
fn silence_deafness_and_calm() {
    let mut b = Bench::linux();
    b.back.attack(Attack::Silence, u32::MAX);
    b.back.attack(Attack::Deaf, u32::MAX);
    b.send(1, &plain(60), &[60], 0, &[]);
    b.guest.set_state(&mut b.world, 5);
    b.settle();
    assert_eq!((b.back_state().as_str(), b.net.out.len()), ("4", 0));
    b.guest.set_state(&mut b.world, 4);
    b.back.calm();
    b.settle();
    assert_eq!(b.guest.queues[0].tx_responses(), [(1, 0)]);
}

#[test]
fn states_out_of_order_and_a_vanishing_directory() {
    let mut b = Bench::linux();
    b.back.attack(Attack::State(6), 1);
    b.settle();
    assert_eq!(b.back_state(), "6");
    b.back.attack(Attack::Vanish, 1);
    b.settle();
    assert_eq!(b.back_state(), "");
    b.back.attack(Attack::EventStorm, u32::MAX);
    b.settle();
    assert!(b.world.guest_take(b.guest.queues[0].tx_port));
}

#[test]
fn same_input_same_output() {
    let run = || {
        let mut b = Bench::linux();
        b.back.set_response_mode(ResponseMode::Reordered(7));
        let mut seen = Vec::new();
        for round in 0..20 {
            for n in 0..10 {
                b.put_frame(n * 4, &plain(3000), &[1000, 1000, 1000], 0, &[]);
            }
            b.guest.push_tx(&mut b.world, 0);
            b.receive(&plain(100 + round), FrameMeta::default());
            b.advance(1);
            seen.extend(b.guest.queues[0].tx_responses());
        }
        (seen, b.back.counters())
    };
    assert_eq!(run(), run());
}
