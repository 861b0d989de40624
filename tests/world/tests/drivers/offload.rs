//! Checksums, large sends and coalescing of `netfront.sys`, seen from both sides.

use harness::DeviceId;
use harness::ndis::{DeviceState, Frame, Received, SendList, SendOptions};
use ndis_sys as sys;
use netback_model::toolstack::backend_dir;
use netback_model::{Config, FrameMeta, Gso, Preset, complete_checksum, segment};
use world::packet::{Packet, verifies};
use world::{Tap, World};
use xen_abi::netif::GsoType;

const HOST: [u8; 6] = [2, 0, 0, 0, 0, 9];

/// Bits of the checksum slot of a sent frame: version, TCP, UDP, IPv4 header.
const IS_V4: u64 = 1;
const IS_V6: u64 = 2;
const TCP: u64 = 4;
const UDP: u64 = 8;
const HEADER: u64 = 16;
/// Bits of a received one.
const TCP_GOOD: u64 = 1 << 3;
const UDP_GOOD: u64 = 1 << 4;
const IP_GOOD: u64 = 1 << 5;
const STALE: u64 = 3 << 7;

fn guest_mac() -> [u8; 6] {
    World::vif_config(Preset::Linux, 0).mac
}

/// A connected machine with a tap behind its backend.
fn tapped(seed: u64, config: Config) -> (World, Tap, DeviceId) {
    let mut world = World::builder().cpus(2).seed(seed).build();
    let tap = Tap::default();
    world.add_vif(config, tap.clone());
    world.boot();
    world.wait_connected(0);
    world.settle();
    let device = world.interfaces()[0];
    (world, tap, device)
}

fn linux(seed: u64) -> (World, Tap, DeviceId) {
    tapped(seed, World::vif_config(Preset::Linux, 0))
}

fn end(mut world: World) {
    world.assert_clean();
    world.tear_down();
    world.assert_nothing_left();
}

/// Sends lists; the statuses they come back with.
fn send(world: &mut World, device: DeviceId, lists: Vec<SendList>) -> Vec<i32> {
    let sent = world.protocol(device).send(lists, SendOptions::default());
    assert!(sent.is_ok(), "{}", world.story());
    world.settle();
    let done = world.protocol(device).take_sent();
    done.iter().map(|sent| sent.status).collect()
}

fn receive(world: &mut World, device: DeviceId) -> Vec<Received> {
    world.settle();
    world.protocol(device).take_received()
}

/// A frame that asks for its checksums.
fn checksummed(packet: &Packet) -> SendList {
    let which = if packet.six { IS_V6 } else { IS_V4 | HEADER };
    let what = if packet.udp { UDP } else { TCP };
    let offset = packet.transport() as u64;
    SendList::one(Frame::new(packet.blank())).with_info(
        sys::TcpIpChecksumNetBufferListInfo,
        which | what | offset << 16,
    )
}

/// A large send of version 2: headers in the first MDL, payload in pieces of `piece` bytes.
fn large(packet: &Packet, mss: u64, piece: usize) -> SendList {
    let six = u64::from(packet.six);
    let slot = mss | (packet.transport() as u64) << 20 | 1 << 30 | six << 31;
    let mut frame = Frame::new(packet.large());
    let mut pieces = vec![packet.header()];
    pieces.extend(std::iter::repeat_n(piece, packet.payload.len() / piece));
    frame.layout = harness::ndis::Layout::Pieces(pieces);
    SendList::one(frame).with_info(sys::TcpLargeSendNetBufferListInfo, slot)
}

/// What reaches the network behind a backend, cut and completed as its card would.
fn on_the_wire(frames: Vec<(Vec<u8>, FrameMeta)>) -> Vec<Vec<u8>> {
    let finish = |(mut frame, meta): (Vec<u8>, FrameMeta)| {
        if let Some(gso) = meta.gso {
            return segment(&frame, gso).expect("it can be cut");
        }
        if meta.csum_blank {
            complete_checksum(&mut frame).expect("it can be completed");
        }
        vec![frame]
    };
    frames.into_iter().flat_map(finish).collect()
}

fn kinds(length: usize) -> [Packet; 4] {
    let tcp = Packet::tcp(HOST, guest_mac(), length);
    [
        tcp.clone(),
        tcp.clone().six(),
        tcp.clone().udp(),
        tcp.six().udp(),
    ]
}

#[test]
fn checksums_asked_for_are_right_behind_every_backend() {
    for (seed, preset) in (2000..).zip(Preset::ALL) {
        let config = World::vif_config(preset, 0);
        let completes = [
            !config.features.no_csum_offload,
            config.features.ipv6_csum_offload,
        ];
        let (mut world, tap, device) = tapped(seed, config);
        for length in [0, 1, 500, 1400] {
            let packets = kinds(length);
            let statuses = send(
                &mut world,
                device,
                packets.iter().map(checksummed).collect(),
            );
            assert_eq!(statuses, [0; 4], "{preset:?}: {}", world.story());
            let seen = tap.take();
            for ((packet, (_, meta)), wire) in
                packets.iter().zip(&seen).zip(on_the_wire(seen.clone()))
            {
                assert_eq!(meta.csum_blank, completes[usize::from(packet.six)]);
                assert!(verifies(&wire), "{preset:?} {length} {wire:02x?}");
                assert_eq!(wire[packet.header()..][..length], packet.payload);
            }
        }
        end(world);
    }
}

/// netback drops a tagged frame with a blank checksum, so the driver computes it.
#[test]
fn a_tagged_frame_leaves_with_tag_and_right_checksum() {
    let (mut world, tap, device) = linux(2010);
    for packet in kinds(900) {
        let list = checksummed(&packet).with_info(sys::Ieee8021QNetBufferListInfo, 5 << 4 | 3);
        assert_eq!(send(&mut world, device, vec![list]), [0]);
        let [(frame, meta)] = &tap.take()[..] else {
            panic!("{}", world.story())
        };
        assert_eq!(frame[12..16], [0x81, 0, 0x60, 5]);
        assert!(!meta.csum_blank && verifies(frame));
    }
    end(world);
}

#[test]
fn a_large_send_leaves_as_one_gso_packet_of_at_most_18_slots() {
    let (mut world, tap, device) = linux(2020);
    let most = 65_389;
    for length in [2000, 14_480, 40_000, most] {
        for packet in kinds(length).into_iter().take(2) {
            for piece in [1460, 3072, 4096, 65_536] {
                let before = world.xen(|xen| xen.vifs[&0].backend.counters().tx_slots);
                let list = large(&packet, 1428, piece);
                assert_eq!(
                    send(&mut world, device, vec![list]),
                    [0],
                    "{}",
                    world.story()
                );
                let slots = world.xen(|xen| xen.vifs[&0].backend.counters().tx_slots) - before;
                assert!(
                    slots <= 18,
                    "{slots} slots for {length} bytes in pieces of {piece}"
                );
                let seen = tap.take();
                let [(frame, meta)] = &seen[..] else {
                    panic!("{} frames\n{}", seen.len(), world.story())
                };
                assert!(meta.csum_blank);
                assert_eq!(meta.gso.map(|gso| gso.size), Some(1428));
                assert_eq!(frame[packet.header()..], packet.payload);
                let wire = on_the_wire(seen.clone());
                assert_eq!(wire.len(), length.div_ceil(1428));
                assert!(wire.iter().all(|frame| verifies(frame)));
            }
        }
    }
    let counters = world.xen(|xen| xen.vifs[&0].backend.counters());
    assert_eq!(counters.tx_frag_overflow, 0);
    end(world);
}

#[test]
fn a_large_send_with_a_tag_is_cut_by_the_driver() {
    let (mut world, tap, device) = linux(2030);
    for packet in kinds(20_000).into_iter().take(2) {
        let list = large(&packet, 1440, 4096).with_info(sys::Ieee8021QNetBufferListInfo, 7 << 4);
        assert_eq!(
            send(&mut world, device, vec![list]),
            [0],
            "{}",
            world.story()
        );
        let seen = tap.take();
        assert_eq!(seen.len(), 14);
        let mut payload = Vec::new();
        for (frame, meta) in &seen {
            assert!(meta.gso.is_none() && !meta.csum_blank && verifies(frame));
            assert_eq!(frame[12..16], [0x81, 0, 0, 7]);
            payload.extend_from_slice(&frame[packet.header() + 4..]);
        }
        assert_eq!(payload, packet.payload);
    }
    end(world);
}

#[test]
fn impossible_large_sends_fail_and_leave_the_vif_alive() {
    let (mut world, tap, device) = linux(2040);
    let packet = Packet::tcp(HOST, guest_mac(), 5000);
    let slot = |mss: u64, header: u64| mss | header << 20 | 1 << 30;
    let lists: Vec<SendList> = [
        slot(0, 34),
        slot(1448, 20),
        slot(1448, 38),
        slot(5, 34) & !(1 << 30),
    ]
    .into_iter()
    .map(|slot| {
        SendList::one(Frame::new(packet.large()).whole())
            .with_info(sys::TcpLargeSendNetBufferListInfo, slot)
    })
    .collect();
    let statuses = send(&mut world, device, lists);
    assert!(statuses.iter().all(|status| *status != 0), "{statuses:x?}");
    assert!(tap.take().is_empty());
    assert_eq!(
        send(&mut world, device, vec![checksummed(&packet_of(500))]),
        [0]
    );
    assert_eq!(tap.take().len(), 1);
    end(world);
}

fn packet_of(length: usize) -> Packet {
    Packet::tcp(HOST, guest_mac(), length)
}

fn to_guest(length: usize) -> [Packet; 4] {
    kinds(length).map(|packet| Packet {
        to: guest_mac(),
        from: HOST,
        ..packet
    })
}

const BLANK: FrameMeta = FrameMeta {
    csum_blank: true,
    data_validated: true,
    gso: None,
    hash: None,
    queue: 0,
    shape: None,
};

#[test]
fn received_checksums_are_told_and_blank_ones_completed() {
    let (mut world, tap, device) = linux(2050);
    for length in [0, 3, 700, 1400] {
        let packets = to_guest(length);
        for packet in &packets {
            tap.put(packet.blank_with_header(), BLANK);
        }
        let received = receive(&mut world, device);
        assert_eq!(received.len(), 4, "{}", world.story());
        for (packet, frame) in packets.iter().zip(&received) {
            assert_eq!(frame.bytes, packet.whole(), "{length} {packet:?}");
            let good = if packet.udp { UDP_GOOD } else { TCP_GOOD };
            let ip = if packet.six { 0 } else { IP_GOOD };
            assert_eq!(frame.slot(sys::TcpIpChecksumNetBufferListInfo), good | ip);
        }
    }
    // Validated: told good and not touched, even when it is wrong.
    let [packet, ..] = to_guest(100);
    let validated = FrameMeta {
        csum_blank: false,
        ..BLANK
    };
    tap.put(packet.blank_with_header(), validated);
    tap.put(packet.whole(), FrameMeta::default());
    let received = receive(&mut world, device);
    assert_eq!(received[0].bytes, packet.blank_with_header());
    assert_eq!(received[0].slot(0), TCP_GOOD | IP_GOOD);
    assert_eq!(received[1].slot(0), IP_GOOD, "nothing is said of TCP");
    end(world);
}

fn gso(packet: &Packet, size: u16) -> FrameMeta {
    let kind = if packet.six {
        GsoType::TCPV6
    } else {
        GsoType::TCPV4
    };
    FrameMeta {
        gso: Some(Gso { size, kind }),
        ..BLANK
    }
}

#[test]
fn gso_packets_arrive_as_coalesced_units() {
    let (mut world, tap, device) = linux(2060);
    let (mut segments, mut octets) = (0, 0);
    for length in [1449, 20_000, 60_000] {
        for packet in to_guest(length).into_iter().take(2) {
            tap.put(packet.blank_with_header(), gso(&packet, 1448));
            let received = receive(&mut world, device);
            let [unit] = &received[..] else {
                panic!("{} frames\n{}", received.len(), world.story())
            };
            let count = length.div_ceil(1448) as u64;
            assert_eq!(unit.slot(sys::TcpRecvSegCoalesceInfo), count);
            assert_eq!(unit.bytes, packet.blank_with_header());
            let ip = if packet.six { 0 } else { IP_GOOD };
            assert_eq!(unit.slot(0), TCP_GOOD | ip | STALE);
            segments += count;
            octets += length as u64;
        }
    }
    let told = world
        .protocol(device)
        .query(sys::OID_TCP_RSC_STATISTICS, 40)
        .expect("an answer");
    let number = |at: usize| u64::from_le_bytes(told.data[at..at + 8].try_into().expect("8"));
    assert_eq!([8, 16, 24, 32].map(number), [segments, octets, 6, 0]);
    end(world);
}

/// `OID_TCP_OFFLOAD_PARAMETERS` with one byte set.
fn parameters(at: usize, value: u8) -> Vec<u8> {
    let mut bytes = vec![0; 34];
    bytes[..4].copy_from_slice(&[0x80, 5, 34, 0]);
    bytes[at] = value;
    bytes
}

fn set_offload(world: &World, device: DeviceId, at: usize, value: u8) -> i32 {
    let set = world
        .protocol(device)
        .set(sys::OID_TCP_OFFLOAD_PARAMETERS, parameters(at, value));
    set.unwrap_or_else(|stop| panic!("{stop:?}\n{}", world.story()))
        .status
}

const LSO_V4: usize = core::mem::offset_of!(sys::NDIS_OFFLOAD_PARAMETERS, LsoV2IPv4);
const RSC_V4: usize = core::mem::offset_of!(sys::NDIS_OFFLOAD_PARAMETERS, RscIPv4);
const RSC_V6: usize = core::mem::offset_of!(sys::NDIS_OFFLOAD_PARAMETERS, RscIPv6);
const TCP_V4: usize = core::mem::offset_of!(sys::NDIS_OFFLOAD_PARAMETERS, TCPIPv4Checksum);

/// With coalescing off, or frames that no card would coalesce: right segments, whatever the flags.
#[test]
fn gso_packets_are_cut_where_units_are_not_wanted() {
    let (mut world, tap, device) = linux(2070);
    let check = |world: &mut World, packet: &Packet, meta: FrameMeta| {
        tap.put(packet.blank_with_header(), meta);
        let received = receive(world, device);
        let mss = usize::from(meta.gso.expect("segments").size);
        assert_eq!(
            received.len(),
            packet.payload.len().div_ceil(mss),
            "{}",
            world.story()
        );
        let mut payload = Vec::new();
        for frame in &received {
            assert!(verifies(&frame.bytes), "{packet:?}");
            assert_eq!(frame.slot(sys::TcpRecvSegCoalesceInfo), 0);
            let ip = if packet.six { 0 } else { IP_GOOD };
            assert_eq!(frame.slot(0), TCP_GOOD | ip);
            payload.extend_from_slice(&frame.bytes[packet.header()..]);
        }
        assert_eq!(payload, packet.payload);
        let flags: Vec<u8> = received
            .iter()
            .map(|f| f.bytes[packet.transport() + 13])
            .collect();
        let (last, others) = flags.split_last().expect("segments");
        assert_eq!(*last, packet.flags);
        assert!(others.iter().all(|flags| flags & 0x09 == 0));
    };
    let [v4, v6, ..] = to_guest(30_001);
    let fin = Packet {
        flags: 0x19,
        ..v4.clone()
    };
    check(&mut world, &fin, gso(&fin, 1448));
    assert_eq!(set_offload(&world, device, RSC_V4, 1), 0);
    assert_eq!(set_offload(&world, device, RSC_V6, 1), 0);
    for packet in [v4, v6] {
        for (blank, validated) in [(false, false), (false, true), (true, true)] {
            let meta = FrameMeta {
                csum_blank: blank,
                data_validated: validated,
                ..gso(&packet, 1400)
            };
            check(&mut world, &packet, meta);
        }
    }
    assert_eq!(set_offload(&world, device, RSC_V4, 2), 0);
    let [v4, ..] = to_guest(5000);
    tap.put(v4.blank_with_header(), gso(&v4, 1448));
    assert_eq!(receive(&mut world, device)[0].slot(22), 4);
    end(world);
}

/// The case in which the C drivers fall to 0.05 MB/s: GSO without any checksum flag.
#[test]
fn gso_packets_without_checksum_flags_are_taken() {
    let (mut world, tap, device) = tapped(2080, World::vif_config(Preset::Mirage, 0));
    let [packet, ..] = to_guest(20_000);
    tap.put(packet.blank_with_header(), gso(&packet, 1448));
    let received = receive(&mut world, device);
    assert_eq!(received.len(), 1, "{}", world.story());
    assert_eq!(received[0].slot(sys::TcpRecvSegCoalesceInfo), 14);
    assert_eq!(received[0].slot(0), TCP_GOOD | IP_GOOD | STALE);
    assert_eq!(set_offload(&world, device, RSC_V4, 1), 0);
    tap.put(packet.blank_with_header(), gso(&packet, 1448));
    let received = receive(&mut world, device);
    assert_eq!(received.len(), 14);
    assert!(received.iter().all(|frame| verifies(&frame.bytes)));
    end(world);
}

/// The present settings as last indicated.
fn told(world: &World, device: DeviceId, code: i32) -> Option<Vec<u8>> {
    let statuses = world.protocol(device).statuses();
    let last = statuses.into_iter().rfind(|status| status.code == code)?;
    Some(last.data)
}

/// Offset of `LsoV2.IPv4.MaxOffLoadSize`.
const LSO_SIZE: usize = core::mem::offset_of!(sys::NDIS_OFFLOAD, LsoV2) + 4;

fn number(data: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(data[at..at + 4].try_into().expect("4 bytes"))
}

#[test]
fn a_large_send_turned_off_is_told_and_then_refused() {
    let (mut world, tap, device) = linux(2090);
    let config = sys::NDIS_STATUS_TASK_OFFLOAD_CURRENT_CONFIG;
    assert_eq!(set_offload(&world, device, LSO_V4, 1), 0);
    let now = told(&world, device, config).expect("an indication");
    assert_eq!(number(&now, LSO_SIZE), 0);
    let packet = packet_of(9000);
    let refused = send(&mut world, device, vec![large(&packet, 1448, 4096)]);
    assert_ne!(refused, [0]);
    assert!(tap.take().is_empty());
    assert_eq!(set_offload(&world, device, LSO_V4, 2), 0);
    assert_eq!(
        send(&mut world, device, vec![large(&packet, 1448, 4096)]),
        [0]
    );
    assert_eq!(tap.take().len(), 1);
    // Nonsense changes nothing, and is told by its status alone.
    assert_eq!(
        set_offload(&world, device, LSO_V4, 7),
        sys::NDIS_STATUS_INVALID_DATA
    );
    assert_eq!(
        set_offload(&world, device, TCP_V4, 9),
        sys::NDIS_STATUS_INVALID_DATA
    );
    assert_eq!(
        number(&told(&world, device, config).expect("one"), LSO_SIZE),
        65_389
    );
    // Turning one thing off leaves the others on.
    assert_eq!(set_offload(&world, device, TCP_V4, 1), 0);
    let [packet, _, udp, _] = to_guest(64);
    tap.put(packet.blank_with_header(), BLANK);
    tap.put(udp.blank_with_header(), BLANK);
    let received = receive(&mut world, device);
    assert_eq!(received[0].slot(0), IP_GOOD);
    assert_eq!(
        received[0].bytes,
        packet.whole(),
        "it is completed all the same"
    );
    assert_eq!(received[1].slot(0), UDP_GOOD | IP_GOOD);
    end(world);
}

#[test]
fn what_the_backend_cannot_do_is_not_offered() {
    for (seed, preset) in (2100..).zip(Preset::ALL) {
        let config = World::vif_config(preset, 0);
        let features = config.features;
        let (world, _, device) = tapped(seed, config);
        let attributes = world.protocol(device).attributes();
        let [in_force, possible] = attributes.offload.expect("offload attributes");
        assert_eq!(in_force, possible, "{preset:?}: every keyword is on");
        let cuts = features.sg && features.gso_tcpv4 && !features.no_csum_offload;
        assert_eq!(number(&possible, LSO_SIZE) != 0, cuts, "{preset:?}");
        end(world);
    }
}

/// A reconnect to a backend that can do less: NDIS is told, and what was sent before it knew still leaves right.
#[test]
fn capabilities_follow_the_backend_after_a_reconnect() {
    let (mut world, tap, device) = linux(2120);
    let sleep = |world: &mut World, state| {
        let done = world.protocol(device).set_power(state);
        assert_eq!(done, Ok(0), "{}", world.story());
        world.settle();
    };
    sleep(&mut world, DeviceState::D3);
    let folder = backend_dir(&World::vif_config(Preset::Linux, 0));
    for key in ["feature-gso-tcpv4", "feature-ipv6-csum-offload"] {
        world.xen(|xen| xen.store.write(&format!("{folder}/{key}"), "0"));
    }
    sleep(&mut world, DeviceState::D0);
    world.wait_connected(0);
    world.settle();
    let code = sys::NDIS_STATUS_TASK_OFFLOAD_HARDWARE_CAPABILITIES;
    let possible = told(&world, device, code).expect("an indication");
    assert_eq!(number(&possible, LSO_SIZE), 0);
    let refused = send(
        &mut world,
        device,
        vec![large(&packet_of(9000), 1448, 4096)],
    );
    assert_ne!(refused, [0]);
    let packet = packet_of(700).six();
    assert_eq!(send(&mut world, device, vec![checksummed(&packet)]), [0]);
    let seen = tap.take();
    assert!(!seen[0].1.csum_blank && verifies(&seen[0].0));
    world.tear_down();
    world.assert_nothing_left();
}
