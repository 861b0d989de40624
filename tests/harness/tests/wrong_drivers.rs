//! Each rule is proven by a driver that breaks it and is caught for that reason, and no other.

use harness::{Harness, LoadError};

/// Runs `DriverEntry` and `DriverUnload` of the wrong driver `which`; returns the ids of the rules it broke.
fn broken_by(which: &str) -> Vec<&'static str> {
    broken_in("wrong", which)
}

/// As [`broken_by`], for a source in another folder.
fn broken_in(folder: &str, which: &str) -> Vec<&'static str> {
    let source = driver_builder::sources().join(folder).join("driver.rs");
    let image = driver_builder::build(&source, &[which]);
    let mut harness = Harness::builder()
        .cpus(2)
        .seed(3)
        .ram(64 << 20)
        .build()
        .expect("memory");
    let driver = harness.load_driver(&image, "wrong").expect("loads");
    if harness.call_driver_entry(driver).is_ok() {
        let _ = harness.unload_driver(driver);
    }
    let mut ids: Vec<&str> = harness
        .violations()
        .iter()
        .map(|violation| violation.rule.id)
        .collect();
    ids.dedup();
    println!("{which}: {:#?}", harness.violations());
    ids
}

macro_rules! caught {
    ($($name:ident: [$($rule:literal),*];)+) => {
        $(#[test]
        fn $name() {
            assert_eq!(broken_by(stringify!($name)), [$($rule),*] as [&str; _]);
        })+
    };
}

caught! {
    no_fault: [];
    double_free: ["pool-free"];
    wrong_tag: ["pool-tag"];
    overrun: ["pool-overrun"];
    far_overrun: ["fault"];
    use_after_free: ["fault"];
    export_use_after_free: ["pointer"];
    null_write: ["fault"];
    null_call: ["fault"];
    write_to_code: ["fault"];
    leak: ["leak"];
    leak_timer: ["leak"];
    leak_device: ["leak"];
    lock_kept: ["irql-restored", "lock-balance"];
    lock_twice: ["lock-recursion"];
    lock_not_held: ["irql", "lock-owner"];
    lock_order: ["deadlock"];
    irql_kept: ["irql-restored"];
    lower_up: ["irql-direction", "irql-restored"];
    wait_at_dispatch: ["wait-irql"];
    wait_forever: ["hang"];
    endless_loop: ["run-away"];
    passive_call_at_dispatch: ["irql"];
    paged_at_dispatch: ["pool-irql"];
    executable_pool: ["pool-kind"];
    no_tag: ["pool-kind"];
    free_with_timer: ["pool-live"];
    free_with_dpc: ["pool-live", "pointer"];
    raw_dpc: ["object"];
    unknown_msr: ["fault"];
    breakpoint: ["fault"];
    fail_fast: ["fail-fast"];
    bug_check: ["bugcheck"];
    deep_stack: ["stack"];
    endless_stack: ["fault"];
    bar_outside: ["pointer"];
    executable_mapping: ["executable"];
    over_dereference: ["object"];
    bad_handle: ["object"];
    work_item_twice: ["object"];
}

/// Miniports, as images of their own: what they import from `ndis.sys` is resolved and called as `netfront.sys` does.
mod miniport {
    use super::broken_in;

    macro_rules! caught {
        ($($name:ident: [$($rule:literal),*];)+) => {
            $(#[test]
            fn $name() {
                assert_eq!(broken_in("wrong-miniport", stringify!($name)), [$($rule),*] as [&str; _]);
            })+
        };
    }

    caught! {
        no_fault: [];
        short_header: ["ndis-header"];
        other_type: ["ndis-header"];
        unknown_flags: ["ndis-register"];
        no_send_handler: ["ndis-register"];
        half_a_pair: ["ndis-register"];
        handler_in_data: ["ndis-register"];
        registered_twice: ["ndis-register"];
        kept_registration: ["ndis-deregister"];
        deregistered_twice: ["ndis-deregister"];
        pool_without_tag: ["ndis-pool"];
        odd_context: ["ndis-pool"];
        pool_left: ["ndis-halt-leak"];
        list_left_in_pool: ["ndis-pool", "ndis-halt-leak"];
        list_freed_twice: ["ndis-free"];
    }
}

#[test]
fn a_parallel_run_ends_although_driver_code_loops() {
    let source = driver_builder::sources().join("wrong/driver.rs");
    let image = driver_builder::build(&source, &["endless_loop"]);
    let mut harness = Harness::builder()
        .cpus(2)
        .parallel(true)
        .ram(64 << 20)
        .build()
        .expect("memory");
    let driver = harness.load_driver(&image, "wrong").expect("loads");
    assert!(harness.call_driver_entry(driver).is_err());
    let found = harness.violations();
    let ids: Vec<&str> = found.iter().map(|found| found.rule.id).collect();
    assert_eq!(ids, ["run-away"], "{found:#?}");
    let place = &found[0].detail;
    assert!(place.contains("wrong-"), "no place in {place:?}");
}

#[test]
fn calls_through_the_guard_reach_only_functions() {
    let source = driver_builder::sources().join("guarded/driver.rs");
    for (flags, expected) in [
        (&["guarded"][..], &[][..]),
        (&["guarded", "stray_call"][..], &["guard-cf"][..]),
    ] {
        let image = driver_builder::build(&source, flags);
        let mut harness = Harness::builder().ram(64 << 20).build().expect("memory");
        let driver = harness.load_driver(&image, "guarded").expect("loads");
        let status = harness.call_driver_entry(driver);
        assert_eq!(
            status.is_ok(),
            expected.is_empty(),
            "{:#?}",
            harness.violations()
        );
        let ids: Vec<&str> = harness
            .violations()
            .iter()
            .map(|found| found.rule.id)
            .collect();
        assert_eq!(ids, expected);
        let log: Vec<String> = harness.log().into_iter().map(|line| line.text).collect();
        assert_eq!(log, ["cookie replaced 1, sum 42"]);
    }
}

#[test]
fn every_missing_import_is_listed_with_its_driver() {
    let source = std::env::temp_dir().join(format!("missing-{}", std::process::id()));
    std::fs::create_dir_all(&source).expect("a temporary directory");
    let file = source.join("driver.rs");
    let text = r#"
#![no_std]
#[link(name = "ntoskrnl.exe", kind = "raw-dylib", modifiers = "+verbatim")]
unsafe extern "system" { fn KeNoSuchFunction(); fn ExAllocatePool2(); }
#[unsafe(no_mangle)]
extern "system" fn DriverEntry() -> i32 { unsafe { KeNoSuchFunction(); ExAllocatePool2() }; 0 }
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! { loop {} }
"#;
    std::fs::write(&file, text).expect("a temporary file");
    let image = driver_builder::build(&file, &[]);
    let mut harness = Harness::builder().ram(64 << 20).build().expect("memory");
    match harness.load_driver(&image, "missing") {
        Err(LoadError::Missing { driver, mut names }) => {
            names.sort();
            assert!(driver.starts_with("missing-"), "{driver}");
            assert_eq!(
                names,
                [
                    "ntoskrnl.exe!ExAllocatePool2",
                    "ntoskrnl.exe!KeNoSuchFunction"
                ]
            );
        }
        other => panic!("{other:?}"),
    }
    std::fs::remove_dir_all(&source).expect("the temporary directory");
}
