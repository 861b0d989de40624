//! A list of operations run in one transaction, started again when others interfere.
//!
//! 1. [`TransactionScript::drive`] queues what there is room for: start, operations, end.
//! 2. Each reply goes to [`TransactionScript::on_reply`] first; the script takes those that are its own.
//! 3. `drive` again, until it says [`Progress::Finished`].
//!
//! The operations are passed to each call, the same list every time, so that the script borrows nothing.

use crate::client::{
    Client, Reply, RequestError, RequestHandle, SubmitError, TransactionId, WatchSlot,
};
use crate::error::StoreError;
use crate::path::Path;

/// Operations in flight at once; leaves requests for others.
const WINDOW: usize = 8;

/// One step of a script.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Op<'a> {
    /// Set a key.
    Write {
        /// The key.
        path: Path<'a>,
        /// Its new value.
        value: &'a [u8],
    },
    /// Create a key.
    Mkdir {
        /// The key.
        path: Path<'a>,
    },
    /// Remove a key and everything below it. That it is not there is no error.
    Rm {
        /// The key.
        path: Path<'a>,
    },
    /// Read a key: the reply is shown to [`TransactionScript::on_reply`]'s caller as [`Handled::Value`].
    /// That it is not there is no error; there is no `Value` then.
    Read {
        /// The key.
        path: Path<'a>,
    },
}

/// Why a script ended without a commit. Nothing it did is visible, except that after `Disconnected` the commit may
/// or may not have happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScriptError {
    /// Each allowed attempt met another change. Try later.
    Contended,
    /// The daemon refused an operation, or, without a number, the transaction itself.
    Store {
        /// Index of the operation.
        op: Option<usize>,
        /// The answer.
        error: StoreError,
    },
    /// An operation is longer than a message.
    TooLong {
        /// Index of the operation.
        op: usize,
    },
    /// The daemon named no transaction.
    Malformed,
    /// The connection was reset, or is latched.
    Disconnected,
}

/// How far a script is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// Replies, or room for requests, are awaited.
    Waiting,
    /// Committed, or why not.
    Finished(Result<(), ScriptError>),
}

/// Whose reply it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Handled {
    /// Not the script's.
    No,
    /// The script's; call `drive`.
    Yes,
    /// The script's: the reply is the value read by operation `op`. A later attempt may bring another one; it
    /// counts only once the script has committed. Call `drive`.
    Value {
        /// Index of the operation.
        op: usize,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Start,
    Starting(RequestHandle),
    Running(TransactionId),
    Ending { handle: RequestHandle, commit: bool },
    Finished(Result<(), ScriptError>),
}

/// What stops an attempt before its commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Obstacle {
    Interference,
    Final(ScriptError),
}

#[derive(Clone, Copy, Debug)]
struct Pending {
    handle: RequestHandle,
    op: usize,
    reads: bool,
    may_be_missing: bool,
}

/// A transaction being run. See the module's documentation.
#[derive(Debug)]
pub struct TransactionScript {
    phase: Phase,
    attempts_left: u8,
    next: usize,
    window: [Option<Pending>; WINDOW],
    obstacle: Option<Obstacle>,
}

impl TransactionScript {
    /// A script that may start its transaction up to `attempts` times (at least once).
    pub fn new(attempts: u8) -> Self {
        Self {
            phase: Phase::Start,
            attempts_left: attempts.max(1),
            next: 0,
            window: [None; WINDOW],
            obstacle: None,
        }
    }

    /// Queues what can be queued.
    pub fn drive<B, W>(&mut self, client: &mut Client<B, W>, ops: &[Op<'_>]) -> Progress
    where
        B: AsRef<[u8]> + AsMut<[u8]>,
        W: AsRef<[WatchSlot]> + AsMut<[WatchSlot]>,
    {
        match self.phase {
            Phase::Start => match client.transaction_start() {
                Ok(handle) => self.phase = Phase::Starting(handle),
                Err(error) => self.not_queued(error, None),
            },
            Phase::Running(tx) => self.run(client, tx, ops),
            Phase::Starting(_) | Phase::Ending { .. } | Phase::Finished(_) => {}
        }
        match self.phase {
            Phase::Finished(result) => Progress::Finished(result),
            _ => Progress::Waiting,
        }
    }

    fn run<B, W>(&mut self, client: &mut Client<B, W>, tx: TransactionId, ops: &[Op<'_>])
    where
        B: AsRef<[u8]> + AsMut<[u8]>,
        W: AsRef<[WatchSlot]> + AsMut<[WatchSlot]>,
    {
        while self.obstacle.is_none()
            && let Some(op) = ops.get(self.next)
            && let Some(slot) = self.window.iter_mut().find(|slot| slot.is_none())
        {
            let sent = match *op {
                Op::Write { path, value } => client.write(Some(tx), path, value),
                Op::Mkdir { path } => client.mkdir(Some(tx), path),
                Op::Rm { path } => client.rm(Some(tx), path),
                Op::Read { path } => client.read(Some(tx), path),
            };
            match sent {
                Ok(handle) => {
                    let reads = matches!(op, Op::Read { .. });
                    let may_be_missing = reads || matches!(op, Op::Rm { .. });
                    *slot = Some(Pending {
                        handle,
                        op: self.next,
                        reads,
                        may_be_missing,
                    });
                    self.next = self.next.saturating_add(1);
                }
                Err(error) => return self.not_queued(error, Some(self.next)),
            }
        }
        if self.window.iter().any(Option::is_some) {
            return;
        }
        let commit = self.obstacle.is_none();
        match client.transaction_end(tx, commit) {
            Ok(handle) => self.phase = Phase::Ending { handle, commit },
            Err(error) => self.not_queued(error, None),
        }
    }

    fn not_queued(&mut self, error: SubmitError, op: Option<usize>) {
        match (error, op) {
            (SubmitError::TryLater, _) => {}
            (SubmitError::TooLong, Some(op)) => {
                self.obstacle = Some(Obstacle::Final(ScriptError::TooLong { op }));
            }
            (SubmitError::Closed | SubmitError::TooLong, _) => {
                self.phase = Phase::Finished(Err(ScriptError::Disconnected));
            }
        }
    }

    /// Takes a reply, if it is the script's. Call [`TransactionScript::drive`] afterwards.
    pub fn on_reply(
        &mut self,
        handle: RequestHandle,
        result: &Result<Reply<'_>, RequestError>,
    ) -> Handled {
        if !self.owns(handle) {
            return Handled::No;
        }
        let reply = match result {
            Ok(reply) => Ok(*reply),
            Err(RequestError::Store(error)) => Err(*error),
            Err(RequestError::Disconnected) => {
                self.forget(handle);
                self.phase = Phase::Finished(Err(ScriptError::Disconnected));
                return Handled::Yes;
            }
        };
        match self.phase {
            Phase::Starting(_) => self.started(reply),
            Phase::Ending { commit, .. } => self.ended(commit, reply.err()),
            Phase::Running(_) => return self.answered(handle, reply.err()),
            Phase::Start | Phase::Finished(_) => self.forget(handle),
        }
        Handled::Yes
    }

    fn owns(&self, handle: RequestHandle) -> bool {
        let in_window = self
            .window
            .iter()
            .flatten()
            .any(|pending| pending.handle == handle);
        match self.phase {
            Phase::Starting(own) | Phase::Ending { handle: own, .. } => own == handle || in_window,
            _ => in_window,
        }
    }

    fn forget(&mut self, handle: RequestHandle) {
        for slot in &mut self.window {
            if slot.is_some_and(|pending| pending.handle == handle) {
                *slot = None;
            }
        }
    }

    fn started(&mut self, reply: Result<Reply<'_>, StoreError>) {
        match reply.map(Reply::transaction) {
            Ok(Ok(tx)) => self.phase = Phase::Running(tx),
            Ok(Err(_)) => self.phase = Phase::Finished(Err(ScriptError::Malformed)),
            Err(StoreError::Again) => self.again(),
            Err(error) => self.phase = Phase::Finished(Err(ScriptError::Store { op: None, error })),
        }
    }

    fn answered(&mut self, handle: RequestHandle, error: Option<StoreError>) -> Handled {
        let pending = self
            .window
            .iter()
            .flatten()
            .find(|pending| pending.handle == handle)
            .copied();
        self.forget(handle);
        let Some(pending) = pending else {
            return Handled::No;
        };
        match error {
            None if pending.reads => return Handled::Value { op: pending.op },
            None => {}
            Some(StoreError::NotFound) if pending.may_be_missing => {}
            Some(StoreError::Again) => {
                self.obstacle.get_or_insert(Obstacle::Interference);
            }
            Some(error) => {
                let error = ScriptError::Store {
                    op: Some(pending.op),
                    error,
                };
                self.obstacle.get_or_insert(Obstacle::Final(error));
            }
        }
        Handled::Yes
    }

    fn ended(&mut self, commit: bool, error: Option<StoreError>) {
        match (self.obstacle, commit, error) {
            // An abort that fails leaves nothing to be done: the obstacle is the result.
            (Some(Obstacle::Interference), ..) | (None, true, Some(StoreError::Again)) => {
                self.again();
            }
            (Some(Obstacle::Final(error)), ..) => self.phase = Phase::Finished(Err(error)),
            (None, _, None) => self.phase = Phase::Finished(Ok(())),
            (None, _, Some(error)) => {
                self.phase = Phase::Finished(Err(ScriptError::Store { op: None, error }));
            }
        }
    }

    fn again(&mut self) {
        self.attempts_left = self.attempts_left.saturating_sub(1);
        self.next = 0;
        self.obstacle = None;
        self.phase = match self.attempts_left {
            0 => Phase::Finished(Err(ScriptError::Contended)),
            _ => Phase::Start,
        };
    }
}
