//! TX: what netback takes, drops, and punishes.

use crate::support::*;
use netback_model::{
    Config, ExtraPolicy, Preset, ResponseMode, Rule, Severity, SharedPage, complete_checksum,
};

const CSUM: u16 = 1 | 2;
const GSO4: [u8; 8] = [1, 0, 0xA8, 5, 1, 0, 0, 0];

fn fatal(b: &Bench) -> Vec<Rule> {
    b.back.rules().at_least(Severity::Fatal).collect()
}

/// All broken rules, in order.
fn all(b: &Bench) -> Vec<Rule> {
    b.back.rules().all().iter().map(|x| x.rule).collect()
}

#[test]
fn small_frame_is_copied_and_answered() {
    let mut b = Bench::linux();
    b.send(3, &plain(100), &[100], 0, &[]);
    assert_eq!(b.net.out[0].0, plain(100));
    assert_eq!(b.guest.queues[0].tx_responses(), [(3, 0)]);
    let c = b.back.counters();
    assert_eq!(
        (c.tx_grant_copies, c.tx_grant_maps, c.tx_packets),
        (1, 0, 1)
    );
    assert!(b.world.guest_take(b.guest.queues[0].tx_port));
    assert!(all(&b).is_empty());
}

#[test]
fn many_slots_are_gathered_and_copied_ones_answered_first() {
    let mut b = Bench::linux();
    let frame = plain(4000 + 100 + 28 + 900);
    b.send(10, &frame, &[100, 28, 4000, 900], 0, &[]);
    assert_eq!(b.net.out[0].0, frame);
    let ids: Vec<u16> = b.guest.queues[0]
        .tx_responses()
        .iter()
        .map(|r| r.0)
        .collect();
    assert_eq!(ids, [10, 11, 12, 13]);
    let c = b.back.counters();
    assert_eq!((c.tx_grant_copies, c.tx_grant_maps), (2, 2));
    assert_eq!(b.world.mapped(), 2);
}

#[test]
fn extras_are_answered_null_after_their_first_slot() {
    let mut b = Bench::linux();
    let frame = tcp4(1000, 3000);
    b.send(5, &frame, &[54, 3000], CSUM, &[GSO4]);
    let meta = b.net.out[0].1;
    assert_eq!(meta.gso.map(|g| g.size), Some(1448));
    assert!(meta.csum_blank && meta.data_validated);
    let got = b.guest.queues[0].tx_responses();
    assert_eq!((got[0], got[1].1, got[2]), ((5, 0), 1, (6, 0)));
    assert!(all(&b).is_empty(), "{:?}", all(&b));
}

#[test]
fn blank_checksum_can_be_completed_by_the_wire() {
    let mut b = Bench::linux();
    b.send(1, &tcp4(1000, 77), &[131], CSUM, &[]);
    let mut frame = b.net.out[0].0.clone();
    assert!(!tcp4_verifies(&frame));
    complete_checksum(&mut frame).unwrap();
    assert!(tcp4_verifies(&frame));
}

#[test]
fn nineteen_slots_pass_slowly_and_eighteen_normally() {
    for (slots, slow) in [(18, false), (19, true)] {
        let mut b = Bench::linux();
        b.send(0, &plain(slots * 100), &vec![100; slots], 0, &[]);
        assert_eq!(b.net.out.len(), 1);
        assert_eq!(b.guest.queues[0].tx_responses().len(), slots);
        assert_eq!(b.back.rules().contains(Rule::TxSlotsSlow), slow);
    }
}

#[test]
fn twenty_slots_are_dropped_and_all_answered() {
    for slots in [20, 21] {
        let mut b = Bench::linux();
        b.send(0, &plain(slots * 100), &vec![100; slots], 0, &[]);
        assert!(b.net.out.is_empty() && !b.back.disabled());
        assert_eq!(all(&b), [Rule::TxTooManySlots(19)]);
        let got = b.guest.queues[0].tx_responses();
        assert_eq!(got.len(), slots);
        assert!(got.iter().all(|r| r.1 == -1));
        // The ring goes on.
        b.send(100, &plain(60), &[60], 0, &[]);
        assert_eq!(b.guest.queues[0].tx_responses(), [(100, 0)]);
    }
}

/// Each fatal rule, from slots written by hand; nothing is answered, ever again.
#[test]
fn fatal_rules_disable_the_vif_for_life() {
    type Slots = Box<dyn Fn(u32) -> Vec<Vec<u32>>>;
    let case = |slots: Slots, rule: Rule| (slots, rule);
    let cases = [
        case(
            Box::new(|g| vec![slot(g, 0, 8, 1, 60).into()]),
            Rule::TxExtraMissing,
        ),
        case(
            Box::new(|g| vec![slot(g, 0, 8, 1, 60).into(), extra([0; 8]).into()]),
            Rule::TxExtraType(0),
        ),
        case(
            Box::new(|g| {
                vec![
                    slot(g, 0, 8, 1, 60).into(),
                    extra([6, 0, 0, 0, 0, 0, 0, 0]).into(),
                ]
            }),
            Rule::TxExtraType(6),
        ),
        case(
            Box::new(|g| {
                vec![
                    slot(g, 0, 8, 1, 60).into(),
                    extra([1, 1, 9, 0, 1, 0, 0, 0]).into(),
                ]
            }),
            Rule::TxExtraMissing,
        ),
        case(
            Box::new(|g| vec![slot(g, 0, 4, 1, 60).into()]),
            Rule::TxSlotMissing,
        ),
        case(
            Box::new(|g| {
                (0..22)
                    .map(|n| {
                        slot(
                            g,
                            0,
                            if n < 21 { 4 } else { 0 },
                            n,
                            if n == 0 { 2200 } else { 100 },
                        )
                        .into()
                    })
                    .collect()
            }),
            Rule::TxSlotsMalicious(20),
        ),
        case(
            Box::new(|g| vec![slot(g, 4000, 0, 1, 97).into()]),
            Rule::TxPageCross(4000, 97),
        ),
        case(
            Box::new(|g| vec![slot(g, 0, 4, 1, 200).into(), slot(g, 4090, 0, 2, 7).into()]),
            Rule::TxPageCross(4090, 7),
        ),
        case(
            Box::new(|g| {
                vec![
                    slot(g, 0, 8, 1, 60).into(),
                    extra([1, 0, 0, 0, 1, 0, 0, 0]).into(),
                ]
            }),
            Rule::TxGsoSizeZero,
        ),
        case(
            Box::new(|g| {
                vec![
                    slot(g, 0, 8, 1, 60).into(),
                    extra([1, 0, 9, 0, 3, 0, 0, 0]).into(),
                ]
            }),
            Rule::TxGsoType(3),
        ),
    ];
    for (slots, rule) in cases {
        let mut b = Bench::linux();
        let gref = b.page();
        let slots = slots(gref);
        let refs: Vec<&[u32]> = slots.iter().map(Vec::as_slice).collect();
        b.send_raw(&refs);
        assert_eq!(fatal(&b), [rule]);
        assert!(b.back.disabled() && !b.back.carrier());
        assert!(b.guest.queues[0].tx_responses().is_empty());
        // A new connection reaches Connected and stays silent.
        b.guest.set_state(&mut b.world, 1);
        b.settle();
        b.guest = Guest::connect(&mut b.world, &b.guest.dir, &Plan::default());
        b.settle();
        assert_eq!(b.back_state(), "4");
        b.send(1, &plain(60), &[60], 0, &[]);
        assert!(b.guest.queues[0].tx_responses().is_empty() && b.net.out.is_empty());
    }
}

#[test]
fn ring_overflow_is_fatal() {
    let mut b = Bench::linux();
    b.guest.queues[0].tx.prod = 257;
    b.guest.push_tx(&mut b.world, 0);
    b.settle();
    assert_eq!(fatal(&b), [Rule::TxRingOverflow(257)]);
    assert!(b.back.disabled());
}

#[test]
fn dropping_rules_answer_error() {
    let mut b = Bench::linux();
    let g = b.page();
    let slots: [(&[[u32; 3]], Rule); 4] = [
        (
            &[slot(g, 0, 4, 1, 100), slot(g, 0, 0, 2, 200)],
            Rule::TxSizeExceedsTotal,
        ),
        (
            &[slot(g, 0, 4, 1, 100), slot(g, 0, 0, 2, 90)],
            Rule::TxFirstSlotShort(10),
        ),
        (&[slot(60_000, 0, 0, 1, 100)], Rule::TxGrant(BAD_GREF)),
        (
            &[slot(g, 0, 4, 1, 2900), slot(60_000, 0, 0, 2, 900)],
            Rule::TxGrant(BAD_GREF),
        ),
    ];
    for (n, (slots, rule)) in slots.iter().enumerate() {
        let refs: Vec<&[u32]> = slots.iter().map(<[u32; 3]>::as_slice).collect();
        b.send_raw(&refs);
        assert_eq!(all(&b).get(n), Some(rule));
        let got = b.guest.queues[0].tx_responses();
        assert_eq!(got.len(), slots.len());
        assert!(got.iter().all(|r| r.1 == -1), "{rule:?}");
    }
    assert!(b.net.out.is_empty() && !b.back.disabled());
    assert_eq!(b.world.mapped(), 2);
}

#[test]
fn blank_checksum_on_a_fragment_vanishes() {
    let mut b = Bench::linux();
    let mut frame = tcp4(1000, 50);
    frame[20] = 0x20;
    b.send(1, &frame, &[104], CSUM, &[]);
    assert_eq!(all(&b), [Rule::TxCsumUnparsable]);
    assert_eq!(
        (b.guest.queues[0].tx_responses(), b.net.out.len()),
        (vec![(1, 0)], 0)
    );
}

#[test]
fn advice_on_checksums_and_segmentation() {
    let mut b = Bench::linux();
    let mut frame = tcp4(1000, 2000);
    b.send(1, &frame, &[2054], 0, &[GSO4]);
    assert_eq!(all(&b), [Rule::TxGsoCsum]);
    frame[50] ^= 1;
    b.send(2, &frame, &[2054], CSUM, &[GSO4]);
    assert_eq!(all(&b)[1..], [Rule::TxPseudoHeader]);
    let mut frame = tcp4(1000, 2000);
    frame[16..18].fill(0);
    b.send(3, &frame, &[2054], CSUM, &[GSO4]);
    assert!(b.back.rules().contains(Rule::TxGsoHeader));
}

#[test]
fn multicast_list_is_kept_without_frames() {
    let mut b = Bench::linux();
    let add = [2, 0, 1, 0, 0x5E, 0, 0, 1];
    let del = [3, 0, 1, 0, 0x5E, 0, 0, 1];
    for id in 0..2 {
        b.send(id, &plain(20), &[20], 0, &[add]);
    }
    assert_eq!(b.back.multicast_list().len(), 2);
    b.send(2, &plain(20), &[20], 0, &[del]);
    assert_eq!(b.back.multicast_list(), [[1, 0, 0x5E, 0, 0, 1]]);
    for id in 0..63 {
        b.send(id, &plain(20), &[20], 0, &[add]);
    }
    b.guest.queues[0].tx_responses();
    b.send(9, &plain(20), &[20], 0, &[add]);
    assert_eq!(b.guest.queues[0].tx_responses()[0], (9, -1));
    assert!(b.net.out.is_empty());
    assert_eq!(all(&b), [Rule::TxMcastFull]);
    b.guest.set_state(&mut b.world, 5);
    b.settle();
    assert!(b.back.multicast_list().is_empty());
}

#[test]
fn backends_without_the_feature_refuse_or_misread() {
    // QEMU takes the extra slot for a request.
    let mut b = Bench::with(
        Preset::Qemu,
        &Plan {
            split: false,
            ..Plan::default()
        },
    );
    b.send(1, &tcp4(1, 10), &[64], 0, &[GSO4]);
    assert!(b.back.rules().contains(Rule::TxExtraRefused(0)));
    let got = b.guest.queues[0].tx_responses();
    assert!(got.len() == 2 && got.iter().all(|r| r.1 == -1), "{got:?}");
    b.send(1, &plain(200), &[100, 100], 0, &[]);
    assert!(b.back.rules().contains(Rule::TxMultiSlotRefused));
    assert!(!b.back.disabled());
    // FreeBSD: more than one extra.
    let mut b = Bench::with(
        Preset::FreeBsd,
        &Plan {
            split: false,
            ..Plan::default()
        },
    );
    b.send(1, &plain(60), &[60], 0, &[[4, 0, 0, 1, 0, 0, 0, 0]]);
    assert_eq!(all(&b), [Rule::TxExtraRefused(4)]);
    // NetBSD: length.
    let mut b = Bench::with(
        Preset::NetBsd,
        &Plan {
            split: false,
            ..Plan::default()
        },
    );
    b.send(1, &plain(9019), &[4096, 4096, 827], 0, &[]);
    assert_eq!(all(&b), [Rule::TxFrameTooLong(9019)]);
    // A kernel that knows no HASH extra.
    let mut config = Config::preset(Preset::Linux, 5, 0);
    config.extras = ExtraPolicy::KnownUpTo(3);
    let mut b = Bench::new(&config, &Plan::default());
    b.send(1, &plain(60), &[60], 0, &[[4, 0, 0, 1, 0, 0, 0, 0]]);
    assert_eq!(fatal(&b), [Rule::TxExtraType(4)]);
}

#[test]
fn response_modes() {
    let mut b = Bench::linux();
    b.back.set_response_mode(ResponseMode::Delayed(5 * MS));
    b.send(1, &plain(60), &[60], 0, &[]);
    assert_eq!(
        (b.net.out.len(), b.guest.queues[0].tx_responses()),
        (1, vec![])
    );
    assert_eq!(b.back.next_deadline(), Some(5 * MS));
    b.advance(5);
    assert_eq!(b.guest.queues[0].tx_responses(), [(1, 0)]);

    b.back.set_response_mode(ResponseMode::Held);
    let pages = b.send(2, &plain(1000), &[1000], 0, &[]);
    b.send(3, &plain(60), &[60], 0, &[]);
    b.advance(60_000);
    assert_eq!(
        (b.guest.queues[0].tx_responses(), b.back.outstanding()),
        (vec![], 2)
    );
    pages[0].write(500, &[0xEE]);
    b.back.release(1);
    b.settle();
    assert_eq!(b.guest.queues[0].tx_responses(), [(2, 0)]);
    assert_eq!(all(&b), [Rule::TxPageChanged(2)]);
    b.back.release(1);
    b.settle();
    b.guest.queues[0].tx_responses();

    b.back.set_response_mode(ResponseMode::Reordered(42));
    for id in 0..32 {
        b.put_frame(id, &plain(60), &[60], 0, &[]);
    }
    b.guest.push_tx(&mut b.world, 0);
    b.settle();
    let mut ids: Vec<u16> = b.guest.queues[0]
        .tx_responses()
        .iter()
        .map(|r| r.0)
        .collect();
    assert!(!ids.is_sorted());
    ids.sort_unstable();
    assert_eq!(ids, (0..32).collect::<Vec<u16>>());
}

#[test]
fn notifications_follow_the_ring_macros() {
    let mut b = Bench::linux();
    let port = b.guest.queues[0].tx_port;
    // The backend asked at 1: the first push tells, a second before the poll does not.
    b.put_frame(1, &plain(60), &[60], 0, &[]);
    assert!(b.guest.queues[0].tx.push());
    b.put_frame(2, &plain(60), &[60], 0, &[]);
    assert!(!b.guest.queues[0].tx.push());
    b.settle();
    assert!(b.net.out.is_empty(), "nobody told the backend");
    b.advance(100);
    b.advance(100);
    assert_eq!(all(&b), [Rule::NotifyMissing(0)]);
    b.world.guest_notify(port);
    b.settle();
    assert_eq!(b.net.out.len(), 2);
    // rsp_event still at 1: told once; a response beyond it, not asked for, is not told.
    assert!(b.world.guest_take(port));
    b.send(3, &plain(60), &[60], 0, &[]);
    assert!(!b.world.guest_take(port));
    for _ in 0..4 {
        b.world.guest_notify(port);
        b.settle();
    }
    assert!(b.back.rules().contains(Rule::NotifyUnasked(0)));
}

#[test]
fn id_in_flight_twice_is_noted() {
    let mut b = Bench::linux();
    b.put_frame(4, &plain(60), &[60], 0, &[]);
    b.put_frame(4, &plain(1000), &[1000], 0, &[]);
    b.back.set_response_mode(ResponseMode::Held);
    b.guest.push_tx(&mut b.world, 0);
    b.settle();
    assert_eq!(all(&b), [Rule::TxIdInUse(4)]);
}

#[test]
fn rate_limit_delays() {
    let mut config = Config::preset(Preset::Linux, 5, 0);
    config.rate = Some((1000, 50 * MS));
    let mut b = Bench::new(&config, &Plan::default());
    for id in 0..100 {
        b.put_frame(id, &plain(4000), &[4000], 0, &[]);
    }
    b.guest.push_tx(&mut b.world, 0);
    b.settle();
    assert_eq!(b.net.out.len(), 131_072 / 4000);
    b.advance(50);
    b.advance(50);
    b.advance(50);
    b.advance(50);
    assert_eq!(b.net.out.len(), 131_072 / 4000 + 1);
    assert!(all(&b).is_empty(), "{:?}", all(&b));
}
