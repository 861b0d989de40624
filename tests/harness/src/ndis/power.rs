//! Low-power states of an adapter (ndis-contract.md 1.11).

use alloc::format;
use alloc::sync::Arc;
use core::sync::atomic::Ordering;

use ndis_sys as sys;

use super::adapter::Adapter;
use super::contract::POWER;
use super::oid::{self, OidRequest};
use super::state::State;
use super::{lifecycle, status};
use crate::rules;

/// A device power state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeviceState {
    /// Working.
    D0,
    /// Low.
    D1,
    /// Lower.
    D2,
    /// Off.
    D3,
}

impl DeviceState {
    /// `NDIS_DEVICE_POWER_STATE` and `DEVICE_POWER_STATE`, which are the same.
    #[must_use]
    pub const fn code(self) -> u32 {
        match self {
            Self::D0 => 1,
            Self::D1 => 2,
            Self::D2 => 3,
            Self::D3 => 4,
        }
    }
}

fn set_power(adapter: &Arc<Adapter>, state: u32) {
    let request = OidRequest::set(sys::OID_PNP_SET_POWER, state.to_le_bytes());
    let result = oid::run(adapter, &request);
    if !result.is_success() && !adapter.surprise_removed.load(Ordering::Acquire) {
        rules::violate(
            &POWER,
            format!(
                "OID_PNP_SET_POWER to state {state} ended with {:#x}",
                result.status
            ),
        );
    }
}

/// Before the device leaves D0: pauses the adapter unless it asked not to be, and tells the state.
pub(crate) fn down(adapter: &Arc<Adapter>, state: u32) {
    if adapter.in_low_power() || !matches!(adapter.state(), State::Running | State::Paused) {
        return;
    }
    let keeps_running =
        adapter.attributes.lock().flags & sys::NDIS_MINIPORT_ATTRIBUTES_NO_PAUSE_ON_SUSPEND != 0;
    if adapter.state() == State::Running && !keeps_running {
        lifecycle::pause(adapter, sys::NDIS_PAUSE_LOW_POWER);
        adapter.paused_for_power.store(true, Ordering::Release);
    }
    set_power(adapter, state);
    adapter.low_power.store(true, Ordering::Release);
    status::expect_link_unknown(adapter);
    if adapter.sends.outstanding() != 0 {
        let what = format!(
            "{} sends outstanding after OID_PNP_SET_POWER to state {state}",
            adapter.sends.outstanding()
        );
        rules::violate(&POWER, what);
    }
}

/// After the device is in D0 again.
pub(crate) fn up(adapter: &Arc<Adapter>) {
    if !adapter.in_low_power() {
        return;
    }
    set_power(adapter, DeviceState::D0.code());
    adapter.low_power.store(false, Ordering::Release);
    if adapter.paused_for_power.swap(false, Ordering::AcqRel) {
        lifecycle::restart(adapter);
    }
    lifecycle::power_profile_changed(adapter);
}
