//! One virtual processor.

use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, Ordering};

use spin::Mutex;

/// An interrupt that waits for its processor to be below its IRQL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PendingInterrupt {
    pub irql: u8,
    pub vector: u32,
}

impl PendingInterrupt {
    /// The level is the vector divided by 16, as on x64.
    fn new(vector: u32) -> Self {
        Self {
            irql: u8::try_from(vector / 16).unwrap_or(15).min(15),
            vector,
        }
    }
}

/// A spin lock held on a processor.
#[derive(Clone, Copy, Debug)]
pub(crate) struct HeldLock {
    pub address: usize,
    /// Where it was taken, for reports.
    pub caller: usize,
}

/// State of one virtual processor.
#[derive(Debug)]
pub(crate) struct Cpu {
    pub(crate) index: u32,
    irql: AtomicU8,
    current: AtomicU32,
    idle: AtomicU32,
    ready: Mutex<VecDeque<u32>>,
    dpcs: Mutex<VecDeque<usize>>,
    /// Pending vectors, one bit each.
    interrupts: [AtomicU64; 4],
    pub(crate) held: Mutex<Vec<HeldLock>>,
    interrupts_enabled: AtomicBool,
    /// Times control has passed between driver code and the kernel here.
    passages: AtomicU64,
    /// What `passages` was when the watchdog looked first, and when that was.
    watched: [AtomicU64; 2],
    /// Address of the KDPC whose routine runs now.
    pub(crate) running_dpc: Mutex<Option<usize>>,
}

impl Cpu {
    pub(crate) fn new(index: u32) -> Self {
        Self {
            index,
            irql: AtomicU8::new(0),
            current: AtomicU32::new(0),
            idle: AtomicU32::new(0),
            ready: Mutex::new(VecDeque::new()),
            dpcs: Mutex::new(VecDeque::new()),
            interrupts: [const { AtomicU64::new(0) }; 4],
            held: Mutex::new(Vec::new()),
            interrupts_enabled: AtomicBool::new(true),
            passages: AtomicU64::new(0),
            watched: [const { AtomicU64::new(0) }; 2],
            running_dpc: Mutex::new(None),
        }
    }

    /// Driver code has called, or begins to run.
    pub(crate) fn passed(&self) {
        self.passages.fetch_add(1, Ordering::Relaxed);
    }

    /// Asked while driver code runs here, at time `now`: whether it has for more than `limit`, without a call in between.
    /// Takes no lock: a signal or interrupt may ask.
    pub(crate) fn runs_away(&self, now: u64, limit: u64) -> bool {
        let passages = self.passages.load(Ordering::Relaxed);
        let [seen, since] = &self.watched;
        if seen.swap(passages, Ordering::Relaxed) != passages {
            since.store(now, Ordering::Relaxed);
        }
        now.saturating_sub(since.load(Ordering::Relaxed)) > limit
    }

    pub(crate) fn irql(&self) -> u8 {
        self.irql.load(Ordering::Acquire)
    }

    /// Sets the level; delivering what it allows is the caller's part.
    pub(crate) fn set_irql(&self, to: u8) -> u8 {
        self.irql.swap(to, Ordering::AcqRel)
    }

    pub(crate) fn current(&self) -> u32 {
        self.current.load(Ordering::Acquire)
    }

    pub(crate) fn set_idle(&self, thread: u32) {
        self.idle.store(thread, Ordering::Release);
        self.current.store(thread, Ordering::Release);
    }

    pub(crate) fn is_idle(&self) -> bool {
        self.current() == self.idle.load(Ordering::Acquire)
    }

    pub(crate) fn push_ready(&self, thread: u32) {
        self.ready.lock().push_back(thread);
    }

    pub(crate) fn has_ready(&self) -> bool {
        !self.ready.lock().is_empty()
    }

    /// Makes the next ready thread, else the idle thread, the current one.
    pub(crate) fn pick_next(&self) {
        let next = self.ready.lock().pop_front();
        self.current.store(
            next.unwrap_or_else(|| self.idle.load(Ordering::Acquire)),
            Ordering::Release,
        );
    }

    pub(crate) fn queue_dpc(&self, dpc: usize, front: bool) {
        let mut queue = self.dpcs.lock();
        if front {
            queue.push_front(dpc);
        } else {
            queue.push_back(dpc);
        }
    }

    /// Takes a DPC out of the queue; whether it was there.
    pub(crate) fn remove_dpc(&self, dpc: usize) -> bool {
        let mut queue = self.dpcs.lock();
        let before = queue.len();
        queue.retain(|queued| *queued != dpc);
        queue.len() != before
    }

    pub(crate) fn next_dpc(&self) -> Option<usize> {
        self.dpcs.lock().pop_front()
    }

    pub(crate) fn dpc_between(&self, from: usize, to: usize) -> Option<usize> {
        self.dpcs
            .lock()
            .iter()
            .copied()
            .find(|dpc| (from..to).contains(dpc))
    }

    pub(crate) fn has_dpcs(&self) -> bool {
        !self.dpcs.lock().is_empty()
    }

    /// Marks `interrupt` as pending. Takes no lock: a real interrupt may call it in the middle of anything.
    pub(crate) fn raise(&self, vector: u32) {
        if let Some(word) = self.interrupts.get(vector as usize / 64) {
            word.fetch_or(1 << (vector % 64), Ordering::AcqRel);
        }
    }

    /// The highest pending vector that the processor's level allows.
    fn allowed_interrupt(&self) -> Option<PendingInterrupt> {
        if !self.interrupts_enabled.load(Ordering::Acquire) {
            return None;
        }
        let irql = self.irql();
        [0_u32, 64, 128, 192]
            .into_iter()
            .zip(&self.interrupts)
            .rev()
            .find_map(|(base, word)| {
                let bit = word.load(Ordering::Acquire).checked_ilog2()?;
                Some(PendingInterrupt::new(base + bit))
            })
            .filter(|interrupt| interrupt.irql > irql)
    }

    /// Takes the highest interrupt that the processor's level allows.
    pub(crate) fn take_interrupt(&self) -> Option<PendingInterrupt> {
        let interrupt = self.allowed_interrupt()?;
        let word = self.interrupts.get(interrupt.vector as usize / 64)?;
        word.fetch_and(!(1 << (interrupt.vector % 64)), Ordering::AcqRel);
        Some(interrupt)
    }

    fn has_interrupt(&self) -> bool {
        self.allowed_interrupt().is_some()
    }

    #[cfg(feature = "linux")]
    pub(crate) fn enable_interrupts(&self, on: bool) {
        self.interrupts_enabled.store(on, Ordering::Release);
    }

    /// Whether running the processor would do anything. An idle one above `PASSIVE_LEVEL` is inside a DPC or service
    /// routine that was preempted.
    pub(crate) fn can_run(&self) -> bool {
        !self.is_idle()
            || self.irql() > 0
            || self.has_ready()
            || self.has_interrupt()
            || self.has_dpcs()
    }
}
