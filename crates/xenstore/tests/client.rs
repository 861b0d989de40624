//! The client against a small daemon of our own: requests, watches, suspend.
mod peer;

use peer::link::{Got, Link, client, path};
use xen_abi::domid::DomId;
use xenstore::client::{
    REQUESTS_MAX, RequestError, SubmitError, UnwatchError, WATCH_PATH_MAX, WatchError,
};
use xenstore::error::StoreError;
use xenstore::pump;
use xenstore::ring::Ring;
use xenstore::wire::{Access, Permission};

#[test]
fn a_value_written_is_read_back() {
    let mut link = Link::new();
    let write = link
        .client
        .write(None, path("device/vif/0/state"), b"4")
        .unwrap();
    let read = link.client.read(None, path("device/vif/0/state")).unwrap();
    let got = link.run();
    assert_eq!(
        got,
        [
            Got::Reply(write, Ok(b"OK\0".to_vec())),
            Got::Reply(read, Ok(b"4".to_vec()))
        ]
    );
    assert_eq!(link.client.in_flight(), 0);
}

#[test]
fn messages_survive_any_chunking_of_the_stream() {
    let chunks: &[usize] = if cfg!(miri) {
        &[7]
    } else {
        &[1, 3, 15, 16, 17, 100, 1023, 1024]
    };
    for &chunk in chunks {
        let mut link = Link::new();
        link.peer.chunk = chunk;
        let value = vec![b'x'; if cfg!(miri) { 100 } else { 1500 }];
        link.client.write(None, path("big"), &value).unwrap();
        let read = link.client.read(None, path("big")).unwrap();
        let got = link.run();
        assert_eq!(
            got.last(),
            Some(&Got::Reply(read, Ok(value))),
            "chunk {chunk}"
        );
    }
}

#[test]
fn replies_in_reverse_order_find_their_requests() {
    let mut link = Link::new();
    link.peer.hold = true;
    let mut handles = Vec::new();
    for n in 0..5 {
        link.peer.set(&format!("k{n}"), &n.to_string());
        handles.push(link.client.read(None, path(&format!("k{n}"))).unwrap());
    }
    assert_eq!(link.run(), []);
    link.peer.release_reversed();
    let expected: Vec<Got> = handles
        .iter()
        .enumerate()
        .rev()
        .map(|(n, handle)| Got::Reply(*handle, Ok(n.to_string().into_bytes())))
        .collect();
    assert_eq!(link.run(), expected);
}

#[test]
fn a_full_table_says_try_later_and_a_reply_makes_room() {
    let mut link = Link::new();
    for _ in 0..REQUESTS_MAX {
        link.client.read(None, path("a")).unwrap();
    }
    assert_eq!(
        link.client.read(None, path("a")),
        Err(SubmitError::TryLater)
    );
    assert_eq!(link.client.in_flight(), REQUESTS_MAX);
    assert_eq!(link.run().len(), REQUESTS_MAX);
    assert!(link.client.read(None, path("a")).is_ok());
}

#[test]
fn a_full_outbox_says_try_later() {
    let mut client = client(1);
    let value = [0; 4000];
    client.write(None, path("a"), &value).unwrap();
    client.write(None, path("a"), &value).unwrap();
    assert_eq!(
        client.write(None, path("a"), &value),
        Err(SubmitError::TryLater)
    );
    client.output();
    client.sent(4500);
    assert!(client.write(None, path("a"), &value).is_ok());
    assert_eq!(client.output().len(), 3 * (16 + 2 + 4000) - 4500);
}

#[test]
fn a_value_that_does_not_fit_in_a_message_is_refused_before_sending() {
    let mut link = Link::new();
    assert!(link.client.write(None, path("abc"), &[0; 4096 - 4]).is_ok());
    assert_eq!(
        link.client.write(None, path("abc"), &[0; 4096 - 3]),
        Err(SubmitError::TooLong)
    );
    assert_eq!(link.client.in_flight(), 1);
}

#[test]
fn error_replies_reach_their_request() {
    let mut link = Link::new();
    let read = link.client.read(None, path("nowhere")).unwrap();
    assert_eq!(
        link.run(),
        [Got::Reply(
            read,
            Err(RequestError::Store(StoreError::NotFound))
        )]
    );
}

#[test]
fn an_abandoned_request_is_never_heard_of_again() {
    let mut link = Link::new();
    link.peer.hold = true;
    let read = link.client.read(None, path("a")).unwrap();
    link.run();
    assert!(link.client.abandon(read));
    assert_eq!(link.client.in_flight(), 1);
    link.peer.release_reversed();
    assert_eq!(link.run(), []);
    assert_eq!(link.client.in_flight(), 0);
    assert!(!link.client.abandon(read));
}

#[test]
fn a_reply_to_nobody_is_dropped_and_counted() {
    let mut link = Link::new();
    link.peer.send(&peer::Message {
        kind: 2,
        req_id: 77,
        tx_id: 0,
        payload: b"stale".to_vec(),
    });
    let read = link.client.read(None, path("a")).unwrap();
    assert_eq!(link.run().len(), 1);
    assert_eq!(link.client.oddities().unexpected_replies, 1);
    assert!(!link.client.abandon(read));
}

#[test]
fn requests_have_the_form_the_protocol_prescribes() {
    let mut link = Link::new();
    let permissions = [
        Permission {
            access: Access::None,
            domid: 3,
        },
        Permission {
            access: Access::Both,
            domid: 65535,
        },
    ];
    link.client
        .set_perms(None, path("a"), &permissions)
        .unwrap();
    link.client.transaction_start().unwrap();
    link.client.directory_part(None, path("a"), 4294).unwrap();
    link.client.domain_path(DomId(12)).unwrap();
    link.client.reset_watches().unwrap();
    let perms = link.client.get_perms(None, path("a")).unwrap();
    let got = link.run();
    assert_eq!(
        got.last(),
        Some(&Got::Reply(perms, Ok(b"n3\0r0\0".to_vec())))
    );
    let seen: Vec<(u32, &[u8])> = link
        .peer
        .seen
        .iter()
        .map(|message| (message.kind, &message.payload[..]))
        .collect();
    let expected: [(u32, &[u8]); 6] = [
        (14, b"a\0n3\0b65535\0"),
        (6, b"\0"),
        (22, b"a\x004294\0"),
        (10, b"12\0"),
        (21, b"\0"),
        (3, b"a\0"),
    ];
    assert_eq!(seen, expected);
}

#[test]
fn too_many_permissions_are_refused() {
    let mut link = Link::new();
    let permissions = [Permission {
        access: Access::None,
        domid: 65535,
    }; 9];
    assert!(
        link.client
            .set_perms(None, path("a"), &permissions[..8])
            .is_ok()
    );
    assert_eq!(
        link.client.set_perms(None, path("a"), &permissions),
        Err(SubmitError::TooLong)
    );
}

#[test]
fn a_watch_fires_once_at_registration_and_at_each_change() {
    let mut link = Link::new();
    let (id, handle) = link.client.watch(path("device/vif")).unwrap();
    let got = link.run();
    let event = Got::Watch(id, "device/vif".into());
    assert_eq!(got, [event, Got::Reply(handle, Ok(b"OK\0".to_vec()))]);
    link.peer.set("device/vif/0/state", "1");
    link.peer.set("device/vbd/0/state", "1");
    assert_eq!(link.run(), [Got::Watch(id, "device/vif/0/state".into())]);
}

#[test]
fn an_event_after_unwatch_is_dropped() {
    let mut link = Link::new();
    let (id, _) = link.client.watch(path("a")).unwrap();
    link.run();
    let removal = link.client.unwatch(id).unwrap().unwrap();
    link.peer.set("a", "1");
    assert_eq!(link.run(), [Got::Reply(removal, Ok(b"OK\0".to_vec()))]);
    assert_eq!(link.client.oddities().unwanted_events, 1);
    assert_eq!(link.client.unwatch(id), Err(UnwatchError::Unknown));
    assert_eq!(link.client.watches(), 0);
    assert_eq!(link.peer.watches, []);
}

#[test]
fn watch_storage_is_a_limit_of_its_own() {
    let mut link = Link::new();
    for name in ["a", "b", "c", "d"] {
        link.client.watch(path(name)).unwrap();
    }
    assert_eq!(link.client.watch(path("e")), Err(WatchError::NoSlot));
    let long = "a".repeat(WATCH_PATH_MAX + 1);
    link.run();
    let mut other = client(1);
    assert_eq!(other.watch(path(&long)), Err(WatchError::PathTooLong));
    assert!(other.watch(path(&long[1..])).is_ok());
}

#[test]
fn after_a_suspend_everything_in_flight_fails_and_watches_come_back() {
    let mut link = Link::new();
    let (kept, _) = link.client.watch(path("device/vif")).unwrap();
    let (removed, _) = link.client.watch(path("control/shutdown")).unwrap();
    link.run();

    link.peer.hold = true;
    let read = link.client.read(None, path("a")).unwrap();
    let abandoned = link.client.read(None, path("b")).unwrap();
    assert!(link.client.abandon(abandoned));
    let removal = link.client.unwatch(removed).unwrap().unwrap();
    let (lost, registration) = link.client.watch(path("late")).unwrap();
    link.run();

    // A new host: a new daemon that knows nothing, rings where they were.
    link.peer = peer::Peer::new();
    (link.ring, _) = Ring::attach(&link.page).unwrap();
    link.client.reset();
    let received = pump::receive(&link.page, &mut link.ring, &mut link.client).unwrap();
    assert!(received.message, "failed requests wait to be taken");
    let got = link.run();
    for handle in [read, removal, registration] {
        assert!(
            got.contains(&Got::Reply(handle, Err(RequestError::Disconnected))),
            "{handle:?}"
        );
    }
    assert!(got.contains(&Got::Watch(kept, "device/vif".into())));
    assert_eq!(got.len(), 4);
    assert_eq!(link.client.watches(), 1);
    assert_eq!(link.peer.watches.len(), 1);
    assert_eq!(link.client.unwatch(lost), Err(UnwatchError::Unknown));
    assert_eq!(link.client.unwatch(removed), Err(UnwatchError::Unknown));
    assert!(link.client.unwatch(kept).unwrap().is_some());
}

#[test]
fn a_watch_removed_before_it_is_registered_again_needs_no_request() {
    let mut link = Link::new();
    let (id, _) = link.client.watch(path("a")).unwrap();
    link.run();
    link.peer = peer::Peer::new();
    link.client.reset();
    assert_eq!(link.client.unwatch(id), Ok(None));
    assert_eq!(link.run(), []);
    assert!(link.peer.seen.is_empty());
}

#[test]
fn a_watch_the_new_daemon_refuses_is_reported_lost() {
    let mut link = Link::new();
    let (id, _) = link.client.watch(path("a")).unwrap();
    link.run();
    link.peer = peer::Peer::new();
    link.peer.hold = true;
    link.client.reset();
    link.run();
    let mut refusal = link.peer.held.remove(0);
    refusal.kind = 16;
    refusal.payload = b"ENOSPC\0".to_vec();
    link.peer.send(&refusal);
    assert_eq!(link.run(), [Got::Lost(id)]);
    assert_eq!(link.client.watches(), 0);
}

#[test]
fn a_reset_inside_a_message_forgets_its_first_half() {
    let mut link = Link::new();
    link.peer.set("a", "0123456789");
    link.client.read(None, path("a")).unwrap();
    link.peer.chunk = 20;
    let _ = pump::transmit(&link.page, &mut link.ring, &mut link.client).unwrap();
    link.peer.pump(&link.page);
    let _ = pump::receive(&link.page, &mut link.ring, &mut link.client).unwrap();
    link.peer = peer::Peer::new();
    link.peer.set("a", "new");
    link.client.reset();
    (link.ring, _) = Ring::attach(&link.page).unwrap();
    let read = link.client.read(None, path("a")).unwrap();
    assert_eq!(
        link.run().last(),
        Some(&Got::Reply(read, Ok(b"new".to_vec())))
    );
}
