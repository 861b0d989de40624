//! Free ranges of page numbers.

use alloc::collections::BTreeMap;

/// A set of free ranges, handed out next-fit: what was freed last is reused last, so a stale pointer
/// keeps hitting an inaccessible page for as long as possible.
#[derive(Debug)]
pub(crate) struct Ranges {
    free: BTreeMap<usize, usize>,
    cursor: usize,
    first_fit: bool,
}

impl Ranges {
    /// All of `start..start + len` is free.
    pub(crate) fn next_fit(start: usize, len: usize) -> Self {
        Self {
            free: BTreeMap::from([(start, len)]),
            cursor: start,
            first_fit: false,
        }
    }

    /// As [`Ranges::next_fit`] over several ranges, but the lowest free range is taken, to keep the memory in
    /// use small.
    pub(crate) fn first_fit(ranges: &[(usize, usize)]) -> Self {
        Self {
            free: ranges.iter().copied().collect(),
            cursor: 0,
            first_fit: true,
        }
    }

    /// Takes `len` consecutive numbers.
    pub(crate) fn take(&mut self, len: usize) -> Option<usize> {
        let fits = |(_, have): &(&usize, &usize)| **have >= len;
        let start = if self.first_fit {
            self.free.iter().find(fits)
        } else {
            self.free
                .range(self.cursor..)
                .find(fits)
                .or_else(|| self.free.iter().find(fits))
        }
        .map(|(start, _)| *start)?;
        let have = self.free.remove(&start)?;
        if have > len {
            self.free.insert(start + len, have - len);
        }
        self.cursor = start + len;
        Some(start)
    }

    /// Gives a range back.
    pub(crate) fn give(&mut self, start: usize, len: usize) {
        let mut start = start;
        let mut len = len;
        if let Some(after) = self.free.remove(&(start + len)) {
            len += after;
        }
        if let Some((&before, &have)) = self.free.range(..start).next_back()
            && before + have == start
        {
            self.free.remove(&before);
            start = before;
            len += have;
        }
        self.free.insert(start, len);
    }
}

#[cfg(test)]
mod tests {
    use super::Ranges;

    #[test]
    fn given_neighbours_join_again() {
        let mut ranges = Ranges::next_fit(10, 6);
        let a = ranges.take(2).expect("room");
        let b = ranges.take(2).expect("room");
        let c = ranges.take(2).expect("room");
        assert_eq!(ranges.take(1), None);
        ranges.give(a, 2);
        ranges.give(c, 2);
        assert_eq!(ranges.take(3), None);
        ranges.give(b, 2);
        assert_eq!(ranges.take(6), Some(10));
    }

    #[test]
    fn next_fit_reuses_the_oldest_range_last() {
        let mut ranges = Ranges::next_fit(0, 8);
        let first = ranges.take(2).expect("room");
        ranges.give(first, 2);
        ranges.cursor = 2;
        ranges.free = alloc::collections::BTreeMap::from([(0, 2), (4, 4)]);
        assert_eq!(ranges.take(2), Some(4));
    }
}
