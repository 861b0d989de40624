//! The main job of `cargo xtask sim`: many seeds, or many starts and stops, of both drivers with traffic.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use clap::Parser;
use world::proof::CASES;
use world::scenario;

/// The call that fails in the present run, for the message of one that goes wrong.
static NTH: AtomicU64 = AtomicU64::new(0);

/// Runs the start, traffic, stop case under many schedules.
#[derive(Parser)]
struct Options {
    /// Number of seeds.
    #[arg(long, default_value_t = 1000)]
    seeds: u64,
    /// First seed.
    #[arg(long, default_value_t = 1)]
    first: u64,
    /// Instead: this many starts and stops in every way there is.
    #[arg(long)]
    cycles: Option<u32>,
    /// Instead: fails each call of an export that may fail, one per run, until there are no more.
    #[arg(long)]
    faults: bool,
    /// Instead: judges this many random frames between NDIS and the wire, under every kind of interface in turn.
    #[arg(long)]
    frames: Option<u64>,
    /// Runs each seed twice and compares the traces.
    #[arg(long)]
    twice: bool,
    /// Processors are OS threads that run in parallel: a seed then says only what the machine is made of.
    #[arg(long)]
    parallel: bool,
}

/// Frames of one machine.
const BATCH: u64 = 10_000;

/// Judges frames until there are `count`; each machine has a seed of its own, which a failure names.
fn judge_frames(first: u64, count: u64, start: Instant) {
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

fn main() {
    let options = Options::parse();
    let start = Instant::now();
    if let Some(count) = options.cycles {
        scenario::cycles(options.first, count, |cycle| {
            if (cycle + 1).is_multiple_of(50) {
                println!(
                    "{} cycles, {:.0} s",
                    cycle + 1,
                    start.elapsed().as_secs_f64()
                );
            }
        });
        println!(
            "{count} cycles passed in {:.0} s",
            start.elapsed().as_secs_f64()
        );
        return;
    }
    if options.faults {
        let mut nth = 0;
        std::panic::set_hook(Box::new(|info| {
            eprintln!("call {}: {info}", NTH.load(Ordering::Relaxed));
        }));
        while scenario::life_with_fault(options.first, nth) {
            nth += 1;
            NTH.store(nth, Ordering::Relaxed);
            if nth.is_multiple_of(100) {
                println!("{nth} calls failed, {:.0} s", start.elapsed().as_secs_f64());
            }
        }
        println!(
            "each of {nth} calls failed once, in {:.0} s",
            start.elapsed().as_secs_f64()
        );
        return;
    }
    if options.parallel {
        for seed in options.first..options.first + options.seeds {
            scenario::parallel_life(seed);
        }
        println!(
            "{} parallel lives passed in {:.0} s",
            options.seeds,
            start.elapsed().as_secs_f64()
        );
        return;
    }
    if let Some(count) = options.frames {
        judge_frames(options.first, count, start);
        return;
    }
    let next = AtomicU64::new(0);
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    if index >= options.seeds {
                        return;
                    }
                    let seed = options.first + index;
                    let hash = scenario::life(seed);
                    if options.twice {
                        assert_eq!(
                            hash,
                            scenario::life(seed),
                            "seed {seed}: the second run took another course"
                        );
                    }
                    if (index + 1).is_multiple_of(100) {
                        println!(
                            "{} seeds, {:.0} s",
                            index + 1,
                            start.elapsed().as_secs_f64()
                        );
                    }
                }
            });
        }
    });
    println!(
        "{} seeds passed in {:.0} s",
        options.seeds,
        start.elapsed().as_secs_f64()
    );
}
