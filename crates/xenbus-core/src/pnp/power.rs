//! Power. The bus owns the policy of its own device: a system request becomes a device request.
//!
//! System request (`IRP_MN_SET_POWER`, system): mark pending, forward, on its completion request the device state
//! [`device_state_for`] gives, complete when that is done. Device request: [`BusPower::plan`]. Questions
//! (`IRP_MN_QUERY_POWER`) succeed and change nothing. Waking is not supported.
//!
//! A child's PDO completes system requests with success, and device requests after `PoSetPowerState`.

/// Power state of the system.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum SystemState {
    /// Working.
    S0,
    /// Light sleep.
    S1,
    /// Sleep.
    S2,
    /// Sleep with memory kept.
    S3,
    /// Hibernation.
    S4,
    /// Off.
    S5,
}

/// Power state of a device. D1 and D2 are not offered; if asked for, they count as D3.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum DeviceState {
    /// On.
    D0,
    /// Off.
    D3,
}

/// The device state for a system state, for bus and children alike (`DEVICE_CAPABILITIES.DeviceState`).
pub fn device_state_for(system: SystemState) -> DeviceState {
    if system == SystemState::S0 {
        DeviceState::D0
    } else {
        DeviceState::D3
    }
}

/// What to do with a device request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Plan {
    /// Forward only: the device is in this state already.
    Forward,
    /// Disconnect children from the store and Xen's pages, then forward.
    DownThenForward,
    /// Forward, wait, then come up.
    ForwardThenUp {
        /// The system slept: event channels, grants and the store's connection are gone, emulated cards are back.
        /// Unplug again and set up everything anew before the children come up.
        rebuild: bool,
    },
}

/// Power of the bus.
#[derive(Debug)]
pub struct BusPower {
    device: DeviceState,
    slept: bool,
}

impl Default for BusPower {
    fn default() -> Self {
        Self::new()
    }
}

impl BusPower {
    /// On, as after a start.
    pub fn new() -> Self {
        Self {
            device: DeviceState::D0,
            slept: false,
        }
    }

    /// The state now.
    pub fn device_state(&self) -> DeviceState {
        self.device
    }

    /// A system request passes by; gives the device state to request on its completion.
    pub fn system_request(&mut self, system: SystemState) -> DeviceState {
        self.slept |= system != SystemState::S0;
        device_state_for(system)
    }

    /// What to do with a request for a device state.
    pub fn plan(&self, target: DeviceState) -> Plan {
        match (self.device, target) {
            (DeviceState::D0, DeviceState::D3) => Plan::DownThenForward,
            (DeviceState::D3, DeviceState::D0) => Plan::ForwardThenUp {
                rebuild: self.slept,
            },
            _ => Plan::Forward,
        }
    }

    /// The device request has been carried out.
    pub fn done(&mut self, target: DeviceState) {
        self.device = target;
        if target == DeviceState::D0 {
            self.slept = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sleep_and_wake_rebuild_what_xen_forgot() {
        let mut power = BusPower::new();
        assert_eq!(power.system_request(SystemState::S4), DeviceState::D3);
        assert_eq!(power.plan(DeviceState::D3), Plan::DownThenForward);
        power.done(DeviceState::D3);
        assert_eq!(power.system_request(SystemState::S0), DeviceState::D0);
        assert_eq!(
            power.plan(DeviceState::D0),
            Plan::ForwardThenUp { rebuild: true }
        );
        power.done(DeviceState::D0);
        assert_eq!(power.plan(DeviceState::D0), Plan::Forward);
    }

    #[test]
    fn a_device_put_down_while_the_system_works_keeps_its_connections() {
        let mut power = BusPower::new();
        power.done(DeviceState::D3);
        assert_eq!(power.plan(DeviceState::D3), Plan::Forward);
        assert_eq!(
            power.plan(DeviceState::D0),
            Plan::ForwardThenUp { rebuild: false }
        );
    }

    #[test]
    fn only_the_working_system_has_devices_on() {
        use SystemState::{S0, S1, S2, S3, S4, S5};
        assert_eq!(device_state_for(S0), DeviceState::D0);
        for sleeping in [S1, S2, S3, S4, S5] {
            assert_eq!(device_state_for(sleeping), DeviceState::D3);
        }
    }
}
