//! The link as NDIS knows it: its state, speed and MTU, and the addresses on it.
#![allow(
    unsafe_code,
    reason = "gives NDIS lists and status under the adapter's handle; each block says why it may"
)]

use core::sync::atomic::Ordering;

use ndis::addresses::{AddressList, Protocol};
use ndis::indication::{Indicator, Link};
use netfront_core::announce::Addresses;
use nt::irql::{AtMostDispatch, Passive};

use super::{Adapter, Closed};
use crate::attributes::DEFAULT_SPEED;
use crate::keywords::{ETHERNET_HEADER, MtuLimits};
use crate::trace;

impl Adapter {
    /// Link speed in bits per second.
    pub(crate) fn speed(&self) -> u64 {
        self.speed.load(Ordering::Acquire)
    }

    /// The toolstack's settings as they are now: a new speed is told when the link is up, a new MTU at once.
    pub(crate) fn set_store_settings(&self, speed: Option<u64>, mtu: u16, irql: &mut Passive<'_>) {
        let fastest = self.identity().max_speed();
        let speed = speed.unwrap_or(DEFAULT_SPEED).min(fastest);
        if self.speed.swap(speed, Ordering::AcqRel) != speed && self.is_link_up() {
            nt::log_info!("link speed: {speed} bit/s");
            self.set_link(true, irql);
        }
        self.change_mtu(irql, |limits| limits.store = mtu);
    }

    /// Largest payload of a frame, in bytes, as NDIS knows it.
    pub(crate) fn mtu(&self) -> u32 {
        self.mtu.load(Ordering::Acquire)
    }

    /// Largest frame with its header, without tag, in bytes.
    pub(crate) fn max_frame(&self) -> u32 {
        self.mtu().saturating_add(ETHERNET_HEADER)
    }

    /// Changes what the MTU depends on, and tells NDIS if that changes the MTU.
    ///
    /// A smaller one is for what the system builds from now on. Frames as long as before still pass until the next
    /// start, both ways: they may have been handed over, or put on the wire, before the change was known.
    pub(super) fn change_mtu(&self, irql: &mut Passive<'_>, change: impl FnOnce(&mut MtuLimits)) {
        let limits = self.mtu_limits.with(irql, |limits, _| {
            change(limits);
            *limits
        });
        let mtu = self.keywords().mtu(limits);
        let halting = self.closed.load(Ordering::Acquire) & Closed::HALTING.0 != 0;
        if halting || self.mtu.swap(mtu, Ordering::AcqRel) == mtu {
            return;
        }
        nt::log_info!("MTU: {mtu} bytes");
        let longest = self.max_frame();
        // Senders may use it as soon as NDIS knows it, and NDIS must know it before longer frames come.
        for queue in self.queues() {
            queue.tx.with(irql, |tx, _| tx.take_longer(longest));
        }
        // SAFETY: the connection thread, which calls this, ends before the adapter is halted.
        unsafe { Indicator::new(self.handle().get(), self.version()) }.mtu(mtu);
        for queue in self.queues() {
            queue.rx.with(irql, |rx, _| rx.take_longer(longest));
        }
    }

    /// Addresses that protocols have on the interface.
    pub(crate) fn addresses(&self, irql: &mut AtMostDispatch<'_>) -> Addresses {
        self.addresses.with(irql, |addresses, _| *addresses)
    }

    /// Takes a protocol's addresses.
    pub(crate) fn set_addresses(&self, list: &AddressList<'_>, irql: &mut AtMostDispatch<'_>) {
        self.addresses
            .with(irql, |addresses, _| match list.protocol {
                Protocol::V4 => addresses.set_v4(list.v4()),
                Protocol::V6 => addresses.set_v6(list.v6()),
                Protocol::Other => {}
            });
    }

    /// Tells NDIS of the link.
    pub(crate) fn set_link(&self, up: bool, _irql: &Passive<'_>) {
        self.link_up.store(up, Ordering::Release);
        let closed = self.closed.load(Ordering::Acquire);
        if closed & Closed::HALTING.0 != 0 {
            return;
        }
        trace::link(self.identity().current, up, self.speed());
        let low = closed & Closed::LOW_POWER.0 != 0;
        let link = match (up, low) {
            (true, _) => Link::Up(self.speed()),
            (false, true) => Link::Unknown,
            (false, false) => Link::Down,
        };
        // SAFETY: the thread that calls this ends before the adapter is halted.
        unsafe { Indicator::new(self.handle().get(), self.version()) }.link(link);
    }
}
