//! The harness's memory, as the simulated Xen reaches it.
#![allow(
    unsafe_code,
    reason = "hands out pointers to guest memory, which the harness keeps mapped"
)]

use harness::Machine;
use xen_sim::GuestMemory;

const PAGE: u64 = 4096;

/// Guest memory of one harness. The harness outlives the Xen that holds this ([`crate::World`] drops it first).
#[derive(Debug)]
pub(crate) struct GuestRam(pub(crate) Machine);

// SAFETY: a frame's words stay mapped at their place as long as the harness lives, which is longer than the Xen
// machine's last access; frames are page-aligned. A virtual address is only handed out while the guest has it
// mapped, for a hypercall that runs on behalf of the code which passed it.
unsafe impl GuestMemory for GuestRam {
    fn frame_ptr(&self, pfn: u64) -> Option<*mut u8> {
        self.0.with_page(u32::try_from(pfn).ok()?, |words| {
            words.as_ptr().cast_mut().cast()
        })
    }

    fn translate(&self, va: u64, len: usize) -> Option<*mut u8> {
        let last = va.checked_add((len as u64).max(1) - 1)?;
        let physical = self.0.translate(va)?;
        if va / PAGE == last / PAGE {
            let frame = self.frame_ptr(physical / PAGE)?;
            return Some(frame.wrapping_add(usize::try_from(physical % PAGE).ok()?));
        }
        // More than a page: frames need not follow each other, so the guest's own mapping is used.
        let mut page = va / PAGE + 1;
        while page <= last / PAGE {
            self.0.translate(page * PAGE)?;
            page += 1;
        }
        Some(core::ptr::with_exposed_provenance_mut(
            usize::try_from(va).ok()?,
        ))
    }
}
