//! The transmit queue: a sender, and a backend that answers what it likes.

use std::collections::{BTreeMap, BTreeSet};

use netfront_core::tx::{
    Cookie, CopyFailed, Fragment, Frame, StillMapped, Submission, TxChecksum, TxId, TxMemory,
    TxPolicy, TxQueue, TxResources,
};
use netif::GrantRef;
use netif::ctrl::HashKind;
use netif::extra::{Gso, GsoKind, HashInfo};
use netif::features::Features;
use ring::PAGE_WORDS;

use crate::acts::Acts;
use crate::page::{HEADER, Page, RSP_PROD};

/// The guest's memory: which grants are in use.
#[derive(Default)]
struct Memory {
    granted: BTreeMap<u32, u64>,
    /// Grants the backend does not let go.
    held: BTreeSet<u32>,
    fails: bool,
}

impl Memory {
    fn copy(&self) -> Result<(), CopyFailed> {
        if self.fails { Err(CopyFailed) } else { Ok(()) }
    }
}

impl TxMemory for Memory {
    fn copy_header(&mut self, id: TxId, _from: u32, len: u16) -> Result<(), CopyFailed> {
        assert!(usize::from(id.header_offset()) + usize::from(len) <= 4096);
        self.copy()
    }

    fn copy_bounce(&mut self, _page: u16, _from: u32, len: u16) -> Result<(), CopyFailed> {
        assert!(len <= 4096);
        self.copy()
    }

    fn grant(&mut self, gref: GrantRef, pfn: u64) {
        let before = self.granted.insert(gref.0, pfn);
        assert!(before.is_none(), "{gref:?} granted twice");
    }

    fn revoke(&mut self, gref: GrantRef) -> Result<(), StillMapped> {
        assert!(self.granted.contains_key(&gref.0), "{gref:?} not granted");
        if self.held.contains(&gref.0) {
            return Err(StillMapped);
        }
        self.granted.remove(&gref.0);
        Ok(())
    }
}

/// A queue with grants for 8 pages of headers, 32 to copy to and 256 in place.
fn queue(page: &Page, policy: TxPolicy, index: u32) -> TxQueue<&Page> {
    let list = |first: u32, count: u32| (first..first + count).map(GrantRef).collect::<Vec<_>>();
    let resources = TxResources {
        headers: &list(10, 8),
        bounce: &list(100, 32),
        in_place: &list(1000, 256),
    };
    TxQueue::new_at(page, &resources, policy, index).expect("memory")
}

/// Sends a frame of any shape; whether it is on its way.
fn submit(
    queue: &mut TxQueue<&Page>,
    memory: &mut Memory,
    acts: &mut Acts<'_>,
    cookie: usize,
) -> bool {
    let flags = acts.byte();
    let parts: Vec<Fragment> = (0..flags & 3)
        .map(|_| Fragment {
            pfn: acts.byte().into(),
            offset: u32::from(acts.half() & 4095),
            len: acts.half().into(),
        })
        .collect();
    let frame = Frame {
        length: if parts.is_empty() {
            acts.word()
        } else {
            parts.iter().map(|part| part.len).sum()
        },
        fragments: &parts,
        checksum: if flags & 8 == 0 {
            TxChecksum::Complete
        } else {
            TxChecksum::BlankIpv4
        },
        gso: (flags & 16 != 0).then(|| Gso {
            kind: GsoKind::TcpV4,
            mss: acts.half(),
        }),
        hash: (flags & 32 != 0).then(|| HashInfo::toeplitz(HashKind::Ipv4, 5)),
    };
    queue.submit(&frame, Cookie(cookie), memory) == Ok(Submission::InFlight)
}

/// The target `transmit`.
pub(crate) fn run(bytes: &[u8]) {
    let mut acts = Acts::new(bytes);
    let flags = acts.byte();
    let backend = [Features::SG, Features::GSO_TCPV4, Features::CTRL_RING]
        .into_iter()
        .zip([2, 4, 8])
        .filter(|(_, bit)| flags & bit != 0)
        .fold(Features::RX_COPY, |all, (one, _)| all.with(one));
    let policy = TxPolicy {
        backend,
        in_place: flags & 1 != 0,
        copy_break: acts.half().into(),
    };
    let start = if flags & 16 == 0 { 0 } else { u32::MAX - 20 };
    let page = Page::new();
    let mut queue = queue(&page, policy, start);
    let mut memory = Memory::default();
    let (mut out, mut back) = (BTreeSet::new(), Vec::new());
    let mut answered = start;
    let mut cookie = 0;
    while let Some(act) = acts.next() {
        match act % 8 {
            0 | 1 => {
                cookie += 1;
                if submit(&mut queue, &mut memory, &mut acts, cookie) {
                    out.insert(cookie);
                }
            }
            2 => {
                let _ = queue.push();
            }
            3 => {
                let _ = queue.reap(&mut memory, &mut |done| back.push(done.cookie.0));
                let _ = queue.arm(act & 8 != 0);
            }
            // An answer of its own, for the request in the next slot or for any.
            4 | 5 => {
                let slot = HEADER + (answered as usize % 256) * 3;
                let id = if act % 8 == 4 {
                    page[slot + 2].get() & 0xFFFF
                } else {
                    acts.half().into()
                };
                page[slot].set(id | u32::from(acts.half()) << 16);
                answered = answered.wrapping_add(1);
                page[RSP_PROD].set(answered);
            }
            6 => page[acts.place(PAGE_WORDS)].set(acts.word()),
            _ => {
                memory.fails = act & 8 != 0;
                memory.held.clear();
                if act & 16 != 0 {
                    memory.held.extend(memory.granted.keys());
                }
            }
        }
    }
    queue.teardown(&mut memory, &mut |done| back.push(done.cookie.0));
    let mut lost = BTreeSet::new();
    queue.abandon(
        &mut |leak| {
            lost.insert(leak.gref.0);
        },
        &mut |done| back.push(done.cookie.0),
    );
    let unique: BTreeSet<usize> = back.iter().copied().collect();
    assert_eq!(unique.len(), back.len(), "a frame came back twice");
    assert_eq!(unique, out, "frames that came back, and those sent");
    assert!(lost.iter().eq(memory.granted.keys()), "grants lost");
    assert_eq!(queue.frames_in_flight(), 0);
}
