//! The table of watches, in the caller's storage.

use crate::client::WatchId;

/// Longest path that can be watched, in bytes: the longest one this project watches has about 60.
pub const WATCH_PATH_MAX: usize = 120;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Free,
    /// Wanted, but unknown to the daemon: the connection was reset.
    Unregistered,
    /// The request is on its way.
    Registering,
    Registered,
    /// The removal is on its way; events are dropped.
    Removing,
}

/// Room for one watch. An array of these is the client's watch storage.
#[derive(Clone, Copy, Debug)]
pub struct WatchSlot {
    id: u32,
    state: State,
    path_len: u8,
    path: [u8; WATCH_PATH_MAX],
}

impl WatchSlot {
    /// An empty slot.
    pub const EMPTY: Self = Self {
        id: 0,
        state: State::Free,
        path_len: 0,
        path: [0; WATCH_PATH_MAX],
    };

    pub(crate) fn path(&self) -> &[u8] {
        self.path
            .get(..usize::from(self.path_len))
            .unwrap_or_default()
    }
}

#[derive(Debug)]
pub(crate) struct WatchTable<W> {
    slots: W,
    next_id: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AddError {
    Full,
    PathTooLong,
}

/// What has to be done to remove a watch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Removal {
    /// Tell the daemon.
    Send,
    /// The daemon does not know it: it is gone already.
    Done,
}

impl<W: AsRef<[WatchSlot]> + AsMut<[WatchSlot]>> WatchTable<W> {
    pub(crate) fn new(mut slots: W, first_id: u32) -> Self {
        slots.as_mut().fill(WatchSlot::EMPTY);
        Self {
            slots,
            next_id: first_id,
        }
    }

    fn slot(&self, id: WatchId) -> Option<&WatchSlot> {
        self.slots
            .as_ref()
            .iter()
            .find(|slot| slot.state != State::Free && slot.id == id.0)
    }

    fn slot_mut(&mut self, id: WatchId) -> Option<&mut WatchSlot> {
        self.slots
            .as_mut()
            .iter_mut()
            .find(|slot| slot.state != State::Free && slot.id == id.0)
    }

    fn fresh_id(&mut self) -> WatchId {
        let mut id = WatchId(self.next_id);
        // At most one step per slot in use, and one over 0.
        while id.0 == 0 || self.slot(id).is_some() {
            id = WatchId(id.0.wrapping_add(1));
        }
        self.next_id = id.0.wrapping_add(1);
        id
    }

    /// Takes a slot for a watch whose request is about to be queued.
    pub(crate) fn add(&mut self, path: &[u8]) -> Result<WatchId, AddError> {
        let path_len = u8::try_from(path.len()).map_err(|_| AddError::PathTooLong)?;
        let id = self.fresh_id();
        let slots = self.slots.as_mut();
        let slot = slots
            .iter_mut()
            .find(|slot| slot.state == State::Free)
            .ok_or(AddError::Full)?;
        slot.path
            .get_mut(..path.len())
            .ok_or(AddError::PathTooLong)?
            .copy_from_slice(path);
        slot.path_len = path_len;
        slot.id = id.0;
        slot.state = State::Registering;
        Ok(id)
    }

    pub(crate) fn path(&self, id: WatchId) -> Option<&[u8]> {
        self.slot(id).map(WatchSlot::path)
    }

    /// Whether an event for this watch goes to the caller.
    pub(crate) fn wants_events(&self, id: WatchId) -> bool {
        self.slot(id)
            .is_some_and(|slot| matches!(slot.state, State::Registering | State::Registered))
    }

    pub(crate) fn removal(&self, id: WatchId) -> Option<Removal> {
        match self.slot(id)?.state {
            State::Unregistered => Some(Removal::Done),
            State::Registering | State::Registered => Some(Removal::Send),
            State::Removing | State::Free => None,
        }
    }

    pub(crate) fn removing(&mut self, id: WatchId) {
        if let Some(slot) = self.slot_mut(id) {
            slot.state = State::Removing;
        }
    }

    pub(crate) fn registering(&mut self, id: WatchId) {
        if let Some(slot) = self.slot_mut(id) {
            slot.state = State::Registering;
        }
    }

    /// The daemon has confirmed a registration.
    pub(crate) fn registered(&mut self, id: WatchId) {
        if let Some(slot) = self
            .slot_mut(id)
            .filter(|slot| slot.state == State::Registering)
        {
            slot.state = State::Registered;
        }
    }

    /// A registration failed. `true` if the watch is gone with it; not when its removal is on the way.
    pub(crate) fn refused(&mut self, id: WatchId) -> bool {
        match self
            .slot_mut(id)
            .filter(|slot| slot.state == State::Registering)
        {
            Some(slot) => {
                *slot = WatchSlot::EMPTY;
                true
            }
            None => false,
        }
    }

    pub(crate) fn free(&mut self, id: WatchId) {
        if let Some(slot) = self.slot_mut(id) {
            *slot = WatchSlot::EMPTY;
        }
    }

    /// The connection is gone: watches the daemon was to forget are gone, the others want registration again.
    pub(crate) fn disconnected(&mut self, lost: impl Fn(WatchId) -> bool) {
        for slot in self.slots.as_mut() {
            match slot.state {
                State::Free => {}
                State::Removing => *slot = WatchSlot::EMPTY,
                _ if lost(WatchId(slot.id)) => *slot = WatchSlot::EMPTY,
                _ => slot.state = State::Unregistered,
            }
        }
    }

    pub(crate) fn next_unregistered(&self) -> Option<WatchId> {
        let slots = self.slots.as_ref();
        slots
            .iter()
            .find(|slot| slot.state == State::Unregistered)
            .map(|slot| WatchId(slot.id))
    }

    pub(crate) fn count(&self) -> usize {
        self.slots
            .as_ref()
            .iter()
            .filter(|slot| slot.state != State::Free)
            .count()
    }
}
