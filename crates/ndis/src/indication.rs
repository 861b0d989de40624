//! Status indications to the drivers above.

use core::ptr;

use ndis_sys as sys;
use ndis_sys::NDIS_HANDLE;

use crate::object::NdisObject;
use crate::version::NdisVersion;

/// State of the link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Link {
    /// Not known: on the way to low power without wake-on-link.
    Unknown,
    /// Not connected.
    Down,
    /// Connected, full duplex, at a speed in bits per second.
    Up(u64),
}

impl Link {
    /// The structure NDIS takes.
    pub fn state(self, version: NdisVersion) -> sys::NDIS_LINK_STATE {
        let mut state = sys::NDIS_LINK_STATE::new(version);
        let (connect, duplex, speed) = match self {
            Self::Unknown => (
                sys::MediaConnectStateUnknown,
                sys::MediaDuplexStateUnknown,
                sys::NDIS_LINK_SPEED_UNKNOWN,
            ),
            Self::Down => (
                sys::MediaConnectStateDisconnected,
                sys::MediaDuplexStateUnknown,
                sys::NDIS_LINK_SPEED_UNKNOWN,
            ),
            Self::Up(speed) => (
                sys::MediaConnectStateConnected,
                sys::MediaDuplexStateFull,
                speed,
            ),
        };
        state.MediaConnectState = connect;
        state.MediaDuplexState = duplex;
        state.XmitLinkSpeed = speed;
        state.RcvLinkSpeed = speed;
        state.PauseFunctions = sys::NdisPauseFunctionsUnsupported;
        state
    }
}

/// Indicates statuses of one adapter.
#[derive(Clone, Copy, Debug)]
pub struct Indicator {
    adapter: NDIS_HANDLE,
    version: NdisVersion,
}

impl Indicator {
    /// # Safety
    /// The adapter's registration attributes are set, and it is not halted while this lives.
    pub unsafe fn new(adapter: NDIS_HANDLE, version: NdisVersion) -> Self {
        Self { adapter, version }
    }

    /// Tells a new link state. IRQL: at most `DISPATCH_LEVEL`; no lock held.
    pub fn link(&self, link: Link) {
        let mut state = link.state(self.version);
        self.send(sys::NDIS_STATUS_LINK_STATE, &mut state);
    }

    /// Tells the offloads now in force. IRQL: at most `DISPATCH_LEVEL`; no lock held.
    pub fn offload_current_config(&self, offload: &mut sys::NDIS_OFFLOAD_R8) {
        self.send(sys::NDIS_STATUS_TASK_OFFLOAD_CURRENT_CONFIG, offload);
    }

    /// Tells changed offload abilities. IRQL: at most `DISPATCH_LEVEL`; no lock held.
    pub fn offload_hardware_capabilities(&self, offload: &mut sys::NDIS_OFFLOAD_R8) {
        self.send(sys::NDIS_STATUS_TASK_OFFLOAD_HARDWARE_CAPABILITIES, offload);
    }

    fn send<T: NdisObject>(&self, code: sys::NDIS_STATUS, object: &mut T) {
        let mut status = build(self.adapter, self.version, code, object);
        // SAFETY: `new` was promised a live adapter; the buffer outlives the call, which copies.
        unsafe { sys::NdisMIndicateStatusEx(self.adapter, &raw mut status) };
    }
}

fn build<T: NdisObject>(
    adapter: NDIS_HANDLE,
    version: NdisVersion,
    code: sys::NDIS_STATUS,
    object: &mut T,
) -> sys::NDIS_STATUS_INDICATION {
    let mut status = sys::NDIS_STATUS_INDICATION::new(version);
    status.SourceHandle = adapter;
    status.StatusCode = code;
    status.StatusBuffer = ptr::from_mut(object).cast();
    status.StatusBufferSize = u32::from(T::shape(version).size);
    status
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn link_up_has_a_speed_and_down_has_none() {
        let up = Link::Up(100_000_000_000).state(NdisVersion::V6_82);
        assert_eq!((up.MediaConnectState, up.MediaDuplexState), (1, 2));
        assert_eq!(
            (up.XmitLinkSpeed, up.RcvLinkSpeed),
            (100_000_000_000, 100_000_000_000)
        );
        let down = Link::Down.state(NdisVersion::V6_82);
        assert_eq!((down.MediaConnectState, down.XmitLinkSpeed), (2, u64::MAX));
    }

    #[test]
    fn the_indication_names_the_adapter_and_the_true_size() {
        let v = NdisVersion::V6_82;
        let adapter = ptr::without_provenance_mut(0x1000);
        let mut offload = sys::NDIS_OFFLOAD_R8::new(v);
        let s = build(
            adapter,
            v,
            sys::NDIS_STATUS_TASK_OFFLOAD_CURRENT_CONFIG,
            &mut offload,
        );
        assert_eq!((s.SourceHandle, s.StatusBufferSize), (adapter, 188));
        assert!(s.DestinationHandle.is_null() && s.RequestId.is_null());
    }
}
