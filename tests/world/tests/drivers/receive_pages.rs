//! Large frames that are cut into more segments than the driver has pages.

use harness::DeviceId;
use harness::ndis::{ReceivePolicy, Received};
use ndis_sys as sys;
use netback_model::{FrameMeta, Gso, Preset, RxShape};
use world::packet::{Packet, verifies};
use world::{Tap, World};
use xen_abi::netif::GsoType;

const HOST: [u8; 6] = [2, 0, 0, 0, 0, 9];
/// Payload of a large frame, and of each segment: 600 segments, and the driver has 640 pages of which 256 are the
/// backend's.
const PAYLOAD: usize = 60_000;
const MSS: u16 = 100;
const SEGMENTS: usize = PAYLOAD.div_ceil(MSS as usize);

/// A machine whose adapter hands up no coalesced units.
fn start(seed: u64) -> (World, Tap, DeviceId) {
    let mut world = World::builder().cpus(2).seed(seed).build();
    let tap = Tap::default();
    world.add_vif(World::vif_config(Preset::Linux, 0), tap.clone());
    for keyword in ["*RscIPv4", "*RscIPv6"] {
        let off = Some(harness::Value::text("0"));
        world.harness().set_default_keyword(keyword, off);
    }
    world.boot();
    world.wait_connected(0);
    world.settle();
    let device = world.interfaces()[0];
    (world, tap, device)
}

fn end(mut world: World) {
    world.assert_clean();
    world.tear_down();
    world.assert_nothing_left();
}

/// Puts `count` large frames on the wire, of one flow after the other.
fn offer(tap: &Tap, count: usize) -> Vec<Packet> {
    let mac = World::vif_config(Preset::Linux, 0).mac;
    let packets: Vec<Packet> = (0..count)
        .map(|nth| {
            let packet = Packet::tcp(mac, HOST, PAYLOAD);
            if nth % 2 == 0 { packet } else { packet.six() }
        })
        .collect();
    for packet in &packets {
        offer_large(tap, packet, None);
    }
    packets
}

fn offer_large(tap: &Tap, packet: &Packet, shape: Option<RxShape>) {
    let kind = if packet.six {
        GsoType::TCPV6
    } else {
        GsoType::TCPV4
    };
    let meta = FrameMeta {
        csum_blank: true,
        data_validated: true,
        gso: Some(Gso { size: MSS, kind }),
        shape,
        ..FrameMeta::default()
    };
    tap.put(packet.blank_with_header(), meta);
}

/// Every segment of every packet, in order and once.
fn check(packets: &[Packet], received: &[Received], world: &World) {
    let whole = packets.len() * SEGMENTS;
    assert_eq!(received.len(), whole, "{}", world.story());
    for (packet, segments) in packets.iter().zip(received.chunks(SEGMENTS)) {
        let mut payload = Vec::new();
        for segment in segments {
            assert!(verifies(&segment.bytes), "{packet:?}");
            payload.extend_from_slice(&segment.bytes[packet.header()..]);
        }
        assert!(payload == packet.payload, "other bytes, or another order");
    }
}

/// Frames received and discarded, as `OID_GEN_STATISTICS` says.
fn counted(world: &World, device: DeviceId) -> (u64, u64) {
    let size = size_of::<sys::NDIS_STATISTICS_INFO>();
    let told = world
        .protocol(device)
        .query(sys::OID_GEN_STATISTICS, size)
        .expect("an answer");
    let number = |at: usize| u64::from_le_bytes(told.data[at..at + 8].try_into().expect("8"));
    (
        number(core::mem::offset_of!(
            sys::NDIS_STATISTICS_INFO,
            ifHCInUcastPkts
        )),
        number(core::mem::offset_of!(
            sys::NDIS_STATISTICS_INFO,
            ifInDiscards
        )),
    )
}

#[test]
fn frames_with_more_segments_than_pages_lose_none() {
    let policies = [
        ReceivePolicy::Inside,
        ReceivePolicy::Later,
        ReceivePolicy::Either,
    ];
    for (policy, seed) in policies.into_iter().zip(4100..) {
        let (mut world, tap, device) = start(seed);
        world.protocol(device).set_receive_policy(policy);
        let packets = offer(&tap, 5);
        world.settle();
        let received = world.protocol(device).take_received();
        check(&packets, &received, &world);
        let all = (5 * SEGMENTS) as u64;
        assert_eq!(counted(&world, device), (all, 0));
        end(world);
    }
}

/// A system that keeps what it is given gets the rest for the length of a call: pages stay for the ring.
#[test]
fn a_system_that_keeps_lists_is_shown_the_rest() {
    let (mut world, tap, device) = start(4110);
    world
        .protocol(device)
        .set_receive_policy(ReceivePolicy::Hold);
    let packets = offer(&tap, 3);
    world.settle();
    let received = world.protocol(device).take_received();
    check(&packets, &received, &world);
    let held = world.protocol(device).receives_outstanding();
    assert!(held > 100 && held < SEGMENTS, "{held}");
    assert_eq!(counted(&world, device), (3 * SEGMENTS as u64, 0));
    let returned = world.protocol(device).return_received(held);
    assert!(returned.is_ok(), "{}", world.story());
    end(world);
}

/// A large frame that the backend gives in parts, which has to be copied, behind one whose segments leave few pages.
#[test]
fn a_frame_in_parts_waits_for_pages_too() {
    let (mut world, tap, device) = start(4120);
    world
        .protocol(device)
        .set_receive_policy(ReceivePolicy::Hold);
    let mac = World::vif_config(Preset::Linux, 0).mac;
    for segments in 355..=384 {
        let first = Packet::tcp(mac, HOST, segments * usize::from(MSS));
        offer_large(&tap, &first, None);
        let shape = RxShape {
            seed: segments as u64,
            checksum_flags: None,
        };
        offer_large(&tap, &Packet::tcp(mac, HOST, PAYLOAD), Some(shape));
        world.settle();
        let received = world.protocol(device).take_received();
        assert_eq!(received.len(), segments + SEGMENTS, "{}", world.story());
        assert!(received.iter().all(|frame| verifies(&frame.bytes)));
        let held = world.protocol(device).receives_outstanding();
        let returned = world.protocol(device).return_received(held);
        assert!(returned.is_ok(), "{}", world.story());
        world.settle();
    }
    assert_eq!(counted(&world, device).1, 0);
    end(world);
}
