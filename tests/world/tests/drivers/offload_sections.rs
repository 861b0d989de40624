//! The case `offloads` of real Xen, here against the model backend: TCP both ways with the offloads on, and with each off
//! in turn.

use cases::offloads::{SECTIONS, section};
use cases::{Ipv4Address, Plan};
use netback_model::Preset;
use world::World;
use world::scenario::{connected, guest_on};

const WINDOW: usize = 64 * 1024;

#[test]
fn tcp_flows_with_each_offload_off_in_turn() {
    let (mut world, peer) = connected(World::builder().cpus(2).seed(4300), Preset::Linux, WINDOW);
    world.settle();
    peer.join_segments();
    let mut guest = guest_on(world.interfaces()[0], 0, WINDOW);
    for (nth, (name, on)) in SECTIONS.into_iter().enumerate() {
        peer.stack(|stack| {
            stack.forget_streams();
            stack.serve(1, 5);
        });
        let plan = Plan {
            peer: Ipv4Address::new(10, 0, 0, 1),
            bytes: 1 << 20,
            connections: 1,
            seed: nth as u64 + 1,
            seconds: 600,
        };
        let moved = section(&mut world, &mut guest, &plan, on);
        let moved = moved.unwrap_or_else(|error| panic!("{name}: {error}\n{}", world.story()));
        println!("{name}: {moved:?}");
        world.assert_clean();
    }
    assert_eq!(peer.counters().damaged, 0);
    world.tear_down();
    world.assert_nothing_left();
}
