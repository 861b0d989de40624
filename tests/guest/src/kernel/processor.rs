//! What each processor has of its own: descriptor tables, stacks for faults, and a place found through GS.

use alloc::boxed::Box;
use alloc::vec;
use core::arch::asm;
use core::sync::atomic::{AtomicBool, AtomicPtr, AtomicU32, AtomicU64, Ordering};

use x86_64::VirtAddr;
use x86_64::instructions::{segmentation, tables::load_tss};
use x86_64::registers::model_specific::GsBase;
use x86_64::registers::segmentation::Segment;
use x86_64::structures::gdt::{Descriptor, GlobalDescriptorTable};
use x86_64::structures::tss::TaskStateSegment;

/// Most processors.
pub(crate) const MOST: usize = 16;
/// Bytes of each stack for faults; the harness reports a driver's fault on it.
const FAULT_STACK: usize = 64 * 1024;
/// Interrupt stack table entries, from 0: faults, double faults, NMI.
pub(crate) const IST_FAULT: u16 = 0;
pub(crate) const IST_DOUBLE: u16 = 1;
pub(crate) const IST_NMI: u16 = 2;

/// The processor's own data. GS points at it.
#[repr(C)]
pub(crate) struct Local {
    /// Its own address: what GS:0 holds.
    itself: AtomicPtr<Self>,
    pub(crate) index: u32,
    pub(crate) apic_id: u32,
    /// Page table changes its TLB knows of.
    pub(crate) seen_changes: AtomicU64,
    /// When the APIC's timer will interrupt, 100 ns units; 0: it will not.
    pub(crate) alarm: AtomicU64,
    /// It waits for something to do.
    pub(crate) idle: AtomicBool,
    /// Interrupts taken, by vector.
    pub(crate) counts: [AtomicU32; 256],
}

static LOCALS: [AtomicPtr<Local>; MOST] = [const { AtomicPtr::new(core::ptr::null_mut()) }; MOST];

fn stack(len: usize) -> VirtAddr {
    let bytes = Box::leak(vec![0_u8; len].into_boxed_slice());
    VirtAddr::from_ptr(bytes.as_ptr()) + len as u64
}

/// Gives processor 0 its own.
pub(crate) fn set_up_first() {
    let apic_id = super::apic::initial_id();
    set_up(0, apic_id);
}

/// Gives the running processor its own.
pub(crate) fn set_up(index: u32, apic_id: u32) {
    let local = Box::leak(Box::new(Local {
        itself: AtomicPtr::new(core::ptr::null_mut()),
        index,
        apic_id,
        seen_changes: AtomicU64::new(0),
        alarm: AtomicU64::new(0),
        idle: AtomicBool::new(false),
        counts: [const { AtomicU32::new(0) }; 256],
    }));
    let at = core::ptr::from_mut(local);
    local.itself.store(at, Ordering::Release);
    GsBase::write(VirtAddr::from_ptr(at));
    LOCALS[index as usize].store(at, Ordering::Release);

    let tss = Box::leak(Box::new(TaskStateSegment::new()));
    for entry in [IST_FAULT, IST_DOUBLE, IST_NMI] {
        tss.interrupt_stack_table[usize::from(entry)] = stack(FAULT_STACK).align_down(16_u64);
    }
    let gdt = Box::leak(Box::new(GlobalDescriptorTable::new()));
    let code = gdt.append(Descriptor::kernel_code_segment());
    let data = gdt.append(Descriptor::kernel_data_segment());
    let task = gdt.append(Descriptor::tss_segment(tss));
    gdt.load();
    // SAFETY: the selectors are of the table just loaded, which lives for ever.
    unsafe {
        segmentation::CS::set_reg(code);
    }
    // SAFETY: as above.
    unsafe { segmentation::SS::set_reg(data) };
    // SAFETY: as above.
    unsafe { load_tss(task) };
    super::traps::load();
}

/// The running processor's own data.
pub(crate) fn local() -> &'static Local {
    let at: *const Local;
    // SAFETY: `set_up` has put the address there before anything calls this.
    unsafe {
        asm!("mov {}, gs:[0]", out(reg) at, options(nostack, readonly, preserves_flags));
    }
    // SAFETY: leaked in `set_up`.
    unsafe { &*at }
}

/// Number of the running processor; 0 before it has its own data.
pub(crate) fn index() -> u32 {
    if GsBase::read().is_null() {
        0
    } else {
        local().index
    }
}

/// Data of processor `index`, if it runs.
pub(crate) fn of(index: u32) -> Option<&'static Local> {
    let at = LOCALS.get(index as usize)?.load(Ordering::Acquire);
    // SAFETY: null or leaked in `set_up`.
    unsafe { at.as_ref() }
}
