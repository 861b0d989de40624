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

    /// Tells a changed MTU: the bytes a frame carries at most behind its Ethernet header, as in the general attributes.
    /// IRQL: at most `DISPATCH_LEVEL`; no lock held.
    ///
    /// Of NDIS 6.50. Microsoft's documentation names the status nowhere; its `NetAdapterCx` and the test miniport of XDP
    /// indicate it like this.
    pub fn mtu(&self, mut bytes: u32) {
        let mut status = mtu(self.adapter, self.version, &mut bytes);
        // SAFETY: `new` was promised a live adapter; the buffer outlives the call, which copies.
        unsafe { sys::NdisMIndicateStatusEx(self.adapter, &raw mut status) };
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
    let size = u32::from(T::shape(version).size);
    with_buffer(adapter, version, code, object, size)
}

/// [`sys::NDIS_STATUS_L2_MTU_SIZE_CHANGE`]: its buffer is one `ULONG`.
fn mtu(adapter: NDIS_HANDLE, version: NdisVersion, bytes: &mut u32) -> sys::NDIS_STATUS_INDICATION {
    const ULONG: u32 = 4;
    with_buffer(
        adapter,
        version,
        sys::NDIS_STATUS_L2_MTU_SIZE_CHANGE,
        bytes,
        ULONG,
    )
}

fn with_buffer<T>(
    adapter: NDIS_HANDLE,
    version: NdisVersion,
    code: sys::NDIS_STATUS,
    buffer: &mut T,
    size: u32,
) -> sys::NDIS_STATUS_INDICATION {
    let mut status = sys::NDIS_STATUS_INDICATION::new(version);
    status.SourceHandle = adapter;
    status.StatusCode = code;
    status.StatusBuffer = ptr::from_mut(buffer).cast();
    status.StatusBufferSize = size;
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

    #[test]
    fn the_mtu_is_one_ulong() {
        let adapter = ptr::without_provenance_mut(0x1000);
        let mut bytes = 9000;
        let s = mtu(adapter, NdisVersion::V6_82, &mut bytes);
        assert_eq!(
            (s.StatusCode, s.StatusBufferSize),
            (sys::NDIS_STATUS_L2_MTU_SIZE_CHANGE, 4)
        );
        assert_eq!(s.StatusBuffer, ptr::from_mut(&mut bytes).cast());
    }
}
