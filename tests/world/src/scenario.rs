//! Whole lives of the machine, for tests and for `cargo xtask sim`.

use harness::{DeviceId, FaultPlan};
use netback_model::Preset;

use crate::peer::Peer;
use crate::world::{Builder, World};
use cases::GuestStack;
use cases::{End, Progress, Stack};

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

/// Start, traffic, stop: one life of both drivers under the schedule of `seed`. What it is made of (processors,
/// kind of Xen, backend) follows from the seed too. Returns the trace hash.
///
/// # Panics
/// When anything is wrong.
#[must_use]
pub fn life(seed: u64) -> u64 {
    life_of(seed, false)
}

/// As [`life`], with processors that run in parallel.
///
/// # Panics
/// When anything is wrong.
pub fn parallel_life(seed: u64) {
    let _ = life_of(seed, true);
}

fn life_of(seed: u64, parallel: bool) -> u64 {
    let bit = |at: u64| seed >> at & 1 == 0;
    let cpus = 1 + u32::try_from(seed % 4).unwrap_or(0);
    let builder = World::builder()
        .cpus(cpus)
        .seed(seed)
        .fifo(bit(2))
        .upcall_vector(bit(3))
        .viridian(bit(4))
        .amd(!bit(5))
        .parallel(parallel);
    let presets = Preset::ALL;
    let preset = presets[usize::try_from(seed / 7).unwrap_or(0) % presets.len()];
    let (mut world, peer) = connected(builder, preset, 16 * 1024);
    let mut guest = guest_on(world.interfaces()[0], 0, 16 * 1024);
    exchange(&mut world, &peer, &mut guest, 5001, 20_000);
    world.tear_down();
    world.assert_nothing_left();
    world.harness().trace_hash()
}

/// One life in which the `nth` call (from 0) of an export that may fail fails, be it in the start, with traffic, or in
/// the stop. Whatever could not start is removed again; nothing may be left. Whether there were so many calls.
///
/// # Panics
/// When anything is wrong.
#[must_use]
pub fn life_with_fault(seed: u64, nth: u64) -> bool {
    let mut world = World::builder().cpus(2).seed(seed).build();
    let peer = Peer::new(Stack::new(PEER_MAC, 1, 1500, 16 * 1024, 7), None);
    world.add_vif(World::vif_config(Preset::Linux, 0), peer.clone());
    world.harness().set_fault_plan(FaultPlan::Nth(nth));
    if world.try_boot() {
        world.pass(3 * harness::SECOND);
        let ready = world.interfaces().into_iter().find(|device| {
            let protocol = world.harness().protocol_of(*device);
            protocol.is_some_and(|protocol| protocol.link().is_connected())
        });
        if let Some(device) = ready {
            let mut guest = guest_on(device, 0, 16 * 1024);
            exchange(&mut world, &peer, &mut guest, 5001, 5_000);
        }
    }
    world.tear_down();
    world.assert_nothing_left();
    world.harness().faults_seen() > nth
}

/// How a cycle ends an interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ending {
    /// "Disable device", then "Enable".
    Disable,
    /// Torn out by the toolstack, and a new one plugged in.
    Destroyed,
    /// Everything removed and unloaded, and a new machine.
    Unload,
}

/// `count` starts and stops with traffic running when they stop, in all the ways there are.
///
/// # Panics
/// When anything is wrong.
pub fn cycles(seed: u64, count: u32, mut tell: impl FnMut(u32)) {
    let boot = |seed| {
        connected(
            World::builder().cpus(2).seed(seed),
            Preset::Linux,
            16 * 1024,
        )
    };
    let (mut world, mut peer) = boot(seed);
    for cycle in 0..count {
        let device = world.interfaces()[0];
        let mut guest = guest_on(device, 0, 16 * 1024);
        peer.stack(Stack::forget_streams);
        let port = 2000 + u16::try_from(cycle % 20_000).unwrap_or(0) * 2;
        exchange(&mut world, &peer, &mut guest, port, 5_000);
        // A transfer that will not end well is under way at each stop.
        peer.stack(|stack| stack.listen(1999, End::Sink, 1 << 20));
        guest
            .stack
            .connect(1, 1999, End::Source { seed: 1 }, 1 << 20);
        guest.run(&mut world, 60, |guest, _| guest.stack.moved() > 20_000);
        let ending = match cycle % 5 {
            0 | 1 => Ending::Disable,
            2 | 3 => Ending::Destroyed,
            _ => Ending::Unload,
        };
        match ending {
            Ending::Disable => {
                world.disable_interface(device);
                world.settle();
                world.enable_interface(device);
            }
            Ending::Destroyed => {
                world.xen(|xen| xen.destroy_vif(0));
                world.pass(harness::SECOND);
                assert!(world.interfaces().is_empty(), "{}", world.story());
                peer = Peer::new(Stack::new(PEER_MAC, 1, 1500, 16 * 1024, 7), None);
                world.add_vif(World::vif_config(Preset::Linux, 0), peer.clone());
                world.settle();
            }
            Ending::Unload => {
                world.tear_down();
                world.assert_nothing_left();
                (world, peer) = boot(seed + u64::from(cycle) + 1);
            }
        }
        world.wait_connected(0);
        world.assert_clean();
        tell(cycle);
    }
    world.tear_down();
    world.assert_nothing_left();
}
