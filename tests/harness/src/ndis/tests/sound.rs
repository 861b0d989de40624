//! What the protocol side offers, shown with a miniport that is right.

use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;
use ndis_sys as sys;

use super::fake::ADDRESS;
use super::mistakes::{Bench, Mistake, bench, frame};
use crate::ndis::protocol::{Protocol, ReceivePolicy, SendOptions};
use crate::ndis::state::State;
use crate::ndis::{Frame, Layout, OidRequest, SendList};
use crate::{SECOND, Value};

fn started(seed: u64) -> Bench {
    let bench = bench(Mistake::Nothing, seed).expect("loads");
    assert_eq!(bench.start(), Ok(0));
    bench
}

fn protocol(bench: &Bench) -> Protocol<'_> {
    bench.harness.protocol_of(bench.device).expect("attached")
}

#[test]
fn frames_of_any_layout_arrive_as_they_were_sent() {
    let bench = started(11);
    let protocol = protocol(&bench);
    protocol.set_receive_policy(ReceivePolicy::Inside);
    let mut sent = Vec::new();
    for round in 0..60_usize {
        let mut one = frame(60 + round * 23);
        for (index, byte) in one.bytes.iter_mut().enumerate().skip(14) {
            *byte = u8::try_from(index % 251).expect("small") ^ u8::try_from(round).expect("small");
        }
        one.unmapped = round % 5 == 0;
        if round % 7 == 0 {
            one.layout = Layout::Pieces(vec![14, 0, 1, 0, 3]);
        }
        sent.push(one.bytes.clone());
        let ids = protocol
            .send(vec![SendList::one(one)], SendOptions::default())
            .expect("sends");
        bench.harness.run_until_idle().expect("runs");
        let done = protocol.take_sent();
        assert_eq!(done.iter().map(|sent| sent.id).collect::<Vec<_>>(), ids);
        assert!(done.iter().all(|sent| sent.is_success() && !sent.by_ndis));
    }
    let received: Vec<Vec<u8>> = protocol
        .take_received()
        .into_iter()
        .map(|frame| frame.bytes)
        .collect();
    assert_eq!(received, sent);
    let counters = protocol.counters();
    assert_eq!((counters.sent_frames, counters.received_frames), (60, 60));
    bench.harness.assert_clean();
}

#[test]
fn held_lists_keep_a_pause_pending_until_they_are_returned() {
    let bench = started(5);
    let protocol = protocol(&bench);
    protocol.set_receive_policy(ReceivePolicy::Hold);
    while protocol.receives_outstanding() < 3 {
        protocol
            .send(vec![SendList::one(frame(64))], SendOptions::default())
            .expect("sends");
    }
    assert_eq!(
        protocol.peek_received().map(|frame| frame.bytes.len()),
        Some(64)
    );
    protocol.return_received(1).expect("returns");
    assert_eq!(protocol.receives_outstanding(), 2);
    // The pause gives back the other two by itself.
    protocol.pause().expect("pauses");
    assert_eq!(
        (protocol.state(), protocol.receives_outstanding()),
        (State::Paused, 0)
    );
    bench.harness.assert_clean();
}

#[test]
fn sends_to_a_paused_adapter_are_refused_by_ndis_itself() {
    let bench = started(6);
    let protocol = protocol(&bench);
    protocol.pause().expect("pauses");
    protocol
        .send(vec![SendList::one(frame(64))], SendOptions::default())
        .expect("refused");
    let done = protocol.take_sent();
    assert!(
        done.iter()
            .all(|sent| sent.by_ndis && sent.status == sys::NDIS_STATUS_PAUSED)
            && done.len() == 1
    );
    assert_eq!(protocol.restart(), Ok(true));
    bench.harness.assert_clean();
}

#[test]
fn a_pending_request_can_be_cancelled() {
    let mut cancelled = 0;
    for seed in 0..12 {
        let bench = started(seed);
        let protocol = protocol(&bench);
        let request = OidRequest {
            cancel_after: Some(50),
            ..OidRequest::query(sys::OID_GEN_VENDOR_ID, 4)
        };
        let result = protocol.oid(request).expect("ends");
        if result.status == sys::NDIS_STATUS_REQUEST_ABORTED {
            cancelled += 1;
        } else {
            assert_eq!(result.number(), Some(0x00FF_FFFF));
        }
        bench.harness.assert_clean();
    }
    assert!(cancelled > 0, "no seed made the request pend");
}

#[test]
fn keywords_reach_the_driver_and_reads_are_recorded() {
    let bench = bench(Mistake::Nothing, 2).expect("loads");
    protocol(&bench).set_keyword("*jumbopacket", Some(Value::text("9014")));
    assert_eq!(bench.start(), Ok(0));
    assert_eq!(*bench.fake.notes.lock(), ["*JumboPacket 9014"]);
    let reads = protocol(&bench).keyword_reads();
    assert!(
        reads.len() == 1 && reads[0].keyword == "*JumboPacket" && reads[0].found,
        "{reads:?}"
    );
    bench.harness.assert_clean();
}

#[test]
fn without_a_mandatory_keyword_the_driver_is_not_initialised() {
    let bench = bench(Mistake::Nothing, 2).expect("loads");
    protocol(&bench).set_keyword("*IfType", None);
    assert_eq!(bench.start(), Ok(sys::NDIS_STATUS_FAILURE));
    assert_eq!(bench.fake.handle(), 0);
    bench.harness.assert_clean();
}

#[test]
fn a_newer_version_than_the_systems_is_refused() {
    let bench = bench(Mistake::Nothing, 1).expect("loads");
    bench.harness.set_ndis_version(84);
    let newer = super::fake::Fake::new(Mistake::Nothing, 85);
    let status = bench
        .harness
        .on_thread(move || crate::io::driver_object::enter(&newer.load()));
    assert_eq!(status, Ok(sys::NDIS_STATUS_BAD_VERSION));
    bench.harness.assert_clean();
}

#[test]
fn the_same_seed_gives_the_same_run() {
    let hash = |seed| {
        let bench = started(seed);
        let protocol = protocol(&bench);
        for _ in 0..8 {
            let lists = (0..3)
                .map(|index| SendList::one(frame(60 + index * 100)))
                .collect();
            protocol.send(lists, SendOptions::default()).expect("sends");
        }
        bench.harness.advance_time(SECOND).expect("runs");
        bench.harness.trace_hash()
    };
    assert_eq!(hash(9), hash(9));
    assert_ne!(hash(9), hash(10));
}

#[test]
fn surprise_removal_halts_the_adapter_and_frees_everything() {
    let bench = started(8);
    let device = bench.device.object();
    protocol(&bench)
        .send(vec![SendList::one(frame(80))], SendOptions::default())
        .expect("sends");
    bench
        .harness
        .on_thread(move || {
            crate::pnp::actions::surprise_remove(device);
            crate::pnp::actions::remove(device);
        })
        .expect("removes");
    assert!(bench.harness.adapters().is_empty());
    bench.unload().expect("unloads");
    bench.harness.assert_clean();
}

#[test]
fn frames_to_others_are_delivered_as_the_driver_says() {
    let bench = started(4);
    let protocol = protocol(&bench);
    let mut other = frame(90);
    other.bytes[..6].copy_from_slice(&[2, 9, 9, 9, 9, 9]);
    protocol
        .send(
            vec![SendList::one(other), SendList::one(frame(91))],
            SendOptions::default(),
        )
        .expect("sends");
    bench.harness.run_until_idle().expect("runs");
    let mut lens: Vec<usize> = protocol
        .take_received()
        .iter()
        .map(|frame| frame.bytes.len())
        .collect();
    lens.sort_unstable();
    assert_eq!(lens, [90, 91]);
    assert_eq!(
        protocol
            .attributes()
            .general
            .map(|general| general.current_address),
        Some(ADDRESS)
    );
    let _ = Frame::new(vec![0; 60]).whole();
}

#[test]
fn every_function_that_the_binding_declares_is_exported_with_the_irql_it_names() {
    let binding = include_str!("../../../../../crates/ndis-sys/src/functions.rs");
    let mut text = String::new();
    let mut found = 0;
    for line in binding.lines().map(str::trim) {
        if let Some(comment) = line.strip_prefix("///") {
            text.push_str(comment);
            continue;
        }
        let name = line
            .strip_prefix("pub fn ")
            .and_then(|rest| rest.split('(').next());
        if let Some(name) = name {
            let all = crate::export::all();
            let export = all.iter().find(|export| export.name == name);
            let export = export.unwrap_or_else(|| panic!("{name} is not exported"));
            assert_eq!(export.module, crate::Module::Ndis, "{name}");
            let passive = text.contains("IRQL: `PASSIVE_LEVEL`");
            let below = text.contains("below `DISPATCH_LEVEL`");
            let highest = if passive { 0 } else { 2 - u8::from(below) };
            assert_eq!(export.irql.1, highest, "{name}: {text}");
            found += 1;
        }
        text.clear();
    }
    assert!(found > 45, "{found} functions found");
}

#[test]
fn a_pause_stays_pending_while_the_test_holds_a_list() {
    let bench = started(12);
    let protocol = protocol(&bench);
    protocol.set_receive_policy(ReceivePolicy::Hold);
    protocol.hold_through_pause(true);
    while protocol.receives_outstanding() == 0 {
        protocol
            .send(vec![SendList::one(frame(64))], SendOptions::default())
            .expect("sends");
    }
    protocol.start_pause().expect("starts");
    bench.harness.advance_time(5 * SECOND).expect("runs");
    assert_eq!(protocol.state(), State::Pausing);
    protocol.return_received(usize::MAX).expect("returns");
    bench
        .harness
        .run_until(SECOND, || protocol.state() == State::Paused)
        .expect("pauses");
    bench.harness.assert_clean();
}

#[test]
fn sends_requests_and_pauses_overlap_without_a_violation() {
    for seed in 0..60 {
        let bench = started(seed);
        let protocol = protocol(&bench);
        let mut expected = 0;
        for _ in 0..4 {
            for size in [60, 300, 1514] {
                let list = SendList {
                    frames: vec![frame(size), frame(99)],
                    info: Vec::new(),
                };
                protocol
                    .start_send(vec![list], SendOptions::default())
                    .expect("starts");
                expected += 1;
            }
            protocol.query(sys::OID_GEN_XMIT_OK, 8).expect("asks");
            protocol.pause().expect("pauses");
            assert_eq!(protocol.restart(), Ok(true), "seed {seed}");
        }
        bench.harness.advance_time(SECOND).expect("runs");
        assert_eq!(
            protocol.take_sent().len(),
            expected,
            "seed {seed}: every send ends once"
        );
        assert_eq!(
            (
                protocol.sends_outstanding(),
                protocol.receives_outstanding()
            ),
            (0, 0)
        );
        bench.remove().expect("removes");
        bench.unload().expect("unloads");
        bench.harness.assert_clean();
    }
}
