//! Paged memory for answers to plug-and-play requests (ids, relations, bus information): the plug-and-play manager
//! frees it with `ExFreePool`.

use core::alloc::Layout;
use core::ptr::NonNull;

use wdk_sys::ntddk;

use super::{OutOfMemory, Tag, layout::Plan};
use crate::imports;
use crate::irql::Passive;

/// `PagedPool` of `POOL_TYPE`.
const PAGED_POOL: i32 = 1;

/// Zeroed paged memory of `layout`, which may ask for no more than the pool's own alignment
/// (16 bytes, or a page from a page's size on): whoever frees it does not know the layout.
///
/// The caller hands it over or frees it with [`free`].
pub fn zeroed(layout: Layout, tag: Tag, _irql: &Passive<'_>) -> Result<NonNull<u8>, OutOfMemory> {
    let Some(Plan::Direct { bytes }) = Plan::of(layout) else {
        return Err(OutOfMemory);
    };
    // SAFETY: the token proves PASSIVE_LEVEL, where paged pool may be allocated.
    let block =
        unsafe { imports::ExAllocatePoolWithTag(PAGED_POOL, bytes.max(1) as u64, tag.into_raw()) };
    let block = NonNull::new(block.cast::<u8>()).ok_or(OutOfMemory)?;
    // SAFETY: the block has at least this size.
    unsafe { block.write_bytes(0, bytes) };
    Ok(block)
}

/// A copy of `items` in paged memory, such as the UTF-16 units of a device id.
pub fn copy_of<T: Copy>(
    items: &[T],
    tag: Tag,
    irql: &Passive<'_>,
) -> Result<NonNull<T>, OutOfMemory> {
    let copy = zeroed(Layout::for_value(items), tag, irql)?.cast::<T>();
    // SAFETY: the new block has the layout of the items.
    unsafe { copy.copy_from_nonoverlapping(NonNull::from(items).cast(), items.len()) };
    Ok(copy)
}

/// Frees paged memory of this driver that was not handed over.
///
/// # Safety
/// `block` came from this module with `tag`
/// and is not used any more.
pub unsafe fn free(block: NonNull<u8>, tag: Tag, _irql: &Passive<'_>) {
    // SAFETY: by the contract the block is ours; the token proves PASSIVE_LEVEL.
    unsafe { ntddk::ExFreePoolWithTag(block.as_ptr().cast(), tag.into_raw()) };
}

/// Frees a block another driver allocated with a tag not known here, such as a list of device
/// relations left in an IRP by a driver above (`ExFreePool` is this call with tag 0).
///
/// # Safety
/// `block` is pool memory handed to this driver to free, and is not used any more.
pub unsafe fn free_foreign(block: NonNull<u8>, _irql: &Passive<'_>) {
    // SAFETY: by the contract the block is ours to free; the token proves PASSIVE_LEVEL.
    unsafe { ntddk::ExFreePoolWithTag(block.as_ptr().cast(), 0) };
}
