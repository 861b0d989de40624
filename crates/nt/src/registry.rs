//! Registry values of a device or of the driver's service.
//!
//! A key is opened from a device object or from the path `DriverEntry` got; no other place of the
//! registry is reachable (driver isolation). A value of another type than asked for is an error,
//! never converted.

use core::fmt;
use core::marker::PhantomData;
use core::mem::offset_of;

use wdk_sys::{HANDLE, KEY_VALUE_PARTIAL_INFORMATION, NTSTATUS, REG_DWORD, REG_SZ, ULONG, ntddk};

use crate::device::DeviceRef;
use crate::irql::Passive;
use crate::object;
use crate::status::{Result, Status};
use crate::unicode::UnicodeStr;

/// Where the data of a `KEY_VALUE_PARTIAL_INFORMATION` begins.
const HEADER: usize = offset_of!(KEY_VALUE_PARTIAL_INFORMATION, Data);
/// Most bytes of a value's data.
const MAX_DATA: usize = 512;

/// Bytes the registry may write.
#[expect(clippy::cast_possible_truncation, reason = "524 bytes")]
const VALUE_LENGTH: ULONG = (HEADER + MAX_DATA) as ULONG;

/// Most UTF-16 units of a string value, with its terminator.
pub const MAX_STRING: usize = MAX_DATA / 2;

/// Which of a device's keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeviceKey {
    /// The hardware key, `Device Parameters`.
    Hardware,
    /// The software key, where an .inf's `AddReg` writes.
    Software,
}

/// What a key is opened for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Reading values.
    Read,
    /// Reading and writing values.
    ReadWrite,
}

impl Access {
    const fn mask(self) -> u32 {
        match self {
            Self::Read => wdk_sys::KEY_READ,
            Self::ReadWrite => wdk_sys::KEY_READ | wdk_sys::KEY_WRITE,
        }
    }
}

/// Why a value was not read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReadError {
    /// There is no such value.
    NotFound,
    /// The value has this type (`REG_*`), not the one asked for.
    WrongType(u32),
    /// The data does not have the form of its type.
    Malformed,
    /// The data is longer than the place for it.
    TooLong,
    /// The registry failed.
    Registry(Status),
}

/// An open key. Its borrow of the token keeps it at `PASSIVE_LEVEL` until it is closed by dropping.
pub struct Key<'p> {
    handle: HANDLE,
    irql: PhantomData<&'p Passive<'p>>,
}

impl<'p> Key<'p> {
    /// Opens a key of the device whose physical device object is `pdo`.
    pub fn of_device(
        pdo: DeviceRef,
        key: DeviceKey,
        access: Access,
        _irql: &'p Passive<'_>,
    ) -> Result<Self> {
        let key = match key {
            DeviceKey::Hardware => wdk_sys::PLUGPLAY_REGKEY_DEVICE,
            DeviceKey::Software => wdk_sys::PLUGPLAY_REGKEY_DRIVER,
        };
        let mut handle = core::ptr::null_mut();
        // SAFETY: the device is live by the contract of DeviceRef and the out pointer is live; the
        // token proves PASSIVE_LEVEL.
        let status = unsafe {
            ntddk::IoOpenDeviceRegistryKey(pdo.as_ptr(), key, access.mask(), &raw mut handle)
        };
        Status::from_raw(status).into_result()?;
        Ok(Self {
            handle,
            irql: PhantomData,
        })
    }

    /// Opens the service key: the path `DriverEntry` got.
    pub fn of_service(
        registry_path: UnicodeStr<'_>,
        access: Access,
        irql: &'p Passive<'_>,
    ) -> Result<Self> {
        Self::open(core::ptr::null_mut(), registry_path, access, irql)
    }

    /// Opens the key `Parameters` below the service key.
    pub fn of_parameters(
        registry_path: UnicodeStr<'_>,
        access: Access,
        irql: &'p Passive<'_>,
    ) -> Result<Self> {
        let service = Self::of_service(registry_path, Access::Read, irql)?;
        Self::open(service.handle, crate::utf16!("Parameters"), access, irql)
    }

    fn open(
        root: HANDLE,
        path: UnicodeStr<'_>,
        access: Access,
        _irql: &'p Passive<'_>,
    ) -> Result<Self> {
        let mut name = path.to_raw();
        let mut attributes =
            object::attributes(root, name.as_mut_ptr(), wdk_sys::OBJ_CASE_INSENSITIVE);
        let mut handle = core::ptr::null_mut();
        // SAFETY: all pointers are live, `root` is null or open, and the token proves
        // PASSIVE_LEVEL.
        let status =
            unsafe { ntddk::ZwOpenKey(&raw mut handle, access.mask(), &raw mut attributes) };
        Status::from_raw(status).into_result()?;
        Ok(Self {
            handle,
            irql: PhantomData,
        })
    }

    /// Reads a `REG_DWORD`.
    pub fn read_dword(&self, name: UnicodeStr<'_>) -> core::result::Result<u32, ReadError> {
        let mut value = Value::new();
        dword(self.read(name, &mut value)?)
    }

    /// Reads a `REG_SZ` of at most [`MAX_STRING`] units into `buffer`, and returns it without its
    /// terminator.
    pub fn read_string<'b>(
        &self,
        name: UnicodeStr<'_>,
        buffer: &'b mut [u16],
    ) -> core::result::Result<UnicodeStr<'b>, ReadError> {
        let mut value = Value::new();
        string(self.read(name, &mut value)?, buffer)
    }

    /// Whether there is a value of that name, of whatever type.
    pub fn contains(&self, name: UnicodeStr<'_>) -> core::result::Result<bool, ReadError> {
        let mut value = Value::new();
        match self.read(name, &mut value) {
            Ok(_) | Err(ReadError::TooLong) => Ok(true),
            Err(ReadError::NotFound) => Ok(false),
            Err(other) => Err(other),
        }
    }

    /// Writes a `REG_DWORD`.
    pub fn write_dword(&self, name: UnicodeStr<'_>, value: u32) -> Result<()> {
        self.write(name, REG_DWORD, &value.to_le_bytes())
    }

    /// Writes a `REG_SZ` of fewer than [`MAX_STRING`] units.
    pub fn write_string(&self, name: UnicodeStr<'_>, text: UnicodeStr<'_>) -> Result<()> {
        let mut data = [0; MAX_DATA];
        let length = text
            .units()
            .len()
            .checked_add(1)
            .and_then(|units| units.checked_mul(2));
        // The last two bytes stay 0: the terminator.
        let data = length
            .and_then(|length| data.get_mut(..length))
            .ok_or(Status::INVALID_PARAMETER)?;
        for (bytes, unit) in data.chunks_exact_mut(2).zip(text.units()) {
            bytes.copy_from_slice(&unit.to_le_bytes());
        }
        self.write(name, REG_SZ, data)
    }

    fn read<'v>(
        &self,
        name: UnicodeStr<'_>,
        value: &'v mut Value,
    ) -> core::result::Result<Partial<'v>, ReadError> {
        let mut name = name.to_raw();
        let mut length: ULONG = 0;
        // SAFETY: the key is open, and the buffer has the length given; a Key lives at
        // PASSIVE_LEVEL only.
        let status = unsafe {
            ntddk::ZwQueryValueKey(
                self.handle,
                name.as_mut_ptr(),
                wdk_sys::_KEY_VALUE_INFORMATION_CLASS::KeyValuePartialInformation,
                (&raw mut value.bytes).cast(),
                VALUE_LENGTH,
                &raw mut length,
            )
        };
        match Status::from_raw(status) {
            Status::SUCCESS => Partial::parse(&value.bytes, length),
            Status::OBJECT_NAME_NOT_FOUND => Err(ReadError::NotFound),
            Status::BUFFER_OVERFLOW | Status::BUFFER_TOO_SMALL => Err(ReadError::TooLong),
            other => Err(ReadError::Registry(other)),
        }
    }

    fn write(&self, name: UnicodeStr<'_>, kind: u32, data: &[u8]) -> Result<()> {
        let mut name = name.to_raw();
        let length = ULONG::try_from(data.len()).map_err(|_| Status::INVALID_PARAMETER)?;
        // SAFETY: the key is open, and the data has the length given and is only read; a Key lives
        // at PASSIVE_LEVEL only.
        let status = unsafe {
            ntddk::ZwSetValueKey(
                self.handle,
                name.as_mut_ptr(),
                0,
                kind,
                data.as_ptr().cast_mut().cast(),
                length,
            )
        };
        Status::from_raw(status).into_result()
    }
}

impl Drop for Key<'_> {
    fn drop(&mut self) {
        // SAFETY: open and ours; a Key lives at PASSIVE_LEVEL only.
        let _: NTSTATUS = unsafe { ntddk::ZwClose(self.handle) };
    }
}

impl fmt::Debug for Key<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Key").finish_non_exhaustive()
    }
}

/// Room for a `KEY_VALUE_PARTIAL_INFORMATION` with its data.
#[repr(C, align(8))]
struct Value {
    bytes: [u8; HEADER + MAX_DATA],
}

impl Value {
    const fn new() -> Self {
        Self {
            bytes: [0; HEADER + MAX_DATA],
        }
    }
}

/// A value's type and data.
#[derive(Debug, PartialEq, Eq)]
struct Partial<'v> {
    kind: u32,
    data: &'v [u8],
}

impl<'v> Partial<'v> {
    /// Reads the `length` bytes the registry wrote.
    fn parse(bytes: &'v [u8], length: u32) -> core::result::Result<Self, ReadError> {
        let written = usize::try_from(length)
            .ok()
            .and_then(|length| bytes.get(..length))
            .ok_or(ReadError::Malformed)?;
        let (_title, rest) = split_u32(written)?;
        let (kind, rest) = split_u32(rest)?;
        let (data_length, rest) = split_u32(rest)?;
        let data = usize::try_from(data_length)
            .ok()
            .and_then(|length| rest.get(..length))
            .ok_or(ReadError::Malformed)?;
        Ok(Self { kind, data })
    }

    fn of_kind(self, kind: u32) -> core::result::Result<&'v [u8], ReadError> {
        if self.kind == kind {
            Ok(self.data)
        } else {
            Err(ReadError::WrongType(self.kind))
        }
    }
}

fn split_u32(bytes: &[u8]) -> core::result::Result<(u32, &[u8]), ReadError> {
    let (word, rest) = bytes.split_first_chunk().ok_or(ReadError::Malformed)?;
    Ok((u32::from_le_bytes(*word), rest))
}

fn dword(value: Partial<'_>) -> core::result::Result<u32, ReadError> {
    let data = value.of_kind(REG_DWORD)?;
    let bytes = data.try_into().map_err(|_| ReadError::Malformed)?;
    Ok(u32::from_le_bytes(bytes))
}

fn string<'b>(
    value: Partial<'_>,
    buffer: &'b mut [u16],
) -> core::result::Result<UnicodeStr<'b>, ReadError> {
    let data = value.of_kind(REG_SZ)?;
    let (units, []) = data.as_chunks::<2>() else {
        return Err(ReadError::Malformed);
    };
    // The registry does not insist on a terminator; text ends at the first.
    let units = units
        .iter()
        .map(|bytes| u16::from_le_bytes(*bytes))
        .take_while(|unit| *unit != 0);
    let mut length: usize = 0;
    for unit in units {
        *buffer.get_mut(length).ok_or(ReadError::TooLong)? = unit;
        length = length.saturating_add(1);
    }
    buffer
        .get(..length)
        .and_then(UnicodeStr::new)
        .ok_or(ReadError::TooLong)
}

#[cfg(test)]
mod tests {
    use std::string::ToString;
    use std::vec::Vec;

    use super::{Partial, ReadError, dword, string};

    fn value(kind: u32, data: &[u8]) -> Vec<u8> {
        let words = [0, kind, u32::try_from(data.len()).unwrap()];
        let mut bytes: Vec<u8> = words.into_iter().flat_map(u32::to_le_bytes).collect();
        bytes.extend_from_slice(data);
        bytes
    }

    fn parse(bytes: &[u8]) -> Result<Partial<'_>, ReadError> {
        Partial::parse(bytes, u32::try_from(bytes.len()).unwrap())
    }

    fn utf16(text: &str) -> Vec<u8> {
        text.encode_utf16().flat_map(u16::to_le_bytes).collect()
    }

    #[test]
    fn a_dword_is_four_bytes_of_its_type() {
        let bytes = value(4, &[1, 2, 0, 0]);
        assert_eq!(dword(parse(&bytes).unwrap()), Ok(0x201));
        let short = value(4, &[1, 2]);
        assert_eq!(dword(parse(&short).unwrap()), Err(ReadError::Malformed));
        let text = value(1, &[1, 2, 0, 0]);
        assert_eq!(dword(parse(&text).unwrap()), Err(ReadError::WrongType(1)));
    }

    #[test]
    fn a_string_ends_at_its_terminator_or_at_its_data() {
        let mut buffer = [0; 8];
        for text in ["abc\0", "abc", "abc\0junk"] {
            let bytes = value(1, &utf16(text));
            let read = string(parse(&bytes).unwrap(), &mut buffer).unwrap();
            assert_eq!(read.to_string(), "abc");
        }
    }

    #[test]
    fn a_string_of_half_units_or_too_many_is_refused() {
        let mut buffer = [0; 2];
        let odd = value(1, b"abc");
        assert_eq!(
            string(parse(&odd).unwrap(), &mut buffer),
            Err(ReadError::Malformed)
        );
        let long = value(1, &utf16("abc"));
        assert_eq!(
            string(parse(&long).unwrap(), &mut buffer),
            Err(ReadError::TooLong)
        );
        let number = value(4, &[0; 4]);
        assert_eq!(
            string(parse(&number).unwrap(), &mut buffer),
            Err(ReadError::WrongType(4))
        );
    }

    #[test]
    fn data_past_what_was_written_is_refused() {
        let bytes = value(4, &[1, 2, 3, 4]);
        assert_eq!(Partial::parse(&bytes, 15), Err(ReadError::Malformed));
        assert_eq!(Partial::parse(&bytes, 11), Err(ReadError::Malformed));
        assert_eq!(Partial::parse(&bytes, 17), Err(ReadError::Malformed));
    }
}
