//! The control ring of one connection: shell of the client in `netfront-core`.
#![allow(
    unsafe_code,
    reason = "opens a channel whose events reach the adapter; each block says why it may"
)]

use core::ptr;
use core::sync::atomic::Ordering;

use netfront_core::control::{Control, ControlMemory, Event, Goal, HashConfig};
use netif::GrantRef;
use netif::publication::CtrlKeys;
use nt::irql::{AtMostDispatch, Passive};
use nt::pool::{Pages, PoolBox};
use nt::status::Status;
use ring::Recheck;
use xen_abi::domid::DomId;
use xenbus_core::grant::Access;

use crate::adapter::Adapter;
use crate::callbacks;
use crate::grant::Grants;
use crate::queue::Bell;
use crate::remains::{Memory, Remains};
use crate::shared_page::{RingMemory, pfn};
use crate::{TAG, scaling};
use rss::{HashTypes, KEY_LEN};

/// Order of the grants: ring, page of arguments.
const RING_GRANT: usize = 0;
const PAGE_GRANT: usize = 1;
const GRANTS: usize = 2;

/// The client, its memory and its channel.
pub(super) struct Hashing {
    /// Off the stack of whoever holds this.
    client: PoolBox<Control<RingMemory>>,
    ring: RingMemory,
    page: Pages,
    grants: Grants,
    bell: Bell,
    /// The goal to leave was reached, or never will be.
    stopped: bool,
}

/// The page of arguments, and the queues that lists of grants are about.
struct Argument<'p, 'i> {
    page: &'p Pages,
    gref: GrantRef,
    adapter: &'p Adapter,
    irql: &'p mut AtMostDispatch<'i>,
}

impl ControlMemory for Argument<'_, '_> {
    fn write(&mut self, words: &[u32]) {
        for (place, word) in self.page.words().iter().zip(words) {
            place.store(*word, Ordering::Relaxed);
        }
    }

    fn write_lasting(&mut self, queue: u32, most: u32) -> u32 {
        let queues = self.adapter.queues();
        let queue = usize::try_from(queue)
            .ok()
            .and_then(|queue| queues.get(queue));
        let Some(queue) = queue else { return 0 };
        let mut places = self.page.words().as_chunks::<2>().0.iter();
        let mut count: u32 = 0;
        queue.lasting_grants(self.irql, |gref| {
            if count == most {
                return;
            }
            if let Some(entry) = places.next() {
                for (place, word) in entry.iter().zip(netif::ctrl::lasting(gref)) {
                    place.store(word, Ordering::Relaxed);
                }
                count = count.saturating_add(1);
            }
        });
        count
    }

    fn gref(&self) -> GrantRef {
        self.gref
    }
}

impl Hashing {
    /// Makes the ring for the domain `remote` and a vif of `queues` queues.
    ///
    /// # Safety
    /// The adapter outlives the result, and [`Hashing::release`] ends it.
    pub(super) unsafe fn prepare(
        adapter: &Adapter,
        remote: DomId,
        queues: usize,
        irql: &Passive<'_>,
    ) -> Result<Self, Status> {
        let bus = adapter.bus();
        let ring = RingMemory::try_new()?;
        let page = Pages::try_new(TAG, 1)?;
        let queues = u32::try_from(queues).unwrap_or(u32::MAX);
        let client =
            Control::new(ring.clone(), queues).map_err(|_| Status::INSUFFICIENT_RESOURCES)?;
        let client = PoolBox::try_new(TAG, client)?;
        let grants = Grants::reserve(bus, GRANTS, remote, irql)?;
        let cookie = ptr::from_ref(adapter).cast_mut().cast();
        let home = adapter.home(0);
        // SAFETY: the callback expects an adapter, which outlives the bell.
        let bell =
            unsafe { Bell::open(bus, remote.0, callbacks::control_event, cookie, home, irql) };
        let bell = match bell {
            Ok(bell) => bell,
            Err(status) => {
                grants.release(bus, irql);
                return Err(status);
            }
        };
        for (nth, pfn, access) in [
            (RING_GRANT, ring.pfn(), Access::ReadWrite),
            // The backend notes in lists of grants what it unmapped.
            (PAGE_GRANT, pfn(&page, 0), Access::ReadWrite),
        ] {
            if let (Some(gref), Some(pfn)) = (grants.reference(nth), pfn) {
                grants.grant(gref, pfn, access);
            }
        }
        Ok(Self {
            client,
            ring,
            page,
            grants,
            bell,
            stopped: false,
        })
    }

    /// What to publish.
    pub(super) fn keys(&self) -> CtrlKeys {
        CtrlKeys {
            ring: self.grants.reference(RING_GRANT).unwrap_or_default(),
            port: self.bell.port(),
        }
    }

    /// When [`Hashing::run`] must be called at the latest, in milliseconds.
    pub(super) fn deadline(&self) -> Option<u64> {
        self.client.deadline()
    }

    /// Whether nothing is left to be said before disconnecting.
    pub(super) fn is_stopped(&self) -> bool {
        self.stopped || self.client.unavailable().is_some()
    }

    /// Wants hashing by these types and this key, to the queues of `mapping`; or none.
    pub(super) fn want(&mut self, hash: Option<(HashTypes, &[u8; KEY_LEN])>, mapping: &[u16]) {
        let config = hash
            .and_then(|(types, key)| HashConfig::new(key, scaling::to_netif(types), mapping).ok());
        self.set_goal(&config.map_or(Goal::Off, Goal::On));
    }

    /// Wants the backend to forget what it was told, before disconnecting.
    pub(super) fn want_stop(&mut self) {
        self.set_goal(&Goal::Stop);
    }

    fn set_goal(&mut self, goal: &Goal) {
        if let Err(error) = self.client.set_goal(*goal) {
            nt::log_warn!("hashing cannot be asked for: {error:?}");
        }
    }

    /// Takes answers and sends requests. Returns the hash types that received frames come with from now on, when the
    /// backend has settled on them.
    pub(super) fn run(
        &mut self,
        adapter: &Adapter,
        now: u64,
        irql: &mut Passive<'_>,
    ) -> Option<HashTypes> {
        let bus = adapter.bus();
        // SAFETY: the bell is closed in `release` only, which takes it.
        let notifier = unsafe { self.bell.notifier() };
        let mut types = None;
        loop {
            let mut memory = Argument {
                page: &self.page,
                gref: self.grants.reference(PAGE_GRANT).unwrap_or_default(),
                adapter,
                irql,
            };
            let pass = self.client.run(now, &mut memory);
            if pass.kick.is_needed() {
                notifier.ring(bus, irql);
            }
            match pass.event {
                Some(Event::On { types: on, entries }) => {
                    nt::log_info!("the backend hashes, by a mapping of {entries} entries");
                    types = Some(scaling::from_netif(on));
                }
                Some(Event::Off(capabilities)) => {
                    nt::log_trace!("the backend does not hash; it could: {capabilities:?}");
                    types = Some(HashTypes::NONE);
                }
                Some(Event::Lasting { grants, refused }) => {
                    nt::log_info!(
                        "the backend keeps {grants} pages mapped, {refused} queues refused"
                    );
                }
                Some(Event::Stopped) => {
                    self.stopped = true;
                    types = Some(HashTypes::NONE);
                }
                Some(Event::Failed(failure)) => {
                    nt::log_warn!("the backend does not hash: {failure:?}");
                    types = Some(HashTypes::NONE);
                }
                Some(Event::Unavailable(reason)) => {
                    nt::log_warn!("the control ring is of no use: {reason:?}");
                    return Some(HashTypes::NONE);
                }
                None => {}
            }
            let again = match pass.recheck {
                Recheck::Poll => true,
                Recheck::Idle => notifier.unmask(bus, irql),
            };
            if !again || self.client.unavailable().is_some() {
                return types;
            }
        }
    }

    /// Ends all of it; what the backend did not let go.
    pub(super) fn release(self, adapter: &Adapter, irql: &Passive<'_>) -> Option<Remains> {
        let bus = adapter.bus();
        let Self {
            client,
            ring,
            page,
            grants,
            bell,
            ..
        } = self;
        bell.close(bus, irql);
        drop(client);
        let memory = [
            Memory::Ring(ring, RING_GRANT),
            Memory::Pages(page, PAGE_GRANT..GRANTS),
            Memory::Nothing,
        ];
        Remains::of(grants, memory, None, bus, irql)
    }
}
