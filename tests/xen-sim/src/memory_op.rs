//! `memory_op`: placing Xen's pages and giving frames back.

use crate::abi::{
    self, DOMID_SELF, EFAULT, EINVAL, ENOSYS, EPERM, Errno, XENMAPSPACE_GRANT_TABLE,
    XENMAPSPACE_SHARED_INFO,
};
use crate::machine::Machine;

fn u64_at(raw: &[u8], at: usize) -> u64 {
    let mut bytes = [0; 8];
    bytes.copy_from_slice(&raw[at..at + 8]);
    u64::from_le_bytes(bytes)
}

fn u16_at(raw: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([raw[at], raw[at + 1]])
}

fn u32_at(raw: &[u8], at: usize) -> u32 {
    u32::from_le_bytes([raw[at], raw[at + 1], raw[at + 2], raw[at + 3]])
}

impl Machine {
    pub(crate) fn memory_op(&mut self, op: u64, arg: u64) -> Result<i64, Errno> {
        match op & 0x3f {
            abi::XENMEM_ADD_TO_PHYSMAP => self.add_to_physmap(arg),
            abi::XENMEM_REMOVE_FROM_PHYSMAP => self.remove_from_physmap(arg),
            abi::XENMEM_DECREASE_RESERVATION => self.reservation(arg, true),
            abi::XENMEM_POPULATE_PHYSMAP => self.reservation(arg, false),
            abi::XENMEM_CURRENT_RESERVATION | abi::XENMEM_MAXIMUM_RESERVATION => {
                self.check_domid(u16_at(&self.memory.read_guest::<2>(arg)?, 0))?;
                Ok(self.frames())
            }
            _ => Err(ENOSYS),
        }
    }

    fn check_domid(&self, domid: u16) -> Result<(), Errno> {
        if domid == DOMID_SELF || domid == self.config.domid {
            Ok(())
        } else {
            Err(EPERM)
        }
    }

    /// Frames from 0 up to the first hole: guest RAM is one block.
    fn frames(&self) -> i64 {
        let (mut low, mut high) = (0_u64, 1_u64 << 40);
        while low < high {
            let middle = low + (high - low) / 2;
            if self.memory.frame(middle).is_some() {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        low as i64 - self.removed_frames.len() as i64
    }

    fn add_to_physmap(&mut self, arg: u64) -> Result<i64, Errno> {
        let raw: [u8; 24] = self.memory.read_guest(arg)?;
        self.check_domid(u16_at(&raw, 0))?;
        let (space, index, pfn) = (u32_at(&raw, 4), u64_at(&raw, 8), u64_at(&raw, 16));
        let page = match space {
            XENMAPSPACE_SHARED_INFO if index == 0 => &mut self.shared_info,
            XENMAPSPACE_SHARED_INFO => return Err(EINVAL),
            XENMAPSPACE_GRANT_TABLE => self.grants.frame_for_placing(index).ok_or(EINVAL)?,
            _ => return Err(ENOSYS),
        };
        if page.place(&self.memory, pfn) {
            Ok(0)
        } else {
            Err(EINVAL)
        }
    }

    fn remove_from_physmap(&mut self, arg: u64) -> Result<i64, Errno> {
        let raw: [u8; 16] = self.memory.read_guest(arg)?;
        self.check_domid(u16_at(&raw, 0))?;
        let pfn = u64_at(&raw, 8);
        if self.shared_info.pfn() == Some(pfn) {
            self.shared_info.unplace();
            return Ok(0);
        }
        let frame = self.grants.placed_at(pfn).ok_or(abi::ENOENT)?;
        frame.unplace();
        Ok(0)
    }

    /// Decrease or populate: returns the number of extents done, as Xen does.
    fn reservation(&mut self, arg: u64, decrease: bool) -> Result<i64, Errno> {
        let raw: [u8; 32] = self.memory.read_guest(arg)?;
        self.check_domid(u16_at(&raw, 24))?;
        let (list, count, order) = (u64_at(&raw, 0), u64_at(&raw, 8), u32_at(&raw, 16));
        if order > 18 || count > 1 << 20 {
            return Err(EINVAL);
        }
        let mut done = 0;
        for i in 0..count {
            let first = self
                .memory
                .read_guest(list.wrapping_add(i * 8))
                .map(u64::from_le_bytes);
            let Ok(first) = first else {
                return if done == 0 { Err(EFAULT) } else { Ok(done) };
            };
            for pfn in first..first.saturating_add(1 << order) {
                let changed = if decrease {
                    self.memory.frame(pfn).is_some() && self.removed_frames.insert(pfn)
                } else {
                    self.removed_frames.remove(&pfn)
                };
                if !changed {
                    return Ok(done);
                }
                if decrease && self.grants.is_mapped_frame(pfn) {
                    self.violations
                        .push(crate::Violation::MappedFrameFreed { pfn });
                }
            }
            done += 1;
        }
        Ok(done)
    }
}
