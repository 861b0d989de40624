//! The NDIS pool of a queue's lists for received frames.
#![allow(
    unsafe_code,
    reason = "allocates and fills NDIS's lists; each block says why it may"
)]

use core::ptr::{self, NonNull};

use ndis::chain::Nbl;
use ndis::object::NdisObject;
use ndis::{NdisVersion, Status};
use ndis_sys as sys;
use ndis_sys::NDIS_HANDLE;
use nt::sys::MDL;

use crate::TAG;
use crate::adapter::NdisHandle;

/// A pool of lists with one frame each. Freed when dropped; all its lists are back then.
#[derive(Debug)]
pub(crate) struct ListPool(NDIS_HANDLE);

// SAFETY: NDIS lets any thread use a pool.
unsafe impl Send for ListPool {}

impl ListPool {
    /// A pool for the adapter.
    pub(crate) fn try_new(adapter: NdisHandle, version: NdisVersion) -> Result<Self, Status> {
        let mut parameters = sys::NET_BUFFER_LIST_POOL_PARAMETERS::new(version);
        parameters.ProtocolId = sys::NDIS_PROTOCOL_ID_DEFAULT;
        parameters.fAllocateNetBuffer = 1;
        parameters.PoolTag = TAG.into_raw();
        // SAFETY: the handle is the adapter's; NDIS copies the parameters.
        let pool =
            unsafe { sys::NdisAllocateNetBufferListPool(adapter.get(), &raw const parameters) };
        if pool.is_null() {
            Err(Status::RESOURCES)
        } else {
            Ok(Self(pool))
        }
    }

    /// A list with one frame that has no bytes yet.
    pub(crate) fn allocate(&self) -> Option<Nbl> {
        // SAFETY: the pool is live; no context and no MDL are asked for.
        let list = unsafe {
            sys::NdisAllocateNetBufferAndNetBufferList(self.0, 0, 0, ptr::null_mut(), 0, 0)
        };
        // SAFETY: not null, it is a list that nobody else has.
        NonNull::new(list).map(|list| unsafe { Nbl::from_raw(list) })
    }

    /// Frees a list of a pool.
    pub(crate) fn free(mut list: Nbl) {
        describe(&mut list, ptr::null_mut(), 0, 0);
        // SAFETY: the list came from `allocate` and is given up.
        unsafe { sys::NdisFreeNetBufferList(list.into_raw().as_ptr()) };
    }
}

impl Drop for ListPool {
    fn drop(&mut self) {
        // SAFETY: made in `try_new`; its lists were freed before.
        unsafe { sys::NdisFreeNetBufferListPool(self.0) };
    }
}

/// Makes the frame of a list of ours `length` bytes from `offset` on in the chain at `chain`,
/// whose first MDL holds more than `offset` bytes.
pub(crate) fn describe(list: &mut Nbl, chain: *mut MDL, offset: u32, length: u32) {
    let Some(frame) = NonNull::new(list.raw().FirstNetBuffer) else {
        return;
    };
    // SAFETY: the list is owned, and so is its frame; the list is borrowed exclusively.
    let frame = unsafe { &mut *frame.as_ptr() };
    frame.MdlChain = chain;
    frame.CurrentMdl = chain;
    frame.DataOffset = offset;
    frame.CurrentMdlOffset = offset;
    frame.stDataLength = length as usize;
}
