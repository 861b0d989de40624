//! Lists of devices, as answers to `QUERY_DEVICE_RELATIONS`.
#![allow(
    unsafe_code,
    reason = "reads and builds DEVICE_RELATIONS; each block states its reason"
)]

use core::alloc::Layout;
use core::mem::offset_of;
use core::ptr::NonNull;

use nt::device::DeviceRef;
use nt::irp::Irp;
use nt::irql::Passive;
use nt::pool::paged;
use nt::status::{Result, Status};
use wdk_sys::{DEVICE_OBJECT, DEVICE_RELATIONS};

use crate::TAG;

/// Bytes before the first device.
const HEADER: usize = offset_of!(DEVICE_RELATIONS, Objects);

/// Answers with `devices`, each of which has a reference taken for the answer, behind those that a
/// driver above has put there. The status is left to the caller.
pub(crate) fn answer(irp: &mut Irp, devices: &[DeviceRef], irql: &Passive<'_>) -> Result<()> {
    let before = existing(irp);
    let before_count = before.map_or(0, |(_, objects)| objects.len());
    let count = before_count
        .checked_add(devices.len())
        .ok_or(Status::INSUFFICIENT_RESOURCES)?;
    let list = allocate(count, irql)?;
    let known = before.map_or(&[][..], |(_, objects)| objects);
    let raw = devices.iter().map(|device| device.as_ptr());
    let mut place = object_place(list);
    for object in known.iter().copied().chain(raw) {
        // SAFETY: the list has room for `count` devices, and this writes as many.
        unsafe { place.write(object) };
        // SAFETY: as above; at most one past the end.
        place = unsafe { place.add(1) };
    }
    let head = list.cast::<u32>();
    // SAFETY: the list begins with the number of its devices.
    unsafe { head.write(u32::try_from(count).unwrap_or(u32::MAX)) };
    irp.set_information(list.as_ptr().expose_provenance());
    if let Some((old, _)) = before {
        // SAFETY: left in the request by a driver above, replaced, and so ours to free. The
        // references went over to the new list.
        unsafe { paged::free_foreign(old, irql) };
    }
    Ok(())
}

/// The list that a driver above has left in the request.
fn existing<'a>(irp: &Irp) -> Option<(NonNull<u8>, &'a [*mut DEVICE_OBJECT])> {
    let list = core::ptr::with_exposed_provenance_mut::<u8>(irp.information());
    let list = NonNull::new(list)?;
    // SAFETY: the information of this request is null or a list, which begins with its count.
    let count = unsafe { list.cast::<u32>().read() };
    let objects =
        NonNull::slice_from_raw_parts(object_place(list), usize::try_from(count).unwrap_or(0));
    // SAFETY: the devices follow; nobody changes the list while we have the request.
    Some((list, unsafe { objects.as_ref() }))
}

fn allocate(count: usize, irql: &Passive<'_>) -> Result<NonNull<u8>> {
    let bytes = count
        .checked_mul(size_of::<*mut DEVICE_OBJECT>())
        .and_then(|bytes| bytes.checked_add(HEADER))
        .map(|bytes| bytes.max(size_of::<DEVICE_RELATIONS>()))
        .and_then(|bytes| Layout::from_size_align(bytes, 8).ok())
        .ok_or(Status::INSUFFICIENT_RESOURCES)?;
    Ok(paged::zeroed(bytes, TAG, irql)?)
}

/// Where the devices of a list begin.
fn object_place(list: NonNull<u8>) -> NonNull<*mut DEVICE_OBJECT> {
    // SAFETY: every list is at least this long.
    unsafe { list.add(HEADER) }.cast()
}
