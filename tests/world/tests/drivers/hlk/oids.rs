//! `1c_64BitOIDs`, `2c_OidsNdisRequest`, `1c_OidsDeviceIoControl`, `1c_IOCTLCoverage`, `1c_NdisRequestCov`.

use harness::ndis::{OidKind, OidRequest, OidResult};
use ndis_sys as sys;
use oracle::generate::Rng;
use world::proof::Proof;

use super::start;

fn ask(proof: &Proof, request: OidRequest) -> OidResult {
    let oid = request.oid;
    let result = proof.world.protocol(proof.device).oid(request);
    result.unwrap_or_else(|stop| panic!("OID {oid:#010x}: {stop:?}\n{}", proof.world.story()))
}

/// 64-bit counters answer with 8 bytes, with the low 4 if there is no more room, and say what they need.
#[test]
fn hlk_1c_64bitoids() {
    let proof = start(8001, &[]);
    for kind in [OidKind::Query, OidKind::Statistics] {
        for oid in [sys::OID_GEN_XMIT_OK, sys::OID_GEN_RCV_OK] {
            for (room, misalign) in (0..=24).flat_map(|room| (0..8).map(move |by| (room, by))) {
                let result = ask(
                    &proof,
                    OidRequest {
                        kind,
                        misalign: Some(misalign),
                        ..OidRequest::query(oid, room)
                    },
                );
                let counts = (result.written, result.needed);
                if room < 4 {
                    assert_eq!(counts, (0, 8), "{oid:#x}, {room}");
                    assert!(
                        matches!(
                            result.status,
                            sys::NDIS_STATUS_INVALID_LENGTH | sys::NDIS_STATUS_BUFFER_TOO_SHORT
                        ),
                        "{:#x}",
                        result.status
                    );
                } else {
                    assert!(result.is_success(), "{:#x}", result.status);
                    assert_eq!(
                        counts,
                        (if room < 8 { 4 } else { 8 }, 8),
                        "{oid:#x}, {room}"
                    );
                }
            }
        }
    }
    proof.end();
}

/// Objects that every Ethernet miniport answers (ndis-contract.md 1.9), and the bytes of their answers.
const MANDATORY: [(u32, u32); 18] = [
    (sys::OID_GEN_CURRENT_PACKET_FILTER, 4),
    (sys::OID_GEN_CURRENT_LOOKAHEAD, 4),
    (sys::OID_GEN_MAXIMUM_TOTAL_SIZE, 4),
    (sys::OID_GEN_TRANSMIT_BUFFER_SPACE, 4),
    (sys::OID_GEN_RECEIVE_BUFFER_SPACE, 4),
    (sys::OID_GEN_TRANSMIT_BLOCK_SIZE, 4),
    (sys::OID_GEN_RECEIVE_BLOCK_SIZE, 4),
    (sys::OID_GEN_VENDOR_ID, 4),
    (sys::OID_GEN_VENDOR_DRIVER_VERSION, 4),
    (sys::OID_GEN_MAXIMUM_FRAME_SIZE, 4),
    (sys::OID_GEN_INTERRUPT_MODERATION, 12),
    (sys::OID_GEN_STATISTICS, 152),
    (sys::OID_GEN_XMIT_OK, 8),
    (sys::OID_GEN_RCV_OK, 8),
    (sys::OID_802_3_PERMANENT_ADDRESS, 6),
    (sys::OID_802_3_CURRENT_ADDRESS, 6),
    (sys::OID_802_3_MAXIMUM_LIST_SIZE, 4),
    (sys::OID_GEN_DRIVER_VERSION, 2),
];

/// Objects that are only set, or whose query changes nothing.
const SET_ONLY: [u32; 6] = [
    sys::OID_GEN_RECEIVE_SCALE_PARAMETERS,
    sys::OID_PNP_SET_POWER,
    sys::OID_TCP_OFFLOAD_PARAMETERS,
    sys::OID_OFFLOAD_ENCAPSULATION,
    sys::OID_GEN_LINK_PARAMETERS,
    sys::OID_GEN_NETWORK_LAYER_ADDRESSES,
];

fn listed(proof: &Proof) -> Vec<u32> {
    let general = proof.world.protocol(proof.device).attributes().general;
    general.expect("general attributes").oids
}

/// All mandatory objects are listed and answer with exactly their bytes; nothing beside the answer is touched (the
/// harness guards every buffer with canaries, at every alignment).
#[test]
fn hlk_2c_oidsndisrequest() {
    let proof = start(8002, &[]);
    let listed = listed(&proof);
    let answer = ask(&proof, OidRequest::query(sys::OID_GEN_SUPPORTED_LIST, 4096));
    let answered: Vec<u32> = answer
        .data
        .chunks(4)
        .map(|four| u32::from_le_bytes(four.try_into().expect("whole numbers")))
        .collect();
    assert_eq!(answered, listed, "the list is the one in the attributes");
    for (oid, size) in MANDATORY {
        assert!(listed.contains(&oid), "{oid:#010x} is not listed");
        for room in 0..size {
            let result = ask(&proof, OidRequest::query(oid, room as usize));
            let counter = matches!(oid, sys::OID_GEN_XMIT_OK | sys::OID_GEN_RCV_OK) && room >= 4;
            assert!(
                counter || !result.is_success(),
                "{oid:#010x} in {room} bytes"
            );
            assert_eq!(result.needed, size, "{oid:#010x} in {room} bytes");
        }
        for (extra, misalign) in (0..8).map(|by| (by * 3, by)) {
            let room = size as usize + extra;
            let result = ask(
                &proof,
                OidRequest {
                    misalign: Some(misalign),
                    ..OidRequest::query(oid, room)
                },
            );
            assert!(result.is_success(), "{oid:#010x}: {:#x}", result.status);
            assert_eq!(result.written, size, "{oid:#010x}");
        }
    }
    proof.end();
}

/// Every listed object can be asked for, singly and all together, by `QueryStatistics` too.
#[test]
fn hlk_1c_oidsdeviceiocontrol_and_ioctlcoverage() {
    let proof = start(8003, &[]);
    let listed = listed(&proof);
    for kind in [OidKind::Query, OidKind::Statistics] {
        for oid in &listed {
            if SET_ONLY.contains(oid) {
                continue;
            }
            let result = ask(
                &proof,
                OidRequest {
                    kind,
                    ..OidRequest::query(*oid, 4096)
                },
            );
            assert!(result.is_success(), "{oid:#010x}: {:#x}", result.status);
            // Exactly so much room, and one byte less.
            let room = result.written as usize;
            let exact = ask(&proof, OidRequest::query(*oid, room));
            assert!(exact.is_success(), "{oid:#010x}: {:#x}", exact.status);
            if room > 0 {
                let short = ask(&proof, OidRequest::query(*oid, room - 1));
                assert!(short.needed as usize >= room, "{oid:#010x}: {short:?}");
            }
        }
    }
    // `1c_WMICoverage`: private GUIDs are not offered.
    let guids = ask(
        &proof,
        OidRequest::query(sys::OID_GEN_SUPPORTED_GUIDS, 4096),
    );
    assert!(!guids.is_success() && !listed.contains(&sys::OID_GEN_SUPPORTED_GUIDS));
    proof.end();
}

/// Garbage in any request is refused or taken, and nothing breaks: frames pass as before.
#[test]
fn hlk_1c_ndisrequestcov() {
    let mut proof = start(8004, &[]);
    let mut rng = Rng::new(8004);
    let mut known = listed(&proof);
    known.extend([
        sys::OID_TCP_OFFLOAD_PARAMETERS,
        sys::OID_OFFLOAD_ENCAPSULATION,
        sys::OID_GEN_RECEIVE_HASH,
        sys::OID_GEN_VLAN_ID,
        sys::OID_GEN_MACHINE_NAME,
        sys::OID_GEN_NETWORK_LAYER_ADDRESSES,
        sys::OID_GEN_LINK_PARAMETERS,
        sys::OID_PM_ADD_WOL_PATTERN,
        sys::OID_GEN_RSS_SET_INDIRECTION_TABLE_ENTRIES,
        sys::OID_GEN_RECEIVE_SCALE_PARAMETERS_V2,
    ]);
    // A power change is a power change, whatever else the request holds.
    known.retain(|oid| *oid != sys::OID_PNP_SET_POWER);
    for _ in 0..3000 {
        let oid = match rng.below(4) {
            // Vendor-private numbers, and any.
            0 => 0xFF00_0000 | u32::try_from(rng.below(0x1000)).unwrap_or(0),
            1 => u32::try_from(rng.number() >> 32).unwrap_or(0),
            _ => rng.pick(&known),
        };
        if oid == sys::OID_PNP_SET_POWER {
            continue;
        }
        let mut input =
            vec![0; rng.pick(&[0, 1, 3, 4, 5, 8, 12, 16, 28, 36, 40, 60, 88, 200, 700])];
        match rng.below(3) {
            0 => input.fill(0xFF),
            1 => rng.fill(&mut input),
            _ => {}
        }
        // A header that is nearly right gets further.
        if rng.chance(2) && input.len() >= 4 {
            let len = u16::try_from(input.len()).unwrap_or(0).to_le_bytes();
            let kind = rng.pick(&[0x80, 0x89, 0xA7, 0xAE]);
            input[..4].copy_from_slice(&[
                kind,
                u8::try_from(rng.below(8)).unwrap_or(0),
                len[0],
                len[1],
            ]);
        }
        let kind = rng.pick(&[
            OidKind::Set,
            OidKind::Query,
            OidKind::Statistics,
            OidKind::Method,
        ]);
        let set = kind == OidKind::Set;
        let result = ask(
            &proof,
            OidRequest {
                kind,
                oid,
                output: if set { 0 } else { rng.below(300) },
                input: if matches!(kind, OidKind::Set | OidKind::Method) {
                    input
                } else {
                    Vec::new()
                },
                method: u32::try_from(rng.below(3)).unwrap_or(0),
                misalign: None,
                cancel_after: None,
            },
        );
        let private = oid >> 24 == 0xFF;
        assert!(!(private && result.is_success()), "{oid:#010x} is nobody's");
    }
    // What of it was accepted is set back.
    proof.set_groups(Vec::new());
    proof.set_filter(0xB);
    let off = world::rss_parameters(&[0]);
    let _ = proof
        .world
        .protocol(proof.device)
        .set(sys::OID_GEN_RECEIVE_SCALE_PARAMETERS, off);
    proof.follow_offloads();
    proof.ignore_hashes();
    proof.run(600);
    proof.end();
}
