//! What happens in dom0 and in the guest, one JSON object a line.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::plan::Step;

/// One line of `events.jsonl`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Line {
    /// Seconds since dom0's kernel started.
    pub at: f64,
    /// Name of the case; empty before the first and after the last.
    pub case: String,
    /// What happened.
    #[serde(flatten)]
    pub event: Event,
}

/// What happened.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// dom0 is up.
    Dom0 {
        /// Xen's version, as `4.17.7`.
        xen: String,
        /// Version of dom0's kernel.
        linux: String,
    },
    /// A case begins.
    Begin,
    /// A step starts.
    Step {
        /// The step.
        step: Step,
    },
    /// A step ended.
    Done {
        /// The step.
        step: Step,
        /// How long it took.
        seconds: f64,
        /// Why it failed, if it did.
        failure: Option<String>,
        /// What else there is to say.
        note: Option<String>,
    },
    /// The guest said something structured: a line `@@ {json}` on its console.
    Guest {
        /// What it said.
        said: Value,
    },
    /// A connection to the traffic peer has carried what it should.
    Traffic {
        /// Which way, seen from the guest.
        way: Way,
        /// Bytes of payload.
        bytes: u64,
        /// SHA-256 of the payload, in hexadecimal.
        sha256: String,
        /// Seconds from the first byte to the last.
        seconds: f64,
    },
    /// A connection to the traffic peer ended early.
    Broken {
        /// What went wrong.
        error: String,
    },
    /// What netback and the network of dom0 counted.
    Observed(Observed),
    /// Lines of dom0's kernel log since the case began that tell of trouble.
    KernelTrouble {
        /// The lines.
        lines: Vec<String>,
    },
    /// A case ended.
    Finished {
        /// Why it failed, if it did.
        failure: Option<String>,
        /// What of the domain was still there when it should have ended: XenStore paths, devices.
        left: Vec<String>,
    },
    /// The plan is done.
    AllDone,
}

/// Direction of data, seen from the guest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Way {
    /// The guest sent.
    Tx,
    /// The guest received.
    Rx,
}

/// Counters of one interface.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Observed {
    /// Label given by the step.
    pub label: String,
    /// Device in dom0, as `vif1.0`.
    pub device: String,
    /// `ethtool -S`.
    pub netback: BTreeMap<String, u64>,
    /// `/sys/class/net/DEVICE/statistics`.
    pub link: BTreeMap<String, u64>,
    /// The rings of each queue the backend has connected (`io_ring_q*` of its debug folder).
    pub queues: Vec<Queue>,
    /// Interrupts of each of the backend's event channels, by their name in `/proc/interrupts`.
    pub interrupts: BTreeMap<String, u64>,
    /// What the backend was told of hashing (`ctrl` of its debug folder); none without a control ring.
    pub hashing: Option<Hashing>,
}

/// Hashing as netback does it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hashing {
    /// `TOEPLITZ` or `NONE`.
    pub algorithm: String,
    /// What is hashed, in netback's words: `IPv4`, `IPv4 + TCP`.
    pub types: Vec<String>,
    /// The key, in hexadecimal.
    pub key: String,
    /// The queue of each entry of the table.
    pub mapping: Vec<u32>,
}

/// How far the backend has come on the rings of one queue since it connected.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Queue {
    /// Number of the queue.
    pub queue: u32,
    /// Slots of the transmit ring it has answered.
    pub tx_slots: u32,
    /// Slots of the receive ring it has answered.
    pub rx_slots: u32,
}
