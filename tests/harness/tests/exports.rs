//! The registry of exports against lists made elsewhere.

use std::collections::BTreeSet;
use std::path::Path;

#[test]
fn everything_the_drivers_import_from_the_kernel_is_exported() {
    let lists = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../cross/imports");
    let known: BTreeSet<&str> = harness::all_exports_registered()
        .iter()
        .map(|export| export.name)
        .collect();
    for list in ["ntoskrnl.txt", "hal.txt"] {
        let text = std::fs::read_to_string(lists.join(list)).expect("the list of imports");
        let missing: Vec<&str> = text
            .lines()
            .filter_map(|line| line.split('#').next()?.split_whitespace().next())
            .filter(|name| !known.contains(name))
            .collect();
        assert!(missing.is_empty(), "{list}: not exported: {missing:?}");
    }
}

#[test]
fn every_rule_has_its_own_id_and_a_source() {
    let ids: BTreeSet<&str> = harness::rules::ALL.iter().map(|rule| rule.id).collect();
    assert_eq!(ids.len(), harness::rules::ALL.len());
    assert!(harness::rules::ALL.iter().all(|rule| rule.cite.len() > 5));
}
