//! `report.json` of the demo on real Xen: the guest's own report, and what dom0 saw.

use dom0::event::{Event, Line};
use serde_json::{Value, json};

use super::GuestKind;

/// Puts the report together.
pub(super) fn gather(events: &[Line], guest: GuestKind) -> Value {
    let mut report = json!({
        "backend": "linux-netback",
        "guest": match guest {
            GuestKind::Drivers => "drivers",
            GuestKind::Linux => "linux",
        },
        "integrity": "no report from the guest",
    });
    for line in events {
        match &line.event {
            Event::Dom0 { xen, linux } => {
                report["xen"] = json!(xen);
                report["dom0"] = json!({"linux": linux});
            }
            Event::Guest { said } if said["event"] == "report" => {
                if let Some(fields) = said.as_object() {
                    for (name, value) in fields.iter().filter(|(name, _)| *name != "event") {
                        report[name] = value.clone();
                    }
                }
            }
            Event::Observed(observed) if observed.label == "end" => {
                report["dom0"]["netback"] = json!(observed.netback);
                report["dom0"]["link"] = json!(observed.link);
                report["dom0"]["queues"] = json!(observed.queues);
                if report["per_queue"].is_null() {
                    // The guest does not count by queue; netback's rings do, in slots.
                    report["per_queue"] = json!(observed.queues);
                }
                report["dom0"]["interrupts"] = json!(observed.interrupts);
                report["dom0"]["hashing"] = json!(observed.hashing);
            }
            Event::Done {
                note: Some(note), ..
            } => push(&mut report["dom0"]["pings"], json!(note)),
            Event::Traffic {
                way,
                bytes,
                sha256,
                seconds,
            } => push(
                &mut report["dom0"]["transfers"],
                json!({"way": way, "bytes": bytes, "sha256": sha256, "seconds": seconds}),
            ),
            _ => {}
        }
    }
    report
}

fn push(list: &mut Value, value: Value) {
    match list {
        Value::Array(list) => list.push(value),
        other => *other = json!([value]),
    }
}

/// Prints the queues as the driver and as netback saw them, and what else dom0 counted.
pub(super) fn print_table(report: &Value) {
    println!(
        "Xen {}, Linux {} in dom0, {} queues, integrity: {}",
        text(&report["xen"]),
        text(&report["dom0"]["linux"]),
        report["queues"],
        text(&report["integrity"])
    );
    if report["guest"] == "drivers" {
        println!("queue  cpu  tx packets  rx packets      events");
        for queue in report["per_queue"].as_array().into_iter().flatten() {
            println!(
                "{:>5} {:>4} {:>11} {:>11} {:>11}",
                queue["queue"].to_string(),
                queue["cpu"].to_string(),
                queue["tx_packets"].to_string(),
                queue["rx_packets"].to_string(),
                queue["events"].to_string(),
            );
        }
        println!("hash: {}", report["hash"]);
    }
    println!("dom0:    tx slots    rx slots  tx events  rx events");
    for queue in report["dom0"]["queues"].as_array().into_iter().flatten() {
        println!(
            "{:>5}  {:>10}  {:>10} {:>10} {:>10}",
            queue["queue"].to_string(),
            queue["tx_slots"].to_string(),
            queue["rx_slots"].to_string(),
            events(report, &queue["queue"], "tx"),
            events(report, &queue["queue"], "rx"),
        );
    }
    let netback = report["dom0"]["netback"].as_object();
    for (name, count) in netback.into_iter().flatten() {
        println!("dom0: {name}: {count}");
    }
    for ping in report["dom0"]["pings"].as_array().into_iter().flatten() {
        println!("dom0: ping: {}", text(ping));
    }
}

/// Interrupts netback got on the event channel of a queue: `-` if it has none of that name.
fn events(report: &Value, queue: &Value, way: &str) -> String {
    let suffix = format!("-q{queue}-{way}");
    let interrupts = report["dom0"]["interrupts"].as_object();
    interrupts
        .into_iter()
        .flatten()
        .find(|(name, _)| name.ends_with(&suffix))
        .map_or_else(|| "-".to_owned(), |(_, count)| count.to_string())
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or("?")
}

#[cfg(test)]
mod tests {
    use dom0::event::{Event, Line};
    use serde_json::json;

    use super::{super::GuestKind, gather};

    #[test]
    fn both_sides_are_in_the_report() {
        let line = |event| Line {
            at: 0.0,
            case: "demo".to_owned(),
            event,
        };
        let report = gather(
            &[
                line(Event::Dom0 {
                    xen: "4.17.7".to_owned(),
                    linux: "6.1".to_owned(),
                }),
                line(Event::Guest {
                    said: json!({"event": "report", "queues": 4, "integrity": "ok"}),
                }),
            ],
            GuestKind::Drivers,
        );
        assert_eq!(report["backend"], "linux-netback");
        assert_eq!(report["xen"], "4.17.7");
        assert_eq!(report["queues"], 4);
        assert_eq!(report["integrity"], "ok");
        assert_eq!(report["event"], json!(null));
    }
}
