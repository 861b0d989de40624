//! The control ring.

use crate::support::*;
use netback_model::{Attack, Config, FrameMeta, Preset, Rule, SharedPage, toeplitz};

const OK: (u32, u32) = (0, 0);
const UNSUPPORTED: (u32, u32) = (1, 0);
const INVALID: (u32, u32) = (2, 0);

fn bench(queues: u32) -> Bench {
    let plan = Plan {
        queues,
        ctrl: true,
        ..Plan::default()
    };
    Bench::with(Preset::Linux, &plan)
}

fn granted(b: &mut Bench, bytes: &[u8]) -> u32 {
    let page = Page::new();
    page.write(0, bytes);
    b.world.grant(&page, true)
}

fn queues(list: &[u32]) -> Vec<u8> {
    list.iter().flat_map(|q| q.to_le_bytes()).collect()
}

#[test]
fn order_and_limits_of_the_hash_messages() {
    let mut b = bench(2);
    assert_eq!(b.ctrl(1, [0; 3]), UNSUPPORTED);
    assert_eq!(b.ctrl(2, [15, 0, 0]), INVALID);
    assert_eq!(b.ctrl(7, [2, 0, 0]), INVALID);
    assert_eq!(b.ctrl(7, [1, 0, 0]), OK);
    assert_eq!(b.ctrl(1, [0; 3]), (0, 15));
    assert_eq!(b.ctrl(2, [16, 0, 0]), INVALID);
    assert_eq!(b.ctrl(2, [15, 0, 0]), OK);
    let key = granted(&mut b, &[0xAB; 40]);
    assert_eq!(b.ctrl(3, [key, 41, 0]), INVALID);
    assert_eq!(b.ctrl(3, [60_000, 40, 0]), INVALID);
    assert_eq!(b.ctrl(3, [key, 16, 0]), OK);
    assert_eq!(
        (b.back.hash_state().key[15], b.back.hash_state().key[16]),
        (0xAB, 0)
    );
    assert_eq!(b.ctrl(4, [0; 3]), (0, 128));
    assert_eq!(b.ctrl(5, [129, 0, 0]), INVALID);
    assert_eq!(b.ctrl(5, [4, 0, 0]), OK);
    let good = granted(&mut b, &queues(&[1, 0, 1]));
    let bad = granted(&mut b, &queues(&[0, 2]));
    assert_eq!(b.ctrl(6, [good, 3, 2]), INVALID);
    assert_eq!(b.ctrl(6, [good, u32::MAX, 2]), INVALID);
    assert_eq!(b.ctrl(6, [good, 3, 1]), OK);
    assert_eq!(b.ctrl(6, [bad, 2, 0]), INVALID);
    assert_eq!(b.back.hash_state().mapping[..5], [0, 1, 0, 1, 0]);
    for kind in [0, 8, 9, 10, 11] {
        assert_eq!(b.ctrl(kind, [0; 3]), UNSUPPORTED);
    }
    assert!(b.back.rules().is_empty(), "{:?}", b.back.rules());
}

#[test]
fn frames_follow_the_mapping_and_carry_the_hash() {
    let mut b = bench(2);
    let key = granted(&mut b, &[0x6D; 40]);
    let map = granted(&mut b, &queues(&[1; 128]));
    for (kind, data) in [
        (7, [1, 0, 0]),
        (2, [15, 0, 0]),
        (3, [key, 40, 0]),
        (5, [128, 0, 0]),
        (6, [map, 128, 0]),
    ] {
        assert_eq!(b.ctrl(kind, data), OK);
    }
    let frame = tcp4(4321, 10);
    b.receive(&frame, FrameMeta::default());
    let got = b.guest.queues[1].rx_responses();
    let hash = toeplitz(&[0x6D; 40], &frame[26..38]).to_le_bytes();
    assert_eq!(got[0].flags, 8);
    assert_eq!(got[1].bytes()[..4], [4, 0, 1, 1]);
    assert_eq!(got[1].bytes()[4..], hash);
    // What cannot be hashed goes by entry 0, without extra.
    b.receive(&plain(60), FrameMeta::default());
    assert_eq!(b.guest.queues[1].rx_responses().len(), 1);
}

#[test]
fn hash_state_survives_the_connection() {
    let mut b = bench(2);
    assert_eq!(b.ctrl(7, [1, 0, 0]), OK);
    assert_eq!(b.ctrl(2, [15, 0, 0]), OK);
    b.guest.set_state(&mut b.world, 1);
    b.settle();
    let plan = Plan {
        queues: 2,
        ..Plan::default()
    };
    netback_model::Store::rm(&mut b.world, "/local/domain/5/device/vif/0/ctrl-ring-ref");
    b.guest = Guest::connect(&mut b.world, &b.guest.dir, &plan);
    b.settle();
    assert_eq!(b.back.hash_state().algorithm, 1);
    // A frontend without control ring gets HASH extras all the same.
    b.receive(&tcp4(1, 10), FrameMeta::default());
    let got: Vec<RxResponse> = b
        .guest
        .queues
        .iter_mut()
        .flat_map(GuestQueue::rx_responses)
        .collect();
    assert_eq!((got.len(), got[0].flags), (2, 8));
}

#[test]
fn grants_stay_mapped_and_are_used() {
    let mut config = Config::preset(Preset::Linux, 5, 0);
    config.features.gref_mapping = 4;
    let mut b = Bench::new(
        &config,
        &Plan {
            ctrl: true,
            ..Plan::default()
        },
    );
    let before = b.world.mapped();
    assert_eq!(b.ctrl(8, [0; 3]), (0, 4));
    assert_eq!(b.ctrl(8, [1, 0, 0]), INVALID);
    let data = b.page();
    let entry = |gref: u32| [gref.to_le_bytes(), [1, 0, 0, 0]].concat();
    let list = Page::new();
    list.write(0, &[entry(data), entry(60_000)].concat());
    let list_ref = b.world.grant(&list, false);
    assert_eq!(b.ctrl(9, [0, list_ref, 2]), INVALID);
    assert_eq!(b.world.mapped(), before);
    assert_eq!(b.ctrl(9, [0, list_ref, 1]), OK);
    assert_eq!(
        (b.world.mapped(), b.back.persistent_grants(0)),
        (before + 1, 1)
    );
    // Known already; or too many.
    assert_eq!(b.ctrl(9, [0, list_ref, 1]), INVALID);
    let more: Vec<u8> = (0..4).flat_map(|_| entry(b.page())).collect();
    let more_ref = granted(&mut b, &more);
    assert_eq!(b.ctrl(9, [0, more_ref, 4]), INVALID);
    assert_eq!(b.world.mapped(), before + 1);
    b.send_raw(&[&slot(data, 0, 0, 1, 1000)]);
    assert_eq!(b.back.counters().tx_persistent_uses, 1);
    assert_eq!(b.guest.queues[0].tx_responses(), [(1, 0)]);
    assert_eq!(b.ctrl(10, [0, list_ref, 2]), (0, 1));
    assert_eq!(list.bytes(6, 2), [0, 0]);
    assert_eq!(list.bytes(14, 2), [2, 0]);
    assert_eq!(b.world.mapped(), before);
}

#[test]
fn control_tricks() {
    let mut b = bench(1);
    b.back.attack(Attack::CtrlStatus(77), 1);
    b.back.attack(Attack::CtrlData(u32::MAX), 1);
    assert_eq!(b.ctrl(4, [0; 3]), (77, u32::MAX));
    assert_eq!(b.ctrl(4, [0; 3]), (0, 128));
    b.back.attack(Attack::CtrlSilent, 1);
    let (ring, _) = b.guest.ctrl.as_mut().unwrap();
    ring.put(&[1 | 4 << 16, 0, 0, 0]);
    b.guest.push_ctrl(&mut b.world);
    b.settle();
    assert!(b.guest.ctrl.as_mut().unwrap().0.take::<3>().is_empty());
}

#[test]
fn overflow_and_unasked_keys_are_noted() {
    let mut b = bench(1);
    b.guest.ctrl.as_mut().unwrap().0.prod = 200;
    b.guest.push_ctrl(&mut b.world);
    b.settle();
    assert!(b.back.rules().contains(Rule::CtrlRingOverflow(200)));
    let plan = Plan {
        ctrl: true,
        split: false,
        ..Plan::default()
    };
    let b = Bench::with(Preset::Minimal, &plan);
    assert!(b.back.rules().contains(Rule::ConnectCtrlNotOffered));
}
