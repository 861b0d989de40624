//! Event channels: their operations, and delivery with two levels.

use super::{Guest, SHARED_INFO, error, guest};
use crate::abi;
use crate::{Config, PortState, Violation};

fn port(value: u32) -> [u8; 4] {
    value.to_le_bytes()
}

/// Gives each of two vCPUs a vector of its own.
fn vectors(guest: &mut Guest) {
    for vcpu in 0..2_u32 {
        let mut argument = [0; 8];
        argument[0..4].copy_from_slice(&vcpu.to_le_bytes());
        argument[4] = 0x40;
        assert_eq!(
            guest.call(
                abi::HYPERVISOR_HVM_OP,
                abi::HVMOP_SET_EVTCHN_UPCALL_VECTOR,
                &argument
            ),
            0
        );
    }
    guest.interrupts.take();
}

#[test]
fn a_new_binding_starts_pending_at_both_ends() {
    let mut guest = guest();
    let remote = guest.machine.backend_alloc_unbound(0);
    let mut argument = [0; 12];
    argument[4..8].copy_from_slice(&remote.to_le_bytes());
    assert_eq!(guest.event(abi::EVTCHNOP_BIND_INTERDOMAIN, &argument), 0);
    let local = guest.argument_u32(8);
    assert_eq!(
        guest.machine.port_state(local).0,
        PortState::Interdomain {
            remote: 0,
            port: remote
        }
    );
    assert_ne!(
        guest
            .memory
            .page(SHARED_INFO)
            .read_u64(abi::SHARED_INFO_PENDING)
            & (1 << local),
        0
    );
    // It is taken: nobody else may bind to it.
    assert_eq!(
        guest.event(abi::EVTCHNOP_BIND_INTERDOMAIN, &argument),
        error(abi::EINVAL)
    );
    let own = guest.open();
    let other = guest.machine.backend_bind(0, own).unwrap();
    assert!(guest.machine.backend_take(other));
    assert!(!guest.machine.backend_take(other));
}

#[test]
fn an_unbound_port_takes_only_the_domain_it_waits_for() {
    let mut guest = guest();
    let open = guest.open();
    assert_eq!(guest.machine.backend_bind(3, open), Err(abi::EINVAL));
    assert!(guest.machine.backend_bind(0, open).is_ok());
    assert_eq!(
        guest.machine.backend_bind(0, open),
        Err(abi::EINVAL),
        "once"
    );
    assert!(guest.machine.backend_bind(0, 99_999).is_err());
}

#[test]
fn sending_sets_the_peer_pending_and_sending_to_nobody_is_no_error() {
    let mut guest = guest();
    let open = guest.open();
    assert_eq!(guest.event(abi::EVTCHNOP_SEND, &port(open)), 0);
    let remote = guest.machine.backend_bind(0, open).unwrap();
    guest.machine.backend_take(remote);
    assert_eq!(guest.event(abi::EVTCHNOP_SEND, &port(open)), 0);
    assert_eq!(guest.machine.backend_pending(), [remote]);
    assert_eq!(
        guest.event(abi::EVTCHNOP_SEND, &port(900)),
        error(abi::EINVAL)
    );
    assert!(guest.event(abi::EVTCHNOP_SEND, &port(70_000)) < 0);
}

#[test]
fn closing_the_other_end_leaves_ours_unbound_and_deaf() {
    let mut guest = guest();
    let open = guest.open();
    let remote = guest.machine.backend_bind(0, open).unwrap();
    assert!(guest.machine.backend_connected(remote));
    guest.machine.backend_close(remote);
    assert_eq!(
        guest.machine.port_state(open).0,
        PortState::Unbound { remote: 0 }
    );
    assert!(!guest.machine.backend_notify(remote));
    assert!(!guest.machine.backend_connected(remote));
}

#[test]
fn closing_our_end_lets_the_other_hang() {
    let mut guest = guest();
    let open = guest.open();
    let remote = guest.machine.backend_bind(0, open).unwrap();
    assert_eq!(guest.event(abi::EVTCHNOP_CLOSE, &port(open)), 0);
    assert!(!guest.machine.backend_connected(remote));
    assert!(!guest.machine.backend_notify(remote));
    assert_eq!(guest.machine.leaks().backend_ports, [remote]);
    guest.machine.backend_close(remote);
    assert!(guest.machine.leaks().is_clean());
}

#[test]
fn ports_run_out_at_the_toolstacks_limit() {
    let mut guest = Guest::new(Config {
        max_port: 8,
        ..Config::default()
    });
    let mut argument = [0; 8];
    argument[0..2].copy_from_slice(&abi::DOMID_SELF.to_le_bytes());
    let mut opened = 0;
    let refused = loop {
        match guest.event(abi::EVTCHNOP_ALLOC_UNBOUND, &argument) {
            0 => opened += 1,
            refused => break refused,
        }
    };
    // Ports 1 to 8, two of which are the store's and the console's.
    assert_eq!((opened, refused), (6, error(abi::ENOSPC)));
}

#[test]
fn ports_for_other_domains_are_not_ours_to_open() {
    let mut guest = guest();
    let mut argument = [0; 8];
    argument[0..2].copy_from_slice(&5_u16.to_le_bytes());
    assert_eq!(
        guest.event(abi::EVTCHNOP_ALLOC_UNBOUND, &argument),
        error(abi::EPERM)
    );
    assert_eq!(
        guest.event(abi::EVTCHNOP_BIND_PIRQ, &argument),
        error(abi::EPERM)
    );
    assert_eq!(guest.event(99, &argument), error(abi::ENOSYS));
}

#[test]
fn virqs_are_bound_once_and_per_vcpu_ones_once_on_each() {
    let mut guest = guest();
    let bind = |guest: &mut Guest, virq: u32, vcpu: u32| {
        let mut argument = [0; 12];
        argument[0..4].copy_from_slice(&virq.to_le_bytes());
        argument[4..8].copy_from_slice(&vcpu.to_le_bytes());
        guest.event(abi::EVTCHNOP_BIND_VIRQ, &argument)
    };
    assert_eq!(bind(&mut guest, 0, 0), 0);
    assert_eq!(bind(&mut guest, 0, 1), 0);
    assert_eq!(bind(&mut guest, 0, 1), error(abi::EEXIST));
    assert_eq!(
        bind(&mut guest, 2, 1),
        error(abi::EINVAL),
        "no per-vCPU one"
    );
    assert_eq!(bind(&mut guest, 0, 9), error(abi::ENOENT));
    assert_eq!(bind(&mut guest, 99, 0), error(abi::EINVAL));
}

#[test]
fn an_ipi_reaches_its_vcpu() {
    let mut guest = guest();
    vectors(&mut guest);
    assert_eq!(guest.event(abi::EVTCHNOP_BIND_IPI, &port(1)), 0);
    let ipi = guest.argument_u32(4);
    assert_eq!(guest.event(abi::EVTCHNOP_SEND, &port(ipi)), 0);
    assert_eq!(guest.interrupts.take(), 1 << 1);
    assert_eq!(guest.machine.port_state(ipi), (PortState::Ipi, 1));
}

#[test]
fn an_event_goes_to_the_vcpu_its_port_was_moved_to() {
    let mut guest = guest();
    vectors(&mut guest);
    let open = guest.open();
    let remote = guest.machine.backend_bind(0, open).unwrap();
    let mut argument = [0; 8];
    argument[0..4].copy_from_slice(&open.to_le_bytes());
    argument[4] = 1;
    assert_eq!(guest.event(abi::EVTCHNOP_BIND_VCPU, &argument), 0);
    guest.machine.backend_notify(remote);
    assert_eq!(guest.interrupts.take(), 1 << 1);
}

#[test]
fn status_tells_what_a_port_is() {
    let mut guest = guest();
    let open = guest.open();
    let ask = |guest: &mut Guest| {
        let mut argument = [0; 24];
        argument[0..2].copy_from_slice(&abi::DOMID_SELF.to_le_bytes());
        argument[4..8].copy_from_slice(&open.to_le_bytes());
        assert_eq!(guest.event(abi::EVTCHNOP_STATUS, &argument), 0);
        (
            guest.argument_u32(8),
            guest.argument_u32(16),
            guest.argument_u32(20),
        )
    };
    assert_eq!(ask(&mut guest), (1, 0, 0), "unbound, for domain 0");
    let remote = guest.machine.backend_bind(0, open).unwrap();
    assert_eq!(ask(&mut guest), (2, 0, remote));
}

#[test]
fn a_reset_closes_every_port() {
    let mut guest = guest();
    let open = guest.open();
    assert_eq!(
        guest.event(abi::EVTCHNOP_RESET, &abi::DOMID_SELF.to_le_bytes()),
        0
    );
    assert_eq!(guest.machine.port_state(open).0, PortState::Closed);
    assert_eq!(
        guest.event(abi::EVTCHNOP_RESET, &9_u16.to_le_bytes()),
        error(abi::EPERM)
    );
}

#[test]
fn the_line_follows_the_pending_byte_of_vcpu_0() {
    let mut guest = Guest::new(Config {
        upcall_vector: false,
        ..Config::default()
    });
    assert_eq!(guest.place(abi::XENMAPSPACE_SHARED_INFO, 0, SHARED_INFO), 0);
    let mut argument = [0; 16];
    argument[0..2].copy_from_slice(&abi::DOMID_SELF.to_le_bytes());
    // INTA of device 3.
    argument[8..16].copy_from_slice(&((1_u64 << 56) | (3 << 11)).to_le_bytes());
    assert_eq!(
        guest.call(abi::HYPERVISOR_HVM_OP, abi::HVMOP_SET_PARAM, &argument),
        0
    );
    let open = guest.open();
    let remote = guest.machine.backend_bind(0, open).unwrap();
    assert!(!guest.interrupts.level());
    guest.machine.backend_notify(remote);
    assert!(guest.interrupts.level());
    guest.memory.page(SHARED_INFO).write_u32(0, 0);
    guest.machine.update_callback_line();
    assert!(!guest.interrupts.level());
}

#[test]
fn an_event_for_a_vcpu_without_vcpu_info_is_lost_and_said() {
    let mut guest = Guest::new(Config {
        vcpus: 40,
        ..Config::default()
    });
    assert_eq!(guest.place(abi::XENMAPSPACE_SHARED_INFO, 0, SHARED_INFO), 0);
    let open = guest.open();
    let remote = guest.machine.backend_bind(0, open).unwrap();
    let mut argument = [0; 8];
    argument[0..4].copy_from_slice(&open.to_le_bytes());
    argument[4] = 35;
    assert_eq!(guest.event(abi::EVTCHNOP_BIND_VCPU, &argument), 0);
    guest.machine.backend_notify(remote);
    assert!(
        guest
            .machine
            .take_violations()
            .contains(&Violation::NoVcpuInfo { vcpu: 35 })
    );
    // With one of its own it is heard.
    let mut info = [0; 16];
    info[0..8].copy_from_slice(&super::DATA.to_le_bytes());
    info[8..12].copy_from_slice(&64_u32.to_le_bytes());
    let register = |guest: &mut Guest, vcpu: u64, info: &[u8; 16]| {
        guest.memory.page(super::ARGUMENTS).write(0, info);
        let at = guest.memory.va(super::ARGUMENTS, 0);
        guest.machine.hypercall(
            0,
            abi::HYPERVISOR_VCPU_OP,
            [abi::VCPUOP_REGISTER_VCPU_INFO, vcpu, at, 0, 0],
        )
    };
    assert_eq!(register(&mut guest, 35, &info), 0);
    assert_eq!(register(&mut guest, 35, &info), error(abi::EBUSY));
    assert_eq!(register(&mut guest, 40, &info), error(abi::ENOENT));
    info[8..12].copy_from_slice(&4090_u32.to_le_bytes());
    assert_eq!(register(&mut guest, 36, &info), error(abi::ENXIO));
    let page = guest.memory.page(super::DATA);
    page.write(64, &[0; 16]);
    guest
        .memory
        .page(SHARED_INFO)
        .write_u64(abi::SHARED_INFO_PENDING, 0);
    guest.machine.backend_notify(remote);
    assert_eq!(page.read_u8(64), 1);
    assert_eq!(page.read_u64(64 + abi::VCPU_INFO_PENDING_SEL), 1);
    assert!(guest.machine.take_violations().is_empty());
}
