//! What a started bus offers: the parts that children use.

use core::sync::atomic::{AtomicBool, Ordering};

use nt::irql::{AtMostDispatch, Passive};
use nt::pool::PoolArc;
use nt::rundown::Rundown;
use nt::status::Result;
use nt::{log_info, log_warn};

use crate::TAG;
use crate::callback::EventTarget;
use crate::events::{Channel, Events};
use crate::grants::{Grants, Owner};
use crate::hole::Hole;
use crate::platform::Platform;
use crate::resources::Resources;
use crate::store::Store;
use crate::suspend::Registry;

/// The bus itself, as the owner of watches and channels. Children are numbered from 1.
pub(crate) const BUS: Owner = Owner(u8::MAX);

/// What children use, from a start to the stop after it.
#[derive(Debug)]
pub(crate) struct Bus {
    pub(crate) platform: PoolArc<Platform>,
    hole: PoolArc<Hole>,
    pub(crate) grants: Grants,
    pub(crate) events: PoolArc<Events>,
    pub(crate) store: Store,
    pub(crate) suspends: Registry,
    /// Calls of children under way; ends with the stop.
    pub(crate) users: Rundown,
    /// The pages of Xen are out of reach.
    ended: AtomicBool,
}

impl Bus {
    /// Sets everything up but interrupts. What fails leaves nothing behind.
    pub(crate) fn new(resources: &Resources, irql: &mut Passive<'_>) -> Result<Self> {
        let platform = PoolArc::try_new(TAG, Platform::find(irql)?)?;
        let hole = PoolArc::try_new(TAG, Hole::open(platform.xen, resources, irql)?)?;
        let grants = Grants::new(hole.clone())?;
        let suspends = Registry::new()?;
        let users = Rundown::try_new(TAG)?;
        let store = Store::new(platform.xen, irql)?;
        // Last: Xen has pages of it from here on.
        let events = Events::new(platform.clone(), hole.clone())?;
        let events = PoolArc::try_new(TAG, events)?;
        Ok(Self {
            platform,
            hole,
            grants,
            events,
            store,
            suspends,
            users,
            ended: AtomicBool::new(false),
        })
    }

    /// Opens the store's channel, whose events call `target`.
    pub(crate) fn connect_store(&self, target: EventTarget, irql: &mut Passive<'_>) -> Result<()> {
        let port = self.store.port()?;
        let channel = Events::adopt(&self.events, BUS, port, 0, target, irql)?;
        self.disconnect_store(irql);
        self.store.set_channel(Some(channel.clone()), irql);
        channel.unmask_and_deliver();
        Ok(())
    }

    /// Gives the store's channel up.
    pub(crate) fn disconnect_store(&self, irql: &mut Passive<'_>) {
        let channel: Option<PoolArc<Channel>> = self.store.set_channel(None, irql);
        if let Some(channel) = channel {
            self.events.abandon(&channel, irql);
        }
    }

    /// Takes back what a child has left.
    pub(crate) fn reclaim(&self, owner: Owner, irql: &mut Passive<'_>) {
        // First what could call it, then what it could use.
        let registrations = self.suspends.reclaim(owner, irql);
        let watches = self.store.reclaim_watches(owner, irql);
        let transactions = self.store.reclaim_transactions(owner, irql);
        let channels = self.events.reclaim(owner, irql);
        let grants = if self.ended.load(Ordering::Acquire) {
            0
        } else {
            self.grants.reclaim(owner, irql)
        };
        let leaked = [registrations, watches, transactions, channels, grants];
        if leaked != [0; 5] {
            log_warn!(
                "child {} left {registrations} registrations, {watches} watches, {transactions} \
                 transactions, {channels} channels, {grants} grants",
                owner.0
            );
        }
    }

    /// Puts the shared info page in its place after a resume: before anything else is done.
    pub(crate) fn place_shared_info(&self) {
        if let Err(error) = self.hole.place_shared_info() {
            nt::log_error!("the shared info page is lost: {error:?}");
        }
    }

    /// Sets up anew what the resume as a new domain has lost; the rest follows when interrupts work.
    pub(crate) fn resumed(&self, after_sleep: bool, irql: &mut Passive<'_>) -> Result<()> {
        self.grants.resumed(irql)?;
        self.events.resumed(after_sleep, irql)
    }

    /// The end, with all interrupts disconnected and no user left: Xen keeps nothing of ours.
    pub(crate) fn end(&self, irql: &mut AtMostDispatch<'_>) {
        self.events.end(irql);
        self.ended.store(true, Ordering::Release);
        self.hole.clear();
        log_info!("stopped");
    }
}
