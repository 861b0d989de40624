//! NDIS's allocator.

use super::adapter;
use super::contract::{FREE, MEMORY};
use super::object::Kind;
use crate::export::{Module, exports, told_to_fail};
use crate::host::context::kernel;
use crate::rules;
use alloc::format;
use alloc::string::String;

exports! { Module::Ndis;
    NdisAllocateMemoryWithTagPriority = allocate, 0..=2, fallible;
    NdisFreeMemory = free, 0..=2;
}

extern "win64" fn allocate(handle: usize, len: u32, tag: u32, _priority: i32) -> usize {
    let fail = told_to_fail();
    adapter::expect_handle(handle, "NdisAllocateMemoryWithTagPriority");
    if tag == 0 || len == 0 {
        rules::violate(&MEMORY, format!("{len} bytes with tag {tag:#x}"));
    }
    if fail {
        return 0;
    }
    let kernel = kernel();
    let len = len as usize;
    // The owner is NDIS's to know: the pool's own leak report would name the block a second time.
    let Some(at) = kernel.pool.allocate(len, tag, false, String::new()) else {
        return 0;
    };
    kernel.ndis.objects.add(at, Kind::Memory, handle, 0, len);
    at
}

extern "win64" fn free(at: usize, len: u32, flags: u32) {
    let kernel = kernel();
    let Some(object) = kernel.ndis.objects.remove(at, Kind::Memory) else {
        rules::violate(
            &FREE,
            format!("NdisFreeMemory: {at:#x} is no live memory of NDIS"),
        );
        return;
    };
    if flags != 0 || (len != 0 && len as usize != object.size) {
        let what = format!(
            "NdisFreeMemory: length {len}, flags {flags:#x} for {} bytes",
            object.size
        );
        rules::violate(&FREE, what);
    }
    kernel.pool.free(at, None);
}
