//! The ring itself: private indices beside a page that the peer writes too.

use core::fmt;
use core::sync::atomic::Ordering;

use crate::notify::{Kick, Recheck, event_crossed};
use crate::page::RingPage;

/// Word offsets of the shared header (`DEFINE_RING_TYPES` in ring.h).
mod header {
    pub(super) const REQ_PROD: usize = 0;
    pub(super) const REQ_EVENT: usize = 1;
    pub(super) const RSP_PROD: usize = 2;
    pub(super) const RSP_EVENT: usize = 3;
    /// 64 bytes before the first entry.
    pub(super) const WORDS: usize = 16;
}

/// The memory has no room for one entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PageTooSmall;

/// No free slot: consume responses first. Says nothing bad about the peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full;

/// The peer broke the protocol: the ring must not be used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Corrupt {
    /// `rsp_prod` claims more responses than there are unanswered requests.
    Overflow {
        /// The value read.
        rsp_prod: u32,
        /// The highest value that was possible.
        limit: u32,
    },
    /// `rsp_prod` is behind a value that was read before.
    Backwards {
        /// The value read.
        rsp_prod: u32,
        /// The value read before it.
        seen: u32,
    },
}

/// A response, copied out of the ring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Response<const RSP: usize> {
    /// Free-running index of the slot it was in.
    pub index: u32,
    /// Its words.
    pub words: [u32; RSP],
}

/// A netif transmit ring: 12-byte requests, 4-byte responses.
pub type TxRing<P> = FrontRing<P, 3, 1>;
/// A netif receive ring: 8-byte requests, 8-byte responses.
pub type RxRing<P> = FrontRing<P, 2, 2>;
/// A netif control ring: 16-byte requests, 12-byte responses.
pub type CtrlRing<P> = FrontRing<P, 4, 3>;

/// The frontend's side of one ring; `REQ` and `RSP` are the lengths in words of a request (and
/// slot) and of a response.
pub struct FrontRing<P, const REQ: usize, const RSP: usize> {
    page: P,
    /// Slots; a power of two.
    size: u32,
    /// Where the next request goes.
    req_prod_pvt: u32,
    /// What `req_prod` in the page is; the page's own copy is the peer's to scribble on.
    req_pushed: u32,
    /// The next response to consume.
    rsp_cons: u32,
    /// The last `rsp_prod` that was read and found good.
    rsp_seen: u32,
}

impl<P, const REQ: usize, const RSP: usize> fmt::Debug for FrontRing<P, REQ, RSP> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FrontRing")
            .field("size", &self.size)
            .field("req_prod_pvt", &self.req_prod_pvt)
            .field("req_pushed", &self.req_pushed)
            .field("rsp_cons", &self.rsp_cons)
            .field("rsp_seen", &self.rsp_seen)
            .finish_non_exhaustive()
    }
}

impl<P: RingPage, const REQ: usize, const RSP: usize> FrontRing<P, REQ, RSP> {
    const SHAPE: () = assert!(
        RSP > 0 && RSP <= REQ,
        "a response shares its request's slot"
    );

    /// Writes an empty ring to the page (`SHARED_RING_INIT`).
    ///
    /// The page must not be granted to anyone yet. All of it is zeroed: nothing of its earlier
    /// life reaches the peer.
    pub fn init(page: P) -> Result<Self, PageTooSmall> {
        Self::init_at(page, 0)
    }

    /// As [`FrontRing::init`], with all indices starting at `index` instead of zero.
    ///
    /// netback starts from zero, so this is for tests of index wrap.
    pub fn init_at(page: P, index: u32) -> Result<Self, PageTooSmall> {
        let () = Self::SHAPE;
        let entries = page
            .word_count()
            .saturating_sub(header::WORDS)
            .checked_div(REQ)
            .unwrap_or(0);
        let size = match entries.checked_ilog2() {
            Some(log) if log < u32::BITS => 1_u32.wrapping_shl(log),
            _ => return Err(PageTooSmall),
        };
        page.clear();
        let event = index.wrapping_add(1);
        page.store(header::REQ_PROD, index);
        page.store(header::REQ_EVENT, event);
        page.store(header::RSP_PROD, index);
        page.store(header::RSP_EVENT, event);
        page.fence(Ordering::Release);
        Ok(Self {
            page,
            size,
            req_prod_pvt: index,
            req_pushed: index,
            rsp_cons: index,
            rsp_seen: index,
        })
    }

    /// Number of slots; a power of two.
    pub fn size(&self) -> u32 {
        self.size
    }

    /// The slot that an index falls on: `0..size`.
    pub fn slot(&self, index: u32) -> u32 {
        index & self.size.wrapping_sub(1)
    }

    /// How many requests can be put now.
    pub fn free_requests(&self) -> u32 {
        self.size.saturating_sub(self.outstanding())
    }

    /// Requests put (published or not) whose response was not consumed.
    pub fn outstanding(&self) -> u32 {
        self.req_prod_pvt.wrapping_sub(self.rsp_cons)
    }

    /// Requests put and not yet published.
    pub fn unpushed(&self) -> u32 {
        self.req_prod_pvt.wrapping_sub(self.req_pushed)
    }

    /// Published requests whose response was not consumed.
    pub fn published(&self) -> u32 {
        self.req_pushed.wrapping_sub(self.rsp_cons)
    }

    /// Index that the next request will have.
    pub fn next_request(&self) -> u32 {
        self.req_prod_pvt
    }

    /// Copies a request to its slot and returns its index. The peer sees it after
    /// [`FrontRing::push`].
    pub fn put(&mut self, request: [u32; REQ]) -> Result<u32, Full> {
        if self.free_requests() == 0 {
            return Err(Full);
        }
        let index = self.req_prod_pvt;
        let base = self.first_word(index);
        for (nth, value) in request.into_iter().enumerate() {
            self.page.store(base.wrapping_add(nth), value);
        }
        self.req_prod_pvt = index.wrapping_add(1);
        Ok(index)
    }

    /// Publishes all requests put so far with one update of `req_prod`
    /// (`RING_PUSH_REQUESTS_AND_CHECK_NOTIFY`).
    pub fn push(&mut self) -> Kick {
        let (old, new) = (self.req_pushed, self.req_prod_pvt);
        if old == new {
            return Kick::Quiet;
        }
        // The peer sees the requests before it sees the new index,
        self.page.fence(Ordering::Release);
        self.page.store(header::REQ_PROD, new);
        self.req_pushed = new;
        // and sees the new index before its wish to be told is read; it does the same in reverse.
        self.page.fence(Ordering::SeqCst);
        if event_crossed(old, new, self.page.load(header::REQ_EVENT)) {
            Kick::Notify
        } else {
            Kick::Quiet
        }
    }

    /// The responses that are there now; `rsp_prod` is read once.
    ///
    /// The iterator may be dropped half-way: what it did not hand out stays unconsumed. It yields
    /// at most as many as there are published requests, so a pass is bounded whatever the peer
    /// does.
    pub fn responses(&mut self) -> Result<Responses<'_, P, REQ, RSP>, Corrupt> {
        let end = self.read_rsp_prod()?;
        Ok(Responses { ring: self, end })
    }

    /// Asks for an event once `distance` more responses are there
    /// (`RING_FINAL_CHECK_FOR_RESPONSES`), then looks again.
    ///
    /// `distance` is clamped to `1..=outstanding`: 1 is the usual, more coalesces events, and
    /// then the caller owes its own poll or timer, since fewer responses come without an event.
    pub fn arm(&mut self, distance: u32) -> Result<Recheck, Corrupt> {
        let distance = distance.clamp(1, self.published().max(1));
        self.page
            .store(header::RSP_EVENT, self.rsp_cons.wrapping_add(distance));
        // The wish is visible before `rsp_prod` is read; the peer does the same in reverse.
        self.page.fence(Ordering::SeqCst);
        let rsp_prod = self.read_rsp_prod()?;
        Ok(if rsp_prod == self.rsp_cons {
            Recheck::Idle
        } else {
            Recheck::Poll
        })
    }

    fn first_word(&self, index: u32) -> usize {
        header::WORDS.wrapping_add((self.slot(index) as usize).wrapping_mul(REQ))
    }

    /// Reads `rsp_prod` once; it may lie between what was read last and what was published.
    fn read_rsp_prod(&mut self) -> Result<u32, Corrupt> {
        let rsp_prod = self.page.load(header::RSP_PROD);
        // Slots are read after the index that says they are filled.
        self.page.fence(Ordering::Acquire);
        let claimed = rsp_prod.wrapping_sub(self.rsp_cons);
        if claimed > self.published() {
            return Err(if rsp_prod.wrapping_sub(self.req_pushed) > u32::MAX / 2 {
                Corrupt::Backwards {
                    rsp_prod,
                    seen: self.rsp_seen,
                }
            } else {
                Corrupt::Overflow {
                    rsp_prod,
                    limit: self.req_pushed,
                }
            });
        }
        if claimed < self.rsp_seen.wrapping_sub(self.rsp_cons) {
            return Err(Corrupt::Backwards {
                rsp_prod,
                seen: self.rsp_seen,
            });
        }
        self.rsp_seen = rsp_prod;
        Ok(rsp_prod)
    }
}

/// Consumes responses one by one, each copied out of the page once.
pub struct Responses<'r, P, const REQ: usize, const RSP: usize> {
    ring: &'r mut FrontRing<P, REQ, RSP>,
    end: u32,
}

impl<P, const REQ: usize, const RSP: usize> fmt::Debug for Responses<'_, P, REQ, RSP> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Responses")
            .field("left", &self.left())
            .finish()
    }
}

impl<P, const REQ: usize, const RSP: usize> Responses<'_, P, REQ, RSP> {
    /// How many are left in this pass.
    pub fn left(&self) -> u32 {
        self.end.wrapping_sub(self.ring.rsp_cons)
    }
}

impl<P: RingPage, const REQ: usize, const RSP: usize> Iterator for Responses<'_, P, REQ, RSP> {
    type Item = Response<RSP>;

    fn next(&mut self) -> Option<Response<RSP>> {
        let index = self.ring.rsp_cons;
        if index == self.end {
            return None;
        }
        let base = self.ring.first_word(index);
        let words = core::array::from_fn(|nth| self.ring.page.load(base.wrapping_add(nth)));
        self.ring.rsp_cons = index.wrapping_add(1);
        Some(Response { index, words })
    }
}
