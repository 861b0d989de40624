//! What PCI's configuration registers say.

/// A base address register's range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bar {
    /// Ports: the first, and how many.
    Ports(u16, u32),
    /// Memory: guest-physical start and bytes.
    Memory(u64, u64),
}

/// The range of a 32-bit register that holds `value`, and `mask` after all ones were written. `None` if there is none.
#[must_use]
pub fn bar(value: u32, mask: u32) -> Option<Bar> {
    if value & 1 == 1 {
        let count = (!(mask & !3)).wrapping_add(1) & 0xFFFF;
        let first = u16::try_from(value & !3).ok()?;
        return (count != 0).then_some(Bar::Ports(first, count));
    }
    let len = u64::from((!(mask & !15)).wrapping_add(1));
    let start = u64::from(value & !15);
    (mask & !15 != 0 && start != 0).then_some(Bar::Memory(start, len))
}

/// The interrupt controller's input of a device's interrupt pin (1 is INTA) in a guest of Xen's: four inputs a slot,
/// dealt out from 16 on (`hvm_pci_intx_gsi` in Xen; the guest's ACPI tables say the same).
#[must_use]
pub const fn input(slot: u8, pin: u8) -> u32 {
    let slot = slot as u32;
    ((slot << 2) + (slot >> 3) + (pin as u32).saturating_sub(1)) % 32 + 16
}

#[cfg(test)]
mod tests {
    use super::{Bar, bar, input};

    #[test]
    fn ranges_are_read_from_what_the_registers_keep() {
        // The Xen platform device as QEMU makes it: 256 ports, 16 MiB.
        assert_eq!(bar(0xC001, 0xFFFF_FF01), Some(Bar::Ports(0xC000, 256)));
        assert_eq!(
            bar(0xF000_0008, 0xFF00_0008),
            Some(Bar::Memory(0xF000_0000, 16 << 20))
        );
        assert_eq!(bar(0, 0), None);
        assert_eq!(bar(0, 0xFFFF_F000), None);
    }

    #[test]
    fn pins_have_inputs_of_their_own() {
        assert_eq!(input(2, 1), 24);
        assert_eq!(input(3, 1), 28);
        assert_eq!(input(3, 2), 29);
        assert_eq!(input(31, 4), 16 + (124 + 3 + 3) % 32);
    }
}
