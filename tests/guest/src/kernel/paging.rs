//! Page tables: all memory at its own address, and the window in which drivers live, page by page.

use alloc::alloc::{Layout, alloc_zeroed};
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use guest::memory_map::Span;
use spin::Mutex;
use x86_64::registers::control::{Cr3, Cr3Flags};
use x86_64::structures::paging::page_table::PageTableEntry;
use x86_64::structures::paging::{
    FrameAllocator, Mapper, OffsetPageTable, Page, PageTable, PageTableFlags as Flags, PhysFrame,
    Size2MiB, Size4KiB, Translate,
};
use x86_64::{PhysAddr, VirtAddr};

use super::processor;
use super::start_info::Info;

/// First address of the drivers' window: in the upper half, as on Windows.
pub(crate) const WINDOW: u64 = 0xFFFF_A000_0000_0000;
/// Bytes of address space in it that the drivers have.
pub(crate) const DRIVERS_LEN: u64 = 8 << 30;
/// Bytes of address space in it: behind the drivers' part is code of the harness.
pub(crate) const WINDOW_LEN: u64 = DRIVERS_LEN + (16 << 20);
const BLOCK: u64 = 2 << 20;
/// End of the memory that is mapped to itself.
const IDENTITY_END: u64 = 1 << 32;

unsafe extern "C" {
    static image_start: u8;
    static rodata_start: u8;
    static data_start: u8;
    static image_end: u8;
}

fn symbol(of: *const u8) -> u64 {
    of.addr() as u64
}

/// Where the kernel is.
pub(crate) fn image() -> Span {
    Span {
        start: symbol(&raw const image_start),
        end: symbol(&raw const image_end),
    }
}

/// Page tables come from the heap, which is mapped to itself.
struct Tables;

// SAFETY: each frame is a fresh, page-aligned allocation that is never freed.
unsafe impl FrameAllocator<Size4KiB> for Tables {
    fn allocate_frame(&mut self) -> Option<PhysFrame> {
        let layout = Layout::from_size_align(4096, 4096).ok()?;
        // SAFETY: the layout is not empty.
        let at = unsafe { alloc_zeroed(layout) };
        let at = PhysAddr::new(at.expose_provenance() as u64);
        (!at.is_null()).then(|| PhysFrame::containing_address(at))
    }
}

static MAPPER: Mutex<Option<OffsetPageTable<'static>>> = Mutex::new(None);
/// Counts changes that other processors' TLBs may not know.
static CHANGES: AtomicU64 = AtomicU64::new(1);
/// Physical address of the root, for the other processors.
static ROOT: AtomicU32 = AtomicU32::new(0);

/// Physical address of the page tables.
pub(crate) fn root() -> u32 {
    ROOT.load(Ordering::Acquire)
}

fn new_table() -> &'static mut PageTable {
    let frame = Tables.allocate_frame().expect("memory for a page table");
    let at = core::ptr::with_exposed_provenance_mut(frame.start_address().as_u64() as usize);
    // SAFETY: a zeroed page of our own, mapped to itself, never freed.
    unsafe { &mut *at }
}

/// Rights of a page of the kernel's own range.
fn own_rights(at: u64) -> Flags {
    let code = symbol(&raw const image_start)..symbol(&raw const rodata_start);
    let constants = symbol(&raw const rodata_start)..symbol(&raw const data_start);
    if at == 0 {
        Flags::empty()
    } else if code.contains(&at) {
        Flags::PRESENT
    } else if constants.contains(&at) {
        Flags::PRESENT | Flags::NO_EXECUTE
    } else if at == super::apic::REGISTERS {
        Flags::PRESENT | Flags::WRITABLE | Flags::NO_EXECUTE | Flags::NO_CACHE
    } else if at == super::smp::TRAMPOLINE {
        // Written by its physical address only before the tables are in use.
        Flags::PRESENT
    } else {
        Flags::PRESENT | Flags::WRITABLE | Flags::NO_EXECUTE
    }
}

fn map_own(mapper: &mut OffsetPageTable<'static>) -> Option<()> {
    let fine = |start: u64| start < image().end || start == super::apic::REGISTERS / BLOCK * BLOCK;
    let parents = Flags::PRESENT | Flags::WRITABLE;
    for block in (0..IDENTITY_END).step_by(BLOCK as usize) {
        if !fine(block) {
            let frame = PhysFrame::<Size2MiB>::containing_address(PhysAddr::new(block));
            let page = Page::<Size2MiB>::containing_address(VirtAddr::new(block));
            let flags = Flags::PRESENT | Flags::WRITABLE | Flags::NO_EXECUTE;
            // SAFETY: memory at its own address, as in the boot tables.
            let done =
                unsafe { mapper.map_to_with_table_flags(page, frame, flags, parents, &mut Tables) };
            done.ok()?.ignore();
            continue;
        }
        for at in (block..block + BLOCK).step_by(4096) {
            let flags = own_rights(at);
            if flags.is_empty() {
                continue;
            }
            let frame = PhysFrame::<Size4KiB>::containing_address(PhysAddr::new(at));
            let page = Page::<Size4KiB>::containing_address(VirtAddr::new(at));
            // SAFETY: as above.
            let done =
                unsafe { mapper.map_to_with_table_flags(page, frame, flags, parents, &mut Tables) };
            done.ok()?.ignore();
        }
    }
    Some(())
}

/// Makes the tables and switches to them.
pub(crate) fn set_up(info: &Info) {
    assert!(
        info.ram_end() <= IDENTITY_END,
        "give the guest less than 4 GiB of memory"
    );
    super::smp::place_trampoline();
    let table = new_table();
    let root = core::ptr::from_mut(table).expose_provenance();
    // SAFETY: physical memory is mapped to itself, in the boot tables and in the new ones.
    let mut mapper = unsafe { OffsetPageTable::new(table, VirtAddr::zero()) };
    map_own(&mut mapper).expect("memory for page tables");
    *MAPPER.lock() = Some(mapper);
    let low = u32::try_from(root).expect("page tables below 4 GiB");
    ROOT.store(low, Ordering::Release);
    let frame = PhysFrame::containing_address(PhysAddr::new(u64::from(low)));
    // SAFETY: the tables map everything in use where it is.
    unsafe { Cr3::write(frame, Cr3Flags::empty()) };
}

fn with<R>(body: impl FnOnce(&mut OffsetPageTable<'static>) -> R) -> R {
    body(MAPPER.lock().as_mut().expect("page tables"))
}

/// The entry of a page of the window in the last level; tables on the way are made if `make`.
fn entry(root: &mut PageTable, address: u64, make: bool) -> Option<&mut PageTableEntry> {
    assert!(in_window(address), "{address:#x} is not in the window");
    let page = Page::<Size4KiB>::containing_address(VirtAddr::new(address));
    let mut table = root;
    for index in [page.p4_index(), page.p3_index(), page.p2_index()] {
        let entry = &mut table[index];
        if entry.is_unused() {
            if !make {
                return None;
            }
            entry.set_frame(Tables.allocate_frame()?, Flags::PRESENT | Flags::WRITABLE);
        }
        let next = core::ptr::with_exposed_provenance_mut(entry.addr().as_u64() as usize);
        // SAFETY: a table of the window, made here, mapped to itself; the caller holds the lock of all of them.
        table = unsafe { &mut *next };
    }
    Some(&mut table[page.p1_index()])
}

/// Puts the frame of `physical` with `flags` in place of what a page of the window shows.
fn set(address: u64, physical: Option<u64>, flags: Flags, make: bool) -> Option<()> {
    let replaced = with(|mapper| {
        let entry = entry(mapper.level_4_table_mut(), address, make)?;
        let replaced = entry.flags().contains(Flags::PRESENT);
        match physical {
            Some(physical) => entry.set_addr(PhysAddr::new(physical), flags),
            None => entry.set_flags(flags),
        }
        Some(replaced)
    })?;
    if replaced {
        x86_64::instructions::tlb::flush(VirtAddr::new(address));
        CHANGES.fetch_add(1, Ordering::AcqRel);
    }
    Some(())
}

/// Shows a frame at a page of the window; `None` without memory for a table.
pub(crate) fn map(address: u64, physical: u64, flags: Flags) -> Option<()> {
    set(address, Some(physical), flags, true)
}

/// Changes the rights of a page of the window, which shows a frame.
pub(crate) fn protect(address: u64, flags: Flags) {
    set(address, None, flags, false).expect("a page that was mapped");
}

/// Makes a page of the window inaccessible.
pub(crate) fn unmap(address: u64) {
    // Without a table there is nothing to do.
    let _ = set(address, Some(0), Flags::empty(), false);
}

/// Forgets what this processor's TLB may hold of pages that were changed elsewhere. Cheap if there is nothing.
pub(crate) fn catch_up() {
    let now = CHANGES.load(Ordering::Acquire);
    let seen = &processor::local().seen_changes;
    if seen.load(Ordering::Relaxed) != now {
        x86_64::instructions::tlb::flush_all();
        seen.fetch_max(now, Ordering::AcqRel);
    }
}

/// Interrupts all other processors, which makes them look ([`catch_up`]), and waits until they have.
pub(crate) fn tell_others(cpus: u32) {
    let now = CHANGES.load(Ordering::Acquire);
    let own = processor::index();
    for cpu in (0..cpus).filter(|cpu| *cpu != own) {
        let Some(local) = processor::of(cpu) else {
            continue;
        };
        if local.seen_changes.load(Ordering::Acquire) >= now {
            continue;
        }
        super::apic::kick(cpu);
        while local.seen_changes.load(Ordering::Acquire) < now {
            // The other may wait for this one's turn on a real processor to end.
            super::xen::yield_processor();
        }
    }
}

/// Whether an address is in the window.
pub(crate) const fn in_window(address: u64) -> bool {
    address >= WINDOW && address < WINDOW + WINDOW_LEN
}

/// Whether a fault was taken for rights that the page has: another processor has just changed it.
pub(crate) fn allows_now(address: u64, write: bool, execute: bool) -> bool {
    use x86_64::structures::paging::mapper::TranslateResult;
    if !in_window(address) {
        return false;
    }
    let Some(mut guard) = MAPPER.try_lock() else {
        // Being changed at this moment: look again.
        return true;
    };
    let Some(mapper) = guard.as_mut() else {
        return false;
    };
    match mapper.translate(VirtAddr::new(address)) {
        TranslateResult::Mapped { flags, .. } => {
            (!write || flags.contains(Flags::WRITABLE))
                && (!execute || !flags.contains(Flags::NO_EXECUTE))
        }
        _ => false,
    }
}
