//! What goes into the connection machine and what comes out.

use xen_abi::xenbus::XenbusState;

/// Why the backend's keys could not be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeysError {
    /// XenStore did not answer well; worth another try.
    Failed,
    /// The backend cannot serve us (no `feature-rx-copy`): wait for another one.
    Unsupported,
}

/// Why nothing was published.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PublishError {
    /// The transaction met another one (`EAGAIN`); try again at once.
    Conflict,
    /// XenStore refused; worth another try later.
    Failed,
}

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// The vif shall be connected.
    Start,
    /// The vif shall be disconnected: halt, removal, unplug.
    Stop,
    /// The backend's state, after [`Action::FindBackend`] or because its watch fired. Any number.
    Backend(XenbusState),
    /// Whether the toolstack wants the backend to be (its key `online`). Told before [`Event::Backend`] says that it is closed.
    Online(bool),
    /// The backend's directory does not exist.
    BackendGone,
    /// The frontend's `backend` or `backend-id` changed: another domain serves the vif.
    BackendMoved,
    /// [`Action::ReadKeys`] is done.
    KeysRead(Result<(), KeysError>),
    /// [`Action::Prepare`] is done; false when something could not be had.
    Prepared(bool),
    /// [`Action::Publish`] is done.
    Published(Result<(), PublishError>),
    /// After [`Action::StopTraffic`]: no transmit slot is unanswered, and the control ring is
    /// reset.
    Drained,
    /// The connection is of no use (a queue is broken, the watchdog bites, settings changed).
    Reconnect,
    /// The guest was resumed in another place: grants, ports and watches of before are gone.
    Resumed,
    /// The operator pulled (false) or plugged (true) the cable.
    Cable(bool),
    /// [`Connection::deadline`](super::Connection::deadline) has passed.
    Timer,
}

/// What to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Read the backend's path and domain, set the watches, read its state; report
    /// [`Event::Backend`] or [`Event::BackendGone`].
    FindBackend,
    /// Write the frontend's `state`.
    WriteState(XenbusState),
    /// Read the backend's features and the vif's settings in one snapshot; report
    /// [`Event::KeysRead`].
    ReadKeys,
    /// Make queues, grants and ports, and fill the receive rings; report [`Event::Prepared`].
    Prepare,
    /// Delete and write the frontend's keys in one transaction; report [`Event::Published`].
    Publish,
    /// Send and receive, and drive the control ring.
    EnableTraffic,
    /// Take no new frames, reset the control ring, reap; report [`Event::Drained`] when nothing
    /// is out. Receive rings are kept going.
    StopTraffic,
    /// Close the ports, end the grants, hand back all frames and pages. Also when only a part of
    /// [`Action::Prepare`] has succeeded. No [`Event::Drained`] may come after it.
    Release,
    /// As [`Action::Release`], but ports and grants are gone already: call no hypercall for them.
    Forget,
    /// Tell NDIS whether the link is up.
    Link(bool),
    /// The machine is Stopped, nothing is held: a waiting halt may go on.
    Finished,
    /// For the event log.
    Log(Notice),
}

/// What the machine was waiting for when time was up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wait {
    /// The backend's path and state.
    Locate,
    /// A stale or ending connection: the backend's Closing.
    Closing,
    /// The backend's Closed.
    Closed,
    /// The backend's `InitWait`.
    InitWait,
    /// Reading keys.
    Keys,
    /// Making queues.
    Prepare,
    /// The transaction.
    Publish,
    /// The backend's Connected.
    Connected,
    /// Transmit slots.
    Drain,
}

/// For the event log; repeated ones are left out until a connection has succeeded in between.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Notice {
    /// Time was up.
    Timeout(Wait),
    /// The backend's directory does not exist.
    NoBackend,
    /// The backend has no `feature-rx-copy`.
    Unsupported,
    /// XenStore failed while reading keys.
    KeysFailed,
    /// Memory, grants or ports ran out.
    PrepareFailed,
    /// XenStore failed while publishing.
    PublishFailed,
    /// The backend closed instead of connecting; its `error` node may say why.
    Refused,
    /// The backend closed a working connection.
    BackendClosed,
    /// Connected.
    Connected,
}

/// Actions to do, in order.
#[derive(Clone, Copy, Debug, Default)]
pub struct Actions {
    list: [Option<Action>; Self::MAX],
    count: usize,
}

impl Actions {
    /// Most that one event can yield.
    pub const MAX: usize = 12;

    pub(super) fn push(&mut self, action: Action) {
        if let Some(entry) = self.list.get_mut(self.count) {
            *entry = Some(action);
            self.count = self.count.saturating_add(1);
        }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The actions.
    pub fn iter(&self) -> impl Iterator<Item = Action> {
        self.list.into_iter().flatten()
    }
}
