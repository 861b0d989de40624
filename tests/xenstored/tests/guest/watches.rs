//! Who is told of what, under which name.

use super::{ERROR, EVENT, Guest, RM, SET_PERMS, WATCH, WRITE};

const UNWATCH: u32 = 5;
const RESET_WATCHES: u32 = 21;

#[test]
fn a_watch_fires_at_once_below_itself_and_when_its_node_goes_with_a_parent() {
    let mut guest = Guest::new();
    let first = guest.call(WATCH, 0, b"data/x\0tok\0");
    assert_eq!(
        first,
        [(WATCH, "OK\0".into()), (EVENT, "data/x\0tok\0".into())]
    );
    guest.store.write("/local/domain/5/data/x/y", "1");
    assert_eq!(guest.collect(), [(EVENT, "data/x/y\0tok\0".into())]);
    guest.store.write("/local/domain/5/data/xx", "1");
    assert_eq!(guest.collect(), []);
    let removed = guest.call(RM, 0, b"data\0");
    assert_eq!(
        removed,
        [(RM, "OK\0".into()), (EVENT, "data/x\0tok\0".into())]
    );
    assert_eq!(
        guest.one(WATCH, 0, b"data/x\0tok\0"),
        (ERROR, "EEXIST\0".into())
    );
}

#[test]
fn a_watch_on_the_root_names_whole_paths() {
    let mut guest = Guest::new();
    let first = guest.call(WATCH, 0, b"/\0all\0");
    assert_eq!(first, [(WATCH, "OK\0".into()), (EVENT, "/\0all\0".into())]);
    guest.store.write("/local/domain/5/data/x", "1");
    let name = "/local/domain/5/data/x\0all\0";
    assert_eq!(guest.collect(), [(EVENT, name.into())]);
    guest.store.rm("/local/domain/5/data/x");
    assert_eq!(guest.collect(), [(EVENT, name.into())]);
}

#[test]
fn a_relative_watch_names_relative_paths_and_an_absolute_one_absolute_ones() {
    let mut guest = Guest::new();
    guest.call(WATCH, 0, b"data\0rel\0");
    guest.call(WATCH, 0, b"/local/domain/5/data\0abs\0");
    let events = guest.call(WRITE, 0, b"data/x\x001");
    assert_eq!(
        events,
        [
            (WRITE, "OK\0".into()),
            (EVENT, "data/x\0rel\0".into()),
            (EVENT, "/local/domain/5/data/x\0abs\0".into()),
        ]
    );
}

#[test]
fn a_domain_is_not_told_of_what_it_may_not_see() {
    let mut guest = Guest::new();
    guest.store.write("/secret/x", "1");
    guest.store.set_perms("/secret", "n0");
    guest.store.set_perms("/secret/x", "n0");
    guest.call(WATCH, 0, b"/secret\0tok\0");
    guest.store.write("/secret/x", "2");
    guest.store.write("/secret/y", "1");
    guest.store.rm("/secret/x");
    assert_eq!(guest.collect(), []);
    // Now it may read the node, but not what is beside it.
    guest.store.set_perms("/secret/y", "n0 r5");
    assert_eq!(guest.collect(), [(EVENT, "/secret/y\0tok\0".into())]);
    // It hears of the end of what it could read.
    guest.store.rm("/secret/y");
    assert_eq!(guest.collect(), [(EVENT, "/secret/y\0tok\0".into())]);
}

#[test]
fn losing_the_permission_is_told() {
    let mut guest = Guest::new();
    guest.store.write("/secret/x", "1");
    guest.store.set_perms("/secret", "n0");
    guest.store.set_perms("/secret/x", "n0 r5");
    guest.call(WATCH, 0, b"/secret/x\0tok\0");
    guest.store.set_perms("/secret/x", "n0");
    assert_eq!(guest.collect(), [(EVENT, "/secret/x\0tok\0".into())]);
    guest.store.write("/secret/x", "2");
    assert_eq!(guest.collect(), []);
}

#[test]
fn a_watch_ends_when_it_is_taken_back_or_all_are() {
    let mut guest = Guest::new();
    guest.call(WATCH, 0, b"data\0a\0");
    guest.call(WATCH, 0, b"data\0b\0");
    guest.ok(UNWATCH, 0, b"data\0a\0");
    guest.refused(UNWATCH, 0, b"data\0a\0", "ENOENT");
    assert_eq!(guest.store.guest_watches(), [("data".into(), "b".into())]);
    guest.ok(RESET_WATCHES, 0, b"\0");
    assert_eq!(guest.store.guest_watches(), []);
    guest.store.write("/local/domain/5/data", "1");
    assert_eq!(guest.collect(), []);
}

#[test]
fn permissions_of_a_watched_node_fire_it() {
    let mut guest = Guest::new();
    guest.ok(WRITE, 0, b"data/x\x001");
    guest.call(WATCH, 0, b"data/x\0tok\0");
    let events = guest.call(SET_PERMS, 0, b"data/x\0n5\0r0\0");
    assert_eq!(
        events,
        [(SET_PERMS, "OK\0".into()), (EVENT, "data/x\0tok\0".into())]
    );
}

#[test]
fn a_watch_twice_is_refused_and_one_with_another_token_is_not() {
    let mut guest = Guest::new();
    guest.call(WATCH, 0, b"data\0a\0");
    assert_eq!(
        guest.call(WATCH, 0, b"data\0a\0"),
        [(ERROR, "EEXIST\0".into())]
    );
    assert_eq!(guest.call(WATCH, 0, b"data\0b\0").len(), 2);
}
