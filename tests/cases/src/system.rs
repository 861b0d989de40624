//! One Windows machine with both drivers, and what Windows does to them.

use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use harness::ndis::Protocol;
use harness::{DeviceId, DriverId, Harness, NodeState, RootDevice, Stop, Value};

use crate::rss;

/// A child of the bus, as the plug and play manager keeps it.
#[derive(Clone, Copy, Debug)]
pub struct Child {
    /// The device.
    pub device: DeviceId,
    /// It has not been removed: `AddDevice` of `netfront.sys` succeeded, or there was no driver for it.
    pub attached: bool,
}

/// What to add to the story of a failure: the state of what is below the machine.
pub type Below = Box<dyn Fn() -> String + Send + Sync>;

/// One machine with both drivers.
pub struct System {
    /// The harness.
    pub harness: Harness,
    /// `xenbus.sys`.
    pub xenbus: DriverId,
    /// `netfront.sys`.
    pub netfront: DriverId,
    /// Drivers whose `DriverEntry` succeeded.
    pub entered: Vec<DriverId>,
    /// Drivers may fail to start.
    pub lenient: bool,
    /// What the platform device is like.
    pub platform: RootDevice,
    /// The platform device.
    pub bus: Option<DeviceId>,
    /// Its children.
    pub children: Vec<Child>,
    below: Below,
}

impl core::fmt::Debug for System {
    fn fmt(&self, out: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        out.debug_struct("System")
            .field("harness", &self.harness)
            .field("children", &self.children)
            .finish_non_exhaustive()
    }
}

impl System {
    /// A machine whose drivers are loaded; nothing of them has run yet.
    #[must_use]
    pub fn new(harness: Harness, xenbus: DriverId, netfront: DriverId, below: Below) -> Self {
        Self {
            harness,
            xenbus,
            netfront,
            entered: Vec::new(),
            lenient: false,
            platform: RootDevice::xen_platform(),
            bus: None,
            children: Vec::new(),
            below,
        }
    }

    /// Everything the drivers said, and every rule they broke: for messages of failing tests.
    pub fn story(&self) -> String {
        let mut text = String::new();
        for line in self.harness.log() {
            text.push_str(&format!("{:>12} {}\n", line.time, line.text));
        }
        for violation in self.harness.violations() {
            text.push_str(&format!("VIOLATION {violation}\n"));
        }
        text.push_str(&(self.below)());
        text
    }

    /// The harness.
    pub const fn harness(&self) -> &Harness {
        &self.harness
    }

    /// The platform device, once it is there.
    ///
    /// # Panics
    /// Before [`System::plug_bus`].
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

    /// Turns RSS on for an interface: hashed flows go to these processors. Returns the NDIS status.
    pub fn set_rss(&self, device: DeviceId, processors: &[u8]) -> i32 {
        let value = rss::parameters(processors);
        let result = self
            .protocol(device)
            .set(ndis_sys::OID_GEN_RECEIVE_SCALE_PARAMETERS, value);
        self.expect("OID_GEN_RECEIVE_SCALE_PARAMETERS", result)
            .status
    }

    /// The result of a call into the machine, which must have come to its end.
    ///
    /// # Panics
    /// When it has not.
    pub fn expect<T>(&self, what: &str, result: Result<T, Stop>) -> T {
        result.unwrap_or_else(|stop| panic!("{what}: {stop:?}\n{}", self.story()))
    }

    /// As [`System::expect`], of a call whose status must be a success.
    ///
    /// # Panics
    /// When it is not.
    pub fn must(&self, what: &str, result: Result<i32, Stop>) {
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
        let device = self.expect("plug", self.harness.add_root_device(self.platform.clone()));
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

    /// From now on drivers may fail, as in [`System::try_boot`].
    pub const fn expect_failures(&mut self) {
        self.lenient = true;
    }

    /// As [`System::start_bus`], where everything may fail, as in [`System::try_boot`].
    pub fn try_start_all(&mut self) {
        self.lenient = true;
        if self.try_start_bus() >= 0 {
            self.enumerate();
            self.settle();
        }
    }

    /// Stops the bus and starts it with new resources, as the plug and play manager does when others need some.
    pub fn rebalance_bus(&mut self) {
        let bus = self.bus();
        self.must("QUERY_STOP of the bus", self.harness.query_stop(bus));
        self.must("STOP of the bus", self.harness.stop_device(bus));
        self.start_bus();
    }

    /// As [`System::boot`], where steps may fail: what failed is left for [`System::tear_down`]. Whether the bus runs.
    pub fn try_boot(&mut self) -> bool {
        for driver in [self.xenbus, self.netfront] {
            let entered = self.harness.call_driver_entry(driver);
            if self.expect("DriverEntry", entered) < 0 {
                return false;
            }
            self.entered.push(driver);
        }
        let device = self.expect("plug", self.harness.add_root_device(self.platform.clone()));
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

    /// Stops an interface so that its resources can be given out anew.
    pub fn stop_interface(&mut self, device: DeviceId) {
        self.must("QUERY_STOP", self.harness.query_stop(device));
        self.must("STOP", self.harness.stop_device(device));
    }

    /// The platform device is torn out: every device that hangs on it is told first, and removed first.
    pub fn surprise_remove_bus(&mut self) {
        for child in core::mem::take(&mut self.children) {
            if child.attached {
                self.must(
                    "SURPRISE_REMOVAL",
                    self.harness.surprise_remove(child.device),
                );
                self.must("REMOVE", self.harness.remove_device(child.device));
            }
        }
        if let Some(bus) = self.bus.take() {
            self.must("SURPRISE_REMOVAL", self.harness.surprise_remove(bus));
            self.must("REMOVE", self.harness.remove_device(bus));
        }
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

    /// Sets a parameter of the bus driver (value of its `Parameters` key).
    pub fn set_bus_parameter(&self, name: &str, value: Value) {
        let key = "\\Registry\\Machine\\System\\CurrentControlSet\\Services\\xenbus\\Parameters";
        self.harness.set_registry(key, name, value);
    }
}
