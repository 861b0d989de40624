//! Receive-side scaling and receive hashing.

use wdk_sys::PROCESSOR_NUMBER;

use crate::object::NDIS_OBJECT_HEADER;
use crate::types::NDIS_STATUS;

/// RSS capabilities. NDIS 6.0.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct NDIS_RECEIVE_SCALE_CAPABILITIES {
    /// Type `NDIS_OBJECT_TYPE_RSS_CAPABILITIES`.
    pub Header: NDIS_OBJECT_HEADER,
    /// `NDIS_RSS_CAPS_*`; the low byte holds hash functions.
    pub CapabilitiesFlags: u32,
    /// At least 1.
    pub NumberOfInterruptMessages: u32,
    /// Hardware queues.
    pub NumberOfReceiveQueues: u32,
    /// Power of two, at most 128; since revision 2 (NDIS 6.30).
    pub NumberOfIndirectionTableEntries: u16,
}

/// RSS settings (`OID_GEN_RECEIVE_SCALE_PARAMETERS`); offsets count from its first byte. NDIS
/// 6.0.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct NDIS_RECEIVE_SCALE_PARAMETERS {
    /// Type `NDIS_OBJECT_TYPE_RSS_PARAMETERS`.
    pub Header: NDIS_OBJECT_HEADER,
    /// `NDIS_RSS_PARAM_FLAG_*`.
    pub Flags: u16,
    /// 0 since NDIS 6.20.
    pub BaseCpuNumber: u16,
    /// Hash function in the low byte, hash types above.
    pub HashInformation: u32,
    /// Bytes; entries are `PROCESSOR_NUMBER`s since revision 2.
    pub IndirectionTableSize: u16,
    /// Bytes.
    pub IndirectionTableOffset: u32,
    /// Bytes, at most 40.
    pub HashSecretKeySize: u16,
    /// Bytes.
    pub HashSecretKeyOffset: u32,
    /// Bytes; since revision 2 (NDIS 6.20).
    pub ProcessorMasksOffset: u32,
    /// `GROUP_AFFINITY` elements.
    pub NumberOfProcessorMasks: u32,
    /// Bytes per element.
    pub ProcessorMasksEntrySize: u32,
    /// Processor of unhashed frames; since revision 3 (NDIS 6.60).
    pub DefaultProcessorNumber: PROCESSOR_NUMBER,
}

/// `RSSv2` settings (`OID_GEN_RECEIVE_SCALE_PARAMETERS_V2`). NDIS 6.80.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct NDIS_RECEIVE_SCALE_PARAMETERS_V2 {
    /// Type `NDIS_OBJECT_TYPE_RSS_PARAMETERS_V2`.
    pub Header: NDIS_OBJECT_HEADER,
    /// `NDIS_RECEIVE_SCALE_PARAM_*`.
    pub Flags: u32,
    /// Hash function and types.
    pub HashInformation: u32,
    /// Bytes.
    pub HashSecretKeySize: u32,
    /// Bytes.
    pub HashSecretKeyOffset: u32,
    /// Queues.
    pub NumberOfQueues: u32,
    /// Entries.
    pub NumberOfIndirectionTableEntries: u32,
}

/// Batch of table moves (`OID_GEN_RSS_SET_INDIRECTION_TABLE_ENTRIES`). NDIS 6.80.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct NDIS_RSS_SET_INDIRECTION_ENTRIES {
    /// Type `NDIS_OBJECT_TYPE_RSS_SET_INDIRECTION_ENTRIES`.
    pub Header: NDIS_OBJECT_HEADER,
    /// Reserved.
    pub Flags: u32,
    /// Bytes per entry.
    pub RssEntrySize: u32,
    /// Bytes.
    pub RssEntryTableOffset: u32,
    /// Entries.
    pub NumberOfRssEntries: u32,
}

/// One move of a batch. NDIS 6.80.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct NDIS_RSS_SET_INDIRECTION_ENTRY {
    /// 0.
    pub SwitchId: u32,
    /// 0.
    pub VPortId: u32,
    /// `NDIS_RSS_SET_INDIRECTION_ENTRY_FLAG_*`.
    pub Flags: u32,
    /// Entry to move.
    pub IndirectionTableIndex: u16,
    /// Processor to move it to.
    pub TargetProcessorNumber: PROCESSOR_NUMBER,
    /// Result; pending before the driver writes it.
    pub EntryStatus: NDIS_STATUS,
}

/// Hashing without scaling (`OID_GEN_RECEIVE_HASH`). NDIS 6.0.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct NDIS_RECEIVE_HASH_PARAMETERS {
    /// Type `NDIS_OBJECT_TYPE_DEFAULT`.
    pub Header: NDIS_OBJECT_HEADER,
    /// `NDIS_RECEIVE_HASH_FLAG_*`.
    pub Flags: u32,
    /// Hash function and types.
    pub HashInformation: u32,
    /// Bytes.
    pub HashSecretKeySize: u16,
    /// Bytes.
    pub HashSecretKeyOffset: u32,
}

/// One processor of `NDIS_RSS_PROCESSOR_INFO`. NDIS 6.20.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct NDIS_RSS_PROCESSOR {
    /// Processor.
    pub ProcNum: PROCESSOR_NUMBER,
    /// Lower is nearer to the adapter.
    pub PreferenceIndex: u16,
    /// Reserved.
    pub Reserved: u16,
}

/// Processors RSS may use (`NdisGetRssProcessorInformation`). NDIS 6.20.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct NDIS_RSS_PROCESSOR_INFO {
    /// Type `NDIS_OBJECT_TYPE_RSS_PROCESSOR_INFO`.
    pub Header: NDIS_OBJECT_HEADER,
    /// 0.
    pub Flags: u32,
    /// First processor.
    pub RssBaseProcessor: PROCESSOR_NUMBER,
    /// Limit.
    pub MaxNumRssProcessors: u32,
    /// NUMA node.
    pub PreferredNumaNode: u16,
    /// Bytes from the first byte of this structure.
    pub RssProcessorArrayOffset: u32,
    /// Elements.
    pub RssProcessorCount: u32,
    /// Bytes from one element to the next.
    pub RssProcessorEntrySize: u32,
    /// Last processor; since revision 2 (NDIS 6.30).
    pub RssMaxProcessor: PROCESSOR_NUMBER,
    /// Profile; since revision 2 (NDIS 6.30).
    pub RssProfile: NDIS_RSS_PROFILE,
}

/// First revision. NDIS 6.0.
pub const NDIS_RECEIVE_SCALE_CAPABILITIES_REVISION_1: u8 = 1;
/// With the table size. NDIS 6.30.
pub const NDIS_RECEIVE_SCALE_CAPABILITIES_REVISION_2: u8 = 2;
/// More flags, same layout. NDIS 6.60.
pub const NDIS_RECEIVE_SCALE_CAPABILITIES_REVISION_3: u8 = 3;
/// First revision. NDIS 6.0.
pub const NDIS_RECEIVE_SCALE_PARAMETERS_REVISION_1: u8 = 1;
/// With processor masks. NDIS 6.20.
pub const NDIS_RECEIVE_SCALE_PARAMETERS_REVISION_2: u8 = 2;
/// With the default processor. NDIS 6.60.
pub const NDIS_RECEIVE_SCALE_PARAMETERS_REVISION_3: u8 = 3;
/// The only revision. NDIS 6.80.
pub const NDIS_RECEIVE_SCALE_PARAMETERS_V2_REVISION_1: u8 = 1;
/// The only revision. NDIS 6.80.
pub const NDIS_RSS_SET_INDIRECTION_ENTRIES_REVISION_1: u8 = 1;
/// The only revision. NDIS 6.0.
pub const NDIS_RECEIVE_HASH_PARAMETERS_REVISION_1: u8 = 1;
/// First revision. NDIS 6.20.
pub const NDIS_RSS_PROCESSOR_INFO_REVISION_1: u8 = 1;
/// With the last processor and the profile. NDIS 6.30.
pub const NDIS_RSS_PROCESSOR_INFO_REVISION_2: u8 = 2;

/// Bytes of revision 1. NDIS 6.0.
pub const NDIS_SIZEOF_RECEIVE_SCALE_CAPABILITIES_REVISION_1: usize = 0x10;
/// Bytes of revision 2, less than the structure's padded size. NDIS 6.30.
pub const NDIS_SIZEOF_RECEIVE_SCALE_CAPABILITIES_REVISION_2: usize = 0x12;
/// Bytes of revision 3, less than the structure's padded size. NDIS 6.60.
pub const NDIS_SIZEOF_RECEIVE_SCALE_CAPABILITIES_REVISION_3: usize = 0x12;
/// Bytes of revision 1. NDIS 6.0.
pub const NDIS_SIZEOF_RECEIVE_SCALE_PARAMETERS_REVISION_1: usize = 0x1C;
/// Bytes of revision 2. NDIS 6.20.
pub const NDIS_SIZEOF_RECEIVE_SCALE_PARAMETERS_REVISION_2: usize = 0x28;
/// Bytes of revision 3. NDIS 6.60.
pub const NDIS_SIZEOF_RECEIVE_SCALE_PARAMETERS_REVISION_3: usize = 0x2C;
/// Bytes of revision 1. NDIS 6.80.
pub const NDIS_SIZEOF_RECEIVE_SCALE_PARAMETERS_V2_REVISION_1: usize = 0x1C;
/// Bytes of revision 1. NDIS 6.80.
pub const NDIS_SIZEOF_RSS_SET_INDIRECTION_ENTRIES_REVISION_1: usize = 0x14;
/// Bytes of one entry. NDIS 6.80.
pub const NDIS_SIZEOF_RSS_SET_INDIRECTION_ENTRY_REVISION_1: usize = 0x18;
/// Bytes of revision 1. NDIS 6.0.
pub const NDIS_SIZEOF_RECEIVE_HASH_PARAMETERS_REVISION_1: usize = 0x14;
/// Bytes of one element, without its padding. NDIS 6.20.
pub const NDIS_SIZEOF_RSS_PROCESSOR_REVISION_1: usize = 6;
/// Bytes of revision 1. NDIS 6.20.
pub const NDIS_SIZEOF_RSS_PROCESSOR_INFO_REVISION_1: usize = 0x20;
/// Bytes of revision 2. NDIS 6.30.
pub const NDIS_SIZEOF_RSS_PROCESSOR_INFO_REVISION_2: usize = 0x28;
/// Longest key in bytes. NDIS 6.0.
pub const NDIS_RSS_HASH_SECRET_KEY_MAX_SIZE_REVISION_1: usize = 0x28;
/// Longest key in bytes. NDIS 6.20.
pub const NDIS_RSS_HASH_SECRET_KEY_MAX_SIZE_REVISION_2: usize = 0x28;
/// Longest key in bytes. NDIS 6.60.
pub const NDIS_RSS_HASH_SECRET_KEY_MAX_SIZE_REVISION_3: usize = 0x28;
/// Longest table in bytes (one per entry). NDIS 6.0.
pub const NDIS_RSS_INDIRECTION_TABLE_MAX_SIZE_REVISION_1: usize = 0x80;
/// Longest table in bytes (four per entry). NDIS 6.20.
pub const NDIS_RSS_INDIRECTION_TABLE_MAX_SIZE_REVISION_2: usize = 0x200;
/// Longest table in bytes (four per entry). NDIS 6.60.
pub const NDIS_RSS_INDIRECTION_TABLE_MAX_SIZE_REVISION_3: usize = 0x200;

/// Capability: message-signalled interrupts. NDIS 6.0.
pub const NDIS_RSS_CAPS_MESSAGE_SIGNALED_INTERRUPTS: u32 = 0x0100_0000;
/// Capability: classifies in the interrupt routine. NDIS 6.0.
pub const NDIS_RSS_CAPS_CLASSIFICATION_AT_ISR: u32 = 0x0200_0000;
/// Capability: classifies in the DPC. NDIS 6.0.
pub const NDIS_RSS_CAPS_CLASSIFICATION_AT_DPC: u32 = 0x0400_0000;
/// Capability: uses MSI-X. NDIS 6.20.
pub const NDIS_RSS_CAPS_USING_MSI_X: u32 = 0x0800_0000;
/// Capability: RSS on ports. NDIS 6.30.
pub const NDIS_RSS_CAPS_RSS_AVAILABLE_ON_PORTS: u32 = 0x1000_0000;
/// Capability: can use MSI-X. NDIS 6.30.
pub const NDIS_RSS_CAPS_SUPPORTS_MSI_X: u32 = 0x2000_0000;
/// Capability: `RSSv2`. NDIS 6.80.
pub const NDIS_RSS_CAPS_SUPPORTS_INDEPENDENT_ENTRY_MOVE: u32 = 0x4000_0000;
/// Capability: hashes IPv4 and TCP ports. NDIS 6.0.
pub const NDIS_RSS_CAPS_HASH_TYPE_TCP_IPV4: u32 = 0x100;
/// Capability: hashes IPv6 and TCP ports. NDIS 6.0.
pub const NDIS_RSS_CAPS_HASH_TYPE_TCP_IPV6: u32 = 0x200;
/// Capability: hashes IPv6 home addresses and TCP ports. NDIS 6.0.
pub const NDIS_RSS_CAPS_HASH_TYPE_TCP_IPV6_EX: u32 = 0x400;
/// Capability: hashes IPv4 and UDP ports. NDIS 6.80.
pub const NDIS_RSS_CAPS_HASH_TYPE_UDP_IPV4: u32 = 0x800;
/// Capability: hashes IPv6 and UDP ports. NDIS 6.80.
pub const NDIS_RSS_CAPS_HASH_TYPE_UDP_IPV6: u32 = 0x1000;
/// Capability: hashes IPv6 home addresses and UDP ports. NDIS 6.80.
pub const NDIS_RSS_CAPS_HASH_TYPE_UDP_IPV6_EX: u32 = 0x2000;
/// Hash information: bits of the function. NDIS 6.0.
pub const NDIS_HASH_FUNCTION_MASK: u32 = 0xFF;
/// Hash information: bits of the types. NDIS 6.0.
pub const NDIS_HASH_TYPE_MASK: u32 = 0x00FF_FF00;
/// Hash function: Toeplitz. NDIS 6.0.
pub const NdisHashFunctionToeplitz: u32 = 1;
/// Hash function: reserved. NDIS 6.0.
pub const NdisHashFunctionReserved1: u32 = 2;
/// Hash function: reserved. NDIS 6.0.
pub const NdisHashFunctionReserved2: u32 = 4;
/// Hash function: reserved. NDIS 6.0.
pub const NdisHashFunctionReserved3: u32 = 8;
/// Hash type: IPv4 addresses. NDIS 6.0.
pub const NDIS_HASH_IPV4: u32 = 0x100;
/// Hash type: IPv4 addresses and TCP ports. NDIS 6.0.
pub const NDIS_HASH_TCP_IPV4: u32 = 0x200;
/// Hash type: IPv6 addresses. NDIS 6.0.
pub const NDIS_HASH_IPV6: u32 = 0x400;
/// Hash type: IPv6 home addresses. NDIS 6.0.
pub const NDIS_HASH_IPV6_EX: u32 = 0x800;
/// Hash type: IPv6 addresses and TCP ports. NDIS 6.0.
pub const NDIS_HASH_TCP_IPV6: u32 = 0x1000;
/// Hash type: IPv6 home addresses and TCP ports. NDIS 6.0.
pub const NDIS_HASH_TCP_IPV6_EX: u32 = 0x2000;
/// Hash type: IPv4 addresses and UDP ports. NDIS 6.80.
pub const NDIS_HASH_UDP_IPV4: u32 = 0x4000;
/// Hash type: IPv6 addresses and UDP ports. NDIS 6.80.
pub const NDIS_HASH_UDP_IPV6: u32 = 0x8000;
/// Hash type: IPv6 home addresses and UDP ports. NDIS 6.80.
pub const NDIS_HASH_UDP_IPV6_EX: u32 = 0x0001_0000;
/// Parameter flag: the base CPU did not change. NDIS 6.0.
pub const NDIS_RSS_PARAM_FLAG_BASE_CPU_UNCHANGED: u32 = 1;
/// Parameter flag: function and types did not change. NDIS 6.0.
pub const NDIS_RSS_PARAM_FLAG_HASH_INFO_UNCHANGED: u32 = 2;
/// Parameter flag: the table did not change. NDIS 6.0.
pub const NDIS_RSS_PARAM_FLAG_ITABLE_UNCHANGED: u32 = 4;
/// Parameter flag: the key did not change. NDIS 6.0.
pub const NDIS_RSS_PARAM_FLAG_HASH_KEY_UNCHANGED: u32 = 8;
/// Parameter flag: turn RSS off and ignore the rest. NDIS 6.0.
pub const NDIS_RSS_PARAM_FLAG_DISABLE_RSS: u32 = 0x10;
/// Parameter flag: the default processor did not change. NDIS 6.60.
pub const NDIS_RSS_PARAM_FLAG_DEFAULT_PROCESSOR_UNCHANGED: u32 = 0x20;
/// Version 2 flag: RSS is on. NDIS 6.80.
pub const NDIS_RECEIVE_SCALE_PARAM_ENABLE_RSS: u32 = 1;
/// Version 2 flag: function or types changed. NDIS 6.80.
pub const NDIS_RECEIVE_SCALE_PARAM_HASH_INFO_CHANGED: u32 = 2;
/// Version 2 flag: the key changed. NDIS 6.80.
pub const NDIS_RECEIVE_SCALE_PARAM_HASH_KEY_CHANGED: u32 = 4;
/// Version 2 flag: the number of queues changed. NDIS 6.80.
pub const NDIS_RECEIVE_SCALE_PARAM_NUMBER_OF_QUEUES_CHANGED: u32 = 8;
/// Version 2 flag: the table size changed. NDIS 6.80.
pub const NDIS_RECEIVE_SCALE_PARAM_NUMBER_OF_ENTRIES_CHANGED: u32 = 0x10;
/// Entry sets the primary processor; no index. NDIS 6.80.
pub const NDIS_RSS_SET_INDIRECTION_ENTRY_FLAG_PRIMARY_PROCESSOR: u32 = 1;
/// Entry sets the default processor; no index. NDIS 6.80.
pub const NDIS_RSS_SET_INDIRECTION_ENTRY_FLAG_DEFAULT_PROCESSOR: u32 = 2;
/// Hash flag: hashing is on. NDIS 6.0.
pub const NDIS_RECEIVE_HASH_FLAG_ENABLE_HASH: u32 = 1;
/// Hash flag: function and types did not change. NDIS 6.0.
pub const NDIS_RECEIVE_HASH_FLAG_HASH_INFO_UNCHANGED: u32 = 2;
/// Hash flag: the key did not change. NDIS 6.0.
pub const NDIS_RECEIVE_HASH_FLAG_HASH_KEY_UNCHANGED: u32 = 4;

/// How NDIS chooses RSS processors (`*RSSProfile`). NDIS 6.30.
pub type NDIS_RSS_PROFILE = i32;
/// Nearest processors, changing.
pub const NdisRssProfileClosest: NDIS_RSS_PROFILE = 1;
/// Nearest processors, fixed.
pub const NdisRssProfileClosestStatic: NDIS_RSS_PROFILE = 2;
/// By NUMA node, changing.
pub const NdisRssProfileNuma: NDIS_RSS_PROFILE = 3;
/// By NUMA node, fixed: the default.
pub const NdisRssProfileNumaStatic: NDIS_RSS_PROFILE = 4;
/// As few processors as can carry the load.
pub const NdisRssProfileConservative: NDIS_RSS_PROFILE = 5;
/// End of the values.
pub const NdisRssProfileMaximum: NDIS_RSS_PROFILE = 6;
