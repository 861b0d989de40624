//! Offloads that are turned on and off while TCP runs both ways: no content is damaged, NDIS is told what is in force,
//! and nothing is used after it was turned off. What was handed over before is sent all the same.

use core::array;
use core::mem::offset_of;
use core::ops::Range;

use cases::offloads::Offloads;
use cases::{Machine, Plan, transfer_while};
use harness::ndis::{Frame, Layout, SendList, SendOptions};
use harness::{DeviceId, Value};
use large_frames::Use;
use ndis_sys::{self as sys, NDIS_OFFLOAD as Offload};
use netback_model::{FrameMeta, Gso, Preset, ResponseMode, segment};
use world::packet::{Packet, verifies};
use world::rss_parameters;
use world::scenario::{connected, guest_on};
use world::{GuestStack, Tap, World};
use xen_abi::netif::GsoType;

const WINDOW: usize = 64 * 1024;
/// Payload of a segment, which fits behind a header of IPv6 too.
const MSS: u64 = 1400;
const HOST: [u8; 6] = [2, 0, 0, 0, 0, 9];

/// What the two requests ask for.
#[derive(Clone, Copy, Debug)]
struct On {
    offloads: Offloads,
    /// `OID_OFFLOAD_ENCAPSULATION`: what is told of received checksums depends on it.
    encapsulation: bool,
}

impl On {
    const ALL: Self = Self::of(Offloads::ALL);

    const fn of(offloads: Offloads) -> Self {
        Self {
            offloads,
            encapsulation: true,
        }
    }

    /// One of the settings, by chance. Large sends need checksums.
    fn any(seed: u64) -> Self {
        let bit = |nth: u64| seed >> nth & 1 != 0;
        Self {
            offloads: Offloads {
                tx_checksums: bit(0),
                rx_checksums: bit(1),
                large_sends: bit(0) && bit(2),
                coalescing: bit(3),
            },
            encapsulation: bit(4) || bit(5),
        }
    }

    /// `NDIS_OFFLOAD_ENCAPSULATION`, both IP versions.
    fn encapsulations(self) -> Vec<u8> {
        let enabled = if self.encapsulation { 1_u32 } else { 2 };
        let mut bytes = vec![0xA8, 1, 28, 0];
        for _ in 0..2 {
            bytes.extend(enabled.to_le_bytes());
            // NDIS_ENCAPSULATION_IEEE_802_3, and the bytes of its header.
            bytes.extend(2_u32.to_le_bytes());
            bytes.extend(14_u32.to_le_bytes());
        }
        bytes
    }

    /// Sets it, and checks what NDIS was told before the requests were complete.
    fn set<M: Machine>(self, machine: &M, device: DeviceId) {
        let protocol = machine.system().protocol(device);
        for (oid, value) in [
            (sys::OID_OFFLOAD_ENCAPSULATION, self.encapsulations()),
            (sys::OID_TCP_OFFLOAD_PARAMETERS, self.offloads.parameters()),
        ] {
            let status = protocol.set(oid, value).map(|done| done.status);
            assert_eq!(
                status,
                Ok(0),
                "{oid:#x} {self:?}\n{}",
                machine.system().story()
            );
        }
        let config = sys::NDIS_STATUS_TASK_OFFLOAD_CURRENT_CONFIG;
        let mut told = protocol.statuses().into_iter();
        let told = told.rfind(|status| status.code == config);
        let told = told.expect("it was told").data;
        let on = self.offloads;
        let number = |at: usize| u32::from_le_bytes(told[at..at + 4].try_into().expect("four"));
        let large = offset_of!(Offload, LsoV2);
        assert_eq!(number(large + 4) != 0, on.large_sends, "{self:?}");
        let units = told[offset_of!(Offload, Rsc)] != 0;
        assert_eq!(units, on.coalescing && on.rx_checksums, "{self:?}");
        // Transmit and receive: encapsulation, then bit fields, TCP's at bit 4.
        let tcp = |nth: usize| number(offset_of!(Offload, Checksum) + 8 * nth + 4) >> 4 & 3;
        assert_eq!(tcp(0) != 0, on.tx_checksums, "{self:?}");
        assert_eq!(tcp(1) != 0, on.rx_checksums, "{self:?}");
    }
}

/// A number for each `n`, as good as by chance.
fn mixed(n: u64) -> u64 {
    let n = (n ^ n >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let n = (n ^ n >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
    n ^ n >> 31
}

/// TCP both ways, and every few turns of the stack other offloads. Returns how often each was found in use.
fn exchange(parallel: bool, seed: u64, bytes: u64) -> [u64; 4] {
    let builder = World::builder().cpus(4).seed(seed).parallel(parallel);
    let (mut world, peer) = connected(builder, Preset::Linux, WINDOW);
    world.settle();
    peer.join_segments();
    let device = world.interfaces()[0];
    let processors = rss_parameters(&[0, 1, 2, 3]);
    let set = world
        .protocol(device)
        .set(sys::OID_GEN_RECEIVE_SCALE_PARAMETERS, processors);
    assert_eq!(set.map(|done| done.status), Ok(0));
    let mut guest = guest_on(device, 0, WINDOW);
    peer.stack(|stack| stack.serve(3, 5));
    let plan = Plan {
        peer: cases::Ipv4Address::new(10, 0, 0, 1),
        bytes,
        connections: 3,
        seed,
        seconds: 600,
    };
    let (mut turns, mut changes) = (0_u64, 0_u64);
    let mut on = On::ALL;
    let mut found = [0; 4];
    let used = |guest: &GuestStack| {
        let moved = &guest.moved;
        [moved.large_sends, moved.blank, moved.verified, moved.units]
    };
    let mut before = used(&guest);
    let meanwhile = |guest: &mut GuestStack, world: &World| {
        turns += 1;
        if mixed(turns ^ seed).is_multiple_of(5) {
            return;
        }
        // Since the last change, of what was on then. What was received before the change is not looked at yet.
        let now = used(guest);
        for (found, (now, before)) in found.iter_mut().zip(now.into_iter().zip(before)) {
            *found += now - before;
        }
        before = now;
        changes += 1;
        on = On::any(mixed(changes << 20 ^ seed));
        on.set(world, device);
        guest.offloads = Use {
            checksums: on.offloads.tx_checksums,
            large_sends: on.offloads.large_sends,
        };
    };
    let outcome = transfer_while(&mut world, &mut guest, &plan, meanwhile);
    outcome.unwrap_or_else(|error| panic!("seed {seed}: {error}\n{}", world.story()));
    assert!(changes > 5, "{changes} in {turns} turns");
    assert_eq!(guest.moved.failed, 0, "{}", world.story());
    assert_eq!(peer.counters().damaged, 0);
    world.assert_clean();
    world.tear_down();
    world.assert_nothing_left();
    found
}

/// How often each was found in use, over all seeds: large sends, blank checksums, verified ones, coalesced units.
fn exchanges(parallel: bool, seeds: Range<u64>) -> [u64; 4] {
    seeds.fold([0; 4], |sum, seed| {
        let more = exchange(parallel, seed, 3 << 20);
        array::from_fn(|nth| sum[nth] + more[nth])
    })
}

/// The harness holds every coalesced unit against the requests; the model backend's rules and the peer's stack every
/// frame that was sent.
#[test]
fn offloads_change_while_tcp_runs() {
    let found = exchanges(false, 4700..4712);
    assert!(found.iter().all(|count| *count > 50), "{found:?}");
}

#[test]
fn offloads_change_while_tcp_runs_in_parallel() {
    let found = exchanges(true, 4720..4724);
    assert!(found.iter().all(|count| *count > 0), "{found:?}");
}

/// Packets of several segments keep coming while coalescing is turned off and on: the harness holds each unit against the
/// requests. One queue on four processors, so that most units are handed over before they are indicated.
fn units_come_while_coalescing_changes(parallel: bool, seed: u64) -> [usize; 2] {
    let builder = World::builder().cpus(4).seed(seed).parallel(parallel);
    let mut world = builder.build();
    let one = Some(Value::text("1"));
    world.harness().set_default_keyword("*NumRssQueues", one);
    let tap = Tap::default();
    world.add_vif(World::vif_config(Preset::Linux, 0), tap.clone());
    world.boot();
    world.wait_connected(0);
    world.settle();
    let device = world.interfaces()[0];
    let processors = rss_parameters(&[0, 1, 2, 3]);
    let set = world
        .protocol(device)
        .set(sys::OID_GEN_RECEIVE_SCALE_PARAMETERS, processors);
    assert_eq!(set.map(|done| done.status), Ok(0));
    world.settle();
    let mac = World::vif_config(Preset::Linux, 0).mac;
    let (mut units, mut payload, mut offered) = (0, 0, 0);
    for round in 0..60_u64 {
        for nth in 0..24_u8 {
            let packet = Packet::tcp(mac, HOST, 6000);
            let packet = if nth % 3 == 0 { packet.six() } else { packet };
            let kind = if packet.six {
                GsoType::TCPV6
            } else {
                GsoType::TCPV4
            };
            let meta = FrameMeta {
                csum_blank: true,
                data_validated: true,
                gso: Some(Gso { size: 1400, kind }),
                ..FrameMeta::default()
            };
            let mut bytes = packet.blank_with_header();
            // Another port is another flow, for another processor.
            bytes[packet.transport() + 1] = nth;
            tap.put(bytes, meta);
            offered += packet.payload.len();
        }
        // The backend finds them a little later: before, while, or after the request is in the driver.
        let later = world.harness().now() + mixed(round ^ seed) % 60;
        world.at(later, |_| ());
        let on = On::of(Offloads {
            coalescing: round % 2 == 1,
            ..Offloads::ALL
        });
        on.set(&world, device);
        world.settle();
        for frame in world.protocol(device).take_received() {
            let header = if frame.bytes[12] == 8 { 54 } else { 74 };
            payload += frame.bytes.len() - header;
            units += usize::from(frame.slot(sys::TcpRecvSegCoalesceInfo) != 0);
        }
    }
    world.settle();
    assert_eq!(payload, offered, "{}", world.story());
    world.assert_clean();
    world.tear_down();
    world.assert_nothing_left();
    [units, 60 * 24]
}

#[test]
fn no_unit_comes_after_the_request_that_turned_them_off() {
    for seed in 4740..4760 {
        let [units, all] = units_come_while_coalescing_changes(false, seed);
        assert!(units > all / 4 && units < all, "{units} of {all}");
    }
}

#[test]
fn no_unit_comes_after_the_request_that_turned_them_off_in_parallel() {
    for seed in 4760..4764 {
        let [units, all] = units_come_while_coalescing_changes(true, seed);
        assert!(units > all / 4 && units < all, "{units} of {all}");
    }
}

/// Large sends that wait for room while they are turned off leave as they were asked for; one handed over afterwards is
/// refused.
#[test]
fn large_sends_handed_over_before_they_were_turned_off_leave() {
    let mut world = World::builder().cpus(2).seed(4730).build();
    for (keyword, value) in [("*TransmitBuffers", "32"), ("*NumRssQueues", "1")] {
        let value = Some(Value::text(value));
        world.harness().set_default_keyword(keyword, value);
    }
    let tap = Tap::default();
    world.add_vif(World::vif_config(Preset::Linux, 0), tap.clone());
    world.boot();
    world.wait_connected(0);
    world.settle();
    let device = world.interfaces()[0];
    let answer = |world: &World, mode| {
        world.xen(|xen| {
            let vif = xen.vifs.get_mut(&0).expect("vif 0");
            vif.backend.set_response_mode(mode);
        });
    };
    answer(&world, ResponseMode::Held);
    tap.take();
    let mac = World::vif_config(Preset::Linux, 0).mac;
    let packets: Vec<Packet> = (0..40)
        .map(|nth| {
            let mut packet = Packet::tcp(HOST, mac, 20_000);
            packet.payload[0] = nth;
            if nth % 2 == 0 { packet } else { packet.six() }
        })
        .collect();
    let list = |packet: &Packet| {
        let version = u64::from(packet.six) << 31;
        let slot = MSS | (packet.transport() as u64) << 20 | 1 << 30 | version;
        let mut frame = Frame::new(packet.large());
        frame.layout = Layout::Pieces(vec![packet.header()]);
        SendList::one(frame).with_info(sys::TcpLargeSendNetBufferListInfo, slot)
    };
    let send = |world: &mut World, packets: &[Packet]| {
        let lists = packets.iter().map(list).collect();
        let sent = world.protocol(device).send(lists, SendOptions::default());
        assert!(sent.is_ok(), "{}", world.story());
        world.settle();
    };
    send(&mut world, &packets);
    let waiting = 40 - world.protocol(device).take_sent().len();
    assert!(waiting > 10, "{waiting}");
    let off = On::of(Offloads {
        large_sends: false,
        ..Offloads::ALL
    });
    off.set(&world, device);
    send(&mut world, &packets[..1]);
    answer(&world, ResponseMode::Immediate);
    world.xen(|xen| {
        let vif = xen.vifs.get_mut(&0).expect("vif 0");
        vif.backend.release(usize::MAX / 2);
    });
    world.pass(harness::SECOND);
    let done = world.protocol(device).take_sent();
    let failed: Vec<bool> = done.iter().map(|sent| !sent.is_success()).collect();
    assert_eq!(
        failed.iter().filter(|failed| **failed).count(),
        1,
        "{}",
        world.story()
    );
    assert_eq!(failed.last(), Some(&true), "the one that came afterwards");
    let seen = tap.take();
    assert_eq!(seen.len(), 40);
    for ((frame, meta), packet) in seen.iter().zip(&packets) {
        let pieces = segment(frame, meta.gso.expect("it leaves whole")).expect("it can be cut");
        let payload: Vec<u8> = pieces
            .iter()
            .flat_map(|piece| piece[packet.header()..].to_vec())
            .collect();
        assert!(pieces.iter().all(|piece| verifies(piece)));
        assert!(payload == packet.payload);
    }
    world.assert_clean();
    world.tear_down();
    world.assert_nothing_left();
}
