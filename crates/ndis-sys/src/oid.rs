//! Object identifiers a miniport for Ethernet meets.

use crate::types::NDIS_OID;

/// List of OIDs; NDIS answers it. NDIS 6.0.
pub const OID_GEN_SUPPORTED_LIST: NDIS_OID = 0x0001_0101;
/// Hardware status; NDIS answers it. NDIS 6.0.
pub const OID_GEN_HARDWARE_STATUS: NDIS_OID = 0x0001_0102;
/// Media supported; NDIS answers it. NDIS 6.0.
pub const OID_GEN_MEDIA_SUPPORTED: NDIS_OID = 0x0001_0103;
/// Media in use; NDIS answers it. NDIS 6.0.
pub const OID_GEN_MEDIA_IN_USE: NDIS_OID = 0x0001_0104;
/// Largest lookahead in bytes; NDIS answers it. NDIS 6.0.
pub const OID_GEN_MAXIMUM_LOOKAHEAD: NDIS_OID = 0x0001_0105;
/// Largest payload in bytes; NDIS answers it. NDIS 6.0.
pub const OID_GEN_MAXIMUM_FRAME_SIZE: NDIS_OID = 0x0001_0106;
/// Speed in 100 bit/s; NDIS answers it. NDIS 6.0.
pub const OID_GEN_LINK_SPEED: NDIS_OID = 0x0001_0107;
/// Bytes of transmit buffers. NDIS 6.0.
pub const OID_GEN_TRANSMIT_BUFFER_SPACE: NDIS_OID = 0x0001_0108;
/// Bytes of receive buffers. NDIS 6.0.
pub const OID_GEN_RECEIVE_BUFFER_SPACE: NDIS_OID = 0x0001_0109;
/// Bytes of a transmit block. NDIS 6.0.
pub const OID_GEN_TRANSMIT_BLOCK_SIZE: NDIS_OID = 0x0001_010A;
/// Bytes of a receive block. NDIS 6.0.
pub const OID_GEN_RECEIVE_BLOCK_SIZE: NDIS_OID = 0x0001_010B;
/// Vendor's IEEE prefix and a number; 0xFFFFFF if none. NDIS 6.0.
pub const OID_GEN_VENDOR_ID: NDIS_OID = 0x0001_010C;
/// Vendor's name, NUL-terminated ASCII. NDIS 6.0.
pub const OID_GEN_VENDOR_DESCRIPTION: NDIS_OID = 0x0001_010D;
/// Packet filter, `NDIS_PACKET_TYPE_*`; set reaches the miniport. NDIS 6.0.
pub const OID_GEN_CURRENT_PACKET_FILTER: NDIS_OID = 0x0001_010E;
/// Lookahead in bytes; set reaches the miniport. NDIS 6.0.
pub const OID_GEN_CURRENT_LOOKAHEAD: NDIS_OID = 0x0001_010F;
/// NDIS version of the driver; NDIS answers it. NDIS 6.0.
pub const OID_GEN_DRIVER_VERSION: NDIS_OID = 0x0001_0110;
/// Largest frame in bytes with its MAC header. NDIS 6.0.
pub const OID_GEN_MAXIMUM_TOTAL_SIZE: NDIS_OID = 0x0001_0111;
/// Protocol options; not for miniports. NDIS 6.0.
pub const OID_GEN_PROTOCOL_OPTIONS: NDIS_OID = 0x0001_0112;
/// MAC options; NDIS answers it. NDIS 6.0.
pub const OID_GEN_MAC_OPTIONS: NDIS_OID = 0x0001_0113;
/// Connected or not; NDIS answers it. NDIS 6.0.
pub const OID_GEN_MEDIA_CONNECT_STATUS: NDIS_OID = 0x0001_0114;
/// Frames per send call, before NDIS 6. NDIS 6.0.
pub const OID_GEN_MAXIMUM_SEND_PACKETS: NDIS_OID = 0x0001_0115;
/// Driver version, major in the high word. NDIS 6.0.
pub const OID_GEN_VENDOR_DRIVER_VERSION: NDIS_OID = 0x0001_0116;
/// Private GUIDs; not answered. NDIS 6.0.
pub const OID_GEN_SUPPORTED_GUIDS: NDIS_OID = 0x0001_0117;
/// Network addresses in use, told by protocols. NDIS 6.0.
pub const OID_GEN_NETWORK_LAYER_ADDRESSES: NDIS_OID = 0x0001_0118;
/// Offset of the transport header, told by protocols. NDIS 6.0.
pub const OID_GEN_TRANSPORT_HEADER_OFFSET: NDIS_OID = 0x0001_0119;
/// Media capabilities. NDIS 6.0.
pub const OID_GEN_MEDIA_CAPABILITIES: NDIS_OID = 0x0001_0201;
/// Physical medium; NDIS answers it. NDIS 6.0.
pub const OID_GEN_PHYSICAL_MEDIUM: NDIS_OID = 0x0001_0202;
/// RSS capabilities; NDIS answers it. NDIS 6.0.
pub const OID_GEN_RECEIVE_SCALE_CAPABILITIES: NDIS_OID = 0x0001_0203;
/// RSS settings. NDIS 6.0.
pub const OID_GEN_RECEIVE_SCALE_PARAMETERS: NDIS_OID = 0x0001_0204;
/// MAC address. NDIS 6.0.
pub const OID_GEN_MAC_ADDRESS: NDIS_OID = 0x0001_0205;
/// Largest speed; NDIS answers it. NDIS 6.0.
pub const OID_GEN_MAX_LINK_SPEED: NDIS_OID = 0x0001_0206;
/// Link state; NDIS answers it. NDIS 6.0.
pub const OID_GEN_LINK_STATE: NDIS_OID = 0x0001_0207;
/// Link settings. NDIS 6.0.
pub const OID_GEN_LINK_PARAMETERS: NDIS_OID = 0x0001_0208;
/// Interrupt moderation. NDIS 6.0.
pub const OID_GEN_INTERRUPT_MODERATION: NDIS_OID = 0x0001_0209;
/// Ports; NDIS answers it. NDIS 6.0.
pub const OID_GEN_ENUMERATE_PORTS: NDIS_OID = 0x0001_020D;
/// State of a port. NDIS 6.0.
pub const OID_GEN_PORT_STATE: NDIS_OID = 0x0001_020E;
/// Authentication state of a port. NDIS 6.0.
pub const OID_GEN_PORT_AUTHENTICATION_PARAMETERS: NDIS_OID = 0x0001_020F;
/// Physical medium; NDIS answers it. NDIS 6.60.
pub const OID_GEN_PHYSICAL_MEDIUM_EX: NDIS_OID = 0x0001_0213;
/// RSS settings, version 2. NDIS 6.80.
pub const OID_GEN_RECEIVE_SCALE_PARAMETERS_V2: NDIS_OID = 0x0001_0214;
/// Host name, told by NDIS. NDIS 6.0.
pub const OID_GEN_MACHINE_NAME: NDIS_OID = 0x0001_021A;
/// Remote NDIS parameter. NDIS 6.0.
pub const OID_GEN_RNDIS_CONFIG_PARAMETER: NDIS_OID = 0x0001_021B;
/// VLAN identifier, 12 bits. NDIS 6.0.
pub const OID_GEN_VLAN_ID: NDIS_OID = 0x0001_021C;
/// Restart attributes. NDIS 6.0.
pub const OID_GEN_MINIPORT_RESTART_ATTRIBUTES: NDIS_OID = 0x0001_021D;
/// Header-data split settings. NDIS 6.1.
pub const OID_GEN_HD_SPLIT_PARAMETERS: NDIS_OID = 0x0001_021E;
/// Hashing without scaling. NDIS 6.20.
pub const OID_GEN_RECEIVE_HASH: NDIS_OID = 0x0001_021F;
/// Header-data split in force. NDIS 6.1.
pub const OID_GEN_HD_SPLIT_CURRENT_CONFIG: NDIS_OID = 0x0001_0220;
/// Interface: promiscuous or not; NDIS answers it. NDIS 6.0.
pub const OID_GEN_PROMISCUOUS_MODE: NDIS_OID = 0x0001_0280;
/// Interface: time of the last change; NDIS answers it. NDIS 6.0.
pub const OID_GEN_LAST_CHANGE: NDIS_OID = 0x0001_0281;
/// Interface: time of the last counter break; NDIS answers it. NDIS 6.0.
pub const OID_GEN_DISCONTINUITY_TIME: NDIS_OID = 0x0001_0282;
/// Interface: operational status; NDIS answers it. NDIS 6.0.
pub const OID_GEN_OPERATIONAL_STATUS: NDIS_OID = 0x0001_0283;
/// Interface: transmit speed; NDIS answers it. NDIS 6.0.
pub const OID_GEN_XMIT_LINK_SPEED: NDIS_OID = 0x0001_0284;
/// Interface: receive speed; NDIS answers it. NDIS 6.0.
pub const OID_GEN_RCV_LINK_SPEED: NDIS_OID = 0x0001_0285;
/// Interface: frames of unknown protocols; NDIS answers it. NDIS 6.0.
pub const OID_GEN_UNKNOWN_PROTOS: NDIS_OID = 0x0001_0286;
/// Interface: information; NDIS answers it. NDIS 6.0.
pub const OID_GEN_INTERFACE_INFO: NDIS_OID = 0x0001_0287;
/// Interface: administrative status; NDIS answers it. NDIS 6.0.
pub const OID_GEN_ADMIN_STATUS: NDIS_OID = 0x0001_0288;
/// Interface: alias; NDIS answers it. NDIS 6.0.
pub const OID_GEN_ALIAS: NDIS_OID = 0x0001_0289;
/// Interface: speed; NDIS answers it. NDIS 6.0.
pub const OID_GEN_LINK_SPEED_EX: NDIS_OID = 0x0001_028B;
/// Interface: duplex state; NDIS answers it. NDIS 6.0.
pub const OID_GEN_MEDIA_DUPLEX_STATE: NDIS_OID = 0x0001_028C;
/// Interface: status of IP. NDIS 6.0.
pub const OID_GEN_IP_OPER_STATUS: NDIS_OID = 0x0001_028D;
/// Moves of table entries, a synchronous method. NDIS 6.80.
pub const OID_GEN_RSS_SET_INDIRECTION_TABLE_ENTRIES: NDIS_OID = 0x0001_02C0;
/// Isolation parameters of a switch port. NDIS 6.40.
pub const OID_GEN_ISOLATION_PARAMETERS: NDIS_OID = 0x0001_0300;
/// Frames sent. NDIS 6.0.
pub const OID_GEN_XMIT_OK: NDIS_OID = 0x0002_0101;
/// Frames received. NDIS 6.0.
pub const OID_GEN_RCV_OK: NDIS_OID = 0x0002_0102;
/// Frames that failed to be sent. NDIS 6.0.
pub const OID_GEN_XMIT_ERROR: NDIS_OID = 0x0002_0103;
/// Frames received with errors. NDIS 6.0.
pub const OID_GEN_RCV_ERROR: NDIS_OID = 0x0002_0104;
/// Frames lost for want of buffers. NDIS 6.0.
pub const OID_GEN_RCV_NO_BUFFER: NDIS_OID = 0x0002_0105;
/// All interface counters, `NDIS_STATISTICS_INFO`. NDIS 6.0.
pub const OID_GEN_STATISTICS: NDIS_OID = 0x0002_0106;
/// Unicast bytes sent. NDIS 6.0.
pub const OID_GEN_DIRECTED_BYTES_XMIT: NDIS_OID = 0x0002_0201;
/// Unicast frames sent. NDIS 6.0.
pub const OID_GEN_DIRECTED_FRAMES_XMIT: NDIS_OID = 0x0002_0202;
/// Multicast bytes sent. NDIS 6.0.
pub const OID_GEN_MULTICAST_BYTES_XMIT: NDIS_OID = 0x0002_0203;
/// Multicast frames sent. NDIS 6.0.
pub const OID_GEN_MULTICAST_FRAMES_XMIT: NDIS_OID = 0x0002_0204;
/// Broadcast bytes sent. NDIS 6.0.
pub const OID_GEN_BROADCAST_BYTES_XMIT: NDIS_OID = 0x0002_0205;
/// Broadcast frames sent. NDIS 6.0.
pub const OID_GEN_BROADCAST_FRAMES_XMIT: NDIS_OID = 0x0002_0206;
/// Unicast bytes received. NDIS 6.0.
pub const OID_GEN_DIRECTED_BYTES_RCV: NDIS_OID = 0x0002_0207;
/// Unicast frames received. NDIS 6.0.
pub const OID_GEN_DIRECTED_FRAMES_RCV: NDIS_OID = 0x0002_0208;
/// Multicast bytes received. NDIS 6.0.
pub const OID_GEN_MULTICAST_BYTES_RCV: NDIS_OID = 0x0002_0209;
/// Multicast frames received. NDIS 6.0.
pub const OID_GEN_MULTICAST_FRAMES_RCV: NDIS_OID = 0x0002_020A;
/// Broadcast bytes received. NDIS 6.0.
pub const OID_GEN_BROADCAST_BYTES_RCV: NDIS_OID = 0x0002_020B;
/// Broadcast frames received. NDIS 6.0.
pub const OID_GEN_BROADCAST_FRAMES_RCV: NDIS_OID = 0x0002_020C;
/// Frames received with a wrong CRC. NDIS 6.0.
pub const OID_GEN_RCV_CRC_ERROR: NDIS_OID = 0x0002_020D;
/// Frames waiting to be sent. NDIS 6.0.
pub const OID_GEN_TRANSMIT_QUEUE_LENGTH: NDIS_OID = 0x0002_020E;
/// Bytes received. NDIS 6.0.
pub const OID_GEN_BYTES_RCV: NDIS_OID = 0x0002_0219;
/// Bytes sent. NDIS 6.0.
pub const OID_GEN_BYTES_XMIT: NDIS_OID = 0x0002_021A;
/// Frames received and dropped. NDIS 6.0.
pub const OID_GEN_RCV_DISCARDS: NDIS_OID = 0x0002_021B;
/// Frames dropped before sending. NDIS 6.0.
pub const OID_GEN_XMIT_DISCARDS: NDIS_OID = 0x0002_021C;
/// Coalescing counters, `NDIS_RSC_STATISTICS_INFO`. NDIS 6.30.
pub const OID_TCP_RSC_STATISTICS: NDIS_OID = 0x0002_021D;
/// Burnt-in MAC address, 6 bytes. NDIS 6.0.
pub const OID_802_3_PERMANENT_ADDRESS: NDIS_OID = 0x0101_0101;
/// MAC address in use, 6 bytes. NDIS 6.0.
pub const OID_802_3_CURRENT_ADDRESS: NDIS_OID = 0x0101_0102;
/// Multicast addresses, 6 bytes each. NDIS 6.0.
pub const OID_802_3_MULTICAST_LIST: NDIS_OID = 0x0101_0103;
/// Number of multicast addresses that fit. NDIS 6.0.
pub const OID_802_3_MAXIMUM_LIST_SIZE: NDIS_OID = 0x0101_0104;
/// Legacy. NDIS 6.0.
pub const OID_802_3_MAC_OPTIONS: NDIS_OID = 0x0101_0105;
/// Encapsulation in use, `NDIS_OFFLOAD_ENCAPSULATION`. NDIS 6.0.
pub const OID_OFFLOAD_ENCAPSULATION: NDIS_OID = 0x0101_010A;
/// One address more; folded into the list by NDIS. NDIS 6.0.
pub const OID_802_3_ADD_MULTICAST_ADDRESS: NDIS_OID = 0x0101_0208;
/// One address less; folded into the list by NDIS. NDIS 6.0.
pub const OID_802_3_DELETE_MULTICAST_ADDRESS: NDIS_OID = 0x0101_0209;
/// Frames with alignment errors. NDIS 6.0.
pub const OID_802_3_RCV_ERROR_ALIGNMENT: NDIS_OID = 0x0102_0101;
/// Frames sent after one collision. NDIS 6.0.
pub const OID_802_3_XMIT_ONE_COLLISION: NDIS_OID = 0x0102_0102;
/// Frames sent after several collisions. NDIS 6.0.
pub const OID_802_3_XMIT_MORE_COLLISIONS: NDIS_OID = 0x0102_0103;
/// Frames deferred. NDIS 6.0.
pub const OID_802_3_XMIT_DEFERRED: NDIS_OID = 0x0102_0201;
/// Frames given up after collisions. NDIS 6.0.
pub const OID_802_3_XMIT_MAX_COLLISIONS: NDIS_OID = 0x0102_0202;
/// Frames lost by overrun. NDIS 6.0.
pub const OID_802_3_RCV_OVERRUN: NDIS_OID = 0x0102_0203;
/// Frames lost by underrun. NDIS 6.0.
pub const OID_802_3_XMIT_UNDERRUN: NDIS_OID = 0x0102_0204;
/// Frames without heartbeat. NDIS 6.0.
pub const OID_802_3_XMIT_HEARTBEAT_FAILURE: NDIS_OID = 0x0102_0205;
/// Times the carrier was lost. NDIS 6.0.
pub const OID_802_3_XMIT_TIMES_CRS_LOST: NDIS_OID = 0x0102_0206;
/// Late collisions. NDIS 6.0.
pub const OID_802_3_XMIT_LATE_COLLISIONS: NDIS_OID = 0x0102_0207;
/// Offloads in force; NDIS answers it. NDIS 6.0.
pub const OID_TCP_OFFLOAD_CURRENT_CONFIG: NDIS_OID = 0xFC01_020B;
/// Offload settings, `NDIS_OFFLOAD_PARAMETERS`. NDIS 6.0.
pub const OID_TCP_OFFLOAD_PARAMETERS: NDIS_OID = 0xFC01_020C;
/// Offloads possible; NDIS answers it. NDIS 6.0.
pub const OID_TCP_OFFLOAD_HARDWARE_CAPABILITIES: NDIS_OID = 0xFC01_020D;
/// Power capabilities before NDIS 6.20. NDIS 6.0.
pub const OID_PNP_CAPABILITIES: NDIS_OID = 0xFD01_0100;
/// New device power state; always succeeds. NDIS 6.0.
pub const OID_PNP_SET_POWER: NDIS_OID = 0xFD01_0101;
/// May the state change; always succeeds. NDIS 6.0.
pub const OID_PNP_QUERY_POWER: NDIS_OID = 0xFD01_0102;
/// Wake pattern, before NDIS 6.20. NDIS 6.0.
pub const OID_PNP_ADD_WAKE_UP_PATTERN: NDIS_OID = 0xFD01_0103;
/// Wake pattern, before NDIS 6.20. NDIS 6.0.
pub const OID_PNP_REMOVE_WAKE_UP_PATTERN: NDIS_OID = 0xFD01_0104;
/// Wake patterns, before NDIS 6.20. NDIS 6.0.
pub const OID_PNP_WAKE_UP_PATTERN_LIST: NDIS_OID = 0xFD01_0105;
/// Wake-up on or off, before NDIS 6.20. NDIS 6.0.
pub const OID_PNP_ENABLE_WAKE_UP: NDIS_OID = 0xFD01_0106;
/// Power-management capabilities in force; NDIS answers it. NDIS 6.20.
pub const OID_PM_CURRENT_CAPABILITIES: NDIS_OID = 0xFD01_0107;
/// Power-management capabilities; NDIS answers it. NDIS 6.20.
pub const OID_PM_HARDWARE_CAPABILITIES: NDIS_OID = 0xFD01_0108;
/// Power-management settings. NDIS 6.20.
pub const OID_PM_PARAMETERS: NDIS_OID = 0xFD01_0109;
/// Adds a wake pattern. NDIS 6.20.
pub const OID_PM_ADD_WOL_PATTERN: NDIS_OID = 0xFD01_010A;
/// Removes a wake pattern. NDIS 6.20.
pub const OID_PM_REMOVE_WOL_PATTERN: NDIS_OID = 0xFD01_010B;
/// Wake patterns; NDIS answers it. NDIS 6.20.
pub const OID_PM_WOL_PATTERN_LIST: NDIS_OID = 0xFD01_010C;
/// Adds a protocol offload. NDIS 6.20.
pub const OID_PM_ADD_PROTOCOL_OFFLOAD: NDIS_OID = 0xFD01_010D;
/// Reads a protocol offload. NDIS 6.20.
pub const OID_PM_GET_PROTOCOL_OFFLOAD: NDIS_OID = 0xFD01_010E;
/// Removes a protocol offload. NDIS 6.20.
pub const OID_PM_REMOVE_PROTOCOL_OFFLOAD: NDIS_OID = 0xFD01_010F;
/// Protocol offloads; NDIS answers it. NDIS 6.20.
pub const OID_PM_PROTOCOL_OFFLOAD_LIST: NDIS_OID = 0xFD01_0110;
/// Wake-ups, before NDIS 6.20. NDIS 6.0.
pub const OID_PNP_WAKE_UP_OK: NDIS_OID = 0xFD02_0200;
/// Failed wake-ups, before NDIS 6.20. NDIS 6.0.
pub const OID_PNP_WAKE_UP_ERROR: NDIS_OID = 0xFD02_0201;
