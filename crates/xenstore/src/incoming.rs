//! What comes out of a client: replies, watch events, failures, and the names they go by.

use crate::error::StoreError;
use crate::number;
use crate::wire::{DirectoryPart, Malformed, Permission, Strings};

/// Names one request until its reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RequestHandle(pub(crate) u32);

/// Names one watch until it is removed, refused or lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct WatchId(pub(crate) u32);

/// A transaction the daemon has started; never 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TransactionId(pub(crate) u32);

/// How a request failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequestError {
    /// The daemon answered with an error.
    Store(StoreError),
    /// The connection was reset before the answer. Whether the request was carried out is not known.
    Disconnected,
}

/// The daemon broke the protocol; the stream cannot be trusted any further.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Corrupt {
    /// A header names more than 4096 bytes.
    PayloadTooLong {
        /// The length named.
        len: u32,
    },
    /// A reply carries neither the type of its request nor `ERROR`.
    WrongReplyType {
        /// Type of the request.
        expected: u32,
        /// Type of the reply.
        got: u32,
    },
    /// A watch event without two terminated strings.
    MalformedWatchEvent,
}

/// A successful reply, borrowed from the inbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reply<'a> {
    pub(crate) payload: &'a [u8],
}

impl<'a> Reply<'a> {
    /// The payload as it came; the value, for a read.
    pub fn value(self) -> &'a [u8] {
        self.payload
    }

    /// Names of the children, for a directory.
    pub fn names(self) -> Result<Strings<'a>, Malformed> {
        Strings::parse(self.payload)
    }

    /// A piece of a directory, for a directory part.
    pub fn directory_part(self) -> Result<DirectoryPart<'a>, Malformed> {
        DirectoryPart::parse(self.payload)
    }

    /// The entries, for permissions.
    pub fn permissions(
        self,
    ) -> Result<impl Iterator<Item = Result<Permission, Malformed>>, Malformed> {
        Ok(Strings::parse(self.payload)?.map(Permission::parse))
    }

    /// The new transaction, for a transaction start.
    pub fn transaction(self) -> Result<TransactionId, Malformed> {
        let text = self.payload.strip_suffix(&[0]).unwrap_or(self.payload);
        match number::parse_u32(text)? {
            0 => Err(Malformed),
            id => Ok(TransactionId(id)),
        }
    }
}

/// One thing that came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Incoming<'a> {
    /// A request has ended.
    Reply {
        /// Which one.
        handle: RequestHandle,
        /// How.
        result: Result<Reply<'a>, RequestError>,
    },
    /// A watched key, or one below it, may have changed. Each registration causes one event at once.
    Watch {
        /// Which watch.
        id: WatchId,
        /// The key, as the daemon spells it: not checked.
        path: &'a [u8],
    },
    /// A watch could not be registered again after a reset; it is gone.
    WatchLost {
        /// Which watch.
        id: WatchId,
        /// Why.
        error: StoreError,
    },
}

/// [`Incoming`] before it borrows the inbox.
pub(crate) enum Arrival {
    Done(RequestHandle),
    Failed(RequestHandle, RequestError),
    Event(WatchId),
    Lost(WatchId, StoreError),
    Nothing,
}
