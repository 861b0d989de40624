//! Whom to tell of a suspend.

use core::time::Duration;

use interface::SuspendPhase;
use nt::event::{Event, EventKind};
use nt::irql::Passive;
use nt::spinlock::SpinLock;
use nt::status::{Result, Status};

use crate::TAG;
use crate::callback::SuspendTarget;
use crate::grants::Owner;
use crate::owned::Storage;

/// Registrations at a time: one per child.
const REGISTRATIONS_MAX: usize = 64;
/// How long a look for the end of a callback waits before it looks again.
const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// What a child knows a registration by: never 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RegistrationHandle(pub(crate) usize);

#[derive(Debug, Clone, Copy)]
struct Entry {
    handle: RegistrationHandle,
    owner: Owner,
    target: SuspendTarget,
    running: bool,
}

#[derive(Debug)]
struct Table {
    entries: Storage<Option<Entry>>,
    next: usize,
}

impl Table {
    fn find(&mut self, owner: Owner, handle: RegistrationHandle) -> Option<&mut Option<Entry>> {
        let matches = |entry: &Entry| entry.handle == handle && entry.owner == owner;
        let mut entries = self.entries.as_mut().iter_mut();
        entries.find(|entry| entry.as_ref().is_some_and(matches))
    }
}

/// The registrations.
#[derive(Debug)]
pub(crate) struct Registry {
    /// Rank: leaf.
    table: SpinLock<Table>,
    idle: Event,
}

impl Registry {
    pub(crate) fn new() -> Result<Self> {
        Ok(Self {
            table: SpinLock::new(Table {
                entries: Storage::try_new(REGISTRATIONS_MAX, &None)?,
                next: 1,
            }),
            idle: Event::try_new(TAG, EventKind::Notification, false)?,
        })
    }

    /// Has `target` called around each suspend.
    pub(crate) fn register(
        &self,
        owner: Owner,
        target: SuspendTarget,
        irql: &mut Passive<'_>,
    ) -> Result<RegistrationHandle> {
        self.table.with(irql, |table, _| {
            let handle = RegistrationHandle(table.next);
            let free = table
                .entries
                .as_mut()
                .iter_mut()
                .find(|entry| entry.is_none());
            *free.ok_or(Status::INSUFFICIENT_RESOURCES)? = Some(Entry {
                handle,
                owner,
                target,
                running: false,
            });
            table.next = table.next.checked_add(1).unwrap_or(1);
            Ok(handle)
        })
    }

    /// Ends a registration: its target is not called and will not be.
    pub(crate) fn unregister(
        &self,
        owner: Owner,
        handle: RegistrationHandle,
        irql: &mut Passive<'_>,
    ) {
        loop {
            self.idle.clear(irql);
            let running = self.table.with(irql, |table, _| {
                let Some(place) = table.find(owner, handle) else {
                    return false;
                };
                let running = place.as_ref().is_some_and(|entry| entry.running);
                if !running {
                    *place = None;
                }
                running
            });
            if !running {
                return;
            }
            let _ = self.idle.wait(Some(LOOK_AGAIN), irql);
        }
    }

    /// Ends what `owner` has left. Returns how many there were.
    pub(crate) fn reclaim(&self, owner: Owner, irql: &mut Passive<'_>) -> u32 {
        let mut leaked = 0_u32;
        loop {
            let next = self.table.with(irql, |table, _| {
                let mut entries = table.entries.as_ref().iter().flatten();
                let found = entries.find(|entry| entry.owner == owner);
                found.map(|entry| entry.handle)
            });
            let Some(handle) = next else { return leaked };
            self.unregister(owner, handle, irql);
            leaked = leaked.saturating_add(1);
        }
    }

    /// Tells everybody, one after another, without the lock.
    pub(crate) fn tell(&self, phase: SuspendPhase, irql: &mut Passive<'_>) {
        for index in 0..REGISTRATIONS_MAX {
            let entry = self.table.with(irql, |table, _| {
                let entry = table.entries.as_mut().get_mut(index)?.as_mut()?;
                entry.running = true;
                Some(*entry)
            });
            let Some(entry) = entry else { continue };
            entry.target.call(phase, irql);
            self.table.with(irql, |table, _| {
                if let Some(Some(entry)) = table.entries.as_mut().get_mut(index) {
                    entry.running = false;
                }
            });
            self.idle.set(irql);
        }
    }
}
