//! What a device asks for: `IO_RESOURCE_REQUIREMENTS_LIST`.
//!
//! ```text
//!   0 ListSize | 4 InterfaceType | 8 BusNumber | 12 SlotNumber | 16 reserved | 28 AlternativeLists | 32 lists
//!   list: 0 Version, Revision | 4 Count | 8 descriptors, 32 bytes each
//!   descriptor: 0 Option | 1 Type | 2 ShareDisposition | 4 Flags | 8 union
//!   union of an interrupt: 8 MinimumVector | 12 MaximumVector | 16 AffinityPolicy, Group | 20 PriorityPolicy
//!                          | 24 TargetedProcessors
//! ```

use crate::bytes::{put, u16_at, u32_at};
use crate::{EXCLUSIVE, INTERRUPT, LATCHED, MESSAGE, POLICY_INCLUDED};

const HEADER: usize = 32;
const LIST_HEADER: usize = 8;
const DESCRIPTOR: usize = 32;
/// `CM_RESOURCE_INTERRUPT_MESSAGE_TOKEN`: any vector, as a message.
const MESSAGE_TOKEN: u32 = 0xFFFF_FFFE;
/// `IrqPolicySpecifiedProcessors`.
const SPECIFIED_PROCESSORS: u16 = 4;

/// A processor that wants an interrupt of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Target {
    /// Its group.
    pub group: u16,
    /// It alone, as a bit.
    pub affinity: u64,
}

/// Why a list is not changed: it is used as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FilterError {
    /// The list does not add up.
    Malformed,
    /// The output is smaller than [`len_with_messages`].
    NoRoom,
}

/// Bytes of `list` with `targets` more interrupts in each alternative.
pub fn len_with_messages(list: &[u8], targets: usize) -> Result<usize, FilterError> {
    let alternatives = u32_at(list, 28)
        .and_then(|count| usize::try_from(count).ok())
        .ok_or(FilterError::Malformed)?;
    targets
        .checked_mul(DESCRIPTOR)
        .and_then(|more| more.checked_mul(alternatives))
        .and_then(|more| more.checked_add(list.len()))
        .filter(|_| alternatives <= list.len())
        .ok_or(FilterError::Malformed)
}

/// Writes `list` to `out`, with a message interrupt for each of `targets` in each alternative, and the line pinned to
/// the first processor (its events are those of the first vCPU). Gives the bytes written.
pub fn add_messages(list: &[u8], targets: &[Target], out: &mut [u8]) -> Result<usize, FilterError> {
    let alternatives = u32_at(list, 28).ok_or(FilterError::Malformed)?;
    let (header, mut rest) = list
        .split_at_checked(HEADER)
        .ok_or(FilterError::Malformed)?;
    let mut writer = Writer { out, at: 0 };
    writer.push(header)?;
    for _ in 0..alternatives {
        let count = u32_at(rest, 4)
            .and_then(|count| usize::try_from(count).ok())
            .ok_or(FilterError::Malformed)?;
        let (list_header, after) = rest
            .split_at_checked(LIST_HEADER)
            .ok_or(FilterError::Malformed)?;
        let (descriptors, after) = count
            .checked_mul(DESCRIPTOR)
            .and_then(|bytes| after.split_at_checked(bytes))
            .ok_or(FilterError::Malformed)?;
        rest = after;
        let count_at = writer.at.saturating_add(4);
        writer.push(list_header)?;
        for descriptor in descriptors.chunks_exact(DESCRIPTOR) {
            writer.push(&pin_line(descriptor).ok_or(FilterError::Malformed)?)?;
        }
        let mut total = count;
        for &target in targets {
            writer.push(&message(target).ok_or(FilterError::Malformed)?)?;
            total = total.saturating_add(1);
        }
        let total = u32::try_from(total).map_err(|_| FilterError::Malformed)?;
        put(writer.out, count_at, total.to_le_bytes()).ok_or(FilterError::NoRoom)?;
    }
    let written = writer.at;
    let size = u32::try_from(written).map_err(|_| FilterError::Malformed)?;
    put(out, 0, size.to_le_bytes()).ok_or(FilterError::NoRoom)?;
    Ok(written)
}

struct Writer<'a> {
    out: &'a mut [u8],
    at: usize,
}

impl Writer<'_> {
    fn push(&mut self, bytes: &[u8]) -> Result<(), FilterError> {
        let end = self
            .at
            .checked_add(bytes.len())
            .ok_or(FilterError::NoRoom)?;
        self.out
            .get_mut(self.at..end)
            .ok_or(FilterError::NoRoom)?
            .copy_from_slice(bytes);
        self.at = end;
        Ok(())
    }
}

/// The descriptor, pinned to the first processor when it is of an interrupt line.
fn pin_line(descriptor: &[u8]) -> Option<[u8; DESCRIPTOR]> {
    let mut pinned: [u8; DESCRIPTOR] = descriptor.try_into().ok()?;
    let flags = u16_at(&pinned, 4)?;
    if pinned.get(1) == Some(&INTERRUPT) && flags & MESSAGE == 0 {
        put(&mut pinned, 4, (flags | POLICY_INCLUDED).to_le_bytes())?;
        aim(
            &mut pinned,
            Target {
                group: 0,
                affinity: 1,
            },
        )?;
    }
    Some(pinned)
}

fn message(target: Target) -> Option<[u8; DESCRIPTOR]> {
    let mut new = [0; DESCRIPTOR];
    put(&mut new, 1, [INTERRUPT, EXCLUSIVE])?;
    let flags = LATCHED | MESSAGE | POLICY_INCLUDED;
    put(&mut new, 4, flags.to_le_bytes())?;
    put(&mut new, 8, MESSAGE_TOKEN.to_le_bytes())?;
    put(&mut new, 12, MESSAGE_TOKEN.to_le_bytes())?;
    aim(&mut new, target)?;
    Some(new)
}

fn aim(descriptor: &mut [u8; DESCRIPTOR], target: Target) -> Option<()> {
    put(descriptor, 16, SPECIFIED_PROCESSORS.to_le_bytes())?;
    put(descriptor, 18, target.group.to_le_bytes())?;
    put(descriptor, 24, target.affinity.to_le_bytes())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A list with `alternatives`, each a number of descriptors of this type.
    fn list(alternatives: &[(u8, usize)]) -> Vec<u8> {
        let mut bytes = vec![0; HEADER];
        bytes[28] = u8::try_from(alternatives.len()).unwrap();
        for (kind, count) in alternatives {
            bytes.extend([1, 0, 1, 0]);
            bytes.extend(u32::try_from(*count).unwrap().to_le_bytes());
            for _ in 0..*count {
                let mut descriptor = [0; DESCRIPTOR];
                descriptor[1] = *kind;
                bytes.extend(descriptor);
            }
        }
        let size = u32::try_from(bytes.len()).unwrap();
        bytes[..4].copy_from_slice(&size.to_le_bytes());
        bytes
    }

    fn processors(count: u32) -> Vec<Target> {
        (0..count)
            .map(|number| Target {
                group: 0,
                affinity: 1 << number,
            })
            .collect()
    }

    #[test]
    fn each_alternative_gets_one_more_per_processor() {
        let before = list(&[(3, 1), (2, 2)]);
        let mut after = vec![0; len_with_messages(&before, 2).unwrap()];
        assert_eq!(
            add_messages(&before, &processors(2), &mut after),
            Ok(after.len())
        );
        assert_eq!(u32_at(&after, 0), u32::try_from(after.len()).ok());
        assert_eq!(u32_at(&after, HEADER + 4), Some(3));
        let second = HEADER + LIST_HEADER + 3 * DESCRIPTOR;
        assert_eq!(u32_at(&after, second + 4), Some(4));
        let last = &after[after.len() - DESCRIPTOR..];
        assert_eq!(last[..6], [0, 2, 1, 0, 7, 0]);
        assert_eq!(
            last[8..16],
            [0xFE, 0xFF, 0xFF, 0xFF, 0xFE, 0xFF, 0xFF, 0xFF]
        );
        assert_eq!(last[16..20], [4, 0, 0, 0]);
        assert_eq!(last[24..], [2, 0, 0, 0, 0, 0, 0, 0]);
    }

    #[test]
    fn the_line_is_pinned_to_the_first_processor() {
        let before = list(&[(2, 1)]);
        let mut after = vec![0; before.len()];
        assert_eq!(
            add_messages(&before, &processors(0), &mut after),
            Ok(before.len())
        );
        let line = &after[HEADER + LIST_HEADER..];
        assert_eq!((line[4], line[16], line[24]), (4, 4, 1));
    }

    #[test]
    fn a_list_cut_short_is_refused() {
        let before = list(&[(3, 2)]);
        let mut out = vec![0; 1024];
        for cut in 0..before.len() {
            assert_eq!(
                add_messages(&before[..cut], &processors(1), &mut out),
                Err(FilterError::Malformed),
                "{cut}"
            );
        }
        assert_eq!(
            add_messages(&before, &processors(1), &mut out[..before.len()]),
            Err(FilterError::NoRoom)
        );
    }

    proptest! {
        #![proptest_config(ProptestConfig {
            cases: if cfg!(miri) { 8 } else { 256 },
            // Miri has no current folder to look for failures of earlier runs in.
            failure_persistence: None,
            ..ProptestConfig::default()
        })]
        #[test]
        fn any_bytes_are_read_without_harm(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let mut out = [0; 512];
            let _ = add_messages(&bytes, &processors(3), &mut out);
            let _ = len_with_messages(&bytes, 3);
            let mut bytes = bytes;
            let _ = crate::assigned::resources(&bytes).count();
            crate::assigned::hide_messages(&mut bytes);
        }
    }
}
