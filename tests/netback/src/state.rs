//! The state machine in XenStore (2.1).

use xen_abi::xenbus::XenbusState;

use crate::config::{Config, Reconnect};
use crate::counters::Counters;
use crate::hash::HashState;
use crate::host::{Host, SharedPage, Store};
use crate::hostile::Hostile;
use crate::rule::{Rule, RuleLog};
use crate::toolstack;
use crate::vif::{FrontendFeatures, Netback};

impl<P: SharedPage> Netback<P> {
    /// Starts the backend of a vif whose directories exist: advertises, goes to `InitWait`.
    pub fn probe<H: Host<Page = P>>(host: &mut H, config: Config) -> Self {
        let (back, front) = (
            toolstack::backend_dir(&config),
            toolstack::frontend_dir(&config),
        );
        advertise(host, &back, &config);
        let frontend_watch = host.watch(&format!("{front}/state"));
        let mut netback = Self {
            back,
            front,
            state: XenbusState::INITIALISING,
            published: XenbusState::INITIALISING,
            frontend_watch,
            hotplug_watch: None,
            mcast_watch: None,
            frontend_dirty: false,
            gone: false,
            closing: false,
            disabled: false,
            carrier: false,
            stalled_queues: 0,
            rx_drain_ns: config.timeouts.rx_drain_ns,
            rx_stall_ns: config.timeouts.rx_stall_ns,
            peer: FrontendFeatures::default(),
            multicast_control: false,
            mcast: Vec::new(),
            hash: HashState::default(),
            queues: Vec::new(),
            ctrl: None,
            ctrl_manner: crate::ctrl::CtrlManner::default(),
            responses: config.responses,
            to_release: 0,
            hostile: Hostile::default(),
            rules: RuleLog::default(),
            counters: Counters::default(),
            now_ns: 0,
            config,
        };
        netback.switch(host, XenbusState::INIT_WAIT);
        netback
    }

    /// Ends the backend at once, whatever is outstanding: unmaps, closes ports, ends watches.
    pub fn remove<H: Host<Page = P>>(&mut self, host: &mut H) {
        for queue in &mut self.queues {
            queue.pending.iter_mut().for_each(|p| p.due_ns = 0);
        }
        self.disconnect(host);
        if !self.gone {
            host.unwatch(self.frontend_watch);
        }
        if let Some(watch) = self.hotplug_watch.take() {
            host.unwatch(watch);
        }
        self.gone = true;
    }

    /// Watches that fired.
    pub(crate) fn poll_store<H: Host<Page = P>>(&mut self, host: &mut H) -> bool {
        let mut worked = false;
        if let Some(watch) = self.hotplug_watch
            && host.take_fired(watch)
        {
            let status = host.read(&format!("{}/hotplug-status", self.back));
            if status.as_deref() == Some("connected") {
                host.unwatch(watch);
                self.hotplug_watch = None;
                self.publish_state(host);
                worked = true;
            }
        }
        if let Some(watch) = self.mcast_watch
            && host.take_fired(watch)
        {
            self.multicast_control = self.front_flag(host, "request-multicast-control", false);
            worked = true;
        }
        self.frontend_dirty |= host.take_fired(self.frontend_watch);
        if self.frontend_dirty {
            let before = (self.state, self.closing);
            self.frontend_dirty = !self.frontend_changed(host);
            worked |= before != (self.state, self.closing) || !self.frontend_dirty;
        }
        worked
    }

    /// Follows the frontend's state; false when it must be tried again because slots are outstanding.
    fn frontend_changed<H: Host<Page = P>>(&mut self, host: &mut H) -> bool {
        let state = host.read(&format!("{}/state", self.front));
        let number = state.as_deref().and_then(|s| s.trim().parse().ok());
        match number.map_or(XenbusState::UNKNOWN, XenbusState) {
            XenbusState::INITIALISING => match self.config.reconnect {
                Reconnect::Linux => self.walk(host, XenbusState::INIT_WAIT),
                Reconnect::FromClosed if self.state == XenbusState::CLOSED => {
                    self.walk(host, XenbusState::INIT_WAIT)
                }
                _ => true,
            },
            XenbusState::INITIALISED => true,
            XenbusState::CONNECTED => {
                let dead = self.state == XenbusState::CLOSED || self.closing;
                if dead && self.config.reconnect == Reconnect::Never {
                    return true;
                }
                self.walk(host, XenbusState::CONNECTED)
            }
            XenbusState::CLOSING => self.walk(host, XenbusState::CLOSING),
            XenbusState::CLOSED => {
                let done = self.walk(host, XenbusState::CLOSED);
                let online = host.read(&format!("{}/online", self.back));
                if done && online.as_deref() != Some("1") {
                    self.unregister(host);
                }
                done
            }
            XenbusState::UNKNOWN => {
                let done = self.walk(host, XenbusState::CLOSED);
                if done {
                    self.unregister(host);
                }
                done
            }
            XenbusState::RECONFIGURING => {
                self.broken(0, Rule::ConnectXdp);
                self.published = XenbusState::RECONFIGURED;
                let number = XenbusState::RECONFIGURED.0.to_string();
                host.write(&format!("{}/state", self.back), &number);
                true
            }
            other => {
                self.dev_fatal(host, Rule::StateUnexpected(other.0));
                true
            }
        }
    }

    fn unregister<H: Host<Page = P>>(&mut self, host: &mut H) {
        host.rm(&format!("{}/hotplug-status", self.back));
        self.remove(host);
    }

    /// Steps towards `target` along the legal edges; false when outstanding slots hold it up.
    fn walk<H: Host<Page = P>>(&mut self, host: &mut H, target: XenbusState) -> bool {
        while self.state != target {
            let next = match (self.state, target) {
                (XenbusState::CLOSED, XenbusState::CLOSING)
                | (XenbusState::INIT_WAIT, XenbusState::CLOSING | XenbusState::CLOSED) => {
                    XenbusState::CLOSING
                }
                (XenbusState::CLOSED, _) => XenbusState::INIT_WAIT,
                (XenbusState::INIT_WAIT, _) => {
                    self.connect(host);
                    XenbusState::CONNECTED
                }
                (XenbusState::CONNECTED, _) => {
                    self.closing = true;
                    if self.outstanding() > 0 {
                        return false;
                    }
                    self.disconnect(host);
                    XenbusState::CLOSING
                }
                _ => XenbusState::CLOSED,
            };
            self.switch(host, next);
        }
        true
    }

    fn switch<S: Store>(&mut self, host: &mut S, state: XenbusState) {
        self.state = state;
        // While the hotplug script is awaited, XenStore is not touched.
        if self.hotplug_watch.is_none() {
            self.publish_state(host);
        }
    }

    fn publish_state<S: Store>(&mut self, host: &mut S) {
        self.published = self.state;
        host.write(&format!("{}/state", self.back), &self.state.0.to_string());
    }

    /// Explains a failure in XenStore and shows Closing; after a failed connection Linux goes on to Connected.
    pub(crate) fn dev_fatal<S: Store>(&mut self, host: &mut S, rule: Rule) {
        self.broken(0, rule);
        let node = toolstack::error_node(&self.config);
        host.write(&node, &format!("22 {rule:?}"));
        let closing = XenbusState::CLOSING.0.to_string();
        host.write(&format!("{}/state", self.back), &closing);
    }

    /// Writes `carrier` when it is offered and changed.
    pub(crate) fn follow_carrier<S: Store>(&mut self, host: &mut S) {
        if self.config.features.carrier_key {
            let path = format!("{}/carrier", self.back);
            let value = if self.carrier { "1" } else { "0" };
            if host.read(&path).as_deref() != Some(value) {
                host.write(&path, value);
            }
        }
    }

    /// A key of the frontend as Linux reads flags: a number that is not zero.
    pub(crate) fn front_flag<S: Store>(&self, host: &mut S, key: &str, absent: bool) -> bool {
        self.front_number(host, key)
            .map_or(absent, |number: u32| number != 0)
    }

    pub(crate) fn front_number<S: Store>(&self, host: &mut S, key: &str) -> Option<u32> {
        let value = host.read(&format!("{}/{key}", self.front))?;
        value.trim().parse().ok()
    }
}

fn advertise<S: Store>(host: &mut S, back: &str, config: &Config) {
    let f = &config.features;
    let flags = [
        ("feature-rx-copy", f.rx_copy),
        ("feature-sg", f.sg),
        ("feature-gso-tcpv4", f.gso_tcpv4),
        ("feature-gso-tcpv6", f.gso_tcpv6),
        ("feature-no-csum-offload", f.no_csum_offload),
        ("feature-ipv6-csum-offload", f.ipv6_csum_offload),
        ("feature-multicast-control", f.multicast_control),
        (
            "feature-dynamic-multicast-control",
            f.dynamic_multicast_control,
        ),
        ("feature-split-event-channels", f.split_event_channels),
        ("feature-ctrl-ring", f.ctrl_ring),
        ("feature-xdp-headroom", f.xdp_headroom),
    ];
    for (key, on) in flags {
        if on {
            host.write(&format!("{back}/{key}"), "1");
        } else {
            host.rm(&format!("{back}/{key}"));
        }
    }
    if f.rx_flip_key {
        host.write(&format!("{back}/feature-rx-flip"), "0");
    }
    let queues = format!("{back}/multi-queue-max-queues");
    if f.max_queues > 0 {
        host.write(&queues, &f.max_queues.to_string());
    } else {
        host.rm(&queues);
    }
}
