//! The platform device's ports: taking emulated devices away, and logs (`hvm-emulated-unplug.pandoc`).
use xen_abi::platform_pci::{
    DEBUG_CONSOLE_PORT, LOG_PORT, UNPLUG_MAGIC, UNPLUG_PORT, UNPLUG_REFUSED, VERSION_PORT,
};

/// Reads and writes I/O ports; [`crate::Native::ports`] has the real ones.
pub trait PortIo {
    /// Reads 8 bits.
    fn in8(&self, port: u16) -> u8;
    /// Reads 16 bits.
    fn in16(&self, port: u16) -> u16;
    /// Writes 8 bits.
    fn out8(&self, port: u16, value: u8);
    /// Writes 16 bits.
    fn out16(&self, port: u16, value: u16);
    /// Writes 32 bits.
    fn out32(&self, port: u16, value: u32);
}

/// Why emulated devices stay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UnplugError {
    /// No platform device answers at the port (a PVH guest, or one set up without it).
    Absent,
    /// The host refuses drivers of this product and build; they must not take devices over.
    Refused,
}

/// Takes the emulated devices in `mask` (`UNPLUG_*`) away, as product and build given.
///
/// # Errors
/// See [`UnplugError`].
pub fn unplug(io: &impl PortIo, product: u16, build: u32, mask: u16) -> Result<(), UnplugError> {
    if io.in16(UNPLUG_PORT) != UNPLUG_MAGIC {
        return Err(UnplugError::Absent);
    }
    // Version 0 of the protocol knows no products.
    if io.in8(VERSION_PORT) != 0 {
        io.out16(VERSION_PORT, product);
        io.out32(UNPLUG_PORT, build);
        match io.in16(UNPLUG_PORT) {
            UNPLUG_MAGIC => {}
            UNPLUG_REFUSED => return Err(UnplugError::Refused),
            _ => return Err(UnplugError::Absent),
        }
    }
    io.out16(UNPLUG_PORT, mask);
    Ok(())
}

/// Whether the device model takes log lines: its magic, or that of a refused driver, is there.
#[must_use]
pub fn has_log(io: &impl PortIo) -> bool {
    matches!(io.in16(UNPLUG_PORT), UNPLUG_MAGIC | UNPLUG_REFUSED)
}

/// Writes to the device model's log; only where [`has_log`] says so. Lines end with a newline; the host limits
/// their rate.
pub fn log(io: &impl PortIo, text: &[u8]) {
    for &byte in text {
        io.out8(LOG_PORT, byte);
    }
}

/// Writes to the hypervisor's console (log level permitting). Harmless where there is none.
pub fn console(io: &impl PortIo, text: &[u8]) {
    for &byte in text {
        io.out8(DEBUG_CONSOLE_PORT, byte);
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use std::cell::RefCell;
    use std::vec;
    use std::vec::Vec;
    use xen_abi::platform_pci::{PRODUCT_EXPERIMENTAL, UNPLUG_ALL_NICS};

    /// A device model: its answers, and what was written as (port, bits, value).
    struct Model {
        version: u8,
        magic: u16,
        refuse: bool,
        written: RefCell<Vec<(u16, u8, u32)>>,
    }

    impl Model {
        fn new(version: u8, magic: u16, refuse: bool) -> Self {
            Self {
                version,
                magic,
                refuse,
                written: RefCell::default(),
            }
        }

        fn write(&self, port: u16, bits: u8, value: u32) {
            self.written.borrow_mut().push((port, bits, value));
        }
    }

    impl PortIo for Model {
        fn in8(&self, port: u16) -> u8 {
            assert_eq!(port, 0x12);
            self.version
        }

        fn in16(&self, port: u16) -> u16 {
            assert_eq!(port, 0x10);
            let asked = self.written.borrow().iter().any(|&(_, bits, _)| bits == 32);
            if asked && self.refuse {
                0xD249
            } else {
                self.magic
            }
        }

        fn out8(&self, port: u16, value: u8) {
            self.write(port, 8, value.into());
        }

        fn out16(&self, port: u16, value: u16) {
            self.write(port, 16, value.into());
        }

        fn out32(&self, port: u16, value: u32) {
            self.write(port, 32, value);
        }
    }

    fn run(model: &Model) -> Result<(), UnplugError> {
        unplug(model, PRODUCT_EXPERIMENTAL, 7, UNPLUG_ALL_NICS)
    }

    #[test]
    fn the_whole_exchange() {
        let model = Model::new(1, 0x49D2, false);
        assert_eq!(run(&model), Ok(()));
        assert_eq!(
            *model.written.borrow(),
            vec![(0x12, 16, 0xFFFF), (0x10, 32, 7), (0x10, 16, 2)]
        );
    }

    #[test]
    fn version_0_is_not_told_the_product() {
        let model = Model::new(0, 0x49D2, false);
        assert_eq!(run(&model), Ok(()));
        assert_eq!(*model.written.borrow(), vec![(0x10, 16, 2)]);
    }

    #[test]
    fn a_refused_driver_unplugs_nothing() {
        let model = Model::new(1, 0x49D2, true);
        assert_eq!(run(&model), Err(UnplugError::Refused));
        assert!(!model.written.borrow().contains(&(0x10, 16, 2)));
        assert!(has_log(&model));
    }

    #[test]
    fn nothing_is_written_where_nothing_answers() {
        let model = Model::new(1, 0xFFFF, false);
        assert_eq!(run(&model), Err(UnplugError::Absent));
        assert!(model.written.borrow().is_empty());
        assert!(!has_log(&model));
    }
}
