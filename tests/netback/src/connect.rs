//! Attaching to the frontend's rings and letting go of them.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use xen_abi::xenbus::XenbusState;

use crate::config::Reconnect;
use crate::counters::QueueCounters;
use crate::ctrl::Ctrl;
use crate::host::{Host, SharedPage, Store};
use crate::queue::{Port, Queue};
use crate::ring::BackRing;
use crate::rule::Rule;
use crate::vif::{FrontendFeatures, Netback};

/// Without feature-rx-notify, frames wait this long for slots, nanoseconds (2.2).
const DRAIN_WITHOUT_NOTIFY_NS: u64 = 30_000_000;
/// Smallest burst of a rate limit, bytes.
const BURST_FLOOR: u64 = 131_072;

impl<P: SharedPage> Netback<P> {
    /// Connects in Linux's order: queues, flags, control ring, rings. Failure leaves no queue.
    pub(crate) fn connect<H: Host<Page = P>>(&mut self, host: &mut H) {
        self.closing = false;
        self.counters.connects += 1;
        let count = self.front_number(host, "multi-queue-num-queues");
        let queues = count.unwrap_or(1);
        let most = u32::from(self.config.features.max_queues.max(1));
        if queues == 0 || queues > most {
            return self.dev_fatal(host, Rule::ConnectQueues(queues));
        }
        self.report_stale_keys(host, queues);
        self.read_flags(host);
        if let Err(rule) = self.connect_ctrl(host) {
            self.broken(0, rule);
            return self.dev_fatal(host, Rule::ConnectCtrl);
        }
        for id in 0..queues {
            match self.connect_queue(host, id as u16, queues) {
                Ok(queue) => self.queues.push(queue),
                Err(rule) => {
                    self.let_go(host);
                    return self.dev_fatal(host, rule);
                }
            }
        }
        self.carrier = false;
        self.stalled_queues = if self.rx_stall_ns > 0 { queues } else { 0 };
        if self.rx_stall_ns == 0 {
            self.carrier = !self.disabled;
        }
        if self.config.hotplug_gate {
            let node = format!("{}/hotplug-status", self.back);
            self.hotplug_watch = Some(host.watch(&node));
        }
    }

    /// Keys of an earlier driver that this backend would use or that contradict each other (1.6).
    fn report_stale_keys<S: Store>(&mut self, host: &mut S, queues: u32) {
        let front = self.front.clone();
        let mut has = |key: &str| host.read(&format!("{front}/{key}")).is_some();
        let flat = [
            "tx-ring-ref",
            "rx-ring-ref",
            "event-channel",
            "event-channel-tx",
            "event-channel-rx",
        ];
        let mut stale = if queues > 1 {
            flat.iter().any(|key| has(key))
        } else {
            has("queue-0/tx-ring-ref")
        };
        stale |= queues > 1 && has(&format!("queue-{queues}/tx-ring-ref"));
        stale |= queues == 1 && has("event-channel") && has("event-channel-tx");
        if stale {
            self.broken(0, Rule::ConnectStaleKeys);
        }
        if has("xdp-headroom") {
            self.broken(0, Rule::ConnectXdp);
        }
    }

    fn read_flags<S: Store>(&mut self, host: &mut S) {
        self.peer = FrontendFeatures::default();
        if !self.front_flag(host, "request-rx-copy", false) {
            // Nothing else is read then, and the error is ignored (2.1).
            return self.broken(0, Rule::ConnectNoRxCopy);
        }
        if !self.front_flag(host, "feature-rx-notify", false) {
            self.rx_drain_ns = DRAIN_WITHOUT_NOTIFY_NS;
            self.rx_stall_ns = 0;
            self.broken(0, Rule::ConnectNoRxNotify);
        }
        self.peer = FrontendFeatures {
            sg: self.front_flag(host, "feature-sg", false),
            gso_tcpv4: self.front_flag(host, "feature-gso-tcpv4", false),
            gso_tcpv6: self.front_flag(host, "feature-gso-tcpv6", false),
            no_csum: self.front_flag(host, "feature-no-csum-offload", false),
            ipv6_csum: self.front_flag(host, "feature-ipv6-csum-offload", false),
        };
        if self.config.features.multicast_control {
            self.multicast_control = self.front_flag(host, "request-multicast-control", false);
            if self.config.features.dynamic_multicast_control {
                let node = format!("{}/request-multicast-control", self.front);
                self.mcast_watch = Some(host.watch(&node));
            }
        }
    }

    fn connect_ctrl<H: Host<Page = P>>(&mut self, host: &mut H) -> Result<(), Rule> {
        let Some(gref) = self.front_number(host, "ctrl-ring-ref") else {
            return Ok(());
        };
        if !self.config.features.ctrl_ring {
            // A backend that knows no control ring does not look at the key.
            self.broken(0, Rule::ConnectCtrlNotOffered);
            return Ok(());
        }
        let port = self
            .front_number(host, "event-channel-ctrl")
            .ok_or(Rule::ConnectKeys(0))?;
        let ring = self.attach(host, gref, xen_abi::ring::CTRL_ENTRIES, 16)?;
        match host.bind_interdomain(self.config.frontend, port) {
            Ok(port) => {
                self.ctrl = Some(Ctrl {
                    ring,
                    port: Port::new(port),
                    broken: false,
                });
                Ok(())
            }
            Err(errno) => {
                let _ = host.unmap(ring.into_page());
                Err(Rule::ConnectPort(errno))
            }
        }
    }

    fn attach<H: Host<Page = P>>(
        &mut self,
        host: &mut H,
        gref: u32,
        entries: usize,
        slot_size: usize,
    ) -> Result<BackRing<P>, Rule> {
        let page = host
            .map(self.config.frontend, gref, false)
            .map_err(|status| Rule::ConnectGrant(status.0))?;
        BackRing::attach(page, entries as u32, slot_size).map_err(|page| {
            let _ = host.unmap(page);
            Rule::ConnectRing
        })
    }

    fn connect_queue<H: Host<Page = P>>(
        &mut self,
        host: &mut H,
        id: u16,
        queues: u32,
    ) -> Result<Queue<P>, Rule> {
        let dir = if queues == 1 {
            String::new()
        } else {
            format!("queue-{id}/")
        };
        let mut number = |key: &str| self.front_number(host, &format!("{dir}{key}"));
        let missing = Rule::ConnectKeys(id);
        let tx_ref = number("tx-ring-ref").ok_or(missing)?;
        let rx_ref = number("rx-ring-ref").ok_or(missing)?;
        let split = (number("event-channel-tx"), number("event-channel-rx"));
        // Linux looks for the split form first, whatever it advertised; others do not know it.
        let knows_split =
            self.config.features.split_event_channels || self.config.reconnect == Reconnect::Linux;
        let (tx_event, rx_event) = match split {
            (Some(tx), Some(rx)) if knows_split => (tx, Some(rx)),
            _ => (number("event-channel").ok_or(missing)?, None),
        };
        if rx_event.is_some() && !self.config.features.split_event_channels {
            self.broken(id, Rule::ConnectSplitNotOffered);
        }
        let tx = self.attach(host, tx_ref, xen_abi::ring::TX_ENTRIES, 12)?;
        let rx = match self.attach(host, rx_ref, xen_abi::ring::RX_ENTRIES, 8) {
            Ok(rx) => rx,
            Err(rule) => {
                let _ = host.unmap(tx.into_page());
                return Err(rule);
            }
        };
        match bind(host, self.config.frontend, tx_event, rx_event) {
            Ok((tx_port, rx_port)) => Ok(self.new_queue(id, tx, rx, tx_port, rx_port)),
            Err(errno) => {
                let _ = host.unmap(tx.into_page());
                let _ = host.unmap(rx.into_page());
                Err(Rule::ConnectPort(errno))
            }
        }
    }

    fn new_queue(
        &self,
        id: u16,
        tx: BackRing<P>,
        rx: BackRing<P>,
        tx_port: Port,
        rx_port: Option<Port>,
    ) -> Queue<P> {
        Queue {
            id,
            traffic: QueueCounters {
                port: tx_port.number,
                ..QueueCounters::default()
            },
            tx,
            rx,
            tx_port,
            rx_port,
            tx_scheduled: true,
            pending: VecDeque::new(),
            in_flight: BTreeSet::new(),
            credit: self.burst(),
            credit_from_ns: self.now_ns,
            rx_wake: true,
            rx_broken: false,
            backlog: VecDeque::new(),
            backlog_bytes: 0,
            stalled: self.rx_stall_ns > 0,
            last_rx_ns: self.now_ns,
            grefs: BTreeMap::new(),
        }
    }

    /// Bytes a queue may send at once under the rate limit.
    pub(crate) fn burst(&self) -> u64 {
        self.config
            .rate
            .map_or(u64::MAX, |(bytes, _)| bytes.max(BURST_FLOOR))
    }

    /// Ends the connection. The hash state and `disabled` stay.
    pub(crate) fn disconnect<H: Host<Page = P>>(&mut self, host: &mut H) {
        if let Some(watch) = self.mcast_watch.take() {
            host.unwatch(watch);
        }
        self.counters.disconnects += u64::from(self.state == XenbusState::CONNECTED);
        self.let_go(host);
        self.closing = false;
        self.carrier = false;
        self.stalled_queues = 0;
        self.multicast_control = false;
        self.mcast.clear();
        self.to_release = 0;
    }

    /// Unmaps and closes everything of the frontend.
    fn let_go<H: Host<Page = P>>(&mut self, host: &mut H) {
        for queue in core::mem::take(&mut self.queues) {
            host.close(queue.tx_port.number);
            if let Some(port) = queue.rx_port {
                host.close(port.number);
            }
            self.counters.grefs_left_at_disconnect += queue.grefs.len() as u64;
            let pages = queue.pending.into_iter().filter_map(|p| p.page);
            let kept = queue.grefs.into_values().map(|(page, _)| page);
            let rings = [queue.tx.into_page(), queue.rx.into_page()];
            for page in pages.chain(kept).chain(rings) {
                // After a resume the mapping is gone already.
                let _ = host.unmap(page);
            }
        }
        if let Some(ctrl) = self.ctrl.take() {
            host.close(ctrl.port.number);
            let _ = host.unmap(ctrl.ring.into_page());
        }
    }
}

fn bind<H: Host>(
    host: &mut H,
    frontend: u16,
    tx: u32,
    rx: Option<u32>,
) -> Result<(Port, Option<Port>), i32> {
    let tx = host.bind_interdomain(frontend, tx)?;
    let rx = rx.map(|rx| host.bind_interdomain(frontend, rx)).transpose();
    match rx {
        Ok(rx) => Ok((Port::new(tx), rx.map(Port::new))),
        Err(errno) => {
            host.close(tx);
            Err(errno)
        }
    }
}
