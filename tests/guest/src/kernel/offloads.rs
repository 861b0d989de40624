//! The case `offloads`: transfers with the offloads on, and with each off in turn.

use alloc::format;
use alloc::string::String;

use cases::offloads::{SECTIONS, section};
use cases::{Ipv4Address, Plan};
use guest::command_line::Settings;
use serde_json::json;

use super::event::tell;
use super::run::{Guest, Result, connect};
use super::traffic::stay;

/// Runs every section. One event tells what moved in each.
pub(super) fn run(guest: &mut Guest, settings: &Settings) -> Result<()> {
    let mut stack = connect(guest, settings)?;
    let mut failed = None;
    for (number, (name, on)) in SECTIONS.into_iter().enumerate() {
        let plan = Plan {
            peer: Ipv4Address::from(settings.peer),
            bytes: u64::from(settings.mib) << 20,
            connections: u64::from(settings.queues),
            seed: settings.seed.wrapping_add(number as u64),
            seconds: u64::from(settings.seconds),
        };
        let moved = section(guest, &mut stack, &plan, on);
        let (result, detail) = match &moved {
            Ok(_) => ("ok", String::new()),
            Err(error) => ("failed", error.clone()),
        };
        tell(&json!({"event": "case", "name": name, "result": result, "detail": detail}));
        match moved {
            Ok(moved) => tell(&json!({
                "event": "offloads",
                "section": name,
                "sent": moved.sent,
                "large_sends": moved.large_sends,
                "large_segments": moved.large_segments,
                "units": moved.units,
                "unit_segments": moved.unit_segments,
                "received": moved.received.iter().sum::<u64>(),
                "blank": moved.blank,
                "verified": moved.verified,
            })),
            Err(error) => failed = failed.or(Some(format!("{name}: {error}"))),
        }
    }
    tell(&json!({"event": "sections", "count": SECTIONS.len()}));
    stay(guest, &mut stack);
    failed.map_or(Ok(()), Err)
}
