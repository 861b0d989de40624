//! Starts the workers, follows what they say, and stops one that hangs. A life that goes wrong is noted, and its
//! worker goes on with the next.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

use crate::Options;
use crate::job::{BEGIN, DONE, END, Job, Kind};

/// A life longer than this, by the clock on the wall, hangs: they take a fraction of a second.
const PATIENCE: Duration = Duration::from_mins(2);
/// With more failures than this there is no point in going on.
const FAILURES_MAX: usize = 12;

/// A process, and where it is.
struct Worker {
    child: Child,
    at: u64,
    since: Instant,
    ended: bool,
}

/// A line a worker printed; `None` after its last.
type Line = (usize, Option<String>);

struct Supervisor<'a> {
    job: &'a Job,
    step: u64,
    workers: BTreeMap<usize, Worker>,
    lines: (Sender<Line>, Receiver<Line>),
    next_id: usize,
    started: Instant,
    passed: u64,
    /// What was told of lives, and how often.
    told: BTreeMap<String, u64>,
    failures: Vec<String>,
}

/// Lives the lives of `job`.
pub(crate) fn run(job: &Job, options: &Options) -> ExitCode {
    let processors = std::thread::available_parallelism().map_or(1, |count| count.get() as u64);
    let step = match options.workers {
        0 => processors,
        count => count,
    };
    let mut supervisor = Supervisor {
        job,
        step,
        workers: BTreeMap::new(),
        lines: channel(),
        next_id: 0,
        started: Instant::now(),
        passed: 0,
        told: BTreeMap::new(),
        failures: Vec::new(),
    };
    for worker in 0..step {
        supervisor.start(options.from + worker);
    }
    while !supervisor.workers.is_empty() {
        supervisor.follow();
    }
    supervisor.conclude()
}

impl Supervisor<'_> {
    /// Starts a worker with life `from`.
    fn start(&mut self, from: u64) {
        let program = std::env::current_exe().expect("the system knows this program");
        // The same command line: the last of an option counts.
        let mut command = Command::new(program);
        command.args(std::env::args_os().skip(1));
        command.arg(format!("--from={from}"));
        command.arg(format!("--step={}", self.step));
        command.stdout(Stdio::piped());
        let mut child = command.spawn().expect("this program starts again");
        let id = self.next_id;
        self.next_id += 1;
        let pipe = child.stdout.take().expect("the pipe asked for");
        let sender = self.lines.0.clone();
        std::thread::spawn(move || {
            for line in BufReader::new(pipe).lines().map_while(Result::ok) {
                let _ = sender.send((id, Some(line)));
            }
            let _ = sender.send((id, None));
        });
        self.workers.insert(
            id,
            Worker {
                child,
                at: from,
                since: Instant::now(),
                ended: false,
            },
        );
    }

    /// Takes one line, or looks for workers that hang.
    fn follow(&mut self) {
        match self.lines.1.recv_timeout(Duration::from_secs(1)) {
            Ok((id, Some(line))) => self.hear(id, &line),
            Ok((id, None)) => self.bury(id),
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
                for worker in self.workers.values_mut() {
                    if worker.since.elapsed() > PATIENCE {
                        eprintln!("life {} hangs", worker.at);
                        let _ = worker.child.kill();
                    }
                }
            }
        }
    }

    fn hear(&mut self, id: usize, line: &str) {
        let Some(worker) = self.workers.get_mut(&id) else {
            return;
        };
        worker.since = Instant::now();
        if let Some(index) = line.strip_prefix(BEGIN) {
            worker.at = index.parse().unwrap_or(worker.at);
        } else if let Some(told) = line.strip_prefix(DONE) {
            *self.told.entry(told.to_owned()).or_insert(0) += 1;
            self.passed += 1;
            if self.passed.is_multiple_of(100) {
                println!(
                    "{} {}, {:.0} s",
                    self.passed,
                    self.job.noun(),
                    self.seconds()
                );
            }
        } else if line == END {
            worker.ended = true;
        }
    }

    /// A worker printed its last: it is done, or it died of the life it was at.
    fn bury(&mut self, id: usize) {
        let Some(mut worker) = self.workers.remove(&id) else {
            return;
        };
        let status = worker.child.wait().expect("the child is ours");
        if worker.ended && status.success() {
            return;
        }
        self.failures.push(format!("life {} ({status})", worker.at));
        if self.failures.len() < FAILURES_MAX {
            self.start(worker.at + self.step);
        }
    }

    fn seconds(&self) -> f64 {
        self.started.elapsed().as_secs_f64()
    }

    fn conclude(&self) -> ExitCode {
        if let Kind::Sweep(_) = self.job.kind {
            let mut exports: BTreeMap<&str, u64> = BTreeMap::new();
            for (site, count) in &self.told {
                let name = site.rsplit(" -> ").next().unwrap_or(site);
                *exports.entry(name).or_insert(0) += count;
            }
            for (name, count) in &exports {
                println!("{count:>6} calls of {name}");
            }
            println!("{} places in the drivers called them", self.told.len());
        }
        let seconds = self.seconds();
        let noun = self.job.noun();
        if self.failures.is_empty() {
            println!("{} {noun} passed in {seconds:.0} s", self.passed);
            return ExitCode::SUCCESS;
        }
        println!(
            "{} {noun} passed in {seconds:.0} s; these did not:",
            self.passed
        );
        for failure in &self.failures {
            println!("  {failure}; again with --from N --last N of the same command");
        }
        ExitCode::FAILURE
    }
}
