//! The parallel mode: processors are OS threads, and the drivers, the backend and XenStore really run at once.

use netback_model::Preset;
use world::World;
use world::scenario::{change_tables, connected, exchange, guest_on};

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

/// Every frame that a peer sends after a table was set comes on the processor that it names, whatever the processors are at.
#[test]
fn flows_follow_the_table_on_real_processors() {
    let mut sum = (0, 0);
    for seed in 0..4 {
        let builder = World::builder().cpus(4).seed(seed).parallel(true);
        let (mut world, peer) = connected(builder, Preset::Linux, 64 * 1024);
        let mut guest = guest_on(world.interfaces()[0], 0, 64 * 1024);
        let changes = change_tables(
            &mut world,
            &peer,
            &mut guest,
            16 << 20,
            harness::SECOND / 2000,
        );
        sum = (sum.0 + changes.changes, sum.1 + changes.after);
        assert_eq!(guest.moved.hash_mismatches, 0);
        world.tear_down();
        world.assert_nothing_left();
    }
    println!("{} changes, {} frames sent after one", sum.0, sum.1);
    assert!(sum.0 > 50 && sum.1 > 10_000, "{sum:?}");
}
