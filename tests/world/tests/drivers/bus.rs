//! `xenbus.sys` on the simulated Xen: life, start on every kind of Xen, enumeration.

use netback_model::Preset;
use world::{Nobody, World};

#[test]
fn the_bus_driver_enters_attaches_is_removed_and_unloads() {
    for seed in 0..4 {
        let mut world = World::builder().seed(seed).build();
        world.enter_drivers();
        world.plug_bus();
        world.tear_down();
        world.assert_nothing_left();
    }
}

/// Starts and stops the bus alone.
fn start_and_stop(builder: world::Builder) {
    let mut world = builder.build();
    world.boot();
    let watches = world.xen(|xen| xen.store.guest_watches());
    assert!(
        !watches.is_empty(),
        "the store is not connected\n{}",
        world.story()
    );
    let feature = world.xen(|xen| xen.store.read("/local/domain/1/feature/hotplug/vif"));
    assert_eq!(feature.as_deref(), Some("1"), "{}", world.story());
    assert!(world.interfaces().is_empty());
    world.assert_clean();
    world.tear_down();
    world.assert_nothing_left();
}

#[test]
fn the_bus_starts_with_fifo_channels_and_upcall_vectors() {
    start_and_stop(World::builder().cpus(4).seed(1));
}

#[test]
fn the_bus_starts_with_two_level_channels() {
    start_and_stop(World::builder().cpus(4).seed(2).fifo(false));
}

#[test]
fn the_bus_starts_with_the_line() {
    start_and_stop(World::builder().cpus(4).seed(3).upcall_vector(false));
    start_and_stop(
        World::builder()
            .cpus(2)
            .seed(4)
            .upcall_vector(false)
            .fifo(false),
    );
}

#[test]
fn the_bus_starts_without_viridian_and_on_amd() {
    start_and_stop(World::builder().cpus(1).seed(5).viridian(false));
    start_and_stop(World::builder().cpus(3).seed(6).amd(true));
}

#[test]
fn the_bus_starts_on_many_processors() {
    start_and_stop(World::builder().cpus(64).seed(7));
    start_and_stop(World::builder().cpus(33).seed(8).fifo(false));
}

#[test]
fn interfaces_that_are_there_at_start_become_devices() {
    for count in [1, 3] {
        let mut world = World::builder().cpus(2).seed(u64::from(count)).build();
        for handle in 0..count {
            world.add_vif(World::vif_config(Preset::Linux, handle), Nobody::default());
        }
        world.boot();
        assert_eq!(
            world.interfaces().len(),
            count as usize,
            "{}",
            world.story()
        );
        world.assert_clean();
        world.tear_down();
        world.assert_nothing_left();
    }
}
