//! Registry keys as drivers open them.

use alloc::format;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;
use wdk_sys::{OBJECT_ATTRIBUTES, UNICODE_STRING};

use super::registry::Value;
use crate::ex::pool::calling_driver;
use crate::export::{Module, exports, told_to_fail};
use crate::field;
use crate::host::context::kernel;
use crate::mem::guest::{Guest, read_bytes, write_bytes};
use crate::ob::Target;
use crate::rtl::string::read_unicode;
use crate::rules;

const STATUS_INSUFFICIENT_RESOURCES: i32 = 0xC000_009A_u32.cast_signed();
const STATUS_OBJECT_NAME_NOT_FOUND: i32 = 0xC000_0034_u32.cast_signed();
const STATUS_INVALID_HANDLE: i32 = 0xC000_0008_u32.cast_signed();
const STATUS_INVALID_PARAMETER: i32 = 0xC000_000D_u32.cast_signed();
const STATUS_BUFFER_OVERFLOW: i32 = 0x8000_0005_u32.cast_signed();
const STATUS_BUFFER_TOO_SMALL: i32 = 0xC000_0023_u32.cast_signed();
/// `OBJ_KERNEL_HANDLE`.
const KERNEL_HANDLE: u32 = 0x200;

exports! { Module::Ntoskrnl;
    ZwOpenKey = open, 0..=0, fallible;
    ZwCreateKey = create, 0..=0, fallible;
    ZwQueryValueKey = query_value, 0..=0, fallible;
    ZwSetValueKey = set_value, 0..=0, fallible;
    ZwDeleteValueKey = delete_value, 0..=0;
    ZwDeleteKey = delete_key, 0..=0;
    ZwFlushKey = flush, 0..=0;
    IoOpenDeviceRegistryKey = open_device_key, 0..=0, fallible;
}

type Attributes = *mut OBJECT_ATTRIBUTES;

fn path(attributes: Attributes) -> Option<String> {
    if field!(attributes, OBJECT_ATTRIBUTES, Attributes).load() & KERNEL_HANDLE == 0 {
        rules::violate(&rules::OBJECT, "a key opened without OBJ_KERNEL_HANDLE");
    }
    let name = read_unicode(field!(attributes, OBJECT_ATTRIBUTES, ObjectName).load());
    let root = field!(attributes, OBJECT_ATTRIBUTES, RootDirectory)
        .cast::<usize>()
        .load();
    if root == 0 {
        return Some(name);
    }
    let root = key_of(root)?;
    Some(format!("{root}\\{name}"))
}

fn key_of(handle: usize) -> Option<String> {
    match kernel().handles.get(handle) {
        Some(Target::Key(path)) => Some(path),
        _ => None,
    }
}

fn give(out: *mut usize, key: String) -> i32 {
    Guest::from(out).store(kernel().handles.open(Target::Key(key), calling_driver()));
    0
}

extern "win64" fn open(out: *mut usize, _access: u32, attributes: Attributes) -> i32 {
    if told_to_fail() {
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    match path(attributes) {
        None => STATUS_INVALID_HANDLE,
        Some(key) if kernel().registry.exists(&key) => give(out, key),
        Some(_) => STATUS_OBJECT_NAME_NOT_FOUND,
    }
}

extern "win64" fn create(
    out: *mut usize,
    _access: u32,
    attributes: Attributes,
    _title: u32,
    _class: usize,
    _options: u32,
    disposition: *mut u32,
) -> i32 {
    if told_to_fail() {
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    let Some(key) = path(attributes) else {
        return STATUS_INVALID_HANDLE;
    };
    let existed = kernel().registry.exists(&key);
    kernel().registry.create(&key);
    if !disposition.is_null() {
        Guest::from(disposition).store(if existed { 2 } else { 1 });
    }
    give(out, key)
}

/// Where a device's keys are, as NT lays them out.
pub(crate) fn device_key(device: usize, driver: bool) -> String {
    let identity = kernel().pnp.node(device).identity;
    if driver {
        let instance = identity.instance;
        return format!(
            "\\Registry\\Machine\\System\\CurrentControlSet\\Control\\Class\\{instance}"
        );
    }
    format!(
        "\\Registry\\Machine\\System\\CurrentControlSet\\Enum\\{}\\{}\\Device Parameters",
        identity.device, identity.instance
    )
}

extern "win64" fn open_device_key(device: usize, kind: u32, _access: u32, out: *mut usize) -> i32 {
    if told_to_fail() {
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    if !kernel().pnp.knows(device) {
        rules::violate(
            &rules::PNP,
            format!("IoOpenDeviceRegistryKey: {device:#x} is no enumerated PDO"),
        );
        return STATUS_INVALID_PARAMETER;
    }
    // PLUGPLAY_REGKEY_DEVICE 1, PLUGPLAY_REGKEY_DRIVER 2.
    let key = device_key(device, kind & 2 != 0);
    kernel().registry.create(&key);
    give(out, key)
}

/// The information classes: basic 0, full 1, partial 2. Each puts the data after its own header.
fn encode(class: i32, name: &str, value: &Value) -> Option<(Vec<u8>, usize)> {
    let words = |values: &[u32]| {
        values
            .iter()
            .flat_map(|word| word.to_le_bytes())
            .collect::<Vec<u8>>()
    };
    let name: Vec<u8> = name.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let name_len = u32::try_from(name.len()).ok()?;
    let data_len = u32::try_from(value.data.len()).ok()?;
    match class {
        0 => Some(([words(&[0, value.kind, name_len]), name].concat(), 12)),
        1 => {
            let offset = (20 + name_len).next_multiple_of(8);
            let mut all = [words(&[0, value.kind, offset, data_len, name_len]), name].concat();
            all.resize(offset as usize, 0);
            all.extend_from_slice(&value.data);
            Some((all, 20))
        }
        2 => Some((
            [words(&[0, value.kind, data_len]), value.data.clone()].concat(),
            12,
        )),
        _ => None,
    }
}

extern "win64" fn query_value(
    handle: usize,
    name: *const UNICODE_STRING,
    class: i32,
    out: usize,
    len: u32,
    needed: *mut u32,
) -> i32 {
    if told_to_fail() {
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    let Some(key) = key_of(handle) else {
        return STATUS_INVALID_HANDLE;
    };
    let name = read_unicode(name);
    let Some(value) = kernel().registry.get(&key, &name) else {
        return STATUS_OBJECT_NAME_NOT_FOUND;
    };
    let Some((bytes, header)) = encode(class, &name, &value) else {
        return STATUS_INVALID_PARAMETER;
    };
    Guest::from(needed).store(u32::try_from(bytes.len()).unwrap_or(u32::MAX));
    let room = len as usize;
    if room < header {
        return STATUS_BUFFER_TOO_SMALL;
    }
    write_bytes(out, &bytes[..bytes.len().min(room)]);
    if room < bytes.len() {
        STATUS_BUFFER_OVERFLOW
    } else {
        0
    }
}

extern "win64" fn set_value(
    handle: usize,
    name: *const UNICODE_STRING,
    _title: u32,
    kind: u32,
    data: usize,
    len: u32,
) -> i32 {
    if told_to_fail() {
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    let Some(key) = key_of(handle) else {
        return STATUS_INVALID_HANDLE;
    };
    let mut bytes = vec![0; len as usize];
    read_bytes(data, &mut bytes);
    kernel()
        .registry
        .set(&key, &read_unicode(name), Value { kind, data: bytes });
    0
}

extern "win64" fn delete_value(handle: usize, name: *const UNICODE_STRING) -> i32 {
    let Some(key) = key_of(handle) else {
        return STATUS_INVALID_HANDLE;
    };
    if kernel().registry.delete_value(&key, &read_unicode(name)) {
        0
    } else {
        STATUS_OBJECT_NAME_NOT_FOUND
    }
}

extern "win64" fn delete_key(handle: usize) -> i32 {
    let Some(key) = key_of(handle) else {
        return STATUS_INVALID_HANDLE;
    };
    if kernel().registry.delete_key(&key) {
        0
    } else {
        STATUS_OBJECT_NAME_NOT_FOUND
    }
}

extern "win64" fn flush(handle: usize) -> i32 {
    if key_of(handle).is_some() {
        0
    } else {
        STATUS_INVALID_HANDLE
    }
}
