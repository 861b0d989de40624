//! Grants that the backend keeps mapped (messages 8 to 10 of `xen/io/netif.h`).
//!
//! Pages that carry frame after frame under one grant, the pools that frames to send are copied to, need not be copied
//! from or mapped by the hypervisor for each: the backend maps them once. It is told so when the goal is reached, one
//! message for each queue, and told to let go before the hash state is reset. A backend that refuses, or that drops the
//! mappings, uses the same grants as it always did.

use netif::ctrl::CtrlStatus;

use super::state::Step;

/// Queues whose grants may be mapped.
const QUEUES: usize = 32;

/// What the backend was told about grants.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lasting {
    /// Grants of each queue that it keeps mapped.
    mapped: [u32; QUEUES],
    /// The queue to ask for next.
    next: usize,
    /// Queues for which it said no.
    refused: u32,
    /// The caller knows what came of it.
    told: bool,
}

impl Lasting {
    pub(super) const NOTHING: Self = Self {
        mapped: [0; QUEUES],
        next: 0,
        refused: 0,
        told: false,
    };

    /// The next message on the way to have them mapped; `list` puts the grants of a queue into the page of arguments, at
    /// most as many as it is told, and says how many.
    pub(super) fn next_add(
        &mut self,
        queues: u32,
        limit: u32,
        mut list: impl FnMut(u32, u32) -> u32,
    ) -> Option<Step> {
        if limit == 0 {
            return None;
        }
        let queues = usize::try_from(queues).unwrap_or(QUEUES).min(QUEUES);
        while self.next < queues {
            let queue = u32::try_from(self.next).unwrap_or(0);
            let entries = list(queue, limit).min(limit);
            if entries > 0 {
                return Some(Step::AddGrants { queue, entries });
            }
            self.next = self.next.saturating_add(1);
        }
        None
    }

    /// The next message on the way to have them let go. The list is the one that was added.
    pub(super) fn next_drop(&mut self, mut list: impl FnMut(u32, u32) -> u32) -> Option<Step> {
        for (queue, mapped) in (0..).zip(&mut self.mapped) {
            if *mapped > 0 {
                let entries = list(queue, *mapped);
                if entries == *mapped {
                    return Some(Step::DropGrants { queue, entries });
                }
                // They are gone; the backend finds out when it disconnects.
                *mapped = 0;
            }
        }
        None
    }

    /// Notes an answer.
    pub(super) fn answered(&mut self, step: Step, status: CtrlStatus) {
        match step {
            Step::AddGrants { queue, entries } => {
                let place = usize::try_from(queue)
                    .ok()
                    .and_then(|queue| self.mapped.get_mut(queue));
                match (status, place) {
                    (CtrlStatus::Success, Some(mapped)) => *mapped = entries,
                    _ => self.refused = self.refused.saturating_add(1),
                }
                self.next = self.next.saturating_add(1);
                if status == CtrlStatus::NotSupported {
                    self.next = QUEUES;
                }
            }
            Step::DropGrants { queue, .. } => {
                let queue = usize::try_from(queue).ok();
                if let Some(mapped) = queue.and_then(|queue| self.mapped.get_mut(queue)) {
                    // Whatever it says: the grants themselves tell what is still in use.
                    *mapped = 0;
                }
            }
            _ => {}
        }
    }

    /// Grants it keeps mapped, and queues for which it refused, once all are asked for; told once.
    pub(super) fn outcome(&mut self) -> Option<(u32, u32)> {
        let grants: u32 = self.mapped.iter().sum();
        if self.told || (grants == 0 && self.refused == 0) {
            return None;
        }
        self.told = true;
        Some((grants, self.refused))
    }
}
