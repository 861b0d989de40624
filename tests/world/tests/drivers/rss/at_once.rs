//! What a request has set is in force when it returns.

use super::support::{Bench, Rng};

/// Frames that come after the request are hashed and steered by it; whatever else the machine is about to do.
fn frames_obey(queues: u16, cpus: u32, seed: u64, rounds: u32, ctrl_ring: bool) {
    let mut bench = Bench::new(queues, cpus, 64, seed, ctrl_ring);
    let mut rng = Rng(seed);
    bench.set(&bench.random(&mut rng));
    for _ in 0..rounds {
        let next = bench.change(&mut rng);
        bench.set_under_way(&next);
        bench.send(24, &mut rng);
        bench.settle();
        bench.check_at_once();
        // And what was behind is in order when all of it has been brought to the new settings.
        bench.send(24, &mut rng);
        bench.settle();
        bench.check();
    }
    assert_eq!(bench.report().0.mismatches, 0, "{}", bench.world.story());
    bench.end();
}

#[test]
fn a_change_is_in_force_when_its_request_returns() {
    for (nth, (queues, cpus, ctrl_ring)) in
        [(1, 4, true), (4, 4, true), (4, 8, true), (4, 4, false)]
            .into_iter()
            .enumerate()
    {
        frames_obey(queues, cpus, 530 + nth as u64, 60, ctrl_ring);
    }
}
