//! The ring client: one request in flight, with its deadline.

use core::fmt;

use netif::GrantRef;
use netif::ctrl::CtrlResponse;
use ring::{CtrlRing, Kick, Recheck, RingPage};

use super::lasting::Lasting;
use super::state::{
    Capabilities, Event, Failure, Goal, GoalError, Known, Refusal, Step, Unavailable,
};
use super::{RENOTIFY_MS, TIMEOUT_MS};
use crate::CreateError;

/// The page that carries keys, mappings and lists of grants, granted for the life of the connection. The backend may write
/// it (it notes there what it unmapped), which nobody reads.
pub trait ControlMemory {
    /// Writes words to the start of the page; at most 128. Called only while no request is in
    /// flight.
    fn write(&mut self, words: &[u32]);
    /// Writes to the start of the page, in the form of [`netif::ctrl::lasting`], the first `most` of the grants of
    /// `queue` that stay as they are for the connection, always in the same order; how many. `most` is at most 512.
    /// Called only while no request is in flight.
    fn write_lasting(&mut self, queue: u32, most: u32) -> u32;
    /// The page's grant.
    fn gref(&self) -> GrantRef;
}

/// The result of a pass.
#[must_use = "the backend may have to be notified, and the caller told"]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ControlPass {
    /// Whether to notify the backend.
    pub kick: Kick,
    /// What there is to tell.
    pub event: Option<Event>,
    /// Whether a response is there already: run again after the kick.
    pub recheck: Recheck,
}

#[derive(Clone, Copy, Debug)]
struct InFlight {
    id: u16,
    step: Step,
    /// The goal when it was sent: its argument is that goal's.
    goal: Goal,
    sent_at: u64,
    notified_again: bool,
}

/// The control ring client of a vif.
pub struct Control<P> {
    ring: CtrlRing<P>,
    queues: u32,
    goal: Goal,
    known: Known,
    lasting: Lasting,
    in_flight: Option<InFlight>,
    next_id: u16,
    /// The goal was reached and the caller told.
    told: bool,
    unavailable: Option<Unavailable>,
}

impl<P> fmt::Debug for Control<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Control")
            .field("goal", &self.goal)
            .field("in_flight", &self.in_flight)
            .field("unavailable", &self.unavailable)
            .finish_non_exhaustive()
    }
}

impl<P: RingPage> Control<P> {
    /// Makes a client on a page of its own, which it clears, for a vif of `queues` queues. The
    /// page is published with the queues; [`Control::run`] is called only once the backend is
    /// Connected. The goal is [`Goal::Off`] at first.
    pub fn new(page: P, queues: u32) -> Result<Self, CreateError> {
        Ok(Self {
            ring: CtrlRing::init(page)?,
            queues,
            goal: Goal::Off,
            known: Known::NOTHING,
            lasting: Lasting::NOTHING,
            in_flight: None,
            next_id: 0,
            told: false,
            unavailable: None,
        })
    }

    /// Changes the goal; [`Control::run`] then sends what it takes. The event that tells of the
    /// goal comes anew, even when it was reached already.
    pub fn set_goal(&mut self, goal: Goal) -> Result<(), GoalError> {
        if let Goal::On(config) = &goal {
            config.check(self.queues)?;
        }
        self.goal = goal;
        self.told = false;
        Ok(())
    }

    /// What the backend can do, once it was asked.
    pub fn capabilities(&self) -> Option<Capabilities> {
        self.known.capabilities()
    }

    /// Why the ring is of no use, if so.
    pub fn unavailable(&self) -> Option<Unavailable> {
        self.unavailable
    }

    /// When [`Control::run`] must be called at the latest, in milliseconds.
    pub fn deadline(&self) -> Option<u64> {
        let in_flight = self.in_flight.filter(|_| self.unavailable.is_none())?;
        let wait = if in_flight.notified_again {
            TIMEOUT_MS
        } else {
            RENOTIFY_MS
        };
        Some(in_flight.sent_at.saturating_add(wait))
    }

    /// Takes an answer, sends the next request, minds the time. Call it on the ring's event, at
    /// the deadline and after a change of goal.
    pub fn run(&mut self, now: u64, memory: &mut impl ControlMemory) -> ControlPass {
        let mut pass = ControlPass {
            kick: Kick::Quiet,
            event: None,
            recheck: Recheck::Idle,
        };
        if self.unavailable.is_some() {
            return pass;
        }
        let result = self.receive(&mut pass.event).and_then(|()| {
            self.mind_time(now, &mut pass.kick)?;
            self.send(now, memory, &mut pass)?;
            pass.recheck = self.ring.arm(1).map_err(Unavailable::Ring)?;
            Ok(())
        });
        if let Err(reason) = result {
            self.unavailable = Some(reason);
            pass.event = Some(Event::Unavailable(reason));
        }
        pass
    }

    /// Takes the answer to the request in flight.
    fn receive(&mut self, event: &mut Option<Event>) -> Result<(), Unavailable> {
        let mut responses = self.ring.responses().map_err(Unavailable::Ring)?;
        let Some(response) = responses.next() else {
            return Ok(());
        };
        let response = CtrlResponse::parse(response.words);
        let in_flight = self.in_flight.take().ok_or(Unavailable::WrongAnswer)?;
        let InFlight { id, step, goal, .. } = in_flight;
        if response.id != id || response.kind != step.request(GrantRef(0)).kind() {
            return Err(Unavailable::WrongAnswer);
        }
        self.lasting.answered(step, response.status);
        match self.known.answered(step, &goal, response) {
            Ok(()) => Ok(()),
            Err(Refusal::Unavailable(reason)) => Err(reason),
            Err(Refusal::Goal(failure)) => {
                // A refusal on the way to a goal that is not wanted any more is of no interest.
                if goal == self.goal {
                    *event = Some(self.give_up(failure));
                }
                Ok(())
            }
        }
    }

    fn mind_time(&mut self, now: u64, kick: &mut Kick) -> Result<(), Unavailable> {
        let Some(in_flight) = &mut self.in_flight else {
            return Ok(());
        };
        let waited = now.saturating_sub(in_flight.sent_at);
        if waited >= TIMEOUT_MS {
            return Err(Unavailable::Timeout(in_flight.step));
        }
        if waited >= RENOTIFY_MS && !in_flight.notified_again {
            in_flight.notified_again = true;
            *kick = Kick::Notify;
        }
        Ok(())
    }

    /// Sends the next request, or says that the goal is reached.
    fn send(
        &mut self,
        now: u64,
        memory: &mut impl ControlMemory,
        pass: &mut ControlPass,
    ) -> Result<(), Unavailable> {
        if self.in_flight.is_some() {
            return Ok(());
        }
        let Some(step) = self.step(memory, &mut pass.event) else {
            return Ok(());
        };
        if let Some(words) = step.argument(&self.goal) {
            memory.write(words);
        }
        let id = self.next_id;
        self.next_id = id.wrapping_add(1);
        let request = step.request(memory.gref()).emit(id);
        // With one request in flight the ring is never full.
        self.ring
            .put(request)
            .map_err(|ring::Full| Unavailable::WrongAnswer)?;
        pass.kick = pass.kick.or(self.ring.push());
        self.in_flight = Some(InFlight {
            id,
            step,
            goal: self.goal,
            sent_at: now,
            notified_again: false,
        });
        Ok(())
    }

    /// The next step; without one, what is reached is told.
    fn step(&mut self, memory: &mut impl ControlMemory, event: &mut Option<Event>) -> Option<Step> {
        let drop = if self.goal == Goal::Stop {
            let list = |queue, most| memory.write_lasting(queue, most);
            self.lasting.next_drop(list)
        } else {
            None
        };
        let towards_goal = drop.map_or_else(|| self.known.next(&self.goal), |step| Ok(Some(step)));
        let step = towards_goal.unwrap_or_else(|failure| {
            *event = Some(self.give_up(failure));
            // Towards `Off` there is always a way.
            self.known.next(&self.goal).unwrap_or(None)
        });
        if step.is_some() {
            return step;
        }
        if event.is_none() && !self.told {
            self.told = true;
            *event = self.reached();
        }
        if self.goal == Goal::Stop {
            return None;
        }
        let limit = self.known.capabilities().map_or(0, |c| c.lasting_grants);
        let list = |queue, most| memory.write_lasting(queue, most);
        let step = self.lasting.next_add(self.queues, limit, list);
        if step.is_none()
            && event.is_none()
            && let Some((grants, refused)) = self.lasting.outcome()
        {
            *event = Some(Event::Lasting { grants, refused });
        }
        step
    }

    fn give_up(&mut self, failure: Failure) -> Event {
        self.goal = Goal::Off;
        self.told = true;
        Event::Failed(failure)
    }

    fn reached(&self) -> Option<Event> {
        match &self.goal {
            Goal::Off => self.known.capabilities().map(Event::Off),
            Goal::On(config) => {
                let (types, entries) = self.known.offered(config).ok()?;
                Some(Event::On { types, entries })
            }
            Goal::Stop => Some(Event::Stopped),
        }
    }
}
