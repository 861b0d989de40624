//! Watches: the table of them, and the thread's side of telling.

use core::time::Duration;

use nt::irql::{AtMostDispatch, Passive};
use nt::status::Result as NtResult;
use xenstore::client::{UnwatchError, WatchError, WatchId};
use xenstore::path::Path;

use super::Store;
use super::link::{Refusal, Wanted};
use super::request::{Failure, Text, nothing};
use crate::callback::WatchTarget;
use crate::grants::Owner;
use crate::owned::Storage;

/// Watches at a time: xenstored's quota for a guest.
pub(super) const WATCHES_MAX: usize = 128;
/// How long a look for a fired watch, or for the end of a callback, waits before it looks again.
const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// What a child knows a watch by: never 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct WatchHandle(pub(crate) usize);

/// Whom a watch tells.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Notice {
    /// A child.
    Child(WatchTarget),
    /// The bus: network interfaces came or went.
    Interfaces,
    /// The bus: the toolstack wants something of the domain.
    Control,
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    handle: WatchHandle,
    owner: Owner,
    notice: Notice,
    /// None: lost with a resume.
    id: Option<WatchId>,
    fired: bool,
    /// The callback runs.
    running: bool,
    /// No callback from now on.
    removed: bool,
}

/// The table of them, part of the link.
#[derive(Debug)]
pub(super) struct Watches {
    entries: Storage<Option<Entry>>,
    next: usize,
}

impl Watches {
    pub(super) fn new() -> NtResult<Self> {
        Ok(Self {
            entries: Storage::try_new(WATCHES_MAX, &None)?,
            next: 1,
        })
    }

    fn entries(&mut self) -> impl Iterator<Item = &mut Entry> {
        self.entries.as_mut().iter_mut().flatten()
    }

    fn find(&mut self, owner: Owner, handle: WatchHandle) -> Option<&mut Entry> {
        self.entries()
            .find(|entry| entry.handle == handle && entry.owner == owner)
    }

    /// An event has come; `true` when somebody is to be told.
    pub(super) fn fired(&mut self, id: WatchId) -> bool {
        let entry = self.entries().find(|entry| entry.id == Some(id));
        entry.is_some_and(|entry| {
            entry.fired = true;
            !entry.removed
        })
    }

    fn fire_interfaces(&mut self) {
        let ours = |entry: &&mut Entry| matches!(entry.notice, Notice::Interfaces);
        if let Some(entry) = self.entries().find(ours) {
            entry.fired = true;
        }
    }

    /// A watch is gone with a resume. Whoever has it is told once more, to look for itself.
    pub(super) fn lost(&mut self, id: WatchId) {
        if let Some(entry) = self.entries().find(|entry| entry.id == Some(id)) {
            entry.id = None;
            entry.fired = true;
        }
    }

    fn add(&mut self, owner: Owner, notice: Notice, id: WatchId) -> Option<WatchHandle> {
        let handle = WatchHandle(self.next);
        let free = self.entries.as_mut().iter_mut().find(|it| it.is_none())?;
        *free = Some(Entry {
            handle,
            owner,
            notice,
            id: Some(id),
            fired: false,
            running: false,
            removed: false,
        });
        self.next = self.next.checked_add(1).unwrap_or(1);
        Some(handle)
    }

    fn has_room(&self) -> bool {
        self.entries.as_ref().iter().any(Option::is_none)
    }

    fn free(&mut self, handle: WatchHandle) {
        for place in self.entries.as_mut() {
            if place.is_some_and(|entry| entry.handle == handle) {
                *place = None;
            }
        }
    }

    /// A watch that has something to tell; its callback counts as running.
    fn begin(&mut self) -> Option<(WatchHandle, Notice)> {
        let ready = |entry: &&mut Entry| entry.fired && !entry.removed && !entry.running;
        let entry = self.entries().find(ready)?;
        entry.fired = false;
        entry.running = true;
        Some((entry.handle, entry.notice))
    }

    fn end(&mut self, handle: WatchHandle) {
        if let Some(entry) = self.entries().find(|entry| entry.handle == handle) {
            entry.running = false;
        }
    }

    fn first_of(&mut self, owner: Owner) -> Option<WatchHandle> {
        self.entries()
            .find(|entry| entry.owner == owner && !entry.removed)
            .map(|entry| entry.handle)
    }
}

impl Store {
    /// Watches a path. The notice may come before this returns.
    pub(crate) fn watch(
        &self,
        owner: Owner,
        path: &[u8],
        notice: Notice,
        irql: &mut Passive<'_>,
    ) -> Result<WatchHandle, Failure> {
        let text = Text::new(path, &[])?;
        let len = path.len();
        let made = core::cell::Cell::new(None);
        let sent = self.send(text.into_bytes(), Wanted::Done, irql, |link, bytes| {
            if !link.watches.has_room() {
                return Err(Refusal::Failed(Failure::NoRoom));
            }
            let path = Path::from_bytes(bytes.get(..len).unwrap_or_default());
            let path = path.map_err(|_| Refusal::Failed(Failure::BadPath))?;
            let (id, request) = link.client.watch(path).map_err(|error| match error {
                WatchError::Submit(error) => Refusal::Submit(error),
                WatchError::NoSlot => Refusal::Failed(Failure::NoRoom),
                WatchError::PathTooLong => Refusal::Failed(Failure::TooLong),
            })?;
            // Events may come before the answer: the entry is there for them.
            made.set(
                link.watches
                    .add(owner, notice, id)
                    .map(|handle| (handle, id)),
            );
            Ok(request)
        });
        let made = made.get();
        match (sent, made) {
            (Ok(_), Some((handle, _))) => Ok(handle),
            (Err(failure), Some((handle, id))) => {
                self.link.with(irql, |link, _| {
                    if let Some(entry) = link.watches.find(owner, handle) {
                        entry.removed = true;
                    }
                    // After a refusal it is gone; after a time-out it may come yet.
                    link.client.unwatch(id).ok();
                });
                self.finish_removal(owner, handle, irql);
                Err(failure)
            }
            (Err(failure), None) => Err(failure),
            (Ok(_), None) => Err(Failure::NoRoom),
        }
    }

    /// Ends a watch: its callback does not run and will not.
    pub(crate) fn unwatch(
        &self,
        owner: Owner,
        handle: WatchHandle,
        irql: &mut Passive<'_>,
    ) -> Result<(), Failure> {
        let id = self.link.with(irql, |link, _| {
            let entry = link.watches.find(owner, handle)?;
            entry.removed = true;
            Some(entry.id)
        });
        let id = id.ok_or(Failure::Unknown)?;
        let told = id.map_or(Ok(()), |id| self.tell_unwatch(id, irql));
        self.finish_removal(owner, handle, irql);
        told
    }

    fn tell_unwatch(&self, id: WatchId, irql: &mut Passive<'_>) -> Result<(), Failure> {
        let sent = self.send(nothing()?, Wanted::Done, irql, |link, _| {
            match link.client.unwatch(id) {
                Ok(Some(request)) => Ok(request),
                // xenstored had forgotten it.
                Ok(None) | Err(UnwatchError::Unknown) => Err(Refusal::Failed(Failure::Unknown)),
                Err(UnwatchError::Submit(error)) => Err(Refusal::Submit(error)),
            }
        });
        match sent {
            Ok(_) | Err(Failure::Unknown) => Ok(()),
            Err(failure) => Err(failure),
        }
    }

    /// Waits for the callback under way, and forgets the watch.
    fn finish_removal(&self, owner: Owner, handle: WatchHandle, irql: &mut Passive<'_>) {
        loop {
            self.watch_idle.clear(irql);
            let running = self.link.with(irql, |link, _| {
                let entry = link.watches.find(owner, handle);
                entry.is_some_and(|entry| entry.running)
            });
            if !running {
                break;
            }
            let _ = self.watch_idle.wait(Some(LOOK_AGAIN), irql);
        }
        self.link.with(irql, |link, _| link.watches.free(handle));
    }

    /// Ends what `owner` has left. Returns how many there were.
    pub(crate) fn reclaim_watches(&self, owner: Owner, irql: &mut Passive<'_>) -> u32 {
        let mut leaked = 0_u32;
        loop {
            let next = self.link.with(irql, |link, _| link.watches.first_of(owner));
            let Some(handle) = next else { return leaked };
            self.unwatch(owner, handle, irql).ok();
            leaked = leaked.saturating_add(1);
        }
    }

    /// Waits until a watch may have something to tell, or [`Store::wake_watch_thread`].
    pub(crate) fn wait_for_watch(&self, irql: &Passive<'_>) {
        let _ = self.watch_fired.wait(None, irql);
    }

    /// Has [`Store::wait_for_watch`] return.
    pub(crate) fn wake_watch_thread(&self, irql: &AtMostDispatch<'_>) {
        self.watch_fired.set(irql);
    }

    /// Has the bus look for network interfaces again.
    pub(crate) fn look_again(&self, irql: &mut AtMostDispatch<'_>) {
        self.link
            .with(irql, |link, _| link.watches.fire_interfaces());
        self.watch_fired.set(irql);
    }

    /// Tells one watch's owner, without the lock; `false` when there is nothing to tell.
    pub(crate) fn tell_one(
        &self,
        irql: &mut Passive<'_>,
        tell: impl FnOnce(&Notice, &mut Passive<'_>),
    ) -> bool {
        let Some((handle, notice)) = self.link.with(irql, |link, _| link.watches.begin()) else {
            return false;
        };
        tell(&notice, irql);
        self.link.with(irql, |link, _| link.watches.end(handle));
        self.watch_idle.set(irql);
        true
    }
}
