//! Unplugging emulated devices (docs/misc/hvm-emulated-unplug.pandoc of Xen).
//!
//! 1. Read 16 bits at port 0x10: 0x49D2, or there is no one to talk to.
//! 2. Read 8 bits at 0x12: the protocol's version. From 1 on, name the product (16 bits to 0x12) and its build
//!    (32 bits to 0x10), and read 0x10 again: 0xD249 means these drivers are refused, and nothing is unplugged.
//! 3. Write the mask of devices to 0x10. They are gone, until the guest is reset; after a resume from suspend or
//!    hibernation the steps are due again.
//!
//! Whoever has seen either magic number may write log lines to port 0x12, byte by byte.

use xen_abi::platform_pci::{
    LOG_PORT, UNPLUG_ALL_NICS, UNPLUG_MAGIC, UNPLUG_PORT, UNPLUG_REFUSED, VERSION_PORT,
};

/// Access to I/O ports, each call one instruction.
pub trait Ports {
    /// Reads a byte.
    fn read_u8(&mut self, port: u16) -> u8;
    /// Reads two bytes.
    fn read_u16(&mut self, port: u16) -> u16;
    /// Writes a byte.
    fn write_u8(&mut self, port: u16, value: u8);
    /// Writes two bytes.
    fn write_u16(&mut self, port: u16, value: u16);
    /// Writes four bytes.
    fn write_u32(&mut self, port: u16, value: u32);
}

/// Who unplugs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Product {
    /// Number allocated on xen-devel; 0xFFFF for drivers without one.
    pub number: u16,
    /// Build of the drivers; the host can refuse single builds.
    pub build: u32,
}

/// How it went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The devices of the mask are gone.
    Unplugged {
        /// Version of the protocol.
        version: u8,
    },
    /// The host refuses these drivers: stay on emulated devices.
    Refused,
    /// No platform device answers.
    Absent {
        /// What was read instead of the magic number.
        found: u16,
    },
}

/// Makes the network cards leave. Disks are other drivers' business and never touched.
pub fn unplug_nics(ports: &mut impl Ports, product: Product) -> Outcome {
    match ports.read_u16(UNPLUG_PORT) {
        UNPLUG_MAGIC => {}
        // An earlier driver of this boot was refused. Being another product may make a difference, but a host
        // that blocks drivers is not to be argued with.
        UNPLUG_REFUSED => return Outcome::Refused,
        found => return Outcome::Absent { found },
    }
    let version = ports.read_u8(VERSION_PORT);
    if version != 0 {
        ports.write_u16(VERSION_PORT, product.number);
        ports.write_u32(UNPLUG_PORT, product.build);
        match ports.read_u16(UNPLUG_PORT) {
            UNPLUG_MAGIC => {}
            UNPLUG_REFUSED => return Outcome::Refused,
            found => return Outcome::Absent { found },
        }
    }
    ports.write_u16(UNPLUG_PORT, UNPLUG_ALL_NICS);
    Outcome::Unplugged { version }
}

/// Longest log line; the device model limits the rate.
pub const LOG_LINE_MAX: usize = 120;

/// Writes a line to the device model's log, unless no one is there to read it. Control characters become dots.
pub fn log(ports: &mut impl Ports, outcome: Outcome, line: &str) {
    if matches!(outcome, Outcome::Absent { .. }) {
        return;
    }
    for byte in line.bytes().take(LOG_LINE_MAX) {
        ports.write_u8(
            LOG_PORT,
            if byte.is_ascii_graphic() || byte == b' ' {
                byte
            } else {
                b'.'
            },
        );
    }
    ports.write_u8(LOG_PORT, b'\n');
}

#[cfg(test)]
mod tests {
    use std::string::String;
    use std::vec;
    use std::vec::Vec;

    use super::*;

    /// The platform device as the document describes it.
    struct Device {
        magic: u16,
        version: u8,
        refuses: Option<(u16, u32)>,
        product: u16,
        trace: Vec<(u16, u32)>,
        log: Vec<u8>,
    }

    fn device(version: u8) -> Device {
        Device {
            magic: 0x49D2,
            version,
            refuses: None,
            product: 0,
            trace: vec![],
            log: vec![],
        }
    }

    impl Ports for Device {
        fn read_u8(&mut self, port: u16) -> u8 {
            assert_eq!(port, 0x12);
            self.version
        }
        fn read_u16(&mut self, port: u16) -> u16 {
            assert_eq!(port, 0x10);
            self.magic
        }
        fn write_u8(&mut self, port: u16, value: u8) {
            assert_eq!(port, 0x12);
            self.log.push(value);
        }
        fn write_u16(&mut self, port: u16, value: u16) {
            self.trace.push((port, value.into()));
            if port == 0x12 {
                self.product = value;
            }
        }
        fn write_u32(&mut self, port: u16, value: u32) {
            self.trace.push((port, value));
            if self.refuses == Some((self.product, value)) {
                self.magic = 0xD249;
            }
        }
    }

    const PRODUCT: Product = Product {
        number: 0xFFFF,
        build: 7,
    };

    #[test]
    fn the_steps_come_in_the_prescribed_order_and_only_nics_leave() {
        let mut device = device(1);
        assert_eq!(
            unplug_nics(&mut device, PRODUCT),
            Outcome::Unplugged { version: 1 }
        );
        assert_eq!(device.trace, [(0x12, 0xFFFF), (0x10, 7), (0x10, 2)]);
    }

    #[test]
    fn version_0_knows_no_products() {
        let mut device = device(0);
        assert_eq!(
            unplug_nics(&mut device, PRODUCT),
            Outcome::Unplugged { version: 0 }
        );
        assert_eq!(device.trace, [(0x10, 2)]);
    }

    #[test]
    fn refused_drivers_unplug_nothing() {
        let mut device = device(1);
        device.refuses = Some((0xFFFF, 7));
        assert_eq!(unplug_nics(&mut device, PRODUCT), Outcome::Refused);
        assert_eq!(device.trace.len(), 2);
        assert_eq!(unplug_nics(&mut device, PRODUCT), Outcome::Refused);
        assert_eq!(device.trace.len(), 2);
    }

    #[test]
    fn without_the_magic_number_nothing_is_written() {
        let mut device = device(1);
        device.magic = 0xFFFF;
        let outcome = unplug_nics(&mut device, PRODUCT);
        assert_eq!(outcome, Outcome::Absent { found: 0xFFFF });
        log(&mut device, outcome, "hello");
        assert!(device.trace.is_empty() && device.log.is_empty());
    }

    #[test]
    fn log_lines_are_bounded_and_printable() {
        let mut device = device(1);
        let long: String = "a\r".repeat(200);
        log(&mut device, Outcome::Refused, &long);
        assert_eq!(device.log.len(), LOG_LINE_MAX + 1);
        assert_eq!(
            (&device.log[..2], device.log.last()),
            (&b"a."[..], Some(&b'\n'))
        );
    }
}
