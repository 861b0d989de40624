//! Pool memory in the form the cores take their storage in.

use nt::pool::{OutOfMemory, PoolSlice};

use crate::TAG;

/// Storage for a core: a slice of non-paged pool.
#[derive(Debug)]
pub(crate) struct Storage<T>(PoolSlice<T>);

impl<T: Clone> Storage<T> {
    /// `len` copies of `item`.
    pub(crate) fn try_new(len: usize, item: &T) -> Result<Self, OutOfMemory> {
        PoolSlice::try_from_fn(TAG, len, |_| item.clone()).map(Self)
    }
}

impl<T> AsRef<[T]> for Storage<T> {
    fn as_ref(&self) -> &[T] {
        &self.0
    }
}

impl<T> AsMut<[T]> for Storage<T> {
    fn as_mut(&mut self) -> &mut [T] {
        &mut self.0
    }
}
