//! Open channels.

use core::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use core::time::Duration;

use hypervisor::HypercallError;
use nt::irql::{AtMostDispatch, Passive};
use nt::pool::PoolArc;
use nt::status::Status;
use nt::thread::sleep;
use nt::{log_error, log_warn};
use xen_abi::domid::DomId;
use xen_abi::event_channel::Port;
use xenbus_core::event::Unmask;
use xenbus_core::event::fifo::EventArray;

use super::Events;
use super::delivery::cookie_of;
use crate::TAG;
use crate::callback::EventTarget;
use crate::grants::Owner;

/// No port: the channel died with a suspend, or is closed.
const NO_PORT: u32 = 0;
/// How often closing looks whether the port is off its queue, a millisecond apart.
const UNLINK_TRIES: u32 = 20;

/// Why a channel was not opened or moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OpenError {
    /// Xen said no.
    Xen(HypercallError),
    /// No memory, or too many channels.
    NoRoom,
    /// Events cannot interrupt that processor.
    NotServed,
    /// The channel is dead, or not the caller's.
    Gone,
}

impl From<OpenError> for Status {
    fn from(error: OpenError) -> Self {
        match error {
            OpenError::Xen(HypercallError::Exhausted) | OpenError::NoRoom => {
                Self::INSUFFICIENT_RESOURCES
            }
            OpenError::Xen(_) => Self::UNSUCCESSFUL,
            OpenError::NotServed => Self::NOT_SUPPORTED,
            OpenError::Gone => Self::NO_SUCH_DEVICE,
        }
    }
}

/// An open channel.
#[derive(Debug)]
pub(crate) struct Channel {
    events: PoolArc<Events>,
    owner: Owner,
    port: AtomicU32,
    /// System-wide index of the processor its events interrupt.
    processor: AtomicUsize,
    pub(super) target: EventTarget,
}

impl Channel {
    /// Number of its port; 0 when it is dead.
    pub(crate) fn port(&self) -> u32 {
        self.port.load(Ordering::Acquire)
    }

    /// Notifies the other end. Any IRQL.
    pub(crate) fn notify(&self) {
        let port = self.port();
        if port == NO_PORT {
            return;
        }
        if let Err(error) = self.events.platform.xen.send_event(Port(port)) {
            log_warn!("port {port} cannot be notified: {error:?}");
        }
    }

    /// Lets the next event call the target. `true`: one is pending, the target is not called for
    /// it, and the channel stays masked. Any IRQL.
    pub(crate) fn unmask(&self) -> bool {
        let port = Port(self.port());
        if port.0 == NO_PORT {
            return false;
        }
        self.events.masks(|masks| match masks.unmask(port) {
            Unmask::Done => false,
            // Whoever clears the bit has the event: we, or the service routine that came between.
            Unmask::Hypercall => {
                masks.mask(port);
                masks.clear_pending(port)
            }
        })
    }

    /// As [`Channel::unmask`], but a pending event calls the target at once.
    pub(crate) fn unmask_and_deliver(&self) {
        let port = Port(self.port());
        if port.0 == NO_PORT {
            return;
        }
        if self.events.masks(|masks| masks.unmask(port)) == Unmask::Hypercall
            && let Err(error) = self.events.platform.xen.unmask_port(port)
        {
            log_warn!("port {} stays masked: {error:?}", port.0);
        }
    }
}

impl Events {
    /// Opens a channel for the domain `remote` to bind, masked. `processor` is where its events go;
    /// where they cannot, they go to the first one.
    pub(crate) fn open(
        this: &PoolArc<Self>,
        owner: Owner,
        remote: DomId,
        processor: usize,
        target: EventTarget,
        irql: &mut AtMostDispatch<'_>,
    ) -> Result<PoolArc<Channel>, OpenError> {
        let xen = this.platform.xen;
        let port = xen.alloc_unbound(remote).map_err(OpenError::Xen)?;
        let adopted = Self::adopt(this, owner, port, processor, target, irql);
        if adopted.is_err() {
            xen.close_port(port).ok();
        }
        adopted
    }

    /// Makes a channel of a port that is open already, masked.
    pub(crate) fn adopt(
        this: &PoolArc<Self>,
        owner: Owner,
        port: Port,
        processor: usize,
        target: EventTarget,
        irql: &mut AtMostDispatch<'_>,
    ) -> Result<PoolArc<Channel>, OpenError> {
        let processor = if this.is_served(processor) {
            processor
        } else {
            0
        };
        let vcpu = this.vcpu(processor)?;
        this.masks(|masks| {
            masks.mask(port);
            masks.clear_pending(port)
        });
        let xen = this.platform.xen;
        xen.bind_vcpu(port, vcpu).map_err(OpenError::Xen)?;
        let channel = Channel {
            events: this.clone(),
            owner,
            port: AtomicU32::new(port.0),
            processor: AtomicUsize::new(processor),
            target,
        };
        let channel = PoolArc::try_new(TAG, channel).map_err(|_| OpenError::NoRoom)?;
        let cookie = cookie_of(&channel).ok_or(OpenError::NoRoom)?;
        let bound = this.open.with(irql, |open, _| {
            let free = open.as_mut().iter_mut().find(|place| place.is_none());
            let place = free.ok_or(OpenError::NoRoom)?;
            this.table()
                .bind(port, cookie, vcpu)
                .map_err(|_| OpenError::NoRoom)?;
            *place = Some(channel.clone());
            Ok(())
        });
        bound.map(|()| channel)
    }

    fn vcpu(&self, processor: usize) -> Result<u32, OpenError> {
        let processors = self.platform.processors();
        let processor = processors.get(processor).ok_or(OpenError::NotServed)?;
        Ok(processor.vcpu)
    }

    /// The channel at an address a child names, if it is open and the child's.
    pub(crate) fn find(
        &self,
        owner: Owner,
        address: usize,
        irql: &mut AtMostDispatch<'_>,
    ) -> Option<PoolArc<Channel>> {
        self.open.with(irql, |open, _| {
            let mut channels = open.as_ref().iter().flatten();
            channels
                .find(|channel| channel.owner == owner && address_of(channel) == address)
                .cloned()
        })
    }

    /// Moves a channel's events to another processor.
    pub(crate) fn place(&self, channel: &Channel, processor: usize) -> Result<(), OpenError> {
        if channel.processor.load(Ordering::Acquire) == processor {
            return Ok(());
        }
        if !self.is_served(processor) {
            return Err(OpenError::NotServed);
        }
        let port = Port(channel.port());
        if port.0 == NO_PORT {
            return Err(OpenError::Gone);
        }
        let vcpu = self.vcpu(processor)?;
        let xen = self.platform.xen;
        xen.bind_vcpu(port, vcpu).map_err(OpenError::Xen)?;
        self.table().moved(port, vcpu);
        channel.processor.store(processor, Ordering::Release);
        Ok(())
    }

    /// Closes a channel. When this returns its target is not called and will not be.
    pub(crate) fn close(&self, channel: &PoolArc<Channel>, irql: &mut Passive<'_>) {
        self.retire(channel, true, irql);
    }

    /// Gives up a channel whose port is the toolstack's: it stays open, masked.
    pub(crate) fn abandon(&self, channel: &PoolArc<Channel>, irql: &mut Passive<'_>) {
        self.retire(channel, false, irql);
    }

    fn retire(&self, channel: &PoolArc<Channel>, close: bool, irql: &mut Passive<'_>) {
        let registered = self.open.with(irql, |open, _| {
            let place = open.as_mut().iter_mut().find(|place| {
                let same = |other| PoolArc::same(other, channel);
                place.as_ref().is_some_and(same)
            });
            place.and_then(Option::take)
        });
        // Closed by somebody else already.
        let Some(registered) = registered else { return };
        let port = Port(channel.port.swap(NO_PORT, Ordering::AcqRel));
        if port.0 != NO_PORT {
            self.masks(|masks| masks.mask(port));
            self.table().unbind(port);
        }
        // Also when the port died with a suspend: a pass of before may still be under way.
        self.wait_for_passes(irql);
        if port.0 != NO_PORT && close {
            self.wait_until_unlinked(port, irql);
            if let Err(error) = self.platform.xen.close_port(port) {
                log_error!("port {} cannot be closed: {error:?}", port.0);
            }
        }
        drop(registered);
    }

    /// Closes what `owner` has left open. Returns how many there were.
    pub(crate) fn reclaim(&self, owner: Owner, irql: &mut Passive<'_>) -> u32 {
        let mut leaked = 0_u32;
        loop {
            let next = self.open.with(irql, |open, _| {
                let mut channels = open.as_ref().iter().flatten();
                channels.find(|channel| channel.owner == owner).cloned()
            });
            let Some(channel) = next else { return leaked };
            self.close(&channel, irql);
            leaked = leaked.saturating_add(1);
        }
    }

    /// The ports are gone with a suspend.
    pub(super) fn forget_ports(&self, irql: &mut AtMostDispatch<'_>) {
        self.open.with(irql, |open, _| {
            for channel in open.as_ref().iter().flatten() {
                let port = Port(channel.port.swap(NO_PORT, Ordering::AcqRel));
                self.table().unbind(port);
            }
        });
    }

    /// Waits until the passes that may have looked up a port have ended.
    fn wait_for_passes(&self, irql: &Passive<'_>) {
        for lane in self.lanes.iter() {
            let before = lane.passes.load(Ordering::SeqCst);
            // Even: no pass is under way, and later ones find the table without the port.
            while before & 1 != 0 && lane.passes.load(Ordering::SeqCst) == before {
                sleep(Duration::from_millis(1), irql);
            }
        }
    }

    /// In the FIFO ABI a closed port may still be on a queue. Its next life is better without that,
    /// but Xen copes, so the wait has an end.
    fn wait_until_unlinked(&self, port: Port, irql: &Passive<'_>) {
        let Some(memory) = &self.fifo else { return };
        for _ in 0..UNLINK_TRIES {
            if !EventArray::new(memory).is_linked(port) {
                return;
            }
            sleep(Duration::from_millis(1), irql);
        }
    }
}

/// What a child knows a channel by.
pub(crate) fn address_of(channel: &PoolArc<Channel>) -> usize {
    core::ptr::from_ref::<Channel>(channel).addr()
}
