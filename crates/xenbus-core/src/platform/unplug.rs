//! When emulated network cards are made to leave.
//!
//! Xen gives a guest an emulated card and a paravirtual interface for the same network. The emulated one
//! can be unplugged until the next reset of the guest, all at once. Done too eagerly that costs the guest
//! its network, so it is done only for cards that are known to work:
//!
//! 1. A card whose driver has connected to its backend *works*. The first one that does is recorded.
//! 2. The next start of the system finds the record and unplugs. The record is taken back at once, and
//!    made again when a card works again: a system that hangs or has lost its driver meanwhile comes up
//!    with its emulated cards the time after.
//! 3. When the last working card is removed (its driver uninstalled, its device disabled) the record is
//!    taken back: the next start leaves the emulated cards alone.
//!
//! A parameter of the driver overrides all this. How unplugging works is `hypervisor::ports`.

use crate::enumerate::{VIFS_MAX, VifId};

/// What the administrator wants (`UnplugNetworkCards`, a `REG_DWORD` of the service's parameters).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Policy {
    /// Unplug what is not needed: no parameter, or one that makes no sense.
    #[default]
    Automatic,
    /// Parameter 0.
    Never,
    /// Parameter 1: even when no card has ever worked.
    Always,
}

impl Policy {
    /// From the parameter.
    pub const fn from_parameter(value: Option<u32>) -> Self {
        match value {
            Some(0) => Self::Never,
            Some(1) => Self::Always,
            _ => Self::Automatic,
        }
    }
}

/// What is to be done when the bus starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Start {
    /// Unplug, again after each resume of the domain.
    pub unplug: bool,
    /// What is on record may be wrong: write [`Cards::record`].
    pub write: bool,
}

/// Which cards work, from the bus's first start to its removal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cards {
    /// The cards that work.
    working: [Option<VifId>; VIFS_MAX],
    /// What the first start decided.
    decision: Option<bool>,
}

impl Default for Cards {
    fn default() -> Self {
        Self {
            working: [None; VIFS_MAX],
            decision: None,
        }
    }
}

impl Cards {
    /// The bus starts, with this on record. Only its first start decides: later ones are changes of
    /// resources, in the same session of the system.
    pub fn start(&mut self, policy: Policy, recorded: bool) -> Start {
        if let Some(unplug) = self.decision {
            return Start {
                unplug,
                write: false,
            };
        }
        let unplug = match policy {
            Policy::Automatic => recorded,
            Policy::Never => false,
            Policy::Always => true,
        };
        self.decision = Some(unplug);
        Start {
            unplug,
            write: recorded,
        }
    }

    /// A card has connected to its backend. Whether [`Cards::record`] is to be written.
    pub fn works(&mut self, vif: VifId) -> bool {
        if self.working.contains(&Some(vif)) {
            return false;
        }
        let first = !self.record();
        if let Some(place) = self.working.iter_mut().find(|place| place.is_none()) {
            *place = Some(vif);
        }
        first
    }

    /// A card's device is removed. Whether [`Cards::record`] is to be written.
    pub fn removed(&mut self, vif: VifId) -> bool {
        let before = self.record();
        for place in &mut self.working {
            if *place == Some(vif) {
                *place = None;
            }
        }
        before != self.record()
    }

    /// What is to be on record: whether a card works.
    pub fn record(&self) -> bool {
        self.working.iter().any(Option::is_some)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOTH: [bool; 2] = [false, true];

    fn unplugs(policy: Policy, recorded: bool) -> bool {
        Cards::default().start(policy, recorded).unplug
    }

    #[test]
    fn only_what_has_worked_lets_the_emulated_cards_go() {
        assert!(!unplugs(Policy::Automatic, false));
        assert!(unplugs(Policy::Automatic, true));
        for recorded in BOTH {
            assert!(!unplugs(Policy::Never, recorded));
            assert!(unplugs(Policy::Always, recorded));
        }
    }

    #[test]
    fn parameters_without_sense_are_none() {
        assert_eq!(Policy::from_parameter(Some(0)), Policy::Never);
        assert_eq!(Policy::from_parameter(Some(1)), Policy::Always);
        for value in [None, Some(2), Some(u32::MAX)] {
            assert_eq!(Policy::from_parameter(value), Policy::Automatic);
        }
    }

    #[test]
    fn a_record_serves_for_one_start() {
        let mut cards = Cards::default();
        let start = cards.start(Policy::Automatic, true);
        assert!(start.unplug && start.write && !cards.record());
        assert!(cards.works(VifId(0)) && cards.record());
        assert!(!cards.works(VifId(0)), "written once");
    }

    #[test]
    fn later_starts_do_as_the_first() {
        for recorded in BOTH {
            let mut cards = Cards::default();
            let first = cards.start(Policy::Automatic, recorded);
            cards.works(VifId(0));
            let second = cards.start(Policy::Automatic, true);
            assert_eq!(second.unplug, first.unplug);
            assert!(!second.write);
        }
    }

    #[test]
    fn the_record_goes_with_the_last_card() {
        let mut cards = Cards::default();
        assert!(cards.works(VifId(3)));
        assert!(!cards.works(VifId(5)));
        assert!(!cards.removed(VifId(3)) && cards.record());
        assert!(cards.removed(VifId(5)) && !cards.record());
        assert!(!cards.removed(VifId(5)));
        assert!(!cards.removed(VifId(7)), "one that never worked");
    }
}
