//! Which queue serves which processors.
//!
//! The system names processors, a backend knows queues. Each processor of the table is served by one queue, and each
//! queue lives on one of the processors it serves, so that no hand-off is needed while there are enough queues. With
//! fewer queues than processors a queue serves several.
//!
//! A new table keeps what it can of the old placement: a queue whose processor is still named stays where it is.
use crate::table::TABLE_MAX;

/// Most queues.
pub const QUEUES_MAX: usize = 32;

/// Queue of each table entry, and processor of each queue. Processors are system-wide indices.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Placement {
    queues: usize,
    mapping: [u16; TABLE_MAX],
    entries: usize,
    homes: [Option<u16>; QUEUES_MAX],
}

impl Placement {
    /// No table: `queues` queues (1 to [`QUEUES_MAX`]) and no processor named.
    #[must_use]
    pub fn new(queues: usize) -> Self {
        Self {
            queues: queues.clamp(1, QUEUES_MAX),
            mapping: [0; TABLE_MAX],
            entries: 0,
            homes: [None; QUEUES_MAX],
        }
    }

    /// The placement for a table of processors, with as little moved as possible. Entries beyond [`TABLE_MAX`] do not
    /// count.
    #[must_use]
    pub fn next(&self, table: &[u16]) -> Self {
        let table = table.get(..TABLE_MAX).unwrap_or(table);
        let mut next = Self {
            entries: table.len(),
            ..Self::new(self.queues)
        };
        // Queues stay with a processor that is still named.
        for (home, old) in next.homes.iter_mut().zip(self.homes).take(self.queues) {
            *home = old.filter(|processor| table.contains(processor));
        }
        // Processors without a queue get one that has none.
        for &processor in table {
            if next.homed_at(processor).is_none() {
                let free = next.homes.iter_mut().take(self.queues);
                if let Some(place) = free.into_iter().find(|home| home.is_none()) {
                    *place = Some(processor);
                }
            }
        }
        let mut load = [0_u16; QUEUES_MAX];
        for &processor in table {
            if let Some(count) = next.homed_at(processor).and_then(|at| load.get_mut(at)) {
                *count = count.saturating_add(1);
            }
        }
        next.map(table, &mut load);
        next
    }

    /// Fills the mapping. A processor no queue lives on goes, with all its entries, to the queue with the fewest.
    fn map(&mut self, table: &[u16], load: &mut [u16; QUEUES_MAX]) {
        for at in 0..table.len() {
            let Some(&processor) = table.get(at) else {
                return;
            };
            let earlier = table.get(..at).unwrap_or_default();
            let queue = if let Some(queue) = self.homed_at(processor) {
                queue
            } else if let Some(known) = earlier.iter().position(|&other| other == processor) {
                usize::from(self.mapping.get(known).copied().unwrap_or(0))
            } else {
                let loads = load.iter().take(self.queues).enumerate();
                let least = loads.min_by_key(|(_, load)| **load).map_or(0, |(at, _)| at);
                let entries = table.iter().filter(|&&other| other == processor).count();
                if let Some(load) = load.get_mut(least) {
                    *load = load.saturating_add(u16::try_from(entries).unwrap_or(u16::MAX));
                }
                least
            };
            if let Some(place) = self.mapping.get_mut(at) {
                *place = u16::try_from(queue).unwrap_or(0);
            }
        }
    }

    /// The queue that lives on a processor.
    fn homed_at(&self, processor: u16) -> Option<usize> {
        self.homes
            .iter()
            .take(self.queues)
            .position(|&home| home == Some(processor))
    }

    /// Queue of each entry of the table; empty without a table.
    #[must_use]
    pub fn mapping(&self) -> &[u16] {
        self.mapping.get(..self.entries).unwrap_or_default()
    }

    /// The processor a queue lives on, if the table has one for it.
    #[must_use]
    pub fn home(&self, queue: usize) -> Option<u16> {
        self.homes.get(queue).copied().flatten()
    }

    /// Number of queues.
    #[must_use]
    pub const fn queues(&self) -> usize {
        self.queues
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;
    use std::vec::Vec;

    #[test]
    fn enough_queues_mean_one_for_each_processor() {
        let table: Vec<u16> = (0..128).map(|at| [3, 9, 40, 7][at % 4]).collect();
        let placement = Placement::new(4).next(&table);
        for (queue, processor) in placement.mapping().iter().zip(&table) {
            assert_eq!(placement.home(usize::from(*queue)), Some(*processor));
        }
    }

    #[test]
    fn a_table_in_another_order_moves_nothing() {
        let first = Placement::new(4).next(&[1, 2, 3, 4]);
        let second = first.next(&[4, 3, 2, 1]);
        let homes = |p: &Placement| (0..4).map(|q| p.home(q)).collect::<Vec<_>>();
        assert_eq!(homes(&first), homes(&second));
        assert_eq!(second.mapping(), [3, 2, 1, 0]);
    }

    #[test]
    fn only_the_queue_whose_processor_went_moves() {
        let first = Placement::new(4).next(&[1, 2, 3, 4]);
        let second = first.next(&[1, 8, 3, 4]);
        assert_eq!((second.home(0), second.home(1)), (Some(1), Some(8)));
        assert_eq!((second.home(2), second.home(3)), (Some(3), Some(4)));
    }

    #[test]
    fn processors_without_a_queue_share_the_least_loaded() {
        let placement = Placement::new(2).next(&[0, 1, 2, 3, 0, 1, 2, 3]);
        assert_eq!(placement.mapping(), [0, 1, 0, 1, 0, 1, 0, 1]);
        let one = Placement::new(1).next(&[5, 6, 7, 8]);
        assert_eq!((one.mapping(), one.home(0)), (&[0_u16; 4][..], Some(5)));
    }

    /// Of tables of two to the power of this many entries.
    const MAX_BITS: u32 = if cfg!(miri) { 4 } else { 7 };

    proptest! {
        #![proptest_config(ProptestConfig {
            cases: if cfg!(miri) { 1 } else { 400 }, failure_persistence: None,
            ..ProptestConfig::default()
        })]

        #[test]
        fn every_table_is_placed_soundly(
            queues in 1_usize..=32,
            tables in prop::collection::vec((1_u32..=MAX_BITS, prop::collection::vec(0_u16..64, 1 << MAX_BITS)), 1..6),
        ) {
            let mut placement = Placement::new(queues);
            for (bits, cpus) in tables {
                let table = &cpus[..1 << bits];
                let old = placement;
                placement = placement.next(table);
                prop_assert_eq!(placement.mapping().len(), table.len());
                let named: BTreeSet<u16> = table.iter().copied().collect();
                let homes: Vec<u16> = (0..queues).filter_map(|q| placement.home(q)).collect();
                // As many queues in use as there can be, each on a processor of its own.
                prop_assert_eq!(homes.len(), queues.min(named.len()));
                prop_assert_eq!(homes.iter().collect::<BTreeSet<_>>().len(), homes.len());
                let mut queue_of = std::collections::BTreeMap::new();
                for (queue, cpu) in placement.mapping().iter().zip(table) {
                    let queue = usize::from(*queue);
                    prop_assert!(placement.home(queue).is_some(), "an idle queue gets traffic");
                    prop_assert_eq!(*queue_of.entry(*cpu).or_insert(queue), queue, "a processor has one queue");
                    if homes.contains(cpu) {
                        prop_assert_eq!(placement.home(queue), Some(*cpu));
                    }
                }
                for queue in 0..queues {
                    if let Some(cpu) = old.home(queue) && named.contains(&cpu) {
                        prop_assert_eq!(placement.home(queue), Some(cpu), "moved for nothing");
                    }
                }
            }
        }
    }
}
