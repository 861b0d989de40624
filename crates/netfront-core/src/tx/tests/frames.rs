//! How frames are cut, and what the validator lets through.

use std::vec::Vec;

use netif::GrantRef;
use netif::ctrl::HashKind;
use netif::extra::{Extra, ExtraSlot, Gso, GsoKind, HashInfo};
use netif::features::Features;
use netif::tx::{TxFlags, TxRequest};
use proptest::prelude::*;

use super::peer::{linux, policy};
use crate::tx::*;

fn frame(fragments: &[Fragment]) -> Frame<'_> {
    Frame {
        length: fragments.iter().map(|part| part.len).sum(),
        fragments,
        checksum: TxChecksum::Complete,
        gso: None,
        hash: None,
    }
}

fn bytes(length: u32) -> Frame<'static> {
    Frame {
        length,
        ..frame(&[])
    }
}

fn shape(plan: &Plan) -> Vec<(char, u32, u16, u16)> {
    let letter = |source| match source {
        Source::Header => 'h',
        Source::Bounce => 'b',
        Source::Page { .. } => 'p',
    };
    plan.slots()
        .iter()
        .map(|s| (letter(s.source), s.from, s.offset, s.len))
        .collect()
}

fn planned(frame: &Frame<'_>, policy: TxPolicy) -> Plan {
    plan(frame, policy, 64).unwrap().unwrap()
}

#[test]
fn up_to_128_bytes_go_to_the_header_pool() {
    for length in [14, 60, 128] {
        let plan = planned(&bytes(length), policy());
        assert_eq!(shape(&plan), [('h', 0, 0, u16::try_from(length).unwrap())]);
        assert!(plan.is_copy());
    }
}

#[test]
fn small_frames_are_one_bounce_slot() {
    let parts = [Fragment {
        pfn: 1,
        offset: 10,
        len: 200,
    }];
    let plan = planned(&frame(&parts), policy());
    assert_eq!(shape(&plan), [('b', 0, 0, 200)]);
}

#[test]
fn large_frames_are_a_copied_header_and_pages_in_place() {
    let parts = [
        Fragment {
            pfn: 1,
            offset: 4000,
            len: 54,
        },
        Fragment {
            pfn: 2,
            offset: 96,
            len: 4000,
        },
        Fragment {
            pfn: 3,
            offset: 0,
            len: 4096,
        },
    ];
    let plan = planned(&frame(&parts), policy());
    assert_eq!(
        shape(&plan),
        [
            ('h', 0, 0, 128),
            ('p', 128, 96 + 74, 4000 - 74),
            ('p', 4054, 0, 4096)
        ]
    );
}

#[test]
fn fragments_are_split_at_pages() {
    let parts = [Fragment {
        pfn: 7,
        offset: 3000,
        len: 6000,
    }];
    let plan = planned(&frame(&parts), policy());
    assert_eq!(
        shape(&plan),
        [
            ('h', 0, 0, 128),
            ('p', 128, 3128, 968),
            ('p', 1096, 0, 4096),
            ('p', 5192, 0, 808)
        ]
    );
    let pfns: Vec<_> = plan
        .slots()
        .iter()
        .filter_map(|s| match s.source {
            Source::Page { pfn } => Some(pfn),
            _ => None,
        })
        .collect();
    assert_eq!(pfns, [7, 8, 9]);
}

#[test]
fn an_unaligned_64_kib_segment_fits_18_slots_in_place() {
    let parts = [
        Fragment {
            pfn: 1,
            offset: 0,
            len: 54,
        },
        Fragment {
            pfn: 100,
            offset: 2000,
            len: 65_535 - 54,
        },
    ];
    let plan = planned(&frame(&parts), policy());
    assert_eq!(plan.slots().len(), 18);
    assert_eq!(plan.bounce_pages(), 0);
}

#[test]
fn twenty_pieces_of_3_kib_fit_18_slots() {
    let parts: Vec<_> = (0..20_u32)
        .map(|n| Fragment {
            pfn: n.into(),
            offset: 2000,
            len: 3072,
        })
        .collect();
    let plan = planned(&frame(&parts), policy());
    assert!(plan.slots().len() <= 18);
    assert!(plan.slots()[0].len >= 128);
    let total: u32 = plan.slots().iter().map(|slot| u32::from(slot.len)).sum();
    assert_eq!(total, 61_440);
}

#[test]
fn an_untrusted_backend_sees_no_page_of_the_guest() {
    let parts = [Fragment {
        pfn: 1,
        offset: 0,
        len: 40_000,
    }];
    let plan = planned(
        &frame(&parts),
        TxPolicy {
            in_place: false,
            ..policy()
        },
    );
    assert!(plan.is_copy());
    assert_eq!(plan.bounce_pages(), 10);
}

#[test]
fn without_bounce_pages_a_trusted_backend_gets_the_pages() {
    let parts = [Fragment {
        pfn: 1,
        offset: 0,
        len: 200,
    }];
    assert!(
        !plan(&frame(&parts), policy(), 0)
            .unwrap()
            .unwrap()
            .is_copy()
    );
    let copying = TxPolicy {
        in_place: false,
        ..policy()
    };
    assert!(plan(&frame(&parts), copying, 0).unwrap().is_none(), "later");
    assert!(
        plan(&bytes(200), policy(), 0).unwrap().is_none(),
        "pages unknown: later"
    );
}

#[test]
fn without_scatter_gather_there_is_one_slot() {
    let none = TxPolicy {
        backend: Features::NONE,
        ..policy()
    };
    let parts = [Fragment {
        pfn: 1,
        offset: 4000,
        len: 1514,
    }];
    assert_eq!(planned(&frame(&parts), none).slots().len(), 1);
    assert_eq!(planned(&bytes(4096), none).slots().len(), 1);
    assert_eq!(
        plan(&bytes(4097), none, 64).unwrap_err(),
        Reject::NeedsScatterGather
    );
}

#[test]
fn impossible_frames_are_rejected() {
    assert_eq!(plan(&bytes(13), policy(), 64).unwrap_err(), Reject::Length);
    assert_eq!(
        plan(&bytes(65_536), policy(), 64).unwrap_err(),
        Reject::Length
    );
    let parts = [Fragment {
        pfn: 1,
        offset: 0,
        len: 500,
    }];
    let short = Frame {
        length: 501,
        ..frame(&parts)
    };
    assert_eq!(plan(&short, policy(), 64).unwrap_err(), Reject::Fragments);
    let beyond = [Fragment {
        pfn: 1,
        offset: 4096,
        len: 500,
    }];
    assert_eq!(
        plan(&frame(&beyond), policy(), 64).unwrap_err(),
        Reject::Fragments
    );
}

#[test]
fn what_was_not_offered_is_not_asked_for() {
    let none = TxPolicy {
        backend: Features::SG,
        ..policy()
    };
    for checksum in [TxChecksum::BlankIpv4, TxChecksum::BlankIpv6] {
        let frame = Frame {
            checksum,
            ..bytes(60)
        };
        assert_eq!(plan(&frame, none, 64).unwrap_err(), Reject::Checksum);
    }
    let gso = Gso {
        kind: GsoKind::TcpV4,
        mss: 1460,
    };
    let lso = Frame {
        checksum: TxChecksum::BlankIpv4,
        gso: Some(gso),
        ..bytes(4000)
    };
    let no_gso = TxPolicy {
        backend: linux().without(Features::GSO_TCPV4),
        ..policy()
    };
    assert_eq!(plan(&lso, no_gso, 64).unwrap_err(), Reject::Gso);
    assert!(plan(&lso, policy(), 64).is_ok());
    let mismatch = Frame {
        checksum: TxChecksum::BlankIpv6,
        ..lso
    };
    assert_eq!(plan(&mismatch, policy(), 64).unwrap_err(), Reject::Gso);
    let zero = Frame {
        gso: Some(Gso { mss: 0, ..gso }),
        ..lso
    };
    assert_eq!(plan(&zero, policy(), 64).unwrap_err(), Reject::Gso);
    let hashed = Frame {
        hash: Some(HashInfo::toeplitz(HashKind::Ipv4, 1)),
        ..bytes(60)
    };
    assert_eq!(
        planned(&hashed, none).extras().count(),
        0,
        "a hint is left out"
    );
    assert_eq!(planned(&hashed, policy()).extras().count(), 1);
}

fn data(size: u16, flags: TxFlags) -> TxSlot {
    TxSlot::Data(TxRequest {
        gref: GrantRef(9),
        offset: 0,
        flags,
        id: 0,
        size,
    })
}

const MORE: TxFlags = TxFlags::MORE_DATA;
const LAST: TxFlags = TxFlags(0);

fn with_extra(extra: ExtraSlot, flags: TxFlags) -> [TxSlot; 2] {
    [
        data(100, flags.with(TxFlags::EXTRA_INFO)),
        TxSlot::Extra(extra),
    ]
}

#[test]
fn the_validator_knows_every_rule_of_netback() {
    use Violation::*;
    let refused = |slots: &[TxSlot]| validate(slots, linux()).unwrap_err();
    let gso = |mss| ExtraSlot::raw(1, 0, mss, 1);
    let gso_flags = TxFlags::CSUM_BLANK.with(TxFlags::DATA_VALIDATED);
    assert_eq!(refused(&[]), NoFirstSlot);
    assert_eq!(refused(&[TxSlot::Extra(gso(1))]), NoFirstSlot);
    assert_eq!(refused(&[data(100, TxFlags::EXTRA_INFO)]), ExtraChain);
    assert_eq!(
        refused(&[data(100, LAST), TxSlot::Extra(gso(1))]),
        ExtraChain
    );
    assert_eq!(
        refused(&with_extra(ExtraSlot::raw(1, 1, 9, 1), gso_flags)),
        ExtraChain
    );
    for unknown in [0, 5, 6, 255] {
        assert_eq!(
            refused(&with_extra(ExtraSlot::raw(unknown, 0, 0, 0), LAST)),
            ExtraNotOffered
        );
    }
    assert_eq!(refused(&with_extra(gso(0), gso_flags)), Gso);
    assert_eq!(
        refused(&with_extra(ExtraSlot::raw(1, 0, 9, 3), gso_flags)),
        Gso
    );
    assert_eq!(refused(&with_extra(gso(9), LAST)), ChecksumFlags);
    assert_eq!(refused(&[data(100, TxFlags::CSUM_BLANK)]), ChecksumFlags);
    let twice = [
        data(100, gso_flags.with(TxFlags::EXTRA_INFO)),
        TxSlot::Extra(ExtraSlot::raw(1, 1, 9, 1)),
        TxSlot::Extra(gso(9)),
    ];
    assert_eq!(refused(&twice), ExtraNotOffered);
    assert_eq!(refused(&[data(100, MORE)]), DataChain);
    assert_eq!(refused(&[data(100, LAST), data(20, LAST)]), DataChain);
    assert_eq!(refused(&[data(100, MORE), data(20, MORE)]), DataChain);
    assert_eq!(refused(&[data(100, MORE), data(0, LAST)]), EmptySlot);
    assert_eq!(refused(&[data(100, MORE), data(101, LAST)]), FirstSlot);
    assert_eq!(refused(&[data(100, MORE), data(87, LAST)]), FirstSlot);
    assert_eq!(refused(&[data(13, LAST)]), FirstSlot);
    assert_eq!(refused(&[data(4097, LAST)]), PageBound);
    assert_eq!(
        refused(&[data(5000, MORE), data(100, LAST)]),
        PageBound,
        "derived first size"
    );
    assert_eq!(refused(&[data(9000, MORE), data(4097, LAST)]), PageBound);
    assert_eq!(
        refused(&[data(100, MORE), data(20, TxFlags::EXTRA_INFO)]),
        ExtraChain
    );
    let mcast = ExtraSlot::emit(Extra::McastAdd([1; 6]), false);
    let [first, extra] = with_extra(mcast, MORE);
    assert_eq!(refused(&[first, extra, data(20, LAST)]), DataChain);
}

#[test]
fn eighteen_data_slots_pass_and_nineteen_do_not() {
    let packet = |slots: u16| {
        let mut list: Vec<_> = (1..slots).map(|_| data(100, MORE)).collect();
        list.insert(0, data(slots * 100, MORE));
        let end = list.len() - 1;
        list[end] = data(100, LAST);
        list
    };
    assert_eq!(validate(&packet(18), linux()), Ok(()));
    assert_eq!(validate(&packet(19), linux()), Err(Violation::TooManySlots));
    let no_sg = linux().without(Features::SG);
    assert_eq!(
        validate(&packet(2), no_sg),
        Err(Violation::NotScatterGather)
    );
}

#[test]
fn each_extra_needs_its_offer() {
    let blank = TxFlags::CSUM_BLANK.with(TxFlags::DATA_VALIDATED);
    for (extra, flags, feature) in [
        (
            Extra::Gso(Gso {
                kind: GsoKind::TcpV4,
                mss: 9,
            }),
            blank,
            Features::GSO_TCPV4,
        ),
        (
            Extra::Gso(Gso {
                kind: GsoKind::TcpV6,
                mss: 9,
            }),
            blank,
            Features::GSO_TCPV6,
        ),
        (
            Extra::Hash(HashInfo::toeplitz(HashKind::Ipv4, 1)),
            LAST,
            Features::CTRL_RING,
        ),
        (Extra::McastAdd([1; 6]), LAST, Features::MULTICAST_CONTROL),
        (Extra::McastDel([1; 6]), LAST, Features::MULTICAST_CONTROL),
    ] {
        let packet = with_extra(ExtraSlot::emit(extra, false), flags);
        assert_eq!(validate(&packet, linux()), Ok(()));
        assert_eq!(
            validate(&packet, linux().without(feature)),
            Err(Violation::ExtraNotOffered),
            "{extra:?}"
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: if cfg!(miri) { 2 } else { 512 }, failure_persistence: None,
        ..ProptestConfig::default()
    })]

    /// Whatever the fragments: the slots cover the frame's bytes in order, each once, and each
    /// page slot shows exactly the bytes of its place in the frame.
    #[test]
    fn slots_are_the_frame(
        parts in prop::collection::vec((0_u64..1000, 0_u32..4096, 0_u32..9000), 1..40),
        in_place: bool,
        copy_break in 0_u32..2000,
        free in 0_usize..40,
    ) {
        let parts: Vec<_> = parts.into_iter()
            .map(|(page, offset, len)| Fragment { pfn: page * 10, offset, len }).collect();
        let frame = frame(&parts);
        let policy = TxPolicy { in_place, copy_break, ..policy() };
        let plan = match plan(&frame, policy, free) {
            Ok(Some(plan)) => plan,
            Ok(None) => {
                prop_assert!(free < 16, "the longest frame fits 16 bounce pages");
                return Ok(());
            }
            Err(reject) => {
                prop_assert_eq!(reject, Reject::Length);
                prop_assert!(frame.length < 14 || frame.length > 65_535);
                return Ok(());
            }
        };
        prop_assert!(plan.slots().len() <= 18);
        prop_assert!(plan.bounce_pages() <= free);
        prop_assert!(in_place || plan.is_copy());
        // Where each byte of the frame is, by the fragments alone.
        let place = |byte: u32| {
            let mut at = 0;
            for part in &parts {
                if byte < at + part.len {
                    let address = part.pfn * 4096 + u64::from(part.offset + byte - at);
                    return (address / 4096, u16::try_from(address % 4096).unwrap());
                }
                at += part.len;
            }
            unreachable!("beyond the frame");
        };
        let mut at = 0;
        for slot in plan.slots() {
            prop_assert_eq!(slot.from, at);
            prop_assert!(slot.len > 0 && u32::from(slot.offset) + u32::from(slot.len) <= 4096);
            at += u32::from(slot.len);
            if let Source::Page { pfn } = slot.source {
                prop_assert_eq!(place(slot.from), (pfn, slot.offset));
                prop_assert_eq!(place(at - 1), (pfn, slot.offset + slot.len - 1));
            }
        }
        prop_assert_eq!(at, frame.length);
    }
}
