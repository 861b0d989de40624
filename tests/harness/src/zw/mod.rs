//! System services in their kernel form (`Zw`): the registry.

pub(crate) mod key;
pub(crate) mod registry;
