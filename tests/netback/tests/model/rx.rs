//! RX: frames into the guest's pages.

use crate::support::*;
use netback_model::{Config, FrameHash, FrameMeta, Gso, Preset, Rule, RxShape};
use xen_abi::netif::GsoType;

const GSO: FrameMeta = FrameMeta {
    csum_blank: true,
    data_validated: false,
    gso: Some(Gso {
        size: 1448,
        kind: GsoType::TCPV4,
    }),
    hash: None,
    queue: 0,
    shape: None,
};

fn plain_meta() -> FrameMeta {
    FrameMeta::default()
}

#[test]
fn one_slot() {
    let mut b = Bench::linux();
    b.receive(&plain(1514), plain_meta());
    assert!(b.world.guest_take(b.guest.queues[0].rx_port));
    let got = b.guest.queues[0].rx_responses();
    assert_eq!(got.len(), 1);
    assert_eq!(
        (got[0].id, got[0].offset, got[0].flags, got[0].status),
        (0, 0, 0, 1514)
    );
    assert_eq!(got[0].data(), plain(1514));
}

#[test]
fn slots_are_full_pages_and_more_data_ends() {
    let mut b = Bench::linux();
    b.receive(&plain(9014), plain_meta());
    let got = b.guest.queues[0].rx_responses();
    let shape: Vec<(u16, i16)> = got.iter().map(|r| (r.flags, r.status)).collect();
    assert_eq!(shape, [(4, 4096), (4, 4096), (0, 822)]);
    let data: Vec<u8> = got.iter().flat_map(RxResponse::data).collect();
    assert_eq!(data, plain(9014));
}

#[test]
fn extras_stand_after_the_first_slot() {
    let mut b = Bench::linux();
    let hash = Some(FrameHash {
        hash_type: 1,
        value: 0x1122_3344,
    });
    b.receive(&tcp4(1, 5000), FrameMeta { hash, ..GSO });
    let got = b.guest.queues[0].rx_responses();
    assert_eq!(got.len(), 4);
    assert_eq!((got[0].flags, got[0].status), (1 | 2 | 4 | 8, 4096));
    assert_eq!(got[1].bytes(), [1, 1, 0xA8, 5, 1, 0, 0, 0]);
    assert_eq!(got[2].bytes(), [4, 0, 1, 1, 0x44, 0x33, 0x22, 0x11]);
    assert_eq!((got[3].id, got[3].flags, got[3].status), (3, 0, 958));
}

#[test]
fn what_the_guest_did_not_ask_for_is_done_for_it() {
    // No GSO, no blank checksums: segments with whole checksums.
    let mut plan = Plan::default();
    plan.keys
        .extend([("feature-gso-tcpv4", "-"), ("feature-no-csum-offload", "1")]);
    let mut b = Bench::with(Preset::Linux, &plan);
    b.receive(&tcp4(1, 3000), GSO);
    let got = b.guest.queues[0].rx_responses();
    let sizes: Vec<i16> = got.iter().map(|r| r.status).collect();
    assert_eq!(sizes, [1502, 1502, 158]);
    assert!(got.iter().all(|r| r.flags == 1 && tcp4_verifies(&r.data())));
    let blank = FrameMeta { gso: None, ..GSO };
    b.receive(&tcp4(1, 10), blank);
    let got = b.guest.queues[0].rx_responses();
    assert!(got[0].flags == 1 && tcp4_verifies(&got[0].data()));
}

#[test]
fn without_sg_long_frames_are_lost() {
    let mut plan = Plan::default();
    plan.keys.push(("feature-sg", "-"));
    let mut b = Bench::with(Preset::Linux, &plan);
    b.receive(&plain(1515), plain_meta());
    assert_eq!(b.back.counters().rx_dropped_too_long, 1);
    assert!(b.guest.queues[0].rx_responses().is_empty());
}

#[test]
fn qemu_offset_limits_the_frame_and_sets_no_flag() {
    let plan = Plan {
        split: false,
        ..Plan::default()
    };
    let mut b = Bench::with(Preset::Qemu, &plan);
    b.receive(&plain(4095), plain_meta());
    b.receive(&plain(4094), plain_meta());
    b.receive(&tcp4(1, 10), FrameMeta { gso: None, ..GSO });
    let got = b.guest.queues[0].rx_responses();
    assert_eq!((got[0].offset, got[0].status), (2, 4094));
    assert!(got[1].flags == 0 && tcp4_verifies(&got[1].data()));
    assert_eq!(b.back.counters().rx_dropped_too_long, 1);
}

#[test]
fn mirage_sends_gso_without_flags() {
    let plan = Plan {
        split: false,
        ..Plan::default()
    };
    let mut b = Bench::with(Preset::Mirage, &plan);
    b.receive(&tcp4(1, 3000), GSO);
    let got = b.guest.queues[0].rx_responses();
    assert_eq!((got.len(), got[0].flags), (2, 8));
}

#[test]
fn frame_waits_for_enough_slots_and_arms_req_event() {
    let mut b = Bench::with(
        Preset::Linux,
        &Plan {
            rx_posted: 2,
            ..Plan::default()
        },
    );
    b.receive(&plain(9014), plain_meta());
    assert!(b.guest.queues[0].rx_responses().is_empty());
    // One more is enough, and the backend asked for it.
    b.guest.queues[0].post_rx(&mut b.world, 1);
    b.guest.push_rx(&mut b.world, 0);
    b.settle();
    assert_eq!(b.guest.queues[0].rx_responses().len(), 3);
    // Nothing waits: the next refill is not announced.
    b.guest.queues[0].post_rx(&mut b.world, 20);
    assert!(!b.guest.queues[0].rx.push());
    assert!(b.back.rules().is_empty(), "{:?}", b.back.rules());
}

#[test]
fn waiting_frames_expire_after_ten_seconds() {
    let mut b = Bench::with(
        Preset::Linux,
        &Plan {
            rx_posted: 0,
            ..Plan::default()
        },
    );
    b.receive(&plain(60), plain_meta());
    assert_eq!(b.back.next_deadline(), Some(10_000 * MS));
    b.advance(9_999);
    assert_eq!(b.back.counters().rx_dropped_expired, 0);
    b.advance(1);
    assert_eq!(b.back.counters().rx_dropped_expired, 1);
}

#[test]
fn starved_queue_takes_the_carrier_until_it_is_fed() {
    let plan = Plan {
        rx_posted: 0,
        ..Plan::default()
    };
    let mut b = Bench::with(Preset::Linux, &plan);
    for _ in 0..12 {
        b.receive(&plain(60), plain_meta());
        b.advance(5_000);
        assert!(b.back.carrier());
    }
    b.receive(&plain(60), plain_meta());
    b.advance(1_000);
    assert!(!b.back.carrier());
    assert_eq!(b.back.counters().carrier_off, 1);
    b.receive(&plain(60), plain_meta());
    assert_eq!(b.back.counters().rx_dropped_no_carrier, 1);
    b.guest.queues[0].post_rx(&mut b.world, 64);
    b.guest.push_rx(&mut b.world, 0);
    b.settle();
    assert!(b.back.carrier());
    assert!(!b.guest.queues[0].rx_responses().is_empty());
}

#[test]
fn a_full_idle_queue_does_not_take_the_carrier() {
    for preset in [Preset::Linux, Preset::XcpNg] {
        let mut b = Bench::with(
            preset,
            &Plan {
                queues: 2,
                ..Plan::default()
            },
        );
        for round in 0..30 {
            b.receive(&tcp4(1, 10), FrameMeta::default());
            b.advance(5_000);
            assert!(b.back.carrier(), "{preset:?} {round}");
        }
    }
}

#[test]
fn old_kernels_want_a_request_on_every_queue_before_the_carrier() {
    let plan = Plan {
        rx_posted: 0,
        ..Plan::default()
    };
    let mut b = Bench::with(Preset::XcpNg, &plan);
    assert!(!b.back.carrier());
    b.guest.queues[0].post_rx(&mut b.world, 1);
    b.guest.push_rx(&mut b.world, 0);
    b.settle();
    assert!(b.back.carrier());
}

#[test]
fn revoked_page_gives_a_grant_status() {
    let mut b = Bench::with(
        Preset::Linux,
        &Plan {
            rx_posted: 0,
            ..Plan::default()
        },
    );
    b.guest.queues[0].rx.put(&[0, 60_000]);
    b.guest.push_rx(&mut b.world, 0);
    b.receive(&plain(60), plain_meta());
    let got = b.guest.queues[0].rx_responses();
    assert_eq!(got[0].status, BAD_GREF);
    assert!(b.back.rules().contains(Rule::RxGrant(BAD_GREF)));
}

#[test]
fn overflow_stops_the_queue() {
    let mut b = Bench::linux();
    b.guest.queues[0].rx.prod = 300;
    b.guest.push_rx(&mut b.world, 0);
    b.receive(&plain(60), plain_meta());
    assert!(b.back.rules().contains(Rule::RxRingOverflow(300)));
    assert!(b.guest.queues[0].rx_responses().is_empty());
}

#[test]
fn full_backlog_drops() {
    let mut b = Bench::with(
        Preset::Linux,
        &Plan {
            rx_posted: 0,
            ..Plan::default()
        },
    );
    for _ in 0..10 {
        b.receive(&plain(65_000), plain_meta());
    }
    assert_eq!(b.back.counters().rx_dropped_queue_full, 1);
}

#[test]
fn multicast_filter_applies_when_asked_for() {
    let mut plan = Plan::default();
    plan.keys.push(("request-multicast-control", "1"));
    let mut b = Bench::with(Preset::Linux, &plan);
    let mut group = plain(60);
    group[..6].copy_from_slice(&[1, 0, 0x5E, 0, 0, 1]);
    b.receive(&group, plain_meta());
    assert_eq!(b.back.counters().rx_dropped_multicast, 1);
    b.send(0, &plain(20), &[20], 0, &[[2, 0, 1, 0, 0x5E, 0, 0, 1]]);
    b.receive(&group, plain_meta());
    b.receive(&plain(60), plain_meta());
    assert_eq!(b.guest.queues[0].rx_responses().len(), 2);
    // Taken back at run time.
    group[5] = 2;
    let key = format!("{}/request-multicast-control", b.guest.dir);
    netback_model::Store::write(&mut b.world, &key, "0");
    b.receive(&group, plain_meta());
    assert_eq!(b.guest.queues[0].rx_responses().len(), 1);
}

#[test]
fn carrier_key_follows() {
    let mut config = Config::preset(Preset::Linux, 5, 0);
    config.features.carrier_key = true;
    let mut b = Bench::new(&config, &Plan::default());
    let key = "/local/domain/0/backend/vif/5/0/carrier";
    assert_eq!(b.world.nodes[key], "1");
    b.guest.set_state(&mut b.world, 5);
    b.settle();
    assert_eq!(b.world.nodes[key], "0");
}

#[test]
fn deadlines_are_never_in_the_past_once_settled() {
    let plan = Plan {
        rx_posted: 0,
        ..Plan::default()
    };
    let mut b = Bench::with(Preset::Linux, &plan);
    for _ in 0..200 {
        b.receive(&plain(60), plain_meta());
        let Some(next) = b.back.next_deadline() else {
            // The carrier is off and nothing waits.
            b.advance(1);
            continue;
        };
        assert!(next > b.now);
        b.now = next;
        b.settle();
    }
    assert!(b.back.counters().carrier_off > 0);
}

#[test]
fn shaped_frames_are_whole_and_lie_anywhere() {
    let mut b = Bench::linux();
    let mut offsets = 0;
    for (seed, len) in (1..40).zip(
        [60, 300, 1514, 4097, 9014, 40_000, 65_000]
            .into_iter()
            .cycle(),
    ) {
        let shape = Some(RxShape {
            seed: seed * 0x9E37_79B9,
            checksum_flags: Some(1),
        });
        b.receive(
            &plain(len),
            FrameMeta {
                shape,
                ..plain_meta()
            },
        );
        let got = b.guest.queues[0].rx_responses();
        assert!(
            got.len() <= 18 && got[0].flags & 3 == 1,
            "{len}: {} slots",
            got.len()
        );
        offsets += got.iter().filter(|slot| slot.offset > 0).count();
        let data: Vec<u8> = got.iter().flat_map(RxResponse::data).collect();
        assert_eq!(data, plain(len), "{len}");
        b.guest.queues[0].post_rx(&mut b.world, u32::try_from(got.len()).unwrap());
        b.guest.push_rx(&mut b.world, 0);
    }
    assert!(offsets > 20, "{offsets} slots begin inside a page");
}
