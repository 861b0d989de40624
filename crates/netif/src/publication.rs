//! What the frontend writes to its XenStore directory, and what it must delete there first.
//!
//! netback believes whatever stands in the directory: a `queue-1` or `ctrl-ring-ref` left by
//! another driver is used as if it were fresh, and can make the whole connect fail. So in one
//! transaction: list the directory, remove what [`removes`] names, write what
//! [`Publication::writes`] yields. `state` is none of its business.

use core::fmt;

use crate::GrantRef;
use crate::features::Features;

/// Keys of the protocol that a frontend may have written, without queue and state.
const OWN_KEYS: [&str; 18] = [
    "tx-ring-ref",
    "rx-ring-ref",
    "event-channel",
    "event-channel-tx",
    "event-channel-rx",
    "multi-queue-num-queues",
    "ctrl-ring-ref",
    "event-channel-ctrl",
    "request-rx-copy",
    "feature-rx-notify",
    "feature-sg",
    "feature-gso-tcpv4",
    "feature-gso-tcpv6",
    "feature-gso-tcpv4-prefix",
    "feature-gso-tcpv6-prefix",
    "feature-no-csum-offload",
    "feature-ipv6-csum-offload",
    "request-multicast-control",
];
/// Keys that other drivers write and this one never does.
const FOREIGN_KEYS: [&str; 4] = [
    "xdp-headroom",
    "feature-persistent",
    "feature-dynamic-multicast-control",
    "feature-rx-flip",
];

/// Whether an entry of the frontend's directory must be removed before publishing: every key of
/// the protocol and every `queue-...` directory, but none of the toolstack's.
pub fn removes(entry: &[u8]) -> bool {
    entry.starts_with(b"queue-")
        || OWN_KEYS
            .iter()
            .chain(&FOREIGN_KEYS)
            .any(|key| key.as_bytes() == entry)
}

/// A key relative to the frontend's directory; `Display` gives its path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Key {
    /// The queue it belongs to, when that queue has a directory of its own.
    pub queue: Option<u16>,
    /// Its last part.
    pub name: &'static str,
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(queue) = self.queue {
            write!(f, "queue-{queue}/")?;
        }
        f.write_str(self.name)
    }
}

/// Event channel ports of a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ports {
    /// One for both directions.
    Shared(u32),
    /// One each; only when the backend offers it.
    Split {
        /// Of the transmit ring.
        tx: u32,
        /// Of the receive ring.
        rx: u32,
    },
}

/// What of a queue is published.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueueKeys {
    /// Grant of the transmit ring.
    pub tx_ring: GrantRef,
    /// Grant of the receive ring.
    pub rx_ring: GrantRef,
    /// Event channels.
    pub ports: Ports,
}

/// What of the control ring is published.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CtrlKeys {
    /// Grant of the ring.
    pub ring: GrantRef,
    /// Event channel.
    pub port: u32,
}

/// All that a connecting frontend publishes.
#[derive(Clone, Copy, Debug)]
pub struct Publication<'q> {
    /// The queues, at least one. A single one is published flat, more in directories.
    pub queues: &'q [QueueKeys],
    /// The control ring, when the backend offers one.
    pub ctrl: Option<CtrlKeys>,
    /// What we can receive: [`Features::SG`], the GSO kinds and the checksums.
    pub receive: Features,
    /// Whether to filter multicast by extras; only when the backend offers it.
    pub multicast_control: bool,
}

impl Publication<'_> {
    /// Keys and values to write, values in decimal.
    pub fn writes(&self) -> impl Iterator<Item = (Key, u32)> + '_ {
        let several = self.queues.len() > 1;
        let offer = |feature| u32::from(self.receive.has(feature));
        let count = u32::try_from(self.queues.len()).unwrap_or(u32::MAX);
        let flat = [
            ("request-rx-copy", Some(1)),
            ("feature-rx-notify", Some(1)),
            ("feature-sg", Some(offer(Features::SG))),
            ("feature-gso-tcpv4", Some(offer(Features::GSO_TCPV4))),
            ("feature-gso-tcpv6", Some(offer(Features::GSO_TCPV6))),
            (
                "feature-no-csum-offload",
                Some(1 ^ offer(Features::IPV4_CSUM)),
            ),
            (
                "feature-ipv6-csum-offload",
                Some(offer(Features::IPV6_CSUM)),
            ),
            (
                "request-multicast-control",
                self.multicast_control.then_some(1),
            ),
            ("ctrl-ring-ref", self.ctrl.map(|ctrl| ctrl.ring.0)),
            ("event-channel-ctrl", self.ctrl.map(|ctrl| ctrl.port)),
            ("multi-queue-num-queues", several.then_some(count)),
        ];
        let flat = flat
            .into_iter()
            .filter_map(|(name, value)| Some((Key { queue: None, name }, value?)));
        let queues = (0_u16..).zip(self.queues).flat_map(move |(number, queue)| {
            let queue_of_key = several.then_some(number);
            let (shared, tx, rx) = match queue.ports {
                Ports::Shared(port) => (Some(port), None, None),
                Ports::Split { tx, rx } => (None, Some(tx), Some(rx)),
            };
            [
                ("tx-ring-ref", Some(queue.tx_ring.0)),
                ("rx-ring-ref", Some(queue.rx_ring.0)),
                ("event-channel", shared),
                ("event-channel-tx", tx),
                ("event-channel-rx", rx),
            ]
            .into_iter()
            .filter_map(move |(name, value)| {
                Some((
                    Key {
                        queue: queue_of_key,
                        name,
                    },
                    value?,
                ))
            })
        });
        flat.chain(queues)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::string::{String, ToString};
    use std::vec::Vec;

    use super::*;

    fn queues(n: u32, split: bool) -> Vec<QueueKeys> {
        (0..n)
            .map(|q| QueueKeys {
                tx_ring: GrantRef(100 + q),
                rx_ring: GrantRef(200 + q),
                ports: if split {
                    Ports::Split {
                        tx: 10 + q,
                        rx: 20 + q,
                    }
                } else {
                    Ports::Shared(30 + q)
                },
            })
            .collect()
    }

    fn written(publication: &Publication<'_>) -> BTreeMap<String, u32> {
        let list: Vec<_> = publication
            .writes()
            .map(|(key, v)| (key.to_string(), v))
            .collect();
        let map: BTreeMap<_, _> = list.iter().cloned().collect();
        assert_eq!(list.len(), map.len(), "a key written twice");
        map
    }

    #[test]
    fn one_queue_is_flat() {
        let queues = queues(1, false);
        let keys = written(&Publication {
            queues: &queues,
            ctrl: None,
            receive: Features::SG.with(Features::IPV4_CSUM),
            multicast_control: false,
        });
        assert_eq!(keys["tx-ring-ref"], 100);
        assert_eq!(keys["rx-ring-ref"], 200);
        assert_eq!(keys["event-channel"], 30);
        assert_eq!(keys["request-rx-copy"], 1);
        assert_eq!(keys["feature-rx-notify"], 1);
        assert_eq!((keys["feature-sg"], keys["feature-gso-tcpv4"]), (1, 0));
        assert_eq!(keys["feature-no-csum-offload"], 0);
        for absent in [
            "multi-queue-num-queues",
            "ctrl-ring-ref",
            "event-channel-ctrl",
            "event-channel-tx",
            "request-multicast-control",
            "xdp-headroom",
        ] {
            assert!(!keys.contains_key(absent), "{absent}");
        }
        assert!(!keys.keys().any(|key| key.starts_with("queue-")));
    }

    #[test]
    fn several_queues_have_directories_and_nothing_flat() {
        let queues = queues(3, true);
        let keys = written(&Publication {
            queues: &queues,
            ctrl: Some(CtrlKeys {
                ring: GrantRef(7),
                port: 8,
            }),
            receive: Features::NONE,
            multicast_control: true,
        });
        assert_eq!(keys["multi-queue-num-queues"], 3);
        assert_eq!(keys["queue-2/tx-ring-ref"], 102);
        assert_eq!(keys["queue-0/event-channel-tx"], 10);
        assert_eq!(keys["queue-1/event-channel-rx"], 21);
        assert_eq!((keys["ctrl-ring-ref"], keys["event-channel-ctrl"]), (7, 8));
        assert_eq!(keys["feature-no-csum-offload"], 1);
        assert_eq!(keys["request-multicast-control"], 1);
        for absent in [
            "tx-ring-ref",
            "rx-ring-ref",
            "event-channel",
            "event-channel-tx",
            "queue-0/event-channel",
        ] {
            assert!(!keys.contains_key(absent), "{absent}");
        }
    }

    #[test]
    fn all_that_can_be_written_is_removed_first() {
        for split in [false, true] {
            for n in [1, 4] {
                let queues = queues(n, split);
                let publication = Publication {
                    queues: &queues,
                    ctrl: Some(CtrlKeys {
                        ring: GrantRef(7),
                        port: 8,
                    }),
                    receive: Features::NONE,
                    multicast_control: true,
                };
                for path in written(&publication).keys() {
                    let entry = path.split('/').next().unwrap();
                    assert!(removes(entry.as_bytes()), "{path}");
                }
            }
        }
        assert!(removes(b"queue-77"));
        assert!(removes(b"xdp-headroom"));
    }

    #[test]
    fn what_the_toolstack_wrote_stays() {
        for key in [
            "backend",
            "backend-id",
            "handle",
            "mac",
            "mtu",
            "trusted",
            "disconnect",
            "speed",
            "state",
            "queue",
            "tx-ring-ref2",
            "",
        ] {
            assert!(!removes(key.as_bytes()), "{key}");
        }
    }
}
