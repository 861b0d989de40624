//! Transactions: what conflicts, and that each is done whole or not at all.

use super::{DIRECTORY, END, ERROR, EVENT, Guest, MKDIR, READ, RM, START, WATCH, WRITE};

const HOME: &str = "/local/domain/5";

/// Ends a transaction; whether it was committed, else it has to be tried again.
fn commits(guest: &mut Guest, id: u32) -> bool {
    match guest.call(END, id, b"T\0").first() {
        Some((END, _)) => true,
        Some((ERROR, text)) if text == "EAGAIN\0" => false,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_transaction_is_seen_whole_or_not_at_all() {
    let mut guest = Guest::new();
    let id = guest.begin();
    guest.ok(WRITE, id, b"data/k\x001");
    guest.ok(WRITE, id, b"data/l\x002");
    assert_eq!(guest.store.read("/local/domain/5/data/k"), None);
    assert_eq!(guest.one(READ, id, b"data/k\0"), (READ, "1".into()));
    assert_eq!(guest.one(READ, 0, b"data/k\0"), (ERROR, "ENOENT\0".into()));
    assert!(commits(&mut guest, id));
    assert_eq!(
        guest.store.read("/local/domain/5/data/l").as_deref(),
        Some("2")
    );
    let id = guest.begin();
    guest.ok(WRITE, id, b"data/k\x009");
    guest.ok(END, id, b"F\0");
    assert_eq!(
        guest.store.read("/local/domain/5/data/k").as_deref(),
        Some("1")
    );
    assert_eq!(guest.store.guest_transactions(), 0);
}

/// What the transaction does, what another domain does meanwhile, and whether the two conflict.
type Case = (&'static str, fn(&mut Guest, u32), fn(&mut Guest), bool);

const CASES: &[Case] = &[
    (
        "a value that was read is written",
        read_k,
        |g| g.store.write("/local/domain/5/data/k", "2"),
        true,
    ),
    (
        "a value that was read is written back",
        read_k,
        |g| g.store.write("/local/domain/5/data/k", "1"),
        true,
    ),
    (
        "a node that was read is removed",
        read_k,
        |g| g.store.rm("/local/domain/5/data/k"),
        true,
    ),
    (
        "a node's permissions change",
        read_k,
        |g| g.store.set_perms("/local/domain/5/data/k", "n5 r0"),
        true,
    ),
    (
        "another node is written",
        read_k,
        |g| g.store.write("/local/domain/5/data/l", "2"),
        false,
    ),
    (
        "a node that was missing is made",
        |g, id| g.refused(READ, id, b"data/m\0", "ENOENT"),
        |g| g.store.write("/local/domain/5/data/m", ""),
        true,
    ),
    (
        "a node gets a child after it was listed",
        |g, id| assert_eq!(g.one(DIRECTORY, id, b"data\0").0, DIRECTORY),
        |g| g.store.write("/local/domain/5/data/m", ""),
        true,
    ),
    (
        "a node loses a child after it was listed",
        |g, id| assert_eq!(g.one(DIRECTORY, id, b"data\0").0, DIRECTORY),
        |g| g.store.rm("/local/domain/5/data/k"),
        true,
    ),
    (
        "both make a child of one parent",
        |g, id| g.ok(WRITE, id, b"data/a\x001"),
        |g| g.store.write("/local/domain/5/data/b", "1"),
        true,
    ),
    (
        "one removes a child, the other makes one",
        |g, id| g.ok(RM, id, b"data/k\0"),
        |g| g.store.write("/local/domain/5/data/b", "1"),
        true,
    ),
    (
        "both write one node",
        |g, id| g.ok(WRITE, id, b"data/k\x003"),
        |g| g.store.write("/local/domain/5/data/k", "2"),
        true,
    ),
    (
        "the parent of a written node gets a child",
        |g, id| g.ok(WRITE, id, b"data/k\x003"),
        |g| g.store.write("/local/domain/5/data/b", "1"),
        false,
    ),
    (
        "something below a removed node is written",
        |g, id| g.ok(RM, id, b"data\0"),
        |g| g.store.write("/local/domain/5/data/k", "2"),
        true,
    ),
    (
        "the parent of a made node is removed",
        |g, id| g.ok(MKDIR, id, b"data/d/e\0"),
        |g| g.store.rm("/local/domain/5/data"),
        true,
    ),
];

fn read_k(guest: &mut Guest, id: u32) {
    assert_eq!(guest.one(READ, id, b"data/k\0"), (READ, "1".into()));
}

#[test]
fn what_was_seen_must_be_as_it_was() {
    for (what, ours, theirs, conflict) in CASES {
        let mut guest = Guest::new();
        guest.ok(WRITE, 0, b"data/k\x001");
        let id = guest.begin();
        ours(&mut guest, id);
        theirs(&mut guest);
        let before = guest.store.children(HOME);
        assert_eq!(commits(&mut guest, id), !conflict, "{what}");
        if *conflict {
            assert_eq!(guest.store.children(HOME), before, "{what}");
            assert_eq!(guest.store.counters().conflicts, 1, "{what}");
        }
    }
}

/// What another domain does to the store.
type Change = fn(&mut Guest);

/// The look comes after the change of another domain, but shows the store of the beginning.
#[test]
fn what_is_seen_for_the_first_time_after_a_change_is_the_old_and_conflicts() {
    let changes: [(Change, &str); 3] = [
        (|g| g.store.rm("/local/domain/5/data/k"), "removed"),
        (|g| g.store.write("/local/domain/5/data/k", "2"), "written"),
        (
            |g| {
                g.store.rm("/local/domain/5/data/k");
                g.store.write("/local/domain/5/data/k", "1");
            },
            "made again",
        ),
    ];
    for (change, what) in changes {
        let mut guest = Guest::new();
        guest.ok(WRITE, 0, b"data/k\x001");
        let id = guest.begin();
        change(&mut guest);
        read_k(&mut guest, id);
        assert!(!commits(&mut guest, id), "{what}");
    }
}

#[test]
fn a_commit_that_is_refused_changes_nothing() {
    let mut guest = Guest::new();
    let id = guest.begin();
    guest.ok(WRITE, id, b"data/first\x001");
    guest.ok(WRITE, id, b"data/second\x001");
    // Others of the guest's requests use its quota of nodes up meanwhile, one short of two more.
    let mut made = 0;
    while guest
        .one(
            MKDIR,
            0,
            format!("attr/d{}/n{made}\0", made / 100).as_bytes(),
        )
        .0
        == MKDIR
    {
        made += 1;
    }
    guest.ok(RM, 0, b"attr/d0/n0\0");
    guest.refused(END, id, b"T\0", "ENOSPC");
    assert_eq!(guest.store.read("/local/domain/5/data/first"), None);
    assert_eq!(guest.store.read("/local/domain/5/data/second"), None);
    assert_eq!(guest.store.guest_transactions(), 0);
}

#[test]
fn watches_hear_of_a_transaction_at_its_end_and_once_for_each_node() {
    let mut guest = Guest::new();
    guest.call(WATCH, 0, b"data\0t\0");
    let id = guest.begin();
    for value in [b"data/k\x001", b"data/k\x002", b"data/l\x003"] {
        guest.ok(WRITE, id, value);
    }
    let end = guest.call(END, id, b"T\0");
    assert_eq!(
        end,
        [
            (END, "OK\0".into()),
            (EVENT, "data/k\0t\0".into()),
            (EVENT, "data/l\0t\0".into()),
        ]
    );
}

#[test]
fn a_transaction_does_not_begin_in_another_and_ends_once() {
    let mut guest = Guest::new();
    let id = guest.begin();
    guest.refused(START, id, b"\0", "EBUSY");
    guest.refused(END, id, b"maybe\0", "EINVAL");
    assert!(commits(&mut guest, id));
    guest.refused(END, id, b"T\0", "ENOENT");
}

#[test]
fn the_toolstack_can_interfere() {
    let mut guest = Guest::new();
    guest.store.interfere(2);
    for expected in [false, false, true] {
        let id = guest.begin();
        guest.ok(WRITE, id, b"data/k\x001");
        assert_eq!(commits(&mut guest, id), expected);
    }
}
