//! The message being received.

use crate::wire::{HEADER_LEN, Header};

/// The message being received.
#[derive(Debug)]
pub(crate) struct Inbox<B> {
    pub(crate) storage: B,
    pub(crate) filled: usize,
    /// Present once the header is complete; its length is checked.
    pub(crate) header: Option<Header>,
    /// The message has been handed out; its bytes may be overwritten at the next call.
    pub(crate) taken: bool,
}

impl<B: AsRef<[u8]> + AsMut<[u8]>> Inbox<B> {
    pub(crate) fn new(storage: B) -> Self {
        Self {
            storage,
            filled: 0,
            header: None,
            taken: false,
        }
    }

    /// Bytes of the message as far as its length is known: the header, or header and payload.
    pub(crate) fn wanted(&self) -> usize {
        let payload = self.header.map_or(0, |header| header.payload_len());
        HEADER_LEN.saturating_add(payload)
    }

    pub(crate) fn is_complete(&self) -> bool {
        self.header.is_some() && self.filled >= self.wanted()
    }

    pub(crate) fn clear(&mut self) {
        self.filled = 0;
        self.header = None;
        self.taken = false;
    }

    pub(crate) fn payload(&self) -> &[u8] {
        self.storage
            .as_ref()
            .get(HEADER_LEN..self.wanted())
            .unwrap_or_default()
    }
}
