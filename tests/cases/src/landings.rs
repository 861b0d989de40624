//! Where frames land after a change of the RSS table.

use alloc::collections::BTreeSet;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use harness::ndis::Received;

use crate::rss::{self, Flow};
use crate::stamp;

/// The frames received under one table.
///
/// One that its peer sent after the table was set must come on the processor that it names: all of them must. One that was
/// on its way may still come as the table before said, however long it takes: a processor that has it may not have run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Landings {
    /// Number of the change.
    change: u64,
    /// What the table deals its entries out to.
    processors: Vec<u8>,
    /// When the request that set it had returned: 100 ns units, and as a moment of [`mod@stamp`].
    since: u64,
    moment: u32,
    /// Flows with a frame that was sent after it.
    pub(crate) landed: BTreeSet<Flow>,
    /// Frames sent after it, and those of them on another processor.
    pub(crate) after: u64,
    strays: u64,
    /// The first of these.
    first_stray: Option<String>,
    /// When the last of these came, since the change.
    last_stray: u64,
    /// When the last frame came that may have been on its way and went by the table before, since the change.
    pub(crate) straggled: u64,
}

impl Landings {
    /// Under a table that has just been set, at time `since`.
    pub(crate) fn new(change: u64, processors: &[u8], since: u64) -> Self {
        Self {
            change,
            processors: processors.into(),
            since,
            moment: stamp::next(),
            landed: BTreeSet::new(),
            after: 0,
            strays: 0,
            first_stray: None,
            last_stray: 0,
            straggled: 0,
        }
    }

    /// When the table was set, 100 ns units.
    pub(crate) const fn since(&self) -> u64 {
        self.since
    }

    /// A frame came, with this hash.
    pub(crate) fn see(&mut self, flow: Flow, hash: u32, frame: &Received) {
        let after = stamp::echoed(&frame.bytes).is_some_and(|moment| moment >= self.moment);
        let named = self.processors[rss::entry(hash) as usize % self.processors.len()];
        let right = frame.cpu == u32::from(named);
        let late = frame.time.saturating_sub(self.since);
        if !after {
            if !right {
                self.straggled = self.straggled.max(late);
            }
            return;
        }
        self.after += 1;
        self.landed.insert(flow);
        if right {
            return;
        }
        self.strays += 1;
        self.last_stray = self.last_stray.max(late);
        let cpu = frame.cpu;
        let late = late / 10;
        self.first_stray.get_or_insert_with(|| {
            format!("{flow:?} is on processor {cpu}, not {named}, {late} us after the change")
        });
    }

    /// What went wrong, if anything did.
    pub(crate) fn trouble(&self) -> Option<String> {
        let first = self.first_stray.as_ref()?;
        let (change, strays, after) = (self.change, self.strays, self.after);
        let last = self.last_stray / 10;
        Some(format!(
            "change {change}: of {after} frames sent after it {strays} strayed, the last {last} us after it; the first: {first}"
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stamp::tests::frame;

    #[test]
    fn frames_sent_after_the_change_must_be_where_it_says() {
        let seen = |moment, cpu| Received {
            bytes: frame(moment),
            info: core::array::from_fn(|_| 0),
            flags: 0,
            cpu,
            time: 2000,
        };
        let flow = Flow::of(&frame(0)).expect("a flow");
        let mut landings = Landings::new(7, &[3, 2], 500);
        let moment = landings.moment;
        // Under way: anywhere.
        landings.see(flow, 0, &seen(moment - 1, 1));
        assert_eq!((landings.after, landings.straggled), (0, 1500));
        // Sent after the change: at its place.
        landings.see(flow, 0, &seen(moment, 3));
        landings.see(flow, 1, &seen(moment + 1, 2));
        assert_eq!((landings.after, landings.landed.len()), (2, 1));
        assert_eq!(landings.trouble(), None);
        landings.see(flow, 0, &seen(moment, 2));
        assert!(landings.trouble().is_some());
        assert_eq!((landings.strays, landings.last_stray), (1, 1500));
    }
}
