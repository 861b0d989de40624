//! The device side of [`Harness`]: plug and play and power, as tests call them.

use super::relations::{self, Changes};
use super::root::{self, RootDevice};
use super::{DeviceId, Identity, NodeState, actions};
use crate::harness::{DriverId, Harness};
use crate::host::context::kernel;
use crate::sched::Stop;
use alloc::string::String;
use alloc::vec::Vec;

impl Harness {
    /// Puts a device on the root bus.
    pub fn add_root_device(&self, device: RootDevice) -> Result<DeviceId, Stop> {
        self.on_thread(move || DeviceId(root::add(device)))
    }

    /// Calls the driver's `AddDevice`; returns its status.
    pub fn attach(&self, device: DeviceId, driver: DriverId) -> Result<i32, Stop> {
        let driver = self.driver(driver);
        self.on_thread(move || actions::attach(device.0, &driver))
    }

    /// Filters and grants resources, then starts the device; returns the status of the start.
    pub fn start_device(&self, device: DeviceId) -> Result<i32, Stop> {
        self.on_thread(move || actions::start(device.0))
    }

    /// Asks for the children of a bus and identifies new ones.
    pub fn enumerate(&self, bus: DeviceId) -> Result<Changes, Stop> {
        self.on_thread(move || relations::enumerate(bus.0))
    }

    /// `IRP_MN_QUERY_STOP_DEVICE`; on failure the test sends [`Harness::cancel_stop`].
    pub fn query_stop(&self, device: DeviceId) -> Result<i32, Stop> {
        self.on_thread(move || actions::query_stop(device.0))
    }

    /// `IRP_MN_CANCEL_STOP_DEVICE`.
    pub fn cancel_stop(&self, device: DeviceId) -> Result<i32, Stop> {
        self.on_thread(move || actions::cancel_stop(device.0))
    }

    /// `IRP_MN_STOP_DEVICE`, after a query that succeeded.
    pub fn stop_device(&self, device: DeviceId) -> Result<i32, Stop> {
        self.on_thread(move || actions::stop(device.0))
    }

    /// `IRP_MN_QUERY_REMOVE_DEVICE`.
    pub fn query_remove(&self, device: DeviceId) -> Result<i32, Stop> {
        self.on_thread(move || actions::query_remove(device.0))
    }

    /// `IRP_MN_CANCEL_REMOVE_DEVICE`.
    pub fn cancel_remove(&self, device: DeviceId) -> Result<i32, Stop> {
        self.on_thread(move || actions::cancel_remove(device.0))
    }

    /// `IRP_MN_REMOVE_DEVICE`.
    pub fn remove_device(&self, device: DeviceId) -> Result<i32, Stop> {
        self.on_thread(move || actions::remove(device.0))
    }

    /// `IRP_MN_SURPRISE_REMOVAL`; the test sends [`Harness::remove_device`] next.
    pub fn surprise_remove(&self, device: DeviceId) -> Result<i32, Stop> {
        self.on_thread(move || actions::surprise_remove(device.0))
    }

    /// `IRP_MN_EJECT`, for a device that was removed.
    pub fn eject_device(&self, device: DeviceId) -> Result<i32, Stop> {
        self.on_thread(move || actions::eject(device.0))
    }

    /// `IRP_MN_QUERY_INTERFACE`: the status, and the table as the driver filled it.
    pub fn query_interface(
        &self,
        device: DeviceId,
        guid: [u8; 16],
        size: u16,
        version: u16,
    ) -> Result<(i32, Vec<u8>), Stop> {
        self.on_thread(move || {
            let (status, table) = actions::query_interface(device.0, guid, size, version, 0);
            (status, actions::read_table(table, size))
        })
    }

    /// Sends the device's stack to a system power state (1 = S0 ... 6 = shutdown), asking first if `query`.
    pub fn set_system_power(&self, device: DeviceId, state: u32, query: bool) -> Result<i32, Stop> {
        self.on_thread(move || crate::po::set_system(device.0, state, query))
    }

    /// Sends the device's stack to a device power state (1 = D0 ... 4 = D3).
    pub fn set_device_power(&self, device: DeviceId, state: u32) -> Result<i32, Stop> {
        self.on_thread(move || crate::po::set_device(device.0, state))
    }

    /// What the bus driver said of a device.
    pub fn identity(&self, device: DeviceId) -> Identity {
        self.kernel.pnp.node(device.0).identity
    }

    /// Where a device is in its life; `None` once its object is deleted.
    pub fn device_state(&self, device: DeviceId) -> Option<NodeState> {
        self.kernel
            .pnp
            .knows(device.0)
            .then(|| self.kernel.pnp.node(device.0).state)
    }

    /// Buses whose drivers called `IoInvalidateDeviceRelations` since the last call of this.
    pub fn take_invalidated(&self) -> Vec<DeviceId> {
        core::mem::take(&mut *self.kernel.io.invalidated.lock())
            .into_iter()
            .map(DeviceId)
            .collect()
    }

    /// Whether `IoRequestDeviceEject` was called for the device.
    pub fn eject_requested(&self, device: DeviceId) -> bool {
        self.kernel.pnp.knows(device.0) && self.kernel.pnp.node(device.0).eject
    }

    /// Path of the device's software key or hardware key, for [`Harness::set_registry`].
    pub fn device_key(&self, device: DeviceId, software: bool) -> Result<String, Stop> {
        self.on_thread(move || {
            let key = crate::zw::key::device_key(device.0, software);
            kernel().registry.create(&key);
            key
        })
    }
}
