//! What a backend still used when its connection ended: kept as it is until the backend lets go.

use core::mem::ManuallyDrop;
use core::ops::Range;

use nt::irql::AtMostDispatch;
use nt::pool::Pages;

use crate::bus::Bus;
use crate::grant::Grants;
use crate::queue::Queue;
use crate::shared_page::RingMemory;

/// Grants of an ended connection, and the memory behind them.
pub(crate) struct Remains {
    grants: Grants,
    memory: [Memory; 3],
    /// Number of the queue whose stock has the pages, if they are receive pages: each is free when its grant is back.
    queue: Option<u16>,
}

/// Memory, and the places of its grants. It is freed when the last of those is back.
#[expect(dead_code, reason = "memory is kept from being freed, not looked at")]
pub(crate) enum Memory {
    Nothing,
    Ring(RingMemory, usize),
    Pages(Pages, Range<usize>),
}

impl Memory {
    fn is_used(&self, grants: &Grants) -> bool {
        match self {
            Self::Nothing => false,
            Self::Ring(_, place) => grants.has_any(*place..place.saturating_add(1)),
            Self::Pages(_, places) => grants.has_any(places.clone()),
        }
    }
}

impl Remains {
    /// Gives all back that can be, now; the rest. `queue`: number of the queue whose stock the pages are from, and what
    /// to do when a grant is back.
    pub(crate) fn of(
        mut grants: Grants,
        memory: [Memory; 3],
        queue: Option<(u16, &mut dyn FnMut(u32))>,
        bus: &Bus,
        irql: &AtMostDispatch<'_>,
    ) -> Option<Self> {
        let mut number = None;
        let left = match queue {
            Some((queue, reclaim)) => {
                number = Some(queue);
                grants.collect(bus, irql, reclaim)
            }
            None => grants.collect(bus, irql, &mut |_| {}),
        };
        let mut remains = Self {
            grants,
            memory,
            queue: number,
        };
        remains.free_unused();
        (left > 0).then_some(remains)
    }

    /// Grants that the backend still uses.
    pub(crate) fn count(&self) -> usize {
        self.grants.count()
    }

    /// Looks again; whether all is back.
    pub(crate) fn collect(
        &mut self,
        queues: &[Queue],
        bus: &Bus,
        irql: &mut AtMostDispatch<'_>,
    ) -> bool {
        let number = self.queue.map(usize::from);
        let left = match number.and_then(|number| queues.get(number)) {
            Some(queue) => queue.reclaim(&mut self.grants, bus, irql),
            None => self.grants.collect(bus, irql, &mut |_| {}),
        };
        self.free_unused();
        left == 0
    }

    fn free_unused(&mut self) {
        for memory in &mut self.memory {
            if !memory.is_used(&self.grants) {
                *memory = Memory::Nothing;
            }
        }
    }
}

impl Drop for Remains {
    /// What the backend uses now it may use for ever.
    fn drop(&mut self) {
        for memory in &mut self.memory {
            let _leaked = ManuallyDrop::new(core::mem::replace(memory, Memory::Nothing));
        }
    }
}

impl core::fmt::Debug for Remains {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Remains")
            .field("grants", &self.grants.count())
            .field("queue", &self.queue)
            .finish_non_exhaustive()
    }
}
