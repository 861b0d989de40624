//! In which order processors get queues while no table names any.
//!
//! NDIS tells the distance of each processor to the adapter's memory, and the administrator's profile (`*RSSProfile`)
//! says what is to be made of it. Which processors are of one node is not told: those of one distance count as one.

/// A processor that queues may live on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Candidate<P> {
    /// The processor.
    pub processor: P,
    /// NUMA distance to the adapter; lower is nearer.
    pub distance: u16,
    /// Scratch of [`order`].
    rank: usize,
}

impl<P> Candidate<P> {
    /// A processor at this distance.
    #[must_use]
    pub const fn new(processor: P, distance: u16) -> Self {
        Self {
            processor,
            distance,
            rank: 0,
        }
    }
}

/// What a profile makes of distances.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Spread {
    /// The nearest first.
    Nearest,
    /// One of each node in turn, the nearest node first.
    AcrossNodes,
}

/// Puts processors in the order in which queues take them. Among equals the order stays.
pub fn order<P>(all: &mut [Candidate<P>], spread: Spread) {
    for (place, candidate) in all.iter_mut().enumerate() {
        candidate.rank = place;
    }
    all.sort_unstable_by_key(|candidate| (candidate.distance, candidate.rank));
    if spread == Spread::Nearest {
        return;
    }
    let mut rank: usize = 0;
    let mut distance = None;
    for candidate in &mut *all {
        rank = if distance == Some(candidate.distance) {
            rank.saturating_add(1)
        } else {
            0
        };
        distance = Some(candidate.distance);
        candidate.rank = rank;
    }
    all.sort_unstable_by_key(|candidate| (candidate.rank, candidate.distance));
}

#[cfg(test)]
mod tests {
    extern crate std;

    use std::vec::Vec;

    use proptest::prelude::*;

    use super::{Candidate, Spread, order};

    fn ordered(distances: &[u16], spread: Spread) -> Vec<usize> {
        let mut all: Vec<_> = distances
            .iter()
            .enumerate()
            .map(|(processor, distance)| Candidate::new(processor, *distance))
            .collect();
        order(&mut all, spread);
        all.iter().map(|candidate| candidate.processor).collect()
    }

    #[test]
    fn the_nearest_come_first() {
        let distances = [2, 2, 1, 1, 0, 0, 1, 1];
        let order = ordered(&distances, Spread::Nearest);
        assert_eq!(order, [4, 5, 2, 3, 6, 7, 0, 1]);
    }

    #[test]
    fn nodes_take_turns() {
        let distances = [2, 2, 1, 1, 0, 0];
        let order = ordered(&distances, Spread::AcrossNodes);
        assert_eq!(order, [4, 2, 0, 5, 3, 1]);
        // A node that has no more is passed over.
        let order = ordered(&[0, 1, 1, 1], Spread::AcrossNodes);
        assert_eq!(order, [0, 1, 2, 3]);
    }

    #[test]
    fn without_distances_the_order_stays() {
        for spread in [Spread::Nearest, Spread::AcrossNodes] {
            assert_eq!(ordered(&[3; 5], spread), [0, 1, 2, 3, 4]);
            assert_eq!(ordered(&[], spread), []);
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig {
            cases: if cfg!(miri) { 1 } else { 200 }, failure_persistence: None,
            ..ProptestConfig::default()
        })]

        #[test]
        fn every_processor_is_there_once(distances in prop::collection::vec(0_u16..5, 0..if cfg!(miri) { 9 } else { 70 })) {
            for spread in [Spread::Nearest, Spread::AcrossNodes] {
                let mut all = ordered(&distances, spread);
                all.sort_unstable();
                prop_assert_eq!(all, (0..distances.len()).collect::<Vec<_>>());
            }
        }
    }
}
