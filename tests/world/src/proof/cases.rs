//! Interfaces under which the proof is run.

use netback_model::{Config, Preset, ResponseMode};
use oracle::transmit::Tagging;

use super::books::{Proof, Report};
use crate::world::World;

/// A kind of interface.
#[derive(Clone, Copy, Debug)]
pub struct Case {
    /// Its name.
    pub name: &'static str,
    /// Its backend.
    pub preset: Preset,
    /// What is different about the backend.
    pub change: fn(&mut Config),
    /// Keywords of the adapter.
    pub keywords: &'static [(&'static str, &'static str)],
    /// How tags are treated under these keywords.
    pub tagging: Tagging,
    /// Packet filter.
    pub filter: u32,
    /// Processors.
    pub cpus: u32,
    /// Key of the frontend's directory that says the backend may not see other bytes of the guest.
    pub untrusted: bool,
}

const TAGGING: Tagging = Tagging {
    priority: true,
    vlan: true,
    id: 0,
};

/// Directed, multicast, broadcast.
const USUAL: u32 = 0xB;
/// Directed, all multicast, broadcast.
const ALL_GROUPS: u32 = 0xD;
const PROMISCUOUS: u32 = 0x20;

/// One queue: more are each the same.
const ONE_QUEUE: (&str, &str) = ("*NumRssQueues", "1");

const PLAIN: Case = Case {
    name: "Linux",
    preset: Preset::Linux,
    change: |_| {},
    keywords: &[ONE_QUEUE],
    tagging: TAGGING,
    filter: USUAL,
    cpus: 2,
    untrusted: false,
};

const fn preset(name: &'static str, preset: Preset) -> Case {
    Case {
        name,
        preset,
        ..PLAIN
    }
}

const fn changed(name: &'static str, change: fn(&mut Config)) -> Case {
    Case {
        name,
        change,
        ..PLAIN
    }
}

const fn tags(
    name: &'static str,
    keywords: &'static [(&'static str, &'static str)],
    tagging: Tagging,
) -> Case {
    Case {
        name,
        keywords,
        tagging,
        ..PLAIN
    }
}

/// Every kind.
pub const CASES: &[Case] = &[
    PLAIN,
    Case {
        name: "jumbo frames",
        change: |config| config.mtu = 9000,
        keywords: &[ONE_QUEUE, ("*JumboPacket", "9014")],
        ..PLAIN
    },
    Case {
        name: "frames of 4088 bytes",
        change: |config| config.mtu = 9000,
        keywords: &[ONE_QUEUE, ("*JumboPacket", "4088")],
        ..PLAIN
    },
    changed("MTU 1280", |config| config.mtu = 1280),
    Case {
        name: "several queues",
        keywords: &[("*NumRssQueues", "4")],
        cpus: 4,
        ..PLAIN
    },
    Case {
        name: "untrusted backend",
        untrusted: true,
        ..PLAIN
    },
    Case {
        name: "promiscuous",
        filter: PROMISCUOUS,
        ..PLAIN
    },
    Case {
        name: "all multicast",
        filter: ALL_GROUPS,
        ..PLAIN
    },
    tags(
        "no tags",
        &[ONE_QUEUE, ("*PriorityVLANTag", "0")],
        Tagging {
            priority: false,
            vlan: false,
            id: 0,
        },
    ),
    tags(
        "priorities only",
        &[ONE_QUEUE, ("*PriorityVLANTag", "1")],
        Tagging {
            priority: true,
            vlan: false,
            id: 0,
        },
    ),
    tags(
        "VLANs only",
        &[ONE_QUEUE, ("*PriorityVLANTag", "2")],
        Tagging {
            priority: false,
            vlan: true,
            id: 0,
        },
    ),
    tags(
        "in VLAN 5",
        &[ONE_QUEUE, ("VlanID", "5")],
        Tagging {
            priority: true,
            vlan: true,
            id: 5,
        },
    ),
    preset("XCP-ng", Preset::XcpNg),
    preset("QEMU", Preset::Qemu),
    preset("FreeBSD", Preset::FreeBsd),
    preset("NetBSD", Preset::NetBsd),
    preset("MirageOS", Preset::Mirage),
    preset("no feature at all", Preset::Minimal),
    changed("without feature-sg", |config| {
        config.features.sg = false;
        config.multi_slot = false;
    }),
    changed("without feature-gso", |config| {
        config.features.gso_tcpv4 = false;
        config.features.gso_tcpv6 = false;
    }),
    changed("without feature-gso-tcpv6", |config| {
        config.features.gso_tcpv6 = false;
    }),
    changed("with feature-no-csum-offload", |config| {
        config.features.no_csum_offload = true;
    }),
    changed("without feature-ipv6-csum-offload", |config| {
        config.features.ipv6_csum_offload = false;
    }),
    changed("without feature-multicast-control", |config| {
        config.features.multicast_control = false;
        config.features.dynamic_multicast_control = false;
    }),
    changed("without feature-split-event-channels", |config| {
        config.features.split_event_channels = false;
    }),
    changed("without feature-ctrl-ring", |config| {
        config.features.ctrl_ring = false;
    }),
    changed("slow answers", |config| {
        config.responses = ResponseMode::Delayed(300_000);
    }),
    changed("answers out of order", |config| {
        config.responses = ResponseMode::Reordered(9);
    }),
];

/// Groups that the guest listens to in every case: of those that the generator uses, some are not in it.
const GROUPS: [[u8; 6]; 2] = [[0x01, 0, 0x5E, 0, 0, 1], [0x33, 0x33, 0, 0, 0, 2]];

impl Case {
    /// The interface, up and with filters set.
    ///
    /// # Panics
    /// When it does not come up.
    pub fn start(&self, seed: u64) -> Proof {
        let mut config = World::vif_config(self.preset, 0);
        (self.change)(&mut config);
        let builder = World::builder().cpus(self.cpus);
        let mut proof = Proof::new(builder, seed, &config, self.keywords, self.untrusted);
        proof.set_tagging(self.tagging);
        proof.set_groups(GROUPS.to_vec());
        proof.set_filter(self.filter);
        proof
    }

    /// Judges `frames` frames of random traffic. Returns what passed.
    ///
    /// # Panics
    /// When a frame is wrong: the message has the seed and the frame.
    pub fn run(&self, seed: u64, frames: u64) -> Report {
        let mut proof = self.start(seed);
        proof.run(frames);
        proof.end()
    }
}
