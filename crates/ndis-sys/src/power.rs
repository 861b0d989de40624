//! Power management.

use crate::object::NDIS_OBJECT_HEADER;

/// Lowest power states a wake event works from. NDIS 6.0.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct NDIS_PM_WAKE_UP_CAPABILITIES {
    /// Magic packet.
    pub MinMagicPacketWakeUp: NDIS_DEVICE_POWER_STATE,
    /// Pattern match.
    pub MinPatternWakeUp: NDIS_DEVICE_POWER_STATE,
    /// Link change.
    pub MinLinkChangeWakeUp: NDIS_DEVICE_POWER_STATE,
}

/// Power capabilities before NDIS 6.20. NDIS 6.0.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct NDIS_PNP_CAPABILITIES {
    /// Reserved.
    pub Flags: u32,
    /// Wake events.
    pub WakeUpCapabilities: NDIS_PM_WAKE_UP_CAPABILITIES,
}

/// Power-management capabilities. NDIS 6.20.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct NDIS_PM_CAPABILITIES {
    /// Type `NDIS_OBJECT_TYPE_DEFAULT`.
    pub Header: NDIS_OBJECT_HEADER,
    /// `NDIS_PM_*_SUPPORTED`.
    pub Flags: u32,
    /// `NDIS_PM_WOL_*_SUPPORTED`.
    pub SupportedWoLPacketPatterns: u32,
    /// Patterns the device holds.
    pub NumTotalWoLPatterns: u32,
    /// Bytes.
    pub MaxWoLPatternSize: u32,
    /// Bytes.
    pub MaxWoLPatternOffset: u32,
    /// Bytes.
    pub MaxWoLPacketSaveBuffer: u32,
    /// `NDIS_PM_PROTOCOL_OFFLOAD_*_SUPPORTED`.
    pub SupportedProtocolOffloads: u32,
    /// Addresses.
    pub NumArpOffloadIPv4Addresses: u32,
    /// Addresses.
    pub NumNSOffloadIPv6Addresses: u32,
    /// Lowest state for magic packets.
    pub MinMagicPacketWakeUp: NDIS_DEVICE_POWER_STATE,
    /// Lowest state for patterns.
    pub MinPatternWakeUp: NDIS_DEVICE_POWER_STATE,
    /// Lowest state for link changes.
    pub MinLinkChangeWakeUp: NDIS_DEVICE_POWER_STATE,
    /// Since revision 2 (NDIS 6.30).
    pub SupportedWakeUpEvents: u32,
    /// Since revision 2 (NDIS 6.30).
    pub MediaSpecificWakeUpEvents: u32,
}

/// Power-management settings in force (`OID_PM_PARAMETERS`). NDIS 6.20.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct NDIS_PM_PARAMETERS {
    /// Type `NDIS_OBJECT_TYPE_DEFAULT`.
    pub Header: NDIS_OBJECT_HEADER,
    /// `NDIS_PM_WOL_*_ENABLED`.
    pub EnabledWoLPacketPatterns: u32,
    /// `NDIS_PM_PROTOCOL_OFFLOAD_*_ENABLED`.
    pub EnabledProtocolOffloads: u32,
    /// `NDIS_PM_*_ENABLED`.
    pub WakeUpFlags: u32,
    /// Since revision 2 (NDIS 6.30).
    pub MediaSpecificWakeUpEvents: u32,
}

/// First revision. NDIS 6.20.
pub const NDIS_PM_CAPABILITIES_REVISION_1: u8 = 1;
/// With wake events. NDIS 6.30.
pub const NDIS_PM_CAPABILITIES_REVISION_2: u8 = 2;
/// First revision. NDIS 6.20.
pub const NDIS_PM_PARAMETERS_REVISION_1: u8 = 1;
/// With media-specific events. NDIS 6.30.
pub const NDIS_PM_PARAMETERS_REVISION_2: u8 = 2;

/// Bytes of revision 1. NDIS 6.20.
pub const NDIS_SIZEOF_NDIS_PM_CAPABILITIES_REVISION_1: usize = 0x34;
/// Bytes of revision 2. NDIS 6.30.
pub const NDIS_SIZEOF_NDIS_PM_CAPABILITIES_REVISION_2: usize = 0x3C;
/// Bytes of revision 1. NDIS 6.20.
pub const NDIS_SIZEOF_NDIS_PM_PARAMETERS_REVISION_1: usize = 0x10;
/// Bytes of revision 2. NDIS 6.30.
pub const NDIS_SIZEOF_NDIS_PM_PARAMETERS_REVISION_2: usize = 0x14;

/// Capability: tells which packet woke it. NDIS 6.20.
pub const NDIS_PM_WAKE_PACKET_INDICATION_SUPPORTED: u32 = 1;
/// Capability: selective suspend. NDIS 6.20.
pub const NDIS_PM_SELECTIVE_SUSPEND_SUPPORTED: u32 = 2;
/// Wake flag: link change. NDIS 6.20.
pub const NDIS_PM_WAKE_ON_LINK_CHANGE_ENABLED: u32 = 1;
/// Wake flag: disconnect. NDIS 6.30.
pub const NDIS_PM_WAKE_ON_MEDIA_DISCONNECT_ENABLED: u32 = 2;
/// Wake flag: selective suspend. NDIS 6.30.
pub const NDIS_PM_SELECTIVE_SUSPEND_ENABLED: u32 = 0x10;
/// Wake pattern: bitmap. NDIS 6.20.
pub const NDIS_PM_WOL_BITMAP_PATTERN_ENABLED: u32 = 1;
/// Wake pattern: magic packet. NDIS 6.20.
pub const NDIS_PM_WOL_MAGIC_PACKET_ENABLED: u32 = 2;

/// Device power state, as `OID_PNP_SET_POWER` carries it. NDIS 6.0.
pub type NDIS_DEVICE_POWER_STATE = i32;
/// None; as a capability: no wake.
pub const NdisDeviceStateUnspecified: NDIS_DEVICE_POWER_STATE = 0;
/// Working.
pub const NdisDeviceStateD0: NDIS_DEVICE_POWER_STATE = 1;
/// Low power.
pub const NdisDeviceStateD1: NDIS_DEVICE_POWER_STATE = 2;
/// Lower power.
pub const NdisDeviceStateD2: NDIS_DEVICE_POWER_STATE = 3;
/// Off.
pub const NdisDeviceStateD3: NDIS_DEVICE_POWER_STATE = 4;
/// Number of states.
pub const NdisDeviceStateMaximum: NDIS_DEVICE_POWER_STATE = 5;
