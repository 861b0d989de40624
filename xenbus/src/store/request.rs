//! One request from start to end, as its caller sees it: at `PASSIVE_LEVEL`, for at most
//! [`TIMEOUT`].

use core::time::Duration;

use nt::event::Wait;
use nt::irql::Passive;
use nt::pool::{OutOfMemory, PoolSlice};
use nt::status::Status;
use nt::time;
use xenstore::client::{RequestHandle, TransactionId};
use xenstore::error::StoreError;
use xenstore::path::Path;
use xenstore::wire::{PAYLOAD_MAX, Strings};

use super::link::{Answer, Link, Queued, Refusal, StoreClient, Waiter, Wanted};
use super::transaction::TransactionHandle;
use super::{Store, TIMEOUT};
use crate::TAG;
use crate::grants::Owner;

/// Most bytes of an answer.
const REPLY_MAX: usize = PAYLOAD_MAX;

/// Why there is no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Failure {
    /// xenstored refused.
    Store(StoreError),
    /// xenstored did not answer in time. Whether the request was carried out is not known.
    Timeout,
    /// The domain was suspended meanwhile. Whether the request was carried out is not known.
    Disconnected,
    /// The connection is of no more use.
    Closed,
    /// The path is none, or the request is longer than a message.
    TooLong,
    /// The path has characters that paths do not have.
    BadPath,
    /// The answer makes no sense.
    Malformed,
    /// No memory, or too many transactions or watches.
    NoRoom,
    /// No such transaction or watch of this caller's.
    Unknown,
    /// The transaction was lost in a suspend, or met another change: start it again.
    Conflict,
}

impl From<OutOfMemory> for Failure {
    fn from(_: OutOfMemory) -> Self {
        Self::NoRoom
    }
}

impl From<Failure> for Status {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Store(StoreError::NotFound) => Self::OBJECT_NAME_NOT_FOUND,
            Failure::Store(StoreError::Again) | Failure::Conflict => {
                Self::from_raw(interface::STATUS_STORE_CONFLICT)
            }
            Failure::Store(StoreError::AccessDenied | StoreError::ReadOnly) => {
                Self::from_raw(wdk_sys::STATUS_ACCESS_DENIED)
            }
            Failure::Store(StoreError::Quota | StoreError::NoMemory) | Failure::NoRoom => {
                Self::INSUFFICIENT_RESOURCES
            }
            Failure::Store(StoreError::TooBig) => {
                Self::from_raw(wdk_sys::STATUS_INVALID_BUFFER_SIZE)
            }
            Failure::Store(_) | Failure::Malformed => Self::UNSUCCESSFUL,
            Failure::Timeout => Self::from_raw(interface::STATUS_STORE_TIMEOUT),
            Failure::Disconnected | Failure::Closed => Self::DEVICE_NOT_READY,
            Failure::TooLong | Failure::BadPath | Failure::Unknown => Self::INVALID_PARAMETER,
        }
    }
}

/// Path and value of a request, in memory that may be touched under the lock.
pub(super) struct Text {
    bytes: PoolSlice<u8>,
    path: usize,
    value: usize,
}

impl Text {
    pub(super) fn new(path: &[u8], value: &[u8]) -> Result<Self, Failure> {
        Path::from_bytes(path).map_err(|_| Failure::BadPath)?;
        let parts = path.len().saturating_add(value.len());
        if parts > REPLY_MAX {
            return Err(Failure::TooLong);
        }
        let mut source = path.iter().chain(value).copied();
        // The answer's bytes will take the place of the request's.
        let bytes = PoolSlice::try_from_fn(TAG, REPLY_MAX, |_| source.next().unwrap_or(0))?;
        Ok(Self {
            bytes,
            path: path.len(),
            value: value.len(),
        })
    }

    /// The memory, for the answer.
    pub(super) fn into_bytes(self) -> PoolSlice<u8> {
        self.bytes
    }
}

/// The answer, in the buffer of its request.
#[derive(Debug)]
pub(crate) struct Reply {
    bytes: PoolSlice<u8>,
    len: usize,
}

impl Reply {
    pub(crate) fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }
}

/// Which transaction a request is part of, and whose.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Within {
    pub(crate) owner: Owner,
    pub(crate) transaction: Option<TransactionHandle>,
}

impl Within {
    /// A request of its own.
    pub(crate) const fn none(owner: Owner) -> Self {
        Self {
            owner,
            transaction: None,
        }
    }

    fn find(self, link: &Link) -> Result<Option<TransactionId>, Refusal> {
        self.transaction
            .map(|handle| link.transactions.id(self.owner, handle))
            .transpose()
            .map_err(Refusal::Failed)
    }
}

impl Store {
    /// Reads a value.
    pub(crate) fn read(
        &self,
        within: Within,
        path: &[u8],
        irql: &mut Passive<'_>,
    ) -> Result<Reply, Failure> {
        self.ask(
            within,
            Text::new(path, &[])?,
            irql,
            |client, id, path, _| client.read(id, path),
        )
    }

    /// Lists the names in a folder, each ended by a zero byte.
    pub(crate) fn list(
        &self,
        within: Within,
        path: &[u8],
        irql: &mut Passive<'_>,
    ) -> Result<Reply, Failure> {
        let text = Text::new(path, &[])?;
        let reply = self.ask(within, text, irql, |client, id, path, _| {
            client.directory(id, path)
        })?;
        Strings::parse(reply.as_bytes()).map_err(|_| Failure::Malformed)?;
        Ok(reply)
    }

    /// Writes a value.
    pub(crate) fn write(
        &self,
        within: Within,
        path: &[u8],
        value: &[u8],
        irql: &mut Passive<'_>,
    ) -> Result<(), Failure> {
        let text = Text::new(path, value)?;
        self.ask(within, text, irql, StoreClient::write).map(drop)
    }

    /// Removes a node and all below it; one that is not there is no error.
    pub(crate) fn remove(
        &self,
        within: Within,
        path: &[u8],
        irql: &mut Passive<'_>,
    ) -> Result<(), Failure> {
        let removed = self.ask(
            within,
            Text::new(path, &[])?,
            irql,
            |client, id, path, _| client.rm(id, path),
        );
        match removed {
            Ok(_) | Err(Failure::Store(StoreError::NotFound)) => Ok(()),
            Err(failure) => Err(failure),
        }
    }

    /// Has xenstored forget the watches and transactions of an earlier driver, or of this one.
    pub(crate) fn forget_earlier(&self, irql: &mut Passive<'_>) -> Result<(), Failure> {
        self.send(nothing()?, Wanted::Done, irql, |link, _| {
            Ok(link.client.reset_watches()?)
        })
        .map(drop)
    }

    /// Sends a request about a path and waits.
    fn ask(
        &self,
        within: Within,
        text: Text,
        irql: &mut Passive<'_>,
        make: impl Fn(
            &mut StoreClient,
            Option<TransactionId>,
            Path<'_>,
            &[u8],
        ) -> Result<RequestHandle, xenstore::client::SubmitError>,
    ) -> Result<Reply, Failure> {
        let (path_len, value_len) = (text.path, text.value);
        let waiter = self.send(text.bytes, Wanted::Bytes, irql, |link, bytes| {
            let id = within.find(link)?;
            let (path, rest) = bytes.split_at_checked(path_len).unwrap_or_default();
            let path = Path::from_bytes(path).map_err(|_| Refusal::Failed(Failure::BadPath))?;
            let value = rest.get(..value_len).unwrap_or_default();
            Ok(make(&mut link.client, id, path, value)?)
        })?;
        waiter.reply()
    }

    /// Queues a request as soon as there is room, and waits for its answer.
    pub(super) fn send(
        &self,
        mut buffer: PoolSlice<u8>,
        wanted: Wanted,
        irql: &mut Passive<'_>,
        submit: impl Fn(&mut Link, &[u8]) -> Result<RequestHandle, Refusal>,
    ) -> Result<Waiter, Failure> {
        let deadline = time::since_boot().saturating_add(TIMEOUT);
        let index = loop {
            let (queued, wakeups) = self
                .link
                .with(irql, |link, _| link.queue(buffer, wanted, &submit));
            self.wake(&wakeups, irql);
            buffer = match queued {
                Queued::As(index) => break index,
                Queued::Refused(failure) => {
                    // Whoever waits for room hears it too, one after another.
                    self.room.set(irql);
                    return Err(failure);
                }
                Queued::Later(buffer) => buffer,
            };
            if self.room.wait(Some(left(deadline)?), irql) == Wait::TimedOut {
                return Err(Failure::Timeout);
            }
        };
        // There may be room for one more.
        self.room.set(irql);
        let answered = self.answered.get(index).and_then(Option::as_ref);
        while let (Some(event), Ok(left)) = (answered, left(deadline)) {
            if event.wait(Some(left), irql) == Wait::TimedOut || self.has_answer(index, irql) {
                break;
            }
        }
        let waiter = self.link.with(irql, |link, _| link.take_waiter(index));
        // Somebody may wait for the room this leaves.
        self.room.set(irql);
        let waiter = waiter.ok_or(Failure::Closed)?;
        match waiter.answer {
            Some(Ok(_)) => Ok(waiter),
            Some(Err(failure)) => Err(failure),
            None => Err(Failure::Timeout),
        }
    }

    /// Whether a waiter has its answer: its event may be a leftover of the one before.
    fn has_answer(&self, index: usize, irql: &mut Passive<'_>) -> bool {
        self.link.with(irql, |link, _| link.is_answered(index))
    }
}

impl Waiter {
    /// The bytes of the answer.
    fn reply(self) -> Result<Reply, Failure> {
        match self.answer {
            Some(Ok(Answer::Bytes(len))) => Ok(Reply {
                bytes: self.buffer,
                len,
            }),
            Some(Err(failure)) => Err(failure),
            Some(Ok(Answer::Started(_) | Answer::Done)) | None => Err(Failure::Malformed),
        }
    }
}

/// The buffer of a request without bytes whose answer has none that matter: no memory is taken for it.
pub(super) fn nothing() -> Result<PoolSlice<u8>, Failure> {
    Ok(PoolSlice::try_from_fn(TAG, 0, |_| 0)?)
}

/// Time to the deadline.
fn left(deadline: Duration) -> Result<Duration, Failure> {
    deadline
        .checked_sub(time::since_boot())
        .filter(|left| !left.is_zero())
        .ok_or(Failure::Timeout)
}
