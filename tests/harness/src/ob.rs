//! Object references and handles (`Ob`).

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use core::sync::atomic::{AtomicUsize, Ordering};

use spin::Mutex;

use crate::export::{Module, exports};
use crate::host::context::kernel;
use crate::mem::guest::Guest;
use crate::rules;

const STATUS_INVALID_HANDLE: i32 = 0xC000_0008_u32.cast_signed();

exports! { Module::Ntoskrnl;
    ObReferenceObjectByHandle = by_handle, 0..=0;
    ObfReferenceObject = reference, 0..=2;
    ObfDereferenceObject = dereference, 0..=2;
    ObDereferenceObjectDeferDelete = dereference, 0..=2;
    ObReferenceObjectByPointer = by_pointer, 0..=2;
    ZwClose = close, 0..=0;
}

/// What a handle stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    /// An object at a guest address.
    Object(usize),
    /// A registry key, by path.
    Key(String),
}

/// The handle table, and the reference counts of objects.
#[derive(Debug, Default)]
pub(crate) struct Handles {
    open: Mutex<BTreeMap<usize, (Target, String)>>,
    next: AtomicUsize,
    references: Mutex<BTreeMap<usize, i64>>,
}

impl Handles {
    /// Opens a kernel handle for `target` on behalf of driver `owner`.
    pub(crate) fn open(&self, target: Target, owner: String) -> usize {
        let number = self.next.fetch_add(1, Ordering::AcqRel);
        // Kernel handles have the top bits set.
        let handle = 0xFFFF_FFFF_8000_0000 + (number + 1) * 4;
        self.open.lock().insert(handle, (target, owner));
        handle
    }

    pub(crate) fn get(&self, handle: usize) -> Option<Target> {
        self.open
            .lock()
            .get(&handle)
            .map(|(target, _)| target.clone())
    }

    fn close(&self, handle: usize) -> bool {
        self.open.lock().remove(&handle).is_some()
    }

    /// Handles that driver `owner` has not closed.
    pub(crate) fn owned_by(&self, owner: &str) -> usize {
        self.open
            .lock()
            .values()
            .filter(|(_, by)| by == owner)
            .count()
    }

    /// References that drivers hold on an object.
    pub(crate) fn references(&self, object: usize) -> i64 {
        self.references.lock().get(&object).copied().unwrap_or(0)
    }

    /// The object is gone; another one may come to its address.
    pub(crate) fn forget_references(&self, object: usize) {
        self.references.lock().remove(&object);
    }

    pub(crate) fn add_reference(&self, object: usize, by: i64) -> i64 {
        let mut references = self.references.lock();
        let count = references.entry(object).or_insert(0);
        *count += by;
        *count
    }
}

extern "win64" fn by_handle(
    handle: usize,
    _access: u32,
    _kind: usize,
    _mode: i8,
    out: *mut usize,
    _information: usize,
) -> i32 {
    match kernel().handles.get(handle) {
        Some(Target::Object(object)) => {
            kernel().handles.add_reference(object, 1);
            Guest::from(out).store(object);
            0
        }
        _ => STATUS_INVALID_HANDLE,
    }
}

extern "win64" fn by_pointer(object: usize, _access: u32, _kind: usize, _mode: i8) -> i32 {
    reference(object);
    0
}

extern "win64" fn reference(object: usize) -> i64 {
    kernel().handles.add_reference(object, 1)
}

extern "win64" fn dereference(object: usize) -> i64 {
    let left = kernel().handles.add_reference(object, -1);
    if left < 0 {
        rules::violate(
            &rules::OBJECT,
            format!("object {object:#x} dereferenced more often than referenced"),
        );
        kernel().handles.add_reference(object, 1);
    }
    left.max(0)
}

extern "win64" fn close(handle: usize) -> i32 {
    if kernel().handles.close(handle) {
        return 0;
    }
    rules::violate(&rules::OBJECT, format!("handle {handle:#x} is not open"));
    STATUS_INVALID_HANDLE
}
