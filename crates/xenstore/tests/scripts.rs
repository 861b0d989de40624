//! Transactions and long directories, run as scripts against the small daemon.
mod peer;

use peer::Message;
use peer::link::{Link, path};
use xenstore::client::Incoming;
use xenstore::error::StoreError;
use xenstore::listing::{self, Listing, ListingError};
use xenstore::transaction::{Handled, Op, Progress, ScriptError, TransactionScript};
use xenstore::wire::Strings;

/// Values read, by operation.
type Values = Vec<(usize, Vec<u8>)>;

/// Runs a script; `meddle` is called after each round.
fn run(
    link: &mut Link,
    attempts: u8,
    ops: &[Op<'_>],
    mut meddle: impl FnMut(&mut Link),
) -> (Result<(), ScriptError>, Values) {
    let mut script = TransactionScript::new(attempts);
    let mut values = Vec::new();
    for _ in 0..1000 {
        if let Progress::Finished(result) = script.drive(&mut link.client, ops) {
            return (result, values);
        }
        link.step(&mut |incoming| {
            if let Incoming::Reply { handle, result } = incoming
                && let Handled::Value { op } = script.on_reply(*handle, result)
            {
                values.push((op, result.unwrap().value().to_vec()));
            }
        });
        meddle(link);
    }
    panic!("the script does not end");
}

#[test]
fn all_operations_appear_together_at_the_commit() {
    let mut link = Link::new();
    link.peer.set("old/key", "1");
    link.peer.set("in", "value");
    // More than fit in the window at once.
    let writes = if cfg!(miri) { 10 } else { 40 };
    let names: Vec<String> = (0..writes)
        .map(|n| format!("device/vif/0/queue-{n}/tx-ring-ref"))
        .collect();
    let mut ops: Vec<Op<'_>> = names
        .iter()
        .map(|name| Op::Write {
            path: path(name),
            value: b"9",
        })
        .collect();
    ops.push(Op::Rm { path: path("old") });
    ops.push(Op::Rm {
        path: path("old/key"),
    });
    ops.push(Op::Mkdir { path: path("new") });
    ops.push(Op::Read { path: path("in") });
    ops.push(Op::Read {
        path: path("missing"),
    });
    let (result, values) = run(&mut link, 1, &ops, |link| {
        let written = link.peer.get("device/vif/0/queue-0/tx-ring-ref").is_some();
        assert_eq!(
            written,
            link.peer.get("new").is_some(),
            "half a transaction is visible"
        );
    });
    assert_eq!(result, Ok(()));
    assert_eq!(values, [(writes + 3, b"value".to_vec())]);
    assert_eq!(link.peer.get(names.last().unwrap()), Some("9"));
    assert_eq!(link.peer.get("old/key"), None);
}

#[test]
fn interference_starts_the_transaction_again() {
    let mut link = Link::new();
    let mut meddling = 2;
    let ops = [Op::Write {
        path: path("a"),
        value: b"1",
    }];
    let (result, _) = run(&mut link, 5, &ops, |link| {
        if meddling > 0
            && link
                .peer
                .seen
                .last()
                .is_some_and(|message| message.kind == 11)
        {
            meddling -= 1;
            link.peer.set("other", "x");
        }
    });
    assert_eq!(result, Ok(()));
    assert_eq!(
        link.peer
            .seen
            .iter()
            .filter(|message| message.kind == 6)
            .count(),
        3
    );
    assert_eq!(link.peer.get("a"), Some("1"));
}

#[test]
fn endless_interference_ends_in_contended() {
    let mut link = Link::new();
    let ops = [Op::Write {
        path: path("a"),
        value: b"1",
    }];
    let (result, _) = run(&mut link, 3, &ops, |link| link.peer.set("other", "x"));
    assert_eq!(result, Err(ScriptError::Contended));
    assert_eq!(
        link.peer
            .seen
            .iter()
            .filter(|message| message.kind == 6)
            .count(),
        3
    );
    assert_eq!(link.peer.get("a"), None);
}

#[test]
fn a_refused_operation_aborts_and_is_named() {
    let mut link = Link::new();
    link.peer.hold = true;
    let ops = [
        Op::Write {
            path: path("a"),
            value: b"1",
        },
        Op::Write {
            path: path("b"),
            value: b"2",
        },
    ];
    let (result, _) = run(&mut link, 3, &ops, |link| {
        for mut reply in std::mem::take(&mut link.peer.held) {
            if reply.kind == 11 && link.peer.seen.last().unwrap().req_id == reply.req_id {
                reply = Message {
                    kind: 16,
                    payload: b"EACCES\0".to_vec(),
                    ..reply
                };
            }
            link.peer.send(&reply);
        }
    });
    assert_eq!(
        result,
        Err(ScriptError::Store {
            op: Some(1),
            error: StoreError::AccessDenied
        })
    );
    assert_eq!(link.peer.seen.last().unwrap().payload, b"F\0");
    assert_eq!(link.peer.get("a"), None);
}

#[test]
fn an_operation_that_is_too_long_aborts_and_is_named() {
    let mut link = Link::new();
    let long = [0; 5000];
    let ops = [
        Op::Write {
            path: path("a"),
            value: b"1",
        },
        Op::Write {
            path: path("b"),
            value: &long,
        },
    ];
    let (result, _) = run(&mut link, 3, &ops, |_| {});
    assert_eq!(result, Err(ScriptError::TooLong { op: 1 }));
    assert_eq!(link.peer.seen.last().unwrap().payload, b"F\0");
}

#[test]
fn a_reset_ends_the_script() {
    let mut link = Link::new();
    let ops = [Op::Write {
        path: path("a"),
        value: b"1",
    }];
    let mut rounds = 0;
    let (result, _) = run(&mut link, 3, &ops, |link| {
        rounds += 1;
        link.peer.hold = true;
        if rounds == 2 {
            link.client.reset();
        }
    });
    assert_eq!(result, Err(ScriptError::Disconnected));
}

#[test]
fn a_script_waits_for_room_among_other_requests() {
    let mut link = Link::new();
    while link.client.read(None, path("busy")).is_ok() {}
    let ops = [Op::Write {
        path: path("a"),
        value: b"1",
    }];
    let (result, _) = run(&mut link, 1, &ops, |_| {});
    assert_eq!(result, Ok(()));
}

fn list(
    link: &mut Link,
    buffer: &mut [u8],
    mut meddle: impl FnMut(&mut Link),
) -> Result<usize, ListingError> {
    let mut listing = Listing::new();
    for _ in 0..1000 {
        if let listing::Progress::Finished(result) =
            listing.drive(&mut link.client, path("device/vif"))
        {
            return result;
        }
        link.step(&mut |incoming| {
            if let Incoming::Reply { handle, result } = incoming {
                listing.on_reply(*handle, result, buffer);
            }
        });
        meddle(link);
    }
    panic!("the listing does not end");
}

#[test]
fn a_short_directory_takes_one_request() {
    let mut link = Link::new();
    link.peer.set("device/vif/0/mac", "");
    link.peer.set("device/vif/1/mac", "");
    let mut buffer = [0; 64];
    let len = list(&mut link, &mut buffer, |_| {}).unwrap();
    let names: Vec<&[u8]> = Strings::parse(&buffer[..len]).unwrap().collect();
    assert_eq!(names, [b"0", b"1"]);
    assert_eq!(link.peer.seen.len(), 1);
}

#[test]
fn a_long_directory_is_put_together_from_parts() {
    let mut link = Link::new();
    link.peer.directory_max = 10;
    let count = if cfg!(miri) { 12 } else { 20 };
    for n in 100..100 + count {
        link.peer.set(&format!("device/vif/{n}"), "");
    }
    let mut buffer = [0; 128];
    let len = list(&mut link, &mut buffer, |_| {}).unwrap();
    assert_eq!(Strings::parse(&buffer[..len]).unwrap().count(), count);
    let mut small = [0; 40];
    assert_eq!(
        list(&mut link, &mut small, |_| {}),
        Err(ListingError::BufferTooSmall)
    );
}

#[test]
fn a_directory_that_changes_between_parts_is_read_again_and_in_the_end_given_up() {
    let mut link = Link::new();
    link.peer.directory_max = 10;
    for n in 100..110 {
        link.peer.set(&format!("device/vif/{n}"), "");
    }
    let mut buffer = [0; 128];
    let mut changes = 1;
    let len = list(&mut link, &mut buffer, |link| {
        if link.peer.seen.len() == 3 && changes == 1 {
            changes = 0;
            link.peer.set("device/vif/200", "");
        }
    });
    assert_eq!(Strings::parse(&buffer[..len.unwrap()]).unwrap().count(), 11);
    let mut n = 200;
    let result = list(&mut link, &mut buffer, |link| {
        n += 1;
        link.peer.set("elsewhere", "");
    });
    assert_eq!(result, Err(ListingError::Changing));
}
