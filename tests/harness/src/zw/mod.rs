//! System services in their kernel form (`Zw`): the registry.

pub(crate) mod registry;
