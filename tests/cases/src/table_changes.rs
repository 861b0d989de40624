//! RSS tables that change under traffic, and whether the flows follow.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use crate::traffic::{GuestStack, Moved};
use crate::{Machine, rss};

/// Changes the RSS table of one interface again and again, and looks where the flows are before each change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableChanges {
    /// Processors there are.
    count: u8,
    /// Time between two changes.
    period: u64,
    /// What the table in force deals its entries out to.
    processors: Vec<u8>,
    /// When it was set.
    since: u64,
    /// Changes made.
    pub changes: u64,
    /// Flows, over all tables, whose last frame under a table came on the processor it names.
    pub landed: u64,
    /// What went wrong first, if anything did.
    trouble: Option<String>,
}

impl TableChanges {
    /// Changes between tables over processors 0 to `count` - 1, each `period` (100 ns units) after the one before; half of
    /// it must be long enough for frames that are on their way to arrive. All processors, in order, are in force now.
    #[must_use]
    pub fn new(count: u8, period: u64, now: u64) -> Self {
        Self {
            count,
            period,
            processors: (0..count).collect(),
            since: now,
            changes: 0,
            landed: 0,
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
        if machine.system().harness().now() >= self.since + self.period {
            self.look(&guest.moved);
            self.change(guest, machine);
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

    fn change(&mut self, guest: &GuestStack, machine: &impl Machine) {
        self.changes += 1;
        self.processors = self.next();
        self.set(guest, machine);
    }

    /// Ends with a table of all processors that is another one than the first.
    pub fn end(&mut self, guest: &GuestStack, machine: &impl Machine) {
        self.changes += 1;
        self.processors = (0..self.count).rev().collect();
        self.set(guest, machine);
    }

    fn set(&mut self, guest: &GuestStack, machine: &impl Machine) {
        let status = machine.system().set_rss(guest.device, &self.processors);
        if status != 0 {
            let processors = &self.processors;
            let what = format!("a table of {processors:?}: {:#x}", status.cast_unsigned());
            self.trouble.get_or_insert(what);
        }
        self.since = machine.system().harness().now();
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

    /// Each flow that had frames in the second half of a table's time must be where it says.
    fn look(&mut self, moved: &Moved) {
        for (flow, track) in &moved.flows {
            // Frames that were on their way when the table changed may still come by the one before.
            if track.time <= self.since + self.period / 2 {
                continue;
            }
            let entry = rss::entry(track.hash()) as usize;
            let named = self.processors[entry % self.processors.len()];
            if track.cpu == u32::from(named) {
                self.landed += 1;
                continue;
            }
            let what = format!(
                "change {}: {flow:?} is on processor {}, not {named}",
                self.changes, track.cpu
            );
            self.trouble.get_or_insert(what);
        }
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use super::TableChanges;
    use crate::rss::Flow;
    use crate::traffic::{Moved, Track};

    fn moved(flow: Flow, cpu: u32, time: u64) -> Moved {
        let track = Track::at(flow.hash(), cpu, time);
        Moved {
            flows: [(flow, track)].into(),
            ..Moved::default()
        }
    }

    #[test]
    fn a_flow_that_does_not_follow_is_seen() {
        let flow = Flow::tcp(([10, 0, 0, 1], 5002), ([10, 0, 0, 2], 40_000));
        let mut changes = TableChanges::new(4, 10, 1000);
        let named = u32::from(changes.processors[flow.hash() as usize % 4]);
        changes.look(&moved(flow, named, 2000));
        assert_eq!((changes.landed, &changes.trouble), (1, &None));
        // One whose frames are from before, or were on their way, is not looked at.
        changes.look(&moved(flow, named ^ 1, 1005));
        assert_eq!((changes.landed, &changes.trouble), (1, &None));
        changes.look(&moved(flow, named ^ 1, 2000));
        assert!(changes.trouble.is_some());
        assert!(changes.verdict(&moved(flow, named, 2000)).is_err());
    }

    #[test]
    fn a_run_without_changes_shows_nothing() {
        let flow = Flow::tcp(([10, 0, 0, 1], 5002), ([10, 0, 0, 2], 40_000));
        let changes = TableChanges::new(4, 10, 1000);
        assert!(changes.verdict(&moved(flow, 0, 2000)).is_err());
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
