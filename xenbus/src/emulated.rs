//! Emulated network cards: the record of whether ours work, and the decision to unplug the others.
//!
//! The record is the value `NetworkCardWorks` of the platform device's hardware key, which goes when
//! the device is uninstalled. The rules are `xenbus_core::platform::unplug`.

use nt::device::DeviceRef;
use nt::irql::Passive;
use nt::registry::{Access, DeviceKey, Key};
use nt::spinlock::SpinLock;
use nt::unicode::UnicodeStr;
use nt::{log_info, log_warn};
use xenbus_core::enumerate::VifId;
use xenbus_core::platform::unplug::Policy;

/// Name of the record, a `REG_DWORD`.
const RECORD: UnicodeStr<'static> = nt::utf16!("NetworkCardWorks");

/// The children's cards, from the bus device's first day to its last.
#[derive(Debug)]
pub(crate) struct Cards {
    /// Physical device object of the bus.
    bus: DeviceRef,
    /// Rank: leaf.
    state: SpinLock<xenbus_core::platform::unplug::Cards>,
}

impl Cards {
    pub(crate) fn new(bus: DeviceRef) -> Self {
        Self {
            bus,
            state: SpinLock::new(xenbus_core::platform::unplug::Cards::default()),
        }
    }

    /// The bus starts. Whether emulated cards are to be unplugged, now and after each resume.
    pub(crate) fn start(&self, policy: Policy, irql: &mut Passive<'_>) -> bool {
        let recorded = Key::of_device(self.bus, DeviceKey::Hardware, Access::Read, irql)
            .is_ok_and(|key| key.read_dword(RECORD) == Ok(1));
        let start = self
            .state
            .with(irql, |state, _| state.start(policy, recorded));
        if start.write {
            self.write(irql);
        }
        start.unplug
    }

    /// A card has connected to its backend.
    pub(crate) fn works(&self, vif: VifId, irql: &mut Passive<'_>) {
        if self.state.with(irql, |state, _| state.works(vif)) {
            self.write(irql);
        }
    }

    /// A card's device is removed.
    pub(crate) fn removed(&self, vif: VifId, irql: &mut Passive<'_>) {
        if self.state.with(irql, |state, _| state.removed(vif)) {
            self.write(irql);
        }
    }

    /// Writes the record; again if it changes meanwhile, so that the last word is the right one.
    fn write(&self, irql: &mut Passive<'_>) {
        loop {
            let record = self.state.with(irql, |state, _| state.record());
            let written = Key::of_device(self.bus, DeviceKey::Hardware, Access::ReadWrite, irql)
                .and_then(|key| key.write_dword(RECORD, record.into()));
            match written {
                Ok(()) if record => log_info!("a network card works"),
                Ok(()) => log_info!("no network card is known to work"),
                Err(status) => {
                    log_warn!("whether a network card works is not recorded: {status}");
                    return;
                }
            }
            if self.state.with(irql, |state, _| state.record()) == record {
                return;
            }
        }
    }
}
