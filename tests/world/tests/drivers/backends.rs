//! Backends as they are in the field (netif-and-backends.md, section 5), and backends that are stuck, slow, vanish
//! or come back as another: a connection or a time limit with a line in the log, never a hang.

use harness::SECOND;
use netback_model::{Attack, Config, Features, Preset, Reconnect};
use world::scenario::{PEER_MAC, connected_small, exchange, few_buffers, guest_on};
use world::{Peer, Stack, World};

const WINDOW: usize = 16 * 1024;
/// Where the backend of the only interface shows its state.
const STATE: &str = "/local/domain/0/backend/vif/1/0/state";

fn peer() -> Peer {
    Peer::new(Stack::new(PEER_MAC, 1, 1500, WINDOW, 7), None)
}

fn small(seed: u64, queues: u32) -> World {
    let world = World::builder().cpus(2).seed(seed).build();
    few_buffers(&world, queues);
    world
}

fn carries(world: &mut World, peer: &Peer, port: u16) {
    peer.stack(Stack::forget_streams);
    let mut guest = guest_on(world.interfaces()[0], 0, WINDOW);
    exchange(world, peer, &mut guest, port, 20_000);
}

fn ends(mut world: World) {
    world.assert_clean();
    world.tear_down();
    world.assert_nothing_left();
}

fn with_features(features: Features) -> Config {
    Config {
        features,
        ..World::vif_config(Preset::Linux, 0)
    }
}

/// Lines of the log that hold `text`.
fn said(world: &World, text: &str) -> usize {
    let log = world.harness().log();
    log.iter().filter(|line| line.text.contains(text)).count()
}

/// Turns one feature of a backend on or off.
type Switch = fn(&mut Features, bool);

/// Every row of the table, alone and missing from a backend that has all others.
#[test]
fn each_feature_alone_and_each_one_missing_connects_and_carries_data() {
    let switches: [(&str, Switch); 12] = [
        ("rx-flip", |f, on| f.rx_flip_key = on),
        ("sg", |f, on| f.sg = on),
        ("gso-tcpv4", |f, on| f.gso_tcpv4 = on),
        ("gso-tcpv6", |f, on| f.gso_tcpv6 = on),
        ("no-csum-offload", |f, on| f.no_csum_offload = on),
        ("ipv6-csum-offload", |f, on| f.ipv6_csum_offload = on),
        ("multicast-control", |f, on| f.multicast_control = on),
        ("dynamic-multicast-control", |f, on| {
            f.dynamic_multicast_control = on;
        }),
        ("split-event-channels", |f, on| f.split_event_channels = on),
        ("multi-queue", |f, on| f.max_queues = if on { 2 } else { 0 }),
        ("ctrl-ring", |f, on| f.ctrl_ring = on),
        ("xdp-headroom", |f, on| f.xdp_headroom = on),
    ];
    let mut seed = 700;
    for (name, switch) in switches {
        for (base, on) in [(Features::MINIMAL, true), (Features::LINUX, false)] {
            let mut features = base;
            switch(&mut features, on);
            seed += 1;
            let mut world = small(seed, 2);
            let peer = peer();
            world.add_vif(with_features(features), peer.clone());
            world.boot();
            world.wait_connected(0);
            let queues = world.xen(|xen| xen.vifs[&0].backend.queue_count());
            let expected = if features.max_queues >= 2 { 2 } else { 1 };
            assert_eq!(queues, expected, "{name} {on}\n{}", world.story());
            carries(&mut world, &peer, 5001);
            ends(world);
        }
    }
}

/// QEMU: data two bytes into the page, no flags, one slot; and the backend with no optional key.
#[test]
fn every_kind_of_backend_carries_data_with_few_and_with_many_queues_asked_for() {
    for (seed, preset) in (730..).zip(Preset::ALL) {
        for queues in [1, 2] {
            let mut world = small(seed + 100 * u64::from(queues), queues);
            let peer = peer();
            world.add_vif(World::vif_config(preset, 0), peer.clone());
            world.boot();
            world.wait_connected(0);
            carries(&mut world, &peer, 5001);
            ends(world);
        }
    }
}

/// The carrier key of the protocol's text, which no backend is known to write.
#[test]
fn a_backend_with_a_carrier_key_connects() {
    let mut world = small(745, 1);
    let peer = peer();
    world.add_vif(
        with_features(Features {
            carrier_key: true,
            ..Features::LINUX
        }),
        peer.clone(),
    );
    world.boot();
    world.wait_connected(0);
    carries(&mut world, &peer, 5001);
    ends(world);
}

/// A backend that shows one state for ever, from before the start on. Start, stop and unload end; unless the state is
/// one in which nothing is wrong, the log says what was waited for.
#[test]
fn a_backend_stuck_in_any_state_at_start_hangs_nothing() {
    for state in 0..=9_u32 {
        let mut world = small(750 + u64::from(state), 1);
        world.add_vif(World::vif_config(Preset::Linux, 0), peer());
        world.xen(|xen| {
            let vif = xen.vifs.get_mut(&0).expect("just added");
            vif.backend.attack(Attack::Deaf, u32::MAX);
            xen.store.write(STATE, &state.to_string());
        });
        world.boot();
        // Longer than any of the driver's limits.
        world.pass(200 * SECOND);
        let device = world.interfaces()[0];
        assert!(
            !world.protocol(device).link().is_connected() || state == 4,
            "{}",
            world.story()
        );
        assert!(
            said(&world, "Timeout") + said(&world, "NoBackend") + said(&world, "BackendClosed") > 0,
            "state {state}\n{}",
            world.story()
        );
        world.tear_down();
        world.assert_nothing_left();
    }
}

/// As above, from the moment on at which the interface is to stop.
#[test]
fn a_backend_stuck_in_any_state_at_stop_hangs_nothing() {
    for state in 0..=9_u32 {
        let builder = World::builder().cpus(2).seed(770 + u64::from(state));
        let (mut world, peer) = connected_small(builder, 1, WINDOW);
        carries(&mut world, &peer, 5001);
        world.xen(|xen| {
            let vif = xen.vifs.get_mut(&0).expect("still there");
            vif.backend.attack(Attack::Deaf, u32::MAX);
            xen.store.write(STATE, &state.to_string());
        });
        world.tear_down();
        // It has the rings mapped and will not let go: their pages are lost on purpose, which the log says, and
        // nothing else is.
        let log = world.harness().log();
        let kept: usize = log
            .iter()
            .filter_map(|line| {
                line.text
                    .split_once("the backend keeps ")?
                    .1
                    .split_once(' ')
            })
            .filter(|(_, what)| *what == "grants; their pages are lost")
            .filter_map(|(count, _)| count.parse::<usize>().ok())
            .sum();
        assert!(kept > 0, "state {state}\n{}", world.story());
        // A ring is a page and the block that counts its owners.
        let ring = "4096 bytes of XNet, 48 bytes of XNet";
        let rings = vec![ring; kept].join(", ");
        let lost = format!(
            "leak: netfront.sys leaves {} pool blocks: {rings}",
            2 * kept
        );
        let found: Vec<String> = world
            .harness()
            .violations()
            .iter()
            .map(|violation| format!("{}: {}", violation.rule.id, violation.detail))
            .collect();
        assert_eq!(found, [lost], "state {state}");
    }
}

/// The backend goes to each state by itself while data flows, then is as before: the driver follows or waits, and
/// carries data again.
#[test]
fn a_backend_that_changes_its_state_at_any_moment_is_followed() {
    for state in [0, 1, 2, 3, 5, 6, 7, 8, 77] {
        let builder = World::builder().cpus(2).seed(790 + state);
        let (mut world, peer) = connected_small(builder, 1, WINDOW);
        carries(&mut world, &peer, 5001);
        world.xen(|xen| {
            let vif = xen.vifs.get_mut(&0).expect("still there");
            let state = u32::try_from(state).expect("small");
            vif.backend.attack(Attack::State(state), 1);
        });
        world.pass(5 * SECOND);
        world.tear_down();
        let violations = world.harness().violations();
        let (faults, leaks) = world.xen(|xen| (xen.faults.clone(), xen.leaks()));
        assert!(
            violations.is_empty()
                && faults.is_empty()
                && leaks.ports.is_empty()
                && leaks.grants.is_empty(),
            "state {state}: {leaks:?}\n{}",
            world.story()
        );
    }
}

/// The driver domain restarts: the backend vanishes and comes back, each time as another.
#[test]
fn a_backend_that_comes_back_as_another_is_connected_to() {
    let builder = World::builder().cpus(2).seed(800);
    let (mut world, first) = connected_small(builder, 2, WINDOW);
    carries(&mut world, &first, 5001);
    for (round, preset) in (1_u16..).zip([
        Preset::Qemu,
        Preset::Linux,
        Preset::Minimal,
        Preset::XcpNg,
        Preset::Mirage,
    ]) {
        world.xen(|xen| xen.destroy_vif(0));
        if round % 2 == 0 {
            world.pass(3 * SECOND);
        }
        let peer = peer();
        world.add_vif(World::vif_config(preset, 0), peer.clone());
        world.pass(3 * SECOND);
        world.wait_connected(0);
        carries(&mut world, &peer, 5001 + 4 * round);
    }
    ends(world);
}

/// The directory goes while the driver connects, at several moments.
#[test]
fn a_backend_that_vanishes_while_the_driver_connects_hangs_nothing() {
    for moment in 0..12_u64 {
        let mut world = small(820 + moment, 1);
        world.add_vif(World::vif_config(Preset::Linux, 0), peer());
        world.enter_drivers();
        world.plug_bus();
        let at = world.harness().now() + moment * 50;
        world.at(at, |xen| {
            xen.destroy_vif(0);
        });
        world.try_start_all();
        world.pass(200 * SECOND);
        world.tear_down();
        world.assert_nothing_left();
    }
}

/// FreeBSD and NetBSD do not come back from Closed by themselves: a stop and a start end in a time limit.
#[test]
fn a_backend_that_never_reconnects_costs_time_and_no_more() {
    let mut world = small(840, 1);
    let peer = peer();
    let config = Config {
        reconnect: Reconnect::Never,
        ..World::vif_config(Preset::FreeBsd, 0)
    };
    world.add_vif(config, peer.clone());
    world.boot();
    world.wait_connected(0);
    carries(&mut world, &peer, 5001);
    let device = world.interfaces()[0];
    world.disable_interface(device);
    world.enable_interface(device);
    world.pass(200 * SECOND);
    assert!(said(&world, "Timeout") > 0, "{}", world.story());
    ends(world);
}

/// netback that is loaded again takes a frontend that shows Connected for its own: if it allows fewer queues than the
/// frontend has, it says so, serves none, and shows Connected. What it showed in between nobody may have seen. A guest
/// that only waits for frames would wait for ever.
#[test]
fn a_backend_that_allows_fewer_queues_than_are_in_use_is_connected_anew() {
    let builder = World::builder().cpus(4).seed(7900);
    let (mut world, peer) = connected_small(builder, 4, WINDOW);
    carries(&mut world, &peer, 5001);
    world.xen(|xen| {
        let limit = "/local/domain/0/backend/vif/1/0/multi-queue-max-queues";
        xen.store.write(limit, "1");
        xen.store.write(STATE, "4");
    });
    world.wait_for(30, "there is still more than one queue", |xen| {
        let vif = xen.vifs.get(&0);
        vif.is_some_and(|vif| vif.backend.queue_count() == 1)
    });
    world.wait_connected(0);
    world.settle();
    carries(&mut world, &peer, 5003);
    ends(world);
}
