//! A backend that keeps the pages of sent frames (vector 13 of the netif notes).
//!
//! NDIS wants each list back within 30 s, and progress every 22 s; the harness breaks the run when that fails (rules
//! `ndis-send-time`, `ndis-send-hang`). The model backend notices when a page changes that it was not done with (rule
//! `TxPageChanged`), and xen-sim what is left granted.

use harness::ndis::{Frame, SendList, SendOptions};
use harness::{DeviceId, SECOND, Value};
use netback_model::{Config, Preset, ResponseMode};
use world::{Tap, World};

/// A machine whose backend keeps every page from now on.
fn start(seed: u64, change: impl FnOnce(&mut Config)) -> (World, Tap, DeviceId) {
    let mut world = World::builder().cpus(2).seed(seed).build();
    let tap = Tap::default();
    let mut config = World::vif_config(Preset::Linux, 0);
    config.mtu = 9000;
    change(&mut config);
    let jumbo = Some(Value::text("9014"));
    world.harness().set_default_keyword("*JumboPacket", jumbo);
    let queues = Some(Value::text("1"));
    world.harness().set_default_keyword("*NumRssQueues", queues);
    world.add_vif(config, tap.clone());
    world.boot();
    world.wait_connected(0);
    world.settle();
    answer(&world, ResponseMode::Held);
    let device = world.interfaces()[0];
    tap.take();
    (world, tap, device)
}

fn answer(world: &World, mode: ResponseMode) {
    world.xen(|xen| {
        let backend = &mut xen.vifs.get_mut(&0).expect("vif 0").backend;
        backend.set_response_mode(mode);
    });
}

/// Lets the backend answer held slots.
fn release(world: &mut World, slots: usize) {
    world.xen(|xen| xen.vifs.get_mut(&0).expect("vif 0").backend.release(slots));
    world.settle();
}

fn frame(nth: usize) -> Vec<u8> {
    let mut bytes = vec![0xFF; 6];
    bytes.extend([0, 0x16, 0x3E, 0, 1, 0, 0x88, 0xB5]);
    bytes.resize(9014, u8::try_from(nth & 0xFF).expect("a byte"));
    bytes
}

/// Sends `count` frames of 9014 bytes, which take three pages each, in lists of their own.
fn send(world: &mut World, device: DeviceId, count: usize) {
    let lists = (0..count)
        .map(|nth| SendList::one(Frame::new(frame(nth))))
        .collect();
    let sent = world.protocol(device).send(lists, SendOptions::default());
    assert!(sent.is_ok(), "{}", world.story());
    world.settle();
}

fn statuses(world: &World, device: DeviceId) -> Vec<i32> {
    let done = world.protocol(device).take_sent();
    done.iter().map(|sent| sent.status).collect()
}

fn end(mut world: World) {
    world.assert_clean();
    world.tear_down();
    world.assert_nothing_left();
}

/// The sender has its memory back at once, and writes to it; the backend reads what was sent for as long as it likes.
#[test]
fn a_send_is_complete_while_the_backend_keeps_its_page() {
    let (mut world, tap, device) = start(4200, |_| {});
    send(&mut world, device, 20);
    assert_eq!(statuses(&world, device), [0; 20], "{}", world.story());
    let kept = world.xen(|xen| xen.vifs[&0].backend.outstanding());
    assert!(kept > 0, "the backend keeps nothing");
    // As long as an honest backend may keep a page: another guest's full ring.
    world.pass(10 * SECOND);
    release(&mut world, usize::MAX / 2);
    let arrived: Vec<Vec<u8>> = tap.take().into_iter().map(|(bytes, _)| bytes).collect();
    assert_eq!(arrived, (0..20).map(frame).collect::<Vec<_>>());
    end(world);
}

/// What is on the ring does not hold up a pause, nor a halt before the backend lets go of it.
#[test]
fn a_pause_does_not_wait_for_a_page_the_backend_keeps() {
    let (mut world, _tap, device) = start(4210, |_| {});
    send(&mut world, device, 5);
    let before = world.harness().now();
    assert!(world.protocol(device).pause().is_ok(), "{}", world.story());
    let took = world.harness().now() - before;
    assert!(took < SECOND, "{took} ns");
    assert_eq!(world.protocol(device).restart(), Ok(true));
    release(&mut world, usize::MAX / 2);
    end(world);
}

/// The backend answers now and then, so it is not silent, but there is never room for what waits.
#[test]
fn lists_without_room_are_given_back_in_time() {
    let (mut world, _tap, device) = start(4220, |_| {});
    send(&mut world, device, 400);
    let fit = statuses(&world, device);
    assert!(fit.len() > 50 && fit.len() < 200, "{}", fit.len());
    assert!(fit.iter().all(|status| *status == 0));
    let mut late = Vec::new();
    for _ in 0..6 {
        world.pass(4 * SECOND);
        release(&mut world, 1);
        late.extend(statuses(&world, device));
    }
    assert_eq!(fit.len() + late.len(), 400, "{}", world.story());
    let failed = late.iter().filter(|status| **status != 0).count();
    assert!(failed > 100, "{failed}");
    // With room again, sending goes on.
    release(&mut world, usize::MAX / 2);
    answer(&world, ResponseMode::Immediate);
    send(&mut world, device, 5);
    assert_eq!(statuses(&world, device), [0; 5]);
    end(world);
}

/// A silent backend: the driver gives the connection up, and with it its pages; it gets them back when the backend lets
/// go, and carries traffic all the while.
#[test]
fn pages_of_an_ended_connection_come_back_when_the_backend_lets_go() {
    for unplugged in [false, true] {
        let (mut world, _tap, device) = start(4230 + u64::from(unplugged), |_| {});
        send(&mut world, device, 5);
        assert_eq!(statuses(&world, device), [0; 5]);
        // Silence for 15 s, then 15 s in which it does not close.
        world.pass(40 * SECOND);
        if unplugged {
            // A halt waits for the pages for a while, as the backend's domain may be slow and not stuck.
            world.at(world.harness().now() + 10 * SECOND, |xen| {
                let backend = &mut xen.vifs.get_mut(&0).expect("vif 0").backend;
                backend.set_response_mode(ResponseMode::Immediate);
                backend.release(usize::MAX / 2);
            });
            world.disable_interface(device);
        } else {
            answer(&world, ResponseMode::Immediate);
            release(&mut world, usize::MAX / 2);
        }
        world.pass(10 * SECOND);
        if unplugged {
            world.enable_interface(device);
            world.wait_connected(0);
            world.settle();
        } else {
            world.wait_connected(0);
        }
        world.pass(2 * SECOND);
        let device = world.interfaces()[0];
        send(&mut world, device, 3);
        assert_eq!(statuses(&world, device), [0; 3], "{}", world.story());
        end(world);
    }
}
