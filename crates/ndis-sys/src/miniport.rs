//! What a miniport registers with the driver: handlers, characteristics, and the parameters NDIS
//! passes to them.

use core::ffi::c_void;
use core::mem::offset_of;

use wdk_sys::{CM_PARTIAL_RESOURCE_LIST, DRIVER_OBJECT, IRP, NTSTATUS};

use crate::net_buffer::NET_BUFFER_LIST;
use crate::object::NDIS_OBJECT_HEADER;
use crate::request::NDIS_OID_REQUEST;
use crate::types::{
    BOOLEAN, NDIS_HANDLE, NDIS_OID, NDIS_PORT_NUMBER, NDIS_STATUS, NET_IFINDEX, NET_LUID,
};

/// Sets optional handlers inside `NdisMRegisterMiniportDriver`. `PASSIVE_LEVEL`. NDIS 6.0.
pub type SET_OPTIONS = unsafe extern "win64" fn(
    NdisDriverHandle: NDIS_HANDLE,
    DriverContext: NDIS_HANDLE,
) -> NDIS_STATUS;
/// Initialises an adapter. `PASSIVE_LEVEL`. NDIS 6.0.
pub type MINIPORT_INITIALIZE = unsafe extern "win64" fn(
    NdisMiniportHandle: NDIS_HANDLE,
    MiniportDriverContext: NDIS_HANDLE,
    MiniportInitParameters: *mut NDIS_MINIPORT_INIT_PARAMETERS,
) -> NDIS_STATUS;
/// Stops a paused adapter and frees all it holds. `PASSIVE_LEVEL`. NDIS 6.0.
pub type MINIPORT_HALT =
    unsafe extern "win64" fn(MiniportAdapterContext: NDIS_HANDLE, HaltAction: NDIS_HALT_ACTION);
/// Undoes `DriverEntry`; must deregister. `PASSIVE_LEVEL`. NDIS 6.0.
pub type MINIPORT_UNLOAD = unsafe extern "win64" fn(DriverObject: *mut DRIVER_OBJECT);
/// Stops the data path; success or pending only. `PASSIVE_LEVEL`. NDIS 6.0.
pub type MINIPORT_PAUSE = unsafe extern "win64" fn(
    MiniportAdapterContext: NDIS_HANDLE,
    PauseParameters: *mut NDIS_MINIPORT_PAUSE_PARAMETERS,
) -> NDIS_STATUS;
/// Starts the data path of a paused adapter. `PASSIVE_LEVEL`. NDIS 6.0.
pub type MINIPORT_RESTART = unsafe extern "win64" fn(
    MiniportAdapterContext: NDIS_HANDLE,
    RestartParameters: *mut NDIS_MINIPORT_RESTART_PARAMETERS,
) -> NDIS_STATUS;
/// Handles one request; NDIS sends the next after its completion. `PASSIVE_LEVEL`. NDIS 6.0.
pub type MINIPORT_OID_REQUEST = unsafe extern "win64" fn(
    MiniportAdapterContext: NDIS_HANDLE,
    OidRequest: *mut NDIS_OID_REQUEST,
) -> NDIS_STATUS;
/// Takes ownership of a chain to send. At most `DISPATCH_LEVEL`. NDIS 6.0.
pub type MINIPORT_SEND_NET_BUFFER_LISTS = unsafe extern "win64" fn(
    MiniportAdapterContext: NDIS_HANDLE,
    NetBufferList: *mut NET_BUFFER_LIST,
    PortNumber: NDIS_PORT_NUMBER,
    SendFlags: u32,
);
/// Gives indicated lists back. At most `DISPATCH_LEVEL`. NDIS 6.0.
pub type MINIPORT_RETURN_NET_BUFFER_LISTS = unsafe extern "win64" fn(
    MiniportAdapterContext: NDIS_HANDLE,
    NetBufferLists: *mut NET_BUFFER_LIST,
    ReturnFlags: u32,
);
/// Cancels queued sends that carry the cancel id. At most `DISPATCH_LEVEL`. NDIS 6.0.
pub type MINIPORT_CANCEL_SEND =
    unsafe extern "win64" fn(MiniportAdapterContext: NDIS_HANDLE, CancelId: *mut c_void);
/// Says whether the adapter hangs. `PASSIVE_LEVEL`. NDIS 6.0.
pub type MINIPORT_CHECK_FOR_HANG =
    unsafe extern "win64" fn(MiniportAdapterContext: NDIS_HANDLE) -> BOOLEAN;
/// Resets the adapter. At most `DISPATCH_LEVEL`. NDIS 6.0.
pub type MINIPORT_RESET = unsafe extern "win64" fn(
    MiniportAdapterContext: NDIS_HANDLE,
    AddressingReset: *mut BOOLEAN,
) -> NDIS_STATUS;
/// Tells of a plug-and-play or power-source event. `PASSIVE_LEVEL`. NDIS 6.0.
pub type MINIPORT_DEVICE_PNP_EVENT_NOTIFY = unsafe extern "win64" fn(
    MiniportAdapterContext: NDIS_HANDLE,
    NetDevicePnPEvent: *mut NET_DEVICE_PNP_EVENT,
);
/// Stops the hardware at shutdown (`PASSIVE_LEVEL`) or bug check (any IRQL). NDIS 6.0.
pub type MINIPORT_SHUTDOWN = unsafe extern "win64" fn(
    MiniportAdapterContext: NDIS_HANDLE,
    ShutdownAction: NDIS_SHUTDOWN_ACTION,
);
/// Cancels a pended request by its id. At most `DISPATCH_LEVEL`. NDIS 6.0.
pub type MINIPORT_CANCEL_OID_REQUEST =
    unsafe extern "win64" fn(MiniportAdapterContext: NDIS_HANDLE, RequestId: *mut c_void);
/// Handles a direct request; these are not serialised. At most `DISPATCH_LEVEL`. NDIS 6.1.
pub type MINIPORT_DIRECT_OID_REQUEST = unsafe extern "win64" fn(
    MiniportAdapterContext: NDIS_HANDLE,
    OidRequest: *mut NDIS_OID_REQUEST,
) -> NDIS_STATUS;
/// Cancels a direct request. At most `DISPATCH_LEVEL`. NDIS 6.1.
pub type MINIPORT_CANCEL_DIRECT_OID_REQUEST =
    unsafe extern "win64" fn(MiniportAdapterContext: NDIS_HANDLE, RequestId: *mut c_void);
/// Handles a request that must not pend. At most `DISPATCH_LEVEL`. NDIS 6.80.
pub type MINIPORT_SYNCHRONOUS_OID_REQUEST = unsafe extern "win64" fn(
    MiniportAdapterContext: NDIS_HANDLE,
    OidRequest: *mut NDIS_OID_REQUEST,
) -> NDIS_STATUS;
/// Gives an adapter a context when its device is added. `PASSIVE_LEVEL`. NDIS 6.0.
pub type MINIPORT_ADD_DEVICE = unsafe extern "win64" fn(
    NdisMiniportHandle: NDIS_HANDLE,
    MiniportDriverContext: NDIS_HANDLE,
) -> NDIS_STATUS;
/// Frees the context when the device is removed. `PASSIVE_LEVEL`. NDIS 6.0.
pub type MINIPORT_REMOVE_DEVICE = unsafe extern "win64" fn(MiniportAddDeviceContext: NDIS_HANDLE);
/// Sees `IRP_MN_FILTER_RESOURCE_REQUIREMENTS` or `IRP_MN_START_DEVICE`. `PASSIVE_LEVEL`. NDIS 6.0.
pub type MINIPORT_PNP_IRP =
    unsafe extern "win64" fn(MiniportAddDeviceContext: NDIS_HANDLE, Irp: *mut IRP) -> NTSTATUS;
/// Begins an idle low-power transition. `PASSIVE_LEVEL`. NDIS 6.30.
pub type MINIPORT_IDLE_NOTIFICATION = unsafe extern "win64" fn(
    MiniportAdapterContext: NDIS_HANDLE,
    ForceIdle: BOOLEAN,
) -> NDIS_STATUS;
/// Cancels an idle low-power transition. `PASSIVE_LEVEL`. NDIS 6.30.
pub type MINIPORT_CANCEL_IDLE_NOTIFICATION =
    unsafe extern "win64" fn(MiniportAdapterContext: NDIS_HANDLE);

/// Handlers and versions given to `NdisMRegisterMiniportDriver`; NDIS copies it. NDIS 6.0.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct NDIS_MINIPORT_DRIVER_CHARACTERISTICS {
    /// Type `NDIS_OBJECT_TYPE_MINIPORT_DRIVER_CHARACTERISTICS`.
    pub Header: NDIS_OBJECT_HEADER,
    /// 6.
    pub MajorNdisVersion: u8,
    /// Minor NDIS version, never above the system's.
    pub MinorNdisVersion: u8,
    /// Driver's own major version.
    pub MajorDriverVersion: u8,
    /// Driver's own minor version.
    pub MinorDriverVersion: u8,
    /// `NDIS_WDM_DRIVER`, `NDIS_INTERMEDIATE_DRIVER`.
    pub Flags: u32,
    /// Optional.
    pub SetOptionsHandler: Option<SET_OPTIONS>,
    /// Required.
    pub InitializeHandlerEx: Option<MINIPORT_INITIALIZE>,
    /// Required.
    pub HaltHandlerEx: Option<MINIPORT_HALT>,
    /// Required.
    pub UnloadHandler: Option<MINIPORT_UNLOAD>,
    /// Required.
    pub PauseHandler: Option<MINIPORT_PAUSE>,
    /// Required.
    pub RestartHandler: Option<MINIPORT_RESTART>,
    /// Required.
    pub OidRequestHandler: Option<MINIPORT_OID_REQUEST>,
    /// Required.
    pub SendNetBufferListsHandler: Option<MINIPORT_SEND_NET_BUFFER_LISTS>,
    /// Required.
    pub ReturnNetBufferListsHandler: Option<MINIPORT_RETURN_NET_BUFFER_LISTS>,
    /// Required.
    pub CancelSendHandler: Option<MINIPORT_CANCEL_SEND>,
    /// Optional, together with the reset handler; absent in virtual miniports.
    pub CheckForHangHandlerEx: Option<MINIPORT_CHECK_FOR_HANG>,
    /// Optional, together with the check-for-hang handler.
    pub ResetHandlerEx: Option<MINIPORT_RESET>,
    /// Required.
    pub DevicePnPEventNotifyHandler: Option<MINIPORT_DEVICE_PNP_EVENT_NOTIFY>,
    /// Required.
    pub ShutdownHandlerEx: Option<MINIPORT_SHUTDOWN>,
    /// Required.
    pub CancelOidRequestHandler: Option<MINIPORT_CANCEL_OID_REQUEST>,
    /// Optional, since revision 2 (NDIS 6.1).
    pub DirectOidRequestHandler: Option<MINIPORT_DIRECT_OID_REQUEST>,
    /// Optional, together with the direct handler.
    pub CancelDirectOidRequestHandler: Option<MINIPORT_CANCEL_DIRECT_OID_REQUEST>,
    /// Optional, since revision 3 (NDIS 6.80).
    pub SynchronousOidRequestHandler: Option<MINIPORT_SYNCHRONOUS_OID_REQUEST>,
}

/// Without direct requests. NDIS 6.0.
pub const NDIS_MINIPORT_DRIVER_CHARACTERISTICS_REVISION_1: u8 = 1;
/// With direct requests. NDIS 6.1.
pub const NDIS_MINIPORT_DRIVER_CHARACTERISTICS_REVISION_2: u8 = 2;
/// With synchronous requests. NDIS 6.80.
pub const NDIS_MINIPORT_DRIVER_CHARACTERISTICS_REVISION_3: u8 = 3;

/// Bytes of revision 1. NDIS 6.0.
pub const NDIS_SIZEOF_MINIPORT_DRIVER_CHARACTERISTICS_REVISION_1: usize = offset_of!(
    NDIS_MINIPORT_DRIVER_CHARACTERISTICS,
    DirectOidRequestHandler
);
/// Bytes of revision 2. NDIS 6.1.
pub const NDIS_SIZEOF_MINIPORT_DRIVER_CHARACTERISTICS_REVISION_2: usize = offset_of!(
    NDIS_MINIPORT_DRIVER_CHARACTERISTICS,
    SynchronousOidRequestHandler
);
/// Bytes of revision 3. NDIS 6.80.
pub const NDIS_SIZEOF_MINIPORT_DRIVER_CHARACTERISTICS_REVISION_3: usize =
    size_of::<NDIS_MINIPORT_DRIVER_CHARACTERISTICS>();

/// Characteristics flag: the lower edge is WDM. NDIS 6.0.
pub const NDIS_WDM_DRIVER: u32 = 2;
/// Characteristics flag: intermediate driver. NDIS 6.0.
pub const NDIS_INTERMEDIATE_DRIVER: u32 = 1;

/// Any structure of optional handlers, seen by its header; given to `NdisSetOptionalHandlers`.
/// NDIS 6.0.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct NDIS_DRIVER_OPTIONAL_HANDLERS {
    /// Header of the structure that follows.
    pub Header: NDIS_OBJECT_HEADER,
}

/// What NDIS tells `MiniportInitializeEx`. NDIS 6.0.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct NDIS_MINIPORT_INIT_PARAMETERS {
    /// Type `NDIS_OBJECT_TYPE_MINIPORT_INIT_PARAMETERS`.
    pub Header: NDIS_OBJECT_HEADER,
    /// `NDIS_MINIPORT_INIT_PARAMETERS` flags; 0 as a rule.
    pub Flags: u32,
    /// Hardware resources; null if the device has none.
    pub AllocatedResources: *mut CM_PARTIAL_RESOURCE_LIST,
    /// For intermediate drivers.
    pub IMDeviceInstanceContext: NDIS_HANDLE,
    /// Context of `MiniportAddDevice`, if it set one.
    pub MiniportAddDeviceContext: NDIS_HANDLE,
    /// Interface index.
    pub IfIndex: NET_IFINDEX,
    /// Interface LUID.
    pub NetLuid: NET_LUID,
    /// `NDIS_PORT_AUTHENTICATION_PARAMETERS` of the default port.
    pub DefaultPortAuthStates: *mut c_void,
    /// `NDIS_PCI_DEVICE_CUSTOM_PROPERTIES`, or null.
    pub PciDeviceCustomProperties: *mut c_void,
}

/// Why the adapter is paused. NDIS 6.0.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct NDIS_MINIPORT_PAUSE_PARAMETERS {
    /// Type `NDIS_OBJECT_TYPE_DEFAULT`.
    pub Header: NDIS_OBJECT_HEADER,
    /// Reserved.
    pub Flags: u32,
    /// `NDIS_PAUSE_*`.
    pub PauseReason: u32,
}

/// Attributes offered at restart. NDIS 6.0.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct NDIS_MINIPORT_RESTART_PARAMETERS {
    /// Type `NDIS_OBJECT_TYPE_DEFAULT`.
    pub Header: NDIS_OBJECT_HEADER,
    /// List of attributes; null if they are unchanged.
    pub RestartAttributes: *mut NDIS_RESTART_ATTRIBUTES,
    /// Reserved.
    pub Flags: u32,
}

/// One element of the list of restart attributes. NDIS 6.0.
#[repr(C, align(16))]
#[derive(Clone, Copy)]
pub struct NDIS_RESTART_ATTRIBUTES {
    /// Next element or null.
    pub Next: *mut NDIS_RESTART_ATTRIBUTES,
    /// Which attribute, `OID_GEN_MINIPORT_RESTART_ATTRIBUTES` for the general ones.
    pub Oid: NDIS_OID,
    /// Bytes at `Data`.
    pub DataLength: u32,
    /// First byte of the attribute, aligned to 16.
    pub Data: [u8; 1],
}

/// General attributes at restart (`OID_GEN_MINIPORT_RESTART_ATTRIBUTES`). NDIS 6.0.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct NDIS_RESTART_GENERAL_ATTRIBUTES {
    /// Type `NDIS_OBJECT_TYPE_RESTART_GENERAL_ATTRIBUTES`.
    pub Header: NDIS_OBJECT_HEADER,
    /// Largest frame payload in bytes.
    pub MtuSize: u32,
    /// Bits per second.
    pub MaxXmitLinkSpeed: u64,
    /// Bits per second.
    pub MaxRcvLinkSpeed: u64,
    /// Bytes.
    pub LookaheadSize: u32,
    /// `NDIS_MAC_OPTION_*`.
    pub MacOptions: u32,
    /// `NDIS_PACKET_TYPE_*`.
    pub SupportedPacketFilters: u32,
    /// Addresses.
    pub MaxMulticastListSize: u32,
    /// RSS capabilities or null.
    pub RecvScaleCapabilities: *mut crate::rss::NDIS_RECEIVE_SCALE_CAPABILITIES,
    /// Interface access type.
    pub AccessType: crate::media::NET_IF_ACCESS_TYPE,
    /// `NDIS_RESTART_GENERAL_ATTRIBUTES_*`.
    pub Flags: u32,
    /// Interface connection type.
    pub ConnectionType: crate::media::NET_IF_CONNECTION_TYPE,
    /// `NDIS_STATISTICS_*_SUPPORTED`.
    pub SupportedStatistics: u32,
    /// Bytes.
    pub DataBackFillSize: u32,
    /// Bytes.
    pub ContextBackFillSize: u32,
    /// OIDs.
    pub SupportedOidList: *mut NDIS_OID,
    /// Bytes.
    pub SupportedOidListLength: u32,
    /// Bytes, since revision 2 (NDIS 6.20).
    pub MaxLookaheadSizeAccessed: u32,
}

/// The only revision. NDIS 6.0.
pub const NDIS_MINIPORT_INIT_PARAMETERS_REVISION_1: u8 = 1;
/// The only revision. NDIS 6.0.
pub const NDIS_MINIPORT_PAUSE_PARAMETERS_REVISION_1: u8 = 1;
/// The only revision. NDIS 6.0.
pub const NDIS_MINIPORT_RESTART_PARAMETERS_REVISION_1: u8 = 1;
/// First revision. NDIS 6.0.
pub const NDIS_RESTART_GENERAL_ATTRIBUTES_REVISION_1: u8 = 1;
/// With `MaxLookaheadSizeAccessed`. NDIS 6.20.
pub const NDIS_RESTART_GENERAL_ATTRIBUTES_REVISION_2: u8 = 2;
/// The only revision. NDIS 6.0.
pub const NDIS_MINIPORT_PNP_CHARACTERISTICS_REVISION_1: u8 = 1;
/// The only revision. NDIS 6.30.
pub const NDIS_MINIPORT_SS_CHARACTERISTICS_REVISION_1: u8 = 1;

/// The only revision. NDIS 6.0.
pub const NET_DEVICE_PNP_EVENT_REVISION_1: u8 = 1;

/// Bytes of `NDIS_MINIPORT_INIT_PARAMETERS`. NDIS 6.0.
pub const NDIS_SIZEOF_MINIPORT_INIT_PARAMETER_REVISION_1: usize = 0x40;
/// Bytes of `NDIS_MINIPORT_PAUSE_PARAMETERS`. NDIS 6.0.
pub const NDIS_SIZEOF_MINIPORT_PAUSE_PARAMETERS_REVISION_1: usize = 0xC;
/// Bytes of `NDIS_MINIPORT_RESTART_PARAMETERS`, without its tail padding. NDIS 6.0.
pub const NDIS_SIZEOF_MINIPORT_RESTART_PARAMETERS_REVISION_1: usize = 0x14;
/// Bytes of revision 1. NDIS 6.0.
pub const NDIS_SIZEOF_RESTART_GENERAL_ATTRIBUTES_REVISION_1: usize = 0x54;
/// Bytes of revision 2. NDIS 6.20.
pub const NDIS_SIZEOF_RESTART_GENERAL_ATTRIBUTES_REVISION_2: usize = 0x58;
/// Bytes of `NDIS_MINIPORT_PNP_CHARACTERISTICS`. NDIS 6.0.
pub const NDIS_SIZEOF_MINIPORT_PNP_CHARACTERISTICS_REVISION_1: usize = 0x2C;
/// Bytes of `NDIS_MINIPORT_SS_CHARACTERISTICS`. NDIS 6.30.
pub const NDIS_SIZEOF_MINIPORT_SS_CHARACTERISTICS_REVISION_1: usize = 0x18;
/// Bytes of `NET_DEVICE_PNP_EVENT`. NDIS 6.0.
pub const NDIS_SIZEOF_NET_DEVICE_PNP_EVENT_REVISION_1: usize = 0x2C;

/// Flag: `MaxLookaheadSizeAccessed` is valid. NDIS 6.20.
pub const NDIS_RESTART_GENERAL_ATTRIBUTES_MAX_LOOKAHEAD_ACCESSED_DEFINED: u32 = 1;
/// Pause reason: NDIS itself. NDIS 6.0.
pub const NDIS_PAUSE_NDIS_INTERNAL: u32 = 1;
/// Pause reason: low power. NDIS 6.0.
pub const NDIS_PAUSE_LOW_POWER: u32 = 2;
/// Pause reason: a protocol binds. NDIS 6.0.
pub const NDIS_PAUSE_BIND_PROTOCOL: u32 = 4;
/// Pause reason: a protocol unbinds. NDIS 6.0.
pub const NDIS_PAUSE_UNBIND_PROTOCOL: u32 = 8;
/// Pause reason: a filter attaches. NDIS 6.0.
pub const NDIS_PAUSE_ATTACH_FILTER: u32 = 0x10;
/// Pause reason: a filter detaches. NDIS 6.0.
pub const NDIS_PAUSE_DETACH_FILTER: u32 = 0x20;
/// Pause reason: a filter restarts the stack. NDIS 6.0.
pub const NDIS_PAUSE_FILTER_RESTART_STACK: u32 = 0x40;
/// Pause reason: the device is removed. NDIS 6.0.
pub const NDIS_PAUSE_MINIPORT_DEVICE_REMOVE: u32 = 0x80;

/// Optional plug-and-play handlers. NDIS 6.0.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct NDIS_MINIPORT_PNP_CHARACTERISTICS {
    /// Type `NDIS_OBJECT_TYPE_MINIPORT_PNP_CHARACTERISTICS`.
    pub Header: NDIS_OBJECT_HEADER,
    /// Device added.
    pub MiniportAddDeviceHandler: Option<MINIPORT_ADD_DEVICE>,
    /// Device removed.
    pub MiniportRemoveDeviceHandler: Option<MINIPORT_REMOVE_DEVICE>,
    /// Resource requirements pass by.
    pub MiniportFilterResourceRequirementsHandler: Option<MINIPORT_PNP_IRP>,
    /// Start passes by.
    pub MiniportStartDeviceHandler: Option<MINIPORT_PNP_IRP>,
    /// Reserved.
    pub Flags: u32,
}

/// Optional selective-suspend handlers. NDIS 6.30.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct NDIS_MINIPORT_SS_CHARACTERISTICS {
    /// Type `NDIS_OBJECT_TYPE_MINIPORT_SS_CHARACTERISTICS`.
    pub Header: NDIS_OBJECT_HEADER,
    /// Reserved.
    pub Flags: u32,
    /// Idle begins.
    pub IdleNotificationHandler: Option<MINIPORT_IDLE_NOTIFICATION>,
    /// Idle is cancelled.
    pub CancelIdleNotificationHandler: Option<MINIPORT_CANCEL_IDLE_NOTIFICATION>,
}

/// An event given to `MiniportDevicePnPEventNotify`. NDIS 6.0.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct NET_DEVICE_PNP_EVENT {
    /// Type `NDIS_OBJECT_TYPE_DEFAULT`.
    pub Header: NDIS_OBJECT_HEADER,
    /// Port concerned.
    pub PortNumber: NDIS_PORT_NUMBER,
    /// Which event.
    pub DevicePnPEvent: NDIS_DEVICE_PNP_EVENT,
    /// Data of the event; an `NDIS_POWER_PROFILE` for a changed power profile.
    pub InformationBuffer: *mut c_void,
    /// Bytes.
    pub InformationBufferLength: u32,
    /// NDIS's own.
    pub NdisReserved: [u8; 16],
}

/// Events of `MiniportDevicePnPEventNotify`. NDIS 6.0.
pub type NDIS_DEVICE_PNP_EVENT = i32;
/// The device is about to be removed.
pub const NdisDevicePnPEventQueryRemoved: NDIS_DEVICE_PNP_EVENT = 0;
/// The device was removed.
pub const NdisDevicePnPEventRemoved: NDIS_DEVICE_PNP_EVENT = 1;
/// The device vanished.
pub const NdisDevicePnPEventSurpriseRemoved: NDIS_DEVICE_PNP_EVENT = 2;
/// The device is about to be stopped.
pub const NdisDevicePnPEventQueryStopped: NDIS_DEVICE_PNP_EVENT = 3;
/// The device was stopped.
pub const NdisDevicePnPEventStopped: NDIS_DEVICE_PNP_EVENT = 4;
/// Mains or battery; comes after initialisation and D0 too.
pub const NdisDevicePnPEventPowerProfileChanged: NDIS_DEVICE_PNP_EVENT = 5;
/// The filter modules changed.
pub const NdisDevicePnPEventFilterListChanged: NDIS_DEVICE_PNP_EVENT = 6;
/// Number of events.
pub const NdisDevicePnPEventMaximum: NDIS_DEVICE_PNP_EVENT = 7;

/// Power source. NDIS 6.0.
pub type NDIS_POWER_PROFILE = i32;
/// On battery.
pub const NdisPowerProfileBattery: NDIS_POWER_PROFILE = 0;
/// On mains.
pub const NdisPowerProfileAcOnLine: NDIS_POWER_PROFILE = 1;

/// Why an adapter is halted. NDIS 6.0.
pub type NDIS_HALT_ACTION = i32;
/// Disabled or removed by the user.
pub const NdisHaltDeviceDisabled: NDIS_HALT_ACTION = 0;
/// Virtual instance of an intermediate driver ended.
pub const NdisHaltDeviceInstanceDeInitialized: NDIS_HALT_ACTION = 1;
/// System goes to sleep.
pub const NdisHaltDevicePoweredDown: NDIS_HALT_ACTION = 2;
/// Device vanished.
pub const NdisHaltDeviceSurpriseRemoved: NDIS_HALT_ACTION = 3;
/// Device failed.
pub const NdisHaltDeviceFailed: NDIS_HALT_ACTION = 4;
/// NDIS failed after `MiniportInitializeEx` succeeded.
pub const NdisHaltDeviceInitializationFailed: NDIS_HALT_ACTION = 5;
/// Stopped to rebalance resources.
pub const NdisHaltDeviceStopped: NDIS_HALT_ACTION = 6;

/// Why the system stops. NDIS 6.0.
pub type NDIS_SHUTDOWN_ACTION = i32;
/// Orderly shutdown.
pub const NdisShutdownPowerOff: NDIS_SHUTDOWN_ACTION = 0;
/// Bug check: stop the hardware and free nothing.
pub const NdisShutdownBugCheck: NDIS_SHUTDOWN_ACTION = 1;
