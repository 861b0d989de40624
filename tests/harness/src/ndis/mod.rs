//! `ndis.sys`: what an Ethernet miniport of NDIS 6.82 to 6.89 sees of NDIS, and what tests see of the miniport.
//!
//! Below stands the driver: it registers ([`driver`]), is attached above a device ([`pnp`]), initialised, paused,
//! restarted and halted ([`lifecycle`], legal orders in [`state`]). Above stands the test, as a protocol driver
//! that is bound to every adapter ([`protocol`]). In between, each thing that changes hands has one owner at
//! every moment, and every hand-over is checked against [`contract`].
//!
//! Memory that the driver gives up is made inaccessible at once; what it may only read is mapped read-only.

use alloc::vec::Vec;

mod adapter;
mod attribute_rules;
mod attributes;
mod configuration;
pub mod contract;
mod data;
mod driver;
mod error_log;
mod frame;
mod handle;
mod header;
mod lifecycle;
mod list;
mod mdl;
mod memory;
mod nt;
mod object;
mod oid;
mod oid_rules;
mod pnp;
mod pool;
mod power;
mod processor;
mod protocol;
mod receive;
mod receive_rules;
mod send;
mod send_record;
pub mod state;
mod status;
#[cfg(test)]
mod tests;
mod timer;
mod work;

use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use core::sync::atomic::{AtomicU8, AtomicU64, Ordering};

use spin::Mutex;

pub use attribute_rules::{General, Rss};
pub use attributes::Attributes;
pub use configuration::KeywordRead;
pub use error_log::ErrorLogEntry;
pub use frame::{Chain, Frame, Layout, SendList};
pub use oid::{OidKind, OidRequest, OidResult};
pub use power::DeviceState;
pub use protocol::{AdapterId, Protocol, ReceivePolicy, Received, SendOptions, Sent};
pub use receive::Counters;
pub use status::{LinkState, StatusSeen};

use crate::export::Export;

/// Newest minor version of NDIS 6 that can be simulated, and the one that is unless a test asks for another.
const NEWEST: u8 = 89;

/// State of NDIS in one machine.
#[derive(Debug)]
pub(crate) struct Ndis {
    minor: AtomicU8,
    serial: AtomicU64,
    drivers: Mutex<BTreeMap<usize, Arc<driver::Miniport>>>,
    adapters: Mutex<BTreeMap<usize, Arc<adapter::Adapter>>>,
    pub(crate) objects: object::Objects,
    pub(crate) work: work::Items,
    pub(crate) errors: Mutex<Vec<ErrorLogEntry>>,
    pub(crate) settings: Mutex<protocol::Settings>,
}

impl Default for Ndis {
    fn default() -> Self {
        Self {
            minor: AtomicU8::new(NEWEST),
            serial: AtomicU64::new(0),
            drivers: Mutex::default(),
            adapters: Mutex::default(),
            objects: object::Objects::default(),
            work: work::Items::default(),
            errors: Mutex::default(),
            settings: Mutex::default(),
        }
    }
}

impl Ndis {
    /// Minor version of the simulated NDIS.
    pub(crate) fn minor(&self) -> u8 {
        self.minor.load(Ordering::Acquire)
    }

    pub(crate) fn set_minor(&self, minor: u8) {
        self.minor.store(minor, Ordering::Release);
    }

    /// A number that was not given out before.
    pub(crate) fn next_serial(&self) -> u64 {
        self.serial.fetch_add(1, Ordering::AcqRel)
    }

    /// The adapter of a handle that NDIS gave to a miniport.
    pub(crate) fn adapter(&self, handle: usize) -> Option<Arc<adapter::Adapter>> {
        self.adapters.lock().get(&handle).map(Arc::clone)
    }

    /// Every adapter, oldest first.
    pub(crate) fn all_adapters(&self) -> Vec<Arc<adapter::Adapter>> {
        self.adapters.lock().values().map(Arc::clone).collect()
    }

    pub(crate) fn add_adapter(&self, adapter: &Arc<adapter::Adapter>) {
        self.adapters
            .lock()
            .insert(adapter.handle, Arc::clone(adapter));
    }

    pub(crate) fn remove_adapter(&self, handle: usize) {
        self.adapters.lock().remove(&handle);
    }

    pub(crate) fn add_driver(&self, driver: &Arc<driver::Miniport>) {
        self.drivers
            .lock()
            .insert(driver.handle, Arc::clone(driver));
    }

    pub(crate) fn remove_driver(&self, handle: usize) -> Option<Arc<driver::Miniport>> {
        self.drivers.lock().remove(&handle)
    }

    /// The registration of a driver handle.
    pub(crate) fn driver(&self, handle: usize) -> Option<Arc<driver::Miniport>> {
        self.drivers.lock().get(&handle).map(Arc::clone)
    }

    /// The registration made with a driver object.
    pub(crate) fn driver_of_object(&self, object: usize) -> Option<Arc<driver::Miniport>> {
        self.drivers
            .lock()
            .values()
            .find(|driver| driver.object == object)
            .map(Arc::clone)
    }
}

/// The exports of `ndis.sys`.
pub(crate) fn exports() -> Vec<Export> {
    [
        attributes::exports(),
        configuration::exports(),
        data::exports(),
        driver::exports(),
        error_log::exports(),
        lifecycle::exports(),
        mdl::exports(),
        memory::exports(),
        oid::exports(),
        pnp::exports(),
        pool::exports(),
        processor::exports(),
        receive::exports(),
        send::exports(),
        status::exports(),
        timer::exports(),
        work::exports(),
    ]
    .concat()
}
