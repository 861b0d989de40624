//! The kernel address space: which page shows which frame, and what drivers may do with it.

use alloc::vec::Vec;
use core::ops::Range;
use core::sync::atomic::{AtomicU32, Ordering};

use spin::Mutex;

use super::ranges::Ranges;
use crate::host::HostError;
use crate::host::memory::{Access, PAGE, Ram, Window, ZeroTable};

const MAPPED: u32 = 1 << 31;
const WRITABLE: u32 = 1 << 30;
const EXECUTABLE: u32 = 1 << 29;
const FRAME: u32 = (1 << 28) - 1;

/// How the frames of a range follow each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Frames {
    /// Neighbouring pages have neighbouring frames.
    Contiguous,
    /// Neighbouring pages do not, as in a pool of a system that has run for a while: code that takes a
    /// virtually contiguous buffer for a physically contiguous one fails here.
    Scattered,
}

/// Guest-physical frames and the kernel's mapping of them.
#[derive(Debug)]
pub(crate) struct Space {
    ram: Ram,
    window: Window,
    table: ZeroTable,
    pages: Mutex<Ranges>,
    frames: Mutex<Ranges>,
}

impl Space {
    /// `ram` bytes of memory, and above it `hole` bytes that only devices answer for.
    pub(crate) fn new(ram: usize, hole: usize) -> Result<Self, HostError> {
        let window = Window::reserve()?;
        let pages = window.len() / PAGE;
        let ram = Ram::new(ram, hole)?;
        Ok(Self {
            window,
            table: ZeroTable::new(pages)?,
            pages: Mutex::new(Ranges::next_fit(16, pages - 16)),
            frames: Mutex::new(Ranges::first_fit(&ram.free_frames())),
            ram,
        })
    }

    #[cfg(feature = "linux")]
    pub(crate) const fn window(&self) -> &Window {
        &self.window
    }

    pub(crate) const fn ram(&self) -> &Ram {
        &self.ram
    }

    /// First guest-physical address above the memory: where device memory starts.
    pub(crate) fn hole_start(&self) -> u64 {
        self.ram.hole() as u64
    }

    fn page_of(&self, address: usize) -> Option<usize> {
        let offset = address.checked_sub(self.window.base())?;
        (offset < self.window.len()).then_some(offset / PAGE)
    }

    fn entry(&self, page: usize) -> Option<&AtomicU32> {
        self.table.words().get(page)
    }

    fn record(&self, page: usize, pfn: u32, access: Access) {
        let bits = match access {
            Access::None => 0,
            Access::Read => MAPPED,
            Access::ReadWrite => MAPPED | WRITABLE,
            Access::ReadExecute => MAPPED | EXECUTABLE,
        };
        if let Some(entry) = self.entry(page) {
            entry.store(bits | (pfn & FRAME), Ordering::Release);
        }
    }

    /// Maps `count` fresh pages, followed by an inaccessible one, filled with `fill`.
    pub(crate) fn allocate(
        &self,
        count: usize,
        frames: Frames,
        access: Access,
        fill: u8,
    ) -> Option<usize> {
        let first = self.frames.lock().take(count)?;
        let Some(page) = self.pages.lock().take(count + 1) else {
            self.frames.lock().give(first, count);
            return None;
        };
        self.ram.fill((first * PAGE) as u64, count * PAGE, fill)?;
        let step = match frames {
            Frames::Contiguous => count,
            Frames::Scattered if count <= 64 => 1,
            Frames::Scattered => 16,
        };
        let mut done = 0;
        while done < count {
            let run = step.min(count - done);
            // Scattered: the runs are laid out backwards.
            let at = if frames == Frames::Contiguous {
                first
            } else {
                first + count - done - run
            };
            self.map_run(page + done, at, run, access)?;
            done += run;
        }
        Some(self.window.base() + page * PAGE)
    }

    fn map_run(&self, page: usize, frame: usize, run: usize, access: Access) -> Option<()> {
        let pfn = u32::try_from(frame).ok()?;
        self.window.map(page, &self.ram, pfn, run, access).ok()?;
        for index in 0..run {
            self.record(page + index, pfn + u32::try_from(index).ok()?, access);
        }
        Some(())
    }

    /// Maps existing frames (device memory, or the pages of an MDL) side by side.
    pub(crate) fn map_frames(&self, pfns: &[u32], access: Access) -> Option<usize> {
        let page = self.pages.lock().take(pfns.len() + 1)?;
        for (index, &pfn) in pfns.iter().enumerate() {
            self.map_run(page + index, pfn as usize, 1, access)?;
        }
        Some(self.window.base() + page * PAGE)
    }

    /// Undoes [`Space::map_frames`]: the frames stay with their owner.
    pub(crate) fn unmap_frames(&self, address: usize, count: usize) {
        let Some(page) = self.page_of(address) else {
            return;
        };
        if self.window.unmap(page, count).is_err() {
            return;
        }
        for index in 0..count {
            self.record(page + index, 0, Access::None);
        }
        self.pages.lock().give(page, count + 1);
    }

    /// Undoes [`Space::allocate`].
    pub(crate) fn free(&self, address: usize, count: usize) {
        let Some(page) = self.page_of(address) else {
            return;
        };
        let frames: Vec<usize> = (page..page + count)
            .filter_map(|page| self.frame_of(page))
            .map(|pfn| pfn as usize)
            .collect();
        self.unmap_frames(address, count);
        let mut free = self.frames.lock();
        for frame in frames {
            free.give(frame, 1);
        }
    }

    /// Changes what drivers may do with mapped pages.
    pub(crate) fn protect(&self, address: usize, count: usize, access: Access) -> Option<()> {
        let page = self.page_of(address)?;
        self.window.protect(page, count, access).ok()?;
        for index in page..page + count {
            let pfn = self.frame_of(index)?;
            self.record(index, pfn, access);
        }
        Some(())
    }

    fn frame_of(&self, page: usize) -> Option<u32> {
        let entry = self.entry(page)?.load(Ordering::Acquire);
        (entry & FRAME != 0).then_some(entry & FRAME)
    }

    /// Guest-physical address of a mapped kernel address.
    pub(crate) fn physical(&self, address: usize) -> Option<u64> {
        let pfn = self.frame_of(self.page_of(address)?)?;
        Some(u64::from(pfn) * PAGE as u64 + (address % PAGE) as u64)
    }

    /// Whether a driver may read (and write) all of `address..address + len`.
    pub(crate) fn allows(&self, address: usize, len: usize, write: bool) -> bool {
        let need = if write { MAPPED | WRITABLE } else { MAPPED };
        let Some(last) = address.checked_add(len.max(1) - 1) else {
            return false;
        };
        let (Some(first), Some(last)) = (self.page_of(address), self.page_of(last)) else {
            return false;
        };
        (first..=last).all(|page| {
            self.entry(page)
                .is_some_and(|entry| entry.load(Ordering::Acquire) & need == need)
        })
    }

    /// Whether a driver may execute at `address`.
    pub(crate) fn executable(&self, address: usize) -> bool {
        let need = MAPPED | EXECUTABLE;
        self.page_of(address)
            .and_then(|page| self.entry(page))
            .is_some_and(|entry| entry.load(Ordering::Acquire) & need == need)
    }

    /// Copies out of kernel addresses whatever their protection.
    pub(crate) fn read(&self, address: usize, out: &mut [u8]) -> Option<()> {
        let mut done = 0;
        while done < out.len() {
            let at = address.checked_add(done)?;
            let run = (PAGE - at % PAGE).min(out.len() - done);
            self.ram
                .read(self.physical(at)?, out.get_mut(done..done + run)?)?;
            done += run;
        }
        Some(())
    }

    /// The first address of `range` whose byte is not `byte`, as far as the range is mapped.
    pub(crate) fn other_than(&self, byte: u8, range: Range<usize>) -> Option<usize> {
        const CHUNK: usize = 512;
        let (mut chunk, same) = ([0; CHUNK], [byte; CHUNK]);
        let mut at = range.start;
        while at < range.end {
            let len = CHUNK.min(range.end - at);
            let (chunk, same) = (chunk.get_mut(..len)?, same.get(..len)?);
            self.read(at, chunk)?;
            // All at once: this runs for every block that is freed.
            if chunk != same {
                let position = chunk.iter().position(|other| *other != byte)?;
                return Some(at + position);
            }
            at += len;
        }
        None
    }

    /// Copies into kernel addresses whatever their protection.
    pub(crate) fn write(&self, address: usize, data: &[u8]) -> Option<()> {
        let mut done = 0;
        while done < data.len() {
            let at = address.checked_add(done)?;
            let run = (PAGE - at % PAGE).min(data.len() - done);
            self.ram
                .write(self.physical(at)?, data.get(done..done + run)?)?;
            done += run;
        }
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::{Access, Frames, PAGE, Space};

    #[test]
    fn another_byte_is_found_wherever_it_is() {
        let space = Space::new(16 << 20, 0).expect("memory");
        let at = space
            .allocate(2, Frames::Scattered, Access::ReadWrite, 7)
            .expect("two pages");
        let range = at + 3..at + 2 * PAGE;
        assert_eq!(space.other_than(7, range.clone()), None);
        for offset in [3, 514, 515, PAGE - 1, PAGE, 2 * PAGE - 1] {
            space.write(at + offset, &[8]).expect("mapped");
            assert_eq!(space.other_than(7, range.clone()), Some(at + offset));
            space.write(at + offset, &[7]).expect("mapped");
        }
        space.write(at + 2, &[8]).expect("mapped");
        assert_eq!(space.other_than(7, range), None, "before the range");
        assert_eq!(space.other_than(7, at + 5..at + 5), None);
    }
}
