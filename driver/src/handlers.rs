//! The handlers that NDIS calls (ndis-contract 1.1), each in four steps: context, token, owned
//! arguments, safe call.
#![allow(unsafe_code, reason = "callbacks called by NDIS with raw pointers")]

use core::ffi::c_void;
use core::ptr::NonNull;

use ndis::Status;
use ndis::chain::{CompletionSink, NblChain, NdisCompletions, RxChain};
use ndis::registration::Handlers;
use ndis::request::OidRequest;
use ndis_sys as sys;
use ndis_sys::NDIS_HANDLE;
use nt::irql::{AtMostDispatch, Passive};

use crate::adapter::Adapter;
use crate::miniport::Miniport;
use crate::oid;

/// All handlers a miniport without reset, direct or synchronous requests must have.
pub(crate) static ALL: Handlers = Handlers {
    initialize,
    halt,
    unload: crate::entry::unload,
    pause,
    restart,
    oid_request,
    cancel_oid_request,
    send,
    return_lists,
    cancel_send,
    pnp_event,
    shutdown,
};

/// The adapter of a handler's context.
///
/// # Safety
/// `context` is an initialised adapter's, not halted for as long as the result is used.
unsafe fn adapter<'a>(context: NDIS_HANDLE) -> Option<&'a Adapter> {
    // SAFETY: what `Miniport::initialize` registered.
    let miniport: Option<&'a Miniport> = unsafe { context.cast::<Miniport>().as_ref() };
    miniport.and_then(Miniport::adapter)
}

/// `MiniportInitializeEx`, `PASSIVE_LEVEL`.
unsafe extern "win64" fn initialize(
    adapter: NDIS_HANDLE,
    _driver_context: NDIS_HANDLE,
    _parameters: *mut sys::NDIS_MINIPORT_INIT_PARAMETERS,
) -> sys::NDIS_STATUS {
    // SAFETY: the level this handler is called at; the token ends with the call.
    let mut irql = unsafe { Passive::assume() };
    // SAFETY: the handle NDIS passed.
    unsafe { Miniport::initialize(adapter, &mut irql) }.0
}

/// `MiniportHaltEx`, `PASSIVE_LEVEL`, paused: waits until the connection is closed.
unsafe extern "win64" fn halt(context: NDIS_HANDLE, _action: sys::NDIS_HALT_ACTION) {
    // SAFETY: the level this handler is called at; the token ends with the call.
    let mut irql = unsafe { Passive::assume() };
    if let Some(context) = NonNull::new(context.cast()) {
        // SAFETY: registered by an initialisation that succeeded; NDIS halts once.
        unsafe { Miniport::halt(context, &mut irql) };
    }
}

/// `MiniportPause`, `PASSIVE_LEVEL`.
unsafe extern "win64" fn pause(
    context: NDIS_HANDLE,
    _parameters: *mut sys::NDIS_MINIPORT_PAUSE_PARAMETERS,
) -> sys::NDIS_STATUS {
    // SAFETY: the level this handler is called at; the token ends with the call.
    let mut irql = unsafe { Passive::assume() };
    // SAFETY: the context of an adapter that is not halted.
    let adapter = unsafe { adapter(context) };
    adapter
        .map_or(Status::SUCCESS, |adapter| adapter.pause(&mut irql))
        .0
}

/// `MiniportRestart`, `PASSIVE_LEVEL`.
unsafe extern "win64" fn restart(
    context: NDIS_HANDLE,
    _parameters: *mut sys::NDIS_MINIPORT_RESTART_PARAMETERS,
) -> sys::NDIS_STATUS {
    // SAFETY: the level this handler is called at; the token ends with the call.
    let mut irql = unsafe { Passive::assume() };
    // SAFETY: the context of an adapter that is not halted.
    if let Some(adapter) = unsafe { adapter(context) } {
        adapter.restart(&mut irql);
    }
    sys::NDIS_STATUS_SUCCESS
}

/// `MiniportOidRequest`, `PASSIVE_LEVEL`: answered at once.
unsafe extern "win64" fn oid_request(
    context: NDIS_HANDLE,
    request: *mut sys::NDIS_OID_REQUEST,
) -> sys::NDIS_STATUS {
    // SAFETY: the level this handler is called at; the token ends with the call.
    let mut irql = unsafe { Passive::assume() };
    // SAFETY: the context of an adapter that is not halted.
    let adapter = unsafe { adapter(context) };
    // SAFETY: the request NDIS passed, ours until the handler returns.
    let request = unsafe { request.as_mut() };
    let (Some(adapter), Some(request)) = (adapter, request) else {
        return sys::NDIS_STATUS_FAILURE;
    };
    // SAFETY: as above; its buffer is valid for the lengths it tells.
    let mut request = unsafe { OidRequest::from_raw(request) };
    oid::handle(adapter, &mut request, &mut irql).0
}

/// `MiniportCancelOidRequest`, at most `DISPATCH_LEVEL`: no request is ever pending.
unsafe extern "win64" fn cancel_oid_request(_context: NDIS_HANDLE, _id: *mut c_void) {}

/// `MiniportSendNetBufferLists`, at most `DISPATCH_LEVEL`.
unsafe extern "win64" fn send(
    context: NDIS_HANDLE,
    lists: *mut sys::NET_BUFFER_LIST,
    _port: sys::NDIS_PORT_NUMBER,
    send_flags: u32,
) {
    // SAFETY: the highest level this handler is called at; the token ends with the call.
    let mut irql = unsafe { AtMostDispatch::assume() };
    // SAFETY: NDIS passes a valid chain and gives it up.
    let mut chain = unsafe { NblChain::from_raw(lists) };
    // SAFETY: the context of an adapter that is not halted.
    if let Some(adapter) = unsafe { adapter(context) } {
        adapter.send(chain, send_flags, &mut irql);
    } else {
        chain.set_status(Status::FAILURE);
        // SAFETY: the handle is the only one there is; sends come from live adapters.
        unsafe { NdisCompletions::new(context, 0) }.complete(chain);
    }
}

/// `MiniportReturnNetBufferLists`, at most `DISPATCH_LEVEL`.
unsafe extern "win64" fn return_lists(
    context: NDIS_HANDLE,
    lists: *mut sys::NET_BUFFER_LIST,
    _flags: u32,
) {
    // SAFETY: the highest level this handler is called at; the token ends with the call.
    let mut irql = unsafe { AtMostDispatch::assume() };
    // SAFETY: the chain NDIS gives back, used once.
    let chain = unsafe { RxChain::from_returned(lists) };
    // SAFETY: the context of an adapter that is not halted.
    if let Some(adapter) = unsafe { adapter(context) } {
        adapter.lists_returned(chain, &mut irql);
    }
}

/// `MiniportCancelSend`, at most `DISPATCH_LEVEL`.
unsafe extern "win64" fn cancel_send(context: NDIS_HANDLE, id: *mut c_void) {
    // SAFETY: the highest level this handler is called at; the token ends with the call.
    let mut irql = unsafe { AtMostDispatch::assume() };
    // SAFETY: the context of an adapter that is not halted.
    if let Some(adapter) = unsafe { adapter(context) } {
        adapter.cancel_sends(id.addr() as u64, &mut irql);
    }
}

/// `MiniportDevicePnPEventNotify`, `PASSIVE_LEVEL`.
unsafe extern "win64" fn pnp_event(context: NDIS_HANDLE, event: *mut sys::NET_DEVICE_PNP_EVENT) {
    // SAFETY: the level this handler is called at; the token ends with the call.
    let mut irql = unsafe { Passive::assume() };
    // SAFETY: the event NDIS passed.
    let event = unsafe { event.as_ref() };
    let removed =
        event.is_some_and(|event| event.DevicePnPEvent == sys::NdisDevicePnPEventSurpriseRemoved);
    // SAFETY: the context of an adapter that is not halted.
    if let Some(adapter) = unsafe { adapter(context) }
        && removed
    {
        adapter.surprise_removed(&mut irql);
    }
}

/// `MiniportShutdownEx`: the machine stops, and with it every use of our pages by the backend.
/// Nothing is freed: this may be a bug check.
unsafe extern "win64" fn shutdown(_context: NDIS_HANDLE, _action: sys::NDIS_SHUTDOWN_ACTION) {}
