//! Tests of [`crate::rx`]. Numbers in brackets are rows of the vector table in
//! netif-and-backends.md 6.1.

use std::vec::Vec;

use proptest::prelude::*;

use crate::rx::*;
use crate::settings::{Directions, Offloads};
use crate::sum::Sum;
use crate::test_frame::Spec;
use crate::{HEAD_BYTES, IpVersion};

const ON: Wanted = Wanted {
    offloads: Offloads::ALL,
    recorded: false,
};

fn off(change: impl Fn(&mut Offloads)) -> Wanted {
    let mut offloads = Offloads::ALL;
    change(&mut offloads);
    Wanted { offloads, ..ON }
}

fn decide(frame: &[u8], checksum: Told, gso: Option<(IpVersion, u16)>, wanted: &Wanted) -> Plan {
    let head = &frame[..frame.len().min(HEAD_BYTES)];
    let length = u32::try_from(frame.len()).unwrap();
    plan(
        head,
        &Facts {
            length,
            checksum,
            gso,
        },
        wanted,
        1518,
    )
}

fn delivered(plan: Plan) -> Deliver {
    match plan {
        Plan::Deliver(deliver) => deliver,
        other => panic!("{other:?}"),
    }
}

/// A frame whose IPv4 checksum is right and whose transport field holds the pseudo-header sum.
fn blank(spec: &Spec) -> Vec<u8> {
    let mut frame = spec.bytes();
    if !spec.six {
        let mut sum = Sum::default();
        sum.add(&frame[spec.ip()..spec.transport()]);
        let at = spec.ip() + 10;
        frame[at..at + 2].copy_from_slice(&sum.checksum().to_be_bytes());
    }
    let at = spec.transport() + if spec.udp { 6 } else { 16 };
    let pseudo = spec.pseudo(&frame).to_be_bytes();
    frame[at..at + 2].copy_from_slice(&pseudo);
    frame
}

fn completed(frame: &[u8], complete: Complete) -> Vec<u8> {
    let mut frame = frame.to_vec();
    let at = complete.field;
    frame[at..at + 2].copy_from_slice(&complete.pseudo.to_be_bytes());
    let mut sum = Sum::default();
    sum.add(&frame[complete.from..complete.to]);
    frame[at..at + 2].copy_from_slice(&sum.checksum().to_be_bytes());
    frame
}

#[test]
fn validated_frames_are_told_good_and_left_alone() {
    for six in [false, true] {
        for udp in [false, true] {
            let spec = Spec {
                six,
                udp,
                ..Spec::tcp4(100)
            };
            let deliver = delivered(decide(&blank(&spec), Told::Validated, None, &ON));
            let good = |yes| {
                if yes {
                    Verdict::Good
                } else {
                    Verdict::Unchecked
                }
            };
            let want = Deliver {
                ip: good(!six),
                tcp: good(!udp),
                udp: good(udp),
                ..Deliver::default()
            };
            assert_eq!(deliver, want);
        }
    }
}

#[test]
fn blank_frames_are_completed_whether_or_not_the_verdict_is_wanted() {
    for wanted in [ON, off(|o| o.tcp4 = Directions::default())] {
        let spec = Spec::tcp4(701);
        let frame = blank(&spec);
        let deliver = delivered(decide(&frame, Told::Blank, None, &wanted));
        let told = deliver.tcp == Verdict::Good;
        assert_eq!(told, wanted.offloads.tcp4.rx);
        assert!(spec.verifies(&completed(&frame, deliver.complete.unwrap())));
    }
}

#[test]
fn padding_is_not_summed() {
    let spec = Spec::tcp4(1);
    let frame = blank(&spec);
    let length = frame.len();
    let mut padded = frame;
    padded.resize(60, 0xEE);
    let complete = delivered(decide(&padded, Told::Blank, None, &ON))
        .complete
        .unwrap();
    assert!(spec.verifies(&completed(&padded, complete)[..length]));
}

#[test]
fn frames_nothing_is_said_of_are_not_judged() {
    let deliver = delivered(decide(&blank(&Spec::tcp4(9)), Told::Nothing, None, &ON));
    assert_eq!(
        (deliver.ip, deliver.tcp),
        (Verdict::Good, Verdict::Unchecked)
    );
    let arp = [0xFF; 60];
    assert_eq!(
        delivered(decide(&arp, Told::Validated, None, &ON)),
        Deliver::default()
    );
}

#[test]
fn a_wrong_ipv4_header_is_told() {
    let mut frame = blank(&Spec::tcp4(9));
    frame[22] ^= 1;
    let deliver = delivered(decide(&frame, Told::Validated, None, &ON));
    assert_eq!(deliver.ip, Verdict::Bad);
}

#[test]
fn fragments_have_no_transport_verdict() {
    let mut frame = blank(&Spec::tcp4(64));
    frame[20] = 0x20;
    let deliver = delivered(decide(&frame, Told::Blank, None, &ON));
    assert_eq!((deliver.tcp, deliver.complete), (Verdict::Unchecked, None));
}

#[test]
fn several_segments_are_one_unit_with_the_right_count() {
    let long = [(14_480, 10), (14_481, 11), (60_000, 42)];
    let long = if cfg!(miri) { &long[..0] } else { &long[..] };
    for &(payload, segments) in [(1449, 2)].iter().chain(long) {
        for spec in [Spec::tcp4(payload), Spec::tcp6(payload)] {
            let version = if spec.six {
                IpVersion::V6
            } else {
                IpVersion::V4
            };
            let plan = decide(&blank(&spec), Told::Blank, Some((version, 1448)), &ON);
            let deliver = delivered(plan);
            let unit = Unit {
                segments,
                payload: payload as u32,
                stale: true,
            };
            assert_eq!((deliver.unit, deliver.tcp), (Some(unit), Verdict::Good));
            assert_eq!(deliver.complete, None, "nobody needs it");
        }
    }
}

#[test]
fn a_recorded_unit_has_a_right_checksum() {
    let wanted = Wanted {
        recorded: true,
        ..ON
    };
    let spec = Spec::tcp4(5000);
    let frame = blank(&spec);
    let deliver = delivered(decide(
        &frame,
        Told::Blank,
        Some((IpVersion::V4, 1448)),
        &wanted,
    ));
    assert!(!deliver.unit.unwrap().stale);
    assert!(spec.verifies(&completed(&frame, deliver.complete.unwrap())));
}

#[test]
fn what_no_card_would_coalesce_is_cut() {
    let timestamp = std::vec![1, 1, 8, 10, 1, 2, 3, 4, 5, 6, 7, 8];
    let unit = Spec {
        tcp_options: timestamp,
        ..Spec::tcp4(5000)
    };
    let gso = Some((IpVersion::V4, 1000));
    assert!(
        delivered(decide(&blank(&unit), Told::Blank, gso, &ON))
            .unit
            .is_some()
    );
    let exceptions = [
        Spec {
            flags: 0x19,
            ..unit.clone()
        },
        Spec {
            flags: 0x38,
            ..unit.clone()
        },
        Spec {
            flags: 0x98,
            ..unit.clone()
        },
        Spec {
            flags: 0x08,
            ..unit.clone()
        },
        Spec {
            ip_options: 4,
            ..unit.clone()
        },
        Spec {
            tcp_options: std::vec![5, 10, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1],
            ..unit.clone()
        },
    ];
    for spec in exceptions {
        let plan = decide(&blank(&spec), Told::Blank, gso, &ON);
        assert!(matches!(plan, Plan::Cut(..)), "{spec:?}: {plan:?}");
    }
    let wanted = off(|o| o.rsc4 = false);
    let plan = decide(&blank(&unit), Told::Blank, gso, &wanted);
    assert!(matches!(plan, Plan::Cut(..)));
}

/// [6] GSO with flags 0, or any others: delivered, with right checksums.
#[test]
fn v06_segments_with_any_flags_come_out_right() {
    let spec = Spec::tcp4(5000);
    let wanted = off(|o| o.rsc4 = false);
    for told in [Told::Nothing, Told::Validated, Told::Blank] {
        let mut frame = blank(&spec);
        if told == Told::Nothing {
            frame[50..52].copy_from_slice(&[0xDE, 0xAD]);
        }
        let Plan::Cut(segmenter, deliver) =
            decide(&frame, told, Some((IpVersion::V4, 1448)), &wanted)
        else {
            panic!("not cut")
        };
        assert_eq!((deliver.ip, deliver.tcp), (Verdict::Good, Verdict::Good));
        assert_eq!(segmenter.count(), 4);
        let mut joined = Vec::new();
        for nth in 0..4 {
            let s = segmenter.segment(nth).unwrap();
            let mut head = frame[..54].to_vec();
            segmenter.write(&mut head, nth);
            let body = &frame[54 + s.from as usize..54 + (s.from + s.length) as usize];
            let mut out = [&head[..], body].concat();
            let mut sum = Sum::default();
            sum.add(&out[segmenter.transport()..]);
            let at = segmenter.checksum_field();
            out[at..at + 2].copy_from_slice(&sum.checksum().to_be_bytes());
            let own = Spec {
                payload: body.len(),
                ..spec.clone()
            };
            assert!(own.verifies(&out), "{told:?}, segment {nth}");
            joined.extend_from_slice(body);
        }
        assert_eq!(joined, frame[54..]);
        let unit = delivered(decide(&frame, told, Some((IpVersion::V4, 1448)), &ON));
        assert_eq!((unit.tcp, unit.unit.unwrap().segments), (Verdict::Good, 4));
    }
}

#[test]
fn a_lie_about_segments_is_dropped_or_taken_as_one_frame() {
    let short = blank(&Spec::tcp4(900));
    let deliver = delivered(decide(
        &short,
        Told::Blank,
        Some((IpVersion::V4, 1448)),
        &ON,
    ));
    assert!(deliver.unit.is_none() && deliver.complete.is_some());
    let long = blank(&Spec::tcp4(5000));
    for gso in [
        (IpVersion::V6, 1000),
        (IpVersion::V4, 6000),
        (IpVersion::V4, 2000),
    ] {
        let wanted = off(|o| o.rsc4 = false);
        assert_eq!(
            decide(&long, Told::Blank, Some(gso), &wanted),
            Plan::Drop,
            "{gso:?}"
        );
    }
    let udp = blank(&Spec {
        udp: true,
        ..Spec::tcp4(5000)
    });
    assert_eq!(
        decide(&udp, Told::Blank, Some((IpVersion::V4, 1000)), &ON),
        Plan::Drop
    );
    assert_eq!(
        decide(&[0; 4000], Told::Blank, Some((IpVersion::V4, 1000)), &ON),
        Plan::Drop
    );
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: if cfg!(miri) { 3 } else { 1024 },
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    /// Whatever the bytes: what is to be completed lies in the frame, and a unit has segments.
    #[test]
    fn nothing_breaks_the_plan(
        bytes in proptest::collection::vec(any::<u8>(), 14..HEAD_BYTES),
        kind in prop::sample::select(std::vec![0x0800_u16, 0x86DD, 0x8100, 0x0806]),
        more in 0_usize..70_000, mss: u16, told in 0_usize..3, six: bool)
    {
        let mut frame = bytes;
        frame[12..14].copy_from_slice(&kind.to_be_bytes());
        if frame.len() > 23 {
            frame[14] = if kind == 0x0800 { 0x45 } else { 0x60 };
            frame[if kind == 0x0800 { 23 } else { 20 }] = 6;
        }
        let length = frame.len() + more;
        let told = [Told::Nothing, Told::Validated, Told::Blank][told];
        let version = if six { IpVersion::V6 } else { IpVersion::V4 };
        for gso in [None, Some((version, mss))] {
            let facts = Facts { length: length as u32, checksum: told, gso };
            match plan(&frame, &facts, &ON, 1518) {
                Plan::Deliver(deliver) => {
                    if let Some(c) = deliver.complete {
                        prop_assert!(c.from <= c.field && c.field + 2 <= c.to && c.to <= length);
                        prop_assert!(c.field + 2 <= frame.len());
                    }
                    prop_assert!(deliver.unit.is_none_or(|u| u.segments > 1));
                }
                Plan::Cut(segmenter, _) => {
                    let last = segmenter.segment(segmenter.count() - 1).unwrap();
                    let end = segmenter.header() as u32 + last.from + last.length;
                    prop_assert!(end as usize <= length);
                }
                Plan::Drop => prop_assert!(gso.is_some()),
            }
        }
    }
}
