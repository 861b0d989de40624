use xen_sim::FlatMemory;

use super::Store;

/// A guest's end of the ring, by hand.
struct Guest {
    memory: FlatMemory,
    store: Store,
    next: u32,
}

const READ: u32 = 2;
const WATCH: u32 = 4;
const START: u32 = 6;
const END: u32 = 7;
const WRITE: u32 = 11;
const RM: u32 = 13;
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
        let page = self.memory.page(0);
        let mut bytes = Vec::new();
        let len = u32::try_from(payload.len()).expect("a short payload");
        for word in [kind, self.next, transaction, len] {
            bytes.extend(word.to_le_bytes());
        }
        bytes.extend(payload);
        let mut prod = page.read_u32(2052);
        for byte in bytes {
            page.write_u8((prod % 1024) as usize, byte);
            prod = prod.wrapping_add(1);
        }
        page.write_u32(2052, prod);
        self.next += 1;
        self.collect()
    }

    fn collect(&mut self) -> Vec<(u32, String)> {
        let page = self.memory.page(0);
        let mut bytes = Vec::new();
        while self.store.poll(page) {
            let (cons, prod) = (page.read_u32(2056), page.read_u32(2060));
            bytes.extend((cons..prod).map(|at| page.read_u8(1024 + (at % 1024) as usize)));
            page.write_u32(2056, prod);
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
fn a_transaction_is_seen_whole_or_told_to_try_again() {
    let mut guest = Guest::new();
    let (_, id) = guest.one(START, 0, b"\0");
    let id: u32 = id.trim_end_matches('\0').parse().unwrap();
    guest.one(WRITE, id, b"data/k\x001");
    assert_eq!(guest.store.read("/local/domain/5/data/k"), None);
    assert_eq!(guest.one(END, id, b"T\0"), (END, "OK\0".into()));
    assert_eq!(
        guest.store.read("/local/domain/5/data/k").as_deref(),
        Some("1")
    );

    let (_, id) = guest.one(START, 0, b"\0");
    let id: u32 = id.trim_end_matches('\0').parse().unwrap();
    guest.one(READ, id, b"data/k\0");
    guest.store.write("/local/domain/5/data/k", "2");
    guest.one(WRITE, id, b"data/other\x001");
    assert_eq!(guest.one(END, id, b"T\0"), (ERROR, "EAGAIN\0".into()));
    assert_eq!(guest.store.read("/local/domain/5/data/other"), None);
    assert_eq!(guest.store.guest_transactions(), 0);
    assert_eq!(guest.store.counters().conflicts, 1);
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
