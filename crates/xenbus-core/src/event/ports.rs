//! Which port belongs to whom, and ports that ring for nothing.

use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use xen_abi::event_channel::Port;

/// From how many events in a row without work on, unmasking is to be delayed (XSA-391; Linux netback uses 2 too).
pub const STORM_THRESHOLD: u32 = 2;

/// Room for one port. An array of these, indexed by port, is the table; the index is the port's number.
#[derive(Debug, Default)]
pub struct PortSlot {
    /// The owner's; 0 for none.
    cookie: AtomicU64,
    vcpu: AtomicU32,
    /// Events in a row without work.
    idle: AtomicU32,
    /// All of them, for statistics.
    idle_total: AtomicU32,
}

/// An owner's mark for a port: not 0, otherwise opaque.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cookie(core::num::NonZeroU64);

impl Cookie {
    /// A mark; `None` for 0.
    pub fn new(value: u64) -> Option<Self> {
        core::num::NonZeroU64::new(value).map(Self)
    }

    /// The value given.
    pub fn get(self) -> u64 {
        self.0.get()
    }
}

/// Why a port was not bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BindError {
    /// Port 0, or one beyond the table.
    OutOfRange,
    /// The port has an owner.
    Taken,
}

/// When to unmask a port after an event.
#[must_use = "a storm is throttled only if the port stays masked"]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Now.
    UnmaskNow,
    /// Later, from a timer: this many events in a row found no work.
    Delay {
        /// Length of the row.
        idle: u32,
    },
}

/// The table. Looked up from interrupts without a lock; bound and unbound under one of the caller's.
#[derive(Clone, Copy, Debug)]
pub struct PortTable<'a> {
    slots: &'a [PortSlot],
}

impl<'a> PortTable<'a> {
    /// The table in `slots`, as it stands.
    pub fn new(slots: &'a [PortSlot]) -> Self {
        Self { slots }
    }

    fn slot(&self, port: Port) -> Option<&'a PortSlot> {
        self.slots
            .get(usize::try_from(port.0).ok()?)
            .filter(|_| port.0 != 0)
    }

    /// Gives a port, still masked, to an owner.
    pub fn bind(&self, port: Port, cookie: Cookie, vcpu: u32) -> Result<(), BindError> {
        let slot = self.slot(port).ok_or(BindError::OutOfRange)?;
        if slot.cookie.load(Ordering::Relaxed) != 0 {
            return Err(BindError::Taken);
        }
        slot.vcpu.store(vcpu, Ordering::Relaxed);
        slot.idle.store(0, Ordering::Relaxed);
        // Release: who sees the cookie sees the rest.
        slot.cookie.store(cookie.get(), Ordering::Release);
        Ok(())
    }

    /// The port now interrupts another vCPU (`EVTCHNOP_bind_vcpu` was made).
    pub fn moved(&self, port: Port, vcpu: u32) {
        if let Some(slot) = self.slot(port) {
            slot.vcpu.store(vcpu, Ordering::Relaxed);
        }
    }

    /// Takes a port from its owner. A handler that looked it up before may still run: mask the port first, and wait
    /// for interrupts and DPCs of all CPUs afterwards, before the owner goes away.
    pub fn unbind(&self, port: Port) -> Option<Cookie> {
        Cookie::new(self.slot(port)?.cookie.swap(0, Ordering::AcqRel))
    }

    /// The owner of a port. `None`: mask it, nobody wants its events.
    pub fn owner(&self, port: Port) -> Option<Cookie> {
        Cookie::new(self.slot(port)?.cookie.load(Ordering::Acquire))
    }

    /// The vCPU a port interrupts, if it has an owner.
    pub fn vcpu(&self, port: Port) -> Option<u32> {
        self.owner(port)?;
        Some(self.slot(port)?.vcpu.load(Ordering::Relaxed))
    }

    /// An owner has looked at its ring after an event: was there work?
    pub fn worked(&self, port: Port, any_work: bool) -> Verdict {
        let Some(slot) = self.slot(port) else {
            return Verdict::UnmaskNow;
        };
        if any_work {
            slot.idle.store(0, Ordering::Relaxed);
            return Verdict::UnmaskNow;
        }
        // Saturating, in two steps: one port's events are handled one at a time.
        let idle = slot.idle.load(Ordering::Relaxed).saturating_add(1);
        slot.idle.store(idle, Ordering::Relaxed);
        slot.idle_total.store(
            slot.idle_total.load(Ordering::Relaxed).saturating_add(1),
            Ordering::Relaxed,
        );
        if idle < STORM_THRESHOLD {
            Verdict::UnmaskNow
        } else {
            Verdict::Delay { idle }
        }
    }

    /// Events of a port that found no work, since the table was made.
    pub fn idle_events(&self, port: Port) -> u32 {
        self.slot(port)
            .map_or(0, |slot| slot.idle_total.load(Ordering::Relaxed))
    }

    /// Ports with an owner, for leak checks.
    pub fn bound(&self) -> usize {
        self.slots
            .iter()
            .filter(|slot| slot.cookie.load(Ordering::Relaxed) != 0)
            .count()
    }
}

#[cfg(test)]
mod tests {
    use std::vec::Vec;

    use super::*;

    fn slots() -> Vec<PortSlot> {
        (0..16).map(|_| PortSlot::default()).collect()
    }

    #[test]
    fn a_port_has_one_owner_at_a_time() {
        let slots = slots();
        let table = PortTable::new(&slots);
        let (a, b) = (Cookie::new(1).unwrap(), Cookie::new(2).unwrap());
        assert_eq!(table.bind(Port(3), a, 7), Ok(()));
        assert_eq!(table.bind(Port(3), b, 7), Err(BindError::Taken));
        assert_eq!(
            (table.owner(Port(3)), table.vcpu(Port(3))),
            (Some(a), Some(7))
        );
        table.moved(Port(3), 2);
        assert_eq!(table.vcpu(Port(3)), Some(2));
        assert_eq!(table.bound(), 1);
        assert_eq!(table.unbind(Port(3)), Some(a));
        assert_eq!(table.unbind(Port(3)), None);
        assert_eq!(
            (table.owner(Port(3)), table.vcpu(Port(3)), table.bound()),
            (None, None, 0)
        );
    }

    #[test]
    fn port_0_and_ports_beyond_the_table_cannot_be_bound() {
        let slots = slots();
        let table = PortTable::new(&slots);
        let cookie = Cookie::new(1).unwrap();
        for port in [0, 16, u32::MAX] {
            assert_eq!(
                table.bind(Port(port), cookie, 0),
                Err(BindError::OutOfRange)
            );
            assert_eq!(table.owner(Port(port)), None);
            assert_eq!(table.worked(Port(port), false), Verdict::UnmaskNow);
        }
    }

    #[test]
    fn the_second_event_without_work_delays_the_unmask_and_work_ends_the_row() {
        let slots = slots();
        let table = PortTable::new(&slots);
        let port = Port(5);
        assert_eq!(table.worked(port, false), Verdict::UnmaskNow);
        assert_eq!(table.worked(port, false), Verdict::Delay { idle: 2 });
        assert_eq!(table.worked(port, false), Verdict::Delay { idle: 3 });
        assert_eq!(table.worked(port, true), Verdict::UnmaskNow);
        assert_eq!(table.worked(port, false), Verdict::UnmaskNow);
        assert_eq!(table.idle_events(port), 4);
    }
}
