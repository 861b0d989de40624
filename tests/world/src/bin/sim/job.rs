//! What a worker does: one life after the other, each announced before and told after.

use world::scenario::{self, Ending, Sweep};

use crate::Options;

/// A line before a life, with its number.
pub(crate) const BEGIN: &str = "begin ";
/// A line after a life that went well, with what is to be told of it.
pub(crate) const DONE: &str = "done ";
/// The line after the last life.
pub(crate) const END: &str = "end";

/// Which lives.
#[derive(Debug)]
pub(crate) enum Kind {
    /// Start, traffic, stop.
    Seeds {
        /// Every so many-th runs twice.
        twice: u64,
    },
    /// Everything that starts and stops a driver.
    Cycles,
    /// A call fails in each.
    Sweep(Sweep),
}

/// The lives to live.
#[derive(Debug)]
pub(crate) struct Job {
    /// Which.
    pub(crate) kind: Kind,
    /// Seed of life 0.
    first: u64,
    /// Number of the last life; a sweep ends by itself if there is none.
    last: Option<u64>,
}

impl Job {
    pub(crate) fn of(options: &Options) -> Self {
        let kind = match options {
            Options { sweep: true, .. } => Kind::Sweep(Sweep {
                seed: options.first,
                queues: options.queues,
                bytes: options.bytes,
                for_good: options.for_good,
            }),
            Options {
                cycles: Some(_), ..
            } => Kind::Cycles,
            _ => Kind::Seeds {
                twice: options.twice,
            },
        };
        let count = match kind {
            Kind::Seeds { .. } => Some(options.seeds),
            Kind::Cycles => options.cycles,
            Kind::Sweep(_) => None,
        };
        let last = count.and_then(|count| count.checked_sub(1));
        let last = match (last, options.last) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
        Self {
            kind,
            first: options.first,
            last,
        }
    }

    /// Name of a life.
    pub(crate) fn noun(&self) -> &'static str {
        match self.kind {
            Kind::Seeds { .. } => "seeds",
            Kind::Cycles => "cycles",
            Kind::Sweep(_) => "failing calls",
        }
    }

    /// Lives `from`, `from + step` and so on.
    pub(crate) fn work(&self, from: u64, step: u64) {
        let mut index = from;
        while self.last.is_none_or(|last| index <= last) {
            println!("{BEGIN}{index}");
            let Some(told) = self.live(index) else {
                break;
            };
            println!("{DONE}{told}");
            index += step;
        }
        println!("{END}");
    }

    /// One life; `None` if there is no such call that could fail.
    fn live(&self, index: u64) -> Option<String> {
        let seed = self.first + index;
        match &self.kind {
            Kind::Seeds { twice } => {
                let hash = scenario::life(seed);
                if *twice != 0 && index.is_multiple_of(*twice) {
                    let again = scenario::life(seed);
                    assert_eq!(
                        hash, again,
                        "seed {seed}: the second run took another course"
                    );
                }
                Some(format!("{hash:016x}"))
            }
            Kind::Cycles => {
                let endings = Ending::ALL;
                let ending = usize::try_from(index).unwrap_or(0) % endings.len();
                scenario::cycle(seed, endings[ending]);
                Some(String::new())
            }
            Kind::Sweep(sweep) => scenario::life_with_fault(*sweep, index),
        }
    }
}
