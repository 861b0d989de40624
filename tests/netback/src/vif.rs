//! The vif: what outlives a connection, and the poll that drives everything.

use xen_abi::xenbus::XenbusState;

use crate::config::{Config, ResponseMode};
use crate::counters::{Counters, QueueCounters};
use crate::ctrl::{Ctrl, CtrlManner};
use crate::hash::HashState;
use crate::host::{Events, Host, SharedPage, WatchId};
use crate::hostile::{Attack, Hostile};
use crate::queue::Queue;
use crate::rule::{Rule, RuleLog};
use crate::wire::Wire;

/// What the frontend said it can receive, read at connect.
#[derive(Debug, Clone, Copy, Default)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "one switch per XenStore key; they are independent"
)]
pub(crate) struct FrontendFeatures {
    pub(crate) sg: bool,
    pub(crate) gso_tcpv4: bool,
    pub(crate) gso_tcpv6: bool,
    pub(crate) no_csum: bool,
    pub(crate) ipv6_csum: bool,
}

/// The backend of one vif. `P` is the host's mapped page.
#[derive(Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "conditions of the state machine, the vif and the carrier, which vary apart"
)]
pub struct Netback<P> {
    pub(crate) config: Config,
    pub(crate) back: String,
    pub(crate) front: String,

    pub(crate) state: XenbusState,
    pub(crate) published: XenbusState,
    pub(crate) frontend_watch: WatchId,
    pub(crate) hotplug_watch: Option<WatchId>,
    pub(crate) mcast_watch: Option<WatchId>,
    pub(crate) frontend_dirty: bool,
    pub(crate) gone: bool,
    pub(crate) closing: bool,

    pub(crate) disabled: bool,
    pub(crate) carrier: bool,
    pub(crate) stalled_queues: u32,
    pub(crate) rx_drain_ns: u64,
    pub(crate) rx_stall_ns: u64,
    pub(crate) peer: FrontendFeatures,
    pub(crate) multicast_control: bool,
    pub(crate) mcast: Vec<[u8; 6]>,
    pub(crate) hash: HashState,

    pub(crate) queues: Vec<Queue<P>>,
    pub(crate) ctrl: Option<Ctrl<P>>,
    pub(crate) ctrl_manner: CtrlManner,
    pub(crate) responses: ResponseMode,
    pub(crate) to_release: usize,
    pub(crate) hostile: Hostile,
    pub(crate) rules: RuleLog,
    pub(crate) counters: Counters,
    pub(crate) now_ns: u64,
}

impl<P: SharedPage> Netback<P> {
    /// Does all there is to do at `now_ns` (which never goes back): state changes, control messages, frames
    /// both ways, timers. Bounded: at most 64 packets per queue and direction. Whether anything was done;
    /// call again while it was.
    pub fn poll<H, W>(&mut self, host: &mut H, wire: &mut W, now_ns: u64) -> bool
    where
        H: Host<Page = P>,
        W: Wire + ?Sized,
    {
        self.now_ns = now_ns;
        if self.gone {
            return false;
        }
        let mut worked = self.run_attacks(host);
        if !self.hostile.has(Attack::Deaf) {
            worked |= self.poll_store(host);
        }
        if self.hostile.has(Attack::Silence) {
            return worked;
        }
        worked |= self.poll_events(host);
        worked |= self.ctrl_action(host);
        for q in 0..self.queues.len() {
            worked |= self.tx_action(host, wire, q);
        }
        worked |= self.rx_from_wire(wire);
        for q in 0..self.queues.len() {
            worked |= self.rx_action(host, q);
            worked |= self.tx_flush(host, q);
            self.check_overdue(q);
        }
        self.follow_carrier(host);
        worked
    }

    /// Takes events of all queues; wakes what they are for.
    fn poll_events<E: Events>(&mut self, host: &mut E) -> bool {
        let mut worked = false;
        for q in 0..self.queues.len() {
            let queue = &mut self.queues[q];
            let tx_event = host.take_pending(queue.tx_port.number);
            let rx_event = match &queue.rx_port {
                Some(port) => host.take_pending(port.number),
                None => tx_event,
            };
            if !tx_event && !rx_event {
                continue;
            }
            worked = true;
            let mut asked = true;
            if queue.rx_port.is_none() {
                let (tx, rx) = (queue.tx.credit_event(), queue.rx.credit_event());
                asked = tx || rx || queue.tx_port.forgive();
            } else {
                if tx_event {
                    asked = queue.tx.credit_event() || queue.tx_port.forgive();
                }
                if rx_event {
                    let port = queue.rx_port.as_mut();
                    asked &=
                        queue.rx.credit_event() || port.is_some_and(super::queue::Port::forgive);
                }
            }
            queue.tx_scheduled |= tx_event;
            queue.rx_wake |= rx_event;
            let id = queue.id;
            let events = u64::from(tx_event) + u64::from(rx_event);
            queue.traffic.events += events;
            self.counters.events += events;
            if !asked {
                self.counters.events_spurious += 1;
                self.broken(id, Rule::NotifyUnasked(id));
            }
        }
        worked
    }

    fn check_overdue(&mut self, q: usize) {
        let patience = self.config.timeouts.notify_patience_ns;
        let queue = &mut self.queues[q];
        let tx = !queue.tx_scheduled && queue.tx.notification_overdue(self.now_ns, patience);
        let rx = !queue.rx_wake && queue.rx.notification_overdue(self.now_ns, patience);
        let id = queue.id;
        if (tx || rx) && !self.disabled {
            self.broken(id, Rule::NotifyMissing(id));
        }
    }

    pub(crate) fn broken(&mut self, queue: u16, rule: Rule) {
        self.rules.record(self.now_ns, queue, rule);
    }

    fn run_attacks<H: Host<Page = P>>(&mut self, host: &mut H) -> bool {
        let mut worked = false;
        if let Some(queue) = self.queues.first() {
            let moved = |prod: u32, by: i32| prod.wrapping_add(by as u32);
            while let Some(by) = self.hostile.take(|a| match a {
                Attack::TxRspProd(by) => Some(by),
                _ => None,
            }) {
                queue.tx.force_rsp_prod(moved(queue.tx.rsp_prod_pvt, by));
                host.notify(queue.tx_port.number);
                worked = true;
            }
            while let Some(by) = self.hostile.take(|a| match a {
                Attack::RxRspProd(by) => Some(by),
                _ => None,
            }) {
                queue.rx.force_rsp_prod(moved(queue.rx.rsp_prod_pvt, by));
                host.notify(queue.rx_port_number());
                worked = true;
            }
        }
        if let Some(ctrl) = &self.ctrl {
            while let Some(by) = self.hostile.take(|a| match a {
                Attack::CtrlRspProd(by) => Some(by),
                _ => None,
            }) {
                ctrl.ring
                    .force_rsp_prod(ctrl.ring.rsp_prod_pvt.wrapping_add(by as u32));
                host.notify(ctrl.port.number);
                worked = true;
            }
        }
        while let Some(state) = self.hostile.take(|a| match a {
            Attack::State(state) => Some(state),
            _ => None,
        }) {
            host.write(&format!("{}/state", self.back), &state.to_string());
            worked = true;
        }
        if self.hostile.take_one(Attack::GrefsDropped) {
            for queue in &mut self.queues {
                for (page, _) in core::mem::take(&mut queue.grefs).into_values() {
                    let _ = host.unmap(page);
                }
            }
            worked = true;
        }
        if self.hostile.take_one(Attack::Vanish) {
            let back = self.back.clone();
            host.rm(&back);
            worked = true;
        }
        if self.hostile.take_one(Attack::EventStorm) {
            for queue in &self.queues {
                host.notify(queue.tx_port.number);
                host.notify(queue.rx_port_number());
            }
        }
        worked
    }

    /// When a poll has something to do without an event or a frame, nanoseconds.
    pub fn next_deadline(&self) -> Option<u64> {
        if self.gone || self.hostile.has(Attack::Silence) {
            return None;
        }
        let serving = !self.disabled && !self.closing;
        let mut soonest: Option<u64> = self.ctrl_manner.ready_ns;
        let mut offer = |at: u64| {
            if at != u64::MAX {
                soonest = Some(soonest.map_or(at, |s| s.min(at)));
            }
        };
        for queue in &self.queues {
            queue.pending.iter().for_each(|p| offer(p.due_ns));
            if let Some(head) = queue.backlog.front()
                && serving
                && !queue.rx_broken
            {
                offer(head.expires_ns);
                if self.rx_stall_ns > 0 && !queue.stalled {
                    offer(
                        queue
                            .last_rx_ns
                            .saturating_add(self.rx_stall_ns)
                            .saturating_add(1),
                    );
                }
            }
            if let Some((_, interval_ns)) =
                self.config.rate.filter(|_| queue.tx_scheduled && serving)
            {
                offer(queue.credit_from_ns.saturating_add(interval_ns));
            }
        }
        soonest
    }

    /// The state machine's state. What XenStore shows may lag behind it (hotplug gate).
    pub fn state(&self) -> XenbusState {
        self.state
    }

    /// What was last written to XenStore.
    pub fn published_state(&self) -> XenbusState {
        self.published
    }

    /// The interface of the backend's domain has a carrier.
    pub fn carrier(&self) -> bool {
        self.carrier
    }

    /// A fatal rule was broken: the vif serves no ring any more, whoever connects.
    pub fn disabled(&self) -> bool {
        self.disabled
    }

    /// The device was unregistered after its frontend went away; nothing happens any more.
    pub fn gone(&self) -> bool {
        self.gone
    }

    /// Queues connected; 0 when there is no connection.
    pub fn queue_count(&self) -> usize {
        self.queues.len()
    }

    /// TX slots consumed and not answered.
    pub fn outstanding(&self) -> usize {
        self.queues.iter().map(|q| q.pending.len()).sum()
    }

    /// What the frontend did wrong.
    pub fn rules(&self) -> &RuleLog {
        &self.rules
    }

    /// The counters.
    pub fn counters(&self) -> Counters {
        self.counters
    }

    /// The counters of one queue.
    pub fn queue_counters(&self, queue: usize) -> Option<QueueCounters> {
        self.queues.get(queue).map(|q| q.traffic)
    }

    /// What the control ring set.
    pub fn hash_state(&self) -> &HashState {
        &self.hash
    }

    /// Multicast addresses the frontend asked for, in order, duplicates included.
    pub fn multicast_list(&self) -> &[[u8; 6]] {
        &self.mcast
    }

    /// The configuration it was probed with.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Grants kept mapped for a queue.
    pub fn persistent_grants(&self, queue: usize) -> usize {
        self.queues.get(queue).map_or(0, |q| q.grefs.len())
    }

    /// Changes when TX slots are answered. Slots already waiting keep their time.
    pub fn set_response_mode(&mut self, mode: ResponseMode) {
        self.responses = mode;
    }

    /// Lets the next poll answer this many held slots, oldest first.
    pub fn release(&mut self, slots: usize) {
        self.to_release = self.to_release.saturating_add(slots);
    }

    /// Arms a trick for this many times; `u32::MAX` = until [`Self::calm`].
    pub fn attack(&mut self, attack: Attack, times: u32) {
        self.hostile.arm(attack, times);
    }

    /// Ends all tricks.
    pub fn calm(&mut self) {
        self.hostile.clear();
        self.ctrl_manner = CtrlManner::default();
    }

    /// Answers control requests this long after their notification, until [`Self::calm`].
    pub fn delay_control(&mut self, ns: u64) {
        self.ctrl_manner.delay_ns = ns;
    }

    /// Serves this many more control requests, and refuses those after them, until [`Self::calm`].
    pub fn refuse_control(&mut self, after: u32) {
        self.ctrl_manner.refuse_after = Some(after);
    }
}
