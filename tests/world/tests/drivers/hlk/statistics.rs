//! `Stats`: counters move exactly, in 64 bits.

use core::mem::offset_of;

use harness::ndis::{Frame, SendList, SendOptions};
use ndis_sys::{self as sys, NDIS_STATISTICS_INFO as Info};
use oracle::transmit::Asked;
use world::proof::Proof;

use super::{frame_to, receive, start};

const PEER: [u8; 6] = [0x02, 0, 0, 0, 0, 0x77];
const GROUP: [u8; 6] = [0x01, 0, 0x5E, 1, 2, 3];
const ALL: [u8; 6] = [0xFF; 6];

/// The counters of `OID_GEN_STATISTICS` that are looked at: name, and place in the structure.
const FIELDS: [(&str, usize); 16] = [
    ("in discards", offset_of!(Info, ifInDiscards)),
    ("in errors", offset_of!(Info, ifInErrors)),
    ("in bytes", offset_of!(Info, ifHCInOctets)),
    ("in directed", offset_of!(Info, ifHCInUcastPkts)),
    ("in multicast", offset_of!(Info, ifHCInMulticastPkts)),
    ("in broadcast", offset_of!(Info, ifHCInBroadcastPkts)),
    ("out bytes", offset_of!(Info, ifHCOutOctets)),
    ("out directed", offset_of!(Info, ifHCOutUcastPkts)),
    ("out multicast", offset_of!(Info, ifHCOutMulticastPkts)),
    ("out broadcast", offset_of!(Info, ifHCOutBroadcastPkts)),
    ("in directed bytes", offset_of!(Info, ifHCInUcastOctets)),
    (
        "in multicast bytes",
        offset_of!(Info, ifHCInMulticastOctets),
    ),
    (
        "in broadcast bytes",
        offset_of!(Info, ifHCInBroadcastOctets),
    ),
    ("out directed bytes", offset_of!(Info, ifHCOutUcastOctets)),
    (
        "out multicast bytes",
        offset_of!(Info, ifHCOutMulticastOctets),
    ),
    (
        "out broadcast bytes",
        offset_of!(Info, ifHCOutBroadcastOctets),
    ),
];

fn read(proof: &Proof) -> [u64; FIELDS.len()] {
    let answer = proof
        .world
        .protocol(proof.device)
        .query(sys::OID_GEN_STATISTICS, 152)
        .expect("an answer");
    assert!(answer.is_success(), "{:#x}", answer.status);
    FIELDS.map(|(_, at)| {
        let bytes = answer.data[at..at + 8].try_into().expect("eight bytes");
        u64::from_le_bytes(bytes)
    })
}

fn number(proof: &Proof, oid: u32) -> u64 {
    let answer = proof.world.protocol(proof.device).query(oid, 8);
    let data = answer.expect("an answer").data;
    let bytes: [u8; 8] = data.as_slice().try_into().expect("eight bytes");
    u64::from_le_bytes(bytes)
}

/// Frames of each kind, sent and received, counted to the frame and the byte; filtered ones are no loss.
#[test]
fn hlk_2_stats() {
    let mut proof = start(8301, &[]);
    proof.set_groups(vec![GROUP]);
    let own = proof.terms.filter.own;
    let start = read(&proof);
    let mut wanted = start;
    let mut add = |name: &str, by: u64| {
        let at = FIELDS.iter().position(|(field, _)| *field == name);
        wanted[at.expect("a field")] += by;
    };
    let mut mark = 0;
    for round in 0..40_usize {
        for (kind, to, from) in [
            ("directed", PEER, own),
            ("multicast", GROUP, GROUP),
            ("broadcast", ALL, ALL),
        ] {
            mark += 1;
            let len = 14 + (round * 37 + mark as usize) % 1500;
            // On the wire there are 60 bytes at least.
            let bytes = frame_to(to, len, mark);
            proof.expect_on_wire(&Asked {
                bytes: bytes.clone(),
                ..Asked::default()
            });
            let list = SendList::one(Frame::new(bytes));
            let done = proof
                .world
                .protocol(proof.device)
                .send(vec![list], SendOptions::default());
            assert!(done.is_ok());
            let padded = len.max(60) as u64;
            add(&format!("out {kind}"), 1);
            add(&format!("out {kind} bytes"), padded);
            add("out bytes", padded);
            let len = 60 + (round * 41) % 1400;
            receive(
                &mut proof,
                &[frame_to(from, len, mark), frame_to(PEER, 60, mark)],
            );
            add(&format!("in {kind}"), 1);
            add(&format!("in {kind} bytes"), len as u64);
            add("in bytes", len as u64);
        }
    }
    proof.close();
    let end = read(&proof);
    for ((name, _), (wanted, is)) in FIELDS.iter().zip(wanted.iter().zip(end)) {
        assert_eq!(*wanted, is, "{name}");
    }
    // The single counters say the same.
    let of = |name: &str| {
        let at = FIELDS.iter().position(|(field, _)| *field == name);
        end[at.expect("a field")]
    };
    let sum = |way: &str| {
        ["directed", "multicast", "broadcast"]
            .map(|kind| of(&format!("{way} {kind}")))
            .iter()
            .sum::<u64>()
    };
    assert_eq!(number(&proof, sys::OID_GEN_XMIT_OK), sum("out"));
    assert_eq!(number(&proof, sys::OID_GEN_RCV_OK), sum("in"));
    assert_eq!(number(&proof, sys::OID_GEN_BYTES_XMIT), of("out bytes"));
    assert_eq!(number(&proof, sys::OID_GEN_BYTES_RCV), of("in bytes"));
    assert_eq!(
        number(&proof, sys::OID_GEN_DIRECTED_FRAMES_RCV),
        of("in directed")
    );
    assert_eq!(
        number(&proof, sys::OID_GEN_MULTICAST_BYTES_XMIT),
        of("out multicast bytes")
    );
    assert_eq!(number(&proof, sys::OID_GEN_RCV_NO_BUFFER), 0);
    assert_eq!(number(&proof, sys::OID_GEN_RCV_ERROR), 0);
    assert_eq!(number(&proof, sys::OID_GEN_XMIT_ERROR), 0);
    proof.end();
}
