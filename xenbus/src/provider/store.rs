//! XenStore, suspend and ejection for children.
#![allow(
    unsafe_code,
    reason = "functions of the table; each block states its reason"
)]

use core::ffi::c_void;

use interface::{
    StoreValue, SuspendCallback, SuspendRegistration, Transaction, Watch, WatchCallback,
};
use nt::irql::Passive;
use nt::pool::PoolArc;
use nt::status::{Result, Status};
use wdk_sys::{BOOLEAN, NTSTATUS};

use super::{at_passive, raw};
use crate::bus::Bus;
use crate::callback::{SuspendTarget, WatchTarget};
use crate::child::Child;
use crate::store::{Notice, TransactionHandle, WatchHandle, Within};
use crate::suspend::RegistrationHandle;

/// Runs `body` for the child of `context`.
///
/// # Safety
/// In a function of the table that is called at `PASSIVE_LEVEL`, with its context.
unsafe fn serve<R>(
    context: *mut c_void,
    body: impl FnOnce(&Child, &PoolArc<Bus>, &mut Passive<'_>) -> Result<R>,
) -> Result<R> {
    // SAFETY: by the contract.
    let child = unsafe { raw::child(context) };
    // SAFETY: by the contract.
    let mut irql = unsafe { raw::passive() };
    at_passive(child, &mut irql, |bus, irql| body(child, bus, irql))
}

fn within(child: &Child, transaction: Transaction) -> Within {
    let transaction = (!transaction.0.is_null()).then(|| TransactionHandle(transaction.0.addr()));
    Within {
        owner: child.owner,
        transaction,
    }
}

/// A number as the table's opaque pointers have it.
fn opaque(handle: usize) -> *mut c_void {
    core::ptr::without_provenance_mut(handle)
}

/// # Safety
/// As [`interface::XenbusInterface::frontend_path`] says.
pub(super) unsafe extern "C" fn frontend_path(
    context: *mut c_void,
    path: *mut StoreValue,
) -> NTSTATUS {
    // SAFETY: a function of the table, with its context.
    let child = unsafe { raw::child(context) };
    // SAFETY: the caller's buffer.
    Status::of(unsafe { raw::put_value(path, child.path()) }).into_raw()
}

/// # Safety
/// As [`interface::XenbusInterface::transaction_start`] says.
pub(super) unsafe extern "C" fn transaction_start(
    context: *mut c_void,
    transaction: *mut Transaction,
) -> NTSTATUS {
    if transaction.is_null() {
        return Status::INVALID_PARAMETER.into_raw();
    }
    // SAFETY: a function of the table.
    let started = unsafe {
        serve(context, |child, bus, irql| {
            Ok(bus.store.start_transaction(child.owner, irql)?)
        })
    };
    let put = started.and_then(|handle| {
        // SAFETY: the caller's place, not null.
        unsafe { raw::put(transaction, Transaction(opaque(handle.0))) }
    });
    Status::of(put).into_raw()
}

/// # Safety
/// As [`interface::XenbusInterface::transaction_end`] says.
pub(super) unsafe extern "C" fn transaction_end(
    context: *mut c_void,
    transaction: Transaction,
    commit: BOOLEAN,
) -> NTSTATUS {
    // SAFETY: a function of the table.
    let ended = unsafe {
        serve(context, |child, bus, irql| {
            let handle = TransactionHandle(transaction.0.addr());
            let commit = commit != 0;
            Ok(bus
                .store
                .end_transaction(child.owner, handle, commit, irql)?)
        })
    };
    Status::of(ended).into_raw()
}

/// # Safety
/// As [`interface::XenbusInterface::store_read`] says.
pub(super) unsafe extern "C" fn read(
    context: *mut c_void,
    transaction: Transaction,
    path: *const u8,
    path_length: usize,
    value: *mut StoreValue,
) -> NTSTATUS {
    // SAFETY: the caller's bytes, for the call.
    let path = unsafe { raw::bytes(path, path_length) };
    // SAFETY: a function of the table.
    let read = unsafe {
        serve(context, |child, bus, irql| {
            Ok(bus.store.read(within(child, transaction), path?, irql)?)
        })
    };
    // SAFETY: the caller's buffer.
    let put = read.and_then(|reply| unsafe { raw::put_value(value, reply.as_bytes()) });
    Status::of(put).into_raw()
}

/// # Safety
/// As [`interface::XenbusInterface::store_list`] says.
pub(super) unsafe extern "C" fn list(
    context: *mut c_void,
    transaction: Transaction,
    path: *const u8,
    path_length: usize,
    names: *mut StoreValue,
) -> NTSTATUS {
    // SAFETY: the caller's bytes, for the call.
    let path = unsafe { raw::bytes(path, path_length) };
    // SAFETY: a function of the table.
    let listed = unsafe {
        serve(context, |child, bus, irql| {
            Ok(bus.store.list(within(child, transaction), path?, irql)?)
        })
    };
    // SAFETY: the caller's buffer.
    let put = listed.and_then(|reply| unsafe { raw::put_value(names, reply.as_bytes()) });
    Status::of(put).into_raw()
}

/// # Safety
/// As [`interface::XenbusInterface::store_write`] says.
pub(super) unsafe extern "C" fn write(
    context: *mut c_void,
    transaction: Transaction,
    path: *const u8,
    path_length: usize,
    value: *const u8,
    value_length: usize,
) -> NTSTATUS {
    // SAFETY: the caller's bytes, for the call.
    let path = unsafe { raw::bytes(path, path_length) };
    // SAFETY: the caller's bytes, for the call.
    let value = unsafe { raw::bytes(value, value_length) };
    // SAFETY: a function of the table.
    let written = unsafe {
        serve(context, |child, bus, irql| {
            let (path, value) = (path?, value?);
            let within = within(child, transaction);
            Ok(bus.store.write(within, path, value, irql)?)
        })
    };
    Status::of(written).into_raw()
}

/// # Safety
/// As [`interface::XenbusInterface::store_remove`] says.
pub(super) unsafe extern "C" fn remove(
    context: *mut c_void,
    transaction: Transaction,
    path: *const u8,
    path_length: usize,
) -> NTSTATUS {
    // SAFETY: the caller's bytes, for the call.
    let path = unsafe { raw::bytes(path, path_length) };
    // SAFETY: a function of the table.
    let removed = unsafe {
        serve(context, |child, bus, irql| {
            Ok(bus.store.remove(within(child, transaction), path?, irql)?)
        })
    };
    Status::of(removed).into_raw()
}

/// # Safety
/// As [`interface::XenbusInterface::watch_add`] says.
pub(super) unsafe extern "C" fn watch_add(
    context: *mut c_void,
    path: *const u8,
    path_length: usize,
    callback: WatchCallback,
    cookie: *mut c_void,
    watch: *mut Watch,
) -> NTSTATUS {
    if watch.is_null() {
        return Status::INVALID_PARAMETER.into_raw();
    }
    // SAFETY: the caller's, until it removes the watch.
    let target = unsafe { WatchTarget::new(callback, cookie) };
    // SAFETY: the caller's bytes, for the call.
    let path = unsafe { raw::bytes(path, path_length) };
    // SAFETY: a function of the table.
    let added = unsafe {
        serve(context, |child, bus, irql| {
            let notice = Notice::Child(target);
            Ok(bus.store.watch(child.owner, path?, notice, irql)?)
        })
    };
    // SAFETY: the caller's place, not null.
    let put = added.and_then(|handle| unsafe { raw::put(watch, Watch(opaque(handle.0))) });
    Status::of(put).into_raw()
}

/// # Safety
/// As [`interface::XenbusInterface::watch_remove`] says.
pub(super) unsafe extern "C" fn watch_remove(context: *mut c_void, watch: Watch) {
    // SAFETY: a function of the table.
    let child = unsafe { raw::child(context) };
    // SAFETY: called at PASSIVE_LEVEL.
    let mut irql = unsafe { raw::passive() };
    // Also when the bus has ended: the callback must not run afterwards.
    if let Some(bus) = child.bus(&mut irql) {
        let handle = WatchHandle(watch.0.addr());
        bus.store.unwatch(child.owner, handle, &mut irql).ok();
    }
}

/// # Safety
/// As [`interface::XenbusInterface::suspend_register`] says.
pub(super) unsafe extern "C" fn suspend_register(
    context: *mut c_void,
    callback: SuspendCallback,
    cookie: *mut c_void,
    registration: *mut SuspendRegistration,
) -> NTSTATUS {
    if registration.is_null() {
        return Status::INVALID_PARAMETER.into_raw();
    }
    // SAFETY: the caller's, until it ends the registration.
    let target = unsafe { SuspendTarget::new(callback, cookie) };
    // SAFETY: a function of the table.
    let registered = unsafe {
        serve(context, |child, bus, irql| {
            bus.suspends.register(child.owner, target, irql)
        })
    };
    let put = registered.and_then(|handle| {
        // SAFETY: the caller's place, not null.
        unsafe { raw::put(registration, SuspendRegistration(opaque(handle.0))) }
    });
    Status::of(put).into_raw()
}

/// # Safety
/// As [`interface::XenbusInterface::suspend_unregister`] says.
pub(super) unsafe extern "C" fn suspend_unregister(
    context: *mut c_void,
    registration: SuspendRegistration,
) {
    // SAFETY: a function of the table.
    let child = unsafe { raw::child(context) };
    // SAFETY: called at PASSIVE_LEVEL.
    let mut irql = unsafe { raw::passive() };
    if let Some(bus) = child.bus(&mut irql) {
        let handle = RegistrationHandle(registration.0.addr());
        bus.suspends.unregister(child.owner, handle, &mut irql);
    }
}

/// # Safety
/// As [`interface::XenbusInterface::request_eject`] says.
pub(super) unsafe extern "C" fn request_eject(context: *mut c_void) {
    // SAFETY: a function of the table, with its context.
    let child = unsafe { raw::child(context) };
    if let Some(device) = child.device() {
        crate::device::request_eject(device);
    }
}

/// # Safety
/// As [`interface::XenbusInterface::report_working`] says.
pub(super) unsafe extern "C" fn report_working(context: *mut c_void) {
    // SAFETY: a function of the table, with its context.
    let child = unsafe { raw::child(context) };
    // SAFETY: called at PASSIVE_LEVEL.
    let mut irql = unsafe { raw::passive() };
    // A child whose device is being removed has no bus any more, and is not to be on record.
    if child.bus(&mut irql).is_some() {
        child.cards.works(child.vif, &mut irql);
    }
}
