//! A received frame: what the system is told of it, and in what form it gets it.
//!
//! | the backend says | checksum told | field in the frame |
//! |---|---|---|
//! | nothing | not checked | as it is |
//! | validated | good | as it is |
//! | blank | good | completed: whoever forwards or records the frame needs it |
//! | several segments (GSO) | good, whatever the flags: cutting replaces the field anyway | of a unit invalid, of segments right |
//!
//! Several segments in one are handed up as one unit where the system wants that and could have
//! coalesced them itself; else they are cut.

use crate::IpVersion;
use crate::headers::{Fragment, Headers, TCP, UDP, parse};
use crate::segment::Segmenter;
use crate::settings::Offloads;

const PSH: u8 = 0x08;
const ACK: u8 = 0x10;
/// TCP options: end, padding, time stamp.
const OPTION_END: u8 = 0;
const OPTION_NOP: u8 = 1;
const OPTION_TIMESTAMP: u8 = 8;

/// What the backend says of the transport checksum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told {
    /// Nothing.
    Nothing,
    /// It is right.
    Validated,
    /// The field holds the pseudo-header sum; the data is good.
    Blank,
}

/// What is known of a frame beside its bytes.
#[derive(Clone, Copy, Debug)]
pub struct Facts {
    /// Bytes of the frame.
    pub length: u32,
    /// Checksum.
    pub checksum: Told,
    /// Several segments in one, of so many payload bytes each.
    pub gso: Option<(IpVersion, u16)>,
}

/// What the receiver wants.
#[derive(Clone, Copy, Debug, Default)]
pub struct Wanted {
    /// In force.
    pub offloads: Offloads,
    /// Every frame is being recorded: checksums of units are completed too.
    pub recorded: bool,
}

/// Result of a checksum.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Verdict {
    /// Not told.
    #[default]
    Unchecked,
    /// Right.
    Good,
    /// Wrong.
    Bad,
}

/// A transport checksum to be completed in the frame: the complement of the sum over bytes
/// `from..to`, the field included, is written at `field`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Complete {
    /// First byte.
    pub from: usize,
    /// End.
    pub to: usize,
    /// Place of the checksum.
    pub field: usize,
    /// UDP: 0 is written as 0xFFFF.
    pub never_zero: bool,
    /// The pseudo-header sum, to be written to the field first.
    pub pseudo: u16,
}

/// A coalesced unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unit {
    /// Segments in it.
    pub segments: u16,
    /// Bytes of its payload.
    pub payload: u32,
    /// Its checksum fields do not hold right values.
    pub stale: bool,
}

/// A frame to hand up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Deliver {
    /// IPv4 header checksum.
    pub ip: Verdict,
    /// TCP checksum.
    pub tcp: Verdict,
    /// UDP checksum.
    pub udp: Verdict,
    /// Checksum to be completed.
    pub complete: Option<Complete>,
    /// It is a coalesced unit.
    pub unit: Option<Unit>,
}

/// What becomes of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Plan {
    /// It is handed up.
    Deliver(Deliver),
    /// It is cut, and each segment handed up with these verdicts and a computed checksum.
    Cut(Segmenter, Deliver),
    /// It says that it is several segments, and is not.
    Drop,
}

/// Decides what becomes of a frame, whose first bytes are in `head`; `largest` is the longest
/// frame that is no unit.
pub fn plan(head: &[u8], facts: &Facts, wanted: &Wanted, largest: u32) -> Plan {
    let length = usize::try_from(facts.length).unwrap_or(usize::MAX);
    let headers = parse(head).filter(|headers| headers.end <= length);
    let Some(headers) = headers else {
        return if facts.gso.is_some() && facts.length > largest {
            Plan::Drop
        } else {
            Plan::Deliver(Deliver::default())
        };
    };
    if let Some((version, mss)) = facts.gso {
        return plan_gso(head, &headers, version, mss, facts, wanted, largest);
    }
    Plan::Deliver(plain(head, &headers, facts.checksum, wanted))
}

/// A frame that is one segment, or no TCP at all.
fn plain(head: &[u8], headers: &Headers, told: Told, wanted: &Wanted) -> Deliver {
    let mut deliver = Deliver {
        ip: ip_verdict(head, headers, wanted),
        ..Deliver::default()
    };
    let least = match headers.protocol {
        TCP => 20,
        UDP => 8,
        _ => return deliver,
    };
    let whole = matches!(headers.fragment, Fragment::Whole | Fragment::Atomic);
    let there = headers.transport.saturating_add(least) <= head.len();
    if !whole || !there || headers.transport_length() < least || told == Told::Nothing {
        return deliver;
    }
    let offloads = &wanted.offloads;
    let (enabled, verdict) = match (headers.protocol, headers.version) {
        (TCP, IpVersion::V4) => (offloads.tcp4.rx, &mut deliver.tcp),
        (TCP, IpVersion::V6) => (offloads.tcp6.rx, &mut deliver.tcp),
        (_, IpVersion::V4) => (offloads.udp4.rx, &mut deliver.udp),
        (_, IpVersion::V6) => (offloads.udp6.rx, &mut deliver.udp),
    };
    if enabled {
        *verdict = Verdict::Good;
    }
    if told == Told::Blank {
        deliver.complete = complete(head, headers);
    }
    deliver
}

fn ip_verdict(head: &[u8], headers: &Headers, wanted: &Wanted) -> Verdict {
    if headers.version == IpVersion::V6 || !wanted.offloads.ipv4.rx {
        Verdict::Unchecked
    } else if headers.is_ip_checksum_right(head) {
        Verdict::Good
    } else {
        Verdict::Bad
    }
}

fn complete(head: &[u8], headers: &Headers) -> Option<Complete> {
    let length = headers.transport_length();
    Some(Complete {
        from: headers.transport,
        to: headers.end,
        field: headers.checksum_field()?,
        never_zero: headers.protocol == UDP,
        pseudo: headers.pseudo_sum(head, length).folded(),
    })
}

fn plan_gso(
    head: &[u8],
    headers: &Headers,
    version: IpVersion,
    mss: u16,
    facts: &Facts,
    wanted: &Wanted,
    largest: u32,
) -> Plan {
    let sound = headers.version == version && headers.fragment == Fragment::Whole && mss > 0;
    let tcp = headers.tcp_length(head).filter(|_| sound);
    let payload = tcp
        .and_then(|tcp| headers.transport_length().checked_sub(tcp))
        .and_then(|payload| u32::try_from(payload).ok());
    let (Some(tcp), Some(payload)) = (tcp, payload) else {
        return if facts.length > largest {
            Plan::Drop
        } else {
            Plan::Deliver(plain(head, headers, facts.checksum, wanted))
        };
    };
    // Whatever the flags: who says that a frame is to be cut says that its sum is to be made.
    let told = match facts.checksum {
        Told::Validated if payload <= mss.into() => Told::Validated,
        _ => Told::Blank,
    };
    if payload <= mss.into() {
        return if facts.length > largest {
            Plan::Drop
        } else {
            Plan::Deliver(plain(head, headers, told, wanted))
        };
    }
    let mut deliver = plain(head, headers, told, wanted);
    let segments = u16::try_from(payload.div_ceil(mss.into())).ok();
    let is_on = match version {
        IpVersion::V4 => wanted.offloads.rsc4,
        IpVersion::V6 => wanted.offloads.rsc6,
    };
    if let Some(segments) = segments
        && is_on
        && can_be_unit(head, headers, tcp)
    {
        let stale = !wanted.recorded;
        if version == IpVersion::V4 {
            deliver.ip = Verdict::Good;
        }
        if stale {
            deliver.complete = None;
        }
        deliver.unit = Some(Unit {
            segments,
            payload,
            stale,
        });
        return Plan::Deliver(deliver);
    }
    let start = headers.transport.saturating_add(tcp);
    let longest = u32::try_from(start)
        .unwrap_or(u32::MAX)
        .saturating_add(mss.into());
    let all = head.get(..start).unwrap_or_default();
    match Segmenter::new(headers, all, payload, mss) {
        Some(segmenter) if longest <= largest => {
            if version == IpVersion::V4 && wanted.offloads.ipv4.rx {
                deliver.ip = Verdict::Good;
            }
            deliver.complete = None;
            Plan::Cut(segmenter, deliver)
        }
        _ => Plan::Drop,
    }
}

/// Whether segments with these headers may be coalesced: no flag but ACK and PSH, no IP option or
/// extension header, no TCP option but the time stamp (Microsoft, "Exception Conditions that
/// Terminate Coalescing").
fn can_be_unit(head: &[u8], headers: &Headers, tcp: usize) -> bool {
    let flags = head.get(headers.transport.saturating_add(13));
    let plain = flags.is_some_and(|flags| flags & ACK != 0 && flags & !(ACK | PSH) == 0);
    let from = headers.transport.saturating_add(20);
    let to = headers.transport.saturating_add(tcp);
    plain && !headers.options && only_timestamp(head.get(from..to).unwrap_or_default())
}

fn only_timestamp(mut options: &[u8]) -> bool {
    let mut seen = false;
    loop {
        options = match options {
            [] | [OPTION_END, ..] => return true,
            [OPTION_NOP, rest @ ..] => rest,
            [OPTION_TIMESTAMP, 10, rest @ ..] if !seen && rest.len() >= 8 => {
                seen = true;
                rest.get(8..).unwrap_or_default()
            }
            _ => return false,
        };
    }
}
