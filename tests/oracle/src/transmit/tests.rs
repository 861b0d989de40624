//! The rules of sending, on frames that are right and wrong in every way.

use super::*;
use crate::samples;

const ALL: Offered = Offered {
    csum_v4: true,
    csum_v6: true,
    gso_v4: true,
    gso_v6: true,
};

fn plain(bytes: Vec<u8>) -> Asked {
    Asked {
        bytes,
        ..Asked::default()
    }
}

fn only(asked: &Asked) -> Vec<u8> {
    let mut frames = expected(asked, Tagging::default()).expect("a sound request");
    assert_eq!(frames.len(), 1);
    frames.remove(0)
}

#[test]
fn short_frames_are_padded_with_zeros_and_others_are_as_they_are() {
    for len in [14, 15, 59, 60, 61, 1514] {
        let frame = [&[0xAA; 12][..], &[0x88, 0xB5], &samples::noise(len - 14)].concat();
        let sent = only(&plain(frame.clone()));
        assert_eq!(sent.len(), len.max(60));
        assert_eq!(sent[..len], frame);
        assert!(sent[len..].iter().all(|byte| *byte == 0));
    }
}

#[test]
fn tags_are_inserted_as_set() {
    let mut asked = plain(samples::tcp4(b"payload of some length"));
    asked.tag = slots::tag_slot(0xB123);
    assert_eq!(only(&asked), samples::tagged(&asked.bytes, 0xB123));
    for (tagging, tag) in [
        (
            Tagging {
                vlan: false,
                ..Tagging::default()
            },
            Some(0xB000),
        ),
        (
            Tagging {
                priority: false,
                ..Tagging::default()
            },
            Some(0x123),
        ),
        (
            Tagging {
                priority: false,
                vlan: false,
                id: 0,
            },
            None,
        ),
        (
            Tagging {
                id: 7,
                ..Tagging::default()
            },
            Some(0xB007),
        ),
    ] {
        let frames = expected(&asked, tagging).expect("sound");
        assert_eq!(packet::tag(&frames[0]), tag, "{tagging:?}");
    }
}

#[test]
fn asked_checksums_are_filled_in_and_others_left_alone() {
    let whole = samples::tcp4(b"payload of some length");
    for (header, transport) in [(true, true), (true, false), (false, true)] {
        let mut asked = plain(whole.clone());
        asked.checksum = ask_checksums(&mut asked.bytes, header, transport);
        assert_ne!(asked.bytes, whole);
        assert_eq!(only(&asked), whole);
    }
    let mut wrong = plain(whole.clone());
    wrong.bytes[50] ^= 1;
    assert_eq!(only(&wrong), wrong.bytes, "nothing was asked for");
    let mut six = plain(samples::udp6(b"payload", &[(60, vec![0; 6])]));
    let before = six.bytes.clone();
    six.checksum = ask_checksums(&mut six.bytes, true, true);
    assert_eq!(only(&six), before);
}

#[test]
fn requests_without_sense_must_be_failed() {
    let mut frame = samples::tcp4(b"payload");
    let slot = ask_large_send(&mut frame, 0);
    let asked = Asked {
        bytes: frame,
        large_send: slot,
        ..Asked::default()
    };
    assert_eq!(expected(&asked, Tagging::default()), None);
    let mut wrong_version = plain(samples::udp6(b"payload", &[]));
    wrong_version.checksum = 1 | 1 << 3;
    assert_eq!(expected(&wrong_version, Tagging::default()), None);
}

/// A large send of 4000 bytes, and what an honest driver makes of it.
fn large() -> (Asked, OnWire) {
    let whole = samples::tcp4(&samples::noise(4000));
    let mut bytes = whole.clone();
    let large_send = ask_large_send(&mut bytes, 1000);
    let asked = Asked {
        bytes,
        large_send,
        ..Asked::default()
    };
    let mut wire = OnWire {
        bytes: whole,
        csum_blank: true,
        gso: Some((1000, Version::V4)),
    };
    let found = packet::ip(&wire.bytes).expect("IPv4");
    let tcp = found.transport(&wire.bytes).expect("TCP");
    checksum::blank(&mut wire.bytes, &found, &tcp, found.end - tcp.start);
    (asked, wire)
}

#[test]
fn a_short_last_segment_is_padded_by_whoever_cuts() {
    let (mut asked, mut wire) = large();
    asked.large_send = LargeSend {
        mss: 3999,
        ..LargeSend::read(asked.large_send).unwrap()
    }
    .slot();
    wire.gso = Some((3999, Version::V4));
    let due = expected(&asked, Tagging::default()).expect("sound");
    assert_eq!(
        due.iter().map(Vec::len).collect::<Vec<_>>(),
        [54 + 3999, 60]
    );
    assert_eq!(finish(wire, ALL), Ok(due));
}

#[test]
fn a_large_send_comes_out_as_its_segments() {
    let (asked, wire) = large();
    let due = expected(&asked, Tagging::default()).expect("sound");
    assert_eq!(due.len(), 4);
    assert_eq!(finish(wire, ALL), Ok(due));
}

/// What must be said, and one change.
type Case = (Unfinished, fn(&mut OnWire, &mut Offered));

#[test]
fn each_wrong_frame_is_caught_for_its_reason() {
    let cases: [Case; 9] = [
        (Unfinished::NotOffered, |_, offered| offered.gso_v4 = false),
        (Unfinished::GsoWithoutBlank, |wire, _| {
            wire.csum_blank = false;
        }),
        (Unfinished::GsoKind, |wire, _| {
            wire.gso = Some((1000, Version::V6));
        }),
        (Unfinished::GsoKind, |wire, _| {
            wire.gso = Some((0, Version::V4));
        }),
        (Unfinished::GsoKind, |wire, _| wire.bytes[23] = packet::UDP),
        (Unfinished::GsoLength, |wire, _| wire.bytes[17] ^= 1),
        (Unfinished::GsoHeaderChecksum, |wire, _| wire.bytes[24] ^= 1),
        (Unfinished::PseudoHeader, |wire, _| wire.bytes[50] ^= 1),
        (Unfinished::GsoLength, |wire, _| wire.bytes.push(0)),
    ];
    for (index, (fault, change)) in cases.into_iter().enumerate() {
        let ((_, mut wire), mut offered) = (large(), ALL);
        wire.gso = wire.gso.map(|(_, version)| (1000, version));
        change(&mut wire, &mut offered);
        let result = finish(wire, offered);
        // IPv6 is offered too, so the wrong version is found in the frame.
        assert_eq!(result, Err(fault), "case {index}");
    }
}

fn blank() -> OnWire {
    let (_, mut wire) = large();
    wire.gso = None;
    wire
}

#[test]
fn each_wrong_blank_checksum_is_caught_for_its_reason() {
    assert_eq!(
        finish(blank(), ALL),
        Ok(vec![samples::tcp4(&samples::noise(4000))])
    );
    let cases: [Case; 6] = [
        (Unfinished::NotOffered, |_, offered| offered.csum_v4 = false),
        (Unfinished::NoChecksumPlace, |wire, _| wire.bytes[20] = 0x20),
        (Unfinished::NoChecksumPlace, |wire, _| wire.bytes[23] = 1),
        (Unfinished::NoChecksumPlace, |wire, _| {
            wire.bytes.truncate(500);
        }),
        (Unfinished::PseudoHeader, |wire, _| wire.bytes[51] ^= 4),
        // Complete already: then it is not blank.
        (Unfinished::PseudoHeader, |wire, _| {
            wire.bytes = samples::tcp4(b"abc");
        }),
    ];
    for (index, (fault, change)) in cases.into_iter().enumerate() {
        let (mut wire, mut offered) = (blank(), ALL);
        change(&mut wire, &mut offered);
        assert_eq!(finish(wire, offered), Err(fault), "case {index}");
    }
}

#[test]
fn differences_are_named() {
    let frame = samples::tagged(&samples::tcp4(b"payload"), 0x2005);
    let mut padded = frame.clone();
    padded.extend([0; 4]);
    let cases: [(usize, Difference); 13] = [
        (0, Difference::Addresses),
        (11, Difference::Addresses),
        (15, Difference::Tag(Some(0x2005), Some(0x2004))),
        (17, Difference::Kind),
        (19, Difference::IpHeader(19)),
        (21, Difference::IpLength),
        (23, Difference::Identification(0x1234, 0x1235)),
        (28, Difference::HeaderChecksum),
        (44, Difference::Sequence(0x1000_0000, 0x1000_0100)),
        (51, Difference::Flags(0x18, 0x19)),
        (54, Difference::TransportChecksum),
        (60, Difference::Payload(60)),
        (66, Difference::Padding(66)),
    ];
    for (at, difference_) in cases {
        let mut other = padded.clone();
        other[at] ^= 1;
        assert_eq!(difference(&padded, &other), Some(difference_), "byte {at}");
    }
    assert_eq!(difference(&padded, &padded), None);
    assert_eq!(
        difference(&padded, &frame),
        Some(Difference::Length(padded.len(), frame.len()))
    );
}
