//! Memory manager (`Mm`): physical addresses, MDLs, contiguous memory, device memory.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use spin::Mutex;
use wdk_sys::{MDL, UNICODE_STRING};

use crate::ex::pool::calling_driver;
use crate::export::{self, Module, exports, told_to_fail};
use crate::field;
use crate::host::context::kernel;
use crate::host::memory::{Access, PAGE};
use crate::mem::guest::Guest;
use crate::mem::space::Frames;
use crate::rules;

const MAPPED_TO_SYSTEM_VA: i16 = 0x0001;
const PAGES_LOCKED: i16 = 0x0002;
const SOURCE_IS_NONPAGED_POOL: i16 = 0x0004;
const NO_EXECUTE: u32 = 0x4000_0000;
const PAGE_READONLY: u32 = 0x02;
const PAGE_READWRITE: u32 = 0x04;
/// The protections of `MmMapIoSpaceEx` that allow execution.
const PAGE_EXECUTE_ANY: u32 = 0xF0;

exports! { Module::Ntoskrnl;
    IoAllocateMdl = allocate_mdl, 0..=2, fallible;
    IoFreeMdl = free_mdl, 0..=2;
    IoBuildPartialMdl = build_partial, 0..=2;
    MmBuildMdlForNonPagedPool = build_nonpaged, 0..=2;
    MmProbeAndLockPages = lock_pages, 0..=2;
    MmUnlockPages = unlock_pages, 0..=2;
    MmMapLockedPagesSpecifyCache = map_locked, 0..=2, fallible;
    MmUnmapLockedPages = unmap_locked, 0..=2;
    MmGetPhysicalAddress = physical, 0..=15;
    MmIsAddressValid = is_valid, 0..=2;
    MmAllocateContiguousMemorySpecifyCache = contiguous, 0..=2, fallible;
    MmAllocateContiguousNodeMemory = contiguous_node, 0..=2, fallible;
    MmFreeContiguousMemory = free_contiguous, 0..=2;
    MmFreeContiguousMemorySpecifyCache = free_contiguous, 0..=2;
    MmAllocatePagesForMdlEx = allocate_pages, 0..=2, fallible;
    MmFreePagesFromMdl = free_pages, 0..=1;
    MmMapIoSpaceEx = map_io, 0..=2, fallible;
    MmUnmapIoSpace = unmap_io, 0..=2;
    MmGetSystemRoutineAddress = routine_address, 0..=0;
}

/// What drivers have from the memory manager: address, and how many pages, by kind.
#[derive(Debug, Default)]
pub(crate) struct Mm {
    mdls: Mutex<BTreeMap<usize, String>>,
    maps: Mutex<BTreeMap<usize, (usize, String, &'static str)>>,
}

impl Mm {
    /// What image `owner` has not given back.
    pub(crate) fn owned_by(&self, owner: &str) -> Vec<String> {
        let mdls = self.mdls.lock().values().filter(|by| *by == owner).count();
        let maps = self.maps.lock();
        let kinds = maps
            .values()
            .filter(|(_, by, _)| by == owner)
            .map(|(pages, _, kind)| format!("{kind} of {pages} pages"));
        (mdls != 0)
            .then(|| format!("{mdls} MDLs"))
            .into_iter()
            .chain(kinds)
            .collect()
    }

    fn note(&self, address: usize, pages: usize, kind: &'static str) {
        self.maps
            .lock()
            .insert(address, (pages, calling_driver(), kind));
    }

    fn take(&self, address: usize, kind: &'static str) -> Option<usize> {
        let mut maps = self.maps.lock();
        let (pages, _, found) = maps.get(&address)?;
        let pages = (*found == kind).then_some(*pages)?;
        maps.remove(&address);
        Some(pages)
    }
}

type Mdl = *mut MDL;

fn pages_spanned(address: usize, len: usize) -> usize {
    (address % PAGE + len).div_ceil(PAGE)
}

fn pfns(mdl: Mdl) -> Guest<u64> {
    Guest::from(mdl).offset(size_of::<MDL>())
}

fn flags(mdl: Mdl) -> Guest<i16> {
    field!(mdl, MDL, MdlFlags)
}

fn span(mdl: Mdl) -> usize {
    let offset = field!(mdl, MDL, ByteOffset).load() as usize;
    pages_spanned(offset, field!(mdl, MDL, ByteCount).load() as usize)
}

fn describe(mdl: Mdl, address: usize, len: u32) {
    let count = pages_spanned(address, len as usize);
    field!(mdl, MDL, Next).store(core::ptr::null_mut());
    field!(mdl, MDL, Size).store(i16::try_from(size_of::<MDL>() + count * 8).unwrap_or(i16::MAX));
    flags(mdl).store(0);
    field!(mdl, MDL, StartVa)
        .cast::<usize>()
        .store(address & !(PAGE - 1));
    field!(mdl, MDL, ByteOffset).store(u32::try_from(address % PAGE).unwrap_or(0));
    field!(mdl, MDL, ByteCount).store(len);
    field!(mdl, MDL, MappedSystemVa).cast::<usize>().store(0);
}

fn new_mdl(address: usize, len: u32) -> usize {
    let kernel = kernel();
    let at = kernel
        .pool
        .allocate_own(size_of::<MDL>() + pages_spanned(address, len as usize) * 8);
    describe(at as Mdl, address, len);
    kernel.mm.mdls.lock().insert(at, calling_driver());
    at
}

extern "win64" fn allocate_mdl(
    address: usize,
    len: u32,
    _secondary: u8,
    _quota: u8,
    irp: usize,
) -> usize {
    if told_to_fail() {
        return 0;
    }
    let at = new_mdl(address, len);
    if irp != 0 {
        field!(irp as *mut wdk_sys::IRP, wdk_sys::IRP, MdlAddress).store(at as Mdl);
    }
    at
}

extern "win64" fn free_mdl(mdl: Mdl) {
    let kernel = kernel();
    if kernel.mm.mdls.lock().remove(&(mdl as usize)).is_none() {
        rules::violate(&rules::MDL, format!("IoFreeMdl: {mdl:p} is no live MDL"));
        return;
    }
    let bits = flags(mdl).load();
    if bits & PAGES_LOCKED != 0 {
        rules::violate(
            &rules::MDL,
            format!("MDL {mdl:p} freed with its pages locked"),
        );
    }
    if bits & MAPPED_TO_SYSTEM_VA != 0 && bits & SOURCE_IS_NONPAGED_POOL == 0 {
        rules::violate(&rules::MDL, format!("MDL {mdl:p} freed while mapped"));
    }
    kernel.pool.free(mdl as usize, None);
}

fn fill_pfns(mdl: Mdl) {
    let start = field!(mdl, MDL, StartVa).cast::<usize>().load();
    for index in 0..span(mdl) {
        let Some(physical) = kernel().space.physical(start + index * PAGE) else {
            rules::die(
                &rules::MDL,
                format!("MDL {mdl:p} describes memory that is not there"),
            );
        };
        pfns(mdl).index(index).store(physical / PAGE as u64);
    }
}

extern "win64" fn build_nonpaged(mdl: Mdl) {
    let start = field!(mdl, MDL, StartVa).cast::<usize>().load();
    let offset = field!(mdl, MDL, ByteOffset).load() as usize;
    if kernel().pool.is_paged(start + offset) {
        rules::violate(&rules::MDL, "MmBuildMdlForNonPagedPool of paged pool");
    }
    fill_pfns(mdl);
    flags(mdl).store(flags(mdl).load() | SOURCE_IS_NONPAGED_POOL);
    field!(mdl, MDL, MappedSystemVa)
        .cast::<usize>()
        .store(start + offset);
}

extern "win64" fn lock_pages(mdl: Mdl, _mode: i8, _operation: i32) {
    fill_pfns(mdl);
    flags(mdl).store(flags(mdl).load() | PAGES_LOCKED);
}

extern "win64" fn unlock_pages(mdl: Mdl) {
    if flags(mdl).load() & PAGES_LOCKED == 0 {
        rules::violate(
            &rules::MDL,
            format!("MmUnlockPages: MDL {mdl:p} is not locked"),
        );
    }
    flags(mdl).store(flags(mdl).load() & !PAGES_LOCKED);
}

extern "win64" fn build_partial(source: Mdl, target: Mdl, address: usize, len: u32) {
    let first = field!(source, MDL, StartVa).cast::<usize>().load();
    describe(target, address, len);
    let skip = (address & !(PAGE - 1)).saturating_sub(first) / PAGE;
    for index in 0..span(target) {
        pfns(target)
            .index(index)
            .store(pfns(source).index(skip + index).load());
    }
    let mapped = field!(source, MDL, MappedSystemVa).cast::<usize>().load();
    if mapped != 0 {
        let start = first + field!(source, MDL, ByteOffset).load() as usize;
        field!(target, MDL, MappedSystemVa)
            .cast::<usize>()
            .store(mapped + address - start);
        flags(target).store(SOURCE_IS_NONPAGED_POOL);
    }
}

extern "win64" fn map_locked(
    mdl: Mdl,
    _mode: i8,
    _cache: i32,
    _at: usize,
    _bug_check: u32,
    priority: u32,
) -> usize {
    if priority & NO_EXECUTE == 0 {
        rules::violate(
            &rules::EXECUTABLE,
            "an MDL mapped without MdlMappingNoExecute",
        );
    }
    let bits = flags(mdl).load();
    if bits & (MAPPED_TO_SYSTEM_VA | SOURCE_IS_NONPAGED_POOL) != 0 {
        return field!(mdl, MDL, MappedSystemVa).cast::<usize>().load();
    }
    if told_to_fail() {
        return 0;
    }
    let count = span(mdl);
    let frames: Vec<u32> = (0..count)
        .map(|index| u32::try_from(pfns(mdl).index(index).load()).unwrap_or(0))
        .collect();
    let Some(start) = kernel().space.map_frames(&frames, Access::ReadWrite) else {
        return 0;
    };
    let address = start + field!(mdl, MDL, ByteOffset).load() as usize;
    kernel().mm.note(start, count, "MDL mapping");
    field!(mdl, MDL, MappedSystemVa)
        .cast::<usize>()
        .store(address);
    flags(mdl).store(bits | MAPPED_TO_SYSTEM_VA);
    address
}

extern "win64" fn unmap_locked(address: usize, mdl: Mdl) {
    let kernel = kernel();
    let bits = flags(mdl).load();
    let Some(count) = kernel.mm.take(address & !(PAGE - 1), "MDL mapping") else {
        rules::violate(
            &rules::MDL,
            format!("MmUnmapLockedPages: {address:#x} is no mapping of an MDL"),
        );
        return;
    };
    kernel.space.unmap_frames(address & !(PAGE - 1), count);
    flags(mdl).store(bits & !MAPPED_TO_SYSTEM_VA);
}

extern "win64" fn physical(address: usize) -> u64 {
    kernel().space.physical(address).unwrap_or(0)
}

extern "win64" fn is_valid(address: usize) -> u8 {
    u8::from(kernel().space.allows(address, 1, false))
}

extern "win64" fn contiguous(
    len: usize,
    _low: u64,
    _high: u64,
    _boundary: u64,
    _cache: i32,
) -> usize {
    if told_to_fail() {
        return 0;
    }
    let kernel = kernel();
    let pages = len.div_ceil(PAGE).max(1);
    let at = kernel
        .space
        .allocate(pages, Frames::Contiguous, Access::ReadWrite, 0xA5)
        .unwrap_or(0);
    if at != 0 {
        kernel.mm.note(at, pages, "contiguous memory");
    }
    at
}

extern "win64" fn contiguous_node(
    len: usize,
    low: u64,
    high: u64,
    boundary: u64,
    protect: u32,
    _node: u32,
) -> usize {
    if protect & PAGE_EXECUTE_ANY != 0 {
        rules::violate(&rules::EXECUTABLE, "executable contiguous memory");
    }
    contiguous(len, low, high, boundary, 1)
}

extern "win64" fn free_contiguous(address: usize) {
    let kernel = kernel();
    match kernel.mm.take(address, "contiguous memory") {
        Some(pages) => kernel.space.free(address, pages),
        None => {
            rules::violate(
                &rules::POOL_FREE,
                format!("{address:#x} is no contiguous memory"),
            );
        }
    }
}

extern "win64" fn allocate_pages(
    _low: u64,
    _high: u64,
    _skip: u64,
    len: usize,
    _cache: i32,
    _flags: u32,
) -> usize {
    if told_to_fail() {
        return 0;
    }
    let kernel = kernel();
    let pages = len.div_ceil(PAGE).max(1);
    let Some(at) = kernel
        .space
        .allocate(pages, Frames::Scattered, Access::ReadWrite, 0)
    else {
        return 0;
    };
    let mdl = new_mdl(at, u32::try_from(pages * PAGE).unwrap_or(0));
    fill_pfns(mdl as Mdl);
    // The pages have no address of the driver's until it maps the MDL; this one keeps them alive.
    kernel.space.protect(at, pages, Access::None);
    kernel.mm.note(mdl, pages, "pages of an MDL");
    flags(mdl as Mdl).store(PAGES_LOCKED);
    mdl
}

extern "win64" fn free_pages(mdl: Mdl) {
    let kernel = kernel();
    let Some(pages) = kernel.mm.take(mdl as usize, "pages of an MDL") else {
        rules::violate(
            &rules::MDL,
            format!("MmFreePagesFromMdl: {mdl:p} has no pages of its own"),
        );
        return;
    };
    let at = field!(mdl, MDL, StartVa).cast::<usize>().load();
    kernel.space.free(at, pages);
    flags(mdl).store(0);
}

extern "win64" fn map_io(start: u64, len: usize, protect: u32) -> usize {
    if protect & PAGE_EXECUTE_ANY != 0 {
        rules::violate(&rules::EXECUTABLE, "executable mapping of device memory");
    }
    let kernel = kernel();
    let end = start.saturating_add(len as u64);
    if start < kernel.space.hole_start() || end > kernel.space.ram().len() as u64 {
        rules::violate(
            &rules::POINTER,
            format!("MmMapIoSpaceEx of {start:#x}, which is no device memory"),
        );
        return 0;
    }
    if told_to_fail() {
        return 0;
    }
    let access = match protect & 0xFF {
        PAGE_READONLY => Access::Read,
        PAGE_READWRITE => Access::ReadWrite,
        _ => return 0,
    };
    let offset = usize::try_from(start % PAGE as u64).unwrap_or(0);
    let count = pages_spanned(offset, len);
    let first = u32::try_from(start / PAGE as u64).unwrap_or(0);
    let frames: Vec<u32> = (0..u32::try_from(count).unwrap_or(0))
        .map(|index| first + index)
        .collect();
    let Some(at) = kernel.space.map_frames(&frames, access) else {
        return 0;
    };
    kernel.mm.note(at, count, "mapping of device memory");
    at + offset
}

extern "win64" fn unmap_io(address: usize, len: usize) {
    let kernel = kernel();
    let start = address & !(PAGE - 1);
    match kernel.mm.take(start, "mapping of device memory") {
        Some(count) if count == pages_spanned(address, len) => {
            kernel.space.unmap_frames(start, count);
        }
        _ => rules::violate(
            &rules::POINTER,
            format!("MmUnmapIoSpace: {address:#x} is no such mapping"),
        ),
    }
}

extern "win64" fn routine_address(name: *const UNICODE_STRING) -> usize {
    export::find_kernel_routine(&crate::rtl::string::read_unicode(name)).unwrap_or(0)
}
