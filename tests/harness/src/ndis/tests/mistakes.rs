//! Each rule of the contract, broken by a miniport that is right otherwise.

use alloc::string::String;
use alloc::string::ToString;
use alloc::vec;
use alloc::vec::Vec;
use ndis_sys as sys;

use super::fake::{ADDRESS, Fake};
use super::script;
use crate::ndis::contract;
use crate::ndis::power::DeviceState;
use crate::ndis::protocol::{ReceivePolicy, SendOptions};
use crate::ndis::{Frame, Layout, OidRequest, SendList};
use crate::pnp::{DeviceId, actions, root};
use crate::rules::Rule;
use crate::{Harness, RootDevice, SECOND, Stop};

/// What the fake miniport does wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mistake {
    Nothing,
    OldCharacteristics,
    HandlerMissing,
    NotDeregistered,
    DispatchReplaced,
    OptionsOutside,
    GeneralFirst,
    MtuZero,
    PauseFails,
    IndicatedPaused,
    PauseTwice,
    PauseNever,
    PausedBusy,
    MdlLeaked,
    ConfigurationOpen,
    OidTwice,
    OidNever,
    PowerFails,
    OidCounts,
    OidBeyond,
    RevisionUnset,
    ConfigUntold,
    SendTwice,
    SendNever,
    SendLinks,
    SendData,
    StatusUnset,
    LsoKept,
    FlagWrong,
    LockHeld,
    CountWrong,
    IndicatedTwice,
    FrameLong,
    OobLeft,
    FilterZero,
    PoolFirst,
    FreedIndicated,
    FreedTwice,
    DataAlignment,
    StatusSource,
    StatusHalting,
    StatusHalted,
    MtuShort,
    MtuTiny,
    MtuKept,
    TimerSet,
    WorkFreed,
    LinkKept,
    ErrorCode,
    MemoryUntagged,
    HandleWrong,
}

/// Each mistake and the rule that must catch it.
const CASES: &[(Mistake, &Rule)] = &[
    (Mistake::OldCharacteristics, &contract::HEADER),
    (Mistake::HandlerMissing, &contract::REGISTER),
    (Mistake::NotDeregistered, &contract::DEREGISTER),
    (Mistake::DispatchReplaced, &contract::DRIVER_OBJECT),
    (Mistake::OptionsOutside, &contract::OPTIONS),
    (Mistake::GeneralFirst, &contract::ATTRIBUTE_ORDER),
    (Mistake::MtuZero, &contract::ATTRIBUTE_VALUE),
    (Mistake::PauseFails, &contract::RETURN),
    (Mistake::IndicatedPaused, &contract::STATE),
    (Mistake::PauseTwice, &contract::STATE_COMPLETE),
    (Mistake::PauseNever, &contract::STATE_TIME),
    (Mistake::PausedBusy, &contract::OUTSTANDING),
    (Mistake::MdlLeaked, &contract::HALT_LEAK),
    (Mistake::ConfigurationOpen, &contract::CONFIGURATION),
    (Mistake::OidTwice, &contract::OID_DOUBLE),
    (Mistake::OidNever, &contract::OID_TIME),
    (Mistake::PowerFails, &contract::OID_STATUS),
    (Mistake::OidCounts, &contract::OID_COUNTS),
    (Mistake::OidBeyond, &contract::OID_BUFFER),
    (Mistake::RevisionUnset, &contract::OID_REVISION),
    (Mistake::ConfigUntold, &contract::OID_FOLLOWS),
    (Mistake::SendTwice, &contract::SEND_DOUBLE),
    (Mistake::SendNever, &contract::SEND_HANG),
    (Mistake::SendLinks, &contract::SEND_LINKS),
    (Mistake::SendData, &contract::SEND_DATA),
    (Mistake::StatusUnset, &contract::SEND_STATUS),
    (Mistake::LsoKept, &contract::SEND_LSO),
    (Mistake::FlagWrong, &contract::FLAG_IRQL),
    (Mistake::LockHeld, &contract::LOCK_HELD),
    (Mistake::CountWrong, &contract::RECEIVE_CHAIN),
    (Mistake::IndicatedTwice, &contract::RECEIVE_OWNER),
    (Mistake::FrameLong, &contract::RECEIVE_LENGTH),
    (Mistake::OobLeft, &contract::RECEIVE_OOB),
    (Mistake::FilterZero, &contract::RECEIVE_FILTER),
    (Mistake::PoolFirst, &contract::POOL),
    (Mistake::FreedIndicated, &contract::FREE),
    (Mistake::FreedTwice, &contract::FREE),
    (Mistake::DataAlignment, &contract::DATA),
    (Mistake::StatusSource, &contract::STATUS),
    (Mistake::StatusHalting, &contract::STATUS),
    (Mistake::StatusHalted, &contract::STATUS_STATE),
    (Mistake::MtuShort, &contract::STATUS),
    (Mistake::MtuTiny, &contract::STATUS),
    (Mistake::MtuKept, &contract::STATUS),
    (Mistake::TimerSet, &contract::TIMER),
    (Mistake::WorkFreed, &contract::WORK_ITEM),
    (Mistake::LinkKept, &contract::POWER),
    (Mistake::ErrorCode, &contract::ERROR_LOG),
    (Mistake::MemoryUntagged, &contract::MEMORY),
    (Mistake::HandleWrong, &contract::HANDLE),
];

/// A machine with the fake miniport loaded and attached to a device of the root bus.
pub(super) struct Bench {
    pub(super) harness: Harness,
    pub(super) fake: &'static Fake,
    pub(super) driver: crate::io::driver_object::Driver,
    pub(super) device: DeviceId,
    /// Status of `DriverEntry`, or of `AddDevice` if that failed.
    pub(super) status: i32,
}

pub(super) fn bench(mistake: Mistake, seed: u64) -> Result<Bench, Stop> {
    let harness = Harness::builder()
        .cpus(2)
        .seed(seed)
        .ram(256 << 20)
        .build()
        .expect("memory");
    let fake = Fake::new(mistake, 85);
    let (driver, device, status) = harness.on_thread(move || {
        let driver = fake.load();
        let device = root::add(RootDevice::default());
        let mut status = crate::io::driver_object::enter(&driver);
        if status == 0 {
            status = actions::attach(device, &driver);
        }
        (driver, DeviceId(device), status)
    })?;
    Ok(Bench {
        harness,
        fake,
        driver,
        device,
        status,
    })
}

pub(super) fn frame(len: usize) -> Frame {
    let mut bytes = vec![0x5A; len];
    bytes[..6].copy_from_slice(&ADDRESS);
    bytes[12..14].copy_from_slice(&[0x88, 0xB5]);
    Frame::new(bytes)
}

impl Bench {
    pub(super) fn start(&self) -> Result<i32, Stop> {
        let device = self.device.object();
        self.harness.on_thread(move || actions::start(device))
    }

    pub(super) fn remove(&self) -> Result<(), Stop> {
        let device = self.device.object();
        self.harness.on_thread(move || {
            actions::query_remove(device);
            actions::remove(device);
        })
    }

    pub(super) fn unload(&self) -> Result<(), Stop> {
        let driver = self.driver.clone();
        self.harness
            .on_thread(move || crate::io::driver_object::unload(&driver))?;
        Ok(())
    }

    /// Runs everything a miniport meets in a life.
    fn live(&self) -> Result<(), Stop> {
        if self.status != 0 || self.start()? != 0 {
            return self.unload();
        }
        let protocol = self.harness.protocol_of(self.device).expect("attached");
        if self.fake.does(Mistake::FreedIndicated) || self.fake.does(Mistake::IndicatedTwice) {
            protocol.set_receive_policy(ReceivePolicy::Hold);
        }
        for round in 0..6 {
            let mut large = SendList::one(Frame {
                layout: Layout::Whole,
                ..frame(900)
            });
            large = large.with_info(sys::TcpLargeSendNetBufferListInfo, (1 << 30) + 500);
            let several = SendList {
                frames: vec![frame(60), frame(1514)],
                info: Vec::new(),
            };
            let options = SendOptions {
                dispatch: Some(round % 2 == 1),
                ..SendOptions::default()
            };
            protocol.send(vec![SendList::one(frame(100)), several, large], options)?;
            self.harness.run_until_idle()?;
        }
        for room in [0, 2, 4, 6, 8, 20] {
            protocol.query(sys::OID_GEN_VENDOR_ID, room)?;
            protocol.query(sys::OID_GEN_XMIT_OK, room)?;
        }
        protocol.oid(OidRequest::set(
            sys::OID_TCP_OFFLOAD_PARAMETERS,
            vec![0; 34],
        ))?;
        let seconds = if self.fake.does(Mistake::PausedBusy) {
            1
        } else {
            40
        };
        self.harness.advance_time(seconds * SECOND)?;
        if self.fake.does(Mistake::FilterZero) {
            protocol.set_filter(0)?;
            self.will()?;
        }
        protocol.set_power(DeviceState::D3)?;
        protocol.set_power(DeviceState::D0)?;
        protocol.pause()?;
        if self.fake.does(Mistake::IndicatedPaused) {
            self.will()?;
        }
        protocol.restart()?;
        let device = self.device.object();
        self.harness.on_thread(move || {
            actions::query_stop(device);
            actions::stop(device);
        })?;
        if self.fake.does(Mistake::StatusHalted) {
            self.will()?;
        }
        self.start()?;
        self.remove()?;
        self.unload()
    }

    fn will(&self) -> Result<(), Stop> {
        let fake = self.fake;
        self.harness.on_thread(move || script::at_will(fake))
    }
}

#[test]
fn each_mistake_is_caught_by_its_rule() {
    for (index, (mistake, rule)) in CASES.iter().enumerate() {
        let bench = bench(*mistake, index as u64 + 1);
        let Ok(bench) = bench else {
            panic!("{mistake:?}: DriverEntry did not return")
        };
        let ended = bench.live();
        let found = bench.harness.take_violations();
        let list: Vec<String> = found.iter().map(ToString::to_string).collect();
        assert!(!found.is_empty(), "{mistake:?} is not caught ({ended:?})");
        assert_eq!(
            found[0].rule.id,
            rule.id,
            "{mistake:?}:\n{}",
            list.join("\n")
        );
    }
}

#[test]
fn every_rule_is_proven_by_a_mistake() {
    // A late send is told after the hang that precedes it; the others are first.
    let after_another = [contract::SEND_TIME.id];
    for rule in contract::ALL {
        let proven =
            CASES.iter().any(|(_, by)| by.id == rule.id) || after_another.contains(&rule.id);
        assert!(proven, "{} is broken by no mistake here", rule.id);
    }
}

#[test]
fn a_send_that_never_ends_is_told_as_hang_and_as_late() {
    let bench = bench(Mistake::SendNever, 3).expect("loads");
    let _ = bench.live();
    let ids: Vec<&str> = bench
        .harness
        .take_violations()
        .iter()
        .map(|found| found.rule.id)
        .collect();
    assert!(
        ids.contains(&"ndis-send-hang") && ids.contains(&"ndis-send-time"),
        "{ids:?}"
    );
}

#[test]
fn a_right_miniport_lives_through_everything_without_a_violation() {
    for seed in 0..40 {
        let bench = bench(Mistake::Nothing, seed).expect("loads");
        bench.live().expect("lives");
        bench.harness.assert_clean();
    }
}
