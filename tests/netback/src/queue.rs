//! One queue: its rings, ports and what waits in it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::counters::QueueCounters;
use crate::ring::BackRing;
use crate::wire::{FrameHash, FrameMeta};

/// An event-channel port of ours.
#[derive(Debug)]
pub(crate) struct Port {
    pub(crate) number: u32,
    /// Events that need no reason: the one of binding, and the frontend's kick after connecting.
    pub(crate) forgiven: u32,
}

impl Port {
    pub(crate) fn new(number: u32) -> Self {
        Self {
            number,
            forgiven: 2,
        }
    }

    /// Takes one forgiven event.
    pub(crate) fn forgive(&mut self) -> bool {
        let some = self.forgiven > 0;
        self.forgiven = self.forgiven.saturating_sub(1);
        some
    }
}

/// A TX slot that is consumed and not answered.
#[derive(Debug)]
pub(crate) struct Pending<P> {
    pub(crate) id: u16,
    pub(crate) extras: u32,
    pub(crate) status: i16,
    pub(crate) page: Option<P>,
    /// Offset, length and digest of what a mapped slot held when it was read.
    pub(crate) content: Option<(u16, u16, u64)>,
    pub(crate) due_ns: u64,
}

/// A frame that waits for RX slots.
#[derive(Debug)]
pub(crate) struct Waiting {
    pub(crate) frame: Vec<u8>,
    pub(crate) meta: FrameMeta,
    pub(crate) hash: Option<FrameHash>,
    pub(crate) expires_ns: u64,
}

impl Waiting {
    /// RX requests that the frame takes.
    pub(crate) fn slots_needed(&self) -> u32 {
        let data = match self.meta.shape {
            Some(shape) => shape.slots(self.frame.len()).len(),
            None => self.frame.len().div_ceil(4096).max(1),
        };
        let extras = usize::from(self.meta.gso.is_some()) + usize::from(self.hash.is_some());
        (data + extras) as u32
    }
}

#[derive(Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "wake-ups and conditions of two independent directions"
)]
pub(crate) struct Queue<P> {
    pub(crate) id: u16,
    pub(crate) tx: BackRing<P>,
    pub(crate) rx: BackRing<P>,
    pub(crate) tx_port: Port,
    /// `None`: one port for both directions.
    pub(crate) rx_port: Option<Port>,

    pub(crate) tx_scheduled: bool,
    pub(crate) pending: VecDeque<Pending<P>>,
    pub(crate) in_flight: BTreeSet<u16>,
    pub(crate) credit: u64,
    pub(crate) credit_from_ns: u64,

    pub(crate) rx_wake: bool,
    pub(crate) rx_broken: bool,
    pub(crate) backlog: VecDeque<Waiting>,
    pub(crate) backlog_bytes: usize,
    pub(crate) stalled: bool,
    pub(crate) last_rx_ns: u64,

    pub(crate) traffic: QueueCounters,

    /// Grants that stay mapped, and whether read-only.
    pub(crate) grefs: BTreeMap<u32, (P, bool)>,
}

impl<P> Queue<P> {
    pub(crate) fn rx_port_number(&self) -> u32 {
        self.rx_port.as_ref().unwrap_or(&self.tx_port).number
    }
}
