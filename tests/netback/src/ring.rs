//! The backend's half of a shared ring, after the macros of Xen's `io/ring.h`.

use crate::host::SharedPage;

// Byte offsets in the ring page (xen/io/ring.h).
const REQ_PROD: usize = 0;
const REQ_EVENT: usize = 4;
const RSP_PROD: usize = 8;
const RSP_EVENT: usize = 12;
const SLOTS: usize = 64;

/// More requests published than the ring has slots.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Overflow(pub(crate) u32);

#[derive(Debug)]
pub(crate) struct BackRing<P> {
    page: P,
    entries: u32,
    slot_size: usize,
    pub(crate) req_cons: u32,
    pub(crate) rsp_prod_pvt: u32,
    /// `rsp_prod` as it was published last.
    pushed: u32,
    /// The value of `req_event` that the frontend saw last.
    armed: u32,
    /// `armed` was passed and its notification has come.
    credited: bool,
    /// An earlier `armed` was passed and its notification has not come yet.
    carried: bool,
    /// Since when `armed` is passed without a notification, nanoseconds.
    overdue_since: Option<u64>,
}

impl<P: SharedPage> BackRing<P> {
    /// Attaches where the ring stands: consumed and answered up to its `rsp_prod`.
    pub(crate) fn attach(page: P, entries: u32, slot_size: usize) -> Result<Self, P> {
        let rsp_prod = page.read_u32(RSP_PROD);
        let req_prod = page.read_u32(REQ_PROD);
        if req_prod.wrapping_sub(rsp_prod) > entries {
            return Err(page);
        }
        let armed = page.read_u32(REQ_EVENT);
        Ok(Self {
            page,
            entries,
            slot_size,
            req_cons: rsp_prod,
            rsp_prod_pvt: rsp_prod,
            pushed: rsp_prod,
            armed,
            credited: false,
            carried: false,
            overdue_since: None,
        })
    }

    pub(crate) fn into_page(self) -> P {
        self.page
    }

    fn slot(&self, index: u32) -> usize {
        SLOTS + (index & (self.entries - 1)) as usize * self.slot_size
    }

    /// Requests published and not consumed.
    pub(crate) fn published(&self) -> Result<u32, Overflow> {
        let ahead = self.page.read_u32(REQ_PROD).wrapping_sub(self.req_cons);
        if ahead > self.entries {
            return Err(Overflow(ahead));
        }
        Ok(ahead)
    }

    /// Requests that may be consumed: published, and with room for their responses.
    pub(crate) fn unconsumed(&self) -> Result<u32, Overflow> {
        // Negative after a duplicate answer (hostile modes).
        let owed = self.req_cons.wrapping_sub(self.rsp_prod_pvt) as i32;
        let room = self.entries.saturating_sub(owed.max(0) as u32);
        Ok(self.published()?.min(room))
    }

    /// A private copy of the words of slot `index`.
    pub(crate) fn words<const N: usize>(&self, index: u32) -> [u32; N] {
        let at = self.slot(index);
        core::array::from_fn(|i| self.page.read_u32(at + 4 * i))
    }

    /// Writes the first `N` words of slot `index`.
    pub(crate) fn put_words<const N: usize>(&self, index: u32, words: [u32; N]) {
        let at = self.slot(index);
        for (i, word) in words.into_iter().enumerate() {
            self.page.write_u32(at + 4 * i, word);
        }
    }

    /// `RING_PUSH_RESPONSES_AND_CHECK_NOTIFY`, if there is anything to push.
    #[must_use]
    pub(crate) fn push(&mut self) -> bool {
        let (old, new) = (self.pushed, self.rsp_prod_pvt);
        if old == new {
            return false;
        }
        self.pushed = new;
        self.page.write_u32(RSP_PROD, new);
        let rsp_event = self.page.read_u32(RSP_EVENT);
        new.wrapping_sub(rsp_event) < new.wrapping_sub(old)
    }

    /// Writes any `rsp_prod`: for hostile modes.
    pub(crate) fn force_rsp_prod(&self, value: u32) {
        self.page.write_u32(RSP_PROD, value);
    }

    fn passed(&self) -> bool {
        (self.page.read_u32(REQ_PROD).wrapping_sub(self.armed) as i32) >= 0
    }

    /// Asks for a notification when `req_prod` passes `event`.
    fn arm(&mut self, event: u32) {
        if event != self.armed {
            self.carried |= self.passed() && !self.credited;
            self.credited = false;
            self.armed = event;
            self.page.write_u32(REQ_EVENT, event);
        }
    }

    /// Requests came while arming: the frontend may have seen the old `req_event` or the new one, so a
    /// notification is neither owed nor wrong.
    fn excuse(&mut self) {
        self.credited = true;
        self.carried = true;
    }

    /// `RING_FINAL_CHECK_FOR_REQUESTS`: whether there is more; if not, the next request notifies.
    pub(crate) fn final_check(&mut self) -> bool {
        if self.has_requests() {
            return true;
        }
        self.arm(self.req_cons.wrapping_add(1));
        let more = self.has_requests();
        if more {
            self.excuse();
        }
        more
    }

    fn has_requests(&self) -> bool {
        !matches!(self.unconsumed(), Ok(0))
    }

    /// The RX side's question: are `needed` requests there? If not, the next one notifies.
    pub(crate) fn has_or_arm(&mut self, needed: u32) -> Result<bool, Overflow> {
        loop {
            let published = self.published()?;
            if published >= needed {
                return Ok(true);
            }
            let req_prod = self.req_cons.wrapping_add(published);
            self.arm(req_prod.wrapping_add(1));
            if self.page.read_u32(REQ_PROD) == req_prod {
                return Ok(false);
            }
            self.excuse();
        }
    }

    /// An event came: did this ring's frontend have a reason to send it?
    pub(crate) fn credit_event(&mut self) -> bool {
        self.overdue_since = None;
        if self.carried {
            self.carried = false;
            return true;
        }
        if self.passed() && !self.credited {
            self.credited = true;
            return true;
        }
        false
    }

    /// Whether `armed` was passed at least `patience_ns` ago and no event came. Says so once.
    pub(crate) fn notification_overdue(&mut self, now_ns: u64, patience_ns: u64) -> bool {
        if self.credited || !self.passed() {
            self.overdue_since = None;
            return false;
        }
        let since = *self.overdue_since.get_or_insert(now_ns);
        if now_ns.saturating_sub(since) < patience_ns {
            return false;
        }
        self.credited = true;
        true
    }
}

#[cfg(test)]
mod tests {
    use std::cell::{Cell, RefCell};

    use super::*;

    /// A ring page whose frontend publishes one more request right after `req_event` is written.
    #[derive(Default)]
    struct Racing {
        words: RefCell<Vec<u32>>,
        race: Cell<bool>,
    }

    impl SharedPage for Racing {
        fn read_u32(&self, at: usize) -> u32 {
            self.words.borrow()[at / 4]
        }
        fn write_u32(&self, at: usize, value: u32) {
            self.words.borrow_mut()[at / 4] = value;
            if at == REQ_EVENT && self.race.replace(false) {
                self.words.borrow_mut()[REQ_PROD / 4] += 1;
            }
        }
        fn read(&self, _: usize, _: &mut [u8]) {}
        fn write(&self, _: usize, _: &[u8]) {}
    }

    fn ring(req_prod: u32) -> BackRing<Racing> {
        let page = Racing::default();
        page.words.borrow_mut().resize(1024, 0);
        page.write_u32(REQ_EVENT, 1);
        page.write_u32(REQ_PROD, req_prod);
        BackRing::attach(page, 256, 8).map_err(drop).unwrap()
    }

    #[test]
    fn request_during_the_final_check_is_found_and_owes_nothing() {
        let mut ring = ring(2);
        ring.req_cons = 2;
        ring.page.race.set(true);
        assert!(ring.final_check());
        assert!(!ring.notification_overdue(0, 0));
        assert!(ring.credit_event(), "but may have been announced");
    }

    #[test]
    fn request_while_the_rx_side_arms_is_counted() {
        let mut ring = ring(2);
        ring.page.race.set(true);
        assert_eq!(ring.has_or_arm(3), Ok(true));
        assert!(!ring.notification_overdue(0, 0));
    }

    #[test]
    fn attach_refuses_more_than_a_ring() {
        assert!(BackRing::attach(ring(257 - 1).page, 256, 8).is_ok());
        let page = ring(0).page;
        page.write_u32(REQ_PROD, 257);
        assert!(BackRing::attach(page, 256, 8).is_err());
    }

    #[test]
    fn an_event_needs_a_crossing() {
        let mut ring = ring(0);
        assert!(!ring.credit_event());
        ring.page.write_u32(REQ_PROD, 1);
        assert!(ring.credit_event());
        assert!(!ring.credit_event());
    }
}
