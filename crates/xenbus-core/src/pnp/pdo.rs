//! The physical device of one network interface, made by the bus.
//!
//! # Its end
//!
//! ```text
//!   the key device/vif/N goes -> vanished -> left out of BusRelations: Windows knows (reported missing)
//!                                                -> SURPRISE_REMOVAL, if started -> REMOVE -> delete
//! ```
//!
//! A removal of a device that Windows has not been told is missing (disabled, driver updated) leaves the PDO: it can
//! be started again. If the interface comes back while its PDO is on the way out, the PDO is not used again; the
//! newcomer gets one of its own, reported only after the old one is deleted, because both have the same ids.

use super::{Position, Request, State};

/// What to do with a request to the PDO. The PDO is the bottom: nothing is passed down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Complete with success.
    Succeed,
    /// Complete with failure.
    Fail,
    /// Take back what the child holds of the bus (grants, ports, watches not given back are leaks to report),
    /// then complete with success.
    Release,
    /// As `Release`, then delete the device object.
    ReleaseAndDelete,
}

/// Whether the next `BusRelations` name the PDO.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Relation {
    /// Name it, with a reference.
    Report,
    /// Leave it out, and call [`Pdo::reported_missing`].
    Omit,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Presence {
    Present,
    Vanished,
    ReportedMissing,
}

/// State of one interface's PDO.
#[derive(Debug)]
pub struct Pdo {
    position: Position,
    presence: Presence,
    /// Windows has seen it in `BusRelations`; before that, no removal will come for it.
    reported: bool,
}

impl Default for Pdo {
    fn default() -> Self {
        Self::new()
    }
}

impl Pdo {
    /// The PDO of an interface that has just appeared.
    pub fn new() -> Self {
        Self {
            position: Position::NEW,
            presence: Presence::Present,
            reported: false,
        }
    }

    /// Where the device is.
    pub fn state(&self) -> State {
        self.position.state
    }

    /// Whether the child may use the interface of the bus: between START and REMOVE, not after a surprise removal.
    pub fn is_active(&self) -> bool {
        self.position.is_active()
    }

    /// The interface's directory is gone. Afterwards have Windows ask for the relations again.
    pub fn vanished(&mut self) {
        if self.presence == Presence::Present {
            self.presence = Presence::Vanished;
        }
    }

    /// What to say of it in `BusRelations`. A PDO that is omitted stays omitted.
    pub fn relation(&self) -> Relation {
        if self.presence == Presence::Present {
            Relation::Report
        } else {
            Relation::Omit
        }
    }

    /// It was named in `BusRelations`.
    pub fn reported_present(&mut self) {
        self.reported = true;
    }

    /// It was left out of `BusRelations`. `true`: Windows never knew of it, and no removal will come; delete it now.
    #[must_use = "a PDO that Windows never saw is deleted by nobody else"]
    pub fn reported_missing(&mut self) -> bool {
        self.presence = Presence::ReportedMissing;
        if !self.reported {
            self.position.advance(Request::Remove);
        }
        !self.reported
    }

    /// Carries out a request.
    pub fn handle(&mut self, request: Request) -> Answer {
        if !self.position.accepts(request) && request.may_fail() {
            return Answer::Fail;
        }
        // A device that is gone cannot be started.
        if request == Request::Start && self.presence != Presence::Present {
            return Answer::Fail;
        }
        let was_active = self.is_active();
        if self.state() == State::Removed {
            return Answer::Succeed;
        }
        if request == Request::Remove && self.presence != Presence::ReportedMissing {
            self.position = Position::NEW;
            return if was_active {
                Answer::Release
            } else {
                Answer::Succeed
            };
        }
        self.position.advance(request);
        match request {
            Request::Remove => Answer::ReleaseAndDelete,
            Request::Stop | Request::SurpriseRemoval if was_active => Answer::Release,
            _ => Answer::Succeed,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn started() -> Pdo {
        let mut pdo = Pdo::new();
        pdo.reported_present();
        assert_eq!(pdo.handle(Request::Start), Answer::Succeed);
        pdo
    }

    #[test]
    fn disabling_and_enabling_keeps_the_pdo() {
        let mut pdo = started();
        assert_eq!(pdo.handle(Request::QueryRemove), Answer::Succeed);
        assert_eq!(pdo.handle(Request::Remove), Answer::Release);
        assert_eq!(pdo.handle(Request::Remove), Answer::Succeed);
        assert_eq!(pdo.handle(Request::Start), Answer::Succeed);
        assert!(pdo.is_active());
    }

    #[test]
    fn an_unplugged_interface_ends_in_surprise_removal_and_deletion() {
        let mut pdo = started();
        assert_eq!(pdo.relation(), Relation::Report);
        pdo.vanished();
        assert_eq!(pdo.relation(), Relation::Omit);
        assert!(!pdo.reported_missing());
        assert_eq!(pdo.handle(Request::SurpriseRemoval), Answer::Release);
        assert!(!pdo.is_active());
        assert_eq!(pdo.handle(Request::Remove), Answer::ReleaseAndDelete);
    }

    #[test]
    fn a_removal_before_windows_knows_it_is_missing_does_not_delete() {
        let mut pdo = started();
        pdo.vanished();
        assert_eq!(pdo.handle(Request::Remove), Answer::Release);
        assert_eq!(pdo.handle(Request::Start), Answer::Fail);
        assert!(!pdo.reported_missing());
        assert_eq!(pdo.handle(Request::Remove), Answer::ReleaseAndDelete);
        assert_eq!(pdo.handle(Request::Remove), Answer::Succeed);
    }

    #[test]
    fn a_pdo_windows_never_saw_is_deleted_at_once() {
        let mut pdo = Pdo::new();
        pdo.vanished();
        assert!(pdo.reported_missing());
        assert_eq!(pdo.state(), State::Removed);
    }

    #[test]
    fn a_failed_device_that_is_still_present_can_come_back() {
        let mut pdo = started();
        assert_eq!(pdo.handle(Request::SurpriseRemoval), Answer::Release);
        assert_eq!(pdo.handle(Request::Start), Answer::Fail);
        assert_eq!(pdo.handle(Request::Remove), Answer::Succeed);
        assert_eq!(pdo.handle(Request::Start), Answer::Succeed);
    }

    proptest! {
        #![proptest_config(ProptestConfig {
            cases: if cfg!(miri) { 2 } else { 256 }, failure_persistence: None, ..ProptestConfig::default()
        })]

        /// The PDO is deleted once, and only after Windows was told that it is missing.
        #[test]
        fn deletion_is_last_and_once(acts in prop::collection::vec(0_u8..11, 0..if cfg!(miri) { 8 } else { 40 })) {
            let all = [Request::Start, Request::QueryStop, Request::CancelStop, Request::Stop, Request::QueryRemove,
                Request::CancelRemove, Request::Remove, Request::SurpriseRemoval];
            let mut pdo = Pdo::new();
            pdo.reported_present();
            let (mut missing, mut deleted, mut active) = (false, false, false);
            for act in acts {
                match all.get(usize::from(act)) {
                    Some(request) => {
                        let answer = pdo.handle(*request);
                        match answer {
                            Answer::Fail => prop_assert!(request.may_fail()),
                            Answer::Release => prop_assert!(active),
                            Answer::ReleaseAndDelete => {
                                prop_assert!(missing && !deleted);
                                deleted = true;
                            }
                            Answer::Succeed => {}
                        }
                        active = pdo.is_active();
                        prop_assert!(!(deleted && active));
                    }
                    None if act == 8 => pdo.vanished(),
                    None if act == 9 && pdo.relation() == Relation::Omit => {
                        missing = true;
                        prop_assert!(!pdo.reported_missing());
                    }
                    None => {}
                }
            }
        }
    }
}
