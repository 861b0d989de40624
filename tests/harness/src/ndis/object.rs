//! Everything a driver has allocated from NDIS and not given back.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use spin::Mutex;

use crate::host::context::kernel;

/// What it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    ListPool,
    BufferPool,
    List,
    Buffer,
    Context,
    Mdl,
    Memory,
    Timer,
    WorkItem,
    Configuration,
}

/// One allocated object.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Object {
    pub(crate) kind: Kind,
    /// Adapter or driver handle it was allocated with; 0 if it was allocated without one.
    pub(crate) owner: usize,
    /// Pool it came from, or the list it belongs to; 0 if none.
    pub(crate) parent: usize,
    /// Bytes, where that matters.
    pub(crate) size: usize,
    /// Export that allocated it, and the driver's return address.
    site: (&'static str, usize),
}

/// All live objects, by address or handle.
#[derive(Debug, Default)]
pub(crate) struct Objects(Mutex<BTreeMap<usize, Object>>);

impl Objects {
    pub(crate) fn add(&self, at: usize, kind: Kind, owner: usize, parent: usize, size: usize) {
        let caller = kernel().sched.current().last_call();
        self.0.lock().insert(
            at,
            Object {
                kind,
                owner,
                parent,
                size,
                site: caller,
            },
        );
    }

    pub(crate) fn get(&self, at: usize, kind: Kind) -> Option<Object> {
        self.0
            .lock()
            .get(&at)
            .copied()
            .filter(|object| object.kind == kind)
    }

    pub(crate) fn remove(&self, at: usize, kind: Kind) -> Option<Object> {
        let mut objects = self.0.lock();
        let object = objects
            .get(&at)
            .copied()
            .filter(|object| object.kind == kind)?;
        objects.remove(&at);
        Some(object)
    }

    /// Number of live objects that came from `parent`.
    pub(crate) fn children(&self, parent: usize) -> usize {
        self.0
            .lock()
            .values()
            .filter(|object| object.parent == parent)
            .count()
    }

    /// The `size` of each object of a kind that was allocated with `owner`.
    pub(crate) fn blocks_of(&self, owner: usize, kind: Kind) -> Vec<usize> {
        let objects = self.0.lock();
        objects
            .values()
            .filter(|object| object.owner == owner && object.kind == kind)
            .map(|object| object.size)
            .collect()
    }

    /// What was allocated with the handle `owner`, in words; one entry per kind and allocating call.
    pub(crate) fn owned_by(&self, owner: usize) -> Vec<String> {
        let mut counts: BTreeMap<(String, &'static str, usize), usize> = BTreeMap::new();
        for object in self
            .0
            .lock()
            .values()
            .filter(|object| object.owner == owner)
        {
            let (export, caller) = object.site;
            *counts
                .entry((format!("{:?}", object.kind), export, caller))
                .or_default() += 1;
        }
        let kernel = kernel();
        counts
            .into_iter()
            .map(|((kind, export, caller), count)| {
                format!(
                    "{count} {kind} of {export} at {}",
                    kernel.name_address(caller)
                )
            })
            .collect()
    }

    /// Forgets what was allocated with `owner`, after it has been reported.
    pub(crate) fn forget(&self, owner: usize) {
        self.0.lock().retain(|_, object| object.owner != owner);
    }
}
