//! Pools in the manner of Driver Verifier's special pool: each block ends at a page end (or, from a page
//! on, starts at a page start, as NT promises) before an inaccessible page; freed blocks stay inaccessible
//! until their addresses come round again.

use alloc::collections::{BTreeMap, VecDeque};
use alloc::format;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;
use core::ops::Range;

use spin::Mutex;

use crate::export::{Module, exports, told_to_fail};
use crate::host::context::kernel;
use crate::host::memory::{Access, PAGE};
use crate::mem::space::Frames;
use crate::rules;

/// Bytes of fresh and of unused memory: drivers must not rely on either.
const POISON: u8 = 0xA5;

exports! { Module::Ntoskrnl;
    ExAllocatePoolWithTag = allocate_with_tag, 0..=2, fallible;
    ExAllocatePoolWithTagPriority = allocate_with_priority, 0..=2, fallible;
    ExAllocatePool = allocate_untagged, 0..=2, fallible;
    ExFreePoolWithTag = free_with_tag, 0..=2;
    ExFreePool = free_any, 0..=2;
}

/// One live block.
#[derive(Clone, Debug)]
pub(crate) struct Block {
    size: usize,
    tag: u32,
    pages: usize,
    first_page: usize,
    paged: bool,
    owner: String,
}

/// All live blocks, and the last freed ones for reports.
#[derive(Debug, Default)]
pub(crate) struct Pool {
    blocks: Mutex<BTreeMap<usize, Block>>,
    freed: Mutex<VecDeque<(usize, Block, String)>>,
}

/// A tag as people write it.
pub(crate) fn tag_text(tag: u32) -> String {
    tag.to_le_bytes()
        .iter()
        .map(|byte| {
            if byte.is_ascii_graphic() {
                char::from(*byte)
            } else {
                '.'
            }
        })
        .collect()
}

impl Pool {
    /// Allocates `size` bytes for `owner`.
    pub(crate) fn allocate(
        &self,
        size: usize,
        tag: u32,
        paged: bool,
        owner: String,
    ) -> Option<usize> {
        let size = size.max(1);
        let count = size.div_ceil(PAGE);
        let first_page =
            kernel()
                .space
                .allocate(count, Frames::Scattered, Access::ReadWrite, POISON)?;
        let address = if size >= PAGE {
            first_page
        } else {
            first_page + PAGE - size.next_multiple_of(16)
        };
        let block = Block {
            size,
            tag,
            pages: count,
            first_page,
            paged,
            owner,
        };
        self.blocks.lock().insert(address, block);
        Some(address)
    }

    /// Memory of the harness itself that drivers see: zeroed, and never counted as a driver's leak.
    pub(crate) fn allocate_own(&self, size: usize) -> usize {
        let address = self
            .allocate(size, u32::from_le_bytes(*b"NtOs"), false, String::new())
            .expect("guest memory: give the harness more RAM");
        crate::mem::guest::write_bytes(address, &vec![0; size]);
        address
    }

    /// Frees a block. `tag` of `None` means that the caller gave none.
    pub(crate) fn free(&self, address: usize, tag: Option<u32>) {
        let Some(block) = self.blocks.lock().remove(&address) else {
            let what = self.describe(address).unwrap_or_default();
            rules::violate(
                &rules::POOL_FREE,
                format!("{address:#x} is no live pool block{what}"),
            );
            return;
        };
        if tag.is_some_and(|tag| tag != 0 && tag != block.tag) {
            rules::violate(
                &rules::POOL_TAG,
                format!(
                    "block {address:#x} of tag {} freed with tag {}",
                    tag_text(block.tag),
                    tag_text(tag.unwrap_or(0))
                ),
            );
        }
        Self::check_edges(address, &block);
        Self::check_live(address, &block);
        let kernel = kernel();
        kernel.io.lock_order.forget(address, address + block.size);
        kernel.space.free(block.first_page, block.pages);
        let mut freed = self.freed.lock();
        freed.push_back((address, block, kernel.last_site()));
        if freed.len() > 4096 {
            freed.pop_front();
        }
    }

    fn check_edges(address: usize, block: &Block) {
        let end = block.first_page + block.pages * PAGE;
        let before = block.first_page..address;
        let after = address + block.size..end;
        let written = |range: Range<usize>| kernel().space.other_than(POISON, range);
        if let Some(at) = written(before).or_else(|| written(after)) {
            rules::violate(
                &rules::POOL_OVERRUN,
                format!(
                    "byte {:+} of the {}-byte block {address:#x} ({}) was written",
                    at.cast_signed() - address.cast_signed(),
                    block.size,
                    tag_text(block.tag)
                ),
            );
        }
    }

    fn check_live(address: usize, block: &Block) {
        let kernel = kernel();
        let end = address + block.size;
        let mut found = Vec::new();
        if let Some(timer) = kernel.sched.events.timer_between(address, end) {
            found.push(format!("timer {timer:#x} is set"));
        }
        for cpu in kernel.sched.cpus() {
            if let Some(dpc) = cpu.dpc_between(address, end) {
                found.push(format!("DPC {dpc:#x} is queued"));
            }
            if let Some(lock) = cpu
                .held
                .lock()
                .iter()
                .find(|lock| (address..end).contains(&lock.address))
            {
                found.push(format!(
                    "spin lock {:#x} is held (taken at {})",
                    lock.address,
                    kernel.name_address(lock.caller)
                ));
            }
        }
        for what in found {
            rules::violate(
                &rules::POOL_LIVE,
                format!(
                    "block {address:#x} ({}) freed while {what}",
                    tag_text(block.tag)
                ),
            );
        }
    }

    /// What is known of an address, for reports.
    pub(crate) fn describe(&self, address: usize) -> Option<String> {
        let inside = |(start, block): (usize, &Block)| {
            let page_end = block.first_page + (block.pages + 1) * PAGE;
            (block.first_page..page_end).contains(&address).then(|| {
                (
                    address.cast_signed() - start.cast_signed(),
                    block.size,
                    tag_text(block.tag),
                )
            })
        };
        let blocks = self.blocks.lock();
        if let Some((offset, size, tag)) = blocks
            .range(..=address + PAGE)
            .rev()
            .take(2)
            .find_map(|(at, block)| inside((*at, block)))
        {
            return Some(format!(
                " (byte {offset} of a live block of {size}, tag {tag})"
            ));
        }
        drop(blocks);
        let freed = self.freed.lock();
        freed.iter().rev().find_map(|(at, block, by)| {
            let (offset, size, tag) = inside((*at, block))?;
            Some(format!(
                " (byte {offset} of a block of {size}, tag {tag}, freed by {by})"
            ))
        })
    }

    /// Size of a live block.
    pub(crate) fn size_of(&self, address: usize) -> Option<usize> {
        self.blocks.lock().get(&address).map(|block| block.size)
    }

    /// Whether `address` is a live block of paged pool.
    pub(crate) fn is_paged(&self, address: usize) -> bool {
        self.blocks
            .lock()
            .get(&address)
            .is_some_and(|block| block.paged)
    }

    /// Live blocks that drivers of image `owner` allocated: tag and size.
    pub(crate) fn owned_by(&self, owner: &str) -> Vec<(u32, usize)> {
        let blocks = self.blocks.lock();
        blocks
            .values()
            .filter(|block| block.owner == owner)
            .map(|block| (block.tag, block.size))
            .collect()
    }
}

/// Name of the driver whose call is being served.
pub(crate) fn calling_driver() -> String {
    let kernel = kernel();
    let (_, caller) = kernel.sched.current().last_call();
    kernel
        .image_at(caller)
        .map_or_else(String::new, |image| image.name.clone())
}

/// Pool types: `POOL_TYPE` of wdm.h. Bit 0 is paged; 512 is no-execute.
extern "win64" fn allocate_with_tag(kind: i32, size: usize, tag: u32) -> usize {
    let kernel = kernel();
    let paged = kind & 1 != 0;
    if tag == 0 || tag == u32::from_le_bytes(*b" GIB") {
        rules::violate(&rules::POOL_KIND, "pool memory without a tag");
    }
    if !paged && kind & 512 == 0 {
        rules::violate(&rules::POOL_KIND, format!("executable pool (type {kind})"));
    }
    if paged && kernel.sched.cpu().irql() > 1 {
        rules::violate(&rules::POOL_IRQL, "paged pool at DISPATCH_LEVEL");
    }
    if size == 0 {
        rules::violate(&rules::POOL_KIND, "an allocation of no bytes");
    }
    if told_to_fail() {
        return 0;
    }
    kernel
        .pool
        .allocate(size, tag, paged, calling_driver())
        .unwrap_or(0)
}

extern "win64" fn allocate_with_priority(
    kind: i32,
    size: usize,
    tag: u32,
    _priority: i32,
) -> usize {
    allocate_with_tag(kind, size, tag)
}

extern "win64" fn allocate_untagged(kind: i32, size: usize) -> usize {
    allocate_with_tag(kind, size, 0)
}

fn free(address: usize, tag: Option<u32>) {
    let kernel = kernel();
    if kernel.pool.is_paged(address) && kernel.sched.cpu().irql() > 1 {
        rules::violate(&rules::POOL_IRQL, "paged pool freed at DISPATCH_LEVEL");
    }
    kernel.pool.free(address, tag);
}

extern "win64" fn free_with_tag(address: usize, tag: u32) {
    free(address, Some(tag));
}

extern "win64" fn free_any(address: usize) {
    free(address, None);
}
