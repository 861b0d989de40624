//! When one side owes the other an event.

/// Whether the peer must be sent an event after a push.
///
/// An event nobody asked for is not harmless: netback's "late EOI" handling (XSA-332) delays the
/// interrupts of a port that fires without work.
#[must_use = "a kick that is dropped is a ring that hangs"]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kick {
    /// The peer waits for one of the requests just published: notify its event channel.
    Notify,
    /// The peer did not ask.
    Quiet,
}

impl Kick {
    /// Whether to notify.
    pub fn is_needed(self) -> bool {
        self == Self::Notify
    }

    /// One notification serves two pushes.
    pub fn or(self, other: Self) -> Self {
        if self.is_needed() { self } else { other }
    }
}

/// What was found after asking for the next event.
#[must_use = "responses that slipped in before the event was armed come without an event"]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recheck {
    /// Nothing to consume; the event will come.
    Idle,
    /// There are responses to consume now; poll again.
    Poll,
}

/// Whether moving a producer index from `old` to `new` reaches `event`, modulo 2^32.
///
/// True exactly when `event` lies in the half-open interval `(old, new]`. That is the arithmetic
/// of `RING_PUSH_REQUESTS_AND_CHECK_NOTIFY`: the event index names the producer value that the
/// consumer waits to see, so it already counts one further than the last entry it has seen.
pub fn event_crossed(old: u32, new: u32, event: u32) -> bool {
    new.wrapping_sub(event) < new.wrapping_sub(old)
}
