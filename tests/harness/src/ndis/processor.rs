//! `NdisGetRssProcessorInformation`: the processors RSS may use, at an offset and with a stride that differ from
//! seed to seed, as the structure allows.
//!
//! Which ones they are follows from the standardized keywords of the adapter, which NDIS reads itself
//! (ndis-contract.md 2.6), and from what the test says of this machine. Of more processors than `*MaxRssProcessors`
//! the profile takes the nearest, or the same number of each NUMA node (`NDIS_RSS_PROFILE`). How Windows measures
//! distance, what it does with a node that is not there, and the order in its array are not documented: here distance is
//! that of the nodes' numbers, such a node counts as none, and the array is in the processors' order.

use alloc::vec;
use alloc::vec::Vec;
use core::ops::RangeInclusive;
use ndis_sys::{self as sys, NDIS_RSS_PROCESSOR, NDIS_RSS_PROCESSOR_INFO as Info, NDIS_STATUS};

use super::adapter::{self, Adapter};
use super::configuration::integer;
use super::header;
use super::protocol::Settings;
use crate::export::{Module, exports, told_to_fail};
use crate::field;
use crate::host::context::kernel;
use crate::ke::processor::{index_of, number_of};
use crate::mem::guest::{Guest, write_bytes};

exports! { Module::Ndis;
    NdisGetRssProcessorInformation = information, 0..=2, fallible;
}

/// How the answer lies in the buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Shape {
    offset: usize,
    stride: usize,
    count: usize,
}

impl Shape {
    /// One of the shapes that the structure allows: `choice` decides.
    fn choose(choice: u32, count: usize) -> Self {
        let head = sys::NDIS_SIZEOF_RSS_PROCESSOR_INFO_REVISION_2;
        let entry = size_of::<NDIS_RSS_PROCESSOR>();
        Self {
            offset: head + 8 * (choice % 4) as usize,
            stride: entry + 4 * (choice / 4 % 4) as usize,
            count,
        }
    }

    const fn size(self) -> usize {
        self.offset + self.stride * self.count
    }
}

/// The processors RSS may use, by index, and what they follow from.
#[derive(Debug)]
struct RssSet {
    base: u32,
    last: u32,
    most: usize,
    node: u16,
    profile: i32,
    /// With their distance.
    processors: Vec<(u32, u16)>,
}

/// The machine's memory.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Numa {
    /// Processors of a node.
    pub(crate) per_node: u32,
    /// Node of the adapter's slot.
    pub(crate) near: u16,
}

impl Default for Numa {
    fn default() -> Self {
        Self {
            per_node: u32::MAX,
            near: 0,
        }
    }
}

impl Numa {
    fn node(self, processor: u32) -> u32 {
        processor / self.per_node
    }

    /// Up to `most` of `all`, with their distance from `preferred`, or from the adapter's slot if there is no such node.
    fn choose(
        self,
        all: &RangeInclusive<u32>,
        most: usize,
        (profile, preferred): (i32, u16),
        cpus: u32,
    ) -> Vec<(u32, u16)> {
        let there = u32::from(preferred) <= self.node(cpus - 1);
        let from = u32::from(if there { preferred } else { self.near });
        let distance = |processor| self.node(processor).abs_diff(from);
        let across = matches!(
            profile,
            sys::NdisRssProfileNuma | sys::NdisRssProfileNumaStatic
        );
        let mut ranked: Vec<_> = all
            .clone()
            .map(|processor| {
                let node = self.node(processor);
                let earlier = |other: &u32| *other < processor && self.node(*other) == node;
                let rank = all.clone().filter(earlier).count();
                (
                    if across { rank } else { 0 },
                    distance(processor),
                    processor,
                )
            })
            .collect();
        ranked.sort_unstable();
        ranked.truncate(most);
        let mut chosen: Vec<_> = ranked
            .into_iter()
            .map(|(_, distance, processor)| (processor, u16::try_from(distance).unwrap_or(0xFFFF)))
            .collect();
        chosen.sort_unstable();
        chosen
    }
}

impl RssSet {
    fn of(adapter: &Adapter, settings: &Settings, cpus: usize) -> Self {
        let keyword = |name: &str, otherwise: u32| {
            let stored = adapter.keywords.get(name);
            let number = stored.and_then(|value| integer(&value));
            number.unwrap_or(otherwise)
        };
        let cpus = u32::try_from(cpus).unwrap_or(1);
        let place = |group: &str, number: &str, otherwise: u32| {
            let known = number_of(otherwise);
            let group = keyword(group, known.Group.into());
            let number = keyword(number, known.Number.into());
            // A number past the end of its group means the group's last processor.
            let mut numbers = (0..=number.min(63)).rev();
            numbers
                .find_map(|number| index_of(u16::try_from(group).ok()?, u8::try_from(number).ok()?))
        };
        let told = u32::from(settings.rss_base).min(cpus - 1);
        let base = place("*RssBaseProcGroup", "*RssBaseProcNumber", told).unwrap_or(told);
        let last = place("*RssMaxProcGroup", "*RssMaxProcNumber", cpus - 1).unwrap_or(cpus - 1);
        let most = keyword("*MaxRssProcessors", cpus).max(1) as usize;
        let most = settings
            .rss_processors
            .map_or(most, |told| most.min(told.max(1)));
        let node = u16::try_from(keyword("*NumaNodeId", 0xFFFF)).unwrap_or(0xFFFF);
        let profile = keyword("*RSSProfile", 4).cast_signed();
        let all = base..=last.max(base);
        let processors = settings.numa.choose(&all, most, (profile, node), cpus);
        Self {
            base,
            last,
            most,
            node,
            profile,
            processors,
        }
    }
}

/// Indices of the processors that RSS may use on an adapter.
pub(crate) fn rss_processors(adapter: &Adapter) -> Vec<u32> {
    let settings = adapter.binding.settings();
    let set = RssSet::of(adapter, &settings, kernel().sched.cpus().len());
    set.processors.iter().map(|(index, _)| *index).collect()
}

extern "win64" fn information(handle: usize, out: *mut Info, size: *mut usize) -> NDIS_STATUS {
    let fail = told_to_fail();
    let adapter = adapter::of(handle, "NdisGetRssProcessorInformation");
    let kernel = kernel();
    let settings = adapter.binding.settings();
    let set = RssSet::of(&adapter, &settings, kernel.sched.cpus().len());
    let count = set.processors.len();
    // The same shape for both calls of one adapter: the size is asked for first.
    let shape = Shape::choose(settings.rss_shape, count);
    let given = Guest::from(size).load();
    Guest::from(size).store(shape.size());
    if given < shape.size() || out.is_null() {
        return sys::NDIS_STATUS_BUFFER_TOO_SHORT;
    }
    if fail {
        return sys::NDIS_STATUS_RESOURCES;
    }
    // What is between the entries means nothing.
    write_bytes(out as usize, &vec![0xB7; shape.size()]);
    let head = sys::NDIS_SIZEOF_RSS_PROCESSOR_INFO_REVISION_2;
    write_bytes(out as usize, &vec![0; head]);
    header::write(
        out as usize,
        sys::NDIS_OBJECT_TYPE_RSS_PROCESSOR_INFO,
        2,
        head,
    );
    let word = |value: usize| u32::try_from(value).unwrap_or(0);
    field!(out, Info, RssBaseProcessor).store(number_of(set.base));
    field!(out, Info, MaxNumRssProcessors).store(word(set.most));
    field!(out, Info, PreferredNumaNode).store(set.node);
    field!(out, Info, RssProcessorArrayOffset).store(word(shape.offset));
    field!(out, Info, RssProcessorCount).store(word(count));
    field!(out, Info, RssProcessorEntrySize).store(word(shape.stride));
    field!(out, Info, RssMaxProcessor).store(number_of(set.last));
    field!(out, Info, RssProfile).store(set.profile);
    for (index, (processor, distance)) in set.processors.iter().enumerate() {
        let at = (out as usize + shape.offset + index * shape.stride) as *mut NDIS_RSS_PROCESSOR;
        field!(at, NDIS_RSS_PROCESSOR, ProcNum).store(number_of(*processor));
        field!(at, NDIS_RSS_PROCESSOR, PreferenceIndex).store(*distance);
    }
    sys::NDIS_STATUS_SUCCESS
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use super::{NDIS_RSS_PROCESSOR, Numa, Shape, sys};

    #[test]
    fn the_profile_decides_which_processors_are_taken() {
        let numa = Numa {
            per_node: 2,
            near: 2,
        };
        let take = |profile, node| {
            let chosen = numa.choose(&(0..=7), 4, (profile, node), 8);
            chosen.iter().map(|(index, _)| *index).collect::<Vec<_>>()
        };
        assert_eq!(take(sys::NdisRssProfileClosest, 0xFFFF), [2, 3, 4, 5]);
        assert_eq!(take(sys::NdisRssProfileClosest, 0), [0, 1, 2, 3]);
        assert_eq!(take(sys::NdisRssProfileNumaStatic, 0), [0, 2, 4, 6]);
        let all = Numa::default().choose(&(3..=5), 8, (sys::NdisRssProfileClosest, 9), 8);
        assert_eq!(all, [(3, 0), (4, 0), (5, 0)]);
    }

    #[test]
    fn every_shape_is_legal_and_they_differ() {
        let shapes: Vec<Shape> = (0..16).map(|choice| Shape::choose(choice, 3)).collect();
        for shape in &shapes {
            assert!(
                shape.offset >= 40 && shape.offset.is_multiple_of(8),
                "{shape:?}"
            );
            assert!(
                shape.stride >= size_of::<NDIS_RSS_PROCESSOR>() && shape.stride.is_multiple_of(2)
            );
            assert_eq!(shape.size(), shape.offset + 3 * shape.stride);
        }
        assert!(shapes.iter().any(|shape| shape.stride != shapes[0].stride));
        assert!(shapes.iter().any(|shape| shape.offset != shapes[0].offset));
    }
}
