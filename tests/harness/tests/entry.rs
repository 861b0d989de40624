//! The thinnest slice: load an image, run its entry point, see what it said.

use std::path::PathBuf;

use harness::Harness;

/// Where `cargo xtask build` leaves the drivers.
fn package(name: &str) -> Option<PathBuf> {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..");
    let directory = std::env::var_os("DRIVER_PACKAGE")
        .map_or_else(|| root.join("target/package"), PathBuf::from);
    let path = directory.join(name);
    path.is_file().then_some(path)
}

#[test]
fn driver_entry_of_xenbus_runs() {
    let path = package("xenbus.sys").expect("`cargo xtask build` has been run");
    let mut machine = Harness::builder().cpus(2).seed(7).build().expect("memory");
    let driver = machine.load_driver(&path, "xenbus").expect("loads");
    let status = machine.call_driver_entry(driver);
    println!(
        "status {status:?}, log {:?}, violations {:?}",
        machine.log(),
        machine.violations()
    );
    assert!(status.is_ok());
}
