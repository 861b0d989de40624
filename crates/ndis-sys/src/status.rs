//! `NDIS_STATUS` values: results of calls and requests, and codes of status indications.

use crate::types::{NDIS_ERROR_CODE, NDIS_STATUS, status};

/// Done. NDIS 6.0.
pub const NDIS_STATUS_SUCCESS: NDIS_STATUS = status(0);
/// Completed later through the matching `...Complete` call. NDIS 6.0.
pub const NDIS_STATUS_PENDING: NDIS_STATUS = status(0x103);
/// The data is not for this driver. NDIS 6.0.
pub const NDIS_STATUS_NOT_RECOGNIZED: NDIS_STATUS = status(0x0001_0001);
/// Refused; the answer to everything after surprise removal. NDIS 6.0.
pub const NDIS_STATUS_NOT_ACCEPTED: NDIS_STATUS = status(0x0001_0003);
/// The buffer was too small; part of the data was written. NDIS 6.0.
pub const NDIS_STATUS_BUFFER_OVERFLOW: NDIS_STATUS = status(0x8000_0005);
/// The object is in use. NDIS 6.0.
pub const NDIS_STATUS_BUSY: NDIS_STATUS = status(0x8000_0011);
/// General failure. NDIS 6.0.
pub const NDIS_STATUS_FAILURE: NDIS_STATUS = status(0xC000_0001);
/// The device does not implement the request. NDIS 6.0.
pub const NDIS_STATUS_INVALID_DEVICE_REQUEST: NDIS_STATUS = status(0xC000_0010);
/// A parameter is wrong. NDIS 6.0.
pub const NDIS_STATUS_INVALID_PARAMETER: NDIS_STATUS = status(0xC000_000D);
/// No memory or another resource. NDIS 6.0.
pub const NDIS_STATUS_RESOURCES: NDIS_STATUS = status(0xC000_009A);
/// Unknown or unsupported request. NDIS 6.0.
pub const NDIS_STATUS_NOT_SUPPORTED: NDIS_STATUS = status(0xC000_00BB);
/// Not possible in the present state. NDIS 6.0.
pub const NDIS_STATUS_INVALID_STATE: NDIS_STATUS = status(0xC000_0184);
/// The receiver refused the data. NDIS 6.0.
pub const NDIS_STATUS_DATA_NOT_ACCEPTED: NDIS_STATUS = status(0xC000_021B);
/// No route to the network. NDIS 6.0.
pub const NDIS_STATUS_NETWORK_UNREACHABLE: NDIS_STATUS = status(0xC000_023C);
/// The binding is being closed. NDIS 6.0.
pub const NDIS_STATUS_CLOSING: NDIS_STATUS = status(0xC001_0002);
/// NDIS version or structure revision not accepted. NDIS 6.0.
pub const NDIS_STATUS_BAD_VERSION: NDIS_STATUS = status(0xC001_0004);
/// Wrong characteristics structure. NDIS 6.0.
pub const NDIS_STATUS_BAD_CHARACTERISTICS: NDIS_STATUS = status(0xC001_0005);
/// No such adapter. NDIS 6.0.
pub const NDIS_STATUS_ADAPTER_NOT_FOUND: NDIS_STATUS = status(0xC001_0006);
/// A binding could not be opened. NDIS 6.0.
pub const NDIS_STATUS_OPEN_FAILED: NDIS_STATUS = status(0xC001_0007);
/// The device failed. NDIS 6.0.
pub const NDIS_STATUS_DEVICE_FAILED: NDIS_STATUS = status(0xC001_0008);
/// More multicast addresses than the advertised maximum. NDIS 6.0.
pub const NDIS_STATUS_MULTICAST_FULL: NDIS_STATUS = status(0xC001_0009);
/// The multicast address is listed already. NDIS 6.0.
pub const NDIS_STATUS_MULTICAST_EXISTS: NDIS_STATUS = status(0xC001_000A);
/// The multicast address is not listed. NDIS 6.0.
pub const NDIS_STATUS_MULTICAST_NOT_FOUND: NDIS_STATUS = status(0xC001_000B);
/// The request was cancelled. NDIS 6.0.
pub const NDIS_STATUS_REQUEST_ABORTED: NDIS_STATUS = status(0xC001_000C);
/// A reset is under way. NDIS 6.0.
pub const NDIS_STATUS_RESET_IN_PROGRESS: NDIS_STATUS = status(0xC001_000D);
/// The frame is malformed. NDIS 6.0.
pub const NDIS_STATUS_INVALID_PACKET: NDIS_STATUS = status(0xC001_000F);
/// The adapter is not ready. NDIS 6.0.
pub const NDIS_STATUS_ADAPTER_NOT_READY: NDIS_STATUS = status(0xC001_0011);
/// A buffer or a frame has a wrong length. NDIS 6.0.
pub const NDIS_STATUS_INVALID_LENGTH: NDIS_STATUS = status(0xC001_0014);
/// The contents of a buffer are wrong. NDIS 6.0.
pub const NDIS_STATUS_INVALID_DATA: NDIS_STATUS = status(0xC001_0015);
/// The buffer cannot hold the answer. NDIS 6.0.
pub const NDIS_STATUS_BUFFER_TOO_SHORT: NDIS_STATUS = status(0xC001_0016);
/// Not an OID of this driver. NDIS 6.0.
pub const NDIS_STATUS_INVALID_OID: NDIS_STATUS = status(0xC001_0017);
/// The adapter was removed. NDIS 6.0.
pub const NDIS_STATUS_ADAPTER_REMOVED: NDIS_STATUS = status(0xC001_0018);
/// Medium not supported. NDIS 6.0.
pub const NDIS_STATUS_UNSUPPORTED_MEDIA: NDIS_STATUS = status(0xC001_0019);
/// No such file. NDIS 6.0.
pub const NDIS_STATUS_FILE_NOT_FOUND: NDIS_STATUS = status(0xC001_001B);
/// A hardware resource is taken. NDIS 6.0.
pub const NDIS_STATUS_RESOURCE_CONFLICT: NDIS_STATUS = status(0xC001_001E);
/// No cable attached. NDIS 6.0.
pub const NDIS_STATUS_NO_CABLE: NDIS_STATUS = status(0xC001_001F);
/// The send was cancelled. NDIS 6.0.
pub const NDIS_STATUS_SEND_ABORTED: NDIS_STATUS = status(0xC023_000C);
/// The medium is disconnected. NDIS 6.0.
pub const NDIS_STATUS_MEDIA_DISCONNECTED: NDIS_STATUS = status(0xC023_001F);
/// Refused because the adapter is paused or pausing. NDIS 6.0.
pub const NDIS_STATUS_PAUSED: NDIS_STATUS = status(0xC023_002A);
/// No such interface. NDIS 6.0.
pub const NDIS_STATUS_INTERFACE_NOT_FOUND: NDIS_STATUS = status(0xC023_002B);
/// Structure revision not supported. NDIS 6.0.
pub const NDIS_STATUS_UNSUPPORTED_REVISION: NDIS_STATUS = status(0xC023_002C);
/// No such port. NDIS 6.0.
pub const NDIS_STATUS_INVALID_PORT: NDIS_STATUS = status(0xC023_002D);
/// The port's state does not allow it. NDIS 6.0.
pub const NDIS_STATUS_INVALID_PORT_STATE: NDIS_STATUS = status(0xC023_002E);
/// Refused because the adapter is in a low-power state. NDIS 6.0.
pub const NDIS_STATUS_LOW_POWER_STATE: NDIS_STATUS = status(0xC023_002F);
/// Takes effect after the adapter is initialised again. NDIS 6.20.
pub const NDIS_STATUS_REINIT_REQUIRED: NDIS_STATUS = status(0xC023_0030);

/// The RSS table needs more queues than there are. NDIS 6.80.
pub const NDIS_STATUS_NO_QUEUES: NDIS_STATUS = status(0xC023_0031);

/// Indication: the adapter is online. NDIS 6.0.
pub const NDIS_STATUS_ONLINE: NDIS_STATUS = status(0x4001_0003);
/// Indication: a reset began (NDIS sends it itself). NDIS 6.0.
pub const NDIS_STATUS_RESET_START: NDIS_STATUS = status(0x4001_0004);
/// Indication: a reset ended (NDIS sends it itself). NDIS 6.0.
pub const NDIS_STATUS_RESET_END: NDIS_STATUS = status(0x4001_0005);
/// Indication: connected (before NDIS 6; use the link state). NDIS 6.0.
pub const NDIS_STATUS_MEDIA_CONNECT: NDIS_STATUS = status(0x4001_000B);
/// Indication: disconnected (before NDIS 6; use the link state). NDIS 6.0.
pub const NDIS_STATUS_MEDIA_DISCONNECT: NDIS_STATUS = status(0x4001_000C);
/// Indication: the speed changed (before NDIS 6; use the link state). NDIS 6.0.
pub const NDIS_STATUS_LINK_SPEED_CHANGE: NDIS_STATUS = status(0x4001_0013);
/// Indication: the link state changed; the buffer is an `NDIS_LINK_STATE`. NDIS 6.0.
pub const NDIS_STATUS_LINK_STATE: NDIS_STATUS = status(0x4001_0017);
/// Indication: the network behind the link may be another one. NDIS 6.0.
pub const NDIS_STATUS_NETWORK_CHANGE: NDIS_STATUS = status(0x4001_0018);
/// Indication: a port's state changed. NDIS 6.0.
pub const NDIS_STATUS_PORT_STATE: NDIS_STATUS = status(0x4001_0022);
/// Indication: the operational status changed. NDIS 6.0.
pub const NDIS_STATUS_OPER_STATUS: NDIS_STATUS = status(0x4001_0023);
/// Indication: the packet filter changed. NDIS 6.0.
pub const NDIS_STATUS_PACKET_FILTER: NDIS_STATUS = status(0x4001_0024);
/// Indication: offloads now in force; the buffer is an `NDIS_OFFLOAD`. NDIS 6.0.
pub const NDIS_STATUS_TASK_OFFLOAD_CURRENT_CONFIG: NDIS_STATUS = status(0x4002_0006);
/// Indication: what the hardware can do changed; the buffer is an `NDIS_OFFLOAD`. NDIS 6.0.
pub const NDIS_STATUS_TASK_OFFLOAD_HARDWARE_CAPABILITIES: NDIS_STATUS = status(0x4002_0007);
/// Indication: the encapsulation changed (Microsoft's spelling). NDIS 6.0.
pub const NDIS_STATUS_OFFLOAD_ENCASPULATION_CHANGE: NDIS_STATUS = status(0x4002_0008);
/// Indication: current power-management capabilities changed. NDIS 6.20.
pub const NDIS_STATUS_PM_CAPABILITIES_CHANGE: NDIS_STATUS = status(0x4003_0053);
/// Indication: power-management capabilities of the hardware changed. NDIS 6.20.
pub const NDIS_STATUS_PM_HARDWARE_CAPABILITIES: NDIS_STATUS = status(0x4003_0054);
/// Indication: the current MAC address changed. NDIS 6.50.
pub const NDIS_STATUS_CURRENT_MAC_ADDRESS_CHANGE: NDIS_STATUS = status(0x4002_00B0);
/// Indication: the MTU changed. NDIS 6.50.
pub const NDIS_STATUS_L2_MTU_SIZE_CHANGE: NDIS_STATUS = status(0x4002_00B1);

/// Log: a resource conflict.
pub const NDIS_ERROR_CODE_RESOURCE_CONFLICT: NDIS_ERROR_CODE = 0xC000_1388;
/// Log: no memory or another resource.
pub const NDIS_ERROR_CODE_OUT_OF_RESOURCES: NDIS_ERROR_CODE = 0xC000_1389;
/// Log: the device does not work.
pub const NDIS_ERROR_CODE_HARDWARE_FAILURE: NDIS_ERROR_CODE = 0xC000_138A;
/// Log: the device was not found.
pub const NDIS_ERROR_CODE_ADAPTER_NOT_FOUND: NDIS_ERROR_CODE = 0xC000_138B;
/// Log: the interrupt (event channel) could not be connected.
pub const NDIS_ERROR_CODE_INTERRUPT_CONNECT: NDIS_ERROR_CODE = 0xC000_138C;
/// Log: the driver failed.
pub const NDIS_ERROR_CODE_DRIVER_FAILURE: NDIS_ERROR_CODE = 0xC000_138D;
/// Log: version mismatch.
pub const NDIS_ERROR_CODE_BAD_VERSION: NDIS_ERROR_CODE = 0xC000_138E;
/// Log: an operation timed out.
pub const NDIS_ERROR_CODE_TIMEOUT: NDIS_ERROR_CODE = 0x8000_138F;
/// Log: no usable MAC address.
pub const NDIS_ERROR_CODE_NETWORK_ADDRESS: NDIS_ERROR_CODE = 0xC000_1390;
/// Log: unsupported configuration.
pub const NDIS_ERROR_CODE_UNSUPPORTED_CONFIGURATION: NDIS_ERROR_CODE = 0xC000_1391;
/// Log: the device (backend) gave a value that makes no sense.
pub const NDIS_ERROR_CODE_INVALID_VALUE_FROM_ADAPTER: NDIS_ERROR_CODE = 0xC000_1392;
/// Log: a configuration parameter is missing.
pub const NDIS_ERROR_CODE_MISSING_CONFIGURATION_PARAMETER: NDIS_ERROR_CODE = 0xC000_1393;
/// Log: bad base address.
pub const NDIS_ERROR_CODE_BAD_IO_BASE_ADDRESS: NDIS_ERROR_CODE = 0xC000_1394;
/// Log: too little receive space.
pub const NDIS_ERROR_CODE_RECEIVE_SPACE_SMALL: NDIS_ERROR_CODE = 0x4000_1395;
/// Log: the adapter is disabled.
pub const NDIS_ERROR_CODE_ADAPTER_DISABLED: NDIS_ERROR_CODE = 0x8000_1396;
