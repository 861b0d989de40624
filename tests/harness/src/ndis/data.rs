//! Moving about in the data of a `NET_BUFFER`.

use alloc::format;
use ndis_sys::{self as sys, NDIS_STATUS, NET_BUFFER as Buffer};
use wdk_sys::MDL;

use super::contract::DATA;
use super::pool::locate;
use super::{mdl, nt};
use crate::export::{Module, exports, told_to_fail};
use crate::field;
use crate::mem::guest::write_bytes;
use crate::rules;

exports! { Module::Ndis;
    NdisGetDataBuffer = get, 0..=2, fallible;
    NdisAdvanceNetBufferDataStart = advance, 0..=2;
    NdisRetreatNetBufferDataStart = retreat, 0..=2, fallible;
}

fn length(buffer: *mut Buffer) -> usize {
    field!(buffer, Buffer, stDataLength).cast::<u32>().load() as usize
}

/// Kernel address of an MDL's bytes; maps it if it is not mapped. 0 if that fails.
fn system_address(at: usize) -> usize {
    let piece = mdl::piece(at);
    if piece.address != 0 {
        return piece.address;
    }
    // KernelMode, MmCached, NormalPagePriority | MdlMappingNoExecute.
    nt::call(
        "MmMapLockedPagesSpecifyCache",
        &[at, 0, 1, 0, 0, 0x4000_0010],
    )
}

extern "win64" fn get(
    buffer: *mut Buffer,
    needed: u32,
    storage: usize,
    multiple: u32,
    offset: u32,
) -> usize {
    let fail = told_to_fail();
    let needed = needed as usize;
    if multiple == 0 || !multiple.is_power_of_two() || offset >= multiple {
        rules::violate(
            &DATA,
            format!("NdisGetDataBuffer: alignment {multiple}, offset {offset}"),
        );
    }
    if needed == 0 || needed > length(buffer) || fail {
        return 0;
    }
    let current = field!(buffer, Buffer, CurrentMdl).load() as usize;
    let skip = field!(buffer, Buffer, CurrentMdlOffset).load() as usize;
    let base = system_address(current);
    if base == 0 {
        return 0;
    }
    let address = base + skip;
    let aligned = address % multiple.max(1) as usize == offset as usize;
    if mdl::piece(current).len >= skip + needed && aligned {
        return address;
    }
    let Some(bytes) = mdl::read_chain(current, skip, needed) else {
        rules::violate(
            &DATA,
            format!("NdisGetDataBuffer: the MDL chain holds less than {needed} bytes"),
        );
        return 0;
    };
    if storage != 0 {
        write_bytes(storage, &bytes);
    }
    storage
}

fn place(buffer: *mut Buffer, offset: usize, len: usize) {
    let chain = field!(buffer, Buffer, MdlChain).load() as usize;
    let (current, skip) = locate(chain, offset);
    field!(buffer, Buffer, DataOffset).store(u32::try_from(offset).unwrap_or(0));
    field!(buffer, Buffer, CurrentMdl).store(current as *mut MDL);
    field!(buffer, Buffer, CurrentMdlOffset).store(u32::try_from(skip).unwrap_or(0));
    field!(buffer, Buffer, stDataLength)
        .cast::<u32>()
        .store(u32::try_from(len).unwrap_or(0));
}

/// MDLs that the frame no longer needs stay in the chain.
extern "win64" fn advance(buffer: *mut Buffer, delta: u32, _free_mdl: u8, _handler: usize) {
    let len = length(buffer);
    if delta as usize > len {
        rules::violate(&DATA, format!("advanced by {delta} of {len} bytes"));
        return;
    }
    let offset = field!(buffer, Buffer, DataOffset).load() as usize + delta as usize;
    place(buffer, offset, len - delta as usize);
}

/// Only into space that the chain has: asking for more is answered as when memory is short.
extern "win64" fn retreat(
    buffer: *mut Buffer,
    delta: u32,
    _back_fill: u32,
    _handler: usize,
) -> NDIS_STATUS {
    let fail = told_to_fail();
    let offset = field!(buffer, Buffer, DataOffset).load() as usize;
    if fail || offset < delta as usize {
        return sys::NDIS_STATUS_RESOURCES;
    }
    place(
        buffer,
        offset - delta as usize,
        length(buffer) + delta as usize,
    );
    sys::NDIS_STATUS_SUCCESS
}
