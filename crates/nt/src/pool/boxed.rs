//! Owned values and slices in the pool.

use core::alloc::Layout;
use core::fmt;
use core::marker::PhantomData;
use core::ops::{Deref, DerefMut};
use core::ptr::NonNull;

use super::{NonPagedNx, OutOfMemory, RawPool, Tag, allocate, release};

/// A value in the pool. Its address does not change until it is dropped.
pub struct PoolBox<T, P: RawPool = NonPagedNx> {
    value: NonNull<T>,
    tag: Tag,
    owns: PhantomData<(T, fn() -> P)>,
}

// SAFETY: a box owns its value as a variable would.
unsafe impl<T: Send, P: RawPool> Send for PoolBox<T, P> {}
// SAFETY: sharing a box shares its value.
unsafe impl<T: Sync, P: RawPool> Sync for PoolBox<T, P> {}

impl<T> PoolBox<T> {
    /// Moves `value` into non-paged pool.
    pub fn try_new(tag: Tag, value: T) -> Result<Self, OutOfMemory> {
        Self::try_new_in(tag, value)
    }
}

impl<T, P: RawPool> PoolBox<T, P> {
    /// Moves `value` into the pool `P`.
    pub fn try_new_in(tag: Tag, value: T) -> Result<Self, OutOfMemory> {
        let layout = Layout::new::<T>();
        let place = if layout.size() == 0 {
            NonNull::dangling()
        } else {
            allocate::<P>(layout, tag, false).ok_or(OutOfMemory)?.cast()
        };
        // SAFETY: the place has the size and alignment of T and nothing else uses it.
        unsafe { place.write(value) };
        Ok(Self {
            value: place,
            tag,
            owns: PhantomData,
        })
    }

    /// The value's address, with leave to reach all of the value.
    pub fn as_non_null(this: &Self) -> NonNull<T> {
        this.value
    }

    /// Gives up ownership; [`PoolBox::from_raw`] takes it back.
    pub fn into_raw(this: Self) -> NonNull<T> {
        core::mem::ManuallyDrop::new(this).value
    }

    /// Takes ownership back.
    ///
    /// # Safety
    /// `value` came from [`PoolBox::into_raw`] of a box made with `tag`, and only once.
    pub unsafe fn from_raw(value: NonNull<T>, tag: Tag) -> Self {
        Self {
            value,
            tag,
            owns: PhantomData,
        }
    }

    /// Moves the value out and releases the memory.
    pub fn into_inner(this: Self) -> T {
        let tag = this.tag;
        let place = Self::into_raw(this);
        // SAFETY: the box owned a value there; it is not read again.
        let value = unsafe { place.read() };
        // SAFETY: made in try_new_in with this tag, and now without a value.
        unsafe { release_value::<T, P>(place, tag) };
        value
    }
}

/// Releases the memory of a T without dropping one.
///
/// # Safety
/// `place` is the memory of a `PoolBox<T, P>` of this tag that nothing uses any more.
unsafe fn release_value<T, P: RawPool>(place: NonNull<T>, tag: Tag) {
    let layout = Layout::new::<T>();
    if layout.size() != 0 {
        // SAFETY: by the contract, allocated with this layout and tag.
        unsafe { release::<P>(place.cast(), layout, tag) };
    }
}

impl<T, P: RawPool> Drop for PoolBox<T, P> {
    fn drop(&mut self) {
        // SAFETY: the box owns a value, and this is its end.
        unsafe { self.value.drop_in_place() };
        // SAFETY: made in try_new_in with this tag, and now without a value.
        unsafe { release_value::<T, P>(self.value, self.tag) };
    }
}

impl<T, P: RawPool> Deref for PoolBox<T, P> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: the box owns a value there.
        unsafe { self.value.as_ref() }
    }
}

impl<T, P: RawPool> DerefMut for PoolBox<T, P> {
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: the box owns a value there and is borrowed mutably.
        unsafe { self.value.as_mut() }
    }
}

impl<T: fmt::Debug, P: RawPool> fmt::Debug for PoolBox<T, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

/// A slice in the pool, of a length set once.
pub struct PoolSlice<T, P: RawPool = NonPagedNx> {
    items: NonNull<T>,
    len: usize,
    tag: Tag,
    owns: PhantomData<(T, fn() -> P)>,
}

// SAFETY: a slice owns its items as variables would.
unsafe impl<T: Send, P: RawPool> Send for PoolSlice<T, P> {}
// SAFETY: sharing a slice shares its items.
unsafe impl<T: Sync, P: RawPool> Sync for PoolSlice<T, P> {}

impl<T> PoolSlice<T> {
    /// `len` items in non-paged pool, each made by `item` from its index.
    pub fn try_from_fn(
        tag: Tag,
        len: usize,
        item: impl FnMut(usize) -> T,
    ) -> Result<Self, OutOfMemory> {
        Self::try_from_fn_in(tag, len, item)
    }
}

impl<T, P: RawPool> PoolSlice<T, P> {
    /// `len` items in the pool `P`, each made by `item` from its index.
    pub fn try_from_fn_in(
        tag: Tag,
        len: usize,
        mut item: impl FnMut(usize) -> T,
    ) -> Result<Self, OutOfMemory> {
        let layout = Layout::array::<T>(len).map_err(|_| OutOfMemory)?;
        let items = if layout.size() == 0 {
            NonNull::<T>::dangling()
        } else {
            allocate::<P>(layout, tag, false).ok_or(OutOfMemory)?.cast()
        };
        for index in 0..len {
            // SAFETY: index is below len, which the layout covers.
            let place = unsafe { items.add(index) };
            // SAFETY: the place has the size and alignment of T and nothing else uses it.
            unsafe { place.write(item(index)) };
        }
        Ok(Self {
            items,
            len,
            tag,
            owns: PhantomData,
        })
    }
}

impl<T, P: RawPool> Drop for PoolSlice<T, P> {
    fn drop(&mut self) {
        let items = NonNull::slice_from_raw_parts(self.items, self.len);
        // SAFETY: the slice owns its items, and this is their end.
        unsafe { items.drop_in_place() };
        if let Ok(layout) = Layout::array::<T>(self.len)
            && layout.size() != 0
        {
            // SAFETY: made in try_from_fn_in with this layout and tag, and now without items.
            unsafe { release::<P>(self.items.cast(), layout, self.tag) };
        }
    }
}

impl<T, P: RawPool> Deref for PoolSlice<T, P> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        // SAFETY: the slice owns `len` items there.
        unsafe { NonNull::slice_from_raw_parts(self.items, self.len).as_ref() }
    }
}

impl<T, P: RawPool> DerefMut for PoolSlice<T, P> {
    fn deref_mut(&mut self) -> &mut [T] {
        // SAFETY: the slice owns `len` items there and is borrowed mutably.
        unsafe { NonNull::slice_from_raw_parts(self.items, self.len).as_mut() }
    }
}

impl<T: fmt::Debug, P: RawPool> fmt::Debug for PoolSlice<T, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use core::sync::atomic::{AtomicUsize, Ordering};
    use std::rc::Rc;

    use super::super::fake::FakePool;
    use super::super::{OutOfMemory, Tag};
    use super::{PoolBox, PoolSlice};

    const TAG: Tag = Tag::new(b"Test");

    #[test]
    fn a_box_drops_its_value_once_and_frees() {
        let value = Rc::new(7);
        let boxed = PoolBox::<_, FakePool>::try_new_in(TAG, Rc::clone(&value)).unwrap();
        assert_eq!(**boxed, 7);
        drop(boxed);
        assert_eq!(Rc::strong_count(&value), 1);
        FakePool::assert_empty();
    }

    #[test]
    fn a_value_moved_out_is_not_dropped() {
        let value = Rc::new(7);
        let boxed = PoolBox::<_, FakePool>::try_new_in(TAG, Rc::clone(&value)).unwrap();
        let out = PoolBox::into_inner(boxed);
        FakePool::assert_empty();
        assert_eq!(Rc::strong_count(&value), 2);
        drop(out);
    }

    #[test]
    fn a_box_crosses_a_raw_pointer() {
        let mut boxed = PoolBox::<_, FakePool>::try_new_in(TAG, [1_u64, 2]).unwrap();
        boxed[1] = 5;
        let raw = PoolBox::into_raw(boxed);
        // SAFETY: into_raw gave it, with this tag, just now.
        let boxed = unsafe { PoolBox::<_, FakePool>::from_raw(raw, TAG) };
        assert_eq!(*boxed, [1, 5]);
        drop(boxed);
        FakePool::assert_empty();
    }

    #[test]
    fn empty_types_take_no_memory() {
        let _failing = FakePool::fail_all();
        assert!(PoolBox::<(), FakePool>::try_new_in(TAG, ()).is_ok());
        assert!(PoolSlice::<u64, FakePool>::try_from_fn_in(TAG, 0, |_| 0).is_ok());
        assert!(PoolSlice::<(), FakePool>::try_from_fn_in(TAG, 9, |_| ()).is_ok());
    }

    #[test]
    fn failures_are_errors_and_drop_the_value() {
        let _failing = FakePool::fail_all();
        let value = Rc::new(());
        let failed = PoolBox::<_, FakePool>::try_new_in(TAG, Rc::clone(&value));
        assert_eq!(failed.err(), Some(OutOfMemory));
        assert_eq!(Rc::strong_count(&value), 1);
        let too_long = PoolSlice::<u64, FakePool>::try_from_fn_in(TAG, usize::MAX / 4, |_| 0);
        assert_eq!(too_long.err(), Some(OutOfMemory));
    }

    #[test]
    fn a_slice_makes_and_drops_each_item() {
        static DROPS: AtomicUsize = AtomicUsize::new(0);
        struct Item(usize);
        impl Drop for Item {
            fn drop(&mut self) {
                DROPS.fetch_add(self.0, Ordering::Relaxed);
            }
        }
        let mut slice = PoolSlice::<_, FakePool>::try_from_fn_in(TAG, 4, Item).unwrap();
        assert_eq!(slice.iter().map(|item| item.0).sum::<usize>(), 6);
        slice[0].0 = 10;
        drop(slice);
        assert_eq!(DROPS.load(Ordering::Relaxed), 16);
        FakePool::assert_empty();
    }
}
