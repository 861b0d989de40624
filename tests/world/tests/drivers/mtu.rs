//! The MTU while the adapter runs: XenStore's `mtu` and the backend change it, `*JumboPacket` limits it, NDIS is told
//! (`NDIS_STATUS_L2_MTU_SIZE_CHANGE`), and no frame is lost of those that were allowed when they set out.

use harness::ndis::{DeviceState, Frame, SendList, SendOptions};
use harness::{DeviceId, SECOND, Value};
use ndis_sys as sys;
use netback_model::toolstack::{backend_dir, frontend_dir};
use netback_model::{Config, Features, FrameMeta, Preset, ResponseMode};
use world::scenario::{PEER_MAC, exchange};
use world::{GuestStack, Peer, Stack, Tap, World};

const WINDOW: usize = 32 * 1024;
/// Ethernet header.
const HEADER: usize = 14;
/// Payload that fits one slot of the ring, behind header and tag.
const ONE_SLOT: u32 = 4078;

/// A world with one vif and its network, `*JumboPacket` set.
fn start(seed: u64, config: Config, jumbo: &str) -> (World, Tap, DeviceId) {
    let mut world = World::builder().cpus(2).seed(seed).build();
    for (keyword, value) in [("*JumboPacket", jumbo), ("*NumRssQueues", "1")] {
        let value = Some(Value::text(value));
        world.harness().set_default_keyword(keyword, value);
    }
    let tap = Tap::default();
    world.add_vif(config, tap.clone());
    world.boot();
    world.wait_connected(0);
    world.pass(4 * SECOND);
    tap.take();
    let device = world.interfaces()[0];
    (world, tap, device)
}

fn linux() -> Config {
    World::vif_config(Preset::Linux, 0)
}

fn write(world: &World, value: &str) {
    let key = format!("{}/mtu", frontend_dir(&linux()));
    world.xen(|xen| xen.store.write(&key, value));
}

/// The toolstack changes the MTU.
fn set(world: &mut World, value: &str) {
    write(world, value);
    world.pass(SECOND);
}

/// What NDIS knows the MTU to be.
fn known(world: &World, device: DeviceId) -> u32 {
    let general = world.protocol(device).attributes().general;
    general.expect("general attributes").mtu
}

/// Each MTU that NDIS was told since the start.
fn told(world: &World, device: DeviceId) -> Vec<u32> {
    let statuses = world.protocol(device).statuses().into_iter();
    statuses
        .filter(|status| status.code == sys::NDIS_STATUS_L2_MTU_SIZE_CHANGE)
        .map(|status| u32::from_le_bytes(status.data.try_into().expect("one ULONG")))
        .collect()
}

fn query(world: &World, device: DeviceId, oid: u32) -> Option<u32> {
    let done = world.protocol(device).query(oid, 8);
    done.expect("an answer").number()
}

/// A frame of `payload` bytes behind the header.
fn frame(to: [u8; 6], payload: u32, mark: u8) -> Vec<u8> {
    let mut bytes = to.to_vec();
    bytes.extend([0, 0x16, 0x3E, 0, 1, 0, 0x88, 0xB5]);
    bytes.resize(HEADER + payload as usize, mark);
    bytes
}

fn post(world: &World, device: DeviceId, frames: impl IntoIterator<Item = Vec<u8>>) {
    let lists = frames
        .into_iter()
        .map(|frame| SendList::one(Frame::new(frame)));
    let lists = lists.collect();
    let sent = world.protocol(device).send(lists, SendOptions::default());
    assert!(sent.is_ok(), "{}", world.story());
}

fn statuses(world: &World, device: DeviceId) -> Vec<i32> {
    let done = world.protocol(device).take_sent();
    done.iter().map(|sent| sent.status).collect()
}

/// Whether a frame of `payload` bytes leaves; its bytes are compared.
fn leaves(world: &mut World, tap: &Tap, device: DeviceId, payload: u32) -> bool {
    let bytes = frame(PEER_MAC, payload, 0x31);
    post(world, device, [bytes.clone()]);
    world.settle();
    let status = statuses(world, device);
    let out: Vec<Vec<u8>> = tap.take().into_iter().map(|(frame, _)| frame).collect();
    match status[..] {
        [0] => assert_eq!(out, [bytes]),
        [sys::NDIS_STATUS_INVALID_LENGTH] => assert!(out.is_empty()),
        _ => panic!("{status:x?}\n{}", world.story()),
    }
    status == [0]
}

/// Whether a frame of `payload` bytes is handed up; its bytes are compared.
fn arrives(world: &mut World, tap: &Tap, device: DeviceId, payload: u32) -> bool {
    let bytes = frame(linux().mac, payload, 0x72);
    tap.put(bytes.clone(), FrameMeta::default());
    world.settle();
    let up = world.protocol(device).take_received();
    let up: Vec<Vec<u8>> = up.into_iter().map(|frame| frame.bytes).collect();
    assert!(up.is_empty() || up == [bytes]);
    !up.is_empty()
}

/// Frames pass as long as `payload` both ways, and no longer; the requests say the same.
fn expect(world: &mut World, tap: &Tap, device: DeviceId, payload: u32) {
    assert_eq!(known(world, device), payload, "{}", world.story());
    let total = query(world, device, sys::OID_GEN_MAXIMUM_TOTAL_SIZE);
    assert_eq!(total, Some(payload + 14));
    for oid in [
        sys::OID_GEN_MAXIMUM_FRAME_SIZE,
        sys::OID_GEN_MAXIMUM_LOOKAHEAD,
    ] {
        assert_eq!(query(world, device, oid), Some(payload));
    }
    assert!(leaves(world, tap, device, payload));
    assert!(!leaves(world, tap, device, payload + 1));
    assert!(arrives(world, tap, device, payload));
    // Room for a tag is not told from more of a frame.
    assert!(!arrives(world, tap, device, payload + 5));
}

fn end(mut world: World) {
    world.assert_clean();
    world.tear_down();
    world.assert_nothing_left();
}

#[test]
fn a_larger_mtu_is_told_and_longer_frames_pass_at_once() {
    let (mut world, tap, device) = start(3040, linux(), "9014");
    expect(&mut world, &tap, device, 1500);
    assert_eq!(told(&world, device), [0_u32; 0]);
    set(&mut world, "4000");
    expect(&mut world, &tap, device, 4000);
    set(&mut world, "9000");
    expect(&mut world, &tap, device, 9000);
    assert_eq!(told(&world, device), [4000, 9000]);
    end(world);
}

#[test]
fn jumbo_packet_limits_the_mtu_and_what_is_no_change_is_not_told() {
    let (mut world, tap, device) = start(3050, linux(), "4088");
    set(&mut world, "9000");
    expect(&mut world, &tap, device, 4074);
    for same in ["8000", "9000", "4074", "65535", "99999999"] {
        set(&mut world, same);
    }
    assert_eq!(told(&world, device), [4074]);
    // Linux's default, for what is no number; the least that every host takes, for what is less.
    for (value, mtu) in [
        ("a lot", 1500),
        ("0", 576),
        ("1280", 1280),
        ("", 1500),
        ("68", 576),
    ] {
        set(&mut world, value);
        assert_eq!(known(&world, device), mtu, "{value:?}");
    }
    assert_eq!(told(&world, device), [4074, 1500, 576, 1280, 1500, 576]);
    end(world);
}

#[test]
fn the_mtu_at_the_next_start_is_the_one_of_that_time() {
    let (mut world, tap, device) = start(3060, linux(), "9014");
    set(&mut world, "9000");
    set(&mut world, "2000");
    assert_eq!(told(&world, device), [9000, 2000]);
    world.disable_interface(device);
    world.enable_interface(device);
    world.wait_connected(0);
    world.pass(4 * SECOND);
    tap.take();
    let device = world.interfaces()[0];
    assert_eq!(
        told(&world, device),
        [0_u32; 0],
        "NDIS knew it from the start"
    );
    expect(&mut world, &tap, device, 2000);
    end(world);
}

/// The MTU falls while frames are on their way in both directions: on the ring, in the driver for want of room, at the
/// backend. All of them arrive, and so do those that a sender was about to hand over.
#[test]
fn what_is_under_way_when_the_mtu_falls_arrives() {
    let mut config = linux();
    config.mtu = 9000;
    let (mut world, tap, device) = start(3070, config, "9014");
    let answer = |world: &World, mode| {
        world.xen(|xen| {
            let vif = xen.vifs.get_mut(&0).expect("vif 0");
            vif.backend.set_response_mode(mode);
        });
    };
    answer(&world, ResponseMode::Held);
    let sent: Vec<Vec<u8>> = (0..150).map(|nth| frame(PEER_MAC, 9000, nth)).collect();
    post(&world, device, sent.clone());
    world.settle();
    let at_once = statuses(&world, device);
    assert!((1..150).contains(&at_once.len()), "some wait in the driver");
    let down: Vec<Vec<u8>> = (0..40).map(|nth| frame(linux().mac, 9000, nth)).collect();
    for frame in &down[..20] {
        tap.put(frame.clone(), FrameMeta::default());
    }
    set(&mut world, "1500");
    assert_eq!(known(&world, device), 1500);
    for frame in &down[20..] {
        tap.put(frame.clone(), FrameMeta::default());
    }
    let late = frame(PEER_MAC, 9000, 0xFE);
    post(&world, device, [late.clone()]);
    answer(&world, ResponseMode::Immediate);
    world.xen(|xen| {
        xen.vifs
            .get_mut(&0)
            .expect("vif 0")
            .backend
            .release(usize::MAX / 2);
    });
    world.pass(2 * SECOND);
    let all = [at_once, statuses(&world, device)].concat();
    assert_eq!(all, [0; 151], "{}", world.story());
    let out: Vec<Vec<u8>> = tap.take().into_iter().map(|(frame, _)| frame).collect();
    assert!(
        out == [sent, vec![late]].concat(),
        "other frames, or in another order"
    );
    let up = world.protocol(device).take_received();
    let up: Vec<Vec<u8>> = up.into_iter().map(|frame| frame.bytes).collect();
    assert_eq!(up.len(), 40, "{}", world.story());
    end(world);
}

/// TCP both ways while the toolstack changes its mind, every few milliseconds, under several schedules.
#[test]
fn tcp_goes_on_while_the_mtu_changes() {
    for seed in 3080..3088 {
        let mut world = World::builder().cpus(2).seed(seed).build();
        let jumbo = Some(Value::text("9014"));
        world.harness().set_default_keyword("*JumboPacket", jumbo);
        let mut config = linux();
        config.mtu = 9000;
        let peer = Peer::new(Stack::new(PEER_MAC, 1, 9000, WINDOW, 7), None);
        world.add_vif(config, peer.clone());
        world.boot();
        world.wait_connected(0);
        world.settle();
        let device = world.interfaces()[0];
        let key = format!("{}/mtu", frontend_dir(&linux()));
        let now = world.harness().now();
        for (nth, value) in [1500, 9000, 3000, 8000, 576, 9000].into_iter().enumerate() {
            let key = key.clone();
            let at = now + (nth as u64 + 1) * SECOND / 500;
            world.at(at, move |xen| xen.store.write(&key, &value.to_string()));
        }
        let stack = Stack::new(linux().mac, 2, 9000, WINDOW, 8);
        let mut guest = GuestStack::new(stack, device, 0);
        exchange(&mut world, &peer, &mut guest, 5001, 1 << 20);
        world.pass(SECOND);
        assert_eq!(known(&world, device), 9000);
        assert!(
            told(&world, device).len() >= 2,
            "{:?}",
            told(&world, device)
        );
        end(world);
    }
}

/// Without feature-sg a frame is one slot: the MTU follows that at the start.
#[test]
fn without_scatter_gather_the_mtu_is_one_slot() {
    let config = Config {
        features: Features {
            sg: false,
            ..Features::LINUX
        },
        mtu: 9000,
        ..linux()
    };
    let (mut world, tap, device) = start(3090, config, "9014");
    expect(&mut world, &tap, device, ONE_SLOT);
    end(world);
}

/// And when the backend is another after a connection.
#[test]
fn the_mtu_follows_the_backend() {
    let config = Config {
        mtu: 9000,
        ..linux()
    };
    let (mut world, tap, device) = start(3100, config, "9014");
    expect(&mut world, &tap, device, 9000);
    let key = format!("{}/feature-sg", backend_dir(&linux()));
    let reconnect = |world: &mut World, sg: &str| {
        assert_eq!(world.protocol(device).set_power(DeviceState::D3), Ok(0));
        world.settle();
        world.xen(|xen| xen.store.write(&key, sg));
        assert_eq!(world.protocol(device).set_power(DeviceState::D0), Ok(0));
        world.settle();
        world.wait_connected(0);
        world.pass(4 * SECOND);
        tap.take();
    };
    reconnect(&mut world, "0");
    assert_eq!(known(&world, device), ONE_SLOT);
    assert!(leaves(&mut world, &tap, device, ONE_SLOT));
    assert!(
        arrives(&mut world, &tap, device, 9000),
        "that way it may send as before"
    );
    reconnect(&mut world, "1");
    expect(&mut world, &tap, device, 9000);
    assert_eq!(told(&world, device), [ONE_SLOT, 9000]);
    end(world);
}
