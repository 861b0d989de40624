//! The parallel mode: each NT processor is driven by a real one.
//!
//! A processor's root loop holds the [kernel lock](super::lock) and gives it back while driver code runs and while
//! the processor is idle. Between two runs of the test every processor is parked in its root loop, so a test sees
//! the machine at rest, as in the deterministic mode.
//!
//! In the Linux process the test's own thread is the *monitor*: it polls the platform, fires what is due, and moves
//! virtual time on when every processor is idle and the platform has nothing to do. On bare metal the caller drives
//! processor 0 and time is real.

use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::{Sched, Stop};
use crate::host::processor::{self, CALLER_IS_A_PROCESSOR, Processors, REAL_TIME};
use crate::host::{context, trap};
use crate::kernel::Kernel;

/// The monitor as holder of the kernel lock.
const MONITOR: u32 = 64;
/// Real time without idleness after which a run is given up: 100 ns units.
const STUCK: u64 = 300 * 10_000_000;
/// Longest wait of processor 0 of a bare machine between two looks at the test's condition; whoever else does something
/// ends it.
const LOOK: u64 = 100_000;

/// State of the parallel mode.
#[derive(Debug)]
pub(crate) struct Parallel {
    pub(super) processors: Processors,
    /// Processors may run: a run of the test is under way.
    running: AtomicBool,
    /// The machine is being taken apart.
    ending: AtomicBool,
    /// Processors that are not parked, one bit each.
    active: AtomicU64,
    /// Processors that found nothing to do, one bit each; parked ones have it too.
    idle: AtomicU64,
    /// A processor has done something since processor 0 of a bare machine last looked.
    stirred: AtomicBool,
}

impl Parallel {
    pub(super) fn new(cpus: u32) -> Self {
        Self {
            processors: Processors::new(cpus),
            running: AtomicBool::new(false),
            ending: AtomicBool::new(false),
            active: AtomicU64::new(0),
            idle: AtomicU64::new(0),
            stirred: AtomicBool::new(false),
        }
    }

    fn running(&self) -> bool {
        self.running.load(Ordering::SeqCst)
    }

    fn ending(&self) -> bool {
        self.ending.load(Ordering::SeqCst)
    }
}

/// Whether a run is under way and may go on.
fn may_run(kernel: &Kernel, all: &Parallel) -> bool {
    all.running() && !kernel.rules.is_fatal()
}

impl Sched {
    /// Whether a fiber must go to its root loop: the run is over.
    pub(super) fn must_rest(&self, kernel: &Kernel) -> bool {
        self.parallel
            .as_ref()
            .is_some_and(|all| !may_run(kernel, all))
    }

    /// Tells processor `cpu` that it has something to do.
    pub(super) fn wake(&self, cpu: u32) {
        if let Some(all) = &self.parallel {
            all.processors.wake(cpu);
        }
    }

    /// Wakes the processors that `chosen` names.
    fn wake_each(&self, chosen: impl Fn(&super::cpu::Cpu) -> bool) {
        for cpu in self.cpus.iter().filter(|cpu| chosen(cpu)) {
            self.wake(cpu.index);
        }
    }

    /// The parallel processors of this machine, if it has some: to start and to join.
    pub(crate) fn processors(&self) -> Option<&Processors> {
        self.parallel.as_ref().map(|all| &all.processors)
    }

    /// Numbers of the processors that are to be started.
    pub(crate) fn to_start(&self) -> core::ops::Range<u32> {
        u32::from(CALLER_IS_A_PROCESSOR)..u32::try_from(self.cpus.len()).unwrap_or(0)
    }

    /// Ends the loops of all processors.
    pub(crate) fn end(&self) {
        if let Some(all) = &self.parallel {
            all.ending.store(true, Ordering::SeqCst);
            self.wake_each(|_| true);
            all.processors.join();
        }
    }

    /// What a real processor does for the life of the machine: NT processor `cpu`, whenever a run is under way and there is
    /// something to do. Else it is parked, which costs a run neither a wake nor a wait.
    pub(crate) fn processor_main(&self, kernel: &Kernel, cpu: u32) {
        let Some(all) = &self.parallel else { return };
        let own = &self.cpus[cpu as usize];
        context::enter(kernel, cpu, false);
        trap::watch(kernel);
        let mut worked = false;
        while !all.ending() {
            all.idle.fetch_or(1 << cpu, Ordering::SeqCst);
            // After the bit is set: who looks because of it sees that this one is idle.
            if core::mem::take(&mut worked) {
                self.stir(all);
            }
            all.processors.idle(cpu, None, &|| {
                may_run(kernel, all) && own.can_run() || all.ending()
            });
            all.idle.fetch_and(!(1 << cpu), Ordering::SeqCst);
            all.active.fetch_or(1 << cpu, Ordering::SeqCst);
            // After the bit is set: whoever stops a run waits for it.
            if may_run(kernel, all) && own.can_run() {
                self.lock.acquire(cpu);
                while may_run(kernel, all) && own.can_run() {
                    self.run_cpu(kernel, own);
                    self.lock.breathe(cpu, 0);
                }
                self.lock.release();
                worked = true;
            }
            all.active.fetch_and(!(1 << cpu), Ordering::SeqCst);
        }
        context::leave();
    }

    /// Has processor 0 of a bare machine look at the test's condition: somebody has done something.
    fn stir(&self, all: &Parallel) {
        all.stirred.store(true, Ordering::SeqCst);
        if CALLER_IS_A_PROCESSOR && all.idle.load(Ordering::SeqCst) & 1 != 0 {
            self.wake(0);
        }
    }

    /// Runs processor 0 of a bare machine once, or waits until `until` for something to do or to look at.
    fn drive_once(&self, kernel: &Kernel, all: &Parallel, until: u64) {
        let own = &self.cpus[0];
        if own.can_run() {
            self.run_cpu(kernel, own);
            self.lock.breathe(0, 0);
            return;
        }
        all.idle.fetch_or(1, Ordering::SeqCst);
        self.lock.release();
        all.processors.idle(0, Some(until), &|| {
            own.can_run() || all.stirred.load(Ordering::SeqCst) || !may_run(kernel, all)
        });
        all.stirred.store(false, Ordering::SeqCst);
        all.idle.fetch_and(!1, Ordering::SeqCst);
        self.lock.acquire(0);
    }

    /// Whether no processor has anything to do.
    fn all_idle(&self, all: &Parallel) -> bool {
        let everyone = u64::MAX >> (64 - self.cpus.len().clamp(1, 64));
        all.idle.load(Ordering::SeqCst) == everyone && self.nothing_to_run()
    }

    fn nothing_to_run(&self) -> bool {
        !self.cpus.iter().any(super::cpu::Cpu::can_run)
    }

    /// As [`Sched::run`], in the parallel mode.
    pub(super) fn run_parallel(
        &self,
        kernel: &Kernel,
        all: &Parallel,
        deadline: u64,
        done: &mut dyn FnMut() -> bool,
    ) -> Result<(), Stop> {
        all.running.store(true, Ordering::SeqCst);
        self.wake_each(super::cpu::Cpu::can_run);
        let result = if CALLER_IS_A_PROCESSOR {
            self.take_part(kernel, all, deadline, done)
        } else {
            self.monitor(kernel, all, deadline, done)
        };
        all.running.store(false, Ordering::SeqCst);
        let active = all.active.load(Ordering::SeqCst);
        self.wake_each(|cpu| active & (1 << cpu.index) != 0);
        let mut turn = 0;
        while all.active.load(Ordering::SeqCst) != 0 {
            processor::relax(turn);
            turn += 1;
        }
        if kernel.rules.is_fatal() {
            Err(Stop::Fatal)
        } else {
            result
        }
    }

    /// The monitor's part of a run, in the Linux process.
    fn monitor(
        &self,
        kernel: &Kernel,
        all: &Parallel,
        deadline: u64,
        done: &mut dyn FnMut() -> bool,
    ) -> Result<(), Stop> {
        let mut started = processor::now();
        let mut turn = 0;
        loop {
            if kernel.rules.is_fatal() {
                return Err(Stop::Fatal);
            }
            self.lock.acquire(MONITOR);
            self.events.fire_due(self);
            let finished = done();
            self.lock.release();
            if finished {
                return Ok(());
            }
            // In this order: who is idle now has told the platform all it had to tell.
            let idle = self.all_idle(all);
            if kernel.platform.poll() {
                turn = 0;
                continue;
            }
            if !idle {
                if processor::now() - started > STUCK {
                    return Err(Stop::Idle);
                }
                processor::relax(turn);
                turn += 1;
                continue;
            }
            self.lock.acquire(MONITOR);
            let still = self.all_idle(all);
            let finished = done();
            let next = self.events.next_due();
            if still
                && !finished
                && let Some(due) = next.filter(|due| *due <= deadline)
            {
                self.set_now(due);
                started = processor::now();
            }
            self.lock.release();
            if finished {
                return Ok(());
            }
            if still && next.is_none_or(|due| due > deadline) {
                return Err(Stop::Idle);
            }
            turn = 0;
        }
    }

    /// The caller's part of a run on bare metal: it is processor 0.
    fn take_part(
        &self,
        kernel: &Kernel,
        all: &Parallel,
        deadline: u64,
        done: &mut dyn FnMut() -> bool,
    ) -> Result<(), Stop> {
        self.lock.acquire(0);
        let result = loop {
            if kernel.rules.is_fatal() {
                break Err(Stop::Fatal);
            }
            if done() {
                break Ok(());
            }
            self.events.fire_due(self);
            let now = self.now();
            let others = u64::MAX >> (64 - self.cpus.len().clamp(1, 64)) & !1;
            let idle = self.nothing_to_run() && all.idle.load(Ordering::SeqCst) & others == others;
            if now >= deadline && (idle || now > deadline + STUCK / 60) {
                break Err(Stop::Idle);
            }
            let next = self.events.next_due().unwrap_or(u64::MAX);
            // Past the deadline others have something to do still, and say when they are done.
            let end = if now < deadline { deadline } else { u64::MAX };
            let until = self.host_time(next.min(end).min(now + LOOK));
            self.drive_once(kernel, all, until);
        };
        self.lock.release();
        result
    }
}

/// The machine's time: virtual, or the host's since the machine was built.
#[derive(Debug)]
pub(super) struct Clock {
    virtual_now: AtomicU64,
    start: u64,
}

impl Clock {
    pub(super) fn new() -> Self {
        Self {
            virtual_now: AtomicU64::new(0),
            start: if REAL_TIME { processor::now() } else { 0 },
        }
    }

    pub(super) fn now(&self) -> u64 {
        if REAL_TIME {
            processor::now() - self.start
        } else {
            self.virtual_now.load(Ordering::Acquire)
        }
    }

    /// Moves virtual time forward to `to`; real time moves by itself.
    pub(super) fn advance_to(&self, to: u64) {
        if !REAL_TIME {
            self.virtual_now.fetch_max(to, Ordering::AcqRel);
        }
    }

    /// Moves virtual time by one unit.
    pub(super) fn step(&self) {
        if !REAL_TIME {
            self.virtual_now.fetch_add(1, Ordering::AcqRel);
        }
    }

    pub(super) const fn start(&self) -> u64 {
        self.start
    }
}

impl Sched {
    /// A time of the machine as the host counts it.
    fn host_time(&self, at: u64) -> u64 {
        at.saturating_add(self.clock.start())
    }
}
