//! NDIS versions as `NdisGetVersion` returns them: major in the high word, minor in the low.

/// Windows Vista. NDIS 6.0.
pub const NDIS_RUNTIME_VERSION_60: u32 = 0x0006_0000;
/// Windows Vista SP1 and Server 2008. NDIS 6.1.
pub const NDIS_RUNTIME_VERSION_61: u32 = 0x0006_0001;
/// Windows 7. NDIS 6.20.
pub const NDIS_RUNTIME_VERSION_620: u32 = 0x0006_0014;
/// Windows 8. NDIS 6.30.
pub const NDIS_RUNTIME_VERSION_630: u32 = 0x0006_001E;
/// Windows 8.1. NDIS 6.40.
pub const NDIS_RUNTIME_VERSION_640: u32 = 0x0006_0028;
/// Windows 10 1507. NDIS 6.50.
pub const NDIS_RUNTIME_VERSION_650: u32 = 0x0006_0032;
/// Windows 10 1511. NDIS 6.51.
pub const NDIS_RUNTIME_VERSION_651: u32 = 0x0006_0033;
/// Windows 10 1607, Server 2016. NDIS 6.60.
pub const NDIS_RUNTIME_VERSION_660: u32 = 0x0006_003C;
/// Windows 10 1703. NDIS 6.70.
pub const NDIS_RUNTIME_VERSION_670: u32 = 0x0006_0046;
/// Windows 10 1709. NDIS 6.80.
pub const NDIS_RUNTIME_VERSION_680: u32 = 0x0006_0050;

/// Windows 10 1803. NDIS 6.81.
pub const NDIS_RUNTIME_VERSION_681: u32 = 0x0006_0051;
/// Windows 10 1809, Server 2019: the oldest this project supports. NDIS 6.82.
pub const NDIS_RUNTIME_VERSION_682: u32 = 0x0006_0052;
/// Windows 10 1903. NDIS 6.83.
pub const NDIS_RUNTIME_VERSION_683: u32 = 0x0006_0053;
/// Windows 10 2004. NDIS 6.84.
pub const NDIS_RUNTIME_VERSION_684: u32 = 0x0006_0054;
/// Server 2022. NDIS 6.85.
pub const NDIS_RUNTIME_VERSION_685: u32 = 0x0006_0055;
/// Windows 11 21H2. NDIS 6.86.
pub const NDIS_RUNTIME_VERSION_686: u32 = 0x0006_0056;
/// Windows 11 22H2. NDIS 6.87.
pub const NDIS_RUNTIME_VERSION_687: u32 = 0x0006_0057;
/// Server 23H2. NDIS 6.88.
pub const NDIS_RUNTIME_VERSION_688: u32 = 0x0006_0058;
/// Windows 11 24H2, Server 2025. NDIS 6.89.
pub const NDIS_RUNTIME_VERSION_689: u32 = 0x0006_0059;
