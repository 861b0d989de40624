//! The table of requests that wait for their reply.

use crate::client::{RequestHandle, WatchId};
use crate::wire::XsType;

/// Most requests in flight. `xenstored` lets a guest have 20 outstanding by default and stops reading from one that
/// has more; watch events count too.
pub(crate) const IN_FLIGHT_MAX: usize = 16;

/// What to do with the reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// Hand it to the caller.
    Caller,
    /// Nobody waits any more. The id stays taken until the reply has come.
    Abandoned,
    /// Hand it to the caller; the watch stands or falls with it.
    Watch(WatchId),
    /// Registration repeated after a reset; the caller hears of it only when it fails.
    Rewatch(WatchId),
    /// Hand it to the caller; the watch is gone whatever the answer.
    Unwatch(WatchId),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct InFlight {
    pub(crate) id: u32,
    pub(crate) kind: XsType,
    pub(crate) purpose: Purpose,
    /// The connection was reset; the failure has still to be handed to the caller.
    pub(crate) failed: bool,
}

#[derive(Debug)]
pub(crate) struct RequestTable {
    slots: [Option<InFlight>; IN_FLIGHT_MAX],
    next_id: u32,
}

impl RequestTable {
    pub(crate) fn new(first_id: u32) -> Self {
        Self {
            slots: [None; IN_FLIGHT_MAX],
            next_id: first_id,
        }
    }

    pub(crate) fn has_room(&self) -> bool {
        self.slots.iter().any(Option::is_none)
    }

    pub(crate) fn count(&self, wanted: impl Fn(&InFlight) -> bool) -> usize {
        self.slots
            .iter()
            .flatten()
            .filter(|entry| wanted(entry))
            .count()
    }

    /// An id no request in flight has, and not 0 (which watch events carry).
    pub(crate) fn fresh_id(&mut self) -> u32 {
        // One more candidate than there are ids in use or forbidden, so one of them is free.
        for _ in 0..IN_FLIGHT_MAX.saturating_add(2) {
            let id = self.next_id;
            self.next_id = self.next_id.wrapping_add(1);
            if id != 0 && !self.slots.iter().flatten().any(|entry| entry.id == id) {
                return id;
            }
        }
        0
    }

    pub(crate) fn insert(&mut self, id: u32, kind: XsType, purpose: Purpose) -> bool {
        let Some(slot) = self.slots.iter_mut().find(|slot| slot.is_none()) else {
            return false;
        };
        *slot = Some(InFlight {
            id,
            kind,
            purpose,
            failed: false,
        });
        true
    }

    /// Takes the request with this id out of the table, unless it has failed already.
    pub(crate) fn remove(&mut self, id: u32) -> Option<InFlight> {
        let waiting = |entry: &InFlight| entry.id == id && !entry.failed;
        self.slots
            .iter_mut()
            .find(|slot| slot.as_ref().is_some_and(waiting))?
            .take()
    }

    /// Takes one request out that failed with the connection.
    pub(crate) fn take_failed(&mut self) -> Option<RequestHandle> {
        let slot = self
            .slots
            .iter_mut()
            .find(|slot| slot.as_ref().is_some_and(|entry| entry.failed))?;
        slot.take().map(|entry| RequestHandle(entry.id))
    }

    pub(crate) fn abandon(&mut self, handle: RequestHandle) -> bool {
        for slot in &mut self.slots {
            let Some(entry) = slot.as_mut().filter(|entry| entry.id == handle.0) else {
                continue;
            };
            return match (entry.purpose, entry.failed) {
                (Purpose::Caller, false) => {
                    entry.purpose = Purpose::Abandoned;
                    true
                }
                (Purpose::Caller, true) => {
                    *slot = None;
                    true
                }
                _ => false,
            };
        }
        false
    }

    /// The connection is gone: what a caller waits for fails, the rest is forgotten.
    pub(crate) fn fail_all(&mut self) {
        for slot in &mut self.slots {
            let Some(entry) = slot.as_mut() else { continue };
            match entry.purpose {
                Purpose::Abandoned | Purpose::Rewatch(_) => *slot = None,
                Purpose::Caller | Purpose::Watch(_) | Purpose::Unwatch(_) => entry.failed = true,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_skip_zero_and_those_in_flight() {
        let mut table = RequestTable::new(u32::MAX);
        let first = table.fresh_id();
        assert!(table.insert(first, XsType::READ, Purpose::Caller));
        assert_eq!((first, table.fresh_id()), (u32::MAX, 1));
        table.next_id = u32::MAX;
        assert_eq!(table.fresh_id(), 1);
    }

    #[test]
    fn an_abandoned_request_keeps_its_id_until_the_reply() {
        let mut table = RequestTable::new(1);
        assert!(table.insert(1, XsType::READ, Purpose::Caller));
        assert!(table.abandon(RequestHandle(1)));
        assert!(!table.abandon(RequestHandle(1)));
        table.next_id = 1;
        assert_eq!(table.fresh_id(), 2);
        assert_eq!(table.remove(1).unwrap().purpose, Purpose::Abandoned);
    }
}
