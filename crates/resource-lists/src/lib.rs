//! The plug-and-play manager's resource lists, as bytes: read, and changed, without pointers.
//!
//! | list | request | here |
//! |---|---|---|
//! | `CM_RESOURCE_LIST`, what a device got | `START_DEVICE` | [`assigned`] |
//! | `IO_RESOURCE_REQUIREMENTS_LIST`, what it asks for | `FILTER_RESOURCE_REQUIREMENTS` | [`required`] |
//!
//! The bus wants an interrupt per processor, of the message kind: Xen raises vectors by itself, so the platform
//! device needs no capability for that, only vectors. They are added to what the device asks for, and hidden from
//! the drivers below when they were given, because those would want to program hardware that is not there.
//!
//! Layouts: wdm.h; the numbers are those of `tests/data/facts/nt-layout.csv`.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]
#![cfg_attr(
    not(test),
    deny(
        clippy::indexing_slicing,
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::arithmetic_side_effects
    )
)]

pub mod assigned;
mod bytes;
pub mod required;

/// `CmResourceTypePort`.
const PORT: u8 = 1;
/// `CmResourceTypeInterrupt`.
const INTERRUPT: u8 = 2;
/// `CmResourceTypeMemory`.
const MEMORY: u8 = 3;
/// `CmResourceTypeMemoryLarge`.
const MEMORY_LARGE: u8 = 7;
/// `CmResourceTypeDevicePrivate`: for the device's own driver, whatever it means.
const DEVICE_PRIVATE: u8 = 0x81;

/// `CM_RESOURCE_INTERRUPT_LATCHED`.
const LATCHED: u16 = 1;
/// `CM_RESOURCE_INTERRUPT_MESSAGE`.
const MESSAGE: u16 = 2;
/// `CM_RESOURCE_INTERRUPT_POLICY_INCLUDED`.
const POLICY_INCLUDED: u16 = 4;

/// `CmResourceShareDeviceExclusive`.
const EXCLUSIVE: u8 = 1;
/// `CmResourceShareShared`.
const SHARED: u8 = 3;
