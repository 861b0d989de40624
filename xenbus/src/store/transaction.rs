//! Transactions under way, and who started them.

use nt::irql::Passive;
use xenstore::client::TransactionId;
use xenstore::error::StoreError;

use super::link::{Answer, Wanted};
use super::request::{Failure, nothing};
use super::{Store, link::Refusal};
use crate::grants::Owner;

/// Transactions at a time: xenstored's quota for a guest.
const TRANSACTIONS_MAX: usize = 10;

/// What a child knows a transaction by: never 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TransactionHandle(pub(crate) usize);

#[derive(Debug, Clone, Copy)]
struct Slot {
    handle: TransactionHandle,
    owner: Owner,
    /// None: lost with a suspend.
    id: Option<TransactionId>,
}

/// The table of them, part of the link.
#[derive(Debug)]
pub(super) struct Transactions {
    slots: [Option<Slot>; TRANSACTIONS_MAX],
    next: usize,
}

impl Transactions {
    pub(super) const fn new() -> Self {
        Self {
            slots: [None; TRANSACTIONS_MAX],
            next: 1,
        }
    }

    /// xenstored has forgotten them all.
    pub(super) fn reset(&mut self) {
        for slot in self.slots.iter_mut().flatten() {
            slot.id = None;
        }
    }

    /// xenstored's name of a transaction.
    pub(super) fn id(
        &self,
        owner: Owner,
        handle: TransactionHandle,
    ) -> Result<TransactionId, Failure> {
        let mut slots = self.slots.iter().flatten();
        let slot = slots.find(|slot| slot.handle == handle && slot.owner == owner);
        slot.ok_or(Failure::Unknown)?.id.ok_or(Failure::Conflict)
    }

    fn has_room(&self) -> bool {
        self.slots.iter().any(Option::is_none)
    }

    fn add(&mut self, owner: Owner, id: TransactionId) -> Option<TransactionHandle> {
        let slot = self.slots.iter_mut().find(|slot| slot.is_none())?;
        let handle = TransactionHandle(self.next);
        // Handles come again after so many that nobody can have an old one.
        self.next = self.next.checked_add(1).unwrap_or(1);
        *slot = Some(Slot {
            handle,
            owner,
            id: Some(id),
        });
        Some(handle)
    }

    fn remove(&mut self, handle: TransactionHandle) {
        for slot in &mut self.slots {
            if slot.is_some_and(|slot| slot.handle == handle) {
                *slot = None;
            }
        }
    }

    fn first_of(&self, owner: Owner) -> Option<TransactionHandle> {
        let mut slots = self.slots.iter().flatten();
        slots
            .find(|slot| slot.owner == owner)
            .map(|slot| slot.handle)
    }
}

impl Store {
    /// Starts a transaction.
    pub(crate) fn start_transaction(
        &self,
        owner: Owner,
        irql: &mut Passive<'_>,
    ) -> Result<TransactionHandle, Failure> {
        let waiter = self.send(nothing()?, Wanted::Transaction, irql, |link, _| {
            if !link.transactions.has_room() {
                return Err(Refusal::Failed(Failure::NoRoom));
            }
            Ok(link.client.transaction_start()?)
        })?;
        let Some(Ok(Answer::Started(id))) = waiter.answer else {
            return Err(Failure::Malformed);
        };
        let added = self
            .link
            .with(irql, |link, _| link.transactions.add(owner, id));
        if let Some(handle) = added {
            return Ok(handle);
        }
        // Others took the room meanwhile: give the transaction back.
        self.end(id, false, irql).ok();
        Err(Failure::NoRoom)
    }

    /// Ends a transaction; `commit` makes its changes visible.
    pub(crate) fn end_transaction(
        &self,
        owner: Owner,
        handle: TransactionHandle,
        commit: bool,
        irql: &mut Passive<'_>,
    ) -> Result<(), Failure> {
        let id = self
            .link
            .with(irql, |link, _| link.transactions.id(owner, handle));
        let ended = match id {
            Ok(id) => self.end(id, commit, irql),
            // Lost: nothing of it was done, which is what an abort wants.
            Err(Failure::Conflict) if !commit => Ok(()),
            Err(failure) => Err(failure),
        };
        if ended != Err(Failure::Unknown) {
            self.link
                .with(irql, |link, _| link.transactions.remove(handle));
        }
        ended
    }

    fn end(&self, id: TransactionId, commit: bool, irql: &mut Passive<'_>) -> Result<(), Failure> {
        let ended = self.send(nothing()?, Wanted::Done, irql, |link, _| {
            Ok(link.client.transaction_end(id, commit)?)
        });
        match ended {
            Ok(_) => Ok(()),
            Err(Failure::Store(StoreError::Again)) => Err(Failure::Conflict),
            Err(failure) => Err(failure),
        }
    }

    /// Ends what `owner` has left open. Returns how many there were.
    pub(crate) fn reclaim_transactions(&self, owner: Owner, irql: &mut Passive<'_>) -> u32 {
        let mut leaked = 0_u32;
        loop {
            let next = self
                .link
                .with(irql, |link, _| link.transactions.first_of(owner));
            let Some(handle) = next else { return leaked };
            self.end_transaction(owner, handle, false, irql).ok();
            leaked = leaked.saturating_add(1);
        }
    }
}
