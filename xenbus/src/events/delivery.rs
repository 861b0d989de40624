//! From an interrupt to the owners of the ports.
#![allow(
    unsafe_code,
    reason = "follows the port table's marks to channels; each block states its reason"
)]

use core::sync::atomic::Ordering;

use nt::irql::Isr;
use xen_abi::event_channel::Port;
use xenbus_core::event::fifo::EventArray;
use xenbus_core::event::ports::Cookie;
use xenbus_core::event::two_level::{self, TwoLevel};
use xenbus_core::event::{PortMask, Scan};

use super::{Channel, Events, Lane};

/// Events of one pass.
const BUDGET: u32 = 1024;
/// Passes of one interrupt. Each port is masked when it is delivered, so more than one is rare, and
/// this many means that the words shared with Xen make no sense.
const PASSES_MAX: u32 = 16;

impl Events {
    /// Delivers the events of a processor's vCPU. `false`: there was no sign of any.
    pub(crate) fn deliver(&self, processor: usize, irql: &Isr<'_>) -> bool {
        let (Some(lane), Some(vcpu)) = (self.lanes.get(processor), self.vcpu_of(processor)) else {
            return false;
        };
        // Odd from here on: a closer that unbound a port before sees no lookup of it after the pass.
        lane.passes.fetch_add(1, Ordering::SeqCst);
        let found = self.passes(lane, processor, vcpu, irql);
        lane.passes.fetch_add(1, Ordering::SeqCst);
        found
    }

    fn vcpu_of(&self, processor: usize) -> Option<u32> {
        Some(self.platform.processors().get(processor)?.vcpu)
    }

    fn passes(&self, lane: &Lane, processor: usize, vcpu: u32, irql: &Isr<'_>) -> bool {
        let info = usize::try_from(vcpu)
            .ok()
            .and_then(|vcpu| self.hole.shared_info().vcpu_info.get(vcpu));
        let Some(info) = info else { return false };
        let pending = info.evtchn_upcall_pending.swap(0, Ordering::SeqCst) != 0;
        for _ in 0..PASSES_MAX {
            let scan = if let Some(memory) = &self.fifo {
                memory.block(processor).and_then(|block| {
                    let array = EventArray::new(memory);
                    let pass = |port| self.hand_over(&array, port, irql);
                    lane.queues
                        .with(|queues| queues.scan(block, &array, BUDGET, pass))
                })
            } else {
                let bits = TwoLevel::new(self.hole.shared_info());
                let start = lane.turn.fetch_add(1, Ordering::Relaxed);
                let mine = |port| self.table().vcpu(port).is_none_or(|at| at == vcpu);
                let pass = |port| self.hand_over(&bits, port, irql);
                Some(two_level::scan(&bits, info, start, BUDGET, mine, pass))
            };
            if !scan.unwrap_or(Scan::default()).more {
                break;
            }
        }
        pending
    }

    /// Masks the port and calls its owner. A port without one stays masked.
    fn hand_over(&self, masks: &impl PortMask, port: Port, irql: &Isr<'_>) {
        masks.mask(port);
        if let Some(channel) = self.table().owner(port).and_then(channel_of) {
            channel.target.call(irql);
        }
    }
}

/// The mark of a channel in the port table: its address.
pub(super) fn cookie_of(channel: &Channel) -> Option<Cookie> {
    Cookie::new(core::ptr::from_ref(channel).expose_provenance() as u64)
}

/// The channel of a mark, within a pass.
fn channel_of<'a>(cookie: Cookie) -> Option<&'a Channel> {
    let address = usize::try_from(cookie.get()).ok()?;
    let channel = core::ptr::with_exposed_provenance::<Channel>(address);
    // SAFETY: marks are made by cookie_of. Closing takes the mark out of the table and then waits
    // for all passes under way before the channel goes, and this is a pass.
    unsafe { channel.as_ref() }
}
