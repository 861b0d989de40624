//! `demo --tap`: the Linux host behind the backend.

use std::io::Write;
use std::process::Command;

/// What is missing here for a network namespace with a TAP device.
fn missing() -> Option<&'static str> {
    let works = |program: &str, args: &[&str]| {
        let output = Command::new(program).args(args).output();
        output.is_ok_and(|output| output.status.success())
    };
    if !works("ip", &["netns", "list"]) {
        return Some("no iproute2");
    }
    if !works("ping", &["-V"]) {
        return Some("no ping");
    }
    if std::fs::OpenOptions::new()
        .write(true)
        .open("/dev/net/tun")
        .is_err()
    {
        return Some("/dev/net/tun cannot be opened (it takes root)");
    }
    let probe = format!("netfront-tap-{}", std::process::id());
    if !works("ip", &["netns", "add", &probe]) {
        return Some("no network namespace can be made");
    }
    works("ip", &["netns", "del", &probe]);
    None
}

#[test]
fn the_host_pings_the_guest_and_moves_data_through_its_own_tcp() {
    if let Some(reason) = missing() {
        // Not println!, which the test runner keeps to itself.
        let _ = writeln!(std::io::stderr(), "NOT RUN: demo --tap: {reason}");
        return;
    }
    let output = Command::new(env!("CARGO_BIN_EXE_demo"))
        .args(["--tap", "--queues", "2", "--cpus", "2"])
        .output()
        .expect("demo was built with this test");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success(),
        "{text}\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(text.contains("5 of 5 answered"), "{text}");
    assert!(
        text.contains("64 MiB each way through the host's TCP"),
        "{text}"
    );
}
