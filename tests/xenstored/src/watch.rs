//! Watches: domain 0's, which are asked, and the guest's, which send events.

use alloc::borrow::ToOwned;
use alloc::collections::BTreeMap;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use crate::quota;
use crate::tree::{Gone, Path, Refusal, Tree};

/// A watch of domain 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Watch(pub u64);

#[derive(Clone, Debug)]
struct GuestWatch {
    /// As the guest wrote it, which is how events name it.
    path: Vec<u8>,
    absolute: String,
    token: Vec<u8>,
}

impl GuestWatch {
    fn event(&self, path: &Path) -> Vec<u8> {
        let mut bytes = if self.path.starts_with(b"/") {
            path.as_str().as_bytes().to_vec()
        } else {
            // Relative: named from where the guest named it.
            let rest = path.as_str().get(self.absolute.len()..).unwrap_or("");
            [&self.path, rest.as_bytes()].concat()
        };
        bytes.push(0);
        bytes.extend(&self.token);
        bytes.push(0);
        bytes
    }
}

/// All watches.
#[derive(Debug, Default)]
pub(crate) struct Watches {
    own: BTreeMap<Watch, (String, bool)>,
    next: u64,
    guest: Vec<GuestWatch>,
}

impl Watches {
    /// Adds one of domain 0's; it fires at once.
    pub(crate) fn add_own(&mut self, path: &str) -> Watch {
        self.next += 1;
        let watch = Watch(self.next);
        self.own.insert(watch, (path.to_owned(), true));
        watch
    }

    pub(crate) fn remove_own(&mut self, watch: Watch) {
        self.own.remove(&watch);
    }

    pub(crate) fn take_fired(&mut self, watch: Watch) -> bool {
        self.own
            .get_mut(&watch)
            .is_some_and(|(_, fired)| core::mem::take(fired))
    }

    pub(crate) fn add(&mut self, path: &[u8], token: &[u8], domid: u16) -> Result<(), Refusal> {
        let absolute = if path.starts_with(b"@") {
            String::from_utf8_lossy(path).into_owned()
        } else {
            Path::parse(path, domid)?.as_str().to_owned()
        };
        let same = |watch: &GuestWatch| watch.path == path && watch.token == token;
        if self.guest.iter().any(same) {
            return Err(Refusal("EEXIST"));
        }
        if self.guest.len() >= quota::WATCHES {
            return Err(Refusal("E2BIG"));
        }
        self.guest.push(GuestWatch {
            path: path.to_vec(),
            absolute,
            token: token.to_vec(),
        });
        Ok(())
    }

    pub(crate) fn remove(&mut self, path: &[u8], token: &[u8]) -> Result<(), Refusal> {
        let before = self.guest.len();
        self.guest
            .retain(|watch| watch.path != path || watch.token != token);
        if self.guest.len() == before {
            return Err(Refusal("ENOENT"));
        }
        Ok(())
    }

    pub(crate) fn forget_guest(&mut self) {
        self.guest.clear();
    }

    /// Path and token of the guest's.
    pub(crate) fn of_guest(&self) -> Vec<(String, String)> {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).to_string();
        self.guest
            .iter()
            .map(|watch| (text(&watch.path), text(&watch.token)))
            .collect()
    }

    /// Tells of a change at `path`, in the tree as it is now; `gone` is what went with it, or what it was before.
    /// Returns the events for guest `domid`.
    pub(crate) fn fire(
        &mut self,
        path: &Path,
        gone: &[Gone],
        tree: &Tree,
        domid: u16,
    ) -> Vec<Vec<u8>> {
        for (watched, fired) in self.own.values_mut() {
            *fired |= path.is_within(watched) || gone.iter().any(|g| g.path.as_str() == watched);
        }
        let mut events = Vec::new();
        for watch in &self.guest {
            let told = if path.is_within(&watch.absolute) {
                Some(path)
            } else {
                // Watches on or below what went hear of their own node only.
                let own = gone.iter().find(|g| g.path.as_str() == watch.absolute);
                own.map(|gone| &gone.path)
            };
            if let Some(at) = told
                && is_visible(at, gone, tree, domid)
            {
                events.push(watch.event(at));
            }
        }
        events
    }
}

/// Whether a domain may hear of a change: it may read the node as it is or was, or its parent, which names it.
fn is_visible(path: &Path, gone: &[Gone], tree: &Tree, domid: u16) -> bool {
    let was = gone.iter().find(|gone| gone.path == *path);
    let parent = path.parent();
    tree.allows(path, domid)
        || was.is_some_and(|gone| gone.node.allows(domid, false))
        || parent.is_some_and(|parent| tree.allows(&parent, domid))
}
