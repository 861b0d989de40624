//! The client's side of the shared page (`struct xenstore_domain_interface`, `io/xs_wire.h`).
//!
//! ```text
//!   req ring (1024 B)   client writes at req_prod   daemon reads at req_cons
//!   rsp ring (1024 B)   daemon writes at rsp_prod   client reads at rsp_cons
//! ```
//!
//! Indices run free and wrap at 2^32; an offset in a ring is the index modulo 1024. The client keeps its own two
//! indices in private memory and never reads them back from the page; the daemon's two are read once per call
//! and checked against the private ones.

use core::sync::atomic::{AtomicU8, AtomicU32, Ordering, fence};

use xen_abi::xs_wire::{
    XENSTORE_CONNECTED, XENSTORE_ERROR_NONE, XENSTORE_RECONNECT, XENSTORE_RING_SIZE,
    XENSTORE_SERVER_FEATURE_ERROR, XENSTORE_SERVER_FEATURE_RECONNECTION, XenstoreDomainInterface,
};

/// Bytes in each ring.
pub const RING_SIZE: u32 = 1024;
const _: () = assert!(XENSTORE_RING_SIZE == 1024);

/// The daemon broke the rules of the page, or says that it has given up. The ring is latched until attached again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RingError {
    /// `req_cons` claims more than was written, or runs backwards.
    RequestIndex {
        /// The private producer index.
        req_prod: u32,
        /// The index the daemon wrote.
        req_cons: u32,
    },
    /// `rsp_prod` claims more than a ring holds, or runs backwards.
    ResponseIndex {
        /// The index the daemon wrote.
        rsp_prod: u32,
        /// The private consumer index.
        rsp_cons: u32,
    },
    /// The daemon stopped serving this page and left a code (`XENSTORE_ERROR_*`: 1 communication, 2 ring index,
    /// 3 protocol).
    Reported(u32),
}

/// Whether the event channel of the store has to be notified.
#[must_use = "the daemon sleeps until it is notified"]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kick {
    /// Send on the store's event channel.
    Notify,
    /// Nothing changed that the daemon waits for.
    Quiet,
}

impl Kick {
    /// `Notify` if either is.
    pub fn or(self, other: Self) -> Self {
        if self == Self::Notify { self } else { other }
    }
}

/// What one call moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transfer {
    /// Bytes copied: 0 when the ring had no room or no data, or a reconnection is under way.
    pub bytes: usize,
    /// Whether to notify.
    pub kick: Kick,
}

/// What [`Ring::attach`] found on the page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Leftovers {
    /// Bytes of requests the daemon had not read: if an earlier user stopped inside a message, the stream is out
    /// of step and only a reconnection mends it.
    pub requests: u32,
    /// Bytes of responses nobody had read; they were discarded.
    pub responses: u32,
}

/// The private half of the connection: own indices and the latch. The page is passed to each call, so that its
/// owner may move or remap it.
#[derive(Debug)]
pub struct Ring {
    req_prod: u32,
    rsp_cons: u32,
    features: u32,
    latched: Option<RingError>,
}

impl Ring {
    /// Takes over the page as an earlier user left it (firmware, an earlier driver, this one before a suspend).
    ///
    /// Unread responses are discarded: whoever asked is gone. Call again after each resume.
    pub fn attach(page: &XenstoreDomainInterface) -> Result<(Self, Leftovers), RingError> {
        let req_prod = page.req_prod.load(Ordering::Relaxed);
        let req_cons = page.req_cons.load(Ordering::Acquire);
        let requests = req_prod.wrapping_sub(req_cons);
        if requests > RING_SIZE {
            return Err(RingError::RequestIndex { req_prod, req_cons });
        }
        let rsp_cons = page.rsp_cons.load(Ordering::Relaxed);
        let rsp_prod = page.rsp_prod.load(Ordering::Acquire);
        let responses = rsp_prod.wrapping_sub(rsp_cons);
        if responses > RING_SIZE {
            return Err(RingError::ResponseIndex { rsp_prod, rsp_cons });
        }
        page.rsp_cons.store(rsp_prod, Ordering::Release);
        let features = page.server_features.load(Ordering::Relaxed);
        let ring = Self {
            req_prod,
            rsp_cons: rsp_prod,
            features,
            latched: None,
        };
        Ok((
            ring,
            Leftovers {
                requests,
                responses,
            },
        ))
    }

    /// Why the ring moves no more bytes, if it does not.
    pub fn latched(&self) -> Option<RingError> {
        self.latched
    }

    /// Whether [`Ring::request_reconnect`] is understood by the daemon.
    pub fn can_reconnect(&self) -> bool {
        self.features & XENSTORE_SERVER_FEATURE_RECONNECTION != 0
    }

    /// Asks the daemon to forget everything about this connection and start over with empty rings.
    ///
    /// Returns `None` if the daemon does not offer it. Otherwise notify, then poll [`Ring::reconnected`]; until
    /// then no bytes move. The client must be reset too: requests, watches and transactions are gone.
    pub fn request_reconnect(&mut self, page: &XenstoreDomainInterface) -> Option<Kick> {
        if !self.can_reconnect() {
            return None;
        }
        page.connection.store(XENSTORE_RECONNECT, Ordering::Release);
        Some(Kick::Notify)
    }

    /// Finishes a reconnection: `true` once the daemon is ready, the latch is then cleared.
    pub fn reconnected(&mut self, page: &XenstoreDomainInterface) -> bool {
        if page.connection.load(Ordering::Acquire) != XENSTORE_CONNECTED {
            return false;
        }
        match Self::attach(page) {
            Ok((ring, _)) => {
                *self = ring;
                true
            }
            Err(error) => {
                self.latched = Some(error);
                false
            }
        }
    }

    /// Copies as much of `bytes` into the request ring as fits.
    pub fn write(
        &mut self,
        page: &XenstoreDomainInterface,
        bytes: &[u8],
    ) -> Result<Transfer, RingError> {
        if !self.usable(page)? {
            return Ok(Transfer {
                bytes: 0,
                kick: Kick::Quiet,
            });
        }
        // Acquire: the daemon has finished reading what lies before req_cons.
        let req_cons = page.req_cons.load(Ordering::Acquire);
        let used = self.req_prod.wrapping_sub(req_cons);
        let Some(free) = RING_SIZE.checked_sub(used) else {
            return self.latch(RingError::RequestIndex {
                req_prod: self.req_prod,
                req_cons,
            });
        };
        let mut prod = self.req_prod;
        let mut copied = 0_usize;
        for ((byte, cell), _) in bytes.iter().zip(cells(&page.req, prod)).zip(0..free) {
            cell.store(*byte, Ordering::Relaxed);
            prod = prod.wrapping_add(1);
            copied = copied.saturating_add(1);
        }
        if copied == 0 {
            return Ok(Transfer {
                bytes: 0,
                kick: Kick::Quiet,
            });
        }
        self.req_prod = prod;
        // Release: the bytes are visible before the index that covers them.
        page.req_prod.store(prod, Ordering::Release);
        Ok(Transfer {
            bytes: copied,
            kick: Kick::Notify,
        })
    }

    /// Copies out of the response ring as much as there is and `buffer` holds.
    pub fn read(
        &mut self,
        page: &XenstoreDomainInterface,
        buffer: &mut [u8],
    ) -> Result<Transfer, RingError> {
        if !self.usable(page)? {
            return Ok(Transfer {
                bytes: 0,
                kick: Kick::Quiet,
            });
        }
        // Acquire: the bytes before rsp_prod are visible.
        let rsp_prod = page.rsp_prod.load(Ordering::Acquire);
        let available = rsp_prod.wrapping_sub(self.rsp_cons);
        if available > RING_SIZE {
            return self.latch(RingError::ResponseIndex {
                rsp_prod,
                rsp_cons: self.rsp_cons,
            });
        }
        let before = self.rsp_cons;
        let mut cons = before;
        let mut copied = 0_usize;
        for ((byte, cell), _) in buffer
            .iter_mut()
            .zip(cells(&page.rsp, before))
            .zip(0..available)
        {
            *byte = cell.load(Ordering::Relaxed);
            cons = cons.wrapping_add(1);
            copied = copied.saturating_add(1);
        }
        if copied == 0 {
            return Ok(Transfer {
                bytes: 0,
                kick: Kick::Quiet,
            });
        }
        self.rsp_cons = cons;
        // Release: the bytes have been read before the daemon may write over them.
        page.rsp_cons.store(cons, Ordering::Release);
        // The daemon sleeps only when it found the ring full. It may have filled it after rsp_prod was read above,
        // so look again, and not before the new rsp_cons can be seen.
        fence(Ordering::SeqCst);
        let was_full = page.rsp_prod.load(Ordering::Relaxed).wrapping_sub(before) >= RING_SIZE;
        Ok(Transfer {
            bytes: copied,
            kick: if was_full { Kick::Notify } else { Kick::Quiet },
        })
    }

    /// Whether the client may touch the rings now: `false` while a reconnection is under way.
    fn usable(&mut self, page: &XenstoreDomainInterface) -> Result<bool, RingError> {
        if let Some(error) = self.latched {
            return Err(error);
        }
        if self.features & XENSTORE_SERVER_FEATURE_ERROR != 0 {
            let code = page.error.load(Ordering::Relaxed);
            if code != XENSTORE_ERROR_NONE {
                return self.latch(RingError::Reported(code));
            }
        }
        let connected = page.connection.load(Ordering::Acquire) == XENSTORE_CONNECTED;
        // Daemons without the feature do not own the field.
        Ok(connected || !self.can_reconnect())
    }

    fn latch<T>(&mut self, error: RingError) -> Result<T, RingError> {
        self.latched = Some(error);
        Err(error)
    }
}

/// The cells of a ring from free-running `index` on, round and round.
fn cells(ring: &[AtomicU8; XENSTORE_RING_SIZE], index: u32) -> impl Iterator<Item = &AtomicU8> {
    let offset = usize::try_from(index % RING_SIZE).unwrap_or(0);
    ring.iter().cycle().skip(offset)
}

/// The features and state of the daemon's side, for a log line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ServerState {
    /// `server_features`, as written.
    pub features: u32,
    /// `connection`, as written.
    pub connection: u32,
    /// `error`, as written (meaningful only with feature bit 1).
    pub error: u32,
}

impl ServerState {
    /// Reads the three fields, each once.
    pub fn read(page: &XenstoreDomainInterface) -> Self {
        let once = |field: &AtomicU32| field.load(Ordering::Relaxed);
        Self {
            features: once(&page.server_features),
            connection: once(&page.connection),
            error: once(&page.error),
        }
    }
}
