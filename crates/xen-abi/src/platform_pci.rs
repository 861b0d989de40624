//! The Xen platform device: PCI identity, and the I/O ports that take emulated devices away.
//!
//! Protocol: read 16 bits at [`UNPLUG_PORT`] and find [`UNPLUG_MAGIC`]; read the version at [`VERSION_PORT`];
//! write product (16 bits, [`VERSION_PORT`]) and build (32 bits, [`UNPLUG_PORT`]); read the magic again (it
//! changes if the product is refused); write the mask (16 bits, [`UNPLUG_PORT`]).
//!
//! From Xen's public headers: `xen/hvm/pvdrivers.h` and `docs/misc/hvm-emulated-unplug.pandoc`.

/// PCI vendor.
pub const PCI_VENDOR: u16 = 0x5853;
/// PCI device: platform device.
pub const PCI_DEVICE_PLATFORM: u16 = 1;
/// PCI device: the same, a second number some toolstacks use.
pub const PCI_DEVICE_PLATFORM_2: u16 = 2;
/// Port: magic (read 16), build (write 32), mask (write 16).
pub const UNPLUG_PORT: u16 = 0x10;
/// Port: protocol version (read 8), product (write 16), log (write 8).
pub const VERSION_PORT: u16 = 0x12;
/// What [`UNPLUG_PORT`] reads where unplugging is supported.
pub const UNPLUG_MAGIC: u16 = 0x49D2;
/// What [`UNPLUG_PORT`] reads after the product was refused.
pub const UNPLUG_REFUSED: u16 = 0xD249;
/// Mask: IDE and SCSI disks.
pub const UNPLUG_ALL_IDE: u16 = 1;
/// Mask: network cards.
pub const UNPLUG_ALL_NICS: u16 = 2;
/// Mask: IDE disks but the first.
pub const UNPLUG_AUX_IDE: u16 = 4;
/// Mask: `NVMe` disks.
pub const UNPLUG_NVME: u16 = 8;
/// Product number of drivers without one of their own.
pub const PRODUCT_EXPERIMENTAL: u16 = 0xFFFF;
/// Port: a byte of the device model's log.
pub const LOG_PORT: u16 = 0x12;
/// Port: a byte of the hypervisor's console (`xen/arch-x86/xen.h`).
pub const DEBUG_CONSOLE_PORT: u16 = 0xE9;
