//! The machine.

use xen_abi::xenbus::XenbusState;

use super::notice::{Action, Actions, Event, KeysError, Notice, PublishError, Wait};
use super::{MAX_CONFLICTS, timeout};

/// Where to go once the connection is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Then {
    /// Connect again at once.
    Reconnect,
    /// Connect again after a while.
    Retry,
    /// Wait for a backend.
    Park,
    /// Rest.
    Stop,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// At rest by command.
    Stopped,
    Locating,
    AwaitInitWait,
    Reading,
    Preparing,
    Publishing {
        conflicts: u32,
    },
    AwaitConnected,
    Connected,
    Draining(Then),
    /// We said Closing.
    Closing(Then),
    /// We said Closed.
    Closed(Then),
    /// At rest until a backend is ready.
    Parked,
    Backoff,
}

/// What the shell holds for this connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Holding {
    Nothing,
    /// From Prepare to Release: queues, grants, ports.
    Queues,
    /// From `EnableTraffic` to `StopTraffic`: the same, in use.
    Traffic,
}

/// The connection of one vif.
#[derive(Debug)]
pub struct Connection {
    phase: Phase,
    deadline: Option<u64>,
    /// What the backend was last heard to be.
    backend: XenbusState,
    holding: Holding,
    cable: bool,
    /// The toolstack wants the backend to be.
    online: bool,
    link: bool,
    backoff: u64,
    last_notice: Option<Notice>,
}

impl Default for Connection {
    fn default() -> Self {
        Self::new()
    }
}

impl Connection {
    /// At rest, with the cable plugged in.
    pub const fn new() -> Self {
        Self {
            phase: Phase::Stopped,
            deadline: None,
            backend: XenbusState::UNKNOWN,
            holding: Holding::Nothing,
            cable: true,
            online: false,
            link: false,
            backoff: timeout::BACKOFF,
            last_notice: None,
        }
    }

    /// When to send [`Event::Timer`] at the latest, in milliseconds; None in a state of rest.
    pub fn deadline(&self) -> Option<u64> {
        self.deadline
    }

    /// Whether frames may be sent.
    pub fn is_connected(&self) -> bool {
        self.phase == Phase::Connected
    }

    /// Whether the machine is at rest by command and holds nothing.
    pub fn is_stopped(&self) -> bool {
        self.phase == Phase::Stopped
    }

    /// Takes an event at the time `now`, in milliseconds.
    pub fn handle(&mut self, event: Event, now: u64) -> Actions {
        let mut todo = Actions::default();
        let out = &mut todo;
        match event {
            Event::Start => self.start(now, out),
            Event::Stop => self.stop(now, out),
            Event::Backend(state) => {
                self.backend = state;
                self.advance(now, out);
            }
            Event::Online(online) => self.online = online,
            Event::BackendGone => self.backend_gone(now, out),
            Event::BackendMoved => self.start_over(Action::Release, now, out),
            Event::Resumed => self.start_over(Action::Forget, now, out),
            Event::KeysRead(result) => self.keys_read(result, now, out),
            Event::Prepared(complete) => self.prepared(complete, now, out),
            Event::Published(result) => self.published(result, now, out),
            Event::Drained => {
                if let Phase::Draining(then) = self.phase {
                    self.close(then, now, out);
                }
            }
            Event::Reconnect => {
                if self.phase == Phase::Connected {
                    self.end_traffic(out);
                    self.close(Then::Reconnect, now, out);
                }
            }
            Event::Cable(plugged) => {
                self.cable = plugged;
                self.set_link(self.holding == Holding::Traffic && plugged, out);
            }
            Event::Timer => {
                if self.deadline.is_some_and(|deadline| now >= deadline) {
                    self.time_is_up(now, out);
                }
            }
        }
        todo
    }

    fn enter(&mut self, phase: Phase, wait: u64, now: u64) {
        self.phase = phase;
        self.deadline = Some(now.saturating_add(wait));
    }

    fn rest(&mut self, phase: Phase) {
        self.phase = phase;
        self.deadline = None;
    }

    fn log(&mut self, notice: Notice, out: &mut Actions) {
        if self.last_notice != Some(notice) {
            self.last_notice = Some(notice);
            out.push(Action::Log(notice));
        }
    }

    fn set_link(&mut self, up: bool, out: &mut Actions) {
        if self.link != up {
            self.link = up;
            out.push(Action::Link(up));
        }
    }

    fn end_traffic(&mut self, out: &mut Actions) {
        if self.holding == Holding::Traffic {
            self.holding = Holding::Queues;
            self.set_link(false, out);
            out.push(Action::StopTraffic);
        }
    }

    fn let_go(&mut self, how: Action, out: &mut Actions) {
        if self.holding != Holding::Nothing {
            self.holding = Holding::Nothing;
            out.push(how);
        }
    }
}

/// Commands and disasters.
impl Connection {
    fn start(&mut self, now: u64, out: &mut Actions) {
        match self.phase {
            Phase::Stopped => {
                self.backoff = timeout::BACKOFF;
                self.locate(now, out);
            }
            Phase::Draining(Then::Stop) => self.phase = Phase::Draining(Then::Reconnect),
            Phase::Closing(Then::Stop) => self.phase = Phase::Closing(Then::Reconnect),
            Phase::Closed(Then::Stop) => self.phase = Phase::Closed(Then::Reconnect),
            _ => {}
        }
    }

    fn stop(&mut self, now: u64, out: &mut Actions) {
        match self.phase {
            Phase::Stopped => out.push(Action::Finished),
            Phase::Connected => {
                self.end_traffic(out);
                self.enter(Phase::Draining(Then::Stop), timeout::DRAIN, now);
            }
            Phase::Draining(_) => self.phase = Phase::Draining(Then::Stop),
            Phase::Closing(_) => self.phase = Phase::Closing(Then::Stop),
            Phase::Closed(_) => self.phase = Phase::Closed(Then::Stop),
            Phase::Preparing | Phase::Publishing { .. } | Phase::AwaitConnected => {
                self.close(Then::Stop, now, out);
            }
            Phase::Locating | Phase::Parked | Phase::Backoff => self.closed(Then::Stop, now, out),
            Phase::AwaitInitWait | Phase::Reading => {
                out.push(Action::WriteState(XenbusState::CLOSED));
                self.closed(Then::Stop, now, out);
            }
        }
    }

    fn backend_gone(&mut self, now: u64, out: &mut Actions) {
        self.backend = XenbusState::UNKNOWN;
        let then = match self.phase {
            Phase::Stopped | Phase::Parked => return,
            Phase::Draining(Then::Stop)
            | Phase::Closing(Then::Stop)
            | Phase::Closed(Then::Stop) => Then::Stop,
            _ => Then::Park,
        };
        self.end_traffic(out);
        if then == Then::Park {
            self.log(Notice::NoBackend, out);
        }
        self.closed(then, now, out);
    }

    /// What there was belongs to nobody now: drop it without a word and look around anew.
    fn start_over(&mut self, how: Action, now: u64, out: &mut Actions) {
        self.backend = XenbusState::UNKNOWN;
        let then = match self.phase {
            Phase::Stopped => return,
            Phase::Draining(then) | Phase::Closing(then) | Phase::Closed(then) => then,
            _ => Then::Reconnect,
        };
        self.end_traffic(out);
        self.let_go(how, out);
        if then == Then::Stop {
            self.closed(then, now, out);
        } else {
            self.locate(now, out);
        }
    }

    fn locate(&mut self, now: u64, out: &mut Actions) {
        self.backend = XenbusState::UNKNOWN;
        out.push(Action::FindBackend);
        self.enter(Phase::Locating, timeout::LOCATE, now);
    }
}

/// Connecting.
impl Connection {
    /// Acts on the backend's state.
    fn advance(&mut self, now: u64, out: &mut Actions) {
        let state = self.backend;
        let ready = state == XenbusState::INIT_WAIT;
        let down = matches!(
            state,
            XenbusState::CLOSING | XenbusState::CLOSED | XenbusState::UNKNOWN
        );
        let unconnected = ready
            || matches!(
                state,
                XenbusState::CLOSED | XenbusState::UNKNOWN | XenbusState::INITIALISING
            );
        match self.phase {
            Phase::Locating | Phase::AwaitInitWait | Phase::Parked if ready => self.read(now, out),
            Phase::Parked if state == XenbusState::CLOSED => self.revive(now),
            Phase::Locating if unconnected => self.initialise(now, out),
            // A connection of someone before us.
            Phase::Locating => self.close(Then::Reconnect, now, out),
            Phase::Reading
            | Phase::Preparing
            | Phase::Publishing { .. }
            | Phase::AwaitConnected
                if down =>
            {
                self.fall_back(Notice::Refused, Then::Retry, now, out);
            }
            Phase::AwaitConnected if state == XenbusState::CONNECTED => self.connected(out),
            Phase::Connected if down || unconnected => {
                self.end_traffic(out);
                let then = if down { Then::Park } else { Then::Reconnect };
                self.fall_back(Notice::BackendClosed, then, now, out);
            }
            Phase::Draining(then) | Phase::Closing(then) if down || unconnected => {
                self.say_closed(then, now, out);
            }
            Phase::Closed(then) if unconnected => self.closed(then, now, out),
            // Nothing to do, or nothing that this state changes.
            _ => {}
        }
    }

    /// Tells the backend that a frontend is coming.
    fn initialise(&mut self, now: u64, out: &mut Actions) {
        out.push(Action::WriteState(XenbusState::INITIALISING));
        self.enter(Phase::AwaitInitWait, timeout::INIT_WAIT, now);
    }

    fn read(&mut self, now: u64, out: &mut Actions) {
        out.push(Action::ReadKeys);
        self.enter(Phase::Reading, timeout::COMMAND, now);
    }

    fn keys_read(&mut self, result: Result<(), KeysError>, now: u64, out: &mut Actions) {
        if self.phase != Phase::Reading {
            return;
        }
        match result {
            Ok(()) => {
                self.holding = Holding::Queues;
                out.push(Action::Prepare);
                self.enter(Phase::Preparing, timeout::COMMAND, now);
            }
            Err(KeysError::Failed) => self.fall_back(Notice::KeysFailed, Then::Retry, now, out),
            Err(KeysError::Unsupported) => {
                self.fall_back(Notice::Unsupported, Then::Park, now, out);
            }
        }
    }

    fn prepared(&mut self, complete: bool, now: u64, out: &mut Actions) {
        if self.phase != Phase::Preparing {
            // Too late; what was made in the meantime must not stay.
            if self.holding == Holding::Nothing {
                out.push(Action::Release);
            }
            return;
        }
        if complete {
            out.push(Action::Publish);
            self.enter(Phase::Publishing { conflicts: 0 }, timeout::COMMAND, now);
        } else {
            self.fall_back(Notice::PrepareFailed, Then::Retry, now, out);
        }
    }

    fn published(&mut self, result: Result<(), PublishError>, now: u64, out: &mut Actions) {
        let Phase::Publishing { conflicts } = self.phase else {
            return;
        };
        match result {
            Ok(()) => {
                out.push(Action::WriteState(XenbusState::CONNECTED));
                self.enter(Phase::AwaitConnected, timeout::CONNECTED, now);
                // It may have been quicker than we.
                if self.backend == XenbusState::CONNECTED {
                    self.advance(now, out);
                }
            }
            Err(PublishError::Conflict) if conflicts < MAX_CONFLICTS => {
                out.push(Action::Publish);
                self.phase = Phase::Publishing {
                    conflicts: conflicts.saturating_add(1),
                };
            }
            Err(PublishError::Conflict | PublishError::Failed) => {
                self.fall_back(Notice::PublishFailed, Then::Retry, now, out);
            }
        }
    }

    fn connected(&mut self, out: &mut Actions) {
        self.rest(Phase::Connected);
        self.backoff = timeout::BACKOFF;
        self.holding = Holding::Traffic;
        out.push(Action::EnableTraffic);
        self.last_notice = None;
        self.log(Notice::Connected, out);
        self.set_link(self.cable, out);
    }
}

/// Disconnecting.
impl Connection {
    /// Ends an attempt or a connection from which the backend has turned away.
    fn fall_back(&mut self, notice: Notice, then: Then, now: u64, out: &mut Actions) {
        self.log(notice, out);
        self.say_closed(then, now, out);
    }

    /// Tells the backend that we are leaving.
    fn close(&mut self, then: Then, now: u64, out: &mut Actions) {
        out.push(Action::WriteState(XenbusState::CLOSING));
        self.enter(Phase::Closing(then), timeout::CLOSING, now);
        if matches!(self.backend, XenbusState::CLOSING | XenbusState::CLOSED) {
            self.advance(now, out);
        }
    }

    /// Tells the backend that we have left.
    fn say_closed(&mut self, then: Then, now: u64, out: &mut Actions) {
        out.push(Action::WriteState(XenbusState::CLOSED));
        self.enter(Phase::Closed(then), timeout::CLOSED, now);
        if matches!(self.backend, XenbusState::CLOSED | XenbusState::UNKNOWN) {
            self.closed(then, now, out);
        }
    }

    /// The backend has let go, or never held anything, or time is up.
    fn closed(&mut self, then: Then, now: u64, out: &mut Actions) {
        self.let_go(Action::Release, out);
        match then {
            Then::Stop => {
                self.rest(Phase::Stopped);
                self.last_notice = None;
                out.push(Action::Finished);
            }
            Then::Park => {
                self.rest(Phase::Parked);
                if self.backend == XenbusState::CLOSED {
                    self.revive(now);
                }
            }
            Then::Reconnect => {
                self.initialise(now, out);
                if self.backend == XenbusState::INIT_WAIT {
                    self.advance(now, out);
                }
            }
            Then::Retry => self.back_off(now),
        }
    }

    fn back_off(&mut self, now: u64) {
        self.enter(Phase::Backoff, self.backoff, now);
        self.backoff = self.backoff.saturating_mul(2).min(timeout::BACKOFF_MAX);
    }

    /// A closed backend that is to be there waits for its frontend: its driver may have been loaded anew, and then goes
    /// to Closed by itself when it finds us there. What it cannot do it could not after that either.
    fn revive(&mut self, now: u64) {
        if self.online && self.last_notice != Some(Notice::Unsupported) {
            self.back_off(now);
        }
    }

    fn time_is_up(&mut self, now: u64, out: &mut Actions) {
        let (wait, next) = match self.phase {
            Phase::Stopped | Phase::Connected | Phase::Parked => return self.rest(self.phase),
            Phase::Backoff => return self.locate(now, out),
            Phase::Draining(then) => (Wait::Drain, then),
            Phase::Closing(then) => (Wait::Closing, then),
            Phase::Closed(then) => (Wait::Closed, then),
            Phase::Locating => (Wait::Locate, Then::Retry),
            Phase::AwaitInitWait => (Wait::InitWait, Then::Retry),
            Phase::Reading => (Wait::Keys, Then::Retry),
            Phase::Preparing => (Wait::Prepare, Then::Retry),
            Phase::Publishing { .. } => (Wait::Publish, Then::Retry),
            Phase::AwaitConnected => (Wait::Connected, Then::Retry),
        };
        self.log(Notice::Timeout(wait), out);
        match wait {
            Wait::Drain | Wait::Prepare | Wait::Publish | Wait::Connected => {
                self.close(next, now, out);
            }
            Wait::Closing => self.say_closed(next, now, out),
            Wait::Closed | Wait::Locate | Wait::InitWait | Wait::Keys => {
                self.closed(next, now, out);
            }
        }
    }
}
