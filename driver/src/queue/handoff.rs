//! Received lists on their way to the processor that the indirection table names.
//!
//! | step | where |
//! |---|---|
//! | a queue's pass takes frames from its ring, and finds the processor each is for | the queue's DPC |
//! | lists for other processors are pushed, a chain for each, without a lock | the queue's DPC |
//! | all that was pushed is indicated, in order | the target's DPC, on that processor |
//!
//! [`PassGate`](netfront_core::rx::PassGate) keeps a flow's order when the table changes.

use alloc::vec::Vec;

use ndis::Status;
use ndis::chain::RxChain;
use ndis::handoff::HandOff;
use nt::dpc::{Dpc, More};
use nt::irql::{Dispatch, Passive};
use nt::processor::ProcessorNumber;
use nt::status::Status as NtStatus;
use rss::QUEUES_MAX;

use super::stock;
use crate::TAG;
use crate::adapter::{Adapter, AdapterRef};

/// A processor that lists are handed to.
#[derive(Debug)]
struct Target {
    lists: HandOff,
    dpc: Option<Dpc<TargetContext>>,
}

#[derive(Debug)]
struct TargetContext {
    adapter: AdapterRef,
    index: usize,
}

/// Every processor, by system-wide index.
#[derive(Debug, Default)]
pub(crate) struct Targets(Vec<Target>);

impl Targets {
    /// One for each processor there is, without DPCs.
    pub(crate) fn try_new() -> Result<Self, Status> {
        let count = usize::try_from(nt::processor::active_count()).unwrap_or(1);
        let mut targets = Vec::new();
        targets
            .try_reserve_exact(count)
            .map_err(|_| Status::RESOURCES)?;
        for _ in 0..count {
            targets.push(Target {
                lists: HandOff::new(),
                dpc: None,
            });
        }
        Ok(Self(targets))
    }

    /// Makes the DPC of each. `adapter` makes a reference for one. Undone by [`Targets::detach`].
    pub(crate) fn attach(
        &mut self,
        mut adapter: impl FnMut() -> AdapterRef,
    ) -> Result<(), NtStatus> {
        for (index, target) in self.0.iter_mut().enumerate() {
            let number = u32::try_from(index).map_err(|_| NtStatus::INVALID_PARAMETER)?;
            let processor = ProcessorNumber::from_index(number)?;
            let context = TargetContext {
                adapter: adapter(),
                index,
            };
            let dpc = target.dpc.insert(Dpc::try_new(TAG, context, run)?);
            dpc.set_target(processor)?;
        }
        Ok(())
    }

    /// Ends the DPCs. Every list is back.
    pub(crate) fn detach(&mut self, irql: &Passive<'_>) {
        for target in &mut self.0 {
            if let Some(dpc) = target.dpc.take() {
                dpc.close(irql);
            }
        }
    }

    /// Whether lists can be handed to this processor.
    pub(crate) fn has(&self, processor: u16) -> bool {
        self.0.get(usize::from(processor)).is_some()
    }

    /// Hands lists over; gives them back when there is no such processor.
    #[must_use]
    pub(crate) fn push(&self, processor: u16, lists: RxChain) -> RxChain {
        let Some(target) = self.0.get(usize::from(processor)) else {
            return lists;
        };
        target.lists.push(lists);
        if let Some(dpc) = &target.dpc {
            dpc.queue();
        }
        RxChain::new()
    }
}

/// The DPC of a target.
fn run(context: &TargetContext, irql: &Dispatch<'_>) -> More {
    let adapter = context.adapter.get();
    if let Some(target) = adapter.targets().0.get(context.index) {
        deliver(adapter, target.lists.take(), irql);
    }
    More::No
}

/// Indicates lists that were handed over, and tells their queues.
fn deliver(adapter: &Adapter, mut lists: RxChain, irql: &Dispatch<'_>) {
    let mut counts = [0_u32; QUEUES_MAX];
    let mut run = RxChain::new();
    let mut low_run = false;
    while let Some(list) = lists.pop() {
        if let Some(count) = counts.get_mut(stock::queue_of(&list)) {
            *count = count.saturating_add(1);
        }
        let low = stock::is_low(&list);
        if low != low_run {
            adapter.indicate_run(core::mem::take(&mut run), low_run, irql);
            low_run = low;
        }
        run.push(list);
    }
    adapter.indicate_run(run, low_run, irql);
    for (queue, count) in adapter.queues().iter().zip(counts) {
        if count > 0 && queue.gate.indicated(count) {
            queue.wake();
        }
    }
}
