//! The state of one harness: everything an export reaches through `host::context::kernel`.

use alloc::borrow::ToOwned;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use core::sync::atomic::{AtomicU64, Ordering};

use spin::Mutex;

use crate::image::Image;
use crate::mem::space::Space;
use crate::platform::Platform;
use crate::rules::Ledger;
use crate::sched::Sched;

/// One simulated machine with its kernel.
pub(crate) struct Kernel {
    pub(crate) space: Space,
    pub(crate) sched: Sched,
    /// Processors of a group.
    pub(crate) group_size: u32,
    pub(crate) rules: Ledger,
    pub(crate) platform: Arc<dyn Platform>,
    pub(crate) trace: Trace,
    pub(crate) faults: Faults,
    /// Loaded images by base address.
    pub(crate) images: Mutex<BTreeMap<usize, Arc<Image>>>,
    pub(crate) pool: crate::ex::pool::Pool,
    pub(crate) log: crate::rtl::log::Log,
    pub(crate) interrupts: crate::ke::interrupt::Interrupts,
    pub(crate) waiters: crate::ke::wait::Waiters,
    pub(crate) io: crate::io::Io,
    pub(crate) registry: crate::zw::registry::Registry,
    pub(crate) handles: crate::ob::Handles,
    pub(crate) pnp: crate::pnp::Pnp,
    pub(crate) mm: crate::mm::Mm,
    pub(crate) ndis: crate::ndis::Ndis,
    pub(crate) etw: crate::etw::Etw,
}

impl core::fmt::Debug for Kernel {
    fn fmt(&self, out: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        out.debug_struct("Kernel")
            .field("trace", &self.trace)
            .finish_non_exhaustive()
    }
}

impl Kernel {
    /// The image that holds `address`.
    pub(crate) fn image_at(&self, address: usize) -> Option<Arc<Image>> {
        let images = self.images.lock();
        let (_, image) = images.range(..=address).next_back()?;
        (address < image.base + image.size).then(|| Arc::clone(image))
    }

    /// `driver.sys+rva` for an address.
    pub(crate) fn name_address(&self, address: usize) -> String {
        self.image_at(address).map_or_else(
            || format!("{address:#x}"),
            |image| format!("{}+{:#x}", image.name, address - image.base),
        )
    }

    /// Where the running thread's driver code last called the harness.
    pub(crate) fn last_site(&self) -> String {
        if !crate::host::context::on_fiber() {
            return "the test".to_owned();
        }
        let (name, caller) = self.sched.current().last_call();
        format!("{} -> {name}", self.name_address(caller))
    }
}

/// Running hash over everything the drivers do, in order: two runs with one seed give one hash.
#[derive(Debug)]
pub(crate) struct Trace {
    hash: AtomicU64,
    calls: AtomicU64,
}

impl Trace {
    pub(crate) const fn new(seed: u64) -> Self {
        Self {
            hash: AtomicU64::new(seed ^ 0xCBF2_9CE4_8422_2325),
            calls: AtomicU64::new(0),
        }
    }

    fn mix(&self, word: u64) {
        let hash = self.hash.load(Ordering::Acquire);
        let mixed = (hash ^ word)
            .wrapping_mul(0x9E37_79B9_7F4A_7C15)
            .rotate_left(29);
        self.hash.store(mixed, Ordering::Release);
    }

    /// A call of an export.
    pub(crate) fn call(&self, cpu: u32, name: u64, irql: u8) {
        self.calls.fetch_add(1, Ordering::AcqRel);
        self.mix(name ^ (u64::from(cpu) << 8) ^ u64::from(irql));
    }

    /// A processor was given to a thread.
    pub(crate) fn switch(&self, cpu: u32, thread: u32) {
        self.mix((1 << 63) | (u64::from(cpu) << 32) | u64::from(thread));
    }

    /// A call into a driver.
    pub(crate) fn callback(&self, what: &str) {
        self.mix(what.bytes().fold(7, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3)
        }));
    }

    pub(crate) fn hash(&self) -> u64 {
        self.hash.load(Ordering::Acquire)
    }

    pub(crate) fn calls(&self) -> u64 {
        self.calls.load(Ordering::Acquire)
    }
}

/// Which calls of failing-capable exports fail.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    plan: Mutex<FaultPlan>,
    seen: AtomicU64,
}

/// A plan for making exports fail that may fail (for want of memory or other resources).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FaultPlan {
    /// Nothing fails.
    #[default]
    None,
    /// The n-th call (from 0) of any failing-capable export fails, once.
    Nth(u64),
}

impl Faults {
    /// Starts counting anew under `plan`.
    pub(crate) fn set(&self, plan: FaultPlan) {
        *self.plan.lock() = plan;
        self.seen.store(0, Ordering::Release);
    }

    /// Failing-capable calls seen since the plan was set.
    pub(crate) fn seen(&self) -> u64 {
        self.seen.load(Ordering::Acquire)
    }

    pub(crate) fn decide(&self, _name: &'static str) -> bool {
        let at = self.seen.fetch_add(1, Ordering::AcqRel);
        *self.plan.lock() == FaultPlan::Nth(at)
    }
}
