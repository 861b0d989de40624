//! Rules of IRPs, plug and play and device objects, each broken by one variant of the correct driver.

use harness::{Harness, RootDevice, Stop};

/// Runs a device's life as far as it goes.
fn live(harness: &mut Harness, which: &str) -> Result<(), Stop> {
    let image = driver_builder::hello_with(&[which]);
    let driver = harness.load_driver(&image, "wrong").expect("loads");
    let device = harness.add_root_device(RootDevice::xen_platform())?;
    harness.call_driver_entry(driver)?;
    harness.attach(device, driver)?;
    harness.start_device(device)?;
    let children = harness.enumerate(device)?.arrived;
    harness.enumerate(device)?;
    harness.set_system_power(device, 4, true)?;
    for child in children {
        harness.remove_device(child)?;
    }
    harness.surprise_remove(device)?;
    harness.remove_device(device)?;
    harness.unload_driver(driver)?;
    Ok(())
}

fn broken_by(which: &str) -> Vec<&'static str> {
    let mut harness = Harness::builder()
        .cpus(2)
        .seed(3)
        .ram(64 << 20)
        .build()
        .expect("memory");
    let _ = live(&mut harness, which);
    println!("{which}: {:#?}", harness.violations());
    let mut ids: Vec<&str> = harness
        .violations()
        .iter()
        .map(|violation| violation.rule.id)
        .collect();
    ids.dedup();
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
    initializing: ["device"];
    leak_interrupt: ["leak"];
    unreferenced_child: ["pnp"];
    complete_twice: ["irp-completion"];
    wrong_status: ["irp-status"];
    swallow: ["irp-status", "hang"];
    stays_attached: ["device", "leak"];
    nonpaged_answer: ["pnp"];
    bad_instance: ["pnp-id"];
    bad_device_id: ["pnp-id"];
    unmarked_pending: ["irp-pending"];
}
