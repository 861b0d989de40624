//! Memory operations (`xen/memory.h`).
#![allow(unsafe_code, reason = "each operation vouches for its argument")]
use xen_abi::domid::DomId;
use xen_abi::hypercall::MEMORY_OP;
use xen_abi::memory as abi;

use crate::call::{Call, Hypervisor};
use crate::error::HypercallError;

impl<C: Call> Hypervisor<C> {
    /// Puts page `index` of a space (`XENMAPSPACE_*`) at guest frame `gfn`.
    ///
    /// # Safety
    /// Frame `gfn` is ours, and nobody uses what was there.
    pub unsafe fn add_to_physmap(
        &self,
        space: u32,
        index: u64,
        gfn: u64,
    ) -> Result<(), HypercallError> {
        let mut arg = abi::AddToPhysmap {
            domid: DomId::SELF,
            size: 0,
            space,
            idx: index,
            gpfn: gfn,
        };
        // SAFETY: the argument of this command; the frame is the caller's promise.
        unsafe { self.command(MEMORY_OP, abi::XENMEM_ADD_TO_PHYSMAP, &mut arg) }.map(drop)
    }

    /// Takes the page at guest frame `gfn` away, which leaves a hole.
    ///
    /// # Safety
    /// Nobody uses the frame.
    pub unsafe fn remove_from_physmap(&self, gfn: u64) -> Result<(), HypercallError> {
        let mut arg = abi::RemoveFromPhysmap {
            domid: DomId::SELF,
            gpfn: gfn,
        };
        // SAFETY: the argument of this command; the frame is the caller's promise.
        unsafe { self.command(MEMORY_OP, abi::XENMEM_REMOVE_FROM_PHYSMAP, &mut arg) }.map(drop)
    }

    /// Gives pages back to Xen, which leaves holes; returns how many of the list, from its start.
    ///
    /// # Safety
    /// Nobody uses the frames.
    pub unsafe fn decrease_reservation(&self, frames: &mut [u64]) -> Result<u64, HypercallError> {
        // SAFETY: the caller's promise.
        unsafe { self.reservation(abi::XENMEM_DECREASE_RESERVATION, frames) }
    }

    /// Fills holes with pages of Xen's; returns how many of the list, from its start. Xen overwrites the list.
    ///
    /// # Safety
    /// The frames are holes that nobody uses.
    pub unsafe fn populate_physmap(&self, frames: &mut [u64]) -> Result<u64, HypercallError> {
        // SAFETY: the caller's promise.
        unsafe { self.reservation(abi::XENMEM_POPULATE_PHYSMAP, frames) }
    }

    /// # Safety
    /// As the commands' own functions.
    unsafe fn reservation(&self, command: u32, frames: &mut [u64]) -> Result<u64, HypercallError> {
        let mut arg = abi::MemoryReservation {
            extent_start: frames.as_mut_ptr().expose_provenance() as u64,
            nr_extents: frames.len() as u64,
            extent_order: 0,
            mem_flags: 0,
            domid: DomId::SELF,
        };
        // SAFETY: the list is borrowed for the call; the frames are the caller's promise.
        unsafe { self.command(MEMORY_OP, command, &mut arg) }
    }

    /// The highest guest frame in use.
    pub fn maximum_gfn(&self) -> Result<u64, HypercallError> {
        let mut arg = abi::MemoryDomain { domid: DomId::SELF };
        // SAFETY: the argument of this command; it holds no address.
        unsafe { self.command(MEMORY_OP, abi::XENMEM_MAXIMUM_GPFN, &mut arg) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::call::tests::Expect;

    #[test]
    fn the_shared_info_page_is_placed() {
        let xen = Expect::new(12, 7, |arg: &mut abi::AddToPhysmap, _| {
            assert_eq!(
                (arg.domid, arg.space, arg.idx, arg.gpfn),
                (DomId(0x7FF0), 0, 0, 0xF_F000)
            );
            0
        });
        // SAFETY: no Xen takes the frame.
        let answer = unsafe {
            Hypervisor::with(&xen).add_to_physmap(abi::XENMAPSPACE_SHARED_INFO, 0, 0xF_F000)
        };
        assert_eq!(answer, Ok(()));
    }

    #[test]
    fn a_reservation_answers_how_many() {
        let xen = Expect::new(12, 1, |arg: &mut abi::MemoryReservation, _| {
            assert_eq!((arg.nr_extents, arg.extent_order), (5, 0));
            3
        });
        // SAFETY: no Xen takes the frames.
        let answer = unsafe { Hypervisor::with(&xen).decrease_reservation(&mut [9; 5]) };
        assert_eq!(answer, Ok(3));
    }
}
