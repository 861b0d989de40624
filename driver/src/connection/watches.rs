//! Watches of the connection thread.
#![allow(
    unsafe_code,
    reason = "registers callbacks on the adapter; each block says why it may"
)]

use core::ptr;

use interface::Watch;
use nt::irql::Passive;

use crate::adapter::Adapter;
use crate::bus::StoreError;
use crate::callbacks;
use crate::text::Path;

/// A watch that wakes the connection thread. Must be ended.
#[derive(Debug)]
#[must_use = "end it before the adapter goes"]
pub(crate) struct WakeOn(Watch);

// SAFETY: the bus driver lets any thread end a watch.
unsafe impl Send for WakeOn {}

impl WakeOn {
    /// Watches `key` in `folder`.
    ///
    /// # Safety
    /// The adapter outlives the watch.
    pub(crate) unsafe fn new(
        adapter: &Adapter,
        folder: &Path,
        key: &str,
        irql: &Passive<'_>,
    ) -> Result<Self, StoreError> {
        let path = folder.join(&key)?;
        let cookie = ptr::from_ref(adapter).cast_mut().cast();
        // SAFETY: the callback expects an adapter, which lives long enough.
        let watch = unsafe {
            adapter
                .bus()
                .watch_add(path.as_bytes(), callbacks::watch, cookie, irql)
        };
        watch.map(Self)
    }

    /// Ends it.
    pub(crate) fn end(self, adapter: &Adapter, irql: &Passive<'_>) {
        // SAFETY: added in `new`, and given up here.
        unsafe { adapter.bus().watch_remove(self.0, irql) }
    }
}
