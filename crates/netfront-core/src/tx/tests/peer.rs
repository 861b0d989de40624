//! A guest memory that checks its callers, and a backend on raw words.

use std::collections::{BTreeMap, BTreeSet};
use std::vec::Vec;

use netif::GrantRef;
use netif::features::Features;

pub(super) use crate::test_page::{Page, page};
use crate::tx::*;

/// Everything a Linux backend offers.
pub(super) fn linux() -> Features {
    [
        Features::SG,
        Features::GSO_TCPV4,
        Features::GSO_TCPV6,
        Features::IPV4_CSUM,
        Features::IPV6_CSUM,
        Features::MULTICAST_CONTROL,
        Features::CTRL_RING,
    ]
    .into_iter()
    .fold(Features::RX_COPY, Features::with)
}

pub(super) fn policy() -> TxPolicy {
    TxPolicy {
        backend: linux(),
        in_place: true,
        copy_break: 256,
    }
}

pub(super) const IN_PLACE: u32 = 1000;

/// A queue with 8 + `bounce` + 256 grants: headers from 10, bounce from 100, in place from 1000.
pub(super) fn queue(page: &Page, bounce: u32, policy: TxPolicy, index: u32) -> TxQueue<&Page> {
    let list = |first: u32, n: u32| (first..first + n).map(GrantRef).collect::<Vec<_>>();
    TxQueue::new_at(
        page,
        &TxResources {
            headers: &list(10, 8),
            bounce: &list(100, bounce),
            in_place: &list(IN_PLACE, 256),
        },
        policy,
        index,
    )
    .unwrap()
}

/// Grants in use; panics on a grant twice or a revoke of nothing.
#[derive(Debug, Default)]
pub(super) struct Memory {
    pub(super) granted: BTreeMap<u32, u64>,
    /// Grants the backend does not let go.
    pub(super) held: BTreeSet<u32>,
    pub(super) copied: Vec<(u32, u16)>,
    pub(super) fail_copies: bool,
}

impl Memory {
    fn copy(&mut self, from: u32, len: u16) -> Result<(), CopyFailed> {
        if self.fail_copies {
            return Err(CopyFailed);
        }
        self.copied.push((from, len));
        Ok(())
    }
}

impl TxMemory for Memory {
    fn copy_header(&mut self, id: TxId, from: u32, len: u16) -> Result<(), CopyFailed> {
        assert!(id.header_page() < HEADER_PAGES && len <= 128);
        assert!(usize::from(id.header_offset()) + 128 <= 4096);
        self.copy(from, len)
    }

    fn copy_bounce(&mut self, _page: u16, from: u32, len: u16) -> Result<(), CopyFailed> {
        assert!(len <= 4096);
        self.copy(from, len)
    }

    fn grant(&mut self, gref: GrantRef, pfn: u64) {
        assert!(
            self.granted.insert(gref.0, pfn).is_none(),
            "{gref:?} granted twice"
        );
    }

    fn revoke(&mut self, gref: GrantRef) -> Result<(), StillMapped> {
        assert!(
            self.granted.contains_key(&gref.0),
            "{gref:?} is not granted"
        );
        if self.held.contains(&gref.0) {
            return Err(StillMapped);
        }
        self.granted.remove(&gref.0);
        Ok(())
    }
}

/// The backend's view of a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Request {
    pub(super) gref: u32,
    pub(super) offset: u16,
    pub(super) flags: u16,
    pub(super) id: u16,
    pub(super) size: u16,
}

/// Reads requests and writes responses on raw words.
pub(super) struct Peer<'p> {
    page: &'p Page,
    req_cons: u32,
    rsp_prod: u32,
}

impl<'p> Peer<'p> {
    pub(super) fn new(page: &'p Page, index: u32) -> Self {
        Self {
            page,
            req_cons: index,
            rsp_prod: index,
        }
    }

    fn slot(&self) -> Option<[u32; 3]> {
        if self.page[0].get() == self.req_cons {
            return None;
        }
        let at = 16 + (self.req_cons as usize % 256) * 3;
        Some(core::array::from_fn(|n| self.page[at + n].get()))
    }

    /// The next packet: its data slots, and the words of its extras.
    pub(super) fn packet(&mut self) -> Option<(Vec<Request>, Vec<[u32; 3]>)> {
        let (mut data, mut extras) = (Vec::new(), Vec::new());
        loop {
            let [gref, w1, w2] = if data.is_empty() {
                self.slot()?
            } else {
                self.slot().expect("a partly visible packet is fatal")
            };
            self.req_cons = self.req_cons.wrapping_add(1);
            let half = |word: u32, n: u32| u16::try_from(word >> (16 * n) & 0xFFFF).unwrap();
            let request = Request {
                gref,
                offset: half(w1, 0),
                flags: half(w1, 1),
                id: half(w2, 0),
                size: half(w2, 1),
            };
            data.push(request);
            let mut more_extras = request.flags & 8 != 0;
            while more_extras {
                let extra = self.slot().expect("a partly visible packet is fatal");
                self.req_cons = self.req_cons.wrapping_add(1);
                more_extras = extra[0] >> 8 & 1 != 0;
                extras.push(extra);
            }
            if request.flags & 4 == 0 {
                return Some((data, extras));
            }
        }
    }

    pub(super) fn packets(&mut self) -> Vec<(Vec<Request>, Vec<[u32; 3]>)> {
        core::iter::from_fn(|| self.packet()).collect()
    }

    /// Writes one response.
    pub(super) fn respond(&mut self, id: u16, status: i16) {
        let at = 16 + (self.rsp_prod as usize % 256) * 3;
        let word = u32::from(id) | u32::from(status.cast_unsigned()) << 16;
        self.page[at].set(word);
        self.rsp_prod = self.rsp_prod.wrapping_add(1);
        self.page[2].set(self.rsp_prod);
    }

    /// Answers a packet as netback does: the first slot, a NULL with a stale id for each extra,
    /// then the others.
    pub(super) fn answer(&mut self, (data, extras): &(Vec<Request>, Vec<[u32; 3]>), status: i16) {
        for (nth, request) in data.iter().enumerate() {
            self.respond(request.id, status);
            if nth == 0 {
                for _ in extras {
                    self.respond(0xBEEF, 1);
                }
            }
        }
    }
}
