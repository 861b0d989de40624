//! One machine with both drivers, and what Windows and the toolstack do to it.

use std::path::PathBuf;
use std::sync::Arc;

use cases::System;
use harness::{DeviceId, Harness, SECOND, Stop};
use netback_model::{Config, Preset};

use crate::machine::{Xen, XenPlatform};
use crate::network::Network;

/// The image of a driver, as `cargo xtask build` makes it: in `NETFRONT_PACKAGE_DIR`, else `target/package`.
#[must_use]
pub fn driver_image(name: &str) -> PathBuf {
    let folder = std::env::var_os("NETFRONT_PACKAGE_DIR").map_or_else(
        || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../target/package"),
        PathBuf::from,
    );
    folder.join(name)
}

/// Settings of a world to build.
#[derive(Clone, Debug)]
pub struct Builder {
    xen: xen_sim::Config,
    amd: bool,
    seed: u64,
    ram: usize,
    group_size: u32,
    parallel: bool,
}

impl Builder {
    /// Processors are OS threads that run in parallel, in place of the seeded schedule.
    #[must_use]
    pub const fn parallel(mut self, on: bool) -> Self {
        self.parallel = on;
        self
    }

    /// Virtual processors, 1 to 64.
    #[must_use]
    pub const fn cpus(mut self, cpus: u32) -> Self {
        self.xen.vcpus = cpus;
        self
    }

    /// Processors of a group, 1 to 64.
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

    /// Bytes of guest memory.
    #[must_use]
    pub const fn ram(mut self, bytes: usize) -> Self {
        self.ram = bytes;
        self
    }

    /// FIFO event channels are offered, else 2-level only.
    #[must_use]
    pub const fn fifo(mut self, on: bool) -> Self {
        self.xen.fifo = on;
        self
    }

    /// Per-vCPU upcall vectors are offered, else the PCI line only.
    #[must_use]
    pub const fn upcall_vector(mut self, on: bool) -> Self {
        self.xen.upcall_vector = on;
        self
    }

    /// Xen shows itself behind Viridian's leaves.
    #[must_use]
    pub const fn viridian(mut self, on: bool) -> Self {
        self.xen.viridian = on;
        self
    }

    /// The processors are AMD's.
    #[must_use]
    pub const fn amd(mut self, on: bool) -> Self {
        self.amd = on;
        self
    }

    /// Anything else about Xen.
    #[must_use]
    pub fn xen(mut self, change: impl FnOnce(&mut xen_sim::Config)) -> Self {
        change(&mut self.xen);
        self
    }

    /// Builds the machine and loads both images; nothing of them runs yet.
    ///
    /// # Panics
    /// When a driver's image is missing or does not load: the message says what to do.
    #[must_use]
    pub fn build(self) -> World {
        let platform = XenPlatform::new(self.xen.clone(), self.amd);
        let mut harness = Harness::builder()
            .cpus(self.xen.vcpus)
            .group_size(self.group_size)
            .seed(self.seed)
            .ram(self.ram)
            .parallel(self.parallel)
            .platform(Arc::new(platform.clone()))
            .build()
            .expect("the system has memory for the guest");
        let mut load = |name: &str, service: &str| {
            let path = driver_image(name);
            harness.load_driver(&path, service).unwrap_or_else(|error| {
                panic!("{}: {error:?}; run: cargo xtask build", path.display())
            })
        };
        let xenbus = load("xenbus.sys", "xenbus");
        let netfront = load("netfront.sys", "netfront");
        let (seed, xen) = (self.seed, platform.clone());
        let below = Box::new(move || format!("seed {seed}\n{}", xen.with(|xen| xen.story())));
        World {
            platform,
            system: System::new(harness, xenbus, netfront, below),
        }
    }
}

/// One machine with both drivers, on the simulated Xen. What Windows does is [`System`]'s.
#[derive(Debug)]
pub struct World {
    platform: XenPlatform,
    system: System,
}

impl core::ops::Deref for World {
    type Target = System;

    fn deref(&self) -> &System {
        &self.system
    }
}

impl core::ops::DerefMut for World {
    fn deref_mut(&mut self) -> &mut System {
        &mut self.system
    }
}

impl cases::Machine for World {
    fn system(&self) -> &System {
        &self.system
    }

    fn system_mut(&mut self) -> &mut System {
        &mut self.system
    }

    fn expected_hash(&self, handle: u32, frame: &[u8]) -> Option<u32> {
        let hash = self.xen(|xen| xen.vifs.get(&handle)?.backend.hash_state().hash(frame));
        hash.map(|hash| hash.value)
    }
}

impl Drop for World {
    fn drop(&mut self) {
        // Xen uses the harness's memory.
        self.platform.end();
    }
}

/// The domain the guest is.
const GUEST: u16 = 1;

impl World {
    /// Four processors, seed 0, 1 GiB, everything offered.
    #[must_use]
    pub fn builder() -> Builder {
        Builder {
            xen: xen_sim::Config {
                domid: GUEST,
                ..xen_sim::Config::default()
            },
            amd: false,
            seed: 0,
            ram: 1 << 30,
            group_size: 64,
            parallel: false,
        }
    }

    // Not through `DerefMut`, so that arguments may ask the world for the device.

    /// [`System::disable_interface`].
    pub fn disable_interface(&mut self, device: DeviceId) {
        self.system.disable_interface(device);
    }

    /// [`System::enable_interface`].
    pub fn enable_interface(&mut self, device: DeviceId) {
        self.system.enable_interface(device);
    }

    /// [`System::surprise_remove_interface`].
    pub fn surprise_remove_interface(&mut self, device: DeviceId) {
        self.system.surprise_remove_interface(device);
    }

    /// [`System::stop_interface`].
    pub fn stop_interface(&mut self, device: DeviceId) {
        self.system.stop_interface(device);
    }

    /// Has something happen on the other side of Xen at a time to come.
    pub fn at(&self, time: u64, action: impl FnOnce(&mut Xen) + Send + 'static) {
        let platform = self.platform.clone();
        self.harness()
            .machine()
            .at(time, move || platform.with(action));
    }

    /// Xen, XenStore and the backends.
    pub fn xen<R>(&self, body: impl FnOnce(&mut Xen) -> R) -> R {
        self.platform.with(body)
    }

    /// A backend's settings for interface `handle`.
    #[must_use]
    pub fn vif_config(preset: Preset, handle: u32) -> Config {
        Config::preset(preset, GUEST, handle)
    }

    /// Adds an interface, as `xl network-attach` does. Windows hears of it when the bus driver does.
    pub fn add_vif(&self, config: Config, network: impl Network + 'static) {
        self.xen(|xen| xen.add_vif(config, Box::new(network)));
    }

    /// Waits until `done` of Xen holds, for at most `seconds` of virtual time.
    pub fn wait_for(&mut self, seconds: u64, what: &str, mut done: impl FnMut(&mut Xen) -> bool) {
        let end = self.harness.now() + seconds * SECOND;
        loop {
            let platform = self.platform.clone();
            let left = end.saturating_sub(self.harness.now());
            let invalid = self
                .harness
                .run_until(left.min(SECOND / 10), || platform.with(&mut done));
            if invalid.is_ok() {
                return;
            }
            assert!(
                invalid == Err(Stop::Idle) && left > 0,
                "{what}: {invalid:?} after {seconds} s\n{}",
                self.story()
            );
            self.expect("running", self.harness.advance_time(0));
            if self.harness.now() < end {
                self.pass(SECOND / 100);
            }
        }
    }

    /// Waits until the backend of interface `handle` shows Connected.
    pub fn wait_connected(&mut self, handle: u32) {
        self.wait_for(30, "the backend does not become Connected", |xen| {
            xen.vifs.get(&handle).is_some_and(|vif| {
                vif.backend.published_state().0 == 4 && vif.backend.queue_count() > 0
            })
        });
    }

    /// Asserts that no rule of NT, NDIS, Xen or the protocol was broken so far.
    ///
    /// # Panics
    /// When one was.
    pub fn assert_clean(&self) {
        let violations = self.harness.violations();
        let (machine, faults, rules) = self.xen(|xen| {
            let rules: Vec<String> = xen
                .vifs
                .iter()
                .flat_map(|(handle, vif)| {
                    vif.backend
                        .rules()
                        .all()
                        .iter()
                        .map(move |b| format!("vif {handle}: {b:?}"))
                })
                .collect();
            (xen.machine.violations().to_vec(), xen.faults.clone(), rules)
        });
        assert!(
            violations.is_empty() && machine.is_empty() && faults.is_empty() && rules.is_empty(),
            "rules were broken\n{}",
            self.story()
        );
    }

    /// As [`World::assert_clean`], and that the guest has given everything back: grants, ports, watches,
    /// transactions. What the drivers leave in the pool is checked at their unload.
    ///
    /// # Panics
    /// When something is left.
    pub fn assert_nothing_left(&self) {
        self.assert_clean();
        let (leaks, watches, transactions) = self.xen(|xen| {
            (
                xen.leaks(),
                xen.store.guest_watches(),
                xen.store.guest_transactions(),
            )
        });
        assert!(
            leaks.is_clean() && watches.is_empty() && transactions == 0,
            "left: {leaks:?}, watches {watches:?}, {transactions} transactions\n{}",
            self.story()
        );
    }
}
