//! Domain identifiers.
//!
//! From Xen's public headers: `xen/xen.h`.

/// A domain's number. Ordinary domains are below [`DomId::FIRST_RESERVED`].
#[repr(transparent)]
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DomId(pub u16);

impl DomId {
    /// No ordinary domain has this number or a higher one.
    pub const FIRST_RESERVED: Self = Self(0x7FF0);
    /// The calling domain.
    pub const SELF: Self = Self(0x7FF0);
    /// Owner of I/O memory.
    pub const IO: Self = Self(0x7FF1);
    /// Owner of Xen's own pages.
    pub const XEN: Self = Self(0x7FF2);
    /// Owner of shareable pages.
    pub const COW: Self = Self(0x7FF3);
    /// Unknown owner.
    pub const INVALID: Self = Self(0x7FF4);
    /// The idle domain.
    pub const IDLE: Self = Self(0x7FFF);
    /// Bits a valid number may have.
    pub const MASK: Self = Self(0x7FFF);
}
