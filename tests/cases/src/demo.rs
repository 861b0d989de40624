//! The main job: data both ways over several connections, with a check of its content.

use alloc::format;
use alloc::string::String;

use smoltcp::wire::Ipv4Address;

use crate::Machine;
use crate::rss;
use crate::stack::End;
use crate::traffic::GuestStack;
use crate::transfer::{DOWNLOAD, UPLOAD};

/// What to move.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The server of [`mod@crate::transfer`].
    pub peer: Ipv4Address,
    /// Bytes each way, over all connections.
    pub bytes: u64,
    /// Connections each way.
    pub connections: u64,
    /// Content.
    pub seed: u64,
    /// The longest it may take, seconds of the machine's time.
    pub seconds: u64,
}

/// What came of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// Bytes of content to the peer.
    pub sent: u64,
    /// Bytes of content from it.
    pub received: u64,
    /// Time it took, 100 ns units.
    pub ticks: u64,
}

/// Moves what the plan says, on all connections at once. The error says what is missing or damaged.
pub fn transfer(
    machine: &mut impl Machine,
    guest: &mut GuestStack,
    plan: &Plan,
) -> Result<Outcome, String> {
    transfer_while(machine, guest, plan, |_, _| {})
}

/// As [`transfer`], and calls `meanwhile` again and again.
pub fn transfer_while<M: Machine>(
    machine: &mut M,
    guest: &mut GuestStack,
    plan: &Plan,
    meanwhile: impl FnMut(&mut GuestStack, &M),
) -> Result<Outcome, String> {
    both(machine, guest, plan, true, meanwhile)
}

/// As [`transfer_while`], of which only what comes from the peer.
pub fn download_while<M: Machine>(
    machine: &mut M,
    guest: &mut GuestStack,
    plan: &Plan,
    meanwhile: impl FnMut(&mut GuestStack, &M),
) -> Result<Outcome, String> {
    both(machine, guest, plan, false, meanwhile)
}

fn both<M: Machine>(
    machine: &mut M,
    guest: &mut GuestStack,
    plan: &Plan,
    up: bool,
    mut meanwhile: impl FnMut(&mut GuestStack, &M),
) -> Result<Outcome, String> {
    let start = machine.system().harness().now();
    let bytes = plan.bytes.div_ceil(plan.connections);
    guest.stack.forget_streams();
    for number in 0..plan.connections {
        let seed = plan.seed.wrapping_mul(1000).wrapping_add(number);
        let processors = guest.processors;
        let wanted = |hash: u32| match u64::from(processors) {
            0 => true,
            some => u64::from(rss::entry(hash)) % some == number % some,
        };
        let stack = &mut guest.stack;
        if up {
            stack.call_on(plan.peer, UPLOAD, End::Upload { seed }, bytes, wanted);
        }
        stack.call_on(plan.peer, DOWNLOAD, End::Download, bytes, wanted);
    }
    let ended = guest.try_run(machine, plan.seconds, |guest, machine| {
        meanwhile(guest, machine);
        guest.stack.is_finished()
    });
    let progress = guest.stack.progress();
    if !ended {
        let moved: alloc::vec::Vec<u64> = progress.iter().map(|stream| stream.moved).collect();
        return Err(format!(
            "not done after {} s; moved {moved:?} of {bytes} bytes each",
            plan.seconds
        ));
    }
    if let Some(number) = progress.iter().position(|end| end.intact != Some(true)) {
        return Err(format!("stream {number}: the content hashes differ"));
    }
    let each = bytes * plan.connections;
    Ok(Outcome {
        sent: if up { each } else { 0 },
        received: each,
        ticks: machine.system().harness().now() - start,
    })
}
