//! What the platform does to the bus: suspend and migration, sleep, unplugging of emulated cards, surprise removal.

use harness::{SECOND, Value};
use netback_model::Preset;
use world::scenario::{connected, exchange, guest_on};
use world::{Nobody, World};
use xen_sim::SuspendOutcome;

const WINDOW: usize = 16 * 1024;

/// Has the toolstack ask for a suspend, and waits until the guest has done it.
fn suspend(world: &mut World, outcome: SuspendOutcome) {
    world.xen(|xen| {
        xen.machine.set_suspend_outcome(outcome);
        xen.store
            .write("/local/domain/1/control/shutdown", "suspend");
    });
    world.pass(6 * SECOND);
    let shutdowns = world.xen(|xen| xen.machine.take_shutdowns());
    assert_eq!(shutdowns, [2], "{}", world.story());
}

#[test]
fn the_bus_survives_a_suspend_on_every_kind_of_event_channel() {
    for (fifo, vector) in [(true, true), (false, true), (false, false)] {
        for outcome in [SuspendOutcome::Cancelled, SuspendOutcome::Resumed] {
            let builder = World::builder().cpus(2).seed(3).fifo(fifo);
            let mut world = builder.upcall_vector(vector).build();
            world.boot();
            suspend(&mut world, outcome);
            world.add_vif(World::vif_config(Preset::Linux, 0), Nobody::default());
            world.pass(SECOND);
            assert_eq!(world.interfaces().len(), 1, "{}", world.story());
            world.tear_down();
            world.assert_nothing_left();
        }
    }
}

#[test]
fn traffic_flows_again_after_a_suspend() {
    for (seed, outcome) in [(4, SuspendOutcome::Cancelled), (5, SuspendOutcome::Resumed)] {
        let builder = World::builder().cpus(2).seed(seed);
        let (mut world, peer) = connected(builder, Preset::Linux, WINDOW);
        let mut guest = guest_on(world.interfaces()[0], 0, WINDOW);
        exchange(&mut world, &peer, &mut guest, 5001, 20_000);
        suspend(&mut world, outcome);
        world.wait_connected(0);
        world.pass(SECOND);
        let mut guest = guest_on(world.interfaces()[0], 0, WINDOW);
        exchange(&mut world, &peer, &mut guest, 5003, 20_000);
        world.tear_down();
        world.assert_nothing_left();
    }
}

#[test]
fn the_bus_wakes_from_sleep_and_hibernation() {
    let mut world = World::builder().cpus(2).seed(9).build();
    world.boot();
    let bus = world.bus();
    for state in [4, 5] {
        for (state, query) in [(state, true), (1, false)] {
            let done = world.harness().set_system_power(bus, state, query);
            assert_eq!(done, Ok(0), "{}", world.story());
        }
        world.pass(SECOND);
    }
    world.add_vif(World::vif_config(Preset::Linux, 0), Nobody::default());
    world.pass(SECOND);
    assert_eq!(world.interfaces().len(), 1, "{}", world.story());
    world.tear_down();
    world.assert_nothing_left();
}

#[test]
fn emulated_network_cards_are_unplugged_when_the_parameter_says_so() {
    for (value, mask) in [(0, 0), (1, 2)] {
        let mut world = World::builder().cpus(2).seed(9).build();
        world.set_bus_parameter("UnplugNetworkCards", Value::dword(value));
        world.boot();
        let asked = world.xen(|xen| xen.machine.unplug().mask);
        assert_eq!(asked, mask, "{}", world.story());
        world.tear_down();
        world.assert_nothing_left();
    }
}

#[test]
fn fifo_event_channels_stay_off_when_the_parameter_says_so() {
    for (value, fifo) in [(None, true), (Some(1), true), (Some(0), false)] {
        let mut world = World::builder().cpus(2).seed(10).build();
        if let Some(value) = value {
            world.set_bus_parameter("FifoEventChannels", Value::dword(value));
        }
        world.boot();
        let used = world.xen(|xen| xen.machine.is_fifo());
        assert_eq!(used, fifo, "{value:?}: {}", world.story());
        world.add_vif(World::vif_config(Preset::Linux, 0), Nobody::default());
        world.pass(SECOND);
        assert_eq!(world.interfaces().len(), 1, "{}", world.story());
        world.tear_down();
        world.assert_nothing_left();
    }
}
