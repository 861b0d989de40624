//! The registry: an in-memory tree of keys and typed values.

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;

use spin::Mutex;

/// One value: its type (`REG_SZ` = 1, `REG_DWORD` = 4, ...) and data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Value {
    /// Registry type.
    pub kind: u32,
    /// Data as stored.
    pub data: Vec<u8>,
}

impl Value {
    /// A `REG_DWORD`.
    #[must_use]
    pub fn dword(value: u32) -> Self {
        Self {
            kind: 4,
            data: value.to_le_bytes().to_vec(),
        }
    }

    /// A `REG_SZ`.
    #[must_use]
    pub fn text(text: &str) -> Self {
        Self {
            kind: 1,
            data: text
                .encode_utf16()
                .chain([0])
                .flat_map(u16::to_le_bytes)
                .collect(),
        }
    }
}

/// Keys by lower-case path, values by lower-case name.
#[derive(Debug, Default)]
pub(crate) struct Registry {
    keys: Mutex<BTreeMap<String, BTreeMap<String, Value>>>,
}

fn folded(name: &str) -> String {
    name.trim_end_matches('\\').to_lowercase()
}

impl Registry {
    pub(crate) fn create(&self, key: &str) {
        self.keys.lock().entry(folded(key)).or_default();
    }

    pub(crate) fn exists(&self, key: &str) -> bool {
        self.keys.lock().contains_key(&folded(key))
    }

    pub(crate) fn set(&self, key: &str, name: &str, value: Value) {
        self.keys
            .lock()
            .entry(folded(key))
            .or_default()
            .insert(folded(name), value);
    }

    pub(crate) fn get(&self, key: &str, name: &str) -> Option<Value> {
        self.keys
            .lock()
            .get(&folded(key))?
            .get(&folded(name))
            .cloned()
    }

    pub(crate) fn delete_value(&self, key: &str, name: &str) -> bool {
        self.keys
            .lock()
            .get_mut(&folded(key))
            .is_some_and(|key| key.remove(&folded(name)).is_some())
    }

    pub(crate) fn delete_key(&self, key: &str) -> bool {
        self.keys.lock().remove(&folded(key)).is_some()
    }
}
