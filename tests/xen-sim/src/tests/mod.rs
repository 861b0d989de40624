//! The simulation, as a tiny guest that makes hypercalls by hand sees it.

mod events;
mod fifo;
mod grants;
mod platform;

use alloc::boxed::Box;
use alloc::vec;

use crate::abi;
use crate::{Config, FlatMemory, Machine, PortState, RecordedInterrupts, Violation};

/// Frame of hypercall arguments, and where the guest puts what it shares.
const ARGUMENTS: u64 = 8;
const SHARED_INFO: u64 = 16;
const GRANT_FRAME: u64 = 17;
const CONTROL_BLOCK: u64 = 18;
const EVENT_ARRAY: u64 = 19;
const DATA: u64 = 20;

struct Guest {
    machine: Machine,
    memory: FlatMemory,
    interrupts: RecordedInterrupts,
}

impl Guest {
    fn new(config: Config) -> Self {
        let memory = FlatMemory::new(64);
        let interrupts = RecordedInterrupts::default();
        let machine = Machine::new(
            config,
            Box::new(memory.clone()),
            Box::new(interrupts.clone()),
        );
        Self {
            machine,
            memory,
            interrupts,
        }
    }

    /// Makes hypercall `nr` with sub-operation `op` and the argument bytes; returns the result.
    fn call(&mut self, nr: u64, op: u64, argument: &[u8]) -> i64 {
        self.memory.page(ARGUMENTS).write(0, argument);
        let at = self.memory.va(ARGUMENTS, 0);
        let count = u64::from(nr == abi::HYPERVISOR_GRANT_TABLE_OP);
        self.machine.hypercall(0, nr, [op, at, count, 0, 0])
    }

    fn event(&mut self, op: u64, argument: &[u8]) -> i64 {
        self.call(abi::HYPERVISOR_EVENT_CHANNEL_OP, op, argument)
    }

    fn argument_u32(&self, offset: usize) -> u32 {
        self.memory.page(ARGUMENTS).read_u32(offset)
    }

    fn place(&mut self, space: u32, index: u64, pfn: u64) -> i64 {
        let mut argument = vec![0; 24];
        argument[0..2].copy_from_slice(&abi::DOMID_SELF.to_le_bytes());
        argument[4..8].copy_from_slice(&space.to_le_bytes());
        argument[8..16].copy_from_slice(&index.to_le_bytes());
        argument[16..24].copy_from_slice(&pfn.to_le_bytes());
        self.call(
            abi::HYPERVISOR_MEMORY_OP,
            abi::XENMEM_ADD_TO_PHYSMAP,
            &argument,
        )
    }

    /// A port that domain 0 may bind.
    fn open(&mut self) -> u32 {
        let mut argument = [0; 8];
        argument[0..2].copy_from_slice(&abi::DOMID_SELF.to_le_bytes());
        assert_eq!(self.event(abi::EVTCHNOP_ALLOC_UNBOUND, &argument), 0);
        self.argument_u32(4)
    }

    fn grant(&self, gref: usize, flags: u16) {
        let page = self.memory.page(GRANT_FRAME);
        page.write_u32(gref * 8 + 4, u32::try_from(DATA).unwrap());
        page.write_u32(gref * 8, u32::from(flags));
    }
}

fn guest() -> Guest {
    let mut guest = Guest::new(Config::default());
    assert_eq!(guest.place(abi::XENMAPSPACE_SHARED_INFO, 0, SHARED_INFO), 0);
    assert_eq!(guest.place(abi::XENMAPSPACE_GRANT_TABLE, 0, GRANT_FRAME), 0);
    guest
}

fn error(errno: crate::Errno) -> i64 {
    errno.result()
}

#[test]
fn an_event_reaches_the_two_level_bitmap_and_its_vcpu() {
    let mut guest = guest();
    let vector = [0_u8; 8];
    let mut argument = vector;
    argument[4] = 0xf3;
    assert_eq!(
        guest.call(
            abi::HYPERVISOR_HVM_OP,
            abi::HVMOP_SET_EVTCHN_UPCALL_VECTOR,
            &argument
        ),
        0
    );
    let port = guest.open();
    let remote = guest.machine.backend_bind(0, port).unwrap();
    guest.interrupts.take();
    assert!(guest.machine.backend_notify(remote));
    let page = guest.memory.page(SHARED_INFO);
    assert_ne!(page.read_u64(abi::SHARED_INFO_PENDING) & (1 << port), 0);
    assert_eq!(guest.interrupts.take(), 1, "vCPU 0 is interrupted");
    // Pending already: no second interrupt.
    assert!(guest.machine.backend_notify(remote));
    assert_eq!(guest.interrupts.take(), 0);
}

#[test]
fn a_masked_event_waits_for_the_unmask() {
    let mut guest = guest();
    let port = guest.open();
    let remote = guest.machine.backend_bind(0, port).unwrap();
    let page = guest.memory.page(SHARED_INFO);
    page.or_u64(abi::SHARED_INFO_MASK, 1 << port);
    guest.machine.backend_notify(remote);
    assert_eq!(page.read_u64(abi::VCPU_INFO_PENDING_SEL), 0);
    assert_eq!(guest.event(abi::EVTCHNOP_UNMASK, &port.to_le_bytes()), 0);
    assert_eq!(page.read_u64(abi::VCPU_INFO_PENDING_SEL), 1);
}

#[test]
fn a_fifo_event_is_linked_on_its_vcpus_queue() {
    let mut guest = guest();
    let mut control = [0; 24];
    control[0..8].copy_from_slice(&CONTROL_BLOCK.to_le_bytes());
    assert_eq!(guest.event(abi::EVTCHNOP_INIT_CONTROL, &control), 0);
    assert_eq!(
        guest.event(abi::EVTCHNOP_EXPAND_ARRAY, &EVENT_ARRAY.to_le_bytes()),
        0
    );
    assert!(guest.machine.is_fifo());
    let port = guest.open();
    let remote = guest.machine.backend_bind(0, port).unwrap();
    guest
        .memory
        .page(EVENT_ARRAY)
        .write_u32(port as usize * 4, 0);
    guest.machine.backend_notify(remote);
    let word = guest.memory.page(EVENT_ARRAY).read_u32(port as usize * 4);
    assert_ne!(word & abi::EVTCHN_FIFO_PENDING, 0);
    assert_ne!(word & abi::EVTCHN_FIFO_LINKED, 0);
    let block = guest.memory.page(CONTROL_BLOCK);
    let priority = usize::from(abi::EVTCHN_FIFO_DEFAULT_PRIORITY);
    assert_eq!(block.read_u32(0), 1 << priority, "the queue is ready");
    assert_eq!(
        block.read_u32(8 + priority * 4),
        port,
        "and the port is its head"
    );
}

#[test]
fn without_fifo_its_operations_do_not_exist() {
    let mut guest = Guest::new(Config {
        fifo: false,
        ..Config::default()
    });
    let mut control = [0; 24];
    control[0..8].copy_from_slice(&CONTROL_BLOCK.to_le_bytes());
    assert_eq!(
        guest.event(abi::EVTCHNOP_INIT_CONTROL, &control),
        error(abi::ENOSYS)
    );
}

#[test]
fn a_port_is_moved_between_vcpus_and_closed() {
    let mut guest = guest();
    let port = guest.open();
    let mut argument = [0; 8];
    argument[0..4].copy_from_slice(&port.to_le_bytes());
    argument[4] = 3;
    assert_eq!(guest.event(abi::EVTCHNOP_BIND_VCPU, &argument), 0);
    assert_eq!(
        guest.machine.port_state(port),
        (PortState::Unbound { remote: 0 }, 3)
    );
    argument[4] = 4;
    assert_eq!(
        guest.event(abi::EVTCHNOP_BIND_VCPU, &argument),
        error(abi::ENOENT)
    );
    assert!(!guest.machine.leaks().is_clean(), "an open port is a leak");
    assert_eq!(guest.event(abi::EVTCHNOP_CLOSE, &port.to_le_bytes()), 0);
    assert_eq!(
        guest.event(abi::EVTCHNOP_CLOSE, &port.to_le_bytes()),
        error(abi::EINVAL)
    );
    assert!(guest.machine.leaks().is_clean());
}

#[test]
fn a_granted_page_is_mapped_and_shown_in_use() {
    let mut guest = guest();
    guest.grant(100, abi::GTF_PERMIT_ACCESS);
    let map = guest.machine.map_grant(0, 100, false).unwrap();
    map.page.write(0, b"hello");
    let mut seen = [0; 5];
    guest.memory.page(DATA).read(0, &mut seen);
    assert_eq!(&seen, b"hello");
    let entry = guest.memory.page(GRANT_FRAME);
    let in_use = abi::GTF_PERMIT_ACCESS | abi::GTF_READING | abi::GTF_WRITING;
    assert_eq!(entry.read_u16(800), in_use);
    assert!(guest.machine.frame_in_use(DATA));
    guest.machine.unmap_grant(map).unwrap();
    assert_eq!(entry.read_u16(800), abi::GTF_PERMIT_ACCESS);
    assert!(guest.machine.unmap_grant(map).is_err(), "only once");
    assert!(guest.machine.take_violations().is_empty());
}

#[test]
fn a_read_only_grant_cannot_be_written_and_a_missing_one_not_used() {
    let mut guest = guest();
    guest.grant(100, abi::GTF_PERMIT_ACCESS | abi::GTF_READONLY);
    assert!(guest.machine.copy_to_grant(0, 100, 0, b"x").is_err());
    assert!(
        guest
            .machine
            .copy_from_grant(0, 100, 4090, &mut [0; 7])
            .is_err()
    );
    assert!(
        guest
            .machine
            .copy_from_grant(0, 100, 4090, &mut [0; 6])
            .is_ok()
    );
    assert!(guest.machine.map_grant(0, 101, true).is_err());
    assert!(
        guest.machine.map_grant(5, 100, true).is_err(),
        "granted to another domain"
    );
}

#[test]
fn revoking_a_grant_in_use_is_a_violation() {
    let mut guest = guest();
    guest.grant(100, abi::GTF_PERMIT_ACCESS);
    let map = guest.machine.map_grant(0, 100, true).unwrap();
    guest.memory.page(GRANT_FRAME).write_u16(800, 0);
    guest.machine.unmap_grant(map).unwrap();
    assert!(matches!(
        guest.machine.take_violations()[..],
        [Violation::RevokedInUse { gref: 100, .. }]
    ));
}

#[test]
fn xen_is_found_behind_viridian_and_without_it() {
    for (viridian, base) in [(true, 0x4000_0100), (false, 0x4000_0000)] {
        let guest = Guest::new(Config {
            viridian,
            ..Config::default()
        });
        let [_, b, c, d] = guest.machine.cpuid(0, base, 0).unwrap();
        let mut name = vec![];
        for register in [b, c, d] {
            name.extend_from_slice(&register.to_le_bytes());
        }
        assert_eq!(name, b"XenVMMXenVMM");
    }
}

#[test]
fn the_unplug_port_answers_with_its_magic() {
    let mut guest = guest();
    assert_eq!(guest.machine.io_read(0x10, 2), Some(0x49d2));
    assert!(guest.machine.io_write(0x10, 2, 2));
    assert_eq!(guest.machine.io_read(0x80, 1), None, "no device there");
}

#[test]
fn a_bad_pointer_is_refused() {
    let mut guest = guest();
    let result = guest.machine.hypercall(
        0,
        abi::HYPERVISOR_EVENT_CHANNEL_OP,
        [abi::EVTCHNOP_SEND, 0x10, 0, 0, 0],
    );
    assert_eq!(result, error(abi::EFAULT));
    assert_eq!(guest.machine.hypercall(0, 99, [0; 5]), error(abi::ENOSYS));
}
