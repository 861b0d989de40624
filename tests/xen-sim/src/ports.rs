//! I/O ports: the unplug protocol (docs/misc/hvm-emulated-unplug) and the debug log.

use alloc::vec::Vec;

use crate::machine::Machine;

const MAGIC: u16 = 0x49d2;
const MAGIC_BLACKLISTED: u16 = 0xd249;

/// What the guest asked for through ports 0x10 and 0x12.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Unplug {
    /// The magic number was read.
    pub magic_read: bool,
    /// Product number written.
    pub product: Option<u16>,
    /// Build number written.
    pub build: Option<u32>,
    /// All device masks written, ored: bit 0 disks, bit 1 NICs, bit 2 secondary IDE disks, bit 3 `NVMe`.
    pub mask: u16,
}

#[derive(Debug, Default)]
pub(crate) struct Ports {
    unplug: Unplug,
    log: Vec<u8>,
    debug: Vec<u8>,
}

impl Machine {
    /// `in` of `size` bytes (1, 2 or 4) from `port`; `None` where nothing of Xen's is there.
    pub fn io_read(&mut self, port: u16, size: u8) -> Option<u32> {
        if !self.config.platform_device {
            return None;
        }
        match (port, size) {
            (0x10, 2) => {
                self.ports.unplug.magic_read = true;
                let known =
                    self.ports.unplug.product.is_some() && self.ports.unplug.build.is_some();
                let magic = if self.config.blacklisted && known {
                    MAGIC_BLACKLISTED
                } else {
                    MAGIC
                };
                Some(u32::from(magic))
            }
            (0x12, 1) => Some(u32::from(self.config.unplug_version)),
            // Bochs' debug port identifies itself.
            (0xe9, 1) => Some(0xe9),
            _ => None,
        }
    }

    /// `out` of the low `size` bytes of `value` to `port`; false where nothing of Xen's is there.
    pub fn io_write(&mut self, port: u16, size: u8, value: u32) -> bool {
        if port == 0xe9 && size == 1 {
            self.ports.debug.push(value as u8);
            return true;
        }
        if !self.config.platform_device {
            return false;
        }
        let unplug = &mut self.ports.unplug;
        match (port, size) {
            (0x10, 2) => {
                if !unplug.magic_read {
                    self.violations.push(crate::Violation::UnplugWithoutMagic);
                }
                unplug.mask |= value as u16;
            }
            (0x10, 4) => unplug.build = Some(value),
            (0x12, 2) => unplug.product = Some(value as u16),
            (0x12, 1) => self.ports.log.push(value as u8),
            _ => return false,
        }
        true
    }

    /// What was asked for through the unplug ports.
    pub fn unplug(&self) -> &Unplug {
        &self.ports.unplug
    }

    /// Bytes logged to port 0x12.
    pub fn platform_log(&self) -> &[u8] {
        &self.ports.log
    }

    /// Bytes written to port 0xe9.
    pub fn debug_log(&self) -> &[u8] {
        &self.ports.debug
    }
}
