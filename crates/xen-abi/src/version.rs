//! Version queries and feature bits.
//!
//! From Xen's public headers: `xen/version.h` and `xen/features.h`.

/// Answers major (31:16) and minor (15:0).
pub const XENVER_VERSION: u32 = 0;
/// Rest of the version: [`ExtraVersion`].
pub const XENVER_EXTRAVERSION: u32 = 1;
/// Feature bits: [`FeatureInfo`].
pub const XENVER_GET_FEATURES: u32 = 6;
/// Feature bit.
pub const XENFEAT_WRITABLE_PAGE_TABLES: u32 = 0;
/// Feature bit: guest frames are not machine frames.
pub const XENFEAT_AUTO_TRANSLATED_PHYSMAP: u32 = 2;
/// Feature bit: events by interrupt vector.
pub const XENFEAT_HVM_CALLBACK_VECTOR: u32 = 8;
/// Feature bit: the time info may be used.
pub const XENFEAT_HVM_SAFE_PVCLOCK: u32 = 9;
/// Feature bit: physical interrupts as events.
pub const XENFEAT_HVM_PIRQS: u32 = 10;

/// Argument of [`XENVER_GET_FEATURES`].
#[repr(C)]
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct FeatureInfo {
    /// In: which 32 bits.
    pub submap_idx: u32,
    /// Out: the bits.
    pub submap: u32,
}

/// NUL-terminated text such as `.4-pre`.
#[repr(transparent)]
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ExtraVersion(pub [u8; 16]);
