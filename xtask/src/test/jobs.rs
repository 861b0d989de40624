//! Runs jobs side by side, one per processor; each is bounded in time and shows its output whole.

use std::{
    collections::VecDeque,
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::Mutex,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};

/// The longest one job may take: the longest of all takes a few minutes alone.
const LIMIT: Duration = Duration::from_mins(20);

/// Jobs that take less are not told one by one.
const WORTH_TELLING: Duration = Duration::from_secs(1);

/// How often a program is looked at.
const PERIOD: Duration = Duration::from_millis(20);

/// What a job does.
pub(crate) enum Work {
    /// Runs a program.
    Program(Command),
    /// Calls a function; whether all is well.
    Call(fn() -> Result<bool>),
}

/// Something to run.
pub(crate) struct Job {
    /// What it is; a name that can be part of a file's.
    pub(crate) name: String,
    /// What it does.
    pub(crate) work: Work,
}

impl Job {
    /// A job that runs `program`.
    pub(crate) fn program(name: impl Into<String>, program: Command) -> Self {
        Self {
            name: name.into(),
            work: Work::Program(program),
        }
    }
}

/// What came of a job.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// Whether the program's exit code was 0, or the function said so.
    pub(crate) success: bool,
    /// What the program printed, on either stream.
    pub(crate) output: String,
}

/// Runs all jobs, in this order, as many at a time as there are processors. The output of each is kept in a file of
/// `logs` and, when it ends, given to `ended`, one at a time.
///
/// # Errors
/// A program could not be started or takes too long, or a function failed.
pub(crate) fn run(
    jobs: Vec<Job>,
    logs: &Path,
    ended: impl FnMut(&str, Outcome) + Send,
) -> Result<()> {
    fs::create_dir_all(logs).with_context(|| logs.display().to_string())?;
    let jobs = Mutex::new(VecDeque::from(jobs));
    let ended = Mutex::new(ended);
    let worker = || -> Result<()> {
        loop {
            let next = jobs.lock().map_or(None, |mut left| left.pop_front());
            let Some(job) = next else {
                return Ok(());
            };
            let start = Instant::now();
            let outcome = outcome(job.work, &log_of(logs, &job.name))
                .with_context(|| job.name.clone())
                .inspect_err(|_| {
                    // Nobody needs the rest any more.
                    if let Ok(mut left) = jobs.lock() {
                        left.clear();
                    }
                })?;
            let elapsed = start.elapsed();
            if elapsed >= WORTH_TELLING {
                eprintln!("    {}: {:.0} s", job.name, elapsed.as_secs_f64());
            }
            if let Ok(mut ended) = ended.lock() {
                ended(&job.name, outcome);
            }
        }
    };
    let workers = thread::available_parallelism().map_or(2, std::num::NonZero::get);
    thread::scope(|scope| {
        let workers: Vec<_> = (0..workers).map(|_| scope.spawn(worker)).collect();
        workers
            .into_iter()
            .try_for_each(|worker| match worker.join() {
                Ok(result) => result,
                Err(_) => bail!("a thread of xtask panicked"),
            })
    })
}

/// Where the output of the job of this name is kept.
fn log_of(logs: &Path, name: &str) -> PathBuf {
    let plain = |letter: char| {
        if letter.is_alphanumeric() {
            letter
        } else {
            '-'
        }
    };
    let name: String = name.chars().map(plain).collect();
    logs.join(name).with_extension("log")
}

fn outcome(work: Work, log: &Path) -> Result<Outcome> {
    match work {
        Work::Program(mut command) => {
            let file = File::create(log).with_context(|| log.display().to_string())?;
            command.stdin(Stdio::null());
            command.stdout(file.try_clone()?).stderr(file);
            let child = command
                .spawn()
                .with_context(|| format!("cannot start {command:?}"))?;
            let success = bounded(child, LIMIT, log)?;
            let output = fs::read(log)?;
            Ok(Outcome {
                success,
                output: String::from_utf8_lossy(&output).into_owned(),
            })
        }
        Work::Call(function) => Ok(Outcome {
            success: function()?,
            output: String::new(),
        }),
    }
}

/// Whether `child` ends well; it is killed after `limit`.
fn bounded(mut child: Child, limit: Duration, log: &Path) -> Result<bool> {
    let start = Instant::now();
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(status.success());
        }
        if start.elapsed() > limit {
            child.kill()?;
            child.wait()?;
            let said = fs::read(log).unwrap_or_default();
            let _ = io::stderr().write_all(&said);
            bail!(
                "killed after {} s; its output is above and in {}",
                limit.as_secs(),
                log.display()
            );
        }
        thread::sleep(PERIOD);
    }
}

#[cfg(test)]
mod tests {
    use std::{env, fs, process::Command, sync::Mutex, time::Duration};

    use super::{Job, Work, bounded, run};

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    #[test]
    fn every_job_is_run_and_told_with_its_output() {
        let logs = env::temp_dir().join(format!("netfront-jobs-{}", std::process::id()));
        let jobs = vec![
            Job::program("says both", shell("echo out; echo err >&2")),
            Job::program("fails", shell("exit 3")),
            Job {
                name: "a call".to_owned(),
                work: Work::Call(|| Ok(true)),
            },
        ];
        let seen = Mutex::new(Vec::new());
        run(jobs, &logs, |name, outcome| {
            seen.lock().expect("one at a time").push((
                name.to_owned(),
                outcome.success,
                outcome.output,
            ));
        })
        .expect("all can be started");
        let mut seen = seen.into_inner().expect("nobody panicked");
        seen.sort();
        let kept = fs::read_to_string(logs.join("says-both.log")).expect("a log");
        fs::remove_dir_all(&logs).expect("the logs");
        assert_eq!(kept, "out\nerr\n");
        assert_eq!(
            seen,
            [
                ("a call".to_owned(), true, String::new()),
                ("fails".to_owned(), false, String::new()),
                ("says both".to_owned(), true, "out\nerr\n".to_owned()),
            ]
        );
    }

    #[test]
    fn a_program_that_hangs_is_killed() {
        let log = env::temp_dir().join("no-such-log");
        let child = Command::new("sleep").arg("600").spawn().expect("starts");
        let error = bounded(child, Duration::from_millis(50), &log).expect_err("it hangs");
        assert!(error.to_string().starts_with("killed after"), "{error}");
    }

    #[test]
    fn a_program_that_is_not_there_is_an_error_and_ends_the_rest() {
        let logs = env::temp_dir().join(format!("netfront-no-jobs-{}", std::process::id()));
        let jobs = vec![Job::program("missing", Command::new("/no/such/program"))];
        let error = run(jobs, &logs, |_, _| {}).expect_err("cannot start");
        fs::remove_dir_all(&logs).expect("the logs");
        assert!(
            format!("{error:#}").contains("/no/such/program"),
            "{error:#}"
        );
    }
}
