//! RSS tables that change under traffic, and whether the flows follow.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use crate::Machine;
use crate::landings::Landings;
use crate::traffic::{GuestStack, Moved};

/// Changes the RSS table of one interface again and again, and looks where the frames are that come under each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableChanges {
    /// Processors there are.
    count: u8,
    /// Time between two changes.
    period: u64,
    /// What the table in force deals its entries out to.
    processors: Vec<u8>,
    /// When the first table was set.
    start: u64,
    /// Changes made.
    pub changes: u64,
    /// Flows, over all tables, with a frame that was sent under a table and came on the processor it names.
    pub landed: u64,
    /// Frames, over all tables, that were sent under one.
    pub after: u64,
    /// The longest that a frame of before a change came where the table before named, 100 ns units.
    pub straggled: u64,
    /// What went wrong first, if anything did.
    trouble: Option<String>,
}

impl TableChanges {
    /// Changes between tables over processors 0 to `count` - 1, each `period` (100 ns units) after the one before. All
    /// processors, in order, are in force now. The stack's connections carry timestamps ([`crate::Stack::stamp`]).
    #[must_use]
    pub fn new(count: u8, period: u64, now: u64) -> Self {
        Self {
            count,
            period,
            processors: (0..count).collect(),
            start: now,
            changes: 0,
            landed: 0,
            after: 0,
            straggled: 0,
            trouble: None,
        }
    }

    /// The processors of the table in force.
    #[must_use]
    pub fn processors(&self) -> &[u8] {
        &self.processors
    }

    /// To be called again and again while there is traffic.
    pub fn turn(&mut self, guest: &mut GuestStack, machine: &impl Machine) {
        let since = guest.landings.as_ref().map_or(self.start, Landings::since);
        if machine.system().harness().now() >= since + self.period {
            self.changes += 1;
            self.processors = self.next();
            self.set(guest, machine);
        }
    }

    /// The table after `changes` changes: every fourth has one processor, the others all of them, turned round.
    fn next(&self) -> Vec<u8> {
        let count = self.count.max(1);
        let first = u8::try_from(self.changes % u64::from(count)).unwrap_or(0);
        if self.changes % 4 == 3 {
            return [first].into();
        }
        (0..count).map(|nth| (first + nth) % count).collect()
    }

    /// Ends with a table of all processors that is another one than the first.
    pub fn end(&mut self, guest: &mut GuestStack, machine: &impl Machine) {
        self.changes += 1;
        self.processors = (0..self.count).rev().collect();
        self.set(guest, machine);
    }

    fn set(&mut self, guest: &mut GuestStack, machine: &impl Machine) {
        let status = machine.system().set_rss(guest.device, &self.processors);
        if status != 0 {
            let processors = &self.processors;
            let what = format!("a table of {processors:?}: {:#x}", status.cast_unsigned());
            self.trouble.get_or_insert(what);
        }
        let since = machine.system().harness().now();
        let next = Landings::new(self.changes, &self.processors, since);
        if let Some(seen) = guest.landings.replace(next) {
            self.take(&seen);
        }
    }

    /// What was seen under a table that is no longer in force.
    fn take(&mut self, seen: &Landings) {
        self.landed += seen.landed.len() as u64;
        self.after += seen.after;
        self.straggled = self.straggled.max(seen.straggled);
        if let Some(trouble) = seen.trouble() {
            self.trouble.get_or_insert(trouble);
        }
    }

    /// Whether the flows of `moved` followed the tables.
    ///
    /// # Errors
    /// What went wrong first.
    pub fn verdict(&self, moved: &Moved) -> Result<(), String> {
        if let Some(trouble) = &self.trouble {
            return Err(trouble.clone());
        }
        let followed: u64 = moved.flows.values().map(|track| track.moves).sum();
        if self.changes < 2 || self.landed < self.changes || followed < self.changes {
            let (changes, landed) = (self.changes, self.landed);
            return Err(format!(
                "{changes} changes, {landed} flows looked at, {followed} moves: too few"
            ));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use super::TableChanges;
    use crate::rss::Flow;
    use crate::traffic::{Moved, Track};

    #[test]
    fn a_run_without_changes_or_without_moves_shows_nothing() {
        let flow = Flow::tcp(([10, 0, 0, 1], 5002), ([10, 0, 0, 2], 40_000));
        let moved = |moves| Moved {
            flows: [(flow, Track::moved(moves))].into(),
            ..Moved::default()
        };
        let mut changes = TableChanges::new(4, 10, 1000);
        assert!(changes.verdict(&moved(9)).is_err());
        (changes.changes, changes.landed) = (5, 5);
        assert_eq!(changes.verdict(&moved(9)), Ok(()));
        assert!(changes.verdict(&moved(4)).is_err());
        changes.landed = 4;
        assert!(changes.verdict(&moved(9)).is_err());
        changes.landed = 5;
        changes.trouble = Some("a stray".into());
        assert!(changes.verdict(&moved(9)).is_err());
    }

    #[test]
    fn every_table_has_processors_that_are_there() {
        for count in 1..=4 {
            let mut changes = TableChanges::new(count, 10, 0);
            let mut seen = vec![];
            for _ in 0..16 {
                changes.changes += 1;
                let table = changes.next();
                assert!(!table.is_empty() && table.iter().all(|cpu| *cpu < count));
                seen.push(table);
            }
            seen.dedup();
            assert!(count == 1 || seen.len() == 16, "{seen:?}");
        }
    }
}
