//! What a device was given: `CM_RESOURCE_LIST`, raw and translated.
//!
//! ```text
//!   0 Count | 4 InterfaceType | 8 BusNumber | 12 Version, Revision | 16 Count | 20 descriptors, 20 bytes each
//!   descriptor: 0 Type | 1 ShareDisposition | 2 Flags | 4 union
//! ```

use crate::bytes::{u16_at, u32_at, u64_at};
use crate::{DEVICE_PRIVATE, INTERRUPT, LATCHED, MEMORY, MEMORY_LARGE, MESSAGE, PORT, SHARED};

/// Bytes before the first descriptor.
pub const HEADER: usize = 20;
/// Bytes of a descriptor.
const DESCRIPTOR: usize = 20;
/// Offset of the number of descriptors.
pub const COUNT_OFFSET: usize = 16;
/// More descriptors than any device has: an interrupt per processor, ports and memory.
const DESCRIPTORS_MAX: u32 = 4096;

/// Bytes of the first full list of a `CM_RESOURCE_LIST`, with what is before it, from its two counts. `None`: there is
/// no list, or it is absurdly long.
///
/// A PCI device has one full list; those after it, if any, are of no interest.
#[must_use]
pub fn len(lists: u32, descriptors: u32) -> Option<usize> {
    if lists == 0 || descriptors > DESCRIPTORS_MAX {
        return None;
    }
    usize::try_from(descriptors)
        .ok()?
        .checked_mul(DESCRIPTOR)?
        .checked_add(HEADER)
}

/// An interrupt. In a raw list the vector is the line's number (a GSI), and the rest means little.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Interrupt {
    /// Translated: IRQL of its service routine.
    pub level: u16,
    /// Translated: processor group.
    pub group: u16,
    /// Translated: vector of the interrupt descriptor table.
    pub vector: u32,
    /// Processors of the group it goes to.
    pub affinity: u64,
    /// Signals once each time, not as long as the device wants.
    pub latched: bool,
    /// Other devices may share it.
    pub shared: bool,
}

/// One thing a device was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resource {
    /// I/O ports.
    Port {
        /// The first one.
        start: u64,
        /// Their number.
        length: u32,
    },
    /// Memory addresses.
    Memory {
        /// The first one.
        start: u64,
        /// Number of bytes.
        length: u64,
    },
    /// The interrupt line.
    Line(Interrupt),
    /// A message interrupt.
    Message(Interrupt),
    /// Anything else: its type.
    Other(u8),
}

/// The resources of a list, in order.
pub fn resources(list: &[u8]) -> impl Iterator<Item = Resource> + '_ {
    let count = u32_at(list, COUNT_OFFSET).and_then(|count| usize::try_from(count).ok());
    list.get(HEADER..)
        .unwrap_or_default()
        .chunks_exact(DESCRIPTOR)
        .take(count.unwrap_or(0))
        .filter_map(parse)
}

fn parse(descriptor: &[u8]) -> Option<Resource> {
    let kind = *descriptor.first()?;
    let share = *descriptor.get(1)?;
    let flags = u16_at(descriptor, 2)?;
    Some(match kind {
        PORT => Resource::Port {
            start: u64_at(descriptor, 4)?,
            length: u32_at(descriptor, 12)?,
        },
        MEMORY => Resource::Memory {
            start: u64_at(descriptor, 4)?,
            length: u64::from(u32_at(descriptor, 12)?),
        },
        MEMORY_LARGE => Resource::Memory {
            start: u64_at(descriptor, 4)?,
            length: large_length(flags, u32_at(descriptor, 12)?)?,
        },
        INTERRUPT => {
            let interrupt = Interrupt {
                level: u16_at(descriptor, 4)?,
                group: u16_at(descriptor, 6)?,
                vector: u32_at(descriptor, 8)?,
                affinity: u64_at(descriptor, 12)?,
                latched: flags & LATCHED != 0,
                shared: share == SHARED,
            };
            if flags & MESSAGE == 0 {
                Resource::Line(interrupt)
            } else {
                Resource::Message(interrupt)
            }
        }
        other => Resource::Other(other),
    })
}

/// Length of a large memory range: the flags say by how much the field is scaled (`CM_RESOURCE_MEMORY_LARGE_*`).
fn large_length(flags: u16, length: u32) -> Option<u64> {
    let length = u64::from(length);
    match flags & 0x0E00 {
        0x0200 => length.checked_shl(8),
        0x0400 => length.checked_shl(16),
        0x0800 => length.checked_shl(32),
        _ => None,
    }
}

/// Makes the message interrupts of `list` private data, which the drivers below skip. [`show_messages`] undoes it.
pub fn hide_messages(list: &mut [u8]) {
    for descriptor in descriptors_mut(list) {
        if matches!(parse(descriptor), Some(Resource::Message(_)))
            && let Some(kind) = descriptor.first_mut()
        {
            *kind = DEVICE_PRIVATE;
        }
    }
}

/// Makes the message interrupts of `original` such again in `list`, which was equal to it before [`hide_messages`].
pub fn show_messages(list: &mut [u8], original: &[u8]) {
    let original = original
        .get(HEADER..)
        .unwrap_or_default()
        .chunks_exact(DESCRIPTOR);
    for (descriptor, before) in descriptors_mut(list).zip(original) {
        if matches!(parse(before), Some(Resource::Message(_)))
            && let Some(kind) = descriptor.first_mut()
        {
            *kind = INTERRUPT;
        }
    }
}

fn descriptors_mut(list: &mut [u8]) -> impl Iterator<Item = &mut [u8]> {
    list.get_mut(HEADER..)
        .unwrap_or_default()
        .chunks_exact_mut(DESCRIPTOR)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A list of these descriptors: type, share, flags, union.
    fn list(descriptors: &[(u8, u8, u16, [u8; 16])]) -> Vec<u8> {
        let mut bytes = vec![0; HEADER];
        bytes[0] = 1;
        bytes[16] = u8::try_from(descriptors.len()).unwrap();
        for (kind, share, flags, rest) in descriptors {
            bytes.extend([*kind, *share]);
            bytes.extend(flags.to_le_bytes());
            bytes.extend(rest);
        }
        bytes
    }

    const BAR: [u8; 16] = [0, 0, 0, 0xF2, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0];
    const IRQ: [u8; 16] = [5, 0, 1, 0, 0x91, 0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0];

    #[test]
    fn ports_memory_lines_and_messages_are_read() {
        let bytes = list(&[
            (1, 1, 1, [0, 0xC0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0]),
            (3, 1, 0, BAR),
            (2, 3, 0, IRQ),
            (2, 1, 3, IRQ),
            (9, 0, 0, [0; 16]),
        ]);
        let irq = Interrupt {
            level: 5,
            group: 1,
            vector: 0x91,
            affinity: 4,
            latched: false,
            shared: true,
        };
        let message = Interrupt {
            latched: true,
            shared: false,
            ..irq
        };
        assert_eq!(
            resources(&bytes).collect::<Vec<_>>(),
            [
                Resource::Port {
                    start: 0xC000,
                    length: 0x100
                },
                Resource::Memory {
                    start: 0xF200_0000,
                    length: 0x100_0000
                },
                Resource::Line(irq),
                Resource::Message(message),
                Resource::Other(9),
            ]
        );
    }

    #[test]
    fn a_large_range_is_scaled_by_its_flags() {
        let bytes = list(&[(7, 1, 0x0400, BAR), (7, 1, 0, BAR)]);
        assert_eq!(
            resources(&bytes).collect::<Vec<_>>(),
            [Resource::Memory {
                start: 0xF200_0000,
                length: 0x100_0000 << 16
            }]
        );
    }

    #[test]
    fn messages_are_hidden_and_shown_again() {
        let original = list(&[(2, 3, 0, IRQ), (2, 1, 3, IRQ), (0x81, 0, 3, IRQ)]);
        let mut bytes = original.clone();
        hide_messages(&mut bytes);
        let kinds: Vec<_> = resources(&bytes).collect();
        assert!(matches!(
            kinds[..],
            [
                Resource::Line(_),
                Resource::Other(0x81),
                Resource::Other(0x81)
            ]
        ));
        show_messages(&mut bytes, &original);
        assert_eq!(bytes, original);
    }

    #[test]
    fn a_list_that_says_more_than_it_has_ends_early() {
        let mut bytes = list(&[(3, 1, 0, BAR)]);
        bytes[16] = 200;
        assert_eq!(resources(&bytes).count(), 1);
        assert_eq!(resources(&bytes[..30]).count(), 0);
        assert_eq!(resources(&[]).count(), 0);
    }

    #[test]
    fn lengths_follow_from_the_counts() {
        assert_eq!(len(1, 3), Some(80));
        assert_eq!(len(0, 3), None);
        assert_eq!(len(1, u32::MAX), None);
    }
}
