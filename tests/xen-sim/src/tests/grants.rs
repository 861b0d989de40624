//! The grant table.

use super::{DATA, GRANT_FRAME, Guest, error, guest};
use crate::abi::{self, GTF_PERMIT_ACCESS, GTF_READING, GTF_READONLY, GTF_WRITING};
use crate::{Config, GrantError, Violation};

fn query(guest: &mut Guest) -> (u32, u32, i16) {
    let mut argument = [0; 16];
    argument[0..2].copy_from_slice(&abi::DOMID_SELF.to_le_bytes());
    assert_eq!(
        guest.call(
            abi::HYPERVISOR_GRANT_TABLE_OP,
            abi::GNTTABOP_QUERY_SIZE,
            &argument
        ),
        0
    );
    let page = guest.memory.page(super::ARGUMENTS);
    (
        page.read_u32(4),
        page.read_u32(8),
        page.read_u16(12).cast_signed(),
    )
}

#[test]
fn the_table_grows_as_frames_are_placed_and_no_further_than_it_may() {
    let mut guest = Guest::new(Config {
        max_grant_frames: 3,
        ..Config::default()
    });
    assert_eq!(query(&mut guest), (1, 3, abi::GNTST_OKAY));
    assert_eq!(guest.place(abi::XENMAPSPACE_GRANT_TABLE, 2, GRANT_FRAME), 0);
    assert_eq!(query(&mut guest), (3, 3, abi::GNTST_OKAY));
    assert_eq!(
        guest.place(abi::XENMAPSPACE_GRANT_TABLE, 3, DATA),
        error(abi::EINVAL)
    );
}

#[test]
fn only_version_1_is_there() {
    let mut guest = guest();
    for (version, expected) in [(1_u32, 0), (2, error(abi::ENOSYS)), (3, error(abi::EINVAL))] {
        let result = guest.call(
            abi::HYPERVISOR_GRANT_TABLE_OP,
            abi::GNTTABOP_SET_VERSION,
            &version.to_le_bytes(),
        );
        assert_eq!(result, expected, "{version}");
    }
    assert_eq!(
        guest.call(abi::HYPERVISOR_GRANT_TABLE_OP, 77, &[0; 8]),
        error(abi::ENOSYS)
    );
}

#[test]
fn a_grant_is_for_the_domain_it_names() {
    let mut guest = guest();
    guest.grant(20, GTF_PERMIT_ACCESS);
    // Domain 7 in the entry.
    guest.memory.page(GRANT_FRAME).write_u16(20 * 8 + 2, 7);
    assert_eq!(
        guest.machine.map_grant(0, 20, true),
        Err(GrantError(abi::GNTST_GENERAL_ERROR))
    );
    let map = guest.machine.map_grant(7, 20, true).unwrap();
    // While it is in use another domain has no part in it.
    assert_eq!(
        guest.machine.map_grant(0, 20, true),
        Err(GrantError(abi::GNTST_GENERAL_ERROR))
    );
    guest.machine.unmap_grant(map).unwrap();
}

#[test]
fn references_outside_the_table_are_bad() {
    let mut guest = guest();
    for gref in [512, 40_000, u32::MAX] {
        assert_eq!(
            guest.machine.map_grant(0, gref, true),
            Err(GrantError(abi::GNTST_BAD_GNTREF))
        );
    }
}

#[test]
fn a_grant_of_a_frame_that_is_no_memory_is_bad_and_not_left_in_use() {
    let mut guest = guest();
    guest.grant(30, GTF_PERMIT_ACCESS);
    guest
        .memory
        .page(GRANT_FRAME)
        .write_u32(30 * 8 + 4, 0x00FF_FFFF);
    assert_eq!(
        guest.machine.map_grant(0, 30, true),
        Err(GrantError(abi::GNTST_BAD_PAGE))
    );
    assert_eq!(
        guest.memory.page(GRANT_FRAME).read_u16(30 * 8),
        GTF_PERMIT_ACCESS
    );
}

#[test]
fn two_uses_of_a_grant_end_one_after_the_other() {
    let mut guest = guest();
    guest.grant(40, GTF_PERMIT_ACCESS);
    let reader = guest.machine.map_grant(0, 40, true).unwrap();
    let entry = guest.memory.page(GRANT_FRAME);
    assert_eq!(entry.read_u16(320), GTF_PERMIT_ACCESS | GTF_READING);
    let writer = guest.machine.map_grant(0, 40, false).unwrap();
    assert_eq!(
        entry.read_u16(320),
        GTF_PERMIT_ACCESS | GTF_READING | GTF_WRITING
    );
    guest.machine.unmap_grant(writer).unwrap();
    assert_eq!(entry.read_u16(320), GTF_PERMIT_ACCESS | GTF_READING);
    guest.machine.unmap_grant(reader).unwrap();
    assert_eq!(entry.read_u16(320), GTF_PERMIT_ACCESS);
}

#[test]
fn copies_keep_within_the_page_and_leave_the_grant_as_it_was() {
    let mut guest = guest();
    guest.grant(50, GTF_PERMIT_ACCESS);
    guest.machine.copy_to_grant(0, 50, 4090, b"ending").unwrap();
    assert_eq!(
        guest.machine.copy_to_grant(0, 50, 4091, b"ending"),
        Err(GrantError(abi::GNTST_BAD_COPY_ARG))
    );
    let mut out = [0; 6];
    guest
        .machine
        .copy_from_grant(0, 50, 4090, &mut out)
        .unwrap();
    assert_eq!(&out, b"ending");
    assert_eq!(
        guest.memory.page(GRANT_FRAME).read_u16(400),
        GTF_PERMIT_ACCESS
    );
    assert!(!guest.machine.frame_in_use(DATA));
}

#[test]
fn a_read_only_grant_is_mapped_for_reading() {
    let mut guest = guest();
    guest.grant(60, GTF_PERMIT_ACCESS | GTF_READONLY);
    assert_eq!(
        guest.machine.map_grant(0, 60, false),
        Err(GrantError(abi::GNTST_GENERAL_ERROR))
    );
    let map = guest.machine.map_grant(0, 60, true).unwrap();
    assert!(map.readonly);
    guest.machine.unmap_grant(map).unwrap();
}

#[test]
fn changing_the_frame_of_a_grant_in_use_is_a_violation() {
    let mut guest = guest();
    guest.grant(70, GTF_PERMIT_ACCESS);
    let map = guest.machine.map_grant(0, 70, true).unwrap();
    guest.memory.page(GRANT_FRAME).write_u32(70 * 8 + 4, 21);
    guest.machine.check_grants();
    guest.machine.check_grants();
    assert_eq!(
        guest.machine.take_violations(),
        [Violation::FrameChangedInUse { gref: 70 }],
        "said once"
    );
    guest.machine.unmap_grant(map).unwrap();
}

#[test]
fn giving_a_granted_frame_back_to_xen_is_a_violation() {
    let mut guest = guest();
    guest.grant(80, GTF_PERMIT_ACCESS);
    let map = guest.machine.map_grant(0, 80, true).unwrap();
    assert_eq!(
        super::platform::reservation(&mut guest, abi::XENMEM_DECREASE_RESERVATION, &[DATA]),
        1
    );
    assert_eq!(
        guest.machine.take_violations(),
        [Violation::MappedFrameFreed { pfn: DATA }]
    );
    guest.machine.unmap_grant(map).unwrap();
}

#[test]
fn open_grants_and_mappings_are_leaks_and_the_toolstacks_own_are_none() {
    let mut guest = guest();
    assert!(guest.machine.leaks().is_clean());
    guest.grant(90, GTF_PERMIT_ACCESS);
    assert_eq!(guest.machine.leaks().grants, [(90, GTF_PERMIT_ACCESS)]);
    let map = guest.machine.map_grant(0, 90, true).unwrap();
    assert_eq!(guest.machine.leaks().maps, [(map.handle, 90)]);
    guest.machine.unmap_grant(map).unwrap();
    guest.grant(90, 0);
    assert!(guest.machine.leaks().is_clean());
}
