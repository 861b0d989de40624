//! A backend that stopped answering.
//!
//! Linux netback disables a vif for good when it takes a packet for malformed, writes nothing to
//! XenStore, and lets even a new connection reach Connected (`xenvif_fatal_tx_err`). All that is
//! seen is silence. So: silence for 15 s while it owes responses on some queue means one
//! reconnect; silence again means the link is down until the vif is plugged anew.

/// How long a backend may owe responses without giving one, in milliseconds. Longer than the 10 s
/// that another guest's full receive queue may hold our pages in an honest backend.
pub const SILENCE_MS: u64 = 15_000;

/// What to do about the backend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing.
    Fine,
    /// Reconnect, once; then call [`Watchdog::reconnected`].
    Reconnect,
    /// Reconnecting did not help: link down, and tell the operator that the driver domain has
    /// disabled the vif. Said once.
    Disabled,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Watching,
    Reconnecting,
    Retried,
    Disabled,
}

/// Watches all queues of a vif together.
#[derive(Clone, Copy, Debug)]
pub struct Watchdog {
    stage: Stage,
    responses: u64,
    silent_since: u64,
}

impl Watchdog {
    /// For a vif that was just connected.
    pub fn new(now: u64) -> Self {
        Self {
            stage: Stage::Watching,
            responses: 0,
            silent_since: now,
        }
    }

    /// Looks at the sums over all queues: slots in flight, and responses ever reaped (from
    /// counters that restart at zero with a connection). Call it about every second.
    pub fn tick(&mut self, now: u64, in_flight: u32, responses: u64) -> Verdict {
        if responses != self.responses {
            self.responses = responses;
            self.silent_since = now;
            if self.stage != Stage::Reconnecting {
                self.stage = Stage::Watching;
            }
            return Verdict::Fine;
        }
        if in_flight == 0 {
            self.silent_since = now;
            return Verdict::Fine;
        }
        if now.saturating_sub(self.silent_since) < SILENCE_MS {
            return Verdict::Fine;
        }
        match self.stage {
            Stage::Watching => {
                self.stage = Stage::Reconnecting;
                Verdict::Reconnect
            }
            Stage::Retried => {
                self.stage = Stage::Disabled;
                Verdict::Disabled
            }
            Stage::Reconnecting | Stage::Disabled => Verdict::Fine,
        }
    }

    /// A new connection is up, for whatever reason.
    pub fn reconnected(&mut self, now: u64) {
        self.responses = 0;
        self.silent_since = now;
        self.stage = match self.stage {
            Stage::Watching => Stage::Watching,
            Stage::Reconnecting | Stage::Retried | Stage::Disabled => Stage::Retried,
        };
    }

    /// Whether the vif was given up.
    pub fn is_disabled(&self) -> bool {
        self.stage == Stage::Disabled
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_idle_backend_is_fine() {
        let mut dog = Watchdog::new(0);
        for now in (0..1_000_000).step_by(1000) {
            assert_eq!(dog.tick(now, 0, 0), Verdict::Fine);
        }
        assert_eq!(
            dog.tick(1_000_000, 5, 0),
            Verdict::Fine,
            "silence counts from the first debt"
        );
    }

    #[test]
    fn slow_responses_are_responses() {
        let mut dog = Watchdog::new(0);
        for (responses, now) in (1..100).zip((14_000..).step_by(14_000)) {
            assert_eq!(dog.tick(now, 200, responses), Verdict::Fine);
        }
    }

    #[test]
    fn silence_reconnects_once_and_then_gives_up_once() {
        let mut dog = Watchdog::new(0);
        assert_eq!(dog.tick(14_999, 1, 0), Verdict::Fine);
        assert_eq!(dog.tick(15_000, 1, 0), Verdict::Reconnect);
        assert_eq!(
            dog.tick(60_000, 1, 0),
            Verdict::Fine,
            "the reconnect is under way"
        );
        dog.reconnected(61_000);
        assert_eq!(dog.tick(75_999, 1, 0), Verdict::Fine);
        assert_eq!(dog.tick(76_000, 1, 0), Verdict::Disabled);
        assert!(dog.is_disabled());
        assert_eq!(dog.tick(200_000, 1, 0), Verdict::Fine);
    }

    #[test]
    fn a_response_after_the_reconnect_starts_over() {
        let mut dog = Watchdog::new(0);
        assert_eq!(dog.tick(15_000, 1, 7), Verdict::Fine);
        assert_eq!(dog.tick(30_000, 1, 7), Verdict::Reconnect);
        dog.reconnected(31_000);
        assert_eq!(dog.tick(32_000, 1, 3), Verdict::Fine);
        assert_eq!(dog.tick(47_000, 1, 3), Verdict::Reconnect);
    }

    #[test]
    fn a_reconnect_for_another_reason_is_no_retry() {
        let mut dog = Watchdog::new(0);
        dog.reconnected(10_000);
        assert_eq!(dog.tick(25_000, 1, 0), Verdict::Reconnect);
    }
}
