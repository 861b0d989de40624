//! Virtual processors, threads, interrupts and virtual time.
//!
//! Each NT thread is a fiber; ISRs and DPCs run nested on the stack of whatever their processor is running,
//! as on hardware. In the deterministic mode one OS thread runs everything: the *scheduler context* (the
//! test's own stack) picks a processor by the seed, switches to its current fiber, and gets control back at
//! the fiber's next preemption point (any import) or when it blocks. In the [parallel] mode each processor
//! is a real one (OS thread) with a scheduler context of its own.

use alloc::boxed::Box;
use alloc::vec::Vec;

pub(crate) mod cpu;
pub(crate) mod deliver;
pub(crate) mod events;
pub(crate) mod lock;
pub(crate) mod parallel;
pub(crate) mod rng;
pub(crate) mod thread;

use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use spin::Mutex;

use crate::host::context::{self, Slot, kernel};
use crate::kernel::Kernel;
use crate::rules;
use cpu::Cpu;
use events::Events;
use lock::KernelLock;
use parallel::{Clock, Parallel};
use rng::Rng;
use thread::{State, Thread};

/// Scheduler steps without any progress of virtual time after which a run is called a hang.
const STEP_LIMIT: u64 = 20_000_000;
/// Consecutive steps in which every running processor only spins, after which they are deadlocked.
const SPIN_LIMIT: u32 = 20_000;
/// Real time, in 100 ns units, in which every processor only spins, after which they are deadlocked.
const SPIN_TIME: u64 = 100_000_000;

/// Why a run ended before what was waited for had happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// A driver did something after which it cannot go on; see the violations.
    Fatal,
    /// Nothing can run any more, or not within the time allowed.
    Idle,
}

/// The scheduler of one harness.
#[derive(Debug)]
pub(crate) struct Sched {
    cpus: Vec<Cpu>,
    roots: Vec<Slot>,
    threads: Mutex<BTreeMap<u32, Arc<Thread>>>,
    next_thread: AtomicU32,
    clock: Clock,
    /// Held by whoever runs harness code; see there.
    pub(crate) lock: KernelLock,
    parallel: Option<Parallel>,
    pub(crate) rng: Mutex<Rng>,
    pub(crate) events: Events,
    stacks: Mutex<Vec<usize>>,
    spins: AtomicU32,
    /// Real time of the first of the spins.
    spinning_since: AtomicU64,
}

impl Sched {
    pub(crate) fn new(cpus: u32, seed: u64, parallel: bool) -> Self {
        Self {
            cpus: (0..cpus).map(Cpu::new).collect(),
            roots: (0..cpus).map(|_| Slot::new()).collect(),
            threads: Mutex::new(BTreeMap::new()),
            next_thread: AtomicU32::new(1),
            clock: Clock::new(),
            lock: KernelLock::new(parallel),
            parallel: parallel.then(|| Parallel::new(cpus)),
            rng: Mutex::new(Rng::new(seed)),
            events: Events::default(),
            stacks: Mutex::new(Vec::new()),
            spins: AtomicU32::new(0),
            spinning_since: AtomicU64::new(0),
        }
    }

    /// Makes the idle thread of every processor. Called once, when the kernel has its final address.
    pub(crate) fn start(&self, kernel: &Kernel) {
        for cpu in &self.cpus {
            let id = self.spawn_on(kernel, cpu.index, "idle", Box::new(idle));
            cpu.set_idle(id);
        }
    }

    pub(crate) fn cpus(&self) -> &[Cpu] {
        &self.cpus
    }

    /// The processor that runs the calling code.
    pub(crate) fn cpu(&self) -> &Cpu {
        &self.cpus[context::cpu_index() as usize]
    }

    /// The thread whose stack runs the calling code; the idle thread if it is a DPC over an idle processor.
    pub(crate) fn current(&self) -> Arc<Thread> {
        let id = self.cpu().current();
        Arc::clone(
            self.threads
                .lock()
                .get(&id)
                .expect("a processor always has a thread"),
        )
    }

    pub(crate) fn thread(&self, id: u32) -> Option<Arc<Thread>> {
        self.threads.lock().get(&id).map(Arc::clone)
    }

    /// Time of the machine: 100 ns units since the start.
    pub(crate) fn now(&self) -> u64 {
        self.clock.now()
    }

    pub(crate) fn chance(&self, one_in: u32) -> bool {
        self.rng.lock().below(one_in) == 0
    }

    fn spawn_on(
        &self,
        kernel: &Kernel,
        cpu: u32,
        name: &'static str,
        body: Box<dyn FnOnce() + Send>,
    ) -> u32 {
        let id = self.next_thread.fetch_add(1, Ordering::AcqRel);
        let reused = self.stacks.lock().pop();
        let stack = reused
            .or_else(|| thread::new_stack(kernel))
            .expect("guest memory for a stack: give the harness more RAM");
        let thread = Arc::new(Thread::new(id, name, cpu, stack, body));
        thread.slot.prepare(stack + thread::STACK, id);
        self.threads.lock().insert(id, thread);
        id
    }

    /// Starts a thread at `PASSIVE_LEVEL` on a processor of the seed's choice.
    pub(crate) fn spawn(&self, name: &'static str, body: Box<dyn FnOnce() + Send>) -> u32 {
        let count = u32::try_from(self.cpus.len()).unwrap_or(1);
        let cpu = self.rng.lock().below(count);
        let id = self.spawn_on(kernel(), cpu, name, body);
        self.push_ready(cpu, id);
        id
    }

    /// Makes a waiting thread ready on its processor.
    pub(crate) fn make_ready(&self, thread: &Thread) {
        let mut state = thread.state.lock();
        if *state == State::Waiting {
            *state = State::Ready;
            self.push_ready(thread.cpu(), thread.id);
        }
    }

    /// Puts a thread in the ready queue of processor `cpu`.
    pub(crate) fn push_ready(&self, cpu: u32, thread: u32) {
        self.cpus[cpu as usize].push_ready(thread);
        self.wake(cpu);
    }

    /// Queues a DPC on processor `cpu`.
    pub(crate) fn queue_dpc(&self, cpu: u32, dpc: usize, front: bool) {
        self.cpus[cpu as usize].queue_dpc(dpc, front);
        self.wake(cpu);
    }

    /// Raises interrupt `vector` on processor `cpu`, if there is one.
    pub(crate) fn raise(&self, cpu: u32, vector: u32) {
        if let Some(target) = self.cpus.get(cpu as usize) {
            target.raise(vector);
            self.wake(cpu);
        }
    }

    /// Leaves the running fiber for the scheduler; returns when the processor runs it again.
    pub(crate) fn yield_now(&self) {
        let thread = self.current();
        let cpu = context::cpu_index();
        thread.slot.switch_to(&self.roots[cpu as usize]);
    }

    /// Blocks the running thread: it must have been recorded as waiting for something. Returns when made ready.
    pub(crate) fn block(&self) {
        let thread = self.current();
        let cpu = self.cpu();
        cpu.pick_next();
        thread.slot.switch_to(&self.roots[cpu.index as usize]);
    }

    /// Ends the running thread.
    pub(crate) fn terminate(&self) -> ! {
        let thread = self.current();
        *thread.state.lock() = State::Terminated;
        let cpu = self.cpu();
        cpu.pick_next();
        loop {
            thread.slot.switch_to(&self.roots[cpu.index as usize]);
        }
    }

    /// Gives up the running fiber for good, after a fatal violation.
    pub(crate) fn abandon(&self) -> ! {
        assert!(
            context::on_fiber(),
            "fatal violation outside driver code: {:?}",
            kernel().rules.all()
        );
        loop {
            self.yield_now();
        }
    }

    /// Whether the calls that follow may depend on other processors moving by themselves.
    pub(crate) const fn is_parallel(&self) -> bool {
        self.parallel.is_some()
    }

    /// A place where hardware could take an interrupt or another processor could run first.
    pub(crate) fn preemption_point(&self) {
        self.clock.step();
        self.spins.store(0, Ordering::Release);
        if self.parallel.is_some() {
            self.rest();
            deliver::pending(self);
        } else {
            deliver::pending(self);
            if self.chance(4) {
                self.yield_now();
                deliver::pending(self);
            }
        }
        let cpu = self.cpu();
        if cpu.irql() == 0 && cpu.has_ready() && self.current().may_switch() && self.chance(8) {
            cpu.push_ready(self.current().id);
            *self.current().state.lock() = State::Ready;
            self.block();
        }
    }

    /// A real interrupt was taken on the running processor. Takes no lock.
    #[cfg(not(feature = "linux"))]
    pub(crate) fn raise_here(&self, vector: u32) {
        self.cpu().raise(vector);
    }

    /// Driver code was interrupted by a real interrupt: runs what that makes due.
    #[cfg(not(feature = "linux"))]
    pub(crate) fn preempt_driver(&self) {
        self.lock.acquire(self.cpu().index);
        self.preemption_point();
        self.lock.release();
    }

    /// One turn of a busy wait: another processor must run before this one can go on.
    pub(crate) fn spin_once(&self) {
        let spun = self.spins.fetch_add(1, Ordering::AcqRel);
        if self.parallel.is_some() {
            self.spin_in_parallel(spun);
            return;
        }
        if spun > SPIN_LIMIT {
            die_of_deadlock();
        }
        self.yield_now();
    }

    fn spin_in_parallel(&self, spun: u32) {
        let now = crate::host::processor::now();
        if spun == 0 {
            self.spinning_since.store(now, Ordering::Release);
        } else if now.saturating_sub(self.spinning_since.load(Ordering::Acquire)) > SPIN_TIME {
            die_of_deadlock();
        }
        self.lock.breathe(self.cpu().index, spun.max(1));
        self.rest();
    }

    /// In the parallel mode, waits in the root loop while no run is under way, and lets time do its work.
    fn rest(&self) {
        let kernel = kernel();
        let due = crate::host::processor::REAL_TIME
            && self.events.next_due().is_some_and(|due| due <= self.now());
        if due {
            self.events.fire_due(self);
        }
        while self.must_rest(kernel) {
            self.yield_now();
        }
    }

    /// Runs one processor, or one poll of the platform. Returns whether anything could run.
    fn step(&self, kernel: &Kernel) -> bool {
        self.events.fire_due(self);
        let runnable: Vec<u32> = self
            .cpus
            .iter()
            .filter(|cpu| cpu.can_run())
            .map(|cpu| cpu.index)
            .collect();
        let choices = u32::try_from(runnable.len()).unwrap_or(0);
        let pick = self.rng.lock().below(choices + 1);
        if pick == choices && kernel.platform.poll() {
            return true;
        }
        let Some(&cpu) = runnable.get(pick.min(choices.saturating_sub(1)) as usize) else {
            return false;
        };
        self.run_cpu(kernel, &self.cpus[cpu as usize]);
        true
    }

    fn run_cpu(&self, kernel: &Kernel, cpu: &Cpu) {
        // Not while a DPC on the idle stack has been preempted: its processor is above PASSIVE_LEVEL.
        if cpu.is_idle() && cpu.has_ready() && cpu.irql() == 0 {
            cpu.pick_next();
        }
        let id = cpu.current();
        let thread = self.thread(id).expect("a processor always has a thread");
        *thread.state.lock() = State::Running;
        kernel.trace.switch(cpu.index, id);
        cpu.passed();
        context::enter(kernel, cpu.index, true);
        self.roots[cpu.index as usize].switch_to(&thread.slot);
        context::enter(kernel, cpu.index, false);
        if *thread.state.lock() == State::Terminated {
            self.threads.lock().remove(&id);
            self.stacks.lock().push(thread.stack);
        }
    }

    /// Runs until `done`, advancing virtual time when nothing else can run, but not past `deadline`.
    pub(crate) fn run(
        &self,
        kernel: &Kernel,
        deadline: u64,
        done: &mut dyn FnMut() -> bool,
    ) -> Result<(), Stop> {
        assert!(
            !context::on_fiber(),
            "the scheduler is not re-entered from a fiber"
        );
        context::enter(kernel, 0, false);
        if let Some(all) = &self.parallel {
            return self.run_parallel(kernel, all, deadline, done);
        }
        let mut steps = 0_u64;
        loop {
            if kernel.rules.is_fatal() {
                return Err(Stop::Fatal);
            }
            if done() {
                return Ok(());
            }
            if self.step(kernel) {
                steps += 1;
                if steps > STEP_LIMIT {
                    return Err(Stop::Idle);
                }
                continue;
            }
            if done() {
                return Ok(());
            }
            match self.events.next_due() {
                Some(due) if due <= deadline => {
                    self.clock.advance_to(due);
                    steps = 0;
                }
                _ => return Err(Stop::Idle),
            }
        }
    }

    /// Moves virtual time forward to `to`, without running anything.
    pub(crate) fn set_now(&self, to: u64) {
        self.clock.advance_to(to);
    }
}

fn die_of_deadlock() -> ! {
    rules::die(
        &rules::DEADLOCK,
        "every processor that could run waits for a spin lock",
    )
}

/// What an idle processor does.
fn idle() {
    let kernel = kernel();
    loop {
        deliver::pending(&kernel.sched);
        kernel.sched.yield_now();
    }
}

/// Body of every fiber.
pub(crate) fn thread_body(id: u32) -> ! {
    let sched = &kernel().sched;
    let body = sched.thread(id).and_then(|thread| thread.take_body());
    if let Some(body) = body {
        body();
    }
    crate::ps::ended();
    sched.terminate()
}
