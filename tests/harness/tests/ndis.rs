//! The shipped netfront.sys under the simulated NDIS. Needs `cargo xtask build`; `NETFRONT_PACKAGE_DIR` names another
//! directory than `target/package`.

use std::path::PathBuf;

use harness::{DriverId, FaultPlan, Harness, RootDevice};

fn netfront() -> PathBuf {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../target/package");
    let package = std::env::var_os("NETFRONT_PACKAGE_DIR").map_or(root, PathBuf::from);
    let path = package.join("netfront.sys");
    assert!(
        path.is_file(),
        "{}: run `cargo xtask build` first",
        path.display()
    );
    path
}

fn machine(seed: u64) -> Harness {
    Harness::builder()
        .cpus(2)
        .seed(seed)
        .ram(256 << 20)
        .build()
        .expect("memory")
}

fn loaded(seed: u64, minor: u8) -> (Harness, DriverId) {
    let mut machine = machine(seed);
    machine.set_ndis_version(minor);
    let driver = machine
        .load_driver(&netfront(), "netfront")
        .expect("every import is exported");
    (machine, driver)
}

#[test]
fn netfront_registers_with_every_ndis_version_and_unloads() {
    for minor in 82..=89 {
        let (mut machine, driver) = loaded(u64::from(minor), minor);
        assert_eq!(
            machine.call_driver_entry(driver),
            Ok(0),
            "NDIS 6.{minor}: {:?}",
            machine.log()
        );
        assert_eq!(machine.unload_driver(driver), Ok(true));
        machine.assert_clean();
    }
}

/// The device below is no vif: there is no interface to its bus. The driver must say so and leave nothing behind.
#[test]
fn netfront_above_a_device_that_is_no_vif_fails_to_start_and_can_be_removed() {
    for seed in 0..20 {
        let (mut machine, driver) = loaded(seed, 85);
        assert_eq!(machine.call_driver_entry(driver), Ok(0));
        let device = machine
            .add_root_device(RootDevice::default())
            .expect("added");
        assert_eq!(machine.attach(device, driver), Ok(0));
        let status = machine.start_device(device).expect("returns");
        assert!(status < 0, "started with {status:#x}");
        assert!(!machine.error_log().is_empty(), "no entry in the event log");
        machine.remove_device(device).expect("removed");
        assert!(machine.adapters().is_empty());
        assert_eq!(machine.unload_driver(driver), Ok(true));
        machine.assert_clean();
    }
}

#[test]
fn netfront_unwinds_whatever_import_fails_while_it_registers_and_starts() {
    let mut failed = 0;
    for nth in 0..200 {
        let (mut machine, driver) = loaded(7, 89);
        machine.set_fault_plan(FaultPlan::Nth(nth));
        let status = machine.call_driver_entry(driver).expect("returns");
        let mut seen = machine.faults_seen();
        if status == 0 {
            let device = machine
                .add_root_device(RootDevice::default())
                .expect("added");
            if machine.attach(device, driver) == Ok(0) {
                let _ = machine.start_device(device).expect("returns");
            }
            seen = machine.faults_seen();
            machine.set_fault_plan(FaultPlan::None);
            machine.remove_device(device).expect("removed");
            assert_eq!(machine.unload_driver(driver), Ok(true));
        }
        machine.assert_clean();
        if seen <= nth {
            break;
        }
        failed += 1;
    }
    println!("{failed} calls failed, one at a time");
    assert!(
        failed >= 3,
        "registration, and at least two allocations of the start"
    );
}
