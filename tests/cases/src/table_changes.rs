//! RSS tables that change under traffic, and whether the flows follow.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use harness::SECOND;

use crate::traffic::GuestStack;
use crate::{Machine, rss};

/// Time between two changes, 100 ns units: long enough for frames that are on their way to arrive.
const PERIOD: u64 = SECOND / 5;

/// Changes the RSS table of one interface again and again, and looks where the flows are before each change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableChanges {
    /// Processors there are.
    count: u8,
    /// What the table in force deals its entries out to.
    processors: Vec<u8>,
    /// When it was set.
    since: u64,
    /// Changes made.
    pub changes: u64,
    /// Flows, over all tables, whose last frame under a table came on the processor it names.
    pub landed: u64,
    /// What went wrong first, if anything did.
    pub trouble: Option<String>,
}

impl TableChanges {
    /// Changes between tables over processors 0 to `count` - 1; all of them, in order, are in force now.
    #[must_use]
    pub fn new(count: u8, now: u64) -> Self {
        Self {
            count,
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
        if machine.system().harness().now() >= self.since + PERIOD {
            self.look(guest);
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

    /// Sets another table.
    pub fn change(&mut self, guest: &GuestStack, machine: &impl Machine) {
        self.changes += 1;
        self.processors = self.next();
        let status = machine.system().set_rss(guest.device, &self.processors);
        if status != 0 {
            let processors = &self.processors;
            let what = format!("a table of {processors:?}: {:#x}", status.cast_unsigned());
            self.trouble.get_or_insert(what);
        }
        self.since = machine.system().harness().now();
    }

    /// Each flow that had frames since the table was set must be where it says.
    fn look(&mut self, guest: &GuestStack) {
        for (flow, track) in &guest.moved.flows {
            if track.time < self.since {
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
