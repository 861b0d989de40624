//! `OffloadLSO`, `OffloadChecksum`, `OffloadMisc`, `OffloadRsc`.

use core::mem::offset_of;

use harness::Value;
use harness::ndis::{Frame, SendList, SendOptions};
use ndis_sys::{self as sys, NDIS_OFFLOAD_PARAMETERS as Parameters};
use netback_model::{FrameMeta, Gso};
use oracle::generate::{Generator, Large, Towards};
use oracle::packet::{self, Version};
use oracle::receive::Came;
use oracle::slots;
use oracle::transmit::{self, Asked};
use world::proof::Proof;
use xen_abi::netif::GsoType;

use super::start;

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

/// `OID_TCP_OFFLOAD_PARAMETERS` with one field set.
fn set_parameter(proof: &Proof, at: usize, value: u8) {
    let mut bytes = vec![0; 34];
    bytes[..4].copy_from_slice(&[0x80, 5, 34, 0]);
    bytes[at] = value;
    let set = proof
        .world
        .protocol(proof.device)
        .set(sys::OID_TCP_OFFLOAD_PARAMETERS, bytes);
    let status = set.map(|set| set.status);
    assert_eq!(status, Ok(0), "{}", proof.world.story());
}

/// The offloads in force, as NDIS was told last.
fn in_force(proof: &Proof) -> Vec<u8> {
    let attributes = proof.world.protocol(proof.device).attributes();
    let [in_force, _] = attributes.offload.expect("offload attributes");
    in_force
}

/// Stops and starts the adapter.
fn reload(proof: &mut Proof) {
    proof.world.disable_interface(proof.device);
    proof.world.enable_interface(proof.device);
    proof.world.wait_connected(0);
    proof.world.settle();
    proof.device = proof.world.interfaces()[0];
}

/// Each setting is flipped by the OID, the adapter loaded anew with the keyword that NDIS writes then, and the
/// configuration has stayed; then it is flipped back in the same way.
#[test]
fn hlk_1_offloadmisc() {
    let mut proof = start(8420, &[]);
    let first = in_force(&proof);
    for (keyword, at, off, on) in [
        (
            "*IPChecksumOffloadIPv4",
            offset_of!(Parameters, IPv4Checksum),
            1,
            4,
        ),
        (
            "*TCPChecksumOffloadIPv4",
            offset_of!(Parameters, TCPIPv4Checksum),
            1,
            4,
        ),
        (
            "*TCPChecksumOffloadIPv6",
            offset_of!(Parameters, TCPIPv6Checksum),
            1,
            4,
        ),
        (
            "*UDPChecksumOffloadIPv4",
            offset_of!(Parameters, UDPIPv4Checksum),
            1,
            4,
        ),
        (
            "*UDPChecksumOffloadIPv6",
            offset_of!(Parameters, UDPIPv6Checksum),
            1,
            4,
        ),
        ("*LsoV2IPv4", offset_of!(Parameters, LsoV2IPv4), 1, 2),
        ("*LsoV2IPv6", offset_of!(Parameters, LsoV2IPv6), 1, 2),
        ("*RscIPv4", offset_of!(Parameters, RscIPv4), 1, 2),
        ("*RscIPv6", offset_of!(Parameters, RscIPv6), 1, 2),
    ] {
        set_parameter(&proof, at, off);
        let flipped = in_force(&proof);
        assert_ne!(flipped, first, "{keyword}");
        let harness = proof.world.harness();
        harness.set_default_keyword(keyword, Some(Value::text("0")));
        reload(&mut proof);
        assert_eq!(in_force(&proof), flipped, "{keyword} after a load");
        set_parameter(&proof, at, on);
        assert_eq!(in_force(&proof), first, "{keyword} on again");
        proof.world.harness().set_default_keyword(keyword, None);
        reload(&mut proof);
        assert_eq!(in_force(&proof), first, "{keyword} on, after a load");
    }
    proof.world.assert_clean();
}

/// Coalescing by its OIDs: statistics of the right form, which count units while it is on, and what was cut while the
/// other version's is on; turned off and on, each IP version by itself.
#[test]
fn hlk_1_offloadrsc() {
    let mut proof = start(8430, &[]);
    let counters = |proof: &Proof| {
        let protocol = proof.world.protocol(proof.device);
        let told = protocol.query(sys::OID_TCP_RSC_STATISTICS, 40);
        let told = told.expect("an answer");
        assert_eq!((told.status, told.data.len()), (0, 40));
        assert_eq!(told.data[..4], [0x80, 1, 40, 0]);
        [8, 16, 24, 32].map(|at: usize| {
            u64::from_le_bytes(told.data[at..at + 8].try_into().expect("eight bytes"))
        })
    };
    let own = proof.terms.filter.own;
    let mut generator = Generator::new(8430, own, Towards::Guest);
    let receive = |proof: &mut Proof, generator: &mut Generator, version| {
        let bytes = generator.large(Large {
            version,
            payload: 10_000,
            ip_options: false,
            tcp_options: false,
            any_flags: false,
        });
        let kind = match version {
            Version::V4 => GsoType::TCPV4,
            Version::V6 => GsoType::TCPV6,
        };
        let came = Came {
            bytes,
            gso: Some((1000, version)),
            data_validated: true,
            ..Came::default()
        };
        let meta = FrameMeta {
            data_validated: true,
            gso: Some(Gso { size: 1000, kind }),
            ..FrameMeta::default()
        };
        proof.offer_frame(&came, meta);
        proof.world.settle();
        proof.collect();
    };
    receive(&mut proof, &mut generator, Version::V4);
    assert_eq!(counters(&proof), [10, 10_000, 1, 0]);
    set_parameter(&proof, offset_of!(Parameters, RscIPv4), 1);
    proof.follow_offloads();
    receive(&mut proof, &mut generator, Version::V4);
    assert_eq!(counters(&proof), [10, 10_000, 1, 1]);
    receive(&mut proof, &mut generator, Version::V6);
    assert_eq!(counters(&proof), [20, 20_000, 2, 1]);
    set_parameter(&proof, offset_of!(Parameters, RscIPv4), 2);
    proof.follow_offloads();
    receive(&mut proof, &mut generator, Version::V4);
    assert_eq!(counters(&proof), [30, 30_000, 3, 1]);
    proof.end();
}
