//! Checks of a completed send, as far as they are values only.

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use ndis_sys as sys;

use super::contract::{SEND_LSO, SEND_STATUS};
use super::list::NO_STATUS;
use crate::rules::Rule;

/// Statuses that mean something on a completed send (ndis-contract.md 1.6).
const STATUSES: [i32; 11] = [
    sys::NDIS_STATUS_SUCCESS,
    sys::NDIS_STATUS_FAILURE,
    sys::NDIS_STATUS_RESOURCES,
    sys::NDIS_STATUS_INVALID_LENGTH,
    sys::NDIS_STATUS_INVALID_PACKET,
    sys::NDIS_STATUS_PAUSED,
    sys::NDIS_STATUS_SEND_ABORTED,
    sys::NDIS_STATUS_REQUEST_ABORTED,
    sys::NDIS_STATUS_RESET_IN_PROGRESS,
    sys::NDIS_STATUS_LOW_POWER_STATE,
    sys::NDIS_STATUS_NOT_ACCEPTED,
];

/// What is wrong with the status and the large-send slot of a completed list.
pub(crate) fn faults(status: i32, lso_before: u64, lso_after: u64) -> Vec<(&'static Rule, String)> {
    let mut faults = Vec::new();
    if status == NO_STATUS {
        faults.push((
            &SEND_STATUS,
            "the list was completed without a status".to_owned(),
        ));
    } else if !STATUSES.contains(&status) {
        faults.push((
            &SEND_STATUS,
            format!("the list was completed with status {status:#x}"),
        ));
    }
    let kind = 1 << 30;
    let version_2 = lso_before & kind != 0;
    if version_2 && status == sys::NDIS_STATUS_SUCCESS && lso_after != kind {
        faults.push((
            &SEND_LSO,
            format!("large-send slot is {lso_after:#x} on completion, not {kind:#x}"),
        ));
    }
    faults
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use super::{NO_STATUS, faults, sys};

    fn ids(status: i32, before: u64, after: u64) -> Vec<&'static str> {
        faults(status, before, after)
            .into_iter()
            .map(|(rule, _)| rule.id)
            .collect()
    }

    #[test]
    fn a_status_must_be_set_and_mean_something() {
        assert!(ids(sys::NDIS_STATUS_SUCCESS, 0, 0).is_empty());
        assert!(ids(sys::NDIS_STATUS_PAUSED, 0, 0).is_empty());
        assert_eq!(ids(NO_STATUS, 0, 0), ["ndis-send-status"]);
        assert_eq!(ids(sys::NDIS_STATUS_PENDING, 0, 0), ["ndis-send-status"]);
    }

    #[test]
    fn a_large_send_of_version_2_comes_back_with_its_type_alone() {
        let sent = (1 << 30) + 1460 + (54 << 20);
        assert!(ids(sys::NDIS_STATUS_SUCCESS, sent, 1 << 30).is_empty());
        assert_eq!(ids(sys::NDIS_STATUS_SUCCESS, sent, sent), ["ndis-send-lso"]);
        assert!(ids(sys::NDIS_STATUS_FAILURE, sent, sent).is_empty());
        assert!(
            ids(sys::NDIS_STATUS_SUCCESS, 1460, 1460).is_empty(),
            "version 1 reports bytes"
        );
    }
}
