//! Registry keywords of an adapter. All of it is `PASSIVE_LEVEL`.

use core::marker::PhantomData;
use core::ops::RangeInclusive;
use core::ptr;

use ndis_sys as sys;
use ndis_sys::NDIS_HANDLE;
use wdk_sys::UNICODE_STRING;

use crate::object::NdisObject;
use crate::status::Status;
use crate::version::NdisVersion;

/// Longest keyword, in UTF-16 units.
const MAX_KEYWORD: usize = 64;

/// An integer keyword: name, range and default.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Keyword {
    /// ASCII name, for example `*JumboPacket`.
    pub name: &'static str,
    /// Values accepted.
    pub range: RangeInclusive<u32>,
    /// Value if the keyword is missing, unreadable or out of range.
    pub default: u32,
}

impl Keyword {
    /// The value in force for what the registry holds. Garbage must not break the adapter (HLK
    /// `StandardizedKeywords`), so whatever is out of range is the default.
    pub fn value(&self, found: Option<u32>) -> u32 {
        found
            .filter(|v| self.range.contains(v))
            .unwrap_or(self.default)
    }
}

/// An open configuration; closed at drop, which frees what was read.
#[derive(Debug)]
pub struct Configuration {
    handle: NDIS_HANDLE,
    /// Handles are used on the thread that opened them.
    not_send: PhantomData<*mut ()>,
}

impl Configuration {
    /// Opens the keywords of an adapter. IRQL: `PASSIVE_LEVEL`.
    ///
    /// # Safety
    /// `adapter` is the handle passed to `MiniportInitializeEx`, and this is `PASSIVE_LEVEL`.
    pub unsafe fn open(adapter: NDIS_HANDLE, version: NdisVersion) -> Result<Self, Status> {
        let mut object = sys::NDIS_CONFIGURATION_OBJECT::new(version);
        object.NdisHandle = adapter;
        let mut handle = ptr::null_mut();
        // SAFETY: both pointers are to locals; the handle is valid by the caller's promise.
        let status = unsafe { sys::NdisOpenConfigurationEx(&raw mut object, &raw mut handle) };
        Status(status).ok()?;
        Ok(Self {
            handle,
            not_send: PhantomData,
        })
    }

    /// Reads an integer keyword. IRQL: `PASSIVE_LEVEL`.
    pub fn read(&self, keyword: &Keyword) -> u32 {
        keyword.value(self.integer(keyword.name))
    }

    /// The integer in the registry, `None` if there is none. IRQL: `PASSIVE_LEVEL`.
    pub fn integer(&self, name: &str) -> Option<u32> {
        let (mut units, count) = utf16(name)?;
        let mut string = counted(&mut units, count)?;
        let mut status = sys::NDIS_STATUS_FAILURE;
        let mut value = ptr::null_mut();
        // SAFETY: the handle is open; every pointer is to a local.
        unsafe {
            sys::NdisReadConfiguration(
                &raw mut status,
                &raw mut value,
                self.handle,
                &raw mut string,
                sys::NdisParameterInteger,
            );
        }
        Status(status).ok().ok()?;
        // SAFETY: on success the value is NDIS's memory, valid until the configuration is closed.
        let value = unsafe { value.as_ref() }?;
        let integer = matches!(
            value.ParameterType,
            sys::NdisParameterInteger | sys::NdisParameterHexInteger
        );
        if !integer {
            return None;
        }
        // SAFETY: the type says that the integer is the member in use.
        Some(unsafe { value.ParameterData.IntegerData })
    }

    /// The `NetworkAddress` keyword, if it is a usable unicast address. NDIS does not check it.
    /// IRQL: `PASSIVE_LEVEL`.
    pub fn network_address(&self) -> Option<[u8; 6]> {
        let mut status = sys::NDIS_STATUS_FAILURE;
        let mut address = ptr::null_mut();
        let mut len = 0;
        // SAFETY: the handle is open; every pointer is to a local.
        unsafe {
            sys::NdisReadNetworkAddress(
                &raw mut status,
                &raw mut address,
                &raw mut len,
                self.handle,
            );
        }
        Status(status).ok().ok()?;
        if address.is_null() || len == 0 {
            return None;
        }
        // SAFETY: on success NDIS's memory holds `len` bytes until the configuration is closed.
        let bytes = unsafe { core::slice::from_raw_parts(address.cast::<u8>(), len as usize) };
        usable_address(bytes)
    }
}

impl Drop for Configuration {
    fn drop(&mut self) {
        // SAFETY: opened by `open` and closed once; values were copied out.
        unsafe { sys::NdisCloseConfiguration(self.handle) };
    }
}

/// Six bytes, not all zero, not multicast.
pub fn usable_address(bytes: &[u8]) -> Option<[u8; 6]> {
    let address: [u8; 6] = bytes.try_into().ok()?;
    let [first, ..] = address;
    (address != [0; 6] && first & 1 == 0).then_some(address)
}

fn utf16(name: &str) -> Option<([u16; MAX_KEYWORD], usize)> {
    let mut units = [0; MAX_KEYWORD];
    let mut count = 0usize;
    for unit in name.encode_utf16() {
        *units.get_mut(count)? = unit;
        count = count.saturating_add(1);
    }
    Some((units, count))
}

fn counted(units: &mut [u16; MAX_KEYWORD], count: usize) -> Option<UNICODE_STRING> {
    let bytes = u16::try_from(count.checked_mul(2)?).ok()?;
    Some(UNICODE_STRING {
        Length: bytes,
        MaximumLength: bytes,
        Buffer: units.as_mut_ptr(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn out_of_range_and_missing_are_the_default() {
        let k = Keyword {
            name: "*JumboPacket",
            range: 1514..=9014,
            default: 1514,
        };
        assert_eq!(k.value(None), 1514);
        assert_eq!(k.value(Some(9014)), 9014);
        for bad in [0, 1513, 9015, u32::MAX] {
            assert_eq!(k.value(Some(bad)), 1514, "{bad}");
        }
    }

    #[test]
    fn addresses_are_checked() {
        assert_eq!(
            usable_address(&[2, 0, 0, 0, 0, 1]),
            Some([2, 0, 0, 0, 0, 1])
        );
        assert_eq!(usable_address(&[1, 0, 0, 0, 0, 1]), None);
        assert_eq!(usable_address(&[0; 6]), None);
        assert_eq!(usable_address(&[2; 5]), None);
        assert_eq!(usable_address(&[2; 7]), None);
    }

    #[test]
    fn names_become_counted_strings() {
        let (units, count) = utf16("*RSS").unwrap();
        assert_eq!(units[..count], [0x2A, 0x52, 0x53, 0x53]);
        assert!(utf16(&"x".repeat(MAX_KEYWORD)).is_some());
        assert!(utf16(&"x".repeat(MAX_KEYWORD + 1)).is_none());
    }
}
