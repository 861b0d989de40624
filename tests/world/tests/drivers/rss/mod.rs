//! Receive-side scaling: hashes, processors, order; through changes of every kind.

mod at_once;
mod capture;
mod keywords;
mod queues;
mod support;

use netback_model::Attack;
use support::{Bench, Rng};
use world::flows::Kind;
use world::rss::{ALL_TYPES, KEY, NETIF_TYPES, Setting};

/// Random changes under traffic, with a backend that has a control ring.
fn changes(queues: u16, cpus: u32, group: u32, seed: u64, rounds: u32, ctrl_ring: bool) {
    let mut bench = Bench::new(queues, cpus, group, seed, ctrl_ring);
    let mut rng = Rng(seed);
    bench.set(&bench.random(&mut rng));
    for _ in 0..rounds {
        // Half of the frames are on their way when the change comes.
        let next = bench.change(&mut rng);
        bench.send(24, &mut rng);
        bench.set_under_way(&next);
        bench.send(24, &mut rng);
        bench.settle();
        bench.check_moving();
        bench.send(32, &mut rng);
        bench.settle();
        bench.check();
    }
    assert_eq!(bench.report().0.mismatches, 0, "{}", bench.world.story());
    bench.end();
}

#[test]
fn one_queue_and_many_processors() {
    changes(1, 8, 64, 500, 150, true);
}

#[test]
fn two_queues() {
    changes(2, 4, 64, 501, 190, true);
}

#[test]
fn four_queues_and_more_processors() {
    changes(4, 16, 64, 502, 200, true);
}

#[test]
fn eight_queues_on_two_groups() {
    changes(8, 16, 8, 503, 150, true);
}

#[test]
fn sixteen_queues_on_two_groups() {
    changes(16, 32, 16, 504, 120, true);
}

#[test]
fn thirty_two_queues_and_sixty_four_processors_in_two_groups() {
    changes(32, 64, 32, 505, 40, true);
}

#[test]
fn a_backend_without_control_ring() {
    changes(4, 16, 8, 506, 150, false);
}

/// The driver's hash, the model backend's and the definition's are the same for every kind of frame.
#[test]
fn every_hash_is_the_backends() {
    let mut bench = Bench::new(4, 4, 64, 510, true);
    bench.set(&bench.plain(NETIF_TYPES));
    let mut rng = Rng(510);
    bench.send(600, &mut rng);
    bench.settle();
    let hash = bench
        .world
        .xen(|xen| xen.vifs[&0].backend.hash_state().clone());
    assert_eq!((hash.algorithm, hash.key), (1, KEY));
    let mut hashed = 0;
    for frame in bench.received() {
        let told = frame.slot(ndis_sys::NetBufferListHashInfo) & 0xFF != 0;
        let value = frame.slot(ndis_sys::NetBufferListHashValue);
        let theirs = hash.hash(&frame.bytes).map(|hash| u64::from(hash.value));
        assert_eq!(told.then_some(value), theirs, "{:02x?}", &frame.bytes[..60]);
        hashed += u32::from(told);
    }
    assert!(hashed > 500, "{hashed}");
    let (hash, queues) = bench.report();
    assert_eq!((hash.mismatches, hash.negotiated), (0, NETIF_TYPES));
    assert!(hash.from_backend > 100, "{hash:?}");
    assert!(
        queues.iter().all(|queue| queue.rx_frames > 20),
        "{queues:?}"
    );
    bench.end();
}

/// Types the backend does not know are hashed by the driver, while the backend spreads by those it does.
#[test]
fn types_no_backend_knows_are_hashed_here() {
    let mut bench = Bench::new(4, 4, 64, 511, true);
    bench.set(&bench.plain(ALL_TYPES));
    let mut rng = Rng(511);
    bench.send(300, &mut rng);
    bench.settle();
    bench.check();
    bench.end();
}

/// A backend that tells wrong hashes: frames go where the right ones say, and the log has it.
#[test]
fn a_backend_that_tells_wrong_hashes_is_found_out() {
    let mut bench = Bench::new(4, 4, 64, 512, true);
    bench.set(&bench.plain(NETIF_TYPES));
    let mut rng = Rng(512);
    bench.send(200, &mut rng);
    bench.settle();
    bench.check();
    bench.lie = true;
    for _ in 0..24 {
        bench.send(100, &mut rng);
        bench.settle();
    }
    bench.world.pass(3 * harness::SECOND);
    let (hash, _) = bench.report();
    assert!(hash.mismatches >= 8, "{hash:?}");
    assert!(bench.logged("wrong hashes"), "{}", bench.world.story());
    let before = hash;
    let _ = bench.received();
    bench.forget();
    bench.send(200, &mut rng);
    bench.settle();
    bench.check();
    assert_eq!(
        bench.report().0.mismatches,
        before.mismatches,
        "not believed any more"
    );
    bench.end();
}

#[test]
fn tables_of_every_size_are_accepted_and_used() {
    let mut bench = Bench::new(4, 8, 64, 513, true);
    let mut rng = Rng(513);
    for entries in [2, 4, 8, 16, 32, 64, 128] {
        let mut setting = bench.random(&mut rng);
        setting.table = (0..entries)
            .map(|at| (0, u8::try_from(at % 8).unwrap()))
            .collect();
        bench.set(&setting);
        bench.send(48, &mut rng);
        bench.settle();
        bench.check();
    }
    bench.end();
}

/// Live updates of the table alone: no reset of the backend's hash state, no frame lost.
#[test]
fn a_new_table_alone_is_one_message() {
    let mut bench = Bench::new(4, 4, 64, 514, true);
    let mut setting = bench.plain(NETIF_TYPES);
    bench.set(&setting);
    let requests = |bench: &Bench| {
        bench
            .world
            .xen(|xen| xen.vifs[&0].backend.counters().ctrl_requests)
    };
    let mut rng = Rng(514);
    for _ in 0..10 {
        let before = requests(&bench);
        setting.table.rotate_left(1);
        // A different set of entries for each processor; the processors stay.
        setting.flags = 0;
        bench.send(24, &mut rng);
        bench.set_under_way(&setting);
        bench.send(24, &mut rng);
        bench.settle();
        bench.check_moving();
        assert_eq!(requests(&bench) - before, 1, "{}", bench.world.story());
    }
    bench.end();
}

#[test]
fn scaling_is_switched_off_in_three_ways() {
    // A flag.
    let mut bench = Bench::new(4, 4, 64, 515, true);
    let on = bench.plain(NETIF_TYPES);
    for off in [
        Setting {
            flags: 0x10,
            ..on.clone()
        },
        Setting {
            types: 0,
            ..on.clone()
        },
    ] {
        bench.set(&on);
        let mut bytes = off.bytes();
        if off.types == 0 {
            // No function: byte 8 of HashInformation.
            bytes[8] = 0;
        }
        assert_eq!(bench.set_bytes(bytes), 0);
        bench.now_off();
        bench.settle();
        let mut rng = Rng(515);
        bench.send(100, &mut rng);
        bench.settle();
        bench.check();
        let algorithm = bench
            .world
            .xen(|xen| xen.vifs[&0].backend.hash_state().algorithm);
        assert_eq!(algorithm, 0, "the backend hashes still");
    }
    bench.end();
    // A keyword: no capabilities, sets fail, no hash.
    let mut bench = Bench::with_keywords(4, 4, 64, 516, true, &[("*RSS", "0")]);
    let attributes = bench.protocol().attributes();
    let general = attributes.general.expect("general attributes");
    assert!(general.rss.is_none(), "{general:?}");
    assert_ne!(bench.set_bytes(on.bytes()), 0);
    let mut rng = Rng(516);
    bench.send(100, &mut rng);
    bench.settle();
    bench.check();
    bench.end();
}

/// What is refused changes nothing: the earlier parameters stay in force.
#[test]
fn wrong_parameters_are_refused_and_change_nothing() {
    let mut bench = Bench::new(4, 4, 64, 517, true);
    let good = bench.plain(ALL_TYPES);
    // Nothing to keep yet.
    for flags in [2, 4, 8, 14] {
        let setting = Setting {
            flags,
            ..good.clone()
        };
        assert_ne!(bench.set_bytes(setting.bytes()), 0, "unchanged {flags}");
    }
    bench.set(&good);
    let mut rng = Rng(517);
    for (what, wrong) in support::wrong_settings(&good) {
        let status = bench.set_bytes(wrong);
        assert_ne!(status, 0, "{what} is accepted");
        bench.send(16, &mut rng);
        bench.settle();
        bench.check();
    }
    // And unchanged fields are kept, when there is something to keep.
    let mut kept = good.clone();
    kept.flags = 2 | 8;
    kept.types = 0;
    kept.key = [0; 40];
    kept.table.rotate_left(3);
    assert_eq!(bench.set_bytes(kept.bytes()), 0);
    bench.now(&Setting {
        table: kept.table,
        ..good
    });
    bench.settle();
    bench.send(48, &mut rng);
    bench.settle();
    bench.check();
    bench.end();
}

/// `OID_GEN_RECEIVE_HASH`: hashes without scaling; one or the other.
#[test]
fn hashing_alone_excludes_scaling() {
    let mut bench = Bench::new(4, 4, 64, 518, true);
    let scaling = bench.plain(ALL_TYPES);
    assert_eq!(bench.set_hash(ALL_TYPES, Some(KEY)), 0);
    assert_ne!(
        bench.set_bytes(scaling.bytes()),
        0,
        "scaling beside hashing"
    );
    bench.now_hashing(ALL_TYPES);
    bench.settle();
    let mut rng = Rng(518);
    bench.send(200, &mut rng);
    bench.settle();
    bench.check();
    assert_eq!(bench.set_hash(0, None), 0);
    bench.now_off();
    bench.settle();
    bench.send(100, &mut rng);
    bench.settle();
    bench.check();
    bench.set(&scaling);
    assert_ne!(
        bench.set_hash(ALL_TYPES, Some(KEY)),
        0,
        "hashing beside scaling"
    );
    bench.send(100, &mut rng);
    bench.settle();
    bench.check();
    bench.end();
}

/// The control ring fails in every way: software does the work, the log says why, traffic goes on.
#[test]
fn a_control_ring_that_fails_stops_nothing() {
    let attacks = [
        Attack::CtrlSilent,
        Attack::CtrlId(0x7777),
        Attack::CtrlType(5),
        Attack::CtrlStatus(1),
        Attack::CtrlStatus(2),
        Attack::CtrlStatus(3),
        Attack::CtrlStatus(0xFFFF_FFFF),
        Attack::CtrlData(0),
        Attack::CtrlData(3),
    ];
    for (seed, attack) in (520..).zip(attacks) {
        let mut bench = Bench::new(2, 4, 64, seed, true);
        bench.attack(attack);
        let mut rng = Rng(seed);
        let setting = bench.plain(NETIF_TYPES);
        bench.set_under_way(&setting);
        for _ in 0..12 {
            // Longer than the driver waits for an answer.
            bench.world.pass(harness::SECOND);
            bench.send(16, &mut rng);
            bench.settle();
            bench.check_moving();
        }
        bench.send(48, &mut rng);
        bench.settle();
        bench.check();
        let said = ["of no use", "does not hash", "the backend hashes"];
        assert!(
            said.iter().any(|line| bench.logged(line)),
            "{attack:?}\n{}",
            bench.world.story()
        );
        bench.end_hostile();
    }
}

/// Each request is refused in turn, from the `n`th answer on.
#[test]
fn every_message_can_be_refused() {
    for (seed, skip) in (540..).zip(0..6) {
        let mut bench = Bench::new(2, 4, 64, seed, true);
        let mut rng = Rng(seed);
        bench.refuse_after(skip);
        let setting = bench.plain(NETIF_TYPES);
        bench.set_under_way(&setting);
        bench.settle();
        bench.send(64, &mut rng);
        bench.settle();
        bench.check();
        bench.end_hostile();
    }
}

/// Answers that take 2 s each: below the limit, so the backend hashes in the end; frames flow all the time.
#[test]
fn a_slow_control_ring_is_waited_for() {
    let mut bench = Bench::new(2, 4, 64, 570, true);
    bench.delay_control(2_000_000_000);
    let setting = bench.plain(NETIF_TYPES);
    bench.set_under_way(&setting);
    let mut rng = Rng(570);
    for _ in 0..20 {
        bench.world.pass(harness::SECOND);
        bench.send(16, &mut rng);
        bench.settle();
        bench.check_moving();
    }
    assert_eq!(
        bench.report().0.negotiated,
        NETIF_TYPES,
        "{}",
        bench.world.story()
    );
    bench.send(64, &mut rng);
    bench.settle();
    bench.check();
    bench.end_hostile();
}

/// `NdisGetRssProcessorInformation` and the keywords it follows decide where queues live and how many there are.
#[test]
fn the_rss_keywords_decide_processors_and_queues() {
    let keywords = [
        ("*RssBaseProcGroup", "1"),
        ("*RssBaseProcNumber", "2"),
        ("*RssMaxProcGroup", "1"),
        ("*RssMaxProcNumber", "7"),
        ("*MaxRssProcessors", "3"),
    ];
    // Each seed gives the answer another offset and stride.
    for seed in 550..558 {
        let bench = Bench::with_keywords(8, 16, 8, seed, true, &keywords);
        let (_, queues) = bench.report();
        let processors: Vec<u32> = queues.iter().map(|queue| queue.processor).collect();
        assert_eq!(processors, [10, 11, 12], "{}", bench.world.story());
        bench.end();
    }
    let bench = Bench::with_keywords(8, 16, 8, 559, true, &[("*NumRssQueues", "5")]);
    assert_eq!(bench.report().1.len(), 5);
    bench.end();
}

/// Frames of one flow stay together when only one kind is there.
#[test]
fn frames_without_a_hash_go_to_the_default_processor() {
    let mut bench = Bench::new(2, 4, 64, 560, true);
    let mut setting = bench.plain(ALL_TYPES);
    setting.default = (0, 3);
    bench.set(&setting);
    bench.only(Kind::Raw);
    let mut rng = Rng(560);
    bench.send(64, &mut rng);
    bench.settle();
    bench.check();
    bench.end();
}

/// Frames of one queue take locks that frames of no other queue take, and none in the same cache line. (That nothing else is
/// shared is a matter of types: a queue has cache lines of its own, which the driver asserts when it is built.)
#[test]
fn queues_share_no_lock_and_no_cache_line_of_one() {
    let mut bench = Bench::new(4, 4, 64, 581, true);
    bench
        .protocol()
        .set_receive_policy(harness::ndis::ReceivePolicy::Inside);
    bench.set(&bench.plain(NETIF_TYPES));
    bench.settle();
    let mut seen: Vec<(u32, std::collections::BTreeSet<usize>)> = Vec::new();
    for cpu in 0..4 {
        let mut flows = bench.flows_of(cpu);
        // A backend does not look behind a tag: such frames come on queue 0, and are handed over.
        flows.retain(|flow| bench.kind(*flow) != Kind::Tcp4Tagged);
        assert!(!flows.is_empty());
        bench.world.harness().begin_noting_locks();
        bench.send_flows(&flows, 20);
        bench.transmit(&flows, 0, 5);
        bench.world.settle();
        let locks = bench.world.harness().take_noted_locks();
        let lines = locks.iter().map(|lock| lock / 64).collect();
        assert!(locks.len() >= 2, "both directions have one: {locks:x?}");
        seen.push((cpu, lines));
    }
    bench.settle();
    bench.check();
    for (one, lines) in &seen {
        for (other, others) in seen.iter().filter(|(other, _)| other != one) {
            let shared: Vec<_> = lines.intersection(others).collect();
            assert!(
                shared.is_empty(),
                "queues {one} and {other} share {shared:x?}"
            );
        }
    }
    bench.end();
}

/// Frames from the guest: each flow on the queue its hash names, with a HASH extra, and in order while tables change and the
/// backend is slow.
#[test]
fn sent_flows_stay_in_order_while_the_table_changes() {
    use netback_model::ResponseMode;
    for (seed, mode) in [
        (590, ResponseMode::Immediate),
        (591, ResponseMode::Delayed(2_000_000)),
        (592, ResponseMode::Reordered(7)),
    ] {
        let mut bench = Bench::new(4, 8, 64, seed, true);
        bench.world.xen(|xen| {
            if let Some(vif) = xen.vifs.get_mut(&0) {
                vif.backend.set_response_mode(mode);
            }
        });
        let mut setting = bench.plain(NETIF_TYPES);
        bench.set(&setting);
        let flows: Vec<usize> = (0..8).flat_map(|cpu| bench.flows_of(cpu)).collect();
        let mut rng = Rng(seed);
        let mut number = 0;
        for _ in 0..20 {
            bench.transmit(&flows, number, 3);
            let entries = setting.table.len();
            setting.table.rotate_left(1 + rng.below(entries - 1));
            bench.set_under_way(&setting);
            bench.transmit(&flows, number + 3, 3);
            number += 6;
        }
        bench.world.pass(2 * harness::SECOND);
        bench.settle();
        let arrived = bench.arrived();
        assert_eq!(
            arrived.len(),
            flows.len() * number as usize,
            "{}",
            bench.world.story()
        );
        let mut next = std::collections::BTreeMap::new();
        let mut hashes = 0;
        for (flow, got, meta) in arrived {
            let due = next.entry(flow).or_insert(0);
            assert_eq!(got, *due, "flow {flow}, {mode:?}");
            *due += 1;
            hashes += u32::from(meta.hash.is_some());
        }
        assert!(hashes > 0, "no HASH extra");
        let queues = bench.report().1;
        assert!(queues.iter().all(|queue| queue.tx_frames > 0), "{queues:?}");
        bench.end();
    }
}
