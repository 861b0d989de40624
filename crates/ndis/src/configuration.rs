//! Registry keywords of an adapter. All of it is `PASSIVE_LEVEL`.

use core::marker::PhantomData;
use core::ptr;

use ndis_sys as sys;
use ndis_sys::NDIS_HANDLE;
use wdk_sys::UNICODE_STRING;

use crate::object::NdisObject;
use crate::status::Status;
use crate::version::NdisVersion;

/// Longest keyword, in UTF-16 units.
const MAX_KEYWORD: usize = 64;

/// What NDIS reads of a keyword.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Value<'c> {
    /// NDIS has no value: there is none, or it is of a type that NDIS cannot hand out
    /// (`REG_QWORD`, ...). NDIS says `NDIS_STATUS_FAILURE` for both.
    None,
    /// A `REG_DWORD`.
    Integer(u32),
    /// A `REG_SZ`: UTF-16, perhaps with its NUL.
    Text(&'c [u16]),
    /// A `REG_MULTI_SZ` or `REG_BINARY`.
    Other,
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

    /// Reads a keyword. IRQL: `PASSIVE_LEVEL`.
    ///
    /// Asked for as text, which tells `5` from `5 apples`: as an integer NDIS makes both 5.
    /// Microsoft's page says that NT ignores the type asked for, so any type may come back, and a
    /// number that is not handed out as text is asked for once more.
    pub fn read(&self, name: &str) -> Value<'_> {
        match self.query(name, sys::NdisParameterString) {
            Value::None => self.query(name, sys::NdisParameterInteger),
            value => value,
        }
    }

    fn query(&self, name: &str, kind: sys::NDIS_PARAMETER_TYPE) -> Value<'_> {
        let Some((mut units, count)) = utf16(name) else {
            return Value::None;
        };
        let Some(mut string) = counted(&mut units, count) else {
            return Value::None;
        };
        let mut status = sys::NDIS_STATUS_FAILURE;
        let mut value = ptr::null_mut();
        // SAFETY: the handle is open; every pointer is to a local.
        unsafe {
            sys::NdisReadConfiguration(
                &raw mut status,
                &raw mut value,
                self.handle,
                &raw mut string,
                kind,
            );
        }
        if Status(status).ok().is_err() {
            return Value::None;
        }
        // SAFETY: on success the value is NDIS's memory, valid until the configuration is closed.
        let Some(value) = (unsafe { value.as_ref() }) else {
            return Value::None;
        };
        match value.ParameterType {
            sys::NdisParameterInteger | sys::NdisParameterHexInteger => {
                // SAFETY: the type says that the integer is the member in use.
                Value::Integer(unsafe { value.ParameterData.IntegerData })
            }
            sys::NdisParameterString => {
                // SAFETY: the type says that the text is the member in use.
                let text = unsafe { value.ParameterData.StringData };
                // SAFETY: NDIS's memory, as above, with as many bytes as it says.
                Value::Text(unsafe { units_of(&text) })
            }
            _ => Value::Other,
        }
    }
}

impl Drop for Configuration {
    fn drop(&mut self) {
        // SAFETY: opened by `open` and closed once; values were copied out.
        unsafe { sys::NdisCloseConfiguration(self.handle) };
    }
}

/// # Safety
/// The buffer holds the length, and does not change for `'c`.
unsafe fn units_of<'c>(text: &UNICODE_STRING) -> &'c [u16] {
    let count = usize::from(text.Length >> 1);
    if text.Buffer.is_null() || count == 0 {
        return &[];
    }
    // SAFETY: the caller's promise.
    unsafe { core::slice::from_raw_parts(text.Buffer, count) }
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
    fn text_is_as_long_as_it_says() {
        let mut units = [0x31, 0x32, 0];
        let mut text = UNICODE_STRING {
            Length: 4,
            MaximumLength: 6,
            Buffer: units.as_mut_ptr(),
        };
        // SAFETY: the buffer holds the length.
        assert_eq!(unsafe { units_of(&text) }, [0x31, 0x32]);
        text.Length = 5;
        // SAFETY: as above; half a unit is none.
        assert_eq!(unsafe { units_of(&text) }, [0x31, 0x32]);
        text.Buffer = ptr::null_mut();
        // SAFETY: there is no buffer to read.
        assert!(unsafe { units_of(&text) }.is_empty());
    }

    #[test]
    fn names_become_counted_strings() {
        let (units, count) = utf16("*RSS").unwrap();
        assert_eq!(units[..count], [0x2A, 0x52, 0x53, 0x53]);
        assert!(utf16(&"x".repeat(MAX_KEYWORD)).is_some());
        assert!(utf16(&"x".repeat(MAX_KEYWORD + 1)).is_none());
    }
}
