//! A daemon that does as it likes: the client latches, or goes on, but never panics and never writes out of place.
mod peer;

use std::sync::atomic::Ordering::SeqCst;

use peer::link::{Got, Link, client, own, path};
use peer::{Message, page};
use proptest::prelude::*;
use xenstore::client::{Corrupt, RequestError, SubmitError};
use xenstore::pump::{self, ReceiveError};
use xenstore::ring::{Kick, Leftovers, Ring, RingError};

#[test]
fn a_reply_longer_than_4096_bytes_latches_until_the_reset() {
    let mut link = Link::new();
    let read = link.client.read(None, path("a")).unwrap();
    let _ = pump::transmit(&link.page, &mut link.ring, &mut link.client).unwrap();
    link.peer.output.extend(
        Message {
            kind: 2,
            req_id: 1,
            tx_id: 0,
            payload: vec![0; 4097],
        }
        .bytes(),
    );
    link.peer.pump(&link.page);
    let corrupt = Corrupt::PayloadTooLong { len: 4097 };
    let received = pump::receive(&link.page, &mut link.ring, &mut link.client);
    assert_eq!(received, Err(ReceiveError::Stream(corrupt)));
    assert_eq!(link.client.take(), Err(corrupt));
    assert_eq!(link.client.latched(), Some(corrupt));
    assert_eq!(link.client.read(None, path("a")), Err(SubmitError::Closed));
    assert!(link.client.output().is_empty());
    assert!(link.client.input().is_empty());

    link.client.reset();
    let failed = link.client.take().unwrap().map(own);
    assert_eq!(
        failed,
        Some(Got::Reply(read, Err(RequestError::Disconnected)))
    );
    assert!(link.client.read(None, path("a")).is_ok());
}

#[test]
fn a_reply_of_the_wrong_type_latches_and_its_request_fails_at_the_reset() {
    let mut link = Link::new();
    link.peer.hold = true;
    let read = link.client.read(None, path("a")).unwrap();
    link.run();
    link.peer.send(&Message {
        kind: 11,
        req_id: 1,
        tx_id: 0,
        payload: vec![],
    });
    link.peer.pump(&link.page);
    let _ = pump::receive(&link.page, &mut link.ring, &mut link.client).unwrap();
    assert_eq!(
        link.client.take(),
        Err(Corrupt::WrongReplyType {
            expected: 2,
            got: 11
        })
    );
    link.client.reset();
    let failed = link.client.take().unwrap().map(own);
    assert_eq!(
        failed,
        Some(Got::Reply(read, Err(RequestError::Disconnected)))
    );
}

#[test]
fn a_watch_event_without_its_strings_latches() {
    let mut link = Link::new();
    link.peer.send(&Message {
        kind: 15,
        req_id: 0,
        tx_id: 0,
        payload: b"device".to_vec(),
    });
    link.peer.pump(&link.page);
    let _ = pump::receive(&link.page, &mut link.ring, &mut link.client).unwrap();
    assert_eq!(link.client.take(), Err(Corrupt::MalformedWatchEvent));
}

#[test]
fn a_second_reply_to_the_same_request_is_dropped() {
    let mut link = Link::new();
    link.client.read(None, path("a")).unwrap();
    assert_eq!(link.run().len(), 1);
    link.peer.send(&Message {
        kind: 2,
        req_id: 1,
        tx_id: 0,
        payload: vec![],
    });
    assert_eq!(link.run(), []);
    assert_eq!(link.client.oddities().unexpected_replies, 1);
}

#[test]
fn an_index_out_of_range_latches_the_ring() {
    let page = page();
    let (mut ring, _) = Ring::attach(&page).unwrap();
    page.rsp_prod.store(1025, SeqCst);
    let error = RingError::ResponseIndex {
        rsp_prod: 1025,
        rsp_cons: 0,
    };
    assert_eq!(ring.read(&page, &mut [0; 8]), Err(error));
    page.rsp_prod.store(0, SeqCst);
    assert_eq!(ring.read(&page, &mut [0; 8]), Err(error));
    assert_eq!(ring.write(&page, b"x"), Err(error));

    let (mut ring, _) = Ring::attach(&page).unwrap();
    page.req_cons.store(1, SeqCst);
    let error = RingError::RequestIndex {
        req_prod: 0,
        req_cons: 1,
    };
    assert_eq!(ring.write(&page, b"x"), Err(error));
    assert_eq!(Ring::attach(&page).unwrap_err(), error);
    assert_eq!(page.req_prod.load(SeqCst), 0);
}

#[test]
fn own_indices_are_not_read_back_from_the_page() {
    let page = page();
    let (mut ring, _) = Ring::attach(&page).unwrap();
    assert_eq!(ring.write(&page, b"abc").unwrap().bytes, 3);
    page.req_prod.store(500, SeqCst);
    page.rsp_cons.store(500, SeqCst);
    assert_eq!(ring.write(&page, b"d").unwrap().bytes, 1);
    assert_eq!(page.req_prod.load(SeqCst), 4);
    assert_eq!(page.req[3].load(SeqCst), b'd');
    assert_eq!(ring.read(&page, &mut [0; 4]).unwrap().bytes, 0);
}

#[test]
fn indices_wrap_at_two_to_the_32() {
    let page = page();
    for index in [
        &page.req_cons,
        &page.req_prod,
        &page.rsp_cons,
        &page.rsp_prod,
    ] {
        index.store(u32::MAX - 1, SeqCst);
    }
    let (mut ring, _) = Ring::attach(&page).unwrap();
    assert_eq!(ring.write(&page, &[7; 2000]).unwrap().bytes, 1024);
    assert_eq!(ring.write(&page, &[7; 1]).unwrap().bytes, 0);
    assert_eq!(page.req_prod.load(SeqCst), 1022);
    page.rsp_prod.store(2, SeqCst);
    assert_eq!(ring.read(&page, &mut [0; 10]).unwrap().bytes, 4);
    assert_eq!(page.rsp_cons.load(SeqCst), 2);
}

#[test]
fn the_daemon_is_notified_of_each_request_and_of_room_in_a_full_ring() {
    let page = page();
    let (mut ring, _) = Ring::attach(&page).unwrap();
    assert_eq!(ring.write(&page, b"x").unwrap().kick, Kick::Notify);
    assert_eq!(ring.write(&page, b"").unwrap().kick, Kick::Quiet);
    page.rsp_prod.store(1023, SeqCst);
    assert_eq!(ring.read(&page, &mut [0; 10]).unwrap().kick, Kick::Quiet);
    page.rsp_prod.store(1034, SeqCst);
    assert_eq!(ring.read(&page, &mut [0; 10]).unwrap().kick, Kick::Notify);
}

#[test]
fn leftovers_of_an_earlier_user_are_discarded_and_reported() {
    let page = page();
    page.req_prod.store(5, SeqCst);
    page.rsp_prod.store(100, SeqCst);
    let (mut ring, leftovers) = Ring::attach(&page).unwrap();
    assert_eq!(
        leftovers,
        Leftovers {
            requests: 5,
            responses: 100
        }
    );
    assert_eq!(page.rsp_cons.load(SeqCst), 100);
    assert_eq!(ring.read(&page, &mut [0; 10]).unwrap().bytes, 0);
}

#[test]
fn a_reconnection_stops_the_bytes_until_the_daemon_is_ready() {
    let page = page();
    page.server_features.store(1, SeqCst);
    let (mut ring, _) = Ring::attach(&page).unwrap();
    page.rsp_prod.store(5000, SeqCst);
    assert!(ring.read(&page, &mut [0; 4]).is_err());
    assert_eq!(ring.request_reconnect(&page), Some(Kick::Notify));
    assert!(!ring.reconnected(&page));
    page.rsp_prod.store(0, SeqCst);
    page.connection.store(0, SeqCst);
    assert!(ring.reconnected(&page));
    assert_eq!(ring.latched(), None);
    assert_eq!(ring.write(&page, b"x").unwrap().bytes, 1);
    page.connection.store(1, SeqCst);
    assert_eq!(ring.write(&page, b"x").unwrap().bytes, 0);
}

#[test]
fn a_daemon_without_the_feature_is_not_asked_to_reconnect() {
    let page = page();
    page.connection.store(99, SeqCst);
    page.error.store(99, SeqCst);
    let (mut ring, _) = Ring::attach(&page).unwrap();
    assert_eq!(ring.request_reconnect(&page), None);
    assert_eq!(ring.write(&page, b"x").unwrap().bytes, 1);
}

#[test]
fn an_error_the_daemon_reports_latches_the_ring() {
    let page = page();
    page.server_features.store(2, SeqCst);
    let (mut ring, _) = Ring::attach(&page).unwrap();
    page.error.store(3, SeqCst);
    assert_eq!(ring.write(&page, b"x"), Err(RingError::Reported(3)));
    assert_eq!(ring.latched(), Some(RingError::Reported(3)));
}

#[derive(Clone, Debug)]
enum Act {
    Bytes(Vec<u8>),
    Reply {
        kind: u32,
        req_id: u32,
        payload: Vec<u8>,
    },
    Index {
        which: u8,
        value: u32,
    },
    Read,
    Watch,
    Unwatch(usize),
    Abandon(usize),
    Pump,
    Reset,
}

fn act() -> impl Strategy<Value = Act> {
    let bytes = proptest::collection::vec(any::<u8>(), 0..64);
    prop_oneof![
        bytes.clone().prop_map(Act::Bytes),
        (0_u32..24, 0_u32..8, bytes).prop_map(|(kind, req_id, payload)| Act::Reply {
            kind,
            req_id,
            payload
        }),
        (0_u8..7, prop_oneof![0_u32..2048, any::<u32>()])
            .prop_map(|(which, value)| Act::Index { which, value }),
        Just(Act::Read),
        Just(Act::Watch),
        (0_usize..8).prop_map(Act::Unwatch),
        (0_usize..8).prop_map(Act::Abandon),
        Just(Act::Pump),
        Just(Act::Pump),
        Just(Act::Reset),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: if cfg!(miri) { 1 } else { 256 }, failure_persistence: None, ..ProptestConfig::default()
    })]

    /// Each accepted request ends exactly once, whatever the daemon does.
    #[test]
    fn a_daemon_of_random_acts_neither_panics_nor_loses_a_request(acts in proptest::collection::vec(act(), 0..if cfg!(miri) { 10 } else { 60 })) {
        let page = page();
        let (mut ring, _) = Ring::attach(&page).unwrap();
        let mut client = client(1);
        let mut waiting = Vec::new();
        let mut watches = Vec::new();
        let write = |bytes: &[u8]| {
            for byte in bytes {
                let at = page.rsp_prod.fetch_add(1, SeqCst);
                page.rsp[at as usize % 1024].store(*byte, SeqCst);
            }
        };
        for act in acts {
            match act {
                Act::Bytes(bytes) => write(&bytes),
                Act::Reply { kind, req_id, payload } => {
                    write(&Message { kind, req_id, tx_id: 0, payload }.bytes());
                }
                Act::Index { which, value } => {
                    let words = [&page.req_cons, &page.req_prod, &page.rsp_cons, &page.rsp_prod,
                        &page.server_features, &page.connection, &page.error];
                    words[usize::from(which)].store(value, SeqCst);
                }
                Act::Read => waiting.extend(client.read(None, path("a"))),
                Act::Watch => {
                    if let Ok((id, handle)) = client.watch(path("w")) {
                        watches.push(id);
                        waiting.push(handle);
                    }
                }
                Act::Unwatch(at) => {
                    if let Some(id) = watches.get(at)
                        && let Ok(Some(handle)) = client.unwatch(*id)
                    {
                        waiting.push(handle);
                    }
                }
                Act::Abandon(at) => {
                    if let Some(handle) = waiting.get(at).copied()
                        && client.abandon(handle)
                    {
                        waiting.retain(|other| *other != handle);
                    }
                }
                Act::Pump => {
                    let _ = pump::transmit(&page, &mut ring, &mut client);
                    for _ in 0..20 {
                        let received = pump::receive(&page, &mut ring, &mut client);
                        match client.take().map(|incoming| incoming.map(own)) {
                            Ok(Some(Got::Reply(handle, _))) => {
                                let before = waiting.len();
                                waiting.retain(|other| *other != handle);
                                prop_assert_eq!(waiting.len() + 1, before);
                            }
                            Ok(Some(Got::Watch(id, _) | Got::Lost(id))) => prop_assert!(watches.contains(&id)),
                            Ok(None) if received.is_ok_and(|received| received.message) => {}
                            Ok(None) | Err(_) => break,
                        }
                    }
                }
                Act::Reset => {
                    if let Ok((fresh, _)) = Ring::attach(&page) {
                        ring = fresh;
                        client.reset();
                    }
                }
            }
        }
        client.reset();
        while let Some(incoming) = client.take().unwrap().map(own) {
            if let Got::Reply(handle, _) = incoming {
                waiting.retain(|other| *other != handle);
            }
        }
        prop_assert_eq!(waiting, []);
    }
}
