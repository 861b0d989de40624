//! Checks of what bindgen generated.

use std::{env, path::PathBuf};

use crate::{ConfigError, HeaderSet, headers};

/// Types the drivers use that an old or partial header set is known to lack.
const REQUIRED: &[&str] = &[
    "DEVICE_OBJECT",
    "DRIVER_OBJECT",
    "GROUP_AFFINITY",
    "IO_CONNECT_INTERRUPT_PARAMETERS",
    "IO_RESOURCE_REQUIREMENTS_LIST",
    "IO_STACK_LOCATION",
    "IRP",
    "KDPC",
    "KTIMER",
    "MDL",
    "POOL_FLAGS",
    "PROCESSOR_NUMBER",
];

/// Fails when the generated types lack one the drivers use.
pub(crate) fn required_types(set: &HeaderSet) -> Result<(), ConfigError> {
    let out_dir = env::var_os("OUT_DIR").ok_or(ConfigError::NotRunByCargo("OUT_DIR"))?;
    let path = PathBuf::from(out_dir).join("types.rs");
    if !path.is_file() {
        // The build script of `wdk` generates nothing.
        return Ok(());
    }
    match missing(&headers::read(&path)?) {
        None => Ok(()),
        Some(name) => Err(ConfigError::TypeMissing {
            name,
            headers: set.root().to_owned(),
        }),
    }
}

/// The first required type that `types` neither defines nor names.
fn missing(types: &str) -> Option<&'static str> {
    REQUIRED.iter().copied().find(|name| {
        !["type", "struct", "union"]
            .iter()
            .any(|kind| types.contains(&format!("pub {kind} {name} ")))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn types_without(left_out: &str) -> String {
        REQUIRED
            .iter()
            .filter(|name| **name != left_out)
            .map(|name| format!("pub type {name} = _{name};\n"))
            .collect()
    }

    #[test]
    fn a_whole_header_set_passes() {
        assert_eq!(missing(&types_without("")), None);
    }

    #[test]
    fn a_missing_type_is_named() {
        assert_eq!(
            missing(&types_without("GROUP_AFFINITY")),
            Some("GROUP_AFFINITY")
        );
        let error = ConfigError::TypeMissing {
            name: "KDPC",
            headers: "/headers".into(),
        };
        assert!(
            error.to_string().contains("/headers define no type KDPC"),
            "{error}"
        );
    }

    #[test]
    fn a_longer_name_does_not_stand_for_a_shorter_one() {
        let types = types_without("MDL") + "pub type MDLX = u32;\n";
        assert_eq!(missing(&types), Some("MDL"));
    }
}
