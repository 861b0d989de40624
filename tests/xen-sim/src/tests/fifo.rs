//! FIFO event channels.

use super::{CONTROL_BLOCK, EVENT_ARRAY, Guest, error, guest};
use crate::abi::{
    self, EVTCHN_FIFO_LINK_MASK, EVTCHN_FIFO_LINKED, EVTCHN_FIFO_MASKED, EVTCHN_FIFO_PENDING,
};
use alloc::vec::Vec;

use crate::{Config, Violation};

fn control(guest: &mut Guest, vcpu: u32, offset: u32) -> i64 {
    let mut argument = [0; 24];
    argument[0..8].copy_from_slice(&CONTROL_BLOCK.to_le_bytes());
    argument[8..12].copy_from_slice(&offset.to_le_bytes());
    argument[12..16].copy_from_slice(&vcpu.to_le_bytes());
    guest.event(abi::EVTCHNOP_INIT_CONTROL, &argument)
}

fn expand(guest: &mut Guest) -> i64 {
    guest.event(abi::EVTCHNOP_EXPAND_ARRAY, &EVENT_ARRAY.to_le_bytes())
}

/// A guest whose vCPU 0 has its control block and whose array has a page.
fn fifo() -> Guest {
    let mut guest = guest();
    assert_eq!(control(&mut guest, 0, 0), 0);
    assert_eq!(expand(&mut guest), 0);
    guest
}

fn word(guest: &Guest, port: u32) -> u32 {
    guest.memory.page(EVENT_ARRAY).read_u32(port as usize * 4)
}

fn connected(guest: &mut Guest) -> (u32, u32) {
    let port = guest.open();
    let remote = guest.machine.backend_bind(0, port).unwrap();
    (port, remote)
}

/// Takes the head of a queue, as a guest does; 0 if the queue is empty.
fn consume(guest: &Guest, priority: usize) -> u32 {
    let block = guest.memory.page(CONTROL_BLOCK);
    let head = block.read_u32(8 + priority * 4);
    if block.read_u32(0) & (1 << priority) == 0 {
        return 0;
    }
    let page = guest.memory.page(EVENT_ARRAY);
    let at = head as usize * 4;
    let value = page.read_u32(at);
    let next = value & EVTCHN_FIFO_LINK_MASK;
    page.write_u32(
        at,
        value & !(EVTCHN_FIFO_LINKED | EVTCHN_FIFO_LINK_MASK | EVTCHN_FIFO_PENDING),
    );
    block.write_u32(8 + priority * 4, next);
    if next == 0 {
        block.write_u32(0, block.read_u32(0) & !(1 << priority));
    }
    head
}

#[test]
fn events_come_in_the_order_they_were_raised() {
    let mut guest = fifo();
    let channels: Vec<(u32, u32)> = (0..4).map(|_| connected(&mut guest)).collect();
    for index in [2, 0, 3, 1] {
        guest.machine.backend_notify(channels[index].1);
    }
    // Again, while it is linked: no second time.
    guest.machine.backend_notify(channels[0].1);
    let seen: Vec<u32> = (0..5).map(|_| consume(&guest, 7)).collect();
    let expected = [
        channels[2].0,
        channels[0].0,
        channels[3].0,
        channels[1].0,
        0,
    ];
    assert_eq!(seen, expected);
    // The queue starts anew.
    guest.machine.backend_notify(channels[1].1);
    assert_eq!(consume(&guest, 7), channels[1].0);
}

#[test]
fn each_priority_has_its_queue() {
    let mut guest = fifo();
    let (low, low_remote) = connected(&mut guest);
    let (high, high_remote) = connected(&mut guest);
    let set = |guest: &mut Guest, port: u32, priority: u32| {
        let argument = [port.to_le_bytes(), priority.to_le_bytes()].concat();
        guest.event(abi::EVTCHNOP_SET_PRIORITY, &argument)
    };
    assert_eq!(set(&mut guest, high, 0), 0);
    assert_eq!(set(&mut guest, low, 15), 0);
    assert_eq!(set(&mut guest, low, 16), error(abi::EINVAL));
    guest.machine.backend_notify(low_remote);
    guest.machine.backend_notify(high_remote);
    let ready = guest.memory.page(CONTROL_BLOCK).read_u32(0);
    assert_eq!(ready, 1 | (1 << 15));
    assert_eq!((consume(&guest, 0), consume(&guest, 15)), (high, low));
}

#[test]
fn a_masked_event_is_pending_and_not_linked_until_it_is_unmasked() {
    let mut guest = fifo();
    let (port, remote) = connected(&mut guest);
    guest
        .memory
        .page(EVENT_ARRAY)
        .or_u32(port as usize * 4, EVTCHN_FIFO_MASKED);
    guest.machine.backend_notify(remote);
    assert_eq!(word(&guest, port), EVTCHN_FIFO_MASKED | EVTCHN_FIFO_PENDING);
    assert_eq!(consume(&guest, 7), 0);
    assert_eq!(guest.event(abi::EVTCHNOP_UNMASK, &port.to_le_bytes()), 0);
    assert_eq!(consume(&guest, 7), port);
}

#[test]
fn what_was_pending_with_two_levels_is_pending_after_the_switch() {
    let mut guest = guest();
    let (port, remote) = connected(&mut guest);
    guest.machine.backend_notify(remote);
    assert_eq!(control(&mut guest, 0, 0), 0);
    assert_eq!(expand(&mut guest), 0);
    assert_ne!(word(&guest, port) & EVTCHN_FIFO_PENDING, 0);
    assert_eq!(consume(&guest, 7), port);
}

#[test]
fn a_control_block_is_given_once_and_must_fit_its_page() {
    let mut guest = guest();
    assert_eq!(control(&mut guest, 0, 4), error(abi::EINVAL), "not aligned");
    assert_eq!(
        control(&mut guest, 0, 4096 - 64),
        error(abi::EINVAL),
        "72 bytes"
    );
    assert_eq!(
        control(&mut guest, 4, 0),
        error(abi::ENOENT),
        "no such vCPU"
    );
    assert_eq!(control(&mut guest, 0, 0), 0);
    assert_eq!(control(&mut guest, 0, 0), error(abi::EINVAL), "once");
    assert_eq!(control(&mut guest, 1, 128), 0);
}

#[test]
fn the_array_belongs_to_fifo_alone_and_has_an_end() {
    let mut guest = guest();
    assert_eq!(
        expand(&mut guest),
        error(abi::EOPNOTSUPP),
        "before the first control block"
    );
    let mut guest = fifo();
    for _ in 1..128 {
        assert_eq!(expand(&mut guest), 0);
    }
    assert_eq!(expand(&mut guest), error(abi::ENOSPC));
}

#[test]
fn an_event_for_a_vcpu_without_control_block_is_lost_and_said() {
    let mut guest = fifo();
    let (port, remote) = connected(&mut guest);
    let argument = [port.to_le_bytes(), 2_u32.to_le_bytes()].concat();
    assert_eq!(guest.event(abi::EVTCHNOP_BIND_VCPU, &argument), 0);
    guest.machine.backend_notify(remote);
    let lost = Violation::NoControlBlock { vcpu: 2, port };
    assert_eq!(guest.machine.take_violations(), [lost]);
}

#[test]
fn a_reset_goes_back_to_two_levels() {
    let mut guest = fifo();
    assert!(guest.machine.is_fifo());
    assert_eq!(
        guest.event(abi::EVTCHNOP_RESET, &abi::DOMID_SELF.to_le_bytes()),
        0
    );
    assert!(!guest.machine.is_fifo());
    assert_eq!(control(&mut guest, 0, 0), 0);
}

#[test]
fn priorities_are_fifos_alone() {
    let mut guest = Guest::new(Config {
        fifo: false,
        ..Config::default()
    });
    let argument = [1_u32.to_le_bytes(), 0_u32.to_le_bytes()].concat();
    assert_eq!(
        guest.event(abi::EVTCHNOP_SET_PRIORITY, &argument),
        error(abi::ENOSYS)
    );
    assert_eq!(expand(&mut guest), error(abi::ENOSYS));
}
