//! The daemon, as a guest sees it that writes every byte of its ring by hand.

mod quotas;
mod transactions;
mod watches;

use xen_sim::FlatMemory;
use xenstored_sim::Store;

/// A guest's end of the ring, by hand.
struct Guest {
    memory: FlatMemory,
    store: Store,
    next: u32,
}

const DIRECTORY: u32 = 1;
const READ: u32 = 2;
const WATCH: u32 = 4;
const START: u32 = 6;
const END: u32 = 7;
const WRITE: u32 = 11;
const MKDIR: u32 = 12;
const RM: u32 = 13;
const SET_PERMS: u32 = 14;
const EVENT: u32 = 15;
const ERROR: u32 = 16;

impl Guest {
    fn new() -> Self {
        Self {
            memory: FlatMemory::new(1),
            store: Store::new(5),
            next: 1,
        }
    }

    /// Sends one request; returns every message that comes back: type, payload.
    fn call(&mut self, kind: u32, transaction: u32, payload: &[u8]) -> Vec<(u32, String)> {
        self.put(kind, transaction, payload);
        self.collect()
    }

    fn collect(&mut self) -> Vec<(u32, String)> {
        let page = self.memory.page(0);
        let mut bytes = Vec::new();
        loop {
            let moved = self.store.poll(page);
            let (cons, prod) = (page.read_u32(2056), page.read_u32(2060));
            bytes.extend((cons..prod).map(|at| page.read_u8(1024 + (at % 1024) as usize)));
            page.write_u32(2056, prod);
            if !moved && cons == prod {
                break;
            }
        }
        let mut messages = Vec::new();
        let mut rest = &bytes[..];
        while rest.len() >= 16 {
            let word = |at: usize| u32::from_le_bytes(rest[at..at + 4].try_into().unwrap());
            let (kind, len) = (word(0), word(12) as usize);
            let text = String::from_utf8_lossy(&rest[16..16 + len]).into_owned();
            messages.push((kind, text));
            rest = &rest[16 + len..];
        }
        messages
    }

    /// Puts one message on the ring; nobody looks at it yet.
    fn put(&mut self, kind: u32, transaction: u32, payload: &[u8]) {
        let page = self.memory.page(0);
        let mut bytes = Vec::new();
        let len = u32::try_from(payload.len()).expect("a short payload");
        for word in [kind, self.next, transaction, len] {
            bytes.extend(word.to_le_bytes());
        }
        bytes.extend(payload);
        let (cons, mut prod) = (page.read_u32(2048), page.read_u32(2052));
        for byte in bytes {
            assert!(prod.wrapping_sub(cons) < 1024, "the request ring is full");
            page.write_u8((prod % 1024) as usize, byte);
            prod = prod.wrapping_add(1);
        }
        page.write_u32(2052, prod);
        self.next += 1;
    }

    /// Begins a transaction.
    fn begin(&mut self) -> u32 {
        let (kind, id) = self.one(START, 0, b"\0");
        assert_eq!(kind, START);
        id.trim_end_matches('\0').parse().unwrap()
    }

    fn ok(&mut self, kind: u32, transaction: u32, payload: &[u8]) {
        let answer = self.one(kind, transaction, payload);
        assert_eq!(answer, (kind, "OK\0".into()));
    }

    fn refused(&mut self, kind: u32, transaction: u32, payload: &[u8], error: &str) {
        let answer = self.one(kind, transaction, payload);
        assert_eq!(answer, (ERROR, format!("{error}\0")));
    }

    /// As [`Self::put`], for a message longer than the ring: the daemon reads while it is written.
    fn call_long(&mut self, kind: u32, payload: &[u8]) -> Vec<(u32, String)> {
        let page = self.memory.page(0);
        let len = u32::try_from(payload.len()).expect("a payload of a message");
        let mut bytes: Vec<u8> = [kind, self.next, 0, len].map(u32::to_le_bytes).concat();
        bytes.extend(payload);
        for byte in bytes {
            let (cons, prod) = (page.read_u32(2048), page.read_u32(2052));
            if prod.wrapping_sub(cons) == 1024 {
                self.store.poll(page);
            }
            page.write_u8((prod % 1024) as usize, byte);
            page.write_u32(2052, prod.wrapping_add(1));
        }
        self.next += 1;
        self.collect()
    }

    fn ok_long(&mut self, kind: u32, payload: &[u8]) {
        assert_eq!(self.call_long(kind, payload), [(kind, "OK\0".into())]);
    }

    fn refused_long(&mut self, kind: u32, payload: &[u8], error: &str) {
        assert_eq!(
            self.call_long(kind, payload),
            [(ERROR, format!("{error}\0"))]
        );
    }

    fn one(&mut self, kind: u32, transaction: u32, payload: &[u8]) -> (u32, String) {
        let all = self.call(kind, transaction, payload);
        assert_eq!(all.len(), 1, "{all:?}");
        all[0].clone()
    }
}

#[test]
fn a_guest_writes_what_it_owns_and_only_reads_what_it_may() {
    let mut guest = Guest::new();
    assert_eq!(
        guest.one(WRITE, 0, b"data/a/b\0value"),
        (WRITE, "OK\0".into())
    );
    assert_eq!(guest.one(READ, 0, b"data/a/b\0"), (READ, "value".into()));
    assert_eq!(
        guest.store.read("/local/domain/5/data/a/b").as_deref(),
        Some("value")
    );
    assert_eq!(guest.one(READ, 0, b"domid\0"), (READ, "5".into()));
    assert_eq!(
        guest.one(WRITE, 0, b"domid\x009"),
        (ERROR, "EACCES\0".into())
    );
    assert_eq!(
        guest.one(READ, 0, b"device/vif\0"),
        (ERROR, "ENOENT\0".into())
    );
    guest.store.write("/local/domain/0/secret", "x");
    guest.store.set_perms("/local/domain/0", "n0");
    guest.store.set_perms("/local/domain/0/secret", "n0");
    assert_eq!(
        guest.one(READ, 0, b"/local/domain/0/secret\0"),
        (ERROR, "EACCES\0".into())
    );
    assert_eq!(guest.one(READ, 0, b"a//b\0"), (ERROR, "EINVAL\0".into()));
}

#[test]
fn own_watches_fire_once_per_question() {
    let mut store = Store::new(5);
    let watch = store.watch("/local/domain/5/data");
    assert!(store.take_fired(watch));
    assert!(!store.take_fired(watch));
    store.write("/local/domain/5/data/a", "");
    store.write("/local/domain/5/data/b", "");
    assert!(store.take_fired(watch));
    assert!(!store.take_fired(watch));
    store.rm("/local/domain/5/data");
    assert!(store.take_fired(watch));
}

#[test]
fn a_wild_index_ends_the_conversation() {
    let mut guest = Guest::new();
    let page = guest.memory.page(0);
    page.write_u32(2052, 4000);
    assert!(!guest.store.poll(page));
    assert!(guest.store.is_malformed());
}

#[test]
fn a_message_longer_than_messages_are_ends_the_conversation() {
    let mut guest = Guest::new();
    let page = guest.memory.page(0);
    for (at, word) in [READ, 1, 0, 4097].into_iter().enumerate() {
        page.write_u32(at * 4, word);
    }
    page.write_u32(2052, 16);
    guest.store.poll(page);
    assert!(guest.store.is_malformed());
    assert!(!guest.store.poll(page));
    assert_eq!(page.read_u32(2060), 0);
}

#[test]
fn paths_that_are_none_are_refused() {
    let mut guest = Guest::new();
    for path in ["", "a//b", "/", "a/", "/a b", "\u{e4}", "a\tb"] {
        let expected = if path == "/" { "EACCES" } else { "EINVAL" };
        guest.refused(MKDIR, 0, format!("{path}\0").as_bytes(), expected);
    }
    let long = format!("{}\0", "a".repeat(2049));
    guest.refused_long(READ, long.as_bytes(), "EINVAL");
    let deep = format!("/{}x\0", "a/".repeat(1600));
    guest.refused_long(READ, deep.as_bytes(), "EINVAL");
}

#[test]
fn unknown_requests_and_those_of_others_are_refused() {
    let mut guest = Guest::new();
    guest.refused(200, 0, b"\0", "ENOSYS");
    guest.refused(0, 0, b"help\0", "EACCES");
    guest.refused(READ, 77, b"domid\0", "ENOENT");
    guest.refused(END, 0, b"T\0", "ENOENT");
    guest.refused(READ, 0, b"domid", "EINVAL");
}

#[test]
fn a_missing_node_tells_a_stranger_nothing() {
    let mut guest = Guest::new();
    guest.store.write("/local/domain/0/a/b", "x");
    guest.store.set_perms("/local/domain/0", "n0");
    guest.store.set_perms("/local/domain/0/a", "n0");
    guest.refused(READ, 0, b"/local/domain/0/a/c\0", "EACCES");
    guest.refused(DIRECTORY, 0, b"/local/domain/0/a\0", "EACCES");
    guest.refused(READ, 0, b"device/vif/0\0", "ENOENT");
}

#[test]
fn a_guest_may_share_its_own_nodes_and_not_give_them_away() {
    let mut guest = Guest::new();
    guest.ok(WRITE, 0, b"data/k\x001");
    guest.ok(SET_PERMS, 0, b"data/k\0n5\0r7\0");
    guest.refused(SET_PERMS, 0, b"data/k\0n7\0", "EPERM");
    guest.refused(SET_PERMS, 0, b"domid\0n5\0", "EACCES");
    guest.refused(SET_PERMS, 0, b"data/k\0x5\0", "EINVAL");
}

#[test]
fn a_node_made_below_another_has_its_permissions_and_its_maker_as_owner() {
    let mut guest = Guest::new();
    guest.store.write("/local/domain/5/data/shared", "");
    guest
        .store
        .set_perms("/local/domain/5/data/shared", "n0 b5 r9");
    guest.ok(MKDIR, 0, b"data/shared/mine\0");
    let (_, perms) = guest.one(3, 0, b"data/shared/mine\0");
    assert_eq!(perms, "n5\0b5\0r9\0");
}
