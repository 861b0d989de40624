//! Status indications, and the link state they tell.

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;
use core::sync::atomic::Ordering;

use ndis_sys::{self as sys, NDIS_LINK_STATE, NDIS_STATUS_INDICATION as Indication};
use spin::Mutex;

use super::adapter::{self, Adapter};
use super::attribute_rules::{General, MTU};
use super::attributes::read_offload;
use super::contract::{STATUS, STATUS_STATE};
use super::header;
use super::state::State;
use crate::export::{Module, exports};
use crate::host::context::kernel;
use crate::mem::guest::{Guest, read_bytes};
use crate::rules;

exports! { Module::Ndis;
    NdisMIndicateStatusEx = indicate, 0..=2;
}

/// One status that the driver indicated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatusSeen {
    /// `NDIS_STATUS_*`.
    pub code: i32,
    /// Contents of the status buffer.
    pub data: Vec<u8>,
    /// Virtual time.
    pub time: u64,
}

/// The link as the driver last told it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LinkState {
    /// `NDIS_MEDIA_CONNECT_STATE`: 0 unknown, 1 connected, 2 disconnected.
    pub connect: i32,
    /// `NDIS_MEDIA_DUPLEX_STATE`.
    pub duplex: i32,
    /// Bits per second: transmit, receive.
    pub speeds: [u64; 2],
}

impl LinkState {
    /// Whether the link is up.
    #[must_use]
    pub const fn is_connected(&self) -> bool {
        self.connect == sys::MediaConnectStateConnected
    }
}

/// What was indicated so far.
#[derive(Debug, Default)]
pub(crate) struct Statuses {
    seen: Mutex<Vec<StatusSeen>>,
    link: Mutex<LinkState>,
    redundant: Mutex<u32>,
}

/// Statuses kept; a driver that floods does not fill the memory.
const KEEP: usize = 4096;

impl Statuses {
    /// The general attributes tell the link's first state.
    pub(crate) fn start(&self, general: &General) {
        *self.link.lock() = LinkState {
            connect: general.connect_state,
            duplex: 0,
            speeds: general.speeds,
        };
    }

    pub(crate) fn seen(&self) -> Vec<StatusSeen> {
        self.seen.lock().clone()
    }

    pub(crate) fn link(&self) -> LinkState {
        *self.link.lock()
    }

    /// Link indications that told nothing new.
    pub(crate) fn redundant(&self) -> u32 {
        *self.redundant.lock()
    }

    /// Number of `TASK_OFFLOAD_CURRENT_CONFIG` indications.
    pub(crate) fn current_configs(&self) -> usize {
        let wanted = sys::NDIS_STATUS_TASK_OFFLOAD_CURRENT_CONFIG;
        self.seen
            .lock()
            .iter()
            .filter(|status| status.code == wanted)
            .count()
    }

    fn add(&self, status: StatusSeen) {
        let mut seen = self.seen.lock();
        if seen.len() < KEEP {
            seen.push(status);
        }
    }
}

extern "win64" fn indicate(handle: usize, at: *mut Indication) {
    let adapter = adapter::of(handle, "NdisMIndicateStatusEx");
    adapter::expect_no_lock("NdisMIndicateStatusEx", false);
    let registered = adapter.attributes.lock().registered;
    let state = adapter.state();
    // A thread of the driver's may be on its way here when NDIS calls the halt handler; it is over when the
    // handler returns (nc-ndis-miniport_halt: none after the return).
    let is_over = match state {
        State::Halted => !adapter.in_halt.load(Ordering::Acquire),
        state => state == State::Shutdown,
    };
    if !registered || is_over {
        rules::violate(
            &STATUS_STATE,
            format!("NdisMIndicateStatusEx in state {state:?}"),
        );
        return;
    }
    if !header::STATUS_INDICATION.accept(at as usize, adapter.driver.minor) {
        return;
    }
    let raw = Guest::from(at).load();
    for what in faults(&raw, handle) {
        rules::violate(&STATUS, what);
    }
    let mut data = vec![0; (raw.StatusBufferSize as usize).min(65_536)];
    read_bytes(raw.StatusBuffer as usize, &mut data);
    match raw.StatusCode {
        sys::NDIS_STATUS_LINK_STATE => link(&adapter, raw.StatusBuffer as usize, data.len()),
        sys::NDIS_STATUS_TASK_OFFLOAD_CURRENT_CONFIG
        | sys::NDIS_STATUS_TASK_OFFLOAD_HARDWARE_CAPABILITIES => {
            offload(
                &adapter,
                raw.StatusBuffer as usize,
                raw.StatusCode,
                data.len(),
            );
        }
        sys::NDIS_STATUS_L2_MTU_SIZE_CHANGE => mtu(&adapter, &data),
        _ => {}
    }
    let time = kernel().sched.now();
    adapter.statuses.add(StatusSeen {
        code: raw.StatusCode,
        data,
        time,
    });
}

/// What is wrong with the fields of an indication that every status has.
fn faults(raw: &Indication, handle: usize) -> Vec<String> {
    let mut faults = Vec::new();
    if raw.SourceHandle as usize != handle {
        faults.push(format!(
            "SourceHandle is {:p}, not the adapter's",
            raw.SourceHandle
        ));
    }
    if raw.PortNumber != 0 {
        faults.push(format!("PortNumber is {}", raw.PortNumber));
    }
    if raw.Flags != 0 {
        faults.push(format!("Flags is {:#x}", raw.Flags));
    }
    if !raw.DestinationHandle.is_null() || !raw.RequestId.is_null() {
        faults.push(
            "DestinationHandle or RequestId is set without a request that asks for it".to_owned(),
        );
    }
    if (raw.StatusBufferSize == 0) != raw.StatusBuffer.is_null() {
        faults.push(format!(
            "{} bytes at {:p}",
            raw.StatusBufferSize, raw.StatusBuffer
        ));
    }
    let not_its_own = [
        sys::NDIS_STATUS_RESET_START,
        sys::NDIS_STATUS_RESET_END,
        sys::NDIS_STATUS_MEDIA_CONNECT,
        sys::NDIS_STATUS_MEDIA_DISCONNECT,
        sys::NDIS_STATUS_LINK_SPEED_CHANGE,
    ];
    if not_its_own.contains(&raw.StatusCode) {
        faults.push(format!(
            "status {:#x} is NDIS's, or of NDIS 5",
            raw.StatusCode
        ));
    }
    faults
}

fn link(adapter: &Arc<Adapter>, at: usize, len: usize) {
    if len < sys::NDIS_SIZEOF_LINK_STATE_REVISION_1 {
        rules::violate(&STATUS, format!("LINK_STATE with {len} bytes"));
        return;
    }
    if !header::LINK_STATE.accept(at, adapter.driver.minor) {
        return;
    }
    let raw = Guest::<NDIS_LINK_STATE>::new(at).load();
    if !(0..=2).contains(&raw.MediaConnectState) || !(0..=2).contains(&raw.MediaDuplexState) {
        let what = format!(
            "LINK_STATE {}, duplex {}",
            raw.MediaConnectState, raw.MediaDuplexState
        );
        rules::violate(&STATUS, what);
    }
    let now = LinkState {
        connect: raw.MediaConnectState,
        duplex: raw.MediaDuplexState,
        speeds: [raw.XmitLinkSpeed, raw.RcvLinkSpeed],
    };
    let speeds = adapter
        .attributes
        .lock()
        .general
        .as_ref()
        .map(|general| general.max_speeds);
    if now.is_connected()
        && let Some(max) = speeds
        && now
            .speeds
            .iter()
            .zip(max)
            .any(|(now, max)| *now > max && *now != u64::MAX)
    {
        rules::violate(
            &STATUS,
            format!(
                "LINK_STATE with speeds {:?} above the maximum {max:?}",
                now.speeds
            ),
        );
    }
    let before = core::mem::replace(&mut *adapter.statuses.link.lock(), now);
    if before == now {
        *adapter.statuses.redundant.lock() += 1;
    }
}

/// Of NDIS 6.50: one `ULONG`, the MTU without header, as in the general attributes.
fn mtu(adapter: &Adapter, data: &[u8]) {
    let Ok(bytes) = data.try_into().map(u32::from_le_bytes) else {
        let what = format!("L2_MTU_SIZE_CHANGE with {} bytes", data.len());
        rules::violate(&STATUS, what);
        return;
    };
    if !MTU.contains(&bytes) {
        rules::violate(&STATUS, format!("an MTU of {bytes} bytes"));
    }
    let mut attributes = adapter.attributes.lock();
    attributes.longest_mtu = attributes.longest_mtu.max(bytes);
    let known = attributes
        .general
        .as_mut()
        .map(|general| core::mem::replace(&mut general.mtu, bytes));
    drop(attributes);
    match known {
        None => rules::violate(
            &STATUS,
            "a changed MTU before the general attributes".to_owned(),
        ),
        Some(known) if known == bytes => {
            rules::violate(
                &STATUS,
                format!("a changed MTU that was {bytes} bytes before"),
            );
        }
        Some(_) => {}
    }
}

fn offload(adapter: &Arc<Adapter>, at: usize, code: i32, len: usize) {
    let (_, size) = header::OFFLOAD.shape(adapter.driver.minor);
    if len < usize::from(size) {
        rules::violate(
            &STATUS,
            format!("status {code:#x} with {len} bytes of NDIS_OFFLOAD"),
        );
        return;
    }
    let Some(bytes) = read_offload(at, adapter.driver.minor) else {
        return;
    };
    if let Some(offload) = adapter.attributes.lock().offload.as_mut() {
        let which = usize::from(code == sys::NDIS_STATUS_TASK_OFFLOAD_HARDWARE_CAPABILITIES);
        offload[which] = bytes;
    }
}

/// A link that the driver last told as connected is of no use once it is in a low-power state.
pub(crate) fn expect_link_unknown(adapter: &Adapter) {
    if adapter.low_power.load(Ordering::Acquire) && adapter.statuses.link().is_connected() {
        let what = "in a low-power state the link is still told as connected: MediaConnectStateUnknown first";
        rules::violate(&super::contract::POWER, what);
    }
}

#[cfg(test)]
mod tests {
    use super::{Indication, faults, sys};

    fn indication() -> Indication {
        let bytes = [0_u64; size_of::<Indication>() / 8];
        let mut raw = *bytemuck_free(&bytes);
        raw.SourceHandle = 0x40 as *mut _;
        raw.StatusCode = sys::NDIS_STATUS_LINK_STATE;
        raw
    }

    /// The structure has only integers and pointers.
    #[expect(unsafe_code, reason = "zeroed plain data in a test")]
    fn bytemuck_free(bytes: &[u64; size_of::<Indication>() / 8]) -> &Indication {
        // SAFETY: as large and aligned as the structure, of which any bits are a value.
        unsafe { &*bytes.as_ptr().cast::<Indication>() }
    }

    #[test]
    fn each_wrong_field_of_an_indication_is_reported() {
        assert!(faults(&indication(), 0x40).is_empty());
        assert_eq!(
            faults(&indication(), 0x80).len(),
            1,
            "another adapter's handle"
        );
        let cases: [fn(&mut Indication); 6] = [
            |raw| raw.PortNumber = 1,
            |raw| raw.Flags = 1,
            |raw| raw.RequestId = 8 as *mut _,
            |raw| raw.DestinationHandle = 8 as *mut _,
            |raw| raw.StatusBufferSize = 4,
            |raw| raw.StatusCode = sys::NDIS_STATUS_MEDIA_CONNECT,
        ];
        for (index, change) in cases.into_iter().enumerate() {
            let mut raw = indication();
            change(&mut raw);
            assert_eq!(faults(&raw, 0x40).len(), 1, "case {index}");
        }
    }
}
