//! TCP above the driver: the guest's stack, on top of NDIS's protocol interface.

use alloc::collections::BTreeMap;
use alloc::vec;
use alloc::vec::Vec;

use harness::ndis::{Frame, Layout, Received, SendList, SendOptions};
use harness::{DeviceId, SECOND};
use large_frames::Use;

use crate::Machine;
use crate::coalesced;
use crate::landings::Landings;
use crate::rss::Flow;
use crate::stack::Stack;

/// Bit of the checksum slot of a received frame: its TCP checksum is right.
const TCP_GOOD: u64 = 1 << 3;
/// Frames given to the driver in one chain.
const CHAIN: usize = 32;

/// What moved between the stack and the driver.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Moved {
    /// Frames sent, and failed.
    pub sent: u64,
    /// Sends that the driver failed.
    pub failed: u64,
    /// Frames received, by the processor they were indicated on.
    pub received: Vec<u64>,
    /// Received frames whose hash was told and compared with the backend's function.
    pub hashes: u64,
    /// Of those, the ones that were wrong.
    pub hash_mismatches: u64,
    /// What was seen of each flow whose frames came with a hash.
    pub flows: BTreeMap<Flow, Track>,
    /// Large sends.
    pub large_sends: u64,
    /// Their segments.
    pub large_segments: u64,
    /// Coalesced units received.
    pub units: u64,
    /// Their segments.
    pub unit_segments: u64,
    /// Frames sent whose checksum was left to the card; large sends too.
    pub blank: u64,
    /// Frames received whose TCP checksum the card said is right.
    pub verified: u64,
}

/// Where the frames of a flow came.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Track {
    /// Frames.
    pub frames: u64,
    /// Processor of the last one.
    pub cpu: u32,
    /// How often the next frame came on another processor than the one before.
    pub moves: u64,
    /// `NetBufferListHashValue` and `NetBufferListHashInfo` of the last one.
    hash: (u64, u64),
}

impl Track {
    #[cfg(test)]
    pub(crate) fn moved(moves: u64) -> Self {
        Self {
            moves,
            ..Self::default()
        }
    }

    /// The hash of the last frame.
    #[must_use]
    pub fn hash(&self) -> u32 {
        u32::try_from(self.hash.0).unwrap_or(0)
    }
}

/// The guest's stack on one interface.
#[derive(Debug)]
pub struct GuestStack {
    /// The stack.
    pub stack: Stack,
    /// The interface it is bound to.
    pub device: DeviceId,
    /// Its number in XenStore.
    pub handle: u32,
    /// Processors that [`crate::rss::parameters`] was given: the connections of transfers are dealt out to them evenly. 0: as
    /// it comes.
    pub processors: u32,
    /// What moved.
    pub moved: Moved,
    /// Offloads that the stack uses.
    pub offloads: Use,
    /// Where frames land, if somebody looks.
    pub(crate) landings: Option<Landings>,
}

impl GuestStack {
    /// Binds a stack to an interface.
    #[must_use]
    pub const fn new(stack: Stack, device: DeviceId, handle: u32) -> Self {
        Self {
            stack,
            device,
            handle,
            processors: 0,
            moved: Moved {
                sent: 0,
                failed: 0,
                received: Vec::new(),
                hashes: 0,
                hash_mismatches: 0,
                flows: BTreeMap::new(),
                large_sends: 0,
                large_segments: 0,
                units: 0,
                unit_segments: 0,
                blank: 0,
                verified: 0,
            },
            offloads: Use {
                checksums: false,
                large_sends: false,
            },
            landings: None,
        }
    }

    /// Takes what the driver received and gives it what the stack sends; runs the machine until it is idle.
    /// Whether anything moved.
    pub fn turn(&mut self, machine: &mut impl Machine) -> bool {
        let mut worked = false;
        {
            let protocol = machine.system().protocol(self.device);
            for mut frame in protocol.take_received() {
                let cpu = frame.cpu as usize;
                if self.moved.received.len() <= cpu {
                    self.moved.received.resize(cpu + 1, 0);
                }
                self.moved.received[cpu] += 1;
                self.check_hash(machine, &frame);
                self.track(&frame);
                self.count_offloads(&frame);
                coalesced::complete(&mut frame);
                self.stack.receive(frame.bytes);
                worked = true;
            }
            for sent in protocol.take_sent() {
                self.moved.failed += u64::from(!sent.is_success());
                worked = true;
            }
            worked |= self.stack.poll(machine.system().harness().now());
            while self.stack.frames_waiting() > 0 {
                let chain: Vec<SendList> = core::iter::from_fn(|| self.next_list())
                    .take(CHAIN)
                    .collect();
                self.moved.sent += chain.len() as u64;
                let done = protocol.send(chain, SendOptions::default());
                assert!(
                    done.is_ok(),
                    "sending: {done:?}\n{}",
                    machine.system().story()
                );
                worked = true;
            }
        }
        machine.system_mut().settle();
        worked
    }

    /// The next list to send, with the offloads that are used.
    fn next_list(&mut self) -> Option<SendList> {
        let out = self.stack.next_send(self.offloads)?;
        let mut list = list(out.bytes, &self.moved.flows);
        if out.large > 0 {
            if let Some(frame) = list.frames.first_mut() {
                frame.layout = Layout::Pieces(vec![out.header]);
            }
            self.moved.large_sends += 1;
            self.moved.large_segments += out.segments as u64;
        }
        self.moved.blank += u64::from(out.large > 0 || out.checksum > 0);
        let list = list.with_info(ndis_sys::TcpIpChecksumNetBufferListInfo, out.checksum);
        Some(list.with_info(ndis_sys::TcpLargeSendNetBufferListInfo, out.large))
    }

    /// Counts what the card did to a frame.
    fn count_offloads(&mut self, frame: &Received) {
        let segments = frame.slot(ndis_sys::TcpRecvSegCoalesceInfo) & 0xFFFF;
        self.moved.units += u64::from(segments > 0);
        self.moved.unit_segments += segments;
        let checksum = frame.slot(ndis_sys::TcpIpChecksumNetBufferListInfo);
        self.moved.verified += u64::from(checksum & TCP_GOOD != 0);
    }

    /// Compares the hash that came with a frame with what the hash function says of its bytes.
    fn check_hash(&mut self, machine: &impl Machine, frame: &Received) {
        let function = frame.slot(ndis_sys::NetBufferListHashInfo) & 0xFF;
        if function == 0 {
            return;
        }
        let told = frame.slot(ndis_sys::NetBufferListHashValue);
        let expected = machine.expected_hash(self.handle, &frame.bytes);
        self.moved.hashes += 1;
        if expected.is_none_or(|expected| u64::from(expected) != told) {
            self.moved.hash_mismatches += 1;
        }
    }

    /// Notes where a frame's flow is. One that comes without a hash is not scaled any more.
    fn track(&mut self, frame: &Received) {
        let Some(flow) = Flow::of(&frame.bytes) else {
            return;
        };
        let info = frame.slot(ndis_sys::NetBufferListHashInfo);
        let hash_function = info & 0xFF;
        if hash_function == 0 {
            self.moved.flows.remove(&flow);
            return;
        }
        let track = self.moved.flows.entry(flow).or_default();
        track.moves += u64::from(track.frames > 0 && track.cpu != frame.cpu);
        track.frames += 1;
        track.cpu = frame.cpu;
        track.hash = (frame.slot(ndis_sys::NetBufferListHashValue), info);
        let hash = track.hash();
        if let Some(landings) = &mut self.landings {
            landings.see(flow, hash, frame);
        }
    }

    /// Lets the stacks work until `done` says so, for at most `seconds` of the machine's time.
    ///
    /// # Panics
    /// When the time is over.
    pub fn run<M: Machine>(
        &mut self,
        machine: &mut M,
        seconds: u64,
        done: impl FnMut(&mut Self, &M) -> bool,
    ) {
        let ended = self.try_run(machine, seconds, done);
        assert!(
            ended,
            "not done after {seconds} s: {:?}\n{}",
            self.stack.progress(),
            machine.system().story()
        );
    }

    /// As [`GuestStack::run`]; false when the time is over.
    pub fn try_run<M: Machine>(
        &mut self,
        machine: &mut M,
        seconds: u64,
        mut done: impl FnMut(&mut Self, &M) -> bool,
    ) -> bool {
        let end = machine.system().harness().now() + seconds * SECOND;
        while !done(self, machine) {
            if self.turn(machine) {
                continue;
            }
            let now = machine.system().harness().now();
            if now >= end {
                return false;
            }
            // Nothing at this moment: time goes to the next thing that is due on either side.
            let next = self
                .stack
                .next_deadline(now)
                .unwrap_or(end)
                .min(now + SECOND / 100);
            machine.wait(next.saturating_sub(now).clamp(100, SECOND / 100));
        }
        true
    }
}

/// A frame to send. As Windows's TCP does, it carries the hash that frames of its connection come with, if they do: both
/// directions are then one queue's.
fn list(bytes: Vec<u8>, flows: &BTreeMap<Flow, Track>) -> SendList {
    let answered = Flow::of(&bytes).and_then(|flow| flows.get(&flow.reversed()));
    let list = SendList::one(Frame::new(bytes));
    match answered {
        Some(track) => list
            .with_info(ndis_sys::NetBufferListHashValue, track.hash.0)
            .with_info(ndis_sys::NetBufferListHashInfo, track.hash.1),
        None => list,
    }
}
