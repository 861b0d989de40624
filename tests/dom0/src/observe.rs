//! What netback, XenStore and the network of dom0 show of an interface.

use std::{collections::BTreeMap, fs, path::Path};

use anyhow::Result;
use dom0::event::{Observed, Queue};

use crate::{command::Tool, domain::Domain};

/// Start of the names of netback's debug files of one queue each.
const RING: &str = "io_ring_q";

/// Keeps everything in `folder`, and returns the counters.
///
/// # Errors
/// A file cannot be written.
pub(crate) fn interface(domain: &Domain, vif: u32, label: &str, folder: &Path) -> Result<Observed> {
    let device = domain.device(vif);
    let folder = folder.join(label).join(format!("vif{vif}"));
    fs::create_dir_all(&folder)?;
    let ethtool = Tool::new("ethtool")
        .args(["-S", &device])
        .run()
        .unwrap_or_else(|error| error.to_string());
    fs::write(folder.join("ethtool-S"), &ethtool)?;
    let store = |path: String| {
        Tool::new("xenstore-ls")
            .args(["-f".to_owned(), path])
            .run()
            .unwrap_or_else(|error| error.to_string())
    };
    fs::write(folder.join("xenstore-backend"), store(domain.backend(vif)))?;
    fs::write(
        folder.join("xenstore-frontend"),
        store(format!("/local/domain/{}/device/vif/{vif}", domain.id)),
    )?;
    Ok(Observed {
        label: label.to_owned(),
        netback: counters(&ethtool),
        link: link_statistics(&device, &folder)?,
        queues: debug_files(&device, &folder)?,
        interrupts: interrupts(&device, &folder)?,
        device,
    })
}

/// Lines `name: number` as `ethtool -S` prints them.
fn counters(text: &str) -> BTreeMap<String, u64> {
    text.lines()
        .filter_map(|line| {
            let (name, value) = line.split_once(':')?;
            Some((name.trim().to_owned(), value.trim().parse().ok()?))
        })
        .collect()
}

fn link_statistics(device: &str, folder: &Path) -> Result<BTreeMap<String, u64>> {
    let mut statistics = BTreeMap::new();
    let source = format!("/sys/class/net/{device}/statistics");
    for entry in fs::read_dir(source).into_iter().flatten().flatten() {
        let value = fs::read_to_string(entry.path()).unwrap_or_default();
        if let Ok(value) = value.trim().parse() {
            statistics.insert(entry.file_name().to_string_lossy().into_owned(), value);
        }
    }
    let text: String = statistics
        .iter()
        .map(|(name, value)| format!("{name}: {value}\n"))
        .collect();
    fs::write(folder.join("statistics"), text)?;
    Ok(statistics)
}

/// Number of queues that netback has connected.
pub(crate) fn queues(device: &str) -> usize {
    let files = fs::read_dir(debug_folder(device)).into_iter().flatten();
    files
        .flatten()
        .filter(|file| file.file_name().to_string_lossy().starts_with(RING))
        .count()
}

fn debug_folder(device: &str) -> String {
    format!("/sys/kernel/debug/xen-netback/{device}")
}

/// Copies netback's debug files, and reads those of its queues.
fn debug_files(device: &str, folder: &Path) -> Result<Vec<Queue>> {
    let mut queues = Vec::new();
    for entry in fs::read_dir(debug_folder(device))
        .into_iter()
        .flatten()
        .flatten()
    {
        let name = entry.file_name().to_string_lossy().into_owned();
        let text = fs::read_to_string(entry.path()).unwrap_or_else(|error| error.to_string());
        if let Some(number) = name.strip_prefix(RING) {
            queues.extend(number.parse().ok().map(|number| rings(number, &text)));
        }
        fs::write(folder.join(name), text)?;
    }
    queues.sort_by_key(|queue| queue.queue);
    Ok(queues)
}

/// Reads `io_ring_qN`: the lines of the transmit ring, then those of the receive ring, each with
/// `rsp prod NUMBER (base) ...`.
fn rings(queue: u32, text: &str) -> Queue {
    let mut answered = text.lines().filter_map(|line| {
        let rest = line.trim().strip_prefix("rsp prod ")?;
        rest.split_whitespace().next()?.parse().ok()
    });
    Queue {
        queue,
        tx_slots: answered.next().unwrap_or(0),
        rx_slots: answered.next().unwrap_or(0),
    }
}

fn interrupts(device: &str, folder: &Path) -> Result<BTreeMap<String, u64>> {
    let table = fs::read_to_string("/proc/interrupts")?;
    fs::write(folder.join("interrupts"), &table)?;
    Ok(table
        .lines()
        .filter_map(|line| interrupt(line, device))
        .collect())
}

/// Name and sum of one line of `/proc/interrupts`, if it is of this device.
fn interrupt(line: &str, device: &str) -> Option<(String, u64)> {
    let name = line.split_whitespace().last()?;
    let rest = name.strip_prefix(device)?;
    if rest.starts_with(|next: char| next.is_ascii_digit()) {
        return None;
    }
    let sum = line
        .split_whitespace()
        .skip(1)
        .map_while(|word| word.parse::<u64>().ok())
        .sum();
    Some((name.to_owned(), sum))
}

#[cfg(test)]
mod tests {
    use super::{Queue, counters, interrupt, rings};

    #[test]
    fn counters_are_read() {
        let text = "NIC statistics:\n     rx_gso_checksum_fixup: 0\n     tx_zerocopy_sent: 17\n";
        let counters = counters(text);
        assert_eq!(counters.len(), 2);
        assert_eq!(counters["tx_zerocopy_sent"], 17);
    }

    #[test]
    fn interrupts_of_all_processors_are_summed() {
        let line = " 60:  12   30  xen-dyn    -event     vif1.0-q0-tx";
        assert_eq!(
            interrupt(line, "vif1.0"),
            Some(("vif1.0-q0-tx".to_owned(), 42))
        );
        assert_eq!(interrupt(line, "vif1.1"), None);
    }

    #[test]
    fn rings_are_read() {
        let text = "Queue 0\nTX: nr_ents 256\nreq prod 113 (0) cons 113 (0) event 114 (1)\n\
            rsp prod 112 (base) pvt 112 (0) event 113 (1)\n\nRX: nr_ents 256\n\
            req prod 408 (256) cons 152 (0) event 1 (-151)\nrsp prod 152 (base) pvt 152 (0)\n";
        let expected = Queue {
            queue: 3,
            tx_slots: 112,
            rx_slots: 152,
        };
        assert_eq!(rings(3, text), expected);
    }
}
