//! XenStore: the daemon as a guest and the toolstack see it.
//!
//! Written from the protocol's description (docs/misc/xenstore.txt); shares no code with the driver's client.
//! The guest speaks through its ring page ([`ring`]); the toolstack and the backends, who are domain 0,
//! call methods.

mod ring;
mod tree;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use tree::{Path, Perm, Refusal, Tree};

/// Watches of an unprivileged domain.
const WATCHES_MAX: usize = 128;
/// Transactions of an unprivileged domain.
const TRANSACTIONS_MAX: usize = 10;

/// Directories of a guest's home that it may read, and those it owns, as libxl makes them.
const READ_ONLY: [&str; 5] = ["cpu", "memory", "device", "control", "domid"];
const OWN: [&str; 9] = [
    "control/shutdown",
    "control/feature-poweroff",
    "control/feature-reboot",
    "control/feature-suspend",
    "data",
    "drivers",
    "feature",
    "attr",
    "error",
];

/// A watch of domain 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Watch(pub u64);

#[derive(Clone, Debug)]
enum Change {
    Write(Path, Vec<u8>),
    Make(Path),
    Remove(Path),
    Perms(Path, Vec<Perm>),
}

#[derive(Debug)]
struct Transaction {
    tree: Tree,
    /// The store's generation when it began.
    start: u64,
    /// What was looked at or changed, and whether it existed.
    seen: BTreeMap<Path, bool>,
    changes: Vec<Change>,
}

#[derive(Clone, Debug)]
struct GuestWatch {
    /// As the guest wrote it, which is how events name it.
    path: Vec<u8>,
    absolute: String,
    token: Vec<u8>,
}

/// What is counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Requests of the guest.
    pub requests: u64,
    /// Transactions of the guest that were told to try again.
    pub conflicts: u64,
    /// Watch events sent to the guest.
    pub events: u64,
}

/// The daemon, with one guest connected.
#[derive(Debug)]
pub struct Store {
    domid: u16,
    tree: Tree,
    own: BTreeMap<Watch, (String, bool)>,
    next_watch: u64,
    guest: Vec<GuestWatch>,
    transactions: BTreeMap<u32, Transaction>,
    next_transaction: u32,
    incoming: Vec<u8>,
    outgoing: VecDeque<u8>,
    counters: Counters,
    /// Transactions that will be refused at their end, as if another domain had interfered.
    interfere: u32,
    malformed: bool,
}

impl Store {
    /// A daemon that knows guest `domid`, whose home directory exists as libxl makes it.
    #[must_use]
    pub fn new(domid: u16) -> Self {
        let mut store = Self {
            domid,
            tree: Tree::new(),
            own: BTreeMap::new(),
            next_watch: 1,
            guest: Vec::new(),
            transactions: BTreeMap::new(),
            next_transaction: 1,
            incoming: Vec::new(),
            outgoing: VecDeque::new(),
            counters: Counters::default(),
            interfere: 0,
            malformed: false,
        };
        let home = format!("/local/domain/{domid}");
        store.write(&home, "");
        store.set_perms(&home, &format!("n0 r{domid}"));
        for (name, perms) in READ_ONLY
            .iter()
            .map(|name| (name, format!("n0 r{domid}")))
            .chain(OWN.iter().map(|name| (name, format!("n{domid}"))))
        {
            let path = format!("{home}/{name}");
            store.write(&path, "");
            store.set_perms(&path, &perms);
        }
        store.write(&format!("{home}/domid"), &domid.to_string());
        store
    }

    fn path(text: &str) -> Path {
        Path::parse(text.as_bytes(), 0).expect("a path of the toolstack is well formed")
    }

    /// The value of a node, as domain 0.
    #[must_use]
    pub fn read(&self, path: &str) -> Option<String> {
        let node = self.tree.get(&Self::path(path), 0, false).ok()?;
        Some(String::from_utf8_lossy(&node.value).into_owned())
    }

    /// Names of a node's children.
    #[must_use]
    pub fn children(&self, path: &str) -> Vec<String> {
        self.tree.children(&Self::path(path))
    }

    /// Writes a node, as domain 0, making its parents.
    pub fn write(&mut self, path: &str, value: &str) {
        let path = Self::path(path);
        if self.tree.write(&path, value.as_bytes(), 0).is_ok() {
            self.fire(&path, &[]);
        }
    }

    /// Removes a node and all below it.
    pub fn rm(&mut self, path: &str) {
        let path = Self::path(path);
        if let Ok(gone) = self.tree.remove(&path, 0) {
            self.fire(&path, &gone);
        }
    }

    /// Sets permissions, written as `n0 r1`.
    pub fn set_perms(&mut self, path: &str, perms: &str) {
        let perms: Result<Vec<Perm>, _> = perms.split(' ').map(Perm::parse).collect();
        let path = Self::path(path);
        let done = perms.and_then(|perms| self.tree.set_perms(&path, perms, 0));
        done.expect("the toolstack sets legal permissions on a node that exists");
        self.fire(&path, &[]);
    }

    /// Watches a path and all below it; fires at once.
    pub fn watch(&mut self, path: &str) -> Watch {
        let watch = Watch(self.next_watch);
        self.next_watch += 1;
        self.own.insert(watch, (path.to_owned(), true));
        watch
    }

    /// Ends a watch.
    pub fn unwatch(&mut self, watch: Watch) {
        self.own.remove(&watch);
    }

    /// Whether a watch fired since this was last asked.
    pub fn take_fired(&mut self, watch: Watch) -> bool {
        self.own
            .get_mut(&watch)
            .is_some_and(|(_, fired)| core::mem::take(fired))
    }

    /// What was counted.
    #[must_use]
    pub const fn counters(&self) -> Counters {
        self.counters
    }

    /// Watches the guest has: path and token.
    #[must_use]
    pub fn guest_watches(&self) -> Vec<(String, String)> {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        self.guest
            .iter()
            .map(|watch| (text(&watch.path), text(&watch.token)))
            .collect()
    }

    /// Transactions the guest has begun and not ended.
    #[must_use]
    pub fn guest_transactions(&self) -> usize {
        self.transactions.len()
    }

    /// Has the guest's next transactions fail with EAGAIN, this many.
    pub fn interfere(&mut self, transactions: u32) {
        self.interfere = transactions;
    }

    /// The guest sent what is no message; nothing it sends is looked at any more.
    #[must_use]
    pub const fn is_malformed(&self) -> bool {
        self.malformed
    }

    /// The guest was resumed as a new domain: its connection begins anew.
    pub fn forget_guest(&mut self) {
        self.guest.clear();
        self.transactions.clear();
        self.incoming.clear();
        self.outgoing.clear();
    }

    /// Tells watches that `path` changed; `gone` are the nodes that went with it.
    fn fire(&mut self, path: &Path, gone: &[Path]) {
        for (watched, fired) in self.own.values_mut() {
            *fired |= path.is_within(watched) || gone.iter().any(|g| g.as_str() == watched);
        }
        let mut events = Vec::new();
        for watch in &self.guest {
            if path.is_within(&watch.absolute) {
                // Named as the guest named the watch: relative to its home if that was.
                let rest = path.as_str().get(watch.absolute.len()..).unwrap_or("");
                let visible = self.tree.get(path, self.domid, false);
                // A domain is not told of what it may not read, but of its removal.
                if visible.is_ok() || visible.is_err_and(|error| error == Refusal("ENOENT")) {
                    events.push(
                        [
                            &watch.path[..],
                            rest.as_bytes(),
                            b"\0",
                            &watch.token[..],
                            b"\0",
                        ]
                        .concat(),
                    );
                }
            } else if gone.iter().any(|g| g.as_str() == watch.absolute) {
                events.push([&watch.path[..], b"\0", &watch.token[..], b"\0"].concat());
            }
        }
        for event in events {
            self.counters.events += 1;
            self.send(ring::WATCH_EVENT, 0, 0, &event);
        }
    }

    fn add_guest_watch(&mut self, path: &[u8], token: &[u8]) -> Result<(), Refusal> {
        let absolute = if path.starts_with(b"@") {
            String::from_utf8_lossy(path).into_owned()
        } else {
            Path::parse(path, self.domid)?.as_str().to_owned()
        };
        if self
            .guest
            .iter()
            .any(|w| w.path == path && w.token == token)
        {
            return Err(Refusal("EEXIST"));
        }
        if self.guest.len() >= WATCHES_MAX {
            return Err(Refusal("E2BIG"));
        }
        self.guest.push(GuestWatch {
            path: path.to_vec(),
            absolute,
            token: token.to_vec(),
        });
        Ok(())
    }

    fn remove_guest_watch(&mut self, path: &[u8], token: &[u8]) -> Result<(), Refusal> {
        let before = self.guest.len();
        self.guest.retain(|w| w.path != path || w.token != token);
        if self.guest.len() == before {
            return Err(Refusal("ENOENT"));
        }
        Ok(())
    }

    fn begin(&mut self) -> Result<u32, Refusal> {
        if self.transactions.len() >= TRANSACTIONS_MAX {
            return Err(Refusal("ENOSPC"));
        }
        let id = self.next_transaction;
        self.next_transaction += 1;
        let transaction = Transaction {
            tree: self.tree.clone(),
            start: self.tree.now(),
            seen: BTreeMap::new(),
            changes: Vec::new(),
        };
        self.transactions.insert(id, transaction);
        Ok(id)
    }

    fn end(&mut self, id: u32, commit: bool) -> Result<(), Refusal> {
        let done = self.transactions.remove(&id).ok_or(Refusal("ENOENT"))?;
        if !commit {
            return Ok(());
        }
        let stale = |(path, existed): (&Path, &bool)| match self.tree.generation(path) {
            Some(generation) => generation > done.start,
            None => *existed,
        };
        if self.interfere > 0 || done.seen.iter().any(stale) {
            self.interfere = self.interfere.saturating_sub(1);
            self.counters.conflicts += 1;
            return Err(Refusal("EAGAIN"));
        }
        let mut told = BTreeSet::new();
        for change in &done.changes {
            let (path, gone) = apply(&mut self.tree, change, self.domid)?;
            if !gone.is_empty() || told.insert(path.clone()) {
                self.fire(&path, &gone);
            }
        }
        Ok(())
    }

    /// Reads through a transaction, or the tree itself (id 0).
    fn look<R>(
        &mut self,
        id: u32,
        path: &Path,
        body: impl FnOnce(&Tree) -> Result<R, Refusal>,
    ) -> Result<R, Refusal> {
        if id == 0 {
            return body(&self.tree);
        }
        let transaction = self.transactions.get_mut(&id).ok_or(Refusal("ENOENT"))?;
        let exists = self.tree.generation(path).is_some();
        transaction.seen.entry(path.clone()).or_insert(exists);
        body(&transaction.tree)
    }

    fn change(&mut self, id: u32, change: Change) -> Result<(), Refusal> {
        if id == 0 {
            let (path, gone) = apply(&mut self.tree, &change, self.domid)?;
            self.fire(&path, &gone);
            return Ok(());
        }
        let domid = self.domid;
        let transaction = self.transactions.get_mut(&id).ok_or(Refusal("ENOENT"))?;
        let (path, _) = apply(&mut transaction.tree, &change, domid)?;
        let exists = self.tree.generation(&path).is_some();
        transaction.seen.entry(path).or_insert(exists);
        transaction.changes.push(change);
        Ok(())
    }
}

fn apply(tree: &mut Tree, change: &Change, domid: u16) -> Result<(Path, Vec<Path>), Refusal> {
    match change {
        Change::Write(path, value) => {
            tree.write(path, value, domid)?;
            Ok((path.clone(), Vec::new()))
        }
        Change::Make(path) => {
            tree.make(path, domid)?;
            Ok((path.clone(), Vec::new()))
        }
        Change::Remove(path) => Ok((path.clone(), tree.remove(path, domid)?)),
        Change::Perms(path, perms) => {
            tree.set_perms(path, perms.clone(), domid)?;
            Ok((path.clone(), Vec::new()))
        }
    }
}

#[cfg(test)]
mod tests;
