//! What the demo says when it is done.

use std::time::Duration;

use serde_json::{Value, json};
use world::{GuestStack, World};

/// One queue.
#[derive(Debug)]
struct Queue {
    cpu: u32,
    tx_packets: u64,
    rx_packets: u64,
    events: u64,
}

/// Everything counted.
#[derive(Debug)]
pub(crate) struct Report {
    seconds: f64,
    integrity: String,
    hash: Value,
    tx: [u64; 2],
    rx: [u64; 2],
    hypercalls: u64,
    queues: Vec<Queue>,
}

impl Report {
    /// Asks both ends, while the vif is connected.
    pub(crate) fn gather(
        world: &World,
        guest: &GuestStack,
        integrity: &anyhow::Result<()>,
        elapsed: Duration,
    ) -> Self {
        let mismatches = guest.moved.hash_mismatches;
        world.xen(|xen| {
            let hypercalls = xen.machine.hypercall_counts().values().sum();
            let Some(vif) = xen.vifs.get(&0) else {
                unreachable!("the vif is there")
            };
            let counters = vif.backend.counters();
            let toeplitz = vif.backend.hash_state().algorithm == 1;
            let queues = (0..vif.backend.queue_count())
                .filter_map(|queue| vif.backend.queue_counters(queue))
                .map(|queue| Queue {
                    cpu: xen.vcpu_of_backend_port(queue.port),
                    tx_packets: queue.tx_packets,
                    rx_packets: queue.rx_packets,
                    events: queue.events,
                })
                .collect();
            Self {
                seconds: elapsed.as_secs_f64(),
                integrity: integrity
                    .as_ref()
                    .map_or_else(ToString::to_string, |()| "ok".to_owned()),
                hash: json!({
                    "algorithm": if toeplitz { "toeplitz" } else { "none" },
                    "negotiated": toeplitz,
                    "mismatches": mismatches,
                }),
                tx: [counters.tx_bytes, counters.tx_packets],
                rx: [counters.rx_bytes, counters.rx_packets],
                hypercalls,
                queues,
            }
        })
    }

    /// `report.json`.
    pub(crate) fn json(&self) -> String {
        let per_queue: Vec<Value> = self
            .queues
            .iter()
            .enumerate()
            .map(|(index, queue)| {
                json!({
                    "queue": index,
                    "cpu": queue.cpu,
                    "tx_packets": queue.tx_packets,
                    "rx_packets": queue.rx_packets,
                    "events": queue.events,
                })
            })
            .collect();
        let report = json!({
            "backend": "model",
            "xen": null,
            "queues": self.queues.len(),
            "seconds": self.seconds,
            "integrity": self.integrity,
            "hash": self.hash,
            "tx": {"bytes": self.tx[0], "packets": self.tx[1]},
            "rx": {"bytes": self.rx[0], "packets": self.rx[1]},
            "hypercalls": self.hypercalls,
            "per_queue": per_queue,
        });
        format!("{report:#}\n")
    }

    /// The table for people.
    pub(crate) fn print_table(&self) {
        println!("queue  cpu  tx packets  rx packets      events");
        for (index, queue) in self.queues.iter().enumerate() {
            let Queue {
                cpu,
                tx_packets,
                rx_packets,
                events,
            } = queue;
            println!("{index:5} {cpu:4} {tx_packets:11} {rx_packets:11} {events:11}");
        }
        let mib = |bytes: u64| bytes >> 20;
        println!(
            "tx {} MiB in {} packets, rx {} MiB in {} packets, {} hypercalls, {:.1} s; integrity: {}; hash: {}",
            mib(self.tx[0]),
            self.tx[1],
            mib(self.rx[0]),
            self.rx[1],
            self.hypercalls,
            self.seconds,
            self.integrity,
            self.hash
        );
    }
}
