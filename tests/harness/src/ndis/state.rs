//! The miniport adapter's states and what is legal in each (ndis-contract.md 1.2).

/// State of a miniport adapter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Not initialised, or halted.
    Halted,
    /// `MiniportInitializeEx` runs.
    Initializing,
    /// Initialised; no data flows.
    Paused,
    /// `MiniportRestart` was called and is not complete.
    Restarting,
    /// Data flows.
    Running,
    /// `MiniportPause` was called and is not complete.
    Pausing,
    /// `MiniportShutdownEx` was called: nothing may be called any more.
    Shutdown,
}

/// What moves an adapter from one state to the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// `MiniportInitializeEx` is called.
    Initialize,
    /// It succeeded.
    Initialized,
    /// It failed.
    InitializeFailed,
    /// `MiniportRestart` is called.
    Restart,
    /// Restart completed with success.
    Restarted,
    /// Restart completed with a failure.
    RestartFailed,
    /// `MiniportPause` is called.
    Pause,
    /// Pause completed.
    Paused,
    /// `MiniportHaltEx` is called.
    Halt,
    /// `MiniportShutdownEx` is called.
    Shutdown,
}

impl State {
    /// The state after `event`; `None` where NDIS never lets it happen.
    #[must_use]
    pub const fn after(self, event: Event) -> Option<Self> {
        match (self, event) {
            (Self::Halted, Event::Initialize) => Some(Self::Initializing),
            (Self::Initializing, Event::Initialized)
            | (Self::Restarting, Event::RestartFailed)
            | (Self::Pausing, Event::Paused) => Some(Self::Paused),
            (Self::Initializing, Event::InitializeFailed) | (Self::Paused, Event::Halt) => {
                Some(Self::Halted)
            }
            (Self::Paused, Event::Restart) => Some(Self::Restarting),
            (Self::Restarting, Event::Restarted) => Some(Self::Running),
            (Self::Running, Event::Pause) => Some(Self::Pausing),
            (Self::Paused | Self::Restarting | Self::Running | Self::Pausing, Event::Shutdown) => {
                Some(Self::Shutdown)
            }
            _ => None,
        }
    }

    /// Whether the driver may indicate received frames.
    #[must_use]
    pub const fn may_receive(self) -> bool {
        matches!(self, Self::Running | Self::Pausing | Self::Restarting)
    }

    /// Whether NDIS may pass sends to the driver. While pausing, late ones still arrive and are rejected.
    #[must_use]
    pub const fn may_send(self) -> bool {
        matches!(self, Self::Running | Self::Pausing)
    }

    /// Whether NDIS may pass requests to the driver.
    #[must_use]
    pub const fn may_request(self) -> bool {
        matches!(
            self,
            Self::Paused | Self::Restarting | Self::Running | Self::Pausing
        )
    }
}

#[cfg(test)]
mod tests {
    use alloc::borrow::ToOwned;
    use alloc::format;
    use alloc::string::String;

    use super::{Event, State};

    const STATES: [State; 7] = [
        State::Halted,
        State::Initializing,
        State::Paused,
        State::Restarting,
        State::Running,
        State::Pausing,
        State::Shutdown,
    ];
    const EVENTS: [Event; 10] = [
        Event::Initialize,
        Event::Initialized,
        Event::InitializeFailed,
        Event::Restart,
        Event::Restarted,
        Event::RestartFailed,
        Event::Pause,
        Event::Paused,
        Event::Halt,
        Event::Shutdown,
    ];

    /// The table of ndis-contract.md 1.2, row by row: event, then the result in each state or `-`.
    const TABLE: &str = "
        Initialize       Initializing - - - - - -
        Initialized      - Paused - - - - -
        InitializeFailed - Halted - - - - -
        Restart          - - Restarting - - - -
        Restarted        - - - Running - - -
        RestartFailed    - - - Paused - - -
        Pause            - - - - Pausing - -
        Paused           - - - - - Paused -
        Halt             - - Halted - - - -
        Shutdown         - - Shutdown Shutdown Shutdown Shutdown -";

    #[test]
    fn transitions_are_those_of_the_documented_table() {
        let mut checked = 0;
        for (row, event) in TABLE.trim().lines().zip(EVENTS) {
            let mut cells = row.split_whitespace();
            assert_eq!(cells.next(), Some(format!("{event:?}").as_str()));
            for (state, cell) in STATES.into_iter().zip(cells) {
                let after = state
                    .after(event)
                    .map_or_else(|| "-".to_owned(), |state| format!("{state:?}"));
                assert_eq!(after, cell, "{event:?} in {state:?}");
                checked += 1;
            }
        }
        assert_eq!(checked, 70);
    }

    #[test]
    fn data_and_requests_are_legal_only_where_the_table_says() {
        let of = |may: fn(State) -> bool| {
            STATES
                .map(|state| if may(state) { 'y' } else { 'n' })
                .iter()
                .collect()
        };
        let rows: [String; 3] = [
            of(State::may_receive),
            of(State::may_send),
            of(State::may_request),
        ];
        assert_eq!(rows, ["nnnyyyn", "nnnnyyn", "nnyyyyn"].map(String::from));
    }
}
