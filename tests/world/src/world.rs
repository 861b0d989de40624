//! One machine with both drivers, and what Windows and the toolstack do to it.

use std::path::PathBuf;
use std::sync::Arc;

use harness::ndis::Protocol;
use harness::{DeviceId, DriverId, Harness, NodeState, RootDevice, SECOND, Stop, Value};
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
        World {
            platform,
            harness,
            seed: self.seed,
            xenbus,
            netfront,
            entered: Vec::new(),
            lenient: false,
            bus: None,
            children: Vec::new(),
        }
    }
}

/// A child of the bus, as the plug and play manager keeps it.
#[derive(Clone, Copy, Debug)]
struct Child {
    device: DeviceId,
    /// It has not been removed: `AddDevice` of `netfront.sys` succeeded, or there was no driver for it.
    attached: bool,
}

/// One machine with both drivers.
#[derive(Debug)]
pub struct World {
    platform: XenPlatform,
    harness: Harness,
    seed: u64,
    xenbus: DriverId,
    netfront: DriverId,
    /// Drivers whose `DriverEntry` succeeded.
    entered: Vec<DriverId>,
    /// Drivers may fail to start.
    lenient: bool,
    bus: Option<DeviceId>,
    children: Vec<Child>,
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

    /// The harness.
    pub const fn harness(&self) -> &Harness {
        &self.harness
    }

    /// Xen, XenStore and the backends.
    pub fn xen<R>(&self, body: impl FnOnce(&mut Xen) -> R) -> R {
        self.platform.with(body)
    }

    /// The platform device, once it is there.
    ///
    /// # Panics
    /// Before [`World::plug_bus`].
    pub fn bus(&self) -> DeviceId {
        self.bus.expect("the bus is plugged")
    }

    /// Devices of the interfaces, in the order they came.
    pub fn interfaces(&self) -> Vec<DeviceId> {
        self.children.iter().map(|child| child.device).collect()
    }

    /// The protocol above an interface.
    ///
    /// # Panics
    /// When the interface has no adapter.
    pub fn protocol(&self, device: DeviceId) -> Protocol<'_> {
        self.harness
            .protocol_of(device)
            .unwrap_or_else(|| panic!("no adapter\n{}", self.story()))
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

    /// Turns RSS on for an interface: hashed flows go to these processors. Returns the NDIS status.
    pub fn set_rss(&self, device: DeviceId, processors: &[u8]) -> i32 {
        let value = crate::rss::parameters(processors);
        let result = self
            .protocol(device)
            .set(ndis_sys::OID_GEN_RECEIVE_SCALE_PARAMETERS, value);
        self.expect("OID_GEN_RECEIVE_SCALE_PARAMETERS", result)
            .status
    }

    /// Everything the drivers said, and every rule they broke: for messages of failing tests.
    pub fn story(&self) -> String {
        let mut text = format!("seed {}\n", self.seed);
        for line in self.harness.log() {
            text.push_str(&format!("{:>12} {}\n", line.time, line.text));
        }
        for violation in self.harness.violations() {
            text.push_str(&format!("VIOLATION {violation}\n"));
        }
        self.xen(|xen| {
            text.push_str(&format!(
                "xen: {:?} {:?}\n",
                xen.machine.violations(),
                xen.faults
            ));
            for (handle, vif) in &xen.vifs {
                let backend = &vif.backend;
                text.push_str(&format!(
                    "vif {handle}: {:?} {:?}\n",
                    backend.state(),
                    backend.rules().all()
                ));
            }
        });
        text
    }

    fn expect<T>(&self, what: &str, result: Result<T, Stop>) -> T {
        result.unwrap_or_else(|stop| panic!("{what}: {stop:?}\n{}", self.story()))
    }

    fn must(&self, what: &str, result: Result<i32, Stop>) {
        let status = self.expect(what, result);
        assert!(
            status >= 0,
            "{what}: {:#x}\n{}",
            status.cast_unsigned(),
            self.story()
        );
    }

    /// Runs both `DriverEntry`.
    pub fn enter_drivers(&mut self) {
        for driver in [self.xenbus, self.netfront] {
            let status = self.harness.call_driver_entry(driver);
            self.must("DriverEntry", status);
            self.entered.push(driver);
        }
    }

    /// Puts the platform device on the PCI bus and attaches `xenbus.sys`.
    pub fn plug_bus(&mut self) {
        let device = self.expect(
            "plug",
            self.harness.add_root_device(RootDevice::xen_platform()),
        );
        self.bus = Some(device);
        self.must("AddDevice", self.harness.attach(device, self.xenbus));
    }

    /// Starts the bus; returns the status of the start.
    pub fn try_start_bus(&mut self) -> i32 {
        self.expect("START of the bus", self.harness.start_device(self.bus()))
    }

    /// Starts the bus, lists its children and starts them.
    pub fn start_bus(&mut self) {
        let status = self.try_start_bus();
        assert!(
            status >= 0,
            "START of the bus: {:#x}\n{}",
            status.cast_unsigned(),
            self.story()
        );
        self.enumerate();
        self.settle();
    }

    /// All of it: `DriverEntry`, plug, start.
    pub fn boot(&mut self) {
        self.enter_drivers();
        self.plug_bus();
        self.start_bus();
    }

    /// Stops the bus and starts it with new resources, as the plug and play manager does when others need some.
    pub fn rebalance_bus(&mut self) {
        let bus = self.bus();
        self.must("QUERY_STOP of the bus", self.harness.query_stop(bus));
        self.must("STOP of the bus", self.harness.stop_device(bus));
        self.start_bus();
    }

    /// As [`World::boot`], where steps may fail: what failed is left for [`World::tear_down`]. Whether the bus runs.
    pub fn try_boot(&mut self) -> bool {
        for driver in [self.xenbus, self.netfront] {
            let entered = self.harness.call_driver_entry(driver);
            if self.expect("DriverEntry", entered) < 0 {
                return false;
            }
            self.entered.push(driver);
        }
        let device = self.expect(
            "plug",
            self.harness.add_root_device(RootDevice::xen_platform()),
        );
        let attached = self.harness.attach(device, self.xenbus);
        if self.expect("AddDevice", attached) < 0 {
            return false;
        }
        self.bus = Some(device);
        self.lenient = true;
        let started = self.try_start_bus() >= 0;
        if started {
            self.enumerate();
            self.settle();
        }
        started
    }

    /// Asks the bus for its children; new ones get `netfront.sys`, vanished ones are removed.
    pub fn enumerate(&mut self) {
        let changes = self.expect("enumeration", self.harness.enumerate(self.bus()));
        for device in changes.departed {
            self.remove_departed(device);
        }
        for device in changes.arrived {
            let identity = self.harness.identity(device);
            if self.lenient && (identity.device.is_empty() || identity.hardware.is_empty()) {
                // No driver is found for it; it is removed with the bus all the same.
                self.children.push(Child {
                    device,
                    attached: true,
                });
                continue;
            }
            let attached =
                self.expect("AddDevice", self.harness.attach(device, self.netfront)) >= 0;
            self.children.push(Child {
                device,
                attached: attached || self.lenient,
            });
            if attached && !self.start_child(device) {
                // As the plug and play manager does with a device that does not start.
                self.must("REMOVE", self.harness.remove_device(device));
                self.set_attached(device, false);
            }
        }
    }

    /// Starts a child; false if it may fail and does.
    fn start_child(&mut self, device: DeviceId) -> bool {
        if !self.lenient {
            self.start_interface(device);
            return true;
        }
        self.expect("START of an interface", self.harness.start_device(device)) >= 0
    }

    fn set_attached(&mut self, device: DeviceId, attached: bool) {
        for child in &mut self.children {
            if child.device == device {
                child.attached = attached;
            }
        }
    }

    fn remove_departed(&mut self, device: DeviceId) {
        let started = |state| {
            matches!(
                state,
                NodeState::Started | NodeState::Stopped | NodeState::StopPending
            )
        };
        if self.harness.device_state(device).is_some_and(started) {
            self.must("SURPRISE_REMOVAL", self.harness.surprise_remove(device));
        }
        self.must("REMOVE", self.harness.remove_device(device));
        self.children.retain(|child| child.device != device);
    }

    /// Starts an interface whose driver is attached. A start that fails leaves it to be removed, as on Windows.
    pub fn start_interface(&mut self, device: DeviceId) {
        let status = self.expect("START of an interface", self.harness.start_device(device));
        assert!(
            status >= 0,
            "START of an interface: {:#x}\n{}",
            status.cast_unsigned(),
            self.story()
        );
    }

    /// Lets everything happen that needs no waiting, plug and play included.
    pub fn settle(&mut self) {
        loop {
            self.expect("running", self.harness.run_until_idle());
            if self.harness.take_invalidated().is_empty() {
                return;
            }
            self.enumerate();
        }
    }

    /// Lets `ticks` (100 ns units) pass, plug and play included.
    pub fn pass(&mut self, ticks: u64) {
        self.expect("running", self.harness.advance_time(ticks));
        self.settle();
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

    /// Removes an interface in order, as "Disable device" does.
    pub fn disable_interface(&mut self, device: DeviceId) {
        self.must("QUERY_REMOVE", self.harness.query_remove(device));
        self.must("REMOVE", self.harness.remove_device(device));
        self.set_attached(device, false);
    }

    /// Tells the driver that an interface is gone, and removes it; its backend lives on.
    pub fn surprise_remove_interface(&mut self, device: DeviceId) {
        self.must("SURPRISE_REMOVAL", self.harness.surprise_remove(device));
        self.must("REMOVE", self.harness.remove_device(device));
        self.children.retain(|child| child.device != device);
    }

    /// Enables a disabled interface.
    pub fn enable_interface(&mut self, device: DeviceId) {
        self.must("AddDevice", self.harness.attach(device, self.netfront));
        self.set_attached(device, true);
        self.start_interface(device);
    }

    /// Removes everything in order and unloads both drivers.
    pub fn tear_down(&mut self) {
        for child in core::mem::take(&mut self.children) {
            if child.attached {
                self.remove_in_order(child.device);
            }
        }
        if let Some(bus) = self.bus.take() {
            self.remove_in_order(bus);
        }
        self.unload();
    }

    /// Asks whether a device may go, and has it go; asks again if somebody lacked the memory to answer.
    fn remove_in_order(&self, device: DeviceId) {
        if self.harness.device_state(device) == Some(NodeState::Started) {
            let asked = self.expect("QUERY_REMOVE", self.harness.query_remove(device));
            if asked < 0 && self.lenient {
                self.must("CANCEL_REMOVE", self.harness.cancel_remove(device));
                self.must("QUERY_REMOVE", self.harness.query_remove(device));
            } else {
                self.must("QUERY_REMOVE", Ok(asked));
            }
        }
        self.must("REMOVE", self.harness.remove_device(device));
    }

    /// Unloads the drivers whose `DriverEntry` succeeded, in reverse.
    pub fn unload(&mut self) {
        while let Some(driver) = self.entered.pop() {
            let done = self.harness.unload_driver(driver);
            assert!(
                self.expect("unload", done),
                "a driver cannot be unloaded\n{}",
                self.story()
            );
        }
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

    /// Sets a parameter of the bus driver (value of its `Parameters` key).
    pub fn set_bus_parameter(&self, name: &str, value: Value) {
        let key = "\\Registry\\Machine\\System\\CurrentControlSet\\Services\\xenbus\\Parameters";
        self.harness.set_registry(key, name, value);
    }
}
