//! Memory whose size is settled when a queue is made: it never grows, so it never allocates on
//! the data path.

use alloc::vec::Vec;

/// No memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutOfMemory;

/// A table of a fixed number of entries.
#[derive(Debug)]
pub(crate) struct Table<T>(Vec<T>);

impl<T: Copy> Table<T> {
    /// A table of `len` copies of `value`.
    pub(crate) fn filled(len: usize, value: T) -> Result<Self, OutOfMemory> {
        Self::from_values(core::iter::repeat_n(value, len))
    }

    /// A table of these entries.
    pub(crate) fn from_values(
        values: impl ExactSizeIterator<Item = T>,
    ) -> Result<Self, OutOfMemory> {
        let mut entries = Vec::new();
        entries
            .try_reserve_exact(values.len())
            .map_err(|_| OutOfMemory)?;
        entries.extend(values);
        Ok(Self(entries))
    }

    pub(crate) fn get(&self, nth: impl Into<usize>) -> Option<T> {
        self.0.get(nth.into()).copied()
    }

    pub(crate) fn get_mut(&mut self, nth: impl Into<usize>) -> Option<&mut T> {
        self.0.get_mut(nth.into())
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }
}

/// A stack with a fixed capacity. The most recently used entry comes out first: it is the one
/// most likely still in the cache.
#[derive(Debug)]
pub(crate) struct Stack<T> {
    entries: Vec<T>,
    capacity: usize,
}

impl<T> Stack<T> {
    pub(crate) fn with_capacity(capacity: usize) -> Result<Self, OutOfMemory> {
        let mut entries = Vec::new();
        entries
            .try_reserve_exact(capacity)
            .map_err(|_| OutOfMemory)?;
        Ok(Self { entries, capacity })
    }

    /// Puts an entry back, or gives it to the caller when the stack is full.
    pub(crate) fn push(&mut self, entry: T) -> Result<(), T> {
        if self.entries.len() >= self.capacity {
            return Err(entry);
        }
        self.entries.push(entry);
        Ok(())
    }

    pub(crate) fn pop(&mut self) -> Option<T> {
        self.entries.pop()
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }
}

/// A stack of the numbers `0..count`, all free, lowest first.
pub(crate) fn free_numbers(count: u16) -> Result<Stack<u16>, OutOfMemory> {
    let mut stack = Stack::with_capacity(count.into())?;
    for number in (0..count).rev() {
        let _ = stack.push(number);
    }
    Ok(stack)
}
