//! What Xen says at the start: memory, command line, modules.

use alloc::string::String;
use alloc::vec::Vec;

use xen_abi::pvh::{MemmapEntry, ModlistEntry, START_MAGIC, StartInfo};

use guest::memory_map::{self, Span};

/// The start information, copied: page 0, where it may be, is not mapped later.
#[derive(Debug)]
pub(crate) struct Info {
    pub(crate) memory_map: Vec<MemmapEntry>,
    pub(crate) command_line: String,
    modules: Vec<ModlistEntry>,
}

/// `count` values at a physical address.
fn copy<T: Copy>(at: u64, count: u32) -> Vec<T> {
    if at == 0 {
        return Vec::new();
    }
    let first = core::ptr::with_exposed_provenance::<T>(at as usize);
    (0..count as usize)
        // SAFETY: Xen's contract: an array of plain data that long at this physical address, which is mapped to itself.
        .map(|index| unsafe { first.wrapping_add(index).read() })
        .collect()
}

/// Reads the start information at a physical address; by the boot page tables.
pub(crate) fn read(at: u64) -> Info {
    let start = copy::<StartInfo>(at, 1)[0];
    assert!(
        start.magic == START_MAGIC && start.version >= 1,
        "not started by the PVH protocol: {start:?}"
    );
    let mut command_line = String::new();
    if start.cmdline_paddr != 0 {
        let at = core::ptr::with_exposed_provenance(start.cmdline_paddr as usize);
        // SAFETY: Xen's contract: a NUL-terminated string at this address, mapped to itself.
        let text = unsafe { core::ffi::CStr::from_ptr(at) };
        command_line = text.to_string_lossy().into_owned();
    }
    Info {
        memory_map: copy(start.memmap_paddr, start.memmap_entries),
        command_line,
        modules: copy(start.modlist_paddr, start.nr_modules),
    }
}

impl Info {
    /// The first module's bytes.
    pub(crate) fn module(&self) -> Option<&'static [u8]> {
        let module = self.modules.first()?;
        let at = core::ptr::with_exposed_provenance::<u8>(module.paddr as usize);
        // SAFETY: Xen's contract; `taken` keeps it out of the heap, and nobody writes to it.
        Some(unsafe { core::slice::from_raw_parts(at, module.size as usize) })
    }

    pub(crate) fn ram_end(&self) -> u64 {
        memory_map::ram_end(&self.memory_map)
    }

    /// Memory that stays in use: the low MiB, the kernel, the module.
    pub(crate) fn taken(&self) -> Vec<Span> {
        let mut taken = alloc::vec![Span {
            start: 0,
            end: super::paging::image().end
        }];
        taken.extend(self.modules.iter().map(|module| Span {
            start: module.paddr,
            end: module.paddr.saturating_add(module.size),
        }));
        taken
    }
}
