//! What the adapter tells NDIS of itself.
#![allow(
    unsafe_code,
    reason = "hands structures with pointers to NDIS; each block says why it may"
)]

use core::ffi::c_void;

use ndis::indication::Link;
use ndis::object::NdisObject;
use ndis::{NdisVersion, Status, registration};
use ndis_sys as sys;
use ndis_sys::{NDIS_HANDLE, NDIS_OID};

use crate::keywords::ETHERNET_HEADER;
use crate::offload::OffloadState;
use crate::scaling;
use crate::vlan::VlanSettings;

/// Link speed when the toolstack names none: 10 Gb/s.
pub(crate) const DEFAULT_SPEED: u64 = 10_000_000_000;
/// Fastest link told unless the toolstack names a faster one at the start: 100 Gb/s. Nothing limits a
/// paravirtual link, but what is told later must not be above.
const FASTEST: u64 = 100_000_000_000;
/// Multicast addresses in the list; 32 at least for certification.
pub(crate) const MAX_MULTICAST: u32 = 64;
/// Packet filters that can be set.
pub(crate) const FILTERS: u32 = sys::NDIS_PACKET_TYPE_DIRECTED
    | sys::NDIS_PACKET_TYPE_MULTICAST
    | sys::NDIS_PACKET_TYPE_ALL_MULTICAST
    | sys::NDIS_PACKET_TYPE_BROADCAST
    | sys::NDIS_PACKET_TYPE_PROMISCUOUS;
/// `NDIS_MAC_OPTION_*`, without those of tags. NDIS loops frames back itself.
const MAC_OPTIONS: u32 = sys::NDIS_MAC_OPTION_COPY_LOOKAHEAD_DATA
    | sys::NDIS_MAC_OPTION_TRANSFERS_NOT_PEND
    | sys::NDIS_MAC_OPTION_NO_LOOPBACK;
/// `ifType` of Ethernet (IANA).
const IF_TYPE_ETHERNET: u16 = 6;

/// All counters, as NDIS 6 requires of a miniport.
const STATISTICS: u32 = sys::NDIS_STATISTICS_XMIT_OK_SUPPORTED
    | sys::NDIS_STATISTICS_RCV_OK_SUPPORTED
    | sys::NDIS_STATISTICS_XMIT_ERROR_SUPPORTED
    | sys::NDIS_STATISTICS_RCV_ERROR_SUPPORTED
    | sys::NDIS_STATISTICS_RCV_NO_BUFFER_SUPPORTED
    | sys::NDIS_STATISTICS_DIRECTED_BYTES_XMIT_SUPPORTED
    | sys::NDIS_STATISTICS_DIRECTED_FRAMES_XMIT_SUPPORTED
    | sys::NDIS_STATISTICS_MULTICAST_BYTES_XMIT_SUPPORTED
    | sys::NDIS_STATISTICS_MULTICAST_FRAMES_XMIT_SUPPORTED
    | sys::NDIS_STATISTICS_BROADCAST_BYTES_XMIT_SUPPORTED
    | sys::NDIS_STATISTICS_BROADCAST_FRAMES_XMIT_SUPPORTED
    | sys::NDIS_STATISTICS_DIRECTED_BYTES_RCV_SUPPORTED
    | sys::NDIS_STATISTICS_DIRECTED_FRAMES_RCV_SUPPORTED
    | sys::NDIS_STATISTICS_MULTICAST_BYTES_RCV_SUPPORTED
    | sys::NDIS_STATISTICS_MULTICAST_FRAMES_RCV_SUPPORTED
    | sys::NDIS_STATISTICS_BROADCAST_BYTES_RCV_SUPPORTED
    | sys::NDIS_STATISTICS_BROADCAST_FRAMES_RCV_SUPPORTED
    | sys::NDIS_STATISTICS_RCV_CRC_ERROR_SUPPORTED
    | sys::NDIS_STATISTICS_TRANSMIT_QUEUE_LENGTH_SUPPORTED
    | sys::NDIS_STATISTICS_BYTES_RCV_SUPPORTED
    | sys::NDIS_STATISTICS_BYTES_XMIT_SUPPORTED
    | sys::NDIS_STATISTICS_RCV_DISCARDS_SUPPORTED
    | sys::NDIS_STATISTICS_GEN_STATISTICS_SUPPORTED
    | sys::NDIS_STATISTICS_XMIT_DISCARDS_SUPPORTED;

/// What differs from adapter to adapter.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Identity {
    /// The vif's own address.
    pub(crate) permanent: [u8; 6],
    /// The address in use.
    pub(crate) current: [u8; 6],
    /// Largest payload of a frame, in bytes.
    pub(crate) mtu: u32,
    /// Link speed in bits per second.
    pub(crate) speed: u64,
    /// Tags.
    pub(crate) vlan: VlanSettings,
    /// Queues for receive-side scaling; 0 when it is not offered.
    pub(crate) rss_queues: u32,
    /// Whether UDP hash types are offered.
    pub(crate) rss_udp: bool,
}

impl Identity {
    /// `NDIS_MAC_OPTION_*`.
    pub(crate) fn mac_options(&self) -> u32 {
        MAC_OPTIONS | self.vlan.mac_options()
    }

    /// The fastest the link can become, in bits per second.
    pub(crate) fn max_speed(&self) -> u64 {
        self.speed.max(FASTEST)
    }

    /// Largest frame with its header, without tag.
    pub(crate) fn max_frame(&self) -> u32 {
        self.mtu.saturating_add(ETHERNET_HEADER)
    }
}

/// Sets the registration attributes: the first thing `MiniportInitializeEx` does.
///
/// # Safety
/// `adapter` is the handle passed to `MiniportInitializeEx`; `context` stays valid until
/// `MiniportHaltEx` returns, if the initialisation succeeds.
pub(crate) unsafe fn register(
    adapter: NDIS_HANDLE,
    version: NdisVersion,
    context: *mut c_void,
) -> Result<(), Status> {
    let mut attributes = sys::NDIS_MINIPORT_ADAPTER_REGISTRATION_ATTRIBUTES::new(version);
    attributes.MiniportAdapterContext = context;
    attributes.AttributeFlags = sys::NDIS_MINIPORT_ATTRIBUTES_NDIS_WDM
        | sys::NDIS_MINIPORT_ATTRIBUTES_SURPRISE_REMOVE_OK
        | sys::NDIS_MINIPORT_ATTRIBUTES_NO_HALT_ON_SUSPEND;
    attributes.InterfaceType = sys::NdisInterfaceInternal;
    // SAFETY: the caller's handle; the only pointer is the context.
    unsafe { registration::set_attributes(adapter, &mut attributes) }
}

/// Sets the offload attributes: what can be done, and what is in force.
///
/// # Safety
/// `adapter` is the handle passed to `MiniportInitializeEx`, with general attributes set.
pub(crate) unsafe fn offload(
    adapter: NDIS_HANDLE,
    version: NdisVersion,
    state: &OffloadState,
) -> Result<(), Status> {
    let mut in_force = ndis::offload::describe(version, &state.in_force());
    let mut possible = ndis::offload::describe(version, state.possible());
    let mut attributes = sys::NDIS_MINIPORT_ADAPTER_OFFLOAD_ATTRIBUTES::new(version);
    attributes.DefaultOffloadConfiguration = (&raw mut in_force).cast();
    attributes.HardwareOffloadCapabilities = (&raw mut possible).cast();
    // SAFETY: the caller's handle; NDIS copies what the pointers name, by the size in its header.
    unsafe { registration::set_attributes(adapter, &mut attributes) }
}

/// Sets the general attributes. `oids` is every OID the driver answers.
///
/// # Safety
/// `adapter` is the handle passed to `MiniportInitializeEx`, with registration attributes set.
pub(crate) unsafe fn describe(
    adapter: NDIS_HANDLE,
    version: NdisVersion,
    identity: &Identity,
    oids: &'static [NDIS_OID],
) -> Result<(), Status> {
    let mut power = sys::NDIS_PM_CAPABILITIES::new(version);
    let link = Link::Down.state(version);
    let mut a = sys::NDIS_MINIPORT_ADAPTER_GENERAL_ATTRIBUTES::new(version);
    a.MediaType = sys::NdisMedium802_3;
    a.PhysicalMediumType = sys::NdisPhysicalMedium802_3;
    a.MtuSize = identity.mtu;
    a.MaxXmitLinkSpeed = identity.max_speed();
    a.MaxRcvLinkSpeed = identity.max_speed();
    a.XmitLinkSpeed = link.XmitLinkSpeed;
    a.RcvLinkSpeed = link.RcvLinkSpeed;
    a.MediaConnectState = link.MediaConnectState;
    a.MediaDuplexState = link.MediaDuplexState;
    a.LookaheadSize = identity.mtu;
    a.MacOptions = identity.mac_options();
    a.SupportedPacketFilters = FILTERS;
    a.MaxMulticastListSize = MAX_MULTICAST;
    a.MacAddressLength = 6;
    for (place, byte) in a.PermanentMacAddress.iter_mut().zip(identity.permanent) {
        *place = byte;
    }
    for (place, byte) in a.CurrentMacAddress.iter_mut().zip(identity.current) {
        *place = byte;
    }
    let mut scale = sys::NDIS_RECEIVE_SCALE_CAPABILITIES::new(version);
    scale.CapabilitiesFlags = scaling::capabilities(identity.rss_udp);
    scale.NumberOfInterruptMessages = identity.rss_queues;
    scale.NumberOfReceiveQueues = identity.rss_queues;
    scale.NumberOfIndirectionTableEntries =
        u16::try_from(ndis::rss::MAX_ENTRIES).map_err(|_| Status::FAILURE)?;
    if identity.rss_queues > 0 {
        a.RecvScaleCapabilities = &raw mut scale;
    }
    a.AccessType = sys::NET_IF_ACCESS_BROADCAST;
    a.DirectionType = sys::NET_IF_DIRECTION_SENDRECEIVE;
    a.ConnectionType = sys::NET_IF_CONNECTION_DEDICATED;
    a.IfType = IF_TYPE_ETHERNET;
    a.IfConnectorPresent = 0;
    a.SupportedStatistics = STATISTICS;
    a.SupportedPauseFunctions = sys::NdisPauseFunctionsUnsupported;
    a.SupportedOidList = oids.as_ptr().cast_mut();
    a.SupportedOidListLength = u32::try_from(size_of_val(oids)).map_err(|_| Status::FAILURE)?;
    a.PowerManagementCapabilitiesEx = &raw mut power;
    // SAFETY: the caller's handle; NDIS copies what the pointers name and writes to none of it.
    unsafe { registration::set_attributes(adapter, &mut a) }
}
