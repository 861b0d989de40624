//! A value in the pool with many owners.

use core::fmt;
use core::marker::PhantomData;
use core::ops::Deref;
use core::ptr::NonNull;
use core::sync::atomic::{AtomicUsize, Ordering, fence};

use super::{NonPagedNx, OutOfMemory, PoolBox, RawPool, Tag};
use crate::bugcheck;

/// More owners than memory could hold; reaching it means that owners leak.
const MAX_OWNERS: usize = isize::MAX as usize;

struct Shared<T> {
    owners: AtomicUsize,
    tag: Tag,
    value: T,
}

/// A value in the pool that is dropped with its last owner, like `alloc`'s `Arc` but with a
/// constructor that can fail. The last owner may be dropped at `DISPATCH_LEVEL`; the value must
/// allow that.
pub struct PoolArc<T, P: RawPool = NonPagedNx> {
    shared: NonNull<Shared<T>>,
    owns: PhantomData<PoolBox<Shared<T>, P>>,
}

// SAFETY: any owner may be the last, on any thread, and all share the value.
unsafe impl<T: Send + Sync, P: RawPool> Send for PoolArc<T, P> {}
// SAFETY: a shared owner can be cloned, so the same holds.
unsafe impl<T: Send + Sync, P: RawPool> Sync for PoolArc<T, P> {}

impl<T> PoolArc<T> {
    /// Moves `value` into non-paged pool, with one owner.
    pub fn try_new(tag: Tag, value: T) -> Result<Self, OutOfMemory> {
        Self::try_new_in(tag, value)
    }
}

impl<T, P: RawPool> PoolArc<T, P> {
    /// Moves `value` into the pool `P`, with one owner.
    pub fn try_new_in(tag: Tag, value: T) -> Result<Self, OutOfMemory> {
        let shared = PoolBox::<_, P>::try_new_in(
            tag,
            Shared {
                owners: AtomicUsize::new(1),
                tag,
                value,
            },
        )?;
        Ok(Self {
            shared: PoolBox::into_raw(shared),
            owns: PhantomData,
        })
    }

    /// Whether both own the same value.
    pub fn same(this: &Self, other: &Self) -> bool {
        this.shared == other.shared
    }

    fn shared(&self) -> &Shared<T> {
        // SAFETY: an owner keeps the memory alive; only shared references to it are made.
        unsafe { self.shared.as_ref() }
    }
}

impl<T, P: RawPool> Clone for PoolArc<T, P> {
    fn clone(&self) -> Self {
        // A new owner comes from a live one: nothing to order against.
        if self.shared().owners.fetch_add(1, Ordering::Relaxed) >= MAX_OWNERS {
            bugcheck::stop(
                bugcheck::Code::TooManyOwners,
                [self.shared.addr().get(), 0, 0, 0],
            );
        }
        Self {
            shared: self.shared,
            owns: PhantomData,
        }
    }
}

impl<T, P: RawPool> Drop for PoolArc<T, P> {
    fn drop(&mut self) {
        // Release: this owner's uses come before the drop of the value by the last one.
        if self.shared().owners.fetch_sub(1, Ordering::Release) != 1 {
            return;
        }
        fence(Ordering::Acquire);
        let tag = self.shared().tag;
        // SAFETY: made by into_raw with this tag, and no owner is left.
        drop(unsafe { PoolBox::<_, P>::from_raw(self.shared, tag) });
    }
}

impl<T, P: RawPool> Deref for PoolArc<T, P> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.shared().value
    }
}

impl<T: fmt::Debug, P: RawPool> fmt::Debug for PoolArc<T, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use std::rc::Rc;

    use super::super::Tag;
    use super::super::fake::FakePool;
    use super::PoolArc;

    const TAG: Tag = Tag::new(b"Test");

    #[test]
    fn the_last_owner_drops_the_value() {
        let value = Rc::new(3);
        let first = PoolArc::<_, FakePool>::try_new_in(TAG, Rc::clone(&value)).unwrap();
        let second = first.clone();
        assert!(PoolArc::same(&first, &second));
        drop(first);
        assert_eq!((**second, Rc::strong_count(&value)), (3, 2));
        drop(second);
        assert_eq!(Rc::strong_count(&value), 1);
        FakePool::assert_empty();
    }
}
