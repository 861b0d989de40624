//! Rundown protection: counts the users of something that ends, and waits for them.
//!
//! Serves as a device's remove lock and as the count of work in flight at a pause. Entering and
//! leaving is one atomic operation at any IRQL up to `DISPATCH_LEVEL`.

use core::fmt;
use core::marker::PhantomData;
use core::mem::ManuallyDrop;
use core::sync::atomic::{AtomicUsize, Ordering};
use core::time::Duration;

use crate::event::{Event, EventKind, Wait};
use crate::irql::{AtMostDispatch, Passive};
use crate::pool::{OutOfMemory, Tag};

/// The end has begun: nobody may enter.
const CLOSED: usize = 1;
/// One user.
const USER: usize = 2;

/// The counting, apart from the waiting.
#[derive(Debug, Default)]
struct Count(AtomicUsize);

impl Count {
    const fn new() -> Self {
        Self(AtomicUsize::new(0))
    }

    /// Adds a user; `false` when closed (or when the count is full).
    fn enter(&self) -> bool {
        self.0
            .fetch_update(Ordering::Acquire, Ordering::Relaxed, |count| {
                if count & CLOSED == 0 {
                    count.checked_add(USER)
                } else {
                    None
                }
            })
            .is_ok()
    }

    /// Takes a user away; `true` when it was the last after the end began.
    fn leave(&self) -> bool {
        // Release: all this user did comes before what the closer does next.
        self.0.fetch_sub(USER, Ordering::AcqRel) == USER | CLOSED
    }

    /// Begins the end; `true` when no user is left. `None` when it had begun before.
    fn close(&self) -> Option<bool> {
        let before = self.0.fetch_or(CLOSED, Ordering::AcqRel);
        (before & CLOSED == 0).then_some(before == 0)
    }

    /// Lets users in again; `false` when the end is not complete.
    fn reopen(&self) -> bool {
        self.0
            .compare_exchange(CLOSED, 0, Ordering::AcqRel, Ordering::Relaxed)
            .is_ok()
    }

    fn users(&self) -> usize {
        self.0.load(Ordering::Acquire) >> 1
    }
}

/// Users of something, and its end.
pub struct Rundown {
    count: Count,
    drained: Event,
}

/// The right of one user, to be given back with [`Rundown::leave`]. Dropping it is a leak: the end
/// never comes.
#[derive(Debug)]
#[must_use = "give it back with Rundown::leave"]
pub struct Ticket(());

impl Rundown {
    /// Open, without users.
    pub fn try_new(tag: Tag) -> Result<Self, OutOfMemory> {
        Ok(Self {
            count: Count::new(),
            drained: Event::try_new(tag, EventKind::Notification, false)?,
        })
    }

    /// Enters for as long as the guard lives; none when the end has begun.
    ///
    /// The guard does not keep the token, so that locks can be taken while it lives.
    pub fn guard(&self, irql: &AtMostDispatch<'_>) -> Option<Guard<'_>> {
        let _ = irql;
        let ticket = self.enter()?;
        Some(Guard {
            rundown: self,
            ticket: ManuallyDrop::new(ticket),
            thread: PhantomData,
        })
    }

    /// Enters until [`Rundown::leave`], for work that ends in another callback; none when the end
    /// has begun.
    pub fn enter(&self) -> Option<Ticket> {
        self.count.enter().then_some(Ticket(()))
    }

    /// Leaves. The last user wakes who waits for the end.
    #[expect(clippy::needless_pass_by_value, reason = "a ticket is given back once")]
    pub fn leave(&self, ticket: Ticket, irql: &AtMostDispatch<'_>) {
        let Ticket(()) = &ticket;
        if self.count.leave() {
            self.drained.set(irql);
        }
    }

    /// Begins the end without waiting: from now on nobody enters. `false` when it had begun.
    pub fn close(&self, irql: &AtMostDispatch<'_>) -> bool {
        match self.count.close() {
            Some(true) => {
                self.drained.set(irql);
                true
            }
            Some(false) => true,
            None => false,
        }
    }

    /// Begins the end and waits until no user is left, at most for `timeout`.
    pub fn close_and_wait(&self, timeout: Option<Duration>, irql: &Passive<'_>) -> Wait {
        self.close(irql);
        self.drained.wait(timeout, irql)
    }

    /// Lets users in again after a complete end; `false` when it was not complete.
    pub fn reopen(&self, irql: &Passive<'_>) -> bool {
        // Cleared first: once open, a user could leave after another end has begun.
        if !self.is_drained() {
            return false;
        }
        self.drained.clear(irql);
        self.count.reopen()
    }

    /// Number of users now.
    pub fn users(&self) -> usize {
        self.count.users()
    }

    /// Whether the end is complete.
    pub fn is_drained(&self) -> bool {
        self.drained.is_set()
    }
}

impl fmt::Debug for Rundown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rundown")
            .field("users", &self.users())
            .finish_non_exhaustive()
    }
}

/// One use, until dropped. Stays on its thread, so it cannot get into a service routine.
#[derive(Debug)]
pub struct Guard<'a> {
    rundown: &'a Rundown,
    ticket: ManuallyDrop<Ticket>,
    thread: PhantomData<*const ()>,
}

impl Drop for Guard<'_> {
    fn drop(&mut self) {
        // SAFETY: taken once, at the end.
        let ticket = unsafe { ManuallyDrop::take(&mut self.ticket) };
        // SAFETY: made with a token on this thread, which runs at DISPATCH_LEVEL or below but in
        // service routines; those have no token to make a guard with.
        let irql = unsafe { AtMostDispatch::assume() };
        self.rundown.leave(ticket, &irql);
    }
}

#[cfg(test)]
mod tests {
    use core::sync::atomic::{AtomicUsize, Ordering};

    use super::Count;

    #[test]
    fn an_end_without_users_is_complete_at_once() {
        let count = Count::new();
        assert_eq!(count.close(), Some(true));
        assert_eq!(count.close(), None, "an end begins once");
        assert!(!count.enter());
    }

    #[test]
    fn only_the_last_user_after_the_end_began_completes_it() {
        let count = Count::new();
        assert!(count.enter());
        assert!(!count.leave(), "not closed");
        assert!(count.enter());
        assert!(count.enter());
        assert_eq!(count.close(), Some(false));
        assert!(!count.enter());
        assert_eq!(count.users(), 2);
        assert!(!count.leave());
        assert!(count.leave());
    }

    #[test]
    fn a_complete_end_can_be_undone() {
        let count = Count::new();
        assert!(!count.reopen(), "not closed");
        assert!(count.enter());
        assert_eq!(count.close(), Some(false));
        assert!(!count.reopen(), "a user is left");
        assert!(count.leave());
        assert!(count.reopen());
        assert!(count.enter());
    }

    #[test]
    fn of_racing_users_and_an_end_exactly_one_completes() {
        let rounds = if cfg!(miri) { 3 } else { 50 };
        for _ in 0..rounds {
            let count = Count::new();
            let completions = AtomicUsize::new(0);
            let complete = |last: bool| completions.fetch_add(usize::from(last), Ordering::Relaxed);
            std::thread::scope(|scope| {
                for _ in 0..3 {
                    scope.spawn(|| {
                        while count.enter() {
                            complete(count.leave());
                        }
                    });
                }
                complete(count.close() == Some(true));
            });
            assert_eq!(completions.load(Ordering::Relaxed), 1);
            assert_eq!(count.users(), 0);
        }
    }
}
