//! Attributes of kernel objects.

use wdk_sys::{HANDLE, OBJECT_ATTRIBUTES, PUNICODE_STRING, ULONG};

/// Bytes of an `OBJECT_ATTRIBUTES`.
#[expect(clippy::cast_possible_truncation, reason = "48 bytes (crate::layout)")]
const LENGTH: ULONG = size_of::<OBJECT_ATTRIBUTES>() as ULONG;

/// Attributes of an object `name` (or null) below `root` (or null), with `OBJ_*` flags besides
/// `OBJ_KERNEL_HANDLE`: every handle of a driver belongs to the kernel.
pub(crate) fn attributes(root: HANDLE, name: PUNICODE_STRING, flags: ULONG) -> OBJECT_ATTRIBUTES {
    OBJECT_ATTRIBUTES {
        Length: LENGTH,
        RootDirectory: root,
        ObjectName: name,
        Attributes: wdk_sys::OBJ_KERNEL_HANDLE | flags,
        ..OBJECT_ATTRIBUTES::default()
    }
}
