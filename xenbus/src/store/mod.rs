//! XenStore for everybody in this driver and its children: requests that wait, at `PASSIVE_LEVEL`
//! and for a time, over a client that never does.
//!
//! ```text
//!   request: link lock { queue, transmit } -> wait for the slot's event -> link lock { take the answer }
//!   event:   service routine -> DPC: link lock { receive, transmit } -> slots' events, watch thread
//! ```
//!
//! | module | does |
//! |---|---|
//! | [`link`] | what the lock guards: client, ring, waiters |
//! | [`request`] | one request from start to end |
//! | [`transaction`] | transactions and who started them |
//! | [`watch`] | watches and whom they call |

mod link;
mod request;
mod transaction;
mod watch;

pub(crate) use request::{Failure, Within};
pub(crate) use transaction::TransactionHandle;
pub(crate) use watch::{Notice, WatchHandle};

use core::time::Duration;

use hypervisor::Hypervisor;
use nt::event::{Event, EventKind};
use nt::irql::{AtMostDispatch, Passive};
use nt::pool::{PoolArc, PoolBox, PoolSlice};
use nt::spinlock::SpinLock;
use nt::status::{Result, Status};
use nt::{log_info, time};
use xen_abi::event_channel::Port;
use xen_abi::hvm::HVM_PARAM_STORE_EVTCHN;
use xenstore::client::REQUESTS_MAX;

use crate::TAG;
use crate::events::Channel;
use crate::hole::StorePage;
use link::{Link, Wakeups};

/// Longest wait for the answer to a request.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(5);

/// The connection to xenstored.
#[derive(Debug)]
pub(crate) struct Store {
    xen: Hypervisor,
    /// Rank: 2. Nothing but a leaf is taken under it.
    link: SpinLock<PoolBox<Link>>,
    /// Rank: leaf.
    channel: SpinLock<Option<PoolArc<Channel>>>,
    /// One per waiter of the link: its answer is there.
    answered: PoolSlice<Option<Event>>,
    /// An answer has made room, or the connection is up again.
    room: Event,
    /// A watch has something to tell.
    watch_fired: Event,
    /// A watch's callback has returned.
    watch_idle: Event,
}

impl Store {
    /// Takes the connection over. Nothing is received before [`Store::set_channel`].
    pub(crate) fn new(xen: Hypervisor, irql: &AtMostDispatch<'_>) -> Result<Self> {
        let page = StorePage::open(xen, irql)?;
        // Ids that differ from start to start, so that answers to an earlier driver are known.
        let [a, b, c, d, ..] = time::system_time().to_le_bytes();
        let link = PoolBox::try_new(TAG, Link::new(page, u32::from_le_bytes([a, b, c, d]))?)?;
        Ok(Self {
            xen,
            link: SpinLock::new(link),
            channel: SpinLock::new(None),
            answered: answer_events()?,
            room: Event::try_new(TAG, EventKind::Synchronization, false)?,
            watch_fired: Event::try_new(TAG, EventKind::Synchronization, false)?,
            watch_idle: Event::try_new(TAG, EventKind::Notification, false)?,
        })
    }

    /// The port of the connection, as Xen names it now.
    pub(crate) fn port(&self) -> Result<Port> {
        let port = self.xen.hvm_param(HVM_PARAM_STORE_EVTCHN).ok();
        let port = port.and_then(|port| u32::try_from(port).ok());
        port.filter(|port| *port != 0)
            .map(Port)
            .ok_or(Status::DEVICE_CONFIGURATION_ERROR)
    }

    /// Names the channel of the connection; the one before, if any, comes back.
    pub(crate) fn set_channel(
        &self,
        channel: Option<PoolArc<Channel>>,
        irql: &mut AtMostDispatch<'_>,
    ) -> Option<PoolArc<Channel>> {
        self.channel
            .with(irql, |place, _| core::mem::replace(place, channel))
    }

    /// Moves bytes both ways; `true`: there may be more. What the DPC of the channel runs.
    pub(crate) fn pump(&self, irql: &mut AtMostDispatch<'_>) -> bool {
        let channel = self.channel.with(irql, |channel, _| channel.clone());
        // First: what comes after the unmasking interrupts again.
        if let Some(channel) = &channel {
            channel.unmask_and_deliver();
        }
        let wakeups = self.link.with(irql, |link, _| link.exchange());
        let more = wakeups.more;
        self.wake(&wakeups, irql);
        more
    }

    /// Does what a look at the link has called for, without the lock.
    fn wake(&self, wakeups: &Wakeups, irql: &mut AtMostDispatch<'_>) {
        if wakeups.notify {
            let channel = self.channel.with(irql, |channel, _| channel.clone());
            if let Some(channel) = channel {
                channel.notify();
            }
        }
        for (index, event) in self.answered.iter().enumerate() {
            if wakeups.has_answer(index)
                && let Some(event) = event
            {
                event.set(irql);
            }
        }
        if wakeups.answers != 0 {
            self.room.set(irql);
        }
        if wakeups.watches {
            self.watch_fired.set(irql);
        }
    }

    /// Lets requests wait from now on: the domain is about to be suspended.
    pub(crate) fn pause(&self, irql: &mut AtMostDispatch<'_>) {
        self.link.with(irql, |link, _| link.set_paused(true));
    }

    /// Goes on as before: the suspend did not take place.
    pub(crate) fn go_on(&self, irql: &mut AtMostDispatch<'_>) {
        self.link.with(irql, |link, _| link.set_paused(false));
        self.room.set(irql);
        // What came meanwhile was left on the ring.
        self.pump(irql);
    }

    /// Takes the connection of the new domain over after a resume. Requests of before fail,
    /// transactions are gone, watches are registered again. The channel is to be set anew.
    pub(crate) fn resumed(&self, irql: &mut Passive<'_>) -> Result<()> {
        let named = StorePage::named_frame(self.xen)?;
        let known = self.link.with(irql, |link, _| link.page_gfn());
        let page = if known == named {
            None
        } else {
            Some(StorePage::open(self.xen, irql)?)
        };
        let (old, wakeups) = self.link.with(irql, |link, _| link.reattach(page));
        drop(old);
        self.wake(&wakeups, irql);
        self.room.set(irql);
        self.pump(irql);
        log_info!("XenStore is connected again");
        Ok(())
    }

    /// Fails everything that waits and whatever comes.
    pub(crate) fn close(&self, irql: &mut AtMostDispatch<'_>) {
        let wakeups = self.link.with(irql, |link, _| link.close());
        self.wake(&wakeups, irql);
        self.room.set(irql);
    }
}

/// An event per waiter.
fn answer_events() -> Result<PoolSlice<Option<Event>>> {
    let new = |_| Event::try_new(TAG, EventKind::Synchronization, false).ok();
    let events = PoolSlice::try_from_fn(TAG, REQUESTS_MAX, new)?;
    if events.iter().any(Option::is_none) {
        return Err(Status::INSUFFICIENT_RESOURCES);
    }
    Ok(events)
}
