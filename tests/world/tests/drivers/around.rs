//! What goes with a connection: multicast control, carrier, speed, announcements.

use harness::DeviceId;
use harness::ndis::DeviceState;
use ndis_sys as sys;
use netback_model::toolstack::{backend_dir, frontend_dir};
use netback_model::{FrameMeta, Preset};
use world::{Tap, World};

fn linux(seed: u64) -> (World, Tap, DeviceId) {
    let mut world = World::builder().cpus(2).seed(seed).build();
    let tap = Tap::default();
    world.add_vif(World::vif_config(Preset::Linux, 0), tap.clone());
    world.boot();
    world.wait_connected(0);
    world.pass(4 * harness::SECOND);
    let device = world.interfaces()[0];
    (world, tap, device)
}

fn end(mut world: World) {
    world.assert_clean();
    world.tear_down();
    world.assert_nothing_left();
}

const fn group(n: u8) -> [u8; 6] {
    [1, 0, 0x5E, 0, 0, n]
}

fn set(world: &mut World, device: DeviceId, oid: u32, value: Vec<u8>) {
    let done = world.protocol(device).set(oid, value).expect("an answer");
    assert_eq!(done.status, 0, "{oid:#x}\n{}", world.story());
    world.pass(harness::SECOND);
}

fn set_groups(world: &mut World, device: DeviceId, groups: &[[u8; 6]]) {
    set(
        world,
        device,
        sys::OID_802_3_MULTICAST_LIST,
        groups.concat(),
    );
}

fn set_filter(world: &mut World, device: DeviceId, filter: u32) {
    let value = filter.to_le_bytes().to_vec();
    set(world, device, sys::OID_GEN_CURRENT_PACKET_FILTER, value);
}

/// The backend's list, sorted, and whether it was asked to filter.
fn told(world: &World) -> (Vec<[u8; 6]>, bool) {
    let key = format!(
        "{}/request-multicast-control",
        frontend_dir(&World::vif_config(Preset::Linux, 0))
    );
    world.xen(|xen| {
        let mut list = xen.vifs[&0].backend.multicast_list().to_vec();
        list.sort_unstable();
        (list, xen.store.read(&key).as_deref() == Some("1"))
    })
}

const SOME: u32 = sys::NDIS_PACKET_TYPE_DIRECTED | sys::NDIS_PACKET_TYPE_MULTICAST;

#[test]
fn the_backend_filters_the_groups_that_ndis_has_set() {
    let (mut world, tap, device) = linux(3000);
    set_groups(&mut world, device, &[group(1), group(2)]);
    assert_eq!(
        told(&world),
        (vec![group(1), group(2)], true),
        "{}",
        world.story()
    );
    let frame = |to: [u8; 6]| {
        let mut frame = vec![0xEE; 60];
        frame[..6].copy_from_slice(&to);
        frame[12..14].copy_from_slice(&[0x88, 0xB5]);
        frame
    };
    for n in [1, 2, 3] {
        tap.put(frame(group(n)), FrameMeta::default());
    }
    world.settle();
    let received = world.protocol(device).take_received();
    let to: Vec<u8> = received.iter().map(|frame| frame.bytes[5]).collect();
    assert_eq!(to, [1, 2]);
    let dropped = world.xen(|xen| xen.vifs[&0].backend.counters().rx_dropped_multicast);
    assert_eq!(dropped, 1, "by the backend, not by us");
    set_groups(&mut world, device, &[group(2), group(9)]);
    assert_eq!(told(&world), (vec![group(2), group(9)], true));
    // All groups: the backend filters no more.
    set_filter(
        &mut world,
        device,
        SOME | sys::NDIS_PACKET_TYPE_ALL_MULTICAST,
    );
    assert!(!told(&world).1);
    tap.put(frame(group(77)), FrameMeta::default());
    world.settle();
    assert_eq!(world.protocol(device).take_received().len(), 1);
    set_filter(&mut world, device, SOME);
    assert!(told(&world).1);
    // No group at all.
    set_filter(&mut world, device, sys::NDIS_PACKET_TYPE_DIRECTED);
    assert_eq!(told(&world), (vec![], true));
    end(world);
}

#[test]
fn the_list_is_told_again_after_a_reconnect() {
    let (mut world, _, device) = linux(3010);
    set_groups(&mut world, device, &[group(1), group(2), group(3)]);
    for state in [DeviceState::D3, DeviceState::D0] {
        assert_eq!(world.protocol(device).set_power(state), Ok(0));
        world.settle();
    }
    world.wait_connected(0);
    world.pass(2 * harness::SECOND);
    let want = vec![group(1), group(2), group(3)];
    assert_eq!(told(&world), (want, true), "{}", world.story());
    end(world);
}

#[test]
fn a_list_as_long_as_the_backends_is_taken() {
    let (mut world, _, device) = linux(3020);
    let groups: Vec<[u8; 6]> = (0..64).map(group).collect();
    set_groups(&mut world, device, &groups);
    world.pass(2 * harness::SECOND);
    assert_eq!(told(&world), (groups, true));
    end(world);
}

#[test]
fn carrier_cable_and_speed_reach_ndis() {
    let (mut world, _, device) = linux(3030);
    let config = World::vif_config(Preset::Linux, 0);
    let carrier = format!("{}/carrier", backend_dir(&config));
    let write = |world: &mut World, path: &str, value: &str| {
        world.xen(|xen| xen.store.write(path, value));
        world.pass(harness::SECOND);
    };
    for (value, up) in [("0", false), ("1", true)] {
        write(&mut world, &carrier, value);
        assert_eq!(
            world.protocol(device).link().is_connected(),
            up,
            "{}",
            world.story()
        );
    }
    let folder = frontend_dir(&config);
    let pulled = format!("{folder}/disconnect");
    for (value, up) in [("1", false), ("0", true)] {
        write(&mut world, &pulled, value);
        assert_eq!(world.protocol(device).link().is_connected(), up);
    }
    write(&mut world, &format!("{folder}/speed"), "25G");
    assert_eq!(world.protocol(device).link().speeds, [25_000_000_000; 2]);
    assert_eq!(world.protocol(device).redundant_link_indications(), 0);
    end(world);
}

/// `NETWORK_ADDRESS_LIST` with one address.
fn addresses(protocol: u16, at: usize, size: usize, address: &[u8]) -> Vec<u8> {
    let mut bytes = 1_u32.to_le_bytes().to_vec();
    bytes.extend(protocol.to_le_bytes());
    bytes.extend(u16::try_from(size).expect("short").to_le_bytes());
    bytes.extend(protocol.to_le_bytes());
    let mut own = vec![0; size];
    own[at..at + address.len()].copy_from_slice(address);
    bytes.extend(own);
    bytes
}

#[test]
fn addresses_are_announced_after_a_reconnect() {
    let (mut world, tap, device) = linux(3050);
    let oid = sys::OID_GEN_NETWORK_LAYER_ADDRESSES;
    set(&mut world, device, oid, addresses(2, 4, 16, &[10, 0, 0, 7]));
    set(&mut world, device, oid, addresses(3, 8, 28, &[0xFE; 16]));
    assert!(tap.take().is_empty());
    for state in [DeviceState::D3, DeviceState::D0] {
        assert_eq!(world.protocol(device).set_power(state), Ok(0));
        world.settle();
    }
    world.wait_connected(0);
    world.pass(5 * harness::SECOND);
    let seen = tap.take();
    let of = |kind: [u8; 2]| {
        seen.iter()
            .filter(|(frame, _)| frame[12..14] == kind)
            .count()
    };
    assert_eq!((of([8, 6]), of([0x86, 0xDD])), (3, 3), "{}", world.story());
    let (arp, _) = seen
        .iter()
        .find(|(frame, _)| frame[12..14] == [8, 6])
        .expect("one");
    assert_eq!(arp[28..32], [10, 0, 0, 7]);
    assert_eq!(arp[38..42], [10, 0, 0, 7]);
    end(world);
}

/// Vector 12: every queue stays filled, so that netback keeps the carrier of the whole vif.
#[test]
fn an_idle_queue_keeps_the_carrier() {
    let (mut world, tap, device) = linux(3060);
    let mut frame = vec![0xFF; 60];
    frame[12..14].copy_from_slice(&[0x88, 0xB5]);
    for _ in 0..8 {
        for _ in 0..40 {
            tap.put(frame.clone(), FrameMeta::default());
        }
        world.pass(10 * harness::SECOND);
    }
    assert_eq!(world.protocol(device).take_received().len(), 320);
    world.xen(|xen| {
        let backend = &xen.vifs[&0].backend;
        assert!(backend.carrier() && backend.counters().carrier_off == 0);
    });
    end(world);
}
