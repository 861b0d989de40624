//! `NdisGetRssProcessorInformation`: the processors RSS may use, at an offset and with a stride that differ from
//! seed to seed, as the structure allows.

use alloc::vec;
use ndis_sys::{self as sys, NDIS_RSS_PROCESSOR, NDIS_RSS_PROCESSOR_INFO as Info, NDIS_STATUS};
use wdk_sys::PROCESSOR_NUMBER;

use super::{adapter, header};
use crate::export::{Module, exports, told_to_fail};
use crate::field;
use crate::host::context::kernel;
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

extern "win64" fn information(handle: usize, out: *mut Info, size: *mut usize) -> NDIS_STATUS {
    let fail = told_to_fail();
    let adapter = adapter::of(handle, "NdisGetRssProcessorInformation");
    let kernel = kernel();
    let settings = adapter.binding.settings();
    let cpus = kernel.sched.cpus().len();
    let base = settings
        .rss_base
        .min(u8::try_from(cpus - 1).unwrap_or(u8::MAX));
    let available = cpus - usize::from(base);
    let count = settings
        .rss_processors
        .map_or(available, |most| most.clamp(1, available));
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
    let number = |index: usize| PROCESSOR_NUMBER {
        Group: 0,
        Number: u8::try_from(index).unwrap_or(0),
        Reserved: 0,
    };
    let word = |value: usize| u32::try_from(value).unwrap_or(0);
    field!(out, Info, RssBaseProcessor).store(number(usize::from(base)));
    field!(out, Info, MaxNumRssProcessors).store(word(count));
    field!(out, Info, PreferredNumaNode).store(0);
    field!(out, Info, RssProcessorArrayOffset).store(word(shape.offset));
    field!(out, Info, RssProcessorCount).store(word(count));
    field!(out, Info, RssProcessorEntrySize).store(word(shape.stride));
    field!(out, Info, RssMaxProcessor).store(number(cpus - 1));
    // NdisRssProfileNUMAStatic.
    field!(out, Info, RssProfile).store(4);
    for index in 0..count {
        let at = (out as usize + shape.offset + index * shape.stride) as *mut NDIS_RSS_PROCESSOR;
        field!(at, NDIS_RSS_PROCESSOR, ProcNum).store(number(usize::from(base) + index));
        field!(at, NDIS_RSS_PROCESSOR, PreferenceIndex).store(0);
    }
    sys::NDIS_STATUS_SUCCESS
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use super::{NDIS_RSS_PROCESSOR, Shape};

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
