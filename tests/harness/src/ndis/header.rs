//! `NDIS_OBJECT_HEADER`: which revision and size of a structure a registered version asks for
//! (ndis-contract.md 1.3).

use alloc::format;
use ndis_sys as sys;

use super::contract::HEADER;
use crate::mem::guest::Guest;
use crate::rules;

/// A minor version of NDIS 6, as the registration names it: 82 for 6.82.
pub(crate) type Minor = u8;

/// A header as a driver filled it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) kind: u8,
    pub(crate) revision: u8,
    pub(crate) size: u16,
}

/// One structure: its type code, and for each revision the first NDIS minor version and the bytes.
#[derive(Debug)]
pub(crate) struct Structure {
    pub(crate) name: &'static str,
    pub(crate) kind: u8,
    pub(crate) revisions: &'static [(Minor, u16)],
}

/// What is wrong with a header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Not this structure.
    Kind,
    /// The version has a newer revision: NDIS must fail the call.
    Old,
    /// The version does not know the revision yet.
    New,
    /// Fewer bytes than the revision has.
    Size,
}

macro_rules! structures {
    ($($(#[$doc:meta])* $name:ident = $text:literal, $kind:literal, [$(($since:literal, $size:literal)),+];)+) => {
        $($(#[$doc])* pub(crate) static $name: Structure =
            Structure { name: $text, kind: $kind, revisions: &[$(($since, $size)),+] };)+

        #[cfg(test)]
        static ALL: &[&Structure] = &[$(&$name),+];
    };
}

structures! {
    DRIVER_CHARACTERISTICS = "NDIS_MINIPORT_DRIVER_CHARACTERISTICS", 0x8A, [(0, 136), (1, 152), (80, 160)];
    REGISTRATION = "NDIS_MINIPORT_ADAPTER_REGISTRATION_ATTRIBUTES", 0x9E, [(0, 28), (30, 28)];
    GENERAL = "NDIS_MINIPORT_ADAPTER_GENERAL_ATTRIBUTES", 0x9F, [(0, 216), (20, 224)];
    OFFLOAD_ATTRIBUTES = "NDIS_MINIPORT_ADAPTER_OFFLOAD_ATTRIBUTES", 0xA0, [(0, 40)];
    HARDWARE_ASSIST = "NDIS_MINIPORT_ADAPTER_HARDWARE_ASSIST_ATTRIBUTES", 0xAF,
        [(1, 16), (20, 48), (30, 80), (60, 96)];
    ADD_DEVICE = "NDIS_MINIPORT_ADD_DEVICE_REGISTRATION_ATTRIBUTES", 0xA4, [(0, 20)];
    PNP_CHARACTERISTICS = "NDIS_MINIPORT_PNP_CHARACTERISTICS", 0x92, [(0, 44)];
    /// The size for 6.89 (URO) is in no source at hand: revision 7 is accepted there.
    OFFLOAD = "NDIS_OFFLOAD", 0xA7,
        [(0, 112), (1, 144), (30, 156), (50, 177), (70, 188), (83, 216), (84, 216)];
    RSS_CAPABILITIES = "NDIS_RECEIVE_SCALE_CAPABILITIES", 0x88, [(0, 16), (30, 18), (60, 18)];
    PM_CAPABILITIES = "NDIS_PM_CAPABILITIES", 0x80, [(20, 52), (30, 60)];
    STATUS_INDICATION = "NDIS_STATUS_INDICATION", 0x98, [(0, 112)];
    LINK_STATE = "NDIS_LINK_STATE", 0x80, [(0, 40)];
    LIST_POOL = "NET_BUFFER_LIST_POOL_PARAMETERS", 0x80, [(0, 16)];
    BUFFER_POOL = "NET_BUFFER_POOL_PARAMETERS", 0x80, [(0, 12)];
    CONFIGURATION = "NDIS_CONFIGURATION_OBJECT", 0xA9, [(0, 20)];
    TIMER = "NDIS_TIMER_CHARACTERISTICS", 0x97, [(0, 24)];
    SG_DMA = "NDIS_SG_DMA_DESCRIPTION", 0x83, [(0, 36)];
    STATISTICS = "NDIS_STATISTICS_INFO", 0x80, [(0, 152)];
}

impl Structure {
    /// Revision (from 1) and bytes that a driver of version 6.`minor` must use.
    pub(crate) fn shape(&self, minor: Minor) -> (u8, u16) {
        let known = self
            .revisions
            .iter()
            .take_while(|(since, _)| *since <= minor)
            .count()
            .max(1);
        let size = self.revisions.get(known - 1).map_or(0, |(_, size)| *size);
        (u8::try_from(known).unwrap_or(u8::MAX), size)
    }

    /// Compares a header with what version 6.`minor` asks for.
    pub(crate) fn check(&self, header: Header, minor: Minor) -> Result<(), Fault> {
        let (revision, size) = self.shape(minor);
        if header.kind != self.kind {
            return Err(Fault::Kind);
        }
        if header.revision < revision {
            return Err(Fault::Old);
        }
        if header.revision > revision {
            return Err(Fault::New);
        }
        if header.size < size {
            Err(Fault::Size)
        } else {
            Ok(())
        }
    }

    /// Reads the header at `address` and reports what is wrong with it. False if anything is.
    pub(crate) fn accept(&self, address: usize, minor: Minor) -> bool {
        let header = read(address);
        let Err(fault) = self.check(header, minor) else {
            return true;
        };
        let (revision, size) = self.shape(minor);
        rules::violate(
            &HEADER,
            format!(
                "{}: type {:#x}, revision {}, size {}; NDIS 6.{minor} wants {:#x}, {revision}, {size} ({fault:?})",
                self.name, header.kind, header.revision, header.size, self.kind
            ),
        );
        false
    }
}

/// The header at a driver's address.
pub(crate) fn read(address: usize) -> Header {
    let header = Guest::<sys::NDIS_OBJECT_HEADER>::new(address).load();
    Header {
        kind: header.Type,
        revision: header.Revision,
        size: header.Size,
    }
}

/// Writes the header of a structure that NDIS passes to a driver.
pub(crate) fn write(address: usize, kind: u8, revision: u8, size: usize) {
    let size = u16::try_from(size).unwrap_or(u16::MAX);
    Guest::new(address).store(sys::NDIS_OBJECT_HEADER {
        Type: kind,
        Revision: revision,
        Size: size,
    });
}

#[cfg(test)]
mod tests {
    use super::{ALL, DRIVER_CHARACTERISTICS, Fault, GENERAL, Header, OFFLOAD, Structure};

    fn header(structure: &Structure, revision: u8, size: u16) -> Header {
        Header {
            kind: structure.kind,
            revision,
            size,
        }
    }

    #[test]
    fn the_newest_revision_of_the_version_is_the_one_to_use() {
        assert_eq!(DRIVER_CHARACTERISTICS.shape(70), (2, 152));
        assert_eq!(DRIVER_CHARACTERISTICS.shape(82), (3, 160));
        assert_eq!(OFFLOAD.shape(82), (5, 188));
        assert_eq!(OFFLOAD.shape(83), (6, 216));
        assert_eq!(OFFLOAD.shape(89), (7, 216));
    }

    #[test]
    fn each_fault_of_a_header_is_told_apart() {
        let check = |revision, size| GENERAL.check(header(&GENERAL, revision, size), 82);
        assert_eq!(check(2, 224), Ok(()));
        assert_eq!(check(2, 300), Ok(()), "a larger size is legal");
        assert_eq!(check(2, 223), Err(Fault::Size));
        assert_eq!(check(1, 216), Err(Fault::Old));
        assert_eq!(check(3, 240), Err(Fault::New));
        assert_eq!(
            GENERAL.check(
                Header {
                    kind: 0x80,
                    revision: 2,
                    size: 224
                },
                82
            ),
            Err(Fault::Kind)
        );
    }

    #[test]
    fn revisions_come_in_order_and_never_shrink() {
        for structure in ALL {
            for pair in structure.revisions.windows(2) {
                assert!(
                    pair[0].0 < pair[1].0 && pair[0].1 <= pair[1].1,
                    "{}",
                    structure.name
                );
            }
        }
    }

    #[test]
    fn sizes_agree_with_the_binding_that_the_drivers_use() {
        use ndis_sys as sys;
        let pairs = [
            (
                DRIVER_CHARACTERISTICS.shape(82).1,
                sys::NDIS_SIZEOF_MINIPORT_DRIVER_CHARACTERISTICS_REVISION_3,
            ),
            (
                super::REGISTRATION.shape(82).1,
                sys::NDIS_SIZEOF_MINIPORT_ADAPTER_REGISTRATION_ATTRIBUTES_REVISION_2,
            ),
            (
                GENERAL.shape(82).1,
                sys::NDIS_SIZEOF_MINIPORT_ADAPTER_GENERAL_ATTRIBUTES_REVISION_2,
            ),
            (
                super::RSS_CAPABILITIES.shape(82).1,
                sys::NDIS_SIZEOF_RECEIVE_SCALE_CAPABILITIES_REVISION_3,
            ),
            (
                super::PM_CAPABILITIES.shape(82).1,
                sys::NDIS_SIZEOF_NDIS_PM_CAPABILITIES_REVISION_2,
            ),
            (
                super::STATUS_INDICATION.shape(82).1,
                sys::NDIS_SIZEOF_STATUS_INDICATION_REVISION_1,
            ),
            (
                super::LINK_STATE.shape(82).1,
                sys::NDIS_SIZEOF_LINK_STATE_REVISION_1,
            ),
        ];
        for (ours, theirs) in pairs {
            assert_eq!(usize::from(ours), theirs);
        }
    }
}
