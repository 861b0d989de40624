//! The state machine: connecting, closing, connecting again.

use crate::support::*;
use netback_model::{Config, Netback, Preset, ResponseMode, Rule, Severity, Store, toolstack};

fn plan(keys: &[(&'static str, &'static str)]) -> Plan {
    let mut plan = Plan::default();
    plan.keys.extend_from_slice(keys);
    plan
}

#[test]
fn connects_and_gives_everything_back() {
    let mut b = Bench::linux();
    assert_eq!(b.back_state(), "4");
    assert_eq!(
        (b.back.queue_count(), b.world.mapped(), b.world.bound()),
        (1, 2, 2)
    );
    assert!(b.back.carrier());
    assert!(b.back.rules().is_empty(), "{:?}", b.back.rules());
    b.back.remove(&mut b.world);
    assert_eq!(
        (b.world.mapped(), b.world.bound(), b.world.watch_count()),
        (0, 0, 0)
    );
}

#[test]
fn connected_waits_for_the_hotplug_script() {
    let config = Config::preset(Preset::Linux, 5, 0);
    let mut world = World::default();
    toolstack::publish(&mut world, &config);
    let mut back = Netback::probe(&mut world, config.clone());
    let mut guest = Guest::connect(
        &mut world,
        &toolstack::frontend_dir(&config),
        &Plan::default(),
    );
    let mut net = Net::default();
    while back.poll(&mut world, &mut net, 0) {}
    let state = format!("{}/state", toolstack::backend_dir(&config));
    assert_eq!(
        (world.read(&state).as_deref(), back.queue_count()),
        (Some("2"), 1)
    );
    // Too early: works, but is noted.
    let gref = world.grant(&Page::new(), true);
    guest.queues[0].tx.put(&slot(gref, 0, 0, 1, 60));
    guest.push_tx(&mut world, 0);
    while back.poll(&mut world, &mut net, 0) {}
    assert!(back.rules().contains(Rule::TxBeforeConnected));
    toolstack::hotplug_done(&mut world, &config);
    while back.poll(&mut world, &mut net, 0) {}
    assert_eq!(world.read(&state).as_deref(), Some("4"));
}

#[test]
fn close_walks_to_closed_and_initialising_to_init_wait() {
    let mut b = Bench::linux();
    b.guest.set_state(&mut b.world, 5);
    b.settle();
    assert_eq!(
        (b.back_state().as_str(), b.world.mapped(), b.world.bound()),
        ("5", 0, 0)
    );
    b.guest.set_state(&mut b.world, 6);
    b.settle();
    assert_eq!(b.back_state(), "6");
    b.guest.set_state(&mut b.world, 1);
    b.settle();
    assert_eq!(b.back_state(), "2");
    b.guest = Guest::connect(&mut b.world, &b.guest.dir, &Plan::default());
    b.settle();
    assert_eq!(
        (b.back_state().as_str(), b.back.counters().connects),
        ("4", 2)
    );
    assert!(b.back.rules().is_empty(), "{:?}", b.back.rules());
}

#[test]
fn initialising_alone_leads_linux_through_all_states() {
    let mut b = Bench::linux();
    b.world.states.clear();
    b.guest.set_state(&mut b.world, 1);
    b.settle();
    let seen: Vec<&str> = b
        .world
        .states
        .iter()
        .skip(1)
        .map(|(_, s)| s.as_str())
        .collect();
    assert_eq!(seen, ["5", "6", "2"]);
}

#[test]
fn freebsd_stays_closed() {
    let mut b = Bench::with(
        Preset::FreeBsd,
        &Plan {
            split: false,
            ..Plan::default()
        },
    );
    for state in [5, 6, 1, 4] {
        b.guest.set_state(&mut b.world, state);
        b.settle();
    }
    assert_eq!(b.back_state(), "6");
}

#[test]
fn closed_and_offline_is_unplugged() {
    let mut b = Bench::linux();
    let config = b.back.config().clone();
    toolstack::unplug(&mut b.world, &config);
    b.settle();
    assert!(!b.back.gone());
    b.guest.set_state(&mut b.world, 6);
    b.settle();
    assert!(b.back.gone());
    assert_eq!(
        (b.world.mapped(), b.world.bound(), b.world.watch_count()),
        (0, 0, 0)
    );
}

#[test]
fn vanished_frontend_is_unplugged() {
    let mut b = Bench::linux();
    let config = b.back.config().clone();
    toolstack::withdraw(&mut b.world, &config);
    b.settle();
    assert!(b.back.gone());
    assert_eq!(b.world.mapped(), 0);
}

#[test]
fn held_pages_hold_up_the_close() {
    let mut b = Bench::linux();
    b.back.set_response_mode(ResponseMode::Held);
    b.send(1, &plain(1000), &[1000], 0, &[]);
    assert_eq!(b.world.mapped(), 3);
    b.guest.set_state(&mut b.world, 5);
    b.settle();
    assert_eq!(b.back_state(), "4");
    b.back.release(1);
    b.settle();
    assert_eq!(b.back_state(), "5");
    assert_eq!(
        (b.guest.queues[0].tx_responses(), b.world.mapped()),
        (vec![(1, 0)], 0)
    );
}

#[test]
fn multi_queue_with_shared_and_split_ports() {
    for split in [false, true] {
        let plan = Plan {
            queues: 4,
            split,
            ..Plan::default()
        };
        let b = Bench::with(Preset::Linux, &plan);
        assert_eq!(b.back.queue_count(), 4);
        assert_eq!(b.world.bound(), if split { 8 } else { 4 });
        assert!(b.back.carrier());
        assert!(b.back.rules().is_empty(), "{:?}", b.back.rules());
    }
}

#[test]
fn too_many_queues_fail_but_linux_still_says_connected() {
    let b = Bench::with(
        Preset::Linux,
        &Plan {
            queues: 9,
            ..Plan::default()
        },
    );
    assert!(b.back.rules().contains(Rule::ConnectQueues(9)));
    assert_eq!((b.back_state().as_str(), b.back.queue_count()), ("4", 0));
    assert!(
        b.world
            .nodes
            .contains_key("/local/domain/0/error/backend/vif/5/0/error")
    );
}

#[test]
fn bad_keys_fail_without_leak() {
    for (key, rule) in [
        ("tx-ring-ref", Rule::ConnectGrant(BAD_GREF)),
        ("rx-ring-ref", Rule::ConnectGrant(BAD_GREF)),
        ("event-channel-tx", Rule::ConnectPort(22)),
        ("event-channel-rx", Rule::ConnectPort(22)),
    ] {
        let b = Bench::with(Preset::Linux, &plan(&[(key, "60000")]));
        assert_eq!(
            b.back.rules().at_least(Severity::Connect).next(),
            Some(rule),
            "{key}"
        );
        assert_eq!((b.world.mapped(), b.world.bound()), (0, 0), "{key}");
    }
    let b = Bench::with(Preset::Linux, &plan(&[("tx-ring-ref", "-")]));
    assert!(b.back.rules().contains(Rule::ConnectKeys(0)));
    let b = Bench::with(
        Preset::Linux,
        &plan(&[("ctrl-ring-ref", "60000"), ("event-channel-ctrl", "1")]),
    );
    assert!(b.back.rules().contains(Rule::ConnectCtrl));
}

#[test]
fn missing_rx_copy_and_rx_notify_are_noted_and_the_drain_sticks() {
    let b = Bench::with(Preset::Linux, &plan(&[("request-rx-copy", "-")]));
    assert!(b.back.rules().contains(Rule::ConnectNoRxCopy));
    let mut b = Bench::with(
        Preset::Linux,
        &Plan {
            rx_posted: 0,
            ..plan(&[("feature-rx-notify", "-")])
        },
    );
    assert!(b.back.rules().contains(Rule::ConnectNoRxNotify));
    for round in 0..2 {
        b.receive(&plain(100), netback_model::FrameMeta::default());
        b.advance(31);
        assert_eq!(b.back.counters().rx_dropped_expired, round + 1);
        b.guest.set_state(&mut b.world, 1);
        b.settle();
        let honest = Plan {
            rx_posted: 0,
            ..Plan::default()
        };
        b.guest = Guest::connect(&mut b.world, &b.guest.dir, &honest);
        b.settle();
    }
}

#[test]
fn stale_keys_are_noted() {
    let b = Bench::with(Preset::Linux, &plan(&[("queue-0/tx-ring-ref", "9")]));
    assert!(b.back.rules().contains(Rule::ConnectStaleKeys));
}

#[test]
fn every_preset_connects_and_carries_a_frame_each_way() {
    for preset in Preset::ALL {
        let linux = matches!(preset, Preset::Linux | Preset::XcpNg);
        let mut b = Bench::with(
            preset,
            &Plan {
                split: linux,
                ..Plan::default()
            },
        );
        assert_eq!(b.back_state(), "4", "{preset:?}");
        assert!(b.back.carrier(), "{preset:?}");
        b.send(1, &plain(1514), &[1514], 0, &[]);
        assert_eq!(b.net.out.len(), 1, "{preset:?}");
        assert_eq!(b.guest.queues[0].tx_responses(), [(1, 0)], "{preset:?}");
        b.receive(&plain(1514), netback_model::FrameMeta::default());
        let got = b.guest.queues[0].rx_responses();
        assert_eq!(got[0].data(), plain(1514), "{preset:?}");
        assert_eq!(got[0].offset, if preset == Preset::Qemu { 2 } else { 0 });
        assert!(
            b.back.rules().is_empty(),
            "{preset:?}: {:?}",
            b.back.rules()
        );
    }
}

#[test]
fn rings_that_start_before_the_wrap_work() {
    let plan = Plan {
        start: u32::MAX - 2,
        ..Plan::default()
    };
    let mut b = Bench::with(Preset::Linux, &plan);
    for id in 0..10 {
        b.send(id, &plain(200), &[100, 100], 0, &[]);
        assert_eq!(b.guest.queues[0].tx_responses().len(), 2);
    }
    b.receive(&plain(60), netback_model::FrameMeta::default());
    assert_eq!(b.guest.queues[0].rx_responses().len(), 1);
    assert!(b.back.rules().is_empty(), "{:?}", b.back.rules());
}

#[test]
fn unknown_frontend_state_is_an_error() {
    for state in [2, 8, 99] {
        let mut b = Bench::linux();
        b.guest.set_state(&mut b.world, state);
        b.settle();
        assert!(b.back.rules().contains(Rule::StateUnexpected(state)));
        assert_eq!(b.back_state(), "5");
    }
}
