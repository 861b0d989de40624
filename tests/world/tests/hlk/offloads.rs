//! `OffloadLSO`, `OffloadChecksum`.

use harness::ndis::{Frame, SendList, SendOptions};
use oracle::generate::{Generator, Large, Towards};
use oracle::packet::{self, Version};
use oracle::slots;
use oracle::transmit::{self, Asked};
use world::proof::Proof;

use crate::start;

fn send(proof: &mut Proof, bytes: Vec<u8>, (slot, value): (usize, u64)) {
    let mut asked = Asked {
        bytes: bytes.clone(),
        ..Asked::default()
    };
    if slot == slots::LARGE_SEND {
        asked.large_send = value;
    } else {
        asked.checksum = value;
    }
    proof.expect_on_wire(&asked);
    let list = SendList {
        frames: vec![Frame::new(bytes).whole()],
        info: vec![(slot, value)],
    };
    let done = proof
        .world
        .protocol(proof.device)
        .send(vec![list], SendOptions::default());
    assert!(done.is_ok(), "{done:?}\n{}", proof.world.story());
    proof.world.settle();
    proof.collect();
}

/// Large sends of version 2: IP versions, options of TCP and IP, segment sizes and numbers, any flags.
#[test]
fn hlk_2_offloadlso() {
    let mut proof = start(8401, &[]);
    let own = proof.terms.filter.own;
    let mut generator = Generator::new(8401, own, Towards::Wire);
    let allowed = proof.ask.allowed;
    assert!(
        allowed.large_v4.most > 60_000 && allowed.large_v6.most > 60_000,
        "{allowed:?}"
    );
    let mut sends = 0;
    for version in [Version::V4, Version::V6] {
        for (ip_options, tcp_options) in
            [(false, false), (false, true), (true, false), (true, true)]
        {
            for mss in [536, 1000, 1300] {
                for segments in [2, 3, 10, 44] {
                    // The last segment is whole, or of one byte.
                    for payload in [mss * segments, mss * (segments - 1) + 1] {
                        let mut bytes = generator.large(Large {
                            version,
                            payload,
                            ip_options,
                            tcp_options,
                            any_flags: true,
                        });
                        let mss = u32::try_from(mss).expect("a small number");
                        let slot = transmit::ask_large_send(&mut bytes, mss);
                        send(&mut proof, bytes, (slots::LARGE_SEND, slot));
                        sends += 1;
                    }
                }
            }
        }
    }
    let gso = proof
        .world
        .xen(|xen| xen.vifs[&0].backend.counters().tx_gso_packets);
    assert_eq!(gso, sends, "each leaves as one");
    proof.end();
}

/// Checksums of IPv4, TCP and UDP over both IP versions, each alone and together.
#[test]
fn hlk_2_offloadchecksum() {
    let mut proof = start(8402, &[]);
    let own = proof.terms.filter.own;
    let mut generator = Generator::new(8402, own, Towards::Wire);
    let mut asked = [0; 4];
    while asked.iter().any(|count| *count < 100) {
        let mut bytes = generator.frame(1514);
        let Some(found) = packet::ip(&bytes).filter(|found| !found.fragment) else {
            continue;
        };
        let Some(transport) = found.transport(&bytes) else {
            continue;
        };
        let kind = usize::from(found.version == Version::V6) * 2
            + usize::from(transport.protocol == packet::UDP);
        asked[kind] += 1;
        let (header, whole) = generator
            .rng
            .pick(&[(true, true), (true, false), (false, true)]);
        let slot = transmit::ask_checksums(&mut bytes, header, whole);
        send(&mut proof, bytes, (slots::CHECKSUM, slot));
    }
    proof.end();
}
