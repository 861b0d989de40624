//! The daemon, with one guest connected.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use crate::quota;
use crate::ring::{self, Connection};
use crate::transaction::{Change, Transaction};
use crate::tree::{Gone, Path, Perm, Refusal, Tree};
use crate::watch::{Watch, Watches};

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
    pub(crate) domid: u16,
    tree: Tree,
    pub(crate) watches: Watches,
    transactions: BTreeMap<u32, Transaction>,
    next_transaction: u32,
    pub(crate) connection: Connection,
    pub(crate) counters: Counters,
    /// Transactions that will be refused at their end, as if another domain had interfered.
    interfere: u32,
}

impl Store {
    /// A daemon that knows guest `domid`, whose home directory exists as libxl makes it.
    #[must_use]
    pub fn new(domid: u16) -> Self {
        let mut store = Self {
            domid,
            tree: Tree::new(),
            watches: Watches::default(),
            transactions: BTreeMap::new(),
            next_transaction: 1,
            connection: Connection::default(),
            counters: Counters::default(),
            interfere: 0,
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
    ///
    /// # Panics
    /// When they are not legal, or there is no such node.
    pub fn set_perms(&mut self, path: &str, perms: &str) {
        let perms: Result<Vec<Perm>, _> = perms.split(' ').map(Perm::parse).collect();
        let path = Self::path(path);
        let done = perms.and_then(|perms| self.tree.set_perms(&path, perms, 0));
        let was = done.expect("the toolstack sets legal permissions on a node that exists");
        self.fire(&path, &was);
    }

    /// Watches a path and all below it; fires at once.
    pub fn watch(&mut self, path: &str) -> Watch {
        self.watches.add_own(path)
    }

    /// Ends a watch.
    pub fn unwatch(&mut self, watch: Watch) {
        self.watches.remove_own(watch);
    }

    /// Whether a watch fired since this was last asked.
    pub fn take_fired(&mut self, watch: Watch) -> bool {
        self.watches.take_fired(watch)
    }

    /// What was counted.
    #[must_use]
    pub const fn counters(&self) -> Counters {
        self.counters
    }

    /// Watches the guest has: path and token.
    #[must_use]
    pub fn guest_watches(&self) -> Vec<(String, String)> {
        self.watches.of_guest()
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
        self.connection.is_malformed()
    }

    /// The guest was resumed as a new domain: its connection begins anew.
    pub fn forget_guest(&mut self) {
        self.watches.forget_guest();
        self.transactions.clear();
        self.connection = Connection::default();
    }

    /// The guest has no watch and no transaction any more.
    pub(crate) fn reset_watches(&mut self) {
        self.watches.forget_guest();
        self.transactions.clear();
    }

    /// Tells watches that `path` changed; `gone` are the nodes that went with it.
    fn fire(&mut self, path: &Path, gone: &[Gone]) {
        for event in self.watches.fire(path, gone, &self.tree, self.domid) {
            self.counters.events += 1;
            self.connection.send(ring::WATCH_EVENT, 0, 0, &event);
        }
    }

    pub(crate) fn knows_transaction(&self, id: u32) -> bool {
        self.transactions.contains_key(&id)
    }

    pub(crate) fn begin(&mut self) -> Result<u32, Refusal> {
        if self.transactions.len() >= quota::TRANSACTIONS {
            return Err(Refusal("ENOSPC"));
        }
        let id = self.next_transaction;
        self.next_transaction = self.next_transaction.checked_add(1).unwrap_or(1);
        self.transactions.insert(id, Transaction::new(&self.tree));
        Ok(id)
    }

    /// Ends a transaction. A refusal leaves the store as it was.
    pub(crate) fn end(&mut self, id: u32, commit: bool) -> Result<(), Refusal> {
        let transaction = self.transactions.remove(&id).ok_or(Refusal("ENOENT"))?;
        if !commit {
            return Ok(());
        }
        if self.interfere > 0 || transaction.conflicts(&self.tree) {
            self.interfere = self.interfere.saturating_sub(1);
            self.counters.conflicts += 1;
            return Err(Refusal("EAGAIN"));
        }
        let (tree, done) = transaction.commit(&self.tree, self.domid)?;
        self.tree = tree;
        let mut told = BTreeSet::new();
        for (path, gone) in &done {
            if !gone.is_empty() || told.insert(path) {
                self.fire(path, gone);
            }
        }
        Ok(())
    }

    /// Reads through a transaction, or the tree itself (id 0).
    pub(crate) fn look<R>(
        &mut self,
        id: u32,
        path: &Path,
        body: impl FnOnce(&Tree) -> Result<R, Refusal>,
    ) -> Result<R, Refusal> {
        if id == 0 {
            return body(&self.tree);
        }
        let transaction = self.transactions.get_mut(&id).ok_or(Refusal("ENOENT"))?;
        body(transaction.look(path)?)
    }

    /// Changes a transaction's view, or the tree itself (id 0).
    pub(crate) fn change(&mut self, id: u32, change: Change) -> Result<(), Refusal> {
        if id == 0 {
            let gone = change.apply(&mut self.tree, self.domid)?;
            self.fire(change.path(), &gone);
            return Ok(());
        }
        let transaction = self.transactions.get_mut(&id).ok_or(Refusal("ENOENT"))?;
        transaction.change(change, self.domid)
    }
}
