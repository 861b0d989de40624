//! A pool for unit tests: checks bases, sizes and tags, and that all comes back.

use core::alloc::Layout;
use core::cell::{Cell, RefCell};
use std::alloc::{alloc, dealloc};
use std::collections::HashMap;

use super::{PAGE_SIZE, RawPool, Tag};

std::thread_local! {
    static LIVE: RefCell<HashMap<usize, (Layout, Tag)>> = RefCell::new(HashMap::new());
    static FAILING: Cell<bool> = const { Cell::new(false) };
}

/// The pool; each test thread has its own.
#[derive(Debug)]
pub(crate) struct FakePool;

/// While it lives, allocations on this thread fail.
pub(crate) struct Failing;

impl FakePool {
    pub(crate) fn fail_all() -> Failing {
        FAILING.set(true);
        Failing
    }

    pub(crate) fn assert_empty() {
        LIVE.with_borrow(|live| assert!(live.is_empty(), "leaked: {live:?}"));
    }
}

impl Drop for Failing {
    fn drop(&mut self) {
        FAILING.set(false);
    }
}

// SAFETY: std's allocator gives the layouts asked for, which are the ones the trait promises.
unsafe impl RawPool for FakePool {
    fn allocate(bytes: usize, tag: Tag) -> *mut u8 {
        assert_ne!(bytes, 0, "the pool is never asked for nothing");
        if FAILING.get() {
            return core::ptr::null_mut();
        }
        let align = if bytes >= PAGE_SIZE { PAGE_SIZE } else { 16 };
        let Ok(layout) = Layout::from_size_align(bytes, align) else {
            return core::ptr::null_mut();
        };
        // SAFETY: the size is not 0.
        let block = unsafe { alloc(layout) };
        if !block.is_null() {
            // SAFETY: the block has this size. Stale contents, as real pool has.
            unsafe { block.write_bytes(0xcd, bytes) };
            LIVE.with_borrow_mut(|live| live.insert(block.addr(), (layout, tag)));
        }
        block
    }

    unsafe fn free(block: *mut u8, tag: Tag) {
        let (layout, allocated_as) = LIVE
            .with_borrow_mut(|live| live.remove(&block.addr()))
            .expect("freed a block that is not live");
        assert_eq!(tag, allocated_as, "freed with another tag");
        // SAFETY: allocated with this layout and live until now.
        unsafe { dealloc(block, layout) };
    }
}
