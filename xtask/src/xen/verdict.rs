//! What must be true of what happened in a case.

use std::collections::BTreeSet;

use dom0::{
    event::{Event, Hashing, Line, Observed},
    plan::Case,
};
use serde_json::Value;

use super::cases::{Load, OFFLOADS};

/// netback's counters that only move when something is wrong with what the guest sent, or with what it
/// asked for. (`tx_zerocopy_fail` counts copies of packets that dom0 itself receives.)
const NETBACK_ERRORS: &[&str] = &["tx_frag_overflow", "rx_gso_checksum_fixup"];

/// Hashes that must have been checked for each MiB the demo moves: 20,000 in all.
const HASHES: u64 = 1250;

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

/// Label of the observation at the end of a case, while the guest is still connected.
const END: &str = "end";

/// All that is wrong with a case.
///
/// # Errors
/// What is wrong, one text each.
pub(super) fn of(case: &Case, events: &[Line]) -> Result<(), Vec<String>> {
    let mut problems = Vec::new();
    let mut finished = false;
    let mut ended = false;
    let (mut report, mut hashing) = (None, None);
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
            Event::Observed(observed) => {
                problems.extend(errors_counted(observed));
                if observed.label == END {
                    hashing.clone_from(&observed.hashing);
                }
            }
            Event::Guest { said } => {
                if said["event"] == "report" {
                    report = Some(said);
                }
                ended |= said["event"] == "end";
                problems.extend(guest_problem(said));
            }
            _ => {}
        }
    }
    if let Some(report) = report {
        problems.extend(queue_problems(report));
        problems.extend(hash_problems(report, hashing.as_ref()));
    }
    if case.name == OFFLOADS {
        let of_case = || events.iter().filter(|line| line.case == case.name);
        problems.extend(offload_problems(of_case().map(|line| &line.event)));
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

/// With RSS, every queue must have had traffic both ways.
fn queue_problems(report: &Value) -> Vec<String> {
    if report["rss"].is_null() {
        return Vec::new();
    }
    let queues = report["per_queue"]
        .as_array()
        .map_or(&[][..], Vec::as_slice);
    let mut problems = Vec::new();
    if queues.len() as u64 != report["queues"] {
        let count = queues.len();
        problems.push(format!(
            "{} queues, {count} in the report",
            report["queues"]
        ));
    }
    for queue in queues {
        for way in ["tx_packets", "rx_packets"] {
            if queue[way].as_u64().is_none_or(|count| count == 0) {
                problems.push(format!("{way} of queue {}: {}", queue["queue"], queue[way]));
            }
        }
    }
    problems
}

/// Hashes must be right, and where they are negotiated netback must have been told what RSS was set to.
fn hash_problems(report: &Value, hashing: Option<&Hashing>) -> Vec<String> {
    let hash = &report["hash"];
    let mut problems = Vec::new();
    if hash["mismatches"] != 0 {
        problems.push(format!("hash mismatches: {}", hash["mismatches"]));
    }
    if report["rss"].is_null() || hash["negotiated"] != true {
        return problems;
    }
    let Some(hashing) = hashing else {
        problems.push("hashes are negotiated, and netback shows nothing of it".to_owned());
        return problems;
    };
    if hashing.algorithm != "TOEPLITZ" {
        problems.push(format!("netback's algorithm is {}", hashing.algorithm));
    }
    if report["rss"]["key"] != hashing.key {
        problems.push(format!("netback's key is {}", hashing.key));
    }
    problems.extend(mapping_problem(report, &hashing.mapping));
    problems
}

/// netback maps to queues, the table to processors: each entry's queue must be on the entry's processor, unless there are more
/// processors than queues.
fn mapping_problem(report: &Value, mapping: &[u32]) -> Option<String> {
    let table: Vec<u64> = numbers(&report["rss"]["table"]);
    let named: BTreeSet<u64> = table.iter().copied().collect();
    if report["queues"].as_u64() < Some(named.len() as u64) && mapping.len() == table.len() {
        return None;
    }
    let processor = |queue: &u32| report["per_queue"][*queue as usize]["cpu"].as_u64();
    let processors: Vec<Option<u64>> = mapping.iter().map(processor).collect();
    let same = table.iter().copied().map(Some).eq(processors);
    (!same).then(|| format!("netback's mapping {mapping:?} is not the table {table:?}"))
}

fn numbers(list: &Value) -> Vec<u64> {
    let list = list.as_array().into_iter().flatten();
    list.filter_map(Value::as_u64).collect()
}

/// What must be true of the demo beside all that: the queues that were asked for, hashes negotiated for more than one, and
/// enough of them checked.
///
/// # Errors
/// What is wrong, one text each.
pub(super) fn of_demo(report: &Value, load: &Load) -> Result<(), Vec<String>> {
    let mut problems = Vec::new();
    if report["queues"] != load.queues {
        problems.push(format!("{} queues, not {}", report["queues"], load.queues));
    }
    if load.queues > 1 {
        if report["hash"]["negotiated"] != true {
            problems.push("no hash is negotiated".to_owned());
        }
        for name in ["checked", "told"] {
            let count = report["hash"][name].as_u64().unwrap_or(0);
            if count < HASHES * u64::from(load.mib) {
                problems.push(format!("hashes {name}: {count}, too few"));
            }
        }
    }
    if problems.is_empty() {
        Ok(())
    } else {
        Err(problems)
    }
}

/// What is missing from the offloads: large sends that left as one packet, and packets that came as units. The guest says
/// what it sent and received; dom0's device counts packets, and a segmented one only once if it was never cut.
fn offload_problems<'e>(events: impl Iterator<Item = &'e Event>) -> Vec<String> {
    let mut all = None;
    let mut counted = None;
    for event in events {
        match event {
            Event::Guest { said } if said["event"] == "offloads" && said["section"] == "all" => {
                all = Some(said);
            }
            Event::Observed(observed) if observed.label == "all" => counted = Some(observed),
            _ => {}
        }
    }
    let (Some(all), Some(counted)) = (all, counted) else {
        return vec!["the section with all offloads was not seen on both sides".to_owned()];
    };
    let told = |what: &str| all[what].as_u64().unwrap_or(0);
    let link = |what: &str| counted.link.get(what).copied().unwrap_or(0);
    let mut problems = Vec::new();
    for (way, lists, joined, segments, packets) in [
        (
            "sent",
            "sent",
            "large_sends",
            "large_segments",
            "rx_packets",
        ),
        (
            "received",
            "received",
            "units",
            "unit_segments",
            "tx_packets",
        ),
    ] {
        let (lists, joined, segments) = (told(lists), told(joined), told(segments));
        if joined <= 10 || segments <= 2 * joined {
            problems.push(format!(
                "{way}: {joined} large frames of {segments} segments"
            ));
        }
        // Had each been cut on its way, the device would have counted all its segments.
        let cut = (lists + segments).saturating_sub(joined);
        let counted = link(packets);
        if 2 * counted >= lists + cut {
            problems.push(format!(
                "{way}: dom0 counts {counted} packets for {lists} lists; all segments alone would be {cut}"
            ));
        }
    }
    problems
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
    use dom0::event::{Event, Hashing, Line, Observed};
    use serde_json::{Value, json};

    use super::{super::GuestKind, super::cases, Load, of, of_demo};

    fn line(event: Event) -> Line {
        Line {
            at: 1.0,
            case: "one-cpu-one-queue".to_owned(),
            event,
        }
    }

    fn said(value: Value) -> Line {
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

    /// What a run on Xen 4.17 and Linux 6.1 showed: the guest's figures, and dom0's.
    fn offloaded() -> (Value, Observed) {
        let told = json!({
            "event": "offloads", "section": "all",
            "sent": 299, "large_sends": 128, "large_segments": 2881,
            "received": 1347, "units": 1184, "unit_segments": 2821,
        });
        let mut observed = Observed {
            label: "all".to_owned(),
            ..Observed::default()
        };
        observed.link.insert("rx_packets".to_owned(), 301);
        observed.link.insert("tx_packets".to_owned(), 1350);
        (told, observed)
    }

    fn offload_faults(told: &Value, observed: &Observed) -> usize {
        let events = [
            Event::Guest { said: told.clone() },
            Event::Observed(observed.clone()),
        ];
        super::offload_problems(events.iter()).len()
    }

    #[test]
    fn large_frames_must_be_used_and_stay_whole() {
        let (told, observed) = offloaded();
        assert_eq!(offload_faults(&told, &observed), 0);
        // As many packets as all segments: somebody has cut them.
        for (way, cut) in [("rx_packets", 3052), ("tx_packets", 2984)] {
            let mut observed = observed.clone();
            observed.link.insert(way.to_owned(), cut);
            assert_eq!(offload_faults(&told, &observed), 1, "{way}");
        }
        for what in ["large_sends", "units", "large_segments", "unit_segments"] {
            let mut told = told.clone();
            told[what] = json!(0);
            assert!(offload_faults(&told, &observed) > 0, "{what}");
        }
    }

    #[test]
    fn offloads_nobody_looked_at_are_no_success() {
        let (told, observed) = offloaded();
        let mut late = observed.clone();
        late.label = "end".to_owned();
        assert_eq!(offload_faults(&told, &late), 1);
        let mut other = told.clone();
        other["section"] = json!("nothing");
        assert_eq!(offload_faults(&other, &observed), 1);
    }

    /// A report of two queues, and what netback shows.
    fn scaled() -> (Value, Hashing) {
        let queue = |number: u32, cpu: u32| json!({"queue": number, "cpu": cpu, "tx_packets": 9, "rx_packets": 8});
        let report = json!({
            "event": "report",
            "integrity": "ok",
            "queues": 2,
            "hash": {"negotiated": true, "mismatches": 0, "checked": 20_000, "told": 20_000},
            "per_queue": [queue(0, 1), queue(1, 0)],
            "rss": {"key": "6d5a", "table": [0, 1, 1, 0]},
        });
        let hashing = Hashing {
            algorithm: "TOEPLITZ".to_owned(),
            types: vec!["IPv4".to_owned()],
            key: "6d5a".to_owned(),
            mapping: vec![1, 0, 0, 1],
        };
        (report, hashing)
    }

    fn judge_scaled(report: &Value, hashing: Option<Hashing>) -> Result<(), Vec<String>> {
        let mut events = good();
        events.insert(1, said(report.clone()));
        events.insert(
            2,
            line(Event::Observed(Observed {
                label: "end".to_owned(),
                hashing,
                ..Observed::default()
            })),
        );
        judge(&events)
    }

    #[test]
    fn netback_must_hash_as_rss_was_set() {
        let (report, hashing) = scaled();
        assert_eq!(judge_scaled(&report, Some(hashing.clone())), Ok(()));
        assert!(judge_scaled(&report, None).is_err());
        let wrong: [fn(&mut Hashing); 4] = [
            |h| h.algorithm = "NONE".to_owned(),
            |h| h.key = "6d5b".to_owned(),
            |h| h.mapping[2] = 1,
            |h| h.mapping.truncate(3),
        ];
        for (number, change) in wrong.into_iter().enumerate() {
            let mut changed = hashing.clone();
            change(&mut changed);
            assert!(judge_scaled(&report, Some(changed)).is_err(), "{number}");
        }
        let wrong: [fn(&mut Value); 4] = [
            |r| r["hash"]["mismatches"] = json!(1),
            |r| r["per_queue"][1]["rx_packets"] = json!(0),
            |r| r["per_queue"][0]["tx_packets"] = json!(0),
            |r| r["queues"] = json!(3),
        ];
        for (number, change) in wrong.into_iter().enumerate() {
            let mut changed = report.clone();
            change(&mut changed);
            let judged = judge_scaled(&changed, Some(hashing.clone()));
            assert!(judged.is_err(), "{number}");
        }
    }

    #[test]
    fn the_demo_needs_its_queues_and_enough_hashes() {
        let (report, _) = scaled();
        let load = Load {
            queues: 2,
            cpus: 2,
            mib: 16,
            seed: 1,
            hvm: false,
        };
        assert_eq!(of_demo(&report, &load), Ok(()));
        assert!(of_demo(&report, &Load { queues: 4, ..load }).is_err());
        assert!(of_demo(&report, &Load { mib: 17, ..load }).is_err());
        let mut none = report;
        none["hash"]["negotiated"] = json!(false);
        assert!(of_demo(&none, &load).is_err());
    }
}
