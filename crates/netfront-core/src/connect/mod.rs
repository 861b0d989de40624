//! The connection: `XenBus` states of both ends, from first sight to unplug.
//!
//! [`Connection::handle`] takes what happened and the time, and yields what to do. The shell has
//! one worker at `PASSIVE_LEVEL` that does the actions in order; the actions that have a result
//! ([`Action::ReadKeys`], [`Action::Prepare`], [`Action::Publish`], [`Action::StopTraffic`])
//! report it as an event. Nothing waits: [`Connection::deadline`] says when to send
//! [`Event::Timer`], and every state that waits for someone has such a deadline, or is a state of
//! rest.
//!
//! ```text
//! Stopped -> Locating -> (Closing -> Closed -> AwaitInitWait) -> Reading -> Preparing
//!    ^           ^        stale connection only                                |
//!    |           |                                                             v
//!    |        Backoff <----- any failure          Connected <- AwaitConnected <- Publishing
//!    |           |                                   |
//!    +--------- Parked <- backend closed -- Closed <- Closing <- Draining
//! ```
//!
//! * The backend need not play along: each wait ends in a log entry and the next step.
//! * Grants and ports live from [`Action::Prepare`] to [`Action::Release`], and release comes
//!   only after the backend has let go or time is up (pages it still maps are then quarantined
//!   by the queues).
//! * The backend closing, vanishing, or coming back as another domain ends in a new connection.

mod machine;
mod notice;
#[cfg(test)]
mod tests;

pub use machine::Connection;
pub use notice::{Action, Actions, Event, KeysError, Notice, PublishError, Wait};

/// How long the machine waits, in milliseconds.
pub mod timeout {
    /// For the backend's path, domain and state.
    pub const LOCATE: u64 = 10_000;
    /// For the backend to say Closing.
    pub const CLOSING: u64 = 10_000;
    /// For the backend to say Closed.
    pub const CLOSED: u64 = 5_000;
    /// For the backend to be ready for a frontend.
    pub const INIT_WAIT: u64 = 60_000;
    /// For one of our own commands.
    pub const COMMAND: u64 = 30_000;
    /// For the backend to connect; Linux waits for the hotplug script of the driver domain.
    pub const CONNECTED: u64 = 120_000;
    /// For transmit slots to be answered before closing: longer than the 10 s that another
    /// guest's full receive queue may hold them.
    pub const DRAIN: u64 = 15_000;
    /// Before the first retry; doubles up to [`BACKOFF_MAX`].
    pub const BACKOFF: u64 = 5_000;
    /// Between later retries.
    pub const BACKOFF_MAX: u64 = 60_000;
}

/// How often a XenStore transaction may conflict before it counts as failed.
pub const MAX_CONFLICTS: u32 = 16;
