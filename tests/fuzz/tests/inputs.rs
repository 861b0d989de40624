//! Every target on every input that was kept, and on some thousand more.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::{fs, panic};

use fuzz::{TARGETS, Target};
use proptest::prelude::*;
use proptest::test_runner::TestRunner;

fn inputs() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("inputs")
}

/// Runs a target and names the input when it panics.
fn run(target: &Target, what: &str, bytes: &[u8]) {
    let result = panic::catch_unwind(|| (target.run)(bytes));
    let name = target.name;
    assert!(
        result.is_ok(),
        "{name}: {what} breaks a promise (see above)"
    );
}

#[test]
fn kept_inputs_break_no_promise() {
    for target in TARGETS {
        let folder = inputs().join(target.name);
        let mut count = 0;
        for entry in fs::read_dir(&folder).expect("a folder for each target") {
            let path = entry.expect("readable").path();
            let bytes = fs::read(&path).expect("readable");
            run(target, &path.display().to_string(), &bytes);
            count += 1;
        }
        assert!(count > 0, "{} has no input", target.name);
    }
}

#[test]
fn each_folder_of_inputs_is_a_targets() {
    let folders: BTreeSet<String> = fs::read_dir(inputs())
        .expect("a folder of inputs")
        .map(|entry| entry.expect("readable").file_name().into_string())
        .map(|name| name.expect("plain names"))
        .collect();
    let targets: BTreeSet<String> = TARGETS.iter().map(|t| t.name.to_owned()).collect();
    assert_eq!(folders, targets);
}

#[test]
fn random_bytes_break_no_promise() {
    for target in TARGETS {
        let mut runner = TestRunner::new(ProptestConfig {
            cases: 2000,
            failure_persistence: None,
            ..ProptestConfig::default()
        });
        let bytes = prop::collection::vec(any::<u8>(), 0..600);
        let result = runner.run(&bytes, |bytes| {
            (target.run)(&bytes);
            Ok(())
        });
        assert_eq!(result, Ok(()), "{}", target.name);
    }
}
