//! What tests use: build a machine, load drivers, drive it, ask what happened.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::string::ToString;
use alloc::sync::Arc;
use alloc::vec::Vec;
#[cfg(feature = "linux")]
use std::path::Path;

use spin::Mutex;

use crate::host::{HostError, context, trap};
use crate::image::{LoadError, load};
use crate::io::driver_object::{self, Driver};
use crate::kernel::{FaultPlan, Faults, Kernel, Trace};
use crate::mem::space::Space;
use crate::platform::{Bare, Platform};
use crate::rtl::log::LogLine;
use crate::rules::{Ledger, Violation};
use crate::sched::events::Event;
use crate::sched::{Sched, Stop};
use crate::zw::registry::{Registry, Value};

/// 100 ns units in a second of virtual time.
pub const SECOND: u64 = 10_000_000;
/// How long one call into the machine may take before it is a hang.
const PATIENCE: u64 = 600 * SECOND;

/// Settings of a machine to build.
pub struct Builder {
    cpus: u32,
    group_size: u32,
    seed: u64,
    ram: usize,
    hole: usize,
    parallel: bool,
    platform: Arc<dyn Platform>,
}

impl core::fmt::Debug for Builder {
    fn fmt(&self, out: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        out.debug_struct("Builder")
            .field("cpus", &self.cpus)
            .field("seed", &self.seed)
            .finish_non_exhaustive()
    }
}

impl Builder {
    /// Virtual processors, 1 to 64.
    #[must_use]
    pub const fn cpus(mut self, cpus: u32) -> Self {
        self.cpus = cpus;
        self
    }

    /// Processors of a group, 1 to 64; 64 unless set.
    #[must_use]
    pub const fn group_size(mut self, processors: u32) -> Self {
        self.group_size = processors;
        self
    }

    /// Seed of every scheduling decision.
    #[must_use]
    pub const fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// Bytes of guest memory, a multiple of 1 MiB.
    #[must_use]
    pub const fn ram(mut self, bytes: usize) -> Self {
        self.ram = bytes;
        self
    }

    /// Each processor is an OS thread of its own, and drivers run in parallel; the seed then decides only part of
    /// what happens. Always so on bare metal.
    #[cfg(feature = "linux")]
    #[must_use]
    pub const fn parallel(mut self, on: bool) -> Self {
        self.parallel = on;
        self
    }

    /// The machine below.
    #[must_use]
    pub fn platform(mut self, platform: Arc<dyn Platform>) -> Self {
        self.platform = platform;
        self
    }

    /// Builds the machine. Fails only if the system gives no memory.
    pub fn build(self) -> Result<Harness, HostError> {
        assert!((1..=64).contains(&self.cpus), "1 to 64 processors");
        assert!(
            (1..=64).contains(&self.group_size),
            "groups of 1 to 64 processors"
        );
        let kernel = Arc::new(Kernel {
            space: Space::new(self.ram, self.hole)?,
            sched: Sched::new(self.cpus, self.seed, self.parallel),
            group_size: self.group_size,
            rules: Ledger::default(),
            platform: self.platform,
            trace: Trace::new(self.seed),
            faults: Faults::default(),
            images: Mutex::default(),
            pool: crate::ex::pool::Pool::default(),
            log: crate::rtl::log::Log::default(),
            interrupts: crate::ke::interrupt::Interrupts::default(),
            waiters: crate::ke::wait::Waiters::default(),
            io: crate::io::Io::default(),
            registry: Registry::default(),
            handles: crate::ob::Handles::default(),
            pnp: crate::pnp::Pnp::default(),
            mm: crate::mm::Mm::default(),
            ndis: crate::ndis::Ndis::default(),
            etw: crate::etw::Etw::default(),
        });
        kernel.sched.start(&kernel);
        if let Some(processors) = kernel.sched.processors() {
            for cpu in kernel.sched.to_start() {
                let kernel = Arc::clone(&kernel);
                let body = move || kernel.sched.processor_main(&kernel, cpu);
                processors.start(cpu, Box::new(body))?;
            }
        }
        let harness = Harness {
            kernel,
            seed: self.seed,
            drivers: Vec::new(),
        };
        harness.kernel.platform.attached(harness.machine());
        Ok(harness)
    }
}

/// A loaded driver, as tests name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DriverId(usize);

/// One simulated Windows machine.
pub struct Harness {
    pub(crate) kernel: Arc<Kernel>,
    seed: u64,
    drivers: Vec<Option<Driver>>,
}

impl core::fmt::Debug for Harness {
    fn fmt(&self, out: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        out.debug_struct("Harness")
            .field("seed", &self.seed)
            .finish_non_exhaustive()
    }
}

impl Drop for Harness {
    fn drop(&mut self) {
        self.kernel.sched.end();
    }
}

/// Puts the OS thread back to running the test when a call into the machine ends.
struct Inside;

impl Drop for Inside {
    fn drop(&mut self) {
        context::leave();
    }
}

impl Harness {
    /// One processor, seed 0, 1 GiB of memory, no hypervisor.
    #[must_use]
    pub fn builder() -> Builder {
        Builder {
            cpus: 1,
            group_size: 64,
            seed: 0,
            ram: 1 << 30,
            hole: 32 << 20,
            parallel: !cfg!(feature = "linux"),
            platform: Arc::new(Bare),
        }
    }

    fn enter(&self) -> Inside {
        context::enter(&self.kernel, 0, false);
        trap::watch(&self.kernel);
        Inside
    }

    #[cfg(feature = "linux")]
    /// Loads the image at `path` as the driver of service `service`; nothing of it runs yet.
    pub fn load_driver(&mut self, path: &Path, service: &str) -> Result<DriverId, LoadError> {
        let data = std::fs::read(path).map_err(|error| LoadError::File(error.to_string()))?;
        let name = path
            .file_name()
            .map_or_else(String::new, |name| name.to_string_lossy().into_owned());
        self.load_image(&name, &data, service)
    }

    /// As [`Harness::load_driver`], for an image in memory.
    pub fn load_image(
        &mut self,
        name: &str,
        data: &[u8],
        service: &str,
    ) -> Result<DriverId, LoadError> {
        let inside = self.enter();
        let image = Arc::new(load::load(&self.kernel, name, data)?);
        self.kernel
            .images
            .lock()
            .insert(image.base, Arc::clone(&image));
        let driver = driver_object::create(image, service);
        drop(inside);
        self.drivers.push(Some(driver));
        Ok(DriverId(self.drivers.len() - 1))
    }

    pub(crate) fn driver(&self, id: DriverId) -> Driver {
        self.drivers
            .get(id.0)
            .cloned()
            .flatten()
            .expect("the driver is loaded")
    }

    /// Calls the driver's `DriverEntry` on a system thread; returns its status.
    pub fn call_driver_entry(&mut self, id: DriverId) -> Result<i32, Stop> {
        let driver = self.driver(id);
        self.on_thread(move || driver_object::enter(&driver))
    }

    /// Calls `DriverUnload`, checks for leaks, and removes the image. False if the driver cannot be unloaded.
    pub fn unload_driver(&mut self, id: DriverId) -> Result<bool, Stop> {
        let driver = self.driver(id);
        let image = Arc::clone(&driver.image);
        let done = self.on_thread(move || driver_object::unload(&driver))?;
        if done {
            self.forget(id, &image);
        }
        Ok(done)
    }

    fn forget(&mut self, id: DriverId, image: &crate::image::Image) {
        self.kernel.images.lock().remove(&image.base);
        load::unload(&self.kernel, image);
        self.drivers[id.0] = None;
    }

    /// Runs `body` on a new system thread at `PASSIVE_LEVEL`, and everything else meanwhile, until it returns.
    /// Virtual time moves on when nothing else can run.
    pub fn on_thread<R: Send + 'static>(
        &self,
        body: impl FnOnce() -> R + Send + 'static,
    ) -> Result<R, Stop> {
        let result = Arc::new(Mutex::new(None));
        let from_thread = Arc::clone(&result);
        let _inside = self.enter();
        self.kernel.sched.spawn(
            "test thread",
            Box::new(move || {
                let value = body();
                *from_thread.lock() = Some(value);
            }),
        );
        let deadline = self.kernel.sched.now() + PATIENCE;
        let stop = self
            .kernel
            .sched
            .run(&self.kernel, deadline, &mut || result.lock().is_some());
        let value = result.lock().take();
        match (stop, value) {
            (_, Some(value)) => Ok(value),
            (Err(Stop::Fatal), None) => Err(Stop::Fatal),
            (_, None) => {
                crate::rules::violate(&crate::rules::HANG, "a call into a driver did not return");
                Err(Stop::Idle)
            }
        }
    }

    /// Runs until nothing is left to do at the present virtual time.
    pub fn run_until_idle(&self) -> Result<(), Stop> {
        self.run_to(self.kernel.sched.now())
    }

    /// Runs for `duration` (100 ns units) of virtual time.
    pub fn advance_time(&self, duration: u64) -> Result<(), Stop> {
        self.run_to(self.kernel.sched.now() + duration)
    }

    fn run_to(&self, deadline: u64) -> Result<(), Stop> {
        let _inside = self.enter();
        if let Err(Stop::Fatal) = self.kernel.sched.run(&self.kernel, deadline, &mut || false) {
            Err(Stop::Fatal)
        } else {
            self.kernel.sched.set_now(deadline);
            Ok(())
        }
    }

    /// Runs until `done`, for at most `limit` of virtual time.
    pub fn run_until(&self, limit: u64, mut done: impl FnMut() -> bool) -> Result<(), Stop> {
        let _inside = self.enter();
        self.kernel
            .sched
            .run(&self.kernel, self.kernel.sched.now() + limit, &mut done)
    }

    /// Everything that broke a rule so far.
    #[must_use]
    pub fn violations(&self) -> Vec<Violation> {
        self.kernel.rules.all()
    }

    /// As [`Harness::violations`], and forgets them: for tests that expect some.
    #[must_use]
    pub fn take_violations(&self) -> Vec<Violation> {
        self.kernel.rules.take()
    }

    /// Fails the test, with the seed, if a rule was broken.
    pub fn assert_clean(&self) {
        let found = self.violations();
        let list: Vec<String> = found.iter().map(ToString::to_string).collect();
        assert!(
            found.is_empty(),
            "seed {}: {} violations:\n{}",
            self.seed,
            found.len(),
            list.join("\n")
        );
    }

    /// Hash over all that drivers did, in order. Same seed and same inputs: same hash.
    #[must_use]
    pub fn trace_hash(&self) -> u64 {
        self.kernel.trace.hash()
    }

    /// Calls drivers have made into the kernel.
    #[must_use]
    pub fn calls(&self) -> u64 {
        self.kernel.trace.calls()
    }

    /// Virtual time: 100 ns units since the start.
    #[must_use]
    pub fn now(&self) -> u64 {
        self.kernel.sched.now()
    }

    /// Debug output so far.
    #[must_use]
    pub fn log(&self) -> Vec<LogLine> {
        self.kernel.log.lines()
    }

    /// Has a session listen to every provider that is registered from now on, at every level.
    pub fn listen_to_traces(&self) {
        self.kernel.etw.listen();
    }

    /// Events written by tracing providers so far.
    #[must_use]
    pub fn trace_events(&self) -> Vec<crate::trace_event::TraceEvent> {
        self.kernel.etw.events()
    }

    /// Interrupt vectors that nobody was connected to, or nobody claimed.
    #[must_use]
    pub fn unclaimed_interrupts(&self) -> Vec<u32> {
        self.kernel.interrupts.unclaimed()
    }

    /// Chooses which calls of failing-capable exports fail from now on.
    pub fn set_fault_plan(&self, plan: FaultPlan) {
        self.kernel.faults.set(plan);
    }

    /// Failing-capable calls since the last [`Harness::set_fault_plan`].
    #[must_use]
    pub fn faults_seen(&self) -> u64 {
        self.kernel.faults.seen()
    }

    /// Sets a registry value.
    pub fn set_registry(&self, key: &str, name: &str, value: Value) {
        self.kernel.registry.set(key, name, value);
    }

    /// A registry value, if it is there.
    #[must_use]
    pub fn registry(&self, key: &str, name: &str) -> Option<Value> {
        self.kernel.registry.get(key, name)
    }

    /// Sizes of the pool blocks that a driver has, named as its image (`netfront.sys`).
    #[must_use]
    pub fn pool_blocks(&self, image: &str) -> Vec<usize> {
        let blocks = self.kernel.pool.owned_by(image);
        blocks.into_iter().map(|(_, size)| size).collect()
    }

    /// What simulated hardware holds on to.
    #[must_use]
    pub fn machine(&self) -> Machine {
        Machine {
            kernel: Arc::downgrade(&self.kernel),
        }
    }
}

/// The side of the machine that simulated hardware sees: memory, interrupt lines, time. Cheap to clone; does
/// nothing once the harness is gone.
#[derive(Clone, Debug)]
pub struct Machine {
    kernel: alloc::sync::Weak<Kernel>,
}

impl Machine {
    /// Copies guest-physical memory out. `None` if the range leaves it.
    pub fn read_physical(&self, physical: u64, out: &mut [u8]) -> Option<()> {
        self.kernel.upgrade()?.space.ram().read(physical, out)
    }

    /// Copies into guest-physical memory.
    pub fn write_physical(&self, physical: u64, data: &[u8]) -> Option<()> {
        self.kernel.upgrade()?.space.ram().write(physical, data)
    }

    /// Calls `body` with the words of a guest frame, shared with the drivers.
    pub fn with_page<R>(
        &self,
        pfn: u32,
        body: impl FnOnce(&[core::sync::atomic::AtomicU32; 1024]) -> R,
    ) -> Option<R> {
        let kernel = self.kernel.upgrade()?;
        kernel.space.ram().page_words(pfn).map(body)
    }

    /// Copies from a kernel address of the guest (a hypercall's argument), page by page.
    pub fn read_virtual(&self, address: u64, out: &mut [u8]) -> Option<()> {
        self.kernel
            .upgrade()?
            .space
            .read(usize::try_from(address).ok()?, out)
    }

    /// Copies to a kernel address of the guest, if the guest may write there.
    pub fn write_virtual(&self, address: u64, data: &[u8]) -> Option<()> {
        let kernel = self.kernel.upgrade()?;
        let address = usize::try_from(address).ok()?;
        kernel
            .space
            .allows(address, data.len(), true)
            .then_some(())?;
        kernel.space.write(address, data)
    }

    /// Frame that shows at a kernel address of the guest.
    #[must_use]
    pub fn translate(&self, address: u64) -> Option<u64> {
        self.kernel
            .upgrade()?
            .space
            .physical(usize::try_from(address).ok()?)
    }

    /// First guest-physical address above the memory: where device memory (the BAR) starts.
    #[must_use]
    pub fn hole_start(&self) -> Option<u64> {
        Some(self.kernel.upgrade()?.space.hole_start())
    }

    /// Raises interrupt `vector` on processor `cpu`, at the IRQL that is the vector divided by 16; it is taken when
    /// the processor's level allows.
    pub fn raise_interrupt(&self, cpu: u32, vector: u32) {
        if let Some(kernel) = self.kernel.upgrade() {
            kernel.sched.raise(cpu, vector);
        }
    }

    /// Virtual time: 100 ns units since the start.
    #[must_use]
    pub fn now(&self) -> u64 {
        self.kernel.upgrade().map_or(0, |kernel| kernel.sched.now())
    }

    /// Runs `action` when virtual time reaches `at`, outside any driver code.
    pub fn at(&self, at: u64, action: impl FnOnce() + Send + 'static) {
        if let Some(kernel) = self.kernel.upgrade() {
            kernel.sched.events.add(at, Event::Action(Box::new(action)));
        }
    }
}
