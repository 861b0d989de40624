//! Tests of [`crate::tx`] and [`crate::segment`]. Numbers in brackets are rows of the vector table
//! in netif-and-backends.md 6.1.

use std::vec::Vec;

use proptest::prelude::*;

use crate::headers::parse;
use crate::sum::Sum;
use crate::test_frame::{Spec, reference_sum};
use crate::tx::*;
use crate::{HEAD_BYTES, IpVersion};

/// Bytes of payload of the longest frames.
const LONG: usize = if cfg!(miri) { 1500 } else { 10_000 };

const ALL: Able = Able {
    checksum: [true; 2],
    gso: [true; 2],
};
const NONE: Able = Able {
    checksum: [false; 2],
    gso: [false; 2],
};
const CHECKSUMS: Request = Request {
    ip: true,
    tcp: true,
    udp: true,
    large_send: None,
};

fn large(spec: &Spec, mss: u32) -> Request {
    Request {
        large_send: Some(LargeSend {
            mss,
            tcp_header: u16::try_from(spec.transport()).unwrap(),
        }),
        ..Request::default()
    }
}

/// Prepares `frame` and does what the shell does; the frames that go out.
fn send(
    frame: &[u8],
    tag: Option<u16>,
    request: Request,
    able: Able,
) -> Result<(Prepared, Vec<Vec<u8>>), Refusal> {
    let mut head = Head::default();
    let room = head.fill(frame.len());
    let count = room.len();
    room.copy_from_slice(&frame[..count]);
    if let Some(tag) = tag {
        head.insert_tag(tag);
    }
    let length = frame.len() + if tag.is_some() { 4 } else { 0 };
    let prepared = prepare(&mut head, length, request, able)?;
    let join = |head: &Head, body: &[u8]| -> Vec<u8> { [head.changed(), body].concat() };
    if let Some(segmenter) = prepared.segments {
        let body = &frame[head.replaced()..];
        let frames = (0..segmenter.count())
            .map(|nth| {
                let s = segmenter.segment(nth).unwrap();
                head.write_segment(&segmenter, nth);
                let body = &body[s.from as usize..(s.from + s.length) as usize];
                let mut sum = Sum::default();
                sum.add(&join(&head, body)[segmenter.transport()..]);
                head.set_checksum(segmenter.checksum_field(), sum.checksum());
                join(&head, body)
            })
            .collect();
        return Ok((prepared, frames));
    }
    let body = &frame[head.replaced()..];
    if let Checksum::Compute {
        from,
        to,
        field,
        never_zero,
    } = prepared.checksum
    {
        let mut sum = Sum::default();
        sum.add(&join(&head, body)[from..to]);
        head.set_checksum(field, Checksum::value(never_zero, sum));
    }
    Ok((prepared, std::vec![join(&head, body)]))
}

fn checksum_at(spec: &Spec) -> usize {
    spec.transport() + if spec.udp { 6 } else { 16 }
}

fn field(frame: &[u8], at: usize) -> u16 {
    u16::from_be_bytes([frame[at], frame[at + 1]])
}

#[test]
fn a_frame_that_asks_for_nothing_is_left_alone() {
    let frame = Spec::tcp4(100).bytes();
    let (prepared, out) = send(&frame, None, Request::default(), ALL).unwrap();
    assert_eq!((prepared, &out[0]), (Prepared::PLAIN, &frame));
}

#[test]
fn the_backend_gets_the_pseudo_header_sum_where_it_completes() {
    for six in [false, true] {
        for udp in [false, true] {
            let spec = Spec {
                six,
                udp,
                ..Spec::tcp4(333)
            };
            let frame = spec.bytes();
            let (prepared, out) = send(&frame, None, CHECKSUMS, ALL).unwrap();
            let version = if six { IpVersion::V6 } else { IpVersion::V4 };
            assert_eq!(prepared.checksum, Checksum::Blank(version));
            assert_eq!(field(&out[0], checksum_at(&spec)), spec.pseudo(&frame));
            if !six {
                assert_eq!(reference_sum(&[&out[0][14..34]]), 0xFFFF);
            }
        }
    }
}

#[test]
fn the_driver_computes_where_the_backend_does_not() {
    for six in [false, true] {
        for udp in [false, true] {
            for payload in [0, 1, 2, 777, LONG] {
                let spec = Spec {
                    six,
                    udp,
                    ..Spec::tcp4(payload)
                };
                let (prepared, out) = send(&spec.bytes(), None, CHECKSUMS, NONE).unwrap();
                assert!(matches!(prepared.checksum, Checksum::Compute { .. }));
                assert!(spec.verifies(&out[0]), "{spec:?}");
            }
        }
    }
}

/// Tagged frames are computed whatever the backend: netback drops them with a blank field.
#[test]
fn a_tagged_frame_never_has_a_blank_checksum() {
    let spec = Spec {
        tag: true,
        ..Spec::tcp4(500)
    };
    let (prepared, out) = send(&spec.bytes(), None, CHECKSUMS, ALL).unwrap();
    assert!(matches!(prepared.checksum, Checksum::Compute { .. }));
    assert!(spec.verifies(&out[0]));
    let plain = Spec::tcp4(500);
    let (prepared, inserted) = send(&plain.bytes(), Some(0x2005), CHECKSUMS, ALL).unwrap();
    assert!(matches!(prepared.checksum, Checksum::Compute { .. }));
    assert_eq!(inserted, out);
}

#[test]
fn a_tag_goes_into_frames_of_any_kind() {
    let mut frame = std::vec![0xFF; 60];
    frame[12..14].copy_from_slice(&[0x88, 0xB5]);
    let (_, out) = send(&frame, Some(0x6123), Request::default(), ALL).unwrap();
    assert_eq!(out[0].len(), 64);
    assert_eq!(out[0][12..18], [0x81, 0, 0x61, 0x23, 0x88, 0xB5]);
    assert_eq!(out[0][18..], frame[14..]);
}

/// [3] An IP fragment: what is there is summed, on the sum it came with; nothing is left blank.
#[test]
fn v03_a_fragment_is_never_left_to_the_backend() {
    let spec = Spec::tcp4(800);
    let mut first = spec.bytes();
    first[20] = 0x20;
    let at = checksum_at(&spec);
    first[at..at + 2].copy_from_slice(&[0x11, 0x22]);
    let (prepared, out) = send(&first, None, CHECKSUMS, ALL).unwrap();
    assert!(matches!(prepared.checksum, Checksum::Compute { .. }));
    let summed = reference_sum(&[&first[34..]]);
    assert_eq!(field(&out[0], at), !summed);
    let mut later = spec.bytes();
    later[20..22].copy_from_slice(&[0x20, 0x40]);
    let (prepared, out) = send(&later, None, CHECKSUMS, ALL).unwrap();
    assert_eq!(prepared.checksum, Checksum::Done);
    assert_eq!(out[0][34..], later[34..], "no transport header to write to");
    assert_eq!(reference_sum(&[&out[0][14..34]]), 0xFFFF);
}

/// [3] An IPv6 atomic fragment is a whole datagram, but netback refuses it with a blank field.
#[test]
fn v03_an_atomic_fragment_is_computed_here() {
    let spec = Spec {
        ip_options: 8,
        ..Spec::tcp6(300)
    };
    let mut frame = spec.bytes();
    frame[20] = 44;
    frame[54..62].copy_from_slice(&[6, 0, 0, 0, 0, 0, 0, 1]);
    let (prepared, out) = send(&frame, None, CHECKSUMS, ALL).unwrap();
    assert!(matches!(prepared.checksum, Checksum::Compute { .. }));
    assert!(spec.verifies(&out[0]));
}

#[test]
fn a_udp_checksum_of_zero_is_sent_as_all_ones() {
    let spec = Spec {
        udp: true,
        ..Spec::tcp4(2)
    };
    let mut frame = spec.bytes();
    let payload = spec.header();
    frame[payload..].copy_from_slice(&[0, 0]);
    let sum = reference_sum(&[&spec.pseudo(&frame).to_be_bytes(), &frame[34..]]);
    frame[payload..].copy_from_slice(&(!sum).to_be_bytes());
    let (_, out) = send(&frame, None, CHECKSUMS, NONE).unwrap();
    assert_eq!(field(&out[0], checksum_at(&spec)), 0xFFFF);
}

/// [2] Total length 0 and a pseudo-header sum without length are fixed first.
#[test]
fn v02_headers_of_a_large_send_are_fixed() {
    for spec in [Spec::tcp4(20_000), Spec::tcp6(20_000)] {
        let whole = spec.bytes();
        let mut frame = whole.clone();
        let length_at = if spec.six { 18 } else { 16 };
        frame[length_at..length_at + 2].fill(0);
        let (prepared, out) = send(&frame, None, large(&spec, 1448), ALL).unwrap();
        let version = if spec.six {
            IpVersion::V6
        } else {
            IpVersion::V4
        };
        assert_eq!(prepared.gso, Some((version, 1448)));
        assert_eq!(prepared.checksum, Checksum::Blank(version));
        assert_eq!(
            (prepared.frames, prepared.header as usize),
            (14, spec.header())
        );
        let out = &out[0];
        assert_eq!(
            out[length_at..length_at + 2],
            whole[length_at..length_at + 2]
        );
        assert_eq!(field(out, checksum_at(&spec)), spec.pseudo(&whole));
        assert!(spec.six || reference_sum(&[&out[14..34]]) == 0xFFFF);
        assert_eq!(out[spec.header()..], frame[spec.header()..]);
    }
}

#[test]
fn what_fits_in_one_segment_is_an_ordinary_frame() {
    let spec = Spec::tcp4(1448);
    let (prepared, out) = send(&spec.bytes(), None, large(&spec, 1448), ALL).unwrap();
    assert_eq!(
        (prepared.gso, prepared.segments, prepared.frames),
        (None, None, 1)
    );
    assert_eq!(prepared.checksum, Checksum::Blank(IpVersion::V4));
    assert_eq!(out.len(), 1);
    let (_, out) = send(&spec.bytes(), None, large(&spec, 9000), NONE).unwrap();
    assert!(spec.verifies(&out[0]));
}

#[test]
fn impossible_large_sends_are_refused() {
    let spec = Spec::tcp4(3000);
    let frame = spec.bytes();
    let refused = |frame: &[u8], request| send(frame, None, request, ALL).map(|_| ()).unwrap_err();
    assert_eq!(refused(&frame, large(&spec, 0)), Refusal::LargeSend);
    assert_eq!(
        refused(&frame[..54], large(&spec, 1000)),
        Refusal::LargeSend
    );
    let mut wrong = large(&spec, 1000);
    wrong.large_send.as_mut().unwrap().tcp_header = 38;
    assert_eq!(refused(&frame, wrong), Refusal::Headers);
    let udp = Spec {
        udp: true,
        ..spec.clone()
    };
    assert_eq!(refused(&udp.bytes(), large(&udp, 1000)), Refusal::Headers);
    let mut fragment = frame.clone();
    fragment[20] = 0x20;
    assert_eq!(refused(&fragment, large(&spec, 1000)), Refusal::Headers);
    let mut endless = std::vec![0; 14 + 65_536];
    endless[..frame.len()].copy_from_slice(&frame);
    assert_eq!(refused(&endless, large(&spec, 1000)), Refusal::TooLong);
}

/// Segments against a cutting of its own: payload, sequence numbers, flags, identification.
fn check_segments(spec: &Spec, frame: &[u8], mss: usize, out: &[Vec<u8>]) {
    let (header, transport, ip) = (spec.header(), spec.transport(), spec.ip());
    let payload = &frame[header..];
    assert_eq!(out.len(), payload.len().div_ceil(mss));
    for (nth, (segment, part)) in out.iter().zip(payload.chunks(mss)).enumerate() {
        assert_eq!(&segment[header..], part);
        assert!(spec.verifies(segment), "segment {nth} of {spec:?}");
        let sequence =
            u32::from_be_bytes(segment[transport + 4..transport + 8].try_into().unwrap());
        assert_eq!(sequence, 0xFFFF_FF00_u32.wrapping_add((nth * mss) as u32));
        let last = nth + 1 == out.len();
        let mut flags = spec.flags;
        if !last {
            flags &= !0x09;
        }
        if nth > 0 {
            flags &= !0x80;
        }
        assert_eq!(segment[transport + 13], flags, "segment {nth}");
        assert_eq!(
            segment[transport + 20..header],
            frame[transport + 20..header]
        );
        let h = parse(segment).unwrap();
        assert_eq!(h.end, segment.len());
        if !spec.six {
            assert_eq!(field(segment, ip + 4), 0x1234_u16.wrapping_add(nth as u16));
        }
    }
}

#[test]
fn a_large_send_with_a_tag_or_without_a_backend_for_it_is_cut_here() {
    for spec in [Spec::tcp4(LONG), Spec::tcp6(LONG)] {
        let frame = spec.bytes();
        let (_, out) = send(&frame, None, large(&spec, 1448), NONE).unwrap();
        check_segments(&spec, &frame, 1448, &out);
        let tagged = Spec {
            tag: true,
            ..spec.clone()
        };
        let (prepared, out) = send(&frame, Some(0x2005), large(&spec, 1448), ALL).unwrap();
        assert!(prepared.gso.is_none());
        check_segments(&tagged, &tagged.bytes(), 1448, &out);
    }
}

fn any_spec() -> impl Strategy<Value = Spec> {
    (
        any::<[bool; 3]>(),
        0_usize..5,
        0_usize..10,
        any::<u8>(),
        0_usize..2 * LONG,
    )
        .prop_map(|([six, udp, tag], ip, tcp, flags, payload)| Spec {
            six,
            udp,
            tag,
            ip_options: ip * if six { 8 } else { 4 },
            tcp_options: std::vec![1; tcp * 4],
            flags,
            payload,
        })
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: if cfg!(miri) { 2 } else { 512 },
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn checksums_are_right_for_every_header_stack(spec in any_spec()) {
        let frame = spec.bytes();
        let (_, out) = send(&frame, None, CHECKSUMS, NONE).unwrap();
        prop_assert!(spec.verifies(&out[0]));
        prop_assert_eq!(&out[0][spec.header()..], &frame[spec.header()..]);
    }

    #[test]
    fn segments_are_right_for_every_header_stack(spec in any_spec(), mss in 8_u32..9000) {
        let spec = Spec { udp: false, payload: spec.payload.max(1), ..spec };
        let frame = spec.bytes();
        let (_, out) = send(&frame, None, large(&spec, mss), NONE).unwrap();
        if out.len() > 1 {
            check_segments(&spec, &frame, mss as usize, &out);
        } else {
            prop_assert!(spec.verifies(&out[0]));
        }
    }

    #[test]
    fn nothing_breaks_the_preparation(
        bytes in proptest::collection::vec(any::<u8>(), 0..HEAD_BYTES + 40),
        kind in prop::sample::select(std::vec![0x0800_u16, 0x86DD, 0x8100]),
        mss: u32, tcp_header: u16, tag: Option<u16>, able in any::<[bool; 4]>())
    {
        let mut bytes = bytes;
        if bytes.len() > 14 {
            bytes[12..14].copy_from_slice(&kind.to_be_bytes());
            bytes[14] = if kind == 0x0800 { 0x45 } else { 0x60 };
        }
        let able = Able { checksum: [able[0], able[1]], gso: [able[2], able[3]] };
        for request in [CHECKSUMS, Request {
            large_send: Some(LargeSend { mss, tcp_header }), ..Request::default()
        }] {
            if let Ok((_, out)) = send(&bytes, tag, request, able) {
                prop_assert!(!out.is_empty());
            }
        }
    }
}
