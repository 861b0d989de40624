//! Versioned structures: type, revision and size by the registered NDIS version
//! (reference/ndis-contract.md 1.3). For 6.82 and later only offloads still vary.

use ndis_sys as sys;

use crate::version::NdisVersion;

/// Revision and size that go in a structure's header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// Revision.
    pub revision: u8,
    /// Bytes.
    pub size: u16,
}

/// A structure that begins with an `NDIS_OBJECT_HEADER`.
///
/// # Safety
/// The type is `repr(C)`, begins with the header, and all zeros is a valid value of it; `shape`
/// never gives a size above `size_of::<Self>()`.
pub unsafe trait NdisObject: Copy {
    /// `NDIS_OBJECT_TYPE_*`.
    const TYPE: u8;

    /// Revision and size for a driver registered with `version`.
    fn shape(version: NdisVersion) -> Shape;

    /// An all-zero structure with its header filled for `version`.
    fn new(version: NdisVersion) -> Self {
        // SAFETY: the implementor promises that zeros are a valid value.
        let mut object: Self = unsafe { core::mem::zeroed() };
        let shape = Self::shape(version);
        let header = sys::NDIS_OBJECT_HEADER {
            Type: Self::TYPE,
            Revision: shape.revision,
            Size: shape.size,
        };
        let first = (&raw mut object).cast::<sys::NDIS_OBJECT_HEADER>();
        // SAFETY: the implementor promises that the header comes first, so it is in bounds and
        // aligned.
        unsafe { first.write(header) };
        object
    }
}

macro_rules! objects {
    ($($name:ident = $ty:ident, $rev:ident, $size:ident;)*) => {$(
        const _: () = assert!(sys::$size <= size_of::<sys::$name>());
        // SAFETY: a plain C structure of integers, pointers and optional function pointers whose
        // first field is the header; the size is asserted above.
        unsafe impl NdisObject for sys::$name {
            const TYPE: u8 = sys::$ty;

            fn shape(_: NdisVersion) -> Shape {
                Shape { revision: sys::$rev, size: narrow(sys::$size) }
            }
        }
    )*};
}

/// Sizes are below 64 KiB; the constants are `usize` because they are computed.
#[expect(
    clippy::cast_possible_truncation,
    reason = "the assertion rules it out"
)]
const fn narrow(size: usize) -> u16 {
    debug_assert!(size <= u16::MAX as usize);
    size as u16
}

objects! {
    NDIS_MINIPORT_DRIVER_CHARACTERISTICS = NDIS_OBJECT_TYPE_MINIPORT_DRIVER_CHARACTERISTICS,
        NDIS_MINIPORT_DRIVER_CHARACTERISTICS_REVISION_3,
        NDIS_SIZEOF_MINIPORT_DRIVER_CHARACTERISTICS_REVISION_3;
    NDIS_MINIPORT_ADAPTER_REGISTRATION_ATTRIBUTES =
        NDIS_OBJECT_TYPE_MINIPORT_ADAPTER_REGISTRATION_ATTRIBUTES,
        NDIS_MINIPORT_ADAPTER_REGISTRATION_ATTRIBUTES_REVISION_2,
        NDIS_SIZEOF_MINIPORT_ADAPTER_REGISTRATION_ATTRIBUTES_REVISION_2;
    NDIS_MINIPORT_ADAPTER_GENERAL_ATTRIBUTES =
        NDIS_OBJECT_TYPE_MINIPORT_ADAPTER_GENERAL_ATTRIBUTES,
        NDIS_MINIPORT_ADAPTER_GENERAL_ATTRIBUTES_REVISION_2,
        NDIS_SIZEOF_MINIPORT_ADAPTER_GENERAL_ATTRIBUTES_REVISION_2;
    NDIS_MINIPORT_ADAPTER_OFFLOAD_ATTRIBUTES =
        NDIS_OBJECT_TYPE_MINIPORT_ADAPTER_OFFLOAD_ATTRIBUTES,
        NDIS_MINIPORT_ADAPTER_OFFLOAD_ATTRIBUTES_REVISION_1,
        NDIS_SIZEOF_MINIPORT_ADAPTER_OFFLOAD_ATTRIBUTES_REVISION_1;
    NDIS_PM_CAPABILITIES = NDIS_OBJECT_TYPE_DEFAULT, NDIS_PM_CAPABILITIES_REVISION_2,
        NDIS_SIZEOF_NDIS_PM_CAPABILITIES_REVISION_2;
    NDIS_RECEIVE_SCALE_CAPABILITIES = NDIS_OBJECT_TYPE_RSS_CAPABILITIES,
        NDIS_RECEIVE_SCALE_CAPABILITIES_REVISION_3,
        NDIS_SIZEOF_RECEIVE_SCALE_CAPABILITIES_REVISION_3;
    NDIS_STATUS_INDICATION = NDIS_OBJECT_TYPE_STATUS_INDICATION,
        NDIS_STATUS_INDICATION_REVISION_1, NDIS_SIZEOF_STATUS_INDICATION_REVISION_1;
    NDIS_LINK_STATE = NDIS_OBJECT_TYPE_DEFAULT, NDIS_LINK_STATE_REVISION_1,
        NDIS_SIZEOF_LINK_STATE_REVISION_1;
    NDIS_STATISTICS_INFO = NDIS_OBJECT_TYPE_DEFAULT, NDIS_STATISTICS_INFO_REVISION_1,
        NDIS_SIZEOF_STATISTICS_INFO_REVISION_1;
    NDIS_RSC_STATISTICS_INFO = NDIS_OBJECT_TYPE_DEFAULT, NDIS_RSC_STATISTICS_REVISION_1,
        NDIS_SIZEOF_RSC_STATISTICS_REVISION_1;
    NDIS_INTERRUPT_MODERATION_PARAMETERS = NDIS_OBJECT_TYPE_DEFAULT,
        NDIS_INTERRUPT_MODERATION_PARAMETERS_REVISION_1,
        NDIS_SIZEOF_INTERRUPT_MODERATION_PARAMETERS_REVISION_1;
    NDIS_CONFIGURATION_OBJECT = NDIS_OBJECT_TYPE_CONFIGURATION_OBJECT,
        NDIS_CONFIGURATION_OBJECT_REVISION_1, NDIS_SIZEOF_CONFIGURATION_OBJECT_REVISION_1;
    NET_BUFFER_LIST_POOL_PARAMETERS = NDIS_OBJECT_TYPE_DEFAULT,
        NET_BUFFER_LIST_POOL_PARAMETERS_REVISION_1,
        NDIS_SIZEOF_NET_BUFFER_LIST_POOL_PARAMETERS_REVISION_1;
    NDIS_TIMER_CHARACTERISTICS = NDIS_OBJECT_TYPE_TIMER_CHARACTERISTICS,
        NDIS_TIMER_CHARACTERISTICS_REVISION_1, NDIS_SIZEOF_TIMER_CHARACTERISTICS_REVISION_1;
    NDIS_SG_DMA_DESCRIPTION = NDIS_OBJECT_TYPE_SG_DMA_DESCRIPTION,
        NDIS_SG_DMA_DESCRIPTION_REVISION_1, NDIS_SIZEOF_SG_DMA_DESCRIPTION_REVISION_1;
}

// SAFETY: a plain C structure of integers that begins with `NDIS_OFFLOAD`, which begins with the
// header; every revision's size is at most that of the structure (asserted in the tests).
unsafe impl NdisObject for sys::NDIS_OFFLOAD_R8 {
    const TYPE: u8 = sys::NDIS_OBJECT_TYPE_OFFLOAD;

    /// Revision 7 stays the newest given: URO is never advertised.
    fn shape(version: NdisVersion) -> Shape {
        let (revision, size) = if version.at_least(NdisVersion::V6_84) {
            (
                sys::NDIS_OFFLOAD_REVISION_7,
                sys::NDIS_SIZEOF_NDIS_OFFLOAD_REVISION_7,
            )
        } else if version.at_least(NdisVersion::V6_83) {
            (
                sys::NDIS_OFFLOAD_REVISION_6,
                sys::NDIS_SIZEOF_NDIS_OFFLOAD_REVISION_6,
            )
        } else {
            (
                sys::NDIS_OFFLOAD_REVISION_5,
                sys::NDIS_SIZEOF_NDIS_OFFLOAD_REVISION_5,
            )
        };
        Shape {
            revision,
            size: narrow(size),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shape<T: NdisObject>(v: NdisVersion) -> (u8, u16) {
        let s = T::shape(v);
        (s.revision, s.size)
    }

    #[test]
    fn offload_grows_with_the_version() {
        assert_eq!(shape::<sys::NDIS_OFFLOAD_R8>(NdisVersion::V6_82), (5, 188));
        assert_eq!(shape::<sys::NDIS_OFFLOAD_R8>(NdisVersion::V6_83), (6, 216));
        assert_eq!(shape::<sys::NDIS_OFFLOAD_R8>(NdisVersion::V6_89), (7, 216));
    }

    #[test]
    fn sizes_leave_out_tail_padding_where_microsoft_does() {
        let v = NdisVersion::V6_82;
        assert_eq!(shape::<sys::NDIS_RECEIVE_SCALE_CAPABILITIES>(v), (3, 18));
        assert_eq!(shape::<sys::NDIS_CONFIGURATION_OBJECT>(v), (1, 20));
        assert_eq!(
            shape::<sys::NDIS_MINIPORT_ADAPTER_REGISTRATION_ATTRIBUTES>(v),
            (2, 28)
        );
        assert_eq!(
            shape::<sys::NDIS_MINIPORT_DRIVER_CHARACTERISTICS>(v),
            (3, 160)
        );
    }

    #[test]
    fn new_fills_the_header_and_zeroes_the_rest() {
        let l = sys::NDIS_LINK_STATE::new(NdisVersion::V6_85);
        assert_eq!(
            (l.Header.Type, l.Header.Revision, l.Header.Size),
            (0x80, 1, 40)
        );
        assert_eq!((l.XmitLinkSpeed, l.AutoNegotiationFlags), (0, 0));
    }
}
