//! The stacks that real Xen's cases run on interfaces that come and go, here on the simulated one.

use cases::{Change, Interfaces, Ipv4Address, Plan, Shape};
use netback_model::Preset;
use world::scenario::PEER_MAC;
use world::{Peer, Stack, World};

const PEER: Ipv4Address = Ipv4Address::new(10, 0, 0, 1);

fn plan() -> Plan {
    Plan {
        peer: PEER,
        bytes: 40_000,
        connections: 2,
        seed: 3,
        seconds: 60,
    }
}

/// Adds interface `handle`, behind which a server for many transfers is.
fn add(world: &World, handle: u32) {
    let mut stack = Stack::new(PEER_MAC, 1, 1500, 16 * 1024, 7);
    stack.serve(60, 5);
    world.add_vif(
        World::vif_config(Preset::Linux, handle),
        Peer::new(stack, None),
    );
}

/// Lets the stacks work until `wanted` is the next change.
fn wait(world: &mut World, all: &mut Interfaces, wanted: Change) {
    let seen = all.try_run(world, 60, |all, _| all.has_changes());
    assert!(seen, "no change: {}\n{}", all.state(), world.story());
    assert_eq!(all.next_change(), Some(wanted));
}

#[test]
fn interfaces_carry_traffic_while_others_come_and_go() {
    let mut world = World::builder().cpus(2).seed(70).build();
    add(&world, 0);
    world.boot();
    let mut all = Interfaces::new(Shape {
        ip: Ipv4Address::new(10, 0, 0, 2),
        peer: PEER,
        mtu: 1500,
        window: 16 * 1024,
        seed: 4,
    });
    wait(
        &mut world,
        &mut all,
        Change::Up {
            vif: 0,
            first: true,
        },
    );
    all.set_background(true);
    let moved = all.transfer(&mut world, &plan()).expect("one interface");
    assert_eq!((moved.sent, moved.received), (40_000, 40_000));

    add(&world, 1);
    wait(
        &mut world,
        &mut all,
        Change::Up {
            vif: 1,
            first: true,
        },
    );
    let moved = all.transfer(&mut world, &plan()).expect("two interfaces");
    assert_eq!((moved.sent, moved.received), (80_000, 80_000));
    // Little transfers go on by themselves.
    let rounds = all.try_run(&mut world, 60, |all, _| all.all().all(|one| one.rounds > 1));
    assert!(rounds, "{}", all.state());

    world.xen(|xen| xen.ask_detach(1));
    wait(&mut world, &mut all, Change::Down { vif: 1 });
    world.xen(|xen| xen.destroy_vif(1));
    wait(&mut world, &mut all, Change::Gone { vif: 1 });
    let moved = all.transfer(&mut world, &plan()).expect("one interface");
    assert_eq!(
        (moved.sent, moved.received, all.damaged),
        (40_000, 40_000, 0)
    );
    world.tear_down();
    world.assert_nothing_left();
}
