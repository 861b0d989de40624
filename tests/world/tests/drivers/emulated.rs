//! When the bus driver has the emulated network cards leave: over several starts of one system, of which each is
//! a world of its own that begins with the registry the last one left.

use harness::Value;
use netback_model::Preset;
use world::{Nobody, World};

/// Name of the record in the platform device's hardware key.
const RECORD: &str = "NetworkCardWorks";
/// What unplugging all network cards writes to the port.
const NICS: u16 = 2;

/// What stays of a system when it is off.
#[derive(Clone, Debug, Default)]
struct Disk {
    record: Option<Value>,
    /// `UnplugNetworkCards` of the bus driver's parameters.
    parameter: Option<Value>,
}

impl Disk {
    /// Starts the system up to its bus. Interfaces have no driver yet.
    fn start(&self, seed: u64) -> World {
        let mut world = World::builder().cpus(2).seed(seed).build();
        if let Some(value) = &self.parameter {
            world.set_bus_parameter("UnplugNetworkCards", value.clone());
        }
        world.add_vif(World::vif_config(Preset::Linux, 0), Nobody::default());
        world.enter_drivers();
        world.plug_bus();
        if let Some(record) = &self.record {
            let key = hardware_key(&world);
            world.harness().set_registry(&key, RECORD, record.clone());
        }
        world
    }

    /// Starts the system, its network card with it.
    fn boot(&self, seed: u64) -> World {
        let mut world = self.start(seed);
        world.start_bus();
        world.wait_connected(0);
        world.settle();
        world
    }

    /// The system goes off: nothing is removed, as Windows does it.
    fn after(&self, world: &World) -> Self {
        Self {
            record: world.harness().registry(&hardware_key(world), RECORD),
            ..self.clone()
        }
    }
}

fn hardware_key(world: &World) -> String {
    let key = world.harness().device_key(world.bus(), false);
    key.expect("the key's name is known")
}

fn unplugged(world: &World) -> bool {
    let mask = world.xen(|xen| xen.machine.unplug().mask);
    assert!(
        mask & !NICS == 0,
        "disks are no business of ours: {mask:#x}"
    );
    mask == NICS
}

fn end(mut world: World) {
    world.tear_down();
    world.assert_nothing_left();
}

#[test]
fn the_first_session_keeps_the_emulated_card_and_the_next_does_not() {
    let mut disk = Disk::default();
    for (seed, unplugs) in [(300, false), (301, true), (302, true)] {
        let world = disk.boot(seed);
        assert_eq!(unplugged(&world), unplugs, "{}", world.story());
        disk = disk.after(&world);
        assert_eq!(disk.record, Some(Value::dword(1)), "{}", world.story());
        end(world);
    }
}

#[test]
fn a_bus_without_a_card_that_works_unplugs_nothing() {
    let mut disk = Disk::default();
    for seed in 305..307 {
        // No driver for the interface is installed: the device is there, and nobody starts it.
        let mut world = disk.start(seed);
        assert!(world.try_start_bus() >= 0);
        let passed = world.harness().advance_time(harness::SECOND);
        assert!(passed.is_ok(), "{passed:?}");
        assert!(!unplugged(&world), "{}", world.story());
        disk = disk.after(&world);
        assert_eq!(disk.record, None, "{}", world.story());
        end(world);
    }
}

#[test]
fn removing_the_last_card_brings_the_emulated_one_back() {
    let removals: [fn(&mut World); 2] = [
        // "Uninstall" and "Disable" look the same from below.
        |world| world.disable_interface(world.interfaces()[0]),
        |world| world.surprise_remove_interface(world.interfaces()[0]),
    ];
    for (seed, remove) in (310..).step_by(10).zip(removals) {
        let disk = Disk::default();
        let world = disk.boot(seed);
        let disk = disk.after(&world);
        end(world);

        let mut world = disk.boot(seed + 1);
        assert!(unplugged(&world), "{}", world.story());
        remove(&mut world);
        let disk = disk.after(&world);
        assert_eq!(disk.record, Some(Value::dword(0)), "{}", world.story());
        end(world);

        let world = disk.boot(seed + 2);
        assert!(!unplugged(&world), "{}", world.story());
        end(world);
    }
}

#[test]
fn a_card_that_is_enabled_again_counts_again() {
    let disk = Disk::default();
    let mut world = disk.boot(330);
    let device = world.interfaces()[0];
    world.disable_interface(device);
    world.enable_interface(device);
    world.wait_connected(0);
    world.settle();
    assert_eq!(disk.after(&world).record, Some(Value::dword(1)));
    end(world);
}

#[test]
fn a_card_that_does_not_come_up_is_given_one_session() {
    let disk = Disk::default();
    let world = disk.boot(340);
    let disk = disk.after(&world);
    end(world);

    // The driver package was removed while the system was off, or the system hung at its start.
    let mut world = disk.start(341);
    assert!(world.try_start_bus() >= 0);
    assert!(unplugged(&world), "{}", world.story());
    let disk = disk.after(&world);
    assert_eq!(disk.record, Some(Value::dword(0)), "{}", world.story());
    end(world);

    let world = disk.boot(342);
    assert!(!unplugged(&world), "{}", world.story());
    end(world);
}

#[test]
fn removing_the_bus_brings_the_emulated_card_back() {
    let disk = Disk::default();
    let world = disk.boot(350);
    let disk = disk.after(&world);
    end(world);
    let mut world = disk.boot(351);
    let key = hardware_key(&world);
    // Its children go first; the key itself goes with an uninstallation.
    world.tear_down();
    let record = world.harness().registry(&key, RECORD);
    assert_eq!(record, Some(Value::dword(0)), "{}", world.story());
    world.assert_nothing_left();
}

#[test]
fn new_resources_change_nothing() {
    // A card worked in this session, and its emulated twin may be in use: not to be torn out now.
    let mut world = Disk::default().start(360);
    assert!(world.try_start_bus() >= 0);
    let key = hardware_key(&world);
    let works = Value::dword(1);
    world.harness().set_registry(&key, RECORD, works.clone());
    world.rebalance_bus();
    world.wait_connected(0);
    assert!(!unplugged(&world), "{}", world.story());
    assert_eq!(world.harness().registry(&key, RECORD), Some(works));
    end(world);
}

#[test]
fn the_parameter_overrides_the_record() {
    for (parameter, record, unplugs) in [
        (Value::dword(0), Some(Value::dword(1)), false),
        (Value::dword(1), None, true),
        // Without sense: as if there were none.
        (Value::dword(7), None, false),
        (Value::dword(7), Some(Value::dword(1)), true),
        (Value::text("1"), None, false),
        (Value::text("0"), Some(Value::dword(1)), true),
    ] {
        let disk = Disk {
            record,
            parameter: Some(parameter),
        };
        let world = disk.boot(370);
        assert_eq!(unplugged(&world), unplugs, "{disk:?}\n{}", world.story());
        end(world);
    }
}

#[test]
fn a_record_without_sense_is_none() {
    for record in [
        Value::dword(2),
        Value::dword(u32::MAX),
        Value::text("1"),
        Value {
            kind: 4,
            data: vec![1],
        },
        Value {
            kind: 3,
            data: vec![1; 4000],
        },
    ] {
        let disk = Disk {
            record: Some(record),
            ..Disk::default()
        };
        let world = disk.boot(380);
        assert!(!unplugged(&world), "{disk:?}\n{}", world.story());
        // The card works now, and says so over whatever was there.
        assert_eq!(disk.after(&world).record, Some(Value::dword(1)));
        end(world);
    }
}
