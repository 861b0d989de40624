//! The cases that move data: `demo`, and `rss`, where the RSS table changes meanwhile.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use cases::{GuestStack, Ipv4Address, Machine, Outcome, Plan, TableChanges, rss};
use guest::command_line::{Case, Settings};
use harness::SECOND;
use netfront_core::report::{self, HashReport, OID_QUEUE_REPORT, QueueReport, REPORT_MAX};
use serde_json::{Value, json};

use super::event::tell;
use super::run::{Guest, Result, connect, processors, queues};

/// How long nothing must come before the guest ends, and how long it waits for that at most, seconds.
const QUIET: u64 = 2;
const LONGEST_STAY: u64 = 60;
/// Time between two changes of the RSS table, 100 ns units.
const CHANGE: u64 = SECOND / 5;
/// Hashes that a run with several queues checks, for each MiB to move: 20,000 in the demo.
const HASHES: u64 = 1250;
/// MiB of the rounds that go on until as many were checked, and most rounds.
const ROUND: u64 = 4;
const ROUNDS: u64 = 12;

/// Transfers both ways; with `changes` under tables that change.
pub(super) fn run(guest: &mut Guest, settings: &Settings, changes: bool) -> Result<()> {
    let mut stack = connect(guest, settings)?;
    let queues = queues(&guest.system);
    let now = guest.system.harness.now();
    if changes {
        stack.stack.stamp();
    }
    let mut changes = changes.then(|| TableChanges::new(processors(settings), CHANGE, now));
    let mut result = transfers(guest, &mut stack, settings, &mut changes);
    if let Some(changes) = &mut changes {
        changes.end(&mut stack, guest);
        result = result.and_then(|outcome| changes.verdict(&stack.moved).map(|()| outcome));
    }
    let (name, detail) = match settings.case {
        Case::Rss => ("rss", format!("{changes:?}")),
        _ => ("demo", String::new()),
    };
    let (word, detail) = match &result {
        Ok(moved) => ("ok", format!("{moved:?} {detail}")),
        Err(error) => ("failed", format!("{error}; {detail}")),
    };
    tell(&json!({"event": "case", "name": name, "result": word, "detail": detail}));
    tell(&gather(guest, &stack, queues, &result, changes.as_ref()));
    stay(guest, &mut stack);
    result.map(|_| ())
}

/// What the command line says both ways; then downloads until enough hashes were checked.
fn transfers(
    guest: &mut Guest,
    stack: &mut GuestStack,
    settings: &Settings,
    changes: &mut Option<TableChanges>,
) -> Result<Outcome> {
    let mib = u64::from(settings.mib);
    let mut plan = Plan {
        peer: Ipv4Address::from(settings.peer),
        bytes: mib << 20,
        connections: u64::from(settings.queues),
        seed: settings.seed,
        seconds: u64::from(settings.seconds),
    };
    let mut meanwhile = |stack: &mut GuestStack, guest: &Guest| {
        if let Some(changes) = changes {
            changes.turn(stack, guest);
        }
    };
    let mut sum = cases::transfer_while(guest, stack, &plan, &mut meanwhile)?;
    plan.bytes = ROUND << 20;
    for _ in 0..ROUNDS {
        if stack.moved.hashes == 0 || stack.moved.hashes >= mib * HASHES {
            break;
        }
        let more = cases::download_while(guest, stack, &plan, &mut meanwhile)?;
        sum.received += more.received;
        sum.ticks += more.ticks;
    }
    Ok(sum)
}

/// The driver's own report of its queues, if it has one.
fn ask(guest: &Guest, stack: &GuestStack) -> Option<(HashReport, Vec<QueueReport>)> {
    let protocol = guest.system.protocol(stack.device);
    let answer = protocol.query(OID_QUEUE_REPORT, REPORT_MAX).ok()?;
    let mut queues = Vec::new();
    let hash = report::read(&answer.data, |queue| queues.push(queue))?;
    Some((hash, queues))
}

/// The `report` event.
fn gather(
    guest: &Guest,
    stack: &GuestStack,
    queues: u32,
    outcome: &Result<Outcome>,
    changes: Option<&TableChanges>,
) -> Value {
    let counters = guest.system.protocol(stack.device).counters();
    let ticks = outcome.as_ref().map_or(0, |outcome| outcome.ticks);
    let milliseconds = u32::try_from(ticks / 10_000).unwrap_or(u32::MAX);
    let (hash, per_queue) = ask(guest, stack).unwrap_or_default();
    let hashed = stack.moved.hashes > 0;
    json!({
        "event": "report",
        "queues": queues,
        "seconds": f64::from(milliseconds) / 1000.0,
        "integrity": outcome.as_ref().map_or_else(Clone::clone, |_| "ok".to_string()),
        "hash": {
            "algorithm": if hashed { "toeplitz" } else { "none" },
            "negotiated": hash.negotiated != 0 && hash.from_backend > 0,
            "mismatches": stack.moved.hash_mismatches + hash.mismatches,
            "checked": stack.moved.hashes,
            "told": hash.from_backend + hash.checked,
            "checked_by_driver": hash.checked,
        },
        "tx": {"bytes": counters.sent_bytes, "packets": counters.sent_frames},
        "rx": {"bytes": counters.received_bytes, "packets": counters.received_frames},
        "hypercalls": null,
        "failed_sends": counters.failed_sends,
        "rx_packets_by_cpu": stack.moved.received,
        "per_queue": per_queue.iter().enumerate().map(queue).collect::<Vec<_>>(),
        "rss": scaling(stack, changes),
    })
}

fn queue((number, queue): (usize, &QueueReport)) -> Value {
    json!({
        "queue": number,
        "cpu": queue.processor,
        "tx_packets": queue.tx_frames,
        "rx_packets": queue.rx_frames,
        "events": queue.events,
    })
}

/// What RSS was set to: null if it is off.
fn scaling(stack: &GuestStack, changes: Option<&TableChanges>) -> Value {
    if stack.processors == 0 {
        return Value::Null;
    }
    let all: Vec<u8> = (0..stack.processors)
        .filter_map(|cpu| u8::try_from(cpu).ok())
        .collect();
    let processors = changes.map_or(all.as_slice(), TableChanges::processors);
    let key: String = rss::KEY.iter().map(|byte| format!("{byte:02x}")).collect();
    json!({
        "key": key,
        "table": rss::table(processors),
        "changes": changes.map_or(0, |changes| changes.changes),
        "landed": changes.map_or(0, |changes| changes.landed),
        "after": changes.map_or(0, |changes| changes.after),
        "straggled_us": changes.map_or(0, |changes| changes.straggled / 10),
        "moves": stack.moved.flows.values().map(|track| track.moves).sum::<u64>(),
    })
}

/// Answers pings until nothing comes any more.
pub(super) fn stay(guest: &mut Guest, stack: &mut GuestStack) {
    stack.stack.forget_streams();
    let start = guest.system.harness.now();
    let mut last = (start, 0);
    stack.try_run(guest, LONGEST_STAY, |stack, guest| {
        let now = guest.system().harness.now();
        let received: u64 = stack.moved.received.iter().sum();
        if received != last.1 {
            last = (now, received);
        }
        now > last.0 + QUIET * SECOND
    });
}
