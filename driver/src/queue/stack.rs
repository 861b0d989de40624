//! A stack of numbers whose room is settled when it is made.

use nt::pool::{OutOfMemory, PoolSlice};

use crate::TAG;

/// Numbers, the last in first out. What does not fit is lost; nobody puts more in than were out.
#[derive(Debug)]
pub(crate) struct NumberStack {
    numbers: PoolSlice<u32>,
    len: usize,
}

impl NumberStack {
    /// Room for `count` numbers.
    pub(crate) fn try_new(count: u32) -> Result<Self, OutOfMemory> {
        let count = usize::try_from(count).map_err(|_| OutOfMemory)?;
        Ok(Self {
            numbers: PoolSlice::try_from_fn(TAG, count, |_| 0)?,
            len: 0,
        })
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Puts a number in.
    pub(crate) fn push(&mut self, number: u32) {
        if let Some(place) = self.numbers.get_mut(self.len) {
            *place = number;
            self.len = self.len.saturating_add(1);
        }
    }

    /// Takes a number out.
    pub(crate) fn pop(&mut self) -> Option<u32> {
        self.len = self.len.checked_sub(1)?;
        self.numbers.get(self.len).copied()
    }
}
