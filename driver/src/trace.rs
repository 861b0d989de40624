//! Events for Windows' tracing (ETW), in the self-describing `TraceLogging` format: what happens to a
//! connection, and why frames were dropped. docs/tracing.md lists them.
//!
//! Nobody pays for an event that nobody listens to: each is one test of a level then.
#![allow(unsafe_code, reason = "registers the provider")]

use netfront_core::rx::{RxCounters, RxDrop};
use tracelogging as tlg;

use crate::statistics::Statistics;

tlg::define_provider!(PROVIDER, "XenWindows.Netfront");

/// Connections, links, negotiation.
const CONNECTION: u64 = 1;
/// Faults of the backend.
const FAULT: u64 = 2;
/// Counters.
const COUNTERS: u64 = 4;

/// Registers the provider. `PASSIVE_LEVEL`, in `DriverEntry`.
///
/// # Safety
/// Not called again before [`end`], which is called before the image is unloaded.
pub(crate) unsafe fn begin() {
    // SAFETY: the provider is a static, registered once, and `end` undoes it.
    let status = unsafe { PROVIDER.register() };
    if status != 0 {
        nt::log_warn!("no tracing: {status:#x}");
    }
}

/// Undoes [`begin`].
pub(crate) fn end() {
    let _ = PROVIDER.unregister();
}

/// An adapter in events: its Ethernet address as a number.
fn number(station: [u8; 6]) -> u64 {
    station
        .into_iter()
        .fold(0, |number, byte| number << 8 | u64::from(byte))
}

/// A connection can carry frames.
#[inline(never)]
pub(crate) fn connected(station: [u8; 6], queues: u32, features: u16, trusted: bool) {
    tlg::write_event!(
        PROVIDER,
        "Connected",
        level(Informational),
        keyword(CONNECTION),
        u64("Adapter", &number(station)),
        u32("Queues", &queues),
        u16_hex("BackendFeatures", &features),
        u8("Trusted", &u8::from(trusted)),
    );
}

/// A connection carries no frames any more.
#[inline(never)]
pub(crate) fn disconnected(station: [u8; 6]) {
    tlg::write_event!(
        PROVIDER,
        "Disconnected",
        level(Informational),
        keyword(CONNECTION),
        u64("Adapter", &number(station)),
    );
}

/// The link as NDIS was told it.
#[inline(never)]
pub(crate) fn link(station: [u8; 6], up: bool, speed: u64) {
    tlg::write_event!(
        PROVIDER,
        "Link",
        level(Informational),
        keyword(CONNECTION),
        u64("Adapter", &number(station)),
        u8("Up", &u8::from(up)),
        u64("BitsPerSecond", &speed),
    );
}

/// The backend hashes frames with these types of NDIS, or does not (0).
#[inline(never)]
pub(crate) fn hash(station: [u8; 6], types: u32) {
    tlg::write_event!(
        PROVIDER,
        "Hash",
        level(Informational),
        keyword(CONNECTION),
        u64("Adapter", &number(station)),
        u32_hex("NdisTypes", &types),
    );
}

/// The backend broke the protocol.
#[inline(never)]
pub(crate) fn broken(station: [u8; 6], reason: &[u8]) {
    tlg::write_event!(
        PROVIDER,
        "BackendBroken",
        level(Error),
        keyword(FAULT),
        u64("Adapter", &number(station)),
        str8("Reason", reason),
    );
}

/// Counters of a queue since the adapter was started.
#[inline(never)]
pub(crate) fn queue(station: [u8; 6], queue: u32, counters: &Statistics) {
    tlg::write_event!(
        PROVIDER,
        "QueueCounters",
        level(Informational),
        keyword(COUNTERS),
        u64("Adapter", &number(station)),
        u32("Queue", &queue),
        u64("SentFrames", &counters.tx.frames()),
        u64("SentBytes", &counters.tx.bytes()),
        u64("SendErrors", &counters.tx.errors),
        u64("SendDiscards", &counters.tx.discards),
        u64("ReceivedFrames", &counters.rx.frames()),
        u64("ReceivedBytes", &counters.rx.bytes()),
        u64("ReceiveErrors", &counters.rx.errors),
        u64("ReceiveDiscards", &counters.rx.discards),
    );
}

/// Received packets dropped by reason, of one queue's connection.
#[inline(never)]
pub(crate) fn drops(station: [u8; 6], queue: u32, counters: &RxCounters) {
    let of = |reason| counters.dropped(reason);
    tlg::write_event!(
        PROVIDER,
        "ReceiveDrops",
        level(Warning),
        keyword(COUNTERS),
        u64("Adapter", &number(station)),
        u32("Queue", &queue),
        u64("Status", &of(RxDrop::Status)),
        u64("PageBound", &of(RxDrop::PageBound)),
        u64("IdMismatch", &of(RxDrop::IdMismatch)),
        u64("ExtraMissing", &of(RxDrop::ExtraMissing)),
        u64("ExtraKind", &of(RxDrop::ExtraKind)),
        u64("ExtraLate", &of(RxDrop::ExtraLate)),
        u64("Gso", &of(RxDrop::Gso)),
        u64("Truncated", &of(RxDrop::Truncated)),
        u64("TooManySlots", &of(RxDrop::TooManySlots)),
        u64("Length", &of(RxDrop::Length)),
    );
}
