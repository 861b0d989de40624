//! What the store's lock guards: the client, its ring, and who waits for what.
//!
//! Everything here is bounded and runs at `DISPATCH_LEVEL`.

use nt::log_error;
use nt::pool::PoolSlice;
use nt::status::{Result, Status};
use xenstore::client::{
    Client, Incoming, REQUESTS_MAX, RequestError, RequestHandle, Storage as ClientStorage,
    SubmitError, TransactionId, WatchSlot,
};
use xenstore::pump;
use xenstore::ring::{Kick, Ring};
use xenstore::wire::MESSAGE_MAX;

use super::request::Failure;
use super::transaction::Transactions;
use super::watch::Watches;
use crate::hole::StorePage;
use crate::owned::Storage;

/// Messages taken from the ring in one go; what is left is for the next.
const MESSAGES_MAX: u32 = 64;

/// The client with this driver's kind of memory.
pub(super) type StoreClient = Client<Storage<u8>, Storage<WatchSlot>>;

/// What to do when the lock is free again.
#[derive(Debug, Default)]
pub(super) struct Wakeups {
    /// Waiters that have an answer, as bits.
    pub(super) answers: u32,
    /// A watch has something to tell.
    pub(super) watches: bool,
    /// xenstored waits to be notified.
    pub(super) notify: bool,
    /// More may be on the ring.
    pub(super) more: bool,
}

const _: () = assert!(REQUESTS_MAX <= 32, "a bit for each waiter");

impl Wakeups {
    /// Whether waiter `index` has an answer.
    pub(super) fn has_answer(&self, index: usize) -> bool {
        self.answers & bit(index) != 0
    }

    fn kick(&mut self, kick: Kick) {
        self.notify |= kick == Kick::Notify;
    }
}

/// What a waiter wants of its answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wanted {
    /// The bytes.
    Bytes,
    /// The name of a new transaction.
    Transaction,
    /// That it was done. Such a request needs no buffer, so that what ends something can always be sent.
    Done,
}

/// A successful answer.
#[derive(Debug, Clone, Copy)]
pub(super) enum Answer {
    /// Bytes of the buffer.
    Bytes(usize),
    /// A transaction was started.
    Started(TransactionId),
    /// It was done.
    Done,
}

/// Somebody who waits for an answer.
#[derive(Debug)]
pub(super) struct Waiter {
    handle: RequestHandle,
    wanted: Wanted,
    /// Where the answer's bytes go.
    pub(super) buffer: PoolSlice<u8>,
    pub(super) answer: Option<core::result::Result<Answer, Failure>>,
}

#[derive(Debug)]
pub(super) struct Link {
    pub(super) client: StoreClient,
    pub(super) watches: Watches,
    pub(super) transactions: Transactions,
    ring: Ring,
    page: StorePage,
    waiters: [Option<Waiter>; REQUESTS_MAX],
    /// No request is accepted for now.
    paused: bool,
    /// No request will be accepted again, or only after a resume.
    closed: bool,
}

/// Whether a request was queued.
pub(super) enum Queued {
    /// Yes; this waiter gets the answer.
    As(usize),
    /// Not now: no room, or paused.
    Later(PoolSlice<u8>),
    /// Never.
    Refused(Failure),
}

impl Link {
    pub(super) fn new(page: StorePage, first_id: u32) -> Result<Self> {
        let client = Client::new(
            ClientStorage {
                outbox: Storage::try_new(OUTBOX, &0)?,
                inbox: Storage::try_new(MESSAGE_MAX, &0)?,
                watches: Storage::try_new(super::watch::WATCHES_MAX, &WatchSlot::EMPTY)?,
            },
            first_id,
        )
        .map_err(|_| Status::INSUFFICIENT_RESOURCES)?;
        let (ring, leftovers) = Ring::attach(page.interface()).map_err(|error| {
            log_error!("XenStore's ring is broken: {error:?}");
            Status::DEVICE_CONFIGURATION_ERROR
        })?;
        if leftovers.requests != 0 {
            nt::log_warn!("{} bytes of requests before us", leftovers.requests);
        }
        Ok(Self {
            client,
            watches: Watches::new()?,
            transactions: Transactions::new(),
            ring,
            page,
            waiters: [const { None }; REQUESTS_MAX],
            paused: false,
            closed: false,
        })
    }

    /// Queues a request that `submit` makes, and sends it if the ring has room.
    pub(super) fn queue(
        &mut self,
        buffer: PoolSlice<u8>,
        wanted: Wanted,
        submit: impl FnOnce(&mut Self, &[u8]) -> core::result::Result<RequestHandle, Refusal>,
    ) -> (Queued, Wakeups) {
        if self.closed {
            return (Queued::Refused(Failure::Closed), Wakeups::default());
        }
        let free = self.waiters.iter().position(Option::is_none);
        let Some(index) = free.filter(|_| !self.paused) else {
            return (Queued::Later(buffer), Wakeups::default());
        };
        let handle = match submit(self, &buffer) {
            Ok(handle) => handle,
            Err(Refusal::Submit(SubmitError::TryLater)) => {
                return (Queued::Later(buffer), Wakeups::default());
            }
            Err(refusal) => return (Queued::Refused(refusal.into()), Wakeups::default()),
        };
        if let Some(place) = self.waiters.get_mut(index) {
            *place = Some(Waiter {
                handle,
                wanted,
                buffer,
                answer: None,
            });
        }
        let mut wakeups = Wakeups::default();
        self.transmit(&mut wakeups);
        (Queued::As(index), wakeups)
    }

    /// Takes a waiter away: answered, or no longer waiting.
    pub(super) fn take_waiter(&mut self, index: usize) -> Option<Waiter> {
        let waiter = self.waiters.get_mut(index)?.take()?;
        if waiter.answer.is_none() {
            self.client.abandon(waiter.handle);
        }
        Some(waiter)
    }

    /// Whether a waiter has its answer, or is gone.
    pub(super) fn is_answered(&self, index: usize) -> bool {
        let waiter = self.waiters.get(index).and_then(Option::as_ref);
        waiter.is_none_or(|waiter| waiter.answer.is_some())
    }

    /// Moves bytes both ways and hands out what came.
    pub(super) fn exchange(&mut self) -> Wakeups {
        let mut wakeups = Wakeups::default();
        self.transmit(&mut wakeups);
        wakeups.more = true;
        for _ in 0..MESSAGES_MAX {
            if !self.receive(&mut wakeups) {
                wakeups.more = false;
                break;
            }
        }
        // Registrations that a resume has made due, and what waited for room.
        self.transmit(&mut wakeups);
        wakeups
    }

    fn transmit(&mut self, wakeups: &mut Wakeups) {
        if self.paused || self.closed {
            return;
        }
        match pump::transmit(self.page.interface(), &mut self.ring, &mut self.client) {
            Ok(kick) => wakeups.kick(kick),
            Err(error) => {
                log_error!("XenStore's ring is broken: {error:?}");
                self.fail(wakeups);
            }
        }
    }

    /// Takes one message; `false` when there is none.
    fn receive(&mut self, wakeups: &mut Wakeups) -> bool {
        if self.paused || self.closed {
            return false;
        }
        match pump::receive(self.page.interface(), &mut self.ring, &mut self.client) {
            Ok(received) => {
                wakeups.kick(received.kick);
                received.message && self.hand_out(wakeups)
            }
            Err(error) => {
                log_error!("XenStore is out of step: {error:?}");
                self.fail(wakeups);
                false
            }
        }
    }

    /// Hands out one message; `false` when the connection is of no more use.
    fn hand_out(&mut self, wakeups: &mut Wakeups) -> bool {
        match self.client.take() {
            Ok(Some(Incoming::Reply { handle, result })) => {
                let mut waiters = self.waiters.iter_mut().flatten();
                let waiting = |it: &&mut Waiter| it.handle == handle && it.answer.is_none();
                if let Some(waiter) = waiters.find(waiting) {
                    waiter.settle(result);
                }
                wakeups.answers |= self.answered();
                true
            }
            Ok(Some(Incoming::Watch { id, .. })) => {
                wakeups.watches |= self.watches.fired(id);
                true
            }
            Ok(Some(Incoming::WatchLost { id, error })) => {
                log_error!("a watch is lost: {error:?}");
                self.watches.lost(id);
                true
            }
            Ok(None) => true,
            Err(error) => {
                log_error!("XenStore is out of step: {error:?}");
                self.fail(wakeups);
                false
            }
        }
    }

    /// Waiters that have an answer, as bits.
    fn answered(&self) -> u32 {
        let waiters = self.waiters.iter().enumerate();
        waiters
            .filter(|(_, waiter)| waiter.as_ref().is_some_and(|it| it.answer.is_some()))
            .fold(0, |bits, (index, _)| bits | bit(index))
    }

    /// The connection is of no more use until a resume: fails all who wait.
    fn fail(&mut self, wakeups: &mut Wakeups) {
        self.closed = true;
        for waiter in self.waiters.iter_mut().flatten() {
            if waiter.answer.is_none() {
                waiter.answer = Some(Err(Failure::Closed));
            }
        }
        wakeups.answers |= self.answered();
    }

    /// The end: fails all who wait and will come.
    pub(super) fn close(&mut self) -> Wakeups {
        let mut wakeups = Wakeups::default();
        self.fail(&mut wakeups);
        wakeups
    }

    pub(super) fn set_paused(&mut self, paused: bool) {
        self.paused = paused;
    }

    /// Frame of the page, as Xen named it.
    pub(super) fn page_gfn(&self) -> u64 {
        self.page.gfn()
    }

    /// Starts over on the connection of a resumed domain, on `page` if it moved. Gives the old page.
    pub(super) fn reattach(&mut self, page: Option<StorePage>) -> (Option<StorePage>, Wakeups) {
        let old = page.map(|page| core::mem::replace(&mut self.page, page));
        let mut wakeups = Wakeups::default();
        self.client.reset();
        self.transactions.reset();
        self.paused = false;
        self.closed = false;
        match Ring::attach(self.page.interface()) {
            Ok((ring, _)) => {
                self.ring = ring;
                // The failures of the requests of before, and the registrations.
                while self.client.has_message() && self.hand_out(&mut wakeups) {}
                self.transmit(&mut wakeups);
            }
            Err(error) => {
                log_error!("XenStore's ring is broken: {error:?}");
                self.fail(&mut wakeups);
            }
        }
        (old, wakeups)
    }
}

/// Bytes of requests that may wait for room in the ring.
const OUTBOX: usize = 4 * MESSAGE_MAX;

/// Why a request was not made.
#[derive(Debug, Clone, Copy)]
pub(super) enum Refusal {
    /// The client did not take it.
    Submit(SubmitError),
    /// There is no use in making it.
    Failed(Failure),
}

impl From<SubmitError> for Refusal {
    fn from(error: SubmitError) -> Self {
        Self::Submit(error)
    }
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Submit(SubmitError::TooLong) => Self::TooLong,
            Refusal::Submit(SubmitError::TryLater | SubmitError::Closed) => Self::Closed,
            Refusal::Failed(failure) => failure,
        }
    }
}

impl Waiter {
    fn settle(&mut self, result: core::result::Result<xenstore::client::Reply<'_>, RequestError>) {
        self.answer = Some(match result {
            Ok(reply) => match self.wanted {
                Wanted::Done => Ok(Answer::Done),
                Wanted::Transaction => reply
                    .transaction()
                    .map(Answer::Started)
                    .map_err(|_| Failure::Malformed),
                Wanted::Bytes => {
                    let value = reply.value();
                    match self.buffer.get_mut(..value.len()) {
                        Some(room) => {
                            room.copy_from_slice(value);
                            Ok(Answer::Bytes(value.len()))
                        }
                        None => Err(Failure::Malformed),
                    }
                }
            },
            Err(RequestError::Store(error)) => Err(Failure::Store(error)),
            Err(RequestError::Disconnected) => Err(Failure::Disconnected),
        });
    }
}

fn bit(index: usize) -> u32 {
    u32::try_from(index)
        .ok()
        .and_then(|index| 1_u32.checked_shl(index))
        .unwrap_or(0)
}
