//! Memory descriptor lists: those NDIS makes for drivers, those it makes for sends, and reading through any.

use alloc::format;
use alloc::vec;
use alloc::vec::Vec;
use wdk_sys::MDL;

use super::adapter;
use super::contract::FREE;
use super::object::Kind;
use crate::export::{Module, exports, told_to_fail};
use crate::field;
use crate::host::context::kernel;
use crate::host::memory::PAGE;
use crate::mem::guest::{Guest, read_bytes};
use crate::rules;

exports! { Module::Ndis;
    NdisAllocateMdl = allocate, 0..=2, fallible;
    NdisFreeMdl = free, 0..=2;
}

pub(crate) const MAPPED: i16 = 0x1;
pub(crate) const LOCKED: i16 = 0x2;
pub(crate) const NONPAGED: i16 = 0x4;

/// Bytes of an MDL that describes `len` bytes at `address`.
pub(crate) fn bytes_for(address: usize, len: usize) -> usize {
    size_of::<MDL>() + (address % PAGE + len).div_ceil(PAGE) * 8
}

/// Fills the MDL at `at` so that it describes `len` bytes at `address`, which are in memory.
pub(crate) fn describe(at: usize, address: usize, len: usize, flags: i16) {
    let mdl = at as *mut MDL;
    field!(mdl, MDL, Next).store(core::ptr::null_mut());
    field!(mdl, MDL, Size).store(i16::try_from(bytes_for(address, len)).unwrap_or(i16::MAX));
    field!(mdl, MDL, MdlFlags).store(flags);
    field!(mdl, MDL, StartVa)
        .cast::<usize>()
        .store(address & !(PAGE - 1));
    field!(mdl, MDL, ByteOffset).store(u32::try_from(address % PAGE).unwrap_or(0));
    field!(mdl, MDL, ByteCount).store(u32::try_from(len).unwrap_or(u32::MAX));
    let mapped = if flags & NONPAGED != 0 { address } else { 0 };
    field!(mdl, MDL, MappedSystemVa)
        .cast::<usize>()
        .store(mapped);
    let first = address & !(PAGE - 1);
    for index in 0..(address % PAGE + len).div_ceil(PAGE) {
        let physical = kernel().space.physical(first + index * PAGE).unwrap_or(0);
        Guest::<u64>::new(at + size_of::<MDL>())
            .index(index)
            .store(physical / PAGE as u64);
    }
}

/// One MDL of a chain.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Piece {
    pub(crate) at: usize,
    pub(crate) next: usize,
    pub(crate) len: usize,
    /// Where its bytes can be read, 0 if they are not mapped.
    pub(crate) address: usize,
}

/// Reads the fields of an MDL.
pub(crate) fn piece(at: usize) -> Piece {
    let mdl = at as *mut MDL;
    let flags = field!(mdl, MDL, MdlFlags).load();
    let mapped = flags & (MAPPED | NONPAGED) != 0;
    let address = field!(mdl, MDL, MappedSystemVa).cast::<usize>().load();
    Piece {
        at,
        next: field!(mdl, MDL, Next).load() as usize,
        len: field!(mdl, MDL, ByteCount).load() as usize,
        address: if mapped { address } else { 0 },
    }
}

impl Piece {
    /// Copies bytes from `offset` on, through the mapping or else through the frames.
    fn read(&self, offset: usize, out: &mut [u8]) {
        if self.address != 0 {
            read_bytes(self.address + offset, out);
            return;
        }
        let kernel = kernel();
        let first = field!(self.at as *mut MDL, MDL, ByteOffset).load() as usize;
        let mut done = 0;
        while done < out.len() {
            let at = first + offset + done;
            let run = (PAGE - at % PAGE).min(out.len() - done);
            let pfn = Guest::<u64>::new(self.at + size_of::<MDL>())
                .index(at / PAGE)
                .load();
            let physical = pfn * PAGE as u64 + (at % PAGE) as u64;
            if kernel
                .space
                .ram()
                .read(physical, &mut out[done..done + run])
                .is_none()
            {
                return;
            }
            done += run;
        }
    }
}

/// Longest chain that is followed: more is a loop.
const CHAIN: usize = 4096;

/// Copies `len` bytes that begin `offset` bytes into the MDL at `first`. `None` if the chain is too short.
pub(crate) fn read_chain(first: usize, offset: usize, len: usize) -> Option<Vec<u8>> {
    let mut bytes = vec![0; len];
    let (mut at, mut skip, mut done) = (first, offset, 0);
    for _ in 0..CHAIN {
        if done == len {
            break;
        }
        if at == 0 {
            return None;
        }
        let piece = piece(at);
        let run = piece.len.saturating_sub(skip).min(len - done);
        if run != 0 {
            piece.read(skip, &mut bytes[done..done + run]);
        }
        skip = skip.saturating_sub(piece.len);
        done += run;
        at = piece.next;
    }
    (done == len).then_some(bytes)
}

extern "win64" fn allocate(handle: usize, address: usize, len: u32) -> usize {
    let fail = told_to_fail();
    adapter::expect_handle(handle, "NdisAllocateMdl");
    let kernel = kernel();
    if !kernel.space.allows(address, len as usize, false) {
        crate::driver::bad_pointer(address, len as usize, false);
    }
    if kernel.pool.is_paged(address) {
        rules::violate(&rules::MDL, "NdisAllocateMdl of paged pool");
    }
    if fail {
        return 0;
    }
    let at = kernel.pool.allocate_own(bytes_for(address, len as usize));
    describe(at, address, len as usize, NONPAGED);
    kernel
        .ndis
        .objects
        .add(at, Kind::Mdl, handle, 0, len as usize);
    at
}

extern "win64" fn free(at: usize) {
    let kernel = kernel();
    if kernel.ndis.objects.remove(at, Kind::Mdl).is_none() {
        rules::violate(
            &FREE,
            format!("NdisFreeMdl: {at:#x} is no live MDL of NDIS"),
        );
        return;
    }
    kernel.pool.free(at, None);
}
