//! The receive queue against a backend on raw ring words.

use std::collections::BTreeSet;
use std::vec::Vec;

use netif::GrantRef;
use netif::ctrl::HashKind;
use netif::extra::{Extra, ExtraSlot, Gso, GsoKind, HashInfo};
use proptest::prelude::*;
use ring::{Corrupt, Recheck};

use super::*;
use crate::test_page::{Page, page};

/// Hands out pages 0, 1, 2... up to a limit, with grant 5000 + page.
struct Pool {
    next: u32,
    limit: u32,
}

impl RxMemory for Pool {
    fn supply(&mut self) -> Option<RxBuffer> {
        if self.next == self.limit {
            return None;
        }
        let page = self.next;
        self.next += 1;
        Some(RxBuffer {
            page,
            gref: GrantRef(5000 + page),
        })
    }
}

fn pool(limit: u32) -> Pool {
    Pool { next: 0, limit }
}

const BLANK: u16 = 2;
const VALID: u16 = 1;
const MORE: u16 = 4;
const EXTRA: u16 = 8;

struct Peer<'p> {
    page: &'p Page,
    at: u32,
}

impl Peer<'_> {
    fn requests(&self) -> u32 {
        self.page[0].get().wrapping_sub(self.at)
    }

    fn base(&self) -> usize {
        16 + (self.at as usize % 256) * 2
    }

    fn words(&mut self, words: [u32; 2]) {
        self.page[self.base()].set(words[0]);
        self.page[self.base() + 1].set(words[1]);
        self.at = self.at.wrapping_add(1);
    }

    /// Data in the next slot, with the id of its request.
    fn data(&mut self, offset: u16, flags: u16, status: i16) {
        let id = self.page[self.base()].get() & 0xFFFF;
        let status = u32::from(status.cast_unsigned());
        self.words([
            id | u32::from(offset) << 16,
            u32::from(flags) | status << 16,
        ]);
    }

    fn extra(&mut self, extra: Extra, more: bool) {
        self.words(ExtraSlot::emit(extra, more).0);
    }

    fn publish(&self) {
        self.page[2].set(self.at);
    }
}

fn full(page: &Page, start: u32) -> (RxQueue<&Page>, Peer<'_>, Pool) {
    let mut queue = RxQueue::new_at(page, start).unwrap();
    let mut pool = pool(256);
    let refill = queue.refill(&mut pool);
    assert!(refill.kick.is_needed() && !refill.starved);
    (queue, Peer { page, at: start }, pool)
}

/// What was received: pages, total, and meaning.
#[derive(Clone, Debug, PartialEq)]
struct Got {
    parts: Vec<(u32, u16, u16)>,
    length: u32,
    checksum: RxChecksum,
    gso: Option<Gso>,
    hash: Option<(HashKind, u32)>,
}

fn poll(queue: &mut RxQueue<&Page>, budget: u32) -> (Result<Pass, RxBroken>, Vec<Got>) {
    let mut got = Vec::new();
    let result = queue.poll(budget, &mut |packet| {
        got.push(Got {
            parts: packet
                .fragments
                .iter()
                .map(|f| (f.buffer.page, f.offset, f.len))
                .collect(),
            length: packet.length,
            checksum: packet.checksum,
            gso: packet.gso,
            hash: packet.hash,
        });
    });
    (result, got)
}

/// A queue that drops one packet after the other and keeps all its pages.
struct Drops<'p> {
    queue: RxQueue<&'p Page>,
    peer: Peer<'p>,
    pool: Pool,
}

impl Drops<'_> {
    fn expect(&mut self, reason: RxDrop, slots: u32, build: impl FnOnce(&mut Peer<'_>)) {
        let Self { queue, peer, pool } = self;
        let (at, dropped) = (peer.at, queue.counters().dropped(reason));
        build(peer);
        assert_eq!(peer.at - at, slots);
        peer.publish();
        let (result, got) = poll(queue, 64);
        let expected = Pass {
            packets: 0,
            dropped: 1,
            more: false,
        };
        assert_eq!(result, Ok(expected), "{reason:?}");
        assert!(got.is_empty());
        assert_eq!(queue.counters().dropped(reason), dropped + 1, "{reason:?}");
        let _ = queue.refill(pool);
        assert_eq!(pool.next, 256, "recycled, not replaced");
    }
}

fn drops(test: impl FnOnce(&mut dyn FnMut(RxDrop, u32, &dyn Fn(&mut Peer<'_>)))) {
    let page = page();
    let (queue, peer, mut pool) = full(&page, 0);
    pool.limit = 1000;
    let mut drops = Drops { queue, peer, pool };
    test(&mut |reason, slots, build| drops.expect(reason, slots, |peer| build(peer)));
    let mut pages = BTreeSet::new();
    drops
        .queue
        .teardown(&mut |buffer| assert!(pages.insert(buffer.page)));
    assert_eq!(pages.len(), 256);
}

#[test]
fn a_page_is_posted_under_its_ring_slot() {
    let page = page();
    let (queue, peer, _) = full(&page, u32::MAX - 9);
    assert_eq!((queue.posted(), peer.requests()), (256, 256));
    assert_eq!(page[16 + 246 * 2].get(), 246);
    assert_eq!(page[17 + 246 * 2].get(), 5000);
    assert_eq!(page[16].get(), 0);
    assert_eq!(page[17].get(), 5010);
}

#[test]
fn one_slot_packets_are_handed_out_with_their_pages() {
    let page = page();
    let (mut queue, mut peer, _) = full(&page, 0);
    peer.data(0, 0, 60);
    peer.data(0, VALID, 1514);
    peer.data(2, BLANK | VALID, 4094);
    peer.publish();
    let (result, got) = poll(&mut queue, 64);
    assert_eq!(
        result,
        Ok(Pass {
            packets: 3,
            dropped: 0,
            more: false
        })
    );
    assert_eq!(got[0].parts, [(0, 0, 60)]);
    assert_eq!(got[2].parts, [(2, 2, 4094)], "an offset is fine");
    let checksums: Vec<_> = got.iter().map(|packet| packet.checksum).collect();
    assert_eq!(
        checksums,
        [
            RxChecksum::Unknown,
            RxChecksum::Validated,
            RxChecksum::Blank
        ]
    );
    assert_eq!(queue.posted(), 253);
}

#[test]
fn a_large_packet_with_extras_is_put_together() {
    let page = page();
    let (mut queue, mut peer, _) = full(&page, u32::MAX - 3);
    let gso = Gso {
        kind: GsoKind::TcpV4,
        mss: 1448,
    };
    peer.data(0, BLANK | VALID | MORE | EXTRA, 4096);
    peer.extra(Extra::Gso(gso), true);
    peer.extra(
        Extra::Hash(HashInfo::toeplitz(HashKind::Ipv4Tcp, 0xAABB_CCDD)),
        false,
    );
    for _ in 0..15 {
        peer.data(0, MORE, 4096);
    }
    peer.data(0, 0, 13);
    peer.publish();
    let (_, got) = poll(&mut queue, 64);
    assert_eq!(got.len(), 1);
    assert_eq!(got[0].length, 16 * 4096 + 13);
    assert_eq!(got[0].gso, Some(gso));
    assert_eq!(got[0].hash, Some((HashKind::Ipv4Tcp, 0xAABB_CCDD)));
    assert_eq!(got[0].parts.len(), 17);
    assert_eq!(
        (got[0].parts[0].0, got[0].parts[1].0),
        (0, 3),
        "pages of extras are skipped"
    );
    assert_eq!(queue.counters().extras, 2);
}

#[test]
fn extras_may_come_in_any_order_and_uninvited() {
    let page = page();
    let (mut queue, mut peer, _) = full(&page, 0);
    peer.data(0, EXTRA, 100);
    peer.extra(
        Extra::Hash(HashInfo {
            kind: 9,
            algorithm: 1,
            value: 3,
        }),
        true,
    );
    peer.extra(
        Extra::Gso(Gso {
            kind: GsoKind::TcpV6,
            mss: 50,
        }),
        false,
    );
    peer.publish();
    let (_, got) = poll(&mut queue, 64);
    assert_eq!(got[0].hash, None, "an unknown hash type is no hash");
    assert!(got[0].gso.is_some());
}

#[test]
fn a_packet_of_one_segment_is_still_told_to_be_cut() {
    let page = page();
    let (mut queue, mut peer, _) = full(&page, 0);
    peer.data(0, EXTRA, 100);
    peer.extra(
        Extra::Gso(Gso {
            kind: GsoKind::TcpV6,
            mss: 100,
        }),
        false,
    );
    peer.publish();
    assert!(poll(&mut queue, 64).1[0].gso.is_some());
}

#[test]
fn an_empty_later_slot_is_recycled() {
    let page = page();
    let (mut queue, mut peer, _) = full(&page, 0);
    peer.data(0, MORE, 100);
    peer.data(0, MORE, 0);
    peer.data(0, 0, 50);
    peer.publish();
    assert_eq!(poll(&mut queue, 64).1[0].parts, [(0, 0, 100), (2, 0, 50)]);
}

#[test]
fn bad_packets_are_dropped_and_their_pages_stay() {
    drops(|drop| {
        for status in [-1, -2, -5, i16::MIN] {
            drop(RxDrop::Status, 1, &|peer: &mut Peer<'_>| {
                peer.data(0, 0, status);
            });
        }
        drop(RxDrop::Status, 2, &|peer: &mut Peer<'_>| {
            peer.data(0, MORE, 100);
            peer.data(0, 0, -1);
        });
        drop(RxDrop::PageBound, 1, &|peer: &mut Peer<'_>| {
            peer.data(1, 0, 4096);
        });
        drop(RxDrop::PageBound, 1, &|peer: &mut Peer<'_>| {
            peer.data(0xFFFF, 0, 14);
        });
        drop(RxDrop::PageBound, 1, &|peer: &mut Peer<'_>| {
            peer.data(0, 0, i16::MAX);
        });
        drop(RxDrop::IdMismatch, 1, &|peer: &mut Peer<'_>| {
            peer.words([7, 100 << 16]);
        });
        drop(RxDrop::Length, 1, &|peer: &mut Peer<'_>| {
            peer.data(0, 0, 13);
        });
        drop(RxDrop::Length, 1, &|peer: &mut Peer<'_>| peer.data(0, 0, 0));
        drop(RxDrop::Length, 19, &|peer: &mut Peer<'_>| {
            for nth in 1..=19 {
                peer.data(0, if nth < 19 { MORE } else { 0 }, 4096);
            }
        });
        drop(RxDrop::TooManySlots, 30, &|peer: &mut Peer<'_>| {
            for nth in 1..=30 {
                peer.data(0, if nth < 30 { MORE } else { 0 }, 100);
            }
        });
        drop(RxDrop::Truncated, 2, &|peer: &mut Peer<'_>| {
            peer.data(0, MORE, 100);
            peer.data(0, MORE, 100);
        });
    });
}

#[test]
fn bad_extras_drop_the_packet() {
    drops(|drop| {
        let gso = Extra::Gso(Gso {
            kind: GsoKind::TcpV4,
            mss: 500,
        });
        drop(RxDrop::ExtraMissing, 1, &|peer: &mut Peer<'_>| {
            peer.data(0, EXTRA, 100);
        });
        drop(RxDrop::ExtraMissing, 2, &|peer: &mut Peer<'_>| {
            peer.data(0, EXTRA, 100);
            peer.extra(gso, true);
        });
        for kind in [0, 2, 3, 5, 6, 255] {
            drop(RxDrop::ExtraKind, 2, &|peer: &mut Peer<'_>| {
                peer.data(0, EXTRA, 100);
                peer.words(ExtraSlot::raw(kind, 0, 0, 0).0);
            });
        }
        drop(RxDrop::ExtraKind, 3, &|peer: &mut Peer<'_>| {
            peer.data(0, EXTRA, 100);
            peer.extra(gso, true);
            peer.extra(gso, false);
        });
        drop(RxDrop::ExtraLate, 2, &|peer: &mut Peer<'_>| {
            peer.data(0, MORE, 100);
            peer.data(0, EXTRA, 100);
        });
        for (mss, kind) in [(0, 1), (500, 0), (500, 3), (7, 1)] {
            drop(RxDrop::Gso, 2, &|peer: &mut Peer<'_>| {
                peer.data(0, EXTRA, 100);
                peer.words(ExtraSlot::raw(1, 0, mss, kind).0);
            });
        }
        drop(RxDrop::ExtraKind, 201, &|peer: &mut Peer<'_>| {
            peer.data(0, EXTRA, 100);
            for _ in 0..200 {
                peer.extra(gso, true);
            }
        });
    });
}

#[test]
fn a_bad_packet_does_not_take_its_neighbours_along() {
    let page = page();
    let (mut queue, mut peer, _) = full(&page, 0);
    peer.data(0, 0, 60);
    peer.data(0, 0, -1);
    peer.data(0, 0, 61);
    peer.publish();
    let (result, got) = poll(&mut queue, 64);
    assert_eq!(
        result,
        Ok(Pass {
            packets: 2,
            dropped: 1,
            more: false
        })
    );
    assert_eq!(got[1].parts, [(2, 0, 61)]);
}

#[test]
fn the_budget_bounds_a_pass() {
    let page = page();
    let (mut queue, mut peer, _) = full(&page, 0);
    for _ in 0..10 {
        peer.data(0, 0, 60);
    }
    peer.publish();
    let (result, got) = poll(&mut queue, 4);
    assert_eq!((result.unwrap().more, got.len()), (true, 4));
    assert_eq!(
        poll(&mut queue, 0).0.unwrap(),
        Pass {
            packets: 0,
            dropped: 0,
            more: true
        }
    );
    let (result, got) = poll(&mut queue, 6);
    assert_eq!((result.unwrap().more, got.len()), (false, 6));
    assert_eq!(queue.arm(), Ok(Recheck::Idle));
}

#[test]
fn refills_come_in_chunks() {
    let page = page();
    let (mut queue, mut peer, mut pool) = full(&page, 0);
    pool.limit = 10_000;
    for _ in 0..18 {
        peer.data(0, 0, 60);
    }
    peer.publish();
    let _ = poll(&mut queue, 64);
    assert!(!queue.refill(&mut pool).kick.is_needed());
    assert_eq!(queue.posted(), 238, "18 free slots are not worth it");
    peer.data(0, 0, 60);
    peer.publish();
    let _ = poll(&mut queue, 64);
    page[1].set(257);
    assert!(
        queue.refill(&mut pool).kick.is_needed(),
        "the backend waits"
    );
    assert_eq!(queue.posted(), 256);
    assert_eq!(
        queue.refill(&mut pool),
        Refill {
            kick: ring::Kick::Quiet,
            starved: false
        }
    );
}

#[test]
fn a_dry_pool_is_reported_only_when_the_backend_has_too_few() {
    let page = page();
    let mut queue = RxQueue::new(&page).unwrap();
    let refill = queue.refill(&mut pool(5));
    assert!(refill.starved && refill.kick.is_needed());
    assert_eq!(queue.posted(), 5, "a little is better than nothing");
    let refill = queue.refill(&mut pool(20));
    assert!(!refill.starved);
    assert_eq!(queue.posted(), 25);
    let refill = queue.refill(&mut pool(3));
    assert!(!refill.starved);
    assert_eq!(queue.posted(), 25, "three more wait for company");
    assert_eq!(queue.refill(&mut pool(300)).kick, ring::Kick::Quiet);
    assert_eq!(queue.posted(), 256);
}

#[test]
fn recycled_pages_go_first_and_nothing_is_taken_beyond_need() {
    let page = page();
    let (mut queue, mut peer, mut pool) = full(&page, 0);
    pool.limit = 1000;
    for _ in 0..20 {
        peer.data(0, 0, 60);
    }
    peer.publish();
    let mut taken = Vec::new();
    let _ = queue
        .poll(64, &mut |packet| taken.push(packet.fragments[0].buffer))
        .unwrap();
    for buffer in taken {
        queue.recycle(buffer).unwrap();
    }
    let _ = queue.refill(&mut pool);
    assert_eq!(pool.next, 256, "no new page");
    let mut refused = 0;
    for page in 0..1000 {
        let buffer = RxBuffer {
            page: 2000 + page,
            gref: GrantRef(1),
        };
        refused += u32::from(queue.recycle(buffer) == Err(buffer));
    }
    assert_eq!(refused, 744);
}

#[test]
fn ring_lies_break_the_queue() {
    for (rsp_prod, expected) in [
        (
            257,
            Corrupt::Overflow {
                rsp_prod: 257,
                limit: 256,
            },
        ),
        (
            u32::MAX,
            Corrupt::Backwards {
                rsp_prod: u32::MAX,
                seen: 0,
            },
        ),
    ] {
        let page = page();
        let (mut queue, _, mut pool) = full(&page, 0);
        page[2].set(rsp_prod);
        assert_eq!(poll(&mut queue, 64).0, Err(RxBroken::Ring(expected)));
        assert_eq!(
            poll(&mut queue, 64).0,
            Err(RxBroken::Ring(expected)),
            "latched"
        );
        assert_eq!(queue.arm(), Err(RxBroken::Ring(expected)));
        assert_eq!(queue.refill(&mut pool).kick, ring::Kick::Quiet);
        let buffer = RxBuffer::default();
        assert_eq!(queue.recycle(buffer), Err(buffer));
        let mut pages = 0;
        queue.teardown(&mut |_| pages += 1);
        assert_eq!(pages, 256);
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: if cfg!(miri) { 1 } else { 300 }, failure_persistence: None,
        ..ProptestConfig::default()
    })]

    /// Arbitrary words in the slots and arbitrary producer steps: no panic, every packet handed
    /// out is within its bounds, and no page is lost or given out twice.
    #[test]
    fn no_page_is_lost_or_comes_twice(
        rounds in prop::collection::vec(
            (prop::collection::vec((any::<[u32; 2]>(), 0_u8..8), 0..60),
             prop::option::weighted(0.03, any::<u32>()), 0_u32..40, any::<bool>()),
            1..if cfg!(miri) { 3 } else { 25 }),
        start in prop_oneof![Just(0_u32), Just(u32::MAX - 100)],
    ) {
        let page = page();
        let mut queue = RxQueue::new_at(&page, start).unwrap();
        let mut pool = pool(5000);
        let mut ours: BTreeSet<u32> = BTreeSet::new();
        let mut peer = Peer { page: &page, at: start };
        let _ = queue.refill(&mut pool);
        for (slots, lie, budget, recycle) in rounds {
            for (words, kind) in slots {
                if peer.requests() == 0 {
                    break;
                }
                match kind {
                    0 => peer.words(words),
                    1 => peer.words([words[0] & 0xFFFF_0107, words[1]]),
                    2 => peer.data(0, EXTRA | MORE, 1000),
                    3 => peer.data(0, MORE, 4096),
                    4 => peer.extra(Extra::Gso(Gso { kind: GsoKind::TcpV4, mss: 99 }), false),
                    _ => peer.data(0, 0, 60),
                }
            }
            peer.publish();
            if let Some(lie) = lie {
                page[2].set(lie);
            }
            let mut got = Vec::new();
            let _ = queue.poll(budget, &mut |packet| {
                assert!((14..=MAX_FRAME).contains(&packet.length));
                let sum: u32 = packet.fragments.iter().map(|f| u32::from(f.len)).sum();
                assert_eq!(sum, packet.length);
                for fragment in packet.fragments {
                    assert!(fragment.len > 0);
                    assert!(u32::from(fragment.offset) + u32::from(fragment.len) <= 4096);
                    got.push(fragment.buffer);
                }
            });
            for buffer in got {
                prop_assert!(ours.insert(buffer.page), "page {} twice", buffer.page);
                if recycle && queue.recycle(buffer).is_ok() {
                    ours.remove(&buffer.page);
                }
            }
            let _ = queue.refill(&mut pool);
            let _ = queue.arm();
        }
        queue.teardown(&mut |buffer| assert!(ours.insert(buffer.page), "{} twice", buffer.page));
        prop_assert_eq!(ours.len(), pool.next as usize);
    }
}
