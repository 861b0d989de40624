//! The nodes: values, permissions and generations.

use alloc::borrow::ToOwned;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

use crate::quota;

/// An error as XenStore names it on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Refusal(pub(crate) &'static str);

/// A path of the tree, checked: absolute, without a trailing slash, `/` alone for the root.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Path(String);

impl Path {
    /// Checks a path that domain `domid` names; a relative one starts at its home.
    pub(crate) fn parse(text: &[u8], domid: u16) -> Result<Self, Refusal> {
        let text = core::str::from_utf8(text).map_err(|_| Refusal("EINVAL"))?;
        let absolute = if text.starts_with('/') {
            text.to_owned()
        } else {
            format!("/local/domain/{domid}/{text}")
        };
        let legal = |c: char| c.is_ascii_alphanumeric() || "-/_@".contains(c);
        let bad = absolute.len() > quota::PATH
            || below_home(&absolute) > quota::RELATIVE_PATH
            || absolute.contains("//")
            || absolute.len() > 1 && absolute.ends_with('/')
            || !absolute.chars().all(legal);
        if bad {
            return Err(Refusal("EINVAL"));
        }
        Ok(Self(absolute))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// The node above; `None` for the root.
    pub(crate) fn parent(&self) -> Option<Self> {
        let (parent, _) = self.0.rsplit_once('/')?;
        match (self.0.len(), parent) {
            (1, _) => None,
            (_, "") => Some(Self("/".into())),
            (_, parent) => Some(Self(parent.into())),
        }
    }

    /// Whether the path is `other` or below it.
    pub(crate) fn is_within(&self, other: &str) -> bool {
        other == "/"
            || self
                .0
                .strip_prefix(other)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }
}

/// Bytes of a path below the home of whatever domain it is in; all of them if it is in none.
fn below_home(path: &str) -> usize {
    let home = path.strip_prefix("/local/domain/");
    let below = home.and_then(|rest| {
        let (domain, below) = rest.split_once('/')?;
        domain.parse::<u16>().is_ok().then_some(below.len())
    });
    below.unwrap_or(path.len())
}

/// What a domain may do with a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Perm {
    pub(crate) domid: u16,
    pub(crate) read: bool,
    pub(crate) write: bool,
}

impl Perm {
    /// Parses `r5`, `w5`, `b5` or `n5`.
    pub(crate) fn parse(text: &str) -> Result<Self, Refusal> {
        let (letter, number) = text.split_at_checked(1).ok_or(Refusal("EINVAL"))?;
        let (read, write) = match letter {
            "r" => (true, false),
            "w" => (false, true),
            "b" => (true, true),
            "n" => (false, false),
            _ => return Err(Refusal("EINVAL")),
        };
        let domid = number.parse().map_err(|_| Refusal("EINVAL"))?;
        Ok(Self { domid, read, write })
    }

    pub(crate) fn text(self) -> String {
        let letter = match (self.read, self.write) {
            (true, false) => 'r',
            (false, true) => 'w',
            (true, true) => 'b',
            (false, false) => 'n',
        };
        format!("{letter}{}", self.domid)
    }
}

/// One node.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub(crate) value: Vec<u8>,
    /// The first names the owner and what everybody else may do.
    pub(crate) perms: Vec<Perm>,
    /// Changes with every change of value, permissions or children.
    pub(crate) generation: u64,
}

/// A node as it was before it was removed, or its permissions changed.
#[derive(Clone, Debug)]
pub(crate) struct Gone {
    pub(crate) path: Path,
    pub(crate) node: Node,
}

impl Node {
    pub(crate) fn allows(&self, domid: u16, write: bool) -> bool {
        let owner = self.perms.first();
        if domid == 0 || owner.is_some_and(|perm| perm.domid == domid) {
            return true;
        }
        let named = self.perms.iter().skip(1).find(|perm| perm.domid == domid);
        named
            .or(owner)
            .is_some_and(|perm| if write { perm.write } else { perm.read })
    }
}

/// All nodes.
#[derive(Clone, Debug)]
pub(crate) struct Tree {
    nodes: BTreeMap<Path, Node>,
    generation: u64,
}

impl Tree {
    pub(crate) fn new() -> Self {
        let root = Node {
            value: Vec::new(),
            perms: vec![Perm {
                domid: 0,
                read: true,
                write: false,
            }],
            generation: 0,
        };
        Self {
            nodes: BTreeMap::from([(Path("/".into()), root)]),
            generation: 0,
        }
    }

    fn tick(&mut self) -> u64 {
        self.generation += 1;
        self.generation
    }

    /// A node that `domid` may read or write.
    pub(crate) fn get(&self, path: &Path, domid: u16, write: bool) -> Result<&Node, Refusal> {
        let node = self
            .nodes
            .get(path)
            .ok_or_else(|| self.absent(path, domid))?;
        if node.allows(domid, write) {
            Ok(node)
        } else {
            Err(Refusal("EACCES"))
        }
    }

    /// What a domain is told of a node that is not there: no more than it may know.
    fn absent(&self, path: &Path, domid: u16) -> Refusal {
        let mut at = path.parent();
        while let Some(parent) = at {
            if let Some(node) = self.nodes.get(&parent) {
                let known = node.allows(domid, false);
                return Refusal(if known { "ENOENT" } else { "EACCES" });
            }
            at = parent.parent();
        }
        Refusal("ENOENT")
    }

    pub(crate) fn contains(&self, path: &Path) -> bool {
        self.nodes.contains_key(path)
    }

    /// Whether there is such a node and `domid` may read it.
    pub(crate) fn allows(&self, path: &Path, domid: u16) -> bool {
        self.nodes
            .get(path)
            .is_some_and(|node| node.allows(domid, false))
    }

    /// Everything below a node.
    pub(crate) fn below(&self, path: &Path) -> Vec<Path> {
        self.nodes
            .range(path.clone()..)
            .map(|(at, _)| at)
            .take_while(|at| at.0.starts_with(&path.0))
            .filter(|at| *at != path && at.is_within(&path.0))
            .cloned()
            .collect()
    }

    /// Whether a node of these permissions, this value and these children is small enough for a guest.
    fn fits(perms: usize, value: usize, children: &[String]) -> Result<(), Refusal> {
        let names: usize = children.iter().map(|name| name.len() + 1).sum();
        let size = quota::NODE_HEADER + perms * quota::NODE_PERMISSION + value + names;
        if size >= quota::NODE_BYTES {
            return Err(Refusal("ENOSPC"));
        }
        Ok(())
    }

    /// Generation of a node.
    pub(crate) fn generation(&self, path: &Path) -> Option<u64> {
        self.nodes.get(path).map(|node| node.generation)
    }

    /// Names of the children.
    pub(crate) fn children(&self, path: &Path) -> Vec<String> {
        let prefix = if path.0 == "/" {
            "/".to_owned()
        } else {
            format!("{}/", path.0)
        };
        self.nodes
            .range(Path(prefix.clone())..)
            .map_while(|(path, _)| path.0.strip_prefix(&prefix))
            .filter(|rest| !rest.is_empty() && !rest.contains('/'))
            .map(ToOwned::to_owned)
            .collect()
    }

    fn owned(&self, domid: u16) -> usize {
        let owner = |node: &&Node| node.perms.first().is_some_and(|perm| perm.domid == domid);
        self.nodes.values().filter(owner).count()
    }

    /// Makes a node and its missing parents, as `domid`. Nothing happens if it exists.
    pub(crate) fn make(&mut self, path: &Path, domid: u16) -> Result<(), Refusal> {
        if self.nodes.contains_key(path) {
            return self.get(path, domid, true).map(|_| ());
        }
        let mut missing = vec![path.clone()];
        let mut at = path.parent();
        let base = loop {
            let parent = at.ok_or(Refusal("EINVAL"))?;
            if self.nodes.contains_key(&parent) {
                break parent;
            }
            at = parent.parent();
            missing.push(parent);
        };
        let mut perms = self.get(&base, domid, true)?.perms.clone();
        if domid != 0 {
            if self.owned(domid) + missing.len() > quota::NODES {
                return Err(Refusal("ENOSPC"));
            }
            self.fits_with_child(&base, missing.last().unwrap_or(path))?;
            if let Some(owner) = perms.first_mut() {
                owner.domid = domid;
            }
        }
        let generation = self.tick();
        if let Some(node) = self.nodes.get_mut(&base) {
            node.generation = generation;
        }
        for path in missing {
            let node = Node {
                value: Vec::new(),
                perms: perms.clone(),
                generation,
            };
            self.nodes.insert(path, node);
        }
        Ok(())
    }

    /// Whether `parent` stays small enough with one more child.
    fn fits_with_child(&self, parent: &Path, child: &Path) -> Result<(), Refusal> {
        let Some(node) = self.nodes.get(parent) else {
            return Ok(());
        };
        let mut names = self.children(parent);
        names.extend(child.0.rsplit('/').next().map(ToOwned::to_owned));
        Self::fits(node.perms.len(), node.value.len(), &names)
    }

    /// Writes a value, making the node and its parents. Nothing is made if the value is refused.
    pub(crate) fn write(&mut self, path: &Path, value: &[u8], domid: u16) -> Result<(), Refusal> {
        if domid != 0 {
            let perms = self.nodes.get(path).map_or(1, |node| node.perms.len());
            Self::fits(perms, value.len(), &self.children(path))?;
        }
        self.make(path, domid)?;
        let generation = self.tick();
        if let Some(node) = self.nodes.get_mut(path) {
            node.value = value.to_vec();
            node.generation = generation;
        }
        Ok(())
    }

    /// Removes a node and all below it; returns what was removed.
    pub(crate) fn remove(&mut self, path: &Path, domid: u16) -> Result<Vec<Gone>, Refusal> {
        let Some(parent) = path.parent() else {
            return Err(Refusal("EINVAL"));
        };
        if !self.nodes.contains_key(path) {
            // Removing what is not there is no error, if the parent is.
            return self.get(&parent, domid, true).map(|_| Vec::new());
        }
        self.get(path, domid, true)?;
        let generation = self.tick();
        if let Some(node) = self.nodes.get_mut(&parent) {
            node.generation = generation;
        }
        let mut paths = vec![path.clone()];
        paths.extend(self.below(path));
        let gone = paths
            .into_iter()
            .filter_map(|path| {
                let node = self.nodes.remove(&path)?;
                Some(Gone { path, node })
            })
            .collect();
        Ok(gone)
    }

    /// Sets permissions; returns the node as it was.
    pub(crate) fn set_perms(
        &mut self,
        path: &Path,
        perms: Vec<Perm>,
        domid: u16,
    ) -> Result<Vec<Gone>, Refusal> {
        let node = self.get(path, domid, false)?;
        let owner = node.perms.first().map(|perm| perm.domid);
        if domid != 0 && owner != Some(domid) {
            return Err(Refusal("EACCES"));
        }
        if perms.is_empty() {
            return Err(Refusal("EINVAL"));
        }
        if domid != 0 {
            if perms.first().map(|perm| perm.domid) != owner {
                return Err(Refusal("EPERM"));
            }
            if perms.len() > quota::PERMISSIONS {
                return Err(Refusal("ENOSPC"));
            }
            Self::fits(perms.len(), node.value.len(), &self.children(path))?;
        }
        let was = vec![Gone {
            path: path.clone(),
            node: node.clone(),
        }];
        let generation = self.tick();
        if let Some(node) = self.nodes.get_mut(path) {
            node.perms = perms;
            node.generation = generation;
        }
        Ok(was)
    }
}
