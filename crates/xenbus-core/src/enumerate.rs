//! Which network interfaces the guest has, and what `PnP` calls them.
//!
//! The children of `device/vif` are numbers, one per interface. A watch says that something changed; the new list
//! is compared with the old one: numbers that came are new PDOs, numbers that went are surprise removals.
//!
//! # Ids
//!
//! | id | text | why |
//! |---|---|---|
//! | device id | `XENVIFBUS\VIF` | The same for ever: a device id that changes with the driver makes a new device, and the user's address settings stay behind on the old one. So no revision in it. |
//! | hardware ids | `XENVIFBUS\VIF` | What our .inf matches. One is enough: versions are negotiated when the child asks for the interface. |
//! | compatible ids | `XENVIFBUS\DEVICE` | For a generic match, should there be other children. |
//! | instance id | the number, `0` | With `UniqueID` set in the capabilities: a guest has one `XenStore`, so the number is unique, and the instance survives a move of the platform device to another PCI slot. |
//!
//! The enumerator is not `XENBUS`: the C drivers use that name, their .inf files match `XENBUS\VEN_..&DEV_VIF..`,
//! and their tools read and clean `Enum\XENBUS`. With a name of our own neither side takes the other's devices.

use xenstore::number::{self, Decimal};
use xenstore::path::Path;

/// Device id of an interface.
pub const DEVICE_ID: &str = r"XENVIFBUS\VIF";
/// Hardware ids of an interface, most specific first.
pub const HARDWARE_IDS: [&str; 1] = [DEVICE_ID];
/// Compatible ids of an interface.
pub const COMPATIBLE_IDS: [&str; 1] = [r"XENVIFBUS\DEVICE"];
/// The instance id is unique in the system: `DEVICE_CAPABILITIES.UniqueID`.
pub const UNIQUE_INSTANCE_ID: bool = true;
/// Directory of the interfaces, relative to the guest's own.
pub const VIF_DIRECTORY: &str = "device/vif";
/// Most characters of one id, NUL included (`MAX_DEVICE_ID_LEN`).
pub const ID_MAX: usize = 200;
/// Most interfaces followed. Toolstacks allow 7 to 9 per guest.
pub const VIFS_MAX: usize = 64;

/// The number of an interface: N of `device/vif/N`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct VifId(pub u16);

impl VifId {
    /// Reads a directory name. `007` is refused: it would be a second name for 7.
    pub fn parse(name: &[u8]) -> Option<Self> {
        let id = number::parse_u16(name).ok()?;
        (Decimal::new(u64::from(id)).as_bytes() == name).then_some(Self(id))
    }

    /// The instance id.
    pub fn instance_id(self) -> Decimal {
        Decimal::new(u64::from(self.0))
    }
}

/// A set of interfaces, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VifSet {
    ids: [VifId; VIFS_MAX],
    len: usize,
}

impl Default for VifSet {
    fn default() -> Self {
        Self::EMPTY
    }
}

/// Names of a listing that were not used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Skipped {
    /// Not a number.
    pub malformed: u32,
    /// More than [`VIFS_MAX`].
    pub too_many: u32,
}

impl VifSet {
    /// No interfaces: also what a guest without a `device/vif` directory has.
    pub const EMPTY: Self = Self {
        ids: [VifId(0); VIFS_MAX],
        len: 0,
    };

    /// The set of a listing's names; doubles count once.
    pub fn from_names<'a>(names: impl Iterator<Item = &'a [u8]>) -> (Self, Skipped) {
        let mut set = Self::EMPTY;
        let mut skipped = Skipped::default();
        for name in names {
            match VifId::parse(name) {
                None => skipped.malformed = skipped.malformed.saturating_add(1),
                Some(id) if !set.insert(id) => {
                    skipped.too_many = skipped.too_many.saturating_add(1);
                }
                Some(_) => {}
            }
        }
        (set, skipped)
    }

    /// Adds an interface; `false` if there is no room.
    pub fn insert(&mut self, id: VifId) -> bool {
        let Err(at) = self.as_slice().binary_search(&id) else {
            return true;
        };
        let Some(end) = self.len.checked_add(1).filter(|end| *end <= VIFS_MAX) else {
            return false;
        };
        let Some(tail) = self.ids.get_mut(at..end) else {
            return false;
        };
        tail.rotate_right(1);
        if let Some(first) = tail.first_mut() {
            *first = id;
        }
        self.len = end;
        true
    }

    /// The interfaces, ascending.
    pub fn as_slice(&self) -> &[VifId] {
        self.ids.get(..self.len).unwrap_or_default()
    }

    /// Whether an interface is in the set.
    pub fn contains(&self, id: VifId) -> bool {
        self.as_slice().binary_search(&id).is_ok()
    }

    /// Interfaces of this set that `other` lacks. `new.minus(&old)` have arrived, `old.minus(&new)` are gone.
    pub fn minus<'a>(&'a self, other: &'a Self) -> impl Iterator<Item = VifId> + 'a {
        self.as_slice()
            .iter()
            .copied()
            .filter(|id| !other.contains(*id))
    }
}

/// Where an interface's backend is: `/local/domain/<backend-id>/backend/vif/<domid>/<handle>`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backend<'a> {
    /// Its directory.
    pub path: Path<'a>,
    /// Its domain.
    pub domid: u16,
}

/// Why an interface's backend is not usable. Look again when the key changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BackendError {
    /// The `backend` key is no path, or not one of the form above.
    BadPath,
    /// The `backend-id` key is not the number of a domain.
    BadId,
    /// The two keys name different domains, or the path is another interface's.
    Mismatch,
}

impl<'a> Backend<'a> {
    /// Checks the keys `backend` and `backend-id` of interface `vif`.
    pub fn parse(backend: &'a [u8], backend_id: &[u8], vif: VifId) -> Result<Self, BackendError> {
        let path = Path::from_bytes(backend).map_err(|_| BackendError::BadPath)?;
        let domid = number::parse_domid(backend_id).map_err(|_| BackendError::BadId)?;
        let mut names = path.components();
        let mut expect = |name: &str| {
            names
                .next()
                .filter(|found| *found == name)
                .ok_or(BackendError::BadPath)
        };
        if !path.is_absolute() {
            return Err(BackendError::BadPath);
        }
        expect("local")?;
        expect("domain")?;
        let host = names
            .next()
            .and_then(|name| number::parse_domid(name.as_bytes()).ok());
        let mut expect = |name: &str| {
            names
                .next()
                .filter(|found| *found == name)
                .ok_or(BackendError::BadPath)
        };
        expect("backend")?;
        expect("vif")?;
        let front = names
            .next()
            .and_then(|name| number::parse_domid(name.as_bytes()).ok());
        let handle = names.next().and_then(|name| VifId::parse(name.as_bytes()));
        let (Some(host), Some(_), Some(handle), None) = (host, front, handle, names.next()) else {
            return Err(BackendError::BadPath);
        };
        if host != domid || handle != vif {
            return Err(BackendError::Mismatch);
        }
        Ok(Self { path, domid })
    }
}

/// The id does not fit, or holds what `PnP` does not allow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IdError {
    /// A character up to 0x20, above 0x7E, or a comma: Windows stops with bug check 0xCA at those.
    BadCharacter,
    /// Longer than [`ID_MAX`].
    TooLong,
    /// The caller's buffer is too small.
    NoRoom,
}

/// Checks an id's characters and length (Windows documentation of `IRP_MN_QUERY_ID`).
pub fn check_id(id: &str) -> Result<(), IdError> {
    if !id
        .bytes()
        .all(|byte| byte.is_ascii_graphic() && byte != b',')
    {
        return Err(IdError::BadCharacter);
    }
    if id.len() >= ID_MAX {
        Err(IdError::TooLong)
    } else {
        Ok(())
    }
}

fn write_string(id: &str, room: &mut [u16]) -> Result<usize, IdError> {
    check_id(id)?;
    let len = id.len().checked_add(1).ok_or(IdError::NoRoom)?;
    let room = room.get_mut(..len).ok_or(IdError::NoRoom)?;
    for (cell, byte) in room.iter_mut().zip(id.bytes().chain(core::iter::once(0))) {
        *cell = u16::from(byte);
    }
    Ok(len)
}

/// Writes one id with its NUL (`REG_SZ`); gives the characters written.
pub fn write_id(id: &str, room: &mut [u16]) -> Result<usize, IdError> {
    write_string(id, room)
}

/// Writes a list of ids, each with its NUL, and a NUL behind the last (`REG_MULTI_SZ`).
pub fn write_ids(ids: &[&str], room: &mut [u16]) -> Result<usize, IdError> {
    let mut len = 0_usize;
    for id in ids {
        let rest = room.get_mut(len..).ok_or(IdError::NoRoom)?;
        len = len
            .checked_add(write_string(id, rest)?)
            .ok_or(IdError::NoRoom)?;
    }
    *room.get_mut(len).ok_or(IdError::NoRoom)? = 0;
    len.checked_add(1).ok_or(IdError::NoRoom)
}

#[cfg(test)]
mod tests {
    use std::string::String;
    use std::vec::Vec;

    use proptest::prelude::*;

    use super::*;

    fn set(names: &[&str]) -> VifSet {
        VifSet::from_names(names.iter().map(|name| name.as_bytes())).0
    }

    #[test]
    fn arrivals_and_removals_are_the_differences() {
        let (old, new) = (set(&["0", "1", "5"]), set(&["10", "1", "0", "1"]));
        assert_eq!(new.as_slice(), [VifId(0), VifId(1), VifId(10)]);
        assert_eq!(new.minus(&old).collect::<Vec<_>>(), [VifId(10)]);
        assert_eq!(old.minus(&new).collect::<Vec<_>>(), [VifId(5)]);
        assert_eq!(old.minus(&VifSet::EMPTY).count(), 3);
    }

    #[test]
    fn names_that_are_no_numbers_are_skipped_and_counted() {
        let names: [&[u8]; 6] = [b"0", b"", b"eth0", b"007", b"-1", b"65536"];
        let (set, skipped) = VifSet::from_names(names.into_iter());
        assert_eq!(
            (set.as_slice(), skipped),
            (
                &[VifId(0)][..],
                Skipped {
                    malformed: 5,
                    too_many: 0
                }
            )
        );
    }

    #[test]
    fn more_interfaces_than_there_is_room_for_are_counted() {
        let names: Vec<String> = (0..70).map(|n| std::format!("{n}")).collect();
        let (set, skipped) = VifSet::from_names(names.iter().map(String::as_bytes));
        assert_eq!((set.as_slice().len(), skipped.too_many), (VIFS_MAX, 6));
    }

    #[test]
    fn a_backend_needs_a_path_and_an_id_that_agree() {
        let path = b"/local/domain/2/backend/vif/7/1";
        let backend = Backend::parse(path, b"2", VifId(1)).unwrap();
        assert_eq!((backend.path.as_bytes(), backend.domid), (&path[..], 2));
        assert_eq!(
            Backend::parse(path, b"0", VifId(1)),
            Err(BackendError::Mismatch)
        );
        assert_eq!(
            Backend::parse(path, b"2", VifId(0)),
            Err(BackendError::Mismatch)
        );
        assert_eq!(
            Backend::parse(path, b"32752", VifId(1)),
            Err(BackendError::BadId)
        );
        assert_eq!(
            Backend::parse(path, b"", VifId(1)),
            Err(BackendError::BadId)
        );
        for bad in [
            &b""[..],
            b"/",
            b"local/domain/2/backend/vif/7/1",
            b"/local/domain/2/backend/vbd/7/1",
            b"/local/domain/2/backend/vif/7",
            b"/local/domain/2/backend/vif/7/1/state",
            b"/local/domain/x/backend/vif/7/1",
            b"/local/domain/2/backend/vif/7/01",
        ] {
            assert_eq!(
                Backend::parse(bad, b"2", VifId(1)),
                Err(BackendError::BadPath)
            );
        }
    }

    #[test]
    fn our_ids_are_legal() {
        for id in HARDWARE_IDS.iter().chain(&COMPATIBLE_IDS) {
            assert_eq!(check_id(id), Ok(()));
            assert_eq!(id.matches('\\').count(), 1);
            assert!(!id.starts_with(r"XENBUS\") && !id.starts_with(r"XENVIF\"));
        }
        let instance = VifId(12).instance_id();
        assert_eq!(
            (check_id(instance.as_str()), instance.as_str()),
            (Ok(()), "12")
        );
    }

    #[test]
    fn ids_windows_would_stop_at_are_refused() {
        for bad in ["A B", "A,B", "A\u{7F}", "A\u{e4}", "A\n"] {
            assert_eq!(check_id(bad), Err(IdError::BadCharacter));
        }
        assert_eq!(check_id(&"A".repeat(199)), Ok(()));
        assert_eq!(check_id(&"A".repeat(200)), Err(IdError::TooLong));
    }

    #[test]
    fn lists_end_with_a_second_nul() {
        let mut room = [0xFFFF_u16; 16];
        assert_eq!(write_ids(&[r"A\B", "C"], &mut room), Ok(7));
        assert_eq!(String::from_utf16_lossy(&room[..7]), "A\\B\0C\0\0");
        assert_eq!(
            write_ids(&[r"A\B", "C"], &mut room[..6]),
            Err(IdError::NoRoom)
        );
        assert_eq!(write_id(r"A\B", &mut room[..4]), Ok(4));
        assert_eq!(write_id(r"A\B", &mut room[..3]), Err(IdError::NoRoom));
        assert_eq!(write_ids(&[], &mut room[..1]), Ok(1));
    }

    proptest! {
        #![proptest_config(ProptestConfig {
            cases: if cfg!(miri) { 2 } else { 128 }, failure_persistence: None, ..ProptestConfig::default()
        })]

        #[test]
        fn a_set_is_sorted_and_differences_rebuild_it(
            old in proptest::collection::btree_set(0_u16..100, 0..40),
            new in proptest::collection::btree_set(0_u16..100, 0..40),
        ) {
            let build = |ids: &std::collections::BTreeSet<u16>| {
                let mut set = VifSet::EMPTY;
                for id in ids.iter().rev() { set.insert(VifId(*id)); }
                set
            };
            let (a, b) = (build(&old), build(&new));
            let arrived: Vec<u16> = b.minus(&a).map(|id| id.0).collect();
            prop_assert_eq!(arrived, new.difference(&old).copied().collect::<Vec<_>>());
        }

        #[test]
        fn no_keys_make_the_backend_check_panic(
            path in proptest::collection::vec(any::<u8>(), 0..40), id in proptest::collection::vec(any::<u8>(), 0..6),
        ) {
            let _ = Backend::parse(&path, &id, VifId(0));
        }
    }
}
