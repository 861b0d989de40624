//! The processors RSS may use, as `NdisGetRssProcessorInformation` tells them.

use core::mem::offset_of;

use ndis_sys as sys;
use ndis_sys::NDIS_HANDLE;
use sys::NDIS_RSS_PROCESSOR_INFO as Info;

use crate::rss::Processor;
use crate::status::Status;

/// Longest answer taken: 256 processors, with room for offsets and strides larger than today's.
const ANSWER_MAX: usize = 8192;
/// Longest stride of an entry that is believed.
const STRIDE_MAX: usize = 256;
/// Bytes of an entry: processor and distance.
const ENTRY: usize = sys::NDIS_SIZEOF_RSS_PROCESSOR_REVISION_1;
const _: () = assert!(ENTRY == 6 && offset_of!(sys::NDIS_RSS_PROCESSOR, PreferenceIndex) == 4);

/// What an answer says beside the processors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Told {
    /// How many processors there are.
    pub count: u32,
    /// The administrator's profile, `NdisRssProfile*`; `None` from an NDIS before 6.30.
    pub profile: Option<sys::NDIS_RSS_PROFILE>,
}

/// Reads an answer: the processors and their NUMA distance (lower is nearer) through `add`, and the rest. `None` if it is
/// none. Entries are found by the offset and the stride that the answer itself tells; their order means nothing.
pub fn parse(answer: &[u8], mut add: impl FnMut(Processor, u16)) -> Option<Told> {
    let word = |at: usize| {
        let bytes = answer.get(at..at.checked_add(4)?)?;
        bytes.try_into().ok().map(u32::from_le_bytes)
    };
    if *answer.first()? != sys::NDIS_OBJECT_TYPE_RSS_PROCESSOR_INFO {
        return None;
    }
    let place = |at| word(at).and_then(|value| usize::try_from(value).ok());
    let offset = place(offset_of!(Info, RssProcessorArrayOffset))?;
    let stride = place(offset_of!(Info, RssProcessorEntrySize))?;
    let count = word(offset_of!(Info, RssProcessorCount))?;
    if !(sys::NDIS_SIZEOF_RSS_PROCESSOR_REVISION_1..=STRIDE_MAX).contains(&stride) {
        return None;
    }
    let [_, _, s0, s1] = word(0)?.to_le_bytes();
    let size = usize::from(u16::from_le_bytes([s0, s1]));
    let has_profile = size >= sys::NDIS_SIZEOF_RSS_PROCESSOR_INFO_REVISION_2;
    let profile = has_profile
        .then(|| word(offset_of!(Info, RssProfile)))
        .flatten()
        .map(u32::cast_signed);
    let mut at = offset;
    for _ in 0..count {
        let entry = answer.get(at..at.checked_add(ENTRY)?)?;
        let [g0, g1, number, _, p0, p1] = entry.try_into().ok()?;
        let processor = Processor {
            group: u16::from_le_bytes([g0, g1]),
            number,
        };
        add(processor, u16::from_le_bytes([p0, p1]));
        at = at.checked_add(stride)?;
    }
    Some(Told { count, profile })
}

/// Asks NDIS for the processors. `room` gives memory for the answer, at least as many bytes as it is asked for, aligned
/// to 8. IRQL: at most `DISPATCH_LEVEL`.
///
/// # Safety
/// `adapter` is a handle of an adapter that is being initialised or not halted yet.
pub unsafe fn query(adapter: NDIS_HANDLE, room: &mut [u64]) -> Result<usize, Status> {
    let mut size = size_of_val(room).min(ANSWER_MAX);
    let given = size;
    let out = room.as_mut_ptr().cast();
    // SAFETY: the caller's handle; the room is as long as `size` says.
    let status = unsafe { sys::NdisGetRssProcessorInformation(adapter, out, &raw mut size) };
    match Status(status) {
        Status::SUCCESS if size <= given => Ok(size),
        Status::SUCCESS => Err(Status::FAILURE),
        status => Err(status),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::vec;
    use std::vec::Vec;

    fn answer(offset: usize, stride: usize, processors: &[(u16, u8, u16)]) -> Vec<u8> {
        let mut bytes = vec![0xB7; offset + stride * processors.len()];
        bytes[..40].fill(0);
        bytes[..4].copy_from_slice(&[sys::NDIS_OBJECT_TYPE_RSS_PROCESSOR_INFO, 2, 40, 0]);
        for (at, value) in [
            (offset_of!(Info, RssProfile), 3),
            (offset_of!(Info, RssProcessorArrayOffset), offset),
            (offset_of!(Info, RssProcessorCount), processors.len()),
            (offset_of!(Info, RssProcessorEntrySize), stride),
        ] {
            let word = u32::try_from(value).unwrap().to_le_bytes();
            bytes[at..at + 4].copy_from_slice(&word);
        }
        for (nth, (group, number, distance)) in processors.iter().enumerate() {
            let at = offset + nth * stride;
            bytes[at..at + 2].copy_from_slice(&group.to_le_bytes());
            bytes[at + 2] = *number;
            bytes[at + 4..at + 6].copy_from_slice(&distance.to_le_bytes());
        }
        bytes
    }

    fn read(bytes: &[u8]) -> Option<Vec<(u16, u8, u16)>> {
        let mut all = Vec::new();
        let told = parse(bytes, |p, distance| {
            all.push((p.group, p.number, distance));
        })?;
        assert_eq!(told.count as usize, all.len());
        assert_eq!(told.profile, Some(sys::NdisRssProfileNuma));
        Some(all)
    }

    #[test]
    fn an_older_answer_has_no_profile() {
        let mut bytes = answer(40, 8, &[(0, 1, 7)]);
        bytes[1..3].copy_from_slice(&[1, 36]);
        let told = parse(&bytes, |_, distance| assert_eq!(distance, 7));
        let profile = None;
        assert_eq!(told, Some(Told { count: 1, profile }));
    }

    #[test]
    fn any_offset_and_stride_is_followed() {
        let processors = [(0, 1, 0), (0, 5, 9), (1, 0, 0xFFFF), (1, 63, 1)];
        for offset in [40, 48, 64, 200] {
            for stride in [6, 8, 12, 20, 256] {
                let read = read(&answer(offset, stride, &processors));
                assert_eq!(read.as_deref(), Some(&processors[..]), "{offset} {stride}");
            }
        }
    }

    #[test]
    fn answers_that_are_none_are_refused() {
        let good = answer(40, 8, &[(0, 1, 0), (0, 2, 0)]);
        assert_eq!(read(&good[..53]), None, "cut off");
        assert_eq!(read(&[]), None);
        for (at, value) in [
            (0, 0),
            (offset_of!(Info, RssProcessorEntrySize), 5),
            (offset_of!(Info, RssProcessorEntrySize), 0),
            (offset_of!(Info, RssProcessorCount), 200),
            (offset_of!(Info, RssProcessorArrayOffset) + 3, 0xFF),
        ] {
            let mut bytes = good.clone();
            bytes[at] = value;
            assert_eq!(read(&bytes), None, "{at} {value}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig {
            cases: if cfg!(miri) { 16 } else { 512 },
            failure_persistence: None,
            ..ProptestConfig::default()
        })]

        #[test]
        fn any_bytes_are_safe(mut bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            if let Some(kind) = bytes.first_mut() {
                *kind = sys::NDIS_OBJECT_TYPE_RSS_PROCESSOR_INFO;
            }
            let _ = parse(&bytes, |_, _| {});
        }
    }
}
