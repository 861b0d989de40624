//! Adapter attributes given to `NdisMSetMiniportAttributes`.

use core::ffi::c_void;

use crate::media::{
    NDIS_MEDIA_CONNECT_STATE, NDIS_MEDIA_DUPLEX_STATE, NDIS_MEDIUM, NDIS_PHYSICAL_MEDIUM,
    NDIS_SUPPORTED_PAUSE_FUNCTIONS, NET_IF_ACCESS_TYPE, NET_IF_CONNECTION_TYPE,
    NET_IF_DIRECTION_TYPE,
};
use crate::object::NDIS_OBJECT_HEADER;
use crate::offload::NDIS_OFFLOAD;
use crate::power::{NDIS_PM_CAPABILITIES, NDIS_PNP_CAPABILITIES};
use crate::rss::NDIS_RECEIVE_SCALE_CAPABILITIES;
use crate::types::{BOOLEAN, NDIS_HANDLE, NDIS_OID, NET_IFTYPE};

/// Context of an added device, set in `MiniportAddDevice`. NDIS 6.0.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct NDIS_MINIPORT_ADD_DEVICE_REGISTRATION_ATTRIBUTES {
    /// Type `NDIS_OBJECT_TYPE_MINIPORT_ADD_DEVICE_REGISTRATION_ATTRIBUTES`.
    pub Header: NDIS_OBJECT_HEADER,
    /// Driver's context for the device.
    pub MiniportAddDeviceContext: NDIS_HANDLE,
    /// Reserved.
    pub Flags: u32,
}

/// First attributes an initialising adapter sets. NDIS 6.0.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct NDIS_MINIPORT_ADAPTER_REGISTRATION_ATTRIBUTES {
    /// Type `NDIS_OBJECT_TYPE_MINIPORT_ADAPTER_REGISTRATION_ATTRIBUTES`.
    pub Header: NDIS_OBJECT_HEADER,
    /// Driver's context, passed to every handler.
    pub MiniportAdapterContext: NDIS_HANDLE,
    /// `NDIS_MINIPORT_ATTRIBUTES_*`.
    pub AttributeFlags: u32,
    /// 0 for the default of 2 seconds.
    pub CheckForHangTimeInSeconds: u32,
    /// Bus.
    pub InterfaceType: NDIS_INTERFACE_TYPE,
}

/// What the adapter is and can do. NDIS 6.0.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct NDIS_MINIPORT_ADAPTER_GENERAL_ATTRIBUTES {
    /// Type `NDIS_OBJECT_TYPE_MINIPORT_ADAPTER_GENERAL_ATTRIBUTES`.
    pub Header: NDIS_OBJECT_HEADER,
    /// Reserved.
    pub Flags: u32,
    /// `NdisMedium802_3` for Ethernet.
    pub MediaType: NDIS_MEDIUM,
    /// `NdisPhysicalMedium802_3` for Ethernet.
    pub PhysicalMediumType: NDIS_PHYSICAL_MEDIUM,
    /// Largest payload in bytes, without the 14 bytes of MAC header.
    pub MtuSize: u32,
    /// Bits per second.
    pub MaxXmitLinkSpeed: u64,
    /// Bits per second; `NDIS_LINK_SPEED_UNKNOWN` if unknown.
    pub XmitLinkSpeed: u64,
    /// Bits per second.
    pub MaxRcvLinkSpeed: u64,
    /// Bits per second.
    pub RcvLinkSpeed: u64,
    /// Present state of the link.
    pub MediaConnectState: NDIS_MEDIA_CONNECT_STATE,
    /// Present duplex state.
    pub MediaDuplexState: NDIS_MEDIA_DUPLEX_STATE,
    /// Bytes.
    pub LookaheadSize: u32,
    /// Before NDIS 6.20 only; null afterwards.
    pub PowerManagementCapabilities: *mut NDIS_PNP_CAPABILITIES,
    /// `NDIS_MAC_OPTION_*`.
    pub MacOptions: u32,
    /// `NDIS_PACKET_TYPE_*`.
    pub SupportedPacketFilters: u32,
    /// Addresses; at least 32 for certification.
    pub MaxMulticastListSize: u32,
    /// Bytes, 6 for Ethernet.
    pub MacAddressLength: u16,
    /// Burnt-in address (`NDIS_MAX_PHYS_ADDRESS_LENGTH` bytes).
    pub PermanentMacAddress: [u8; 32],
    /// Address in use.
    pub CurrentMacAddress: [u8; 32],
    /// RSS capabilities or null.
    pub RecvScaleCapabilities: *mut NDIS_RECEIVE_SCALE_CAPABILITIES,
    /// `NET_IF_ACCESS_BROADCAST` for Ethernet.
    pub AccessType: NET_IF_ACCESS_TYPE,
    /// `NET_IF_DIRECTION_SENDRECEIVE`.
    pub DirectionType: NET_IF_DIRECTION_TYPE,
    /// `NET_IF_CONNECTION_DEDICATED`.
    pub ConnectionType: NET_IF_CONNECTION_TYPE,
    /// IANA interface type, 6 for Ethernet.
    pub IfType: NET_IFTYPE,
    /// True only for physical adapters.
    pub IfConnectorPresent: BOOLEAN,
    /// `NDIS_STATISTICS_*_SUPPORTED`; all of them are required.
    pub SupportedStatistics: u32,
    /// IEEE 802.3 pause frames.
    pub SupportedPauseFunctions: NDIS_SUPPORTED_PAUSE_FUNCTIONS,
    /// Bytes.
    pub DataBackFillSize: u32,
    /// Bytes.
    pub ContextBackFillSize: u32,
    /// Every OID the driver answers.
    pub SupportedOidList: *mut NDIS_OID,
    /// Bytes.
    pub SupportedOidListLength: u32,
    /// `NDIS_LINK_STATE_*_AUTO_NEGOTIATED`.
    pub AutoNegotiationFlags: u32,
    /// Since revision 2 (NDIS 6.20); not null.
    pub PowerManagementCapabilitiesEx: *mut NDIS_PM_CAPABILITIES,
}

/// Offloads enabled now and offloads possible. NDIS 6.0.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct NDIS_MINIPORT_ADAPTER_OFFLOAD_ATTRIBUTES {
    /// Type `NDIS_OBJECT_TYPE_MINIPORT_ADAPTER_OFFLOAD_ATTRIBUTES`.
    pub Header: NDIS_OBJECT_HEADER,
    /// Enabled now, after the registry keywords.
    pub DefaultOffloadConfiguration: *mut NDIS_OFFLOAD,
    /// All the adapter can do.
    pub HardwareOffloadCapabilities: *mut NDIS_OFFLOAD,
    /// Null (connection offload is gone).
    pub DefaultTcpConnectionOffloadConfiguration: *mut c_void,
    /// Null.
    pub TcpConnectionOffloadHardwareCapabilities: *mut c_void,
}

/// Receive filters, NIC switch, SR-IOV, `QoS`. NDIS 6.1.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct NDIS_MINIPORT_ADAPTER_HARDWARE_ASSIST_ATTRIBUTES {
    /// Type `NDIS_OBJECT_TYPE_MINIPORT_ADAPTER_HARDWARE_ASSIST_ATTRIBUTES`.
    pub Header: NDIS_OBJECT_HEADER,
    /// `NDIS_HD_SPLIT_ATTRIBUTES` or null.
    pub HDSplitAttributes: *mut c_void,
    /// `NDIS_RECEIVE_FILTER_CAPABILITIES` or null, since revision 2 (NDIS 6.20).
    pub HardwareReceiveFilterCapabilities: *mut c_void,
    /// `NDIS_RECEIVE_FILTER_CAPABILITIES` or null.
    pub CurrentReceiveFilterCapabilities: *mut c_void,
    /// NIC switch or null.
    pub HardwareNicSwitchCapabilities: *mut c_void,
    /// NIC switch or null.
    pub CurrentNicSwitchCapabilities: *mut c_void,
    /// SR-IOV or null, since revision 3 (NDIS 6.30).
    pub HardwareSriovCapabilities: *mut c_void,
    /// SR-IOV or null.
    pub CurrentSriovCapabilities: *mut c_void,
    /// `QoS` or null.
    pub HardwareQosCapabilities: *mut c_void,
    /// `QoS` or null.
    pub CurrentQosCapabilities: *mut c_void,
    /// Generic flow table or null, since revision 4 (NDIS 6.50).
    pub HardwareGftOffloadCapabilities: *mut c_void,
    /// Generic flow table or null.
    pub CurrentGftOffloadCapabilities: *mut c_void,
}

/// One of the attribute structures; the header says which. NDIS 6.0.
#[repr(C)]
#[derive(Clone, Copy)]
pub union NDIS_MINIPORT_ADAPTER_ATTRIBUTES {
    /// Common header.
    pub Header: NDIS_OBJECT_HEADER,
    /// Device context.
    pub AddDeviceRegistrationAttributes: NDIS_MINIPORT_ADD_DEVICE_REGISTRATION_ATTRIBUTES,
    /// Registration.
    pub RegistrationAttributes: NDIS_MINIPORT_ADAPTER_REGISTRATION_ATTRIBUTES,
    /// General.
    pub GeneralAttributes: NDIS_MINIPORT_ADAPTER_GENERAL_ATTRIBUTES,
    /// Offloads.
    pub OffloadAttributes: NDIS_MINIPORT_ADAPTER_OFFLOAD_ATTRIBUTES,
    /// Hardware assists.
    pub HardwareAssistAttributes: NDIS_MINIPORT_ADAPTER_HARDWARE_ASSIST_ATTRIBUTES,
}

/// The only revision. NDIS 6.0.
pub const NDIS_MINIPORT_ADD_DEVICE_REGISTRATION_ATTRIBUTES_REVISION_1: u8 = 1;
/// First revision. NDIS 6.0.
pub const NDIS_MINIPORT_ADAPTER_REGISTRATION_ATTRIBUTES_REVISION_1: u8 = 1;
/// More flags, same layout. NDIS 6.30.
pub const NDIS_MINIPORT_ADAPTER_REGISTRATION_ATTRIBUTES_REVISION_2: u8 = 2;
/// First revision. NDIS 6.0.
pub const NDIS_MINIPORT_ADAPTER_GENERAL_ATTRIBUTES_REVISION_1: u8 = 1;
/// With `PowerManagementCapabilitiesEx`. NDIS 6.20.
pub const NDIS_MINIPORT_ADAPTER_GENERAL_ATTRIBUTES_REVISION_2: u8 = 2;
/// The only revision. NDIS 6.0.
pub const NDIS_MINIPORT_ADAPTER_OFFLOAD_ATTRIBUTES_REVISION_1: u8 = 1;
/// Header-data split. NDIS 6.1.
pub const NDIS_MINIPORT_ADAPTER_HARDWARE_ASSIST_ATTRIBUTES_REVISION_1: u8 = 1;
/// Receive filters and NIC switch. NDIS 6.20.
pub const NDIS_MINIPORT_ADAPTER_HARDWARE_ASSIST_ATTRIBUTES_REVISION_2: u8 = 2;
/// SR-IOV and `QoS`. NDIS 6.30.
pub const NDIS_MINIPORT_ADAPTER_HARDWARE_ASSIST_ATTRIBUTES_REVISION_3: u8 = 3;
/// Generic flow table. NDIS 6.60.
pub const NDIS_MINIPORT_ADAPTER_HARDWARE_ASSIST_ATTRIBUTES_REVISION_4: u8 = 4;

/// Bytes of revision 1. NDIS 6.0.
pub const NDIS_SIZEOF_MINIPORT_ADD_DEVICE_REGISTRATION_ATTRIBUTES_REVISION_1: usize = 0x14;
/// Bytes of revision 1. NDIS 6.0.
pub const NDIS_SIZEOF_MINIPORT_ADAPTER_REGISTRATION_ATTRIBUTES_REVISION_1: usize = 0x1C;
/// Bytes of revision 2. NDIS 6.30.
pub const NDIS_SIZEOF_MINIPORT_ADAPTER_REGISTRATION_ATTRIBUTES_REVISION_2: usize = 0x1C;
/// Bytes of revision 1. NDIS 6.0.
pub const NDIS_SIZEOF_MINIPORT_ADAPTER_GENERAL_ATTRIBUTES_REVISION_1: usize = 0xD8;
/// Bytes of revision 2. NDIS 6.20.
pub const NDIS_SIZEOF_MINIPORT_ADAPTER_GENERAL_ATTRIBUTES_REVISION_2: usize = 0xE0;
/// Bytes of revision 1. NDIS 6.0.
pub const NDIS_SIZEOF_MINIPORT_ADAPTER_OFFLOAD_ATTRIBUTES_REVISION_1: usize = 0x28;
/// Bytes of revision 1. NDIS 6.1.
pub const NDIS_SIZEOF_MINIPORT_ADAPTER_HARDWARE_ASSIST_ATTRIBUTES_REVISION_1: usize = 0x10;
/// Bytes of revision 2. NDIS 6.20.
pub const NDIS_SIZEOF_MINIPORT_ADAPTER_HARDWARE_ASSIST_ATTRIBUTES_REVISION_2: usize = 0x30;
/// Bytes of revision 3. NDIS 6.30.
pub const NDIS_SIZEOF_MINIPORT_ADAPTER_HARDWARE_ASSIST_ATTRIBUTES_REVISION_3: usize = 0x50;
/// Bytes of revision 4. NDIS 6.60.
pub const NDIS_SIZEOF_MINIPORT_ADAPTER_HARDWARE_ASSIST_ATTRIBUTES_REVISION_4: usize = 0x60;

/// Bytes of the address arrays in the general attributes. NDIS 6.0.
pub const NDIS_MAX_PHYS_ADDRESS_LENGTH: u32 = 0x20;
/// There is a physical device. NDIS 6.0.
pub const NDIS_MINIPORT_ATTRIBUTES_HARDWARE_DEVICE: u32 = 1;
/// No ports, interrupts or DMA of its own: it talks to the bus driver. NDIS 6.0.
pub const NDIS_MINIPORT_ATTRIBUTES_NDIS_WDM: u32 = 2;
/// Copes with surprise removal: no warning to the user. NDIS 6.0.
pub const NDIS_MINIPORT_ATTRIBUTES_SURPRISE_REMOVE_OK: u32 = 4;
/// Connection-oriented: no call manager but its own. NDIS 6.0.
pub const NDIS_MINIPORT_ATTRIBUTES_DO_NOT_BIND_TO_ALL_CO: u32 = 0x10;
/// Not halted when the system sleeps. NDIS 6.0.
pub const NDIS_MINIPORT_ATTRIBUTES_NO_HALT_ON_SUSPEND: u32 = 0x20;
/// Bus-master device. NDIS 6.0.
pub const NDIS_MINIPORT_ATTRIBUTES_BUS_MASTER: u32 = 0x40;
/// The driver activates the default port itself. NDIS 6.0.
pub const NDIS_MINIPORT_ATTRIBUTES_CONTROLS_DEFAULT_PORT: u32 = 0x80;
/// Not paused for a low-power transition. NDIS 6.30.
pub const NDIS_MINIPORT_ATTRIBUTES_NO_PAUSE_ON_SUSPEND: u32 = 0x100;
/// NDIS does not answer for other ports. NDIS 6.30.
pub const NDIS_MINIPORT_ATTRIBUTES_NO_OID_INTERCEPT_ON_NONDEFAULT_PORTS: u32 = 0x200;
/// `MiniportShutdownEx` is called at a bug check. NDIS 6.30.
pub const NDIS_MINIPORT_ATTRIBUTES_REGISTER_BUGCHECK_CALLBACK: u32 = 0x400;
/// Lookahead data may be copied by any means. NDIS 6.0.
pub const NDIS_MAC_OPTION_COPY_LOOKAHEAD_DATA: u32 = 1;
/// Legacy. NDIS 6.0.
pub const NDIS_MAC_OPTION_RECEIVE_SERIALIZED: u32 = 2;
/// No transfer pends. NDIS 6.0.
pub const NDIS_MAC_OPTION_TRANSFERS_NOT_PEND: u32 = 4;
/// NDIS loops frames back, not the driver. NDIS 6.0.
pub const NDIS_MAC_OPTION_NO_LOOPBACK: u32 = 8;
/// Legacy. NDIS 6.0.
pub const NDIS_MAC_OPTION_FULL_DUPLEX: u32 = 0x10;
/// Reserved. NDIS 6.0.
pub const NDIS_MAC_OPTION_EOTX_INDICATION: u32 = 0x20;
/// 802.1p priorities are carried in the out-of-band tag. NDIS 6.0.
pub const NDIS_MAC_OPTION_8021P_PRIORITY: u32 = 0x40;
/// The `NetworkAddress` keyword works. NDIS 6.0.
pub const NDIS_MAC_OPTION_SUPPORTS_MAC_ADDRESS_OVERWRITE: u32 = 0x80;
/// Reserved. NDIS 6.0.
pub const NDIS_MAC_OPTION_RECEIVE_AT_DPC: u32 = 0x100;
/// VLAN identifiers are carried in the out-of-band tag. NDIS 6.0.
pub const NDIS_MAC_OPTION_8021Q_VLAN: u32 = 0x200;
/// Reserved. NDIS 6.0.
pub const NDIS_MAC_OPTION_RESERVED: u32 = 0x8000_0000;

/// Bus of an adapter. NDIS 6.0.
pub type NDIS_INTERFACE_TYPE = i32;
/// Internal.
pub const NdisInterfaceInternal: NDIS_INTERFACE_TYPE = 0;
/// ISA.
pub const NdisInterfaceIsa: NDIS_INTERFACE_TYPE = 1;
/// PCI.
pub const NdisInterfacePci: NDIS_INTERFACE_TYPE = 5;
/// A plug-and-play bus driver enumerates it.
pub const NdisInterfacePNPBus: NDIS_INTERFACE_TYPE = 0xF;
