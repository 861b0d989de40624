//! Backends that break the protocol, and what becomes of the drivers: the connection ends, a log line says why,
//! nothing of the guest is lost, and with an honest backend traffic flows again.

use harness::SECOND;
use netback_model::{Attack, Preset};
use world::scenario::{connected_small, exchange, guest_on};
use world::{End, Peer, Stack, World};

const WINDOW: usize = 16 * 1024;

/// What the driver is expected to make of a trick.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    /// The connection is given up and made anew; the log says that the protocol was broken.
    Broken,
    /// The frame is dropped, or the answer not believed: the connection goes on.
    Tolerated,
    /// Nothing moves any more: the watchdog makes a new connection.
    Silent,
}

/// Lines of the log that hold `text`.
fn said(world: &World, text: &str) -> usize {
    let log = world.harness().log();
    log.iter().filter(|line| line.text.contains(text)).count()
}

/// Starts a transfer each way that is longer than anything here lets it live.
fn start_traffic(world: &mut World, peer: &Peer) -> world::GuestStack {
    let mut guest = guest_on(world.interfaces()[0], 0, WINDOW);
    peer.stack(|stack| {
        stack.forget_streams();
        stack.listen(5001, End::Sink, 1 << 30);
        stack.listen(5002, End::Source { seed: 2 }, 1 << 30);
    });
    guest
        .stack
        .connect(1, 5001, End::Source { seed: 1 }, 1 << 30);
    guest.stack.connect(1, 5002, End::Sink, 1 << 30);
    guest.run(world, 60, |guest, _| guest.stack.moved() > 20_000);
    guest
}

/// Lets both stacks work for a while, whatever comes of it.
fn run_for(world: &mut World, guest: &mut world::GuestStack, seconds: u64) {
    let end = world.harness().now() + seconds * SECOND;
    while world.harness().now() < end {
        for _ in 0..20 {
            if !guest.turn(world) {
                break;
            }
        }
        world.pass(SECOND / 20);
    }
}

/// An honest backend again, whatever it was: the interface comes up and data arrives. Then the end, which leaves
/// nothing.
fn recovers(mut world: World, peer: &Peer, what: &str) {
    world.xen(|xen| {
        if let Some(vif) = xen.vifs.get_mut(&0) {
            vif.backend.calm();
        }
    });
    // Longer than the pause before a connection is tried again.
    world.pass(90 * SECOND);
    world.wait_connected(0);
    world.pass(SECOND);
    let device = world.interfaces()[0];
    assert!(
        world.protocol(device).link().is_connected(),
        "{what}\n{}",
        world.story()
    );
    peer.stack(Stack::forget_streams);
    let mut guest = guest_on(device, 0, WINDOW);
    exchange(&mut world, peer, &mut guest, 6001, 20_000);
    ends_clean(world, what);
}

/// Everything is taken down; nothing of the guest may be left. What the backend did is its own affair.
fn ends_clean(mut world: World, what: &str) {
    world.tear_down();
    let violations = world.harness().violations();
    let (faults, leaks) = world.xen(|xen| (xen.faults.clone(), xen.leaks()));
    assert!(
        violations.is_empty() && faults.is_empty() && leaks.is_clean(),
        "{what}: {leaks:?}\n{}",
        world.story()
    );
}

fn attacked(seed: u64, attack: Attack, times: u32, outcome: Outcome) {
    let what = format!("{attack:?}");
    assert!(meets(seed, attack, times, outcome), "{what} went unseen");
}

/// An index that is wrong for a moment: the backend's next push puts it right, and one that only goes back
/// over what was not looked at yet tells nothing. So some schedules are tried until the driver meets the lie;
/// whatever they show it, it recovers and leaves nothing.
fn met_in_some_schedule(seed: u64, attack: Attack) {
    let met = (0..16).any(|nth| meets(seed + 1000 * nth, attack, 1, Outcome::Broken));
    assert!(met, "{attack:?} went unseen in 16 schedules");
}

/// Whether the driver said what `outcome` is; either way it recovers.
fn meets(seed: u64, attack: Attack, times: u32, outcome: Outcome) -> bool {
    let what = format!("{attack:?}");
    let builder = World::builder().cpus(2).seed(seed);
    let (mut world, peer) = connected_small(builder, 1, WINDOW);
    let mut guest = start_traffic(&mut world, &peer);
    let connects = world.xen(|xen| xen.vifs[&0].backend.counters().connects);
    world.xen(|xen| {
        if let Some(vif) = xen.vifs.get_mut(&0) {
            vif.backend.attack(attack, times);
        }
    });
    run_for(&mut world, &mut guest, 3);
    let line = match outcome {
        Outcome::Broken => "the backend broke the protocol",
        Outcome::Silent => "the backend is silent",
        Outcome::Tolerated => "",
    };
    if outcome == Outcome::Silent {
        run_for(&mut world, &mut guest, 20);
    }
    let met = if outcome == Outcome::Tolerated {
        let again = world.xen(|xen| xen.vifs[&0].backend.counters().connects);
        assert_eq!(again, connects, "{what}\n{}", world.story());
        assert_eq!(
            said(&world, "broke the protocol"),
            0,
            "{what}\n{}",
            world.story()
        );
        true
    } else {
        said(&world, line) > 0
    };
    recovers(world, &peer, &what);
    met
}

#[test]
fn tx_responses_that_lie_end_the_connection() {
    let attacks = [Attack::TxId(0xFFFF), Attack::TxId(255), Attack::TxDuplicate];
    for (seed, attack) in (600..).zip(attacks) {
        attacked(seed, attack, 1, Outcome::Broken);
    }
    for (seed, by) in (603..).zip([257, -1, i32::MIN]) {
        met_in_some_schedule(seed, Attack::TxRspProd(by));
    }
}

#[test]
fn tx_responses_that_fail_are_borne() {
    for (seed, status) in (610..).zip([-1, -2, i16::MIN, i16::MAX, 2]) {
        attacked(seed, Attack::TxStatus(status), 3, Outcome::Tolerated);
    }
}

#[test]
fn rx_responses_that_lie_end_the_connection() {
    for (seed, by) in (620..).zip([257, -1, i32::MIN]) {
        met_in_some_schedule(seed, Attack::RxRspProd(by));
    }
}

#[test]
fn rx_frames_that_make_no_sense_are_dropped() {
    let attacks = [
        Attack::RxOffset(4095),
        Attack::RxOffset(0xFFFF),
        Attack::RxStatus(-1),
        Attack::RxStatus(i16::MIN),
        Attack::RxStatus(i16::MAX),
        Attack::RxStatus(1),
        Attack::RxFlags(0xFFE0),
        Attack::RxExtra([0; 8]),
        Attack::RxExtra([255; 8]),
        Attack::RxExtra([1, 0, 0, 0, 1, 0, 0, 0]),
        Attack::RxExtra([1, 0, 1, 0, 9, 0, 0, 0]),
        Attack::RxExtra([4, 0, 77, 1, 1, 2, 3, 4]),
        Attack::RxExtra([4, 1, 0, 1, 1, 2, 3, 4]),
    ];
    for (seed, attack) in (630..).zip(attacks) {
        attacked(seed, attack, 3, Outcome::Tolerated);
    }
}

/// Frames without an end: whatever the driver makes of them, it lives.
#[test]
fn rx_frames_without_an_end_are_survived() {
    let attacks = [
        Attack::RxMoreEndless,
        Attack::RxExtrasEndless,
        Attack::RxFlags(4),
        Attack::RxId(7),
    ];
    for (seed, attack) in (650..).zip(attacks) {
        let builder = World::builder().cpus(2).seed(seed);
        let (mut world, peer) = connected_small(builder, 1, WINDOW);
        let mut guest = start_traffic(&mut world, &peer);
        world.xen(|xen| {
            if let Some(vif) = xen.vifs.get_mut(&0) {
                vif.backend.attack(attack, 2);
            }
        });
        run_for(&mut world, &mut guest, 3);
        recovers(world, &peer, &format!("{attack:?}"));
    }
}

#[test]
fn a_silent_backend_is_connected_to_anew() {
    attacked(660, Attack::Silence, u32::MAX, Outcome::Silent);
}

#[test]
fn a_storm_of_events_stops_nobody() {
    let builder = World::builder().cpus(2).seed(661);
    let (mut world, peer) = connected_small(builder, 1, WINDOW);
    world.xen(|xen| {
        if let Some(vif) = xen.vifs.get_mut(&0) {
            vif.backend.attack(Attack::EventStorm, 50_000);
        }
    });
    let mut guest = guest_on(world.interfaces()[0], 0, WINDOW);
    exchange(&mut world, &peer, &mut guest, 5001, 20_000);
    recovers(world, &peer, "a storm");
}

/// The control ring: the hash is the driver's own affair then, and data flows.
#[test]
fn control_responses_that_lie_cost_no_more_than_the_hash() {
    let attacks = [
        (Attack::CtrlId(0x1234), 1),
        (Attack::CtrlType(0x1234), 1),
        (Attack::CtrlStatus(1), u32::MAX),
        (Attack::CtrlStatus(2), u32::MAX),
        (Attack::CtrlStatus(0xFFFF_FFFF), 1),
        (Attack::CtrlData(0), u32::MAX),
        (Attack::CtrlData(0xFFFF_FFFF), u32::MAX),
        (Attack::CtrlSilent, u32::MAX),
        (Attack::CtrlRspProd(129), 1),
        (Attack::CtrlRspProd(-1), 1),
    ];
    for (seed, (attack, times)) in (670..).zip(attacks) {
        let mut world = World::builder().cpus(2).seed(seed).build();
        world::scenario::few_buffers(&world, 2);
        let peer = Peer::new(
            Stack::new(world::scenario::PEER_MAC, 1, 1500, WINDOW, 7),
            None,
        );
        world.add_vif(World::vif_config(Preset::Linux, 0), peer.clone());
        world.xen(|xen| {
            if let Some(vif) = xen.vifs.get_mut(&0) {
                vif.backend.attack(attack, times);
            }
        });
        world.boot();
        world.wait_connected(0);
        let device = world.interfaces()[0];
        let _ = world.set_rss(device, &[0, 1]);
        world.pass(30 * SECOND);
        recovers(world, &peer, &format!("{attack:?}"));
    }
}

/// A hostile backend of one interface is nothing to another interface.
#[test]
fn the_rest_of_the_system_goes_on() {
    let mut world = World::builder().cpus(2).seed(690).build();
    world::scenario::few_buffers(&world, 1);
    let peers: Vec<Peer> = (0..2)
        .map(|handle| {
            let stack = Stack::new(world::scenario::PEER_MAC, 1, 1500, WINDOW, 7);
            let peer = Peer::new(stack, None);
            world.add_vif(World::vif_config(Preset::Linux, handle), peer.clone());
            peer
        })
        .collect();
    world.boot();
    world.wait_connected(0);
    world.wait_connected(1);
    let mut bad = start_traffic(&mut world, &peers[0]);
    world.xen(|xen| {
        if let Some(vif) = xen.vifs.get_mut(&0) {
            vif.backend.attack(Attack::TxDuplicate, u32::MAX);
            vif.backend.attack(Attack::RxRspProd(300), 20);
        }
    });
    run_for(&mut world, &mut bad, 2);
    assert!(said(&world, "broke the protocol") > 0, "{}", world.story());
    let mut good = guest_on(world.interfaces()[1], 1, WINDOW);
    exchange(&mut world, &peers[1], &mut good, 5001, 50_000);
    recovers(world, &peers[0], "beside another");
}
