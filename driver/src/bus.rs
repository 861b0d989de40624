//! The functions of `xenbus.sys`, as safe calls.
#![allow(
    unsafe_code,
    reason = "calls through the bus driver's table of functions; each block says why it may"
)]

use core::ffi::c_void;
use core::mem::MaybeUninit;
use core::ptr;

use interface::{
    EventCallback, EventChannel, GrantSlot, INTERFACE_VERSION, PnpHeader, STATUS_CHILD_GONE,
    STATUS_STORE_CONFLICT, STATUS_STORE_TIMEOUT, StoreValue, SuspendCallback, SuspendRegistration,
    Transaction, UpcallPlacement, Watch, WatchCallback, XENBUS_INTERFACE_GUID, XenbusInterface,
};
use ndis_sys::NDIS_HANDLE;
use nt::device::DeviceRef;
use nt::irql::{AtMostDispatch, Passive};
use nt::processor::ProcessorNumber;
use nt::status::Status;
use nt::sys::NTSTATUS;

use crate::text::Text;

/// No transaction.
const OUTSIDE: Transaction = Transaction(ptr::null_mut());

/// Why XenStore did not do as asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StoreError {
    /// There is no such key.
    NotFound,
    /// Somebody else changed something: do the transaction again.
    Conflict,
    /// xenstored did not answer in time.
    Timeout,
    /// The device is being removed.
    Gone,
    /// The value, or the path, is longer than any sensible one.
    TooLong,
    /// Something else.
    Failed(Status),
}

impl From<crate::text::TooLong> for StoreError {
    fn from(_: crate::text::TooLong) -> Self {
        Self::TooLong
    }
}

fn checked(status: NTSTATUS) -> Result<(), StoreError> {
    match status {
        STATUS_STORE_CONFLICT => Err(StoreError::Conflict),
        STATUS_STORE_TIMEOUT => Err(StoreError::Timeout),
        STATUS_CHILD_GONE => Err(StoreError::Gone),
        other => match Status::from_raw(other) {
            Status::OBJECT_NAME_NOT_FOUND => Err(StoreError::NotFound),
            Status::BUFFER_TOO_SMALL => Err(StoreError::TooLong),
            status => status.into_result().map_err(StoreError::Failed),
        },
    }
}

/// The physical device object below `adapter`, made by the bus driver.
///
/// # Safety
/// `adapter` is the handle passed to `MiniportInitializeEx`, which is running; the device is not
/// used after the adapter was halted.
pub(crate) unsafe fn physical_device(adapter: NDIS_HANDLE) -> Option<DeviceRef> {
    let mut device = ptr::null_mut();
    // SAFETY: the caller's handle; one pointer is to a local, the others are not wanted.
    unsafe {
        ndis_sys::NdisMGetDeviceProperty(
            adapter,
            &raw mut device,
            ptr::null_mut(),
            ptr::null_mut(),
            ptr::null_mut(),
            ptr::null_mut(),
        );
    }
    // SAFETY: it lives as long as NDIS is attached above it, until the adapter is halted.
    unsafe { DeviceRef::from_raw(device) }
}

/// A reference to the bus driver's table of functions; given back when dropped, which may be at
/// `DISPATCH_LEVEL`.
pub(crate) struct Bus {
    table: XenbusInterface,
}

// SAFETY: the functions may be called from any thread; the context is only passed on.
unsafe impl Send for Bus {}
// SAFETY: as above.
unsafe impl Sync for Bus {}

impl Bus {
    /// Asks the bus driver below `adapter` for its functions.
    ///
    /// # Safety
    /// `adapter` is the handle passed to `MiniportInitializeEx`, which is running.
    pub(crate) unsafe fn query(
        adapter: NDIS_HANDLE,
        irql: &Passive<'_>,
    ) -> Result<Self, QueryError> {
        let mut next = ptr::null_mut();
        // SAFETY: the caller's handle; one pointer is to a local, the others are not wanted.
        unsafe {
            ndis_sys::NdisMGetDeviceProperty(
                adapter,
                ptr::null_mut(),
                ptr::null_mut(),
                &raw mut next,
                ptr::null_mut(),
                ptr::null_mut(),
            );
        }
        // SAFETY: NDIS is attached to the device until the adapter is halted.
        let next = unsafe { DeviceRef::from_raw(next) }.ok_or(QueryError::NoDevice)?;
        let mut table = MaybeUninit::<XenbusInterface>::zeroed();
        let size = const { size_of::<XenbusInterface>().to_le_bytes() };
        let size = u16::from_le_bytes([size[0], size[1]]);
        // SAFETY: the table has that size and begins with an interface header, as the identifier
        // and version say.
        let answer = unsafe {
            nt::irp::query_interface(
                next,
                &XENBUS_INTERFACE_GUID,
                INTERFACE_VERSION,
                size,
                table.as_mut_ptr().cast(),
                irql,
            )
        };
        answer.map_err(QueryError::Refused)?;
        // SAFETY: initialized as zeroes at least, which is a valid header.
        let header = unsafe { table.as_ptr().cast::<PnpHeader>().read() };
        if header.version != INTERFACE_VERSION || header.size < size || !complete(&table) {
            return Err(QueryError::Version(header.version));
        }
        // SAFETY: the bus driver filled a table of this version: no function is null.
        let table = unsafe { table.assume_init() };
        Ok(Self { table })
    }

    fn context(&self) -> *mut c_void {
        self.table.header.context
    }

    /// The frontend's folder in XenStore. Any IRQL.
    pub(crate) fn frontend_path<const N: usize>(&self) -> Result<Text<N>, StoreError> {
        fill(|value| {
            // SAFETY: the table is live, and the value describes a buffer of ours.
            unsafe { (self.table.frontend_path)(self.context(), value) }
        })
    }

    /// Sets grant references aside, one for each slot, all or none.
    pub(crate) fn grants_reserve(
        &self,
        slots: &mut [GrantSlot],
        _irql: &AtMostDispatch<'_>,
    ) -> Result<(), Status> {
        // SAFETY: the table is live, and the array has that many places.
        let status =
            unsafe { (self.table.grants_reserve)(self.context(), slots.len(), slots.as_mut_ptr()) };
        Status::from_raw(status).into_result()
    }

    /// Gives a reference back; an error when the other domain still uses its page.
    pub(crate) fn grant_release(
        &self,
        gref: u32,
        _irql: &AtMostDispatch<'_>,
    ) -> Result<(), Status> {
        // SAFETY: the table is live; what it does not know it refuses.
        let status = unsafe { (self.table.grant_release)(self.context(), gref) };
        Status::from_raw(status).into_result()
    }

    /// Opens an event channel, masked.
    ///
    /// # Safety
    /// `callback` may be called with `cookie` at any IRQL until [`Bus::event_close`] returns.
    pub(crate) unsafe fn event_open(
        &self,
        remote: u16,
        callback: EventCallback,
        cookie: *mut c_void,
        processor: ProcessorNumber,
        _irql: &Passive<'_>,
    ) -> Result<EventChannel, Status> {
        let placement = UpcallPlacement {
            processor: processor.to_raw(),
        };
        let mut channel = EventChannel(ptr::null_mut());
        // SAFETY: the table is live, the pointers are to locals; the rest is the caller's promise.
        let status = unsafe {
            (self.table.event_open)(
                self.context(),
                remote,
                callback,
                cookie,
                &raw const placement,
                &raw mut channel,
            )
        };
        Status::from_raw(status).into_result().map(|()| channel)
    }

    /// Number of a channel's port.
    ///
    /// # Safety
    /// The channel is open.
    pub(crate) unsafe fn event_port(&self, channel: EventChannel) -> u32 {
        // SAFETY: the table is live; the channel is the caller's promise.
        unsafe { (self.table.event_port)(self.context(), channel) }
    }

    /// Notifies the other end.
    ///
    /// # Safety
    /// The channel is open.
    pub(crate) unsafe fn event_notify(&self, channel: EventChannel, _irql: &AtMostDispatch<'_>) {
        // SAFETY: as for `event_port`.
        unsafe { (self.table.event_notify)(self.context(), channel) }
    }

    /// Lets the next event through; true when one is pending already and the caller must look.
    ///
    /// # Safety
    /// The channel is open.
    pub(crate) unsafe fn event_unmask(
        &self,
        channel: EventChannel,
        _irql: &AtMostDispatch<'_>,
    ) -> bool {
        // SAFETY: as for `event_port`.
        unsafe { (self.table.event_unmask)(self.context(), channel) != 0 }
    }

    /// Moves a channel's events to another processor.
    ///
    /// # Safety
    /// The channel is open.
    pub(crate) unsafe fn event_place(
        &self,
        channel: EventChannel,
        processor: ProcessorNumber,
        _irql: &AtMostDispatch<'_>,
    ) -> Result<(), Status> {
        let placement = UpcallPlacement {
            processor: processor.to_raw(),
        };
        // SAFETY: as for `event_port`; the pointer is to a local.
        let status =
            unsafe { (self.table.event_place)(self.context(), channel, &raw const placement) };
        Status::from_raw(status).into_result()
    }

    /// Closes a channel; no callback runs afterwards.
    ///
    /// # Safety
    /// The channel is open, and nobody uses it any more.
    pub(crate) unsafe fn event_close(&self, channel: EventChannel, _irql: &Passive<'_>) {
        // SAFETY: as for `event_port`.
        unsafe { (self.table.event_close)(self.context(), channel) }
    }

    /// Reads a value.
    pub(crate) fn read<const N: usize>(
        &self,
        path: &[u8],
        _irql: &Passive<'_>,
    ) -> Result<Text<N>, StoreError> {
        fill(|value| {
            // SAFETY: the table is live; path and value are buffers of ours.
            unsafe {
                (self.table.store_read)(self.context(), OUTSIDE, path.as_ptr(), path.len(), value)
            }
        })
    }

    /// Writes a value outside of a transaction.
    pub(crate) fn write(
        &self,
        path: &[u8],
        value: &[u8],
        irql: &Passive<'_>,
    ) -> Result<(), StoreError> {
        self.write_in(OUTSIDE, path, value, irql)
    }

    fn write_in(
        &self,
        transaction: Transaction,
        path: &[u8],
        value: &[u8],
        _irql: &Passive<'_>,
    ) -> Result<(), StoreError> {
        // SAFETY: the table is live; both slices are.
        checked(unsafe {
            (self.table.store_write)(
                self.context(),
                transaction,
                path.as_ptr(),
                path.len(),
                value.as_ptr(),
                value.len(),
            )
        })
    }

    /// Runs `body` in a transaction and commits what it did; [`StoreError::Conflict`] means to do
    /// all of it again.
    pub(crate) fn transaction(
        &self,
        irql: &Passive<'_>,
        body: impl FnOnce(&InTransaction<'_>) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        let mut transaction = OUTSIDE;
        // SAFETY: the table is live, and the pointer is to a local.
        checked(unsafe { (self.table.transaction_start)(self.context(), &raw mut transaction) })?;
        let done = body(&InTransaction {
            bus: self,
            transaction,
            irql,
        });
        let commit = u8::from(done.is_ok());
        // SAFETY: the table is live; started above and ended once.
        let ended = unsafe { (self.table.transaction_end)(self.context(), transaction, commit) };
        done.and_then(|()| checked(ended))
    }

    /// Watches a path.
    ///
    /// # Safety
    /// `callback` may be called with `cookie` at `PASSIVE_LEVEL` until [`Bus::watch_remove`]
    /// returns.
    pub(crate) unsafe fn watch_add(
        &self,
        path: &[u8],
        callback: WatchCallback,
        cookie: *mut c_void,
        _irql: &Passive<'_>,
    ) -> Result<Watch, StoreError> {
        let mut watch = Watch(ptr::null_mut());
        // SAFETY: the table is live, the pointers are to live memory; the rest is the caller's.
        checked(unsafe {
            (self.table.watch_add)(
                self.context(),
                path.as_ptr(),
                path.len(),
                callback,
                cookie,
                &raw mut watch,
            )
        })?;
        Ok(watch)
    }

    /// Ends a watch; its callback does not run afterwards.
    ///
    /// # Safety
    /// `watch` came from [`Bus::watch_add`], and is given up.
    pub(crate) unsafe fn watch_remove(&self, watch: Watch, _irql: &Passive<'_>) {
        // SAFETY: the table is live; the watch is the caller's promise.
        unsafe { (self.table.watch_remove)(self.context(), watch) }
    }

    /// Registers for suspend and resume.
    ///
    /// # Safety
    /// `callback` may be called with `cookie` at `PASSIVE_LEVEL` until
    /// [`Bus::suspend_unregister`] returns.
    pub(crate) unsafe fn suspend_register(
        &self,
        callback: SuspendCallback,
        cookie: *mut c_void,
        _irql: &Passive<'_>,
    ) -> Result<SuspendRegistration, Status> {
        let mut registration = SuspendRegistration(ptr::null_mut());
        // SAFETY: the table is live, the pointer is to a local; the rest is the caller's promise.
        let status = unsafe {
            (self.table.suspend_register)(self.context(), callback, cookie, &raw mut registration)
        };
        Status::from_raw(status)
            .into_result()
            .map(|()| registration)
    }

    /// Ends a registration; its callback does not run afterwards.
    ///
    /// # Safety
    /// `registration` came from [`Bus::suspend_register`], and is given up.
    pub(crate) unsafe fn suspend_unregister(
        &self,
        registration: SuspendRegistration,
        _irql: &Passive<'_>,
    ) {
        // SAFETY: the table is live; the registration is the caller's promise.
        unsafe { (self.table.suspend_unregister)(self.context(), registration) }
    }
}

impl Bus {
    /// Says that the adapter is connected: emulated cards are not needed.
    pub(crate) fn report_working(&self, _irql: &Passive<'_>) {
        // SAFETY: the table is live.
        unsafe { (self.table.report_working)(self.context()) }
    }
}

impl Drop for Bus {
    fn drop(&mut self) {
        if let Some(dereference) = self.table.header.dereference {
            // SAFETY: `query` got one reference, given back here.
            unsafe { dereference(self.context()) };
        }
    }
}

impl core::fmt::Debug for Bus {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Bus").finish_non_exhaustive()
    }
}

/// Why there are no functions of the bus driver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum QueryError {
    /// NDIS names no device below.
    NoDevice,
    /// The bus driver refused.
    Refused(Status),
    /// It offers another version.
    Version(u16),
}

/// Requests within a transaction.
pub(crate) struct InTransaction<'t> {
    bus: &'t Bus,
    transaction: Transaction,
    irql: &'t Passive<'t>,
}

impl InTransaction<'_> {
    /// Writes a value.
    pub(crate) fn write(&self, path: &[u8], value: &[u8]) -> Result<(), StoreError> {
        self.bus.write_in(self.transaction, path, value, self.irql)
    }

    /// Removes a key and all below it.
    pub(crate) fn remove(&self, path: &[u8]) -> Result<(), StoreError> {
        // SAFETY: the table is live, and so is the path.
        checked(unsafe {
            (self.bus.table.store_remove)(
                self.bus.context(),
                self.transaction,
                path.as_ptr(),
                path.len(),
            )
        })
    }

    /// Lists the names in a folder, each ended by a zero byte, into `names`; how many bytes.
    pub(crate) fn list(&self, path: &[u8], names: &mut [u8]) -> Result<usize, StoreError> {
        let mut value = StoreValue {
            data: names.as_mut_ptr(),
            length: names.len(),
        };
        // SAFETY: the table is live; path and value are buffers of ours.
        checked(unsafe {
            (self.bus.table.store_list)(
                self.bus.context(),
                self.transaction,
                path.as_ptr(),
                path.len(),
                &raw mut value,
            )
        })?;
        Ok(value.length.min(names.len()))
    }
}

impl core::fmt::Debug for InTransaction<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("InTransaction").finish_non_exhaustive()
    }
}

/// Lets `call` fill a text.
fn fill<const N: usize>(
    call: impl FnOnce(*mut StoreValue) -> NTSTATUS,
) -> Result<Text<N>, StoreError> {
    let mut text = Text::new();
    let room = text.room();
    let mut value = StoreValue {
        data: room.as_mut_ptr(),
        length: room.len(),
    };
    checked(call(&raw mut value))?;
    text.set_len(value.length)?;
    Ok(text)
}

/// Whether no function of the table is null.
fn complete(table: &MaybeUninit<XenbusInterface>) -> bool {
    let words = table.as_ptr().cast::<usize>();
    let count = const { size_of::<XenbusInterface>() / size_of::<usize>() };
    let first = const { size_of::<PnpHeader>() / size_of::<usize>() };
    (first..count).all(|nth| {
        // SAFETY: `nth` is below the number of words of the table.
        let word = unsafe { words.add(nth) };
        // SAFETY: the table was zeroed, so every word is initialized; behind the header there are
        // only pointers.
        unsafe { word.read() != 0 }
    })
}
