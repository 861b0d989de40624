use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::vec;
use std::vec::Vec;

use proptest::prelude::*;

use super::*;

fn frames(count: usize) -> Vec<Vec<GrantEntryV1>> {
    (0..count)
        .map(|_| (0..512).map(|_| GrantEntryV1::default()).collect())
        .collect()
}

fn slices(frames: &[Vec<GrantEntryV1>]) -> Vec<&[GrantEntryV1]> {
    frames.iter().map(Vec::as_slice).collect()
}

fn allocator(max_frames: u32, added: u32) -> GrantAllocator<Vec<u32>> {
    let len = GrantAllocator::<Vec<u32>>::list_len(max_frames).unwrap();
    let mut allocator = GrantAllocator::new(vec![0; len], max_frames).unwrap();
    for _ in 0..added {
        allocator.frame_added();
    }
    allocator
}

#[test]
fn the_reserved_references_are_never_given_out() {
    let mut allocator = allocator(1, 1);
    let all: BTreeSet<u32> = std::iter::from_fn(|| allocator.allocate().ok())
        .map(|gref| gref.0)
        .collect();
    assert_eq!(all, (8..512).collect());
    assert_eq!(allocator.allocate(), Err(AllocError::Exhausted));
    assert_eq!(allocator.free(GrantRef(1)), Err(FreeError::NotAllocated));
}

#[test]
fn an_empty_table_grows_frame_by_frame_up_to_its_largest_size() {
    let mut allocator = allocator(2, 0);
    assert_eq!(
        (allocator.allocate(), allocator.next_frame()),
        (Err(AllocError::Grow), Some(0))
    );
    allocator.frame_added();
    assert_eq!(
        allocator.counts(),
        GrantCounts {
            free: 504,
            taken: 0,
            written_off: 0
        }
    );
    allocator.frame_added();
    allocator.frame_added();
    assert_eq!((allocator.frames(), allocator.next_frame()), (2, None));
    assert_eq!(allocator.counts().free, 1016);
}

#[test]
fn a_free_list_smaller_than_the_table_is_refused() {
    assert!(GrantAllocator::new(vec![0; 511], 1).is_err());
    assert!(GrantAllocator::new(vec![0; 512], u32::MAX).is_err());
}

#[test]
fn a_grant_names_domain_frame_and_access() {
    let memory = frames(1);
    let table = slices(&memory);
    let mut allocator = allocator(1, 1);
    let gref = allocator
        .grant_access(&table[..], DomId(5), 0x1234, Access::ReadOnly)
        .unwrap();
    let entry = table.entry(gref).unwrap();
    assert_eq!(
        entry.flags.load(Ordering::Relaxed),
        GTF_PERMIT_ACCESS | GTF_READONLY
    );
    assert_eq!(entry.domid.load(Ordering::Relaxed), 5);
    assert_eq!(entry.frame.load(Ordering::Relaxed), 0x1234);
    assert_eq!(allocator.end_access(&table[..], gref), Ok(()));
    assert_eq!(entry.flags.load(Ordering::Relaxed), 0);
    assert_eq!(
        allocator.end_access(&table[..], gref),
        Err(RevokeError::NotGranted)
    );
    assert_eq!(allocator.free(gref), Err(FreeError::NotAllocated));
    assert_eq!(
        allocator.counts(),
        GrantCounts {
            free: 504,
            taken: 0,
            written_off: 0
        }
    );
}

#[test]
fn a_page_in_use_is_not_taken_back_and_its_reference_not_given_out() {
    let memory = frames(1);
    let table = slices(&memory);
    let mut allocator = allocator(1, 1);
    let gref = allocator
        .grant_access(&table[..], DomId(0), 1, Access::ReadWrite)
        .unwrap();
    for bits in [GTF_READING, GTF_WRITING, GTF_READING | GTF_WRITING] {
        table
            .entry(gref)
            .unwrap()
            .flags
            .fetch_or(bits, Ordering::Relaxed);
        assert_eq!(
            allocator.end_access(&table[..], gref),
            Err(RevokeError::StillInUse)
        );
        table
            .entry(gref)
            .unwrap()
            .flags
            .fetch_and(!bits, Ordering::Relaxed);
    }
    allocator.write_off(gref).unwrap();
    assert_eq!(
        allocator.end_access(&table[..], gref),
        Err(RevokeError::NotGranted)
    );
    assert_eq!(
        allocator.counts(),
        GrantCounts {
            free: 503,
            taken: 0,
            written_off: 1
        }
    );
    while let Ok(other) = allocator.allocate() {
        assert_ne!(other, gref);
    }
}

#[test]
fn a_frame_that_is_not_mapped_costs_the_reference_and_nothing_else() {
    let table: [&[GrantEntryV1]; 0] = [];
    let mut allocator = allocator(1, 1);
    let granted = allocator.grant_access(&table[..], DomId(0), 1, Access::ReadWrite);
    assert_eq!(granted, Err(AllocError::Exhausted));
    assert_eq!(allocator.counts().written_off, 1);
}

#[test]
fn a_cache_fills_and_sheds_without_losing_references() {
    let mut allocator = allocator(1, 1);
    let mut cache = GrantCache::<16>::default();
    assert_eq!(cache.take(), Err(CacheEmpty));
    cache.refill(&mut allocator, 100).unwrap();
    assert_eq!((cache.len(), allocator.counts().taken), (16, 16));
    assert_eq!(cache.put(GrantRef(500)), Err(CacheFull));
    let gref = cache.take().unwrap();
    cache.put(gref).unwrap();
    cache.shed(&mut allocator, 4);
    assert_eq!((cache.len(), allocator.counts().taken), (4, 4));
    cache.shed(&mut allocator, 0);
    assert_eq!(
        allocator.counts(),
        GrantCounts {
            free: 504,
            taken: 0,
            written_off: 0
        }
    );
}

/// The flags of one entry with a peer that acts, up to three times, before each access of `revoke`, following a list of choices.
struct Contested<'a> {
    flags: Cell<u16>,
    choices: &'a RefCell<Vec<u8>>,
    used: Cell<usize>,
    cleared_while_mapped: Cell<bool>,
}

/// What Xen may do on behalf of the peer: nothing, map, map read-only, unmap.
const CHOICES: u8 = 4;
/// Accesses with a choice before them; the peer is idle afterwards.
const DEPTH: usize = if cfg!(miri) { 4 } else { 9 };

impl Contested<'_> {
    fn peer_acts(&self) {
        for _ in 0..3 {
            self.peer_acts_once();
        }
    }

    fn peer_acts_once(&self) {
        let at = self.used.get();
        if at >= DEPTH {
            return;
        }
        self.used.set(at + 1);
        let mut choices = self.choices.borrow_mut();
        if choices.len() == at {
            choices.push(0);
        }
        let flags = self.flags.get();
        if flags & GTF_TYPE_MASK == 0 {
            return;
        }
        match choices[at] {
            1 => self.flags.set(flags | GTF_READING | GTF_WRITING),
            2 => self.flags.set(flags | GTF_READING),
            3 => self.flags.set(flags & !(GTF_READING | GTF_WRITING)),
            _ => {}
        }
    }
}

impl Flags for Contested<'_> {
    fn load(&self) -> u16 {
        self.peer_acts();
        self.flags.get()
    }

    fn clear_if(&self, expected: u16) -> Result<(), u16> {
        self.peer_acts();
        let flags = self.flags.get();
        if flags != expected {
            return Err(flags);
        }
        if flags & (GTF_READING | GTF_WRITING) != 0 {
            self.cleared_while_mapped.set(true);
        }
        self.flags.set(0);
        Ok(())
    }
}

#[test]
fn no_interleaving_ends_a_grant_that_is_in_use_or_misreports_one() {
    let choices = RefCell::new(Vec::new());
    let mut runs = 0;
    loop {
        let word = Contested {
            flags: Cell::new(GTF_PERMIT_ACCESS),
            choices: &choices,
            used: Cell::new(0),
            cleared_while_mapped: Cell::new(false),
        };
        let result = revoke_flags(&word);
        assert!(!word.cleared_while_mapped.get());
        match result {
            Ok(()) => assert_eq!(word.flags.get(), 0),
            Err(RevokeError::StillInUse) => assert_ne!(word.flags.get() & GTF_TYPE_MASK, 0),
            Err(RevokeError::NotGranted) => panic!("the grant was there"),
        }
        runs += 1;
        // The next list of choices: count up in the last place used, carry to the left.
        let mut path = choices.borrow_mut();
        path.truncate(word.used.get());
        while path.last() == Some(&(CHOICES - 1)) {
            path.pop();
        }
        match path.last_mut() {
            Some(last) => *last += 1,
            None => break,
        }
    }
    assert!(
        runs > if cfg!(miri) { 5 } else { 100 },
        "{runs} interleavings are too few to mean anything"
    );
}

#[test]
fn a_peer_that_maps_and_unmaps_for_ever_does_not_keep_the_cpu() {
    struct Restless(Cell<u32>);
    impl Flags for Restless {
        fn load(&self) -> u16 {
            GTF_PERMIT_ACCESS
        }
        fn clear_if(&self, _: u16) -> Result<(), u16> {
            self.0.set(self.0.get() + 1);
            Err(GTF_PERMIT_ACCESS)
        }
    }
    let word = Restless(Cell::new(0));
    assert_eq!(revoke_flags(&word), Err(RevokeError::StillInUse));
    assert_eq!(word.0.get(), REVOKE_TRIES);
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: if cfg!(miri) { 2 } else { 128 }, failure_persistence: None, ..ProptestConfig::default()
    })]

    #[test]
    fn counts_add_up_and_no_reference_is_given_out_twice(acts in proptest::collection::vec((0_u8..5, 0_u32..1100), 0..if cfg!(miri) { 10 } else { 80 })) {
        let mut allocator = allocator(2, 0);
        let mut held = BTreeSet::new();
        for (act, number) in acts {
            match act {
                0 => allocator.frame_added(),
                1 | 2 => if let Ok(gref) = allocator.allocate() {
                    prop_assert!(gref.0 >= 8 && held.insert(gref.0));
                },
                3 => prop_assert_eq!(allocator.free(GrantRef(number)).is_ok(), held.remove(&number)),
                _ => prop_assert_eq!(allocator.write_off(GrantRef(number)).is_ok(), held.remove(&number)),
            }
            let counts = allocator.counts();
            let total = (allocator.frames() * 512).saturating_sub(8);
            prop_assert_eq!(counts.free + counts.taken + counts.written_off, total);
            prop_assert_eq!(usize::try_from(counts.taken).unwrap(), held.len());
        }
    }
}
