//! Start, traffic, stop.

use netback_model::Preset;

use super::{PEER_MAC, exchange, few_buffers, guest_on};
use crate::peer::Peer;
use crate::world::World;
use cases::Stack;

/// Start, traffic, stop: one life of both drivers under the schedule of `seed`. What it is made of (processors,
/// queues, kind of Xen, backend) follows from the seed too. Returns the trace hash.
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
    let mut world = World::builder()
        .cpus(cpus)
        .seed(seed)
        .fifo(bit(2))
        .upcall_vector(bit(3))
        .viridian(bit(4))
        .amd(!bit(5))
        .parallel(parallel)
        .build();
    // One in eight has the buffers that a new adapter has.
    if !seed.is_multiple_of(8) {
        few_buffers(&world, 1 + u32::try_from(seed / 4 % 2).unwrap_or(0));
    }
    let presets = Preset::ALL;
    let preset = presets[usize::try_from(seed / 7).unwrap_or(0) % presets.len()];
    let peer = Peer::new(Stack::new(PEER_MAC, 1, 1500, 16 * 1024, 7), None);
    world.add_vif(World::vif_config(preset, 0), peer.clone());
    world.boot();
    world.wait_connected(0);
    let mut guest = guest_on(world.interfaces()[0], 0, 16 * 1024);
    exchange(&mut world, &peer, &mut guest, 5001, 20_000);
    world.tear_down();
    world.assert_nothing_left();
    world.harness().trace_hash()
}
