//! The client: requests in flight, replies in any order, watches. Bytes in, bytes out; it never waits.
//!
//! ```text
//!   read / write / watch ..            take -> Reply, Watch, WatchLost
//!            |                                    ^
//!         outbox --- output/sent --> ring --- input/filled --- inbox
//! ```
//!
//! # Rules
//!
//! - A request is accepted whole or not at all; the answer "not now" is [`SubmitError::TryLater`].
//! - Each accepted request ends in exactly one [`Incoming::Reply`] with its handle, unless it is abandoned.
//! - A handle is not given out again before that.
//! - A reply that matches no request is dropped and counted: it may answer an earlier user of the page.
//! - [`Corrupt`] latches: no bytes move until [`Client::reset`].

use xen_abi::domid::DomId;

use crate::error::StoreError;
use crate::inbox::Inbox;
use crate::incoming::Arrival;
use crate::number::{self, Decimal};
use crate::outbox::Outbox;
use crate::path::Path;
use crate::request::{IN_FLIGHT_MAX, InFlight, Purpose, RequestTable};
use crate::watch::{AddError, Removal, WatchTable};
use crate::wire::{HEADER_LEN, Header, MESSAGE_MAX, PAYLOAD_MAX, Permission, WatchEvent, XsType};

pub use crate::incoming::{
    Corrupt, Incoming, Reply, RequestError, RequestHandle, TransactionId, WatchId,
};
pub use crate::watch::{WATCH_PATH_MAX, WatchSlot};

/// Most requests that can be in flight at once.
pub const REQUESTS_MAX: usize = IN_FLIGHT_MAX;
/// Most permission entries in one [`Client::set_perms`] (`xenstored`'s default quota is 5).
pub const PERMISSIONS_MAX: usize = 8;

/// Why a request was not accepted. Nothing of it has been queued.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SubmitError {
    /// [`REQUESTS_MAX`] requests are in flight, or the outbox is full. Replies make room.
    TryLater,
    /// Path and value together are longer than a message.
    TooLong,
    /// The connection is latched; see [`Client::reset`].
    Closed,
}

/// Why a watch was not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WatchError {
    /// The request could not be queued.
    Submit(SubmitError),
    /// Each slot of the watch storage is in use.
    NoSlot,
    /// The path is longer than [`WATCH_PATH_MAX`].
    PathTooLong,
}

/// Why the removal of a watch was not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnwatchError {
    /// The request could not be queued; the watch stands.
    Submit(SubmitError),
    /// No such watch, or its removal is on the way.
    Unknown,
}

/// The storage is smaller than one message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StorageTooSmall;

/// Memory of a client, given by the caller (boxed slices in a driver).
#[derive(Debug)]
pub struct Storage<B, W> {
    /// Requests on their way out: at least [`MESSAGE_MAX`] bytes.
    pub outbox: B,
    /// The message being received: at least [`MESSAGE_MAX`] bytes.
    pub inbox: B,
    /// One slot per watch (`xenstored`'s default quota is 128).
    pub watches: W,
}

/// What the daemon did other than the protocol says, without harm.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Oddities {
    /// Replies that matched no request.
    pub unexpected_replies: u32,
    /// Events for watches that are not, or no longer, registered.
    pub unwanted_events: u32,
}

/// A `XenStore` client. See the module's documentation.
#[derive(Debug)]
pub struct Client<B, W> {
    outbox: Outbox<B>,
    inbox: Inbox<B>,
    requests: RequestTable,
    watches: WatchTable<W>,
    latched: Option<Corrupt>,
    oddities: Oddities,
}

impl<B: AsRef<[u8]> + AsMut<[u8]>, W: AsRef<[WatchSlot]> + AsMut<[WatchSlot]>> Client<B, W> {
    /// A client with nothing in flight.
    ///
    /// `first_id` is the first request id and the first watch token. Take one that differs from start to start
    /// (a clock), so that answers to an earlier user of the page are recognised as such.
    pub fn new(storage: Storage<B, W>, first_id: u32) -> Result<Self, StorageTooSmall> {
        let Storage {
            outbox,
            inbox,
            watches,
        } = storage;
        if outbox.as_ref().len() < MESSAGE_MAX || inbox.as_ref().len() < MESSAGE_MAX {
            return Err(StorageTooSmall);
        }
        Ok(Self {
            outbox: Outbox::new(outbox),
            inbox: Inbox::new(inbox),
            requests: RequestTable::new(first_id),
            watches: WatchTable::new(watches, first_id),
            latched: None,
            oddities: Oddities::default(),
        })
    }

    // ---- state -------------------------------------------------------------------------------------------------

    /// Why the connection is latched, if it is.
    pub fn latched(&self) -> Option<Corrupt> {
        self.latched
    }

    /// What the daemon did other than the protocol says, without harm.
    pub fn oddities(&self) -> Oddities {
        self.oddities
    }

    /// Requests without a reply yet, those abandoned included.
    pub fn in_flight(&self) -> usize {
        self.requests.count(|entry| !entry.failed)
    }

    /// Watches the caller has, those being removed included.
    pub fn watches(&self) -> usize {
        self.watches.count()
    }

    // ---- requests ----------------------------------------------------------------------------------------------

    /// Asks for the value of a key.
    pub fn read(
        &mut self,
        tx: Option<TransactionId>,
        path: Path<'_>,
    ) -> Result<RequestHandle, SubmitError> {
        self.submit(XsType::READ, tx, Purpose::Caller, &[path.as_bytes(), b"\0"])
    }

    /// Sets the value of a key, creating it and its parents.
    pub fn write(
        &mut self,
        tx: Option<TransactionId>,
        path: Path<'_>,
        value: &[u8],
    ) -> Result<RequestHandle, SubmitError> {
        self.submit(
            XsType::WRITE,
            tx,
            Purpose::Caller,
            &[path.as_bytes(), b"\0", value],
        )
    }

    /// Creates a key, if it is not there, with an empty value.
    pub fn mkdir(
        &mut self,
        tx: Option<TransactionId>,
        path: Path<'_>,
    ) -> Result<RequestHandle, SubmitError> {
        self.submit(
            XsType::MKDIR,
            tx,
            Purpose::Caller,
            &[path.as_bytes(), b"\0"],
        )
    }

    /// Removes a key and everything below it. `NotFound` if even its parent is not there.
    pub fn rm(
        &mut self,
        tx: Option<TransactionId>,
        path: Path<'_>,
    ) -> Result<RequestHandle, SubmitError> {
        self.submit(XsType::RM, tx, Purpose::Caller, &[path.as_bytes(), b"\0"])
    }

    /// Asks for the names of a key's children. `TooBig` if they do not fit in a message.
    pub fn directory(
        &mut self,
        tx: Option<TransactionId>,
        path: Path<'_>,
    ) -> Result<RequestHandle, SubmitError> {
        self.submit(
            XsType::DIRECTORY,
            tx,
            Purpose::Caller,
            &[path.as_bytes(), b"\0"],
        )
    }

    /// Asks for the names of a key's children from byte `offset` of the whole list on.
    pub fn directory_part(
        &mut self,
        tx: Option<TransactionId>,
        path: Path<'_>,
        offset: u32,
    ) -> Result<RequestHandle, SubmitError> {
        let offset = Decimal::new(u64::from(offset));
        let parts = [path.as_bytes(), b"\0", offset.as_bytes(), b"\0"];
        self.submit(XsType::DIRECTORY_PART, tx, Purpose::Caller, &parts)
    }

    /// Asks for a key's permissions.
    pub fn get_perms(
        &mut self,
        tx: Option<TransactionId>,
        path: Path<'_>,
    ) -> Result<RequestHandle, SubmitError> {
        self.submit(
            XsType::GET_PERMS,
            tx,
            Purpose::Caller,
            &[path.as_bytes(), b"\0"],
        )
    }

    /// Sets a key's permissions, at most [`PERMISSIONS_MAX`]; the first names owner and default.
    pub fn set_perms(
        &mut self,
        tx: Option<TransactionId>,
        path: Path<'_>,
        permissions: &[Permission],
    ) -> Result<RequestHandle, SubmitError> {
        // Letter, five digits, NUL.
        let mut text = [0_u8; PERMISSIONS_MAX.saturating_mul(7)];
        let mut room = &mut text[..];
        let mut len = 0_usize;
        for permission in permissions {
            let domid = Decimal::new(u64::from(permission.domid));
            for part in [&[permission.letter()][..], domid.as_bytes(), b"\0"] {
                let (head, tail) = room
                    .split_at_mut_checked(part.len())
                    .ok_or(SubmitError::TooLong)?;
                head.copy_from_slice(part);
                len = len.saturating_add(part.len());
                room = tail;
            }
        }
        let text = text.get(..len).unwrap_or_default();
        self.submit(
            XsType::SET_PERMS,
            tx,
            Purpose::Caller,
            &[path.as_bytes(), b"\0", text],
        )
    }

    /// Starts a transaction; see [`Reply::transaction`].
    pub fn transaction_start(&mut self) -> Result<RequestHandle, SubmitError> {
        self.submit(XsType::TRANSACTION_START, None, Purpose::Caller, &[b"\0"])
    }

    /// Ends a transaction: makes its changes visible, or drops them. `Again` if others were faster.
    pub fn transaction_end(
        &mut self,
        tx: TransactionId,
        commit: bool,
    ) -> Result<RequestHandle, SubmitError> {
        let verdict: &[u8] = if commit { b"T\0" } else { b"F\0" };
        self.submit(
            XsType::TRANSACTION_END,
            Some(tx),
            Purpose::Caller,
            &[verdict],
        )
    }

    /// Asks for the home directory of a domain.
    pub fn domain_path(&mut self, domid: DomId) -> Result<RequestHandle, SubmitError> {
        let domid = Decimal::new(u64::from(domid.0));
        self.submit(
            XsType::GET_DOMAIN_PATH,
            None,
            Purpose::Caller,
            &[domid.as_bytes(), b"\0"],
        )
    }

    /// Has the daemon drop all watches and transactions of this guest: those of an earlier driver. For start-up,
    /// before the first watch. Old daemons answer with an error, which may be ignored.
    pub fn reset_watches(&mut self) -> Result<RequestHandle, SubmitError> {
        self.submit(XsType::RESET_WATCHES, None, Purpose::Caller, &[b"\0"])
    }

    /// Registers a watch on a key and everything below it.
    ///
    /// Events may come before the reply. If the reply is an error, or `Disconnected`, the watch is gone.
    /// Otherwise it lasts, over resets too, until [`Client::unwatch`].
    pub fn watch(&mut self, path: Path<'_>) -> Result<(WatchId, RequestHandle), WatchError> {
        let id = self
            .watches
            .add(path.as_bytes())
            .map_err(|error| match error {
                AddError::Full => WatchError::NoSlot,
                AddError::PathTooLong => WatchError::PathTooLong,
            })?;
        match self.submit_watch(XsType::WATCH, id, Purpose::Watch(id)) {
            Ok(handle) => Ok((id, handle)),
            Err(error) => {
                self.watches.free(id);
                Err(WatchError::Submit(error))
            }
        }
    }

    /// Removes a watch. No event for it is handed out from now on.
    ///
    /// `None`: it is gone already (the daemon had forgotten it). Otherwise its slot is free after the reply,
    /// whatever that says.
    pub fn unwatch(&mut self, id: WatchId) -> Result<Option<RequestHandle>, UnwatchError> {
        match self.watches.removal(id).ok_or(UnwatchError::Unknown)? {
            Removal::Done => {
                self.watches.free(id);
                Ok(None)
            }
            Removal::Send => {
                let sent = self.submit_watch(XsType::UNWATCH, id, Purpose::Unwatch(id));
                let handle = sent.map_err(UnwatchError::Submit)?;
                self.watches.removing(id);
                Ok(Some(handle))
            }
        }
    }

    /// Stops waiting for a request (a time-out): its reply will be dropped. The request may still be carried out,
    /// and it counts as in flight until the reply. `false` if there is no such request or it belongs to a watch.
    pub fn abandon(&mut self, handle: RequestHandle) -> bool {
        self.requests.abandon(handle)
    }

    fn submit_watch(
        &mut self,
        kind: XsType,
        id: WatchId,
        purpose: Purpose,
    ) -> Result<RequestHandle, SubmitError> {
        let token = Decimal::new(u64::from(id.0));
        let mut text = [0_u8; WATCH_PATH_MAX];
        let path = self.watches.path(id).unwrap_or_default();
        let room = text.get_mut(..path.len()).ok_or(SubmitError::TooLong)?;
        room.copy_from_slice(path);
        let path: &[u8] = room;
        self.submit(kind, None, purpose, &[path, b"\0", token.as_bytes(), b"\0"])
    }

    fn submit(
        &mut self,
        kind: XsType,
        tx: Option<TransactionId>,
        purpose: Purpose,
        parts: &[&[u8]],
    ) -> Result<RequestHandle, SubmitError> {
        let mut len = 0_usize;
        for part in parts {
            len = len.checked_add(part.len()).ok_or(SubmitError::TooLong)?;
        }
        if len > PAYLOAD_MAX {
            return Err(SubmitError::TooLong);
        }
        if self.latched.is_some() {
            return Err(SubmitError::Closed);
        }
        if !self.requests.has_room() {
            return Err(SubmitError::TryLater);
        }
        let req_id = self.requests.fresh_id();
        let header = Header {
            kind,
            req_id,
            tx_id: tx.map_or(0, |tx| tx.0),
            len: u32::try_from(len).map_err(|_| SubmitError::TooLong)?,
        };
        self.outbox
            .push(&header, parts)
            .map_err(|_| SubmitError::TryLater)?;
        // There is room: it was looked for above.
        self.requests.insert(req_id, kind, purpose);
        Ok(RequestHandle(req_id))
    }

    // ---- bytes -------------------------------------------------------------------------------------------------

    /// The bytes to put on the ring next; empty if there are none. Follow with [`Client::sent`].
    ///
    /// Also queues watches that want registration again after a reset, as far as there is room.
    pub fn output(&mut self) -> &[u8] {
        if self.latched.is_some() {
            return &[];
        }
        while let Some(id) = self.watches.next_unregistered() {
            if self
                .submit_watch(XsType::WATCH, id, Purpose::Rewatch(id))
                .is_err()
            {
                break;
            }
            self.watches.registering(id);
        }
        self.outbox.waiting()
    }

    /// The first `count` bytes of [`Client::output`] are on the ring.
    pub fn sent(&mut self, count: usize) {
        self.outbox.sent(count);
    }

    /// Where the next bytes from the ring go: never beyond the end of a message. Empty while a message waits for
    /// [`Client::take`]. Follow with [`Client::filled`].
    pub fn input(&mut self) -> &mut [u8] {
        if self.inbox.taken {
            self.inbox.clear();
        }
        if self.latched.is_some() || self.inbox.is_complete() {
            return &mut [];
        }
        let wanted = self.inbox.wanted();
        self.inbox
            .storage
            .as_mut()
            .get_mut(self.inbox.filled..wanted)
            .unwrap_or_default()
    }

    /// The first `count` bytes of [`Client::input`] have been filled in.
    pub fn filled(&mut self, count: usize) -> Result<(), Corrupt> {
        if let Some(corrupt) = self.latched {
            return Err(corrupt);
        }
        self.inbox.filled = self
            .inbox
            .filled
            .saturating_add(count)
            .min(self.inbox.wanted());
        if self.inbox.header.is_none()
            && let Some(bytes) = self.inbox.storage.as_ref().first_chunk::<HEADER_LEN>()
            && self.inbox.filled >= HEADER_LEN
        {
            match Header::parse(bytes) {
                Ok(header) => self.inbox.header = Some(header),
                Err(error) => return self.latch(Corrupt::PayloadTooLong { len: error.len }),
            }
        }
        Ok(())
    }

    /// The next thing that came in, or `None`.
    ///
    /// First the requests that failed with the connection, then the message in the inbox.
    pub fn take(&mut self) -> Result<Option<Incoming<'_>>, Corrupt> {
        if let Some(handle) = self.requests.take_failed() {
            return Ok(Some(Incoming::Reply {
                handle,
                result: Err(RequestError::Disconnected),
            }));
        }
        if let Some(corrupt) = self.latched {
            return Err(corrupt);
        }
        let arrival = match self.inbox.header {
            Some(header) if self.inbox.is_complete() && !self.inbox.taken => self.sort(header)?,
            _ => return Ok(None),
        };
        self.inbox.taken = true;
        let payload = self.inbox.payload();
        Ok(match arrival {
            Arrival::Done(handle) => Some(Incoming::Reply {
                handle,
                result: Ok(Reply { payload }),
            }),
            Arrival::Failed(handle, error) => Some(Incoming::Reply {
                handle,
                result: Err(error),
            }),
            Arrival::Event(id) => {
                let path = WatchEvent::parse(payload).map_or(payload, |event| event.path);
                Some(Incoming::Watch { id, path })
            }
            Arrival::Lost(id, error) => Some(Incoming::WatchLost { id, error }),
            Arrival::Nothing => None,
        })
    }

    /// Whether [`Client::take`] has something to look at: a failed request, or a message.
    pub fn has_message(&self) -> bool {
        let message = self.inbox.is_complete() && !self.inbox.taken;
        self.requests.count(|entry| entry.failed) != 0 || (self.latched.is_none() && message)
    }

    fn sort(&mut self, header: Header) -> Result<Arrival, Corrupt> {
        if header.kind == XsType::WATCH_EVENT {
            return self.sort_event();
        }
        let Some(entry) = self.requests.remove(header.req_id) else {
            self.oddities.unexpected_replies = self.oddities.unexpected_replies.saturating_add(1);
            return Ok(Arrival::Nothing);
        };
        // The transaction id is not compared: request ids are unique over all transactions.
        let error = if header.kind == XsType::ERROR {
            Some(StoreError::parse(self.inbox.payload()))
        } else if header.kind == entry.kind {
            None
        } else {
            // The caller still waits: give the entry back, so that the reset reports it.
            self.requests.insert(entry.id, entry.kind, entry.purpose);
            return self.latch(Corrupt::WrongReplyType {
                expected: entry.kind.0,
                got: header.kind.0,
            });
        };
        Ok(self.settle(entry, error))
    }

    fn sort_event(&mut self) -> Result<Arrival, Corrupt> {
        let Ok(event) = WatchEvent::parse(self.inbox.payload()) else {
            return self.latch(Corrupt::MalformedWatchEvent);
        };
        let id = number::parse_u32(event.token).ok().map(WatchId);
        if let Some(id) = id.filter(|id| self.watches.wants_events(*id)) {
            return Ok(Arrival::Event(id));
        }
        self.oddities.unwanted_events = self.oddities.unwanted_events.saturating_add(1);
        Ok(Arrival::Nothing)
    }

    fn settle(&mut self, entry: InFlight, error: Option<StoreError>) -> Arrival {
        let handle = RequestHandle(entry.id);
        match (entry.purpose, error) {
            (Purpose::Abandoned, _) => return Arrival::Nothing,
            (Purpose::Rewatch(id), None | Some(StoreError::Exists)) => {
                self.watches.registered(id);
                return Arrival::Nothing;
            }
            (Purpose::Rewatch(id), Some(error)) => {
                let lost = self.watches.refused(id);
                return if lost {
                    Arrival::Lost(id, error)
                } else {
                    Arrival::Nothing
                };
            }
            (Purpose::Watch(id), None) => self.watches.registered(id),
            (Purpose::Watch(id), Some(_)) => {
                self.watches.refused(id);
            }
            (Purpose::Unwatch(id), _) => self.watches.free(id),
            (Purpose::Caller, _) => {}
        }
        match error {
            None => Arrival::Done(handle),
            Some(error) => Arrival::Failed(handle, RequestError::Store(error)),
        }
    }

    fn latch<T>(&mut self, corrupt: Corrupt) -> Result<T, Corrupt> {
        self.latched = Some(corrupt);
        Err(corrupt)
    }

    // ---- suspend and reconnection ------------------------------------------------------------------------------

    /// The connection is new: after a suspend, a migration or a reconnection.
    ///
    /// Everything in flight comes out of [`Client::take`] as `Disconnected`; transactions are gone; a watch whose
    /// first registration was in flight is gone; all others are registered again by [`Client::output`].
    /// The latch is cleared.
    pub fn reset(&mut self) {
        self.outbox.clear();
        self.inbox.clear();
        self.latched = None;
        let requests = &self.requests;
        self.watches.disconnected(|id| {
            requests.count(|entry| !entry.failed && entry.purpose == Purpose::Watch(id)) != 0
        });
        self.requests.fail_all();
    }
}
