//! The adapter's registry parameters, as keywords in memory.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

use ndis_sys::{
    self as sys, NDIS_CONFIGURATION_OBJECT, NDIS_CONFIGURATION_PARAMETER as Parameter, NDIS_STATUS,
};
use spin::Mutex;
use wdk_sys::UNICODE_STRING;

use super::adapter;
use super::contract::CONFIGURATION;
use super::object::Kind;
use super::{handle, header};
use crate::Value;
use crate::export::{Module, exports, told_to_fail};
use crate::field;
use crate::host::context::kernel;
use crate::mem::guest::{Guest, read_bytes, write_bytes};
use crate::rtl::string::read_unicode;
use crate::rules;
use crate::zw::key::device_key;
use crate::zw::registry::Registry;

exports! { Module::Ndis;
    NdisOpenConfigurationEx = open, 0..=0, fallible;
    NdisReadConfiguration = read, 0..=0, fallible;
    NdisReadNetworkAddress = read_address, 0..=0, fallible;
    NdisWriteConfiguration = write, 0..=0, fallible;
    NdisCloseConfiguration = close, 0..=0;
}

const REG_SZ: u32 = 1;
const REG_BINARY: u32 = 3;
const REG_DWORD: u32 = 4;
const REG_MULTI_SZ: u32 = 7;

/// One keyword that a driver asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeywordRead {
    /// The keyword as the driver wrote it.
    pub keyword: String,
    /// `NDIS_PARAMETER_TYPE` it asked for.
    pub kind: i32,
    /// It was there.
    pub found: bool,
}

/// The keywords of an adapter, which are the values of its software key, and who asked for what.
#[derive(Debug)]
pub(crate) struct Keywords {
    /// Path of the key.
    key: String,
    reads: Mutex<Vec<KeywordRead>>,
    /// Open handles, each with the blocks that were handed out under it.
    open: Mutex<BTreeMap<usize, Vec<usize>>>,
}

/// The keywords without which NDIS does not initialise an adapter.
pub(crate) const MANDATORY: [&str; 3] = ["*IfType", "*MediaType", "*PhysicalMediaType"];

/// A value as NDIS hands it out.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Answer {
    Integer(u32),
    Text(Vec<u8>),
    MultiText(Vec<u8>),
    Binary(Vec<u8>),
}

impl Keywords {
    /// The mandatory keywords, and `values`: the key holds these and no others.
    pub(crate) fn new(device: usize, values: Vec<(String, Value)>) -> Self {
        let key = device_key(device, true);
        let registry = &kernel().registry;
        registry.delete_key(&key);
        for (keyword, value) in MANDATORY.into_iter().zip(["6", "0", "14"]) {
            registry.set(&key, keyword, Value::text(value));
        }
        for (keyword, value) in values {
            registry.set(&key, &keyword, value);
        }
        Self {
            key,
            reads: Mutex::default(),
            open: Mutex::default(),
        }
    }

    pub(crate) fn get(&self, keyword: &str) -> Option<Value> {
        kernel().registry.get(&self.key, keyword)
    }

    /// Sets a keyword, or removes it.
    pub(crate) fn set(&self, registry: &Registry, keyword: &str, value: Option<Value>) {
        match value {
            Some(value) => registry.set(&self.key, keyword, value),
            None => {
                registry.delete_value(&self.key, keyword);
            }
        }
    }

    pub(crate) fn reads(&self) -> Vec<KeywordRead> {
        self.reads.lock().clone()
    }
}

fn text_of(data: &[u8]) -> String {
    let units: Vec<u16> = data
        .chunks_exact(2)
        .map(|pair| u16::from_le_bytes([pair[0], pair[1]]))
        .collect();
    let end = units
        .iter()
        .position(|unit| *unit == 0)
        .unwrap_or(units.len());
    String::from_utf16_lossy(&units[..end])
}

/// The number that a text begins with, 0 if with none; as `RtlUnicodeStringToInteger` reads it.
fn leading_number(text: &str, base: u32) -> u32 {
    let text = text.trim_start();
    let (negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let value = digits
        .chars()
        .map_while(|digit| digit.to_digit(base))
        .fold(0_u32, |value, digit| {
            value.wrapping_mul(base).wrapping_add(digit)
        });
    if negative {
        value.wrapping_neg()
    } else {
        value
    }
}

/// What NDIS answers for a stored value asked for as `kind`. `None` if it cannot be had so.
/// A keyword's value as NDIS reads a number for itself.
pub(crate) fn integer(value: &Value) -> Option<u32> {
    match convert(value, sys::NdisParameterInteger)? {
        Answer::Integer(number) => Some(number),
        Answer::Text(_) | Answer::MultiText(_) | Answer::Binary(_) => None,
    }
}

fn convert(value: &Value, kind: i32) -> Option<Answer> {
    let wants_integer = matches!(
        kind,
        sys::NdisParameterInteger | sys::NdisParameterHexInteger
    );
    match value.kind {
        REG_DWORD => {
            let bytes = value.data.get(..4)?.try_into().ok()?;
            Some(Answer::Integer(u32::from_le_bytes(bytes)))
        }
        REG_SZ if wants_integer => {
            let base = if kind == sys::NdisParameterInteger {
                10
            } else {
                16
            };
            Some(Answer::Integer(leading_number(&text_of(&value.data), base)))
        }
        REG_SZ => Some(Answer::Text(value.data.clone())),
        REG_MULTI_SZ if !wants_integer => Some(Answer::MultiText(value.data.clone())),
        REG_BINARY if !wants_integer => Some(Answer::Binary(value.data.clone())),
        _ => None,
    }
}

/// The bytes of a `NetworkAddress` text; NDIS does not look at what they say.
fn address_bytes(text: &str) -> Option<Vec<u8>> {
    let digits: Vec<u8> = text
        .chars()
        .filter(|c| *c != '-')
        .map_while(|c| c.to_digit(16))
        .map(|d| u8::try_from(d).unwrap_or(0))
        .collect();
    (digits.len() >= 2).then(|| {
        digits
            .chunks_exact(2)
            .map(|pair| (pair[0] << 4) | pair[1])
            .collect()
    })
}

extern "win64" fn open(object: *mut NDIS_CONFIGURATION_OBJECT, out: *mut usize) -> NDIS_STATUS {
    let fail = told_to_fail();
    let target = field!(object, NDIS_CONFIGURATION_OBJECT, NdisHandle).load() as usize;
    let adapter = adapter::of(target, "NdisOpenConfigurationEx");
    if !header::CONFIGURATION.accept(object as usize, adapter.driver.minor) {
        return sys::NDIS_STATUS_BAD_VERSION;
    }
    if fail {
        return sys::NDIS_STATUS_RESOURCES;
    }
    let opened = handle::fresh();
    kernel()
        .ndis
        .objects
        .add(opened, Kind::Configuration, target, target, 0);
    adapter.keywords.open.lock().insert(opened, Vec::new());
    Guest::from(out).store(opened);
    sys::NDIS_STATUS_SUCCESS
}

/// The adapter of an open configuration handle; ends the run for any other.
fn adapter_of(opened: usize, what: &str) -> alloc::sync::Arc<adapter::Adapter> {
    let kernel = kernel();
    let found = kernel.ndis.objects.get(opened, Kind::Configuration);
    found
        .and_then(|object| kernel.ndis.adapter(object.owner))
        .unwrap_or_else(|| {
            rules::die(
                &CONFIGURATION,
                format!("{what}: {opened:#x} is no open configuration"),
            );
        })
}

/// Memory that lives until the handle is closed.
fn block(adapter: &adapter::Adapter, opened: usize, size: usize) -> usize {
    let at = kernel().pool.allocate_own(size.max(1));
    if let Some(blocks) = adapter.keywords.open.lock().get_mut(&opened) {
        blocks.push(at);
    }
    at
}

fn reserved(keyword: &str) -> Option<u32> {
    match keyword.to_lowercase().as_str() {
        // NdisEnvironmentWindowsNt.
        "environment" => Some(1),
        // NdisProcessorAMD64.
        "processortype" => Some(8),
        "ndisversion" => Some(0x0006_0000 | u32::from(kernel().ndis.minor())),
        _ => None,
    }
}

extern "win64" fn read(
    status: *mut NDIS_STATUS,
    out: *mut usize,
    opened: usize,
    keyword: *const UNICODE_STRING,
    kind: i32,
) {
    let fail = told_to_fail();
    let adapter = adapter_of(opened, "NdisReadConfiguration");
    let keyword = read_unicode(keyword);
    let stored = adapter.keywords.get(&keyword);
    let answer = reserved(&keyword)
        .map(Answer::Integer)
        .or_else(|| stored.as_ref().and_then(|value| convert(value, kind)));
    adapter.keywords.reads.lock().push(KeywordRead {
        keyword,
        kind,
        found: answer.is_some(),
    });
    let Some(answer) = answer.filter(|_| !fail) else {
        Guest::from(status).store(sys::NDIS_STATUS_FAILURE);
        return;
    };
    let at = block(&adapter, opened, size_of::<Parameter>()) as *mut Parameter;
    let data = field!(at, Parameter, ParameterData);
    let set_kind = |kind| field!(at, Parameter, ParameterType).store(kind);
    match answer {
        Answer::Integer(value) => {
            set_kind(if kind == sys::NdisParameterHexInteger {
                kind
            } else {
                sys::NdisParameterInteger
            });
            data.cast::<u32>().store(value);
        }
        Answer::Binary(bytes) => {
            let at = block(&adapter, opened, bytes.len());
            write_bytes(at, &bytes);
            set_kind(sys::NdisParameterBinary);
            data.cast::<u16>()
                .store(u16::try_from(bytes.len()).unwrap_or(u16::MAX));
            data.offset::<usize>(8).store(at);
        }
        Answer::Text(ref bytes) | Answer::MultiText(ref bytes) => {
            let text = block(&adapter, opened, bytes.len());
            write_bytes(text, bytes);
            let len = u16::try_from(bytes.len()).unwrap_or(u16::MAX);
            set_kind(if matches!(answer, Answer::MultiText(_)) {
                sys::NdisParameterMultiString
            } else {
                sys::NdisParameterString
            });
            data.cast::<u16>().store(len.saturating_sub(2));
            data.offset::<u16>(2).store(len);
            data.offset::<usize>(8).store(text);
        }
    }
    Guest::from(out).store(at as usize);
    Guest::from(status).store(sys::NDIS_STATUS_SUCCESS);
}

extern "win64" fn read_address(
    status: *mut NDIS_STATUS,
    out: *mut usize,
    len: *mut u32,
    opened: usize,
) {
    let fail = told_to_fail();
    let adapter = adapter_of(opened, "NdisReadNetworkAddress");
    let stored = adapter
        .keywords
        .get("NetworkAddress")
        .filter(|value| value.kind == REG_SZ);
    let bytes = stored.and_then(|value| address_bytes(&text_of(&value.data)));
    let read = KeywordRead {
        keyword: "NetworkAddress".into(),
        kind: sys::NdisParameterString,
        found: bytes.is_some(),
    };
    adapter.keywords.reads.lock().push(read);
    let Some(bytes) = bytes.filter(|_| !fail) else {
        Guest::from(status).store(sys::NDIS_STATUS_FAILURE);
        return;
    };
    let at = block(&adapter, opened, bytes.len());
    write_bytes(at, &bytes);
    Guest::from(out).store(at);
    Guest::from(len).store(u32::try_from(bytes.len()).unwrap_or(0));
    Guest::from(status).store(sys::NDIS_STATUS_SUCCESS);
}

extern "win64" fn write(
    status: *mut NDIS_STATUS,
    opened: usize,
    keyword: *const UNICODE_STRING,
    value: *mut Parameter,
) {
    let adapter = adapter_of(opened, "NdisWriteConfiguration");
    if told_to_fail() {
        Guest::from(status).store(sys::NDIS_STATUS_RESOURCES);
        return;
    }
    let data = field!(value, Parameter, ParameterData);
    let stored = match field!(value, Parameter, ParameterType).load() {
        sys::NdisParameterInteger | sys::NdisParameterHexInteger => {
            Value::dword(data.cast::<u32>().load())
        }
        kind => {
            let mut bytes = vec![0; usize::from(data.cast::<u16>().load())];
            read_bytes(data.offset::<usize>(8).load(), &mut bytes);
            Value {
                kind: if kind == sys::NdisParameterBinary {
                    REG_BINARY
                } else {
                    REG_SZ
                },
                data: bytes,
            }
        }
    };
    adapter
        .keywords
        .set(&kernel().registry, &read_unicode(keyword), Some(stored));
    Guest::from(status).store(sys::NDIS_STATUS_SUCCESS);
}

extern "win64" fn close(opened: usize) {
    let adapter = adapter_of(opened, "NdisCloseConfiguration");
    let kernel = kernel();
    kernel.ndis.objects.remove(opened, Kind::Configuration);
    let blocks = adapter
        .keywords
        .open
        .lock()
        .remove(&opened)
        .unwrap_or_default();
    for block in blocks {
        // From here on a driver that still reads the value faults.
        kernel.pool.free(block, None);
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use super::{Answer, address_bytes, convert, leading_number};
    use crate::Value;
    use ndis_sys as sys;

    #[test]
    fn integers_come_from_text_in_the_base_asked_for_and_from_numbers_as_they_are() {
        let decimal = |value: &Value| convert(value, sys::NdisParameterInteger);
        let hexadecimal = |value: &Value| convert(value, sys::NdisParameterHexInteger);
        assert_eq!(decimal(&Value::text("16")), Some(Answer::Integer(16)));
        assert_eq!(hexadecimal(&Value::text("16")), Some(Answer::Integer(0x16)));
        assert_eq!(hexadecimal(&Value::dword(16)), Some(Answer::Integer(16)));
        assert_eq!(
            decimal(&Value {
                kind: 4,
                data: vec![1, 2]
            }),
            None,
            "a cut-off number"
        );
        assert_eq!(
            decimal(&Value {
                kind: 3,
                data: vec![1]
            }),
            None,
            "bytes are no number"
        );
    }

    #[test]
    fn garbage_text_is_read_as_far_as_it_is_a_number() {
        assert_eq!(leading_number("12abc", 10), 12);
        assert_eq!(leading_number("", 10), 0);
        assert_eq!(leading_number("  -1", 10), u32::MAX);
        assert_eq!(leading_number("zz", 10), 0);
        assert_eq!(leading_number("99999999999999", 10), 276_447_231);
    }

    #[test]
    fn network_addresses_are_parsed_and_not_judged() {
        assert_eq!(
            address_bytes("00-16-3e-AA-bb-0c"),
            Some(vec![0, 0x16, 0x3E, 0xAA, 0xBB, 0x0C])
        );
        assert_eq!(
            address_bytes("FFFFFFFFFFFF").map(|bytes| bytes.len()),
            Some(6)
        );
        assert_eq!(address_bytes("0016").map(|bytes| bytes.len()), Some(2));
        assert_eq!(address_bytes("xyz"), None);
        assert_eq!(address_bytes(""), None);
    }
}
