//! Grants that a backend keeps mapped (control messages 8 to 10): the pools that frames to send are copied to.

use harness::ndis::{Frame, SendList, SendOptions};
use netback_model::{Attack, Counters, Netback, Preset, ResponseMode};
use world::{HostPage, Tap, World};

type Backend = Netback<HostPage>;

/// Queues, and processors.
const QUEUES: usize = 2;
/// Pages of a queue's pools: for headers, and `*TransmitBuffers` by default.
const POOL: usize = 8 + 256;
/// Frames that [`Bench::send`] sends.
const FRAMES: u32 = 60;

struct Bench {
    world: World,
    tap: Tap,
}

impl Bench {
    /// A backend that has room for so many grants of each queue.
    fn new(seed: u64, room: u32, prepare: impl FnOnce(&mut World)) -> Self {
        let cpus = u32::try_from(QUEUES).unwrap_or(1);
        let mut world = World::builder().cpus(cpus).seed(seed).build();
        let tap = Tap::default();
        let mut config = World::vif_config(Preset::Linux, 0);
        config.features.gref_mapping = room;
        world.add_vif(config, tap.clone());
        prepare(&mut world);
        world.boot();
        world.wait_connected(0);
        world.settle();
        let bench = Self { world, tap };
        assert_eq!(bench.backend(Netback::queue_count), QUEUES);
        bench
    }

    fn backend<R>(&self, look: impl FnOnce(&Backend) -> R) -> R {
        self.world.xen(|xen| look(&xen.vifs[&0].backend))
    }

    fn change(&mut self, change: impl FnOnce(&mut Backend)) {
        self.world
            .xen(|xen| change(&mut xen.vifs.get_mut(&0).expect("vif 0").backend));
    }

    fn counters(&self) -> Counters {
        self.backend(Netback::counters)
    }

    /// Grants of each queue that stay mapped.
    fn mapped(&self) -> [usize; QUEUES] {
        core::array::from_fn(|queue| self.backend(|vif| vif.persistent_grants(queue)))
    }

    /// Frames on all queues, of lengths that are copied to headers' and to bounce pages; they arrive as they were sent.
    fn send(&mut self) {
        let frames: Vec<Vec<u8>> = (0..FRAMES).map(frame).collect();
        self.send_these(&frames);
        self.world.settle();
        self.assert_arrived(&frames);
    }

    fn send_these(&mut self, frames: &[Vec<u8>]) {
        let lists = (0..)
            .zip(frames)
            .map(|(n, frame)| {
                // By their hash to the queues in turn.
                SendList::one(Frame::new(frame.clone()))
                    .with_info(ndis_sys::NetBufferListHashValue, n)
                    .with_info(ndis_sys::NetBufferListHashInfo, 0x101)
            })
            .collect();
        let protocol = self.world.protocol(self.world.interfaces()[0]);
        let sent = protocol.send(lists, SendOptions::default());
        assert!(sent.is_ok(), "{}", self.world.story());
    }

    fn assert_arrived(&mut self, frames: &[Vec<u8>]) {
        let mut arrived: Vec<Vec<u8>> = self
            .tap
            .take()
            .into_iter()
            .map(|(bytes, _)| bytes)
            .collect();
        let mut wanted = frames.to_vec();
        arrived.sort();
        wanted.sort();
        assert_eq!(arrived.len(), wanted.len(), "{}", self.world.story());
        assert!(arrived == wanted, "{}", self.world.story());
    }

    fn logged(&self, text: &str) -> usize {
        let log = self.world.harness().log();
        log.iter().filter(|line| line.text.contains(text)).count()
    }

    /// Disconnects; what the backend counted until then.
    fn disconnect(&mut self) -> Counters {
        let device = self.world.interfaces()[0];
        self.world.disable_interface(device);
        self.world.settle();
        self.counters()
    }

    fn end(mut self) {
        self.world.tear_down();
        self.world.assert_nothing_left();
    }
}

/// Frame `n`: 60 to 1500 bytes.
fn frame(n: u32) -> Vec<u8> {
    let mut bytes = vec![0xFF; 6];
    bytes.extend([2, 0, 0, 0, 0, 1, 0x88, 0xB5]);
    bytes.extend(n.to_be_bytes());
    let len = 60 + n as usize * 24;
    bytes.resize(len, u8::try_from(n % 251).unwrap_or(0));
    bytes
}

#[test]
fn pools_are_mapped_once_and_used_for_every_frame() {
    let mut bench = Bench::new(600, 512, |_| {});
    assert_eq!(bench.mapped(), [POOL; QUEUES], "{}", bench.world.story());
    assert_eq!(bench.logged("keeps 528 pages mapped, 0 queues refused"), 1);
    for _ in 0..3 {
        bench.send();
    }
    let counters = bench.counters();
    assert_eq!(counters.tx_packets, u64::from(3 * FRAMES));
    assert_eq!(counters.tx_persistent_uses, counters.tx_slots);
    assert_eq!((counters.tx_grant_copies, counters.tx_grant_maps), (0, 0));
    for queue in 0..QUEUES {
        let traffic = bench.backend(|vif| vif.queue_counters(queue));
        assert!(traffic.is_some_and(|traffic| traffic.tx_packets > 0));
    }
    bench.world.assert_clean();
    // They are let go by messages, not by the end of the connection; a new one begins anew.
    let counters = bench.disconnect();
    assert_eq!((counters.grefs_mapped, counters.grefs_unmapped), (528, 528));
    assert_eq!(counters.grefs_left_at_disconnect, 0);
    let device = bench.world.interfaces()[0];
    bench.world.enable_interface(device);
    bench.world.wait_connected(0);
    bench.world.settle();
    assert_eq!(bench.mapped(), [POOL; QUEUES]);
    bench.send();
    assert_eq!(bench.counters().tx_grant_copies, 0);
    bench.world.assert_clean();
    bench.end();
}

#[test]
fn a_backend_that_does_not_know_it_is_asked_once() {
    let mut bench = Bench::new(601, 0, |_| {});
    bench.send();
    let counters = bench.counters();
    assert_eq!(counters.tx_persistent_uses, 0);
    assert!(counters.tx_grant_copies + counters.tx_grant_maps >= u64::from(FRAMES));
    assert_eq!(
        (counters.grefs_mapped, bench.logged("pages mapped")),
        (0, 0)
    );
    // Reset (2), what it can do (4), off again (1).
    assert_eq!(counters.ctrl_requests, 7);
    bench.world.assert_clean();
    bench.end();
}

#[test]
fn a_backend_with_less_room_maps_what_it_can() {
    let mut bench = Bench::new(602, 20, |_| {});
    assert_eq!(bench.mapped(), [20; QUEUES], "{}", bench.world.story());
    // More frames at once than there are mapped pages.
    bench.change(|vif| vif.set_response_mode(ResponseMode::Held));
    let frames: Vec<Vec<u8>> = (10..60).map(frame).collect();
    bench.send_these(&frames);
    bench.world.settle();
    bench.assert_arrived(&frames);
    let counters = bench.counters();
    assert!(
        counters.tx_persistent_uses > 0 && counters.tx_grant_copies + counters.tx_grant_maps > 0
    );
    bench.change(|vif| {
        vif.set_response_mode(ResponseMode::Immediate);
        vif.release(usize::MAX);
    });
    bench.world.pass(harness::SECOND / 10);
    bench.send();
    bench.world.assert_clean();
    let counters = bench.disconnect();
    assert_eq!((counters.grefs_mapped, counters.grefs_unmapped), (40, 40));
    bench.end();
}

/// The first message about grants comes after seven others.
#[test]
fn a_backend_that_refuses_is_used_without() {
    for (seed, after, mapped) in [(603, 7, [0, 0]), (604, 8, [POOL, 0])] {
        let mut bench = Bench::new(seed, 512, |world| {
            world.xen(|xen| {
                let vif = xen.vifs.get_mut(&0).expect("vif 0");
                vif.backend.refuse_control(after);
            });
        });
        assert_eq!(bench.mapped(), mapped, "{}", bench.world.story());
        assert_eq!(bench.logged("queues refused"), 1, "{}", bench.world.story());
        bench.send();
        bench.world.assert_clean();
        // Nor does it let go when it is told to: it does when it disconnects.
        let counters = bench.disconnect();
        assert_eq!(counters.grefs_left_at_disconnect, mapped[0] as u64);
        bench.change(Netback::calm);
        bench.end();
    }
}

#[test]
fn mappings_that_a_backend_drops_are_not_missed() {
    let mut bench = Bench::new(605, 512, |_| {});
    bench.send();
    assert_eq!(bench.counters().tx_grant_copies, 0);
    bench.change(|vif| vif.attack(Attack::GrefsDropped, 1));
    bench.world.pass(harness::SECOND / 10);
    assert_eq!(bench.mapped(), [0; QUEUES]);
    bench.send();
    let counters = bench.counters();
    assert!(counters.tx_grant_copies + counters.tx_grant_maps >= u64::from(FRAMES));
    bench.world.assert_clean();
    let counters = bench.disconnect();
    assert_eq!(counters.grefs_unmapped, 0);
    bench.end();
}

/// A backend that never answers the message: the control ring is given up, and frames flow.
#[test]
fn a_backend_that_does_not_answer_is_used_without() {
    let mut bench = Bench::new(606, 512, |world| {
        world.xen(|xen| {
            let vif = xen.vifs.get_mut(&0).expect("vif 0");
            vif.backend.delay_control(20_000_000_000);
        });
    });
    bench.send();
    bench.world.pass(8 * harness::SECOND);
    assert_eq!(bench.logged("the control ring is of no use"), 1);
    bench.send();
    bench.change(Netback::calm);
    bench.end();
}
