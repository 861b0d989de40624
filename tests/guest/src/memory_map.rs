//! Which physical memory is whose.

use alloc::vec::Vec;

use xen_abi::pvh::{MEMMAP_TYPE_RAM, MemmapEntry};

/// A range of physical addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// First byte.
    pub start: u64,
    /// One past the last byte.
    pub end: u64,
}

impl Span {
    /// Bytes.
    #[must_use]
    pub const fn len(self) -> u64 {
        self.end.saturating_sub(self.start)
    }

    /// Whether it holds nothing.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.len() == 0
    }

    /// The part below `end` and at or above `start` in whole pages of `page` bytes.
    #[must_use]
    pub const fn whole_pages(self, page: u64) -> Self {
        Self {
            start: self.start.next_multiple_of(page),
            end: self.end / page * page,
        }
    }
}

/// The largest range of RAM that overlaps none of `taken`.
#[must_use]
pub fn largest_free(map: &[MemmapEntry], taken: &[Span]) -> Option<Span> {
    let mut free: Vec<Span> = map
        .iter()
        .filter(|entry| entry.kind == MEMMAP_TYPE_RAM)
        .map(|entry| Span {
            start: entry.addr,
            end: entry.addr.saturating_add(entry.size),
        })
        .collect();
    for cut in taken {
        free = free
            .into_iter()
            .flat_map(|span| {
                let before = Span {
                    start: span.start,
                    end: span.end.min(cut.start),
                };
                let after = Span {
                    start: span.start.max(cut.end),
                    end: span.end,
                };
                [before, after]
            })
            .collect();
    }
    free.into_iter()
        .map(|span| span.whole_pages(4096))
        .filter(|span| !span.is_empty())
        .max_by_key(|span| span.len())
}

/// One past the last byte of RAM.
#[must_use]
pub fn ram_end(map: &[MemmapEntry]) -> u64 {
    map.iter()
        .filter(|entry| entry.kind == MEMMAP_TYPE_RAM)
        .map(|entry| entry.addr.saturating_add(entry.size))
        .max()
        .unwrap_or(0)
}

/// A gap of `len` bytes, aligned to as much, between the end of RAM and `limit`, in which the map has nothing at all.
#[must_use]
pub fn hole(map: &[MemmapEntry], len: u64, limit: u64) -> Option<Span> {
    let mut start = ram_end(map).next_multiple_of(len);
    while start.checked_add(len)? <= limit {
        let end = start + len;
        let hit = map
            .iter()
            .filter(|entry| entry.addr < end && entry.addr.saturating_add(entry.size) > start)
            .map(|entry| entry.addr.saturating_add(entry.size))
            .max();
        match hit {
            None => return Some(Span { start, end }),
            Some(next) => start = next.max(start + 1).next_multiple_of(len),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::{Span, hole, largest_free, ram_end};
    use xen_abi::pvh::{MEMMAP_TYPE_RAM, MEMMAP_TYPE_RESERVED, MemmapEntry};

    const MIB: u64 = 1 << 20;

    fn entry(addr: u64, size: u64, kind: u32) -> MemmapEntry {
        MemmapEntry {
            addr,
            size,
            kind,
            reserved: 0,
        }
    }

    #[test]
    fn the_largest_free_range_avoids_what_is_taken() {
        let map = [
            entry(0, 640 << 10, MEMMAP_TYPE_RAM),
            entry(MIB, 255 * MIB, MEMMAP_TYPE_RAM),
            entry(0xFC00_0000, MIB, MEMMAP_TYPE_RESERVED),
        ];
        let taken = [
            Span {
                start: 0,
                end: 6 * MIB,
            },
            Span {
                start: 100 * MIB + 5,
                end: 101 * MIB + 5,
            },
        ];
        let expected = Span {
            start: 101 * MIB + 4096,
            end: 256 * MIB,
        };
        assert_eq!(largest_free(&map, &taken), Some(expected));
        assert_eq!(ram_end(&map), 256 * MIB);
        assert_eq!(largest_free(&[], &[]), None);
    }

    #[test]
    fn a_hole_is_above_the_ram_and_touches_no_entry() {
        let map = [
            entry(0, 250 * MIB, MEMMAP_TYPE_RAM),
            entry(257 * MIB, MIB, MEMMAP_TYPE_RESERVED),
        ];
        let found = hole(&map, 16 * MIB, 1 << 32);
        let expected = Span {
            start: 272 * MIB,
            end: 288 * MIB,
        };
        assert_eq!(found, Some(expected));
        assert_eq!(hole(&map, 16 * MIB, 280 * MIB), None);
    }
}
