//! The main job of `cargo xtask sim`: many lives of both drivers with traffic, in several processes side by side
//! (in one process they would wait for each other at the lock of its address space).

mod frames;
mod job;
mod supervisor;

use std::process::ExitCode;

use clap::Parser;

use job::Job;

/// Runs the start, traffic, stop case under many schedules.
#[derive(Debug, Parser)]
#[command(args_override_self = true)]
pub(crate) struct Options {
    /// Number of seeds.
    #[arg(long, default_value_t = 1000)]
    seeds: u64,
    /// First seed, or the seed of a sweep.
    #[arg(long, default_value_t = 1)]
    first: u64,
    /// Runs every so many-th seed twice and compares the traces; 0: none.
    #[arg(long, default_value_t = 0)]
    twice: u64,
    /// Instead: this many cycles of load, start, disable, enable, stop, start, surprise removal, unload.
    #[arg(long)]
    cycles: Option<u64>,
    /// Instead: fails each call of an export that may fail, one per life, until there are no more.
    #[arg(long)]
    sweep: bool,
    /// Instead: judges this many random frames between NDIS and the wire, under every kind of interface in turn.
    #[arg(long)]
    frames: Option<u64>,
    /// Instead: processors are OS threads that run in parallel; a seed then says only what the machine is made of.
    #[arg(long)]
    parallel: bool,
    /// Queues of a life of the sweep.
    #[arg(long, default_value_t = 1)]
    queues: u32,
    /// Bytes each way in a life of the sweep.
    #[arg(long, default_value_t = 2_000)]
    bytes: u64,
    /// In a life of the sweep, all calls after the one fail too, until the stop.
    #[arg(long)]
    for_good: bool,
    /// Processes side by side; 0: one for each processor.
    #[arg(long, default_value_t = 0)]
    workers: u64,
    /// Starts with this life, and ends with `--last` if that is given.
    #[arg(long, default_value_t = 0)]
    from: u64,
    /// The last life.
    #[arg(long)]
    last: Option<u64>,
    /// Internal: this process is a worker that leaves out so many lives after each.
    #[arg(long, hide = true)]
    step: Option<u64>,
}

fn main() -> ExitCode {
    world::abort_on_panic();
    let options = Options::parse();
    if let Some(count) = options.frames {
        frames::judge(options.first, count, std::time::Instant::now());
        return ExitCode::SUCCESS;
    }
    if options.parallel {
        for seed in options.first..options.first + options.seeds {
            world::scenario::parallel_life(seed);
        }
        println!("{} parallel lives passed", options.seeds);
        return ExitCode::SUCCESS;
    }
    let job = Job::of(&options);
    match options.step {
        Some(step) => {
            job.work(options.from, step);
            ExitCode::SUCCESS
        }
        None => supervisor::run(&job, &options),
    }
}
