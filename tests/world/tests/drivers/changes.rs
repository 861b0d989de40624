//! What goes on around a connection: power, rebalancing, detaching, stores that interfere, slow and dead backends.

use harness::ndis::DeviceState;
use harness::{FaultPlan, SECOND};
use netback_model::{Attack, Preset, ResponseMode};
use world::scenario::{PEER_MAC, connected, connected_small, exchange, guest_on};
use world::{Nobody, Peer, Stack, World};

const WINDOW: usize = 16 * 1024;

fn peer() -> Peer {
    Peer::new(Stack::new(PEER_MAC, 1, 1500, WINDOW, 7), None)
}

#[test]
fn transactions_that_others_interfere_with_are_tried_again() {
    for conflicts in 1..4 {
        let mut world = World::builder()
            .cpus(2)
            .seed(300 + u64::from(conflicts))
            .build();
        let peer = peer();
        world.add_vif(World::vif_config(Preset::Linux, 0), peer.clone());
        world.xen(|xen| xen.store.interfere(conflicts));
        world.boot();
        world.wait_connected(0);
        assert_eq!(
            world.xen(|xen| xen.store.counters().conflicts),
            u64::from(conflicts)
        );
        let mut guest = guest_on(world.interfaces()[0], 0, WINDOW);
        exchange(&mut world, &peer, &mut guest, 5001, 10_000);
        world.tear_down();
        world.assert_nothing_left();
    }
}

#[test]
fn slow_and_disordered_backends_carry_traffic() {
    let modes = [
        ResponseMode::Delayed(50_000),
        ResponseMode::Delayed(3_000_000),
        ResponseMode::Reordered(5),
    ];
    for (seed, mode) in (310..).zip(modes) {
        let mut world = World::builder().cpus(2).seed(seed).build();
        let peer = peer();
        let mut config = World::vif_config(Preset::Linux, 0);
        config.responses = mode;
        world.add_vif(config, peer.clone());
        world.boot();
        world.wait_connected(0);
        let mut guest = guest_on(world.interfaces()[0], 0, WINDOW);
        exchange(&mut world, &peer, &mut guest, 5001, 60_000);
        world.assert_clean();
        world.tear_down();
        world.assert_nothing_left();
    }
}

#[test]
fn a_network_card_that_slept_carries_traffic_again() {
    for seed in 320..324 {
        let (mut world, peer) =
            connected(World::builder().cpus(2).seed(seed), Preset::Linux, WINDOW);
        let device = world.interfaces()[0];
        for round in 0..2 {
            let mut guest = guest_on(device, 0, WINDOW);
            exchange(&mut world, &peer, &mut guest, 5001 + 2 * round, 20_000);
            for state in [DeviceState::D3, DeviceState::D0] {
                let done = world.protocol(device).set_power(state);
                assert_eq!(done, Ok(0), "{state:?}\n{}", world.story());
                world.settle();
            }
            world.wait_connected(0);
        }
        world.tear_down();
        world.assert_nothing_left();
    }
}

#[test]
fn the_bus_is_stopped_and_started_again() {
    for (seed, vector) in [(330, true), (331, false)] {
        let mut world = World::builder()
            .cpus(2)
            .seed(seed)
            .upcall_vector(vector)
            .build();
        world.boot();
        for _ in 0..3 {
            world.rebalance_bus();
            let watches = world.xen(|xen| xen.store.guest_watches());
            assert!(!watches.is_empty(), "{}", world.story());
        }
        let peer = peer();
        world.add_vif(World::vif_config(Preset::Linux, 0), peer.clone());
        world.settle();
        world.wait_connected(0);
        let mut guest = guest_on(world.interfaces()[0], 0, WINDOW);
        exchange(&mut world, &peer, &mut guest, 5001, 10_000);
        world.tear_down();
        world.assert_nothing_left();
    }
}

#[test]
fn a_detach_the_toolstack_asks_for_ends_closed() {
    let (mut world, peer) = connected(World::builder().cpus(2).seed(340), Preset::Linux, WINDOW);
    let mut guest = guest_on(world.interfaces()[0], 0, WINDOW);
    exchange(&mut world, &peer, &mut guest, 5001, 10_000);
    world.xen(|xen| xen.ask_detach(0));
    world.wait_for(30, "the frontend does not close", |xen| {
        xen.store
            .read("/local/domain/1/device/vif/0/state")
            .as_deref()
            == Some("6")
    });
    assert!(
        !world.protocol(world.interfaces()[0]).link().is_connected(),
        "{}",
        world.story()
    );
    world.xen(|xen| xen.destroy_vif(0));
    world.pass(SECOND);
    assert!(world.interfaces().is_empty(), "{}", world.story());
    world.tear_down();
    world.assert_nothing_left();
}

/// Memory may be short when somebody stops: what ends a watch or a transaction must not need any.
#[test]
fn whatever_call_of_the_stop_fails_everything_is_given_back() {
    for nth in 0.. {
        let builder = World::builder().cpus(2).seed(345);
        let (mut world, _) = connected_small(builder, 1, WINDOW);
        world.pass(3 * SECOND);
        world.expect_failures();
        world.harness().set_fault_plan(FaultPlan::Nth(nth));
        world.tear_down();
        world.assert_nothing_left();
        if world.harness().faults_made().is_empty() {
            assert!(nth > 5, "the stop has {nth} calls that may fail");
            break;
        }
    }
}

/// A backend that no longer looks at XenStore: start and stop end all the same, and the log says why.
#[test]
fn a_deaf_backend_hangs_nothing() {
    for seed in 350..353 {
        let mut world = World::builder().cpus(2).seed(seed).build();
        world.add_vif(World::vif_config(Preset::Linux, 0), Nobody::default());
        world.xen(|xen| {
            if let Some(vif) = xen.vifs.get_mut(&0) {
                vif.backend.attack(Attack::Deaf, u32::MAX);
            }
        });
        world.boot();
        // Longer than the driver waits for a backend to become Connected.
        world.pass(150 * SECOND);
        let device = world.interfaces()[0];
        assert!(
            !world.protocol(device).link().is_connected(),
            "{}",
            world.story()
        );
        let said = world
            .harness()
            .log()
            .iter()
            .any(|line| line.text.contains("netfront::connection"));
        assert!(said, "{}", world.story());
        world.tear_down();
        world.assert_nothing_left();
    }
}
