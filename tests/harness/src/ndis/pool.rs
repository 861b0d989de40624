//! Pools of `NET_BUFFER_LIST`s and `NET_BUFFER`s. Every list and every buffer is a block of its own, so that what
//! was freed is inaccessible at once.

use alloc::format;
use alloc::vec::Vec;
use ndis_sys::{
    self as sys, NDIS_STATUS, NET_BUFFER as Buffer, NET_BUFFER_LIST as List,
    NET_BUFFER_LIST_CONTEXT as Context, NET_BUFFER_LIST_POOL_PARAMETERS as ListParameters,
    NET_BUFFER_POOL_PARAMETERS as BufferParameters,
};
use wdk_sys::MDL;

use super::adapter;
use super::contract::{FREE, POOL};
use super::object::{Kind, Object};
use super::{handle, header, mdl};
use crate::export::{Module, exports, told_to_fail};
use crate::field;
use crate::host::context::kernel;
use crate::rules;

exports! { Module::Ndis;
    NdisAllocateNetBufferListPool = allocate_list_pool, 0..=2, fallible;
    NdisFreeNetBufferListPool = free_list_pool, 0..=2;
    NdisAllocateNetBufferPool = allocate_buffer_pool, 0..=2, fallible;
    NdisFreeNetBufferPool = free_buffer_pool, 0..=2;
    NdisAllocateNetBufferList = allocate_list, 0..=2, fallible;
    NdisAllocateNetBufferAndNetBufferList = allocate_both, 0..=2, fallible;
    NdisFreeNetBufferList = free_list, 0..=2;
    NdisAllocateNetBuffer = allocate_buffer, 0..=2, fallible;
    NdisFreeNetBuffer = free_buffer, 0..=2;
    NdisAllocateNetBufferListContext = allocate_context, 0..=2, fallible;
    NdisFreeNetBufferListContext = free_context, 0..=2;
}

/// Bytes before a context's data.
const CONTEXT: usize = size_of::<Context>();
/// A pool's `Object::size`: bytes of context, and this bit if each list comes with a buffer.
const WITH_BUFFER: usize = 1 << 32;
/// This one if the pool has data buffers of its own.
const WITH_DATA: usize = 1 << 33;

fn expect_size(size: u16, what: &str) {
    if !usize::from(size).is_multiple_of(sys::MEMORY_ALLOCATION_ALIGNMENT) {
        rules::violate(
            &POOL,
            format!("{what}: context size {size} is no multiple of 16"),
        );
    }
}

extern "win64" fn allocate_list_pool(owner: usize, parameters: *const ListParameters) -> usize {
    let fail = told_to_fail();
    if owner != 0 {
        adapter::expect_handle(owner, "NdisAllocateNetBufferListPool");
    }
    if !header::LIST_POOL.accept(parameters as usize, kernel().ndis.minor()) {
        return 0;
    }
    let context = field!(parameters, ListParameters, ContextSize).load();
    expect_size(context, "NdisAllocateNetBufferListPool");
    if field!(parameters, ListParameters, PoolTag).load() == 0 {
        rules::violate(&POOL, "NdisAllocateNetBufferListPool without a tag");
    }
    let with_buffer = field!(parameters, ListParameters, fAllocateNetBuffer).load() != 0;
    let with_data = field!(parameters, ListParameters, DataSize).load() != 0;
    if with_data && !with_buffer {
        rules::violate(&POOL, "a pool with DataSize and without fAllocateNetBuffer");
    }
    if fail {
        return 0;
    }
    let flags = usize::from(with_buffer) * WITH_BUFFER + usize::from(with_data) * WITH_DATA;
    let pool = handle::fresh();
    kernel()
        .ndis
        .objects
        .add(pool, Kind::ListPool, owner, 0, usize::from(context) | flags);
    pool
}

extern "win64" fn allocate_buffer_pool(owner: usize, parameters: *const BufferParameters) -> usize {
    let fail = told_to_fail();
    if owner != 0 {
        adapter::expect_handle(owner, "NdisAllocateNetBufferPool");
    }
    if !header::BUFFER_POOL.accept(parameters as usize, kernel().ndis.minor()) {
        return 0;
    }
    if field!(parameters, BufferParameters, PoolTag).load() == 0 {
        rules::violate(&POOL, "NdisAllocateNetBufferPool without a tag");
    }
    if fail {
        return 0;
    }
    let pool = handle::fresh();
    kernel()
        .ndis
        .objects
        .add(pool, Kind::BufferPool, owner, 0, 0);
    pool
}

fn free_pool(pool: usize, kind: Kind) {
    let objects = &kernel().ndis.objects;
    if objects.get(pool, kind).is_none() {
        rules::violate(&FREE, format!("{pool:#x} is no live {kind:?}"));
        return;
    }
    let left = objects.children(pool);
    if left != 0 {
        rules::violate(
            &POOL,
            format!("{kind:?} freed with {left} objects of it in use"),
        );
    }
    objects.remove(pool, kind);
}

extern "win64" fn free_list_pool(pool: usize) {
    free_pool(pool, Kind::ListPool);
}

extern "win64" fn free_buffer_pool(pool: usize) {
    free_pool(pool, Kind::BufferPool);
}

fn pool_of(pool: usize, kind: Kind) -> Object {
    kernel().ndis.objects.get(pool, kind).unwrap_or_else(|| {
        rules::die(&POOL, format!("{pool:#x} is no live {kind:?}"));
    })
}

/// Makes a list with its context and registers it.
fn new_list(pool: usize, owner: usize, context: u16, back_fill: u16) -> usize {
    let kernel = kernel();
    let at = kernel.pool.allocate_own(size_of::<List>());
    let raw = at as *mut List;
    field!(raw, List, NdisPoolHandle)
        .cast::<usize>()
        .store(pool);
    kernel.ndis.objects.add(at, Kind::List, owner, pool, 0);
    let base = pool_of(pool, Kind::ListPool).size & 0xFFFF;
    let own = base + usize::from(context) + usize::from(back_fill);
    if own != 0 {
        add_context(at, own, usize::from(back_fill), owner);
    }
    at
}

/// Puts a context in front of a list's contexts.
fn add_context(list: usize, size: usize, offset: usize, owner: usize) {
    let kernel = kernel();
    let at = kernel.pool.allocate_own(CONTEXT + size);
    let raw = at as *mut Context;
    let head = field!(list as *mut List, List, Context);
    field!(raw, Context, Next).store(head.load());
    field!(raw, Context, Size).store(u16::try_from(size).unwrap_or(u16::MAX));
    field!(raw, Context, Offset).store(u16::try_from(offset).unwrap_or(u16::MAX));
    head.store(raw);
    kernel
        .ndis
        .objects
        .add(at, Kind::Context, owner, list, size);
}

extern "win64" fn allocate_list(pool: usize, context: u16, back_fill: u16) -> usize {
    let fail = told_to_fail();
    let parent = pool_of(pool, Kind::ListPool);
    expect_size(context, "NdisAllocateNetBufferList");
    expect_size(back_fill, "NdisAllocateNetBufferList, back fill");
    if fail {
        return 0;
    }
    new_list(pool, parent.owner, context, back_fill)
}

/// Makes a buffer over an MDL chain.
fn new_buffer(
    pool: usize,
    owner: usize,
    parent: usize,
    chain: usize,
    offset: u32,
    len: usize,
) -> usize {
    let kernel = kernel();
    let at = kernel.pool.allocate_own(size_of::<Buffer>());
    let raw = at as *mut Buffer;
    field!(raw, Buffer, NdisPoolHandle)
        .cast::<usize>()
        .store(pool);
    field!(raw, Buffer, MdlChain).store(chain as *mut MDL);
    field!(raw, Buffer, DataOffset).store(offset);
    field!(raw, Buffer, stDataLength).store(len);
    let (current, skip) = locate(chain, offset as usize);
    field!(raw, Buffer, CurrentMdl).store(current as *mut MDL);
    field!(raw, Buffer, CurrentMdlOffset).store(u32::try_from(skip).unwrap_or(0));
    kernel.ndis.objects.add(at, Kind::Buffer, owner, parent, 0);
    at
}

/// The MDL of a chain that holds byte `offset`, and how far into it that is.
pub(crate) fn locate(chain: usize, offset: usize) -> (usize, usize) {
    let (mut at, mut skip) = (chain, offset);
    while at != 0 {
        let piece = mdl::piece(at);
        if skip < piece.len || piece.next == 0 {
            break;
        }
        skip -= piece.len;
        at = piece.next;
    }
    (at, skip)
}

extern "win64" fn allocate_both(
    pool: usize,
    context: u16,
    back_fill: u16,
    chain: usize,
    offset: u32,
    len: usize,
) -> usize {
    let fail = told_to_fail();
    let parent = pool_of(pool, Kind::ListPool);
    if parent.size & WITH_BUFFER == 0 || parent.size & WITH_DATA != 0 {
        rules::violate(
            &POOL,
            "NdisAllocateNetBufferAndNetBufferList needs a pool with fAllocateNetBuffer and DataSize 0",
        );
        return 0;
    }
    expect_size(context, "NdisAllocateNetBufferAndNetBufferList");
    if fail {
        return 0;
    }
    let list = new_list(pool, parent.owner, context, back_fill);
    // The buffer belongs to the list, and is freed with it.
    let buffer = new_buffer(pool, parent.owner, list, chain, offset, len);
    field!(list as *mut List, List, FirstNetBuffer).store(buffer as *mut Buffer);
    list
}

extern "win64" fn free_list(at: usize) {
    let kernel = kernel();
    let Some(list) = kernel.ndis.objects.get(at, Kind::List) else {
        let block = kernel.pool.describe(at).unwrap_or_default();
        rules::violate(
            &FREE,
            format!("NdisFreeNetBufferList: {at:#x} is no live list{block}"),
        );
        return;
    };
    if kernel
        .ndis
        .adapter(list.owner)
        .is_some_and(|adapter| adapter.receives.holds(at))
    {
        rules::violate(&FREE, format!("list {at:#x} freed while it is indicated"));
        return;
    }
    let raw = at as *mut List;
    let mut contexts = Vec::new();
    let mut context = field!(raw, List, Context).load();
    while !context.is_null() && contexts.len() < 64 {
        contexts.push(context as usize);
        context = field!(context, Context, Next).load();
    }
    // One context is the list's own; one that was added later must be freed first.
    let pool = kernel
        .ndis
        .objects
        .get(list.parent, Kind::ListPool)
        .map_or(0, |pool| pool.size & 0xFFFF);
    if contexts.len() > usize::from(pool != 0).max(1) {
        rules::violate(
            &POOL,
            format!("list {at:#x} freed before the contexts added to it"),
        );
    }
    for context in contexts {
        if kernel.ndis.objects.remove(context, Kind::Context).is_some() {
            kernel.pool.free(context, None);
        }
    }
    let buffer = field!(raw, List, FirstNetBuffer).load() as usize;
    if kernel
        .ndis
        .objects
        .get(buffer, Kind::Buffer)
        .is_some_and(|buffer| buffer.parent == at)
    {
        kernel.ndis.objects.remove(buffer, Kind::Buffer);
        kernel.pool.free(buffer, None);
    } else if kernel.ndis.objects.children(at) != 0 {
        rules::violate(
            &POOL,
            format!("list {at:#x} freed without the buffer it was allocated with"),
        );
    }
    kernel.ndis.objects.remove(at, Kind::List);
    kernel.pool.free(at, None);
}

extern "win64" fn allocate_buffer(pool: usize, chain: usize, offset: u32, len: usize) -> usize {
    let fail = told_to_fail();
    let parent = pool_of(pool, Kind::BufferPool);
    if fail {
        return 0;
    }
    new_buffer(pool, parent.owner, pool, chain, offset, len)
}

extern "win64" fn free_buffer(at: usize) {
    let kernel = kernel();
    let found = kernel.ndis.objects.get(at, Kind::Buffer);
    let own = found.is_some_and(|buffer| {
        kernel
            .ndis
            .objects
            .get(buffer.parent, Kind::BufferPool)
            .is_some()
    });
    if !own {
        rules::violate(
            &FREE,
            format!("NdisFreeNetBuffer: {at:#x} is no live buffer of a buffer pool"),
        );
        return;
    }
    kernel.ndis.objects.remove(at, Kind::Buffer);
    kernel.pool.free(at, None);
}

extern "win64" fn allocate_context(
    list: usize,
    size: u16,
    back_fill: u16,
    tag: u32,
) -> NDIS_STATUS {
    let fail = told_to_fail();
    let kernel = kernel();
    let Some(found) = kernel.ndis.objects.get(list, Kind::List) else {
        rules::violate(
            &FREE,
            format!("NdisAllocateNetBufferListContext: {list:#x} is no live list"),
        );
        return sys::NDIS_STATUS_FAILURE;
    };
    expect_size(size, "NdisAllocateNetBufferListContext");
    if tag == 0 {
        rules::violate(&POOL, "NdisAllocateNetBufferListContext without a tag");
    }
    if fail {
        return sys::NDIS_STATUS_RESOURCES;
    }
    let whole = usize::from(size) + usize::from(back_fill);
    add_context(list, whole, usize::from(back_fill), found.owner);
    sys::NDIS_STATUS_SUCCESS
}

extern "win64" fn free_context(list: usize, size: u16) {
    let kernel = kernel();
    let head = field!(list as *mut List, List, Context);
    let at = head.load();
    let whole = kernel
        .ndis
        .objects
        .get(at as usize, Kind::Context)
        .map(|context| context.size);
    if whole.is_none_or(|whole| whole < usize::from(size)) {
        rules::violate(
            &FREE,
            format!("NdisFreeNetBufferListContext: list {list:#x} has no context of {size}"),
        );
        return;
    }
    head.store(field!(at, Context, Next).load());
    kernel.ndis.objects.remove(at as usize, Kind::Context);
    kernel.pool.free(at as usize, None);
}
