//! What the fake miniport does where a mistake can be made: requests, completions, timers, statuses.
#![allow(
    unsafe_code,
    reason = "plays a driver: structures of plain data on its own stack"
)]

use alloc::borrow::ToOwned;
use alloc::vec;
use core::sync::atomic::Ordering;

use ndis_sys::{
    self as sys, NDIS_LINK_STATE, NDIS_OID_REQUEST as Request,
    NDIS_OID_REQUEST_QUERY_INFORMATION as Query, NDIS_STATUS_INDICATION,
    NDIS_TIMER_CHARACTERISTICS, NET_BUFFER as Buffer, NET_BUFFER_LIST as List,
};

use super::fake::{Fake, fill, indicate, ndis, of, structure};
use super::mistakes::Mistake;
use crate::field;
use crate::host::call::call_win64;
use crate::host::context::kernel;
use crate::mem::guest::{Guest, write_bytes};

const TAG: u32 = u32::from_le_bytes(*b"Fake");

/// Calls an export of ntoskrnl.exe.
fn nt(name: &'static str, arguments: &[usize]) -> usize {
    let mut all = [0; 8];
    for (to, from) in all.iter_mut().zip(arguments) {
        *to = *from;
    }
    call_win64(
        crate::export::resolve("ntoskrnl.exe", name).expect("exported"),
        all,
    )
}

/// Small mistakes that fit anywhere; made at the end of initialisation.
pub(super) fn after_initialize(fake: &'static Fake) {
    let adapter = fake.handle();
    match fake.mistake {
        Mistake::HandleWrong => {
            ndis("NdisMPauseComplete", &[adapter + 0x40_0000]);
        }
        Mistake::ErrorCode => {
            ndis("NdisWriteErrorLogEntry", &[adapter, 5, 0]);
        }
        Mistake::MemoryUntagged => {
            let at = ndis("NdisAllocateMemoryWithTagPriority", &[adapter, 64, 0, 0]);
            ndis("NdisFreeMemory", &[at, 0, 0]);
        }
        Mistake::WorkFreed => {
            let item = ndis("NdisAllocateIoWorkItem", &[adapter]);
            ndis(
                "NdisQueueIoWorkItem",
                &[item, fake.code(14), core::ptr::from_ref(fake) as usize],
            );
            ndis("NdisFreeIoWorkItem", &[item]);
        }
        Mistake::FreedTwice => {
            let at = ndis(
                "NdisAllocateMemoryWithTagPriority",
                &[adapter, 64, TAG as usize, 0],
            );
            ndis("NdisFreeMemory", &[at, 0, 0]);
            ndis("NdisFreeMemory", &[at, 0, 0]);
        }
        _ => {}
    }
}

pub(super) fn make_timer(fake: &'static Fake) {
    let mut c: NDIS_TIMER_CHARACTERISTICS = structure(0x97, 1, 24);
    c.AllocationTag = TAG;
    c.FunctionContext = core::ptr::from_ref(fake) as *mut _;
    let function = &raw mut c.TimerFunction as usize;
    Guest::<usize>::new(function).store(fake.code(13));
    let mut timer = 0_usize;
    ndis(
        "NdisAllocateTimerObject",
        &[fake.handle(), &raw mut c as usize, &raw mut timer as usize],
    );
    fake.timer.store(timer, Ordering::Release);
}

fn start_timer(fake: &Fake, due: i64) {
    let due = usize::try_from(due.cast_unsigned()).expect("64-bit");
    ndis(
        "NdisSetTimerObject",
        &[fake.timer.load(Ordering::Acquire), due, 0, 0],
    );
}

pub(super) fn free_timer(fake: &Fake) {
    let timer = fake.timer.load(Ordering::Acquire);
    if fake.does(Mistake::TimerSet) {
        start_timer(fake, -1_000_000);
    } else {
        ndis("NdisCancelTimerObject", &[timer]);
    }
    ndis("NdisFreeTimerObject", &[timer]);
}

/// The timer completes the request that pends, on one of its processors.
pub(super) extern "win64" fn timer(_timer: usize, context: usize, _a: usize, _b: usize) {
    let fake = of(context);
    let request = fake.pended.swap(0, Ordering::AcqRel);
    if request != 0 {
        let status = answer(fake, request);
        let status = usize::try_from(status.cast_unsigned()).expect("32 bits");
        ndis("NdisMOidRequestComplete", &[fake.handle(), request, status]);
        if fake.does(Mistake::OidTwice) {
            ndis("NdisMOidRequestComplete", &[fake.handle(), request, status]);
        }
    }
}

pub(super) extern "win64" fn work(context: usize, _item: usize) {
    let fake = of(context);
    fake.notes.lock().push("work".to_owned());
}

/// Every third request pends and is completed by the timer.
pub(super) extern "win64" fn oid_request(context: usize, request: usize) -> i32 {
    let fake = of(context);
    let oid = crate::ndis::oid::oid_of(request);
    let pends =
        kernel().sched.chance(3) || fake.does(Mistake::OidTwice) || fake.does(Mistake::OidNever);
    if pends && oid != sys::OID_PNP_SET_POWER {
        if fake.does(Mistake::OidNever) && oid == sys::OID_GEN_VENDOR_ID {
            return sys::NDIS_STATUS_PENDING;
        }
        fake.pended.store(request, Ordering::Release);
        start_timer(fake, -20_000);
        return sys::NDIS_STATUS_PENDING;
    }
    answer(fake, request)
}

/// Gives up the request that pends.
pub(super) extern "win64" fn cancel_oid(context: usize, _id: usize) {
    let fake = of(context);
    fake.notes.lock().push("cancel".to_owned());
    let request = fake.pended.swap(0, Ordering::AcqRel);
    if request != 0 {
        let status =
            usize::try_from(sys::NDIS_STATUS_REQUEST_ABORTED.cast_unsigned()).expect("32 bits");
        ndis("NdisMOidRequestComplete", &[fake.handle(), request, status]);
    }
}

struct Data {
    buffer: usize,
    len: u32,
    count: Guest<u32>,
    needed: Guest<u32>,
}

fn data(request: usize) -> Data {
    let at = field!(request as *mut Request, Request, DATA).address() as *mut Query;
    Data {
        buffer: field!(at, Query, InformationBuffer).load() as usize,
        len: field!(at, Query, InformationBufferLength).load(),
        count: field!(at, Query, BytesWritten),
        needed: field!(at, Query, BytesNeeded),
    }
}

fn reply(fake: &Fake, data: &Data, bytes: &[u8]) -> i32 {
    let len = u32::try_from(bytes.len()).expect("short");
    data.needed.store(len);
    if data.len < len {
        return sys::NDIS_STATUS_BUFFER_TOO_SHORT;
    }
    write_bytes(data.buffer, bytes);
    if fake.does(Mistake::OidBeyond) {
        write_bytes(data.buffer + bytes.len(), &[1]);
    }
    data.count.store(if fake.does(Mistake::OidCounts) {
        data.len + 1
    } else {
        len
    });
    sys::NDIS_STATUS_SUCCESS
}

fn answer(fake: &Fake, request: usize) -> i32 {
    let data = data(request);
    let is_set = field!(request as *mut Request, Request, RequestType).load()
        == sys::NdisRequestSetInformation;
    match (crate::ndis::oid::oid_of(request), is_set) {
        (sys::OID_GEN_CURRENT_PACKET_FILTER, true) => {
            if data.len < 4 {
                data.needed.store(4);
                return sys::NDIS_STATUS_INVALID_LENGTH;
            }
            fake.filter
                .store(Guest::<u32>::new(data.buffer).load(), Ordering::Release);
            data.count.store(4);
            sys::NDIS_STATUS_SUCCESS
        }
        (sys::OID_GEN_VENDOR_ID, false) => reply(fake, &data, &[0xFF, 0xFF, 0xFF, 0]),
        (sys::OID_GEN_XMIT_OK, false) => {
            let short = (4..8).contains(&data.len);
            let status = reply(
                fake,
                &data,
                if short {
                    &[1, 0, 0, 0]
                } else {
                    &[1, 0, 0, 0, 0, 0, 0, 0]
                },
            );
            data.needed.store(8);
            status
        }
        (sys::OID_PNP_SET_POWER, true) => {
            data.count.store(4);
            set_power(fake, Guest::<u32>::new(data.buffer).load())
        }
        (sys::OID_TCP_OFFLOAD_PARAMETERS, true) => {
            data.count.store(data.len);
            if !fake.does(Mistake::RevisionUnset) {
                field!(request as *mut Request, Request, SupportedRevision).store(5);
            }
            if !fake.does(Mistake::ConfigUntold) {
                offload_config(fake);
            }
            sys::NDIS_STATUS_SUCCESS
        }
        _ => sys::NDIS_STATUS_NOT_SUPPORTED,
    }
}

fn set_power(fake: &Fake, state: u32) -> i32 {
    let link = if state == 1 {
        sys::MediaConnectStateConnected
    } else {
        sys::MediaConnectStateUnknown
    };
    if !(fake.does(Mistake::LinkKept) && state != 1) {
        tell_link(fake, link);
    }
    tell_mtu(fake, if state == 1 { 1500 } else { 1400 });
    if fake.does(Mistake::PowerFails) {
        sys::NDIS_STATUS_FAILURE
    } else {
        sys::NDIS_STATUS_SUCCESS
    }
}

fn tell(fake: &Fake, code: i32, buffer: usize, len: usize) {
    let mut s: NDIS_STATUS_INDICATION = structure(sys::NDIS_OBJECT_TYPE_STATUS_INDICATION, 1, 112);
    let wrong = fake.does(Mistake::StatusSource)
        || fake.does(Mistake::StatusHalting) && fake.halting.load(Ordering::Acquire);
    let source = if wrong { 8 } else { fake.handle() };
    s.SourceHandle = source as *mut _;
    s.StatusCode = code;
    s.StatusBuffer = buffer as *mut _;
    s.StatusBufferSize = u32::try_from(len).expect("short");
    ndis(
        "NdisMIndicateStatusEx",
        &[fake.handle(), &raw mut s as usize],
    );
}

pub(super) fn tell_link(fake: &Fake, connect: i32) {
    let mut link: NDIS_LINK_STATE = structure(sys::NDIS_OBJECT_TYPE_DEFAULT, 1, 40);
    link.MediaConnectState = connect;
    link.XmitLinkSpeed = 10_000_000_000;
    link.RcvLinkSpeed = 10_000_000_000;
    tell(
        fake,
        sys::NDIS_STATUS_LINK_STATE,
        &raw mut link as usize,
        40,
    );
}

fn tell_mtu(fake: &Fake, bytes: u32) {
    let (mut bytes, len) = match fake.mistake {
        Mistake::MtuShort => (bytes, 2),
        Mistake::MtuTiny => (0, 4),
        Mistake::MtuKept => (1500, 4),
        _ => (bytes, 4),
    };
    let at = &raw mut bytes as usize;
    tell(fake, sys::NDIS_STATUS_L2_MTU_SIZE_CHANGE, at, len);
}

fn offload_config(fake: &Fake) {
    let (revision, size) = crate::ndis::header::OFFLOAD.shape(fake.minor);
    let at = kernel().pool.allocate_own(usize::from(size));
    crate::ndis::header::write(at, 0xA7, revision, usize::from(size));
    tell(
        fake,
        sys::NDIS_STATUS_TASK_OFFLOAD_CURRENT_CONFIG,
        at,
        usize::from(size),
    );
    kernel().pool.free(at, None);
}

/// Mistakes of a pause; `Some` if it is to end with this status.
pub(super) fn pause(fake: &Fake) -> Option<i32> {
    match fake.mistake {
        Mistake::PauseFails => Some(sys::NDIS_STATUS_FAILURE),
        Mistake::PauseNever => Some(sys::NDIS_STATUS_PENDING),
        Mistake::PauseTwice => {
            ndis("NdisMPauseComplete", &[fake.handle()]);
            Some(sys::NDIS_STATUS_SUCCESS)
        }
        Mistake::PausedBusy => Some(sys::NDIS_STATUS_SUCCESS),
        _ => None,
    }
}

/// Completes a chain of sends, in one of many wrong ways.
pub(super) fn complete_sends(fake: &Fake, first: usize, dispatch: u32) {
    let raw = first as *mut List;
    let done = |at: usize, flags: u32| {
        ndis(
            "NdisMSendNetBufferListsComplete",
            &[fake.handle(), at, flags as usize],
        );
    };
    match fake.mistake {
        Mistake::SendNever | Mistake::PausedBusy => fake.kept.lock().push(first),
        Mistake::SendTwice => {
            done(first, dispatch);
            done(first, dispatch);
        }
        Mistake::SendLinks => {
            let buffer = field!(raw, List, FirstNetBuffer).load();
            let offset = field!(buffer, Buffer, CurrentMdlOffset);
            offset.store(offset.load() + 1);
            done(first, dispatch);
        }
        Mistake::SendData => {
            let buffer = field!(raw, List, FirstNetBuffer).load();
            let current = field!(buffer, Buffer, CurrentMdl).load() as usize;
            // Through another mapping: the one NDIS gives is read-only.
            let _ = kernel()
                .space
                .write(crate::ndis::mdl::piece(current).address, &[0x55]);
            done(first, dispatch);
        }
        Mistake::FlagWrong => done(first, sys::NDIS_SEND_COMPLETE_FLAGS_DISPATCH_LEVEL),
        Mistake::LockHeld => {
            let lock = kernel().pool.allocate_own(8);
            let irql = nt("KeAcquireSpinLockRaiseToDpc", &[lock]);
            done(first, dispatch);
            nt("KeReleaseSpinLock", &[lock, irql & 0xFF]);
            kernel().pool.free(lock, None);
        }
        Mistake::DataAlignment => {
            let buffer = field!(raw, List, FirstNetBuffer).load() as usize;
            ndis("NdisGetDataBuffer", &[buffer, 14, 0, 3, 0]);
            done(first, dispatch);
        }
        _ => done(first, dispatch),
    }
}

/// Receives a frame that was sent.
pub(super) fn echo(fake: &Fake, frame: &[u8], dispatch: u32) {
    let frame = if fake.does(Mistake::FrameLong) {
        vec![0x33; 1600]
    } else {
        frame.to_vec()
    };
    let Some(at) = fill(fake, &frame) else { return };
    match fake.mistake {
        Mistake::CountWrong => indicate(fake, at, 2, dispatch),
        Mistake::IndicatedTwice => {
            indicate(fake, at, 1, dispatch);
            ndis(
                "NdisMIndicateReceiveNetBufferLists",
                &[fake.handle(), at, 0, 1, dispatch as usize],
            );
        }
        Mistake::FreedIndicated => {
            indicate(fake, at, 1, dispatch);
            ndis("NdisFreeNetBufferList", &[at]);
        }
        _ => {
            let resources = if kernel().sched.chance(4) {
                sys::NDIS_RECEIVE_FLAGS_RESOURCES
            } else {
                0
            };
            indicate(fake, at, 1, dispatch | resources);
        }
    }
}

/// Something the test does in the name of the driver, at a moment of the test's choice.
pub(super) fn at_will(fake: &Fake) {
    match fake.mistake {
        Mistake::IndicatedPaused | Mistake::FilterZero => {
            if let Some(at) = fill(fake, &[0xFF; 60]) {
                indicate(fake, at, 1, sys::NDIS_RECEIVE_FLAGS_RESOURCES);
            }
        }
        Mistake::StatusHalted => tell_link(fake, sys::MediaConnectStateConnected),
        _ => {}
    }
}
