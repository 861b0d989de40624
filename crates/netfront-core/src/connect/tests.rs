//! The connection machine against models of backends: one that follows Linux, stubborn ones, and
//! a random one.

use std::vec;
use std::vec::Vec;

use proptest::prelude::*;
use xen_abi::xenbus::XenbusState as S;

use super::*;

/// A shell that does every action at once, and a backend of some kind.
struct World {
    connection: Connection,
    now: u64,
    backend: Backend,
    state: S,
    log: Vec<Action>,
    held: bool,
    traffic: bool,
    link: bool,
}

#[derive(Clone, Copy, PartialEq)]
enum Backend {
    /// Follows the frontend as Linux netback does.
    Linux,
    /// Never changes its state.
    Stubborn,
    /// As Linux, but does not go back to `InitWait` (FreeBSD, NetBSD).
    OneLife,
    /// As Linux, but closes when asked to connect.
    Refusing,
}

impl World {
    fn new(backend: Backend, state: S) -> Self {
        let connection = Connection::new();
        let log = Vec::new();
        Self {
            connection,
            now: 0,
            backend,
            state,
            log,
            held: false,
            traffic: false,
            link: false,
        }
    }

    fn event(&mut self, event: Event) {
        let mut events = std::collections::VecDeque::from([event]);
        while let Some(event) = events.pop_front() {
            let actions = self.connection.handle(event, self.now);
            assert!(actions.len() < Actions::MAX, "{event:?}");
            for action in actions.iter() {
                self.log.push(action);
                events.extend(self.act(action));
            }
        }
    }

    fn act(&mut self, action: Action) -> Option<Event> {
        match action {
            Action::FindBackend => return Some(Event::Backend(self.state)),
            Action::ReadKeys => return Some(Event::KeysRead(Ok(()))),
            Action::Prepare => {
                assert!(!self.held, "made twice");
                self.held = true;
                return Some(Event::Prepared(true));
            }
            Action::Publish => {
                assert!(self.held);
                return Some(Event::Published(Ok(())));
            }
            Action::EnableTraffic => {
                assert!(self.held && !self.traffic);
                self.traffic = true;
            }
            Action::StopTraffic => {
                assert!(self.traffic);
                self.traffic = false;
                return Some(Event::Drained);
            }
            Action::Release | Action::Forget => {
                assert!(self.held && !self.traffic);
                self.held = false;
            }
            Action::Link(up) => self.link = up,
            Action::WriteState(frontend) => return self.follow(frontend),
            Action::Finished => assert!(!self.held && !self.traffic && !self.link),
            Action::Log(_) => {}
        }
        None
    }

    /// What netback does when the frontend's state changes (`frontend_changed`).
    fn follow(&mut self, frontend: S) -> Option<Event> {
        let next = match (self.backend, frontend) {
            (Backend::Stubborn, _) | (Backend::OneLife, S::INITIALISING) => return None,
            (Backend::Refusing, S::CONNECTED) | (_, S::CLOSING) => S::CLOSING,
            (_, S::INITIALISING) => S::INIT_WAIT,
            (_, S::CONNECTED) => S::CONNECTED,
            (_, S::CLOSED) => S::CLOSED,
            _ => return None,
        };
        self.state = next;
        Some(Event::Backend(next))
    }

    /// Lets time pass until the deadline.
    fn wait(&mut self) {
        self.now = self.connection.deadline().expect("a state that waits");
        self.event(Event::Timer);
    }

    fn states(&self) -> Vec<u32> {
        self.log
            .iter()
            .filter_map(|action| match action {
                Action::WriteState(state) => Some(state.0),
                _ => None,
            })
            .collect()
    }

    fn logged(&self, notice: Notice) -> usize {
        self.log
            .iter()
            .filter(|action| **action == Action::Log(notice))
            .count()
    }

    fn connected(backend: Backend) -> Self {
        let mut world = Self::new(backend, S::INIT_WAIT);
        world.event(Event::Start);
        if backend == Backend::Stubborn {
            world.event(Event::Backend(S::CONNECTED));
        }
        assert!(world.connection.is_connected());
        world.log.clear();
        world
    }
}

#[test]
fn a_ready_backend_is_connected_without_a_dance() {
    let mut world = World::new(Backend::Linux, S::INIT_WAIT);
    world.event(Event::Start);
    assert!(world.connection.is_connected() && world.link);
    assert_eq!(
        world.log,
        [
            Action::FindBackend,
            Action::ReadKeys,
            Action::Prepare,
            Action::Publish,
            Action::WriteState(S::CONNECTED),
            Action::EnableTraffic,
            Action::Log(Notice::Connected),
            Action::Link(true),
        ]
    );
    assert_eq!(world.connection.deadline(), None);
}

#[test]
fn traffic_waits_for_the_backend_to_be_connected() {
    let mut world = World::new(Backend::Stubborn, S::INIT_WAIT);
    world.event(Event::Start);
    assert!(!world.traffic && world.held);
    world.event(Event::Backend(S::INIT_WAIT));
    assert!(!world.traffic);
    world.event(Event::Backend(S::CONNECTED));
    assert!(world.traffic && world.link);
}

#[test]
fn a_stale_connection_is_closed_first() {
    for state in [S::CONNECTED, S::INITIALISED, S::RECONFIGURED, S::CLOSING] {
        let mut world = World::new(Backend::Linux, state);
        world.event(Event::Start);
        assert_eq!(world.states(), [5, 6, 1, 4], "{state:?}");
        assert!(world.connection.is_connected());
    }
    for state in [S::CLOSED, S::UNKNOWN, S::INITIALISING] {
        let mut world = World::new(Backend::Linux, state);
        world.event(Event::Start);
        assert_eq!(world.states(), [1, 4], "{state:?}");
        assert!(world.connection.is_connected());
    }
}

#[test]
fn a_backend_stuck_in_a_state_ends_in_log_entries_and_slow_retries() {
    let states = (0..12).map(S).filter(|state| *state != S::INIT_WAIT);
    for state in states.step_by(if cfg!(miri) { 6 } else { 1 }) {
        let mut world = World::new(Backend::Stubborn, state);
        world.event(Event::Start);
        for _ in 0..40 {
            world.wait();
        }
        assert!(!world.held && !world.connection.is_connected());
        assert!(
            world.logged(Notice::Timeout(Wait::InitWait)) >= 1,
            "{state:?}"
        );
        assert!(
            world.now > 1_000_000,
            "retries must be slow: {} for {state:?}",
            world.now
        );
        world.event(Event::Stop);
        while !world.connection.is_stopped() {
            world.wait();
        }
        assert_eq!(world.log.last(), Some(&Action::Finished));
    }
}

#[test]
fn a_backend_that_never_connects_is_left_and_tried_again() {
    let mut world = World::new(Backend::Stubborn, S::INIT_WAIT);
    world.event(Event::Start);
    assert!(world.held);
    world.wait();
    assert_eq!(world.now, timeout::CONNECTED);
    assert_eq!(world.logged(Notice::Timeout(Wait::Connected)), 1);
    world.wait();
    world.wait();
    assert!(!world.held, "released when time was up");
    world.wait();
    assert!(world.held, "second try");
}

#[test]
fn a_backend_that_refuses_is_tried_less_and_less_often() {
    let mut world = World::new(Backend::Refusing, S::INIT_WAIT);
    world.event(Event::Start);
    let mut delays = Vec::new();
    for _ in 0..6 {
        let before = world.now;
        assert!(!world.held);
        world.wait();
        delays.push(world.now - before);
    }
    assert_eq!(delays, [5_000, 10_000, 20_000, 40_000, 60_000, 60_000]);
    assert_eq!(world.logged(Notice::Refused), 1, "said once");
}

#[test]
fn a_backend_with_one_life_ends_in_a_timeout() {
    let mut world = World::new(Backend::OneLife, S::CONNECTED);
    world.event(Event::Start);
    assert_eq!(world.states(), [5, 6, 1]);
    world.wait();
    assert_eq!(world.logged(Notice::Timeout(Wait::InitWait)), 1);
}

#[test]
fn stopping_drains_closes_and_only_then_releases() {
    let mut world = World::connected(Backend::Linux);
    world.event(Event::Stop);
    assert_eq!(
        world.log,
        [
            Action::Link(false),
            Action::StopTraffic,
            Action::WriteState(S::CLOSING),
            Action::WriteState(S::CLOSED),
            Action::Release,
            Action::Finished,
        ]
    );
    assert!(world.connection.is_stopped());
}

#[test]
fn stopping_a_silent_backend_takes_30_seconds_at_most() {
    let mut connection = Connection::new();
    for event in [
        Event::Start,
        Event::Backend(S::INIT_WAIT),
        Event::KeysRead(Ok(())),
        Event::Prepared(true),
        Event::Published(Ok(())),
        Event::Backend(S::CONNECTED),
        Event::Stop,
    ] {
        let _ = connection.handle(event, 0);
    }
    let mut notices = Vec::new();
    let mut now = 0;
    while let Some(deadline) = connection.deadline() {
        now = deadline;
        notices.extend(
            connection
                .handle(Event::Timer, now)
                .iter()
                .filter_map(|a| match a {
                    Action::Log(notice) => Some(notice),
                    _ => None,
                }),
        );
    }
    assert!(connection.is_stopped());
    assert_eq!(now, 30_000);
    assert_eq!(
        notices,
        [Wait::Drain, Wait::Closing, Wait::Closed].map(Notice::Timeout)
    );
}

#[test]
fn a_backend_closing_on_its_own_is_followed_and_awaited() {
    let mut world = World::connected(Backend::Linux);
    world.state = S::CLOSING;
    world.event(Event::Backend(S::CLOSING));
    assert_eq!(
        world.log,
        [
            Action::Link(false),
            Action::StopTraffic,
            Action::Log(Notice::BackendClosed),
            Action::WriteState(S::CLOSED),
            Action::Release,
        ]
    );
    assert_eq!(world.connection.deadline(), None, "at rest");
    world.event(Event::Backend(S::INIT_WAIT));
    assert!(world.connection.is_connected(), "it came back");
}

#[test]
fn a_closed_backend_is_asked_again_if_it_is_to_be_there() {
    for online in [false, true] {
        let mut world = World::connected(Backend::Linux);
        world.state = S::CLOSED;
        world.event(Event::Online(online));
        world.event(Event::Backend(S::CLOSED));
        assert!(!world.held && !world.link);
        assert_eq!(world.connection.deadline().is_some(), online);
        // It is told so again: nothing changes, or not sooner.
        let deadline = world.connection.deadline();
        world.event(Event::Backend(S::CLOSED));
        assert_eq!(world.connection.deadline(), deadline);
        if let Some(deadline) = deadline {
            world.now = deadline;
            world.event(Event::Timer);
            assert!(world.connection.is_connected());
        }
    }
}

#[test]
fn a_vanished_backend_leaves_nothing_behind() {
    let mut world = World::connected(Backend::Linux);
    world.event(Event::BackendGone);
    assert!(!world.held && !world.link);
    assert_eq!(world.logged(Notice::NoBackend), 1);
    world.event(Event::BackendMoved);
    assert!(world.connection.is_connected(), "looked around again");
}

#[test]
fn a_new_backend_domain_means_a_new_connection_without_the_old_one() {
    let mut world = World::connected(Backend::Linux);
    world.state = S::INIT_WAIT;
    world.event(Event::BackendMoved);
    assert_eq!(
        world.log[..4],
        [
            Action::Link(false),
            Action::StopTraffic,
            Action::Release,
            Action::FindBackend
        ]
    );
    assert!(world.connection.is_connected() && world.link);
}

#[test]
fn after_a_resume_everything_is_forgotten_and_made_anew() {
    let mut world = World::connected(Backend::Linux);
    world.state = S::INIT_WAIT;
    world.event(Event::Resumed);
    assert_eq!(
        world.log[..4],
        [
            Action::Link(false),
            Action::StopTraffic,
            Action::Forget,
            Action::FindBackend
        ]
    );
    assert!(world.connection.is_connected());
    let mut stopped = Connection::new();
    assert!(stopped.handle(Event::Resumed, 0).is_empty());
}

#[test]
fn a_reconnect_goes_through_the_dance() {
    let mut world = World::connected(Backend::Linux);
    world.event(Event::Reconnect);
    assert_eq!(world.states(), [5, 6, 1, 4]);
    assert!(world.connection.is_connected() && world.link);
}

#[test]
fn a_pulled_cable_is_the_link_only() {
    let mut world = World::connected(Backend::Linux);
    world.event(Event::Cable(false));
    world.event(Event::Cable(false));
    assert_eq!(world.log, [Action::Link(false)]);
    assert!(world.connection.is_connected());
    world.event(Event::Reconnect);
    assert!(!world.link, "still pulled");
    world.event(Event::Cable(true));
    assert!(world.link);
}

#[test]
fn conflicts_are_retried_a_bounded_number_of_times() {
    let mut connection = Connection::new();
    for event in [
        Event::Start,
        Event::Backend(S::INIT_WAIT),
        Event::KeysRead(Ok(())),
    ] {
        let _ = connection.handle(event, 0);
    }
    let mut actions = connection.handle(Event::Prepared(true), 0);
    let mut publishes = 0;
    while actions.iter().any(|action| action == Action::Publish) {
        publishes += 1;
        actions = connection.handle(Event::Published(Err(PublishError::Conflict)), 0);
    }
    assert_eq!(publishes, 17);
    assert!(
        actions
            .iter()
            .any(|action| action == Action::Log(Notice::PublishFailed))
    );
}

#[test]
fn what_cannot_be_made_is_released_and_tried_later() {
    let mut connection = Connection::new();
    for event in [
        Event::Start,
        Event::Backend(S::INIT_WAIT),
        Event::KeysRead(Ok(())),
    ] {
        let _ = connection.handle(event, 0);
    }
    let actions: Vec<_> = connection
        .handle(Event::Prepared(false), 0)
        .iter()
        .collect();
    assert_eq!(
        actions,
        [
            Action::Log(Notice::PrepareFailed),
            Action::WriteState(S::CLOSED)
        ]
    );
    let actions: Vec<_> = connection
        .handle(Event::Backend(S::CLOSED), 0)
        .iter()
        .collect();
    assert_eq!(actions, [Action::Release]);
    assert_eq!(connection.deadline(), Some(timeout::BACKOFF));
}

#[test]
fn an_unsupported_backend_is_left_alone() {
    let mut connection = Connection::new();
    for event in [Event::Start, Event::Backend(S::INIT_WAIT)] {
        let _ = connection.handle(event, 0);
    }
    let unsupported = Event::KeysRead(Err(KeysError::Unsupported));
    let actions: Vec<_> = connection.handle(unsupported, 0).iter().collect();
    assert_eq!(actions[0], Action::Log(Notice::Unsupported));
    let _ = connection.handle(Event::Backend(S::CLOSED), 0);
    assert_eq!(connection.deadline(), None);
}

#[test]
fn what_was_made_too_late_is_released() {
    let mut connection = Connection::new();
    for event in [
        Event::Start,
        Event::Backend(S::INIT_WAIT),
        Event::KeysRead(Ok(())),
    ] {
        let _ = connection.handle(event, 0);
    }
    let released = |actions: Actions| actions.iter().any(|action| action == Action::Release);
    assert!(released(connection.handle(Event::BackendGone, 0)));
    assert!(released(connection.handle(Event::Prepared(true), 0)));
}

#[test]
fn start_during_stop_connects_again_and_stop_during_start_stops() {
    let mut connection = Connection::new();
    for event in [
        Event::Start,
        Event::Backend(S::INIT_WAIT),
        Event::KeysRead(Ok(())),
        Event::Prepared(true),
        Event::Published(Ok(())),
        Event::Backend(S::CONNECTED),
        Event::Stop,
        Event::Start,
        Event::Drained,
        Event::Backend(S::CLOSED),
        Event::Backend(S::INIT_WAIT),
    ] {
        let _ = connection.handle(event, 0);
    }
    assert!(!connection.is_stopped());
    let actions: Vec<_> = connection.handle(Event::Stop, 0).iter().collect();
    assert_eq!(actions, [Action::WriteState(S::CLOSED), Action::Finished]);
    assert_eq!(
        connection.handle(Event::Stop, 0).iter().collect::<Vec<_>>(),
        [Action::Finished]
    );
}

fn any_event() -> impl Strategy<Value = Event> {
    prop_oneof![
        2 => Just(Event::Start),
        1 => Just(Event::Stop),
        12 => (0_u32..10).prop_map(|state| Event::Backend(S(state))),
        4 => Just(Event::Backend(S::INIT_WAIT)),
        4 => Just(Event::Backend(S::CONNECTED)),
        1 => Just(Event::BackendGone),
        1 => Just(Event::BackendMoved),
        4 => Just(Event::KeysRead(Ok(()))),
        1 => Just(Event::KeysRead(Err(KeysError::Failed))),
        1 => Just(Event::KeysRead(Err(KeysError::Unsupported))),
        4 => Just(Event::Prepared(true)),
        1 => Just(Event::Prepared(false)),
        4 => Just(Event::Published(Ok(()))),
        1 => Just(Event::Published(Err(PublishError::Conflict))),
        1 => Just(Event::Published(Err(PublishError::Failed))),
        2 => Just(Event::Drained),
        1 => Just(Event::Reconnect),
        1 => Just(Event::Resumed),
        1 => any::<bool>().prop_map(Event::Cable),
        4 => Just(Event::Timer),
    ]
}

/// What must hold of the actions, whatever the events were.
#[derive(Default)]
struct Rules {
    held: bool,
    traffic: bool,
    link: bool,
}

impl Rules {
    /// `event` yielded `actions`.
    fn check(&mut self, event: Event, actions: &Actions) {
        let late = matches!(event, Event::Prepared(_));
        assert!(actions.len() < Actions::MAX);
        for action in actions.iter() {
            match action {
                Action::Prepare => {
                    assert!(!self.held);
                    self.held = true;
                }
                Action::Publish => assert!(self.held),
                Action::EnableTraffic => {
                    assert!(self.held && !self.traffic);
                    self.traffic = true;
                }
                Action::StopTraffic => {
                    assert!(self.traffic && !self.link);
                    self.traffic = false;
                }
                Action::Release | Action::Forget => {
                    assert!((self.held || late) && !self.traffic);
                    self.held = false;
                }
                Action::Link(up) => {
                    assert!(up != self.link && (!up || self.traffic));
                    self.link = up;
                }
                Action::Finished => assert!(!self.held && !self.traffic && !self.link),
                Action::FindBackend | Action::WriteState(_) | Action::ReadKeys | Action::Log(_) => {
                }
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: if cfg!(miri) { 1 } else { 80 }, failure_persistence: None,
        ..ProptestConfig::default()
    })]

    /// Any events in any order: grants and traffic are kept in order, every state that waits has
    /// a deadline, and a stop ends within a minute with everything released.
    #[test]
    fn no_order_of_events_hangs_or_leaks(
        events in prop::collection::vec((any_event(), 0_u64..70_000), 1..if cfg!(miri) { 8 } else { 60 }),
    ) {
        let mut connection = Connection::new();
        let mut rules = Rules::default();
        let mut now = 0;
        for (event, pause) in events {
            now += pause;
            rules.check(event, &connection.handle(event, now));
            prop_assert_eq!(rules.traffic, connection.is_connected());
        }
        rules.check(Event::Stop, &connection.handle(Event::Stop, now));
        let stopped_at = now;
        while let Some(deadline) = connection.deadline() {
            now = now.max(deadline);
            rules.check(Event::Timer, &connection.handle(Event::Timer, now));
        }
        prop_assert!(connection.is_stopped());
        prop_assert!(now - stopped_at <= 30_000);
        prop_assert!(!rules.held && !rules.traffic && !rules.link);
    }
}
