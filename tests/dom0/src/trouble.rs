//! dom0's kernel log: what of it tells of trouble with netback, grants or the kernel itself.

use std::path::Path;

use anyhow::Result;

use crate::command::Tool;

/// Parts of lines that tell of trouble: netback's messages when it gives a frontend up, and the
/// kernel's own complaints.
const MARKS: &[&str] = &[
    "fatal error",
    "disabling device",
    "Invalid",
    "invalid",
    "Bad status",
    "Impossible",
    "Too many frags",
    "Packet is bigger",
    "Cross page boundary",
    "txreq.",
    "Missing extra",
    "Unexpected extra",
    "GSO size",
    "Bad GSO",
    "double",
    "still busy",
    "still in use",
    "stalled",
    "failed",
    "BUG:",
    "WARNING:",
    "Oops",
    "Call Trace",
    "general protection",
    "blocked for more than",
    "soft lockup",
    "rcu_sched",
];

/// Programs and parts of the kernel that a marked line must come from.
const SOURCES: &[&str] = &[
    "vif",
    "xen_netback",
    "xenbus",
    "grant",
    "g.e.",
    "BUG",
    "WARNING",
    "Oops",
    "INFO: task",
    "watchdog",
    "rcu",
];

/// Reads and clears the kernel log, keeps it in `folder`, and returns the lines that tell of trouble.
///
/// # Errors
/// The log cannot be read, or the file not be written.
pub(crate) fn lines(folder: &Path) -> Result<Vec<String>> {
    let log = Tool::new("busybox").args(["dmesg", "-c"]).run()?;
    std::fs::write(folder.join("dmesg"), &log)?;
    Ok(troubled(&log))
}

fn troubled(log: &str) -> Vec<String> {
    log.lines()
        .filter(|line| MARKS.iter().any(|mark| line.contains(mark)))
        .filter(|line| SOURCES.iter().any(|source| line.contains(source)))
        .map(str::to_owned)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::troubled;

    #[test]
    fn a_frontend_given_up_is_trouble() {
        let log = "[   12.0] xenbr0: port 1(vif1.0) entered forwarding state\n\
            [   12.9] vif vif-1-0 vif1.0: fatal error; disabling device\n\
            [   13.0] vif vif-1-0 vif1.0: Guest Rx ready\n";
        assert_eq!(
            troubled(log),
            ["[   12.9] vif vif-1-0 vif1.0: fatal error; disabling device"]
        );
    }

    #[test]
    fn other_devices_are_not_our_trouble() {
        assert!(troubled("[ 29.0] xen:xen_evtchn: Event-channel device installed\n").is_empty());
        assert!(troubled("[ 1.0] i8042: probe failed\n").is_empty());
    }
}
