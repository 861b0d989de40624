//! `netfront.sys` connected to the model backend: link, frames, TCP, stop and start.

use netback_model::{Preset, Wire};
use world::scenario::{PEER_MAC, change_tables, connected, exchange, guest_on, life};
use world::{End, GuestStack, Nobody, Peer, Stack, World};

/// The guest's stack on the only interface.
fn guest(world: &World, window: usize) -> GuestStack {
    guest_on(world.interfaces()[0], 0, window)
}

#[test]
fn the_link_comes_up_when_the_backend_is_connected() {
    let mut world = World::builder().cpus(2).seed(21).build();
    world.add_vif(World::vif_config(Preset::Linux, 0), Nobody::default());
    world.boot();
    world.wait_connected(0);
    world.settle();
    let device = world.interfaces()[0];
    assert!(
        world.protocol(device).link().is_connected(),
        "{}",
        world.story()
    );
    let general = world
        .protocol(device)
        .attributes()
        .general
        .expect("general attributes");
    assert_eq!(
        general.current_address,
        World::vif_config(Preset::Linux, 0).mac
    );
    world.tear_down();
    world.assert_nothing_left();
}

#[test]
fn tcp_flows_both_ways_with_equal_hashes() {
    let (mut world, peer) = connected(World::builder().cpus(2).seed(22), Preset::Linux, 64 * 1024);
    let mut guest = guest(&world, 64 * 1024);
    exchange(&mut world, &peer, &mut guest, 5001, 1 << 20);
    assert_eq!(guest.moved.failed, 0);
    world.assert_clean();
    world.tear_down();
    world.assert_nothing_left();
}

/// The case `rss` of the guest on real Xen.
#[test]
fn flows_follow_the_table_while_it_changes() {
    let (mut world, peer) = connected(World::builder().cpus(4).seed(23), Preset::Linux, 64 * 1024);
    let mut guest = guest(&world, 64 * 1024);
    change_tables(
        &mut world,
        &peer,
        &mut guest,
        4 << 20,
        harness::SECOND / 1000,
    );
    assert!(guest.moved.hashes > 1000 && guest.moved.hash_mismatches == 0);
    assert!(guest.moved.received.iter().all(|count| *count > 0));
    let queues = peer.counters().from_guest;
    assert!(queues.len() == 4 && queues.iter().all(|count| *count > 0));
    world.assert_clean();
    world.tear_down();
    world.assert_nothing_left();
}

#[test]
fn tcp_flows_through_every_backend() {
    for (seed, preset) in (30..).zip(Preset::ALL) {
        let (mut world, peer) = connected(World::builder().cpus(2).seed(seed), preset, 32 * 1024);
        let mut guest = guest(&world, 32 * 1024);
        exchange(&mut world, &peer, &mut guest, 5001, 100_000);
        world.assert_clean();
        world.tear_down();
        world.assert_nothing_left();
    }
}

#[test]
fn one_seed_gives_one_trace_and_another_seed_another() {
    let first = life(40);
    assert_eq!(first, life(40));
    assert_ne!(first, life(41));
}

#[test]
fn an_interface_can_be_disabled_and_enabled_with_traffic_between() {
    let (mut world, peer) = connected(World::builder().cpus(2).seed(50), Preset::Linux, 16 * 1024);
    for round in 0..5 {
        let mut guest = guest(&world, 16 * 1024);
        exchange(&mut world, &peer, &mut guest, 5001 + 2 * round, 30_000);
        let device = world.interfaces()[0];
        world.disable_interface(device);
        world.settle();
        world.enable_interface(device);
        world.wait_connected(0);
    }
    world.assert_clean();
    world.tear_down();
    world.assert_nothing_left();
}

#[test]
fn interfaces_come_and_go_while_the_bus_runs() {
    let mut world = World::builder().cpus(2).seed(60).build();
    world.boot();
    for round in 0..3 {
        world.add_vif(World::vif_config(Preset::Linux, round), Nobody::default());
        world.settle();
        world.wait_connected(round);
        assert_eq!(world.interfaces().len(), 1, "{}", world.story());
        let vif = world.xen(|xen| xen.destroy_vif(round));
        assert!(vif.is_some_and(|vif| vif.backend.rules().is_empty()));
        world.pass(harness::SECOND);
        assert_eq!(world.interfaces().len(), 0, "{}", world.story());
    }
    world.assert_clean();
    world.tear_down();
    world.assert_nothing_left();
}

#[test]
fn a_frame_the_guest_sends_arrives_whole() {
    #[derive(Clone, Debug, Default)]
    struct Seen(std::sync::Arc<std::sync::Mutex<Vec<Vec<u8>>>>);
    impl Wire for Seen {
        fn from_guest(&mut self, frame: &[u8], _meta: netback_model::FrameMeta) {
            self.0.lock().expect("nobody panicked").push(frame.to_vec());
        }
        fn to_guest(&mut self) -> Option<(Vec<u8>, netback_model::FrameMeta)> {
            None
        }
    }
    impl world::Network for Seen {}
    let seen = Seen::default();
    let mut world = World::builder().cpus(2).seed(70).build();
    world.add_vif(World::vif_config(Preset::Linux, 0), seen.clone());
    world.boot();
    world.wait_connected(0);
    world.settle();
    let device = world.interfaces()[0];
    let frames: Vec<Vec<u8>> = [60, 61, 128, 129, 600, 1513, 1514]
        .into_iter()
        .map(|len: usize| {
            let mut frame = vec![0xFF; 6];
            frame.extend([0, 0x16, 0x3E, 0, 1, 0, 0x88, 0xB5]);
            frame.extend((frame.len()..len).map(|at| at.to_le_bytes()[0].wrapping_mul(7)));
            frame
        })
        .collect();
    let lists = frames
        .iter()
        .map(|frame| harness::ndis::SendList::one(harness::ndis::Frame::new(frame.clone())))
        .collect();
    let sent = world
        .protocol(device)
        .send(lists, harness::ndis::SendOptions::default());
    assert!(sent.is_ok(), "{}", world.story());
    world.settle();
    assert_eq!(
        *seen.0.lock().expect("nobody panicked"),
        frames,
        "{}",
        world.story()
    );
    world.tear_down();
    world.assert_nothing_left();
}

/// Four queues on four processors with hash negotiation.
#[test]
fn rss_spreads_flows_over_queues_and_hashes_are_right() {
    let mut world = World::builder().cpus(4).seed(80).build();
    world
        .harness()
        .set_default_keyword("*NumRssQueues", Some(harness::Value::text("4")));
    let peer = Peer::new(Stack::new(PEER_MAC, 1, 1500, 32 * 1024, 7), None);
    world.add_vif(World::vif_config(Preset::Linux, 0), peer.clone());
    world.boot();
    world.wait_connected(0);
    assert_eq!(
        world.set_rss(world.interfaces()[0], &[0, 1, 2, 3]),
        0,
        "{}",
        world.story()
    );
    world.settle();
    assert_eq!(
        world.xen(|xen| xen.vifs[&0].backend.queue_count()),
        4,
        "{}",
        world.story()
    );
    let mut guest = guest(&world, 32 * 1024);
    for port in (5000..5032).step_by(2) {
        exchange(&mut world, &peer, &mut guest, port, 20_000);
    }
    assert!(
        guest.moved.hashes > 100,
        "{:?}\n{}",
        guest.moved,
        world.story()
    );
    assert_eq!(guest.moved.hash_mismatches, 0, "{}", world.story());
    let busy = world.xen(|xen| {
        let backend = &xen.vifs[&0].backend;
        (0..4)
            .filter_map(|queue| backend.queue_counters(queue))
            .filter(|queue| queue.rx_packets > 20)
            .count()
    });
    assert!(
        busy >= 3,
        "{busy} queues carry frames to the guest\n{}",
        world.story()
    );
    assert!(
        guest
            .moved
            .received
            .iter()
            .filter(|frames| **frames > 20)
            .count()
            >= 3,
        "{:?}",
        guest.moved
    );
    world.assert_clean();
    world.tear_down();
    world.assert_nothing_left();
}

#[test]
fn tcp_flows_on_every_kind_of_event_channel() {
    let kinds = [(false, true), (true, false), (false, false)];
    for (seed, (fifo, vector)) in (90..).zip(kinds) {
        let builder = World::builder()
            .cpus(2)
            .seed(seed)
            .fifo(fifo)
            .upcall_vector(vector);
        let (mut world, peer) = connected(builder, Preset::Linux, 32 * 1024);
        let mut guest = guest(&world, 32 * 1024);
        exchange(&mut world, &peer, &mut guest, 5001, 100_000);
        world.assert_clean();
        world.tear_down();
        world.assert_nothing_left();
    }
}

/// The interface vanishes in the middle of a transfer; a new one carries a whole one.
#[test]
fn a_vif_torn_out_with_traffic_running_leaves_nothing() {
    for seed in 100..106 {
        let (mut world, peer) = connected(
            World::builder().cpus(2).seed(seed),
            Preset::Linux,
            32 * 1024,
        );
        let mut first = guest(&world, 32 * 1024);
        peer.stack(|stack| stack.listen(5001, End::Sink, 1 << 20));
        first
            .stack
            .connect(1, 5001, End::Source { seed: 1 }, 1 << 20);
        first.run(&mut world, 60, |guest, _| guest.stack.moved() > 100_000);
        world.xen(|xen| xen.destroy_vif(0));
        world.pass(2 * harness::SECOND);
        assert!(world.interfaces().is_empty(), "{}", world.story());
        let peer = Peer::new(Stack::new(PEER_MAC, 1, 1500, 32 * 1024, 9), None);
        world.add_vif(World::vif_config(Preset::Linux, 0), peer.clone());
        world.settle();
        world.wait_connected(0);
        let mut second = guest(&world, 32 * 1024);
        exchange(&mut world, &peer, &mut second, 5001, 50_000);
        world.tear_down();
        world.assert_nothing_left();
    }
}

/// `IRP_MN_SURPRISE_REMOVAL` of the interface while frames are on their way, backend alive.
#[test]
fn surprise_removal_of_the_interface_with_traffic_running_is_clean() {
    for seed in 110..116 {
        let (mut world, peer) = connected(
            World::builder().cpus(2).seed(seed),
            Preset::Linux,
            32 * 1024,
        );
        let mut guest = guest(&world, 32 * 1024);
        peer.stack(|stack| stack.listen(5001, End::Sink, 1 << 20));
        guest
            .stack
            .connect(1, 5001, End::Source { seed: 1 }, 1 << 20);
        guest.run(&mut world, 60, |guest, _| guest.stack.moved() > 100_000);
        let device = world.interfaces()[0];
        world.surprise_remove_interface(device);
        world.tear_down();
        world.assert_nothing_left();
    }
}

#[test]
fn three_interfaces_carry_traffic_at_once() {
    let mut world = World::builder().cpus(4).seed(120).build();
    // One queue each: every page the harness hands out is a mapping of this process, of which Linux allows 65530.
    let one = Some(harness::Value::text("1"));
    world.harness().set_default_keyword("*NumRssQueues", one);
    let peers: Vec<Peer> = (0..3)
        .map(|handle| {
            let peer = Peer::new(Stack::new(PEER_MAC, 1, 1500, 16 * 1024, 7), None);
            world.add_vif(World::vif_config(Preset::Linux, handle), peer.clone());
            peer
        })
        .collect();
    world.boot();
    let devices = world.interfaces();
    assert_eq!(devices.len(), 3);
    for (handle, (device, peer)) in (0..).zip(devices.iter().zip(&peers)) {
        world.wait_connected(handle);
        let mac = world
            .protocol(*device)
            .attributes()
            .general
            .expect("attributes")
            .current_address;
        let config = World::vif_config(Preset::Linux, handle);
        assert_eq!(
            mac, config.mac,
            "devices come in the order of their handles"
        );
        let mut guest = GuestStack::new(Stack::new(mac, 2, 1500, 16 * 1024, 8), *device, handle);
        exchange(&mut world, peer, &mut guest, 5001, 50_000);
    }
    world.tear_down();
    world.assert_nothing_left();
}
