//! What must be true of what happened in a case.

use dom0::{
    event::{Event, Line, Observed},
    plan::Case,
};
use serde_json::Value;

/// netback's counters that only move when something is wrong with what the guest sent, or with what it
/// asked for. (`tx_zerocopy_fail` counts copies of packets that dom0 itself receives.)
const NETBACK_ERRORS: &[&str] = &["tx_frag_overflow", "rx_gso_checksum_fixup"];

/// Counters of the device that must stay 0.
const LINK_ERRORS: &[&str] = &[
    "rx_errors",
    "tx_errors",
    "rx_length_errors",
    "rx_frame_errors",
    "rx_crc_errors",
    "rx_over_errors",
    "tx_aborted_errors",
    "tx_carrier_errors",
];

/// All that is wrong with a case.
///
/// # Errors
/// What is wrong, one text each.
pub(super) fn of(case: &Case, events: &[Line]) -> Result<(), Vec<String>> {
    let mut problems = Vec::new();
    let mut finished = false;
    let mut ended = false;
    for line in events.iter().filter(|line| line.case == case.name) {
        match &line.event {
            Event::Finished { failure, left } => {
                finished = true;
                problems.extend(failure.clone());
                problems.extend(left.iter().map(|what| format!("left over: {what}")));
            }
            Event::KernelTrouble { lines } => {
                problems.extend(
                    lines
                        .iter()
                        .map(|line| format!("dom0's kernel log: {line}")),
                );
            }
            Event::Observed(observed) => problems.extend(errors_counted(observed)),
            Event::Guest { said } => {
                ended |= said["event"] == "end";
                problems.extend(guest_problem(said));
            }
            _ => {}
        }
    }
    if !finished {
        problems.push("did not finish".to_owned());
    } else if !ended {
        problems.push("the guest did not say that it ended".to_owned());
    }
    if problems.is_empty() {
        Ok(())
    } else {
        Err(problems)
    }
}

fn guest_problem(said: &Value) -> Option<String> {
    let bad = match said["event"].as_str() {
        Some("violation" | "garbled") | None => true,
        Some("case" | "end") => said["result"] != "ok",
        Some("report") => said["integrity"] != "ok",
        Some(_) => false,
    };
    bad.then(|| format!("guest: {said}"))
}

fn errors_counted(observed: &Observed) -> Vec<String> {
    let netback = NETBACK_ERRORS
        .iter()
        .filter_map(|name| observed.netback.get_key_value(*name));
    let link = LINK_ERRORS
        .iter()
        .filter_map(|name| observed.link.get_key_value(*name));
    netback
        .chain(link)
        .filter(|(_, count)| **count > 0)
        .map(|(name, count)| format!("{} counts {name} = {count}", observed.device))
        .collect()
}

#[cfg(test)]
mod tests {
    use dom0::event::{Event, Line, Observed};
    use serde_json::json;

    use super::{super::GuestKind, super::cases, of};

    fn line(event: Event) -> Line {
        Line {
            at: 1.0,
            case: "one-cpu-one-queue".to_owned(),
            event,
        }
    }

    fn said(value: serde_json::Value) -> Line {
        line(Event::Guest { said: value })
    }

    fn good() -> Vec<Line> {
        vec![
            said(json!({"event": "boot"})),
            said(json!({"event": "case", "result": "ok"})),
            line(Event::Observed(Observed::default())),
            said(json!({"event": "end", "result": "ok"})),
            line(Event::Finished {
                failure: None,
                left: Vec::new(),
            }),
        ]
    }

    fn judge(events: &[Line]) -> Result<(), Vec<String>> {
        let case = cases::matrix(GuestKind::Drivers, 1, false).remove(0);
        of(&case, events)
    }

    #[test]
    fn a_good_case_passes() {
        assert_eq!(judge(&good()), Ok(()));
    }

    #[test]
    fn each_kind_of_trouble_fails_it() {
        let mut observed = Observed::default();
        observed.netback.insert("tx_frag_overflow".to_owned(), 1);
        let troubles = [
            said(json!({"event": "violation", "rule": "irql"})),
            said(json!({"event": "case", "result": "failed"})),
            said(json!({"event": "report", "integrity": "1 byte differs"})),
            line(Event::Observed(observed)),
            line(Event::KernelTrouble {
                lines: vec!["fatal error".to_owned()],
            }),
            line(Event::Finished {
                failure: Some("ping".to_owned()),
                left: Vec::new(),
            }),
            line(Event::Finished {
                failure: None,
                left: vec!["device vif1.0".to_owned()],
            }),
        ];
        for trouble in troubles {
            let mut events = good();
            events.push(trouble.clone());
            assert!(judge(&events).is_err(), "{trouble:?}");
        }
    }

    #[test]
    fn silence_is_no_success() {
        assert!(judge(&[]).is_err());
        let mut events = good();
        events.remove(3);
        assert!(judge(&events).is_err());
    }
}
