//! What each `PnP` and power request does, in each state, as decisions without the requests themselves.
//!
//! Rules: the Windows kernel documentation of the `IRP_MN_*` codes, and of removing devices in a bus driver. In short:
//! starting goes from the bottom up, stopping and removing from the top down; removals and cancels cannot fail; a
//! PDO dies only after Windows has been told that its device is missing.
//!
//! [`fdo`] is the bus itself, [`pdo`] one network interface, [`power`] both.

pub mod fdo;
pub mod pdo;
pub mod power;

/// A `PnP` request that changes the state of a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Request {
    /// `IRP_MN_START_DEVICE`
    Start,
    /// `IRP_MN_QUERY_STOP_DEVICE`
    QueryStop,
    /// `IRP_MN_CANCEL_STOP_DEVICE`
    CancelStop,
    /// `IRP_MN_STOP_DEVICE`
    Stop,
    /// `IRP_MN_QUERY_REMOVE_DEVICE`
    QueryRemove,
    /// `IRP_MN_CANCEL_REMOVE_DEVICE`
    CancelRemove,
    /// `IRP_MN_REMOVE_DEVICE`
    Remove,
    /// `IRP_MN_SURPRISE_REMOVAL`
    SurpriseRemoval,
}

impl Request {
    /// Whether the request may be failed at all.
    pub fn may_fail(self) -> bool {
        matches!(self, Self::Start | Self::QueryStop | Self::QueryRemove)
    }
}

/// Where a device is between `AddDevice` and its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Known, never started, or removed but still present.
    NotStarted,
    /// At work.
    Started,
    /// Asked whether it can stop; it said yes.
    StopPending,
    /// Stopped for new resources; a start follows.
    Stopped,
    /// Asked whether it can be removed; it said yes.
    RemovePending,
    /// Gone without asking; a removal follows.
    SurpriseRemoved,
    /// Removed; its device object is being deleted.
    Removed,
}

/// The state, and the one to go back to when a question is taken back.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Position {
    pub(crate) state: State,
    before: State,
}

impl Position {
    pub(crate) const NEW: Self = Self {
        state: State::NotStarted,
        before: State::NotStarted,
    };

    /// The device is started, or was before the question that is open.
    pub(crate) fn is_active(self) -> bool {
        match self.state {
            State::Started | State::StopPending => true,
            State::RemovePending => self.before == State::Started,
            _ => false,
        }
    }

    /// Whether a request makes sense now. Windows sends cancels without a question before them, and questions
    /// about removal to devices that never started.
    pub(crate) fn accepts(self, request: Request) -> bool {
        match (self.state, request) {
            (State::Removed, _) => false,
            (
                _,
                Request::Remove
                | Request::SurpriseRemoval
                | Request::CancelStop
                | Request::CancelRemove,
            ) => true,
            (State::SurpriseRemoved, _) => false,
            (state, Request::Start) => matches!(state, State::NotStarted | State::Stopped),
            (state, Request::QueryStop) => matches!(state, State::Started),
            // Stop cannot be failed; without the question before it, it is done all the same.
            (_, Request::Stop) => true,
            (state, Request::QueryRemove) => {
                matches!(state, State::NotStarted | State::Started | State::Stopped)
            }
        }
    }

    /// The request has been carried out.
    pub(crate) fn advance(&mut self, request: Request) {
        let state = self.state;
        self.state = match (state, request) {
            (State::Removed, _) | (_, Request::Remove) => State::Removed,
            (_, Request::SurpriseRemoval) | (State::SurpriseRemoved, _) => State::SurpriseRemoved,
            (_, Request::Start) | (State::StopPending, Request::CancelStop) => State::Started,
            (_, Request::QueryStop) => State::StopPending,
            (State::RemovePending, Request::CancelRemove) => self.before,
            (_, Request::CancelStop | Request::CancelRemove) => state,
            (State::NotStarted, Request::Stop) => State::NotStarted,
            (_, Request::Stop) => State::Stopped,
            (_, Request::QueryRemove) => State::RemovePending,
        };
        if self.state == State::RemovePending && state != State::RemovePending {
            self.before = state;
        }
    }
}
