//! Many whole lives of both drivers: each of these runs the `sim` program, whose workers are processes of their own.

use std::process::Command;

/// Runs `sim`; it ends well only if every life did.
fn sim(options: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_sim"))
        .args(options)
        .output()
        .expect("sim was built with this test");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        output.status.success(),
        "{text}\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
    text
}

/// Whether `text` ends with `count what passed`.
fn passed(text: &str, count: u64, what: &str) -> bool {
    let last = text.lines().last().unwrap_or_default();
    last.starts_with(&format!("{count} {what} passed"))
}

/// Every tenth runs twice: one seed, one trace.
#[test]
fn a_thousand_seeds_start_carry_traffic_and_stop() {
    let text = sim(&["--seeds", "1000", "--twice", "10"]);
    assert!(passed(&text, 1000, "seeds"), "{text}");
}

/// Load, start, disable, enable, stop, start, surprise removal, unload: each with traffic running.
#[test]
fn a_thousand_cycles_leave_nothing() {
    let text = sim(&["--cycles", "1000"]);
    assert!(passed(&text, 1000, "cycles"), "{text}");
}

/// Each call that may fail for want of resources fails once, until a life has no more of them.
#[test]
fn whatever_call_fails_the_drivers_unwind() {
    let text = sim(&["--sweep"]);
    let last = text.lines().last().unwrap_or_default();
    let count: u64 = last
        .split(' ')
        .next()
        .unwrap_or_default()
        .parse()
        .unwrap_or(0);
    // The calls of a life with one queue and as few buffers as there can be: 384 pages, each with its list and its
    // descriptor.
    assert!(count > 3 * 384, "{text}");
}
