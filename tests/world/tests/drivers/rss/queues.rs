//! The number of queues: when the backend offers another one after a while, and when Xen does not give enough for all.

use world::rss::ALL_TYPES;

use super::support::{Bench, Rng};

/// Frames both ways: those for the guest are hashed and land as the table says, those from it keep their order.
fn carries(bench: &mut Bench, rng: &mut Rng, round: u32) {
    bench.send(96, rng);
    bench.settle();
    bench.check();
    let flows: Vec<usize> = (0..8).collect();
    bench.transmit(&flows, 10 * round, 10);
    bench.settle();
    let arrived = bench.arrived();
    assert_eq!(arrived.len(), 80, "{}", bench.world.story());
    let mut next = std::collections::BTreeMap::new();
    for (flow, number, _) in arrived {
        let due = next.entry(flow).or_insert(10 * round);
        assert_eq!(number, *due, "flow {flow}");
        *due += 1;
    }
}

#[test]
fn a_backend_that_comes_back_with_another_number_of_queues_is_followed() {
    let mut bench = Bench::new(4, 8, 64, 610, true);
    bench.set(&bench.plain(ALL_TYPES));
    let mut rng = Rng(610);
    carries(&mut bench, &mut rng, 0);
    for (round, queues) in (1..).zip([2, 1, 3, 8, 1, 4]) {
        bench.restart_backend(queues);
        assert_eq!(bench.queues(), usize::from(queues.min(4)));
        carries(&mut bench, &mut rng, round);
    }
    bench.end();
}

#[test]
fn another_host_may_have_another_number_of_queues() {
    let mut bench = Bench::new(4, 8, 64, 611, true);
    bench.set(&bench.plain(ALL_TYPES));
    let mut rng = Rng(611);
    carries(&mut bench, &mut rng, 0);
    for (round, queues) in (1..).zip([2, 1, 8]) {
        bench.migrate(queues);
        assert_eq!(bench.queues(), usize::from(queues.min(4)));
        // NDIS sets its parameters once; a driver that came through a resume has them still.
        carries(&mut bench, &mut rng, round);
    }
    bench.end();
}

/// Connected with fewer queues, a line in the log, and traffic; or not connected, and a line too.
fn with_less(mut bench: Bench, seed: u64) -> usize {
    let queues = bench.queues();
    if queues == 0 {
        assert!(
            bench.logged("the queues cannot be made"),
            "{}",
            bench.world.story()
        );
        bench.end();
        return 0;
    }
    let said = bench.logged("queues instead of 4") || bench.logged("for want of a control ring");
    assert_eq!(said, queues < 4, "{}", bench.world.story());
    bench.set(&bench.plain(ALL_TYPES));
    let mut rng = Rng(seed);
    carries(&mut bench, &mut rng, 0);
    bench.end();
    queues
}

#[test]
fn running_out_of_grants_means_fewer_queues() {
    let count = |frames: u32| {
        let seed = 620 + u64::from(frames);
        let bench = Bench::scarce(4, 4, seed, |xen| xen.max_grant_frames = frames);
        with_less(bench, seed)
    };
    let all: Vec<usize> = (1..7).map(count).collect();
    // A queue takes 586 grants, a frame has 512.
    assert_eq!(all, [0, 1, 2, 3, 4, 4]);
}

#[test]
fn running_out_of_event_channels_means_fewer_queues() {
    let mut all = Vec::new();
    for ports in 4..20 {
        let seed = 630 + u64::from(ports);
        let bench = Bench::scarce(4, 4, seed, |xen| xen.max_port = ports);
        all.push(with_less(bench, seed));
    }
    assert!(all.is_sorted(), "{all:?}");
    for queues in 1..=4 {
        assert!(all.contains(&queues), "{all:?}");
    }
}

/// With one queue there is no control ring, so that no HASH extra is sent either.
#[test]
fn one_queue_sends_no_hash_extras() {
    let mut bench = Bench::new(1, 4, 64, 612, true);
    bench.set(&bench.plain(ALL_TYPES));
    let mut rng = Rng(612);
    carries(&mut bench, &mut rng, 0);
    bench.end();
}
