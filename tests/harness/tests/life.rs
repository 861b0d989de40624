//! A whole life of a driver that keeps the rules: load, start, interrupts, timers, child, removal, unload.

use harness::{
    Bare, DeviceId, DriverId, FaultPlan, Harness, Hypercall, LINE_VECTOR, Platform, RootDevice,
    SECOND,
};
use std::sync::Arc;

#[derive(Debug, Default)]
struct Machine(Bare);

impl Platform for Machine {
    fn cpuid(&self, cpu: u32, leaf: u32, subleaf: u32) -> [u32; 4] {
        if leaf == 0x4000_0000 {
            [leaf + 2, 0x566E_6558, 0, 0]
        } else {
            self.0.cpuid(cpu, leaf, subleaf)
        }
    }
    fn port_in(&self, cpu: u32, port: u16, width: u8) -> u32 {
        self.0.port_in(cpu, port, width)
    }
    fn port_out(&self, _cpu: u32, _port: u16, _width: u8, _value: u32) {}
    fn rdmsr(&self, _cpu: u32, _msr: u32) -> Option<u64> {
        None
    }
    fn wrmsr(&self, _cpu: u32, _msr: u32, _value: u64) -> Option<()> {
        None
    }
    fn hypercall(&self, _cpu: u32, call: Hypercall) -> u64 {
        call.number * 100 + call.arguments.iter().sum::<u64>()
    }
}

fn machine(seed: u64, cpus: u32) -> (Harness, DriverId, DeviceId) {
    let platform = Arc::new(Machine::default());
    let mut harness = Harness::builder()
        .cpus(cpus)
        .seed(seed)
        .platform(platform)
        .build()
        .expect("memory");
    let driver = harness
        .load_driver(&driver_builder::hello(), "hello")
        .expect("loads");
    let device = harness
        .add_root_device(RootDevice::xen_platform())
        .expect("runs");
    (harness, driver, device)
}

fn live(seed: u64, cpus: u32) -> u64 {
    let (mut harness, driver, device) = machine(seed, cpus);
    assert_eq!(harness.call_driver_entry(driver), Ok(0));
    assert_eq!(harness.attach(device, driver), Ok(0));
    assert_eq!(
        harness.start_device(device),
        Ok(0),
        "{:?}",
        harness.violations()
    );
    let changes = harness.enumerate(device).expect("runs");
    assert_eq!(changes.arrived.len(), 1);
    let child = changes.arrived[0];
    let identity = harness.identity(child);
    assert_eq!(identity.hardware, ["HELLO\\CHILD_REV1", "HELLO\\CHILD"]);
    assert_eq!(harness.start_device(child), Ok(0));
    for cpu in 0..cpus {
        harness.machine().raise_interrupt(cpu, LINE_VECTOR);
        harness.run_until_idle().expect("runs");
    }
    harness.advance_time(5 * SECOND + SECOND / 2).expect("runs");
    assert!(harness.enumerate(device).expect("runs").arrived.is_empty());
    assert_eq!(
        harness.set_system_power(device, 4, true),
        Ok(0),
        "{:#?}",
        harness.violations()
    );
    assert_eq!(harness.set_system_power(device, 1, false), Ok(0));
    assert_eq!(
        harness.query_remove(child),
        Ok(0),
        "{:#?}",
        harness.violations()
    );
    assert_eq!(harness.remove_device(child), Ok(0));
    assert_eq!(harness.query_remove(device), Ok(0));
    assert_eq!(
        harness.remove_device(device),
        Ok(0),
        "{:#?}",
        harness.violations()
    );
    assert_eq!(harness.unload_driver(driver), Ok(true));
    harness.assert_clean();
    let log: Vec<String> = harness.log().into_iter().map(|line| line.text).collect();
    let has = |text: &str| {
        assert!(
            log.iter().any(|line| line == text),
            "{text:?} is missing in {log:#?}"
        );
    };
    has(
        "hello from \\Registry\\Machine\\System\\CurrentControlSet\\Services\\hello, text 0000beef",
    );
    has("memory of 16777216 bytes");
    has("hypervisor 566e6558");
    has("hypercall 1715");
    has(&format!("worker sees {cpus} DPCs"));
    has("device state 4");
    has("device state 1");
    has("ticks 5");
    has("unload 0");
    harness.trace_hash()
}

#[test]
fn a_correct_driver_lives_without_violations() {
    live(1, 1);
    live(2, 4);
}

#[test]
fn one_seed_gives_one_trace_and_another_seed_another() {
    let first = live(42, 4);
    assert_eq!(first, live(42, 4));
    assert_ne!(first, live(43, 4));
}

#[test]
fn many_seeds_pass() {
    for seed in 100..140 {
        live(seed, 3);
    }
}

#[test]
fn message_interrupts_asked_for_by_a_filter_reach_their_processors() {
    let mut harness = Harness::builder().cpus(2).seed(11).build().expect("memory");
    let driver = harness
        .load_driver(&driver_builder::hello_with(&["messages"]), "hello")
        .expect("loads");
    let device = harness
        .add_root_device(RootDevice::xen_platform())
        .expect("runs");
    assert_eq!(harness.call_driver_entry(driver), Ok(0));
    assert_eq!(harness.attach(device, driver), Ok(0));
    assert_eq!(
        harness.start_device(device),
        Ok(0),
        "{:#?}",
        harness.violations()
    );
    let vectors: Vec<u32> = harness
        .log()
        .iter()
        .filter_map(|line| line.text.strip_prefix("message vector ")?.parse().ok())
        .collect();
    assert_eq!(vectors.len(), 2);
    for (cpu, vector) in (0..).zip(&vectors) {
        harness.machine().raise_interrupt(cpu, *vector);
        harness.run_until_idle().expect("runs");
    }
    assert!(
        harness
            .log()
            .iter()
            .any(|line| line.text == "worker sees 2 DPCs")
    );
    harness.machine().raise_interrupt(0, 0xEE);
    harness.run_until_idle().expect("runs");
    assert_eq!(harness.unclaimed_interrupts(), [0xEE]);
    assert_eq!(harness.query_stop(device), Ok(0));
    assert_eq!(harness.stop_device(device), Ok(0));
    assert_eq!(harness.start_device(device), Ok(0));
    assert_eq!(harness.surprise_remove(device), Ok(0));
    assert_eq!(harness.remove_device(device), Ok(0));
    assert_eq!(harness.unload_driver(driver), Ok(true));
    harness.assert_clean();
}

#[test]
fn surprise_removal_after_a_start_is_clean() {
    let (mut harness, driver, device) = machine(9, 2);
    assert_eq!(harness.call_driver_entry(driver), Ok(0));
    assert_eq!(harness.attach(device, driver), Ok(0));
    assert_eq!(harness.start_device(device), Ok(0));
    assert_eq!(harness.surprise_remove(device), Ok(0));
    assert_eq!(harness.remove_device(device), Ok(0));
    assert_eq!(harness.unload_driver(driver), Ok(true));
    harness.assert_clean();
}

#[test]
fn a_failing_device_creation_is_reported_by_the_driver() {
    let (mut harness, driver, device) = machine(5, 1);
    assert_eq!(harness.call_driver_entry(driver), Ok(0));
    harness.set_fault_plan(FaultPlan::Nth(0));
    assert!(harness.attach(device, driver).expect("runs") < 0);
    harness.set_fault_plan(FaultPlan::Nth(1));
    assert!(harness.attach(device, driver).expect("runs") < 0);
    assert_eq!(harness.faults_seen(), 2);
    harness.assert_clean();
}
