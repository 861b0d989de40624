//! The names of a key's children, however many: `DIRECTORY`, and `DIRECTORY_PART` when that is too small.
//!
//! Used like a transaction script: `drive`, `on_reply`, `drive`, ... The names gather in a buffer of the caller's.

use crate::client::{Client, Reply, RequestError, RequestHandle, SubmitError, WatchSlot};
use crate::error::StoreError;
use crate::path::Path;

/// How often a listing starts over because the directory changed between two parts.
const RESTARTS_MAX: u8 = 4;

/// Why there is no listing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ListingError {
    /// The directory changed again and again. Try later.
    Changing,
    /// The daemon refused.
    Store(StoreError),
    /// The names do not fit in the caller's buffer.
    BufferTooSmall,
    /// A reply made no sense.
    Malformed,
    /// The connection was reset, or is latched.
    Disconnected,
}

/// How far a listing is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// A reply, or room for a request, is awaited.
    Waiting,
    /// Bytes of names at the start of the buffer (for [`crate::wire::Strings::parse`]), or why not.
    Finished(Result<usize, ListingError>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    AskWhole,
    Whole(RequestHandle),
    AskPart,
    Part(RequestHandle),
    Finished(Result<usize, ListingError>),
}

/// A listing being made.
#[derive(Debug)]
pub struct Listing {
    phase: Phase,
    generation: Option<u64>,
    len: usize,
    restarts: u8,
}

impl Default for Listing {
    fn default() -> Self {
        Self::new()
    }
}

impl Listing {
    /// A listing that has not asked yet.
    pub fn new() -> Self {
        Self {
            phase: Phase::AskWhole,
            generation: None,
            len: 0,
            restarts: 0,
        }
    }

    /// Queues the next request, if one is due. `path` is the same every time.
    pub fn drive<B, W>(&mut self, client: &mut Client<B, W>, path: Path<'_>) -> Progress
    where
        B: AsRef<[u8]> + AsMut<[u8]>,
        W: AsRef<[WatchSlot]> + AsMut<[WatchSlot]>,
    {
        let asked = match self.phase {
            Phase::AskWhole => client.directory(None, path).map(Phase::Whole),
            Phase::AskPart => {
                // A directory of 4 GiB does not fit in any buffer.
                let offset = u32::try_from(self.len).unwrap_or(u32::MAX);
                client.directory_part(None, path, offset).map(Phase::Part)
            }
            phase => Ok(phase),
        };
        match asked {
            Ok(phase) => self.phase = phase,
            Err(SubmitError::TryLater) => {}
            Err(SubmitError::Closed | SubmitError::TooLong) => {
                self.fail(ListingError::Disconnected);
            }
        }
        match self.phase {
            Phase::Finished(result) => Progress::Finished(result),
            _ => Progress::Waiting,
        }
    }

    /// Takes a reply, if it is the listing's; `true` if it was. `buffer` is the same every time.
    pub fn on_reply(
        &mut self,
        handle: RequestHandle,
        result: &Result<Reply<'_>, RequestError>,
        buffer: &mut [u8],
    ) -> bool {
        let whole = match self.phase {
            Phase::Whole(own) if own == handle => true,
            Phase::Part(own) if own == handle => false,
            _ => return false,
        };
        match result {
            Ok(reply) if whole => self.on_whole(*reply, buffer),
            Ok(reply) => self.on_part(*reply, buffer),
            Err(RequestError::Store(StoreError::TooBig)) if whole => self.phase = Phase::AskPart,
            Err(RequestError::Store(error)) => self.fail(ListingError::Store(*error)),
            Err(RequestError::Disconnected) => self.fail(ListingError::Disconnected),
        }
        true
    }

    fn on_whole(&mut self, reply: Reply<'_>, buffer: &mut [u8]) {
        if reply.names().is_err() {
            return self.fail(ListingError::Malformed);
        }
        self.append(reply.value(), buffer, true);
    }

    fn on_part(&mut self, reply: Reply<'_>, buffer: &mut [u8]) {
        let Ok(part) = reply.directory_part() else {
            return self.fail(ListingError::Malformed);
        };
        if self
            .generation
            .is_some_and(|generation| generation != part.generation)
        {
            self.restarts = self.restarts.saturating_add(1);
            self.generation = None;
            self.len = 0;
            if self.restarts > RESTARTS_MAX {
                return self.fail(ListingError::Changing);
            }
            self.phase = Phase::AskPart;
            return;
        }
        if part.names.is_empty() && !part.last {
            // No progress: asking again would never end.
            return self.fail(ListingError::Malformed);
        }
        self.generation = Some(part.generation);
        self.append(part.names, buffer, part.last);
    }

    fn append(&mut self, names: &[u8], buffer: &mut [u8], last: bool) {
        let end = self.len.saturating_add(names.len());
        let Some(room) = buffer.get_mut(self.len..end) else {
            return self.fail(ListingError::BufferTooSmall);
        };
        room.copy_from_slice(names);
        self.len = end;
        self.phase = if last {
            Phase::Finished(Ok(end))
        } else {
            Phase::AskPart
        };
    }

    fn fail(&mut self, error: ListingError) {
        self.phase = Phase::Finished(Err(error));
    }
}
