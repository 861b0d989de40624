//! Whole lives of the machine, for tests and for `cargo xtask sim`.

mod cycle;
mod faults;
mod life;

use harness::{DeviceId, Value};
use netback_model::Preset;

pub use cycle::{Ending, cycle};
pub use faults::{Sweep, life_with_fault};
pub use life::{life, parallel_life};

use crate::peer::Peer;
use crate::world::{Builder, World};
use cases::{End, GuestStack, Plan, Progress, Stack, TableChanges};

/// Address of the host behind the backend.
pub const PEER_MAC: [u8; 6] = [0x02, 0, 0, 0, 0, 0x99];

/// A world with one interface, booted and connected; the host behind it, with TCP windows of `window` bytes.
///
/// # Panics
/// When it does not connect.
#[must_use]
pub fn connected(builder: Builder, preset: Preset, window: usize) -> (World, Peer) {
    let mut world = builder.build();
    let peer = Peer::new(Stack::new(PEER_MAC, 1, 1500, window, 7), None);
    world.add_vif(World::vif_config(preset, 0), peer.clone());
    world.boot();
    world.wait_connected(0);
    (world, peer)
}

/// The guest's stack on interface `handle`, whose device is `device`.
#[must_use]
pub fn guest_on(device: DeviceId, handle: u32, window: usize) -> GuestStack {
    let mac = World::vif_config(Preset::Linux, handle).mac;
    GuestStack::new(Stack::new(mac, 2, 1500, window, 8), device, handle)
}

/// Sends `bytes` each way by TCP, over two connections to `port` and the one after it, and compares the hashes.
///
/// # Panics
/// When it does not end, or the hashes differ.
pub fn exchange(world: &mut World, peer: &Peer, guest: &mut GuestStack, port: u16, bytes: u64) {
    peer.stack(|stack| {
        stack.listen(port, End::Sink, bytes);
        stack.listen(port + 1, End::Source { seed: 2 }, bytes);
    });
    guest.stack.connect(1, port, End::Source { seed: 1 }, bytes);
    guest.stack.connect(1, port + 1, End::Sink, bytes);
    let host = peer.clone();
    guest.run(world, 600, |guest, _| {
        guest.stack.is_finished() && host.stack(|stack| stack.is_finished())
    });
    let hashes = |all: Vec<Progress>| -> Vec<[u8; 32]> {
        all.iter()
            .rev()
            .take(2)
            .map(|progress| progress.hash)
            .collect()
    };
    let (mine, theirs) = (
        hashes(guest.stack.progress()),
        hashes(peer.stack(|stack| stack.progress())),
    );
    assert_eq!(mine, theirs, "content differs\n{}", world.story());
}

/// Moves `bytes` each way and then again to the guest, over four connections each, while the RSS table changes all
/// `period` (100 ns units): the case `rss` of the guest on real Xen. The machine has four processors.
///
/// # Panics
/// When it does not end, content differs, or a flow does not follow.
pub fn change_tables(
    world: &mut World,
    peer: &Peer,
    guest: &mut GuestStack,
    bytes: u64,
    period: u64,
) -> TableChanges {
    assert_eq!(world.set_rss(guest.device, &[0, 1, 2, 3]), 0);
    guest.processors = 4;
    guest.stack.stamp();
    peer.stack(|stack| {
        stack.stamp();
        stack.serve(8, 1);
    });
    let plan = Plan {
        peer: "10.0.0.1".parse().expect("an address"),
        bytes,
        connections: 4,
        seed: 1,
        seconds: 600,
    };
    let mut changes = TableChanges::new(4, period, world.harness().now());
    let mut turn = |guest: &mut GuestStack, world: &World| changes.turn(guest, world);
    let both = cases::transfer_while(world, guest, &plan, &mut turn);
    let down = cases::download_while(world, guest, &plan, &mut turn);
    for (outcome, sent) in [(both, bytes), (down, 0)] {
        let outcome = outcome.unwrap_or_else(|error| panic!("{error}\n{}", world.story()));
        assert_eq!((outcome.sent, outcome.received), (sent, bytes));
    }
    changes.end(guest, world);
    assert_eq!(
        changes.verdict(&guest.moved),
        Ok(()),
        "{changes:?}\n{}",
        world.story()
    );
    changes
}

/// Gives interfaces that start from now on `queues` queues with as few buffers as the driver takes: such a life
/// is short, and every step of it is taken all the same.
pub fn few_buffers(world: &World, queues: u32) {
    for (keyword, value) in [
        ("*NumRssQueues", queues),
        ("*ReceiveBuffers", 384),
        ("*TransmitBuffers", 32),
    ] {
        let value = Value::text(&value.to_string());
        world.harness().set_default_keyword(keyword, Some(value));
    }
}

/// As [`connected`], with [`few_buffers`].
///
/// # Panics
/// When it does not connect.
#[must_use]
pub fn connected_small(builder: Builder, queues: u32, window: usize) -> (World, Peer) {
    let mut world = builder.build();
    few_buffers(&world, queues);
    let peer = Peer::new(Stack::new(PEER_MAC, 1, 1500, window, 7), None);
    world.add_vif(World::vif_config(Preset::Linux, 0), peer.clone());
    world.boot();
    world.wait_connected(0);
    (world, peer)
}
