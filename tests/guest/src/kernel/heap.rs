//! The kernel's heap, and what memory is left for the drivers.

use guest::memory_map::{self, Span};
use talc::{TalcLock, source::Manual};
use xen_abi::pvh::MemmapEntry;

use super::start_info::Info;

#[global_allocator]
static HEAP: TalcLock<spin::Mutex<()>, Manual> = TalcLock::new(Manual);

/// Bytes of the first heap, in the image: enough to look at the memory map.
const FIRST: usize = 256 * 1024;
/// Share of the free memory that the heap gets, in percent; the drivers have the rest.
const SHARE: u64 = 40;
/// Bytes of the platform device's memory.
pub(crate) const HOLE: u64 = 16 << 20;

#[repr(align(4096))]
struct First(core::cell::UnsafeCell<[u8; FIRST]>);
// SAFETY: only the heap uses it.
unsafe impl Sync for First {}
static FIRST_HEAP: First = First(core::cell::UnsafeCell::new([0; FIRST]));

/// What the machine's memory is used for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Memory {
    /// Frames of the drivers' side.
    pub drivers: Span,
    /// Addresses without memory, for the platform device.
    pub hole: Span,
}

fn claim(start: usize, len: usize) {
    let at = core::ptr::with_exposed_provenance_mut::<u8>(start);
    // SAFETY: the callers name memory that is mapped, writable and nobody's.
    let heap = unsafe { HEAP.lock().claim(at, len) };
    assert!(heap.is_some(), "the memory is too small for a heap");
}

/// Gives the heap its first memory. Before it, nothing can be allocated.
pub(crate) fn set_up_first() {
    claim(FIRST_HEAP.0.get().expose_provenance(), FIRST);
}

/// Gives the heap its share of the memory.
pub(crate) fn set_up(info: &Info) -> Memory {
    let map: &[MemmapEntry] = &info.memory_map;
    let free = memory_map::largest_free(map, &info.taken()).expect("free memory");
    let cut = free.start + (free.len() * SHARE / 100).next_multiple_of(2 << 20);
    assert!(cut < free.end, "too little memory");
    claim(free.start as usize, (cut - free.start) as usize);
    Memory {
        drivers: Span {
            start: cut,
            end: free.end,
        },
        hole: memory_map::hole(map, HOLE, 0xF000_0000).expect("addresses without memory"),
    }
}
