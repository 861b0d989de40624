//! What must hold for one received list (ndis-contract.md 1.7, 2.2, 3.3, 3.6).

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use ndis_sys as sys;

use super::contract::{RECEIVE_CHAIN, RECEIVE_FILTER, RECEIVE_LENGTH, RECEIVE_OOB};
use crate::rules::Rule;

/// Number of out-of-band slots.
pub(crate) const SLOTS: usize = 27;
/// What is written to every slot when a list is returned. A driver that indicates the list again must have
/// set each slot anew.
pub(crate) const LEFT_OVER: u64 = 0xDEAD_5107_0000_0000;

/// One list as it was indicated.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    /// `NET_BUFFER`s in it.
    pub(crate) buffers: usize,
    pub(crate) source_is_adapter: bool,
    pub(crate) status: i32,
    /// `DataLength` of the first `NET_BUFFER`.
    pub(crate) length: usize,
    /// The frame, if the MDL chain holds all of it.
    pub(crate) bytes: Option<Vec<u8>>,
    /// Bytes of the frame in the MDL it begins in.
    pub(crate) first: usize,
    pub(crate) info: [u64; SLOTS],
    pub(crate) flags: u32,
}

/// What the adapter allows.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Largest frame without a VLAN tag: the largest `MtuSize` told since the start, and 14 bytes.
    pub(crate) total: usize,
    pub(crate) lookahead: usize,
    pub(crate) filter: u32,
    pub(crate) address: [u8; 6],
    /// An `OID_TCP_OFFLOAD_PARAMETERS` has turned coalescing off: IPv4, IPv6.
    pub(crate) no_units: [bool; 2],
}

/// Bytes of MAC, IP and TCP or UDP header, as far as they can be told; never more than the frame.
fn headers(bytes: &[u8]) -> usize {
    let at = |index: usize| bytes.get(index).copied().unwrap_or(0);
    let (kind, mac) = match [at(12), at(13)] {
        [0x81, 0] => ([at(16), at(17)], 18),
        kind => (kind, 14),
    };
    let (protocol, network) = match kind {
        [0x08, 0] => (at(mac + 9), usize::from(at(mac) & 0xF) * 4),
        [0x86, 0xDD] => (at(mac + 6), 40),
        _ => return mac.min(bytes.len()),
    };
    let transport = match protocol {
        6 => usize::from(at(mac + network + 12) >> 4) * 4,
        17 => 8,
        _ => 0,
    };
    (mac + network + transport).min(bytes.len())
}

/// Whether a packet filter asks for a frame to `destination`. Multicast lists are not looked at here.
pub(crate) fn wanted(destination: [u8; 6], filter: u32, address: [u8; 6]) -> bool {
    if filter & sys::NDIS_PACKET_TYPE_PROMISCUOUS != 0 {
        return true;
    }
    let multicast = sys::NDIS_PACKET_TYPE_MULTICAST | sys::NDIS_PACKET_TYPE_ALL_MULTICAST;
    if destination == [0xFF; 6] {
        filter & sys::NDIS_PACKET_TYPE_BROADCAST != 0
    } else if destination[0] & 1 != 0 {
        filter & multicast != 0
    } else {
        filter & sys::NDIS_PACKET_TYPE_DIRECTED != 0 && destination == address
    }
}

/// Everything wrong with one list.
pub(crate) fn faults(seen: &Seen, limits: &Limits) -> Vec<(&'static Rule, String)> {
    let mut faults = Vec::new();
    if seen.buffers != 1 {
        faults.push((
            &RECEIVE_CHAIN,
            format!("{} NET_BUFFERs in a received list", seen.buffers),
        ));
    }
    if !seen.source_is_adapter {
        faults.push((
            &RECEIVE_CHAIN,
            "SourceHandle is not the adapter's".to_owned(),
        ));
    }
    if seen.status != sys::NDIS_STATUS_SUCCESS {
        faults.push((
            &RECEIVE_CHAIN,
            format!("Status of a received list is {:#x}", seen.status),
        ));
    }
    lengths(seen, limits, &mut faults);
    slots(seen, &mut faults);
    if coalesced(seen) != 0 && limits.no_units[usize::from(is_v6(seen))] {
        faults.push((
            &RECEIVE_OOB,
            "a coalesced unit after the request that turned coalescing off".to_owned(),
        ));
    }
    if limits.filter == 0 {
        faults.push((
            &RECEIVE_FILTER,
            "a frame was indicated and the packet filter is 0".to_owned(),
        ));
    } else if seen.flags & sys::NDIS_RECEIVE_FLAGS_PERFECT_FILTERED != 0
        && let Some(destination) = seen
            .bytes
            .as_ref()
            .and_then(|bytes| bytes.first_chunk::<6>())
        && !wanted(*destination, limits.filter, limits.address)
    {
        let what = format!(
            "PERFECT_FILTERED, and the filter {:#x} does not ask for {destination:02x?}",
            limits.filter
        );
        faults.push((&RECEIVE_FILTER, what));
    }
    faults
}

fn slot(seen: &Seen, which: i32) -> u64 {
    usize::try_from(which)
        .ok()
        .and_then(|index| seen.info.get(index))
        .copied()
        .unwrap_or(0)
}

fn coalesced(seen: &Seen) -> u64 {
    slot(seen, sys::TcpRecvSegCoalesceInfo) & 0xFFFF
}

fn is_v6(seen: &Seen) -> bool {
    let bytes = seen.bytes.as_deref().unwrap_or_default();
    bytes.get(12..14) == Some(&[0x86, 0xDD])
}

fn lengths(seen: &Seen, limits: &Limits, faults: &mut Vec<(&'static Rule, String)>) {
    let most = if coalesced(seen) != 0 {
        65_535 + 18
    } else {
        limits.total + 4
    };
    if !(14..=most).contains(&seen.length) {
        faults.push((
            &RECEIVE_LENGTH,
            format!("DataLength {} is not in 14..={most}", seen.length),
        ));
    }
    match &seen.bytes {
        None => faults.push((
            &RECEIVE_LENGTH,
            format!("the MDL chain holds less than {} bytes", seen.length),
        )),
        Some(bytes) => {
            let least = headers(bytes).min(limits.lookahead);
            if seen.first < least {
                let what = format!(
                    "the first MDL holds {} bytes, and headers take {least}",
                    seen.first
                );
                faults.push((&RECEIVE_LENGTH, what));
            }
        }
    }
}

fn slots(seen: &Seen, faults: &mut Vec<(&'static Rule, String)>) {
    if let Some(index) = seen
        .info
        .iter()
        .position(|value| value & !0xFF == LEFT_OVER)
    {
        faults.push((
            &RECEIVE_OOB,
            format!("out-of-band slot {index} was not set anew after the list's return"),
        ));
        return;
    }
    let checksum = slot(seen, sys::TcpIpChecksumNetBufferListInfo);
    // Failed and succeeded of TCP, UDP, IP: bits 0 to 2 and 3 to 5.
    if checksum & 7 & (checksum >> 3) != 0 {
        faults.push((
            &RECEIVE_OOB,
            format!("checksum slot {checksum:#x}: failed and succeeded at once"),
        ));
    }
    if checksum & (3 << 7) != 0 && coalesced(seen) == 0 {
        faults.push((
            &RECEIVE_OOB,
            format!("checksum slot {checksum:#x}: value invalid without coalescing"),
        ));
    }
    let hash = slot(seen, sys::NetBufferListHashInfo);
    let value = slot(seen, sys::NetBufferListHashValue);
    let (function, kind) = (hash & 0xFF, hash & 0x00FF_FF00);
    if (function == 0) != (kind == 0) || function > 1 || !(kind == 0 || kind.is_power_of_two()) {
        faults.push((
            &RECEIVE_OOB,
            format!("hash slot {hash:#x}: not one function with one type"),
        ));
    }
    if kind == 0 && value != 0 {
        faults.push((
            &RECEIVE_OOB,
            format!("hash value {value:#x} without a hash type"),
        ));
    }
    let rsc = slot(seen, sys::TcpRecvSegCoalesceInfo);
    if rsc >> 16 & 0xFFFF != 0 {
        faults.push((
            &RECEIVE_OOB,
            format!("coalescing slot {rsc:#x}: DupAckCount makes NDIS disable RSC"),
        ));
    }
    let tag = slot(seen, sys::Ieee8021QNetBufferListInfo);
    if tag > 0xFFFF {
        faults.push((
            &RECEIVE_OOB,
            format!("802.1Q slot {tag:#x} has reserved bits"),
        ));
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec;
    use alloc::vec::Vec;

    use super::{LEFT_OVER, Limits, SLOTS, Seen, faults, headers, sys, wanted};

    const ADDRESS: [u8; 6] = [0, 0x16, 0x3E, 1, 2, 3];
    const LIMITS: Limits = Limits {
        total: 1514,
        lookahead: 128,
        filter: 0xB,
        address: ADDRESS,
        no_units: [false; 2],
    };

    fn frame(len: usize) -> Vec<u8> {
        let mut bytes = vec![0; len];
        bytes[..6].copy_from_slice(&ADDRESS);
        bytes[12..14].copy_from_slice(&[0x08, 0]);
        bytes[14] = 0x45;
        bytes[23] = 6;
        bytes[46] = 0x50;
        bytes
    }

    fn seen() -> Seen {
        Seen {
            buffers: 1,
            source_is_adapter: true,
            status: 0,
            length: 100,
            bytes: Some(frame(100)),
            first: 100,
            info: [0; SLOTS],
            flags: 0,
        }
    }

    fn ids(seen: &Seen, limits: &Limits) -> Vec<&'static str> {
        faults(seen, limits)
            .into_iter()
            .map(|(rule, _)| rule.id)
            .collect()
    }

    #[test]
    fn a_sound_list_has_no_fault() {
        assert!(ids(&seen(), &LIMITS).is_empty());
    }

    /// The rule that must be told, and one change.
    type Case = (&'static str, fn(&mut Seen));

    #[test]
    fn each_fault_is_reported_alone() {
        let cases: [Case; 16] = [
            ("ndis-receive-chain", |s| s.buffers = 2),
            ("ndis-receive-chain", |s| s.source_is_adapter = false),
            ("ndis-receive-chain", |s| s.status = 0x103),
            ("ndis-receive-length", |s| s.length = 1519),
            ("ndis-receive-length", |s| s.bytes = None),
            ("ndis-receive-length", |s| s.first = 53),
            ("ndis-receive-oob", |s| s.info[13] = LEFT_OVER + 13),
            ("ndis-receive-oob", |s| s.info[0] = 0b1001),
            ("ndis-receive-oob", |s| s.info[0] = 1 << 7),
            ("ndis-receive-oob", |s| s.info[9] = 0x100),
            ("ndis-receive-oob", |s| s.info[9] = 0x301),
            ("ndis-receive-oob", |s| s.info[9] = 0x102),
            ("ndis-receive-oob", |s| s.info[8] = 5),
            ("ndis-receive-oob", |s| s.info[22] = 0x1_0002),
            ("ndis-receive-oob", |s| s.info[4] = 0x1_0000),
            ("ndis-receive-filter", |s| {
                s.flags = sys::NDIS_RECEIVE_FLAGS_PERFECT_FILTERED;
                s.bytes.as_mut().unwrap()[5] = 9;
            }),
        ];
        for (index, (rule, change)) in cases.into_iter().enumerate() {
            let mut list = seen();
            change(&mut list);
            assert_eq!(ids(&list, &LIMITS), [rule], "case {index}");
        }
        assert_eq!(
            ids(
                &seen(),
                &Limits {
                    filter: 0,
                    ..LIMITS
                }
            ),
            ["ndis-receive-filter"]
        );
    }

    #[test]
    fn a_coalesced_unit_may_be_long() {
        let mut unit = seen();
        unit.length = 60_000;
        assert_eq!(ids(&unit, &LIMITS), ["ndis-receive-length"]);
        unit.info[22] = 41;
        assert!(ids(&unit, &LIMITS).is_empty());
        let off = |no_units| Limits { no_units, ..LIMITS };
        assert_eq!(ids(&unit, &off([true, false])), ["ndis-receive-oob"]);
        assert!(ids(&unit, &off([false, true])).is_empty());
    }

    #[test]
    fn headers_are_counted_with_options_tags_and_both_ip_versions() {
        assert_eq!(headers(&frame(100)), 54);
        let mut options = frame(100);
        options[14] = 0x46;
        options[50] = 0x80;
        assert_eq!(headers(&options), 14 + 24 + 32);
        let mut tagged = frame(100);
        tagged[12..18].copy_from_slice(&[0x81, 0, 0, 5, 0x86, 0xDD]);
        tagged[18 + 6] = 17;
        assert_eq!(headers(&tagged), 18 + 40 + 8);
        assert_eq!(headers(&[0; 14]), 14);
        assert_eq!(headers(&frame(60)[..50]), 50, "never more than there is");
    }

    #[test]
    fn filters_choose_by_destination() {
        let other = [0, 1, 2, 3, 4, 5];
        let group = [1, 0, 0x5E, 0, 0, 1];
        for (filter, expected) in [
            (sys::NDIS_PACKET_TYPE_DIRECTED, [true, false, false, false]),
            (sys::NDIS_PACKET_TYPE_MULTICAST, [false, false, true, false]),
            (sys::NDIS_PACKET_TYPE_BROADCAST, [false, false, false, true]),
            (sys::NDIS_PACKET_TYPE_PROMISCUOUS, [true; 4]),
        ] {
            let found = [ADDRESS, other, group, [0xFF; 6]].map(|to| wanted(to, filter, ADDRESS));
            assert_eq!(found, expected, "filter {filter:#x}");
        }
    }
}
