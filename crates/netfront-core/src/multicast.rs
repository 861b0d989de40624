//! What the backend's multicast list must be told.
//!
//! With multicast control the backend lets only listed groups through. It is used only where it can
//! be switched while connected (`feature-dynamic-multicast-control`): the list is told first, then
//! the control is requested, so that no frame is lost in between; and it is given up when all
//! groups are wanted, or when the backend's list is full.

/// Most groups: netback's list has as many entries.
pub const MAX_GROUPS: usize = 64;

/// An Ethernet group address.
pub type Group = [u8; 6];

/// What to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Tell the backend to let a group through.
    Add(Group),
    /// Tell it not to, any more.
    Remove(Group),
    /// Write `request-multicast-control`.
    Request(bool),
}

/// What the backend of this connection was told.
#[derive(Clone, Copy, Debug)]
pub struct MulticastList {
    groups: [Group; MAX_GROUPS],
    count: usize,
    requested: bool,
}

impl Default for MulticastList {
    /// Nothing, as after every connect.
    fn default() -> Self {
        Self {
            groups: [[0; 6]; MAX_GROUPS],
            count: 0,
            requested: false,
        }
    }
}

impl MulticastList {
    fn told(&self) -> &[Group] {
        self.groups.get(..self.count).unwrap_or_default()
    }

    /// Whether the backend filters.
    pub fn is_requested(&self) -> bool {
        self.requested
    }

    /// The next step towards letting `wanted` through and nothing else; None for everything.
    /// Nothing to do, too, when there are more groups than the list takes: then it is as if
    /// everything were wanted.
    pub fn next(&self, wanted: Option<&[Group]>) -> Option<Step> {
        let Some(wanted) = wanted.filter(|wanted| wanted.len() <= MAX_GROUPS) else {
            return self.requested.then_some(Step::Request(false));
        };
        let gone = self.told().iter().find(|group| !wanted.contains(group));
        let new = wanted.iter().find(|group| !self.told().contains(group));
        gone.map(|group| Step::Remove(*group))
            .or_else(|| new.map(|group| Step::Add(*group)))
            .or_else(|| (!self.requested).then_some(Step::Request(true)))
    }

    /// A step is done.
    pub fn done(&mut self, step: Step) {
        match step {
            Step::Add(group) => {
                if let Some(place) = self.groups.get_mut(self.count) {
                    *place = group;
                    self.count = self.count.saturating_add(1);
                }
            }
            Step::Remove(group) => {
                let Some(at) = self.told().iter().position(|told| *told == group) else {
                    return;
                };
                let last = self.count.saturating_sub(1);
                let moved = self.groups.get(last).copied();
                if let (Some(place), Some(moved)) = (self.groups.get_mut(at), moved) {
                    *place = moved;
                }
                self.count = last;
            }
            Step::Request(on) => self.requested = on,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::vec::Vec;

    /// netback's side: its list, and whether it filters.
    #[derive(Default)]
    struct Peer {
        list: Vec<Group>,
        filters: bool,
    }

    fn run(list: &mut MulticastList, peer: &mut Peer, wanted: Option<&[Group]>) -> usize {
        let mut steps = 0;
        while let Some(step) = list.next(wanted) {
            match step {
                Step::Add(group) => {
                    assert!(peer.list.len() < MAX_GROUPS, "the list is full");
                    peer.list.push(group);
                }
                Step::Remove(group) => {
                    let at = peer
                        .list
                        .iter()
                        .position(|g| *g == group)
                        .expect("it is there");
                    peer.list.remove(at);
                }
                Step::Request(on) => {
                    if on {
                        let all = wanted.expect("something is wanted");
                        assert!(all.iter().all(|group| peer.list.contains(group)));
                    }
                    peer.filters = on;
                }
            }
            list.done(step);
            steps += 1;
            assert!(steps < 300, "no end");
        }
        steps
    }

    const fn group(n: u8) -> Group {
        [1, 0, 0x5E, 0, 0, n]
    }

    #[test]
    fn the_list_comes_before_the_request() {
        let (mut list, mut peer) = (MulticastList::default(), Peer::default());
        assert_eq!(run(&mut list, &mut peer, Some(&[group(1), group(2)])), 3);
        assert!(peer.filters && list.is_requested());
        assert_eq!(run(&mut list, &mut peer, Some(&[group(2), group(3)])), 2);
        assert_eq!(run(&mut list, &mut peer, Some(&[group(3), group(2)])), 0);
    }

    #[test]
    fn everything_and_too_much_give_it_up() {
        let (mut list, mut peer) = (MulticastList::default(), Peer::default());
        run(&mut list, &mut peer, Some(&[]));
        assert!(peer.filters, "no group at all is a list too");
        run(&mut list, &mut peer, None);
        assert!(!peer.filters);
        run(&mut list, &mut peer, Some(&[group(1)]));
        assert!(peer.filters);
        let many: Vec<Group> = (0..65).map(group).collect();
        run(&mut list, &mut peer, Some(&many));
        assert!(!peer.filters);
        // A full list takes Miri a minute: each step compares all that is there with all that is wanted.
        if cfg!(miri) {
            return;
        }
        run(&mut list, &mut peer, Some(&many[..64]));
        assert!(peer.filters && peer.list.len() == 64);
    }

    #[test]
    fn a_group_named_twice_is_told_once() {
        let (mut list, mut peer) = (MulticastList::default(), Peer::default());
        run(&mut list, &mut peer, Some(&[group(1), group(1)]));
        assert_eq!(peer.list, [group(1)]);
        run(&mut list, &mut peer, Some(&[]));
        assert!(peer.list.is_empty());
    }

    proptest! {
        #![proptest_config(ProptestConfig {
            cases: if cfg!(miri) { 2 } else { 128 },
            failure_persistence: None,
            ..ProptestConfig::default()
        })]
        #[test]
        fn the_backend_always_ends_with_what_is_wanted(
            changes in proptest::collection::vec(
                proptest::option::of(proptest::collection::vec(any::<u8>(), 0..if cfg!(miri) { 6 } else { 70 })),
                1..if cfg!(miri) { 3 } else { 8 }))
        {
            let (mut list, mut peer) = (MulticastList::default(), Peer::default());
            for wanted in changes {
                let mut groups: Option<Vec<Group>> =
                    wanted.map(|all| all.into_iter().map(group).collect());
                if let Some(all) = &mut groups {
                    all.sort_unstable();
                    all.dedup();
                }
                run(&mut list, &mut peer, groups.as_deref());
                let some = groups.filter(|all| all.len() <= MAX_GROUPS);
                prop_assert_eq!(peer.filters, some.is_some());
                if let Some(mut all) = some {
                    all.sort_unstable();
                    peer.list.sort_unstable();
                    prop_assert_eq!(&peer.list, &all);
                }
            }
        }
    }
}
