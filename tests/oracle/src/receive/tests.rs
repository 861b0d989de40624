//! The rules of receiving, on frames told right and told wrong in every way.

use super::*;
use crate::samples;

const OWN: [u8; 6] = [0, 0x16, 0x3E, 0, 1, 0];
const KEY: [u8; 40] = [0x5A; 40];
const TCP_RIGHT: u64 = 1 << 3;
const UDP_RIGHT: u64 = 1 << 4;
const HEADER_RIGHT: u64 = 1 << 5;

fn terms() -> Terms {
    Terms {
        filter: Filter {
            types: 0xB,
            own: OWN,
            groups: vec![[1, 0, 0x5E, 0, 0, 1]],
        },
        longest: 1514,
        verified: Verified {
            header: true,
            tcp_v4: true,
            udp_v4: true,
            tcp_v6: true,
            udp_v6: true,
        },
        rsc: (true, true),
        ..Terms::default()
    }
}

fn came(bytes: Vec<u8>) -> Came {
    Came {
        bytes,
        ..Came::default()
    }
}

fn lists(came: &Came, terms: &Terms) -> Lists {
    match fate(came, terms) {
        Fate::Lists(lists) => lists,
        Fate::Nothing => panic!("it must be received"),
    }
}

fn told(bytes: &[u8]) -> Told {
    Told {
        bytes: bytes.to_vec(),
        slots: [0; slots::COUNT],
    }
}

fn verdict(came: &Came, told: &Told, terms: &Terms) -> Result<(), Fault> {
    let lists = lists(came, terms);
    judge(&lists.frames[0], 0, &lists, told, terms)
}

#[test]
fn filters_lengths_and_vlans_decide_what_is_received() {
    let frame = samples::tcp4(b"payload");
    let to = |to: [u8; 6]| {
        let mut frame = frame.clone();
        frame[..6].copy_from_slice(&to);
        came(frame)
    };
    let with = |types| Terms {
        filter: Filter {
            types,
            ..terms().filter
        },
        ..terms()
    };
    let stations = [
        OWN,
        [2; 6],
        [1, 0, 0x5E, 0, 0, 1],
        [1, 0, 0x5E, 0, 0, 2],
        [0xFF; 6],
    ];
    for (types, wanted) in [
        (0, [false; 5]),
        (DIRECTED, [true, false, false, false, false]),
        (MULTICAST, [false, false, true, false, false]),
        (ALL_MULTICAST, [false, false, true, true, false]),
        (BROADCAST, [false, false, false, false, true]),
        (PROMISCUOUS, [true; 5]),
    ] {
        let got = stations.map(|address| fate(&to(address), &with(types)) != Fate::Nothing);
        assert_eq!(got, wanted, "{types:#x}");
    }
    let long = came([frame.clone(), vec![0; 1500]].concat());
    assert_eq!(fate(&long, &terms()), Fate::Nothing);
    let in_vlan_5 = Terms {
        tagging: Tagging {
            id: 5,
            ..Tagging::default()
        },
        ..terms()
    };
    for (tag, wanted) in [(5, true), (6, false), (0x6000, true)] {
        let tagged = came(samples::tagged(&frame, tag));
        assert_eq!(fate(&tagged, &in_vlan_5) != Fate::Nothing, wanted, "{tag}");
    }
}

#[test]
fn tags_go_beside_the_frame() {
    let plain = samples::tcp4(b"payload");
    let tagged = came(samples::tagged(&plain, 0xB123));
    let mut list = told(&plain);
    list.slots[slots::TAG] = slots::tag_slot(0xB123);
    assert_eq!(verdict(&tagged, &list, &terms()), Ok(()));
    list.slots[slots::TAG] = 0;
    let fault = Fault::Tag(slots::tag_slot(0xB123), 0);
    assert_eq!(verdict(&tagged, &list, &terms()), Err(fault));
    let kept = told(&tagged.bytes);
    assert!(matches!(
        verdict(&tagged, &kept, &terms()),
        Err(Fault::Differs(Difference::Length(..)))
    ));
}

#[test]
fn results_of_checksums_must_hold() {
    let right = samples::tcp4(b"payload");
    let mut wrong = right.clone();
    assert!(spoil_checksum(&mut wrong));
    let slot = |bytes: &[u8], value| {
        let mut list = told(bytes);
        list.slots[slots::CHECKSUM] = value;
        list
    };
    let checked =
        |bytes: &[u8], value| verdict(&came(bytes.to_vec()), &slot(bytes, value), &terms());
    assert_eq!(checked(&right, 0), Ok(()));
    assert_eq!(checked(&right, TCP_RIGHT | HEADER_RIGHT), Ok(()));
    assert_eq!(checked(&wrong, 1), Ok(()));
    assert_eq!(checked(&wrong, 0), Ok(()));
    assert_eq!(checked(&wrong, TCP_RIGHT), Err(Fault::ToldRight));
    assert_eq!(checked(&right, 1), Err(Fault::ToldWrong));
    assert_eq!(checked(&right, 4), Err(Fault::ToldWrong));
    assert_eq!(checked(&right, UDP_RIGHT), Err(Fault::NoSuchChecksum));
    assert_eq!(checked(&right, 9), Err(Fault::ResultBits(9)));
    assert_eq!(checked(&right, 1 << 6), Err(Fault::ResultBits(1 << 6)));
    assert_eq!(checked(&right, TCP_RIGHT | 1 << 7), Err(Fault::Stale));
    let mut header = right.clone();
    header[24] ^= 1;
    assert_eq!(checked(&header, HEADER_RIGHT), Err(Fault::ToldRight));
    assert_eq!(checked(&header, 4), Ok(()));
    let six = samples::udp6(b"x", &[]);
    assert_eq!(checked(&six, HEADER_RIGHT), Err(Fault::NoSuchChecksum));
    assert_eq!(checked(&six, UDP_RIGHT), Ok(()));
    let raw = [&OWN[..], &[0; 48]].concat();
    assert_eq!(checked(&raw, TCP_RIGHT), Err(Fault::NoSuchChecksum));

    let unasked = Terms {
        verified: Verified::default(),
        ..terms()
    };
    let list = slot(&right, TCP_RIGHT);
    assert_eq!(
        verdict(&came(right.clone()), &list, &unasked),
        Err(Fault::NotAsked)
    );
}

#[test]
fn what_the_wire_knew_must_be_told_and_blank_checksums_completed() {
    let right = samples::tcp4(b"payload");
    let validated = Came {
        data_validated: true,
        ..came(right.clone())
    };
    let mut list = told(&right);
    assert_eq!(verdict(&validated, &list, &terms()), Err(Fault::NotTold));
    list.slots[slots::CHECKSUM] = TCP_RIGHT;
    assert_eq!(verdict(&validated, &list, &terms()), Ok(()));

    let mut bytes = right.clone();
    let found = packet::ip(&bytes).expect("IPv4");
    let tcp = found.transport(&bytes).expect("TCP");
    checksum::blank(&mut bytes, &found, &tcp, found.end - tcp.start);
    let blank = Came {
        csum_blank: true,
        ..came(bytes.clone())
    };
    assert_eq!(
        verdict(&blank, &list, &terms()),
        Ok(()),
        "completed and told"
    );
    let mut left = told(&bytes);
    assert_eq!(verdict(&blank, &left, &terms()), Err(Fault::LeftBlank));
    left.slots[slots::CHECKSUM] = TCP_RIGHT;
    assert_eq!(verdict(&blank, &left, &terms()), Err(Fault::LeftBlank));
    let nobody_looks = Terms {
        blank_may_stay: true,
        ..terms()
    };
    assert_eq!(verdict(&blank, &left, &nobody_looks), Ok(()));
}

fn unit() -> (Came, Lists) {
    let mut bytes = samples::tcp4(&samples::noise(3000));
    bytes[..6].copy_from_slice(&OWN);
    let came = Came {
        gso: Some((1000, Version::V4)),
        data_validated: true,
        ..came(bytes)
    };
    let lists = lists(&came, &terms());
    (came, lists)
}

#[test]
fn a_coalesced_unit_is_whole_counted_and_told_right() {
    let (came, lists) = unit();
    let (bytes, segments) = lists.unit.clone().expect("may be coalesced");
    assert_eq!((segments, &bytes), (3, &came.bytes));
    let mut list = told(&bytes);
    list.slots[slots::CHECKSUM] = TCP_RIGHT | HEADER_RIGHT;
    list.slots[slots::COALESCED] = 3;
    let check = |list: &Told| judge(&bytes, segments, &lists, list, &terms());
    assert_eq!(check(&list), Ok(()));
    let mut other = list.clone();
    other.slots[slots::COALESCED] = 2;
    assert_eq!(check(&other), Err(Fault::Segments(3, 2)));
    other.slots[slots::COALESCED] = 3 | 1 << 16;
    assert_eq!(
        check(&other),
        Err(Fault::Segments(3, 3 | 1 << 16)),
        "duplicate ACKs"
    );
    let mut stale = list.clone();
    stale.bytes[50] ^= 1;
    stale.bytes[24] ^= 1;
    assert!(check(&stale).is_err());
    stale.slots[slots::CHECKSUM] |= 3 << 7;
    assert_eq!(check(&stale), Ok(()), "marked as not made anew");
    let mut silent = list.clone();
    silent.slots[slots::CHECKSUM] = 0;
    assert_eq!(check(&silent), Err(Fault::NotTold));
}

#[test]
fn only_what_the_rules_name_is_coalesced() {
    let frame = samples::tcp6(&samples::noise(2000));
    assert!(may_coalesce(&frame), "a timestamp is allowed");
    let flags = 14 + 40 + 13;
    for (flag, allowed) in [
        (0x10, true),
        (0x18, true),
        (0x11, false),
        (0x90, false),
        (8, false),
    ] {
        let mut other = frame.clone();
        other[flags] = flag;
        assert_eq!(may_coalesce(&other), allowed, "{flag:#x}");
    }
    let mut option = frame.clone();
    option[14 + 40 + 22] = 253;
    assert!(!may_coalesce(&option));
    assert!(!may_coalesce(&samples::udp4(b"x")));
    assert!(!may_coalesce(&samples::tcp4(b"")), "a pure ACK");
    let (mut came, _) = unit();
    came.bytes[47] = 0x11;
    assert_eq!(lists(&came, &terms()).unit, None);
    let off = Terms {
        rsc: (false, true),
        ..terms()
    };
    assert_eq!(lists(&unit().0, &off).unit, None);
}

#[test]
fn hashes_are_compared_with_their_definition() {
    let frame = samples::tcp4(b"payload");
    let wanted = HashTerms {
        key: KEY,
        types: rss::IPV4 | rss::TCP_IPV4,
        always: true,
    };
    let hashed = Terms {
        hash: Some(wanted),
        ..terms()
    };
    let (kind, value) = rss::hash(&frame, &KEY, wanted.types).expect("TCP");
    let check = |info: u64, value: u32| {
        let mut list = told(&frame);
        list.slots[slots::HASH_INFO] = info;
        list.slots[slots::HASH_VALUE] = value.into();
        verdict(&came(frame.clone()), &list, &hashed)
    };
    assert_eq!(check(u64::from(kind) | 1, value), Ok(()));
    assert!(matches!(
        check(u64::from(kind) | 1, value ^ 1),
        Err(Fault::Hash(..))
    ));
    assert!(matches!(
        check(u64::from(kind) | 2, value),
        Err(Fault::Hash(..))
    ));
    assert!(matches!(check(0, 0), Err(Fault::Hash(..))), "missing");
    let (_, weaker) = rss::hash(&frame, &KEY, rss::IPV4).expect("IP");
    assert!(matches!(
        check(u64::from(rss::IPV4) | 1, weaker),
        Err(Fault::Hash(..))
    ));
    assert!(matches!(
        check(u64::from(rss::TCP_IPV6) | 1, value),
        Err(Fault::Hash(..))
    ));
    let mut list = told(&frame);
    list.slots[slots::HASH_INFO] = u64::from(kind) | 1;
    assert!(matches!(
        verdict(&came(frame.clone()), &list, &terms()),
        Err(Fault::Hash(None, _))
    ));
}
