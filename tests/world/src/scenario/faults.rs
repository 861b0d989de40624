//! Lives in which something fails.

use harness::FaultPlan;
use netback_model::Preset;

use super::{PEER_MAC, exchange, few_buffers, guest_on};
use crate::peer::Peer;
use crate::world::World;
use cases::Stack;

/// What the lives of a sweep are like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sweep {
    /// Schedule.
    pub seed: u64,
    /// Queues, and processors if more than one.
    pub queues: u32,
    /// Bytes each way.
    pub bytes: u64,
    /// All calls after it fail too, until the stop.
    pub for_good: bool,
}

/// One life in which the `nth` call (from 0) of an export that may fail fails, be it in the start, with traffic, or in
/// the stop. Whatever could not start is removed again; nothing may be left. Returns which call failed, as
/// `driver.sys+rva -> export`; `None` if there were fewer.
///
/// # Panics
/// When anything is wrong.
#[must_use]
pub fn life_with_fault(sweep: Sweep, nth: u64) -> Option<String> {
    let builder = World::builder().cpus(sweep.queues.max(2));
    let mut world = builder.seed(sweep.seed).build();
    few_buffers(&world, sweep.queues);
    let peer = Peer::new(Stack::new(PEER_MAC, 1, 1500, 16 * 1024, 7), None);
    world.add_vif(World::vif_config(Preset::Linux, 0), peer.clone());
    world.harness().set_fault_plan(if sweep.for_good {
        FaultPlan::From(nth)
    } else {
        FaultPlan::Nth(nth)
    });
    if world.try_boot() {
        world.pass(3 * harness::SECOND);
        let ready = world.interfaces().into_iter().find(|device| {
            let protocol = world.harness().protocol_of(*device);
            protocol.is_some_and(|protocol| protocol.link().is_connected())
        });
        if let Some(device) = ready {
            let mut guest = guest_on(device, 0, 16 * 1024);
            exchange(&mut world, &peer, &mut guest, 5001, sweep.bytes);
        }
    }
    let mut made = world.harness().faults_made();
    if sweep.for_good {
        // A backend that cannot be told of the end keeps its pages, which then are lost on purpose.
        world.harness().set_fault_plan(FaultPlan::None);
    }
    world.tear_down();
    world.assert_nothing_left();
    if !sweep.for_good {
        made = world.harness().faults_made();
    }
    made.into_iter().next()
}
