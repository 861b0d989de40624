//! Owned chains of `NET_BUFFER_LIST`s.
//!
//! 1. `MiniportSendNetBufferLists` makes an [`NblChain`] of what NDIS passed and wraps it in a
//!    [`SendChain`], which completes with a failure whatever is left in it when dropped.
//! 2. The driver takes lists out, sends them, sets each one's status and gathers them in a chain.
//! 3. After every lock is released the chain goes to the [`CompletionSink`].
//!
//! Received lists go the other way in an [`RxChain`]: lent by [`RxChain::indicate`], they come back
//! in `MiniportReturnNetBufferLists`.

use core::ptr::{self, NonNull};

use ndis_sys as sys;
use ndis_sys::{NDIS_HANDLE, NET_BUFFER, NET_BUFFER_LIST};

use crate::data::NbData;
use crate::status::Status;

/// One list, owned and in no chain. It has no `Drop`: put it in a chain or give it back.
#[derive(Debug)]
#[must_use = "a list that is lost is never completed, and pause hangs"]
pub struct Nbl(NonNull<NET_BUFFER_LIST>);

// SAFETY: a list is owned by one holder at a time, and NDIS lets any processor handle it.
unsafe impl Send for Nbl {}

impl Nbl {
    /// Takes ownership of one list; its `Next` is cut.
    ///
    /// # Safety
    /// `raw` is a valid list that the caller owns and gives up.
    pub unsafe fn from_raw(raw: NonNull<NET_BUFFER_LIST>) -> Self {
        let mut nbl = Self(raw);
        nbl.raw_mut().Next = ptr::null_mut();
        nbl
    }

    /// Gives up ownership.
    pub fn into_raw(self) -> NonNull<NET_BUFFER_LIST> {
        self.0
    }

    /// The raw list.
    pub fn raw(&self) -> &NET_BUFFER_LIST {
        // SAFETY: `from_raw` was promised a valid, owned list.
        unsafe { self.0.as_ref() }
    }

    /// The raw list, writable. Its links belong to this module.
    fn raw_mut(&mut self) -> &mut NET_BUFFER_LIST {
        // SAFETY: as in `raw`, and `self` is borrowed exclusively.
        unsafe { self.0.as_mut() }
    }

    /// Value of an out-of-band slot (`sys::TcpIpChecksumNetBufferListInfo`...); 0 if there is no
    /// such slot.
    pub fn info(&self, slot: sys::NDIS_NET_BUFFER_LIST_INFO) -> u64 {
        let value = usize::try_from(slot)
            .ok()
            .and_then(|i| self.raw().NetBufferListInfo.get(i));
        value.map_or(0, |p| p.addr() as u64)
    }

    /// Sets an out-of-band slot; a slot that does not exist is left alone.
    pub fn set_info(&mut self, slot: sys::NDIS_NET_BUFFER_LIST_INFO, value: u64) {
        #[expect(clippy::cast_possible_truncation, reason = "64-bit host")]
        let value = ptr::without_provenance_mut(value as usize);
        let infos = &mut self.raw_mut().NetBufferListInfo;
        if let Some(entry) = usize::try_from(slot).ok().and_then(|i| infos.get_mut(i)) {
            *entry = value;
        }
    }

    /// Clears every slot, as a received list needs on reuse.
    pub fn clear_info(&mut self) {
        self.raw_mut().NetBufferListInfo = [ptr::null_mut(); _];
    }

    /// RSS hash and its function and types; `None` if no type is set.
    pub fn hash(&self) -> Option<(u32, u32)> {
        #[expect(clippy::cast_possible_truncation, reason = "both are 32 bits wide")]
        let (value, info) = (
            self.info(sys::NetBufferListHashValue) as u32,
            self.info(sys::NetBufferListHashInfo) as u32,
        );
        (info & sys::NDIS_HASH_TYPE_MASK != 0).then_some((value, info))
    }

    /// Sets the hash of a received list. `types` is `NDIS_HASH_*` without the function.
    pub fn set_hash(&mut self, value: u32, types: u32) {
        self.set_info(sys::NetBufferListHashValue, value.into());
        let info = types & sys::NDIS_HASH_TYPE_MASK | sys::NdisHashFunctionToeplitz;
        self.set_info(sys::NetBufferListHashInfo, info.into());
    }

    /// Identifier for `MiniportCancelSend`; 0 if none.
    pub fn cancel_id(&self) -> u64 {
        self.info(sys::NetBufferListCancelId)
    }

    /// Sets the result of a send, or of a received list.
    pub fn set_status(&mut self, status: Status) {
        self.raw_mut().Status = status.0;
    }

    /// Sets who indicates a received list: the adapter handle.
    pub fn set_source(&mut self, adapter: NDIS_HANDLE) {
        self.raw_mut().SourceHandle = adapter;
    }

    /// The driver's two words in the list.
    pub fn reserved(&self) -> [*mut core::ffi::c_void; 2] {
        self.raw().MiniportReserved.0
    }

    /// The driver's two words in the list, to be changed.
    pub fn reserved_mut(&mut self) -> &mut [*mut core::ffi::c_void; 2] {
        &mut self.raw_mut().MiniportReserved.0
    }

    /// The frames in order.
    pub fn frames(&self) -> Frames<'_> {
        // SAFETY: the owner of a list owns its frames; null ends them.
        let next = unsafe { self.raw().FirstNetBuffer.as_ref() };
        Frames { next }
    }
}

/// Iterator over the frames of a list.
#[derive(Clone)]
pub struct Frames<'a> {
    next: Option<&'a NET_BUFFER>,
}

impl core::fmt::Debug for Frames<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Frames")
            .field("more", &self.next.is_some())
            .finish()
    }
}

impl<'a> Iterator for Frames<'a> {
    type Item = NbData<'a>;

    fn next(&mut self) -> Option<Self::Item> {
        let frame = self.next?;
        // SAFETY: frames of an owned list are valid for the borrow of the list; null ends them.
        self.next = unsafe { frame.Next.as_ref() };
        // SAFETY: NDIS promises locked and described pages for the frames of an owned list.
        Some(unsafe { NbData::new(frame) })
    }
}

/// Lists linked in order, owned; move-only. Dropping a chain that is not empty loses its lists:
/// wrap what must be completed in a [`SendChain`].
#[derive(Debug, Default)]
pub struct NblChain {
    head: Option<NonNull<NET_BUFFER_LIST>>,
    tail: Option<NonNull<NET_BUFFER_LIST>>,
    count: u32,
}

// SAFETY: as for `Nbl`.
unsafe impl Send for NblChain {}

impl NblChain {
    /// No list.
    pub const fn new() -> Self {
        Self {
            head: None,
            tail: None,
            count: 0,
        }
    }

    /// Takes ownership of a chain as NDIS passes it. Walks it once to count.
    ///
    /// # Safety
    /// `head` is null or the first of a valid chain that the caller owns and gives up.
    pub unsafe fn from_raw(head: *mut NET_BUFFER_LIST) -> Self {
        let mut chain = Self {
            head: NonNull::new(head),
            tail: None,
            count: 0,
        };
        let mut next = chain.head;
        while let Some(list) = next {
            chain.tail = next;
            chain.count = chain.count.saturating_add(1);
            // SAFETY: the caller promises a valid chain.
            next = NonNull::new(unsafe { list.as_ref() }.Next);
        }
        chain
    }

    /// Gives up ownership: first list, null if empty, and number of lists.
    #[must_use]
    pub fn into_raw(self) -> (*mut NET_BUFFER_LIST, u32) {
        (
            self.head.map_or(ptr::null_mut(), NonNull::as_ptr),
            self.count,
        )
    }

    /// Number of lists.
    pub const fn len(&self) -> u32 {
        self.count
    }

    /// Whether there is no list.
    pub const fn is_empty(&self) -> bool {
        self.head.is_none()
    }

    /// Adds one list at the end.
    pub fn push_back(&mut self, nbl: Nbl) {
        let list = nbl.into_raw();
        self.append(Self {
            head: Some(list),
            tail: Some(list),
            count: 1,
        });
    }

    /// Adds one list at the front.
    pub fn push_front(&mut self, nbl: Nbl) {
        let mut list = nbl.into_raw();
        // SAFETY: the list is owned and in no chain.
        unsafe { list.as_mut() }.Next = self.head.map_or(ptr::null_mut(), NonNull::as_ptr);
        self.head = Some(list);
        self.tail = self.tail.or(Some(list));
        self.count = self.count.saturating_add(1);
    }

    /// Takes the first list out.
    pub fn pop_front(&mut self) -> Option<Nbl> {
        let list = self.head?;
        // SAFETY: lists of the chain are valid and owned.
        self.head = NonNull::new(unsafe { list.as_ref() }.Next);
        if self.head.is_none() {
            self.tail = None;
        }
        self.count = self.count.saturating_sub(1);
        // SAFETY: the list was owned by the chain and is linked nowhere now.
        Some(unsafe { Nbl::from_raw(list) })
    }

    /// Adds another chain at the end.
    #[expect(
        clippy::needless_pass_by_value,
        reason = "takes ownership of the lists"
    )]
    pub fn append(&mut self, other: Self) {
        let Some(head) = other.head else { return };
        match self.tail {
            // SAFETY: the tail is valid and owned by this chain alone.
            Some(mut tail) => unsafe { tail.as_mut() }.Next = head.as_ptr(),
            None => self.head = Some(head),
        }
        self.tail = other.tail;
        self.count = self.count.saturating_add(other.count);
    }

    /// Takes the lists for which `wanted` is true into a chain of their own; order is kept.
    /// `MiniportCancelSend` uses it.
    #[must_use = "the lists taken out must be completed"]
    pub fn extract_if(&mut self, mut wanted: impl FnMut(&Nbl) -> bool) -> Self {
        let (mut taken, mut kept) = (Self::new(), Self::new());
        while let Some(nbl) = self.pop_front() {
            if wanted(&nbl) {
                taken.push_back(nbl);
            } else {
                kept.push_back(nbl);
            }
        }
        *self = kept;
        taken
    }

    /// Sets one status on every list.
    pub fn set_status(&mut self, status: Status) {
        let mut all = core::mem::take(self);
        while let Some(mut nbl) = all.pop_front() {
            nbl.set_status(status);
            self.push_back(nbl);
        }
    }
}

/// Where finished sends go. Called with no lock held.
pub trait CompletionSink {
    /// Takes lists whose status is set.
    fn complete(&self, chain: NblChain);
}

/// Completes to NDIS.
#[derive(Clone, Copy, Debug)]
pub struct NdisCompletions {
    adapter: NDIS_HANDLE,
    flags: u32,
}

impl NdisCompletions {
    /// `flags` are `NDIS_SEND_COMPLETE_FLAGS_*`; they tell the IRQL as the caller knows it.
    ///
    /// # Safety
    /// `adapter` is the handle of an adapter that is not halted while this lives, and the chains
    /// given were received from its NDIS.
    pub unsafe fn new(adapter: NDIS_HANDLE, flags: u32) -> Self {
        Self { adapter, flags }
    }
}

impl CompletionSink for NdisCompletions {
    /// IRQL: at most `DISPATCH_LEVEL`.
    fn complete(&self, chain: NblChain) {
        let (head, _) = chain.into_raw();
        if !head.is_null() {
            // SAFETY: `new` was promised a live adapter; the chain is owned and given up here.
            unsafe { sys::NdisMSendNetBufferListsComplete(self.adapter, head, self.flags) };
        }
    }
}

/// Lists that must be completed. What is left at drop is completed with a failure.
#[derive(Debug)]
pub struct SendChain<S: CompletionSink> {
    chain: NblChain,
    sink: S,
    leftover: Status,
}

impl<S: CompletionSink> SendChain<S> {
    /// `leftover` is the status of lists that are still here at drop.
    pub fn new(chain: NblChain, sink: S, leftover: Status) -> Self {
        Self {
            chain,
            sink,
            leftover,
        }
    }

    /// Takes the first list; completing it is the caller's business then.
    pub fn take(&mut self) -> Option<Nbl> {
        self.chain.pop_front()
    }

    /// Number of lists left.
    pub fn len(&self) -> u32 {
        self.chain.len()
    }

    /// Whether no list is left.
    pub fn is_empty(&self) -> bool {
        self.chain.is_empty()
    }

    /// Completes all that is left with `status`: paused, low power, removed.
    pub fn fail(mut self, status: Status) {
        self.leftover = status;
    }
}

impl<S: CompletionSink> Drop for SendChain<S> {
    fn drop(&mut self) {
        let mut chain = core::mem::take(&mut self.chain);
        if !chain.is_empty() {
            chain.set_status(self.leftover);
            self.sink.complete(chain);
        }
    }
}

/// Owned lists linked from the newest to the oldest.
#[derive(Debug)]
pub(crate) struct Reversed {
    newest: NonNull<NET_BUFFER_LIST>,
    oldest: NonNull<NET_BUFFER_LIST>,
}

impl Reversed {
    /// The newest list.
    pub(crate) const fn newest(&self) -> *mut NET_BUFFER_LIST {
        self.newest.as_ptr()
    }

    /// Has the oldest list lead on to `older`.
    pub(crate) const fn link_oldest(&self, older: *mut NET_BUFFER_LIST) {
        // SAFETY: the list is owned, and nobody else looks at it yet.
        unsafe { (*self.oldest.as_ptr()).Next = older };
    }
}

/// Received lists of the driver's own pools.
#[derive(Debug, Default)]
pub struct RxChain(NblChain);

impl RxChain {
    /// Lists to indicate.
    pub const fn new() -> Self {
        Self(NblChain::new())
    }

    /// Takes back what `MiniportReturnNetBufferLists` passes.
    ///
    /// # Safety
    /// `head` is the chain that NDIS passed to that handler, used once.
    pub unsafe fn from_returned(head: *mut NET_BUFFER_LIST) -> Self {
        // SAFETY: NDIS gives the chain's ownership back.
        Self(unsafe { NblChain::from_raw(head) })
    }

    /// Adds a list.
    pub fn push(&mut self, nbl: Nbl) {
        self.0.push_back(nbl);
    }

    /// Takes a list.
    pub fn pop(&mut self) -> Option<Nbl> {
        self.0.pop_front()
    }

    /// Number of lists.
    pub const fn len(&self) -> u32 {
        self.0.len()
    }

    /// Whether there is no list.
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Takes the lists for which `wanted` is true into a chain of their own; order is kept.
    #[must_use = "the lists taken out are the driver's to give up"]
    pub fn extract_if(&mut self, wanted: impl FnMut(&Nbl) -> bool) -> Self {
        Self(self.0.extract_if(wanted))
    }

    /// Adds another chain at the end.
    pub fn append(&mut self, other: Self) {
        self.0.append(other.0);
    }

    /// The lists linked the other way round; none if there are none.
    pub(crate) fn into_reversed(mut self) -> Option<Reversed> {
        let oldest = self.pop()?.into_raw();
        let mut newest = oldest;
        while let Some(next) = self.pop() {
            let mut list = next.into_raw();
            // SAFETY: the list was just taken out of an owned chain.
            unsafe { list.as_mut() }.Next = newest.as_ptr();
            newest = list;
        }
        Some(Reversed { newest, oldest })
    }

    /// Takes ownership of lists that lead from the newest to the oldest.
    ///
    /// # Safety
    /// `newest` is null or the first of a valid chain that the caller owns and gives up.
    pub(crate) unsafe fn from_reversed(newest: *mut NET_BUFFER_LIST) -> Self {
        // SAFETY: the caller's promise.
        let mut reversed = unsafe { NblChain::from_raw(newest) };
        let mut chain = NblChain::new();
        while let Some(list) = reversed.pop_front() {
            chain.push_front(list);
        }
        Self(chain)
    }

    /// Lends the lists to NDIS; they come back through `MiniportReturnNetBufferLists`, perhaps
    /// before this returns. IRQL: at most `DISPATCH_LEVEL`, told in `flags`; no lock held.
    ///
    /// # Safety
    /// `adapter` is running, pausing or restarting; each list holds one frame, its source is the
    /// adapter and its slots are set. `flags` lacks `NDIS_RECEIVE_FLAGS_RESOURCES`.
    pub unsafe fn indicate(self, adapter: NDIS_HANDLE, flags: u32) {
        let (head, count) = self.0.into_raw();
        if !head.is_null() {
            // SAFETY: the caller's promise; ownership passes to NDIS.
            unsafe {
                sys::NdisMIndicateReceiveNetBufferLists(
                    adapter,
                    head,
                    sys::NDIS_DEFAULT_PORT_NUMBER,
                    count,
                    flags & !sys::NDIS_RECEIVE_FLAGS_RESOURCES,
                );
            }
        }
    }

    /// Shows the lists to NDIS for the length of the call and gets them back: when buffers run low.
    ///
    /// # Safety
    /// As for [`Self::indicate`].
    #[must_use = "the lists are the driver's again"]
    pub unsafe fn indicate_with_resources(self, adapter: NDIS_HANDLE, flags: u32) -> Self {
        let (head, count) = self.0.into_raw();
        if !head.is_null() {
            // SAFETY: the caller's promise; with this flag NDIS does not keep the lists.
            unsafe {
                sys::NdisMIndicateReceiveNetBufferLists(
                    adapter,
                    head,
                    sys::NDIS_DEFAULT_PORT_NUMBER,
                    count,
                    flags | sys::NDIS_RECEIVE_FLAGS_RESOURCES,
                );
            }
        }
        // SAFETY: the chain is the driver's again when the call returns.
        Self(unsafe { NblChain::from_raw(head) })
    }
}

#[cfg(test)]
#[path = "chain_tests.rs"]
mod tests;
