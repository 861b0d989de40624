//! Requests to the miniport: one at a time, with buffers that show every byte written beside the answer.

use alloc::boxed::Box;
use alloc::format;
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, Ordering};

use ndis_sys::{
    self as sys, NDIS_OID_REQUEST as Request, NDIS_OID_REQUEST_METHOD_INFORMATION as MethodData,
    NDIS_OID_REQUEST_QUERY_INFORMATION as QueryData, NDIS_STATUS,
};
use spin::Mutex;

use super::adapter::{self, Adapter};
use super::contract::{HEADER, OID_DOUBLE, OID_FOLLOWS, OID_TIME};
use super::driver::Handler;
use super::nt::{self, Signal};
use super::oid_rules::{self, Outcome};
use super::{contract, header};
use crate::SECOND;
use crate::export::{Module, exports};
use crate::field;
use crate::host::context::kernel;
use crate::mem::guest::{read_bytes, write_bytes};
use crate::rules;
use crate::sched::events;

exports! { Module::Ndis;
    NdisMOidRequestComplete = complete, 0..=2;
    NdisMDirectOidRequestComplete = direct_complete, 0..=2;
}

/// Longest request that Driver Verifier allows.
const LIMIT: u64 = 12 * SECOND;
/// Bytes before and after a buffer that nobody may touch, and what they hold.
const CANARY: usize = 64;
const FILL: u8 = 0xC5;

/// Kind of a request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OidKind {
    /// `NdisRequestQueryInformation`.
    #[default]
    Query,
    /// `NdisRequestQueryStatistics`.
    Statistics,
    /// `NdisRequestSetInformation`.
    Set,
    /// `NdisRequestMethod`.
    Method,
}

impl OidKind {
    const fn code(self) -> i32 {
        match self {
            Self::Query => sys::NdisRequestQueryInformation,
            Self::Statistics => sys::NdisRequestQueryStatistics,
            Self::Set => sys::NdisRequestSetInformation,
            Self::Method => sys::NdisRequestMethod,
        }
    }
}

/// A request for the miniport.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OidRequest {
    /// Kind.
    pub kind: OidKind,
    /// Object.
    pub oid: u32,
    /// Bytes to set, or the input of a method.
    pub input: Vec<u8>,
    /// Bytes of room for the answer.
    pub output: usize,
    /// `MethodId`.
    pub method: u32,
    /// Bytes by which the buffer misses an 8-byte boundary, 0 to 7. The seed chooses if `None`.
    pub misalign: Option<usize>,
    /// Cancel it if it pends this long (100 ns units).
    pub cancel_after: Option<u64>,
}

impl OidRequest {
    /// Asks for `oid`, with `output` bytes of room.
    #[must_use]
    pub fn query(oid: u32, output: usize) -> Self {
        Self {
            oid,
            output,
            ..Self::default()
        }
    }

    /// Sets `oid`.
    #[must_use]
    pub fn set(oid: u32, input: impl Into<Vec<u8>>) -> Self {
        Self {
            kind: OidKind::Set,
            oid,
            input: input.into(),
            ..Self::default()
        }
    }
}

/// How a request ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OidResult {
    /// Final status.
    pub status: i32,
    /// Bytes the driver says it wrote.
    pub written: u32,
    /// Bytes the driver says it read.
    pub read: u32,
    /// Bytes the driver says it needs.
    pub needed: u32,
    /// `SupportedRevision`.
    pub revision: u8,
    /// The bytes written.
    pub data: Vec<u8>,
}

impl OidResult {
    /// Whether the request succeeded.
    #[must_use]
    pub const fn is_success(&self) -> bool {
        self.status == sys::NDIS_STATUS_SUCCESS
    }

    /// The answer as a number, if it is four bytes.
    #[must_use]
    pub fn number(&self) -> Option<u32> {
        Some(u32::from_le_bytes(self.data.as_slice().try_into().ok()?))
    }

    fn refused(status: i32) -> Self {
        Self {
            status,
            ..Self::default()
        }
    }
}

#[derive(Clone, Copy, Debug)]
struct Current {
    at: usize,
    signal: Signal,
    completed: Option<NDIS_STATUS>,
}

/// The request the driver has, and the exclusion that lets in one at a time.
#[derive(Debug)]
pub(crate) struct Requests {
    exclusion: Signal,
    current: Mutex<Option<Current>>,
    /// `OID_TCP_OFFLOAD_PARAMETERS` has turned coalescing off: IPv4, IPv6.
    pub(crate) no_units: [AtomicBool; 2],
}

impl Requests {
    pub(crate) fn new() -> Self {
        Self {
            exclusion: Signal::exclusion(),
            current: Mutex::new(None),
            no_units: [const { AtomicBool::new(false) }; 2],
        }
    }

    /// Runs `body` while no request is in the driver and none can enter.
    pub(crate) fn quiesce(&self, body: impl FnOnce()) {
        self.exclusion.wait(None);
        body();
        self.exclusion.set();
    }
}

/// Sets whose input begins with a header and whose success tells the supported revision.
const REVISIONED: [u32; 8] = [
    sys::OID_GEN_RECEIVE_SCALE_PARAMETERS,
    sys::OID_GEN_RECEIVE_SCALE_PARAMETERS_V2,
    sys::OID_GEN_RECEIVE_HASH,
    sys::OID_GEN_LINK_PARAMETERS,
    sys::OID_GEN_INTERRUPT_MODERATION,
    sys::OID_TCP_OFFLOAD_PARAMETERS,
    sys::OID_OFFLOAD_ENCAPSULATION,
    sys::OID_PM_PARAMETERS,
];

/// One request in guest memory.
struct Built {
    at: usize,
    block: usize,
    buffer: usize,
    before: Vec<u8>,
    request: OidRequest,
    fixed: Vec<u8>,
}

/// Bytes of the request that stay NDIS's: everything before the counts the driver sets.
const FIXED: usize =
    core::mem::offset_of!(Request, DATA) + core::mem::offset_of!(QueryData, BytesWritten);

fn build(adapter: &Adapter, request: &OidRequest) -> Built {
    let kernel = kernel();
    let len = request.input.len().max(request.output);
    let choice = kernel.sched.rng.lock().below(16) as usize;
    let misalign = request.misalign.unwrap_or(choice % 8);
    let block = kernel.pool.allocate_own(2 * CANARY + 8 + len);
    let mut before = vec![FILL; 2 * CANARY + 8 + len];
    before[CANARY + misalign..CANARY + misalign + request.input.len()]
        .copy_from_slice(&request.input);
    write_bytes(block, &before);
    // A buffer of no bytes may have no address either.
    let buffer = if len == 0 && choice >= 8 {
        0
    } else {
        block + CANARY + misalign
    };
    let at = kernel.pool.allocate_own(size_of::<Request>());
    let raw = at as *mut Request;
    header::write(
        at,
        sys::NDIS_OBJECT_TYPE_OID_REQUEST,
        2,
        sys::NDIS_SIZEOF_OID_REQUEST_REVISION_2,
    );
    field!(raw, Request, RequestType).store(request.kind.code());
    field!(raw, Request, RequestId)
        .cast::<usize>()
        .store(at ^ 0x5555_0000);
    field!(raw, Request, RequestHandle)
        .cast::<usize>()
        .store(adapter.handle);
    let data = field!(raw, Request, DATA).address();
    let number = |len: usize| u32::try_from(len).unwrap_or(u32::MAX);
    if request.kind == OidKind::Method {
        let data = data as *mut MethodData;
        field!(data, MethodData, Oid).store(request.oid);
        field!(data, MethodData, InformationBuffer)
            .cast::<usize>()
            .store(buffer);
        field!(data, MethodData, InputBufferLength).store(number(request.input.len()));
        field!(data, MethodData, OutputBufferLength).store(number(request.output));
        field!(data, MethodData, MethodId).store(request.method);
    } else {
        let data = data as *mut QueryData;
        field!(data, QueryData, Oid).store(request.oid);
        field!(data, QueryData, InformationBuffer)
            .cast::<usize>()
            .store(buffer);
        field!(data, QueryData, InformationBufferLength).store(number(len));
    }
    let mut fixed = vec![0; FIXED];
    read_bytes(at, &mut fixed);
    Built {
        at,
        block,
        buffer,
        before,
        request: request.clone(),
        fixed,
    }
}

impl Built {
    /// Reads what the driver left behind.
    fn outcome(&self, status: NDIS_STATUS) -> (Outcome, OidResult) {
        let raw = self.at as *mut Request;
        let data = field!(raw, Request, DATA).address();
        let (written, read, needed) = if self.request.kind == OidKind::Method {
            let data = data as *mut MethodData;
            (
                field!(data, MethodData, BytesWritten).load(),
                field!(data, MethodData, BytesRead).load(),
                field!(data, MethodData, BytesNeeded).load(),
            )
        } else {
            let data = data as *mut QueryData;
            let count = field!(data, QueryData, BytesWritten).load();
            let needed = field!(data, QueryData, BytesNeeded).load();
            if self.request.kind == OidKind::Set {
                (0, count, needed)
            } else {
                (count, 0, needed)
            }
        };
        let mut fixed = vec![0; FIXED];
        read_bytes(self.at, &mut fixed);
        let mut after = vec![0; self.before.len()];
        read_bytes(self.block, &mut after);
        let offset = if self.buffer == 0 {
            CANARY
        } else {
            self.buffer - self.block
        };
        let reported = offset..offset + (written as usize).min(self.request.output);
        let is_set = self.request.kind == OidKind::Set;
        let partial = status == sys::NDIS_STATUS_BUFFER_OVERFLOW;
        let whole = offset..offset + self.request.input.len().max(self.request.output);
        let allowed = if partial || is_set {
            whole
        } else {
            reported.clone()
        };
        let stray_write = (0..after.len())
            .find(|index| !allowed.contains(index) && after.get(*index) != self.before.get(*index))
            .map(|index| index.wrapping_sub(offset));
        let number = |len: usize| u32::try_from(len).unwrap_or(u32::MAX);
        let revision = field!(raw, Request, SupportedRevision).load();
        let outcome = Outcome {
            kind: self.request.kind,
            oid: self.request.oid,
            status,
            input: number(self.request.input.len()),
            output: number(self.request.output),
            written,
            read,
            needed,
            revision,
            stray_write,
            request_changed: fixed != self.fixed,
            revisioned: REVISIONED.contains(&self.request.oid),
        };
        let data = after.get(reported).map(<[u8]>::to_vec).unwrap_or_default();
        (
            outcome,
            OidResult {
                status,
                written,
                read,
                needed,
                revision,
                data,
            },
        )
    }

    fn free(self) {
        kernel().pool.free(self.at, None);
        kernel().pool.free(self.block, None);
    }
}

/// Sends a request to the driver and waits for its end. `PASSIVE_LEVEL`, on a system thread.
pub(crate) fn run(adapter: &Arc<Adapter>, request: &OidRequest) -> OidResult {
    adapter.requests.exclusion.wait(None);
    let result = exclusive(adapter, request);
    adapter.requests.exclusion.set();
    result
}

fn exclusive(adapter: &Arc<Adapter>, request: &OidRequest) -> OidResult {
    if !adapter.state().may_request() || adapter.surprise_removed.load(Ordering::Acquire) {
        return OidResult::refused(sys::NDIS_STATUS_NOT_ACCEPTED);
    }
    if adapter.in_low_power() && request.oid != sys::OID_PNP_SET_POWER {
        return OidResult::refused(sys::NDIS_STATUS_LOW_POWER_STATE);
    }
    let built = build(adapter, request);
    let signal = Signal::new();
    let configurations = adapter.statuses.current_configs();
    *adapter.requests.current.lock() = Some(Current {
        at: built.at,
        signal,
        completed: None,
    });
    let started = kernel().sched.now();
    note_units(adapter, request, RSC_ENABLED);
    let returned = adapter
        .driver
        .call_status(Handler::OidRequest, &[adapter.context(), built.at]);
    if returned == sys::NDIS_STATUS_PENDING {
        wait(adapter, request, &built, signal);
    }
    let took = kernel().sched.now().saturating_sub(started);
    let current = adapter.requests.current.lock().take();
    signal.free();
    let completed = current.and_then(|current| current.completed);
    let status = match (returned, completed) {
        (sys::NDIS_STATUS_PENDING, Some(status)) | (status, None) => status,
        (status, Some(_)) => {
            rules::violate(
                &OID_DOUBLE,
                format!(
                    "OID {:#010x} was completed and returned {status:#x}",
                    request.oid
                ),
            );
            status
        }
    };
    if took > LIMIT {
        let seconds = took / SECOND;
        rules::violate(
            &OID_TIME,
            format!("OID {:#010x} took {seconds} s", request.oid),
        );
    }
    let (outcome, result) = built.outcome(status);
    for (rule, what) in oid_rules::faults(&outcome) {
        rules::violate(rule, what);
    }
    built.free();
    if result.is_success()
        && request.kind == OidKind::Query
        && request.oid == sys::OID_GEN_STATISTICS
    {
        let fault = oid_rules::statistics_fault(&result.data, adapter.driver.minor);
        if let Some(what) = fault {
            rules::violate(&HEADER, what);
        }
    }
    if result.is_success() && request.kind == OidKind::Set {
        accepted(adapter, request, configurations);
    }
    result
}

/// Waits for a pending request; cancels it if that was asked for, or if it never ends by itself.
fn wait(adapter: &Arc<Adapter>, request: &OidRequest, built: &Built, signal: Signal) {
    let id = field!(built.at as *mut Request, Request, RequestId)
        .cast::<usize>()
        .load();
    let cancel = || {
        let arguments = [adapter.context(), id];
        if kernel().sched.chance(2) {
            nt::at_dispatch(|| adapter.driver.call(Handler::CancelOidRequest, &arguments));
        } else {
            adapter.driver.call(Handler::CancelOidRequest, &arguments);
        }
    };
    if let Some(after) = request.cancel_after {
        if signal.wait(Some(after)) {
            return;
        }
        cancel();
    }
    if signal.wait(Some(LIMIT + 1)) {
        return;
    }
    cancel();
    if !signal.wait(Some(LIMIT)) {
        let what = format!(
            "OID {:#010x} is pending for {} s, and cancelled in vain",
            request.oid,
            2 * LIMIT / SECOND
        );
        rules::die(&OID_TIME, what);
    }
}

/// Values of `RscIPv4` and `RscIPv6` in `NDIS_OFFLOAD_PARAMETERS`.
const RSC_DISABLED: u8 = 1;
const RSC_ENABLED: u8 = 2;

/// Notes which IP versions may come in coalesced units. One that is turned off may until the request is complete
/// ("Querying and Changing RSC State"), one that is turned on from the moment the driver is asked.
fn note_units(adapter: &Adapter, request: &OidRequest, change: u8) {
    if request.kind != OidKind::Set || request.oid != sys::OID_TCP_OFFLOAD_PARAMETERS {
        return;
    }
    let fields = [
        core::mem::offset_of!(sys::NDIS_OFFLOAD_PARAMETERS, RscIPv4),
        core::mem::offset_of!(sys::NDIS_OFFLOAD_PARAMETERS, RscIPv6),
    ];
    for (off, at) in adapter.requests.no_units.iter().zip(fields) {
        if request.input.get(at) == Some(&change) {
            off.store(change == RSC_DISABLED, Ordering::Release);
        }
    }
}

/// What a successful set means for NDIS.
fn accepted(adapter: &Arc<Adapter>, request: &OidRequest, configurations: usize) {
    match request.oid {
        sys::OID_GEN_CURRENT_PACKET_FILTER => {
            let bytes = request
                .input
                .get(..4)
                .and_then(|bytes| bytes.try_into().ok())
                .unwrap_or_default();
            adapter
                .filter
                .store(u32::from_le_bytes(bytes), Ordering::Release);
        }
        sys::OID_TCP_OFFLOAD_PARAMETERS | sys::OID_OFFLOAD_ENCAPSULATION => {
            note_units(adapter, request, RSC_DISABLED);
            let adapter = Arc::clone(adapter);
            let oid = request.oid;
            let check = move || {
                if adapter.state().may_request()
                    && adapter.statuses.current_configs() == configurations
                {
                    let what = format!(
                        "no TASK_OFFLOAD_CURRENT_CONFIG 1 s after the success of OID {oid:#010x}"
                    );
                    rules::violate(&OID_FOLLOWS, what);
                }
            };
            let kernel = kernel();
            kernel.sched.events.add(
                kernel.sched.now() + SECOND,
                events::Event::Action(Box::new(check)),
            );
        }
        _ => {}
    }
}

extern "win64" fn complete(handle: usize, request: usize, status: NDIS_STATUS) {
    let adapter = adapter::of(handle, "NdisMOidRequestComplete");
    adapter::expect_no_lock("NdisMOidRequestComplete", false);
    if status == sys::NDIS_STATUS_PENDING {
        rules::violate(
            &contract::OID_STATUS,
            "NdisMOidRequestComplete with NDIS_STATUS_PENDING",
        );
    }
    let signal = {
        let mut current = adapter.requests.current.lock();
        match current.as_mut() {
            Some(current) if current.at == request && current.completed.is_none() => {
                current.completed = Some(status);
                Some(current.signal)
            }
            _ => None,
        }
    };
    match signal {
        Some(signal) => signal.set(),
        None => rules::violate(
            &OID_DOUBLE,
            format!("NdisMOidRequestComplete: {request:#x} is not pending"),
        ),
    }
}

/// No direct request is ever sent.
extern "win64" fn direct_complete(handle: usize, request: usize, _status: NDIS_STATUS) {
    let _ = adapter::of(handle, "NdisMDirectOidRequestComplete");
    rules::violate(
        &OID_DOUBLE,
        format!("NdisMDirectOidRequestComplete: {request:#x} is not pending"),
    );
}

/// The identifier a request of `at` carries; for tests that complete requests themselves.
#[cfg(test)]
pub(super) fn oid_of(at: usize) -> u32 {
    let data = field!(at as *mut Request, Request, DATA).address();
    field!(data as *mut QueryData, QueryData, Oid).load()
}
