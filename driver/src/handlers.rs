//! The handlers that NDIS calls (ndis-contract: miniport contract).
//!
//! `MiniportInitializeEx` accepts no adapter yet, so NDIS never has a context to call the others
//! with; each still keeps its contract.
#![allow(unsafe_code, reason = "callbacks called by NDIS with raw pointers")]

use core::ffi::c_void;

use ndis::Status;
use ndis::chain::{CompletionSink, NblChain, NdisCompletions};
use ndis::registration::Handlers;
use ndis_sys as sys;
use ndis_sys::NDIS_HANDLE;

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

/// `MiniportInitializeEx`, `PASSIVE_LEVEL`: no adapter can be driven yet. Says so in the event log,
/// as NDIS asks of an initialisation that fails.
unsafe extern "win64" fn initialize(
    adapter: NDIS_HANDLE,
    _driver_context: NDIS_HANDLE,
    _parameters: *mut sys::NDIS_MINIPORT_INIT_PARAMETERS,
) -> sys::NDIS_STATUS {
    // SAFETY: the handle NDIS passed; no values follow.
    unsafe {
        sys::NdisWriteErrorLogEntry(adapter, sys::NDIS_ERROR_CODE_ADAPTER_NOT_FOUND, 0);
    }
    sys::NDIS_STATUS_ADAPTER_NOT_FOUND
}

/// `MiniportHaltEx`, `PASSIVE_LEVEL`: nothing was allocated.
unsafe extern "win64" fn halt(_context: NDIS_HANDLE, _action: sys::NDIS_HALT_ACTION) {}

/// `MiniportPause`, `PASSIVE_LEVEL`: nothing is outstanding, so it is done at once.
unsafe extern "win64" fn pause(
    _context: NDIS_HANDLE,
    _parameters: *mut sys::NDIS_MINIPORT_PAUSE_PARAMETERS,
) -> sys::NDIS_STATUS {
    sys::NDIS_STATUS_SUCCESS
}

/// `MiniportRestart`, `PASSIVE_LEVEL`: there is no connection to restart.
unsafe extern "win64" fn restart(
    _context: NDIS_HANDLE,
    _parameters: *mut sys::NDIS_MINIPORT_RESTART_PARAMETERS,
) -> sys::NDIS_STATUS {
    sys::NDIS_STATUS_FAILURE
}

/// `MiniportOidRequest`, `PASSIVE_LEVEL`: none is supported.
unsafe extern "win64" fn oid_request(
    _context: NDIS_HANDLE,
    _request: *mut sys::NDIS_OID_REQUEST,
) -> sys::NDIS_STATUS {
    sys::NDIS_STATUS_NOT_SUPPORTED
}

/// `MiniportCancelOidRequest`, at most `DISPATCH_LEVEL`: no request is ever pending.
unsafe extern "win64" fn cancel_oid_request(_context: NDIS_HANDLE, _id: *mut c_void) {}

/// `MiniportSendNetBufferLists`, at most `DISPATCH_LEVEL`: not running, so every list goes back.
unsafe extern "win64" fn send(
    context: NDIS_HANDLE,
    lists: *mut sys::NET_BUFFER_LIST,
    _port: sys::NDIS_PORT_NUMBER,
    send_flags: u32,
) {
    // SAFETY: NDIS passes a valid chain and gives it up.
    let mut chain = unsafe { NblChain::from_raw(lists) };
    chain.set_status(Status::PAUSED);
    let flags = send_flags & sys::NDIS_SEND_FLAGS_DISPATCH_LEVEL;
    // SAFETY: the context is the adapter's handle, and sends come only from an adapter not halted.
    unsafe { NdisCompletions::new(context, flags) }.complete(chain);
}

/// `MiniportReturnNetBufferLists`, at most `DISPATCH_LEVEL`: nothing is ever indicated.
unsafe extern "win64" fn return_lists(
    _context: NDIS_HANDLE,
    _lists: *mut sys::NET_BUFFER_LIST,
    _flags: u32,
) {
}

/// `MiniportCancelSend`, at most `DISPATCH_LEVEL`: no send is ever queued.
unsafe extern "win64" fn cancel_send(_context: NDIS_HANDLE, _id: *mut c_void) {}

/// `MiniportDevicePnPEventNotify`, `PASSIVE_LEVEL`: nothing depends on any event.
unsafe extern "win64" fn pnp_event(_context: NDIS_HANDLE, _event: *mut sys::NET_DEVICE_PNP_EVENT) {}

/// `MiniportShutdownEx`: there is no hardware to stop.
unsafe extern "win64" fn shutdown(_context: NDIS_HANDLE, _action: sys::NDIS_SHUTDOWN_ACTION) {}
