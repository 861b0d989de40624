//! `1c_Mini6Send`, `2c_Priority`, `PacketFilters`, `ShortPackets`, `VlanSendRecv`.

use harness::ndis::{Chain, Frame, Layout, SendList, SendOptions};
use ndis_sys as sys;
use oracle::slots;
use oracle::transmit::Asked;
use world::proof::Proof;

use super::{frame_to, receive, start};

const PEER: [u8; 6] = [0x02, 0, 0, 0, 0, 0x77];
const GROUP: [u8; 6] = [0x01, 0, 0x5E, 1, 2, 3];
const OTHER_GROUP: [u8; 6] = [0x01, 0, 0x5E, 1, 2, 4];
const ALL: [u8; 6] = [0xFF; 6];

fn send(proof: &mut Proof, lists: Vec<SendList>) {
    let done = proof
        .world
        .protocol(proof.device)
        .send(lists, SendOptions::default());
    assert!(done.is_ok(), "{done:?}\n{}", proof.world.story());
    proof.world.settle();
    proof.collect();
}

fn expect(proof: &mut Proof, bytes: &[u8], tag: u64) {
    proof.expect_on_wire(&Asked {
        bytes: bytes.to_vec(),
        tag,
        ..Asked::default()
    });
}

/// Numbers of lists in a call, of frames in a list, of MDLs in a frame, and sizes of those: every combination, in
/// order and unharmed.
#[test]
fn hlk_1c_mini6send() {
    let mut proof = start(8101, &[]);
    let mut mark = 0;
    for lists in [1, 2, 7, 32] {
        for frames in [1, 2, 5] {
            for mdls in [1, 2, 3, 15] {
                for size in [60, 61, 128, 600, 1514] {
                    let mut chain = Vec::new();
                    for _ in 0..lists {
                        let mut list = SendList::default();
                        for _ in 0..frames {
                            mark += 1;
                            let bytes = frame_to(PEER, size, mark);
                            expect(&mut proof, &bytes, 0);
                            let piece = (size - 14) / mdls;
                            let mut pieces = vec![14 + piece];
                            pieces.resize(mdls, piece);
                            list.frames.push(Frame {
                                bytes,
                                layout: Layout::Pieces(pieces),
                                unmapped: mark % 2 == 0,
                            });
                        }
                        chain.push(list);
                    }
                    send(&mut proof, chain);
                }
            }
        }
    }
    proof.end();
}

/// All priorities, to one, to a group and to all, both ways, alone and with a VLAN.
#[test]
fn hlk_2c_priority_and_vlansendrecv() {
    let mut proof = start(8102, &[]);
    proof.set_groups(vec![GROUP]);
    let own = proof.terms.filter.own;
    let mut mark = 0;
    for priority in 0..8_u16 {
        for vlan in [0, 1, 77, 4094] {
            let control = priority << 13 | vlan;
            for to in [PEER, GROUP, ALL] {
                mark += 1;
                let bytes = frame_to(to, 64, mark);
                let tag = slots::tag_slot(control);
                expect(&mut proof, &bytes, tag);
                let list = SendList::one(Frame::new(bytes))
                    .with_info(sys::Ieee8021QNetBufferListInfo, tag);
                send(&mut proof, vec![list]);
            }
            for to in [own, GROUP, ALL] {
                mark += 1;
                let plain = frame_to(to, 64, mark);
                receive(
                    &mut proof,
                    &[oracle::generate::Generator::tagged(&plain, control)],
                );
            }
        }
    }
    assert_eq!(proof.report().received, 8 * 4 * 3);
    proof.end();
}

/// Every combination of filters with every kind of address: what is asked for comes, and nothing else.
#[test]
fn hlk_2_packetfilters() {
    let mut proof = start(8103, &[]);
    proof.set_groups(vec![GROUP]);
    let own = proof.terms.filter.own;
    let filters = [
        sys::NDIS_PACKET_TYPE_DIRECTED,
        sys::NDIS_PACKET_TYPE_MULTICAST,
        sys::NDIS_PACKET_TYPE_ALL_MULTICAST,
        sys::NDIS_PACKET_TYPE_BROADCAST,
        sys::NDIS_PACKET_TYPE_PROMISCUOUS,
    ];
    let mut mark = 0;
    for choice in 0..1_u32 << filters.len() {
        let types = (0..filters.len())
            .filter(|bit| choice >> bit & 1 == 1)
            .fold(0, |types, bit| types | filters[bit]);
        proof.set_filter(types);
        let before = proof.report();
        let frames: Vec<Vec<u8>> = [own, PEER, GROUP, OTHER_GROUP, ALL]
            .into_iter()
            .map(|to| {
                mark += 1;
                frame_to(to, 80, mark)
            })
            .collect();
        receive(&mut proof, &frames);
        proof.close();
        let after = proof.report();
        let told = after.received - before.received;
        assert_eq!(
            told + after.unwanted - before.unwanted,
            5,
            "filter {types:#x}"
        );
    }
    // What is not supported is refused and changes nothing.
    let refused = proof.world.protocol(proof.device).set_filter(0x8000_0000);
    assert!(refused.is_ok_and(|result| !result.is_success()));
    proof.set_filter(0xB);
    proof.end();
}

/// Frames shorter than Ethernet allows go out with zeros behind them, whatever lies behind them in memory.
#[test]
fn hlk_2_shortpackets() {
    let mut proof = start(8104, &[]);
    for len in 14..=64 {
        for tag in [0, slots::tag_slot(0x6005)] {
            let bytes = frame_to(PEER, len, 0);
            expect(&mut proof, &bytes, tag);
            let layout = Layout::Chain(Chain {
                before: vec![30],
                skip: 7,
                pieces: vec![14, 3],
                tail: 100,
                after: vec![40],
            });
            let frame = Frame {
                bytes,
                layout,
                unmapped: false,
            };
            let mut list = SendList::one(frame);
            if tag != 0 {
                list = list.with_info(sys::Ieee8021QNetBufferListInfo, tag);
            }
            send(&mut proof, vec![list]);
        }
    }
    assert_eq!(proof.report().sent, 51 * 2);
    // Shorter than a header is no frame: the send fails, and nothing goes out.
    for len in [1, 13] {
        let list = SendList::one(Frame::new(vec![2; len]).whole());
        let done = proof
            .world
            .protocol(proof.device)
            .send(vec![list], SendOptions::default());
        assert!(done.is_ok());
        proof.world.settle();
        let sent = proof.world.protocol(proof.device).take_sent();
        assert_eq!(sent.len(), 1);
        assert!(!sent[0].is_success(), "{len} bytes");
    }
    proof.end();
}
