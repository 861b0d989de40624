//! Processors: counts, numbers, and running on a chosen one.

use wdk_sys::{GROUP_AFFINITY, PROCESSOR_NUMBER, ntddk};

use crate::irql::Passive;
use crate::status::{Result, Status};

/// `ALL_PROCESSOR_GROUPS`.
const ALL_GROUPS: u16 = 0xffff;
/// `INVALID_PROCESSOR_INDEX`.
const INVALID_INDEX: u32 = u32::MAX;

/// A processor by group and number in the group, as RSS and DPCs name it.
///
/// Its system-wide index ([`ProcessorNumber::index`]) counts over all groups.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ProcessorNumber {
    /// Processor group.
    pub group: u16,
    /// Number in the group, 0 to 63.
    pub number: u8,
}

impl ProcessorNumber {
    /// The processor as the kernel spells it.
    pub const fn to_raw(self) -> PROCESSOR_NUMBER {
        PROCESSOR_NUMBER {
            Group: self.group,
            Number: self.number,
            Reserved: 0,
        }
    }

    /// The processor of the kernel's spelling.
    pub const fn from_raw(raw: PROCESSOR_NUMBER) -> Self {
        Self {
            group: raw.Group,
            number: raw.Number,
        }
    }

    /// The processor this code runs on. Only at `DISPATCH_LEVEL` does it stay there.
    pub fn current() -> Self {
        let mut raw = PROCESSOR_NUMBER::default();
        // SAFETY: writes the number to a live variable; callable at any IRQL.
        unsafe { ntddk::KeGetCurrentProcessorNumberEx(&raw mut raw) };
        Self::from_raw(raw)
    }

    /// The processor with system-wide index `index`; an error when there is none.
    pub fn from_index(index: u32) -> Result<Self> {
        let mut raw = PROCESSOR_NUMBER::default();
        // SAFETY: writes the number to a live variable; callable at any IRQL.
        let status = unsafe { ntddk::KeGetProcessorNumberFromIndex(index, &raw mut raw) };
        Status::from_raw(status)
            .into_result()
            .map(|()| Self::from_raw(raw))
    }

    /// The system-wide index; none when there is no such processor.
    pub fn index(self) -> Option<u32> {
        let mut raw = self.to_raw();
        // SAFETY: reads the number from a live variable; callable at any IRQL.
        let index = unsafe { ntddk::KeGetProcessorIndexFromNumber(&raw mut raw) };
        (index != INVALID_INDEX).then_some(index)
    }

    /// The processor alone in an affinity mask; none when the number is not below 64.
    pub fn affinity(self) -> Option<GROUP_AFFINITY> {
        Some(GROUP_AFFINITY {
            Mask: 1_u64.checked_shl(u32::from(self.number))?,
            Group: self.group,
            Reserved: [0; 3],
        })
    }
}

/// System-wide index of the processor this code runs on. Only at `DISPATCH_LEVEL` does it stay.
pub fn current_index() -> u32 {
    // SAFETY: without a place for the number only the index is returned; callable at any IRQL.
    unsafe { ntddk::KeGetCurrentProcessorNumberEx(core::ptr::null_mut()) }
}

/// Number of active processors in all groups.
pub fn active_count() -> u32 {
    // SAFETY: reads a count; callable at any IRQL.
    unsafe { ntddk::KeQueryActiveProcessorCountEx(ALL_GROUPS) }
}

/// Number of processors that can ever be active, in all groups. Arrays by index have this size.
pub fn maximum_count() -> u32 {
    // SAFETY: reads a count; callable at any IRQL.
    unsafe { ntddk::KeQueryMaximumProcessorCountEx(ALL_GROUPS) }
}

/// Number of processor groups.
pub fn group_count() -> u16 {
    // SAFETY: reads a count; callable at any IRQL.
    unsafe { ntddk::KeQueryActiveGroupCount() }
}

/// Runs `body` on processor `number` and goes back to where the thread may run.
///
/// [`Status::INVALID_PARAMETER`] when there is no such processor.
pub fn run_on<R>(
    number: ProcessorNumber,
    _irql: &Passive<'_>,
    body: impl FnOnce() -> R,
) -> Result<R> {
    let (Some(_), Some(mut affinity)) = (number.index(), number.affinity()) else {
        return Err(Status::INVALID_PARAMETER);
    };
    let mut before = GROUP_AFFINITY::default();
    // SAFETY: both are live variables, the processor exists, and the level is PASSIVE_LEVEL.
    unsafe { ntddk::KeSetSystemGroupAffinityThread(&raw mut affinity, &raw mut before) };
    let result = body();
    // SAFETY: `before` came from the call above on this thread.
    unsafe { ntddk::KeRevertToUserGroupAffinityThread(&raw mut before) };
    Ok(result)
}

#[cfg(test)]
mod tests {
    use super::ProcessorNumber;

    #[test]
    fn an_affinity_names_one_processor_of_its_group() {
        let last = ProcessorNumber {
            group: 2,
            number: 63,
        };
        let affinity = last.affinity().unwrap();
        assert_eq!((affinity.Group, affinity.Mask), (2, 1 << 63));
        let none = ProcessorNumber {
            group: 0,
            number: 64,
        };
        assert!(none.affinity().is_none());
    }

    #[test]
    fn the_kernels_spelling_keeps_group_and_number() {
        let number = ProcessorNumber {
            group: 1,
            number: 7,
        };
        assert_eq!(ProcessorNumber::from_raw(number.to_raw()), number);
    }
}
