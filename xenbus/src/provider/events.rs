//! Event channels for children.
//!
//! Notifying and unmasking follow the caller's handle and touch nothing that queues share: handles are
//! the addresses of channels, which live until they are closed.
#![allow(
    unsafe_code,
    reason = "functions of the table; each block states its reason"
)]

use core::ffi::c_void;

use interface::{EventCallback, EventChannel, STATUS_CHILD_GONE, UpcallPlacement};
use nt::processor::ProcessorNumber;
use nt::status::{Result, Status};
use wdk_sys::{BOOLEAN, NTSTATUS};
use xen_abi::domid::DomId;

use super::{at_most_dispatch, at_passive, raw};
use crate::bus::Bus;
use crate::callback::EventTarget;
use crate::events::{Channel, Events};

/// # Safety
/// As [`interface::XenbusInterface::event_open`] says.
pub(super) unsafe extern "C" fn open(
    context: *mut c_void,
    remote: u16,
    callback: EventCallback,
    cookie: *mut c_void,
    placement: *const UpcallPlacement,
    channel: *mut EventChannel,
) -> NTSTATUS {
    // SAFETY: a function of the table, with its context.
    let child = unsafe { raw::child(context) };
    // SAFETY: called at PASSIVE_LEVEL.
    let mut irql = unsafe { raw::passive() };
    // SAFETY: the caller's, until it closes the channel.
    let target = unsafe { EventTarget::new(callback, cookie) };
    // SAFETY: null, or the caller's.
    let placement = unsafe { placement.as_ref() };
    if channel.is_null() {
        return Status::INVALID_PARAMETER.into_raw();
    }
    let opened = at_passive(child, &mut irql, |bus, irql| {
        let processor = placement.map_or(Ok(0), |placement| processor(bus, *placement))?;
        let remote = DomId(remote);
        let opened = Events::open(&bus.events, child.owner, remote, processor, target, irql)?;
        let address: *const Channel = &raw const *opened;
        Ok(EventChannel(address.cast_mut().cast()))
    });
    match opened {
        // SAFETY: the caller's place, not null.
        Ok(opened) => Status::of(unsafe { raw::put(channel, opened) }).into_raw(),
        Err(status) => status.into_raw(),
    }
}

/// Index of the processor a placement names.
fn processor(bus: &Bus, placement: UpcallPlacement) -> Result<usize> {
    let number = ProcessorNumber::from_raw(placement.processor);
    bus.platform
        .index_of(number)
        .ok_or(Status::INVALID_PARAMETER)
}

/// # Safety
/// `channel` is open.
unsafe fn channel_of<'a>(channel: EventChannel) -> &'a Channel {
    // SAFETY: by the contract, and open made the handle.
    unsafe { &*channel.0.cast::<Channel>() }
}

/// # Safety
/// As [`interface::XenbusInterface::event_port`] says.
pub(super) unsafe extern "C" fn port(_: *mut c_void, channel: EventChannel) -> u32 {
    // SAFETY: by the table's rules the channel is open.
    unsafe { channel_of(channel) }.port()
}

/// # Safety
/// As [`interface::XenbusInterface::event_notify`] says.
pub(super) unsafe extern "C" fn notify(_: *mut c_void, channel: EventChannel) {
    // SAFETY: by the table's rules the channel is open.
    unsafe { channel_of(channel) }.notify();
}

/// # Safety
/// As [`interface::XenbusInterface::event_unmask`] says.
pub(super) unsafe extern "C" fn unmask(_: *mut c_void, channel: EventChannel) -> BOOLEAN {
    // SAFETY: by the table's rules the channel is open.
    BOOLEAN::from(unsafe { channel_of(channel) }.unmask())
}

/// # Safety
/// As [`interface::XenbusInterface::event_place`] says.
pub(super) unsafe extern "C" fn place(
    context: *mut c_void,
    channel: EventChannel,
    placement: *const UpcallPlacement,
) -> NTSTATUS {
    // SAFETY: a function of the table, with its context.
    let child = unsafe { raw::child(context) };
    // SAFETY: may be called at DISPATCH_LEVEL.
    let mut irql = unsafe { raw::at_most_dispatch() };
    // SAFETY: null, or the caller's.
    let Some(placement) = (unsafe { placement.as_ref() }) else {
        return Status::INVALID_PARAMETER.into_raw();
    };
    let placed = at_most_dispatch(child, &mut irql, |bus, irql| {
        let found = bus.events.find(child.owner, channel.0.addr(), irql);
        let channel = found.ok_or(Status::from_raw(STATUS_CHILD_GONE))?;
        Ok(bus.events.place(&channel, processor(bus, *placement)?)?)
    });
    Status::of(placed).into_raw()
}

/// # Safety
/// As [`interface::XenbusInterface::event_close`] says.
pub(super) unsafe extern "C" fn close(context: *mut c_void, channel: EventChannel) {
    // SAFETY: a function of the table, with its context.
    let child = unsafe { raw::child(context) };
    // SAFETY: called at PASSIVE_LEVEL.
    let mut irql = unsafe { raw::passive() };
    // Also when the bus has ended: the channel is memory still.
    let Some(bus) = child.bus(&mut irql) else {
        return;
    };
    let found = bus.events.find(child.owner, channel.0.addr(), &mut irql);
    if let Some(channel) = found {
        bus.events.close(&channel, &mut irql);
    }
}
