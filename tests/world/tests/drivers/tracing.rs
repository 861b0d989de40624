//! The events that `netfront.sys` writes for Windows' tracing, as a listening session gets them.

use harness::Decoded;
use netback_model::{Attack, FrameMeta, Preset};
use world::{Tap, World};

fn decoded(world: &World, name: &str) -> Vec<Decoded> {
    let events = world.harness().trace_events();
    let all = events
        .iter()
        .map(|event| event.decode().unwrap_or_else(|| panic!("{event:02x?}")));
    all.filter(|event| event.name == name).collect()
}

fn start(seed: u64) -> (World, Tap) {
    let mut world = World::builder().cpus(2).seed(seed).build();
    world.harness().listen_to_traces();
    let tap = Tap::default();
    world.add_vif(World::vif_config(Preset::Linux, 0), tap.clone());
    world.boot();
    world.wait_connected(0);
    world.settle();
    (world, tap)
}

#[test]
fn a_connection_tells_what_was_negotiated_and_in_the_end_what_it_carried() {
    let (mut world, tap) = start(4000);
    let connected = decoded(&world, "Connected");
    assert_eq!(connected.len(), 1, "{}", world.story());
    assert_eq!(connected[0].provider, "XenWindows.Netfront");
    assert_eq!(connected[0].number("Queues"), Some(2));
    assert_eq!(connected[0].number("Trusted"), Some(1));
    let links = decoded(&world, "Link");
    assert_eq!(links.last().and_then(|link| link.number("Up")), Some(1));
    let mut frame = vec![0xFF; 60];
    frame[12..14].copy_from_slice(&[0x88, 0xB5]);
    for _ in 0..7 {
        tap.put(frame.clone(), FrameMeta::default());
    }
    world.settle();
    world.tear_down();
    let counters = decoded(&world, "QueueCounters");
    let received: u64 = counters
        .iter()
        .filter_map(|c| c.number("ReceivedFrames"))
        .sum();
    assert_eq!((counters.len(), received), (2, 7));
    assert_eq!(decoded(&world, "Disconnected").len(), 1);
    world.assert_nothing_left();
}

#[test]
fn a_backend_that_breaks_the_protocol_and_drops_are_told_with_reasons() {
    let (mut world, tap) = start(4010);
    let mut frame = vec![0xFF; 60];
    frame[12..14].copy_from_slice(&[0x88, 0xB5]);
    world.xen(|xen| {
        let vif = xen.vifs.get_mut(&0).expect("the vif");
        vif.backend.attack(Attack::RxOffset(4090), 1);
    });
    tap.put(frame, FrameMeta::default());
    world.pass(3 * harness::SECOND);
    let drops = decoded(&world, "ReceiveDrops");
    assert_eq!(drops.len(), 1, "{}", world.story());
    assert_eq!(drops[0].number("PageBound"), Some(1));
    assert_eq!(drops[0].number("Status"), Some(0));
    world.tear_down();
    world.assert_nothing_left();
}

/// Without a listener nothing is written.
#[test]
fn nobody_listens_and_nothing_is_written() {
    let mut world = World::builder().cpus(2).seed(4020).build();
    world.add_vif(World::vif_config(Preset::Linux, 0), Tap::default());
    world.boot();
    world.wait_connected(0);
    world.tear_down();
    assert!(world.harness().trace_events().is_empty());
    world.assert_nothing_left();
}
