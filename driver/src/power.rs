//! What may stop the adapter, apart from its connection.

use ndis_sys as sys;

/// Device power state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PowerState {
    /// Working.
    D0,
    /// Any lower state.
    Low,
}

impl PowerState {
    /// From `NDIS_DEVICE_POWER_STATE`; what is no state counts as low.
    pub(crate) fn from_ndis(state: u32) -> Self {
        if state == sys::NdisDeviceStateD0.cast_unsigned() {
            Self::D0
        } else {
            Self::Low
        }
    }
}
