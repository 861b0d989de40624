//! Bytes of requests that wait for room in the ring.

use crate::wire::{HEADER_LEN, Header};

/// A byte queue in the caller's storage; whole messages go in, any number of bytes comes out.
#[derive(Debug)]
pub(crate) struct Outbox<B> {
    storage: B,
    start: usize,
    end: usize,
}

/// The message does not fit behind those that wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Full;

impl<B: AsRef<[u8]> + AsMut<[u8]>> Outbox<B> {
    pub(crate) fn new(storage: B) -> Self {
        Self {
            storage,
            start: 0,
            end: 0,
        }
    }

    /// Queues one message: header, then the parts one after another.
    pub(crate) fn push(&mut self, header: &Header, parts: &[&[u8]]) -> Result<(), Full> {
        let len = HEADER_LEN.checked_add(header.payload_len()).ok_or(Full)?;
        let storage = self.storage.as_mut();
        if self
            .end
            .checked_add(len)
            .is_none_or(|end| end > storage.len())
        {
            storage.copy_within(self.start..self.end, 0);
            self.end = self.end.saturating_sub(self.start);
            self.start = 0;
        }
        let end = self.end.checked_add(len).ok_or(Full)?;
        let mut room = storage.get_mut(self.end..end).ok_or(Full)?;
        for part in core::iter::once(&header.emit()[..]).chain(parts.iter().copied()) {
            let (head, tail) = room.split_at_mut_checked(part.len()).ok_or(Full)?;
            head.copy_from_slice(part);
            room = tail;
        }
        self.end = end;
        Ok(())
    }

    pub(crate) fn waiting(&self) -> &[u8] {
        self.storage
            .as_ref()
            .get(self.start..self.end)
            .unwrap_or_default()
    }

    /// Drops the first `count` bytes: they are in the ring.
    pub(crate) fn sent(&mut self, count: usize) {
        self.start = self.start.saturating_add(count).min(self.end);
        if self.start == self.end {
            self.clear();
        }
    }

    pub(crate) fn clear(&mut self) {
        self.start = 0;
        self.end = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::XsType;

    fn header(len: u32) -> Header {
        Header {
            kind: XsType::READ,
            req_id: 1,
            tx_id: 0,
            len,
        }
    }

    #[test]
    fn room_of_sent_bytes_is_used_again() {
        let mut outbox = Outbox::new([0_u8; 48]);
        outbox.push(&header(8), &[b"abcd", b"efgh"]).unwrap();
        outbox.push(&header(8), &[b"ijklmnop"]).unwrap();
        assert_eq!(outbox.push(&header(0), &[]), Err(Full));
        outbox.sent(20);
        assert_eq!(&outbox.waiting()[..4], b"efgh");
        outbox.push(&header(4), &[b"1234"]).unwrap();
        assert_eq!(&outbox.waiting()[..4], b"efgh");
        assert_eq!(outbox.waiting().len(), 4 + 24 + 20);
        assert_eq!(&outbox.waiting()[44..], b"1234");
        outbox.sent(1000);
        assert!(outbox.waiting().is_empty());
    }
}
