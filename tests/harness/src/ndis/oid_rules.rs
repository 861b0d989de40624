//! What must hold when a request is complete (ndis-contract.md 1.8, 4.7).

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use ndis_sys as sys;

use super::contract::{OID_BUFFER, OID_COUNTS, OID_REVISION, OID_STATUS};
use super::header::{self, Header};
use super::oid::OidKind;
use crate::rules::Rule;

/// A completed request, as NDIS finds it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Outcome {
    pub(crate) kind: OidKind,
    pub(crate) oid: u32,
    pub(crate) status: i32,
    /// Bytes the buffer had: of input, and of room for output.
    pub(crate) input: u32,
    pub(crate) output: u32,
    pub(crate) written: u32,
    pub(crate) read: u32,
    pub(crate) needed: u32,
    pub(crate) revision: u8,
    /// The first byte of the buffer that the driver changed and did not report, if there is one.
    pub(crate) stray_write: Option<usize>,
    /// The driver changed a field of the request that is NDIS's.
    pub(crate) request_changed: bool,
    /// The input begins with an `NDIS_OBJECT_HEADER`.
    pub(crate) revisioned: bool,
}

/// Requests that may fail only because the adapter is going away.
const MUST_NOT_FAIL: [u32; 5] = [
    sys::OID_PM_REMOVE_WOL_PATTERN,
    sys::OID_PM_REMOVE_PROTOCOL_OFFLOAD,
    sys::OID_802_3_DELETE_MULTICAST_ADDRESS,
    // OID_RECEIVE_FILTER_CLEAR_FILTER and OID_RECEIVE_FILTER_FREE_QUEUE.
    0x0001_0228,
    0x0001_0224,
];

/// Counters that may be asked for with four bytes (ndis-contract.md 1.8: 64-bit statistics).
const SHORT_ALLOWED: [u32; 2] = [sys::OID_GEN_XMIT_OK, sys::OID_GEN_RCV_OK];

fn short(status: i32) -> bool {
    matches!(
        status,
        sys::NDIS_STATUS_INVALID_LENGTH
            | sys::NDIS_STATUS_BUFFER_TOO_SHORT
            | sys::NDIS_STATUS_BUFFER_OVERFLOW
    )
}

/// Everything wrong with a completed request.
pub(crate) fn faults(done: &Outcome) -> Vec<(&'static Rule, String)> {
    let mut faults = Vec::new();
    let who = format!(
        "{:?} of OID {:#010x} with status {:#x}",
        done.kind, done.oid, done.status
    );
    let mut add = |rule, what: &str| faults.push((rule, format!("{who}: {what}")));
    check_status(done, &mut add);
    let success = done.status == sys::NDIS_STATUS_SUCCESS;
    match done.kind {
        OidKind::Query | OidKind::Statistics => check_query(done, &mut add),
        OidKind::Set => {
            if done.read > done.input {
                add(
                    &OID_COUNTS,
                    &format!("BytesRead {} of {}", done.read, done.input),
                );
            }
            if short(done.status) && done.needed == 0 {
                add(&OID_COUNTS, "too short, and BytesNeeded is 0");
            }
            if success && done.read == 0 && done.input != 0 {
                add(&OID_COUNTS, "BytesRead is 0");
            }
            if success && done.revisioned && done.revision == 0 {
                add(&OID_REVISION, "SupportedRevision is not set");
            }
        }
        OidKind::Method => {
            if done.written > done.output || done.read > done.input {
                let counts = format!(
                    "BytesWritten {} of {}, BytesRead {} of {}",
                    done.written, done.output, done.read, done.input
                );
                add(&OID_COUNTS, &counts);
            }
            if short(done.status) && done.needed == 0 {
                add(&OID_COUNTS, "too short, and BytesNeeded is 0");
            }
        }
    }
    if let Some(at) = done.stray_write {
        add(
            &OID_BUFFER,
            &format!("byte {at} of the buffer was written and not reported"),
        );
    }
    if done.request_changed {
        add(
            &OID_BUFFER,
            "type, OID, buffer or length in the request was changed",
        );
    }
    faults
}

fn check_status(done: &Outcome, add: &mut impl FnMut(&'static Rule, &str)) {
    let status = done.status;
    if status == sys::NDIS_STATUS_PENDING {
        add(&OID_STATUS, "pending is no completion status");
        return;
    }
    if matches!(done.oid, sys::OID_PNP_SET_POWER) && done.kind == OidKind::Set {
        if !matches!(
            status,
            sys::NDIS_STATUS_SUCCESS | sys::NDIS_STATUS_NOT_ACCEPTED
        ) {
            add(&OID_STATUS, "a power change cannot fail");
        }
    } else if MUST_NOT_FAIL.contains(&done.oid)
        && !matches!(
            status,
            sys::NDIS_STATUS_SUCCESS
                | sys::NDIS_STATUS_NOT_ACCEPTED
                | sys::NDIS_STATUS_REQUEST_ABORTED
                | sys::NDIS_STATUS_NOT_SUPPORTED
                | sys::NDIS_STATUS_INVALID_OID
        )
    {
        add(
            &OID_STATUS,
            "a request that takes something away cannot fail",
        );
    }
}

fn check_query(done: &Outcome, add: &mut impl FnMut(&'static Rule, &str)) {
    if done.written > done.output {
        add(
            &OID_COUNTS,
            &format!("BytesWritten {} of {}", done.written, done.output),
        );
    }
    if short(done.status) {
        if done.needed <= done.output {
            add(
                &OID_COUNTS,
                &format!(
                    "too short with {} bytes, and BytesNeeded is {}",
                    done.output, done.needed
                ),
            );
        }
        if done.written != 0 && done.status != sys::NDIS_STATUS_BUFFER_OVERFLOW {
            add(
                &OID_COUNTS,
                &format!("too short, and BytesWritten is {}", done.written),
            );
        }
    } else if done.status == sys::NDIS_STATUS_SUCCESS {
        if SHORT_ALLOWED.contains(&done.oid) {
            let expected = if done.output >= 8 { 8 } else { 4 };
            if done.written != expected || (expected == 4 && done.needed != 8) {
                add(
                    &OID_COUNTS,
                    &format!(
                        "wrote {}, needs {}; {expected} and 8 expected",
                        done.written, done.needed
                    ),
                );
            }
        }
    } else if done.written != 0 {
        add(
            &OID_COUNTS,
            &format!("failed, and BytesWritten is {}", done.written),
        );
    }
}

/// What is wrong with an answer to `OID_GEN_STATISTICS`, if anything is.
pub(crate) fn statistics_fault(data: &[u8], minor: u8) -> Option<String> {
    let Some(head) = data.first_chunk::<8>() else {
        return Some(format!(
            "OID_GEN_STATISTICS answered with {} bytes",
            data.len()
        ));
    };
    let size = u16::from_le_bytes([head[2], head[3]]);
    let header = Header {
        kind: head[0],
        revision: head[1],
        size,
    };
    if let Err(fault) = header::STATISTICS.check(header, minor) {
        return Some(format!(
            "OID_GEN_STATISTICS: the header is {header:?} ({fault:?})"
        ));
    }
    let flags = u32::from_le_bytes([head[4], head[5], head[6], head[7]]);
    // NDIS_STATISTICS_FLAGS_VALID_*: all 18 counters.
    let all = 0x003F_87FF;
    (flags & all != all)
        .then(|| format!("OID_GEN_STATISTICS: counters {flags:#x} are valid, {all:#x} must be"))
}

#[cfg(test)]
mod tests {
    use alloc::vec;
    use alloc::vec::Vec;

    use super::{Outcome, faults, statistics_fault};
    use crate::ndis::oid::OidKind;
    use ndis_sys as sys;

    fn ids(done: &Outcome) -> Vec<&'static str> {
        faults(done).into_iter().map(|(rule, _)| rule.id).collect()
    }

    fn query() -> Outcome {
        Outcome {
            oid: sys::OID_GEN_VENDOR_ID,
            output: 4,
            written: 4,
            ..Outcome::default()
        }
    }

    fn set() -> Outcome {
        Outcome {
            kind: OidKind::Set,
            oid: sys::OID_GEN_CURRENT_PACKET_FILTER,
            input: 4,
            read: 4,
            ..Outcome::default()
        }
    }

    const NONE: [&str; 0] = [];

    #[test]
    fn sound_requests_have_no_fault() {
        assert_eq!(ids(&query()), NONE);
        assert_eq!(ids(&set()), NONE);
        let short = Outcome {
            status: sys::NDIS_STATUS_INVALID_LENGTH,
            output: 2,
            written: 0,
            needed: 4,
            ..query()
        };
        assert_eq!(ids(&short), NONE);
        let unknown = Outcome {
            status: sys::NDIS_STATUS_NOT_SUPPORTED,
            written: 0,
            ..query()
        };
        assert_eq!(ids(&unknown), NONE);
    }

    #[test]
    fn byte_counts_must_agree_with_the_status() {
        assert_eq!(
            ids(&Outcome {
                written: 5,
                ..query()
            }),
            ["ndis-oid-counts"]
        );
        let short = Outcome {
            status: sys::NDIS_STATUS_BUFFER_TOO_SHORT,
            output: 2,
            written: 0,
            ..query()
        };
        assert_eq!(ids(&short), ["ndis-oid-counts"]);
        assert_eq!(
            ids(&Outcome {
                needed: 4,
                written: 2,
                ..short
            }),
            ["ndis-oid-counts"]
        );
        assert_eq!(
            ids(&Outcome {
                status: sys::NDIS_STATUS_FAILURE,
                ..query()
            }),
            ["ndis-oid-counts"]
        );
        assert_eq!(ids(&Outcome { read: 8, ..set() }), ["ndis-oid-counts"]);
        assert_eq!(ids(&Outcome { read: 0, ..set() }), ["ndis-oid-counts"]);
        assert_eq!(
            ids(&Outcome {
                status: sys::NDIS_STATUS_INVALID_LENGTH,
                read: 0,
                ..set()
            }),
            ["ndis-oid-counts"]
        );
    }

    #[test]
    fn statistics_of_64_bits_may_be_asked_for_with_32() {
        let full = Outcome {
            oid: sys::OID_GEN_RCV_OK,
            output: 8,
            written: 8,
            needed: 8,
            ..query()
        };
        assert_eq!(ids(&full), NONE);
        assert_eq!(
            ids(&Outcome {
                output: 4,
                written: 4,
                ..full.clone()
            }),
            NONE
        );
        assert_eq!(
            ids(&Outcome {
                output: 4,
                written: 4,
                needed: 0,
                ..full.clone()
            }),
            ["ndis-oid-counts"]
        );
        assert_eq!(
            ids(&Outcome {
                output: 16,
                written: 4,
                ..full
            }),
            ["ndis-oid-counts"]
        );
    }

    #[test]
    fn a_power_change_may_not_fail_and_nothing_ends_pending() {
        let power = Outcome {
            oid: sys::OID_PNP_SET_POWER,
            ..set()
        };
        assert_eq!(ids(&power), NONE);
        let failed = Outcome {
            status: sys::NDIS_STATUS_FAILURE,
            read: 0,
            ..power.clone()
        };
        assert_eq!(ids(&failed), ["ndis-oid-status"]);
        assert_eq!(
            ids(&Outcome {
                status: sys::NDIS_STATUS_PENDING,
                ..power
            }),
            ["ndis-oid-status"]
        );
    }

    #[test]
    fn stray_writes_changed_requests_and_missing_revisions_are_told_apart() {
        assert_eq!(
            ids(&Outcome {
                stray_write: Some(9),
                ..query()
            }),
            ["ndis-oid-buffer"]
        );
        assert_eq!(
            ids(&Outcome {
                request_changed: true,
                ..query()
            }),
            ["ndis-oid-buffer"]
        );
        assert_eq!(
            ids(&Outcome {
                revisioned: true,
                ..set()
            }),
            ["ndis-oid-revision"]
        );
        assert_eq!(
            ids(&Outcome {
                revisioned: true,
                revision: 1,
                ..set()
            }),
            NONE
        );
    }

    #[test]
    fn statistics_need_their_header_and_every_counter() {
        let mut data = vec![0; 152];
        data[..8].copy_from_slice(&[0x80, 1, 152, 0, 0xFF, 0x87, 0x3F, 0]);
        assert_eq!(statistics_fault(&data, 82), None);
        assert!(statistics_fault(&data[..4], 82).is_some());
        data[4] = 0xFE;
        assert!(statistics_fault(&data, 82).is_some());
        data[4] = 0xFF;
        data[2] = 100;
        assert!(statistics_fault(&data, 82).is_some());
    }
}
