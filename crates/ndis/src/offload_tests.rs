use super::*;
use std::vec::Vec;

fn parameters(revision: u8, size: usize, fields: &[(usize, u8)]) -> Vec<u8> {
    let mut bytes = std::vec![0; size];
    bytes[..4].copy_from_slice(&[0x80, revision, size.to_le_bytes()[0], 0]);
    for (at, value) in fields {
        bytes[*at] = *value;
    }
    bytes
}

fn set(fields: &[(usize, u8)]) -> Result<Offloads, OffloadRejection> {
    parse_parameters(&parameters(5, 34, fields), &Offloads::ALL, &Offloads::ALL)
}

const TCP4: usize = offset_of!(Base, TCPIPv4Checksum);
const LSO4: usize = offset_of!(Base, LsoV2IPv4);
const RSC6: usize = offset_of!(Base, RscIPv6);

#[test]
fn no_change_changes_nothing_and_each_field_is_its_own() {
    assert_eq!(set(&[]), Ok(Offloads::ALL));
    let one = set(&[(LSO4, 1)]).unwrap();
    assert_eq!(
        one,
        Offloads {
            lso4: false,
            ..Offloads::ALL
        }
    );
    let directions = [
        (1, (false, false)),
        (2, (true, false)),
        (3, (false, true)),
        (4, (true, true)),
    ];
    for (value, (tx, rx)) in directions {
        let got = set(&[(TCP4, value)]).unwrap();
        assert_eq!(got.tcp4, Directions { tx, rx });
        assert_eq!((got.udp4, got.lso4), (Directions::BOTH, true));
    }
}

#[test]
fn what_cannot_be_done_or_means_nothing_is_refused() {
    let uso = offset_of!(Raw, UsoIPv4);
    for fields in [
        (TCP4, 5),
        (LSO4, 3),
        (RSC6, 9),
        (offset_of!(Base, LsoV1), 2),
        (uso, 2),
    ] {
        assert_eq!(set(&[fields]), Err(OffloadRejection::Value), "{fields:?}");
    }
    assert!(set(&[(offset_of!(Base, LsoV1), 1), (uso, 1)]).is_ok());
    let possible = Offloads {
        lso4: false,
        ..Offloads::ALL
    };
    let on = parameters(4, 32, &[(LSO4, 2)]);
    let refused = parse_parameters(&on, &Offloads::default(), &possible);
    assert_eq!(refused, Err(OffloadRejection::Value));
}

#[test]
fn fields_of_later_revisions_are_not_read_in_earlier_ones() {
    let old = parameters(2, 26, &[(RSC6, 1)]);
    let got = parse_parameters(&old, &Offloads::ALL, &Offloads::ALL).unwrap();
    assert!(got.rsc6);
    let new = parameters(3, 26, &[(RSC6, 1)]);
    let got = parse_parameters(&new, &Offloads::ALL, &Offloads::ALL).unwrap();
    assert!(!got.rsc6);
}

#[test]
fn headers_are_checked() {
    let all = Offloads::ALL;
    let short = parse_parameters(&[0x80, 1, 20, 0], &all, &all);
    assert_eq!(short, Err(OffloadRejection::TooShort(20)));
    assert!(matches!(
        parse_parameters(&[], &all, &all),
        Err(OffloadRejection::TooShort(_))
    ));
    let mut wrong = parameters(1, 20, &[]);
    wrong[0] = 0xA7;
    assert_eq!(
        parse_parameters(&wrong, &all, &all),
        Err(OffloadRejection::Header)
    );
    wrong[0] = 0x80;
    wrong[2] = 4;
    assert_eq!(
        parse_parameters(&wrong, &all, &all),
        Err(OffloadRejection::Header)
    );
}

#[test]
fn encapsulations() {
    let build = |v4: [u32; 2], v6: [u32; 2]| -> Vec<u8> {
        let mut bytes = std::vec![0xA8, 1, 28, 0];
        for words in [v4, v6] {
            bytes.extend(words[0].to_le_bytes());
            bytes.extend(words[1].to_le_bytes());
            bytes.extend([14, 0, 0, 0]);
        }
        bytes
    };
    assert_eq!(
        parse_encapsulation(&build([1, 2], [2, 0])),
        Ok([Some(true), Some(false)])
    );
    assert_eq!(
        parse_encapsulation(&build([0, 0], [1, 10])),
        Ok([None, Some(true)])
    );
    let refused = Err(OffloadRejection::Encapsulation);
    assert_eq!(parse_encapsulation(&build([1, 0x10], [0, 0])), refused);
    assert_eq!(
        parse_encapsulation(&build([3, 2], [0, 0])),
        Err(OffloadRejection::Value)
    );
    assert!(parse_encapsulation(&[0xA8, 1, 28, 0]).is_err());
}

#[test]
fn the_structure_tells_what_is_on() {
    let v = NdisVersion::V6_82;
    let all = describe(v, &Offloads::ALL).Base;
    assert_eq!(all.Checksum.IPv4Transmit.IpOptionsSupported, 0x155);
    assert_eq!(all.Checksum.IPv6Receive.IpExtensionHeadersSupported, 0x55);
    assert_eq!(all.LsoV2.IPv4.MaxOffLoadSize, MAX_LARGE_SEND);
    assert_eq!(all.LsoV2.IPv6.IpExtensionHeadersSupported, 5);
    assert_eq!((all.Rsc.IPv4.Enabled, all.Rsc.IPv6.Enabled), (1, 1));
    let none = describe(v, &Offloads::default()).Base;
    assert_eq!(none.Checksum.IPv4Transmit.Encapsulation, 0);
    assert_eq!(
        (none.LsoV2.IPv4.Encapsulation, none.Rsc.IPv4.Enabled),
        (0, 0)
    );
    let udp = Offloads {
        udp4: Directions {
            tx: false,
            rx: true,
        },
        ..Offloads::default()
    };
    let udp = describe(v, &udp).Base;
    assert_eq!(udp.Checksum.IPv4Receive.IpOptionsSupported, 0x41);
    assert_eq!(udp.Checksum.IPv4Transmit.IpOptionsSupported, 0);
}
