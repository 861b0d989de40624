//! Transactions: each works on a copy of the tree, remembers what it looked at, and is done whole or not at all.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use crate::quota;
use crate::tree::{Gone, Path, Perm, Refusal, Tree};

/// One change of the tree.
#[derive(Clone, Debug)]
pub(crate) enum Change {
    Write(Path, Vec<u8>),
    Make(Path),
    Remove(Path),
    Perms(Path, Vec<Perm>),
}

impl Change {
    pub(crate) fn path(&self) -> &Path {
        match self {
            Self::Write(path, _) | Self::Make(path) | Self::Remove(path) | Self::Perms(path, _) => {
                path
            }
        }
    }

    /// Makes the change as `domid`; returns what was removed, or the node as it was if its permissions changed.
    pub(crate) fn apply(&self, tree: &mut Tree, domid: u16) -> Result<Vec<Gone>, Refusal> {
        match self {
            Self::Write(path, value) => tree.write(path, value, domid).map(|()| Vec::new()),
            Self::Make(path) => tree.make(path, domid).map(|()| Vec::new()),
            Self::Remove(path) => tree.remove(path, domid),
            Self::Perms(path, perms) => tree.set_perms(path, perms.clone(), domid),
        }
    }

    /// Nodes that the change reads or writes: the node, with all below it if it goes, and its parent if that
    /// gains or loses a child.
    fn touches(&self, tree: &Tree) -> Vec<Path> {
        let path = self.path();
        let mut touched = alloc::vec![path.clone()];
        match self {
            Self::Write(..) | Self::Make(_) => {
                let mut at = path.clone();
                while !tree.contains(&at)
                    && let Some(parent) = at.parent()
                {
                    touched.push(parent.clone());
                    at = parent;
                }
            }
            Self::Remove(_) => {
                touched.extend(tree.below(path));
                touched.extend(path.parent());
            }
            Self::Perms(..) => {}
        }
        touched
    }
}

/// A change that was made: where, and what it removed.
pub(crate) type Done = (Path, Vec<Gone>);

/// A transaction under way.
#[derive(Debug)]
pub(crate) struct Transaction {
    tree: Tree,
    /// Generation of each node at the first look; `None`: it was not there.
    seen: BTreeMap<Path, Option<u64>>,
    changes: Vec<Change>,
}

impl Transaction {
    pub(crate) fn new(tree: &Tree) -> Self {
        Self {
            tree: tree.clone(),
            seen: BTreeMap::new(),
            changes: Vec::new(),
        }
    }

    fn touch(&mut self, path: Path) -> Result<(), Refusal> {
        if self.seen.contains_key(&path) {
            return Ok(());
        }
        if self.seen.len() >= quota::TRANSACTION_NODES {
            return Err(Refusal("ENOSPC"));
        }
        // Its own changes touch before they change: this is the generation from before the transaction.
        let generation = self.tree.generation(&path);
        self.seen.insert(path, generation);
        Ok(())
    }

    /// The tree as the transaction sees it, for a look at `path`.
    pub(crate) fn look(&mut self, path: &Path) -> Result<&Tree, Refusal> {
        self.touch(path.clone())?;
        Ok(&self.tree)
    }

    pub(crate) fn change(&mut self, change: Change, domid: u16) -> Result<(), Refusal> {
        for path in change.touches(&self.tree) {
            self.touch(path)?;
        }
        change.apply(&mut self.tree, domid)?;
        self.changes.push(change);
        Ok(())
    }

    /// Whether anything it looked at or changed is no more as it was.
    pub(crate) fn conflicts(&self, tree: &Tree) -> bool {
        let stale = |(path, seen): (&Path, &Option<u64>)| tree.generation(path) != *seen;
        self.seen.iter().any(stale)
    }

    /// Makes its changes in a copy of `tree`; returns the copy and what each change removed.
    pub(crate) fn commit(self, tree: &Tree, domid: u16) -> Result<(Tree, Vec<Done>), Refusal> {
        let mut tree = tree.clone();
        let mut done = Vec::new();
        for change in &self.changes {
            let gone = change.apply(&mut tree, domid)?;
            done.push((change.path().clone(), gone));
        }
        Ok((tree, done))
    }
}
