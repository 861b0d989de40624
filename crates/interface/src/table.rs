//! The table of functions, and what its arguments are.

use core::ffi::c_void;

use wdk_sys::{BOOLEAN, GUID, NTSTATUS, PROCESSOR_NUMBER};
use xen_abi::grant_table::GrantEntryV1;

/// Names the interface in `IRP_MN_QUERY_INTERFACE`: {8390DF16-85AC-4981-BA0B-9AD4BAB684FC}.
pub const XENBUS_INTERFACE_GUID: GUID = GUID {
    Data1: 0x8390_df16,
    Data2: 0x85ac,
    Data3: 0x4981,
    Data4: [0xba, 0x0b, 0x9a, 0xd4, 0xba, 0xb6, 0x84, 0xfc],
};

/// Version of [`XenbusInterface`]. A version never changes; a new one only adds at the end.
pub const INTERFACE_VERSION: u16 = 1;

/// The head every interface of the PnP manager starts with (`INTERFACE` of wdm.h).
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct PnpHeader {
    /// Size of the whole table in bytes.
    pub size: u16,
    /// Version of the table.
    pub version: u16,
    /// First argument of every function.
    pub context: *mut c_void,
    /// Takes a reference. IRQL <= `DISPATCH_LEVEL`.
    pub reference: Option<unsafe extern "C" fn(context: *mut c_void)>,
    /// Gives a reference back. IRQL <= `DISPATCH_LEVEL`.
    pub dereference: Option<unsafe extern "C" fn(context: *mut c_void)>,
}

/// A grant reference set aside for one consumer, and its entry in the shared table.
///
/// The consumer grants and revokes by writing the entry itself, so that the data path makes no
/// call and shares nothing with other queues. Entries stay mapped at the same address across
/// suspend; after a resume they are all zero.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct GrantSlot {
    /// The grant reference.
    pub gref: u32,
    /// Its entry (version 1).
    pub entry: *const GrantEntryV1,
}

/// An open event channel; opaque.
#[repr(transparent)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EventChannel(pub *mut c_void);

/// A XenStore transaction; opaque. Null: no transaction.
#[repr(transparent)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Transaction(pub *mut c_void);

/// A registered watch; opaque.
#[repr(transparent)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Watch(pub *mut c_void);

/// A registration for suspend and resume; opaque.
#[repr(transparent)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SuspendRegistration(pub *mut c_void);

/// Called for an event, at the IRQL of the interrupt (up to `HIGH_LEVEL`), on the processor the
/// channel is bound to. The channel is masked: it may set flags and queue a DPC, nothing else. No
/// call comes again before [`XenbusInterface::event_unmask`].
pub type EventCallback = unsafe extern "C" fn(cookie: *mut c_void);

/// Called at `PASSIVE_LEVEL` when something at or below the watched path changed, and once after
/// the registration. May call any function but [`XenbusInterface::watch_remove`] on its own watch. All
/// callbacks of all children are called by one thread, one after another: none may wait for another.
pub type WatchCallback = unsafe extern "C" fn(cookie: *mut c_void);

/// What happens to the domain; see [`SuspendCallback`]. A sleep of the system is told in the same
/// way.
#[repr(transparent)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SuspendPhase(pub u32);

impl SuspendPhase {
    /// The domain is about to be suspended: stop using rings and channels.
    pub const BEFORE: Self = Self(0);
    /// The domain runs again, perhaps on another host. Grants of before grant nothing and channels are
    /// dead (no port, no events, notifying does nothing): give both back as ever, and connect anew.
    /// Watches are registered again by `xenbus.sys`; transactions end with
    /// [`crate::STATUS_STORE_CONFLICT`].
    pub const AFTER: Self = Self(1);
    /// The suspend did not take place: what was there still is.
    pub const CANCELLED: Self = Self(2);
}

/// Called at `PASSIVE_LEVEL` around a suspend.
pub type SuspendCallback = unsafe extern "C" fn(cookie: *mut c_void, phase: SuspendPhase);

/// A value read from XenStore into the caller's buffer.
#[repr(C)]
#[derive(Debug)]
pub struct StoreValue {
    /// The buffer.
    pub data: *mut u8,
    /// In: its size in bytes. Out: length of the value, also when it did not fit.
    pub length: usize,
}

/// Where a channel's upcalls are to be delivered.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct UpcallPlacement {
    /// The processor.
    pub processor: PROCESSOR_NUMBER,
}

/// The functions, version 1. Paths and values are bytes without a terminating zero; paths are
/// relative to the domain's home unless they start with `/`.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct XenbusInterface {
    /// Size, version, context and reference counting.
    pub header: PnpHeader,

    /// The child's frontend folder, such as `device/vif/0`: as [`Self::store_read`]'s value.
    /// IRQL: any.
    pub frontend_path:
        unsafe extern "C" fn(context: *mut c_void, path: *mut StoreValue) -> NTSTATUS,

    /// Sets `count` grant references aside, all or none. IRQL <= `DISPATCH_LEVEL`.
    /// `STATUS_INSUFFICIENT_RESOURCES`: so many are not free.
    pub grants_reserve:
        unsafe extern "C" fn(context: *mut c_void, count: usize, slots: *mut GrantSlot) -> NTSTATUS,
    /// Gives one back, whose entry the caller has revoked. IRQL <= `DISPATCH_LEVEL`.
    /// [`crate::STATUS_GRANT_STILL_IN_USE`]: the entry is not zero; the reference stays set aside,
    /// and its page must stay allocated.
    pub grant_release: unsafe extern "C" fn(context: *mut c_void, gref: u32) -> NTSTATUS,
    /// How many references could still be set aside. IRQL <= `DISPATCH_LEVEL`.
    pub grants_free: unsafe extern "C" fn(context: *mut c_void) -> usize,

    /// Opens a channel for the domain `remote` to bind, masked. IRQL = `PASSIVE_LEVEL`. Where events
    /// cannot interrupt the processor of `placement` (null: none is wished) they interrupt the first.
    pub event_open: unsafe extern "C" fn(
        context: *mut c_void,
        remote: u16,
        callback: EventCallback,
        cookie: *mut c_void,
        placement: *const UpcallPlacement,
        channel: *mut EventChannel,
    ) -> NTSTATUS,
    /// Number of its port, for XenStore; 0 when a suspend has taken it. IRQL: any.
    pub event_port: unsafe extern "C" fn(context: *mut c_void, channel: EventChannel) -> u32,
    /// Notifies the other end. IRQL <= `DISPATCH_LEVEL`.
    pub event_notify: unsafe extern "C" fn(context: *mut c_void, channel: EventChannel),
    /// Lets the next event call the callback. `TRUE`: one is pending already; the callback is not
    /// called for it, the channel stays masked, and the caller must look again itself.
    /// IRQL <= `DISPATCH_LEVEL`.
    pub event_unmask: unsafe extern "C" fn(context: *mut c_void, channel: EventChannel) -> BOOLEAN,
    /// Moves the upcalls to another processor. IRQL <= `DISPATCH_LEVEL`. `STATUS_NOT_SUPPORTED`:
    /// events cannot interrupt that one (Xen gives one line for all, or the vCPU is past the 32nd);
    /// they go where they went.
    pub event_place: unsafe extern "C" fn(
        context: *mut c_void,
        channel: EventChannel,
        placement: *const UpcallPlacement,
    ) -> NTSTATUS,
    /// Closes it; when it returns no callback runs or will run. IRQL = `PASSIVE_LEVEL`.
    pub event_close: unsafe extern "C" fn(context: *mut c_void, channel: EventChannel),

    /// Starts a transaction. IRQL = `PASSIVE_LEVEL`, as all of XenStore; every request waits for its
    /// reply at most 5 s ([`crate::STATUS_STORE_TIMEOUT`]). `STATUS_DEVICE_NOT_READY`: the connection is
    /// of no use, or a suspend came between; whether the request was carried out is not known.
    pub transaction_start:
        unsafe extern "C" fn(context: *mut c_void, transaction: *mut Transaction) -> NTSTATUS,
    /// Ends it. [`crate::STATUS_STORE_CONFLICT`]: nothing was done; do the whole again.
    pub transaction_end: unsafe extern "C" fn(
        context: *mut c_void,
        transaction: Transaction,
        commit: BOOLEAN,
    ) -> NTSTATUS,
    /// Reads a value. `STATUS_BUFFER_TOO_SMALL`: it does not fit, its length is told.
    pub store_read: unsafe extern "C" fn(
        context: *mut c_void,
        transaction: Transaction,
        path: *const u8,
        path_length: usize,
        value: *mut StoreValue,
    ) -> NTSTATUS,
    /// Writes a value, making the node if need be.
    pub store_write: unsafe extern "C" fn(
        context: *mut c_void,
        transaction: Transaction,
        path: *const u8,
        path_length: usize,
        value: *const u8,
        value_length: usize,
    ) -> NTSTATUS,
    /// Removes a node and all below it; one that is not there is no error.
    pub store_remove: unsafe extern "C" fn(
        context: *mut c_void,
        transaction: Transaction,
        path: *const u8,
        path_length: usize,
    ) -> NTSTATUS,
    /// Lists the names in a folder, each ended by a zero byte.
    pub store_list: unsafe extern "C" fn(
        context: *mut c_void,
        transaction: Transaction,
        path: *const u8,
        path_length: usize,
        names: *mut StoreValue,
    ) -> NTSTATUS,
    /// Watches a path.
    pub watch_add: unsafe extern "C" fn(
        context: *mut c_void,
        path: *const u8,
        path_length: usize,
        callback: WatchCallback,
        cookie: *mut c_void,
        watch: *mut Watch,
    ) -> NTSTATUS,
    /// Ends a watch; when it returns its callback neither runs nor will run.
    pub watch_remove: unsafe extern "C" fn(context: *mut c_void, watch: Watch),

    /// Registers for suspend and resume. IRQL = `PASSIVE_LEVEL`.
    pub suspend_register: unsafe extern "C" fn(
        context: *mut c_void,
        callback: SuspendCallback,
        cookie: *mut c_void,
        registration: *mut SuspendRegistration,
    ) -> NTSTATUS,
    /// Ends a registration; when it returns its callback does not run. IRQL = `PASSIVE_LEVEL`.
    pub suspend_unregister:
        unsafe extern "C" fn(context: *mut c_void, registration: SuspendRegistration),

    /// Asks that the device be ejected or restarted: the backend is gone. IRQL = `PASSIVE_LEVEL`.
    pub request_eject: unsafe extern "C" fn(context: *mut c_void),

    /// Says that the child is connected to its backend: the guest has a network without emulated
    /// cards, which may be unplugged at the next start of the system. IRQL = `PASSIVE_LEVEL`.
    pub report_working: unsafe extern "C" fn(context: *mut c_void),
}
