//! Memory operations, HVM parameters, suspend, version, CPUID, ports.

use alloc::vec::Vec;

use super::{ARGUMENTS, DATA, GRANT_FRAME, Guest, SHARED_INFO, error, guest};
use crate::abi;
use crate::{Config, PortState, SuspendOutcome, Violation};

/// Decreases or fills the reservation by single frames; the result of the hypercall.
pub(super) fn reservation(guest: &mut Guest, op: u64, frames: &[u64]) -> i64 {
    let bytes: Vec<u8> = frames.iter().flat_map(|pfn| pfn.to_le_bytes()).collect();
    guest.memory.page(ARGUMENTS).write(1024, &bytes);
    let mut argument = [0; 32];
    argument[0..8].copy_from_slice(&guest.memory.va(ARGUMENTS, 1024).to_le_bytes());
    argument[8..16].copy_from_slice(&(frames.len() as u64).to_le_bytes());
    argument[24..26].copy_from_slice(&abi::DOMID_SELF.to_le_bytes());
    guest.call(abi::HYPERVISOR_MEMORY_OP, op, &argument)
}

fn param(guest: &mut Guest, op: u64, index: u32, value: u64) -> (i64, u64) {
    let mut argument = [0; 16];
    argument[0..2].copy_from_slice(&abi::DOMID_SELF.to_le_bytes());
    argument[4..8].copy_from_slice(&index.to_le_bytes());
    argument[8..16].copy_from_slice(&value.to_le_bytes());
    let result = guest.call(abi::HYPERVISOR_HVM_OP, op, &argument);
    (result, guest.memory.page(ARGUMENTS).read_u64(8))
}

fn remove_from_physmap(guest: &mut Guest, pfn: u64) -> i64 {
    let mut argument = [0; 16];
    argument[0..2].copy_from_slice(&abi::DOMID_SELF.to_le_bytes());
    argument[8..16].copy_from_slice(&pfn.to_le_bytes());
    guest.call(
        abi::HYPERVISOR_MEMORY_OP,
        abi::XENMEM_REMOVE_FROM_PHYSMAP,
        &argument,
    )
}

#[test]
fn frames_given_back_are_gone_once_and_come_back() {
    let mut guest = guest();
    assert_eq!(
        reservation(&mut guest, abi::XENMEM_DECREASE_RESERVATION, &[30, 31]),
        2
    );
    assert_eq!(
        reservation(&mut guest, abi::XENMEM_DECREASE_RESERVATION, &[32, 31]),
        1,
        "31 is gone already"
    );
    assert_eq!(
        reservation(&mut guest, abi::XENMEM_POPULATE_PHYSMAP, &[30, 31, 32]),
        3
    );
    assert_eq!(
        reservation(&mut guest, abi::XENMEM_POPULATE_PHYSMAP, &[30]),
        0
    );
    assert_eq!(
        reservation(&mut guest, abi::XENMEM_DECREASE_RESERVATION, &[1 << 30]),
        0,
        "no memory"
    );
}

#[test]
fn a_grant_of_a_frame_given_back_is_bad() {
    let mut guest = guest();
    guest.grant(100, abi::GTF_PERMIT_ACCESS);
    assert_eq!(
        reservation(&mut guest, abi::XENMEM_DECREASE_RESERVATION, &[DATA]),
        1
    );
    assert!(guest.machine.map_grant(0, 100, true).is_err());
}

#[test]
fn pages_of_xen_are_placed_moved_and_taken_away() {
    let mut guest = guest();
    let port = guest.open();
    let remote = guest.machine.backend_bind(0, port).unwrap();
    // Its content moves with it.
    guest.machine.backend_notify(remote);
    let pending = guest
        .memory
        .page(SHARED_INFO)
        .read_u64(abi::SHARED_INFO_PENDING);
    assert_ne!(pending, 0);
    assert_eq!(guest.place(abi::XENMAPSPACE_SHARED_INFO, 0, 40), 0);
    assert_eq!(
        guest.memory.page(40).read_u64(abi::SHARED_INFO_PENDING),
        pending
    );
    assert_eq!(remove_from_physmap(&mut guest, 40), 0);
    assert_eq!(remove_from_physmap(&mut guest, GRANT_FRAME), 0);
    assert_eq!(
        remove_from_physmap(&mut guest, GRANT_FRAME),
        error(abi::ENOENT)
    );
}

#[test]
fn pages_are_not_placed_where_nothing_is_or_for_others() {
    let mut guest = guest();
    assert_eq!(
        guest.place(abi::XENMAPSPACE_SHARED_INFO, 1, 40),
        error(abi::EINVAL)
    );
    assert_eq!(
        guest.place(abi::XENMAPSPACE_SHARED_INFO, 0, 1 << 40),
        error(abi::EINVAL)
    );
    assert_eq!(guest.place(9, 0, 40), error(abi::ENOSYS));
    let mut argument = [0; 24];
    argument[0..2].copy_from_slice(&6_u16.to_le_bytes());
    let result = guest.call(
        abi::HYPERVISOR_MEMORY_OP,
        abi::XENMEM_ADD_TO_PHYSMAP,
        &argument,
    );
    assert_eq!(result, error(abi::EPERM));
}

#[test]
fn parameters_of_the_store_are_there_and_not_the_guests_to_set() {
    let mut guest = guest();
    let (result, pfn) = param(
        &mut guest,
        abi::HVMOP_GET_PARAM,
        abi::HVM_PARAM_STORE_PFN,
        0,
    );
    assert_eq!((result, pfn), (0, Config::default().store_pfn));
    let (result, port) = param(
        &mut guest,
        abi::HVMOP_GET_PARAM,
        abi::HVM_PARAM_STORE_EVTCHN,
        0,
    );
    assert_eq!((result, port), (0, u64::from(guest.machine.store_port())));
    assert_eq!(
        param(
            &mut guest,
            abi::HVMOP_SET_PARAM,
            abi::HVM_PARAM_STORE_PFN,
            9
        )
        .0,
        error(abi::EPERM)
    );
    assert_eq!(
        param(&mut guest, abi::HVMOP_GET_PARAM, 5, 0).0,
        error(abi::EPERM)
    );
    assert_eq!(
        param(&mut guest, abi::HVMOP_GET_PARAM, abi::HVM_NR_PARAMS, 0).0,
        error(abi::EINVAL)
    );
}

#[test]
fn upcall_vectors_are_for_vcpus_that_are_and_vectors_that_may_be() {
    let mut guest = guest();
    for (vcpu, vector, expected) in [
        (0_u8, 0x0F, error(abi::EINVAL)),
        (4, 0x40, error(abi::ENOENT)),
        (3, 0x10, 0),
    ] {
        let argument = [vcpu, 0, 0, 0, vector, 0, 0, 0];
        let result = guest.call(
            abi::HYPERVISOR_HVM_OP,
            abi::HVMOP_SET_EVTCHN_UPCALL_VECTOR,
            &argument,
        );
        assert_eq!(result, expected, "{vcpu} {vector:#x}");
    }
}

fn shutdown(guest: &mut Guest, reason: u32) -> i64 {
    guest.call(
        abi::HYPERVISOR_SCHED_OP,
        abi::SCHEDOP_SHUTDOWN,
        &reason.to_le_bytes(),
    )
}

#[test]
fn a_cancelled_suspend_leaves_everything() {
    let mut guest = guest();
    guest.machine.set_suspend_outcome(SuspendOutcome::Cancelled);
    let port = guest.open();
    assert_eq!(shutdown(&mut guest, abi::SHUTDOWN_SUSPEND), 1);
    assert_eq!(
        guest.machine.port_state(port).0,
        PortState::Unbound { remote: 0 }
    );
    assert_eq!(guest.machine.resumes(), 0);
    assert_eq!(shutdown(&mut guest, 0), 0);
    assert_eq!(shutdown(&mut guest, 77), error(abi::EINVAL));
    assert_eq!(guest.machine.take_shutdowns(), [2, 0]);
}

#[test]
fn a_resume_begins_anew() {
    let mut guest = guest();
    let port = guest.open();
    guest.grant(100, abi::GTF_PERMIT_ACCESS);
    let map = guest.machine.map_grant(0, 100, true).unwrap();
    assert_eq!(shutdown(&mut guest, abi::SHUTDOWN_SUSPEND), 0);
    assert_eq!(guest.machine.resumes(), 1);
    assert_eq!(guest.machine.port_state(port).0, PortState::Closed);
    assert!(
        guest.machine.unmap_grant(map).is_err(),
        "the mapping is gone"
    );
    assert!(guest.machine.map_grant(0, 100, true).is_err());
    assert_ne!(guest.machine.store_port(), 0);
    assert!(guest.machine.leaks().is_clean());
}

#[test]
fn version_and_features_are_told() {
    let mut guest = guest();
    assert_eq!(
        guest
            .machine
            .hypercall(0, abi::HYPERVISOR_XEN_VERSION, [0; 5]),
        0x0004_0011
    );
    assert_eq!(guest.call(abi::HYPERVISOR_XEN_VERSION, 6, &[0; 8]), 0);
    assert_ne!(guest.argument_u32(4) & (1 << 8), 0, "callback vector");
    assert_eq!(
        guest.call(abi::HYPERVISOR_XEN_VERSION, 77, &[0; 8]),
        error(abi::ENOSYS)
    );
}

#[test]
fn the_leaf_of_a_vcpu_names_it_and_what_it_has() {
    for vector in [false, true] {
        let guest = Guest::new(Config {
            upcall_vector: vector,
            ..Config::default()
        });
        let [features, vcpu, domid, _] = guest.machine.cpuid(3, 0x4000_0104, 0).unwrap();
        assert_eq!((vcpu, domid), (3, 1));
        assert_eq!(features & (1 << 6) != 0, vector);
    }
    assert_eq!(guest().machine.cpuid(0, 0x8000_0000, 0), None);
}

#[test]
fn letting_xen_write_code_is_a_violation() {
    let mut guest = guest();
    assert!(guest.machine.write_msr(0x4000_0200, 0x1000));
    assert_eq!(
        guest.machine.take_violations(),
        [Violation::HypercallPageRequested { value: 0x1000 }]
    );
    assert!(!guest.machine.write_msr(0x10, 0));
}

#[test]
fn unplugging_without_the_magic_is_a_violation_and_what_was_asked_is_kept() {
    let mut guest = guest();
    guest.machine.io_write(0x10, 2, 2);
    assert_eq!(
        guest.machine.take_violations(),
        [Violation::UnplugWithoutMagic]
    );
    guest.machine.io_read(0x10, 2);
    guest.machine.io_write(0x12, 2, 1);
    guest.machine.io_write(0x10, 4, 99);
    guest.machine.io_write(0x10, 2, 1);
    let unplug = guest.machine.unplug();
    assert_eq!(
        (unplug.mask, unplug.product, unplug.build),
        (3, Some(1), Some(99))
    );
    for byte in b"hi" {
        guest.machine.io_write(0x12, 1, u32::from(*byte));
    }
    assert_eq!(guest.machine.platform_log(), b"hi");
}

#[test]
fn a_blacklisted_driver_is_told() {
    let mut guest = Guest::new(Config {
        blacklisted: true,
        ..Config::default()
    });
    assert_eq!(guest.machine.io_read(0x10, 2), Some(0x49d2));
    guest.machine.io_write(0x12, 2, 1);
    guest.machine.io_write(0x10, 4, 1);
    assert_eq!(guest.machine.io_read(0x10, 2), Some(0xd249));
}

#[test]
fn the_console_takes_bytes_and_gives_none() {
    let mut guest = guest();
    guest.memory.page(DATA).write(0, b"hello");
    let at = guest.memory.va(DATA, 0);
    assert_eq!(
        guest
            .machine
            .hypercall(0, abi::HYPERVISOR_CONSOLE_IO, [0, 5, at, 0, 0]),
        0
    );
    assert_eq!(guest.machine.console(), "hello");
    assert_eq!(
        guest
            .machine
            .hypercall(0, abi::HYPERVISOR_CONSOLE_IO, [1, 5, at, 0, 0]),
        error(abi::EPERM)
    );
}
