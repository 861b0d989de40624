//! The parallel mode: processors are OS threads, and the drivers, the backend and XenStore really run at once.

use netback_model::Preset;
use world::World;
use world::scenario::{connected, exchange, guest_on};

/// Connect, TCP both ways, stop, unload: `lives` times on `cpus` processors.
fn lives(cpus: u32, lives: u64) {
    for seed in 0..lives {
        let builder = World::builder()
            .cpus(cpus)
            .seed(seed)
            .fifo(seed & 1 == 0)
            .upcall_vector(seed & 2 == 0)
            .parallel(true);
        let (mut world, peer) = connected(builder, Preset::Linux, 64 * 1024);
        let mut guest = guest_on(world.interfaces()[0], 0, 64 * 1024);
        exchange(&mut world, &peer, &mut guest, 5001, 60_000);
        world.tear_down();
        world.assert_nothing_left();
    }
}

#[test]
fn one_real_processor_carries_tcp_and_stops_clean() {
    lives(1, 10);
}

#[test]
fn two_real_processors_carry_tcp_and_stop_clean() {
    lives(2, 10);
}

#[test]
fn four_real_processors_carry_tcp_and_stop_clean() {
    lives(4, 10);
}
