//! `MulticastAddress`, `AddressChange`.

use harness::Value;
use ndis_sys as sys;

use super::{frame_to, receive, start};

fn group(number: u8) -> [u8; 6] {
    [0x01, 0, 0x5E, 0x10, 0, number]
}

/// Lists of 1 to 64 groups, each of which replaces the one before: its groups are received and no others.
#[test]
fn hlk_2_multicastaddress() {
    let mut proof = start(8201, &[]);
    let most = {
        let result = proof
            .world
            .protocol(proof.device)
            .query(sys::OID_802_3_MAXIMUM_LIST_SIZE, 4);
        u8::try_from(result.expect("an answer").number().expect("a number")).expect("a small one")
    };
    assert!(most >= 32, "{most} groups");
    let mut mark = 0;
    for (first, count) in [
        (0, 1),
        (1, 1),
        (0, 32),
        (16, 32),
        (0, most),
        (200, 2),
        (0, 0),
    ] {
        let groups: Vec<[u8; 6]> = (first..first + count).map(group).collect();
        proof.set_groups(groups);
        let before = proof.report();
        let frames: Vec<Vec<u8>> = (0..=most)
            .chain(199..203)
            .map(|number| {
                mark += 1;
                frame_to(group(number), 70, mark)
            })
            .collect();
        receive(&mut proof, &frames);
        proof.close();
        let told = proof.report().received - before.received;
        assert_eq!(told, u64::from(count), "groups {first} and {count} more");
    }
    // Too many, or no whole addresses: refused, and the list stays.
    proof.set_groups(vec![group(3)]);
    let full: Vec<u8> = (0..=most).flat_map(group).collect();
    for (list, status, needed) in [
        (full, sys::NDIS_STATUS_MULTICAST_FULL, u32::from(most) * 6),
        (vec![1; 7], sys::NDIS_STATUS_INVALID_LENGTH, 6),
    ] {
        let result = proof
            .world
            .protocol(proof.device)
            .set(sys::OID_802_3_MULTICAST_LIST, list)
            .expect("an answer");
        assert_eq!((result.status, result.needed), (status, needed));
        mark += 2;
        let frames = [
            frame_to(group(3), 70, mark),
            frame_to(group(4), 70, mark + 1),
        ];
        receive(&mut proof, &frames);
    }
    let asked = proof
        .world
        .protocol(proof.device)
        .query(sys::OID_802_3_MULTICAST_LIST, 600)
        .expect("an answer");
    assert_eq!(asked.data, group(3));
    proof.end();
}

/// Addresses in the registry, sound and not: stop, write, start; 250 frames to each of the new and the old one.
#[test]
fn hlk_2_addresschange() {
    let mut proof = start(8202, &[]);
    let permanent = proof.terms.filter.own;
    let sound = [0x02, 0x11, 0x22, 0x33, 0x44, 0x55];
    let cases: [(Option<&str>, [u8; 6]); 11] = [
        (Some("021122334455"), sound),
        (Some("02-11-22-33-44-55"), sound),
        (Some("0211223344ff"), [0x02, 0x11, 0x22, 0x33, 0x44, 0xFF]),
        // Multicast, broadcast, zero, short, long, no digits, empty.
        (Some("031122334455"), permanent),
        (Some("FFFFFFFFFFFF"), permanent),
        (Some("000000000000"), permanent),
        (Some("0211223344"), permanent),
        (Some("02112233445566"), permanent),
        (Some("02112233445G"), permanent),
        (Some(""), permanent),
        (None, permanent),
    ];
    let mut old = permanent;
    let mut mark = 0;
    for (text, expected) in cases {
        proof.world.disable_interface(proof.device);
        proof.world.settle();
        proof
            .world
            .harness()
            .set_default_keyword("NetworkAddress", text.map(Value::text));
        proof.world.enable_interface(proof.device);
        proof.world.wait_connected(0);
        proof.world.settle();
        for (oid, address) in [
            (sys::OID_802_3_CURRENT_ADDRESS, expected),
            (sys::OID_802_3_PERMANENT_ADDRESS, permanent),
        ] {
            let answer = proof.world.protocol(proof.device).query(oid, 6);
            assert_eq!(answer.expect("an answer").data, address, "{text:?}");
        }
        proof.terms.filter.own = expected;
        let other = if old == expected {
            [0x02, 9, 9, 9, 9, 9]
        } else {
            old
        };
        let before = proof.report();
        for _ in 0..5 {
            let frames: Vec<Vec<u8>> = (0..100)
                .map(|at| {
                    mark += 1;
                    frame_to(if at % 2 == 0 { expected } else { other }, 100, mark)
                })
                .collect();
            receive(&mut proof, &frames);
        }
        proof.close();
        let after = proof.report();
        assert_eq!(after.received - before.received, 250, "{text:?}");
        assert_eq!(after.unwanted - before.unwanted, 250, "{text:?}");
        old = expected;
    }
    proof.end();
}
