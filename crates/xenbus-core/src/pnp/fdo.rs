//! The function device of the bus, on the Xen platform device.
//!
//! 1. [`Fdo::plan`] says what to do with a request, and in which order.
//! 2. The driver does it.
//! 3. [`Fdo::done`] with the outcome moves the state.

use super::{Position, Request, State};

/// What comes first: the lower drivers, or our own part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// Forward the request, wait for it, then do the work; the lower drivers' failure is the answer.
    LowerFirst,
    /// Do the work, set success, forward without waiting.
    WorkFirst,
}

/// What the driver itself does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Work {
    /// Nothing.
    None,
    /// Map the BAR, connect interrupts, set up grants, events and the store; enumerate.
    Start,
    /// Give back all that a start takes. For a surprise removal: without a word to the hardware's other side.
    Stop,
}

/// What to do with a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Plan {
    /// Fail it, without passing it down.
    Refuse,
    /// Carry it out.
    Do {
        /// Which comes first.
        order: Order,
        /// Our part.
        work: Work,
        /// Afterwards: delete the children's PDOs, detach, delete the device object.
        delete: bool,
    },
}

/// State of the bus.
#[derive(Debug)]
pub struct Fdo {
    position: Position,
    special_files: u32,
}

impl Default for Fdo {
    fn default() -> Self {
        Self::new()
    }
}

impl Fdo {
    /// A bus just added.
    pub fn new() -> Self {
        Self {
            position: Position::NEW,
            special_files: 0,
        }
    }

    /// Where the bus is.
    pub fn state(&self) -> State {
        self.position.state
    }

    /// Whether children may use the bus now.
    pub fn is_active(&self) -> bool {
        self.position.is_active()
    }

    /// `IRP_MN_DEVICE_USAGE_NOTIFICATION`: a paging, dump or hibernation file is on a path through the bus, or no
    /// longer. While one is, the bus can be neither stopped nor removed.
    pub fn special_file(&mut self, in_path: bool) {
        self.special_files = if in_path {
            self.special_files.saturating_add(1)
        } else {
            self.special_files.saturating_sub(1)
        };
    }

    /// What to do with a request.
    pub fn plan(&self, request: Request) -> Plan {
        let question = matches!(request, Request::QueryStop | Request::QueryRemove);
        if question && self.special_files != 0 {
            return Plan::Refuse;
        }
        if !self.position.accepts(request) && request.may_fail() {
            return Plan::Refuse;
        }
        let order = match request {
            Request::Start | Request::CancelStop | Request::CancelRemove => Order::LowerFirst,
            _ => Order::WorkFirst,
        };
        let active = self.is_active();
        let work = match request {
            Request::Start => Work::Start,
            Request::Stop | Request::Remove | Request::SurpriseRemoval if active => Work::Stop,
            _ => Work::None,
        };
        Plan::Do {
            order,
            work,
            delete: request == Request::Remove,
        }
    }

    /// The request was carried out, or failed (below, or in our part: then nothing of a start is left).
    pub fn done(&mut self, request: Request, succeeded: bool) {
        if succeeded || !request.may_fail() {
            self.position.advance(request);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn carry_out(fdo: &mut Fdo, request: Request) -> Plan {
        let plan = fdo.plan(request);
        if plan != Plan::Refuse {
            fdo.done(request, true);
        }
        plan
    }

    fn work(plan: Plan) -> Work {
        match plan {
            Plan::Refuse => panic!("refused"),
            Plan::Do { work, .. } => work,
        }
    }

    #[test]
    fn a_rebalance_stops_and_starts_again() {
        let mut fdo = Fdo::new();
        let start = carry_out(&mut fdo, Request::Start);
        assert_eq!(
            start,
            Plan::Do {
                order: Order::LowerFirst,
                work: Work::Start,
                delete: false
            }
        );
        assert_eq!(work(carry_out(&mut fdo, Request::QueryStop)), Work::None);
        let stop = carry_out(&mut fdo, Request::Stop);
        assert_eq!(
            stop,
            Plan::Do {
                order: Order::WorkFirst,
                work: Work::Stop,
                delete: false
            }
        );
        assert_eq!(fdo.state(), State::Stopped);
        assert_eq!(work(carry_out(&mut fdo, Request::Start)), Work::Start);
        assert!(fdo.is_active());
    }

    #[test]
    fn a_question_taken_back_leads_where_it_came_from() {
        let mut fdo = Fdo::new();
        for (request, state) in [
            (Request::QueryRemove, State::RemovePending),
            (Request::CancelRemove, State::NotStarted),
            (Request::Start, State::Started),
            (Request::QueryRemove, State::RemovePending),
            (Request::CancelRemove, State::Started),
            (Request::CancelRemove, State::Started),
            (Request::QueryStop, State::StopPending),
            (Request::CancelStop, State::Started),
        ] {
            carry_out(&mut fdo, request);
            assert_eq!(fdo.state(), state, "{request:?}");
        }
    }

    #[test]
    fn a_surprise_removal_releases_once_and_the_removal_deletes() {
        let mut fdo = Fdo::new();
        carry_out(&mut fdo, Request::Start);
        assert_eq!(
            work(carry_out(&mut fdo, Request::SurpriseRemoval)),
            Work::Stop
        );
        assert_eq!(fdo.plan(Request::Start), Plan::Refuse);
        let remove = carry_out(&mut fdo, Request::Remove);
        assert_eq!(
            remove,
            Plan::Do {
                order: Order::WorkFirst,
                work: Work::None,
                delete: true
            }
        );
    }

    #[test]
    fn a_removal_without_or_after_a_failed_start_has_nothing_to_release() {
        let mut fdo = Fdo::new();
        fdo.done(Request::Start, false);
        assert_eq!(fdo.state(), State::NotStarted);
        assert_eq!(work(fdo.plan(Request::Remove)), Work::None);
        carry_out(&mut fdo, Request::Start);
        carry_out(&mut fdo, Request::QueryRemove);
        assert_eq!(work(fdo.plan(Request::Remove)), Work::Stop);
    }

    #[test]
    fn files_the_system_needs_veto_stop_and_removal_but_not_a_surprise() {
        let mut fdo = Fdo::new();
        carry_out(&mut fdo, Request::Start);
        fdo.special_file(true);
        assert_eq!(fdo.plan(Request::QueryStop), Plan::Refuse);
        assert_eq!(fdo.plan(Request::QueryRemove), Plan::Refuse);
        assert_eq!(work(fdo.plan(Request::SurpriseRemoval)), Work::Stop);
        fdo.special_file(false);
        fdo.special_file(false);
        assert_ne!(fdo.plan(Request::QueryStop), Plan::Refuse);
    }

    pub(crate) fn requests() -> impl Strategy<Value = std::vec::Vec<(Request, bool)>> {
        let request = prop::sample::select(std::vec![
            Request::Start,
            Request::QueryStop,
            Request::CancelStop,
            Request::Stop,
            Request::QueryRemove,
            Request::CancelRemove,
            Request::Remove,
            Request::SurpriseRemoval,
        ]);
        prop::collection::vec((request, any::<bool>()), 0..if cfg!(miri) { 8 } else { 30 })
    }

    proptest! {
        #![proptest_config(ProptestConfig {
            cases: if cfg!(miri) { 2 } else { 256 }, failure_persistence: None, ..ProptestConfig::default()
        })]

        /// Whatever Windows sends: what is started is stopped once, and what must not fail does not.
        #[test]
        fn starts_and_stops_alternate(requests in requests()) {
            let mut fdo = Fdo::new();
            let mut running = false;
            for (request, succeeds) in requests {
                match fdo.plan(request) {
                    Plan::Refuse => prop_assert!(request.may_fail()),
                    Plan::Do { work, delete, .. } => {
                        match work {
                            Work::Start => {
                                prop_assert!(!running);
                                running = succeeds;
                            }
                            Work::Stop => prop_assert!(std::mem::take(&mut running)),
                            Work::None => {}
                        }
                        fdo.done(request, succeeds);
                        prop_assert_eq!(fdo.is_active(), running);
                        if delete {
                            prop_assert!(!running);
                            break;
                        }
                    }
                }
            }
        }
    }
}
