//! What netback, XenStore and the network of dom0 show of an interface.

use std::{collections::BTreeMap, fs, path::Path};

use anyhow::Result;
use dom0::event::{Hashing, Observed, Queue};

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
    let (queues, hashing) = debug_files(&device, &folder)?;
    Ok(Observed {
        label: label.to_owned(),
        netback: counters(&ethtool),
        link: link_statistics(&device, &folder)?,
        queues,
        hashing,
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

/// Copies netback's debug files, and reads those of its queues and of its control ring.
fn debug_files(device: &str, folder: &Path) -> Result<(Vec<Queue>, Option<Hashing>)> {
    let (mut queues, mut control) = (Vec::new(), None);
    for entry in fs::read_dir(debug_folder(device))
        .into_iter()
        .flatten()
        .flatten()
    {
        let name = entry.file_name().to_string_lossy().into_owned();
        let text = fs::read_to_string(entry.path()).unwrap_or_else(|error| error.to_string());
        if let Some(number) = name.strip_prefix(RING) {
            queues.extend(number.parse().ok().map(|number| rings(number, &text)));
        } else if name == "ctrl" {
            control = hashing(&text);
        }
        fs::write(folder.join(name), text)?;
    }
    queues.sort_by_key(|queue| queue.queue);
    Ok((queues, control))
}

/// Reads `ctrl`: `Hash Algorithm: NAME`, then under headings of their own the types, the key in hexadecimal and the
/// mapping, the latter two in lines `[FIRST - LAST]: values`.
fn hashing(text: &str) -> Option<Hashing> {
    let mut hashing = Hashing::default();
    let mut heading = "";
    for line in text.lines().map(str::trim) {
        if let Some(algorithm) = line.strip_prefix("Hash Algorithm:") {
            algorithm.trim().clone_into(&mut hashing.algorithm);
        } else if let Some(kind) = line.strip_prefix("- ") {
            hashing.types.push(kind.to_owned());
        } else if let Some((_, values)) = line.split_once("]:") {
            match heading {
                "Hash Key:" => hashing.key.extend(values.split_whitespace()),
                "Hash Mapping:" => {
                    let queues = values
                        .split_whitespace()
                        .map_while(|word| word.parse::<u32>().ok());
                    hashing.mapping.extend(queues);
                }
                _ => {}
            }
        } else if !line.is_empty() {
            heading = line;
        }
    }
    (!hashing.algorithm.is_empty()).then_some(hashing)
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
    use super::{Hashing, Queue, counters, hashing, interrupt, rings};

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
    fn hashing_is_read() {
        let text = "Hash Algorithm: TOEPLITZ\n\nHash Flags:\n- IPv4\n- IPv4 + TCP\n\nHash Key:\n\
            [ 0 -  7]: 6d 5a 56 da 25 5b 0e c2 \n[ 8 -  9]: 41 67 \n\n\
            Hash Mapping:\n[   0 -    3]:    0    1    2    3 \n[   4 -    5]:    0   11 \n";
        let expected = Hashing {
            algorithm: "TOEPLITZ".to_owned(),
            types: vec!["IPv4".to_owned(), "IPv4 + TCP".to_owned()],
            key: "6d5a56da255b0ec24167".to_owned(),
            mapping: vec![0, 1, 2, 3, 0, 11],
        };
        assert_eq!(hashing(text), Some(expected));
        let off = hashing("Hash Algorithm: NONE\n").map(|off| off.algorithm);
        assert_eq!(off.as_deref(), Some("NONE"));
        assert_eq!(hashing("no such file"), None);
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
