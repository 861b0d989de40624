//! A host behind the backend: a TCP/IP stack, reached through checksum completion and segmentation as a
//! network card would do them.

use std::sync::{Arc, Mutex};

use large_frames::{Use, packet};
use netback_model::{FrameMeta, Gso, Wire, complete_checksum, segment};
use xen_abi::netif::GsoType;

use crate::capture::Capture;
use crate::machine::lock;
use crate::network::Network;
use cases::Stack;

/// What passed a peer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WireCounters {
    /// Frames from the guest, by the queue they came on.
    pub from_guest: Vec<u64>,
    /// Bytes of them.
    pub bytes_from_guest: u64,
    /// Frames to the guest.
    pub to_guest: u64,
    /// Bytes of them.
    pub bytes_to_guest: u64,
    /// Frames whose checksum could not be completed, or that could not be cut.
    pub damaged: u64,
}

#[derive(Debug)]
struct Inside {
    stack: Stack,
    counters: WireCounters,
    capture: Option<Capture>,
    now: u64,
    deadline: Option<u64>,
    /// Segments for the guest leave joined.
    joins: bool,
}

/// A host behind a backend. Clones are the same host.
#[derive(Clone, Debug)]
pub struct Peer(Arc<Mutex<Inside>>);

impl Peer {
    /// A host with this stack.
    #[must_use]
    pub fn new(stack: Stack, capture: Option<Capture>) -> Self {
        Self(Arc::new(Mutex::new(Inside {
            stack,
            counters: WireCounters::default(),
            capture,
            now: 0,
            deadline: None,
            joins: false,
        })))
    }

    /// Uses the stack.
    pub fn stack<R>(&self, body: impl FnOnce(&mut Stack) -> R) -> R {
        body(&mut lock(&self.0).stack)
    }

    /// What passed so far.
    pub fn counters(&self) -> WireCounters {
        lock(&self.0).counters.clone()
    }

    /// Has consecutive segments for the guest leave as one packet, as Linux's TCP sends them.
    pub fn join_segments(&self) {
        lock(&self.0).joins = true;
    }

    /// Ends the capture.
    pub fn take_capture(&self) -> Option<Capture> {
        lock(&self.0).capture.take()
    }
}

impl Inside {
    fn record(&mut self, frame: &[u8], from_guest: bool) {
        let now = self.now;
        if let Some(capture) = &mut self.capture {
            capture.frame(now, frame, from_guest);
        }
    }

    fn arrive(&mut self, frame: Vec<u8>) {
        self.record(&frame, true);
        self.stack.receive(frame);
    }
}

impl Wire for Peer {
    fn from_guest(&mut self, frame: &[u8], meta: FrameMeta) {
        let inside = &mut *lock(&self.0);
        let queue = usize::from(meta.queue);
        if inside.counters.from_guest.len() <= queue {
            inside.counters.from_guest.resize(queue + 1, 0);
        }
        inside.counters.from_guest[queue] += 1;
        inside.counters.bytes_from_guest += frame.len() as u64;
        if let Some(gso) = meta.gso {
            match segment(frame, gso) {
                Some(pieces) => pieces.into_iter().for_each(|piece| inside.arrive(piece)),
                None => inside.counters.damaged += 1,
            }
            return;
        }
        let mut frame = frame.to_vec();
        if meta.csum_blank && complete_checksum(&mut frame).is_err() {
            inside.counters.damaged += 1;
            return;
        }
        inside.arrive(frame);
    }

    fn to_guest(&mut self) -> Option<(Vec<u8>, FrameMeta)> {
        let inside = &mut *lock(&self.0);
        let wanted = Use {
            checksums: inside.joins,
            large_sends: inside.joins,
        };
        let mut out = inside.stack.next_send(wanted)?;
        let gso = packet(&mut out).map(|(size, six)| Gso {
            size,
            kind: if six { GsoType::TCPV6 } else { GsoType::TCPV4 },
        });
        let csum_blank = out.large > 0 || out.checksum > 0;
        let frame = out.bytes;
        inside.counters.to_guest += 1;
        inside.counters.bytes_to_guest += frame.len() as u64;
        inside.record(&frame, false);
        let meta = FrameMeta {
            csum_blank,
            data_validated: true,
            gso,
            ..FrameMeta::default()
        };
        Some((frame, meta))
    }
}

impl Network for Peer {
    fn poll(&mut self, now: u64) -> bool {
        let inside = &mut *lock(&self.0);
        inside.now = now;
        let worked = inside.stack.poll(now);
        inside.deadline = inside.stack.next_deadline(now);
        worked
    }

    fn next_deadline(&self) -> Option<u64> {
        lock(&self.0).deadline
    }
}
