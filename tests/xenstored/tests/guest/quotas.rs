//! What an unprivileged domain may have of everything.

use xenstored_sim::quota;

use super::{END, ERROR, Guest, MKDIR, READ, SET_PERMS, START, WATCH, WRITE};

#[test]
fn nodes() {
    let mut guest = Guest::new();
    let mut made: usize = 0;
    loop {
        // In folders: the names of a node's children count for its size.
        let path = format!("data/d{}/n{made}\0", made / 100);
        match guest.one(MKDIR, 0, path.as_bytes()) {
            (MKDIR, _) => made += 1,
            (ERROR, text) => break assert_eq!(text, "ENOSPC\0"),
            other => panic!("{other:?}"),
        }
    }
    let folders = made.div_ceil(100);
    // The nine that libxl made for the guest count.
    assert_eq!(made + folders + 9, quota::NODES);
    // Domain 0 has no such limit.
    guest.store.write("/local/domain/5/more/and/more", "");
    // What is removed makes room.
    guest.ok(13, 0, b"data/d0/n0\0");
    guest.ok(MKDIR, 0, b"data/d0/again\0");
}

#[test]
fn size_of_a_node() {
    let mut guest = Guest::new();
    // 24 bytes of header, 8 of the one permission that it inherits; one byte less than the quota is the most.
    let most = quota::NODE_BYTES - 1 - 24 - 8;
    let write = |len| [b"data/big\0".to_vec(), vec![b'x'; len]].concat();
    guest.refused_long(WRITE, &write(most + 1), "ENOSPC");
    assert_eq!(guest.store.read("/local/domain/5/data/big"), None);
    guest.ok_long(WRITE, &write(most));
    // Each child adds its name.
    guest.refused(MKDIR, 0, b"data/big/a\0", "ENOSPC");
    guest.ok_long(WRITE, &write(most - 2));
    guest.ok(MKDIR, 0, b"data/big/a\0");
    guest.refused(SET_PERMS, 0, b"data/big\0n5\0r1\0", "ENOSPC");
}

#[test]
fn permissions() {
    let mut guest = Guest::new();
    guest.ok(WRITE, 0, b"data/k\x001");
    guest.ok(SET_PERMS, 0, b"data/k\0n5\0r1\0r2\0r3\0r4\0");
    guest.refused(SET_PERMS, 0, b"data/k\0n5\0r1\0r2\0r3\0r4\0r6\0", "ENOSPC");
}

#[test]
fn watches() {
    let mut guest = Guest::new();
    for n in 0..quota::WATCHES {
        assert_eq!(
            guest
                .call(WATCH, 0, format!("data\0{n}\0").as_bytes())
                .len(),
            2
        );
    }
    guest.refused(WATCH, 0, b"data\0more\0", "E2BIG");
    guest.ok(5, 0, b"data\x000\0");
    assert_eq!(guest.call(WATCH, 0, b"data\0more\0").len(), 2);
}

#[test]
fn transactions() {
    let mut guest = Guest::new();
    let open: Vec<u32> = (0..quota::TRANSACTIONS).map(|_| guest.begin()).collect();
    guest.refused(START, 0, b"\0", "ENOSPC");
    guest.ok(END, open[3], b"F\0");
    guest.begin();
}

#[test]
fn nodes_of_a_transaction() {
    let mut guest = Guest::new();
    let id = guest.begin();
    for n in 0..quota::TRANSACTION_NODES {
        guest.refused(READ, id, format!("data/n{n}\0").as_bytes(), "ENOENT");
    }
    guest.refused(READ, id, b"data/more\0", "ENOSPC");
    // What was seen already is no more than before.
    guest.refused(READ, id, b"data/n7\0", "ENOENT");
}

#[test]
fn requests_whose_answers_are_not_taken() {
    let mut guest = Guest::new();
    let page = guest.memory.page(0);
    // Answers of 56 bytes with their headers: 18 and a bit fill the ring of answers, which nobody empties.
    guest.store.write("/local/domain/5/data/k", &"x".repeat(40));
    let mut sent = 0;
    for _ in 0..60 {
        if page.read_u32(2052).wrapping_sub(page.read_u32(2048)) < 900 {
            guest.put(READ, 0, b"data/k\0");
            sent += 1;
        }
        guest.store.poll(page);
    }
    let served = guest.store.counters().requests;
    let full = 1024 / 56;
    assert_eq!(served, (full + quota::OUTSTANDING) as u64);
    assert!(sent > served, "{sent} sent");
    assert!(
        !guest.store.poll(page),
        "nothing moves until answers are taken"
    );
    // All are answered in the end.
    let answers = guest.collect();
    assert_eq!(answers.len() as u64, sent);
    assert!(answers.iter().all(|answer| answer.0 == READ));
}
