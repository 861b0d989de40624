//! NDIS Poll, NDIS 6.85 and later. The functions are not in older systems' exports: get them with
//! `NdisGetRoutineAddress`, never by import.

use core::ffi::c_void;

use wdk_sys::PROCESSOR_NUMBER;

use crate::net_buffer::NET_BUFFER_LIST;
use crate::object::NDIS_OBJECT_HEADER;
use crate::types::{BOOLEAN, NDIS_HANDLE, NDIS_STATUS};

/// A Poll object. NDIS 6.85.
pub type NDIS_POLL_HANDLE = *mut c_void;
/// Polls the driver for receives and completions. At most `DISPATCH_LEVEL`. NDIS 6.85.
pub type NDIS_POLL = unsafe extern "win64" fn(Context: *mut c_void, PollData: *mut NDIS_POLL_DATA);
/// Turns the driver's interrupt (event channel) on or off. At most `DISPATCH_LEVEL`. NDIS 6.85.
pub type NDIS_SET_POLL_NOTIFICATION =
    unsafe extern "win64" fn(Context: *mut c_void, Notification: *mut NDIS_POLL_NOTIFICATION);
/// `NdisRegisterPoll`. `PASSIVE_LEVEL`. NDIS 6.85.
pub type NDIS_REGISTER_POLL = unsafe extern "win64" fn(
    NdisHandle: NDIS_HANDLE,
    Context: *mut c_void,
    Characteristics: *const NDIS_POLL_CHARACTERISTICS,
    PollHandle: *mut NDIS_POLL_HANDLE,
) -> NDIS_STATUS;
/// `NdisDeregisterPoll`. `PASSIVE_LEVEL`. NDIS 6.85.
pub type NDIS_DEREGISTER_POLL = unsafe extern "win64" fn(PollHandle: NDIS_POLL_HANDLE);
/// `NdisSetPollAffinity`. At most `DISPATCH_LEVEL`. NDIS 6.85.
pub type NDIS_SET_POLL_AFFINITY =
    unsafe extern "win64" fn(PollHandle: NDIS_POLL_HANDLE, PollAffinity: *const PROCESSOR_NUMBER);
/// `NdisRequestPoll`. Any IRQL. NDIS 6.85.
pub type NDIS_REQUEST_POLL =
    unsafe extern "win64" fn(PollHandle: NDIS_POLL_HANDLE, Reserved: *mut c_void);

/// Send completions of one poll. NDIS 6.85.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct NDIS_POLL_TRANSMIT_DATA {
    /// Budget.
    pub MaxNblsToComplete: u32,
    /// Reserved.
    pub Reserved1: [u32; 3],
    /// Completed lists.
    pub CompletedNblChain: *mut NET_BUFFER_LIST,
    /// Lists in the chain.
    pub NumberOfCompletedNbls: u32,
    /// More to come; `NDIS_ANY_NUMBER_OF_NBLS` if unknown.
    pub NumberOfRemainingNbls: u32,
    /// `NDIS_SEND_COMPLETE_FLAGS_*`.
    pub SendCompleteFlags: u32,
    /// Reserved.
    pub Reserved2: u32,
    /// Reserved.
    pub Reserved3: [*mut c_void; 4],
}

/// Receives of one poll. NDIS 6.85.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct NDIS_POLL_RECEIVE_DATA {
    /// Budget.
    pub MaxNblsToIndicate: u32,
    /// Reserved.
    pub Reserved1: [u32; 3],
    /// Received lists.
    pub IndicatedNblChain: *mut NET_BUFFER_LIST,
    /// Lists in the chain.
    pub NumberOfIndicatedNbls: u32,
    /// More to come; `NDIS_ANY_NUMBER_OF_NBLS` if unknown.
    pub NumberOfRemainingNbls: u32,
    /// `NDIS_RECEIVE_FLAGS_*`.
    pub Flags: u32,
    /// Reserved.
    pub Reserved2: u32,
    /// Reserved.
    pub Reserved3: [*mut c_void; 4],
}

/// Input and output of one poll. NDIS 6.85.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct NDIS_POLL_DATA {
    /// Type `NDIS_OBJECT_TYPE_DEFAULT`.
    pub Header: NDIS_OBJECT_HEADER,
    /// Send completions.
    pub Transmit: NDIS_POLL_TRANSMIT_DATA,
    /// Receives.
    pub Receive: NDIS_POLL_RECEIVE_DATA,
}

/// Whether interrupts are wanted. NDIS 6.85.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct NDIS_POLL_NOTIFICATION {
    /// Type `NDIS_OBJECT_TYPE_DEFAULT`.
    pub Header: NDIS_OBJECT_HEADER,
    /// True: interrupt and request a poll.
    pub Enabled: BOOLEAN,
}

/// Handlers of a Poll object. NDIS 6.85.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct NDIS_POLL_CHARACTERISTICS {
    /// Type `NDIS_OBJECT_TYPE_DEFAULT`.
    pub Header: NDIS_OBJECT_HEADER,
    /// Required.
    pub SetPollNotificationHandler: Option<NDIS_SET_POLL_NOTIFICATION>,
    /// Required.
    pub PollHandler: Option<NDIS_POLL>,
}

/// The only revision. NDIS 6.85.
pub const NDIS_POLL_CHARACTERISTICS_REVISION_1: u8 = 1;
/// The only revision. NDIS 6.85.
pub const NDIS_POLL_DATA_REVISION_1: u8 = 1;
/// The only revision. NDIS 6.85.
pub const NDIS_POLL_NOTIFICATION_REVISION_1: u8 = 1;

/// Bytes of revision 1. NDIS 6.85.
pub const NDIS_SIZEOF_NDIS_POLL_CHARACTERISTICS_REVISION_1: usize =
    size_of::<NDIS_POLL_CHARACTERISTICS>();

/// Count: unknown but not zero. NDIS 6.85.
pub const NDIS_ANY_NUMBER_OF_NBLS: u32 = 0xFFFF_FFFF;
