//! Everything that starts and stops a driver, with traffic running.

use super::{connected_small, exchange, guest_on};
use crate::peer::Peer;
use crate::world::World;
use cases::{End, Stack};

const WINDOW: usize = 16 * 1024;

/// What ends the interface at last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// `IRP_MN_SURPRISE_REMOVAL` of the interface while its backend lives.
    Interface,
    /// The toolstack destroys the vif.
    Vif,
    /// `IRP_MN_SURPRISE_REMOVAL` of the bus, and of the interface with it.
    Bus,
}

impl Ending {
    /// Every ending.
    pub const ALL: [Self; 3] = [Self::Interface, Self::Vif, Self::Bus];
}

/// Data both ways that arrives, then a transfer that is under way when this returns.
fn traffic(world: &mut World, peer: &Peer, port: u16) {
    let mut guest = guest_on(world.interfaces()[0], 0, WINDOW);
    peer.stack(Stack::forget_streams);
    exchange(world, peer, &mut guest, port, 5_000);
    peer.stack(|stack| stack.listen(port + 2, End::Sink, 1 << 20));
    let source = End::Source { seed: 1 };
    guest.stack.connect(1, port + 2, source, 1 << 20);
    guest.run(world, 60, |guest, _| guest.stack.moved() > 20_000);
}

/// One whole cycle of both drivers: load, start, disable and enable, stop and start, surprise removal, unload, each
/// with traffic running. Nothing may be left at its end.
///
/// # Panics
/// When anything is wrong.
pub fn cycle(seed: u64, ending: Ending) {
    let builder = World::builder().cpus(2).seed(seed);
    let (mut world, peer) = connected_small(builder, 1, WINDOW);
    let device = world.interfaces()[0];
    traffic(&mut world, &peer, 5000);
    world.disable_interface(device);
    world.settle();
    world.enable_interface(device);
    world.wait_connected(0);
    traffic(&mut world, &peer, 5010);
    world.stop_interface(device);
    world.settle();
    world.start_interface(device);
    world.wait_connected(0);
    traffic(&mut world, &peer, 5020);
    match ending {
        Ending::Interface => world.surprise_remove_interface(device),
        Ending::Vif => {
            world.xen(|xen| xen.destroy_vif(0));
            world.pass(harness::SECOND);
        }
        Ending::Bus => world.surprise_remove_bus(),
    }
    assert!(world.interfaces().is_empty(), "{}", world.story());
    world.tear_down();
    world.assert_nothing_left();
}
