//! `--frames`: random frames between NDIS and the wire.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use world::proof::CASES;

/// Frames of one machine.
const BATCH: u64 = 10_000;

/// Judges frames until there are `count`; each machine has a seed of its own, which a failure names.
pub(crate) fn judge(first: u64, count: u64, start: Instant) {
    let (next, judged) = (AtomicU64::new(0), AtomicU64::new(0));
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while judged.load(Ordering::Relaxed) < count {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    let which = usize::try_from(index).unwrap_or(0) % CASES.len();
                    let case = &CASES[which];
                    let report = case.run(first + index, BATCH);
                    let so_far = judged.fetch_add(report.frames(), Ordering::Relaxed);
                    println!(
                        "seed {}, {}: {report:?}; {} frames, {:.0} s",
                        first + index,
                        case.name,
                        so_far + report.frames(),
                        start.elapsed().as_secs_f64()
                    );
                }
            });
        }
    });
    println!(
        "{} frames passed in {:.0} s",
        judged.load(Ordering::Relaxed),
        start.elapsed().as_secs_f64()
    );
}
